"""How the loaded window of the infinite world lies in memory.

The world is infinite in `x` (east) and `z` (south) and `HEIGHT` cells high (`y`, up). What is loaded is a window of
`WINDOW x WINDOW` columns, stored as a torus: column `(x, z)` always lies at `(x & MASK, z & MASK)`, so moving the
window copies nothing. One column is 64 consecutive bytes, one cache line.
"""

import numba

HEIGHT = 64
WINDOW = 256
MASK = WINDOW - 1
CHUNK = 16
"""Width of a chunk, the unit in which terrain is generated and loaded, in cells."""
NUM_CELLS = WINDOW * WINDOW * HEIGHT
SEA_LEVEL = 24
"""Water fills the air up to and including this layer."""


@numba.njit(cache=True, nogil=True, inline="always")
def cell_index(x: int, y: int, z: int) -> int:
    """Index into the flat cell array of the cell at integer world coordinates; `y` must be in [0, HEIGHT)."""
    return ((x & 255) << 14) | ((z & 255) << 6) | y
