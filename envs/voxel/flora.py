"""Trees, cacti, grass and flowers.

Trees stand on a jittered grid: every square of `GRID` cells holds at most one, at a hashed place that keeps it three
cells or more from the next. A chunk draws all trees whose crowns can reach into it, in the same order as its neighbours
do, so crowns that cross a border fit. Shapes follow Minecraft's (minecraft.wiki, "Tree").
"""

import numba
import numpy as np

from worldmodel.envs.voxel.biomes import DESERT, FOREST, MOUNTAINS, PLAINS, SNOW
from worldmodel.envs.voxel.blocks import AIR, CODES
from worldmodel.envs.voxel.grid import CHUNK, HEIGHT, SEA_LEVEL
from worldmodel.envs.voxel.noise import fractal_noise_2d, hash_cell, hash_unit
from worldmodel.envs.voxel.underground import cave_ceiling, is_cave

GRID = 6
"""Width of a square of the tree grid in cells."""
REACH = 2
"""Farthest a crown spreads from its trunk, in cells."""
MARGIN = REACH + 2
"""Width of the rim of neighbouring columns a chunk must know: a crown's reach, and neighbours of the trunk."""

_TREE, _GROVE, _PLANT, _MEADOW, _COLOUR = range(64, 69)  # salts

_GRASS_BLOCK, _SNOWY, _SAND = CODES["grass_block"], CODES["snowy_grass_block"], CODES["sand"]
_OAK_LOG, _OAK_LEAVES = CODES["oak_log"], CODES["oak_leaves"]
_BIRCH_LOG, _BIRCH_LEAVES = CODES["birch_log"], CODES["birch_leaves"]
_SPRUCE_LOG, _SPRUCE_LEAVES = CODES["spruce_log"], CODES["spruce_leaves"]
_CACTUS, _DEAD_BUSH, _SHORT_GRASS = CODES["cactus"], CODES["dead_bush"], CODES["short_grass"]
_DANDELION, _POPPY = CODES["dandelion"], CODES["poppy"]

_SPRUCE_RADII = np.array([0, 1, 0, 1, 2, 1, 2, 1, 2])
"""Radius of a spruce's leaves by layer, from the tip down."""
_TREE_LINE = 43


@numba.njit(cache=True, nogil=True)
def _put(out: np.ndarray, x: int, y: int, z: int, block: int) -> None:
    """Writes a block at chunk coordinates: anything into air, wood also into leaves, nothing outside the chunk."""
    if 0 <= x < CHUNK and 0 <= z < CHUNK and 0 <= y < HEIGHT:
        index = x << 10 | z << 6 | y
        old = out[index]
        leaves = old == _OAK_LEAVES or old == _BIRCH_LEAVES or old == _SPRUCE_LEAVES
        wood = block == _OAK_LOG or block == _BIRCH_LOG or block == _SPRUCE_LOG
        if old == AIR or (wood and leaves):
            out[index] = block


@numba.njit(cache=True, nogil=True)
def _disc(out: np.ndarray, x: int, y: int, z: int, radius: int, corners: int, leaves: int) -> None:
    """Writes a square layer of leaves; bit `i` of `corners` keeps the `i`-th corner."""
    for dx in range(-radius, radius + 1):
        for dz in range(-radius, radius + 1):
            if radius > 0 and abs(dx) == radius and abs(dz) == radius:
                if not (corners >> ((dx > 0) * 2 + (dz > 0))) & 1:
                    continue
            _put(out, x + dx, y, z + dz, leaves)


@numba.njit(cache=True, nogil=True)
def _round_tree(out: np.ndarray, x: int, y: int, z: int, trunk: int, draw: int, log: int, leaves: int) -> None:
    """Grows an oak or birch whose lowest log is at `(x, y, z)`; `draw` are random bits."""
    top = y + trunk
    _disc(out, x, top, z, 1, 0, leaves)
    _disc(out, x, top - 1, z, 1, draw & 15, leaves)
    _disc(out, x, top - 2, z, 2, (draw >> 4) & 15, leaves)
    _disc(out, x, top - 3, z, 2, (draw >> 8) & 15, leaves)
    for i in range(trunk):
        _put(out, x, y + i, z, log)


@numba.njit(cache=True, nogil=True)
def _spruce(out: np.ndarray, x: int, y: int, z: int, trunk: int) -> None:
    """Grows a spruce whose lowest log is at `(x, y, z)`; two logs stay bare, so that a player can walk below."""
    for layer in range(min(trunk - 1, len(_SPRUCE_RADII))):
        _disc(out, x, y + trunk - layer, z, _SPRUCE_RADII[layer], 0, _SPRUCE_LEAVES)
    for i in range(trunk):
        _put(out, x, y + i, z, _SPRUCE_LOG)


@numba.njit(cache=True, nogil=True)
def _density(biome: int, grove: float) -> float:
    """Chance that a square of the grid holds a tree, where `grove` in [-1, 1] makes thickets and clearings."""
    if biome == FOREST:
        return 0.75 + 0.9 * grove
    if biome == SNOW:
        return 0.2 + 0.9 * grove
    if biome == PLAINS:
        return 0.03 + 0.5 * max(grove - 0.3, 0.0)
    if biome == MOUNTAINS:
        return 0.14 + 0.5 * grove
    return 0.1 + 0.15 * grove


