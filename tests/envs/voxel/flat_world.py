"""A flat world to try the rules in, and the ways in which their tests play."""

import numpy as np

from worldmodel.envs.voxel import physics
from worldmodel.envs.voxel.blocks import AIR, CODES, FIRST_BLOCK, NAMES
from worldmodel.envs.voxel.controls import Controls
from worldmodel.envs.voxel.grid import HEIGHT, WINDOW, cell_index
from worldmodel.envs.voxel.simulation import Simulation

GROUND = 30
"""Height of the flat ground: cells below are solid."""
NOTHING = Controls()


class FlatWorld:
    """Flat ground, all stone. Keeps the interface of `World` without terrain, light or edits."""

    def __init__(self):
        cells = np.zeros((WINDOW, WINDOW, HEIGHT), np.uint8)
        cells[:, :, :GROUND] = CODES["stone"]
        cells[:, :, GROUND:] = 7  # air, at some distance from anything
        self.cells = cells.reshape(-1)
        self.centres = []

    def recentre(self, x, z):
        self.centres.append((x, z))

    def block(self, x, y, z):
        code = int(self.cells[cell_index(x, y, z)]) if 0 <= y < HEIGHT else AIR
        return code if code >= FIRST_BLOCK else AIR

    def set_block(self, x, y, z, code):
        if not 0 <= y < HEIGHT:
            raise ValueError("y")
        self.cells[cell_index(x, y, z)] = code

    def name(self, x, y, z):
        return NAMES.get(self.block(x, y, z))


def put(world, name, x, y, z):
    """Fills a cell, or a box of cells where coordinates are ranges."""
    for i in x if isinstance(x, range) else [x]:
        for j in y if isinstance(y, range) else [y]:
            for k in z if isinstance(z, range) else [z]:
                world.set_block(i, j, k, CODES[name] if name else AIR)


def simulate(world, *, facing=None, **inventory):
    """A player at (0.5, 0.5) looking south; with `facing`, at a column of two such blocks two cells ahead."""
    if facing:
        put(world, facing, 0, range(GROUND, GROUND + 2), 2)
    return Simulation(world, 0.5, 0.5, inventory=inventory)


def run(simulation, ticks, **keys):
    """Holds keys down for some ticks and returns all events."""
    return [event for _ in range(ticks) for event in simulation.tick(Controls(**keys))]


def types(events):
    return [event["type"] for event in events]


def look_down(simulation, pitch=90.0):
    simulation.tick(Controls(camera_pitch=pitch - simulation.body[physics.PITCH]))


def ticks_to_mine(simulation, most=500):
    """Holds attack until a block breaks; returns the number of ticks, and the events of the last."""
    for tick in range(1, most + 1):
        events = simulation.tick(Controls(attack=True))
        if events:
            return tick, events
    return None, []
