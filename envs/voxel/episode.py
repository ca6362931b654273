"""One episode in the block world: world, player, hour, weather and task, a tick at a time, and its saved state."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from worldmodel.envs.voxel import physics
from worldmodel.envs.voxel.climate import Climate, Weather
from worldmodel.envs.voxel.config import VoxelConfig
from worldmodel.envs.voxel.controls import Controls
from worldmodel.envs.voxel.renderer import View
from worldmodel.envs.voxel.simulation import Event, Simulation
from worldmodel.envs.voxel.tasks import TASKS
from worldmodel.envs.voxel.terrain import BIOMES, biome_at, find_spawn
from worldmodel.envs.voxel.world import World

_CRACK_STAGES = 10


class Episode:
    """What goes on between two resets.

    Attributes:
        world: The blocks.
        simulation: The player.
        climate: Hour and weather.
        task: What is rewarded.
        controls: What the latest tick obeyed.
        over: Whether the player died or the task is done.
    """

    def __init__(
        self,
        config: VoxelConfig,
        generator: np.random.Generator,
        *,
        world_seed: int,
        biome: str | None,
        start_time: float,
        weather: Weather,
    ) -> None:
        """Makes a world and puts the player into it.

        Args:
            config: Settings of the environment.
            generator: Draws where the player looks, and what the task needs.
            world_seed: Seed of the terrain.
            biome: Where to start; `None` for anywhere.
            start_time: Time of day.
            weather: Kind of weather.
        """
        x, z = find_spawn(world_seed, biome)
        self.world = World(world_seed, config.view_distance)
        self.simulation = Simulation(self.world, x + 0.5, z + 0.5, inventory=config.inventory)
        self.simulation.body[physics.YAW] = generator.uniform(-180.0, 180.0)
        self.climate = Climate(world_seed, start_time, config.day_length_ticks, weather, self.biome())
        self.task = TASKS[config.task]()
        self.task.start(self.world, self.simulation, generator)
        self.controls = Controls()
        self.over = False

    def tick(self, controls: Controls) -> list[Event]:
        """Lets a tick pass and returns its events."""
        self.controls = controls
        events = self.simulation.tick(controls)
        self.climate.advance(self.biome())
        return events

    def evaluate(self, events: list[Event]) -> float:
        """Returns the reward for the events of a step, and notes whether the episode is over."""
        reward, done = self.task.evaluate(self.simulation, events)
        self.over = done or self.simulation.dead
        return reward

    def get_state(self) -> dict[str, Any]:
        """Returns all that is needed to go on exactly from here, as plain picklable values."""
        return {
            "world": self.world.get_state(),
            "simulation": self.simulation.get_state(),
            "climate": self.climate.get_state(),
            "task": self.task.get_state(),
            "controls": self.controls,
            "over": self.over,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `get_state` of an episode with the same task."""
        body = state["simulation"]["body"]
        self.world.set_state(state["world"])
        self.world.recentre(body[physics.X], body[physics.Z])
        self.simulation.set_state(state["simulation"])
        self.climate.set_state(state["climate"])
        self.task.set_state(state["task"])
        self.controls = state["controls"]
        self.over = state["over"]

    def view(self) -> View:
        """Returns what a picture of this moment is taken of, the world being made ready for it."""
        self.world.refresh()
        simulation, climate, body = self.simulation, self.climate, self.simulation.body.tolist()
        target, progress = simulation.target, simulation.mining_progress
        x, y, z = self.eye()
        return View(
            x=x,
            y=y,
            z=z,
            yaw=body[physics.YAW],
            pitch=body[physics.PITCH],
            target=None if target is None else (target.x, target.y, target.z),
            crack=min(int(progress * _CRACK_STAGES), _CRACK_STAGES - 1) if progress > 0.0 else -1,
            precipitation=climate.precipitation(self.biome()),
            strength=climate.strength,
            tick=climate.tick,
        )

    def biome(self) -> str:
        """Returns the biome that the player is in."""
        body = self.simulation.body
        return BIOMES[biome_at(self.world.seed, math.floor(body[physics.X]), math.floor(body[physics.Z]))]

    def eye(self) -> tuple[float, float, float]:
        """Returns where the player's eye is, in world coordinates."""
        body = self.simulation.body
        return float(body[physics.X]), float(body[physics.Y] + body[physics.EYE_HEIGHT]), float(body[physics.Z])

    def light(self) -> int:
        """Returns the light byte (see `lighting`) of the cell that the eye is in."""
        x, y, z = self.eye()
        return self.world.light_at(math.floor(x), math.floor(y), math.floor(z))
