"""Correlations, ranking and calibration, against values worked out by hand."""

import numpy as np
import pytest

from worldmodel.evaluation.agreement import auroc, brier, pearson, ranks, reliability, spearman


def test_ranks_of_equal_values_are_shared():
    assert ranks(np.array([5.0, 1.0, 5.0, 7.0, 1.0, 1.0])).tolist() == [4.5, 2.0, 4.5, 6.0, 2.0, 2.0]


def test_correlations():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert pearson(x, 2 * x + 1) == pytest.approx(1) and pearson(x, -x) == pytest.approx(-1)
    assert pearson(x, np.array([1.0, 3.0, 2.0, 4.0])) == pytest.approx(0.8)
    assert spearman(x, np.exp(3 * x)) == pytest.approx(1) and pearson(x, np.exp(3 * x)) < 0.9
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: covariance 4.5, norms 4.5 and 5.
    assert spearman(x, np.array([1.0, 2.0, 2.0, 9.0])) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


@pytest.mark.parametrize("figure", [pearson, spearman])
def test_what_is_all_alike_correlates_with_nothing(figure):
    assert np.isnan(figure(np.ones(4), np.arange(4.0))) and np.isnan(figure(np.ones(1), np.ones(1)))


def test_area_under_the_curve():
    events = np.array([0, 0, 1, 1])
    assert auroc(np.array([1.0, 2.0, 3.0, 4.0]), events) == 1 and auroc(np.array([4.0, 3.0, 2.0, 1.0]), events) == 0
    # Of four pairs of an event and none, two are right, one is equal and one is wrong.
    assert auroc(np.array([1.0, 3.0, 3.0, 2.0]), events) == pytest.approx(2.5 / 4)
    assert auroc(np.ones(4), events) == 0.5
    assert np.isnan(auroc(np.arange(3.0), np.zeros(3)))


def test_brier_score():
    assert brier(np.array([1.0, 0.0, 0.5]), np.array([1, 0, 1])) == pytest.approx(0.25 / 3)


def test_calibration():
    predicted, came = np.array([0.05, 0.05, 0.95, 0.95]), np.array([0, 1, 1, 1])
    found = reliability(predicted, came)
    assert found.predicted == pytest.approx([0.05, 0.95]) and found.came == pytest.approx([0.5, 1.0])
    assert found.numbers.tolist() == [2, 2] and found.error == pytest.approx((0.45 + 0.05) / 2)
    random = np.random.default_rng(0)
    predicted = random.random(20_000)
    assert reliability(predicted, random.random(20_000) < predicted).error < 0.03
    assert reliability(predicted, random.random(20_000) < predicted**2).error > 0.1
    assert reliability(np.array([-3.0, 5.0]), np.array([-3.0, 5.0]), low=-3, high=5).error == 0
    assert np.isnan(reliability(np.zeros(0), np.zeros(0)).error)
