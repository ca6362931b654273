"""The Frechet distance is what the formula says, and nothing between a sample and itself."""

import numpy as np
import pytest

from worldmodel.evaluation.frechet import frechet_distance, frechet_estimate, principal_components


def gaussian(number, mean, deviations, seed=0):
    """A sample with exactly this mean, and these deviations along the axes."""
    sample = np.random.default_rng(seed).normal(size=(number, len(mean)))
    sample -= sample.mean(0)
    sample = sample @ np.linalg.inv(np.linalg.cholesky(np.cov(sample.T))).T
    return sample * np.array(deviations) + np.array(mean)


def test_the_formula():
    one = gaussian(50, [0, 0, 0], [1, 2, 0.5])
    other = gaussian(80, [3, 0, -4], [2, 2, 1], seed=1)
    # Covariances along the same axes: means apart, and deviations apart.
    assert frechet_distance(one, other) == pytest.approx(25 + 1 + 0 + 0.25)
    assert frechet_distance(other, one) == pytest.approx(frechet_distance(one, other))
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    assert frechet_distance(one @ turn, other @ turn) == pytest.approx(26.25)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(np.full((5, 2), 1.0), np.full((9, 2), 3.0)) == pytest.approx(8), "points, without spread"


def test_covariances_that_are_turned_against_each_other():
    """Against the textbook's matrix root, of the product of the covariances itself."""
    generator = np.random.default_rng(3)
    one, other = (generator.normal(size=(60, 4)) @ generator.normal(size=(4, 4)) for _ in range(2))
    a, b = np.cov(one.T), np.cov(other.T)
    values, vectors = np.linalg.eig(a @ b)
    root = (vectors * np.sqrt(values)) @ np.linalg.inv(vectors)
    expected = np.square(one.mean(0) - other.mean(0)).sum() + np.trace(a + b - 2 * root.real)
    assert frechet_distance(one, other) == pytest.approx(expected)


def test_components_are_in_units_of_their_deviation():
    features = gaussian(200, [5, -1, 2, 0], [10, 0.1, 3, 0]) @ np.linalg.qr(np.arange(16.0).reshape(4, 4) % 7)[0]
    components = principal_components(features.astype(np.float32))
    shown = components(features)
    assert shown.shape == (200, 3), "nothing varies in the fourth"
    np.testing.assert_allclose(shown.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(np.cov(shown.T), np.eye(3), atol=1e-4)
    assert principal_components(features, 2)(features[None]).shape == (1, 200, 2)
    further = components(features + 20 * features.std() * components.axes[:, 0] / np.linalg.norm(components.axes[:, 0]))
    assert abs(further - shown).mean(0)[0] > 1 > abs(further - shown).mean(0)[1:].max(), "along the first alone"


def worlds(number, shift=0.0, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(number, 1, 3)) + 0.3 * generator.normal(size=(number, 12, 3)) + shift


def test_intervals_of_worlds():
    one = worlds(20)
    same, far = frechet_estimate(one, worlds(20, seed=1)), frechet_estimate(one, worlds(20, 2.0, seed=1))
    for estimate in (same, far):
        assert estimate.number == 20 and 0 <= estimate.low < estimate.value < estimate.high
    assert same.high < far.low and far.low < 3 * 2.0**2 < far.high
    assert frechet_estimate(one, one).high == pytest.approx(0, abs=1e-9)
    single = frechet_estimate(one[:1], one[1:2])
    assert single.low == single.value == single.high > 0
    assert frechet_estimate(one[:0], one[:0]).number == 0


def test_intervals_hold_the_distance_mostly():
    """With 95 % confidence, from as few worlds as that; the distance is that of very many."""
    target = frechet_estimate(worlds(400), worlds(400, 1.5, seed=1)).value
    held = []
    for seed in range(30):
        found = frechet_estimate(worlds(24, seed=10 + 2 * seed), worlds(24, 1.5, seed=11 + 2 * seed))
        held.append(found.low <= target <= found.high)
    assert np.mean(held) > 0.85


def test_what_cannot_be_told_is_refused():
    with pytest.raises(ValueError, match="other: expected \\(N, 3\\) with N at least 2, got shape \\(1, 3\\)"):
        frechet_distance(np.zeros((4, 3)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="other: expected \\(B, F, K\\) as the other sample"):
        frechet_estimate(worlds(3), worlds(4))
    with pytest.raises(ValueError, match="frames that are all alike"):
        principal_components(np.ones((9, 4)))
    with pytest.raises(ValueError, match="N at least 2"):
        principal_components(np.ones((1, 4)))
