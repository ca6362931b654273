"""The judge: learns to read actions and attributes in worlds of its own, and is the same after saving and loading."""

import json
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

import worldmodel.envs  # noqa: F401
from worldmodel.agents import make_player
from worldmodel.data.action_codec import ActionCodec
from worldmodel.evaluation import judge_training
from worldmodel.evaluation.attributes import CHOICES
from worldmodel.evaluation.judge import THUMBNAIL, Judge, JudgeConfig, bundled_judges, to_pixels
from worldmodel.evaluation.judge_accuracy import factor_accuracy
from worldmodel.evaluation.judge_data import Lesson, collect, draw_clips, play_lessons
from worldmodel.evaluation.judge_training import FIRST_HELD_OUT_SEED, FIRST_JUDGE_SEED, JudgeTraining, train_judge
from worldmodel.model.checkpoint import bundled_checkpoints

sys.path.append(str(Path(__file__).parent))

from toy_world import MOVES, SIDE, TICKS, ToyEnv, Wanderer  # noqa: E402

TINY = {"num_steps": 800, "episode_steps": 40, "held_out_steps": 200, "clip_steps": 8, "batch_clips": 8}


@pytest.fixture(scope="module")
def trained() -> tuple[Judge, list[int]]:
    """A judge of the toy world, and the seeds of the worlds that it saw."""
    seeds: list[int] = []

    class Watched(ToyEnv):
        def reset(self, *, seed=None, options=None):
            seeds.append(seed)
            return super().reset(seed=seed)

    settings = JudgeTraining(**TINY, max_updates=150, max_minutes=5.0, learning_rate=3e-3)
    return train_judge(Watched(), Wanderer(), settings), seeds


def test_it_learns_to_read_actions_of_worlds_it_has_not_seen(trained):
    judge, _ = trained
    assert judge.config.accuracy["factors"]["action"]["accuracy"] > 0.8  # guessing gives 0.25
    (part,) = collect(play_lessons(ToyEnv(), Wanderer(), 7, 30, 30), judge.codec, 8)
    read = judge.read_actions(part.frames[None])
    assert read.shape == (1, 30, len(MOVES)) and read.dtype == np.float32
    np.testing.assert_allclose(read.sum(-1), 1, atol=1e-5)
    assert (read[0].argmax(-1) == part.actions.argmax(-1)).mean() > 0.8
    # Frames that rest mean another action than the player's.
    still = np.repeat(part.frames[:1, -1:], 31, axis=0).repeat(TICKS, axis=1)
    assert (judge.read_actions(still[None])[0].argmax(-1) == part.actions.argmax(-1)).mean() < 0.5


def test_it_learns_in_worlds_of_its_own(trained):
    _, seeds = trained
    assert min(seeds) == FIRST_JUDGE_SEED and max(seeds) < 600_000
    assert sum(seed >= FIRST_HELD_OUT_SEED for seed in seeds) == 5


def test_features_tell_frames_apart(trained):
    judge, _ = trained
    (part,) = collect(play_lessons(ToyEnv(), Wanderer(), 7, 30, 30), judge.codec, 8)
    frames = part.frames[:, -1]
    features = judge.features(frames)
    assert features.shape == (31, judge.config.features) and features.dtype == np.float32
    # They hold a thumbnail, so they tell places and colours.
    with torch.no_grad():
        drawn = judge.network.thumbnail(torch.from_numpy(features)).unflatten(1, (3, THUMBNAIL, THUMBNAIL))
    pixels = to_pixels(frames, judge.device)
    small = torch.nn.functional.adaptive_avg_pool2d(pixels, THUMBNAIL)
    assert (drawn - small).square().mean() < 0.5 * (small - small.mean(0)).square().mean()


