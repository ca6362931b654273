"""What lies below the ground: caves and ores.

Tunnels run where two fields of noise in space are both near zero: each is zero on a surface, and two surfaces meet in a
curve (Minecraft's "spaghetti" caves; minecraft.wiki, "Cave"). Caverns are where a third field is high. The fields are
computed on a lattice of `CAVE_STEP` cells and interpolated in between.
"""

import numba
import numpy as np

from worldmodel.envs.voxel.biomes import blend
from worldmodel.envs.voxel.blocks import CODES
from worldmodel.envs.voxel.grid import CHUNK, HEIGHT, SEA_LEVEL
from worldmodel.envs.voxel.noise import gradient_noise_3d, hash_cell

CAVE_STEP = 4
"""Width and height of the cave lattice in cells, aligned to whole multiples."""
CAVE_SIDE = CHUNK // CAVE_STEP + 1
CAVE_LEVELS = HEIGHT // CAVE_STEP + 1
CRUST = 4
"""Least number of solid cells between a cave and water."""

_FIELDS = 3
_RADIUS = 0.092
"""Of a tunnel, in the plane of the values of its two fields: about three cells in space."""
_CAVERN_LEVEL, _MIX = 0.5, 0.6
_TUNNEL_A, _TUNNEL_B, _CAVERN, _ORE = range(32, 36)  # salts

_STONE = CODES["stone"]
# (ore, veins a chunk, y below, cells a vein at most)
_ORES = np.array([(CODES["coal_ore"], 22, 50, 8), (CODES["iron_ore"], 9, 35, 6), (CODES["diamond_ore"], 2, 14, 5)])


@numba.njit(cache=True, nogil=True)
def _cave_keys(seed: int) -> tuple[int, int, int]:
    return hash_cell(seed, _TUNNEL_A, 0, 0), hash_cell(seed, _TUNNEL_B, 0, 0), hash_cell(seed, _CAVERN, 0, 0)


@numba.njit(cache=True, nogil=True)
def _cave_fields(keys: tuple[int, int, int], x: int, y: int, z: int) -> tuple[float, float, float]:
    """Computes the two tunnel fields and the cavern field at a cell; caves are wider than high."""
    shift = 0.37  # the noise is 0 at its lattice points: not at the origin of every world
    # Turned and tilted, lest large walls follow the axes.
    along, across, up = 0.8 * x + 0.6 * z, 0.8 * z - 0.6 * x, y + 0.2 * x - 0.1 * z
    return (
        gradient_noise_3d(keys[0], x / 38.0 + shift, y / 22.0 + shift, z / 38.0 + shift),
        gradient_noise_3d(keys[1], x / 38.0 + shift, y / 22.0 + shift, z / 38.0 + shift),
        gradient_noise_3d(keys[2], along / 46.0 + shift, up / 20.0 + shift, across / 46.0 + shift),
    )


@numba.njit(cache=True, nogil=True)
def _may_open(a: float, a_next: float, b: float, b_next: float, c: float, c_next: float) -> bool:
    """Whether `_is_open` can hold anywhere on a line between two points with these values; spares most of the work."""
    tunnel = min(a, a_next) < _RADIUS and max(a, a_next) > -_RADIUS and min(b, b_next) < _RADIUS
    cavern = max(c + _MIX * a, c_next + _MIX * a_next) > _CAVERN_LEVEL
    return cavern or (tunnel and max(b, b_next) > -_RADIUS)


@numba.njit(cache=True, nogil=True)
def _is_open(a: float, b: float, c: float, y: int, depth: int) -> bool:
    """Whether fields of these values make a cave at height `y`, `depth` cells below the ground."""
    # Only here and there does a tunnel keep its width up to the ground: few wide mouths rather than many slits.
    mouth = min(max(0.1 + 2.2 * c, 0.0), 1.0)
    radius = _RADIUS * min(1.0, y * 0.2) * (mouth + (1.0 - mouth) * min(1.0, depth * 0.125))
    if a * a + b * b < radius * radius:
        return True
    # Mixing in a tunnel field makes the caverns' walls less smooth.
    return depth > 5 and y > 2 and c + _MIX * a > _CAVERN_LEVEL + 0.02 * max(y - 16, 0)


@numba.njit(cache=True, nogil=True)
def cave_ceiling(heights: np.ndarray, x: int, z: int) -> int:
    """Finds the highest cell of a column that a cave may take.

    Args:
        heights: (n, n) ground heights.
        x: First index of the column, at least 1 from the border.
        z: Second index, likewise.

    Returns:
        The ground's height, or less where the column or one of its eight neighbours holds water, so that no water ever
        hangs over or leans on air.
    """
    lowest = heights[x, z]
    for i in range(x - 1, x + 2):
        for k in range(z - 1, z + 2):
            lowest = min(lowest, heights[i, k])
    if lowest < SEA_LEVEL:
        return lowest - CRUST
    return heights[x, z]


