"""Ray casting through the cells: which surface each pixel sees.

Rays are `origin + t * direction` with directions of depth 1 along the view axis, so `t` is the depth of a point. Air
cells say how large a box of air is around them (`lighting.measure_air`), so a ray leaps from box to box. Two
things make it fast. Bundles of rays (tiles of 16 x 16, then 4 x 4 pixels) first advance together as long as the whole
bundle fits into the box, after the beam optimisation of Laine & Karras, "Efficient Sparse Voxel Octrees" (2010). Then
the rays of a packet of 8 x 8 pixels walk in step, each in its lane, in loops without branches that compile to vector
instructions.

Positions are relative to a corner `WINDOW / 2` cells north-west of the eye, so they are positive and truncation floors.
"""

import math

import numba
import numpy as np

from worldmodel.envs.voxel.blocks import CODES, FIRST_BLOCK, SHAPE, Shape
from worldmodel.envs.voxel.grid import HEIGHT, cell_index
from worldmodel.envs.voxel.packet import (
    AXIS,
    CELL_X,
    CELL_Y,
    CELL_Z,
    CODE,
    DX,
    DY,
    DZ,
    FAR,
    INSIDE,
    INVERSE_LENGTH,
    INVERSE_X,
    INVERSE_Y,
    INVERSE_Z,
    LANES,
    LENGTH,
    REACH,
    REACH_Y,
    SIGN_X,
    SIGN_Y,
    SIGN_Z,
    WATER_END,
    WATER_T,
    F,
    T,
    U,
    V,
    kernel,
)

_CUBE, _LIQUID, _CROSS = int(Shape.CUBE), int(Shape.LIQUID), int(Shape.CROSS)
_WATER = CODES["water"]
_FIRST_THIN, _LAST_THIN = CODES["torch"], CODES["dead_bush"]
"""Plants and torches have neighbouring codes, so that one comparison finds them."""
assert all((SHAPE[c] in (_CROSS, int(Shape.TORCH))) == (_FIRST_THIN <= c <= _LAST_THIN) for c in CODES.values())
_TINY = 1e-7
"""Least size of a direction component, so that none divides by zero."""
_MIN_ADVANCE = 0.4
"""A bundle that advances less than this is split."""


@numba.njit(cache=True, nogil=True, inline="always")
def away_from_zero(component: float) -> float:
    """Returns a direction component that can be divided by."""
    if -_TINY < component < _TINY:
        return _TINY
    return component


@kernel
def advance_bundle(cells, bx, bz, ox, oy, oz, dx, dy, dz, sx, sy, sz, t, far):  # noqa: ANN001
    """Walks a bundle of rays through the air as far as all of them certainly meet nothing.

    Args:
        cells: (NUM_CELLS,) uint8.
        bx: World coordinate x of the corner that positions are relative to.
        bz: Likewise z.
        ox: Origin, relative.
        oy: Origin.
        oz: Origin, relative.
        dx: Direction of the middle ray.
        dy: Direction of the middle ray.
        dz: Direction of the middle ray.
        sx: Largest deviation of a ray's direction from the middle, per axis.
        sy: Likewise.
        sz: Likewise.
        t: Depth up to which the bundle is known to be free.
        far: Depth at which to stop.

    Returns:
        Depth up to which every ray of the bundle is free; `far` or more if all leave the world.
    """
    up_x, low_x = away_from_zero(dx + sx), away_from_zero(dx - sx)
    up_y, low_y = away_from_zero(dy + sy), away_from_zero(dy - sy)
    up_z, low_z = away_from_zero(dz + sz), away_from_zero(dz - sz)
    while t < far:
        x, y, z = ox + dx * t, oy + dy * t, oz + dz * t
        if y >= HEIGHT:
            if low_y > 0.0:
                return far
            return t
        if y < 0.0:
            return t
        ix, iy, iz = int(x), int(y), int(z)
        air = cells[cell_index(ix + bx, iy, iz + bz)]
        if air >= FIRST_BLOCK:
            return t
        # The cube around the cell, or the half cube above it, which is the larger one over flat ground.
        radius, half = (air & 7) + 1, (air >> 3) + 1
        y0 = iy - radius + 1
        if low_y > 0.0 or half > 2 * radius:
            radius, y0 = half, iy
        x1, y1, z1 = ix + radius, iy + radius, iz + radius
        x0, z0 = ix - radius + 1, iz - radius + 1
        # The bundle has a width: it may already stick out of the box around its middle.
        if (
            ox + up_x * t > x1
            or ox + low_x * t < x0
            or oy + up_y * t > y1
            or oy + low_y * t < y0
            or oz + up_z * t > z1
            or oz + low_z * t < z0
        ):
            return t
        end = far
        if up_x > 0.0:
            end = min(end, (x1 - ox) / up_x)
        if low_x < 0.0:
            end = min(end, (x0 - ox) / low_x)
        if up_y > 0.0:
            end = min(end, (y1 - oy) / up_y)
        if low_y < 0.0:
            end = min(end, (y0 - oy) / low_y)
        if up_z > 0.0:
            end = min(end, (z1 - oz) / up_z)
        if low_z < 0.0:
            end = min(end, (z0 - oz) / low_z)
        if end - t < _MIN_ADVANCE:
            return end if end > t else t
        t = end
    return t


