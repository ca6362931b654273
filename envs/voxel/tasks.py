"""Tasks after those of MineRL (Guss et al., 2019): what is rewarded, and when an episode ends.

A task sees the events of a step and the player; it changes the world only when it starts.
"""

import math
from typing import Any

import numpy as np

from worldmodel.envs.voxel import physics
from worldmodel.envs.voxel.blocks import CODES, LOGS, NAMES
from worldmodel.envs.voxel.grid import HEIGHT
from worldmodel.envs.voxel.simulation import Event, Simulation
from worldmodel.envs.voxel.terrain import surface_height
from worldmodel.envs.voxel.world import World

_LOG_NAMES = frozenset(NAMES[code] for code in LOGS)


class Task:
    """No task: never a reward; an episode ends when the player dies."""

    def start(self, world: World, simulation: Simulation, generator: np.random.Generator) -> None:
        """Prepares the world of a new episode.

        Args:
            world: The new world, which may be changed.
            simulation: The player in it.
            generator: Source of all that is random.
        """

    def evaluate(self, simulation: Simulation, events: list[Event]) -> tuple[float, bool]:
        """Returns the reward of a step and whether the task is over.

        Args:
            simulation: The player after the step.
            events: Of the step; the task may append its own, such as `{"type": "goal"}`.
        """
        return 0.0, False

    def info(self, simulation: Simulation) -> dict[str, Any]:
        """Returns what the task adds to `info`."""
        return {}

    def get_state(self) -> dict[str, Any]:
        """Returns what the task remembers, as plain values."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a `get_state`."""


class Treechop(Task):
    """Collect logs: +1 for each; over at 64 logs (MineRLTreechop-v0)."""

    GOAL = 64

    def __init__(self) -> None:
        """Starts with nothing collected."""
        self._collected = 0

    def start(self, world: World, simulation: Simulation, generator: np.random.Generator) -> None:
        """Forgets the logs of the last episode."""
        self._collected = 0

    def evaluate(self, simulation: Simulation, events: list[Event]) -> tuple[float, bool]:
        """Counts the logs gained in the step."""
        logs = sum(e["count"] for e in events if e["type"] == "gained" and e["item"] in _LOG_NAMES)
        self._collected += logs
        return float(logs), self._collected >= self.GOAL

    def get_state(self) -> dict[str, Any]:
        """Returns the number of logs collected."""
        return {"collected": self._collected}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a `get_state`."""
        self._collected = state["collected"]


class Navigate(Task):
    """Reach a column of gold 40 to 60 blocks away: +100 and over (MineRLNavigate-v0).

    `info["goal"]` has its distance in blocks and its bearing in degrees, + to the right of where the player looks. The
    dense variant also gives +1 for each block by which the player comes closer than ever before.
    """

    REWARD = 100.0
    REACHED = 2.0
    """Horizontal distance from the column's middle at which it is reached, in blocks."""
    _NEAREST, _FARTHEST, _COLUMN_HEIGHT = 40.0, 60.0, 14

    def __init__(self, dense: bool = False) -> None:
        """Chooses the variant.

        Args:
            dense: Whether progress is rewarded too.
        """
        self._dense = dense
        self._goal = (0, 0)
        self._closest = math.inf

    def start(self, world: World, simulation: Simulation, generator: np.random.Generator) -> None:
        """Builds the column on dry land if there is any in reach."""
        x, z = float(simulation.body[physics.X]), float(simulation.body[physics.Z])
        for _ in range(64):
            angle, distance = generator.uniform(0.0, 2.0 * math.pi), generator.uniform(self._NEAREST, self._FARTHEST)
            goal = math.floor(x + distance * math.cos(angle)), math.floor(z + distance * math.sin(angle))
            ground = int(surface_height(world.seed, *goal))
            world.recentre(*goal)
            if world.block(goal[0], ground + 1, goal[1]) != CODES["water"]:
                break
        for y in range(ground + 1, min(ground + 1 + self._COLUMN_HEIGHT, HEIGHT - 1)):
            world.set_block(goal[0], y, goal[1], CODES["gold_block"])
        world.recentre(x, z)
        self._goal = goal
        self._closest = self._distance(simulation)

    def evaluate(self, simulation: Simulation, events: list[Event]) -> tuple[float, bool]:
        """Rewards arrival, and progress in the dense variant."""
        distance = self._distance(simulation)
        reward = 0.0
        if self._dense and distance < self._closest:
            reward = self._closest - distance
            self._closest = distance
        if distance > self.REACHED:
            return reward, False
        events.append({"type": "goal"})
        return reward + self.REWARD, True

    def info(self, simulation: Simulation) -> dict[str, Any]:
        """Returns distance and bearing of the goal."""
        dx = self._goal[0] + 0.5 - float(simulation.body[physics.X])
        dz = self._goal[1] + 0.5 - float(simulation.body[physics.Z])
        bearing = math.degrees(math.atan2(-dx, dz)) - float(simulation.body[physics.YAW])
        return {"goal": {"distance": math.hypot(dx, dz), "bearing": (bearing + 180.0) % 360.0 - 180.0}}

    def get_state(self) -> dict[str, Any]:
        """Returns the goal and the progress."""
        return {"goal": list(self._goal), "closest": self._closest}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a `get_state`."""
        self._goal = (state["goal"][0], state["goal"][1])
        self._closest = state["closest"]

    def _distance(self, simulation: Simulation) -> float:
        dx = self._goal[0] + 0.5 - float(simulation.body[physics.X])
        dz = self._goal[1] + 0.5 - float(simulation.body[physics.Z])
        return math.hypot(dx, dz)


class Pickaxe(Task):
    """Make a stone pickaxe: each milestone on the way is rewarded once (after ObtainIronPickaxe); over at the last."""

    MILESTONES: dict[str, float] = {
        "log": 1.0,
        "oak_planks": 2.0,
        "stick": 4.0,
        "crafting_table": 4.0,
        "wooden_pickaxe": 8.0,
        "cobblestone": 16.0,
        "stone_pickaxe": 32.0,
    }

    def __init__(self) -> None:
        """Starts before the first milestone."""
        self._reached: list[str] = []

    def start(self, world: World, simulation: Simulation, generator: np.random.Generator) -> None:
        """Forgets the milestones of the last episode."""
        self._reached = []

    def evaluate(self, simulation: Simulation, events: list[Event]) -> tuple[float, bool]:
        """Rewards milestones that are reached for the first time."""
        reward = 0.0
        for event in events:
            if event["type"] not in ("gained", "crafted"):
                continue
            item = "log" if event["item"] in _LOG_NAMES else event["item"]
            if item in self.MILESTONES and item not in self._reached:
                self._reached.append(item)
                reward += self.MILESTONES[item]
        return reward, "stone_pickaxe" in self._reached

    def info(self, simulation: Simulation) -> dict[str, Any]:
        """Returns the milestones reached so far, in order."""
        return {"milestones": list(self._reached)}

    def get_state(self) -> dict[str, Any]:
        """Returns the milestones reached."""
        return {"reached": list(self._reached)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a `get_state`."""
        self._reached = list(state["reached"])


TASKS = {
    "none": Task,
    "treechop": Treechop,
    "navigate": Navigate,
    "navigate_dense": lambda: Navigate(dense=True),
    "pickaxe": Pickaxe,
}
"""Makers of the tasks, by name."""
