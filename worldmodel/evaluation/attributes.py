"""What frames of the block world show, in a few words: from the truth of a step, and from the captions and prompts.

Only what a frame can show is an attribute. The sun's course is symmetric and the view has no compass, so the morning
looks like the afternoon and dawn like dusk: of the six times of captions three are left.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from worldmodel.envs.voxel import vocabulary
from worldmodel.envs.voxel.biomes import BIOMES

Facts = dict[str, str | tuple[str, ...]]
"""Attributes by name: one value, or of `SETS` all that hold."""

HIDDEN = ("underground", "underwater")
"""Places from where neither biome nor time nor weather can be seen; captions tell them instead."""

CHOICES: dict[str, tuple[str, ...]] = {
    "biome": (*BIOMES, *HIDDEN),
    "time": ("day", "dawn or dusk", "night"),
    "weather": ("clear", "rain", "snow"),
}
"""Attributes of a frame of which one value holds."""
SETS: dict[str, tuple[str, ...]] = {"objects": tuple(vocabulary.SIGHTS)}
"""Attributes of a frame of which any number of values hold: the up to four kinds of things that strike the eye most."""
ACTIVITIES = (
    *("stand", "look", "walk", "run", "back", "sidestep", "jump", "sneak", "swim", "fall", "mine", "place", "craft"),
)
"""What the player does: only a clip can show it."""

_TIMES = {
    "dawn": "dawn or dusk",
    "morning": "day",
    "noon": "day",
    "afternoon": "day",
    "dusk": "dawn or dusk",
    "night": "night",
}
_ALIKE = {
    **dict.fromkeys(("dive", "float"), "swim"),
    **dict.fromkeys(("break", "dig", "chop", "pick"), "mine"),
}
"""Activities that are told with other words, but are one of `ACTIVITIES`."""


def read_caption(caption: str) -> Facts:
    """Returns the attributes that a caption, or a prompt in the words of captions, tells.

    Args:
        caption: Any text; what is not in it is left out, and what captions never say is not understood.

    Returns:
        `biome`, `time`, `weather`, `activity`, one value each, and `objects`, those of the sentence about the view.
    """
    return dict(_read(caption))


@functools.lru_cache(maxsize=1 << 14)
def _read(caption: str) -> Facts:
    facts: Facts = {}
    text = " ".join(re.findall("[a-z]+|[.,:]", caption.lower()))
    for name, phrases in _phrases().items():
        # The longest phrase counts: "early in the morning" is dawn.
        found = next((value for phrase, value in phrases if re.search(rf"\b{phrase}\b", text)), None)
        if found is not None:
            facts[name] = found
    for start in _openings():
        if text.startswith(start):
            rest = text[len(start) :]
            activity = next((value for verb, value in _verbs() if re.match(rf"{verb}\b", rest)), None)
            if activity in ACTIVITIES:
                facts["activity"] = activity
            break
    view = _view().search(text)
    if view:
        parts = re.split(" and | , ", view[1])
        names = [next((name for phrase, name in _sights() if re.match(rf"{phrase}\b", part)), None) for part in parts]
        facts["objects"] = tuple(name for name in names if name is not None)
    return facts


def shown(info: Mapping[str, Any]) -> Facts:
    """Returns the attributes that a step of the block world shows, in truth.

    Args:
        info: Of the step.

    Returns:
        As `read_caption`, but whatever the caption leaves out: `time` and `weather` are there unless the sky is hidden.
        Empty for other environments.
    """
    if not {"caption_long", "biome", "time_name", "weather"} <= info.keys():
        return {}
    told = read_caption(info["caption_long"])
    facts: Facts = {"biome": told["biome"] if told.get("biome") in HIDDEN else str(info["biome"])}
    if facts["biome"] not in HIDDEN:
        facts |= {"time": _TIMES[info["time_name"]], "weather": str(info["weather"])}
    facts["objects"] = told.get("objects", ())
    if "activity" in told:
        facts["activity"] = told["activity"]
    return facts


def encode(value: str | Iterable[str] | None, values: Iterable[str]) -> np.ndarray:
    """Returns which of the values hold: float32 (values,), 0 or 1, or NaN if nothing is known."""
    values = list(values)
    if value is None:
        return np.full(len(values), np.nan, np.float32)
    holds = {value} if isinstance(value, str) else set(value)
    return np.array([name in holds for name in values], np.float32)


def scene_options(seed: int) -> dict[str, Any]:
    """Returns options of the block world's `reset` with which all attributes come about equally often.

    Weather is what the biome may have: snow falls in the snow, rain nowhere in the desert.
    """
    random = np.random.default_rng([seed, 2])
    biome = str(random.choice(BIOMES))
    wet = {"desert": "clear", "snow": "snow"}.get(biome, "rain")
    # Sunrise is at 0, sunset at 0.5, midnight at 0.75.
    low, high = [(0.06, 0.44), (0.56, 0.94), (0.465, 0.525), (0.965, 1.025)][
        int(random.choice(4, p=(0.4, 0.3, 0.15, 0.15)))
    ]
    return {
        "biome": biome,
        "start_time": float(random.uniform(low, high) % 1.0),
        "weather": wet if random.random() < 0.45 else "clear",
    }


def _normal(phrase: str) -> str:
    return " ".join(re.findall("[a-z]+|[.,:]", phrase.lower()))


def _longest_first(rows: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(set(rows), key=lambda row: (-len(row[0]), row))


@functools.cache
def _phrases() -> dict[str, list[tuple[str, str]]]:
    """Returns the phrases that tell an attribute, and its value."""
    places, times, weathers = [], [], []
    for place, pairs in vocabulary.PLACES.items():
        value = "snow" if place == "snowy forest" else place
        places += [(_normal(phrase), value) for pair in pairs for phrase in pair]
    for time, phrases in vocabulary.TIMES.items():
        for phrase in phrases:
            for weather, skies in vocabulary.SKIES.items():
                for sky in skies:
                    told = _normal(phrase.format(sky=sky))
                    times.append((told, _TIMES[time]))
                    if "{sky}" in phrase:
                        weathers.append((told, weather))
    for table in (vocabulary.WEATHERS, vocabulary.WEATHER_SENTENCES):
        weathers += [
            (_normal(phrase.strip(".")), weather) for weather, row in table.items() for phrase in row if phrase
        ]
    return {"biome": _longest_first(places), "time": _longest_first(times), "weather": _longest_first(weathers)}


@functools.cache
def _openings() -> list[str]:
    """Returns what stands before the verb, with a space at the end."""
    starts = [*vocabulary.PLAYERS, *(opening.split("{action}")[0] for opening in vocabulary.OPENINGS)]
    return sorted({_normal(start) + " " for start in starts}, key=lambda start: (-len(start), start))


@functools.cache
def _verbs() -> list[tuple[str, str]]:
    return _longest_first(
        (_normal(verb.replace("{object}", "")), _ALIKE.get(name, name))
        for name, row in vocabulary.ACTIVITIES.items()
        for verb in row.verbs
    )


@functools.cache
def _view() -> re.Pattern[str]:
    """Returns the pattern of the sentence about the view."""
    starts = {
        _normal(row.split("{view}")[0].replace("{be}", be)) for row in vocabulary.VIEW_SENTENCES for be in ("is", "are")
    }
    return re.compile(rf"\b(?:{'|'.join(sorted(starts))}) ([^.]*)")


@functools.cache
def _sights() -> list[tuple[str, str]]:
    rows = [(_normal(phrase), name) for name, pair in vocabulary.SIGHTS.items() for phrase in pair]
    rows += [(_normal(phrase), name) for (name, _), pair in vocabulary.LOCAL_SIGHTS.items() for phrase in pair]
    return _longest_first(rows)
