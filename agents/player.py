"""What a player is, and the base of the scripted ones."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any, Protocol

import gymnasium
import numpy as np

from worldmodel.envs.actions import KEYS, no_op

Info = dict[str, Any]
Keys = dict[str, Any]
"""A partial action: the keys held down, and `camera`."""
Script = Generator[Keys, Info, Info]
"""A behaviour over many steps: yields keys, is sent the `info` that followed, and returns the last one."""


class Player(Protocol):
    """Anything that chooses actions."""

    def reset(self, seed: int) -> None:
        """Starts an episode; all that is random follows from the seed."""

    def act(self, observation: Any, info: Info) -> Any:
        """Chooses the next action, a member of the environment's action space.

        Args:
            observation: What the environment's `reset` or `step` returned last.
            info: What it returned with it.
        """


def ticks_per_step(env: gymnasium.Env) -> int:
    """Returns how many ticks a step of an environment lasts: more than 1 in a dream, or with `frame_skip`."""
    world: Any = env.unwrapped
    return int(getattr(world, "frames_per_step", 0) or getattr(getattr(world, "config", None), "frame_skip", 1))


def check_dictionary(env: gymnasium.Env) -> None:
    """Raises TypeError if an environment is not played with the dictionary of keys."""
    if not isinstance(env.action_space, gymnasium.spaces.Dict) or set(env.action_space) != set(KEYS):
        raise TypeError(
            f"env: expected the dictionary of keys as action space, got {env.action_space}; "
            "make a block world, or a dream of it, without the discrete preset"
        )


def full_action(keys: Keys, ticks: int) -> dict[str, Any]:
    """Returns a member of the action space.

    Args:
        keys: Those held down, and `camera` in degrees of the whole step.
        ticks: Of a step; the camera acts on each of them.
    """
    action = no_op() | keys
    action["camera"] = (np.asarray(action["camera"], np.float64) / ticks).astype(np.float32)
    return action


class ScriptedPlayer(ABC):
    """A player with a plan for `worldmodel/Voxel-v0` and its tasks; privileged: it asks the world what is where.

    Subclasses write their plan as a generator, `script`, so that what takes many steps reads as one after another. When
    the script ends, the player stands still.

    Attributes:
        world: The unwrapped environment, for the truth: `block_at`, `find_blocks`, `target`.
        random: Generator of the episode.
        privileged: That it reads the truth of a real environment, so that it cannot play in a dream alone.
    """

    privileged = True

    def __init__(self, env: gymnasium.Env) -> None:
        """Makes a player for one environment.

        Args:
            env: The environment it is going to play in.

        Raises:
            TypeError: If the environment is not a block world with the action dictionary.
        """
        if not hasattr(env.unwrapped, "block_at"):
            raise TypeError(
                f"env: expected worldmodel/Voxel-v0 or one of its tasks, got {env.unwrapped!r}; "
                "scripted players read its blocks; elsewhere use 'random' or 'idle', and in a dream 'policy' or 'keys'"
            )
        check_dictionary(env)
        self.world: Any = env.unwrapped
        self.random = np.random.default_rng(0)
        self._running: Script | None = None

    def reset(self, seed: int) -> None:
        """Starts an episode."""
        self.random = np.random.default_rng(seed)
        self._running = None

    def act(self, observation: Any, info: Info) -> dict[str, Any]:
        """Goes on with the script by one step and returns a full action."""
        if self._running is None:
            self._running = self._endless(info)
            keys = next(self._running)
        else:
            keys = self._running.send(info)
        return full_action(keys, self.world.config.frame_skip)

    def _endless(self, info: Info) -> Script:
        info = yield from self.script(info)
        while True:
            info = yield {}

    @abstractmethod
    def script(self, info: Info) -> Script:
        """The plan: a generator that yields keys and is sent the `info` that followed.

        Args:
            info: What `reset` returned.
        """
