"""Rain and snow in the air.

Streaks and flakes lie on upright cylinders around the eye, fixed in the world's directions, so they turn with the view
as everything else does. They fall only where the sky is open, and are hidden by what is nearer.
"""

import math

import numba
import numpy as np

from worldmodel.envs.voxel.grid import HEIGHT, cell_index
from worldmodel.envs.voxel.packet import kernel
from worldmodel.envs.voxel.sky import DAYLIGHT

NONE, RAIN, SNOW = 0, 1, 2
"""Kinds of precipitation."""

_LAYERS = np.array([[2.6, 40.0], [5.0, 72.0], [9.0, 120.0]])
"""Radius of each cylinder in blocks, and the number of streaks around it."""


@numba.njit(cache=True, nogil=True, inline="always")
def _turn(dx: float, dz: float) -> float:
    """Returns the azimuth of a direction as a share of a full turn, to about 1e-3 (a rational arc tangent)."""
    ax, az = abs(dx), abs(dz)
    ratio = min(ax, az) / max(max(ax, az), 1e-9)
    angle = ratio * (0.9817 - 0.1963 * ratio * ratio) / (2.0 * math.pi)
    if az > ax:
        angle = 0.25 - angle
    if dx < 0.0:
        angle = 0.5 - angle
    return 1.0 - angle if dz < 0.0 else angle


@numba.njit(cache=True, nogil=True, inline="always")
def _hash(i: int, k: int) -> int:
    code = np.uint32(i * 374761393 + k * 668265263)
    code = np.uint32((code ^ (code >> np.uint32(13))) * np.uint32(1274126177))
    return int(code ^ (code >> np.uint32(16)))


@kernel
def draw_precipitation(frame, depth, light, sky, basis, x, y, z, kind, strength, tick):  # noqa: ANN001
    """Draws rain or snow over a picture, in place.

    Args:
        frame: (H, W, 3) uint8.
        depth: (H, W) float32, distance of what each pixel shows, in blocks.
        light: (NUM_CELLS,) uint8: where the sky light is full, the sky is open.
        sky: (SKY_SIZE,).
        basis: (3, 3) of `renderer.camera_basis`.
        x: Eye, world coordinates.
        y: Likewise.
        z: Likewise.
        kind: `RAIN` or `SNOW`.
        strength: 0 to 1.
        tick: Of the world's clock, which moves the drops.
    """
    height, width = depth.shape
    bright = 0.4 + 0.6 * sky[DAYLIGHT + 1]
    for row in range(height):
        for column in range(width):
            dx = basis[0, 0] + basis[1, 0] * (column + 0.5 - 0.5 * width) + basis[2, 0] * (0.5 * height - row - 0.5)
            dy = basis[0, 1] + basis[1, 1] * (column + 0.5 - 0.5 * width) + basis[2, 1] * (0.5 * height - row - 0.5)
            dz = basis[0, 2] + basis[1, 2] * (column + 0.5 - 0.5 * width) + basis[2, 2] * (0.5 * height - row - 0.5)
            flat = math.sqrt(dx * dx + dz * dz)
            if flat < 1e-3:
                continue
            steep = dy / flat
            turn = _turn(dx, dz)
            opacity = 0.0
            for layer in range(3):
                radius = _LAYERS[layer, 0]
                if depth[row, column] < radius * math.sqrt(1.0 + steep * steep):
                    break
                along = turn * _LAYERS[layer, 1]
                streak = math.floor(along)
                across = abs(along - streak - 0.5)
                # The cheap conditions come first: most pixels meet no drop.
                if kind == RAIN:
                    if across > 0.07 + 0.05 * layer:
                        continue
                    # Streaks 1.1 blocks long fall 14 blocks a second; a third to a half of the places have one.
                    code = _hash(int(streak), layer)
                    place = y + radius * steep + 0.7 * tick + (code & 255) / 36.0
                    cell = math.floor(place / 3.2)
                    if place - 3.2 * cell > 1.1 or (_hash(int(cell), code) & 255) > 90 + 70 * strength:
                        continue
                    weight = 0.34
                else:
                    code = _hash(int(streak), layer)
                    place = y + radius * steep + 0.075 * tick + (code & 255) / 36.0
                    cell = math.floor(place / 0.9)
                    size = 0.028 + 0.016 * layer
                    if abs(place - 0.9 * cell - 0.45) > size:
                        continue
                    one = _hash(int(cell), code)
                    sway = 0.22 * math.sin(0.06 * tick + (one & 255)) + 0.5
                    across = abs(along - streak - sway) * 2.0 * math.pi * radius / _LAYERS[layer, 1]
                    if across > size or ((one >> 8) & 255) > 100 + 80 * strength:
                        continue
                    weight = 0.9
                cx, cz = math.floor(x + dx / flat * radius), math.floor(z + dz / flat * radius)
                cy = math.floor(y + radius * steep)
                if cy >= HEIGHT or (cy >= 0 and light[cell_index(int(cx), int(cy), int(cz))] >> 4 == 15):
                    opacity += (1.0 - opacity) * weight
            if opacity > 0.0:
                opacity *= min(1.0, 2.0 * strength)
                target = 190.0 if kind == RAIN else 250.0
                for channel in range(3):
                    tint = target + (channel * 16.0 if kind == RAIN else 0.0)
                    value = float(frame[row, column, channel])
                    frame[row, column, channel] = np.uint8(value + opacity * (min(tint * bright, 255.0) - value))
