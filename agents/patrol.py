"""A player that walks away and comes back: A-B-A or A-B-C-A. Is the place it returns to the one it left?"""

import math

import gymnasium

from worldmodel.agents.pathfinding import Terrain, find_path
from worldmodel.agents.player import Info, Script, ScriptedPlayer
from worldmodel.agents.steering import Steering, feet_cell, turn_between

_TAP = 0.033
"""Blocks. One tap of a key, sneaking, moves twice as far, so nothing nearer can be improved."""
_GLIDE = 1.2
"""How much farther a body glides after a step, in lengths of that step: 0.546 / (1 - 0.546) on normal ground."""


class PatrolPlayer(ScriptedPlayer):
    """Walks to one or two places and back to the start, and ends with the exact direction it started with.

    Attributes:
        rounds: How many times it has come back.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        *,
        waypoints: int = 2,
        distance: float = 12.0,
        wait_steps: int = 20,
        repeats: int | None = None,
    ) -> None:
        """Makes a player for one environment.

        Args:
            env: A block world with the dictionary of keys.
            waypoints: 2 for A-B-A, 3 for A-B-C-A (a triangle with equal sides).
            distance: Blocks between waypoints; less where the land does not allow it.
            wait_steps: Steps of standing still at every waypoint.
            repeats: After how many rounds to stand still for good; by default never.

        Raises:
            ValueError: If `waypoints` is neither 2 nor 3, or `distance` is not in [2, 48].
        """
        super().__init__(env)
        if waypoints not in (2, 3):
            raise ValueError(f"waypoints: expected 2 (A-B-A) or 3 (A-B-C-A), got {waypoints}")
        if not 2.0 <= distance <= 48.0:
            raise ValueError(f"distance: expected 2 to 48 blocks, got {distance}")
        self._waypoints = waypoints
        self._distance = distance
        self._wait_steps = wait_steps
        self._repeats = repeats
        self.rounds = 0

    def reset(self, seed: int) -> None:
        """Starts an episode."""
        super().reset(seed)
        self.rounds = 0

    def script(self, info: Info) -> Script:
        """Walks the path, again and again."""
        steering = Steering(self.world, self.random)
        start = dict(info["pose"])
        while self._repeats is None or self.rounds < self._repeats:
            info = yield from steering.hold(info, {}, self._wait_steps)
            for goal in self._plan(info):
                # Only ways that can be walked both ways: no water, no drop that cannot be climbed.
                info, _ = yield from steering.walk(info, goal, within=1.0, max_drop=1, swims=False)
                info = yield from steering.hold(info, {}, self._wait_steps)
            info, _ = yield from steering.walk(info, (start["x"], start["z"]), max_drop=1)
            info = yield from steering.look(info, start["pitch"], start["yaw"])
            info = yield from self._settle(info, start["x"], start["z"])
            self.rounds += 1
        return info

    def _plan(self, info: Info) -> list[tuple[float, float]]:
        """Chooses the places to visit: of eight directions, the one with the longest way."""
        pose = info["pose"]
        terrain = Terrain(self.world.block_at, max_drop=1, swims=False)
        first = pose["yaw"] + float(self.random.uniform(-45.0, 45.0))
        best: list[tuple[float, float]] = []
        best_length = -1.0
        for turn in (0, 45, -45, 90, -90, 135, -135, 180):
            places = []
            for yaw in (first + turn, first + turn + 60.0)[: self._waypoints - 1]:
                x = pose["x"] - self._distance * math.sin(math.radians(yaw))
                z = pose["z"] + self._distance * math.cos(math.radians(yaw))
                end = find_path(terrain, feet_cell(info), (x, z), within=1.0, max_cells=1500).cells[-1]
                places.append((end[0] + 0.5, end[2] + 0.5))
            length = min(math.hypot(x - pose["x"], z - pose["z"]) for x, z in places)
            if length > best_length + 0.5:
                best, best_length = places, length
            if best_length >= self._distance - 1.5:
                break
        return best

    def _settle(self, info: Info, x: float, z: float) -> Script:
        """Moves onto a point by short sneaking steps, without turning."""
        yaw = math.radians(info["pose"]["yaw"])
        last = (info["pose"]["x"], info["pose"]["z"])
        for _ in range(100 // self.world.config.frame_skip):
            pose = info["pose"]
            moved = pose["x"] - last[0], pose["z"] - last[1]
            last = pose["x"], pose["z"]
            dx, dz = x - pose["x"] - _GLIDE * moved[0], z - pose["z"] - _GLIDE * moved[1]
            ahead, left = -dx * math.sin(yaw) + dz * math.cos(yaw), dx * math.cos(yaw) + dz * math.sin(yaw)
            if max(abs(ahead), abs(left)) <= _TAP and math.hypot(*moved) < 0.002:
                break
            info = yield {
                "sneak": 1,
                "forward": int(ahead > _TAP),
                "back": int(ahead < -_TAP),
                "left": int(left > _TAP),
                "right": int(left < -_TAP),
            }
        assert abs(turn_between(info["pose"]["yaw"], math.degrees(yaw))) < 1e-6
        return info
