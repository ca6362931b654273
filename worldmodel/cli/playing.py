"""What the sub-commands that play have in common: making environment and player, and stopping politely."""

import signal
import threading
from datetime import datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TypeGuard

import gymnasium
import numpy as np

from worldmodel.cli.errors import UsageError
from worldmodel.cli.settings import EnvConfig, PlayerConfig

if TYPE_CHECKING:
    from worldmodel.agents import Player


def make(env: EnvConfig, player: PlayerConfig) -> tuple[gymnasium.Env, "Player"]:
    """Returns the environment and the player of a configuration.

    Raises:
        UsageError: If there is no such environment or player, or one of them does not take its keyword arguments.
    """
    made = make_env(env)
    try:
        return made, make_player(player, made)
    except UsageError:
        made.close()
        raise


def make_env(config: EnvConfig) -> gymnasium.Env:
    """Returns the environment of a configuration.

    Raises:
        UsageError: If there is none, or it does not take its keyword arguments.
    """
    import worldmodel.envs  # noqa: F401 - registers the ids; here, because a mistyped setting should not wait for it

    try:
        return gymnasium.make(config.id, render_mode="rgb_array", **config.kwargs)
    except (gymnasium.error.Error, TypeError, ValueError, ImportError, FileNotFoundError) as error:
        raise UsageError(f"env {config.id}: {one_line(error)}") from error


def make_player(config: PlayerConfig, env: gymnasium.Env) -> "Player":
    """Returns the player of a configuration.

    Raises:
        UsageError: If there is none, it cannot play in the environment, or it does not take its keyword arguments.
    """
    import worldmodel.agents  # here, because it takes a second

    try:
        return worldmodel.agents.make_player(config.name, env, **config.kwargs)
    except (TypeError, ValueError, FileNotFoundError) as error:
        raise UsageError(f"player {config.name}: {one_line(error)}") from error


def check_counts(**counts: int) -> None:
    """Raises UsageError if a setting that counts something is below 1."""
    for name, value in counts.items():
        if value < 1:
            raise UsageError(f"{name}: expected at least 1, got {value}")


def check_seed(seed: int) -> None:
    """Raises UsageError if a seed is below 0."""
    if seed < 0:
        raise UsageError(f"seed: expected an integer from 0 on, got {seed}")


def output_folder(output: str | None, command: str) -> Path:
    """Returns the folder for results, not yet made: the one that was asked for, or one named after the time."""
    if output is not None:
        folder = Path(output)
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"output: expected a folder, {output} is a file; choose another name")
        return folder
    return Path("runs") / command / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def is_picture(value: Any) -> TypeGuard[np.ndarray]:
    """Returns whether a value is a uint8 (H, W, 3) array."""
    return isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 3 and value.shape[2] == 3


def one_line(error: Exception) -> str:
    """Returns the message of an error without its line breaks."""
    return " ".join(str(error).split())


class Interruption:
    """Turns the first Ctrl-C (or SIGTERM) into a flag, so that a loop ends where it is whole; the second one raises.

    Attributes:
        requested: Whether somebody asked to stop.
    """

    def __init__(self) -> None:
        """Changes nothing until entered."""
        self.requested = False
        self._old: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        """Takes over the signals; only the main thread may, elsewhere nothing changes."""
        if threading.current_thread() is threading.main_thread():
            self._old = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        """Gives the signals back."""
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
