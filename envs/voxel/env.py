"""The block world as a Gymnasium environment."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from worldmodel.envs import actions
from worldmodel.envs.voxel import captions, physics
from worldmodel.envs.voxel.blocks import AIR, CODES, NAMES
from worldmodel.envs.voxel.climate import Weather
from worldmodel.envs.voxel.config import (
    TICKS_PER_SECOND,
    ActionPreset,
    VoxelConfig,
    as_member,
    check_choice,
    check_range,
)
from worldmodel.envs.voxel.episode import Episode
from worldmodel.envs.voxel.grid import HEIGHT
from worldmodel.envs.voxel.hud import HudSprites, draw_hud
from worldmodel.envs.voxel.renderer import Renderer
from worldmodel.envs.voxel.shading import brightness
from worldmodel.envs.voxel.simulation import Event
from worldmodel.envs.voxel.sky import DAYLIGHT
from worldmodel.envs.voxel.terrain import BIOMES
from worldmodel.envs.voxel.weather import NONE, RAIN

_UNDERGROUND_LIGHT = 3
"""Sky light at the eye up to which a place counts as underground."""


class VoxelEnv(gymnasium.Env):
    """A Minecraft-style block world, seen in first person; see `docs/voxel.md`.

    Observations are `Box(0, 255, (height, width, 3), uint8)`. Actions are the MineRL / VPT dictionary (any part of it
    will do) or, with `actions="discrete"`, an integer. One step lasts `frame_skip` ticks of 1/20 s. An episode ends
    when the player dies or the task is done.

    `reset` takes the options `world_seed`, `biome`, `start_time` and `weather`, which override the settings for one
    episode, and `state`, which goes on from a `get_state`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": TICKS_PER_SECOND}

    def __init__(self, render_mode: str | None = None, **settings: Any) -> None:
        """Makes the environment; the world is made by `reset`.

        Args:
            render_mode: `None` or `"rgb_array"`. With the latter, `frames` has every tick of a step.
            **settings: Of `VoxelConfig`.

        Raises:
            TypeError: If a setting is unknown.
            ValueError: If a setting or the render mode is out of range.
        """
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode: expected None or one of {self.metadata['render_modes']}, got {render_mode!r}"
            )
        known = [setting.name for setting in dataclasses.fields(VoxelConfig)]
        for name in settings:
            if name not in known:
                raise TypeError(f"settings: expected any of {known}, got {name!r}; remove or rename it")
        self.config = VoxelConfig(**settings)
        self.render_mode = render_mode
        # `render` shows one frame a step, which lasts `frame_skip` ticks.
        self.metadata = {**self.metadata, "render_fps": TICKS_PER_SECOND / self.config.frame_skip}
        shape = (self.config.height, self.config.width, 3)
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self._discrete = self.config.actions == ActionPreset.DISCRETE
        self.action_space = actions.discrete_action_space() if self._discrete else actions.action_space()
        self._renderer = Renderer(*shape[:2], self.config.field_of_view)
        self._sprites = HudSprites.for_size(*shape[:2]) if self.config.hud else None
        self._running: Episode | None = None
        self._frame: np.ndarray | None = None
        self._frames: list[np.ndarray] = []

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode: in a new world, which the seed decides, or from a saved state.

        Args:
            seed: Seeds the generator from which this and the following worlds are drawn.
            options: `world_seed`, `biome`, `start_time`, `weather`, `state`; see the class.

        Returns:
            The first observation, and the `info` that is described in `docs/voxel.md`.

        Raises:
            ValueError: If an option is unknown or out of range.
        """
        super().reset(seed=seed)
        options = dict(options or {})
        state = options.pop("state", None)
        if state is not None:
            if options:
                raise ValueError(f"options: a state decides all, got {sorted(options)} besides; leave them out")
            self.set_state(state)
            return self._observe(), self._info([])
        self._running = Episode(self.config, self.np_random, **self._episode_settings(options))
        self._frames = []
        return self._observe(), self._info([])

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Obeys an action for `frame_skip` ticks.

        Args:
            action: A member of the action space, or a part of the dictionary.

        Returns:
            Observation (height, width, 3) uint8, reward, whether the episode ended, `False`, and the `info`.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after the end of an episode.
            TypeError: If the action is of the wrong kind.
            ValueError: If the action has unknown keys or values out of range.
        """
        if self._running is None or self._running.over:
            state = "has not begun" if self._running is None else "is over"
            raise gymnasium.error.ResetNeeded(f"step: the episode {state}; call reset first")
        controls = actions.parse_action(actions.discrete_action(action) if self._discrete else action)
        events: list[Event] = []
        self._frames = []
        for tick in range(self.config.frame_skip):
            events += self._running.tick(controls)
            if self._running.simulation.dead:
                break
            if tick + 1 < self.config.frame_skip and self.render_mode is not None:
                self._frames.append(self._picture())
        reward = self._running.evaluate(events)
        return self._observe(), reward, self._running.over, False, self._info(events)

    def render(self) -> np.ndarray | None:
        """Returns the latest frame, (height, width, 3) uint8, a copy; `None` without a render mode."""
        if self.render_mode is None:
            gymnasium.logger.warn('render: made without a render mode; pass render_mode="rgb_array" to make')
            return None
        return self._latest().copy()

    @property
    def frames(self) -> np.ndarray:
        """Frames of the latest step, one a tick: (T, height, width, 3) uint8, T <= frame_skip; one after reset.

        Raises:
            RuntimeError: Without a render mode, since only the last frame of a step is made then.
        """
        if self.render_mode is None:
            raise RuntimeError('frames: made without a render mode; pass render_mode="rgb_array" to make')
        return np.stack([*self._frames, self._latest()])

    def get_state(self) -> dict[str, Any]:
        """Returns all that is needed to go on exactly from here, as plain picklable values.

        The generator that draws the worlds of later episodes is no part of it.
        """
        return {"kind": self.config.task, **self._episode.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes to a state of `get_state`, of this or another environment with the same task.

        Raises:
            ValueError: If the state is of another task.
        """
        kind = state.get("kind") if isinstance(state, Mapping) else type(state).__name__
        if kind != self.config.task:
            raise ValueError(f"state: expected one of get_state for task {self.config.task!r}, got {kind!r}")
        if self._running is None:
            self._running = Episode(
                self.config, np.random.default_rng(0), world_seed=state["world"]["seed"], biome=None, start_time=0.0,
                weather=Weather.CLEAR,
            )  # fmt: skip
        self._running.set_state(state)
        self._frame = None
        self._frames = []

    def depth(self) -> np.ndarray:
        """Returns the distance of what each pixel shows, in blocks: (height, width) float32, infinity for the sky."""
        self._latest()
        return self._renderer.depth.copy()

    def block_ids(self) -> np.ndarray:
        """Returns the block that each pixel shows: (height, width) uint8 codes of `blocks.NAMES`, 0 for the sky."""
        self._latest()
        return self._renderer.codes.copy()

    def visible_blocks(self) -> dict[str, int]:
        """Returns how many pixels show each kind of block in view, the HUD left aside."""
        codes, counts = np.unique(self.block_ids(), return_counts=True)
        return {NAMES[code]: count for code, count in zip(codes.tolist(), counts.tolist(), strict=True) if code != AIR}

    def block_at(self, x: int, y: int, z: int) -> str:
        """Returns the name of the block in a cell near the player, `"air"` where there is none."""
        code = self._episode.world.block(x, y, z)
        return "air" if code == AIR else NAMES[code]

    def find_blocks(self, names: Sequence[str], radius: int) -> np.ndarray:
        """Finds blocks around the player.

        Args:
            names: Of blocks.
            radius: Greatest distance from the player along x and z, in blocks.

        Returns:
            (N, 3) int64 cells, nearest to the eye first.

        Raises:
            ValueError: If a name is unknown, or the radius exceeds the view distance.
        """
        world = self._episode.world
        for name in names:
            check_choice("names", name, tuple(CODES))
        check_range("radius", radius, 0, self.config.view_distance, "blocks within the view distance", int)
        x, y, z = self._episode.eye()
        columns = np.arange(-radius, radius + 1)
        xs, zs = math.floor(x) + columns, math.floor(z) + columns
        box = world.cells.reshape(-1, HEIGHT)[((xs[:, None] & 255) << 8) | (zs[None, :] & 255)]
        i, k, j = np.nonzero(np.isin(box, [CODES[name] for name in names]))
        cells = np.stack([xs[i], j, zs[k]], axis=1)
        return cells[np.argsort(((cells + 0.5 - (x, y, z)) ** 2).sum(axis=1), kind="stable")]

    @property
    def target(self) -> dict[str, Any] | None:
        """The block under the crosshair within reach: `{"block": name, "position": [x, y, z]}`, or `None`."""
        target = self._episode.simulation.target
        return None if target is None else {"block": NAMES[target.code], "position": [target.x, target.y, target.z]}

    def _episode_settings(self, options: dict[str, Any]) -> dict[str, Any]:
        """Draws what is not given; everything is drawn in any case, so that options do not change later episodes."""
        known = ("world_seed", "biome", "start_time", "weather")
        for name in options:
            check_choice("options", name, (*known, "state"))
        by_day, share = self.np_random.random() < 0.75, self.np_random.random()
        drawn = 0.02 + 0.46 * share if by_day else share
        settings = {
            "world_seed": int(self.np_random.integers(2**62)),
            "biome": self.config.biome,
            "start_time": drawn if self.config.start_time is None else self.config.start_time,
            "weather": self.config.weather,
        } | options
        check_range("world_seed", settings["world_seed"], 0, 2**63 - 1, "a seed", (int, np.integer))
        check_range("start_time", settings["start_time"], 0, 1, "a share of the day", (int, float))
        settings["weather"] = as_member("weather", Weather, settings["weather"])
        if settings["biome"] is not None:
            check_choice("biome", settings["biome"], BIOMES)
        return settings

    def _observe(self) -> np.ndarray:
        """Renders and returns the observation; a copy of it is kept for `render` if there is a render mode."""
        frame = self._picture()
        self._frame = frame if self.render_mode is None else frame.copy()
        return frame

    def _latest(self) -> np.ndarray:
        """Returns the latest frame; after `set_state` it is not yet made."""
        if self._frame is None:
            self._frame = self._picture()
        return self._frame

    def _picture(self) -> np.ndarray:
        """Renders what the player sees."""
        episode, simulation = self._episode, self._episode.simulation
        sky = episode.climate.sky()
        frame = self._renderer.render(episode.world, episode.view(), sky)
        if self._sprites is not None:
            here = episode.light()
            bright = max(brightness(here >> 4) * sky[DAYLIGHT + 1], brightness(here & 15), 0.2)
            inventory = simulation.inventory
            draw_hud(
                frame, self._sprites, inventory.items[:9], inventory.counts[:9], inventory.selected,
                simulation.health, simulation.air, simulation.swing, bright,
            )  # fmt: skip
        return frame

    def _info(self, events: list[Event]) -> dict[str, Any]:
        """Describes the state after a step; every value is new."""
        episode, simulation, climate = self._episode, self._episode.simulation, self._episode.climate
        body, biome = simulation.body.tolist(), episode.biome()
        falling = climate.precipitation(biome)
        weather = "clear" if falling == NONE else ("rain" if falling == RAIN else "snow")
        held = simulation.inventory.held
        mining = simulation.target if simulation.mining_progress > 0.0 else None
        activity, subject = captions.activity_of(
            episode.controls, events, simulation.body, None if mining is None else NAMES[mining.code]
        )
        time_of_day = climate.time_of_day
        scene = captions.Scene(
            biome,
            captions.time_name(time_of_day),
            weather,
            activity,
            subject,
            captions.summarise_view(*self._renderer.statistics()),
            NAMES[held] if held != AIR else None,
            episode.light() >> 4 <= _UNDERGROUND_LIGHT,
            bool(body[physics.EYE_IN_WATER]),
        )
        seed = episode.world.seed
        return {
            "pose": {
                "x": body[physics.X],
                "y": body[physics.Y],
                "z": body[physics.Z],
                "yaw": body[physics.YAW],
                "pitch": body[physics.PITCH],
            },
            "on_ground": bool(body[physics.ON_GROUND]),
            "in_water": bool(body[physics.IN_WATER]),
            "health": simulation.health,
            "inventory": simulation.inventory.as_dict(),
            "hotbar": simulation.inventory.selected,
            "events": events,
            "caption": captions.short_caption(scene, seed),
            "caption_long": captions.long_caption(scene, seed),
            "biome": biome,
            "time_of_day": time_of_day,
            "time_name": scene.time,
            "weather": weather,
            "tick": climate.tick,
        } | episode.task.info(simulation)

    @property
    def _episode(self) -> Episode:
        if self._running is None:
            raise gymnasium.error.ResetNeeded("the episode has not begun; call reset first")
        return self._running
