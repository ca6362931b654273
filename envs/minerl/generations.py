"""What MineRL 0.4 and 1.0 look like from outside: spaces, sizes, and what `env.task` says.

Sources: MineRL 1.0, `human_controls.py`; MineRL 0.4.4, `treechop_specs.py` and `navigate_specs.py`; both in
`minerl/herobraine/env_specs/`. VPT, `agent.py`.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from worldmodel.data.minecraft.dictionary import CAMERA_LIMIT_DEGREES, KEYS, no_op
from worldmodel.data.minecraft.minerl import BUTTONS_04

MAX_COUNT = 2304
"""Most of one item that MineRL's inventory counts: 36 slots of 64."""


class Generation(Enum):
    """Which MineRL an environment looks like."""

    NEW = "1.0"
    """1.0, BASALT 2022 and VPT: pictures of 640 x 360, 24 keys."""
    OLD = "0.4"
    """0.4, as MineRLTreechop-v0: pictures of 64 x 64, 8 keys and the camera."""


SIZES = {Generation.NEW: (360, 640), Generation.OLD: (64, 64)}
"""Height and width of pictures."""

_KEYS = {Generation.NEW: KEYS, Generation.OLD: tuple(sorted((*BUTTONS_04, "camera")))}


@dataclass(kw_only=True, slots=True)
class Task:
    """What `env.task` says of an environment; VPT's `agent.py` compares it with what it was trained on.

    Attributes:
        name: Of the environment.
        max_episode_steps: Time limit in steps; `None` if there is none.
        resolution: Width and height of pictures.
        fov_range: Least and greatest vertical field of view in degrees.
        gamma_range: Of the brightness; that of VPT's data.
        guiscale_range: Of the size of menus, of which there are none here; that of VPT's data.
        cursor_size_range: Of the pointer in menus; likewise.
        frameskip: Steps an action lasts.
        agent_names: Of the players.
    """

    name: str
    max_episode_steps: int | None
    resolution: list[int]
    fov_range: list[float]
    gamma_range: list[float] = field(default_factory=lambda: [2.0, 2.0])
    guiscale_range: list[float] = field(default_factory=lambda: [1.0, 1.0])
    cursor_size_range: list[float] = field(default_factory=lambda: [16.0, 16.0])
    frameskip: int = 1
    agent_names: list[str] = field(default_factory=lambda: ["agent_0"])


def space_module() -> ModuleType:
    """Returns Gym's module of spaces, or Gymnasium's where there is no Gym."""
    return importlib.import_module("gym.spaces" if importlib.util.find_spec("gym") else "gymnasium.spaces")


def action_space(module: Any, generation: Generation) -> Any:
    """Returns an action space, with `noop` (0.4) and `no_op` (1.0), which return a new action that does nothing.

    Args:
        module: `gym.spaces` or `gymnasium.spaces`.
        generation: Whose keys: 1.0 has 24, 0.4 the 9 of Treechop.
    """
    names, limit = _KEYS[generation], CAMERA_LIMIT_DEGREES
    camera = module.Box(low=-limit, high=limit, shape=(2,), dtype=np.float32)
    space = module.Dict({name: camera if name == "camera" else module.Discrete(2) for name in names})
    space.noop = space.no_op = partial(_no_op, names)
    return space


def observation_space(module: Any, generation: Generation, items: Sequence[str], has_compass: bool) -> Any:
    """Returns an observation space: `pov`, and what else is known.

    Args:
        module: `gym.spaces` or `gymnasium.spaces`.
        generation: Whose pictures.
        items: What `inventory` counts; it is left out if there are none.
        has_compass: Whether there is `compass`, with the `angle` to the goal in degrees.
    """
    parts = {"pov": module.Box(low=0, high=255, shape=(*SIZES[generation], 3), dtype=np.uint8)}
    if items:
        counts = {name: module.Box(low=0, high=MAX_COUNT, shape=(), dtype=np.int32) for name in items}
        parts["inventory"] = module.Dict(counts)
    if has_compass:
        angle = module.Box(low=-180.0, high=180.0, shape=(), dtype=np.float32)
        parts["compass"] = module.Dict({"angle": angle})
    return module.Dict(parts)


def _no_op(names: tuple[str, ...]) -> dict[str, Any]:
    nothing = no_op()
    return {name: nothing[name] for name in names}