@kernel
def _hit_cross(texels, tile, level_offset, level_size, x, y, z, dx, dy, dz):  # noqa: ANN001, ANN202
    """Meets the two upright diagonals of a unit cell; returns (t, u, v), t = -1 if the ray passes through.

    `x, y, z` is the origin relative to the cell.
    """
    best, best_u, best_v = -1.0, 0.0, 0.0
    for diagonal in range(2):
        # Planes x - z = 0 and x + z = 1.
        slope = dx - dz if diagonal == 0 else dx + dz
        if -_TINY < slope < _TINY:
            continue
        t = (z - x) / slope if diagonal == 0 else (1.0 - x - z) / slope
        if t <= 0.0 or (best >= 0.0 and t >= best):
            continue
        u, v = x + dx * t, y + dy * t
        if 0.0 <= u < 1.0 and 0.0 <= v < 1.0:
            texel = level_offset + int((1.0 - v) * (level_size - 1e-6)) * level_size + int(u * level_size)
            if texels[tile, texel, 3] >= 128:
                best, best_u, best_v = t, u, v
    return best, best_u, best_v


@kernel
def _hit_torch(x, y, z, dx, dy, dz):  # noqa: ANN001, ANN202
    """Meets the stick of a torch in a unit cell; returns (t, u, v) in the torch's texture, t = -1 for a miss."""
    low, high = 7.0 / 16.0, 9.0 / 16.0
    tx0, tx1 = (low - x) / dx, (high - x) / dx
    ty0, ty1 = -y / dy, (10.0 / 16.0 - y) / dy
    tz0, tz1 = (low - z) / dz, (high - z) / dz
    near = max(min(tx0, tx1), min(ty0, ty1), min(tz0, tz1))
    leave = min(max(tx0, tx1), max(ty0, ty1), max(tz0, tz1))
    if near > leave or near <= 0.0:
        return -1.0, 0.0, 0.0
    u = x + dx * near
    if min(tz0, tz1) < min(tx0, tx1):
        u = z + dz * near
    return near, min(max(u, low), high - 1e-6), min(max(y + dy * near, 0.0), 10.0 / 16.0 - 1e-6)


@kernel
def aim(packet, basis, left, top, ox, oy, oz, view_distance):  # noqa: ANN001
    """Puts the rays of 8 x 8 pixels into a packet.

    Args:
        packet: Its row `T` holds the depths from which the rays start to walk; the other rows are filled.
        basis: (3, 3), axes of the camera: forward, right and up (see `renderer.camera_basis`).
        left: Of the upper left pixel's centre, in pixels right of the middle of the picture.
        top: Likewise, in pixels above the middle.
        ox: Eye, relative.
        oy: Eye.
        oz: Eye, relative.
        view_distance: In blocks.
    """
    f0, f1, f2 = F(basis[0, 0]), F(basis[0, 1]), F(basis[0, 2])
    r0, r1, r2 = F(basis[1, 0]), F(basis[1, 1]), F(basis[1, 2])
    u0, u1, u2 = F(basis[2, 0]), F(basis[2, 1]), F(basis[2, 2])
    for i in range(LANES):
        a, b = left + F(i & 7), top - F(i >> 3)
        dx, dy, dz = f0 + a * r0 + b * u0, f1 + a * r1 + b * u1, f2 + a * r2 + b * u2
        dx = dx if abs(dx) > F(_TINY) else F(_TINY)
        dy = dy if abs(dy) > F(_TINY) else F(_TINY)
        dz = dz if abs(dz) > F(_TINY) else F(_TINY)
        length = math.sqrt(dx * dx + dy * dy + dz * dz)
        packet[DX + i], packet[DY + i], packet[DZ + i] = dx, dy, dz
        packet[INVERSE_X + i], packet[INVERSE_Y + i], packet[INVERSE_Z + i] = F(1.0) / dx, F(1.0) / dy, F(1.0) / dz
        packet[SIGN_X + i] = F(1.0) if dx > F(0.0) else -F(1.0)
        packet[SIGN_Y + i] = F(1.0) if dy > F(0.0) else -F(1.0)
        packet[SIGN_Z + i] = F(1.0) if dz > F(0.0) else -F(1.0)
        packet[LENGTH + i], packet[INVERSE_LENGTH + i] = length, F(1.0) / length
        packet[FAR + i] = view_distance / length
        # From above the world a ray that looks down enters through its ceiling.
        t = packet[T + i]
        enters = (oy + dy * t >= F(HEIGHT)) & (dy < F(0.0))
        t = (F(HEIGHT) - oy) / dy if enters else t
        packet[T + i] = t
        packet[AXIS + i] = F(1.0) if enters else F(0.0)
        y = F(np.int32(oy + dy * t + F(16.0))) - F(16.0)
        packet[CELL_X + i], packet[CELL_Z + i] = F(np.int32(ox + dx * t)), F(np.int32(oz + dz * t))
        packet[CELL_Y + i] = HEIGHT - F(1.0) if enters else y
        packet[WATER_T + i], packet[WATER_END + i] = -F(1.0), -F(1.0)


