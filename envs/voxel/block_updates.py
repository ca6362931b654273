"""What follows when a block changes: sand and gravel fall, plants and torches that lose their support break."""

from typing import Protocol

import numpy as np

from worldmodel.envs.voxel.blocks import AIR, BY_CODE, CODES, SOLID, Shape
from worldmodel.envs.voxel.physics import cell_overlaps_body

WATER = CODES["water"]


class Blocks(Protocol):
    """The part of a `worldmodel.envs.voxel.world.World` that the rules of the world need."""

    cells: np.ndarray

    def block(self, x: int, y: int, z: int) -> int:
        """Returns the code of a block, `AIR` if there is none."""

    def set_block(self, x: int, y: int, z: int, code: int) -> None:
        """Puts a block, or `AIR`, into a cell."""

    def recentre(self, x: float, z: float) -> None:
        """Loads the surroundings of a point."""


def is_solid(world: Blocks, x: int, y: int, z: int) -> bool:
    """Returns whether a cell holds a solid block; below the world all do."""
    return y < 0 or bool(SOLID[world.block(x, y, z)])


def _stands(code: int) -> bool:
    """Whether a block stands on the one below: a plant or torch."""
    return code != AIR and BY_CODE[code].shape in (Shape.CROSS, Shape.TORCH)


class BlockUpdates:
    """Changes blocks and carries out what follows, one cell of fall a tick.

    As in Minecraft a block that falls is noticed only when it or the cell below it changes: sand over a cave stays
    until somebody digs there.

    Attributes:
        falling: Cells of sand and gravel that may fall in the next tick, each with the code (`AIR` or water) that it
            leaves behind. Water is not destroyed by what falls through it.
    """

    def __init__(self, world: Blocks) -> None:
        """Starts with nothing falling."""
        self.world = world
        self.falling: dict[tuple[int, int, int], int] = {}

    def change(self, x: int, y: int, z: int, code: int) -> list[str]:
        """Puts a block into a cell.

        Args:
            x: Cell.
            y: Cell, in the world.
            z: Cell.
            code: `AIR` or a block code.

        Returns:
            Names of the items dropped by a plant or torch that stood on the cell, if it did.
        """
        self.world.set_block(x, y, z, code)
        self._consider(x, y, z)
        self._consider(x, y + 1, z)
        above = self.world.block(x, y + 1, z)
        if SOLID[code] or not _stands(above):
            return []
        drops = BY_CODE[above].drops
        return ([drops] if drops else []) + self.change(x, y + 1, z, AIR)

    def tick(self, body: np.ndarray) -> list[str]:
        """Lets what falls do so by one cell, lowest first.

        It falls through air and water, crushes plants and torches, and waits above the body.

        Args:
            body: (BODY_SIZE,) float64, see `physics`.

        Returns:
            Names of the items dropped by plants and torches that stood on what fell.
        """
        drops: list[str] = []
        for x, y, z in sorted(self.falling, key=lambda cell: (cell[1], cell[0], cell[2])):
            left_behind = self.falling.pop((x, y, z))
            code = self.world.block(x, y, z)
            if code == AIR or not BY_CODE[code].falls or is_solid(self.world, x, y - 1, z):
                continue
            if cell_overlaps_body(body, x, y - 1, z):
                self.falling[x, y, z] = left_behind
                continue
            self.falling[x, y - 1, z] = WATER if self.world.block(x, y - 1, z) == WATER else AIR
            drops += self.change(x, y, z, left_behind)
            drops += self.change(x, y - 1, z, code)
        return drops

    def _consider(self, x: int, y: int, z: int) -> None:
        code = self.world.block(x, y, z)
        if code != AIR and BY_CODE[code].falls:
            under_water = self.world.block(x, y + 1, z) == WATER
            self.falling.setdefault((x, y, z), WATER if under_water else AIR)
