"""The infinite block world: terrain that is a pure function of the seed, plus the edits made to it.

Only a window around the player is held in memory (`grid.py`); chunks are generated as it moves and forgotten behind it,
but for their edits. What can be seen or touched depends on seed and edits alone, never on the way there.
"""

import math
from typing import Any

import numpy as np

from worldmodel.envs.voxel.blocks import AIR, BY_CODE, FIRST_BLOCK, SOLID
from worldmodel.envs.voxel.grid import CHUNK, HEIGHT, MASK, NUM_CELLS, WINDOW
from worldmodel.envs.voxel.lighting import MAX_LIGHT, MAX_RADIUS, OPAQUE, measure_air, relight
from worldmodel.envs.voxel.terrain import generate_chunk

MIN_VIEW_DISTANCE, MAX_VIEW_DISTANCE = 16, 96
_SLOTS = WINDOW // CHUNK
_KEEP = 7
"""Chunks farther than this from the player's are dropped: the window, seen as a torus, keeps a gap of one chunk."""


class World:
    """A window of the world around a point that moves.

    Attributes:
        seed: What the terrain is a function of.
        view_distance: How far around the centre every cell, its light and its measure of air are exact, in cells.
        cells: (NUM_CELLS,) uint8. Block codes, below `FIRST_BLOCK` the measure of air.
        light: (NUM_CELLS,) uint8. Sky light << 4 | block light.
    """

    def __init__(self, seed: int, view_distance: int = 64) -> None:
        """Makes a world with nothing loaded; `recentre` loads.

        Args:
            seed: Seed of the terrain, 0 <= seed < 2**63.
            view_distance: In cells, 16 to 96.

        Raises:
            ValueError: If `view_distance` is out of range.
        """
        if not MIN_VIEW_DISTANCE <= view_distance <= MAX_VIEW_DISTANCE:
            raise ValueError(
                f"view_distance: expected {MIN_VIEW_DISTANCE} to {MAX_VIEW_DISTANCE} blocks, got {view_distance}"
            )
        self.seed = seed
        self.view_distance = view_distance
        self.cells = np.zeros(NUM_CELLS, np.uint8)
        self.light = np.zeros(NUM_CELLS, np.uint8)
        self._load_distance = math.ceil(view_distance / CHUNK) + 1  # one ring more, for the light that comes from it
        self._live = np.zeros(_SLOTS * _SLOTS, np.uint8)
        self._loaded: set[tuple[int, int]] = set()
        self._centre: tuple[int, int] | None = None
        self._edits: dict[tuple[int, int], dict[int, int]] = {}
        self._dirty: tuple[int, int, int, int] | None = None

    def recentre(self, x: float, z: float) -> None:
        """Loads what lies within the view distance of a point, and forgets what is far away."""
        centre = (math.floor(x) // CHUNK, math.floor(z) // CHUNK)
        if centre == self._centre:
            return
        self.refresh()
        self._centre = centre
        for chunk in [c for c in self._loaded if max(abs(c[0] - centre[0]), abs(c[1] - centre[1])) > _KEEP]:
            self._loaded.remove(chunk)
            self._live[_slot(chunk)] = 0
        reach = range(-self._load_distance, self._load_distance + 1)
        self._load({(centre[0] + i, centre[1] + k) for i in reach for k in reach} - self._loaded)

    def block(self, x: int, y: int, z: int) -> int:
        """Returns the code of the block at a cell inside the loaded window, `AIR` where there is none."""
        if not 0 <= y < HEIGHT:
            return AIR
        code = int(self.cells[_index(x, y, z)])
        return code if code >= FIRST_BLOCK else AIR

    def light_at(self, x: int, y: int, z: int) -> int:
        """Returns the light byte (see `lighting`) of a cell inside the loaded window; `y` is clipped to the world."""
        return int(self.light[_index(x, min(max(y, 0), HEIGHT - 1), z)])

    def set_block(self, x: int, y: int, z: int, code: int) -> None:
        """Puts a block (or `AIR`) into a cell of the loaded window; light follows at the next `refresh`.

        Args:
            x: Cell.
            y: Cell, 0 to HEIGHT - 1.
            z: Cell.
            code: `AIR` or a block code.

        Raises:
            ValueError: If `y` is outside the world, the cell is not loaded or `code` is no block.
        """
        chunk = (x // CHUNK, z // CHUNK)
        if not 0 <= y < HEIGHT:
            raise ValueError(f"y: expected 0 to {HEIGHT - 1}, got {y}")
        if chunk not in self._loaded:
            raise ValueError(f"x, z: cell ({x}, {z}) is not loaded; call recentre near it first")
        if code != AIR and code not in BY_CODE:
            raise ValueError(f"code: expected AIR or a block code of blocks.BLOCKS, got {code}")
        self.cells[_index(x, y, z)] = code
        self._edits.setdefault(chunk, {})[_local(x, y, z)] = code
        if self._dirty is None:
            self._dirty = (x, x + 1, z, z + 1)
        else:
            x0, x1, z0, z1 = self._dirty
            self._dirty = (min(x0, x), max(x1, x + 1), min(z0, z), max(z1, z + 1))

    def refresh(self) -> None:
        """Brings light and the measure of air up to date with the blocks; to be called before rendering."""
        if self._dirty is None:
            return
        x0, x1, z0, z1 = self._dirty
        self._dirty = None
        relight(self.cells, self.light, self._live, x0 - MAX_LIGHT, x1 + MAX_LIGHT, z0 - MAX_LIGHT, z1 + MAX_LIGHT)
        measure_air(self.cells, x0 - MAX_RADIUS, x1 + MAX_RADIUS, z0 - MAX_RADIUS, z1 + MAX_RADIUS)

    def get_state(self) -> dict[str, Any]:
        """Returns the seed and the edits: `edits` is (N, 4) int32, rows of x, y, z, code, sorted."""
        rows = [
            (chunk[0] * CHUNK + (local >> 10), local & 63, chunk[1] * CHUNK + ((local >> 6) & 15), code)
            for chunk, edits in self._edits.items()
            for local, code in edits.items()
        ]
        return {"seed": self.seed, "edits": np.array(sorted(rows), np.int32).reshape(-1, 4)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes to a state of `get_state`; chunks whose edits are the same stay loaded."""
        edits: dict[tuple[int, int], dict[int, int]] = {}
        for x, y, z, code in state["edits"].tolist():
            edits.setdefault((x // CHUNK, z // CHUNK), {})[_local(x, y, z)] = code
        if state["seed"] != self.seed:
            self.seed = state["seed"]
            self._loaded.clear()
            self._live[:] = 0
            self._centre = None
        changed = {c for c in edits.keys() | self._edits.keys() if edits.get(c, {}) != self._edits.get(c, {})}
        self.refresh()
        self._edits = edits
        # Light of a changed block reaches the eight chunks around its own, even if that one is no longer loaded.
        stale = {(c[0] + i, c[1] + k) for c in changed for i in (-1, 0, 1) for k in (-1, 0, 1)} & self._loaded
        if stale:
            self._load(stale)

    def _load(self, chunks: set[tuple[int, int]]) -> None:
        """Generates chunks, applies their edits and lights them."""
        out = np.empty(CHUNK * CHUNK * HEIGHT, np.uint8)
        window = self.cells.reshape(WINDOW, WINDOW, HEIGHT)
        for cx, cz in chunks:
            generate_chunk(self.seed, cx, cz, out)
            for local, code in self._edits.get((cx, cz), {}).items():
                out[local] = code
            x, z = (cx * CHUNK) & MASK, (cz * CHUNK) & MASK
            window[x : x + CHUNK, z : z + CHUNK] = out.reshape(CHUNK, CHUNK, HEIGHT)
            # Dark, but opaque where it is solid: light of chunks that are lit before must not flow through.
            dark = np.where(SOLID[out], OPAQUE, 0).reshape(CHUNK, CHUNK, HEIGHT)
            self.light.reshape(WINDOW, WINDOW, HEIGHT)[x : x + CHUNK, z : z + CHUNK] = dark
            self._live[_slot((cx, cz))] = 1
        self._loaded |= chunks
        rectangles = [tuple(CHUNK * edge for edge in rectangle) for rectangle in _rectangles(chunks)]
        for x0, x1, z0, z1 in rectangles:
            relight(self.cells, self.light, self._live, x0, x1, z0, z1)
        for x0, x1, z0, z1 in rectangles:
            measure_air(self.cells, x0 - MAX_RADIUS, x1 + MAX_RADIUS, z0 - MAX_RADIUS, z1 + MAX_RADIUS)


def _index(x: int, y: int, z: int) -> int:
    return ((x & MASK) << 14) | ((z & MASK) << 6) | y  # as grid.cell_index, which is slow to call from Python


def _slot(chunk: tuple[int, int]) -> int:
    return (chunk[0] % _SLOTS) * _SLOTS + chunk[1] % _SLOTS


def _local(x: int, y: int, z: int) -> int:
    return ((x % CHUNK) << 10) | ((z % CHUNK) << 6) | y


def _rectangles(chunks: set[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """Covers a set of chunks exactly by few rectangles (x0, x1, z0, z1), ends exclusive."""
    runs: list[tuple[int, int, int, int]] = []
    for cx, cz in sorted(chunks):
        if runs and runs[-1][1] == cx + 1 and runs[-1][3] == cz:
            runs[-1] = (cx, cx + 1, runs[-1][2], cz + 1)
        else:
            runs.append((cx, cx + 1, cz, cz + 1))
    rectangles: list[tuple[int, int, int, int]] = []
    for run in runs:
        above = next((r for r in rectangles if r[1] == run[0] and r[2:] == run[2:]), None)
        if above is not None:
            rectangles.remove(above)
            run = (above[0], *run[1:])
        rectangles.append(run)
    return rectangles
