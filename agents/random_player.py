"""A player that presses keys at random: the least a comparison needs."""

import copy
from typing import Any

import gymnasium

from worldmodel.agents.player import Info


class RandomPlayer:
    """Samples the action space, of any environment, uniformly."""

    def __init__(self, env: gymnasium.Env) -> None:
        """Makes a player for one environment, whose own action space stays untouched."""
        self._action_space = copy.deepcopy(env.action_space)

    def reset(self, seed: int) -> None:
        """Starts an episode."""
        self._action_space.seed(seed)

    def act(self, observation: Any, info: Info) -> Any:
        """Samples an action."""
        return self._action_space.sample()
