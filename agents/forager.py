"""A player that walks about in Crafter and takes what it meets: data in which most steps show something happening."""

from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents.player import Info

_NOOP, _DO, _SLEEP, _PLACE_STONE, _PLACE_TABLE = 0, 5, 6, 7, 8
_DIRECTIONS = {1: (-1, 0), 2: (1, 0), 3: (0, -1), 4: (0, 1)}
"""Actions that walk, and where to."""
_WALKABLE = ("grass", "sand", "path")
_TAKEN_AT = {"tree": 0.5, "stone": 0.7, "coal": 0.9, "iron": 0.9, "diamond": 1.0, "water": 0.5, "table": 0.0}
"""Chance that it takes what bars its way; what it cannot take without a tool it tries all the same."""
_MIX = ((_PLACE_STONE, 0.04), (_PLACE_TABLE, 0.02), (_SLEEP, 0.005), (_NOOP, 0.05))
"""Actions of every step that interrupt whatever it does, and their chances."""
_CRAFTING = tuple(range(9, 17))
_CRAFTING_CHANCE = 0.06


class ForagerPlayer:
    """Walks straight on for a while, takes or turns away from what bars its way, and tries all other actions.

    A player of Crafter must walk on purpose: of uniformly random actions only one in six changes more of the picture
    than a cell. Privileged: it asks the game what stands before it.
    """

    privileged = True

    def __init__(self, env: gymnasium.Env, *, walk_steps: float = 6.0) -> None:
        """Makes a player for one environment.

        Args:
            env: `worldmodel/Crafter-v0`.
            walk_steps: Steps that it walks straight on, on average, where nothing is in the way; at least 1.

        Raises:
            TypeError: If the environment is not Crafter.
            ValueError: If a number is out of range.
        """
        if not hasattr(env.unwrapped, "ahead"):
            raise TypeError(
                f"env: expected worldmodel/Crafter-v0, got {env.unwrapped!r}; the forager asks the game what stands "
                "before it; elsewhere use 'random'"
            )
        if not walk_steps >= 1:
            raise ValueError(f"walk_steps: expected at least 1, got {walk_steps}")
        self._world: Any = env.unwrapped
        self._turn = 1 / walk_steps
        self._random = np.random.default_rng(0)
        self._direction = 1

    def reset(self, seed: int) -> None:
        """Starts an episode."""
        self._random = np.random.default_rng(seed)
        self._direction = int(self._random.integers(1, 5))

    def act(self, observation: Any, info: Info) -> int:
        """Returns an action, 0 to 16."""
        draw = self._random.random()
        for action, chance in _MIX:
            if draw < chance:
                return action
            draw -= chance
        if draw < _CRAFTING_CHANCE:
            return int(self._random.choice(_CRAFTING))
        if self._random.random() < self._turn:
            self._direction = int(self._random.integers(1, 5))
        ahead = self._world.ahead(_DIRECTIONS[self._direction])
        if ahead in _WALKABLE:
            return self._direction
        faces = self._world.facing == _DIRECTIONS[self._direction]
        if faces and self._random.random() < _TAKEN_AT.get(ahead, 0.8):  # animals and monsters are hit
            return _DO
        if faces or ahead == "lava":
            open_ways = [way for way, step in _DIRECTIONS.items() if self._world.ahead(step) in _WALKABLE]
            self._direction = int(self._random.choice(open_ways or list(_DIRECTIONS)))
            if self._world.ahead(_DIRECTIONS[self._direction]) == "lava":
                return _NOOP
        return self._direction
