"""Figures with their uncertainty: bootstrap confidence intervals over independent episodes.

Source: Efron & Tibshirani, 1993, "An Introduction to the Bootstrap", chapter 13 (percentile intervals).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95

Statistic = Callable[[np.ndarray], float]
"""A figure of a sample (N, ...), such as its mean."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and the interval that holds the true one with 95 % confidence.

    Attributes:
        value: Of all episodes.
        low: Lower end of the interval.
        high: Upper end.
        number: Independent episodes that it comes from.
    """

    value: float
    low: float
    high: float
    number: int

    def text(self, digits: int = 2) -> str:
        """Returns it for a table, such as `21.70 [21.20, 22.10]`; `-` where there is nothing to estimate."""
        if not np.isfinite(self.value):
            return "-"
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


NOTHING = Estimate(float("nan"), float("nan"), float("nan"), 0)
"""What cannot be told."""


def bootstrap(samples: np.ndarray, statistic: Statistic | None = None, *, seed: int = 0) -> Estimate:
    """Estimates a figure from independent episodes.

    Args:
        samples: (N, ...), one row for each episode. Rows of numbers that hold a NaN are left out; what belongs to one
            episode must stand in one row, because its steps are not independent.
        statistic: The figure; by default the mean of all numbers.
        seed: Of the resampling.

    Returns:
        The estimate; `NOTHING` if no row is left. With one row, the interval is the value itself.
    """
    samples = np.asarray(samples)
    number = len(samples)
    if number and samples.dtype.kind == "f":
        samples = samples[~np.isnan(samples).reshape(number, -1).any(1)]
        number = len(samples)
    if number == 0:
        return NOTHING
    generator = np.random.default_rng(seed)
    drawn = generator.integers(number, size=(RESAMPLES, number))
    if statistic is None:  # rows are equally long, so the mean of all is that of their means: all resamples at once
        means = samples.reshape(number, -1).mean(1, dtype=np.float64)
        whole = float(means.mean())
        values = means[drawn].mean(1).tolist()
    else:
        whole = statistic(samples)
        values = [value for rows in drawn if np.isfinite(value := statistic(samples[rows]))]
    if not values:
        return Estimate(whole, whole, whole, number)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return Estimate(whole, float(low), float(high), number)


def difference(one: np.ndarray, other: np.ndarray, *, seed: int = 0) -> Estimate:
    """Estimates how much larger the first is in the mean, of two figures (N,) of the same episodes: paired."""
    return bootstrap(np.asarray(one, np.float64) - np.asarray(other, np.float64), seed=seed)
