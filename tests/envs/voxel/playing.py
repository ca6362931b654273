"""Play for tests."""

import numpy as np


def random_actions(space, count, seed=0):
    """Sensible random actions: camera movements are small, and the player stays where he is seldom."""
    space.seed(seed)
    out = []
    for _ in range(count):
        action = space.sample()
        action["camera"] = (action["camera"] * 0.05).astype(np.float32)
        action["forward"], action["attack"] = 1, int(action["attack"] or action["use"])
        out.append(action)
    return out
