"""The painters of the block textures, one function a tile, collected in `TILES`.

The manner is Minecraft's (few flat shades a tile, light from the upper left), with the pixel noise kept gentle: what
differs from pixel to pixel without structure is something no model can learn.
"""

from collections.abc import Callable, Sequence

import numpy as np

from worldmodel.envs.voxel.paint import (
    TILE,
    Colour,
    Image,
    X,
    Y,
    blend,
    cobbles,
    over,
    random_field,
    relief,
    rgba,
    shades,
    smooth_field,
    sprite,
)

TILES: dict[str, Callable[[], Image]] = {}
"""Painter of every tile by name; each returns uint8 (16, 16, 4) RGBA with row 0 the top of the face."""

_DIRT: tuple[Colour, ...] = ((108, 75, 51), (121, 85, 58), (132, 94, 65), (143, 103, 71))
_GRASS: tuple[Colour, ...] = ((84, 133, 49), (95, 148, 55), (105, 160, 62), (117, 173, 71))
_SNOW: tuple[Colour, ...] = ((226, 237, 245), (238, 245, 250), (246, 250, 253))
_SAND: tuple[Colour, ...] = ((209, 196, 148), (217, 205, 160), (223, 212, 169), (229, 220, 181))
_STONE: tuple[Colour, ...] = ((109, 109, 110), (119, 119, 120), (126, 126, 127), (131, 131, 132), (139, 139, 140))
_OAK_BARK: tuple[Colour, ...] = ((72, 56, 33), (90, 71, 43), (107, 85, 52), (122, 98, 62))
_OAK_WOOD: tuple[Colour, ...] = ((152, 122, 74), (164, 133, 82), (174, 142, 89), (184, 152, 97))


def _tile(painter: Callable[[], Image]) -> Callable[[], Image]:
    TILES[painter.__name__.removeprefix("_")] = painter
    return painter


# --------------------------------------------------------------------------------------------------- earth and stone


@_tile
def _stone() -> Image:
    return shades(smooth_field(11, 8, 4) + 0.3 * smooth_field(12, 4, 4) + 0.25 * random_field(13, 16, 16), _STONE)


@_tile
def _dirt() -> Image:
    return shades(smooth_field(21, 8, 8) + 0.45 * random_field(22, 16, 16), _DIRT)


@_tile
def _grass_top() -> Image:
    return shades(smooth_field(31, 8, 8) + 0.2 * smooth_field(32, 4, 4) + 0.25 * random_field(33, 16, 16), _GRASS)


def _fringe(cover: Image, seed: int, shadow: float) -> Image:
    """Dirt with a cover that hangs down 2 to 5 texels, and the shadow it casts."""
    depth = 2.2 + 2.6 * random_field(seed, 1, 16) + 0.6 * (X[:1] % 2)
    image = _dirt()
    image[np.floor(depth) == Y, :3] = (image[np.floor(depth) == Y, :3] * shadow).astype(np.uint8)
    return np.where((Y < np.floor(depth))[..., None], cover, image)


@_tile
def _grass_side() -> Image:
    return _fringe(_grass_top(), 41, 0.72)


@_tile
def _snowy_grass_side() -> Image:
    return _fringe(_snow(), 42, 0.8)


@_tile
def _snow() -> Image:
    return shades(smooth_field(51, 8, 5), (*_SNOW, _SNOW[-1]))


@_tile
def _ice() -> Image:
    streaks = smooth_field(61, 4, 4) + 0.5 * np.abs((X + Y) % 16 - 8) / 8
    image = shades(streaks, ((138, 176, 238), (147, 184, 243), (156, 192, 247), (168, 202, 250)))
    for x, y, length in ((2, 6, 4), (9, 13, 6), (10, 4, 3)):
        for i in range(length):
            image[y - i, x + i, :3] = (205, 226, 255)
    return image


@_tile
def _sand() -> Image:
    return shades(smooth_field(74, 8, 5) + 0.25 * random_field(72, 16, 16), _SAND)


@_tile
def _sandstone_top() -> Image:
    return shades(smooth_field(81, 8, 8) + 0.2 * random_field(82, 16, 16), _SAND[1:])


@_tile
def _sandstone_side() -> Image:
    layers = np.array([5, 5, 4, 1, 3, 3, 4, 3, 2, 3, 3, 0, 2, 3, 2, 1])[:, None] / 5
    wobble = 0.3 * (smooth_field(83, 8, 4) - 0.5)
    return blend((184, 166, 113), (231, 223, 186), layers + wobble)


