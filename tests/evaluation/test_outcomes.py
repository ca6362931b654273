"""Rewards, ends and trust: who knows them is told from who does not."""

import sys
from pathlib import Path

import numpy as np
import pytest

from worldmodel.envs.imagined.dreams import Moment
from worldmodel.evaluation.episodes import play
from worldmodel.evaluation.outcomes import collect, evaluate_outcomes

sys.path.append(str(Path(__file__).parent))

from toy_world import ToyDreamer, ToyEnv, Wanderer  # noqa: E402

LENGTH = 37


class Prophet(ToyDreamer):
    """Knows the rules and when the world ends; its frames are wrong at times, and it says so, or the opposite.

    Attributes:
        trusts: 1 says how wrong a frame is, -1 the opposite, 0 nothing of it.
        knows: Whether it knows rewards and ends; else it guesses.
    """

    def __init__(self, *, trusts: float = 1, knows: bool = True) -> None:
        super().__init__()
        self.trusts, self.knows = trusts, knows

    def step(self, actions) -> Moment:
        moment = super().step(actions)
        wrong = self.random.random(len(actions))
        frames = moment.frames.astype(int) + (100 * wrong).astype(int)[:, None, None, None, None]
        ends = np.array([float(ticks >= 2 * LENGTH) for ticks in self.ticks])
        rewards = moment.rewards
        if not self.knows:
            ends, rewards = self.random.random(len(actions)), self.random.random(len(actions))
        trust = 1 - 0.9 * wrong if self.trusts > 0 else 0.9 * wrong
        if not self.trusts:
            trust = self.random.random(len(actions))
        return Moment(frames.clip(0, 255).astype(np.uint8), rewards, ends, trust, 1 - trust, 1 - trust)


@pytest.fixture(scope="module")
def episodes():
    env = ToyEnv(length=LENGTH)
    return [play(env, Wanderer(), seed, 100) for seed in range(8)]


def checks(section) -> dict[str, bool]:
    return {check.name: check.passed for check in section.checks}


def test_every_step_is_dreamed_once_after_its_own_past(episodes):
    found = collect(ToyDreamer(), episodes, horizon=8)
    for i, episode in enumerate(episodes):
        there = ~np.isnan(found.rewards[i])
        rewards = found.rewards[i][there]
        assert rewards.tolist() == episode.rewards[-len(rewards) :].tolist() and len(rewards) > LENGTH - 8
        assert np.array_equal(found.rewards[i][there], found.said_rewards[i][there])
        assert found.ends[i][there].tolist() == [0] * (len(rewards) - 1) + [1]
    assert np.nanmax(found.errors) == -60, "the toy dreams perfectly"


def test_a_prophet_passes(episodes, tmp_path):
    section = evaluate_outcomes(Prophet(), episodes, tmp_path)
    assert checks(section) == {"rewards are told": True, "ends are told": True, "trust tells error": True}
    figures = section.figures
    assert figures["reward_pearson_all"].value == pytest.approx(1) and figures["reward_auroc_near"].value == 1
    assert figures["end_auroc_all"].value == 1 and figures["end_brier_all"].value == 0 and figures["ends"] == 8
    assert figures["return_pearson"].value == pytest.approx(1)
    assert figures["trust_equal_steps"].low > 0.8
    assert section.pictures.keys() == {"outcomes.png"} and (tmp_path / "outcomes.png").stat().st_size > 5000


def test_who_guesses_is_caught(episodes, tmp_path):
    section = evaluate_outcomes(Prophet(knows=False, trusts=0), episodes, tmp_path)
    assert checks(section) == {"rewards are told": False, "ends are told": False, "trust tells error": False}
    assert abs(section.figures["reward_pearson_all"].value) < 0.25
    assert section.figures["end_brier_all"].value > section.figures["end_brier_rate_all"].value


def test_trust_in_what_is_wrong_is_caught(episodes, tmp_path):
    section = evaluate_outcomes(Prophet(trusts=-1), episodes, tmp_path)
    assert not checks(section)["trust tells error"] and section.figures["trust_equal_steps"].high < 0


def test_where_nothing_comes_nothing_is_claimed(tmp_path):
    class Idle(Wanderer):
        def act(self, observation, info):
            return 0

    quiet = [play(ToyEnv(), Idle(), seed, 20) for seed in range(3)]
    section = evaluate_outcomes(ToyDreamer(), quiet, tmp_path)
    assert not section.checks and not section.tables
    assert "nothing to measure" in section.text and "does not say how far it trusts" in section.text
    assert np.isnan(section.figures["reward_pearson_all"].value) and np.isnan(section.figures["end_auroc_all"].value)
    with pytest.raises(ValueError, match="episodes: expected at least one real episode, got none"):
        evaluate_outcomes(ToyDreamer(), [], tmp_path)
