"""How the body moves: Minecraft Java Edition's player movement, a tick of 1/20 s at a time.

The body is a vector of `BODY_SIZE` float64 numbers; the constants `X` to `TOUCHES_CACTUS` name its elements. Lengths
are in blocks, velocities in blocks a tick, angles in degrees.

Movement follows minecraft.wiki, "Walking", "Sprinting", "Sneaking", "Jumping" and "Entity" (motion); the body is a box
of 0.6 x 1.8 x 0.6 that collides with the cells that are `SOLID`. Below the world everything is solid, above it
everything is air. Sneaking lowers the eyes but not the box, which makes no difference among whole cubes.

Collisions are exact. Each axis is swept in turn (y, x, z) through every cell on the way, so no speed passes through a
wall, and a face that meets a wall is put exactly onto it. Two faces that lie on each other differ by rounding only; all
tests shrink the box by `EPSILON`, far above rounding and far below anything visible, so that touching is never taken
for overlapping, and since a blocked coordinate is computed from the wall, pressing against it never adds up.

Two rules are kinder or simpler than Minecraft's: a swimmer who pushes against a bank climbs out even when the bank is
one block above the surface, and water fills its cell to the top and does not flow.
"""

import math

import numba
import numpy as np

from worldmodel.envs.voxel.blocks import CODES, SOLID
from worldmodel.envs.voxel.grid import HEIGHT, cell_index

X, Y, Z = 0, 1, 2
"""Position of the feet (centre of the bottom of the box)."""
VX, VY, VZ = 3, 4, 5
YAW, PITCH = 6, 7
"""Look direction in degrees: yaw in [-180, 180), 0 south and + right; pitch in [-90, 90], + down."""
FALL = 8
"""Height fallen so far."""
ON_GROUND, IN_WATER, EYE_IN_WATER, SNEAKING, SPRINTING = 9, 10, 11, 12, 13
"""Flags, 0 or 1."""
EYE_HEIGHT = 14
"""Height of the eyes above the feet."""
BLOCKED = 15
"""Flag: a wall stopped the body in the last tick."""
JUMP_DELAY = 16
"""Ticks until a held jump key jumps again."""
LANDED = 17
"""Height of the fall that ended in the last tick, 0 if none did."""
TOUCHES_CACTUS = 18
"""Flag."""
BODY_SIZE = 19

HALF_WIDTH = 0.3
BODY_HEIGHT = 1.8
EPSILON = 1e-7
STANDING_EYES = 1.62
SNEAKING_EYES = 1.27
"""Eye heights above the feet."""

_WALK, _SPRINT = 0.1, 0.13
_INPUT = 0.98
_SNEAK_FACTOR = 0.3
_AIR_CONTROL, _AIR_CONTROL_SPRINTING = 0.02, 0.026
_GRAVITY, _DRAG = 0.08, 0.98
_AIR_FRICTION = 0.91
_GRIP, _ICE_GRIP = 0.6, 0.98
_JUMP, _SPRINT_JUMP, _JUMP_DELAY = 0.42, 0.2, 10
_WATER_CONTROL, _WATER_DRAG, _WATER_GRAVITY, _SWIM_UP = 0.02, 0.8, 0.02, 0.04
_CLIMB_ROOM = 0.6
_STILL = 0.003
_EDGE_STEP = 0.05
_SKIN = 1e-3

_WATER, _ICE, _CACTUS = CODES["water"], CODES["ice"], CODES["cactus"]


def new_body(x: float, y: float, z: float, yaw: float = 0.0, pitch: float = 0.0) -> np.ndarray:
    """Returns a body that is not moving, (BODY_SIZE,) float64, with its feet at the given position."""
    body = np.zeros(BODY_SIZE)
    body[VY] = -_GRAVITY * _DRAG  # what a body has that stands: the next step then finds the ground
    body[X], body[Y], body[Z], body[YAW], body[PITCH], body[EYE_HEIGHT] = x, y, z, yaw, pitch, STANDING_EYES
    return body


