"""Captions from exact state: what the state means (`Scene`), and one of many ways to say it.

A caption is a pure function of a scene and a seed, the same in every process. Scenes repeat from tick to tick, so a
tick costs a few microseconds: looking up what was said before. The wording comes from the tables of
`worldmodel.envs.voxel.vocabulary`, which also holds the closed vocabulary.
"""

import functools
import random
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import hypot
from typing import Any, NamedTuple

import numba
import numpy as np

from worldmodel.envs.voxel import physics, vocabulary
from worldmodel.envs.voxel.blocks import CODES, NUM_CODES
from worldmodel.envs.voxel.controls import Controls


class Scene(NamedTuple):
    """All that a caption tells, in names. A named tuple, because it is built and hashed every tick.

    Attributes:
        biome: One of `biomes.BIOMES`.
        time: A name of `time_name`.
        weather: `"clear"`, `"rain"` or `"snow"`.
        activity: A name of `activity_of`.
        subject: The block or item that the activity concerns, else `None`.
        in_view: Most salient first: triples of category, side (`"left"`, `"ahead"`, `"right"`) and distance (`"near"`,
            `"far"`); see `summarise_view`.
        holding: The item in hand, else `None`.
        underground: Whether the sky cannot be seen from anywhere near.
        underwater: Whether the eyes are under water.
    """

    biome: str
    time: str
    weather: str = "clear"
    activity: str = "stand"
    subject: str | None = None
    in_view: tuple[tuple[str, str, str], ...] = ()
    holding: str | None = None
    underground: bool = False
    underwater: bool = False


def time_name(time_of_day: float) -> str:
    """Names a time of day in [0, 1), 0 sunrise, 0.5 sunset: dawn, morning, noon, afternoon, dusk or night."""
    if time_of_day < 0.46:
        if time_of_day < 0.2:
            return "dawn" if time_of_day < 0.04 else "morning"
        return "noon" if time_of_day < 0.3 else "afternoon"
    if time_of_day < 0.54:
        return "dusk"
    return "night" if time_of_day < 0.96 else "dawn"


_MOVING = 0.01
"""Blocks per tick. A body that walks has 0.1 and more, one that pushes against a wall has 0."""
_LONG_FALL = 2.0
"""Blocks. Less than that is a jump or a step down."""
_EVENT_ACTIVITIES = {"mined": ("mine", "block"), "placed": ("place", "block"), "crafted": ("craft", "item")}


def activity_of(
    controls: Controls, events: Iterable[Mapping[str, Any]], body: np.ndarray, mining: str | None
) -> tuple[str, str | None]:
    """Names what the player does in this tick, from what it asked for and what came of it.

    Args:
        controls: What the tick obeyed.
        events: Events of the tick.
        body: The body after the tick; see `worldmodel.envs.voxel.physics`.
        mining: Name of the block that is being mined and has not broken yet, else `None`.

    Returns:
        Name of the activity, a row of `vocabulary.ACTIVITIES`, and the block or item concerned or `None`.
    """
    done = None
    for event in events:
        kind = event["type"]
        if kind == "death":
            return "die", None
        if kind in _EVENT_ACTIVITIES:
            activity, key = _EVENT_ACTIVITIES[kind]
            done = activity, event[key]
    if done:
        return done
    if mining:
        return "mine", mining

    state = body.tolist()
    moving = hypot(state[physics.VX], state[physics.VZ]) > _MOVING
    if state[physics.EYE_IN_WATER]:
        return "dive", None
    if not state[physics.ON_GROUND]:
        if state[physics.IN_WATER]:
            return ("swim" if moving else "float"), None
        if state[physics.FALL] > _LONG_FALL:
            return "fall", None
        if state[physics.VY] > 0.0 or controls.jump:
            return "jump", None
    if moving:
        ahead = controls.forward - controls.back
        if ahead or controls.left != controls.right:
            if state[physics.SNEAKING]:
                return "sneak", None
            if ahead > 0:
                return ("run" if state[physics.SPRINTING] else "walk"), None
            return ("back" if ahead else "sidestep"), None
    if controls.camera_pitch or controls.camera_yaw:
        return "look", None
    return "stand", None


