"""The part on text passes dreams that show what prompts say, and catches those that do not."""

from collections.abc import Sequence
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from PIL import Image

import worldmodel.envs  # noqa: F401
from worldmodel.agents import make_player
from worldmodel.data.action_codec import ActionCodec
from worldmodel.envs.imagined.dreams import Moment
from worldmodel.envs.voxel.biomes import BIOMES
from worldmodel.envs.voxel.captions import Scene, long_caption, short_caption
from worldmodel.evaluation import attributes, text
from worldmodel.evaluation.attributes import ACTIVITIES, CHOICES, SETS, Facts
from worldmodel.evaluation.episodes import RealEpisode
from worldmodel.evaluation.scenes import agreement, others, own, play_scenes

SIDE, TICKS, CONTEXT = 16, 2, 3
VALUES = {**CHOICES, **SETS, "activity": ACTIVITIES}
TIMES = {"day": "noon", "dawn or dusk": "dusk", "night": "night"}


def draw(facts: Facts) -> np.ndarray:
    """A frame whose rows say which values hold: uint8 (r, H, W, 3)."""
    frame = np.zeros((SIDE, 24, 3), np.uint8)
    for row, (name, values) in enumerate(VALUES.items()):
        frame[row, : len(values)] = 255 * np.nan_to_num(attributes.encode(facts.get(name), values))[:, None]
    return np.repeat(frame[None], TICKS, axis=0)


