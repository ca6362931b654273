"""Light, and how much air is around: the two fields that are derived from the blocks.

Both are pure functions of the blocks of the infinite world, so they come out the same in whatever order chunks were
loaded and edits were made; the tests compare them with a computation from scratch.

Light follows Minecraft (minecraft.wiki, "Light"): sky light is 15 in every cell with open sky above and block light is
what a block emits; both fall by one a cell and are stopped by solid blocks. A cell's light is one byte, sky light in
the upper four bits, block light in the lower four; a solid cell's is `OPAQUE`, which no cell that lets light through
can have, so whoever reads light needs no second look at the blocks.
"""

import numba
import numpy as np

from worldmodel.envs.voxel.blocks import EMITS, FIRST_BLOCK, SHAPE, SOLID, Shape
from worldmodel.envs.voxel.grid import HEIGHT, NUM_CELLS, cell_index

MAX_LIGHT = 15
"""Light falls by one a cell, so a change of a block reaches no farther than this."""
MAX_RADIUS = 8
"""Longest leap of a ray, in cells; also how far a change of a block alters the air that is measured."""

OPAQUE = 0xFF
"""Light of a solid cell: as bright as can be, so that no light is ever spread into it."""
FULL_SKY = MAX_LIGHT << 4

_LIQUID = int(Shape.LIQUID)
_Z_BITS = 255 << 6
_NUM_SLOTS = 256


@numba.njit(cache=True, nogil=True, inline="always")
def _slot(index: int) -> int:
    """Number of the 16 x 16 window slot that holds the cell at a flat index."""
    return ((index >> 18) << 4) | ((index >> 10) & 15)


@numba.njit(cache=True, nogil=True)
def _flood(light, live, queue, count, shift):  # noqa: ANN001, ANN202
    """Spreads one kind of light (`shift` 4: sky, 0: block) from the `count` queued cells until nothing changes."""
    capacity = queue.shape[0]
    keep = 0x0F if shift == 4 else 0xF0
    head = 0
    while count > 0:
        index = queue[head]
        head = head + 1 if head + 1 < capacity else 0
        count -= 1
        level = ((light[index] >> shift) & 15) - 1
        if level <= 0:
            continue
        y = index & 63
        for side in range(6):
            if side == 0:
                near = (index + 16384) & (NUM_CELLS - 1)
            elif side == 1:
                near = (index - 16384) & (NUM_CELLS - 1)
            elif side == 2:
                near = (index & ~_Z_BITS) | ((index + 64) & _Z_BITS)
            elif side == 3:
                near = (index & ~_Z_BITS) | ((index - 64) & _Z_BITS)
            elif side == 4:
                if y == HEIGHT - 1:
                    continue
                near = index + 1
            else:
                if y == 0:
                    continue
                near = index - 1
            if ((light[near] >> shift) & 15) >= level or live[_slot(near)] == 0:
                continue
            light[near] = (light[near] & keep) | (level << shift)
            tail = head + count
            queue[tail if tail < capacity else tail - capacity] = near
            count += 1


@numba.njit(cache=True, nogil=True)
def relight(cells, light, live, x0, x1, z0, z1):  # noqa: ANN001
    """Computes the light of the columns `x0 <= x < x1`, `z0 <= z < z1` anew, and exchanges it with their surroundings.

    Exact when whatever changed lies at least `MAX_LIGHT` cells inside the rectangle, or when the rectangle was not
    loaded before.

    Args:
        cells: (NUM_CELLS,) uint8 block codes.
        light: (NUM_CELLS,) uint8, changed in place.
        live: (256,) uint8, for every 16 x 16 slot of the window whether it holds a loaded chunk.
        x0: First column, world coordinates.
        x1: Past the last column.
        z0: First row.
        z1: Past the last row.
    """
    queue = np.empty(NUM_CELLS, np.int32)
    for x in range(x0, x1):
        for z in range(z0, z1):
            index = cell_index(x, HEIGHT - 1, z)
            y = HEIGHT - 1
            while y >= 0 and not SOLID[cells[index]] and SHAPE[cells[index]] != _LIQUID:
                light[index] = FULL_SKY
                index -= 1
                y -= 1
            while y >= 0:
                light[index] = OPAQUE if SOLID[cells[index]] else 0
                index -= 1
                y -= 1
    count = 0
    for x in range(x0, x1):
        for z in range(z0, z1):
            base = cell_index(x, 0, z)
            east, west = cell_index(x + 1, 0, z), cell_index(x - 1, 0, z)
            south, north = cell_index(x, 0, z + 1), cell_index(x, 0, z - 1)
            y = HEIGHT - 1
            while y >= 0 and light[base + y] == FULL_SKY:
                # Only a cell beside a darker one has light to give; most open sky has not.
                if (
                    (light[east + y] >> 4) < 14
                    or (light[west + y] >> 4) < 14
                    or (light[south + y] >> 4) < 14
                    or (light[north + y] >> 4) < 14
                    or (y > 0 and (light[base + y - 1] >> 4) < 14)
                ):
                    queue[count] = base + y
                    count += 1
                y -= 1
    border = _queue_border(cells, light, live, queue, count, x0, x1, z0, z1, 4)
    _flood(light, live, queue, border, 4)
    count = 0
    for x in range(x0, x1):
        for z in range(z0, z1):
            base = cell_index(x, 0, z)
            for y in range(HEIGHT):
                level = EMITS[cells[base + y]]
                if level > 0:
                    if light[base + y] != OPAQUE:
                        light[base + y] = (light[base + y] & 0xF0) | level
                    queue[count] = base + y
                    count += 1
    border = _queue_border(cells, light, live, queue, count, x0, x1, z0, z1, 0)
    _flood(light, live, queue, border, 0)


