"""What a contest found: returns beside those of the random player, what was predicted against what came, and why.

Shapes: N episodes, S starts, D dreams of an episode, H steps, K plans at a start.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.evaluation.agreement import spearman
from worldmodel.evaluation.contest import Entrant, Result
from worldmodel.evaluation.contest_plots import plot_dreams, plot_plans, plot_returns
from worldmodel.evaluation.estimates import NOTHING, Estimate, bootstrap, difference
from worldmodel.evaluation.foresight import Start, Trial
from worldmodel.evaluation.report import cell
from worldmodel.evaluation.sections import Check, Section, Table, Value

RANDOM = "random"
"""Name of the agent that all others are compared with."""
_ENDED = 0.5
"""Predicted probability of the end above which nothing more counts."""


def returns_section(entrants: Sequence[Entrant], results: Mapping[str, list[Result]], folder: Path) -> Section:
    """Returns what each agent earned.

    Args:
        entrants: All of them; one is named `RANDOM`.
        results: Of each, in the same worlds.
        folder: For the picture.
    """
    totals = {name: np.array([result.total for result in rows]) for name, rows in results.items()}
    first = next(iter(results.values()))
    starts = len({result.start for result in first})
    section = Section(
        "returns",
        "Returns in the real environment",
        f"{len(first)} worlds, the same for all, with seeds from {first[0].seed} to {first[-1].seed}, which no "
        f"training sees; none was over at its start. Their first observations show {starts} different starts. "
        "Differences are paired, world by world.",
    )
    rows: list[list[Value]] = []
    chance = bootstrap(totals[RANDOM])
    for entrant in entrants:
        name, found = entrant.name, results[entrant.name]
        steps = np.array([len(result.rewards) for result in found], float)
        value = section.figures[f"{name}_return"] = bootstrap(totals[name])
        over = section.figures[f"{name}_over_random"] = (
            NOTHING if name == RANDOM else difference(totals[name], totals[RANDOM])
        )
        length = section.figures[f"{name}_steps"] = bootstrap(steps)
        ended = section.figures[f"{name}_ended"] = float(np.mean([result.terminated for result in found]))
        pace = section.figures[f"{name}_seconds_per_step"] = sum(r.seconds for r in found) / max(1.0, steps.sum())
        knows = "the truth" if entrant.is_privileged else "what is seen"
        rows.append([name, entrant.label, knows, value, over, length, f"{ended:.0%}", f"{pace:.3g}", entrant.note])
        if name != RANDOM:
            section.checks.append(_beats_random(name, value, over, chance))
    header = ["agent", "player", "knows", "return", "more than random", "steps", "ended", "s/step", "note"]
    section.tables.append(Table(header, rows, digits=_digits(totals)))
    plot_returns(totals, RANDOM, folder / "returns.png")
    section.pictures["returns.png"] = (
        "Returns: every episode is a dot; the mean stands in its 95 % interval. At the right, how much more than the "
        "random player."
    )
    return section


def _beats_random(name: str, value: Estimate, over: Estimate, chance: Estimate) -> Check:
    apart = value.low > chance.high
    kind = "do not overlap" if apart or value.high < chance.low else "overlap"
    return Check(
        f"{name} beats random",
        bool(over.low > 0),
        f"{cell(over, 3)} more, world by world; the intervals {cell(value, 3)} and {cell(chance, 3)} {kind}",
    )


def plans_section(found: Mapping[str, list[Start]], horizons: Mapping[str, Sequence[int]], folder: Path) -> Section:
    """Returns what was predicted of plans against what came.

    Args:
        found: Of each planner, what was tried at each start.
        horizons: Of each planner, lengths of plans.
        folder: For the picture.
    """
    number = max(len(starts) for starts in found.values())
    section = Section(
        "plans",
        "Plans: predicted against realised return",
        f"At {number} moments of real episodes each planner makes a plan of each length, and the real environment does "
        "all of it. Promised is the sum of rewards that the planner's simulator predicts; the gap is promised less "
        "realised. Drawn plans were not chosen: their gap is the error of the model alone, and what the gap of chosen "
        "plans is larger by comes from choosing where the model is wrong. Agreement is the rank correlation between "
        "promised and realised returns of drawn and chosen plans.",
    )
    rows: list[list[Value]] = []
    steps: list[list[Value]] = []
    for name, starts in found.items():
        for horizon in horizons[name]:
            figures = plan_figures(starts, horizon)
            section.figures |= {f"{name}_{horizon}_{key}": value for key, value in figures.items()}
            rows.append([name, horizon, *figures.values()])
        for horizon in horizons[name]:
            values = step_errors(starts, horizon)
            section.figures |= {f"{name}_{horizon}_{key}": value for key, value in values.items()}
            steps.append([name, horizon, *values.values()])
        section.checks += _verdicts(name, section.figures, horizons[name])
    header = ["planner", "steps", "promised", "realised", "gap", "gap of drawn", "drawn, realised", "agreement"]
    section.tables.append(Table(header, rows, digits=3))
    header = ["planner", "step", "error of its reward", "PSNR, dB"]
    section.tables.append(Table(header, steps, "Drawn plans, step by step.", digits=3))
    plot_plans(found, section.figures, horizons, folder / "plans.png")
    section.pictures["plans.png"] = (
        "Promised and realised returns of plans, chosen (dots) and drawn (crosses); the gap by how far plans look "
        "ahead; error of the reward and of the frames at each step."
    )
    return section


def plan_figures(starts: Sequence[Start], horizon: int) -> dict[str, Estimate]:
    """Returns figures of plans of one length, over starts."""
    chosen = np.array([_sums(start.planned[str(horizon)], horizon) for start in starts])  # (S, 2)
    drawn = np.array([[_sums(trial, horizon) for trial in start.drawn] for start in starts])  # (S, K, 2)
    everything = np.concatenate([chosen[:, None], drawn], axis=1)
    return {
        "promised": bootstrap(chosen[:, 0]),
        "realised": bootstrap(chosen[:, 1]),
        "gap": bootstrap(chosen[:, 0] - chosen[:, 1]),
        "drawn_gap": bootstrap(drawn[..., 0] - drawn[..., 1]),
        "drawn_realised": bootstrap(drawn[..., 1]),
        "agreement": bootstrap(everything, lambda rows: spearman(rows[..., 0].ravel(), rows[..., 1].ravel())),
    }


def step_errors(starts: Sequence[Start], step: int) -> dict[str, Estimate]:
    """Returns how wrong the reward of a step of drawn plans was, counted from 1, and the PSNR of its frames."""
    errors, similar = [], []
    for start in starts:
        errors.append(np.mean([abs(t.predicted[step - 1] - t.realised[step - 1]) for t in start.drawn]))
        shown = [trial.psnr[step - 1] for trial in start.drawn if len(trial.psnr) >= step]
        similar.append(np.mean(shown) if shown else np.nan)
    return {"reward_error": bootstrap(np.array(errors)), "psnr": bootstrap(np.array(similar))}


def _sums(trial: Trial, horizon: int) -> tuple[float, float]:
    return float(np.sum(trial.predicted[:horizon])), float(np.sum(trial.realised[:horizon]))


def _verdicts(name: str, figures: Mapping[str, Any], horizons: Sequence[int]) -> list[Check]:
    """Returns whether a planner's promises can be relied on, and at which length they cannot."""

    def of(horizon: int, key: str) -> Estimate:
        return figures[f"{name}_{horizon}_{key}"]

    wrong = [h for h in horizons if of(h, "gap").low > 0 or of(h, "gap").high < 0]
    kept = f"no gap at any of {_listed(horizons)} steps"
    if wrong:
        h = wrong[0]
        kept = (
            f"from {h} steps on: promised {cell(of(h, 'promised'), 3)}, realised {cell(of(h, 'realised'), 3)}; plans "
            f"that were only drawn are off by {cell(of(h, 'drawn_gap'), 3)}"
        )
    last = horizons[-1]
    known = [h for h in horizons if np.isfinite(of(h, "agreement").value)]
    blind = [h for h in known if not of(h, "agreement").low > 0]
    ranked = f"agreement {cell(of(last, 'agreement'))} at {last} steps"
    if not known:
        ranked = "promised, or realised returns, are all alike: there is nothing to tell apart"
    elif blind:
        ranked = f"not at {_listed(blind)} steps: agreement {cell(of(blind[0], 'agreement'))} at {blind[0]}"
    gain = [h for h in horizons if of(h, "realised").low > of(h, "drawn_realised").high]
    better = f"at {_listed(gain)} steps" if gain else "at no length are its intervals above those of drawn plans"
    return [
        Check(f"{name}'s plans bring what they promise", not wrong, kept),
        Check(f"{name} tells good plans from bad ones", bool(known) and not blind, ranked),
        Check(f"{name}'s plans are better than drawn ones", bool(gain), better),
    ]


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def dreams_section(
    checkpoint: str, results: Mapping[str, list[Result]], horizons: Sequence[int], folder: Path
) -> Section:
    """Returns what a model foretold of every agent's own episodes.

    Args:
        checkpoint: Name of the model.
        results: Of each agent.
        horizons: Steps ahead, up to the length of a dream.
        folder: For the picture.
    """
    section = Section(
        "dreams",
        "Dreams of what the agents did",
        f"{checkpoint} dreams through every episode, a stretch of up to {max(horizons)} steps at a time, from the real "
        "frames before and with the actions that were really done. The gap is the predicted return of the first steps "
        "of a stretch less the real one; agreement is the rank correlation between the two over all stretches.",
    )
    rows: list[list[Value]] = []
    for name, found in results.items():
        for horizon in horizons:
            figures = dream_figures(found, horizon)
            section.figures |= {f"{name}_{horizon}_{key}": value for key, value in figures.items()}
            rows.append([name, horizon, *figures.values()])
    header = ["agent", "steps", "predicted", "realised", "gap", "agreement", "PSNR, dB"]
    section.tables.append(Table(header, rows, digits=3))
    plot_dreams(section.figures, list(results), horizons, folder / "dreams.png")
    section.pictures["dreams.png"] = (
        "Gap between predicted and real return, and likeness of the frames, by steps ahead."
    )
    return section


