"""What a rollout is made of: a moment for each step. The first source of them: a player in an environment."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from worldmodel.cli.errors import UsageError
from worldmodel.cli.playing import is_picture, one_line
from worldmodel.data.episodes import TICKS_PER_SECOND

if TYPE_CHECKING:
    from worldmodel.agents import Player

_NOTED = ("pose", "events", "caption", "trust")
"""What is noted of an `info`."""


@dataclass(kw_only=True, slots=True)
class Moment:
    """One step as it was played; the first one is the reset.

    Attributes:
        views: For each picture side by side its uint8 frames (H, W, 3), one a tick of the step.
        action: What was done: an action for all ticks, or a list with one for each; `None` for the reset.
        reward: Of the step.
        ended: Why the episode is over, as a clause; empty while it goes on.
        info: What may be shown of it, such as `caption`.
        figures: What is noted of it besides, JSON values and arrays.
    """

    views: Sequence[Sequence[np.ndarray]]
    action: Any = None
    reward: float = 0.0
    ended: str = ""
    info: Mapping[str, Any]
    figures: dict[str, Any] = field(default_factory=dict)

    def ticks(self) -> Iterator[tuple[np.ndarray, Any]]:
        """Yields for each tick its pictures, uint8 (N, H, W, 3), and the action that led to them."""
        length = max(map(len, self.views))
        for tick in range(length):
            # Where an episode ended within the step, its last frame stays.
            pictures = np.stack([frames[min(tick, len(frames) - 1)] for frames in self.views])
            yield pictures, self.action[tick] if isinstance(self.action, list) else self.action

    def last(self) -> np.ndarray:
        """Returns the pictures at the end of the step, uint8 (N, H, W, 3)."""
        return np.stack([frames[-1] for frames in self.views])


class Source(ABC):
    """Plays an episode.

    Attributes:
        names: Of the pictures side by side; none for a single one that needs no name.
        fps: Ticks, and frames, per second.
        unit: What the progress bar counts.
        remark: What the user should know about it, or nothing.
    """

    names: tuple[str, ...] = ()
    fps: float = TICKS_PER_SECOND
    unit = "frames"
    remark = ""

    @abstractmethod
    def play(self, seed: int, num_steps: int) -> Iterator[Moment]:
        """Plays one episode, of at most so many steps; the first moment is the reset.

        Raises:
            UsageError: With the first moment, if the episode cannot begin as it should.
        """

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """Returns what is to be noted about the episode as a whole."""

    @abstractmethod
    def close(self) -> None:
        """Closes the environments."""


class EnvironmentSource(Source):
    """A player in one environment."""

    def __init__(self, env: gymnasium.Env, player: "Player", options: Mapping[str, Any] | None = None) -> None:
        """Takes both.

        Args:
            env: The environment; closed by `close`.
            player: Who plays it.
            options: Of its `reset`.
        """
        from worldmodel.agents.player import ticks_per_step

        self._env, self._player, self._options = env, player, options
        self.fps = env.metadata.get("render_fps", TICKS_PER_SECOND) * ticks_per_step(env)

    def play(self, seed: int, num_steps: int) -> Iterator[Moment]:
        """Plays one episode; see `Source`."""
        try:
            observation, info = self._env.reset(seed=seed, options=None if self._options is None else {**self._options})
        except (TypeError, ValueError) as error:
            raise UsageError(one_line(error)) from error
        self._player.reset(seed)
        yield Moment(views=[_frames(self._env, observation)[-1:]], info=info, figures=noted(info))
        for _ in range(num_steps):
            action = self._player.act(observation, info)
            observation, reward, terminated, truncated, info = self._env.step(action)
            ended = ending("the episode", terminated, truncated)
            yield Moment(
                views=[_frames(self._env, observation)],
                action=action,
                reward=float(reward),
                ended=ended,
                info=info,
                figures=noted(info),
            )
            if ended:
                return

    def about(self) -> dict[str, Any]:
        """Returns nothing: the settings say all."""
        return {}

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()


def noted(info: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is noted of an `info`."""
    return {name: info[name] for name in _NOTED if name in info}


def ending(whose: str, terminated: bool, truncated: bool) -> str:
    """Says that an episode is over; nothing while it goes on."""
    return f"{whose} terminated" if terminated else f"{whose} was truncated" if truncated else ""


def _frames(env: gymnasium.Env, observation: Any) -> Sequence[np.ndarray]:
    """Returns every frame of the last step: all of its ticks where the environment keeps them."""
    frames = getattr(env.unwrapped, "frames", None)
    if isinstance(frames, np.ndarray) and frames.ndim == 4:
        return list(frames)
    frame = observation if is_picture(observation) else env.render()
    if not is_picture(frame):
        raise UsageError("env: expected one that shows uint8 (H, W, 3) pictures, got one that does not")
    return [frame]
