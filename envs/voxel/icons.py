"""Pictures of items: inventory icons, and the item (or the bare arm) held in first person."""

import functools
import math

import numpy as np
from numpy.typing import NDArray

from worldmodel.envs.voxel import blocks
from worldmodel.envs.voxel.paint import TILE, Colour, Image, sprite
from worldmodel.envs.voxel.textures import SIDE, TOP, build_textures

_TOP_LIGHT, _LEFT_LIGHT, _RIGHT_LIGHT = 1.0, 0.8, 0.6
"""How bright the three visible faces of a cube are."""
_CUBE_WIDTH = 0.89
"""Width of the isometric cube when the icon is 1 high."""
_SIDE_HEIGHT = 0.6124
"""Height of the upright edges over the cube's width, seen from 30 degrees above as in Minecraft's inventory."""

_WOOD: dict[str, Colour] = {"#": (73, 54, 21), "s": (104, 78, 30), "S": (137, 103, 39)}

_STICK = """
    ............##..
    ...........#SS#.
    ..........#SSs#.
    .........#SSs#..
    ........#SSs#...
    .......#SSs#....
    ......#SSs#.....
    .....#SSs#......
    ....#SSs#.......
    ...#SSs#........
    ..#SSs#.........
    ..#Ss#..........
    ...##...........
    ................
"""
_COAL = """
    .....######.....
    ...##mmhhhm##...
    ..#mmhhmmmmmm#..
    ..#mhhmmmmhhm##.
    .#mmhmmmdmmhhmm#
    .#mmmmmddmmmmmm#
    .#mhmmdddmmmdmm#
    .#mmmmmdmmmddm#.
    ..#mmmmmmhmddm#.
    ..##mmddmmmmm#..
    ....##mddmm##...
    ......#####.....
    ................
    ................
"""
_RAW_IRON = """
    .......####.....
    .....##hhmm##...
    ....#hhhmmmmm#..
    ...#hhmmmddmmm#.
    ..#hhmmmmmdddm#.
    ..#hmmmhhmmddm#.
    .#mmmmhhmmmmdd#.
    .#mdmmhmmmmmmd#.
    .#mddmmmmddmm#..
    ..#dddmmdddm#...
    ...##ddmmdd#....
    .....######.....
    ................
    ................
"""
_DIAMOND = """
    ....########....
    ...#hhhHHmmm#...
    ..#hhHHHmmmdm#..
    .#hhHHHHmmmddm#.
    #hHHHmmmmmmmddm#
    #mmmmmHHHddddd##
    .#mmmHHHhmddd##.
    ..#mmHHhmmdd##..
    ...#mmHhmmd##...
    ....#mmhmd##....
    .....#mmd##.....
    ......###.......
    ................
    ................
"""
_PICKAXE = """
    .....######.....
    ....ohhhhhho#...
    .....ommmmhh#s..
    ......ooommhSs#.
    .........#SSmho.
    ........#Ss#mho.
    .......#Ss#omho.
    ......#Ss#.omho.
    .....#Ss#..omho.
    ....#Ss#...omho.
    ...#Ss#.....oo..
    ..#Ss#..........
    .#Ss#...........
    .###............
"""

_SPRITES: dict[str, tuple[str, dict[str, Colour]]] = {
    "stick": (_STICK, _WOOD),
    "coal": (_COAL, {"#": (16, 16, 17), "d": (32, 32, 34), "m": (50, 50, 53), "h": (92, 92, 97)}),
    "raw_iron": (_RAW_IRON, {"#": (96, 70, 56), "d": (150, 113, 91), "m": (206, 166, 138), "h": (240, 212, 192)}),
    "diamond": (
        _DIAMOND,
        {"#": (14, 84, 92), "d": (30, 152, 152), "m": (72, 219, 212), "H": (140, 244, 238), "h": (232, 255, 252)},
    ),
    "wooden_pickaxe": (_PICKAXE, _WOOD | {"o": (88, 66, 26), "m": (152, 117, 52), "h": (184, 146, 74)}),
    "stone_pickaxe": (_PICKAXE, _WOOD | {"o": (72, 72, 73), "m": (126, 126, 127), "h": (168, 168, 169)}),
}


@functools.cache
def item_icon(code: int, size: int) -> NDArray[np.uint8]:
    """Draws the inventory icon of a block or an item.

    Full blocks are small cubes seen from a corner, lit from above and the left; plants, the torch and the items that
    are no blocks are flat.

    Args:
        code: Code of a block or an item; any other code (air too) gives a transparent icon.
        size: Width and height in pixels, at least 1.

    Returns:
        uint8 (size, size, 4) RGBA, not premultiplied, read-only.

    Raises:
        ValueError: If `size` is below 1.
    """
    factor = _supersampling(size)
    if code not in blocks.NAMES:
        return _shrink(np.zeros((size * factor, size * factor, 4)), factor)
    if _is_flat(code):
        flat = _flat_image(code)
        texel = (np.arange(size * factor) * len(flat)) // (size * factor)
        return _shrink(flat[np.ix_(texel, texel)].astype(float), factor)
    return _shrink(_cube(code, size * factor), factor)


@functools.cache
def held_item(code: int, size: int) -> NDArray[np.uint8]:
    """Draws what the right hand holds, in first person: a cube, a tilted flat item with some thickness, or the arm.

    Args:
        code: Code of a block or an item; any other code (air too) gives the bare arm.
        size: Width and height in pixels, at least 1.

    Returns:
        uint8 (size, size, 4) RGBA, not premultiplied, read-only; to be put in the lower right corner of the frame.

    Raises:
        ValueError: If `size` is below 1.
    """
    factor = _supersampling(size)
    if code not in blocks.NAMES:
        return _shrink(_arm(size * factor), factor)
    if _is_flat(code):
        return _shrink(_tilted(_flat_image(code), size * factor), factor)
    return _shrink(_cube(code, size * factor), factor)


