"""Settings of the block world, and the checks of what users pass in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from worldmodel.envs.voxel.climate import Weather
from worldmodel.envs.voxel.inventory import Inventory
from worldmodel.envs.voxel.tasks import TASKS
from worldmodel.envs.voxel.terrain import BIOMES

TICKS_PER_SECOND = 20
MIN_FRAME_SIZE, MAX_FRAME_SIZE = 16, 2048


class ActionPreset(Enum):
    """Action spaces of the block world."""

    DICT = "dict"
    DISCRETE = "discrete"


@dataclass(kw_only=True, slots=True)
class VoxelConfig:
    """Settings of the block world, as `gymnasium.make` takes them.

    Attributes:
        height: Of a frame, in pixels, 16 to 2048.
        width: Likewise.
        actions: `"dict"`, the 24 keys of MineRL and VPT, or `"discrete"`, about 20 useful combinations of them.
        frame_skip: Ticks that one step lasts, 1 to 4.
        task: One of `tasks.TASKS`.
        field_of_view: Vertical, in degrees, 30 to 110.
        view_distance: In blocks, 16 to 96.
        hud: Whether hotbar, hearts, crosshair and hand are drawn.
        biome: Where episodes start; `None` for anywhere.
        start_time: Time of day at which episodes start (0 sunrise, 0.25 noon, 0.5 sunset, 0.75 midnight); `None` draws
            one, by day three times out of four.
        day_length_ticks: Ticks of a full day; `None` stops the sun.
        weather: `"auto"`, `"clear"`, `"rain"` or `"snow"`.
        inventory: Items that the player starts with, number by name.
    """

    height: int = 128
    width: int = 128
    actions: ActionPreset = ActionPreset.DICT
    frame_skip: int = 1
    task: str = "none"
    field_of_view: float = 70.0
    view_distance: int = 64
    hud: bool = True
    biome: str | None = None
    start_time: float | None = None
    day_length_ticks: int | None = 24000
    weather: Weather = Weather.AUTO
    inventory: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Turns names into members, and checks every value.

        Raises:
            ValueError: If a value is out of range; the message names it.
        """
        self.actions = as_member("actions", ActionPreset, self.actions)
        self.weather = as_member("weather", Weather, self.weather)
        for name in ("height", "width"):
            check_range(name, getattr(self, name), MIN_FRAME_SIZE, MAX_FRAME_SIZE, "a whole number of pixels", int)
        check_range("frame_skip", self.frame_skip, 1, 4, "a whole number of ticks", int)
        check_range("field_of_view", self.field_of_view, 30, 110, "degrees", (int, float))
        check_range("view_distance", self.view_distance, 16, 96, "a whole number of blocks", int)
        if self.start_time is not None:
            check_range("start_time", self.start_time, 0, 1, "a share of the day", (int, float))
        if self.day_length_ticks is not None:
            check_range("day_length_ticks", self.day_length_ticks, 20, 10**9, "a whole number of ticks", int)
        check_choice("task", self.task, tuple(TASKS))
        if not isinstance(self.hud, bool):
            raise ValueError(f"hud: expected True or False, got {self.hud!r}")
        try:
            Inventory(self.inventory)
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"inventory: expected numbers of items by name, got {self.inventory!r}: {error}") from None
        if self.biome is not None:
            check_choice("biome", self.biome, BIOMES)


def as_member(name: str, kind: type[Enum], value: Any) -> Any:
    """Returns the member of an enumeration for itself or its value; raises a ValueError that names the argument."""
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{name}: expected one of {[m.value for m in kind]}, got {value!r}") from None


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raises a ValueError that names the argument unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name}: expected one of {list(choices)}, got {value!r}")


def check_range(name: str, value: Any, low: float, high: float, what: str, kinds: Any) -> None:
    """Raises a ValueError that names the argument unless the value is of one of the kinds and in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise ValueError(f"{name}: expected {what} from {low} to {high}, got {value!r}")
