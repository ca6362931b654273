"""The model's own player: the head of a world model that says what the player in it would do next."""

import math
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents.player import Info


class PolicyPlayer:
    """Plays a dream as the model thinks that its player goes on."""

    def __init__(self, env: gymnasium.Env, *, temperature: float = 1.0) -> None:
        """Makes a player for one dream.

        Args:
            env: A `worldmodel/Imagined-v0`, with the action space that its model was trained with.
            temperature: At least 0. Below 1 likely actions become likelier; 0 takes the most likely.

        Raises:
            TypeError: If the environment is not imagined, or has another action space.
            ValueError: If the temperature is negative or not finite.
        """
        dream: Any = env.unwrapped
        if not hasattr(dream, "policy_action"):
            raise TypeError(
                f"env: expected worldmodel/Imagined-v0, got {type(dream).__name__}; this player is a part of the world "
                "model: use another one, such as 'explorer', in a real environment"
            )
        if env.action_space != dream.model.codec.space:
            raise TypeError(
                f"env: expected the action space that the model was trained with, got {env.action_space}; "
                "make the environment without its discrete preset"
            )
        if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature < math.inf:
            raise ValueError(f"temperature: expected a finite number of at least 0, got {temperature!r}")
        self._dream = dream
        self._temperature = temperature
        self._random = np.random.default_rng(0)

    def reset(self, seed: int) -> None:
        """Starts an episode."""
        self._random = np.random.default_rng(seed)

    def act(self, observation: Any, info: Info) -> list[Any]:
        """Draws what the player does next: a list with an action for each tick of a step."""
        return self._dream.policy_action(self._random, self._temperature)
