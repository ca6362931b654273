"""A player that presses keys at random: the least a comparison needs."""

import copy
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents.player import Info


class RandomPlayer:
    """Samples the action space, of any environment, uniformly, and holds each action for a while."""

    def __init__(self, env: gymnasium.Env, *, hold_steps: float = 1.0) -> None:
        """Makes a player for one environment, whose own action space stays untouched.

        Args:
            env: The environment.
            hold_steps: Steps for which an action is held on average, at least 1; how long is drawn anew each time.
                Whoever changes the action in every step gets nowhere in worlds like Crafter.

        Raises:
            ValueError: If it is below 1.
        """
        if not hold_steps >= 1:
            raise ValueError(f"hold_steps: expected at least 1, got {hold_steps}")
        self._action_space = copy.deepcopy(env.action_space)
        self._change = 1 / hold_steps
        self._random = np.random.default_rng(0)
        self._action: Any = None

    def reset(self, seed: int) -> None:
        """Starts an episode."""
        self._action_space.seed(seed)
        self._random = np.random.default_rng(seed)
        self._action = None

    def act(self, observation: Any, info: Info) -> Any:
        """Samples an action, or holds the one it has."""
        if self._action is None or self._random.random() < self._change:
            self._action = self._action_space.sample()
        return copy.deepcopy(self._action)
