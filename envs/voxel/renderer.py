"""From a place in the world to a picture: rays, shading, weather."""

import math
from dataclasses import dataclass

import numpy as np

from worldmodel.envs.voxel.blocks import CODES, NUM_CODES
from worldmodel.envs.voxel.grid import WINDOW
from worldmodel.envs.voxel.packet import (
    ADDRESS_SIZE,
    AXIS,
    BLUE,
    CELL_X,
    CELL_Y,
    CELL_Z,
    CODE,
    FAR,
    FRACTION_X,
    FRACTION_Y,
    FRACTION_Z,
    GREEN,
    INSIDE,
    LANES,
    LENGTH,
    PACKET_SIZE,
    RED,
    WATER_END,
    WATER_T,
    F,
    T,
    U,
    V,
    kernel,
)
from worldmodel.envs.voxel.raycast import advance_bundle, aim, march
from worldmodel.envs.voxel.shading import shade, through_water
from worldmodel.envs.voxel.sky import CLOUD_MAP, paint_sky
from worldmodel.envs.voxel.textures import build_textures
from worldmodel.envs.voxel.weather import NONE, draw_precipitation
from worldmodel.envs.voxel.world import World

_STATISTICS_STRIDE = 4
_BACK = 1e-3
"""Single rays start this much before the end of their bundle's way, in front of a surface that it may end on."""
_WATER = CODES["water"]


@dataclass(kw_only=True, slots=True)
class View:
    """What one picture is taken of.

    Attributes:
        x: Eye, world coordinates, in blocks.
        y: Likewise.
        z: Likewise.
        yaw: Degrees, 0 looks south (+z), + turns right.
        pitch: Degrees, + looks down.
        target: Cell under the crosshair, which is outlined; `None` if there is none.
        crack: Stage of mining of the target, 0 to 9; -1 for none.
        precipitation: `weather.NONE`, `RAIN` or `SNOW`.
        strength: Of the precipitation, 0 to 1.
        tick: Clock that moves drops and flakes.
    """

    x: float
    y: float
    z: float
    yaw: float
    pitch: float
    target: tuple[int, int, int] | None = None
    crack: int = -1
    precipitation: int = NONE
    strength: float = 0.0
    tick: int = 0


def camera_basis(yaw: float, pitch: float, height: int, field_of_view: float) -> np.ndarray:
    """Returns the camera's axes: forward (length 1), and right and up, each the length of one pixel at depth 1.

    Args:
        yaw: Degrees.
        pitch: Degrees.
        height: Of the picture, in pixels.
        field_of_view: Vertical, in degrees.

    Returns:
        (3, 3) float64, one axis a row.
    """
    a, b = math.radians(yaw), math.radians(pitch)
    pixel = 2.0 * math.tan(math.radians(field_of_view) / 2.0) / height
    forward = (-math.sin(a) * math.cos(b), -math.sin(b), math.cos(a) * math.cos(b))
    right = (-math.cos(a), 0.0, -math.sin(a))
    up = (-math.sin(a) * math.sin(b), math.cos(b), math.cos(a) * math.sin(b))
    return np.array([forward, [pixel * r for r in right], [pixel * u for u in up]])


@kernel
def _mark_target(packet, lane, crack, target, pixel):  # noqa: ANN001, ANN202
    """Draws the outline of the targeted block, and the cracks of mining, into a lane that shows it."""
    axis = packet[AXIS + lane]
    fx, fy, fz = packet[FRACTION_X + lane], packet[FRACTION_Y + lane], packet[FRACTION_Z + lane]
    keep = 1.0
    if target[3] >= 0 and axis != INSIDE:
        row, column = min(int(packet[V + lane] * 16.0), 15), min(int(packet[U + lane] * 16.0), 15)
        keep = 1.0 - crack[target[3], row * 16 + column] / 300.0
    margin = max(0.018, 0.8 * packet[T + lane] * pixel)
    edge_x, edge_y, edge_z = min(fx, 1.0 - fx) < margin, min(fy, 1.0 - fy) < margin, min(fz, 1.0 - fz) < margin
    if (
        (axis == 0.0 and (edge_y or edge_z))
        or (axis == 1.0 and (edge_x or edge_z))
        or (axis == 2.0 and (edge_x or edge_y))
    ):
        keep *= 0.45
    packet[RED + lane] *= keep
    packet[GREEN + lane] *= keep
    packet[BLUE + lane] *= keep


