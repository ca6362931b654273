"""Attributes are read from captions as the scene has them."""

import random

import gymnasium
import numpy as np

import worldmodel.envs  # noqa: F401
from worldmodel.envs.voxel import vocabulary
from worldmodel.envs.voxel.biomes import BIOMES
from worldmodel.envs.voxel.captions import Scene, long_caption, short_caption
from worldmodel.evaluation import attributes

SAME = {"dive": "swim", "float": "swim", "dawn": "dawn or dusk", "dusk": "dawn or dusk"}
SAME |= dict.fromkeys(("morning", "noon", "afternoon"), "day")
ACTIVITIES = [name for name in vocabulary.ACTIVITIES if name not in ("die", "break", "dig", "chop", "pick")]


def random_scene(draw: random.Random) -> Scene:
    sights = draw.sample(list(vocabulary.SIGHTS), draw.randint(0, 4))
    activity = draw.choice(ACTIVITIES)
    return Scene(
        biome=draw.choice(BIOMES),
        time=draw.choice(list(vocabulary.TIMES)),
        weather=draw.choice(("clear", "rain", "snow")),
        activity=activity,
        subject=draw.choice(list(vocabulary.NOUNS)) if activity in ("mine", "place", "craft") else None,
        in_view=tuple(
            (sight, draw.choice(("left", "ahead", "right")), draw.choice(("near", "far"))) for sight in sights
        ),
        holding=draw.choice([None, *vocabulary.NOUNS]),
        underground=draw.random() < 0.15,
        underwater=draw.random() < 0.15,
    )


def test_captions_are_understood():
    draw = random.Random(0)
    for seed in range(1500):
        scene = random_scene(draw)
        hidden = "underwater" if scene.underwater else "underground" if scene.underground else None
        for caption, long in ((short_caption(scene, seed), False), (long_caption(scene, seed), True)):
            facts = attributes.read_caption(caption)
            assert facts["biome"] == (hidden or scene.biome), caption
            assert facts.get("time") == (None if hidden else SAME.get(scene.time, scene.time)), caption
            # Fair weather is often left out.
            assert facts.get("weather", "clear") == ("clear" if hidden else scene.weather), caption
            assert not (hidden and "weather" in facts), caption
            assert facts["activity"] == SAME.get(scene.activity, scene.activity), caption
            seen = tuple(name for name, _, _ in scene.in_view)
            assert facts.get("objects", ()) == (seen if long else ()), caption


def test_other_texts_tell_nothing():
    assert attributes.read_caption("") == {}
    assert attributes.read_caption("a red car on a bridge") == {}
    assert attributes.shown({"caption": "the Crafter player walks left at night, near a cow"}) == {}


def test_the_truth_of_a_step_has_what_captions_leave_out():
    env = gymnasium.make("worldmodel/Voxel-v0", height=16, width=16)
    _, info = env.reset(seed=3, options={"biome": "snow", "start_time": 0.7, "weather": "snow"})
    facts = attributes.shown(info)
    assert (facts["biome"], facts["time"], facts["weather"]) == ("snow", "night", "snow")
    assert facts["activity"] == "stand"


def test_scenes_are_balanced_and_natural():
    options = [attributes.scene_options(seed) for seed in range(2000)]
    biomes = [part["biome"] for part in options]
    assert min(biomes.count(biome) for biome in BIOMES) > 300
    assert {part["weather"] for part in options if part["biome"] == "desert"} == {"clear"}
    assert {part["weather"] for part in options if part["biome"] == "snow"} == {"clear", "snow"}
    assert all(0 <= part["start_time"] < 1 for part in options)


def test_encoding():
    assert attributes.encode("b", "abc").tolist() == [0, 1, 0]
    assert attributes.encode(("a", "c"), "abc").tolist() == [1, 0, 1]
    assert attributes.encode((), "abc").tolist() == [0, 0, 0]
    assert np.isnan(attributes.encode(None, "abc")).all()
