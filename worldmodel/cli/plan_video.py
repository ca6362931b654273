"""The video of plans: what happens, what was planned, and other candidates with their scores."""

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worldmodel.cli.overlay import ACCENT, BACKGROUND, FAINT, TEXT
from worldmodel.data.video import VideoWriter, write_contact_sheet

if TYPE_CHECKING:
    from worldmodel.cli.plan import Act

_BAND, _GAP, _COLUMNS = 18, 6, 3
"""Height of a name, space between pictures in pixels, and candidates in a row."""
_FPS, _PAUSE_FRAMES = 4.0, 3
"""Steps a second, slower than they happen, and frames for which start and end of a plan are shown."""


class PlanVideo:
    """Writes the video, and remembers how each plan ended.

    A context manager: the video is whole when it is left without an exception, and removed otherwise.
    """

    def __init__(self, path: Path, tile_pixels: int, goal: np.ndarray | None) -> None:
        """Starts the video.

        Args:
            path: Of it.
            tile_pixels: Height of a candidate's picture; what happens and the plan are twice as high.
            goal: uint8 (H, W, 3), shown as well; `None` if there is no picture of it.
        """
        self._video = VideoWriter(path, fps=_FPS)
        self._tile, self._goal = tile_pixels, goal
        self._font = ImageFont.load_default(12)
        self._tiles: list[np.ndarray] = []
        self._number = 0

    def __enter__(self) -> "PlanVideo":
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        """Finishes the video, or removes it if there was an exception."""
        self._video.__exit__(kind, error, trace)

    def add(self, act: "Act") -> None:
        """Writes a plan and what came of it."""
        self._number += 1
        for t in [*[-1] * _PAUSE_FRAMES, *range(len(act.real)), *[len(act.real) - 1] * _PAUSE_FRAMES]:
            self._video.write(self._draw(act, t))
        last = len(act.real) - 1
        shown = [(f"plan {self._number} begins", act.start), ("as imagined", _at(act.imagined[0], last, act.start))]
        shown.append(("as it happened", act.real[-1]))
        shown += [] if self._goal is None else [("the goal", self._goal)]
        self._tiles += [self._named(name, picture, 2) for name, picture in shown]

    def write_sheet(self, path: Path) -> None:
        """Writes how each plan began and ended: a row each."""
        write_contact_sheet(path, self._tiles, columns=3 if self._goal is None else 4)

    def _draw(self, act: "Act", t: int) -> np.ndarray:
        """Returns a frame of the video, uint8 (H', W', 3): after step t of a plan, -1 for its start."""
        now = act.start if t < 0 else act.real[t]
        large = [("what happens", now), (f"the plan: {act.scores[0]:.3g}", _at(act.imagined[0], t, act.start))]
        if self._goal is not None:
            large.insert(0, ("the goal", self._goal))
        small = [
            (f"{score:.3g}", _at(frames, t, act.start))
            for frames, score in zip(act.imagined[1:], act.scores[1:], strict=True)
        ]
        left = _beside([self._named(name, picture, 2) for name, picture in large])
        tiles = [self._named(name, picture, 1, FAINT) for name, picture in small]
        blank = np.full_like(tiles[0], BACKGROUND)
        tiles += [blank] * (-len(tiles) % _COLUMNS)
        right = _below([_beside(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)])
        text = f"plan {self._number}, step {t + 1} of {len(act.real)}; best of {act.tried} candidates"
        reward = sum(act.rewards[: t + 1])
        text += f"; reward {reward:g}" if reward else ""
        whole = _beside([left, right])
        band = np.asarray(self._band(text, whole.shape[1], TEXT))
        return np.concatenate([whole, band])

    def _named(self, name: str, picture: np.ndarray, times: int, colour: tuple[int, int, int] = ACCENT) -> np.ndarray:
        """Returns a picture, so many tiles high, its name above it."""
        height = self._tile * times + (_BAND + _GAP) * (times - 1)
        width = max(1, round(height * picture.shape[1] / picture.shape[0]))
        image = Image.fromarray(np.ascontiguousarray(picture)).resize((width, height), Image.Resampling.NEAREST)
        return np.concatenate([np.asarray(self._band(name, width, colour)), np.asarray(image)])

    def _band(self, text: str, width: int, colour: tuple[int, int, int]) -> Image.Image:
        band = Image.new("RGB", (width, _BAND), BACKGROUND)
        ImageDraw.Draw(band).text((2, 1), text, colour, font=self._font)
        return band


def _at(frames: np.ndarray, t: int, start: np.ndarray) -> np.ndarray:
    """Returns what a candidate shows after step t; its last picture if its episode is over."""
    return start if t < 0 else frames[min(t, len(frames) - 1)]


def _beside(pictures: list[np.ndarray]) -> np.ndarray:
    """Returns pictures beside each other, filled up below to one height."""
    height, parts = max(len(picture) for picture in pictures), []
    for picture in pictures:
        filled = np.full((height, picture.shape[1] + _GAP, 3), BACKGROUND, np.uint8)
        filled[: len(picture), : picture.shape[1]] = picture
        parts.append(filled)
    return np.concatenate(parts, 1)


def _below(pictures: list[np.ndarray]) -> np.ndarray:
    """Returns pictures of one width below each other."""
    gap = np.full((_GAP, pictures[0].shape[1], 3), BACKGROUND, np.uint8)
    return np.concatenate([part for picture in pictures for part in (picture, gap)][:-1])
