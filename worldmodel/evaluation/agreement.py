"""How well predictions agree with what happened: correlations, ranking, and whether probabilities mean what they say.

All figures are NaN where they have no meaning: fewer than two samples, or samples that are all alike.

Sources: Spearman, 1904 (rank correlation); Hanley & McNeil, 1982 (area under the ROC curve, as a rank statistic);
Brier, 1950; Guo, Pleiss, Sun & Weinberger, 2017, "On Calibration of Modern Neural Networks" (expected calibration
error).

Shapes: N samples.
"""

from dataclasses import dataclass

import numpy as np

BINS = 10
"""Of the calibration error."""


def pearson(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the correlation of two samples (N,), -1 to 1."""
    if len(one) < 2:
        return float("nan")
    one, other = (np.asarray(part, np.float64) - np.mean(part, dtype=np.float64) for part in (one, other))
    scale = np.sqrt((one**2).sum() * (other**2).sum())
    # What is left of equal numbers after their mean is taken off is rounding.
    alike = min(np.abs(one).max(), np.abs(other).max()) < 1e-12
    return float("nan") if alike or scale == 0 else float((one * other).sum() / scale)


def ranks(values: np.ndarray) -> np.ndarray:
    """Returns the ranks of a sample (N,), from 1; those of equal values are the mean of the places that they take."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[group]


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the rank correlation of two samples (N,), -1 to 1; equal values share their rank."""
    return pearson(ranks(one), ranks(other))


def auroc(scores: np.ndarray, events: np.ndarray) -> float:
    """Returns how likely an event has a higher score than what is none: 0.5 for guessing, 1 for perfect.

    Args:
        scores: (N,); equal ones count half.
        events: bool (N,).
    """
    events = np.asarray(events, bool)
    positives = int(events.sum())
    negatives = len(events) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    return float((ranks(scores)[events].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def brier(probabilities: np.ndarray, events: np.ndarray) -> float:
    """Returns the mean squared error of probabilities (N,) of events (N,): 0 is perfect."""
    return float(np.square(probabilities - np.asarray(events, np.float64)).mean()) if len(events) else float("nan")


@dataclass(slots=True)
class Reliability:
    """What was predicted against what came, by bins of equal width; empty ones are left out.

    Attributes:
        predicted: (bins,), mean prediction of each.
        came: (bins,), mean of what came.
        numbers: (bins,), samples in each.
    """

    predicted: np.ndarray
    came: np.ndarray
    numbers: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: how far the two lie apart, in the mean over samples."""
        if len(self.numbers) == 0:
            return float("nan")
        return float(np.average(np.abs(self.predicted - self.came), weights=self.numbers))


def reliability(
    predicted: np.ndarray, came: np.ndarray, *, low: float = 0.0, high: float = 1.0, bins: int = BINS
) -> Reliability:
    """Compares predictions with what came.

    Args:
        predicted: (N,), probabilities, or expected values of any number.
        came: (N,), 0 or 1, or the number itself.
        low: Lower end of the bins; what lies below counts to the first.
        high: Upper end, likewise.
        bins: How many.
    """
    width = max(high - low, 1e-12) / bins
    places = np.clip(((np.asarray(predicted, np.float64) - low) / width).astype(int), 0, bins - 1)
    numbers = np.bincount(places, minlength=bins)
    filled = numbers > 0
    means = [np.bincount(places, part, bins)[filled] / numbers[filled] for part in (predicted, came)]
    return Reliability(means[0], means[1], numbers[filled])