@_tile
def _sandstone_bottom() -> Image:
    return shades(smooth_field(84, 8, 8) + 0.3 * random_field(85, 16, 16), ((199, 184, 135), *_SAND[:3]))


@_tile
def _gravel() -> Image:
    pebble, inside, side = cobbles(91, 6, 4)
    colours = np.array([(127, 122, 119), (138, 132, 129), (117, 110, 107), (131, 126, 127), (147, 141, 138)])
    image = colours[(5 * random_field(92, 1, 24)[0]).astype(int)[pebble]] * (1 + 0.035 * side)[..., None]
    return rgba(np.where((inside < 0.7)[..., None], image * 0.82, image))


@_tile
def _cobblestone() -> Image:
    cobble, inside, side = cobbles(105, 4, 3)
    grey = (118 + 22 * random_field(102, 1, 12)[0][cobble]) * (1 + 0.05 * np.clip(side, -3, 3))
    return rgba(np.where(inside < 0.95, 84.0, grey)[..., None] * (1.0, 1.0, 1.0))


@_tile
def _bedrock() -> Image:
    field = smooth_field(111, 8, 4) + 0.5 * smooth_field(112, 8, 8)
    return shades(field, ((34, 34, 36), (58, 58, 60), (84, 84, 86), (108, 108, 110), (142, 142, 144)))


def _ore(lumps: Sequence[tuple[int, int]], dark: Colour, middle: Colour, light: Colour) -> Image:
    """Stone with rounded lumps at (x, y), lit from the upper left, in a shallow dark hollow."""
    lump = sprite("_hhk hmmd kmmd _kdd", {"_": (0, 0, 0), "h": light, "m": middle, "d": dark, "k": middle})[-4:, :4]
    image = _stone()
    for i, (x, y) in enumerate(lumps):
        piece = np.rot90(lump, 2).copy() if i % 2 else lump.copy()
        if i % 2:  # turned round for variety, so swap its light and its shadow
            is_light, is_dark = (piece[..., :3] == light).all(-1), (piece[..., :3] == dark).all(-1)
            piece[is_light, :3], piece[is_dark, :3] = dark, light
        body = piece[..., :3].any(-1)
        area = image[y : y + 4, x : x + 4]
        area[~body, :3] = (area[~body, :3] * 0.86).astype(np.uint8)
        area[body] = piece[body]
    return image


@_tile
def _coal_ore() -> Image:
    return _ore(((2, 1), (9, 2), (5, 6), (11, 8), (1, 10), (7, 12)), (27, 27, 29), (44, 44, 46), (74, 74, 77))


@_tile
def _iron_ore() -> Image:
    return _ore(((3, 1), (10, 3), (1, 6), (7, 7), (11, 11), (3, 11)), (165, 124, 99), (207, 164, 135), (232, 200, 177))


@_tile
def _diamond_ore() -> Image:
    return _ore(((8, 1), (2, 2), (11, 6), (4, 7), (9, 11), (1, 12)), (34, 160, 160), (74, 220, 214), (184, 250, 244))


@_tile
def _gold_block() -> Image:
    shine = 0.5 + 0.5 * np.sin((X + Y) * (2 * np.pi / 16) - 0.6) * np.sin((X - Y) * (np.pi / 16) + 1.57)
    image = blend((240, 176, 40), (255, 232, 96), shine)
    image[0, :, :3] = image[:, 0, :3] = (255, 246, 158)
    image[15, :, :3] = image[:, 15, :3] = (196, 126, 22)
    image[1, 1:3, :3] = image[1:3, 1, :3] = (255, 253, 224)
    image[0, 15, :3] = image[15, 0, :3] = (232, 178, 62)
    return image


# ------------------------------------------------------------------------------------------------------------ wood


def _bark(seed: int, colours: Sequence[Colour]) -> Image:
    return shades(smooth_field(seed, 2, 16) + 0.5 * smooth_field(seed + 1, 4, 8), colours)


