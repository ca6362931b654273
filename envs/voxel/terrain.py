"""The ground of the block world: what a chunk holds is a pure function of the seed and of where it lies.

A chunk is made in layers: the climate gives heights and biomes (`biomes`), columns are filled from bedrock to the
surface and flooded to the sea level, caves are cut and ores placed (`underground`), trees and plants grown (`flora`).
"""

import numba
import numpy as np

from worldmodel.envs.voxel.biomes import (
    BIOMES,
    CLIMATE_STEP,
    COLD,
    DESERT,
    MAX_GROUND,
    MOUNTAINS,
    SNOW,
    biome_at,
    blend,
    classify,
    climate,
    column_climate,
)
from worldmodel.envs.voxel.blocks import AIR, CODES, SOLID
from worldmodel.envs.voxel.flora import MARGIN, plant_ground, plant_trees
from worldmodel.envs.voxel.grid import CHUNK, HEIGHT, SEA_LEVEL
from worldmodel.envs.voxel.noise import fractal_noise_2d, hash_cell
from worldmodel.envs.voxel.underground import carve_column, cave_ceiling, cave_lattice, is_cave, place_ores

__all__ = ["BIOMES", "biome_at", "find_spawn", "generate_chunk", "surface_height"]

SIDE = CHUNK + 2 * MARGIN
"""Width of a chunk with its rim."""
_NODES = SIDE // CLIMATE_STEP + 1
assert MARGIN % CLIMATE_STEP == 0, "the rim must begin on the climate's lattice"

_DETAIL, _SPAWN = range(96, 98)  # salts
_BEDROCK, _STONE, _DIRT, _GRASS_BLOCK = (CODES[name] for name in ("bedrock", "stone", "dirt", "grass_block"))
_SAND, _SANDSTONE, _GRAVEL = (CODES[name] for name in ("sand", "sandstone", "gravel"))
_SNOWY, _SNOW_BLOCK, _ICE, _WATER = (CODES[name] for name in ("snowy_grass_block", "snow_block", "ice", "water"))
_CACTUS = CODES["cactus"]


@numba.njit(cache=True, nogil=True)
def _shape(
    seed: int, x: int, z: int, temperature: float, humidity: float, ruggedness: float, basin: float, ground: float
) -> tuple[int, int, int]:
    """Makes height, biome and surface block of a column from its climate."""
    detail = fractal_noise_2d(seed, _DETAIL, x, z, 12.0, 1)
    biome = classify(temperature, humidity, ruggedness)
    rough = 0.5 + 4.0 * max(ruggedness - 0.15, 0.0) * (1.0 - basin)
    height = min(max(int(ground + rough * detail), 4), MAX_GROUND)
    cold = temperature < COLD
    if height < SEA_LEVEL:
        surface = _GRAVEL if detail > 0.25 else (_SAND if height > SEA_LEVEL - 5 or detail < -0.2 else _DIRT)
    elif basin > 0.03 and height <= SEA_LEVEL + (0 if cold or biome == MOUNTAINS else 1):
        surface = _GRAVEL if cold or biome == MOUNTAINS else _SAND
    elif biome == DESERT:
        surface = _SAND
    elif biome == MOUNTAINS and height + 4.0 * detail > 47.0 - (8.0 if cold else 0.0):
        surface = _SNOW_BLOCK
    elif biome == MOUNTAINS and height + 6.0 * detail > 39.0:
        surface = _STONE
    elif detail > 0.68:
        surface = _GRAVEL
    else:
        surface = _SNOWY if cold else _GRASS_BLOCK
    return height, biome, surface


@numba.njit(cache=True, nogil=True)
def _column(seed: int, x: int, z: int) -> tuple[int, int, int]:
    """Computes height, biome and surface block of one column, caves aside."""
    temperature, humidity, ruggedness, basin, ground = column_climate(seed, x, z)
    return _shape(seed, x, z, temperature, humidity, ruggedness, basin, ground)