@kernel
def _finish(packet, address, light, clouds, crack, sky, ox, oy, oz, rx, rz, target, pixel, view_distance, in_water):  # noqa: ANN001, ANN202
    """Does for a packet what only some of its lanes need: sky, marked target, water."""
    paint_sky(packet, address, sky, clouds, ox, oy, oz)
    bx, bz = int(ox - rx), int(oz - rz)
    x, y, z = float(target[0] - bx), float(target[1]), float(target[2] - bz)
    for i in range(LANES):
        if packet[CELL_Y + i] == y and packet[CELL_X + i] == x and packet[CELL_Z + i] == z and packet[CODE + i] > 0.0:
            _mark_target(packet, i, crack, target, pixel)
    for i in range(LANES):
        start = 0.0 if in_water else packet[WATER_T + i]
        if start >= 0.0:
            end, left = min(packet[T + i], packet[FAR + i]), packet[WATER_END + i]
            if 0.0 <= left < end - 1e-3:
                end = max(left, start)
            through_water(packet, i, light, sky, bx, bz, rx, oy, rz, start, end, in_water, view_distance)
            if not in_water:
                packet[T + i], packet[CODE + i] = start, _WATER


@kernel
def _store(packet, frame, depth, codes, row0, column0):  # noqa: ANN001, ANN202
    """Writes a packet into the picture."""
    height, width = depth.shape
    for row in range(min(8, height - row0)):
        for column in range(min(8, width - column0)):
            i = 8 * row + column
            frame[row0 + row, column0 + column, 0] = np.uint8(min(packet[RED + i], F(255.0)))
            frame[row0 + row, column0 + column, 1] = np.uint8(min(packet[GREEN + i], F(255.0)))
            frame[row0 + row, column0 + column, 2] = np.uint8(min(packet[BLUE + i], F(255.0)))
            code = packet[CODE + i]
            depth[row0 + row, column0 + column] = packet[T + i] * packet[LENGTH + i] if code > 0.0 else np.inf
            codes[row0 + row, column0 + column] = np.uint8(code)


