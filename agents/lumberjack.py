"""A player that fells trees."""

import math

from worldmodel.agents.player import Info, Script, ScriptedPlayer
from worldmodel.agents.steering import Steering
from worldmodel.envs.voxel.blocks import LOGS, NAMES

_LOG_NAMES = tuple(NAMES[code] for code in LOGS)
_REACH = 4.3
"""Blocks from the eyes to the middle of a log: a little less than the true reach."""


class LumberjackPlayer(ScriptedPlayer):
    """Walks from tree to tree and mines each trunk from below, as high as it can reach."""

    def script(self, info: Info) -> Script:
        """Fells one tree after another; where there are none, looks for a forest."""
        steering = Steering(self.world, self.random)
        hopeless: set[tuple[int, int]] = set()
        heading = info["pose"]["yaw"]
        while True:
            logs = [(x, y, z) for x, y, z in steering.find(_LOG_NAMES, 40) if (x, z) not in hopeless]
            if not logs:
                heading += float(self.random.normal(0.0, 40.0))
                x = info["pose"]["x"] - 24.0 * math.sin(math.radians(heading))
                z = info["pose"]["z"] + 24.0 * math.cos(math.radians(heading))
                info, _ = yield from steering.walk(info, (x, z), within=3.0, sprint=True)
                info = yield {}
                continue
            x, _, z = logs[0]
            far = math.hypot(x + 0.5 - info["pose"]["x"], z + 0.5 - info["pose"]["z"]) > 8.0
            info, _ = yield from steering.walk(info, (x + 0.5, z + 0.5), within=1.8, sprint=far)
            hopeless.add((x, z))  # what is left of it later is out of reach
            for cell in sorted((cell for cell in logs if (cell[0], cell[2]) == (x, z)), key=lambda cell: cell[1]):
                pose = info["pose"]
                offset = x + 0.5 - pose["x"], cell[1] + 0.5 - pose["y"] - 1.62, z + 0.5 - pose["z"]
                if math.hypot(*offset) > _REACH:
                    break
                info, _ = yield from steering.mine(info, cell)
            info = yield {}