@numba.njit(cache=True, nogil=True)
def _columns(seed: int, x0: int, z0: int, heights: np.ndarray, biomes: np.ndarray, surfaces: np.ndarray) -> None:
    """Computes what `_column` does for the square of `SIDE` columns that begins at `(x0, z0)`, faster."""
    fields = np.empty((_NODES, _NODES, 5))
    for i in range(_NODES):
        for k in range(_NODES):
            a, b, c, d, e = climate(seed, x0 + i * CLIMATE_STEP, z0 + k * CLIMATE_STEP)
            fields[i, k, 0] = a
            fields[i, k, 1] = b
            fields[i, k, 2] = c
            fields[i, k, 3] = d
            fields[i, k, 4] = e
    values = np.empty(5)
    for x in range(SIDE):
        i, u = x // CLIMATE_STEP, (x % CLIMATE_STEP) / CLIMATE_STEP
        for z in range(SIDE):
            k, w = z // CLIMATE_STEP, (z % CLIMATE_STEP) / CLIMATE_STEP
            for f in range(5):
                values[f] = blend(
                    fields[i, k, f], fields[i + 1, k, f], fields[i, k + 1, f], fields[i + 1, k + 1, f], u, w
                )
            height, biome, surface = _shape(seed, x0 + x, z0 + z, values[0], values[1], values[2], values[3], values[4])
            heights[x, z] = height
            biomes[x, z] = biome
            surfaces[x, z] = surface


@numba.njit(cache=True, nogil=True)
def _fill(column: np.ndarray, height: int, biome: int, surface: int) -> None:
    """Fills one column of air with ground and water."""
    column[0] = _BEDROCK
    soil = _DIRT
    if surface == _SAND:
        soil = _SANDSTONE if biome == DESERT else _SAND
    elif surface == _STONE or surface == _SNOW_BLOCK:
        soil = _STONE
    depth = 3 + (height & 1)
    loose = 3 if surface == _SAND else 1
    for y in range(1, height + 1):
        below = height - y
        column[y] = surface if below < loose else (soil if below <= depth else _STONE)
    for y in range(height + 1, SEA_LEVEL + 1):
        column[y] = _WATER
    if height < SEA_LEVEL and biome == SNOW:
        column[SEA_LEVEL] = _ICE


@numba.njit(cache=True, nogil=True)
def _mend(column: np.ndarray, height: int, surface: int) -> int:
    """Mends a column that caves were cut from, and returns its topmost cell of ground.

    Sand and gravel over air would fall: the lowest is bound. Earth laid open to the sky grows over.
    """
    for y in range(max(height - 4, 1), height + 1):
        if column[y - 1] == AIR:
            if column[y] == _SAND:
                column[y] = _SANDSTONE
            elif column[y] == _GRAVEL:
                column[y] = _STONE
    top = height
    while column[top] == AIR:
        top -= 1
    if column[top] == _DIRT and (surface == _GRASS_BLOCK or surface == _SNOWY):
        column[top] = surface
    return top


@numba.njit(cache=True, nogil=True)
def generate_chunk(seed: int, cx: int, cz: int, out: np.ndarray) -> None:
    """Makes a chunk.

    Args:
        seed: The world's seed, any int64.
        cx: Chunk, east: its columns have x from `16 * cx` to `16 * cx + 15`.
        cz: Chunk, south, likewise.
        out: (16 * 16 * 64,) uint8, overwritten: the block code of cell `(16 * cx + dx, y, 16 * cz + dz)` at
            `dx << 10 | dz << 6 | y`, 0 for air. A pure function of the other arguments.
    """
    x0, z0 = cx * CHUNK, cz * CHUNK
    heights = np.empty((SIDE, SIDE), np.int64)
    biomes = np.empty((SIDE, SIDE), np.int64)
    surfaces = np.empty((SIDE, SIDE), np.int64)
    _columns(seed, x0 - MARGIN, z0 - MARGIN, heights, biomes, surfaces)
    highest = heights[MARGIN:-MARGIN, MARGIN:-MARGIN].max()
    caves = cave_lattice(seed, x0, z0, highest)
    tops = np.empty((CHUNK, CHUNK), np.int64)
    out[:] = AIR
    for dx in range(CHUNK):
        for dz in range(CHUNK):
            i, k = dx + MARGIN, dz + MARGIN
            height, surface = heights[i, k], surfaces[i, k]
            column = out[dx << 10 | dz << 6 : (dx << 10 | dz << 6) + HEIGHT]
            _fill(column, height, biomes[i, k], surface)
            carve_column(caves, dx, dz, cave_ceiling(heights, i, k), height, column)
            tops[dx, dz] = _mend(column, height, surface)
    place_ores(seed, cx, cz, out)
    plant_trees(seed, x0, z0, heights, biomes, surfaces, out)
    plant_ground(seed, x0, z0, biomes, tops, out)


