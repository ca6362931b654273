"""The pictures of a contest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.evaluation.estimates import Estimate, bootstrap, difference
from worldmodel.evaluation.foresight import Start
from worldmodel.evaluation.plots import Curve, draw_curves, pyplot, save_figure

_COLORS = tuple(f"C{i}" for i in range(10))


def plot_returns(totals: Mapping[str, np.ndarray], random: str, path: Path) -> None:
    """Draws the returns of each agent, (N,), with intervals, and how much more they are than those of one."""
    names = list(totals)
    figure, (left, right) = pyplot().subplots(1, 2, figsize=(10, 1.2 + 0.5 * len(names)), sharey=True)
    jitter = np.random.default_rng(0)
    for y, name in enumerate(names):
        color = _COLORS[y % 10]
        spread = y + jitter.uniform(-0.22, 0.22, len(totals[name]))
        left.plot(totals[name], spread, ".", color=color, alpha=0.35, ms=5)
        _interval(left, y, bootstrap(totals[name]), color)
        if name != random:
            _interval(right, y, difference(totals[name], totals[random]), color)
    left.set_yticks(range(len(names)), names)
    left.set_ylim(len(names) - 0.5, -0.5)
    right.axvline(0, color="0.5", lw=1)
    for axis, title in ((left, "return"), (right, f"return more than {random}")):
        axis.set_title(title, fontsize=9)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=8)
    save_figure(figure, path)


def _interval(axis: Any, y: float, value: Estimate, color: str) -> None:
    axis.plot([value.low, value.high], [y, y], "-", color=color, lw=2.5)
    axis.plot([value.value], [y], "o", color=color, ms=7, mec="black", mew=0.7)


def plot_plans(
    found: Mapping[str, list[Start]],
    figures: Mapping[str, Any],
    horizons: Mapping[str, Sequence[int]],
    path: Path,
) -> None:
    """Draws what plans promised and brought, the gap by their length, and errors by step."""
    names = list(found)
    figure, axes = pyplot().subplots(2, 2, figsize=(10, 8))
    scatter = axes[0, 0]
    ends = [0.0, 0.0]
    for i, name in enumerate(names):
        last = horizons[name][-1]
        chosen = [_sums(start.planned[str(h)], h) for start in found[name] for h in horizons[name]]
        drawn = [_sums(trial, last) for start in found[name] for trial in start.drawn]
        for pairs, mark, label in ((drawn, "x", "drawn"), (chosen, "o", "chosen")):
            x, y = np.array(pairs).T
            scatter.plot(x, y, mark, color=_COLORS[i % 10], ms=4, alpha=0.5, label=f"{name}, {label}")
            ends = [min(ends[0], x.min(), y.min()), max(ends[1], x.max(), y.max())]
    scatter.plot(ends, ends, "-", color="0.5", lw=1)
    scatter.set_xlabel("promised return", fontsize=8)
    scatter.set_ylabel("realised return", fontsize=8)
    scatter.set_title("plans of all lengths", fontsize=9)
    scatter.tick_params(labelsize=8)
    scatter.grid(alpha=0.3)
    scatter.legend(fontsize=7)
    for axis, keys, title, unit in (
        (axes[0, 1], {"gap": "-", "drawn_gap": "--"}, "promised less realised return", "gap"),
        (axes[1, 0], {"reward_error": "-"}, "error of the reward of a step, drawn plans", "error"),
        (axes[1, 1], {"psnr": "-"}, "frames of a step, drawn plans", "PSNR, dB"),
    ):
        curves = [
            Curve(
                f"{name}, drawn" if key == "drawn_gap" else name,
                horizons[name],
                [figures[f"{name}_{h}_{key}"] for h in horizons[name]],
                style,
                _COLORS[i % 10],
            )
            for i, name in enumerate(names)
            for key, style in keys.items()
        ]
        _draw(axis, curves, title, unit, "steps ahead")
    save_figure(figure, path)


def plot_dreams(figures: Mapping[str, Any], names: Sequence[str], horizons: Sequence[int], path: Path) -> None:
    """Draws the gap of a model's dreams of every agent's episodes, and the likeness of their frames."""
    figure, axes = pyplot().subplots(1, 2, figsize=(10, 4))
    for axis, key, title, unit in (
        (axes[0], "gap", "predicted less real return", "gap"),
        (axes[1], "psnr", "frames of the last step", "PSNR, dB"),
    ):
        curves = [
            Curve(name, horizons, [figures[f"{name}_{h}_{key}"] for h in horizons], "-", _COLORS[i % 10])
            for i, name in enumerate(names)
        ]
        _draw(axis, curves, title, unit, "steps ahead")
    save_figure(figure, path)


def _draw(axis: Any, curves: Sequence[Curve], title: str, unit: str, steps: str) -> None:
    known = [curve for curve in curves if any(np.isfinite(part.value) for part in curve.estimates)]
    if not known:
        axis.set_axis_off()
        axis.set_title(f"{title}: nothing to show", fontsize=9)
        return
    draw_curves(axis, known, title=title, unit=unit)
    axis.set_xlabel(steps, fontsize=8)


def _sums(trial: Any, horizon: int) -> tuple[float, float]:
    return float(np.sum(trial.predicted[:horizon])), float(np.sum(trial.realised[:horizon]))