@numba.njit(cache=True, nogil=True)
def _any_solid(cells, x0, x1, y0, y1, z0, z1):
    """Whether a cell in the box of cells between the corners (both included) is solid."""
    if y0 < 0:
        return True
    for y in range(y0, min(y1, HEIGHT - 1) + 1):
        for x in range(x0, x1 + 1):
            for z in range(z0, z1 + 1):
                if SOLID[cells[cell_index(x, y, z)]]:
                    return True
    return False


@numba.njit(cache=True, nogil=True)
def _any_of(cells, code, x0, x1, y0, y1, z0, z1):
    """Whether a cell in the box of cells between the corners (both included) holds `code`."""
    for y in range(max(y0, 0), min(y1, HEIGHT - 1) + 1):
        for x in range(x0, x1 + 1):
            for z in range(z0, z1 + 1):
                if cells[cell_index(x, y, z)] == code:
                    return True
    return False


@numba.njit(cache=True, nogil=True)
def _first(low):
    """First cell that a box overlaps whose lower face is at `low`."""
    return math.floor(low + EPSILON)


@numba.njit(cache=True, nogil=True)
def _last(high):
    """Last cell that a box overlaps whose upper face is at `high`."""
    return math.ceil(high - EPSILON) - 1


@numba.njit(cache=True, nogil=True)
def overlaps_solid(cells: np.ndarray, x: float, y: float, z: float) -> bool:
    """Whether the body's box with its feet at (x, y, z) overlaps a solid cell by more than rounding."""
    x0, x1 = _first(x - HALF_WIDTH), _last(x + HALF_WIDTH)
    z0, z1 = _first(z - HALF_WIDTH), _last(z + HALF_WIDTH)
    return _any_solid(cells, x0, x1, _first(y), _last(y + BODY_HEIGHT), z0, z1)


@numba.njit(cache=True, nogil=True)
def cell_overlaps_body(body: np.ndarray, x: int, y: int, z: int) -> bool:
    """Whether the cell (x, y, z) overlaps the body's box: nothing solid may be put there."""
    return (
        _first(body[X] - HALF_WIDTH) <= x <= _last(body[X] + HALF_WIDTH)
        and _first(body[Y]) <= y <= _last(body[Y] + BODY_HEIGHT)
        and _first(body[Z] - HALF_WIDTH) <= z <= _last(body[Z] + HALF_WIDTH)
    )


@numba.njit(cache=True, nogil=True)
def block_within(cells: np.ndarray, body: np.ndarray, code: int, radius: int) -> bool:
    """Whether a cell with this code is within `radius` cells of the cell of the feet, along every axis."""
    x, y, z = math.floor(body[X]), math.floor(body[Y] + EPSILON), math.floor(body[Z])
    return _any_of(cells, code, x - radius, x + radius, y - radius, y + radius, z - radius, z + radius)


@numba.njit(cache=True, nogil=True)
def _touches(cells, code, x, y, z, margin):
    """Whether the body's box, grown by `margin` on all sides, overlaps a cell with this code."""
    x0, x1 = math.floor(x - HALF_WIDTH - margin), math.ceil(x + HALF_WIDTH + margin) - 1
    z0, z1 = math.floor(z - HALF_WIDTH - margin), math.ceil(z + HALF_WIDTH + margin) - 1
    return _any_of(cells, code, x0, x1, math.floor(y - margin), math.ceil(y + BODY_HEIGHT + margin) - 1, z0, z1)


@numba.njit(cache=True, nogil=True)
def _supported(cells, x, y, z):
    """Whether a body that stands at height `y` has something solid under it at (x, z)."""
    below = _first(y) - 1
    x0, x1 = _first(x - HALF_WIDTH), _last(x + HALF_WIDTH)
    return _any_solid(cells, x0, x1, below, below, _first(z - HALF_WIDTH), _last(z + HALF_WIDTH))


