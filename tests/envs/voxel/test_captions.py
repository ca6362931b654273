"""Captions: what the state means, how it is said, and the closed vocabulary."""

import itertools
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldmodel.envs.voxel import physics, vocabulary
from worldmodel.envs.voxel.biomes import BIOMES
from worldmodel.envs.voxel.blocks import CODES, NAMES, NUM_CODES
from worldmodel.envs.voxel.captions import (
    Scene,
    activity_of,
    long_caption,
    short_caption,
    summarise_view,
    time_name,
)
from worldmodel.envs.voxel.controls import Controls
from worldmodel.envs.voxel.vocabulary import VOCABULARY, words

TIMES = ("dawn", "morning", "noon", "afternoon", "dusk", "night")
WEATHERS = ("clear", "rain", "snow")
WITH_SUBJECT = ("mine", "place", "craft")
WITHOUT_SUBJECT = (
    "stand",
    "look",
    "walk",
    "run",
    "back",
    "sidestep",
    "jump",
    "sneak",
    "swim",
    "dive",
    "float",
    "fall",
    "die",
)

activities = st.one_of(
    st.tuples(st.sampled_from(WITH_SUBJECT), st.sampled_from(sorted(CODES))),
    st.tuples(st.sampled_from(WITHOUT_SUBJECT), st.none()),
)
sights = st.tuples(
    st.sampled_from(sorted(vocabulary.SIGHTS)),
    st.sampled_from(("left", "ahead", "right")),
    st.sampled_from(("near", "far")),
)
scenes = st.builds(
    lambda activity, **rest: Scene(activity=activity[0], subject=activity[1], **rest),
    activities,
    biome=st.sampled_from(BIOMES),
    time=st.sampled_from(TIMES),
    weather=st.sampled_from(WEATHERS),
    in_view=st.lists(sights, max_size=4, unique_by=lambda sight: sight[0]).map(tuple),
    holding=st.none() | st.sampled_from(sorted(CODES)),
    underground=st.booleans(),
    underwater=st.booleans(),
)
seeds = st.integers(0, 2**32)

DESERT = Scene(
    biome="desert",
    time="morning",
    activity="run",
    in_view=(("cactus", "left", "near"), ("sand", "ahead", "far")),
    holding="wooden_pickaxe",
)


@given(scenes, seeds)
@settings(max_examples=600, deadline=None)
def test_captions_keep_to_the_vocabulary_and_to_the_rules_of_writing(scene, seed):
    short, long = short_caption(scene, seed), long_caption(scene, seed)
    for caption in (short, long):
        assert set(words(caption)) <= VOCABULARY
        assert "minecraft" in words(caption)
        assert not re.search(r"[{}]|\s\s|\s[.,:]|[.,:]\w|\.\.|,,", caption)
        assert not re.search(r"\b(a [aeiou]|an [^aeiou])", caption.lower())
        assert not re.search(r"\b(\w+) \1\b", caption)
    assert re.fullmatch(r"(a|the|someone)\b[A-Za-z ]+[a-z]", short)
    assert long[0].isupper() and long.endswith(".")
    assert all(sentence[0].isupper() for sentence in long.split(". "))
    assert short == short_caption(scene, seed) and long == long_caption(scene, seed)


def test_every_phrase_of_the_tables_is_in_use():
    # Every row of every table, in a few thousand captions: no word of the vocabulary is dead.
    said: set[str] = set()
    places = [(biome, flags) for biome in BIOMES for flags in ((False, False), (True, False), (False, True))]
    doing = [(name, None) for name in WITHOUT_SUBJECT] + list(itertools.product(WITH_SUBJECT, CODES))
    views = list(itertools.product(vocabulary.SIGHTS, ("left", "ahead", "right"), ("near", "far")))
    for seed, (biome, flags), time, weather in itertools.product(range(8), places, TIMES, WEATHERS):
        number = len(said) + 7 * seed
        for activity in ("walk", "stand"):
            scene = Scene(biome, time, weather, activity, underground=flags[0], underwater=flags[1])
            said.update(words(short_caption(scene, number)), words(long_caption(scene, number)))
    for seed, (activity, subject) in itertools.product(range(20), doing):
        said.update(words(short_caption(Scene("forest", "noon", activity=activity, subject=subject), seed)))
    for seed, view, biome in itertools.product(range(10), views, ("desert", "mountains", "forest")):
        said.update(words(long_caption(Scene(biome, "noon", in_view=(view,), holding="torch"), seed)))
        said.update(words(long_caption(Scene("snow", "noon", in_view=(view, view), underground=seed > 5), seed)))
    assert said == VOCABULARY


