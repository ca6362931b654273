"""All the words of the captions: phrase tables, and the closed vocabulary that follows from them.

Every text a caption can contain is written in a table of this file, so `VOCABULARY` is complete by construction.
`docs/captions.md` lists it. In templates, `{player}` and the like stand for phrases of other tables.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

PLAYERS: tuple[str, ...] = (
    "a Minecraft player",
    "the Minecraft player",
    "a player in Minecraft",
    "someone in Minecraft",
)
"""Subjects of short captions."""

OPENINGS: tuple[str, ...] = (
    "First-person view of Minecraft: a player {action}.",
    "First-person view of Minecraft: the player {action}.",
    "Minecraft in first person: a player {action}.",
    "Minecraft gameplay: a player {action}.",
    "Minecraft gameplay: the player {action}.",
    "In Minecraft, a player {action}.",
    "A Minecraft player {action}.",
    "A player in Minecraft {action}.",
)
"""First sentences of long captions."""


@dataclass(frozen=True, slots=True)
class Activity:
    """How one activity is told.

    Attributes:
        verbs: Predicates; `{object}` stands for the block or item concerned.
        moves: Whether the player gets somewhere: "walks across a desert", but "stands in a desert".
    """

    verbs: tuple[str, ...]
    moves: bool = False


ACTIVITIES: dict[str, Activity] = {
    "stand": Activity(("stands still", "stands", "waits", "pauses")),
    "look": Activity(("looks around", "turns around", "looks about")),
    "walk": Activity(("walks", "strolls", "wanders", "moves forward"), moves=True),
    "run": Activity(("runs", "sprints", "races", "rushes"), moves=True),
    "back": Activity(("walks backward", "steps back", "backs away")),
    "sidestep": Activity(("sidesteps", "steps sideways", "strafes")),
    "jump": Activity(("jumps", "leaps", "hops")),
    "sneak": Activity(("sneaks", "creeps"), moves=True),
    "swim": Activity(("swims across water", "swims in water", "paddles through water")),
    "dive": Activity(("swims", "dives")),
    "float": Activity(("floats in water", "treads water")),
    "fall": Activity(("falls", "drops down")),
    "mine": Activity(("mines {object}", "breaks {object}")),
    "break": Activity(("breaks {object}", "destroys {object}")),
    "dig": Activity(("digs {object}", "digs up {object}", "shovels {object}")),
    "chop": Activity(("chops {object}", "cuts {object}")),
    "pick": Activity(("picks {object}", "plucks {object}")),
    "place": Activity(("places {object}", "puts down {object}", "sets down {object}")),
    "craft": Activity(("crafts {object}", "makes {object}")),
    "die": Activity(("dies",)),
}
"""Activities by name."""

NOUNS: dict[str, str] = {
    "stone": "stone",
    "dirt": "dirt",
    "grass_block": "grass and dirt",
    "sand": "sand",
    "sandstone": "sandstone",
    "gravel": "gravel",
    "snowy_grass_block": "snowy dirt",
    "snow_block": "snow",
    "ice": "ice",
    "oak_log": "an oak log",
    "oak_leaves": "oak leaves",
    "birch_log": "a birch log",
    "birch_leaves": "birch leaves",
    "spruce_log": "a spruce log",
    "spruce_leaves": "spruce leaves",
    "cactus": "a cactus",
    "water": "water",
    "coal_ore": "coal ore",
    "iron_ore": "iron ore",
    "diamond_ore": "diamond ore",
    "cobblestone": "cobblestone",
    "oak_planks": "oak planks",
    "crafting_table": "a crafting table",
    "bedrock": "bedrock",
    "torch": "a torch",
    "short_grass": "short grass",
    "dandelion": "a dandelion",
    "poppy": "a poppy",
    "dead_bush": "a dead bush",
    "gold_block": "a gold block",
    "stick": "a stick",
    "coal": "coal",
    "raw_iron": "raw iron",
    "diamond": "a diamond",
    "wooden_pickaxe": "a wooden pickaxe",
    "stone_pickaxe": "a stone pickaxe",
}
"""What every block and item is called."""

MINING: dict[str, str] = {
    **dict.fromkeys(("dirt", "grass_block", "sand", "gravel", "snowy_grass_block", "snow_block"), "dig"),
    **dict.fromkeys(("oak_log", "birch_log", "spruce_log", "cactus"), "chop"),
    **dict.fromkeys(("oak_leaves", "birch_leaves", "spruce_leaves", "ice", "oak_planks", "crafting_table"), "break"),
    **dict.fromkeys(("short_grass", "dandelion", "poppy", "dead_bush", "torch"), "pick"),
}
"""Row of `ACTIVITIES` that tells the mining of a block; `"mine"` for all others."""

PLACES: dict[str, tuple[tuple[str, str], ...]] = {
    "plains": (
        ("on a grassy plain", "across a grassy plain"),
        ("on a green meadow", "across a green meadow"),
        ("in open grassland", "through open grassland"),
        ("on the plains", "over the plains"),
    ),
    "forest": (
        ("in a forest", "through a forest"),
        ("in a green forest", "through a green forest"),
        ("in the woods", "through the woods"),
        ("among the trees of a forest", "between the trees of a forest"),
    ),
    "desert": (
        ("in a desert", "across a desert"),
        ("in a sandy desert", "through a sandy desert"),
        ("in the desert", "through the desert"),
        ("in a dry desert", "across a dry desert"),
    ),
    "snow": (
        ("on a snowy plain", "across a snowy plain"),
        ("in a snowy landscape", "through a snowy landscape"),
        ("in a frozen landscape", "across a frozen landscape"),
        ("on snowy ground", "over snowy ground"),
    ),
    "mountains": (
        ("in the mountains", "through the mountains"),
        ("in rocky mountains", "over rocky mountains"),
        ("in a mountain landscape", "across a mountain landscape"),
        ("in a rocky landscape", "across a rocky landscape"),
    ),
    "snowy forest": (
        ("in a snowy forest", "through a snowy forest"),
        ("in a winter forest", "through a winter forest"),
        ("in snowy woods", "through snowy woods"),
        ("in a frozen forest", "through a frozen forest"),
    ),
    "underground": (
        ("in a cave", "through a cave"),
        ("in a dark cave", "through a dark cave"),
        ("underground", "through a tunnel underground"),
        ("under the ground", "through a passage under the ground"),
    ),
    "underwater": (("under water", "under water"), ("in deep water", "through deep water")),
}
"""Where the player stays, and where it moves: the biomes, and three places that matter more than their biome."""

TIMES: dict[str, tuple[str, ...]] = {
    "dawn": ("at dawn", "at sunrise", "early in the morning"),
    "morning": ("in the morning", "on a {sky} morning"),
    "noon": ("at noon", "at midday", "in the middle of the day"),
    "afternoon": ("in the afternoon", "on a {sky} afternoon"),
    "dusk": ("at dusk", "at sunset", "in the evening"),
    "night": ("at night", "after dark", "on a {sky} night"),
}
"""When; `{sky}` stands for the weather."""

SKIES: dict[str, tuple[str, str]] = {
    "clear": ("sunny", "starry"),
    "rain": ("rainy", "rainy"),
    "snow": ("snowy", "snowy"),
}
"""The adjective of each weather by day and by night."""

WEATHERS: dict[str, tuple[str, ...]] = {
    "clear": ("", "", "under a clear sky"),
    "rain": ("in the rain", "while rain falls", "in rainy weather"),
    "snow": ("in falling snow", "while snow falls", "in snowy weather"),
}
"""Weather in short captions; empty: not told."""

WEATHER_SENTENCES: dict[str, tuple[str, ...]] = {
    "clear": ("", "", "The sky is clear.", "The weather is clear."),
    "rain": ("It is raining.", "Rain is falling.", "Rain falls from a grey sky."),
    "snow": ("It is snowing.", "Snow is falling.", "Snow falls from a grey sky."),
}
"""Weather in long captions; empty: not told."""

SIGHTS: dict[str, tuple[str, str]] = {
    "oak": ("an oak tree", "oak trees"),
    "birch": ("a birch tree", "birch trees"),
    "spruce": ("a spruce tree", "spruce trees"),
    "water": ("water", "water"),
    "ice": ("ice", "ice"),
    "sand": ("sand", "sand"),
    "sandstone": ("sandstone", "sandstone"),
    "gravel": ("gravel", "gravel"),
    "snow": ("snow", "snow"),
    "stone": ("stone", "stone"),
    "dirt": ("bare dirt", "bare dirt"),
    "cobblestone": ("cobblestone", "cobblestone"),
    "coal ore": ("coal ore", "coal ore"),
    "iron ore": ("iron ore", "iron ore"),
    "diamond ore": ("diamond ore", "diamond ore"),
    "cactus": ("a cactus", "a cactus"),
    "flowers": ("a flower", "flowers"),
    "bush": ("a dead bush", "a dead bush"),
    "torch": ("a burning torch", "a burning torch"),
    "crafting table": ("a crafting table", "a crafting table"),
    "planks": ("oak planks", "oak planks"),
    "gold": ("a shining gold block", "a shining gold block"),
}
"""What is in view, by category: how it is told when near and when far."""

LOCAL_SIGHTS: dict[tuple[str, str], tuple[str, str]] = {
    ("sand", "desert"): ("sand", "sand dunes"),
    ("stone", "mountains"): ("stone", "rocky slopes"),
    ("stone", "underground"): ("a stone wall", "stone walls"),
}
"""Better names of a category in one place."""

POSITIONS: dict[tuple[str, str], tuple[str, ...]] = {
    ("left", "near"): ("close by on the left", "on the left close by", "just to the left"),
    ("ahead", "near"): ("close ahead", "right ahead", "close in front"),
    ("right", "near"): ("close by on the right", "on the right close by", "just to the right"),
    ("left", "far"): ("far off on the left", "on the left in the distance", "far to the left"),
    ("ahead", "far"): ("far ahead", "in the distance", "far in front"),
    ("right", "far"): ("far off on the right", "on the right in the distance", "far to the right"),
}
"""Where it is, by side and distance."""

VIEW_SENTENCES: tuple[str, ...] = (
    "There {be} {view}.",
    "The player sees {view}.",
    "In view: {view}.",
    "We see {view}.",
)
HOLDING_SENTENCES: tuple[str, ...] = ("The player holds {item}.", "The player is holding {item}.", "In hand: {item}.")
JOINING_WORDS: tuple[str, ...] = ("and", "is", "are")
"""Words that the composition of phrases adds."""


def words(caption: str) -> list[str]:
    """Splits a caption into its lower-case words; everything that is not a letter separates."""
    return re.findall("[a-z]+", re.sub(r"\{\w+\}", " ", caption.lower()))


def _phrases(table: object) -> Iterator[str]:
    """Yields every text of nested tables."""
    if isinstance(table, str):
        yield table
    elif isinstance(table, Activity):
        yield from table.verbs
    else:
        assert isinstance(table, dict | tuple)
        for row in table.values() if isinstance(table, dict) else table:
            yield from _phrases(row)


_TABLES = (
    PLAYERS,
    OPENINGS,
    ACTIVITIES,
    NOUNS,
    PLACES,
    TIMES,
    SKIES,
    WEATHERS,
    WEATHER_SENTENCES,
    SIGHTS,
    LOCAL_SIGHTS,
    POSITIONS,
    VIEW_SENTENCES,
    HOLDING_SENTENCES,
    JOINING_WORDS,
)

VOCABULARY: frozenset[str] = frozenset(word for phrase in _phrases(_TABLES) for word in words(phrase))
"""Every word that any caption can contain, in lower case."""
