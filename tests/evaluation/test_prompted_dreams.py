"""A world model dreams from a prompt alone, and goes on without actions."""

import sys
from pathlib import Path

import numpy as np
import pytest

from worldmodel.evaluation.dreamers import ModelDreamer, dream
from worldmodel.evaluation.episodes import Context

sys.path.append(str(Path(__file__).parents[1] / "envs" / "imagined"))

from dream_tools import SIDE, draw_actions, full_precision, levels, make, picture  # noqa: E402, F401

NOTHING = np.zeros((0, SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    from dream_checkpoint import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("dreams") / "tiny")


def test_a_prompt_is_enough_to_begin_with(checkpoint):
    env, actions = make(checkpoint), draw_actions(3, seed=8)
    env.reset(seed=5, options={"prompt": "a forest at noon"})
    noise = env.get_state().seed
    wanted = []
    for action in actions:
        env.step(action)
        wanted.append(env.frames)
    dreamer = ModelDreamer(checkpoint)
    found = dream(dreamer, [Context(NOTHING, [], "a forest at noon")], [actions], seed=noise).frames[0]
    assert levels(found, np.stack(wanted)) <= 1
    assert levels(dream(dreamer, [Context(NOTHING, [], "snow")], [actions], seed=noise).frames[0], found) > 0


def test_no_action_is_another_than_rest(checkpoint):
    dreamer, (action,) = ModelDreamer(checkpoint), draw_actions(1, seed=3)
    part = Context(picture(0, frames=3), draw_actions(1), "snow")
    together = dream(dreamer, [part] * 2, [[None], [action]], seed=4).frames
    assert levels(dream(dreamer, [part], [[None]], seed=4).frames[0], together[0]) <= 1
    assert levels(dream(dreamer, [part], [[action]], seed=5).frames[0], together[1]) <= 1
    assert levels(dream(dreamer, [part], [[action]], seed=4).frames[0], together[0]) > 1
