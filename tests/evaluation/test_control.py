"""Whoever obeys is told from whoever does not."""

import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from worldmodel.data.action_codec import ActionCodec
from worldmodel.evaluation.control import evaluate_control, steps_needed
from worldmodel.evaluation.episodes import play

sys.path.append(str(Path(__file__).parent))

from toy_world import MOVES, SIDE, ToyDreamer, ToyEnv, Wanderer, find  # noqa: E402

CODEC = ActionCodec(gymnasium.spaces.Discrete(len(MOVES)))


class Reader:
    """A judge that sees where the square is and was."""

    codec = CODEC

    def read_actions(self, frames):
        places = np.array([[find(step[-1]) for step in clip] for clip in frames])
        moved = (np.diff(places, axis=1) + SIDE // 2) % SIDE - SIDE // 2
        distances = np.abs(moved[:, :, None] - 2 * MOVES).sum(-1)
        return np.eye(len(MOVES), dtype=np.float32)[distances.argmin(-1)]


class Late(ToyDreamer):
    """Does what it was told a step before."""

    def begin(self, contexts, seed):
        super().begin(contexts, seed)
        self.waiting = [context.actions[-1] for context in contexts]

    def step(self, actions):
        now, self.waiting = self.waiting, list(actions)
        return super().step(now)


class Confused(ToyDreamer):
    """Takes one action for another."""

    def step(self, actions):
        return super().step([(0, 3, 4, 2, 1)[action] for action in actions])


@pytest.fixture(scope="module")
def episodes():
    env = ToyEnv()
    return [play(env, Wanderer(), seed, steps_needed(ToyDreamer()) + 2) for seed in range(10)]


def score(dreamer, episodes, folder, judge=None):
    section = evaluate_control(dreamer, judge or Reader(), episodes, folder)
    return section, {check.name: check.passed for check in section.checks}


def test_a_perfect_dreamer_obeys(episodes, tmp_path):
    section, checks = score(ToyDreamer(), episodes, tmp_path)
    assert checks == {"actions are obeyed": True, "actions are not shifted": True}
    assert section.figures["choices_accuracy_dream"].value == section.figures["choices_accuracy_real"].value == 1
    assert section.figures["choices_f1_dream"].value == 1
    assert section.figures["choices_accuracy_other"].high < 0.7
    assert section.figures["psnr_gain_16"].low > 3
    assert (tmp_path / "control.png").stat().st_size > 5000


@pytest.mark.parametrize("dreamer", [ToyDreamer(obeys=False), Confused()])
def test_who_does_not_obey_is_caught(episodes, tmp_path, dreamer):
    section, checks = score(dreamer, episodes, tmp_path)
    assert not checks["actions are obeyed"]
    assert section.figures["choices_accuracy_dream"].value < 0.6


def test_actions_that_come_a_step_late_are_caught(episodes, tmp_path):
    section, checks = score(Late(), episodes, tmp_path)
    assert not checks["actions are not shifted"]
    assert section.figures["psnr_shift_+1"].low > 0 > section.figures["psnr_shift_-1"].high


def test_without_a_judge_only_the_truth_counts(episodes, tmp_path):
    section = evaluate_control(ToyDreamer(), None, episodes, tmp_path)
    assert section.checks[0].passed and not any("accuracy" in name for name in section.figures)


def test_too_short_episodes_are_refused(tmp_path):
    short = [play(ToyEnv(), Wanderer(), seed, 10) for seed in range(2)]
    with pytest.raises(ValueError, match="episodes: expected at least 2 of at least 21 steps"):
        evaluate_control(ToyDreamer(), Reader(), short, tmp_path)