@kernel
def _look(cells, packet, index, bx, bz):  # noqa: ANN001, ANN202
    """Reads the cell that each ray is in. Returns 1 if any is to leap, plus 2 if any met water, a plant or a torch."""
    for i in range(LANES):
        x, y, z = np.int32(packet[CELL_X + i]), np.int32(packet[CELL_Y + i]), np.int32(packet[CELL_Z + i])
        index[i] = (((x + bx) & 255) << 14) | (((z + bz) & 255) << 6) | (y & 63)
    for i in range(LANES):
        index[i] = cells[np.uint32(index[i])]
    todo = 0
    for i in range(LANES):
        y = packet[CELL_Y + i]
        inside = (y >= F(0.0)) & (y < F(HEIGHT)) & (packet[T + i] < packet[FAR + i])
        code = index[i]
        packet[CODE + i] = F(code) if inside & (code >= FIRST_BLOCK) else F(0.0)
        walks = inside & (code < FIRST_BLOCK)
        radius, half = (code & 7) + 1, ((code >> 3) & 7) + 1
        rises = packet[SIGN_Y + i] > F(0.0)
        upper = rises | (radius < 3)
        reach = half if upper else radius
        reach_y = 1 if upper & (not rises) else reach
        packet[REACH + i] = F(reach) if walks else F(0.0)
        packet[REACH_Y + i] = F(reach_y) if walks else F(0.0)
        open_block = inside & ((code == _WATER) | ((code >= _FIRST_THIN) & (code <= _LAST_THIN)))
        meets = open_block & (packet[AXIS + i] != F(INSIDE))
        todo |= np.int32(walks) | (np.int32(meets) << 1)
    return todo


@kernel
def _leap(packet, ox, oy, oz):  # noqa: ANN001, ANN202
    """Moves every ray that is in the air to the cell behind the far side of its box of air."""
    for i in range(LANES):
        x, y, z, t = packet[CELL_X + i], packet[CELL_Y + i], packet[CELL_Z + i], packet[T + i]
        reach, reach_y = packet[REACH + i], packet[REACH_Y + i]
        sign_x, sign_y, sign_z = packet[SIGN_X + i], packet[SIGN_Y + i], packet[SIGN_Z + i]
        end_x = (x + F(0.5) + sign_x * (reach - F(0.5)) - ox) * packet[INVERSE_X + i]
        end_y = (y + F(0.5) + sign_y * (reach_y - F(0.5)) - oy) * packet[INVERSE_Y + i]
        end_z = (z + F(0.5) + sign_z * (reach - F(0.5)) - oz) * packet[INVERSE_Z + i]
        end = min(end_x, min(end_y, end_z))
        # A ray through an edge crosses one side after the other, lest it slip between two blocks that meet there.
        across_x = end_x == end
        across_y = (end_y == end) & (not across_x)
        across_z = (not across_x) & (not across_y)
        # Rounding must not carry the ray out of the box along the axes it did not cross.
        within, within_y = reach - F(1.0), reach_y - F(1.0)
        next_x = min(max(F(np.int32(ox + packet[DX + i] * end)), x - within), x + within)
        next_y = min(max(F(np.int32(oy + packet[DY + i] * end)), y - within_y), y + within_y)
        next_z = min(max(F(np.int32(oz + packet[DZ + i] * end)), z - within), z + within)
        next_x = x + sign_x * reach if across_x else next_x
        next_y = y + sign_y * reach_y if across_y else next_y
        next_z = z + sign_z * reach if across_z else next_z
        axis = F(1.0) if across_y else F(2.0)
        axis = F(0.0) if across_x else axis
        walking = reach > F(0.0)
        packet[CELL_X + i] = next_x if walking else x
        packet[CELL_Y + i] = next_y if walking else y
        packet[CELL_Z + i] = next_z if walking else z
        packet[T + i] = end if walking else t
        packet[AXIS + i] = axis if walking else packet[AXIS + i]


