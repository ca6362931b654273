"""The files of a rollout: video, contact sheet and figures."""

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import ImageFont

from worldmodel.cli.moments import Moment, Source
from worldmodel.cli.overlay import Overlay, name_band
from worldmodel.data.episodes import plain
from worldmodel.data.files import write_json
from worldmodel.data.video import VideoWriter, write_contact_sheet

SHEET_COLUMNS, SHEET_ROWS = 6, 4
"""Of the contact sheet; a row is a row of frames, so that two pictures side by side make half as many moments."""

_BAND_HEIGHT, _BAND_FONT = 15, 11
"""Of the names on the contact sheet, in pixels."""


class RolloutFiles:
    """Writes `rollout.mp4` while it is played, `contact_sheet.png` and `rollout.json` afterwards.

    A context manager: the video is whole when it is left without an exception, and removed otherwise.

    Attributes:
        num_frames: Frames of the video so far.
        total_reward: Sum of the rewards so far.
        num_steps: Steps so far; the reset is none.
    """

    def __init__(self, folder: Path, source: Source, video_width: int) -> None:
        """Starts the video.

        Args:
            folder: Existing folder.
            source: What is written.
            video_width: Least width of the video, in pixels.
        """
        self._folder, self._names, self._video_width = folder, source.names, video_width
        self._video = VideoWriter(folder / "rollout.mp4", fps=source.fps)
        self._overlay: Overlay | None = None
        self._sheet = _SheetFrames(SHEET_COLUMNS * SHEET_ROWS // max(1, len(source.names)))
        self._moments: list[dict[str, Any]] = []
        self.num_frames, self.total_reward = 0, 0.0

    @property
    def num_steps(self) -> int:
        """See the class."""
        return max(0, len(self._moments) - 1)

    def add(self, moment: Moment) -> None:
        """Writes a moment into the video, and keeps what the other files need of it."""
        self.total_reward += moment.reward
        self._moments.append(
            plain({"action": moment.action, "reward": moment.reward, **moment.figures}, f"step {len(self._moments)}")
        )
        for pictures, action in moment.ticks():
            if self._overlay is None:
                self._overlay = Overlay(pictures.shape[1:], self._video_width, self._names)
            self._video.write(self._overlay.draw(pictures, action, moment.info, self.num_steps, self.total_reward))
            self.num_frames += 1
        self._sheet.add(moment.last())

    def write_rest(self, head: dict[str, Any]) -> None:
        """Writes contact sheet and figures.

        Args:
            head: What stands at the top of the figures.
        """
        tiles = [_tile(pictures, self._names) for pictures in self._sheet.pick()]
        write_contact_sheet(self._folder / "contact_sheet.png", tiles, columns=SHEET_COLUMNS)
        write_json(
            self._folder / "rollout.json",
            {**plain(head, "head"), "total_reward": self.total_reward, "start": self._moments[0]},
            lines={"steps": self._moments[1:]},
        )

    def __enter__(self) -> "RolloutFiles":
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        """Finishes the video, or removes it if there was an exception."""
        self._video.__exit__(kind, error, trace)


def _tile(pictures: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Returns pictures, uint8 (N, H, W, 3), below each other, their names above them if there are several."""
    if len(pictures) == 1:
        return pictures[0]
    font = ImageFont.load_default(_BAND_FONT)
    bands = [name_band(name, (pictures.shape[2], _BAND_HEIGHT), font) for name in names]
    return np.concatenate([part for pair in zip(bands, pictures, strict=True) for part in pair])


class _SheetFrames:
    """Keeps a bounded number of moments of a stream of unknown length, and picks some, evenly spread."""

    def __init__(self, limit: int) -> None:
        self._frames: list[np.ndarray] = []
        self._limit = limit
        self._every = 1
        self._seen = 0

    def add(self, pictures: np.ndarray) -> None:
        if self._seen % self._every == 0:
            self._frames.append(pictures.copy())
            if len(self._frames) == 4 * self._limit:
                self._frames = self._frames[::2]
                self._every *= 2
        self._seen += 1

    def pick(self) -> list[np.ndarray]:
        number = min(self._limit, len(self._frames))
        return [self._frames[i] for i in np.linspace(0, len(self._frames) - 1, number).round().astype(int)]
