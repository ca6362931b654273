"""What one recorded episode is, and what can write one.

Alignment, everywhere: frame `t` was on screen when action `t` was chosen, and frame `t + 1` is its result. An episode
of `N` actions has `N` rewards and `N + 1` frames and infos.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

TICKS_PER_SECOND = 20
"""Frames per second of a recording of one frame a tick; Minecraft's tick is 50 ms."""

_CHUNK = re.compile(r"#\d{6,}$")


@dataclass(kw_only=True, slots=True)
class EpisodeSource:
    """Where an episode came from: enough to play it again.

    Attributes:
        env_id: Gymnasium id of the environment.
        env_kwargs: Keyword arguments it was made with, JSON values.
        seed: What `reset` got; `None` if unknown.
        fps: Frames per second.
    """

    env_id: str = ""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    fps: float = TICKS_PER_SECOND


@dataclass(kw_only=True, slots=True)
class Episode:
    """One episode in memory.

    Attributes:
        frames: uint8 (N + 1, H, W, 3), RGB.
        actions: N actions, each as the environment took it: a dictionary, an integer or an array.
        rewards: float64 (N,).
        terminated: Whether the last step ended the task.
        truncated: Whether the last step cut it off.
        infos: N + 1 dictionaries of plain JSON values; the first came from `reset`.
        source: Where it came from.
    """

    frames: np.ndarray
    actions: list[Any]
    rewards: np.ndarray
    terminated: bool
    truncated: bool
    infos: list[dict[str, Any]]
    source: EpisodeSource

    @property
    def captions(self) -> list[str]:
        """N + 1 captions, empty where the environment gave none."""
        return [info.get("caption", "") for info in self.infos]

    def __len__(self) -> int:
        """Number of actions."""
        return len(self.actions)


class EpisodeWriter(ABC):
    """Writes one episode while it is played.

    The episode exists on disk from `close` on, whole, and not before. As a context manager it closes on success and
    discards what it has on an exception. Call `reset` once, then `step` for every action, then `close`.
    """

    @abstractmethod
    def reset(self, frame: np.ndarray, info: Mapping[str, Any]) -> None:
        """Takes what `env.reset` returned; `frame` is uint8 (H, W, 3)."""

    @abstractmethod
    def step(
        self,
        action: Any,
        frame: np.ndarray,
        reward: float,
        terminated: bool,
        truncated: bool,
        info: Mapping[str, Any],
    ) -> None:
        """Takes an action and what `env.step` returned for it; `frame` is uint8 (H, W, 3)."""

    @abstractmethod
    def close(self) -> None:
        """Completes the episode.

        Raises:
            ValueError: If it has no step.
        """

    @abstractmethod
    def discard(self) -> None:
        """Removes what was written so far. Harmless after `close`."""

    def __enter__(self) -> "EpisodeWriter":
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        """Closes, or discards if there was an exception."""
        if kind is not None:
            self.discard()
            return
        try:
            self.close()
        finally:
            self.discard()


def write_episode(writer: EpisodeWriter, episode: Episode) -> None:
    """Writes an episode that is in memory, and closes the writer."""
    last = len(episode) - 1
    with writer:
        writer.reset(episode.frames[0], episode.infos[0])
        for t, action in enumerate(episode.actions):
            writer.step(
                action,
                episode.frames[t + 1],
                float(episode.rewards[t]),
                episode.terminated and t == last,
                episode.truncated and t == last,
                episode.infos[t + 1],
            )


def episode_name(index: int) -> str:
    """Returns the file name, without ending, of an episode of a recording."""
    return f"episode_{index:06d}"


def chunk_key(key: str, index: int) -> str:
    """Returns the name of a chunk of a recording: the recording's own for the first, then `key#000001` and so on."""
    return key if index == 0 else f"{key}#{index:06d}"


def recording_key(key: str) -> str:
    """Returns the name of the recording that a chunk belongs to."""
    return _CHUNK.sub("", key)


def plain(value: Any, name: str) -> Any:
    """Returns a value with numpy scalars and arrays, tuples and mappings turned into JSON values.

    Args:
        value: Any nesting of those, `str`, `int`, `float`, `bool` and `None`.
        name: What to call it in an error.

    Raises:
        TypeError: If some part has no JSON form; the message names the part.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(part, f"{name}[{key!r}]") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, f"{name}[{i}]") for i, part in enumerate(value)]
    if isinstance(value, Path):
        return str(value)
    raise TypeError(
        f"{name}: expected numbers, strings, arrays, lists or dictionaries, got {type(value).__name__}; remove it"
    )