@kernel
def _meet(cells, packet, i, texels, faces, bx, bz, ox, oy, oz):  # noqa: ANN001, ANN202
    """Handles a ray that met water, a plant or a torch: it hits it, or goes on behind it."""
    code, x, y, z = int(packet[CODE + i]), packet[CELL_X + i], packet[CELL_Y + i], packet[CELL_Z + i]
    dx, dy, dz, t = packet[DX + i], packet[DY + i], packet[DZ + i], packet[T + i]
    shape = SHAPE[code]
    if shape == _LIQUID:
        if packet[WATER_T + i] < 0.0:
            packet[WATER_T + i] = t
    else:
        if shape == _CROSS:
            near = t < 12.0
            offset, size = (0, 16) if near else (256, 8)
            hit, u, v = _hit_cross(texels, faces[code, 0], offset, size, ox - x, oy - y, oz - z, dx, dy, dz)
        else:
            hit, u, v = _hit_torch(ox - x, oy - y, oz - z, dx, dy, dz)
        if 0.0 <= hit < packet[FAR + i]:
            packet[T + i], packet[AXIS + i], packet[U + i], packet[V + i] = hit, INSIDE, u, 1.0 - v
            return
    while True:
        end_x = (x + 0.5 + 0.5 * packet[SIGN_X + i] - ox) * packet[INVERSE_X + i]
        end_y = (y + 0.5 + 0.5 * packet[SIGN_Y + i] - oy) * packet[INVERSE_Y + i]
        end_z = (z + 0.5 + 0.5 * packet[SIGN_Z + i] - oz) * packet[INVERSE_Z + i]
        if end_x <= end_y and end_x <= end_z:
            x, t, axis = x + packet[SIGN_X + i], end_x, 0.0
        elif end_y <= end_z:
            y, t, axis = y + packet[SIGN_Y + i], end_y, 1.0
        else:
            z, t, axis = z + packet[SIGN_Z + i], end_z, 2.0
        # Most of the way through water is left to this loop, as the other rays need not wait for it.
        if shape != _LIQUID or not 0.0 <= y < HEIGHT or t >= packet[FAR + i]:
            break
        if cells[cell_index(int(x) + bx, int(y), int(z) + bz)] != _WATER:
            break
    packet[CELL_X + i], packet[CELL_Y + i], packet[CELL_Z + i] = x, y, z
    packet[T + i], packet[AXIS + i] = t, axis
    if shape == _LIQUID:
        packet[WATER_END + i] = t


@kernel
def march(cells, packet, index, texels, faces, bx, bz, ox, oy, oz):  # noqa: ANN001
    """Walks all rays of a packet until each has hit something or gone too far.

    Args:
        cells: (NUM_CELLS,) uint8.
        packet: (PACKET_SIZE,) float32; `aim` has filled every lane. Changed in place.
        index: (ADDRESS_SIZE,) int32, scratch.
        texels: (tiles, 341, 4) uint8, for the cut-outs of plants.
        faces: (NUM_CODES, 3) tile of each block's side, top and bottom.
        bx: World coordinate x of the corner that positions are relative to.
        bz: Likewise z.
        ox: Origin of all rays, relative.
        oy: Origin.
        oz: Origin, relative.
    """
    while True:
        todo = _look(cells, packet, index, bx, bz)
        if todo == 0:
            return
        if todo & 2:
            for i in range(LANES):
                code = int(packet[CODE + i])
                # Plants and the like stay in their cell when they are hit, and are met only once.
                if code != 0 and SHAPE[code] != _CUBE and packet[AXIS + i] != INSIDE:
                    _meet(cells, packet, i, texels, faces, bx, bz, ox, oy, oz)
        if todo & 1:
            _leap(packet, ox, oy, oz)
