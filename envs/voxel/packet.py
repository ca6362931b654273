"""Layout of a packet: 8 x 8 rays that are cast and shaded together.

A packet is a flat float32 array of rows of `LANES` numbers, one a ray. The constants below are where the rows start, so
`packet[T + i]` is the depth of ray `i`. Stages of the renderer are loops over the lanes without branches, which compile
to vector instructions, with the scattered reads from memory in between; what those need stands in a second array, of
int32 addresses. Numba takes a number like 0.5 for a float64, and would compute in float64 whatever it meets: hence the
`F(0.5)` in these loops. Half the width is twice the speed.
"""

import numba
import numpy as np

kernel = numba.njit(cache=True, nogil=True, error_model="numpy", _nrt=False)  # type: ignore[call-overload]
"""Compiles a stage of the renderer. Without Numba's runtime it cannot allocate arrays, but neither does it count
references to them: that took a third of a frame's time, and most of what a second thread could have gained. With the
error model of NumPy there are no checks for division by zero, which would keep loops from being vectorised."""

F = np.float32
"""Type of the numbers in a packet."""

LANES = 64

(
    DX, DY, DZ,  # direction, of depth 1
    INVERSE_X, INVERSE_Y, INVERSE_Z,
    SIGN_X, SIGN_Y, SIGN_Z,  # +1 or -1
    LENGTH, INVERSE_LENGTH, FAR,  # of the direction; depth at which to give up
    T, CELL_X, CELL_Y, CELL_Z,  # depth and cell where the ray is, and at last where it hits
    AXIS,  # normal of the surface that was hit: 0, 1, 2 for x, y, z, or `INSIDE`
    REACH, REACH_Y,  # of the box of air around the cell, sideways and along the ray; 0 where there is a block
    CODE,  # of the block that was hit, 0 for the sky
    WATER_T, WATER_END,  # depths at which the ray first met and last left water, -1 for never
    U, V,  # texture coordinates of the hit, to the right and down, 0 to 1
    FRACTION_X, FRACTION_Y, FRACTION_Z,  # of the hit within its cell
    LIGHT_FRONT, LIGHT_A, LIGHT_B, LIGHT_CORNER,  # light bytes of the cell in front of the surface and its neighbours
    RED, GREEN, BLUE,  # 0 to 255
    HAZE_RED, HAZE_GREEN, HAZE_BLUE,  # of the air in this direction, 0 to 255
    CLOUD,  # cover by clouds, 0 to 1
    FACING,  # cosine of the angle to the sun
) = (row * LANES for row in range(39))  # fmt: skip
PACKET_SIZE = 39 * LANES
"""Length of a packet's array, in numbers."""

TEXEL, FRONT, SIDE_A, SIDE_B, CORNER = (row * LANES for row in range(5))
ADDRESS_SIZE = 5 * LANES
"""Length of the array of a packet's addresses."""

INSIDE = 3
"""The "axis" of a hit on a plant or a torch, which lies inside its cell."""
