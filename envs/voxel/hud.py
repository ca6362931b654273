"""The head-up display: hotbar, hearts, air bubbles, crosshair and the held item, drawn over a rendered frame.

All pictures for a frame size are made once (`HudSprites`); a frame then costs one compiled call that touches only the
pixels that are covered.
"""

import functools
import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from worldmodel.envs.voxel import blocks
from worldmodel.envs.voxel.icons import held_item, item_icon
from worldmodel.envs.voxel.paint import Colour

SLOTS = 9
FULL_HEALTH = 20.0
FULL_AIR = 300
BAR_COLOUR = (255, 226, 92)

# Rows of `HudSprites.table`: the pictures. The first NUM_CODES are the icons of items by code.
HELD = blocks.NUM_CODES
"""Picture of code `c` in the hand: `HELD + c`."""
HOTBAR = HELD + blocks.NUM_CODES
SELECTION = HOTBAR + 1
EMPTY_HEART, HALF_HEART, FULL_HEART = HOTBAR + 2, HOTBAR + 3, HOTBAR + 4
BUBBLE = HOTBAR + 5
DIGITS = HOTBAR + 6
"""Picture of digit `d`: `DIGITS + d`."""
NUM_SPRITES = DIGITS + 10

# Entries of `HudSprites.layout`, in pixels.
PITCH, HOTBAR_X, HOTBAR_Y, ICON_PAD, HEART_X, HEART_Y, HEART_PITCH, BUBBLE_X, BUBBLE_Y = range(9)
DIGIT_SCALE, HELD_X, HELD_Y, CROSS_ARM, CROSS_WIDTH = range(9, 14)
"""`DIGIT_SCALE` is 0 where slots are too small for digits."""

_DIGIT_ROWS = ("75557", "26227", "71747", "71717", "55711", "74717", "74757", "71222", "75757", "75717")
"""A 3 x 5 font: one octal digit is one row of three pixels."""

_HEARTS = {
    2: "Rr rd",
    3: "R.r rrr .d.",
    5: "rr.rr rRrrr rrrrd .rrd. ..d..",
    7: ".##.##. #Rr#rr# #rRrrr# #rrrrd# .#rrd#. ..#d#.. ...#...",
}
_BUBBLES = {
    2: "Bb bb",
    3: ".b. bBb .b.",
    5: ".bbb. bB..b b...b b...b .bbb.",
    7: "..###.. .#bbb#. #bBb.b# #bb..b# #b..bb# .#bbb#. ..###..",
}
_PALETTE: dict[str, Colour] = {
    "#": (20, 10, 10),
    "R": (255, 150, 150),
    "r": (255, 28, 28),
    "d": (178, 10, 14),
    "b": (70, 130, 240),
    "B": (200, 226, 255),
}


@dataclass(kw_only=True, slots=True, frozen=True, eq=False)
class HudSprites:
    """All pictures of the display for one frame size, ready to be composited; made by `for_size`.

    Attributes:
        height: Height of the frame in pixels.
        width: Width of the frame in pixels.
        colours: uint8 (3 * num_pixels,), RGB premultiplied by alpha, of all pictures one after the other, row-major.
        keep: uint8 (3 * num_pixels,), the share of what is beneath that stays, in 255ths: 255 less alpha, per channel.
        table: int32 (NUM_SPRITES, 3): first pixel, height and width of every picture.
        layout: int32 (14,), where things are (`PITCH` and the other indices of this module), in pixels.
    """

    height: int
    width: int
    colours: NDArray[np.uint8]
    keep: NDArray[np.uint8]
    table: NDArray[np.int32]
    layout: NDArray[np.int32]

    @staticmethod
    def for_size(height: int, width: int) -> "HudSprites":
        """Returns the pictures for frames of `height x width` pixels; the same object for the same size.

        Raises:
            ValueError: If a side is not a positive whole number.
        """
        return _build(height, width)


