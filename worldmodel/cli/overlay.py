"""Draws what the player does below each frame: keys, camera, and the caption."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BACKGROUND, CAP, EDGE = (20, 22, 28), (34, 37, 46), (62, 67, 82)
ACCENT, ON_ACCENT = (247, 187, 75), (24, 20, 10)
TEXT, FAINT = (228, 231, 238), (132, 139, 156)

DESIGN_WIDTH = 512
"""Width for which the layout below is given, in pixels; it grows in proportion with wider videos."""

STRIP_HEIGHT, CAPTION_HEIGHT, LABEL_HEIGHT = 76, 46, 22
GAP = 8
"""Between pictures side by side, in pixels of the video."""

# Key of the action, label, x, y, width. The letters are where they are on a keyboard.
_CAPS: tuple[tuple[str, str, int, int, int], ...] = (
    ("forward", "W", 42, 10, 26),
    ("left", "A", 12, 40, 26),
    ("back", "S", 42, 40, 26),
    ("right", "D", 72, 40, 26),
    ("sprint", "sprint", 112, 10, 52),
    ("sneak", "sneak", 168, 10, 52),
    ("jump", "jump", 112, 40, 108),
    ("attack", "attack", 234, 10, 52),
    ("use", "use", 290, 10, 46),
    ("inventory", "craft", 234, 40, 52),
    ("drop", "drop", 290, 40, 46),
)
_CAP_HEIGHT = 26
_DIAL_X, _DIAL_Y, _DIAL_RADIUS = 374, 38, 27
_STATUS_X, _STATUS_Y, _STATUS_LINE = 414, 7, 13.5
_FULL_TURN_DEGREES = 15.0
"""Camera movement per step at which the arrow reaches the rim."""


class Overlay:
    """Turns frames of one size into frames of a video."""

    def __init__(self, shape: tuple[int, ...], width: int, names: Sequence[str] = ()) -> None:
        """Lays out the picture.

        Args:
            shape: Shape of the frames, (H, W, 3).
            width: Least width of the result, in pixels.
            names: What to write above pictures side by side; none for one that needs no name.
        """
        views = len(names) or 1
        self._names = names
        self._scale = math.ceil((width - GAP * (views - 1)) / (shape[1] * views))
        self._view_width = shape[1] * self._scale
        self._width = self._view_width * views + GAP * (views - 1)
        self._unit = self._width / DESIGN_WIDTH
        self._label = ImageFont.load_default(13 * self._unit)
        self._small = ImageFont.load_default(12 * self._unit)
        self._caption = ImageFont.load_default(14.5 * self._unit)

    def draw(
        self, frame: np.ndarray, action: Any, info: Mapping[str, Any], step: int, total_reward: float
    ) -> np.ndarray:
        """Returns the frame, enlarged, above a strip with the action and the caption.

        Args:
            frame: uint8 (H, W, 3); or (N, H, W, 3), one for each name.
            action: What led to the frame; `None` after a reset.
            info: Info of the step: `caption`, `time_name`, `trust` and `psnr` are shown, if there.
            step: Number of steps so far.
            total_reward: Sum of the rewards so far.

        Returns:
            uint8 (H', W', 3).
        """
        below = Image.new("RGB", (self._width, self._px(STRIP_HEIGHT + CAPTION_HEIGHT)), BACKGROUND)
        draw = ImageDraw.Draw(below)
        if action is None or isinstance(action, Mapping):
            self._draw_keys(draw, action or {})
        else:
            self._text(draw, 12, 26, f"action {action}", self._caption, TEXT)
        self._draw_status(draw, action, info, step, total_reward)
        for i, line in enumerate(self._wrapped(draw, str(info.get("caption", "")))):
            self._text(draw, 12, STRIP_HEIGHT + 2 + 19 * i, line, self._caption, TEXT)
        return np.concatenate([*self._head(), self._side_by_side(frame), np.asarray(below)])

    def _head(self) -> list[np.ndarray]:
        """Returns the names above the pictures, if there are any."""
        if not self._names:
            return []
        size = (self._view_width, self._px(LABEL_HEIGHT))
        return [self._joined([name_band(name, size, self._label) for name in self._names])]

    def _side_by_side(self, frame: np.ndarray) -> np.ndarray:
        views = frame[None] if frame.ndim == 3 else frame
        # Whole multiples of pixels: any other way of enlarging would blur or distort the frame.
        return self._joined([np.repeat(np.repeat(view, self._scale, 0), self._scale, 1) for view in views])

    def _joined(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        gap = np.full((len(pictures[0]), GAP, 3), BACKGROUND, np.uint8)
        return np.concatenate([part for picture in pictures for part in (gap, picture)][1:], axis=1)

    def _draw_status(
        self, draw: ImageDraw.ImageDraw, action: Any, info: Mapping[str, Any], step: int, total_reward: float
    ) -> None:
        """Draws the figures, one a line; which there are does not change within a rollout, so each keeps its place."""
        lines = [f"reward {round(total_reward, 2) + 0.0:g}"]  # + 0.0 makes -0 a 0
        lines += [str(info["time_name"])] if "time_name" in info else []
        lines += [f"trust {info['trust']:.2f}"] if "trust" in info else []
        lines += [f"PSNR {info['psnr']:.1f} dB"] if "psnr" in info else []
        self._text(draw, _STATUS_X, _STATUS_Y, f"step {step}", self._label, TEXT)
        for i, line in enumerate(lines, 1):
            self._text(draw, _STATUS_X, _STATUS_Y + _STATUS_LINE * i, line, self._small, FAINT)
        held = action if isinstance(action, Mapping) else {}
        slots = [number for number in range(1, 10) if _is_pressed(held, f"hotbar.{number}")]
        if slots:
            y = _STATUS_Y + _STATUS_LINE * (len(lines) + 1)
            self._text(draw, _STATUS_X, y, f"hotbar {slots[-1]}", self._small, ACCENT)

    def _draw_keys(self, draw: ImageDraw.ImageDraw, action: Mapping[str, Any]) -> None:
        for key, label, x, y, width in _CAPS:
            self._draw_cap(draw, label, x, y, width, pressed=_is_pressed(action, key))
        self._draw_dial(draw, np.asarray(action.get("camera", (0.0, 0.0)), np.float64).reshape(2))

    def _draw_cap(self, draw: ImageDraw.ImageDraw, label: str, x: int, y: int, width: int, *, pressed: bool) -> None:
        box = self._box(x, y, x + width, y + _CAP_HEIGHT)
        fill, edge, colour = (ACCENT, ACCENT, ON_ACCENT) if pressed else (CAP, EDGE, FAINT)
        draw.rounded_rectangle(box, self._px(5), fill, edge, max(1, self._px(1)))
        centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        draw.text(centre, label, colour, self._label, anchor="mm")

    def _draw_dial(self, draw: ImageDraw.ImageDraw, camera: np.ndarray) -> None:
        """Draws the turn of the camera as an arrow from the middle of a circle; its length is its square root."""
        r = _DIAL_RADIUS
        draw.ellipse(self._box(_DIAL_X - r, _DIAL_Y - r, _DIAL_X + r, _DIAL_Y + r), CAP, EDGE, max(1, self._px(1)))
        size = float(np.hypot(*camera))
        centre = np.array([_DIAL_X, _DIAL_Y])
        if size == 0:
            draw.ellipse(self._box(*(centre - 2), *(centre + 2)), EDGE)
            return
        direction = camera[::-1] / size
        tip = centre + direction * (r - 3) * max(0.45, min(1.0, math.sqrt(size / _FULL_TURN_DEGREES)))
        side = np.array([-direction[1], direction[0]])
        neck = tip - 9 * direction
        draw.line(self._box(*centre, *neck), ACCENT, self._px(3))
        draw.polygon([self._point(tip), self._point(neck + 4.5 * side), self._point(neck - 4.5 * side)], ACCENT)

    def _wrapped(self, draw: ImageDraw.ImageDraw, text: str) -> list[str]:
        """Returns a text as at most two lines that fit; an ellipsis where it is cut."""
        limit = self._width - 2 * self._px(12)
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if draw.textlength(longer, self._caption) <= limit:
                lines[-1] = longer
            elif len(lines) == 2:
                lines[-1] += " ..."
                break
            else:
                lines.append(word)
        return lines

    def _text(
        self, draw: ImageDraw.ImageDraw, x: float, y: float, text: str, font: Any, colour: tuple[int, int, int]
    ) -> None:
        draw.text((self._px(x), self._px(y)), text, colour, font)

    def _px(self, length: float) -> int:
        return round(length * self._unit)

    def _point(self, point: np.ndarray) -> tuple[int, int]:
        return self._px(point[0]), self._px(point[1])

    def _box(self, left: float, top: float, right: float, bottom: float) -> tuple[int, int, int, int]:
        return self._px(left), self._px(top), self._px(right), self._px(bottom)


def name_band(name: str, size: tuple[int, int], font: Any) -> np.ndarray:
    """Returns a band with a name in its middle.

    Args:
        name: What to write.
        size: (width, height) in pixels.
        font: Pillow's.

    Returns:
        uint8 (height, width, 3).
    """
    band = Image.new("RGB", size, BACKGROUND)
    ImageDraw.Draw(band).text((size[0] / 2, size[1] / 2), name, TEXT, font, anchor="mm")
    return np.asarray(band)


def _is_pressed(action: Mapping[str, Any], key: str) -> bool:
    return bool(np.any(action.get(key, 0)))
