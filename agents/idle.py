"""A player that does nothing."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from worldmodel.agents.player import Info


class IdlePlayer:
    """Does nothing, in any environment where zero means nothing."""

    def __init__(self, env: gymnasium.Env) -> None:
        """Makes a player for one environment.

        Args:
            env: The environment.

        Raises:
            TypeError: If its action space has parts other than `Dict`, `Discrete` and `Box`.
        """
        self._action_space = env.action_space
        zero(self._action_space)

    def reset(self, seed: int) -> None:
        """Starts an episode."""

    def act(self, observation: Any, info: Info) -> Any:
        """Returns a new action of zeros."""
        return zero(self._action_space)


def zero(space: gymnasium.Space) -> Any:
    """Returns the action of zeros; where zero is not allowed, what comes closest.

    Raises:
        TypeError: If the space has parts other than `Dict`, `Discrete` and `Box`.
    """
    if isinstance(space, spaces.Dict):
        return {name: zero(part) for name, part in space.items()}
    if isinstance(space, spaces.Discrete):
        return int(space.start)
    if isinstance(space, spaces.Box):
        return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
    raise TypeError(f"env: expected an action space of Dict, Discrete and Box, got {space}; use the player 'random'")
