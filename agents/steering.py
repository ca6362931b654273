"""Behaviours that scripted players share: look, walk, mine, place. Each is a generator over steps (`player.Script`).

The camera moves as a hand moves a mouse: it speeds up, turns at no more than `MAX_TURN`, slows down, and ends exactly
where it should.
"""

import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from worldmodel.agents.pathfinding import Cell, Terrain, find_path
from worldmodel.agents.player import Info, Keys, Script
from worldmodel.envs.voxel.blocks import BLOCKS, CODES, Shape
from worldmodel.envs.voxel.inventory import HOTBAR_SLOTS

MAX_TURN = 15.0
"""Most degrees per step that the camera turns about each axis."""
_ACCELERATION = 3.0
"""Degrees per step per step."""
_EYES = 1.62
_UNMINABLE = frozenset({"air", "water", "bedrock", "gold_block"})
_PLANTS = frozenset(block.name for block in BLOCKS if block.shape == Shape.CROSS)

Result = Generator[Keys, Info, tuple[Info, bool]]
"""A behaviour that may fail: returns the last `info`, and whether it did what it should."""


def feet_cell(info: Info) -> Cell:
    """Returns the cell of the player's feet."""
    pose = info["pose"]
    return math.floor(pose["x"]), math.floor(pose["y"] + 0.01), math.floor(pose["z"])


def angles_to(info: Info, x: float, y: float, z: float) -> tuple[float, float]:
    """Returns the pitch and yaw, in degrees, that bring the crosshair onto a point."""
    pose = info["pose"]
    dx, dy, dz = x - pose["x"], y - pose["y"] - _EYES, z - pose["z"]
    return -math.degrees(math.atan2(dy, math.hypot(dx, dz))), math.degrees(math.atan2(-dx, dz))


def turn_between(start: float, end: float) -> float:
    """Returns the shortest turn from one yaw to another, in [-180, 180) degrees."""
    return (end - start + 180.0) % 360.0 - 180.0