@numba.njit(cache=True, nogil=True)
def surface_height(seed: int, x: int, z: int) -> int:
    """Finds the topmost block of the ground of a column.

    Args:
        seed: The world's seed.
        x: Column, east.
        z: Column, south.

    Returns:
        Its y, trees, plants and water not counted, caves that open to the sky taken out; 0 at least.
    """
    height = _column(seed, x, z)[0]
    top = height
    if height < SEA_LEVEL or not is_cave(seed, x, height, z, height):
        return top
    heights = np.empty((3, 3), np.int64)
    for i in range(3):
        for k in range(3):
            heights[i, k] = _column(seed, x + i - 1, z + k - 1)[0]
    if cave_ceiling(heights, 1, 1) < height:
        return top
    while top > 0 and is_cave(seed, x, top, z, height):
        top -= 1
    return top


@numba.njit(cache=True, nogil=True)
def _is_good_spawn(seed: int, x: int, z: int, biome: int, chunk: np.ndarray) -> bool:
    """Whether a player can start here: dry land of one biome all around, nothing overhead, nothing that hurts."""
    height, here, _ = _column(seed, x, z)
    if height <= SEA_LEVEL or (biome >= 0 and here != biome):
        return False
    dry = same = 0
    for distance in (10, 20):
        for i in range(-1, 2):
            for k in range(-1, 2):
                there_height, there, _ = _column(seed, x + i * distance, z + k * distance)
                dry += there_height >= SEA_LEVEL
                same += there == here
    if dry < 13 or same < 16:  # of 18 places looked at
        return False
    generate_chunk(seed, x // CHUNK, z // CHUNK, chunk)
    dx, dz = x % CHUNK, z % CHUNK
    for i in range(dx - 1, dx + 2):
        for k in range(dz - 1, dz + 2):
            column = chunk[i << 10 | k << 6 : (i << 10 | k << 6) + HEIGHT]
            if not SOLID[column[height - 1]] and not SOLID[column[height]]:
                return False
            for y in range(height + 2, HEIGHT):
                if column[y] != AIR:
                    return False
            if column[height + 1] == _CACTUS:
                return False
    column = chunk[dx << 10 | dz << 6 : (dx << 10 | dz << 6) + HEIGHT]
    return SOLID[column[height]] and not SOLID[column[height + 1]]


@numba.njit(cache=True, nogil=True)
def _search(seed: int, biome: int) -> tuple[int, int]:
    """Searches squares around a hashed place for a spawn; `biome` is -1 for any."""
    draw = hash_cell(seed, _SPAWN, biome, 0)
    x0, z0 = (draw % 25 - 12) * 16 + 4, ((draw >> 16) % 25 - 12) * 16 + 4
    chunk = np.empty(CHUNK * CHUNK * HEIGHT, np.uint8)
    for ring in range(1000):
        for i in range(-ring, ring + 1):
            step = 1 if abs(i) == ring else 2 * ring
            for k in range(-ring, ring + 1, step):
                # Eight cells apart, at 4 or 12 of a chunk: its neighbours lie in the same chunk.
                if _is_good_spawn(seed, x0 + 8 * i, z0 + 8 * k, biome, chunk):
                    return x0 + 8 * i, z0 + 8 * k
    return x0, z0


def find_spawn(seed: int, biome: str | None = None) -> tuple[int, int]:
    """Finds a column for a player to start on.

    The search begins at a hashed place within 200 cells of the origin, so worlds differ in more than their ground.

    Args:
        seed: The world's seed.
        biome: One of `BIOMES`, or `None` for whichever is nearest.

    Returns:
        `(x, z)` of a column of dry ground in that biome, with open sky, no cactus beside it and more than a small
        island around it. (In eight thousand cells there always is one; if there were none, the place the search began.)

    Raises:
        ValueError: If there is no such biome.
    """
    if biome is not None and biome not in BIOMES:
        raise ValueError(f"biome: expected one of {BIOMES} or None, got {biome!r}; choose one of these")
    x, z = _search(seed, -1 if biome is None else BIOMES.index(biome))
    return int(x), int(z)
