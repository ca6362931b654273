"""Each action alone: who dreams what really happens is told by its endings, and who does not listen is caught."""

import gymnasium
import numpy as np
import pytest

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.envs.imagined.dreams import Moment
from worldmodel.evaluation.counterfactuals import (
    ACTIONS,
    CONTEXT_STEPS,
    STEPS,
    TURN_DEGREES,
    endings,
    evaluate_counterfactuals,
    identify,
    play_forks,
    steps_dreamed,
)
from worldmodel.evaluation.episodes import EpisodesTooShort, evaluation_seeds
from worldmodel.evaluation.judge import Judge

STATES = 3
NAMES = list(ACTIONS)


@pytest.fixture(scope="module")
def forks():
    env = gymnasium.make("worldmodel/Voxel-v0", height=64, width=64, frame_skip=2, render_mode="rgb_array",
                         start_time=0.2, weather="clear")  # fmt: skip
    yield play_forks(env, make_player("explorer", env), evaluation_seeds(STATES, 75))
    env.close()


class Oracle:
    """Shows what really happens, or what happens if nothing is done."""

    name, frames_per_step, fps, context_steps = "oracle", 2, 20.0, 16

    def __init__(self, forks, *, deaf: bool = False) -> None:
        self.forks, self.deaf = forks, deaf
        self.begun, self.seeds = [], []

    def begin(self, contexts, seed):
        self.begun.append(contexts)
        self.seeds.append(seed)
        self.steps = 0

    def step(self, actions):
        self.steps += 1
        frames = []
        for part, action in zip(self.begun[-1], actions, strict=True):
            fork = next(fork for fork in self.forks if (fork.episode.frames[-1, -1] == part.frames[-1]).all())
            # Full actions hold arrays, so they are found by what is told apart in them.
            number = next(i for i, twin in enumerate(fork.twins) if str(twin.actions[0]) == str(action))
            frames.append(fork.twins[0 if self.deaf else number].frames[self.steps])
        number = np.full(len(actions), np.nan)
        return Moment(np.stack(frames), number, number, number, number, number)

    def reconstruct(self, frames):
        return frames


def test_twins_begin_alike_and_do_one_thing_each(forks):
    assert len(forks) == STATES
    for fork in forks:
        assert len(fork.twins) == len(ACTIONS)
        last = fork.episode.infos[-1]["pose"]
        for name, twin in zip(NAMES, fork.twins, strict=True):
            assert twin.num_steps == STEPS and twin.infos[0]["pose"] == last
            assert (twin.frames[0, -1] == fork.episode.frames[-1, -1]).all()
            after = twin.infos[-1]["pose"]
            turned = (after["yaw"] - last["yaw"] + 180) % 360 - 180
            wanted = {"look left": -STEPS * TURN_DEGREES, "look right": STEPS * TURN_DEGREES}.get(name, 0)
            assert turned == pytest.approx(wanted, abs=1e-3)
        assert fork.twins[NAMES.index("look down")].infos[-1]["pose"]["pitch"] > last["pitch"] + 10


def test_who_dreams_the_truth_passes(forks, tmp_path):
    dreamer, done = Oracle(forks), []
    section = evaluate_counterfactuals(dreamer, Judge.load("voxel"), forks, tmp_path, seed=5, progress=done.append)
    assert [check.passed for check in section.checks] == [True]
    figures = section.figures
    assert figures["identified_dream"].value == figures["identified_codec"].value == 1
    assert figures["change_spearman_dream"].value == 1
    assert figures["identified_chance"] == pytest.approx(1 / len(ACTIONS), abs=0.05)
    assert figures["gain"].low > 1 and figures["gain_nothing"].value == 0
    assert figures["turn_pearson_dream"] == figures["turn_pearson_real"] and figures["turn_pearson_real"].value > 0.7
    assert figures["turned_dream"] == figures["turned_real"] and figures["turned_real"].value > 0.4
    assert sum(done) == STATES * steps_dreamed()
    assert (tmp_path / "counterfactuals.png").stat().st_size > 1000


def test_every_action_is_dreamed_from_the_same_frames_with_the_same_noise(forks, tmp_path):
    dreamer = Oracle(forks)
    evaluate_counterfactuals(dreamer, None, forks, tmp_path, seed=5, batch=2)
    assert dreamer.seeds == [5, 7] * len(ACTIONS)
    for contexts in dreamer.begun:
        assert all(len(part.actions) == CONTEXT_STEPS for part in contexts)
    assert (dreamer.begun[0][0].frames == dreamer.begun[-2][0].frames).all()


def test_who_does_not_listen_is_caught(forks, tmp_path):
    section = evaluate_counterfactuals(Oracle(forks, deaf=True), Judge.load("voxel"), forks, tmp_path)
    assert [check.passed for check in section.checks] == [False]
    figures = section.figures
    assert figures["identified_dream"].value == pytest.approx(figures["identified_chance"])
    assert figures["identified_above_chance"].value == pytest.approx(0)
    assert figures["gain"].value == 0 and figures["turned_dream"].value == 0
    assert np.isnan(figures["change_spearman_dream"].value), "all its pictures change alike"


def test_without_a_judge_turns_are_not_measured(forks, tmp_path):
    section = evaluate_counterfactuals(Oracle(forks), None, forks, tmp_path)
    assert "turned_dream" not in section.figures and len(section.tables) == 2


def frames(*levels: int) -> np.ndarray:
    return np.stack([np.full((2, 1, 8, 8, 3), level, np.uint8) for level in levels])


def test_endings_that_look_alike_count_as_one():
    assert endings(frames(10, 100, 11, 200)).tolist() == [0, 1, 0, 2]
    assert endings(frames(10, 13, 16)).tolist() == [0, 0, 0], "alike to a third, in a chain"
    assert endings(frames(10, 60, 120)).tolist() == [0, 1, 2]


def test_endings_are_identified_by_the_nearest():
    real = frames(10, 100, 11, 200)
    kinds = endings(real)
    assert identify(frames(12, 90, 9, 180), real, kinds).tolist() == [1, 1, 1, 1]
    assert identify(frames(11, 190, 100, 200), real, kinds).tolist() == [1, 0, 0, 1]


def test_worlds_in_which_episodes_end_are_left_out():
    class Short(gymnasium.Wrapper):
        def step(self, action):
            observation, reward, _, truncated, info = self.env.step(action)
            return observation, reward, True, truncated, info

    env = Short(gymnasium.make("worldmodel/Voxel-v0", height=16, width=16, render_mode="rgb_array"))
    with pytest.raises(EpisodesTooShort, match="nearly all end earlier"):
        play_forks(env, make_player("explorer", env), evaluation_seeds(1, 75))
    env.close()
