"""What the pictures of a report have in common: plots with bands, grids of frames with names, videos of such grids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worldmodel.data.files import partial_path
from worldmodel.data.video import VideoWriter
from worldmodel.evaluation.estimates import Estimate
from worldmodel.training.pictures import enlarge

FRAME_WIDTH = 128
"""Frames in grids are enlarged by a whole number to at least this width, in pixels."""

_GAP, _NAME_HEIGHT, _FONT, _BACK, _INK = 4, 16, 12, 24, 230
"""Of a grid: distance between frames, height of a name, its letters, in pixels; grey of the background and of names."""
_DPI = 100


@dataclass(slots=True)
class Curve:
    """A figure over steps, with its uncertainty.

    Attributes:
        name: In the legend.
        steps: Where it was taken.
        estimates: One for each step.
        style: Of the line, as matplotlib writes it, such as `"--"`.
        color: As matplotlib writes it, such as `"tab:blue"`.
    """

    name: str
    steps: Sequence[float]
    estimates: Sequence[Estimate]
    style: str = "-"
    color: str = "tab:blue"


def pyplot() -> Any:
    """Returns `matplotlib.pyplot`, drawing without a window.

    Raises:
        ImportError: Without matplotlib; the message names the extra that brings it.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError("expected matplotlib for plots, found none; pip install 'worldmodel[train]'") from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def draw_curves(axis: Any, curves: Sequence[Curve], *, title: str, unit: str) -> None:
    """Draws figures over steps, each in a band that holds the true one with 95 % confidence.

    Args:
        axis: Of matplotlib. Steps are drawn on a logarithmic scale.
        curves: What to draw.
        title: Above.
        unit: At the vertical axis.
    """
    for curve in curves:
        low, value, high = ([getattr(part, name) for part in curve.estimates] for name in ("low", "value", "high"))
        axis.plot(curve.steps, value, curve.style, color=curve.color, label=curve.name, marker=".", lw=1.5)
        axis.fill_between(curve.steps, low, high, color=curve.color, alpha=0.15, lw=0)
    shown = sorted({step for curve in curves for step in curve.steps})
    axis.set_xscale("log", base=2)
    axis.set_xticks(shown, [f"{step:g}" for step in shown])
    axis.set_xlabel("steps after the context", fontsize=8)
    axis.set_ylabel(unit, fontsize=8)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)
    axis.set_title(title, fontsize=9)
    axis.legend(fontsize=7)


def save_figure(figure: Any, path: Path) -> None:
    """Writes a figure of matplotlib to a PNG file, whole or not at all, and closes it."""
    figure.tight_layout()
    partial = partial_path(path)
    figure.savefig(partial, dpi=_DPI, format="png")
    partial.replace(path)
    pyplot().close(figure)


def grid(
    rows: Sequence[Sequence[np.ndarray]],
    *,
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
    least_width: int = FRAME_WIDTH,
) -> np.ndarray:
    """Puts frames into a grid, with names above the columns and at the left of the rows.

    Args:
        rows: Rows of frames, uint8 (H, W, 3), all of one size.
        row_names: One for each row; none for no names.
        column_names: One for each column; none for no names.
        least_width: To which frames are enlarged, in pixels.

    Returns:
        uint8 (H, W, 3).
    """
    tiles = [[enlarge(frame, least_width) for frame in row] for row in rows]
    height, width, _ = tiles[0][0].shape
    font = ImageFont.load_default(_FONT)
    left = max((int(font.getlength(name)) + 2 * _GAP for name in row_names), default=0)
    top = _NAME_HEIGHT if column_names else 0
    columns = max(len(row) for row in tiles)
    size = (left + _GAP + columns * (width + _GAP), top + _GAP + len(tiles) * (height + _GAP))
    picture = Image.new("RGB", size, (_BACK,) * 3)
    draw = ImageDraw.Draw(picture)
    for i, row in enumerate(tiles):
        y = top + _GAP + i * (height + _GAP)
        for j, tile in enumerate(row):
            picture.paste(Image.fromarray(tile), (left + _GAP + j * (width + _GAP), y))
        if row_names:
            draw.text((_GAP, y + height // 2), row_names[i], (_INK,) * 3, font, anchor="lm")
    for j, name in enumerate(column_names):
        x = left + _GAP + j * (width + _GAP) + width // 2
        draw.text((x, 2), name, (_INK,) * 3, font, anchor="ma")
    return np.asarray(picture)


def save_picture(path: Path, picture: np.ndarray) -> None:
    """Writes a picture, uint8 (H, W, 3), to a PNG file, whole or not at all."""
    partial = partial_path(path)
    Image.fromarray(picture).save(partial, format="PNG")
    partial.replace(path)


def save_video(path: Path, pictures: Iterable[np.ndarray], fps: float) -> None:
    """Writes pictures, uint8 (H, W, 3), to an mp4 file, whole or not at all."""
    with VideoWriter(path, fps=fps) as video:
        for picture in pictures:
            video.write(picture)
