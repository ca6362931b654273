"""How far apart two sets of frames are as a whole: the Frechet distance between Gaussian fits of their features.

Features are those of a judge that was trained on real frames of the same environment, reduced to the leading principal
components of real ones, each in units of its own deviation. So the distance has no unit, few frames suffice, and a mean
that is off by one deviation in one component counts 1. It is a figure of our own: it can be compared between models of
one environment, and with nobody else's.

With few frames it is too large even for two samples of one thing, so it is read beside that of as many real frames.

Source: Dowson & Landau, 1982, "The Frechet distance between multivariate normal distributions"; as a figure for
pictures, with features of another network, Heusel et al., 2017, "GANs Trained by a Two Time-Scale Update Rule".

Shapes: N frames, D features, K components, B worlds, F frames of each.
"""

from dataclasses import dataclass

import numpy as np

from worldmodel.evaluation.estimates import CONFIDENCE, NOTHING, Estimate

COMPONENTS = 16
"""K, at most."""
_LEAST_VARIANCE = 1e-6
"""Components of less than this share of the largest variance are noise of rounding."""
_DEVIATIONS = 1.96
"""Of a normal distribution, that hold 95 % of it."""
assert CONFIDENCE == 0.95


@dataclass(slots=True)
class Components:
    """The leading principal components of real features.

    Attributes:
        centre: float64 (D,), their mean.
        axes: float64 (D, K), directions, each divided by the deviation along it.
    """

    centre: np.ndarray
    axes: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Returns features (..., D) in components, (..., K): of the real ones each has mean 0 and deviation 1."""
        return (features.astype(np.float64) - self.centre) @ self.axes


def principal_components(features: np.ndarray, number: int = COMPONENTS) -> Components:
    """Finds the leading principal components of real features.

    Args:
        features: (N, D), of at least two frames.
        number: K; fewer are returned where features vary in fewer directions.

    Raises:
        ValueError: If there are fewer than two frames, or all are alike.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features: expected (N, D) with N at least 2, got shape {features.shape}")
    centre, covariance = _fit(features.astype(np.float64))
    variances, directions = np.linalg.eigh(covariance)
    variances, directions = variances[::-1][:number], directions[:, ::-1][:, :number]
    if not variances[0] > 0:
        raise ValueError("features: expected frames that differ, got frames that are all alike; play in other worlds")
    told = variances > _LEAST_VARIANCE * variances[0]
    return Components(centre, directions[:, told] / np.sqrt(variances[told]))


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the Frechet distance between the Gaussian fits of two samples (N, K), at least 0.

    As is the custom for this figure, it is the square of the distance proper: the square of that between the means,
    plus the trace of `A + B - 2 (A B)^(1/2)` with the covariances A and B.

    Raises:
        ValueError: If a sample has fewer than two rows, or they differ in K.
    """
    for name, sample in (("one", one), ("other", other)):
        if sample.ndim != 2 or len(sample) < 2 or sample.shape[1] != one.shape[1]:
            raise ValueError(f"{name}: expected (N, {one.shape[-1]}) with N at least 2, got shape {sample.shape}")
    (mean, covariance), (other_mean, other_covariance) = _fit(one), _fit(other)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    # A B has the eigenvalues of A^(1/2) B A^(1/2), which is symmetric.
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other_covariance @ root), 0)).sum()
    spread = np.trace(covariance) + np.trace(other_covariance) - 2 * shared
    return float(max(np.square(mean - other_mean).sum() + spread, 0.0))


def frechet_estimate(one: np.ndarray, other: np.ndarray) -> Estimate:
    """Estimates the Frechet distance between two sets of worlds, with the interval of the jackknife.

    Resampling, as elsewhere, would not do: worlds drawn twice make samples smaller, and so the distance larger.
    Here the i-th world of both is left out together, in turn.

    Source: Efron & Tibshirani, 1993, "An Introduction to the Bootstrap", chapter 11.

    Args:
        one: (B, F, K), components of frames.
        other: Likewise, of as many worlds.

    Returns:
        The estimate; `NOTHING` without a world. With one world, the interval is the value itself.

    Raises:
        ValueError: If the shapes differ.
    """
    if one.shape != other.shape or one.ndim != 3:
        raise ValueError(f"other: expected (B, F, K) as the other sample, {one.shape}, got {other.shape}")
    number = len(one)
    if number == 0:
        return NOTHING

    def distance(kept: np.ndarray) -> float:
        return frechet_distance(one[kept].reshape(-1, one.shape[-1]), other[kept].reshape(-1, one.shape[-1]))

    worlds = np.arange(number)
    value = distance(worlds)
    if number == 1:
        return Estimate(value, value, value, 1)
    without = np.array([distance(worlds[worlds != i]) for i in worlds])
    error = np.sqrt((number - 1) * np.square(without - without.mean()).mean())
    return Estimate(value, max(value - _DEVIATIONS * float(error), 0.0), value + _DEVIATIONS * float(error), number)


def _fit(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean (K,) and covariance (K, K) of a sample (N, K)."""
    mean = sample.mean(0)
    centred = sample - mean
    return mean, centred.T @ centred / (len(sample) - 1)