def test_documented_vocabulary_is_the_vocabulary():
    page = pathlib.Path(__file__).parents[3] / "docs" / "captions.md"
    block = re.search(r"```text vocabulary\n(.*?)```", page.read_text(), re.S)
    assert block, "docs/captions.md: expected a block ```text vocabulary"
    documented = block.group(1).split()
    assert documented == sorted(VOCABULARY), "docs/captions.md: run the command at its end, and paste what it prints"
    assert f"**{len(VOCABULARY)} words**" in page.read_text()


def test_documented_examples_are_what_the_code_says():
    page = (pathlib.Path(__file__).parents[3] / "docs" / "captions.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.S)
    assert code
    names: dict = {}
    exec(code.group(1), names)
    assert f"> {names['short']}\n" in page and f"> {names['long']}\n" in page


def test_every_block_and_item_has_a_name():
    assert set(vocabulary.NOUNS) == set(NAMES.values())
    assert set(vocabulary.MINING) <= set(CODES)
    assert set(vocabulary.MINING.values()) <= set(vocabulary.ACTIVITIES)
    assert set(BIOMES) <= set(vocabulary.PLACES)


def test_captions_tell_the_facts():
    for seed in range(50):
        short, long = short_caption(DESERT, seed), long_caption(DESERT, seed)
        assert "desert" in short and "morning" in short
        assert "desert" in long and "morning" in long and "a cactus" in long and "sand dunes" in long
        assert "left" in long and "a wooden pickaxe" in long
        assert "rain" not in long and "snow" not in long
        wet = DESERT._replace(weather="rain")
        assert "rain" in short_caption(wet, seed) and "rain" in long_caption(wet, seed).lower()
        assert "clear" not in long_caption(wet, seed) and "sunny" not in long_caption(wet, seed)
        cave = DESERT._replace(weather="rain", underground=True)
        assert not {"rain", "desert", "morning"} & set(words(long_caption(cave, seed)))
        night = DESERT._replace(time="night")
        assert "sunny" not in long_caption(night, seed)
        wood = Scene("snow", "dusk", activity="walk", in_view=(("spruce", "ahead", "near"),))
        assert {"forest", "woods"} & set(words(short_caption(wood, seed)))


def test_mining_has_the_verb_that_fits():
    verbs = {
        name: words(short_caption(Scene("plains", "noon", activity="mine", subject=name), 0))
        for name in ("stone", "dirt", "oak_log", "poppy")
    }
    assert {"mines", "breaks"} & set(verbs["stone"]) and {"digs", "shovels"} & set(verbs["dirt"])
    assert {"chops", "cuts"} & set(verbs["oak_log"]) and {"picks", "plucks"} & set(verbs["poppy"])


def test_wording_varies_with_the_seed():
    assert len({short_caption(DESERT, seed) for seed in range(200)}) >= 40
    assert len({long_caption(DESERT, seed) for seed in range(200)}) >= 150


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_captions_are_the_same_in_every_process(hash_seed):
    program = (
        "from worldmodel.envs.voxel.captions import *\n"
        f"scene = {DESERT!r}\n"
        "for seed in range(20): print(short_caption(scene, seed)); print(long_caption(scene, seed))"
    )
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    ).stdout
    expected = [caption(DESERT, seed) for seed in range(20) for caption in (short_caption, long_caption)]
    assert output.splitlines() == expected


@pytest.mark.parametrize(
    ("time_of_day", "name"),
    [
        (0.0, "dawn"),
        (0.1, "morning"),
        (0.25, "noon"),
        (0.4, "afternoon"),
        (0.5, "dusk"),
        (0.75, "night"),
        (0.99, "dawn"),
    ],
)
def test_time_name(time_of_day, name):
    assert time_name(time_of_day) == name


def body(**values: float) -> np.ndarray:
    state = physics.new_body(0.5, 30.0, 0.5)
    state[physics.ON_GROUND] = 1.0
    for name, value in values.items():
        state[getattr(physics, name)] = value
    return state


AIRBORNE = {"ON_GROUND": 0.0}


