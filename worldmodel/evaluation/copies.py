"""An environment that cannot go back to a state by itself, made to by copies of all that it is."""

import copy
from typing import Any

import gymnasium
import numpy as np


def restorable(env: gymnasium.Env) -> gymnasium.Env:
    """Returns an environment with `get_state` and `set_state`: itself if it has them, else a `CopiedEnv` of it."""
    has_both = all(callable(getattr(env.unwrapped, name, None)) for name in ("get_state", "set_state"))
    return env if has_both else CopiedEnv(env)


class CopiedEnv(gymnasium.Env):
    """Steps an environment, whose state is a deep copy of the whole.

    What chance will bring is a part of the state, so whoever plans in it knows it. Wrappers are left out. Anything else
    that is asked of it is answered by the environment inside.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        """Takes an environment; only this one may step it from now on."""
        self._inner: Any = env.unwrapped
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self.metadata, self.render_mode = self._inner.metadata, self._inner.render_mode

    def __getattr__(self, name: str) -> Any:
        """Asks the environment inside."""
        if name == "_inner":  # not yet there
            raise AttributeError(name)
        return getattr(self._inner, name)

    @property
    def np_random(self) -> np.random.Generator:
        """The generator of the environment inside."""
        return self._inner.np_random

    @np_random.setter
    def np_random(self, generator: np.random.Generator) -> None:
        self._inner.np_random = generator

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode."""
        return self._inner.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Takes an action."""
        return self._inner.step(action)

    def render(self) -> Any:
        """Returns the latest frame."""
        return self._inner.render()

    def close(self) -> None:
        """Closes the environment inside."""
        self._inner.close()

    def get_state(self) -> Any:
        """Returns a copy of the environment.

        Raises:
            TypeError: If a part of it cannot be copied.
        """
        return self._copied(self._inner)

    def set_state(self, state: Any) -> None:
        """Goes to a state, which stays as it is."""
        self._inner = self._copied(state)

    @staticmethod
    def _copied(inner: Any) -> Any:
        try:
            return copy.deepcopy(inner)
        except Exception as error:  # whatever a part of it thinks of being copied
            raise TypeError(
                f"env: expected one with get_state and set_state, or one that can be copied, got "
                f"{type(inner).__name__} ({' '.join(str(error).split())}); give the planner a checkpoint"
            ) from error