# Category: the blocks in it, how much a pixel of it is worth, and the least share of the frame that is told.
_CATEGORIES: dict[str, tuple[tuple[str, ...], float, float]] = {
    "oak": (("oak_log", "oak_leaves"), 1.0, 0.006),
    "birch": (("birch_log", "birch_leaves"), 1.0, 0.006),
    "spruce": (("spruce_log", "spruce_leaves"), 1.0, 0.006),
    "water": (("water",), 1.0, 0.006),
    "ice": (("ice",), 0.6, 0.006),
    "sand": (("sand",), 0.15, 0.06),
    "sandstone": (("sandstone",), 0.2, 0.02),
    "gravel": (("gravel",), 0.2, 0.02),
    "snow": (("snow_block", "snowy_grass_block"), 0.1, 0.06),
    "stone": (("stone",), 0.2, 0.03),
    "dirt": (("dirt",), 0.1, 0.06),
    "cobblestone": (("cobblestone",), 2.0, 0.006),
    "coal ore": (("coal_ore",), 20.0, 0.001),
    "iron ore": (("iron_ore",), 20.0, 0.001),
    "diamond ore": (("diamond_ore",), 40.0, 0.001),
    "cactus": (("cactus",), 5.0, 0.001),
    "flowers": (("dandelion", "poppy"), 4.0, 0.002),
    "bush": (("dead_bush",), 4.0, 0.002),
    "torch": (("torch",), 20.0, 0.001),
    "crafting table": (("crafting_table",), 10.0, 0.001),
    "planks": (("oak_planks",), 5.0, 0.004),
    "gold": (("gold_block",), 40.0, 0.001),
}
_CATEGORY_NAMES = tuple(_CATEGORIES)
_CATEGORY = np.full(NUM_CODES, -1, np.int64)
for _index, (_names, _, _) in enumerate(_CATEGORIES.values()):
    for _name in _names:
        _CATEGORY[CODES[_name]] = _index
_WEIGHT = np.array([row[1] for row in _CATEGORIES.values()])
_LEAST_SHARE = np.array([row[2] for row in _CATEGORIES.values()])

_MAX_SIGHTS = 4
_NEAR = 6.0  # blocks
_SIDES = ("left", "ahead", "right")
_DISTANCES = ("near", "far")


def summarise_view(counts: np.ndarray, columns: np.ndarray, nearest: np.ndarray) -> tuple[tuple[str, str, str], ...]:
    """Names what is in view and where, from the statistics of a frame (`Renderer.statistics`).

    Args:
        counts: (NUM_CODES,) number of pixels that show each block, the sky included (code 0).
        columns: (NUM_CODES,) sum of the horizontal positions of these pixels, 0 left to 1 right.
        nearest: (NUM_CODES,) depth in blocks of the nearest of them; any value where there are none.

    Returns:
        At most four triples for `Scene.in_view`, the most salient first: category, side, distance. Sides are thirds of
        the frame; near is within 6 blocks.
    """
    return _unpack(_pack_view(counts, columns, nearest))


@numba.njit(cache=True, nogil=True)
def _pack_view(counts, columns, nearest):  # noqa: ANN001, ANN202
    """Returns the most salient sights as one number, one byte each, the most salient in the lowest byte."""
    categories = _WEIGHT.shape[0]
    pixels = np.zeros(categories)
    positions = np.zeros(categories)
    depth = np.full(categories, np.inf)
    for code in range(_CATEGORY.shape[0]):
        category = _CATEGORY[code]
        if category >= 0 and counts[code] > 0:
            pixels[category] += counts[code]
            positions[category] += columns[code]
            depth[category] = min(depth[category], nearest[code])
    total = counts.sum()
    packed = 0
    for rank in range(_MAX_SIGHTS):
        best, most = -1, 0.0
        for category in range(categories):
            if pixels[category] >= _LEAST_SHARE[category] * total:
                salience = pixels[category] * _WEIGHT[category]
                if salience > most:
                    best, most = category, salience
        if best < 0:
            break
        third = 3.0 * positions[best] / pixels[best]
        side = 0 if third < 1.0 else (1 if third <= 2.0 else 2)
        far = 1 if depth[best] > _NEAR else 0
        packed |= (((best * 3 + side) * 2 + far) + 1) << (8 * rank)
        pixels[best] = 0.0
    return packed


@functools.lru_cache(maxsize=1 << 14)
def _unpack(packed: int) -> tuple[tuple[str, str, str], ...]:
    sights = []
    while packed:
        rest, far = divmod((packed & 255) - 1, 2)
        category, side = divmod(rest, 3)
        sights.append((_CATEGORY_NAMES[category], _SIDES[side], _DISTANCES[far]))
        packed >>= 8
    return tuple(sights)