@numba.njit(cache=True, nogil=True)
def _sweep(cells, x, y, z, axis, step):
    """Coordinate `axis` of the body at (x, y, z) after a step along it, stopped by the first solid cell on the way."""
    x0, x1 = _first(x - HALF_WIDTH), _last(x + HALF_WIDTH)
    y0, y1 = _first(y), _last(y + BODY_HEIGHT)
    z0, z1 = _first(z - HALF_WIDTH), _last(z + HALF_WIDTH)
    start = (x, y, z)[axis]
    below, above = (0.0, BODY_HEIGHT) if axis == 1 else (HALF_WIDTH, HALF_WIDTH)
    cell = _last(start + above) + 1 if step > 0 else _first(start - below) - 1
    while cell < start + above + step if step > 0 else cell + 1 > start - below + step:
        if axis == 0:
            x0 = x1 = cell
        elif axis == 1:
            y0 = y1 = cell
        else:
            z0 = z1 = cell
        if _any_solid(cells, x0, x1, y0, y1, z0, z1):
            return cell - above if step > 0 else cell + 1 + below
        cell += 1 if step > 0 else -1
    return start + step


@numba.njit(cache=True, nogil=True)
def _shorter(step):
    """A horizontal step made a little shorter, for finding out how far a sneaking body can go."""
    return 0.0 if abs(step) < _EDGE_STEP else step - math.copysign(_EDGE_STEP, step)


@numba.njit(cache=True, nogil=True)
def _stop_at_edge(cells, x, y, z, dx, dz):
    """The part of the step (dx, dz) that keeps a sneaking body over something solid."""
    while dx != 0.0 and not _supported(cells, x + dx, y, z):
        dx = _shorter(dx)
    while dz != 0.0 and not _supported(cells, x, y, z + dz):
        dz = _shorter(dz)
    while (dx != 0.0 or dz != 0.0) and not _supported(cells, x + dx, y, z + dz):
        dx, dz = _shorter(dx), _shorter(dz)
    return dx, dz


@numba.njit(cache=True, nogil=True)
def _move(cells, body):
    """Moves the body by its velocity as far as nothing is in the way; what is blocked loses its velocity."""
    x, y, z, dx, dy, dz = body[X], body[Y], body[Z], body[VX], body[VY], body[VZ]
    careful = body[SNEAKING] != 0 and body[ON_GROUND] != 0 and dy <= 0 and _supported(cells, x, y, z)
    if careful:
        dx, dz = _stop_at_edge(cells, x, y, z, dx, dz)
    new_y = _sweep(cells, x, y, z, 1, dy)
    new_x = _sweep(cells, x, new_y, z, 0, dx)
    new_z = _sweep(cells, new_x, new_y, z, 2, dz)
    blocked_x, blocked_z = new_x != x + dx, new_z != z + dz
    if careful and not _supported(cells, new_x, new_y, new_z):  # a wall shortened the step to where there is a gap
        new_x, new_z = x, z
    body[ON_GROUND] = dy < 0 and new_y != y + dy
    if new_y != y + dy:
        body[VY] = 0.0
    if blocked_x:
        body[VX] = 0.0
    if blocked_z:
        body[VZ] = 0.0
    body[BLOCKED] = blocked_x or blocked_z
    body[FALL] += max(y - new_y, 0.0)
    body[X], body[Y], body[Z] = new_x, new_y, new_z


@numba.njit(cache=True, nogil=True)
def _accelerate(body, forward, strafe, amount):
    """Adds `amount` times the wish to move, which has at most unit length, turned by yaw, to the velocity."""
    length = math.sqrt(forward * forward + strafe * strafe)
    if length > 1.0:
        forward, strafe = forward / length, strafe / length
    sine, cosine = math.sin(math.radians(body[YAW])), math.cos(math.radians(body[YAW]))
    body[VX] += amount * (strafe * cosine - forward * sine)
    body[VZ] += amount * (forward * cosine + strafe * sine)


@numba.njit(cache=True, nogil=True)
def _swim(cells, body, forward, strafe):
    """One tick of movement in water."""
    _accelerate(body, forward, strafe, _WATER_CONTROL)
    _move(cells, body)
    body[VX] *= _WATER_DRAG
    body[VY] = body[VY] * _WATER_DRAG - _WATER_GRAVITY
    body[VZ] *= _WATER_DRAG
    if body[BLOCKED]:
        x, y, z = body[X], body[Y] + _CLIMB_ROOM, body[Z]
        if not overlaps_solid(cells, x, y, z) and not _touches(cells, _WATER, x, y, z, -_SKIN):
            body[VY] = _JUMP


