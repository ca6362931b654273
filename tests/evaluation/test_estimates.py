"""Intervals hold what they say, and the same samples always give the same ones."""

import numpy as np
import pytest

from worldmodel.evaluation.estimates import NOTHING, Estimate, bootstrap, difference


def test_intervals_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(0)
    held = [(e := bootstrap(random.exponential(2.0, 40))).low <= 2.0 <= e.high for _ in range(150)]
    assert 0.87 <= np.mean(held) <= 0.99  # 95 %, less what skew and few samples take


def test_more_episodes_tell_more():
    random = np.random.default_rng(1)
    few, many = (bootstrap(random.normal(0, 1, number)) for number in (20, 2000))
    assert (few.high - few.low) > 5 * (many.high - many.low)
    assert many.high - many.low == pytest.approx(2 * 1.96 / np.sqrt(2000), rel=0.15)


def test_steps_of_an_episode_are_not_independent():
    """Repeating the steps of an episode a hundred times makes nothing surer."""
    values = np.random.default_rng(2).normal(0, 1, 30)
    once, often = bootstrap(values), bootstrap(np.repeat(values[:, None], 100, 1))
    assert often.number == once.number == 30
    assert (often.value, often.low, often.high) == pytest.approx((once.value, once.low, once.high))


def test_the_same_samples_give_the_same_interval():
    values = np.random.default_rng(3).normal(0, 1, 30)
    assert bootstrap(values) == bootstrap(values.copy())
    assert bootstrap(values, seed=1) != bootstrap(values)


def test_what_cannot_be_told():
    assert bootstrap(np.array([])) is NOTHING and bootstrap(np.array([np.nan, np.nan])) is NOTHING
    assert NOTHING.text() == "-"
    assert bootstrap(np.array([3.0, np.nan])) == Estimate(3.0, 3.0, 3.0, 1)
    assert bootstrap(np.ones((4, 2)), lambda rows: float("nan")).text() == "-"


def test_other_figures_than_the_mean():
    pairs = np.random.default_rng(4).normal(0, 1, (200, 1)) + np.random.default_rng(5).normal(0, 0.5, (200, 2))
    found = bootstrap(pairs, lambda rows: float(np.corrcoef(rows.T)[0, 1]))
    assert found.low < 0.8 < found.high and found.high < 1.0
    assert found.value == pytest.approx(np.corrcoef(pairs.T)[0, 1])


def test_differences_are_paired():
    """What episodes differ in, both have in common: only pairs show so small a gain."""
    random = np.random.default_rng(6)
    hard = random.normal(20, 5, 50)
    one, other = hard + 0.3 + random.normal(0, 0.1, 50), hard
    gain = difference(one, other)
    assert 0.2 < gain.low < 0.3 < gain.high < 0.4
    assert bootstrap(one).low < bootstrap(other).high


def test_text():
    assert Estimate(21.7, 21.2, 22.1, 9).text() == "21.70 [21.20, 22.10]"
    assert Estimate(0.91234, 0.9, 0.95, 9).text(3) == "0.912 [0.900, 0.950]"