@numba.njit(cache=True, nogil=True)
def _queue_border(cells, light, live, queue, count, x0, x1, z0, z1, shift):  # noqa: ANN001, ANN202
    """Queues the lit cells just outside the rectangle; returns the new length of the queue."""
    for side in range(4):
        along = z1 - z0 if side < 2 else x1 - x0
        for step in range(along):
            if side == 0:
                base = cell_index(x0 - 1, 0, z0 + step)
            elif side == 1:
                base = cell_index(x1, 0, z0 + step)
            elif side == 2:
                base = cell_index(x0 + step, 0, z0 - 1)
            else:
                base = cell_index(x0 + step, 0, z1)
            if live[_slot(base)] == 0:
                continue
            for y in range(HEIGHT):
                if light[base + y] == OPAQUE and (shift == 4 or EMITS[cells[base + y]] == 0):
                    continue
                if (light[base + y] >> shift) & 15 > 1:
                    queue[count] = base + y
                    count += 1
    return count


@numba.njit(cache=True, nogil=True)
def measure_air(cells, x0, x1, z0, z1):  # noqa: ANN001
    """Writes into every air cell of the columns `x0 <= x < x1`, `z0 <= z < z1` how much air is around it.

    Two numbers, each 1 to `MAX_RADIUS`: `around`, the Chebyshev distance to the nearest cell that is not air, and
    `above`, the same among the cells that are not lower. So the cube of cells at distances below `around` is air, and
    so is the upper half of the cube of `above`, which is large over flat ground. The cell's value is
    `(above - 1) * MAX_RADIUS + (around - 1)`. Exact when all columns within `MAX_RADIUS` of the rectangle are loaded;
    outside the world's height is air.

    The two raster passes of the chessboard distance transform are exact (Rosenfeld & Pfaltz, 1968); they are done here
    a whole column at a time.

    Args:
        cells: (NUM_CELLS,) uint8, air cells changed in place.
        x0: First column, world coordinates.
        x1: Past the last column.
        z0: First row.
        z1: Past the last row.
    """
    rows, columns = x1 - x0 + 2 * MAX_RADIUS, z1 - z0 + 2 * MAX_RADIUS
    # One more layer of columns and cells on every side keeps the passes free of bounds checks.
    around = np.full((rows + 2, columns + 2, HEIGHT + 2), MAX_RADIUS, np.uint8)
    for i in range(rows):
        for k in range(columns):
            base = cell_index(x0 - MAX_RADIUS + i, 0, z0 - MAX_RADIUS + k)
            out = around[i + 1, k + 1]
            for y in range(HEIGHT):
                out[y + 1] = MAX_RADIUS if cells[base + y] < FIRST_BLOCK else 0
    above = around.copy()
    near = np.empty(HEIGHT + 2, np.uint8)
    for step in range(2 * rows):
        forward = step < rows
        i = step + 1 if forward else 2 * rows - step
        side = -1 if forward else 1
        for j in range(columns):
            k = j + 1 if forward else columns - j
            here = around[i, k]
            a, b = around[i + side, k - 1], around[i + side, k]
            c, d = around[i + side, k + 1], around[i, k + side]
            for y in range(HEIGHT + 2):
                near[y] = min(min(a[y], b[y]), min(c[y], d[y]))
            for y in range(1, HEIGHT + 1):
                here[y] = min(here[y], np.uint8(1 + min(near[y], min(near[y - 1], near[y + 1]))))
            if forward:
                for y in range(1, HEIGHT + 1):
                    here[y] = min(here[y], np.uint8(1 + here[y - 1]))
            else:
                for y in range(HEIGHT, 0, -1):
                    here[y] = min(here[y], np.uint8(1 + here[y + 1]))
            here = above[i, k]
            a, b, c, d = above[i + side, k - 1], above[i + side, k], above[i + side, k + 1], above[i, k + side]
            for y in range(HEIGHT + 2):
                near[y] = min(min(a[y], b[y]), min(c[y], d[y]))
            for y in range(1, HEIGHT + 1):
                here[y] = min(here[y], np.uint8(1 + min(near[y], near[y + 1])))
            for y in range(HEIGHT, 0, -1):
                here[y] = min(here[y], np.uint8(1 + here[y + 1]))
    for x in range(x0, x1):
        for z in range(z0, z1):
            base = cell_index(x, 0, z)
            i, k = x - x0 + MAX_RADIUS + 1, z - z0 + MAX_RADIUS + 1
            for y in range(HEIGHT):
                if cells[base + y] < FIRST_BLOCK:
                    cells[base + y] = (above[i, k, y + 1] - 1) * MAX_RADIUS + (around[i, k, y + 1] - 1)