def test_reading_does_not_depend_on_batch_and_chunks(trained, monkeypatch):
    judge, _ = trained
    parts = collect(play_lessons(ToyEnv(), Wanderer(), 7, 60, 30), judge.codec, 8)
    frames = np.stack([part.frames for part in parts])
    together = judge.read_actions(frames)
    monkeypatch.setattr("worldmodel.evaluation.judge._CHUNK_STEPS", 7)
    np.testing.assert_allclose(judge.read_actions(frames[1:]), together[1:], atol=1e-4)


def test_saved_and_loaded_it_says_the_same(trained, tmp_path):
    judge, _ = trained
    (part,) = collect(play_lessons(ToyEnv(), Wanderer(), 7, 20, 20), judge.codec, 8)
    loaded = Judge.load(judge.save(tmp_path / "judge"))
    assert loaded.config == judge.config
    assert (loaded.frames_per_step, loaded.size, loaded.codec) == (TICKS, (SIDE, SIDE), judge.codec)
    np.testing.assert_array_equal(loaded.read_actions(part.frames[None]), judge.read_actions(part.frames[None]))
    np.testing.assert_array_equal(loaded.features(part.frames[:, 0]), judge.features(part.frames[:, 0]))


def test_without_captions_there_are_no_attributes(trained):
    judge, _ = trained
    assert judge.attribute_values == {} and judge.activity_values == []
    assert judge.attributes(np.zeros((2, SIDE, SIDE, 3), np.uint8)) == {}
    with pytest.raises(ValueError, match="activities: expected a judge that knows some"):
        judge.activities(np.zeros((1, 3, TICKS, SIDE, SIDE, 3), np.uint8))


def test_damaged_and_missing_judges_are_refused(trained, tmp_path):
    judge, _ = trained
    with pytest.raises(FileNotFoundError, match="judge: expected a folder"):
        Judge.load(tmp_path / "none")
    folder = judge.save(tmp_path / "judge")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["judge"]["features"] += 1
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="expected the weights of this judge"):
        Judge.load(folder)
    del config["judge"]["features"]
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="features"):
        Judge.load(folder)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((1, 3, TICKS, SIDE, SIDE, 3), np.float32),
        np.zeros((1, 3, TICKS + 1, SIDE, SIDE, 3), np.uint8),
        np.zeros((1, 1, TICKS, SIDE, SIDE, 3), np.uint8),
        np.zeros((3, TICKS, SIDE, SIDE, 3), np.uint8),
        np.zeros((1, 3, TICKS, SIDE, SIDE - 1, 3), np.uint8),
    ],
)
def test_frames_that_do_not_fit_are_refused(trained, frames):
    with pytest.raises(ValueError, match="frames: expected"):
        trained[0].read_actions(frames)


def test_a_size_that_does_not_fit_is_refused():
    space = ActionCodec(gymnasium.spaces.Discrete(2)).to_json()
    with pytest.raises(ValueError, match="width: expected a positive multiple of 8"):
        Judge(JudgeConfig(height=16, width=20, frames_per_step=1, action_space=space))


def test_in_the_block_world_it_learns_attributes():
    env = gymnasium.make("worldmodel/Voxel-v0", height=16, width=16, frame_skip=2, render_mode="rgb_array")
    judge = train_judge(env, make_player("fidgeter", env), JudgeTraining(**TINY, max_updates=100, learning_rate=3e-3))
    assert set(judge.attribute_values) == {"biome", "time", "weather", "objects"}
    attributes = judge.config.accuracy["attributes"]
    assert attributes["time"]["balanced"] > 0.55  # guessing gives a third
    read = judge.attributes(np.zeros((3, 16, 16, 3), np.uint8))
    assert read["biome"].shape == (3, len(CHOICES["biome"])) and read["objects"].shape[0] == 3
    np.testing.assert_allclose(read["weather"].sum(-1), 1, atol=1e-5)
    clip = np.zeros((2, 5, 2, 16, 16, 3), np.uint8)
    assert judge.activities(clip).shape == (2, 4, len(judge.activity_values))


