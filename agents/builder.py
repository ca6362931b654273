"""A player that digs for blocks and builds walls, pillars and yards with them."""

import itertools
import math

from worldmodel.agents.pathfinding import Cell, Terrain
from worldmodel.agents.player import Info, Keys, Script, ScriptedPlayer
from worldmodel.agents.steering import Result, Steering, feet_cell

_DIGGABLE = {
    "grass_block": "dirt",
    "snowy_grass_block": "dirt",
    "dirt": "dirt",
    "sand": "sand",
    "gravel": "gravel",
}
"""Blocks to dig for, and what they give."""

_WALL = [(side, up, 3) for up in (0, 1) for side in (-2, -1, 0, 1, 2)]
_RING = [
    (side, up, ahead)
    for up in (0, 1)
    for side in range(-2, 3)
    for ahead in range(-2, 3)
    if max(abs(side), abs(ahead)) == 2 and (side, ahead) != (0, 2)
]
_PLANS: dict[str, list[Cell]] = {"wall": _WALL, "yard": _RING, "pillar": [(0, up, 0) for up in range(4)]}
"""Cells of each building relative to the builder's feet: side, up, ahead. The yard has a gap to leave by."""


class BuilderPlayer(ScriptedPlayer):
    """Digs a hole, carries the blocks to a flat place, builds something there, and starts again."""

    def script(self, info: Info) -> Script:
        """Gathers and builds by turns."""
        steering = Steering(self.world, self.random)
        while True:
            name = str(self.random.choice(("wall", "pillar", "yard"), p=(0.5, 0.25, 0.25)))
            info = yield from self._gather(info, steering, len(_PLANS[name]))
            info, found = yield from self._go_to_flat_place(info, steering)
            item = max(_DIGGABLE.values(), key=lambda item: info["inventory"].get(item, 0))
            if found and name != "pillar":
                info = yield from self._build(info, steering, _PLANS[name], item)
            else:  # there is room for a pillar everywhere
                info = yield from self._pillar(info, steering, item)
            info = yield from self._admire(info, steering)
            info = yield from self._wander(info, steering, 14.0)

    def _gather(self, info: Info, steering: Steering, count: int) -> Script:
        """Digs until there are enough blocks of one kind."""
        hopeless: set[Cell] = set()
        for _ in range(3 * count):
            if max(info["inventory"].get(item, 0) for item in _DIGGABLE.values()) >= count:
                break
            cell = self._diggable_cell(info, hopeless)
            if cell is None:
                info = yield from self._go_to_diggable(info, steering, hopeless)
            else:
                info, done = yield from steering.mine(info, cell, max_steps=60)
                if not done:
                    hopeless.add(cell)
            info = yield {}
        return info

    def _diggable_cell(self, info: Info, hopeless: set[Cell]) -> Cell | None:
        """Chooses the next block to dig: in reach, uncovered, upper layer first, and not underfoot."""
        x, y, z = feet_cell(info)
        best, least = None, math.inf
        for down, dx, dz in itertools.product((-1, 0, 1, 2), range(-3, 4), range(-3, 4)):
            cell = x + dx, y - down, z + dz
            if (
                max(abs(dx), abs(dz)) >= 2
                and math.hypot(dx, dz, down + 1.1) < 4.2
                and cell not in hopeless
                and self.world.block_at(*cell) in _DIGGABLE
                and self._is_uncovered(*cell)
            ):
                # Near (2, 2), so that one pit grows instead of many.
                cost = 3.0 * down + math.hypot(dx, dz) + 0.3 * abs(dx - 2) + 0.3 * abs(dz - 2)
                if cost < least:
                    best, least = cell, cost
        return best

    def _is_uncovered(self, x: int, y: int, z: int) -> bool:
        return self.world.block_at(x, y + 1, z) in ("air", "short_grass", "dead_bush", "poppy", "dandelion")

    def _go_to_diggable(self, info: Info, steering: Steering, hopeless: set[Cell]) -> Script:
        """Walks to ground that can be dug, or somewhere else if that cannot be reached."""
        for x, y, z in steering.find(tuple(_DIGGABLE), 48)[:4000]:
            if (x, y, z) not in hopeless and self._is_uncovered(x, y, z):
                hopeless.add((x, y, z))  # either it can be dug from there, or there is no use in trying again
                info, near = yield from steering.walk(info, (x + 0.5, z + 0.5), within=2.5, max_steps=300)
                if near:
                    return info
                break
        return (yield from self._wander(info, steering, 20.0))

    def _go_to_flat_place(self, info: Info, steering: Steering) -> Result:
        """Walks to a place with level, open ground all around."""
        for _ in range(4):
            place = self._flat_place(info)
            if place is not None:
                # The middle of the cell, so that all of the building is in reach.
                info, near = yield from steering.walk(info, (place[0] + 0.5, place[2] + 0.5), within=0.5)
                if near and feet_cell(info) == place:
                    return info, True
            info = yield from self._wander(info, steering, 12.0)
        return info, False

    def _flat_place(self, info: Info) -> Cell | None:
        """Returns the nearest cell, at least 5 blocks away, with 7 x 7 cells of level ground around it."""
        terrain = Terrain(self.world.block_at)
        x, y, z = feet_cell(info)
        offsets = [(i, k) for i in range(-14, 15) for k in range(-14, 15) if math.hypot(i, k) >= 5.0]
        for i, k in sorted(offsets, key=lambda offset: math.hypot(*offset)):
            for height in (y, y + 1, y - 1, y + 2, y - 2):
                if terrain.stands(x + i, height, z + k):
                    if _is_flat(terrain, x + i, height, z + k):
                        return x + i, height, z + k
                    break
        return None

    def _build(self, info: Info, steering: Steering, plan: list[Cell], item: str) -> Script:
        """Places the cells of a plan, turned into one of four directions, from where the player stands."""
        x, y, z = feet_cell(info)
        ahead_x, ahead_z = ((1, 0), (0, 1), (-1, 0), (0, -1))[int(self.random.integers(4))]
        cells = [
            (x + ahead * ahead_x - side * ahead_z, y + up, z + ahead * ahead_z + side * ahead_x)
            for side, up, ahead in plan
        ]
        # Layer by layer, and around the player, so that the camera sweeps instead of jumping.
        for cell in sorted(cells, key=lambda cell: (cell[1], math.atan2(cell[2] - z, cell[0] - x))):
            info, _ = yield from steering.place(info, cell, item)
        return info

    def _pillar(self, info: Info, steering: Steering, item: str) -> Script:
        """Jumps and places blocks underfoot, looks around from above, and digs its way down again."""
        info, _ = yield from steering.select(info, item)
        info = yield from steering.look(info, 90.0, None)
        base = info["pose"]["y"]
        for _ in _PLANS["pillar"]:
            ground = info["pose"]["y"]
            for _ in range(14):
                high = info["pose"]["y"] > ground + 1.01
                info = yield {"use": 1} if high else {"jump": int(info["on_ground"])}
                if any(event["type"] == "placed" for event in info["events"]):
                    break
            info = yield from steering.hold(info, {}, 8)
        info = yield from self._admire(info, steering)
        info = yield from steering.look(info, 90.0, None)
        for _ in range(200):
            if info["pose"]["y"] < base + 0.5:
                break
            info = yield {"attack": 1}
        return info

    def _admire(self, info: Info, steering: Steering) -> Script:
        """Looks around."""
        for _ in range(2):
            keys: Keys = {}
            yaw = info["pose"]["yaw"] + float(self.random.uniform(60.0, 150.0))
            info = yield from steering.look(info, float(self.random.uniform(-5.0, 30.0)), yaw, keys, max_turn=8.0)
            info = yield from steering.hold(info, {}, 6)
        return info

    def _wander(self, info: Info, steering: Steering, distance: float) -> Script:
        """Walks some way in a random direction."""
        angle = float(self.random.uniform(0.0, 2.0 * math.pi))
        pose = info["pose"]
        goal = pose["x"] + distance * math.cos(angle), pose["z"] + distance * math.sin(angle)
        info, _ = yield from steering.walk(info, goal, within=2.0, max_steps=200)
        info = yield {}
        return info


def _is_flat(terrain: Terrain, x: int, y: int, z: int) -> bool:
    around = [(x + i, z + k) for i in range(-3, 4) for k in range(-3, 4)]
    return all(terrain.stands(i, y, k) and terrain.is_open(i, y + 2, k) for i, k in around)
