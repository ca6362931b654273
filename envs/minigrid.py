"""MiniGrid and BabyAI, small worlds of cells with a mission in words, as environments of pictures with captions.

Source: Chevalier-Boisvert et al., "Minigrid & Miniworld: Modular & Customizable Reinforcement Learning Environments for
Goal-Oriented Tasks", https://arxiv.org/abs/2306.13831, and the package `minigrid`, an extra.
"""

import math
from enum import Enum
from typing import Any

from worldmodel.envs.pixels import PixelEnv, import_extra


class View(Enum):
    """What a frame shows."""

    MAP = "map"
    """The whole map, seen from above."""
    AGENT = "agent"
    """What the agent sees of it: the cells in front of it, up to walls, the agent at the bottom."""


class MiniGridEnv(PixelEnv):
    """MiniGrid or BabyAI, in pictures; see `docs/other_worlds.md`.

    Observations are `Box(0, 255, (height, width, 3), uint8)`, actions `Discrete(7)`: turn left, turn right, walk
    forward, pick up, drop, toggle, done. A tick is 0.1 s.
    """

    def __init__(
        self,
        render_mode: str | None = None,
        *,
        level: str = "MiniGrid-DoorKey-8x8-v0",
        view: str = "map",
        **settings: Any,
    ) -> None:
        """Makes the environment.

        Args:
            render_mode: `None` or `"rgb_array"`. With the latter, `frames` has every tick of a step.
            level: Gymnasium id of a level of MiniGrid or BabyAI.
            view: `"map"` or `"agent"`, see `View`.
            **settings: Of `PixelConfig`.

        Raises:
            ImportError: If MiniGrid is not installed; the message says how to install it.
            TypeError: If a setting is unknown.
            ValueError: If a setting or the render mode is out of range.
            gymnasium.error.Error: If there is no such level.
        """
        self._check(render_mode, settings)
        if view not in [member.value for member in View]:
            raise ValueError(f"view: expected {' or '.join(repr(m.value) for m in View)}, got {view!r}")
        if not isinstance(level, str) or not level.startswith(("MiniGrid-", "BabyAI-")):
            raise ValueError(f"level: expected an id such as 'MiniGrid-DoorKey-8x8-v0' or BabyAI-..., got {level!r}")
        import_extra("minigrid", "minigrid", "worldmodel/MiniGrid-v0")
        super().__init__(render_mode, env_id=f"minigrid:{level}", env_kwargs={"render_mode": "rgb_array"}, **settings)
        grid = self._grid = self.inner.unwrapped
        grid.agent_pov, grid.highlight = view == View.AGENT.value, False
        columns, rows = (grid.agent_view_size,) * 2 if grid.agent_pov else (grid.width, grid.height)
        # Drawn no smaller than a frame: then resizing shows all of it, and nothing at all where it fits.
        grid.tile_size = max(math.ceil(self.config.height / rows), math.ceil(self.config.width / columns), 4)
        self._before: tuple[Any, ...] = ()

    def _describe(self, info: dict[str, Any], observation: Any, action: Any, reward: float) -> dict[str, Any]:
        grid, mission = self._grid, str(observation["mission"])
        ahead = grid.grid.get(*grid.front_pos)
        now = (tuple(map(int, grid.agent_pos)), int(grid.agent_dir), grid.carrying, getattr(ahead, "is_open", None))
        parts = [mission, f"the agent {self._activity(self._before if action is not None else now, now, ahead)}"]
        self._before = now
        if ahead is not None:
            parts.append(f"facing {_thing(ahead)}")
        if grid.carrying is not None:
            parts.append(f"carrying {_thing(grid.carrying)}")
        return {"mission": mission, "caption": mission, "caption_long": ", ".join(parts)}

    def _activity(self, before: tuple[Any, ...], now: tuple[Any, ...], ahead: Any) -> str:
        """Returns what the agent did, by what has changed; a step may have had several ticks."""
        (place, direction, carried, was_open), (new_place, new_direction, carries, is_open) = before, now
        if new_place != place:
            return "walks"
        if new_direction != direction:
            return "turns right" if (new_direction - direction) % 4 == 1 else "turns left"
        if carries is not carried:
            return f"picks up {_thing(carries)}" if carries is not None else f"drops {_thing(carried)}"
        if None not in (was_open, is_open) and is_open != was_open:
            return f"{'opens' if is_open else 'closes'} {_thing(ahead, False)}"
        return "stands still"


def _thing(thing: Any, with_state: bool = True) -> str:
    """Returns words such as `"a wall"`, `"a locked yellow door"`, `"a green ball"`."""
    if thing.type in ("wall", "lava", "goal", "floor"):
        return "lava" if thing.type == "lava" else f"a {thing.type}"
    state = ""
    if thing.type == "door" and with_state:
        state = "open " if thing.is_open else "locked " if thing.is_locked else "closed "
    words = f"{state}{thing.color} {thing.type}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