def test_clips_are_cut_out_of_one_episode():
    lessons = [
        Lesson(np.full((n + 1, 1, 8, 8, 3), n, np.uint8) + np.arange(n + 1, dtype=np.uint8)[:, None, None, None, None],
               100.0 * n + np.arange(n, dtype=np.float32)[:, None] + 1,
               {"time": n + np.arange(n + 1, dtype=np.float32)[:, None]})
        for n in (4, 60)
    ]  # fmt: skip
    clips = draw_clips(lessons, 400, 4, np.random.default_rng(0))
    numbers = clips.frames[:, :, 0, 0, 0, 0].astype(int)
    assert (np.diff(numbers) == 1).all()
    np.testing.assert_array_equal(clips.targets["time"][..., 0], numbers)
    episode = (clips.actions[:, 0, 0] // 100).astype(int)
    np.testing.assert_array_equal(clips.actions[..., 0], 99.0 * episode[:, None] + numbers[:, 1:])
    assert set(episode) == {4, 60} and set(numbers[:, 0]) == {4, *range(60, 117)}


def test_episodes_shorter_than_a_clip_are_left_out():
    codec = ActionCodec(ToyEnv().action_space)
    with pytest.raises(ValueError, match="at least 8 steps"):
        collect(play_lessons(ToyEnv(length=5), Wanderer(), 7, 20, 20), codec, 8)


def test_accuracy_of_factors():
    codec = ActionCodec(gymnasium.spaces.Dict(
        {"jump": gymnasium.spaces.Discrete(2), "turn": gymnasium.spaces.Box(-1, 1, (), np.float32)}
    ))  # fmt: skip
    jump, turn = codec.factors
    true = codec.encode_many([{"jump": i % 2, "turn": turn} for i, turn in enumerate((-1.0, 0.0, 0.4, 1.0))])
    good = factor_accuracy(jump, true[:, jump.slice], true[:, jump.slice])
    assert good == {"accuracy": 1.0, "f1": 1.0, "share": 0.5}
    assert factor_accuracy(jump, true[::-1, jump.slice], true[:, jump.slice])["f1"] == 0.0
    other = codec.encode_many([{"jump": 0, "turn": turn} for turn in (-0.4, 0.0, 0.2, -1.0)])
    figures = factor_accuracy(turn, other[:, turn.slice], true[:, turn.slice])
    assert figures == {"accuracy": 0.25, "direction": 0.75, "mean_error": pytest.approx(0.7)}
    assert factor_accuracy(jump, true[::2, jump.slice], true[::2, jump.slice]) == {}


def test_what_is_not_known_teaches_nothing():
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    target = torch.eye(3)[torch.tensor([0, 1, 2, 0, 1])]
    for loss in (judge_training._choice_loss, judge_training._set_loss):
        hidden = target.clone()
        hidden[3:] = float("nan")
        torch.testing.assert_close(loss(logits, hidden), loss(logits[:3], target[:3]))
        assert loss(logits, torch.full_like(target, float("nan"))) == 0


def test_the_bundled_judge_is_good_and_no_world_model():
    assert "voxel" in bundled_judges() and "voxel" not in bundled_checkpoints()
    judge = Judge.load("voxel")
    env = gymnasium.make("worldmodel/Voxel-v0", height=64, width=64, frame_skip=2, render_mode="rgb_array")
    assert judge.codec == ActionCodec(env.action_space)
    seed = 1_000_000_900
    (part,) = collect(play_lessons(env, make_player("fidgeter", env), seed, 60, 60), judge.codec, 8)
    read = judge.read_actions(part.frames[None])[0]
    factors = {factor.name: factor for factor in judge.codec.factors}
    for name, least in (("camera[0]", 0.8), ("camera[1]", 0.8)):
        figures = factor_accuracy(factors[name], read[:, factors[name].slice], part.actions[:, factors[name].slice])
        assert figures["direction"] > least, (name, figures)
    time = judge.attributes(part.frames[:, -1])["time"].argmax(-1)
    assert (time == part.targets["time"].argmax(-1)).mean() > 0.9
