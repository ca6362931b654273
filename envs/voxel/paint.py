"""Tools to paint 16 x 16 textures with: hashed noise, shading and pixel art.

Everything is arithmetic from a fixed hash: no picture depends on a random generator whose stream may change between
versions of numpy.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

TILE = 16
"""Width and height of a tile in texels."""

Colour = tuple[int, int, int]
Field = NDArray[np.float64]
Image = NDArray[np.uint8]

Y, X = np.mgrid[0:TILE, 0:TILE].astype(np.float64)
"""Row and column of every texel, float64 (16, 16)."""


def random_field(seed: int, rows: int, columns: int) -> Field:
    """Returns float64 (rows, columns) in [0, 1): a hash of the seed and the position (MurmurHash3's finaliser)."""
    values = np.arange(rows * columns, dtype=np.uint32) + np.uint32(seed * 0x9E3779B9 & 0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        values = (values ^ (values >> np.uint32(shift))) * np.uint32(factor)
    return (values / 2.0**32).reshape(rows, columns)


def smooth_field(seed: int, rows: int, columns: int) -> Field:
    """Returns float64 (16, 16) in [0, 1): value noise over a lattice that wraps, so that the tile has no seams."""
    lattice = random_field(seed, rows, columns)
    y, x = Y * (rows / TILE), X * (columns / TILE)
    top, left = y.astype(int), x.astype(int)
    down, right = (top + 1) % rows, (left + 1) % columns
    v, u = y - top, x - left
    v, u = v * v * (3 - 2 * v), u * u * (3 - 2 * u)
    upper = lattice[top, left] * (1 - u) + lattice[top, right] * u
    lower = lattice[down, left] * (1 - u) + lattice[down, right] * u
    return upper * (1 - v) + lower * v


def relief(field: Field) -> Field:
    """Returns how much a height field faces the light in the upper left."""
    return field - np.roll(field, (1, 1), (0, 1))


def rgba(colours: NDArray, alpha: int = 255) -> Image:
    """Returns uint8 (16, 16, 4) from RGB (16, 16, 3) of any type, rounded and clipped."""
    image = np.full((TILE, TILE, 4), alpha, np.uint8)
    image[..., :3] = np.clip(np.rint(colours), 0, 255)
    return image


def shades(field: Field, colours: Sequence[Colour]) -> Image:
    """Paints with few flat shades: every colour covers the same share of the tile, low values the first colour."""
    rank = np.empty(field.size, np.int64)
    rank[np.argsort(field, axis=None, kind="stable")] = np.arange(field.size)
    return rgba(np.asarray(colours)[rank * len(colours) // field.size].reshape(TILE, TILE, 3))


def blend(low: Colour, high: Colour, share: Field) -> Image:
    """Paints a gradient: `low` where `share` is 0, `high` where it is 1."""
    return rgba(np.asarray(low) + np.clip(share, 0, 1)[..., None] * (np.asarray(high) - np.asarray(low, float)))


def over(bottom: Image, top: Image) -> Image:
    """Lays the opaque texels of `top` over `bottom`."""
    return np.where(top[..., 3:] > 0, top, bottom)


def sprite(rows: str, palette: Mapping[str, Colour]) -> Image:
    """Draws pixel art: one character a texel, `.` transparent; short drawings stand on the bottom edge.

    Args:
        rows: Lines of up to 16 characters.
        palette: Colour of every character.

    Returns:
        uint8 (16, 16, 4) RGBA.
    """
    image = np.zeros((TILE, TILE, 4), np.uint8)
    lines = rows.split()
    for y, line in enumerate(lines, start=TILE - len(lines)):
        for x, character in enumerate(line):
            if character != ".":
                image[y, x] = (*palette[character], 255)
    return image


def cobbles(seed: int, rows: int, columns: int) -> tuple[NDArray[np.int64], Field, Field]:
    """Divides the tile into rounded stones (Worley noise on a wrapped brick lattice).

    Returns:
        Index of the stone, distance into the stone from its border (0 at the border), and how much the texel lies to
        the upper left (positive) or lower right (negative) of its stone, all (16, 16).
    """
    offsets = random_field(seed, rows * columns, 2) - 0.5
    row, column = np.divmod(np.arange(rows * columns), columns)
    centre_y = (row + 0.5 + 0.5 * offsets[:, 0]) * (TILE / rows)
    centre_x = (column + 0.5 * (row % 2) + 0.25 + 0.5 * offsets[:, 1]) * (TILE / columns)
    dy = (Y[..., None] + 0.5 - centre_y + TILE / 2) % TILE - TILE / 2
    dx = (X[..., None] + 0.5 - centre_x + TILE / 2) % TILE - TILE / 2
    distance = np.hypot(dy, dx)
    nearest = distance.argmin(-1)
    first, second = np.sort(distance, -1)[..., :2].transpose(2, 0, 1)
    side = -np.take_along_axis(dy + dx, nearest[..., None], -1)[..., 0]
    return nearest, second - first, side