@numba.njit(cache=True, nogil=True)
def _walk(cells, body, forward, strafe, on_ground):
    """One tick of movement on the ground or through the air."""
    friction = _AIR_FRICTION
    if on_ground:
        x, y, z = math.floor(body[X]), math.floor(body[Y] - 0.5), math.floor(body[Z])
        icy = 0 <= y < HEIGHT and cells[cell_index(x, y, z)] == _ICE
        grip = _ICE_GRIP if icy else _GRIP
        speed = _SPRINT if body[SPRINTING] else _WALK
        _accelerate(body, forward, strafe, speed * (_GRIP / grip) ** 3)
        friction *= grip
    else:
        _accelerate(body, forward, strafe, _AIR_CONTROL_SPRINTING if body[SPRINTING] else _AIR_CONTROL)
    _move(cells, body)
    body[VX] *= friction
    body[VY] = (body[VY] - _GRAVITY) * _DRAG
    body[VZ] *= friction


@numba.njit(cache=True, nogil=True)
def sense_water(cells: np.ndarray, body: np.ndarray) -> None:
    """Brings the flags `IN_WATER` and `EYE_IN_WATER` up to date."""
    x, y, z = body[X], body[Y], body[Z]
    eye = math.floor(y + body[EYE_HEIGHT])
    inside = 0 <= eye < HEIGHT and cells[cell_index(math.floor(x), eye, math.floor(z))] == _WATER
    body[EYE_IN_WATER] = inside
    body[IN_WATER] = inside or _touches(cells, _WATER, x, y, z, -_SKIN)


@numba.njit(cache=True, nogil=True)
def step_body(
    cells: np.ndarray, body: np.ndarray, forward: float, strafe: float, jump: bool, sneak: bool, sprint: bool
) -> None:
    """Moves the body through one tick, in place.

    Args:
        cells: (NUM_CELLS,) uint8, the loaded world.
        body: (BODY_SIZE,) float64.
        forward: 1 forward, -1 backward, 0 neither.
        strafe: 1 left, -1 right, 0 neither.
        jump: Jumps from the ground (again after 10 ticks while held), swims up in water.
        sneak: Slow, and never over an edge.
        sprint: Starts a sprint, which lasts until the body stops going forward, sneaks, hits a wall or gets wet.
    """
    for axis in range(VX, VZ + 1):
        if abs(body[axis]) < _STILL:
            body[axis] = 0.0
    in_water, on_ground = body[IN_WATER] != 0, body[ON_GROUND] != 0
    body[SNEAKING] = sneak
    body[EYE_HEIGHT] = SNEAKING_EYES if sneak else STANDING_EYES
    able = forward > 0 and not sneak and not in_water and body[BLOCKED] == 0
    body[SPRINTING] = able and (sprint or body[SPRINTING] != 0)

    body[JUMP_DELAY] = max(body[JUMP_DELAY] - 1, 0) if jump else 0
    if jump and in_water:
        body[VY] += _SWIM_UP
    elif jump and on_ground and body[JUMP_DELAY] == 0:
        body[VY] = _JUMP
        body[JUMP_DELAY] = _JUMP_DELAY
        if body[SPRINTING]:
            body[VX] -= _SPRINT_JUMP * math.sin(math.radians(body[YAW]))
            body[VZ] += _SPRINT_JUMP * math.cos(math.radians(body[YAW]))

    scale = _INPUT * (_SNEAK_FACTOR if sneak else 1.0)
    if in_water:
        _swim(cells, body, forward * scale, strafe * scale)
    else:
        _walk(cells, body, forward * scale, strafe * scale, on_ground)

    sense_water(cells, body)
    if body[IN_WATER]:
        body[FALL] = 0.0
    body[LANDED] = body[FALL] if body[ON_GROUND] else 0.0
    if body[ON_GROUND]:
        body[FALL] = 0.0
    body[TOUCHES_CACTUS] = _touches(cells, _CACTUS, body[X], body[Y], body[Z], _SKIN)
