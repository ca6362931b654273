"""The texture atlas the renderer samples: mip-mapped tiles, the tiles of every block face, and the mining cracks."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodel.envs.voxel import blocks
from worldmodel.envs.voxel.paint import TILE, random_field
from worldmodel.envs.voxel.tiles import TILES

MIP_OFFSETS = (0, 256, 320, 336, 340)
"""First texel of the 16 x 16, 8 x 8, 4 x 4, 2 x 2 and 1 x 1 levels inside a tile."""
TEXELS_PER_TILE = 341
CRACK_STAGES = 10
CRACK_SEED = 910

SIDE, TOP, BOTTOM = 0, 1, 2
"""Columns of `Textures.faces`."""

_FACES: dict[str, tuple[str, str, str]] = {
    "grass_block": ("grass_side", "grass_top", "dirt"),
    "snowy_grass_block": ("snowy_grass_side", "snow", "dirt"),
    "snow_block": ("snow", "snow", "snow"),
    "sandstone": ("sandstone_side", "sandstone_top", "sandstone_bottom"),
    "oak_log": ("oak_log_side", "oak_log_top", "oak_log_top"),
    "birch_log": ("birch_log_side", "birch_log_top", "birch_log_top"),
    "spruce_log": ("spruce_log_side", "spruce_log_top", "spruce_log_top"),
    "cactus": ("cactus_side", "cactus_top", "cactus_top"),
    "crafting_table": ("crafting_table_side", "crafting_table_top", "oak_planks"),
}
"""Tiles of the (side, top, bottom) faces of the blocks that do not wear the tile of their own name all round."""


@dataclass(kw_only=True, slots=True, frozen=True)
class Textures:
    """Everything the renderer samples; all arrays are C-contiguous and read-only.

    Attributes:
        texels: uint8 (num_tiles, 341, 4) RGBA, not premultiplied. The mip levels of a tile follow one another
            (`MIP_OFFSETS`), each row-major with row 0 at the top of the face. Cut-outs have alpha 0 outside their
            outline, and in every level at least one texel of alpha 128 or more; water has alpha 180 throughout.
        faces: uint8 (blocks.NUM_CODES, 3) tile of the side, top and bottom face of a block code; 0 where the code is
            no block.
        crack: uint8 (10, 256) darkness of the ten mining stages over a face, 0 none to 255 black, row 0 the top. No
            texel of a stage is lighter than in the stage before.
        names: Name of every tile.
    """

    texels: NDArray[np.uint8]
    faces: NDArray[np.uint8]
    crack: NDArray[np.uint8]
    names: tuple[str, ...]


@functools.cache
def build_textures() -> Textures:
    """Paints all tiles, once; every call returns the same object."""
    names = tuple(TILES)
    faces = np.zeros((blocks.NUM_CODES, 3), np.uint8)
    for block in blocks.BLOCKS:
        tiles = _FACES.get(block.name, (block.name,) * 3)
        faces[block.code] = [names.index(tile) for tile in tiles]
    texels = np.stack([_with_mips(painter()) for painter in TILES.values()])
    crack = _cracks()
    for array in (texels, faces, crack):
        array.flags.writeable = False
    return Textures(texels=texels, faces=faces, crack=crack, names=names)


def _with_mips(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns uint8 (341, 4): the tile and its smaller versions.

    Colours are box averages weighted by alpha. The alpha of cut-outs is scaled so that the share of texels with alpha
    128 or more stays that of the full tile, and never falls to nothing: thin plants would vanish in the distance
    (Castano, "Computing Alpha Mipmaps", 2010).
    """
    alpha = tile[..., 3] / 255.0
    colour = tile[..., :3] * alpha[..., None]  # premultiplied
    # Invisible texels take the mean visible colour, so that filtering never drags in black.
    mean = colour.sum((0, 1)) / alpha.sum()
    cutout = alpha.min() == 0.0
    coverage = float((alpha >= 0.5).mean())
    levels = []
    size = TILE
    while True:
        safe = np.where(alpha > 0, alpha, 1.0)[..., None]
        level = np.empty((size, size, 4))
        level[..., :3] = np.where(alpha[..., None] > 0, colour / safe, mean)
        level[..., 3] = 255 * alpha
        if cutout and size < TILE:
            thresholds = np.unique(alpha[alpha > 0])
            shares = (alpha[..., None] >= thresholds).mean((0, 1))
            threshold = thresholds[np.abs(shares - coverage).argmin()]
            scaled = 128 * alpha / threshold
            level[..., 3] = np.where(alpha >= threshold, np.clip(scaled, 128, 255), np.minimum(scaled, 127))
        levels.append(np.rint(level).astype(np.uint8).reshape(-1, 4))
        if size == 1:
            return np.concatenate(levels)
        size //= 2
        alpha = alpha.reshape(size, 2, size, 2).mean((1, 3))
        colour = colour.reshape(size, 2, size, 2, 3).mean((1, 3))


def _cracks() -> NDArray[np.uint8]:
    """Grows one tree of cracks from the middle of the face to its edges and cuts it into ten stages.

    Returns:
        uint8 (10, 256) darkness.
    """
    birth = np.full((TILE, TILE), np.inf)
    pending = [(8.0, 8.0, 0.4 + turn * 2 * np.pi / 5, 0, 0) for turn in range(5)]
    chance = random_field(CRACK_SEED, 32, 24)
    for branch in range(len(chance)):
        if not pending:
            break
        y, x, heading, age, depth = pending.pop(0)
        for step in range(12 if depth == 0 else 6):
            row, column = int(y), int(x)
            if not (0 <= row < TILE and 0 <= column < TILE):
                break
            birth[row, column] = min(birth[row, column], age)
            bend, fork = chance[branch, 2 * step : 2 * step + 2]
            if depth < 2 and step % 4 == 3 and fork < 0.75:
                pending.append((y, x, heading + (1.2 if bend < 0.5 else -1.2), age + 1, depth + 1))
            wander = heading + 2.2 * (bend - 0.5)
            y, x, age = y + np.sin(wander), x + np.cos(wander), age + 1
    oldest = birth[birth < np.inf].max()
    stage_of = np.where(np.isinf(birth), CRACK_STAGES, np.floor(birth * CRACK_STAGES / (oldest + 1)))
    stage = np.arange(CRACK_STAGES)[:, None, None]
    # A crack opens as a thin grey line and darkens over the later stages.
    darkness = np.where(stage >= stage_of, 105 + 15 * (stage - stage_of), 0)
    return np.minimum(darkness, 200).astype(np.uint8).reshape(CRACK_STAGES, -1)
