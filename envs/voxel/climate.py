"""The hour and the weather: what changes in the world while nobody looks.

A day takes 24,000 ticks by default, as in Minecraft (minecraft.wiki, "Daylight cycle"). Left to itself, the weather of
each spell of 4,800 ticks is drawn by a hash of seed and spell, so it needs no generator and no memory. Rain becomes
snow in the snow biome and stays away from the desert (minecraft.wiki, "Rain").
"""

from enum import Enum
from typing import Any

import numpy as np

from worldmodel.envs.voxel.noise import hash_unit
from worldmodel.envs.voxel.sky import sky_state
from worldmodel.envs.voxel.weather import NONE, RAIN, SNOW

SPELL_TICKS = 4800
_WET_SHARE = 0.3
_CHANGE_PER_TICK = 0.01
"""Strength that the rain gains or loses in a tick, as in Minecraft."""
_CLOUD_SPEED = 0.03
"""Blocks per tick."""
_WEATHER_SALT = 0x77EA


class Weather(Enum):
    """Kinds of weather; `AUTO` comes and goes by itself."""

    AUTO = "auto"
    CLEAR = "clear"
    RAIN = "rain"
    SNOW = "snow"


class Climate:
    """Clock and weather of one episode.

    Attributes:
        tick: Ticks since the start of the episode.
        start_time: Time of day at tick 0: 0 sunrise, 0.25 noon, 0.5 sunset, 0.75 midnight.
        day_length_ticks: Ticks of a full day; `None` stops the sun.
        weather: Kind of weather that was asked for.
        strength: Of rain or snow, 0 to 1.
    """

    def __init__(
        self, seed: int, start_time: float, day_length_ticks: int | None, weather: Weather, biome: str
    ) -> None:
        """Starts the clock; the weather is in full swing.

        Args:
            seed: Of the weather's spells.
            start_time: Time of day at tick 0.
            day_length_ticks: Ticks of a full day, or `None`.
            weather: Kind of weather.
            biome: Where the player is.
        """
        self._seed = seed
        self.tick = 0
        self.start_time = start_time
        self.day_length_ticks = day_length_ticks
        self.weather = weather
        self.strength = self._target(biome)

    @property
    def time_of_day(self) -> float:
        """Time of day in [0, 1)."""
        if self.day_length_ticks is None:
            return self.start_time
        return (self.start_time + self.tick / self.day_length_ticks) % 1.0

    def advance(self, biome: str) -> None:
        """Lets a tick pass at a place in a biome."""
        self.tick += 1
        change = self._target(biome) - self.strength
        self.strength += min(max(change, -_CHANGE_PER_TICK), _CHANGE_PER_TICK)

    def precipitation(self, biome: str) -> int:
        """Returns what falls: `weather.NONE`, `RAIN` or `SNOW`."""
        if self.strength <= 0.0:
            return NONE
        if self.weather == Weather.AUTO:
            return SNOW if biome == "snow" else RAIN
        return SNOW if self.weather == Weather.SNOW else RAIN

    def sky(self) -> np.ndarray:
        """Returns the state of the sky, see `sky.sky_state`."""
        return sky_state(self.time_of_day, self.strength, _CLOUD_SPEED * self.tick)

    def get_state(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        return {
            "seed": self._seed,
            "tick": self.tick,
            "start_time": self.start_time,
            "day_length_ticks": self.day_length_ticks,
            "weather": self.weather.value,
            "strength": self.strength,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a `get_state`."""
        self._seed = state["seed"]
        self.tick = state["tick"]
        self.start_time = state["start_time"]
        self.day_length_ticks = state["day_length_ticks"]
        self.weather = Weather(state["weather"])
        self.strength = state["strength"]

    def _target(self, biome: str) -> float:
        """Strength towards which the weather goes."""
        if self.weather != Weather.AUTO:
            return 0.0 if self.weather == Weather.CLEAR else 1.0
        spell = self.tick // SPELL_TICKS
        return float(biome != "desert" and hash_unit(self._seed, spell, 0, _WEATHER_SALT) < _WET_SHARE)