def _rings(seed: int, bark: Image, wood: Sequence[Colour]) -> Image:
    """The cut end of a log: square year rings with rounded corners inside a rim of bark."""
    y, x = np.abs(Y - 7.5), np.abs(X - 7.5)
    radius = np.maximum(np.maximum(y, x), 0.72 * (x + y)) + 0.7 * (smooth_field(seed, 4, 4) - 0.5)
    rings = rgba(np.asarray(wood)[np.where(np.floor(radius) % 2 == 0, 0, 2) + (random_field(seed, 16, 16) > 0.6)])
    return np.where((np.maximum(y, x) > 7)[..., None], bark, rings)


@_tile
def _oak_log_side() -> Image:
    return _bark(121, _OAK_BARK)


@_tile
def _oak_log_top() -> Image:
    return _rings(123, _oak_log_side(), _OAK_WOOD)


@_tile
def _birch_log_side() -> Image:
    image = shades(smooth_field(131, 8, 4), ((205, 206, 201), (218, 219, 215), (228, 229, 225), (236, 237, 234)))
    for x, y, length in ((1, 1, 4), (9, 3, 5), (4, 6, 3), (12, 8, 4), (0, 10, 3), (6, 11, 6), (2, 14, 3), (11, 14, 2)):
        image[y, np.arange(x, x + length) % TILE, :3] = (74, 72, 68)
        image[(y + 1) % TILE, np.arange(x + 1, x + length - 1) % TILE, :3] = (44, 43, 41)
    return image


@_tile
def _birch_log_top() -> Image:
    return _rings(133, _birch_log_side(), ((176, 154, 108), (184, 163, 117), (199, 180, 134), (207, 189, 144)))


@_tile
def _spruce_log_side() -> Image:
    return _bark(141, ((38, 24, 12), (48, 31, 16), (60, 39, 21), (72, 49, 28)))


@_tile
def _spruce_log_top() -> Image:
    return _rings(143, _spruce_log_side(), ((104, 76, 45), (112, 83, 50), (128, 96, 58), (136, 103, 64)))


def _leaves(seed: int, gap: Colour, colours: Sequence[Colour]) -> Image:
    """Clumps of leaves lit from the upper left with dark gaps between them."""
    clumps = smooth_field(seed, 8, 8) + 0.35 * random_field(seed + 1, 16, 16)
    return shades(clumps + 0.6 * relief(clumps), (gap, *colours))


@_tile
def _oak_leaves() -> Image:
    return _leaves(151, (28, 56, 15), ((46, 88, 24), (56, 106, 29), (66, 122, 34), (80, 139, 42)))


@_tile
def _birch_leaves() -> Image:
    return _leaves(161, (70, 92, 30), ((104, 134, 48), (121, 153, 57), (138, 171, 67), (157, 189, 80)))


@_tile
def _spruce_leaves() -> Image:
    return _leaves(171, (17, 38, 30), ((30, 60, 47), (38, 73, 57), (46, 86, 66), (57, 101, 77)))