class FakeJudge:
    """Reads what `draw` has drawn."""

    codec = ActionCodec(gymnasium.spaces.Discrete(3))
    config = SimpleNamespace(choices=CHOICES, sets=SETS)
    attribute_values = {name: list(values) for name, values in {**CHOICES, **SETS}.items()}
    activity_values = list(ACTIVITIES)

    def _read(self, frames: np.ndarray, name: str) -> np.ndarray:
        return frames[..., list(VALUES).index(name), : len(VALUES[name]), 0].astype(np.float32) / 255

    def attributes(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        return {name: self._read(frames, name) for name in self.attribute_values}

    def activities(self, frames: np.ndarray) -> np.ndarray:
        return self._read(frames[:, 1:, -1], "activity")


class Painter:
    """Shows what its prompt says, or as `deaf` and `stubborn` say."""

    name, frames_per_step, context_steps, fps, reads_prompts = "painter", TICKS, CONTEXT, 20.0, True

    def __init__(self, *, deaf: bool = False, stubborn: bool = False) -> None:
        self.deaf, self.stubborn = deaf, stubborn
        self.random = np.random.default_rng(0)
        self.lengths: set[int] = set()

    def begin(self, contexts, seed: int) -> None:
        self.lengths |= {len(part.frames) for part in contexts}
        drawn = [random_scene(self.random) for _ in contexts]
        self.facts = [
            attributes.read_caption(long_caption(scene, 0) if self.deaf else part.prompt)
            for scene, part in zip(drawn, contexts, strict=True)
        ]

    def step(self, actions) -> Moment:
        frames = np.stack([draw(facts) for facts in self.facts])
        number = np.full(len(actions), np.nan)
        return Moment(frames, number, number, number, number, number)

    def set_prompts(self, prompts: Sequence[str]) -> None:
        if not (self.deaf or self.stubborn):
            self.facts = [attributes.read_caption(prompt) for prompt in prompts]


def random_scene(random: np.random.Generator) -> Scene:
    seen = tuple((str(name), "ahead", "near") for name in random.choice(SETS["objects"], 2, replace=False))
    return Scene(
        biome=str(random.choice(BIOMES)),
        time=str(random.choice(list(TIMES.values()))),
        weather=str(random.choice(("clear", "rain", "snow"))),
        activity=str(random.choice(("stand", "walk", "run", "jump"))),
        in_view=seen,
    )


def episodes(number: int = 24) -> list[RealEpisode]:
    random = np.random.default_rng(1)
    steps = CONTEXT + text.CHANGED_STEPS[-1]
    played = []
    for i in range(number):
        scene = random_scene(random)
        info = {"caption": short_caption(scene, i), "caption_long": long_caption(scene, i), "biome": scene.biome}
        info |= {"time_name": scene.time, "weather": scene.weather}
        frames = np.repeat(draw(attributes.shown(info))[None], steps + 1, axis=0)
        played.append(RealEpisode(i, frames, [0] * steps, np.zeros(steps), [info] * (steps + 1), False))
    return played


def evaluate(dreamer: Painter, folder) -> text.Section:
    done: list[int] = []
    section = text.evaluate_text(dreamer, FakeJudge(), episodes(), folder, batch=10, progress=done.append)
    assert sum(done) == text.steps_dreamed(24, FakeJudge())
    return section


def test_dreams_that_obey_pass(tmp_path):
    painter = Painter()
    section = evaluate(painter, tmp_path)
    assert painter.lengths == {0, CONTEXT * TICKS + 1}
    for name in ("biome", "time", "weather", "objects", "all"):
        assert section.figures[f"{name}_4"].value == section.figures[f"{name}_16"].value == 1
        assert section.figures[f"{name}_real"].value == 1
        assert section.figures[f"{name}_shuffled"].value < 0.7
    assert section.figures["activity_8"].value == section.figures["activity_real"].value == 1
    assert section.figures["activity_shuffled"].value < 0.5
    for name in ("biome", "time", "weather", "all"):
        assert section.figures[f"changed_{name}_4"].value == section.figures[f"changed_{name}_32"].value == 1
        assert section.figures[f"kept_{name}_32"].value == 0
    assert [check.passed for check in section.checks] == [True, True]
    for name in section.pictures:
        assert Image.open(tmp_path / name).size[0] > 3 * 24
    assert all(len(row) == len(table.header) for table in section.tables for row in table.rows)


def test_dreams_that_do_not_listen_are_caught(tmp_path):
    section = evaluate(Painter(deaf=True), tmp_path)
    assert [check.passed for check in section.checks] == [False, False]
    assert abs(section.figures["all_16"].value - section.figures["all_shuffled"].value) < 0.12
    assert section.figures["all_real"].value == 1


def test_dreams_that_hear_only_their_first_prompt_are_caught(tmp_path):
    section = evaluate(Painter(stubborn=True), tmp_path)
    assert [check.passed for check in section.checks] == [True, False]


def test_a_dreamer_without_text_is_unfit():
    assert text.why_unfit(Painter()) == ""
    assert text.why_unfit(SimpleNamespace()) != ""


def test_what_is_missing_is_said(tmp_path):
    judge = FakeJudge()
    with pytest.raises(ValueError, match="at least 35 steps"):
        text.evaluate_text(Painter(), judge, episodes(1), tmp_path)
    judge.attribute_values = {}
    with pytest.raises(ValueError, match="judge: expected one that knows attributes"):
        text.evaluate_text(Painter(), judge, episodes(2), tmp_path)


def test_agreement():
    read = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.1, 0.6, 0.3]])
    targets = np.array([[1.0, 0, 0], [0, 1, 0], [np.nan] * 3])
    one = agreement(read, targets, many=False)
    np.testing.assert_array_equal(one, [[1, 0, np.nan], [0, 0, np.nan], [0, 1, np.nan]])
    np.testing.assert_array_equal(own(one), [1, 0, np.nan])
    np.testing.assert_array_equal(others(one), [0, 0, np.nan])
    many = agreement(np.array([[0.9, 0.8, 0.1]] * 2), np.array([[1.0, 0, 1], [0, 0, 0]]), many=True)
    np.testing.assert_array_equal(many, [[0.5, np.nan]] * 2)


def test_scenes_are_of_evaluation_worlds_and_of_all_kinds():
    env = gymnasium.make("worldmodel/Voxel-v0", height=16, width=16)
    scenes = play_scenes(env, make_player("explorer", env), 12, 2)
    assert all(scene.num_steps == 2 and scene.seed >= 1_000_000_000 for scene in scenes)
    facts = [attributes.shown(scene.infos[2]) for scene in scenes]
    assert len({part["biome"] for part in facts}) >= 4
    assert len({part.get("time") for part in facts}) >= 3
