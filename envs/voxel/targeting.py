"""Which block is under the crosshair."""

import math
from dataclasses import dataclass

import numba
import numpy as np

from worldmodel.envs.voxel.blocks import FIRST_BLOCK, SHAPE, Shape
from worldmodel.envs.voxel.grid import HEIGHT, cell_index

REACH = 4.5
"""Distance from the eyes within which blocks can be targeted (minecraft.wiki, "Survival")."""

_CUBE, _LIQUID, _TORCH = int(Shape.CUBE), int(Shape.LIQUID), int(Shape.TORCH)
_PLANT_HALF_WIDTH, _PLANT_HEIGHT = 0.4, 0.8
_TORCH_HALF_WIDTH, _TORCH_HEIGHT = 0.125, 0.65


@dataclass(slots=True, frozen=True)
class Target:
    """The block under the crosshair.

    Attributes:
        x: Cell, east.
        y: Cell, up.
        z: Cell, south.
        normal_x: Direction out of the face that is looked at, -1, 0 or 1; all three are 0 with the eyes inside a cube.
        normal_y: As `normal_x`, up.
        normal_z: As `normal_x`, south.
        code: Block code of the cell.
    """

    x: int
    y: int
    z: int
    normal_x: int
    normal_y: int
    normal_z: int
    code: int


@numba.njit(cache=True, nogil=True)
def _enter_slab(low, high, start, direction):
    """Distances at which a ray enters and leaves the region between two parallel planes."""
    if direction == 0.0:
        return (-math.inf, math.inf) if low <= start <= high else (math.inf, -math.inf)
    near, far = (low - start) / direction, (high - start) / direction
    return (near, far) if near < far else (far, near)


@numba.njit(cache=True, nogil=True)
def _enter_box(half_width, height, x, y, z, dx, dy, dz):
    """Distance to, and axis of, the face by which a ray enters an upright box on the floor of cell (0, 0, 0).

    The distance is infinite if the ray misses the box or starts inside.
    """
    enter_x, leave_x = _enter_slab(0.5 - half_width, 0.5 + half_width, x, dx)
    enter_y, leave_y = _enter_slab(0.0, height, y, dy)
    enter_z, leave_z = _enter_slab(0.5 - half_width, 0.5 + half_width, z, dz)
    enter = max(enter_x, enter_y, enter_z)
    if enter < 0.0 or enter > min(leave_x, leave_y, leave_z):
        return math.inf, 0
    return enter, 0 if enter == enter_x else 1 if enter == enter_y else 2


@numba.njit(cache=True, nogil=True)
def _sign(value):
    return 1 if value > 0.0 else -1 if value < 0.0 else 0


@numba.njit(cache=True, nogil=True)
def cast_target(
    cells: np.ndarray, x: float, y: float, z: float, dx: float, dy: float, dz: float, reach: float
) -> tuple[bool, int, int, int, int, int, int, int]:
    """Finds the first block that a ray meets.

    The ray walks from cell to cell (Amanatides and Woo, "A Fast Voxel Traversal Algorithm for Ray Tracing", 1987).
    Water does not stop it. Plants and torches do only where it hits a box about their size.

    Args:
        cells: (NUM_CELLS,) uint8, the loaded world.
        x: Start, east.
        y: Start, up; may be above the world.
        z: Start, south.
        dx: Direction of unit length, east.
        dy: Direction, up.
        dz: Direction, south.
        reach: Length of the ray in blocks.

    Returns:
        Whether there is a block, its cell (x, y, z), the normal of the face that is hit, and the block's code. All
        zero if there is none.
    """
    cell_x, cell_y, cell_z = math.floor(x), math.floor(y), math.floor(z)
    step_x, step_y, step_z = _sign(dx), _sign(dy), _sign(dz)
    # Distance along the ray from one boundary to the next, and to the first one, per axis.
    every_x = 1.0 / abs(dx) if step_x else math.inf
    every_y = 1.0 / abs(dy) if step_y else math.inf
    every_z = 1.0 / abs(dz) if step_z else math.inf
    next_x = (cell_x + 1 - x if step_x > 0 else x - cell_x) * every_x if step_x else math.inf
    next_y = (cell_y + 1 - y if step_y > 0 else y - cell_y) * every_y if step_y else math.inf
    next_z = (cell_z + 1 - z if step_z > 0 else z - cell_z) * every_z if step_z else math.inf
    axis = -1
    while True:
        code = int(cells[cell_index(cell_x, cell_y, cell_z)]) if 0 <= cell_y < HEIGHT else 0
        if code >= FIRST_BLOCK and SHAPE[code] != _LIQUID:
            found = True
            if SHAPE[code] != _CUBE:
                torch = SHAPE[code] == _TORCH
                half_width = _TORCH_HALF_WIDTH if torch else _PLANT_HALF_WIDTH
                height = _TORCH_HEIGHT if torch else _PLANT_HEIGHT
                distance, axis = _enter_box(half_width, height, x - cell_x, y - cell_y, z - cell_z, dx, dy, dz)
                found = distance <= reach
            if found:
                normal_x = -step_x if axis == 0 else 0
                normal_y = -step_y if axis == 1 else 0
                normal_z = -step_z if axis == 2 else 0
                return True, cell_x, cell_y, cell_z, normal_x, normal_y, normal_z, code
        if min(next_x, next_y, next_z) > reach:
            return False, 0, 0, 0, 0, 0, 0, 0
        if next_x <= next_y and next_x <= next_z:
            axis, cell_x, next_x = 0, cell_x + step_x, next_x + every_x
        elif next_y <= next_z:
            axis, cell_y, next_y = 1, cell_y + step_y, next_y + every_y
        else:
            axis, cell_z, next_z = 2, cell_z + step_z, next_z + every_z


@numba.njit(cache=True, nogil=True)
def look_target(
    cells: np.ndarray, x: float, y: float, z: float, yaw: float, pitch: float
) -> tuple[bool, int, int, int, int, int, int, int]:
    """As `cast_target`, from eyes at (x, y, z) that look along `yaw` and `pitch` (degrees), within `REACH`."""
    yaw, pitch = math.radians(yaw), math.radians(pitch)
    level = math.cos(pitch)
    return cast_target(cells, x, y, z, -math.sin(yaw) * level, -math.sin(pitch), math.cos(yaw) * level, REACH)