@numba.njit(cache=True, nogil=True)
def is_cave(seed: int, x: int, y: int, z: int, height: int) -> bool:
    """Tells whether a cell at or below the ground of height `height` is hollow, water aside (see `cave_ceiling`)."""
    x0, y0, z0 = x // CAVE_STEP * CAVE_STEP, y // CAVE_STEP * CAVE_STEP, z // CAVE_STEP * CAVE_STEP
    u, v, w = (x - x0) / CAVE_STEP, (y - y0) / CAVE_STEP, (z - z0) / CAVE_STEP
    keys = _cave_keys(seed)
    corners = np.empty((2, 4, _FIELDS))
    for level in range(2):
        for corner in range(4):
            corners[level, corner] = _cave_fields(
                keys, x0 + (corner & 1) * CAVE_STEP, y0 + level * CAVE_STEP, z0 + (corner >> 1) * CAVE_STEP
            )
    values = np.empty(_FIELDS)
    for f in range(_FIELDS):
        low = blend(corners[0, 0, f], corners[0, 1, f], corners[0, 2, f], corners[0, 3, f], u, w)
        high = blend(corners[1, 0, f], corners[1, 1, f], corners[1, 2, f], corners[1, 3, f], u, w)
        values[f] = low + v * (high - low)
    return _is_open(values[0], values[1], values[2], y, height - y)


@numba.njit(cache=True, nogil=True)
def cave_lattice(seed: int, x: int, z: int, top: int) -> np.ndarray:
    """Computes the cave fields of a chunk.

    Args:
        seed: The world's seed.
        x: Least x of the chunk, a multiple of `CHUNK`; likewise `z`.
        z: See `x`.
        top: Highest cell that will be asked for.

    Returns:
        (CAVE_SIDE, CAVE_SIDE, CAVE_LEVELS, 3) float64, undefined above `top`; for `carve_column`.
    """
    keys = _cave_keys(seed)
    fields = np.empty((CAVE_SIDE, CAVE_SIDE, CAVE_LEVELS, _FIELDS))
    for i in range(CAVE_SIDE):
        for k in range(CAVE_SIDE):
            for level in range(top // CAVE_STEP + 2):
                a, b, c = _cave_fields(keys, x + i * CAVE_STEP, level * CAVE_STEP, z + k * CAVE_STEP)
                fields[i, k, level, 0] = a
                fields[i, k, level, 1] = b
                fields[i, k, level, 2] = c
    return fields


@numba.njit(cache=True, nogil=True)
def carve_column(fields: np.ndarray, dx: int, dz: int, ceiling: int, height: int, column: np.ndarray) -> None:
    """Writes air into the caves of one column; agrees with `is_cave` cell by cell.

    Args:
        fields: From `cave_lattice`.
        dx: Column in the chunk, 0 to 15; likewise `dz`.
        dz: See `dx`.
        ceiling: Highest cell that may become air.
        height: Height of the ground.
        column: (HEIGHT,) uint8 block codes, changed in place.
    """
    i, k = dx // CAVE_STEP, dz // CAVE_STEP
    u, w = (dx - i * CAVE_STEP) / CAVE_STEP, (dz - k * CAVE_STEP) / CAVE_STEP
    north_west, north_east = fields[i, k], fields[i + 1, k]
    south_west, south_east = fields[i, k + 1], fields[i + 1, k + 1]
    a = b = c = 0.0
    for level in range(ceiling // CAVE_STEP + 2):
        a_next = blend(north_west[level, 0], north_east[level, 0], south_west[level, 0], south_east[level, 0], u, w)
        b_next = blend(north_west[level, 1], north_east[level, 1], south_west[level, 1], south_east[level, 1], u, w)
        c_next = blend(north_west[level, 2], north_east[level, 2], south_west[level, 2], south_east[level, 2], u, w)
        if level > 0 and _may_open(a, a_next, b, b_next, c, c_next):
            y0 = (level - 1) * CAVE_STEP
            for dy in range(CAVE_STEP):
                y = y0 + dy
                if 0 < y <= ceiling:
                    v = dy / CAVE_STEP
                    if _is_open(a + v * (a_next - a), b + v * (b_next - b), c + v * (c_next - c), y, height - y):
                        column[y] = 0
        a, b, c = a_next, b_next, c_next


@numba.njit(cache=True, nogil=True)
def place_ores(seed: int, cx: int, cz: int, out: np.ndarray) -> None:
    """Turns stone of a chunk into veins of ore: random walks in boxes of 3 x 3 x 3 cells that lie in the chunk.

    Args:
        seed: The world's seed.
        cx: Chunk, east.
        cz: Chunk, south.
        out: Block codes of the chunk, changed in place; see `terrain.generate_chunk`.
    """
    for kind in range(len(_ORES)):
        ore, veins, limit, most = _ORES[kind]
        key = hash_cell(seed, _ORE, kind, 0)
        for vein in range(veins):
            draw = hash_cell(key, cx, vein, cz)
            x, z = draw % (CHUNK - 2), (draw >> 8) % (CHUNK - 2)
            y = 1 + (draw >> 16) % (limit - 3)
            dx, dy, dz = 1, 1, 1
            walk = draw >> 24
            size = 3 + (draw >> 56) % (most - 2)
            for _ in range(12):
                index = (x + dx) << 10 | (z + dz) << 6 | (y + dy)
                if out[index] == _STONE:
                    out[index] = ore
                    size -= 1
                if size == 0:
                    break
                direction = walk % 6
                walk //= 6
                step = 1 if direction & 1 else -1
                if direction < 2:
                    dx = min(max(dx + step, 0), 2)
                elif direction < 4:
                    dy = min(max(dy + step, 0), 2)
                else:
                    dz = min(max(dz + step, 0), 2)