@numba.njit(cache=True, nogil=True)
def plant_trees(
    seed: int, x0: int, z0: int, heights: np.ndarray, biomes: np.ndarray, surfaces: np.ndarray, out: np.ndarray
) -> None:
    """Grows all trees and cacti of a chunk, those that only reach into it included.

    Args:
        seed: The world's seed.
        x0: Least x of the chunk in cells; likewise `z0`.
        z0: See `x0`.
        heights: (CHUNK + 2 * MARGIN, CHUNK + 2 * MARGIN) ground heights, the chunk in the middle.
        biomes: Likewise, indices into `BIOMES`.
        surfaces: Likewise, block codes of the ground's topmost cells, caves aside.
        out: Block codes of the chunk, changed in place; see `terrain.generate_chunk`.
    """
    key = hash_cell(seed, _TREE, 0, 0)
    for grid_z in range((z0 - REACH) // GRID, (z0 + CHUNK + REACH - 1) // GRID + 1):
        for grid_x in range((x0 - REACH) // GRID, (x0 + CHUNK + REACH - 1) // GRID + 1):
            draw = hash_cell(key, grid_x, 0, grid_z)
            world_x, world_z = grid_x * GRID + (draw & 3), grid_z * GRID + ((draw >> 2) & 3)
            x, z = world_x - x0, world_z - z0
            if not (-REACH <= x < CHUNK + REACH and -REACH <= z < CHUNK + REACH):
                continue
            i, k = x + MARGIN, z + MARGIN
            height, biome, surface = heights[i, k], biomes[i, k], surfaces[i, k]
            if height < SEA_LEVEL or not (surface == _GRASS_BLOCK or surface == _SNOWY or surface == _SAND):
                continue
            if (surface == _SAND) != (biome == DESERT) or (biome == MOUNTAINS and height > _TREE_LINE):
                continue
            grove = fractal_noise_2d(seed, _GROVE, world_x, world_z, 48.0, 1)
            if hash_unit(key, grid_x, 1, grid_z) >= _density(biome, grove):
                continue
            if cave_ceiling(heights, i, k) >= height and is_cave(seed, world_x, height, world_z, height):
                continue
            bits = draw >> 8
            if biome == DESERT:
                around = max(max(heights[i - 1, k], heights[i + 1, k]), max(heights[i, k - 1], heights[i, k + 1]))
                if around <= height:
                    for dy in range(1 + bits % 3):
                        _put(out, x, height + 1 + dy, z, _CACTUS)
            elif biome == SNOW or (biome == MOUNTAINS and (surface == _SNOWY or height > 33)):
                _spruce(out, x, height + 1, z, 6 + bits % 3)
            elif biome == FOREST and bits % 8 < 3:
                _round_tree(out, x, height + 1, z, 5 + (bits >> 3) % 3, bits >> 8, _BIRCH_LOG, _BIRCH_LEAVES)
            else:
                trunk = 4 if (bits >> 3) % 8 == 0 else 5 + (bits >> 6) % 2
                _round_tree(out, x, height + 1, z, trunk, bits >> 8, _OAK_LOG, _OAK_LEAVES)


@numba.njit(cache=True, nogil=True)
def _plant(seed: int, key: int, x: int, z: int, biome: int, surface: int) -> int:
    """Chooses the plant of a column from its ground, or `AIR`."""
    chance = hash_unit(key, x, 0, z)
    if surface == _SAND:
        return _DEAD_BUSH if biome == DESERT and chance < 0.012 else AIR
    if surface != _GRASS_BLOCK or chance > 0.2:
        return AIR
    if chance < 0.035:
        return _SHORT_GRASS
    meadow = fractal_noise_2d(seed, _MEADOW, x, z, 34.0, 1)
    if chance < 0.039 or (biome != MOUNTAINS and meadow > 0.42):
        return _POPPY if fractal_noise_2d(seed, _COLOUR, x, z, 40.0, 1) + chance > 0.12 else _DANDELION
    return AIR


@numba.njit(cache=True, nogil=True)
def plant_ground(seed: int, x0: int, z0: int, biomes: np.ndarray, tops: np.ndarray, out: np.ndarray) -> None:
    """Grows grass, flowers and dead bushes on the free ground of a chunk.

    Args:
        seed: The world's seed.
        x0: Least x of the chunk in cells; likewise `z0`.
        z0: See `x0`.
        biomes: (CHUNK + 2 * MARGIN, CHUNK + 2 * MARGIN) indices into `BIOMES`, the chunk in the middle.
        tops: (CHUNK, CHUNK) heights of the topmost blocks of the ground, caves taken out.
        out: Block codes of the chunk, changed in place; see `terrain.generate_chunk`.
    """
    key = hash_cell(seed, _PLANT, 0, 0)
    for x in range(CHUNK):
        for z in range(CHUNK):
            index = x << 10 | z << 6 | tops[x, z]
            if out[index + 1] == AIR:
                out[index + 1] = _plant(seed, key, x0 + x, z0 + z, biomes[x + MARGIN, z + MARGIN], out[index])