def dream_figures(results: Sequence[Result], horizon: int) -> dict[str, Estimate]:
    """Returns figures of dreams through the episodes of one agent; stretches that were cut off sooner are left out."""
    rows = [_foretold(result, horizon) for result in results if result.dreams]
    rows = [row for row in rows if len(row)]
    means = np.array([row.mean(0) for row in rows]).reshape(-1, 3)
    lengths = max((len(row) for row in rows), default=0)
    padded = np.full((len(rows), lengths, 3), np.nan)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row

    def agreement(chosen: np.ndarray) -> float:
        pairs = chosen.reshape(-1, 2)
        pairs = pairs[pairs[:, 0] > -np.inf]
        return spearman(pairs[:, 0], pairs[:, 1])

    pairs = np.where(np.isnan(padded[..., :2]), -np.inf, padded[..., :2])  # rows with a NaN would be left out whole
    return {
        "predicted": bootstrap(means[:, 0]),
        "realised": bootstrap(means[:, 1]),
        "gap": bootstrap(means[:, 0] - means[:, 1]),
        "agreement": bootstrap(pairs, agreement),
        "psnr": bootstrap(means[:, 2]),
    }


def _foretold(result: Result, horizon: int) -> np.ndarray:
    """Returns (D, 3) of the dreams of an episode: predicted and real return, and the PSNR of the last step."""
    said, came, ends, said_ends, errors = (
        np.array(result.dreams[name], float)[:, :horizon]
        for name in ("said_rewards", "rewards", "ends", "said_ends", "errors")
    )
    there = ~np.isnan(came)
    whole = there.all(1) | (np.nansum(ends, axis=1) > 0)  # where the episode ended, no more comes
    going = np.cumsum(np.nan_to_num(said_ends) > _ENDED, axis=1) - (np.nan_to_num(said_ends) > _ENDED) == 0
    last = errors[np.arange(len(errors)), there.sum(1) - 1]
    found = np.stack([np.where(there & going, said, 0.0).sum(1), np.nansum(came, axis=1), -last], axis=1)
    return found[whole]


def _digits(totals: Mapping[str, np.ndarray]) -> int:
    """Returns how many digits returns need."""
    return 1 if max(float(np.abs(values).max()) for values in totals.values()) >= 20 else 3