@_tile
def _oak_planks() -> Image:
    board = (Y // 4).astype(int)
    grain = smooth_field(181, 16, 4) + np.array([0.0, 0.25, -0.05, 0.15])[board]
    image = shades(grain, _OAK_WOOD)
    image[3::4, :, :3] = (116, 91, 53)
    for row, joint in enumerate((6, 14, 2, 10)):
        image[4 * row : 4 * row + 3, joint, :3] = (128, 101, 60)
    return image


@_tile
def _crafting_table_top() -> Image:
    image = shades(smooth_field(191, 16, 4), ((172, 118, 66), (182, 127, 73), (192, 137, 81)))
    lines = (1, 5, 10, 14)
    image[lines, 1:15, :3] = image[1:15, lines, :3] = (97, 63, 34)
    image[(0, 15), :, :3] = image[:, (0, 15), :3] = (143, 98, 56)
    image[np.ix_((0, 1, 14, 15), (0, 1, 14, 15))] = (74, 48, 27, 255)
    return image


@_tile
def _crafting_table_side() -> Image:
    image = _oak_planks()
    image[:3, :, :3] = np.array(((182, 127, 73), (110, 72, 40), (68, 46, 26)))[:, None]
    image[3:, (0, 15), :3] = (97, 70, 40)
    tools = """
        ..gg......ssss..
        .gGgg....sSSSSs.
        .gGGg....sSSSSs.
        ..hh......ssss..
        ..hh.......hh...
        ..hh.......hh...
        ..hh.......hh...
        ..hh.......hh...
        ..hh.......hh...
        ................
    """
    colours = {"g": (94, 94, 96), "G": (176, 176, 178), "s": (80, 80, 82), "S": (206, 206, 208), "h": (74, 49, 25)}
    return over(image, sprite(tools, colours))


# ------------------------------------------------------------------------------------------------- plants and the rest


@_tile
def _cactus_side() -> Image:
    ribs = np.array([(66, 106, 36), (84, 128, 46), (102, 150, 56), (86, 131, 47)])[(X % 4).astype(int)]
    image = rgba(ribs * (0.94 + 0.12 * smooth_field(201, 4, 16))[..., None])
    spines = ((X % 4 == 2) & ((Y + X) % 5 == 1)) | ((X % 8 == 0) & (Y % 6 == 4))
    image[spines, :3] = (214, 219, 156)
    return image


@_tile
def _cactus_top() -> Image:
    radius = np.maximum(np.abs(Y - 7.5), np.abs(X - 7.5)) + 0.6 * (smooth_field(202, 8, 8) - 0.5)
    image = blend((72, 112, 38), (128, 172, 78), 0.25 + 0.25 * (np.floor(radius) % 3 == 1) + 0.05 * (7 - radius))
    image[np.maximum(np.abs(Y - 7.5), np.abs(X - 7.5)) > 7, :3] = (58, 96, 32)
    return image


@_tile
def _water() -> Image:
    turn = 2 * np.pi / TILE
    bend = 1.1 * np.sin(turn * X + 0.7) + 0.5 * np.sin(2 * turn * X + 2.0)
    waves = np.sin(2 * turn * Y + bend) + 0.5 * np.sin(turn * (Y + X) + bend)
    image = blend((40, 88, 190), (78, 134, 226), (waves + 1.5) / 3)
    image[..., 3] = 180  # as in Minecraft
    return image


@_tile
def _torch() -> Image:
    rows = ["........" + row for row in "fF yf oy wb wb sb wb ws wb sb".split()]
    colours = {"f": (255, 240, 150), "F": (255, 255, 224), "y": (255, 206, 66), "o": (240, 148, 40)}
    wood = {"w": (150, 118, 70), "b": (104, 78, 43), "s": (128, 98, 56)}
    return np.roll(sprite("\n".join(rows), colours | wood), -1, axis=1)


@_tile
def _short_grass() -> Image:
    image = np.zeros((TILE, TILE, 4), np.uint8)
    traits = random_field(219, 3, 9)
    for i in range(9):
        height, lean, shade = int(6 + 8 * traits[0, i]), 6 * traits[1, i] - 3, int(4 * traits[2, i])
        for step in range(height):
            x = int(1 + 1.7 * i + lean * (step / height) ** 2 + 0.5)
            light = 0.8 + 0.4 * step / height
            image[15 - step, x % TILE] = (*np.minimum(np.array(_GRASS[shade]) * light, 255).astype(int), 255)
    return image


_STALK: dict[str, Colour] = {"g": (60, 122, 36), "G": (88, 156, 52)}


@_tile
def _dandelion() -> Image:
    rows = """
        ......yY........
        .....yYYy.......
        .....yYYo.......
        ......oo........
        .......g........
        .......g........
        ....G..g.G......
        .....G.gGg......
        ......Gg........
        .......g........
    """
    return sprite(rows, _STALK | {"y": (255, 214, 30), "Y": (255, 240, 96), "o": (226, 158, 16)})


@_tile
def _poppy() -> Image:
    rows = """
        .....rRr........
        ....rRRRr.......
        ....RRkRd.......
        ....rdRdd.......
        .....ddd........
        ......g.........
        ......g.........
        ....G.g.G.......
        .....GgGg.......
        ......gg........
        ......g.........
        ......g.........
    """
    return sprite(rows, _STALK | {"r": (226, 44, 34), "R": (250, 74, 58), "d": (166, 20, 20), "k": (58, 20, 24)})


@_tile
def _dead_bush() -> Image:
    rows = """
        .b..........b...
        ..b...b....b....
        ..bB..b...bb.b..
        b..b..Bb..B..b..
        .b..b..b.bB.b...
        ..bBb..bBb.bb...
        .b..Bb.bB.bB....
        ..b..bBbBbB..b..
        ...bBbBbbB.bb...
        ......BbbBb.....
        .......bB.......
        .......bB.......
    """
    return sprite(rows, {"b": (124, 86, 42), "B": (92, 62, 28)})