@functools.lru_cache(maxsize=1 << 14)
def short_caption(scene: Scene, seed: int) -> str:
    """Says the essence of a scene: "a Minecraft player walks through a snowy forest at dusk".

    Args:
        scene: What to tell.
        seed: Chooses the wording.
    """
    choose = _chooser(scene, seed, "short")
    return _join(
        choose(vocabulary.PLAYERS), _action(scene, choose), *_when_and_weather(scene, choose, vocabulary.WEATHERS)
    )


@functools.lru_cache(maxsize=1 << 14)
def long_caption(scene: Scene, seed: int) -> str:
    """Tells a scene in up to four sentences: action, weather, view, item in hand.

    "First-person view of Minecraft: a player runs across a desert on a sunny morning. There is a cactus close by on the
    left and sand dunes far ahead. The player holds a wooden pickaxe."

    Args:
        scene: What to tell.
        seed: Chooses the wording.
    """
    choose = _chooser(scene, seed, "long")
    when, weather = _when_and_weather(scene, choose, vocabulary.WEATHER_SENTENCES)
    sentences = [choose(vocabulary.OPENINGS).format(action=_join(_action(scene, choose), when)), weather]
    if scene.in_view:
        sentences.append(_view_sentence(scene, choose))
    if scene.holding:
        sentences.append(choose(vocabulary.HOLDING_SENTENCES).format(item=vocabulary.NOUNS[scene.holding]))
    return _join(*sentences)


_Choose = Callable[[Sequence[str]], str]


def _chooser(scene: Scene, seed: int, salt: str) -> _Choose:
    """Returns a function that chooses phrases, the same ones for the same arguments in every process."""
    generator = random.Random(zlib.crc32(repr((seed, salt, scene)).encode()))
    # Python promises the numbers of `random()` for all versions, but not those of `choice()`.
    return lambda phrases: phrases[int(generator.random() * len(phrases))]


def _join(*phrases: str) -> str:
    return " ".join(phrase for phrase in phrases if phrase)


def _place(scene: Scene) -> str:
    """Returns the row of `vocabulary.PLACES` that fits best."""
    if scene.underwater:
        return "underwater"
    if scene.underground:
        return "underground"
    trees = any(category in ("oak", "birch", "spruce") for category, _, _ in scene.in_view)
    return "snowy forest" if trees and scene.biome == "snow" else scene.biome


def _action(scene: Scene, choose: _Choose) -> str:
    """Says what the player does and where."""
    activity = scene.activity
    if activity == "mine" and scene.subject:
        activity = vocabulary.MINING.get(scene.subject, activity)
    row = vocabulary.ACTIVITIES[activity]
    doing = choose(row.verbs).format(object=vocabulary.NOUNS[scene.subject] if scene.subject else "")
    places = vocabulary.PLACES[_place(scene)]
    return _join(doing, choose([moving if row.moves else staying for staying, moving in places]))


def _when_and_weather(scene: Scene, choose: _Choose, weathers: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Says the time and, unless the time's phrase has said it already, the weather; nothing where the sky is hidden."""
    if scene.underground or scene.underwater:
        return "", ""
    when = choose(vocabulary.TIMES[scene.time])
    if "{sky}" in when:
        by_day, by_night = vocabulary.SKIES[scene.weather]
        return when.format(sky=by_night if scene.time == "night" else by_day), ""
    return when, choose(weathers[scene.weather])


def _view_sentence(scene: Scene, choose: _Choose) -> str:
    names = []
    for category, _, distance in scene.in_view:
        near, far = vocabulary.LOCAL_SIGHTS.get((category, _place(scene)), vocabulary.SIGHTS[category])
        names.append(near if distance == "near" else far)
    sights = [
        f"{name} {choose(vocabulary.POSITIONS[side, distance])}"
        for name, (_, side, distance) in zip(names, scene.in_view, strict=True)
    ]
    view = " and ".join([", ".join(sights[:-1]), sights[-1]] if len(sights) > 1 else sights)
    # The verb agrees with the first sight: "a cactus" is singular, "sand dunes" are plural, "ice" is a mass.
    be = "are" if names[0].endswith("s") and not names[0].startswith("a ") else "is"
    return choose(vocabulary.VIEW_SENTENCES).format(be=be, view=view)