def _supersampling(size: int) -> int:
    if size < 1:
        raise ValueError(f"size: expected a width in pixels of at least 1, got {size}")
    return max(2, math.ceil(64 / size))


def _shrink(image: NDArray[np.float64], factor: int) -> NDArray[np.uint8]:
    """Averages squares of `factor x factor` RGBA pixels, colours weighted by alpha."""
    size = len(image) // factor
    alpha = image[..., 3:] / 255
    squares = np.concatenate((image[..., :3] * alpha, alpha), -1).reshape(size, factor, size, factor, 4)
    mean = squares.mean((1, 3))
    result = np.zeros((size, size, 4), np.uint8)
    result[..., :3] = np.rint(mean[..., :3] / np.maximum(mean[..., 3:], 1e-6))
    result[..., 3] = np.rint(255 * mean[..., 3])
    result.flags.writeable = False
    return result


def _is_flat(code: int) -> bool:
    return code not in blocks.BY_CODE or blocks.SHAPE[code] in (blocks.Shape.CROSS, blocks.Shape.TORCH)


def _face(code: int, face: int) -> Image:
    textures = build_textures()
    return textures.texels[textures.faces[code, face], : TILE * TILE].reshape(TILE, TILE, 4)


def _flat_image(code: int) -> Image:
    """Returns a square RGBA picture; that of a plant or torch is cut down to what is not empty, else it is tiny."""
    if code in blocks.BY_CODE:
        face = _face(code, SIDE)
        rows, columns = np.flatnonzero(face[..., 3].any(1)), np.flatnonzero(face[..., 3].any(0))
        width = max(TILE - rows[0], columns[-1] + 1 - columns[0])
        left = min(max(0, (columns[0] + columns[-1] + 1 - width) // 2), TILE - width)
        return face[TILE - width :, left : left + width]
    drawing, palette = _SPRITES[blocks.NAMES[code]]
    # Drawings are 14 rows high: one free row above and one below.
    return np.roll(sprite(drawing, palette), -1, axis=0)


def _centres(resolution: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns y and x in (0, 1) of the centres of `resolution x resolution` pixels."""
    y, x = np.mgrid[0:resolution, 0:resolution]
    return (y + 0.5) / resolution, (x + 0.5) / resolution


def _cube(code: int, resolution: int) -> NDArray[np.float64]:
    """A cube in parallel projection: the top is a flat rhombus, two sides hang below it."""
    y, x = _centres(resolution)
    height = 0.5 + _SIDE_HEIGHT
    across = (x - 0.5) / _CUBE_WIDTH
    down = (y - 0.5) / _CUBE_WIDTH + height / 2
    left_side = (down - 0.25 - (across + 0.5) / 2) / _SIDE_HEIGHT
    right_side = (down - 0.5 + across / 2) / _SIDE_HEIGHT
    image = np.zeros((resolution, resolution, 4))
    for face, light, u, v in (
        (TOP, _TOP_LIGHT, 2 * down + across, 2 * down - across),
        (SIDE, _LEFT_LIGHT, 2 * across + 1, left_side),
        (SIDE, _RIGHT_LIGHT, 2 * across, right_side),
    ):
        inside = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
        texels = _face(code, face)[(v[inside] * TILE).astype(int), (u[inside] * TILE).astype(int)]
        image[inside] = texels * np.array([light, light, light, 1.0])
    return image


def _tilted(flat: Image, resolution: int) -> NDArray[np.float64]:
    """A flat item, mirrored so that its handle points into the hand, turned, with a darker edge for its thickness."""
    y, x = _centres(resolution)
    angle = math.radians(16)
    image = np.zeros((resolution, resolution, 4))
    layers = 6
    for layer in range(layers, -1, -1):  # from the far side to the near one
        dy, dx = y - 0.5 - 0.004 * layer, x - 0.5 - 0.009 * layer
        u = 0.5 - (math.cos(angle) * dx + math.sin(angle) * dy) / 0.84
        v = 0.5 + (math.cos(angle) * dy - math.sin(angle) * dx) / 0.84
        inside = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
        texels = np.zeros((resolution, resolution, 4))
        texels[inside] = flat[(v[inside] * len(flat)).astype(int), (u[inside] * len(flat)).astype(int)]
        texels[..., :3] *= 0.55 if layer else 1.0
        image = np.where(texels[..., 3:] > 0, texels, image)
    return image


def _arm(resolution: int) -> NDArray[np.float64]:
    """The bare right arm: a box that comes in from the lower right, a hand of skin and a blue-green sleeve."""
    y, x = _centres(resolution)
    direction = math.radians(52)  # of the arm's axis, from the fist down to the right
    along = (x - 0.30) * math.cos(direction) + (y - 0.16) * math.sin(direction)
    across = (x - 0.30) * math.sin(direction) - (y - 0.16) * math.cos(direction)
    widen = 1 + 0.35 * along  # nearer, so larger
    across = across / widen
    upper, side, fist = (abs(across - 0.1) < 0.17), (across < -0.07) & (across > -0.25), along > 0.04
    skin = np.array((226, 170, 132)) - 9.0 * ((np.floor(along * 13) + np.floor(across * 13)) % 2)[..., None]
    sleeve = np.array((10, 164, 166)) - 9.0 * (np.floor(along * 13) % 2)[..., None]
    colour = np.where((along > 0.62)[..., None], sleeve, skin)
    light = np.where(upper, 1.0, 0.72)
    image = np.zeros((resolution, resolution, 4))
    image[..., :3] = colour * light[..., None]
    image[..., 3] = np.where((upper | side) & fist, 255, 0)
    return image
