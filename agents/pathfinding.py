"""Ways on foot through the block world: A* over the cells in which a player can stand or swim."""

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import hypot

from worldmodel.envs.voxel.blocks import BLOCKS, SOLID

Cell = tuple[int, int, int]
"""Cell of the player's feet."""

_FREE, _SOLID, _CACTUS, _WATER = range(4)
_KINDS = {block.name: _SOLID if SOLID[block.code] else _FREE for block in BLOCKS}
_KINDS |= {"air": _FREE, "cactus": _CACTUS, "water": _WATER}

_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))
_CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
_COST_OF_JUMP, _COST_OF_DROP, _COST_OF_WATER, _COST_OF_CACTUS = 1.0, 0.5, 4.0, 6.0

_SMALL_PLACE = 120
"""Cells."""


class Terrain:
    """What a walker needs to know of the blocks, remembered while one way is being planned."""

    def __init__(self, block_at: Callable[[int, int, int], str], max_drop: int = 3, swims: bool = True) -> None:
        """Makes a view of the blocks.

        Args:
            block_at: Returns the name of the block at a cell, `"air"` where there is none.
            max_drop: Blocks that one step may go down; up to 3 do not hurt.
            swims: Whether water may be entered.
        """
        self._block_at = block_at
        self._kinds: dict[Cell, int] = {}
        self._max_drop = max_drop
        self._swims = swims

    def _kind(self, x: int, y: int, z: int) -> int:
        cell = (x, y, z)
        kind = self._kinds.get(cell)
        if kind is None:
            kind = self._kinds[cell] = _KINDS[self._block_at(x, y, z)]
        return kind

    def is_open(self, x: int, y: int, z: int) -> bool:
        """Whether nothing solid is in a cell."""
        return self._kind(x, y, z) in (_FREE, _WATER)

    def is_water(self, x: int, y: int, z: int) -> bool:
        """Whether a cell holds water."""
        return self._kind(x, y, z) == _WATER

    def is_ground(self, x: int, y: int, z: int) -> bool:
        """Whether one can stand on a cell."""
        return self._kind(x, y, z) == _SOLID

    def stands(self, x: int, y: int, z: int) -> bool:
        """Whether a player can stand with its feet in a cell, dry."""
        return self.is_ground(x, y - 1, z) and self._kind(x, y, z) == _FREE and self.is_open(x, y + 1, z)

    def step(self, cell: Cell, dx: int, dz: int) -> tuple[Cell, float] | None:
        """Returns where a step to a neighbouring column leads and what it costs, `None` if it cannot be taken."""
        x, y, z = cell
        nx, nz = x + dx, z + dz
        corner = dx != 0 and dz != 0
        if corner and not all(self.is_open(i, y + up, k) for i, k in ((nx, z), (x, nz)) for up in (0, 1)):
            return None
        cost = hypot(dx, dz)
        if not self.is_open(nx, y, nz):
            climbs = self.is_ground(nx, y, nz) and not corner
            if not (
                climbs and self.is_open(x, y + 2, z) and self.is_open(nx, y + 1, nz) and self.is_open(nx, y + 2, nz)
            ):
                return None
            return (nx, y + 1, nz), cost + _COST_OF_JUMP + self._danger(nx, y + 1, nz)
        if not self.is_open(nx, y + 1, nz):
            return None
        ny = y
        while not self.is_water(nx, ny, nz) and self.is_open(nx, ny - 1, nz):
            ny -= 1
            if y - ny > self._max_drop:
                return None
        if self.is_water(nx, ny, nz):
            if not self._swims:
                return None
            cost += _COST_OF_WATER
        elif not self.is_ground(nx, ny - 1, nz):
            return None  # a cactus
        return (nx, ny, nz), cost + _COST_OF_DROP * (y - ny) + self._danger(nx, ny, nz)

    def steps(self, cell: Cell) -> Iterator[tuple[Cell, float]]:
        """Yields every cell that one step leads to, with its cost."""
        for dx, dz in _SIDES + _CORNERS:
            found = self.step(cell, dx, dz)
            if found:
                yield found
        x, y, z = cell
        if self.is_water(x, y, z) and self.is_water(x, y + 1, z):
            yield (x, y + 1, z), 1.0

    def _danger(self, x: int, y: int, z: int) -> float:
        return _COST_OF_CACTUS if any(self._kind(x + dx, y, z + dz) == _CACTUS for dx, dz in _SIDES) else 0.0


@dataclass(frozen=True, slots=True)
class Path:
    """A way on foot.

    Attributes:
        cells: Cells of the feet from the start (included) to the end.
        arrives: Whether the end is as near to the goal as wanted; else it is as near as the search got.
        enclosed: Whether the start lies in a small place that no step leads out of, such as a hole.
    """

    cells: list[Cell]
    arrives: bool
    enclosed: bool


def find_path(
    terrain: Terrain, start: Cell, goal: tuple[float, float], *, within: float = 0.8, max_cells: int = 3000
) -> Path:
    """Finds a cheap way to a place, or as near to it as the search gets.

    Args:
        terrain: The blocks.
        start: Cell of the feet.
        goal: Point (x, z) to go to.
        within: Horizontal distance from the goal that will do, in blocks.
        max_cells: How many cells to look at before giving up.
    """

    def distance(cell: Cell) -> float:
        return hypot(cell[0] + 0.5 - goal[0], cell[2] + 0.5 - goal[1])

    order = itertools.count()  # ties are settled by age, so that the way is deterministic
    frontier = [(distance(start), next(order), start)]
    costs = {start: 0.0}
    came_from: dict[Cell, Cell] = {}
    done: set[Cell] = set()
    nearest = start
    while frontier and len(done) < max_cells:
        cell = heapq.heappop(frontier)[2]
        if cell in done:
            continue
        done.add(cell)
        if distance(cell) < distance(nearest):
            nearest = cell
        if distance(cell) <= within:
            break
        for other, cost in terrain.steps(cell):
            total = costs[cell] + cost
            if total < costs.get(other, float("inf")):
                costs[other] = total
                came_from[other] = cell
                heapq.heappush(frontier, (total + distance(other), next(order), other))
    cells = [nearest]
    while cells[-1] in came_from:
        cells.append(came_from[cells[-1]])
    arrives = distance(nearest) <= within
    return Path(cells[::-1], arrives, enclosed=not arrives and not frontier and len(done) < _SMALL_PLACE)