@functools.cache
def _build(height: int, width: int) -> HudSprites:
    if not (isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0):
        raise ValueError(f"height, width: expected two positive integers in pixels, got {height!r} and {width!r}")
    # A hotbar of about a tenth of the height, as in Minecraft, unless the frame is too narrow for nine slots.
    pitch = max(3, min(round(0.095 * height), (width - 1) // SLOTS))
    hotbar_width, hotbar_height = SLOTS * pitch + 1, pitch + 1
    heart = _heart_size(9 * pitch // 20)
    heart_pitch = heart + 1 if heart < 7 else heart
    gap = max(1, pitch // 12)
    pad = pitch // 16
    held = max(3, round(0.37 * min(height, 0.75 * width + 0.25 * height)))

    layout = np.zeros(14, np.int32)
    layout[PITCH] = pitch
    layout[HOTBAR_X], layout[HOTBAR_Y] = (width - hotbar_width) // 2, height - hotbar_height
    layout[ICON_PAD] = pad
    layout[HEART_X], layout[HEART_Y] = layout[HOTBAR_X], layout[HOTBAR_Y] - gap - heart
    layout[HEART_PITCH] = heart_pitch
    layout[BUBBLE_X], layout[BUBBLE_Y] = layout[HOTBAR_X] + hotbar_width - 10 * heart_pitch, layout[HEART_Y]
    if 20 * heart_pitch > hotbar_width:  # no room beside the hearts: above them
        layout[BUBBLE_Y] -= heart + gap
    layout[DIGIT_SCALE] = max(1, pitch // 17) if pitch >= 10 else 0
    layout[HELD_X], layout[HELD_Y] = width - round(0.86 * held), height - round(0.8 * held)
    layout[CROSS_ARM] = max(1, min(height, width) // 32)
    layout[CROSS_WIDTH] = max(1, min(height, width) // 180)

    pictures: dict[int, NDArray[np.uint8]] = {HELD + blocks.AIR: held_item(blocks.AIR, held)}
    for code in blocks.NAMES:
        pictures[code] = item_icon(code, pitch - 1 - 2 * pad)
        pictures[HELD + code] = held_item(code, held)
    pictures[HOTBAR] = _hotbar(pitch)
    pictures[SELECTION] = _selection(pitch)
    full = _pixel_art(_HEARTS, heart)
    pictures[FULL_HEART] = full
    pictures[EMPTY_HEART] = np.where(full[..., 3:] > 0, np.array((20, 12, 12, 150), np.uint8), np.uint8(0))
    left = np.arange(heart)[None, :, None] < (heart + 1) // 2
    pictures[HALF_HEART] = np.where(left, full, pictures[EMPTY_HEART])
    pictures[BUBBLE] = _pixel_art(_BUBBLES, heart)
    for digit, rows in enumerate(_DIGIT_ROWS):
        pictures[DIGITS + digit] = _digit(rows, max(1, layout[DIGIT_SCALE]))
    colours, keep, table = _pack(pictures)
    layout.flags.writeable = False
    return HudSprites(height=height, width=width, colours=colours, keep=keep, table=table, layout=layout)


def _heart_size(limit: int) -> int:
    """The largest drawable heart that fits: a drawing of 2, 3 or 5 pixels, or one of 7 in whole multiples."""
    return 7 * (limit // 7) if limit >= 7 else 5 if limit >= 5 else 3 if limit >= 2 else 2


def _pixel_art(drawings: dict[int, str], size: int) -> NDArray[np.uint8]:
    """Returns uint8 (size, size, 4) from the drawing that divides `size`."""
    base = size if size in drawings else 7
    rows = drawings[base].split()
    image = np.array([[(*_PALETTE[c], 255) if c in _PALETTE else (0, 0, 0, 0) for c in row] for row in rows], np.uint8)
    return image.repeat(size // base, 0).repeat(size // base, 1)


def _hotbar(pitch: int) -> NDArray[np.uint8]:
    """Nine translucent dark plates with thin grey lines between them."""
    image = np.zeros((pitch + 1, SLOTS * pitch + 1, 4), np.uint8)
    image[...] = (26, 26, 28, 110)
    image[:, ::pitch] = image[::pitch] = (116, 116, 120, 170)
    return image


def _selection(pitch: int) -> NDArray[np.uint8]:
    """A light frame around one slot, a slight glow inside."""
    image = np.zeros((pitch + 1, pitch + 1, 4), np.uint8)
    image[...] = (250, 250, 250, 255)
    line = max(1, pitch // 12)
    image[line:-line, line:-line] = (255, 255, 255, 36)
    return image


def _digit(rows: str, scale: int) -> NDArray[np.uint8]:
    """A white digit with a dark shadow to the lower right: uint8 (6 scale, 4 scale, 4)."""
    glyph = np.array([[int(row) >> 2 & 1, int(row) >> 1 & 1, int(row) & 1] for row in rows], bool)
    image = np.zeros((6, 4, 4), np.uint8)
    image[1:, 1:][glyph] = (40, 40, 40, 255)
    image[:5, :3][glyph] = (255, 255, 255, 255)
    return image.repeat(scale, 0).repeat(scale, 1)


def _pack(pictures: dict[int, NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int32]]:
    """Lays the pictures one after the other; see `HudSprites` for the result. A missing one has no rows."""
    table = np.zeros((NUM_SPRITES, 3), np.int32)
    first = 0
    for index, picture in pictures.items():
        height, width = picture.shape[:2]
        table[index] = first, height, width
        first += height * width
    flat = np.concatenate([picture.reshape(-1, 4) for picture in pictures.values()]).astype(np.uint16)
    alpha = flat[:, 3:]
    colours = ((flat[:, :3] * alpha + 127) // 255).astype(np.uint8).reshape(-1)
    keep = (255 - alpha).astype(np.uint8).repeat(3, axis=1).reshape(-1)
    for array in (colours, keep, table):
        array.flags.writeable = False
    return colours, keep, table


def draw_hud(
    frame: NDArray[np.uint8],
    sprites: HudSprites,
    item_codes: NDArray[np.int16],
    item_counts: NDArray[np.int16],
    selected: int,
    health: float,
    air: int,
    swing: float,
    brightness: float,
) -> None:
    """Draws the display over a frame, in place.

    Args:
        frame: uint8 (height, width, 3) RGB, C-contiguous.
        sprites: The pictures for that size, `HudSprites.for_size(height, width)`.
        item_codes: int16 (9,) codes in the hotbar; a code that is no block or item draws nothing.
        item_counts: int16 (9,) how many there are; 0 or below leaves the slot empty.
        selected: The slot in the hand, 0 to 8.
        health: 0 to 20; one heart is 2.
        air: 0 to 300 ticks; the bubbles show below 300.
        swing: Phase of the hand's swing, 0 (at rest) to 1.
        brightness: 0 to 1, the light on the held item.

    Raises:
        ValueError: If an array has another shape, type or memory order, or `selected` is out of range.
    """
    if frame.dtype != np.uint8 or frame.shape != (sprites.height, sprites.width, 3) or not frame.flags.c_contiguous:
        raise ValueError(
            f"frame: expected C-contiguous uint8 ({sprites.height}, {sprites.width}, 3), the size of these sprites, "
            f"got {frame.dtype} {frame.shape}, C-contiguous {frame.flags.c_contiguous}; see HudSprites.for_size"
        )
    for name, array in (("item_codes", item_codes), ("item_counts", item_counts)):
        if array.dtype != np.int16 or array.shape != (SLOTS,):
            raise ValueError(f"{name}: expected int16 (9,), got {array.dtype} {array.shape}")
    if not 0 <= selected < SLOTS:
        raise ValueError(f"selected: expected a slot from 0 to 8, got {selected}")
    composite_hud(
        frame,
        sprites.colours,
        sprites.keep,
        sprites.table,
        sprites.layout,
        item_codes,
        item_counts,
        int(selected),
        float(health),
        int(air),
        float(swing),
        float(brightness),
    )


@numba.njit(cache=True, nogil=True)
def _blit(frame, colours, keep, table, index, top, left, light):  # noqa: ANN001, ANN202
    """Composites picture `index` with its corner at (top, left), clipped to the frame, colours scaled by light/256.

    The inner loop has no branch and runs over bytes that lie side by side, so that it compiles to vector instructions:
    ten times as fast as skipping transparent pixels one by one.
    """
    first, height, width = table[index, 0], table[index, 1], table[index, 2]
    frame_height, frame_width = frame.shape[0], frame.shape[1]
    flat = frame.reshape(-1)
    x_start, x_stop = max(0, -left), min(width, frame_width - left)
    if x_start >= x_stop:
        return
    count = 3 * (x_stop - x_start)
    scale, eight, half = np.uint32(light), np.uint32(8), np.uint32(128)
    for y in range(max(0, -top), min(height, frame_height - top)):
        to = 3 * ((top + y) * frame_width + left + x_start)
        source = 3 * (first + y * width + x_start)
        row, colour, kept = flat[to : to + count], colours[source : source + count], keep[source : source + count]
        for i in range(count):
            below = np.uint32(row[i]) * np.uint32(kept[i]) + half
            # (v + (v >> 8)) >> 8 with v = 128 + product is the product over 255, rounded.
            row[i] = ((np.uint32(colour[i]) * scale) >> eight) + ((below + (below >> eight)) >> eight)


@numba.njit(cache=True, nogil=True)
def _contrast(frame, top, left, height, width):  # noqa: ANN001, ANN202
    """Pushes a rectangle away from what is beneath it: dark over light, light over dark."""
    for y in range(max(0, top), min(frame.shape[0], top + height)):
        for x in range(max(0, left), min(frame.shape[1], left + width)):
            red, green, blue = np.int32(frame[y, x, 0]), np.int32(frame[y, x, 1]), np.int32(frame[y, x, 2])
            # A little below the middle: all of sunlit grass and stone is on one side, so the plus is not dotted there.
            light = 77 * red + 150 * green + 29 * blue >= 100 * 256
            for c in range(3):
                value = np.int32(frame[y, x, c])
                frame[y, x, c] = value >> 2 if light else 255 - ((255 - value) >> 2)


@numba.njit(cache=True, nogil=True)
def _count(frame, colours, keep, table, count, scale, right, bottom, width):  # noqa: ANN001, ANN202
    """Shows how many there are: digits that end at (right, bottom), or a bar whose length is the logarithm."""
    if scale > 0:
        left = right - 4 * scale
        while count > 0:
            _blit(frame, colours, keep, table, DIGITS + count % 10, bottom - 6 * scale, left, 256)
            left -= 4 * scale
            count //= 10
        return
    length = min(width, 1 + int((width - 1) * (math.log2(count) - 1.0) / 5.0 + 0.5))  # 2 -> 1 pixel, 64 -> all
    y = bottom - 1
    for x in range(max(0, right - width), min(frame.shape[1], right - width + length)):
        if 0 <= y < frame.shape[0]:
            frame[y, x, 0], frame[y, x, 1], frame[y, x, 2] = BAR_COLOUR


@numba.njit(cache=True, nogil=True)
def composite_hud(
    frame,  # noqa: ANN001
    colours,  # noqa: ANN001
    keep,  # noqa: ANN001
    table,  # noqa: ANN001
    layout,  # noqa: ANN001
    item_codes,  # noqa: ANN001
    item_counts,  # noqa: ANN001
    selected: int,
    health: float,
    air: int,
    swing: float,
    brightness: float,
) -> None:
    """The compiled body of `draw_hud`, for use in other kernels; it checks nothing but clips at the frame."""
    arm, line = layout[CROSS_ARM], layout[CROSS_WIDTH]
    top, left = frame.shape[0] // 2 - line // 2, frame.shape[1] // 2 - line // 2
    _contrast(frame, top, left - arm, line, 2 * arm + line)
    _contrast(frame, top - arm, left, arm, line)
    _contrast(frame, top + line, left, arm, line)

    code = item_codes[selected] if item_counts[selected] > 0 else 0
    held = HELD + code if 0 <= code < blocks.NUM_CODES else HELD
    # The swing is quick out and slow back, as in Minecraft: the hand goes left by the root of the phase.
    size, phase = table[HELD, 1], min(1.0, max(0.0, swing))
    swing_x = -int(0.5 * size * math.sin(math.pi * math.sqrt(phase)))
    swing_y = int(0.25 * size * math.sin(math.pi * phase))
    light = int(256 * min(1.0, max(0.0, brightness)))
    _blit(frame, colours, keep, table, held, layout[HELD_Y] + swing_y, layout[HELD_X] + swing_x, light)

    pitch, hotbar_x, hotbar_y = layout[PITCH], layout[HOTBAR_X], layout[HOTBAR_Y]
    _blit(frame, colours, keep, table, HOTBAR, hotbar_y, hotbar_x, 256)
    _blit(frame, colours, keep, table, SELECTION, hotbar_y, hotbar_x + selected * pitch, 256)
    inset = 1 + layout[ICON_PAD]
    for slot in range(SLOTS):
        code, count, x = item_codes[slot], item_counts[slot], hotbar_x + slot * pitch
        if count > 0 and 0 < code < blocks.NUM_CODES:
            _blit(frame, colours, keep, table, code, hotbar_y + inset, x + inset, 256)
            if count > 1:
                right, bottom = x + pitch, hotbar_y + pitch
                _count(frame, colours, keep, table, count, layout[DIGIT_SCALE], right, bottom, pitch - 1)

    halves = math.ceil(health)
    for i in range(10):
        kind = FULL_HEART if halves >= 2 * i + 2 else HALF_HEART if halves == 2 * i + 1 else EMPTY_HEART
        _blit(frame, colours, keep, table, kind, layout[HEART_Y], layout[HEART_X] + i * layout[HEART_PITCH], 256)
    if air < FULL_AIR:
        for i in range(10 - (air * 10 + FULL_AIR - 1) // FULL_AIR, 10):  # they vanish from the left
            _blit(
                frame, colours, keep, table, BUBBLE, layout[BUBBLE_Y], layout[BUBBLE_X] + i * layout[HEART_PITCH], 256
            )
