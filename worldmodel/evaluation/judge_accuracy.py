"""How well a judge reads real frames: what its word on imagined ones is worth.

Shapes: S steps of all episodes together, A width of an action vector, V values of an attribute.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldmodel.data.action_factors import Factor, Kind
from worldmodel.evaluation.judge import Judge
from worldmodel.evaluation.judge_data import ACTIVITY, Lesson


def measure(judge: Judge, lessons: Sequence[Lesson]) -> dict[str, Any]:
    """Compares what a judge reads with the truth.

    Args:
        judge: The judge.
        lessons: Real episodes.

    Returns:
        JSON values: `steps`; `factors`, by name the figures of `factor_accuracy` for those of which more than one value
        occurs; `keys`, accuracy and F1 in the mean of the two-valued ones; `attributes`, by name those of `_choice` or
        `_set`, of the last frame of each step and for `activity` of the step.
    """
    read = np.concatenate([judge.read_actions(part.frames[None])[0] for part in lessons])
    true = np.concatenate([part.actions for part in lessons])
    factors = {}
    for factor in judge.codec.factors:
        figures = factor_accuracy(factor, read[:, factor.slice], true[:, factor.slice])
        if figures:
            factors[factor.name] = figures
    result: dict[str, Any] = {"steps": len(true), "factors": factors}
    keys = [part for part in factors.values() if "f1" in part]
    if keys:
        result["keys"] = {name: _rounded(np.mean([part[name] for part in keys])) for name in ("accuracy", "f1")}
    if lessons[0].targets and judge.attribute_values:
        result["attributes"] = _attributes(judge, lessons)
    return result


def factor_accuracy(factor: Factor, read: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Compares probabilities of a factor's values with the truth.

    Args:
        factor: The factor.
        read: (S, values) probabilities.
        true: (S, values), as the codec encodes actions.

    Returns:
        `accuracy`: share of steps whose likeliest value is right. Of two values also `f1` and `share`, how often the
        second is true; of bins also `direction`, whether it is known to be below, at or above 0, and `mean_error`, how
        far the expectation is off. Empty if only one value occurs.
    """
    value, truth = read.argmax(-1), true.argmax(-1)
    if len(np.unique(truth)) < 2:
        return {}
    figures = {"accuracy": float((value == truth).mean())}
    if factor.kind is Kind.CATEGORICAL and factor.size == 2:
        figures |= {"f1": f1(value == 1, truth == 1), "share": float(truth.mean())}
    if factor.values is not None:
        signs = np.sign(factor.values)
        figures["direction"] = float((signs[value] == signs[truth]).mean())
        figures["mean_error"] = float(np.abs(read @ factor.values - true @ factor.values).mean())
    return {name: _rounded(figure) for name, figure in figures.items()}


def f1(found: np.ndarray, true: np.ndarray) -> float:
    """Returns the F1 score of what was found, bool, against what is true; 0 if neither occurs."""
    return float(2 * (found & true).sum() / max(found.sum() + true.sum(), 1))


def _attributes(judge: Judge, lessons: Sequence[Lesson]) -> dict[str, dict[str, float]]:
    read = judge.attributes(np.concatenate([part.frames[1:, -1] for part in lessons]))
    if judge.activity_values:
        read[ACTIVITY] = np.concatenate([judge.activities(part.frames[None])[0] for part in lessons])
    result = {}
    for name, probabilities in read.items():
        true = np.concatenate([part.targets[name][1:] for part in lessons])
        known = ~np.isnan(true).any(-1)
        compare = _set if name in judge.config.sets else _choice
        result[name] = {key: _rounded(figure) for key, figure in compare(probabilities[known], true[known]).items()}
    return result


def _choice(read: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Returns the share of right ones, its mean over the values that occur, and the share of the commonest value."""
    value, truth = read.argmax(-1), true.argmax(-1)
    right = value == truth
    by_value = [right[truth == i].mean() for i in np.unique(truth)]
    return {"accuracy": right.mean(), "balanced": np.mean(by_value), "commonest": true.mean(0).max()}


def _set(read: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Returns precision, recall and F1 over all values, and how many are true in a frame."""
    found, truth = read > 0.5, true > 0.5
    both = (found & truth).sum()
    return {
        "precision": both / max(found.sum(), 1),
        "recall": both / max(truth.sum(), 1),
        "f1": f1(found, truth),
        "number": truth.sum(-1).mean(),
    }


def _rounded(figure: float | np.floating[Any]) -> float:
    return round(float(figure), 4)