# fmt: off
@kernel
def _render(  # noqa: ANN202
    packet, address, cells, light, texels, faces, clouds, crack, sky, eye, basis, target, view_distance,  # noqa: ANN001
    in_water, frame, depth, codes,  # noqa: ANN001
):
    # fmt: on
    height, width = depth.shape
    pixel = math.sqrt(basis[2, 0] ** 2 + basis[2, 1] ** 2 + basis[2, 2] ** 2)
    f0, f1, f2 = basis[0, 0], basis[0, 1], basis[0, 2]
    r0, r1, r2 = basis[1, 0], basis[1, 1], basis[1, 2]
    u0, u1, u2 = basis[2, 0], basis[2, 1], basis[2, 2]
    spread_x, spread_y, spread_z = abs(r0) + abs(u0), abs(r1) + abs(u1), abs(r2) + abs(u2)
    bx, bz = int(math.floor(eye[0])) - WINDOW // 2, int(math.floor(eye[2])) - WINDOW // 2
    rx, oy, rz = eye[0] - bx, eye[1], eye[2] - bz
    middle_x, middle_y = 0.5 * width, 0.5 * height
    ex, ey, ez = F(rx), F(oy), F(rz)
    for tile in range(((height + 15) // 16) * ((width + 15) // 16)):
        tile_row, tile_column = 16 * (tile // ((width + 15) // 16)), 16 * (tile % ((width + 15) // 16))
        # Bundles are half a pixel wider on every side than the pixels' centres need.
        a, b = tile_column + 8.0 - middle_x, middle_y - tile_row - 8.0
        tile_t = advance_bundle(
            cells, bx, bz, rx, oy, rz, f0 + a * r0 + b * u0, f1 + a * r1 + b * u1, f2 + a * r2 + b * u2,
            8.0 * spread_x, 8.0 * spread_y, 8.0 * spread_z, 0.0, view_distance,
        )  # fmt: skip
        for quarter in range(4):
            row0, column0 = tile_row + 8 * (quarter // 2), tile_column + 8 * (quarter % 2)
            if row0 >= height or column0 >= width:
                continue
            for sixteen in range(4):
                row1, column1 = 4 * (sixteen // 2), 4 * (sixteen % 2)
                a, b = column0 + column1 + 2.0 - middle_x, middle_y - row0 - row1 - 2.0
                t = advance_bundle(
                    cells, bx, bz, rx, oy, rz, f0 + a * r0 + b * u0, f1 + a * r1 + b * u1, f2 + a * r2 + b * u2,
                    2.0 * spread_x, 2.0 * spread_y, 2.0 * spread_z, tile_t, view_distance,
                )  # fmt: skip
                for row in range(row1, row1 + 4):
                    for column in range(column1, column1 + 4):
                        packet[T + 8 * row + column] = max(t - _BACK, 0.0)
            aim(packet, basis, F(column0 + 0.5 - middle_x), F(middle_y - row0 - 0.5), ex, ey, ez, F(view_distance))
            march(cells, packet, address, texels, faces, bx, bz, ex, ey, ez)
            shade(packet, address, light, texels, faces, sky, bx, bz, ex, ey, ez, F(pixel), view_distance)
            _finish(
                packet,
                address,
                light,
                clouds,
                crack,
                sky,
                eye[0],
                oy,
                eye[2],
                rx,
                rz,
                target,
                pixel,
                view_distance,
                in_water,
            )
            _store(packet, frame, depth, codes, row0, column0)


@kernel
def _summarise(depth, codes, counts, columns, nearest):  # noqa: ANN001, ANN202
    height, width = depth.shape
    counts[:] = 0
    columns[:] = 0.0
    nearest[:] = np.inf
    for row in range(_STATISTICS_STRIDE // 2, height, _STATISTICS_STRIDE):
        for column in range(_STATISTICS_STRIDE // 2, width, _STATISTICS_STRIDE):
            code = codes[row, column]
            counts[code] += 1
            columns[code] += (column + 0.5) / width
            nearest[code] = min(nearest[code], depth[row, column])


class Renderer:
    """Renders pictures of one size; its buffers hold the depth and block codes of the latest one.

    Attributes:
        depth: (H, W) float32, distance from the eye to what each pixel shows, in blocks; infinity for the sky.
        codes: (H, W) uint8, code of the block that each pixel shows; 0 for the sky.
    """

    def __init__(self, height: int, width: int, field_of_view: float = 70.0) -> None:
        """Prepares for pictures of a size.

        Args:
            height: Pixels.
            width: Pixels.
            field_of_view: Vertical, in degrees.
        """
        self.height, self.width, self.field_of_view = height, width, field_of_view
        self.depth = np.empty((height, width), np.float32)
        self.codes = np.empty((height, width), np.uint8)
        self._packet, self._address = np.zeros(PACKET_SIZE, np.float32), np.zeros(ADDRESS_SIZE, np.int32)
        self._textures = build_textures()
        self._statistics = (np.zeros(NUM_CODES, np.int64), np.zeros(NUM_CODES), np.zeros(NUM_CODES))

    def render(self, world: World, view: View, sky: np.ndarray) -> np.ndarray:
        """Takes a picture.

        Args:
            world: Loaded and refreshed around the eye.
            view: Where the eye is and where it looks.
            sky: Of `sky.sky_state`.

        Returns:
            A new (H, W, 3) uint8 array, without HUD.
        """
        in_water = world.block(math.floor(view.x), math.floor(view.y), math.floor(view.z)) == _WATER
        basis = camera_basis(view.yaw, view.pitch, self.height, self.field_of_view)
        frame, textures = np.empty((self.height, self.width, 3), np.uint8), self._textures
        target = (*view.target, view.crack) if view.target is not None else (0, -1, 0, -1)
        _render(
            self._packet, self._address, world.cells, world.light, textures.texels, textures.faces, CLOUD_MAP,
            textures.crack, sky, (view.x, view.y, view.z), basis, target, float(world.view_distance), in_water,
            frame, self.depth, self.codes,
        )  # fmt: skip
        if view.precipitation != NONE and not in_water:
            draw_precipitation(
                frame, self.depth, world.light, sky, basis, view.x, view.y, view.z,
                view.precipitation, view.strength, view.tick,
            )  # fmt: skip
        return frame

    def statistics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Summarises the latest picture by block code, from every fourth pixel of every fourth row.

        Returns:
            Three (NUM_CODES,) arrays, valid until the next call: counts of pixels, the sky's under code 0; sums of
            their horizontal positions, 0 left to 1 right; and the least distance in blocks (infinity where none).
        """
        _summarise(self.depth, self.codes, *self._statistics)
        return self._statistics
