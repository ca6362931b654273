"""What a loop has brought: the return in the real environment over the steps that were taken in it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.cli.settings import EnvConfig
from worldmodel.data.files import write_json

REPORT, PLOT = "report.json", "returns.png"


def write_report(folder: Path, rounds: list[dict[str, Any]], env: EnvConfig) -> dict[str, Any]:
    """Writes `report.json` and `returns.png`, and returns what is in the report.

    Args:
        folder: Of the loop.
        rounds: Figures of the stages of each round, all done.
        env: The environment, for the title.
    """
    report = {
        "rounds": [_row(number, rounds) for number in range(len(rounds))],
        "random": rounds[0]["evaluate"]["random"],
    }
    write_json(folder / REPORT, report)
    _draw(folder / PLOT, report, env)
    return report


def summary_lines(report: dict[str, Any]) -> list[str]:
    """Returns a report as lines of text."""
    from worldmodel.evaluation.estimates import Estimate

    rows: list[tuple[str, ...]] = [
        ("round", "real steps", "return, learned player", "over a random player", "collected", "imagined")
    ]
    for row in report["rounds"]:
        estimates = (Estimate(**row[name]).text(3) for name in ("return", "over_random"))
        rest = (f"{row[name]:.3f}" for name in ("collected_return", "imagined_return"))
        rows.append((str(row["round"]), str(row["real_steps"]), *estimates, *rest))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    number = report["random"]["return"]["number"]
    played = f"mean return of {number} episodes in worlds that no training sees, 95 % interval"
    return [played, *lines, f"a random player: {Estimate(**report['random']['return']).text(3)}"]


def _row(number: int, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what is told of a round."""
    from worldmodel.evaluation.estimates import difference

    stages = rounds[number]
    learned, collected = stages["evaluate"]["learned"], stages["collect"]
    gain = difference(np.array(learned["returns"]), np.array(rounds[0]["evaluate"]["random"]["returns"]))
    return {
        "round": number,
        "real_steps": collected["real_steps"],
        "episodes": collected["episodes"],
        "return": learned["return"],
        "steps": learned["steps"],
        "over_random": asdict(gain),
        "collected_return": collected["mean_return"],
        "imagined_return": stages["learn"]["imagined"]["learned"],
        "returns": learned["returns"],
    }


def _draw(path: Path, report: dict[str, Any], env: EnvConfig) -> None:
    """Draws real returns over real steps, beside the line of a random player."""
    from worldmodel.evaluation.plots import pyplot, save_figure

    rows, random = report["rounds"], report["random"]["return"]
    figure, axis = pyplot().subplots(figsize=(6.4, 4.0))
    steps = [row["real_steps"] for row in rows]
    low, value, high = ([row["return"][name] for row in rows] for name in ("low", "value", "high"))
    errors = np.maximum(0, [np.subtract(value, low), np.subtract(high, value)])  # equal ones differ by rounding
    axis.errorbar(steps, value, yerr=errors, color="tab:blue", marker="o", capsize=3, label="learned player")
    axis.fill_between(steps, low, high, color="tab:blue", alpha=0.15, lw=0)
    axis.axhline(random["value"], color="tab:gray", ls="--", label="random player")
    axis.axhspan(random["low"], random["high"], color="tab:gray", alpha=0.15, lw=0)
    axis.set_xlim(0, 1.05 * max(steps))
    axis.set_xlabel("steps taken in the real environment")
    axis.set_ylabel("return of an episode")
    world = next((env.kwargs[name] for name in ("level", "game", "env_id") if name in env.kwargs), env.id)
    axis.set_title(str(world), fontsize=9)
    axis.grid(alpha=0.3)
    axis.legend(loc="best", fontsize=8)
    save_figure(figure, path)