class Steering:
    """Moves a player's body. Holds the speed of the camera, which goes on from one behaviour to the next."""

    def __init__(self, world: Any, random: np.random.Generator) -> None:
        """Takes hold of the body.

        Args:
            world: The unwrapped environment.
            random: Generator of the player.
        """
        self.world = world
        self.random = random
        self._speed = [0.0, 0.0]

    def camera(self, info: Info, pitch: float | None, yaw: float | None, max_turn: float = MAX_TURN) -> list[float]:
        """Returns the camera movement of this step towards a direction; `None` leaves an angle alone."""
        pose = info["pose"]
        errors = (
            0.0 if pitch is None else min(max(pitch, -90.0), 90.0) - pose["pitch"],
            0.0 if yaw is None else turn_between(pose["yaw"], yaw),
        )
        for axis, error in enumerate(errors):
            # The highest speed from which it can still brake in time, in whole steps.
            braking = _ACCELERATION * (math.sqrt(1.0 + 8.0 * abs(error) / _ACCELERATION) - 1.0) / 2.0
            wanted = math.copysign(min(braking, max_turn, abs(error)), error)
            last = self._speed[axis]
            self._speed[axis] = min(max(wanted, last - _ACCELERATION), last + _ACCELERATION)
            if abs(error) <= _ACCELERATION and abs(last) <= 2.0 * _ACCELERATION:
                self._speed[axis] = error
        return list(self._speed)

    def hold(self, info: Info, keys: Keys, steps: int) -> Script:
        """Holds keys for some steps."""
        for _ in range(steps):
            self._speed = [0.0, 0.0]
            info = yield dict(keys)
        return info

    def look(
        self, info: Info, pitch: float | None, yaw: float | None, keys: Keys | None = None, max_turn: float = MAX_TURN
    ) -> Script:
        """Turns the camera to a direction, exactly, while holding keys."""
        for _ in range(120):
            pose = info["pose"]
            off = max(
                0.0 if pitch is None else abs(min(max(pitch, -90.0), 90.0) - pose["pitch"]),
                0.0 if yaw is None else abs(turn_between(pose["yaw"], yaw)),
            )
            if off < 1e-9:  # a second, tiny movement makes up for the rounding of the first to float32
                break
            info = yield {**(keys or {}), "camera": self.camera(info, pitch, yaw, max_turn)}
        self._speed = [0.0, 0.0]
        return info

    def walk(
        self,
        info: Info,
        goal: tuple[float, float],
        *,
        within: float = 0.8,
        sprint: bool = False,
        sneak: bool = False,
        max_drop: int = 3,
        swims: bool = True,
        max_steps: int = 600,
    ) -> Result:
        """Walks to a point (x, z) around what is in the way; plans anew when it gets stuck.

        Args:
            info: The latest `info`.
            goal: Where to go.
            within: Horizontal distance from it that will do.
            sprint: Whether to run where the way is straight.
            sneak: Whether to sneak.
            max_drop: Blocks that one step may go down.
            swims: Whether to enter water.
            max_steps: When to give up.
        """
        left = max_steps
        for attempt in range(5):
            terrain = Terrain(self.world.block_at, max_drop, swims or info["in_water"])
            path = find_path(terrain, feet_cell(info), goal, within=within)
            keys = {"sprint": int(sprint), "sneak": int(sneak)}
            info, left = yield from self._follow(info, terrain, path.cells, keys, left)
            near = math.hypot(info["pose"]["x"] - goal[0], info["pose"]["z"] - goal[1]) <= within + 0.3
            if near or left <= 0 or (attempt and not path.arrives and not path.enclosed):
                return info, near
            if path.enclosed:
                info = yield from self._dig_out(info, goal)
            elif feet_cell(info) != path.cells[-1]:
                info = yield from self._wriggle(info)
        return info, False

    def _follow(
        self, info: Info, terrain: Terrain, path: list[Cell], keys: Keys, left: int
    ) -> Generator[Keys, Info, tuple[Info, int]]:
        """Follows a path until its end, or until there is no progress; returns the steps that are left."""
        index, waiting, best = 0, 0, math.inf
        close = max(0.35, 0.2 * self.world.config.frame_skip)  # about as far as a step walks
        pitch = float(np.clip(self.random.normal(8.0, 10.0), -30.0, 40.0))
        while index < len(path) and left > 0 and waiting < 30:
            pose = info["pose"]
            index = _furthest_straight(terrain, info, path, index)
            x, y, z = path[index]
            distance = math.hypot(x + 0.5 - pose["x"], z + 0.5 - pose["z"])
            if distance < close and abs(pose["y"] - y) < 1.1:
                index, best, waiting = index + 1, math.inf, 0
                continue
            if distance < best - 0.1:
                best, waiting = distance, 0
            waiting += 1
            left -= 1
            yaw = math.degrees(math.atan2(pose["x"] - x - 0.5, z + 0.5 - pose["z"]))
            off = abs(turn_between(pose["yaw"], yaw))
            climbs = y > pose["y"] + 0.5 and distance < 1.7
            info = yield {
                **keys,
                "forward": int(off < (20.0 if distance < 1.5 else 50.0)),
                "jump": int((climbs and off < 20.0) or info["in_water"]),
                "sprint": int(keys["sprint"] and off < 15.0 and distance > 2.0 and not climbs),
                "camera": self.camera(info, pitch, yaw),
            }
        return info, left

    def _wriggle(self, info: Info) -> Script:
        """Gets loose: jumps, backs off and sidesteps at random."""
        side = "left" if self.random.random() < 0.5 else "right"
        info = yield from self.hold(info, {"back": 1, side: 1, "jump": 1}, int(self.random.integers(4, 10)))
        return (yield from self.hold(info, {"forward": 1, side: 1, "jump": 1}, int(self.random.integers(4, 10))))

    def _dig_out(self, info: Info, goal: tuple[float, float]) -> Script:
        """Leaves a hole: digs one step of a stair upwards, towards the goal, and takes it."""
        x, y, z = feet_cell(info)
        to_x, to_z = goal[0] - x - 0.5, goal[1] - z - 0.5
        dx, dz = (int(math.copysign(1, to_x)), 0) if abs(to_x) > abs(to_z) else (0, int(math.copysign(1, to_z)))
        for cell in ((x, y + 2, z), (x + dx, y + 1, z + dz), (x + dx, y + 2, z + dz)):
            if self.world.block_at(*cell) not in _UNMINABLE:
                info, _ = yield from self.mine(info, cell)
        info = yield from self.look(info, 0.0, angles_to(info, x + dx + 0.5, y, z + dz + 0.5)[1])
        return (yield from self.hold(info, {"forward": 1, "jump": 1}, 12))

    def mine(self, info: Info, cell: Cell, max_steps: int = 200) -> Result:
        """Mines the block in a cell, and what is in the way of the crosshair."""
        name = self.world.block_at(*cell)
        for _ in range(max_steps):
            if self.world.block_at(*cell) != name or name in _UNMINABLE:
                return info, name not in _UNMINABLE
            info, aimed = yield from self._aim(info, cell[0] + 0.5, cell[1] + 0.5, cell[2] + 0.5, tolerance=3.0)
            target = self.world.target
            if not aimed or target is None or target["block"] in _UNMINABLE:
                return info, False
            info = yield {"attack": 1}
        return info, False

    def place(self, info: Info, cell: Cell, item: str) -> Result:
        """Places a block into a cell, on top of the block below it; plants in the way go."""
        info, selected = yield from self.select(info, item)
        if not selected:
            return info, False
        x, y, z = cell
        for _ in range(6):
            # Aim at the part of the face that is towards the player: it is seen over the edges of lower blocks.
            towards_x, towards_z = info["pose"]["x"] - x - 0.5, info["pose"]["z"] - z - 0.5
            share = 0.3 / max(abs(towards_x), abs(towards_z), 0.3)
            info, aimed = yield from self._aim(
                info, x + 0.5 + share * towards_x, float(y), z + 0.5 + share * towards_z, tolerance=0.3
            )
            target = self.world.target
            if not aimed or target is None:
                return info, False
            if target["block"] in _PLANTS:
                info = yield {"attack": 1}
                info = yield {}
            elif tuple(target["position"]) == (x, y - 1, z):
                info = yield {"use": 1}
                info = yield {}
                break
            else:
                return info, False
        return info, self.world.block_at(*cell) == item

    def _aim(self, info: Info, x: float, y: float, z: float, tolerance: float) -> Result:
        """Brings the crosshair onto a point, within some degrees."""
        for _ in range(60):
            pitch, yaw = angles_to(info, x, y, z)
            pose = info["pose"]
            if max(abs(pitch - pose["pitch"]), abs(turn_between(pose["yaw"], yaw))) <= tolerance:
                self._speed = [0.0, 0.0]
                return info, True
            info = yield {"camera": self.camera(info, pitch, yaw)}
        return info, False

    def find(self, names: Sequence[str], radius: int) -> list[list[int]]:
        """Returns the cells that hold certain blocks, as `[x, y, z]`, nearest first."""
        return self.world.find_blocks(names, min(radius, self.world.config.view_distance)).tolist()

    def select(self, info: Info, item: str) -> Result:
        """Selects the hotbar slot that holds an item."""
        hotbar = self.world.get_state()["simulation"]["inventory"]["items"][:HOTBAR_SLOTS].tolist()
        if CODES[item] not in hotbar:
            return info, False
        slot = hotbar.index(CODES[item])
        if info["hotbar"] != slot:
            info = yield {f"hotbar.{slot + 1}": 1}
        return info, True


def _furthest_straight(terrain: Terrain, info: Info, path: list[Cell], index: int) -> int:
    """Returns the last of the next few cells that can be walked to in a straight line on level ground."""
    pose = info["pose"]
    y = path[index][1]
    best = index
    for ahead in range(index + 1, min(index + 9, len(path))):
        cell = path[ahead]
        if cell[1] != y or feet_cell(info)[1] != y:
            break
        dx, dz = cell[0] + 0.5 - pose["x"], cell[2] + 0.5 - pose["z"]
        steps = math.ceil(4.0 * math.hypot(dx, dz))
        if not all(_has_room(terrain, pose["x"] + dx * i / steps, y, pose["z"] + dz * i / steps) for i in range(steps)):
            break
        best = ahead
    return best


def _has_room(terrain: Terrain, x: float, y: int, z: float) -> bool:
    """Whether the body fits at a point, and has ground under all its corners."""
    corners = {(math.floor(x + i), math.floor(z + k)) for i in (-0.35, 0.35) for k in (-0.35, 0.35)}
    return all(terrain.stands(i, y, k) and terrain.is_open(i, y + 1, k) for i, k in corners)