@pytest.mark.parametrize(
    ("controls", "state", "activity"),
    [
        (Controls(), body(), "stand"),
        (Controls(camera_yaw=3.0), body(), "look"),
        (Controls(forward=True), body(VX=0.1), "walk"),
        (Controls(forward=True, camera_yaw=3.0), body(VZ=-0.1), "walk"),
        (Controls(forward=True), body(), "stand"),  # against a wall
        (Controls(forward=True, back=True), body(VX=0.1), "stand"),
        (Controls(forward=True, sprint=True), body(VX=0.1, SPRINTING=1.0), "run"),
        (Controls(back=True), body(VX=0.1), "back"),
        (Controls(left=True), body(VX=0.1), "sidestep"),
        (Controls(forward=True, sneak=True), body(VX=0.02, SNEAKING=1.0), "sneak"),
        (Controls(jump=True), body(VY=0.3, **AIRBORNE), "jump"),
        (Controls(jump=True), body(VY=-0.3, FALL=0.5, **AIRBORNE), "jump"),
        (Controls(forward=True), body(VX=0.1, VY=-0.3, FALL=0.5, **AIRBORNE), "walk"),
        (Controls(forward=True), body(VX=0.1, VY=-0.9, FALL=5.0, **AIRBORNE), "fall"),
        (Controls(forward=True, jump=True), body(VX=0.1, IN_WATER=1.0, **AIRBORNE), "swim"),
        (Controls(jump=True), body(IN_WATER=1.0, **AIRBORNE), "float"),
        (Controls(), body(IN_WATER=1.0, EYE_IN_WATER=1.0), "dive"),
    ],
)
def test_activity_from_motion(controls, state, activity):
    assert activity_of(controls, [], state, None) == (activity, None)


def test_activity_from_events():
    mined = {"type": "mined", "block": "dirt", "position": [0, 0, 0]}
    crafted = {"type": "crafted", "item": "stick", "count": 4}
    placed = {"type": "placed", "block": "torch", "position": [0, 0, 0]}
    walking = Controls(forward=True), body(VX=0.1)
    assert activity_of(walking[0], [mined], walking[1], None) == ("mine", "dirt")
    assert activity_of(walking[0], [mined, placed], walking[1], "stone") == ("place", "torch")
    assert activity_of(walking[0], [crafted], walking[1], None) == ("craft", "stick")
    assert activity_of(walking[0], [], walking[1], "stone") == ("mine", "stone")
    assert activity_of(walking[0], [mined, {"type": "death", "cause": "fall"}], walking[1], None) == ("die", None)
    assert activity_of(walking[0], [{"type": "gained", "item": "dirt", "count": 1}], walking[1], None)[0] == "walk"


def view(**blocks: tuple[int, float, float]):
    """Summarises a frame of 4096 pixels: for some blocks the number of pixels, mean column and nearest depth."""
    counts, columns, nearest = np.zeros(NUM_CODES, np.int64), np.zeros(NUM_CODES), np.full(NUM_CODES, np.inf)
    for name, (pixels, column, depth) in blocks.items():
        counts[CODES[name]], columns[CODES[name]], nearest[CODES[name]] = pixels, pixels * column, depth
    counts[0] = 4096 - counts.sum()
    return summarise_view(counts, columns, nearest)


def test_view_names_side_and_distance():
    assert view() == ()
    assert view(cactus=(100, 0.1, 3.0)) == (("cactus", "left", "near"),)
    assert view(cactus=(100, 0.5, 6.5)) == (("cactus", "ahead", "far"),)
    assert view(cactus=(100, 0.9, 6.0)) == (("cactus", "right", "near"),)


def test_view_merges_blocks_of_a_kind_and_skips_specks():
    assert view(oak_log=(50, 0.2, 9.0), oak_leaves=(150, 0.5, 4.0)) == (("oak", "ahead", "near"),)
    assert view(cactus=(2, 0.5, 3.0)) == ()
    assert view(grass_block=(4000, 0.5, 2.0), bedrock=(96, 0.5, 2.0)) == ()


def test_view_keeps_the_four_most_salient():
    seen = view(
        sand=(1500, 0.5, 2.0),
        stone=(1000, 0.5, 2.0),
        oak_leaves=(500, 0.5, 9.0),
        water=(400, 0.5, 9.0),
        diamond_ore=(60, 0.8, 9.0),
    )
    assert [category for category, _, _ in seen] == ["diamond ore", "oak", "water", "sand"]
    every_sight = {sight[0] for name in CODES for sight in view(**{name: (4096, 0.5, 1.0)})}
    assert every_sight == set(vocabulary.SIGHTS)
