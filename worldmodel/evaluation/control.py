"""Are actions obeyed? Dreams with right and wrong actions against the truth, and actions read back from dreams.

Source: Guo et al., 2025, "MineWorld", https://arxiv.org/abs/2504.08388 (actions read back by inverse dynamics, keys and
camera apart).

Shapes: B episodes, S steps, r ticks in a step, H W pixels, A width of an action vector.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.action_factors import Factor
from worldmodel.evaluation.dreamers import Dreamer, dream, psnr, truth
from worldmodel.evaluation.episodes import Context, RealEpisode, context
from worldmodel.evaluation.estimates import Estimate, bootstrap, difference
from worldmodel.evaluation.judge import Judge
from worldmodel.evaluation.plots import Curve, draw_curves, pyplot, save_figure
from worldmodel.evaluation.sections import Check, Section, Table

HORIZON = 16
"""Steps that are dreamed."""
STEPS = (1, 2, 4, 8, 16)
_SHIFTS = (-1, 1)
_LEAD = 8
"""Real steps before a dream that the judge sees, because it looks at steps to both sides."""
_LEAST_SHARE = 0.01
"""Share of steps in which a key must be held to be counted."""
_WHO = {"dream": "dream", "real": "real frames", "other": "dream with other actions"}


def steps_needed(dreamer: Dreamer) -> int:
    """Returns how many steps real episodes must have at least."""
    return dreamer.context_steps + HORIZON + 1


def steps_dreamed() -> int:
    """Returns how many steps are dreamed for each episode."""
    return (2 + len(_SHIFTS)) * HORIZON


def evaluate_control(
    dreamer: Dreamer,
    judge: Judge | None,
    episodes: Sequence[RealEpisode],
    folder: Path,
    *,
    seed: int = 0,
    batch: int = 16,
    progress: Callable[[int], None] = lambda steps: None,
) -> Section:
    """Scores whether dreams follow their actions.

    Args:
        dreamer: Who dreams.
        judge: Reads actions back from frames; without one, dreams are only compared with the truth.
        episodes: B real ones, at least two, of at least `steps_needed` steps; what comes later is not looked at.
        folder: For the plot.
        seed: Of the noise.
        batch: Dreams at a time.
        progress: Called with the number of new steps.

    Raises:
        ValueError: If there are too few episodes, or one is too short.
    """
    first, least = dreamer.context_steps, steps_needed(dreamer)
    if len(episodes) < 2 or min(episode.num_steps for episode in episodes) < least:
        raise ValueError(f"episodes: expected at least 2 of at least {least} steps, got fewer or shorter ones")
    contexts = [context(episode, first, first) for episode in episodes]
    # What the t-th dreamed step is told: its own action, that of the same moment elsewhere, or of the step beside.
    own = {shift: [episode.actions[first + shift : first + shift + HORIZON] for episode in episodes]
           for shift in (0, *_SHIFTS)}  # fmt: skip
    given = {"dream": own[0], "other": own[0][1:] + own[0][:1], **{f"shift {shift}": own[shift] for shift in _SHIFTS}}
    # The actions of the context are shifted likewise: what leads to the first dreamed step may have been noted before.
    seen = {"dream": contexts, "other": contexts} | {
        f"shift {shift}": [_shifted(part, episode, shift) for part, episode in zip(contexts, episodes, strict=True)]
        for shift in _SHIFTS
    }
    real = truth(episodes, first, HORIZON)
    frames = {
        who: dream(dreamer, seen[who], actions, seed=seed, batch=batch, progress=progress).frames
        for who, actions in given.items()
    }
    scores = {who: psnr(shown, real).mean(-1) for who, shown in frames.items()}  # (B, S)
    section = Section(
        "control",
        "Control",
        f"Dreams of {HORIZON} steps after {len(episodes)} real contexts, with the actions that were really taken, with "
        "those of another episode, and with their own a step too early or too late, against what really happened.",
        figures={"episodes": len(episodes)},
    )
    gain = _truth_table(section, scores)
    _alignment(section, scores)
    reasons = [f"true actions gain {gain.text()} dB over another episode's"]
    obeyed = gain.low > 0
    if judge is not None:
        lead = np.stack([episode.frames[first - min(first, _LEAD) : first + 1] for episode in episodes])
        actions = np.stack([judge.codec.encode_many(list(part)) for part in own[0]])  # (B, S, A)
        shown = {"dream": frames["dream"], "real": real, "other": frames["other"]}
        read = {
            who: judge.read_actions(np.concatenate([lead, part], axis=1))[:, -HORIZON:] for who, part in shown.items()
        }
        above = _read_back(section, judge.codec, read, actions)
        reasons.append(f"actions are read back better by {above.text()} than from dreams that were given others")
        obeyed = obeyed and above.low > 0
    section.checks.insert(0, Check("actions are obeyed", obeyed, "; ".join(reasons)))
    _plot(section, folder / "control.png", scores)
    return section


def _shifted(part: Context, episode: RealEpisode, shift: int) -> Context:
    """Returns a context that reaches back to the start of its episode, with the actions of the steps beside."""
    places = np.clip(np.arange(len(part.actions)) + shift, 0, None)
    return replace(part, actions=[episode.actions[place] for place in places])


def _truth_table(section: Section, scores: dict[str, np.ndarray]) -> Estimate:
    """Adds the table of PSNR with true and other actions, and returns the gain over all steps."""
    rows: list[list[Any]] = []
    for step in STEPS:
        columns = [scores[who][:, step - 1] for who in ("dream", "other")]
        gain = difference(*columns)
        section.figures[f"psnr_gain_{step}"] = gain
        rows.append([step, *map(bootstrap, columns), gain])
    section.tables.append(
        Table(["step", "own actions", "another's", "gain"], rows, "PSNR in dB against the real frames:")
    )
    whole = difference(scores["dream"].mean(1), scores["other"].mean(1))
    section.figures["psnr_gain"] = whole
    return whole


def _alignment(section: Section, scores: dict[str, np.ndarray]) -> None:
    """Tells whether actions fit better a step earlier or later: then the model was trained on shifted ones."""
    rows: list[list[Any]] = []
    better = []
    for shift in _SHIFTS:
        gain = difference(scores[f"shift {shift}"].mean(1), scores["dream"].mean(1))
        section.figures[f"psnr_shift_{shift:+d}"] = gain
        rows.append([f"{shift:+d}", gain])
        if gain.low > 0:
            better.append(f"{shift:+d} ({gain.text()} dB better)")
    section.tables.append(Table(["action of the step", "gain in dB over its own"], rows))
    reason = f"fits better with the action of step {', '.join(better)}" if better else "no other shift fits better"
    section.checks.append(Check("actions are not shifted", not better, reason))


def _read_back(section: Section, codec: ActionCodec, read: dict[str, np.ndarray], actions: np.ndarray) -> Estimate:
    """Adds what the judge reads from each kind of frames.

    Returns:
        How much oftener it reads the action from the dream than from the dream with another's actions.
    """
    kinds: dict[str, list[Factor]] = {"keys": [], "camera": [], "choices": []}
    for factor in codec.factors:
        values = actions[..., factor.slice].argmax(-1)
        if factor.values is not None:
            kinds["camera"].append(factor)
        elif factor.size == 2 and _LEAST_SHARE <= (values == 1).mean() <= 1 - _LEAST_SHARE:
            kinds["keys"].append(factor)
        elif factor.size > 2 and len(np.unique(values)) > 1:
            kinds["choices"].append(factor)
    rows: list[list[Any]] = []
    right: dict[str, list[np.ndarray]] = {who: [] for who in _WHO}
    for kind, factors in kinds.items():
        if not factors:
            continue
        row: list[Any] = [f"{kind}, accuracy"]
        for who in _WHO:
            shares = np.mean([_right(factor, read[who], actions) for factor in factors], axis=0)  # (B,)
            right[who].append(shares)
            section.figures[f"{kind}_accuracy_{who}"] = bootstrap(shares)
            row.append(section.figures[f"{kind}_accuracy_{who}"])
        rows.append(row)
        row = [f"{kind}, macro F1"]
        for who in _WHO:
            counts = np.stack([_counts(factor, read[who], actions) for factor in factors], axis=1)  # (B, factors, V, 3)
            section.figures[f"{kind}_f1_{who}"] = bootstrap(counts, _macro_f1)
            row.append(section.figures[f"{kind}_f1_{who}"])
        rows.append(row)
    section.tables.append(
        Table(
            ["read back", *_WHO.values()],
            rows,
            "Actions that a network trained on real frames reads from frames, against those of the real episode. Keys: "
            f"each that is held in at least {_LEAST_SHARE:.0%} of the steps, pressed or not, their mean; camera: left, "
            "right or still, up, down or still; F1 is the mean over values that occur.",
        )
    )
    return difference(np.mean(right["dream"], axis=0), np.mean(right["other"], axis=0))


def _classes(factor: Factor, vectors: np.ndarray) -> np.ndarray:
    """Returns the value (B, S) of vectors (B, S, A): its number, or of a continuous one its sign plus 1."""
    values = vectors[..., factor.slice].argmax(-1)
    return values if factor.values is None else np.sign(factor.values).astype(int)[values] + 1


def _right(factor: Factor, read: np.ndarray, actions: np.ndarray) -> np.ndarray:
    return (_classes(factor, read) == _classes(factor, actions)).mean(-1)


_MOST_CLASSES = 32


def _counts(factor: Factor, read: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Returns hits, false alarms and misses of each value: (B, _MOST_CLASSES, 3)."""
    found, true = _classes(factor, read), _classes(factor, actions)
    first = 1 if factor.size == 2 and factor.values is None else 0  # of a key, that it is pressed is what counts
    counts = np.zeros((len(found), _MOST_CLASSES, 3))
    for value in range(first, min(factor.size, _MOST_CLASSES)):
        is_found, is_true = found == value, true == value
        for i, part in enumerate((is_found & is_true, is_found & ~is_true, ~is_found & is_true)):
            counts[:, value, i] = part.sum(-1)
    return counts


def _macro_f1(counts: np.ndarray) -> float:
    """Returns the mean F1 over values that occur, of counts (B, factors, V, 3)."""
    hits, alarms, misses = counts.sum(0).reshape(-1, 3).T
    occurs = hits + misses > 0
    return float((2 * hits / np.maximum(2 * hits + alarms + misses, 1))[occurs].mean()) if occurs.any() else np.nan


def _plot(section: Section, path: Path, scores: dict[str, np.ndarray]) -> None:
    figure, axis = pyplot().subplots(figsize=(6, 3.5))
    names = {
        "dream": ("own actions", "tab:blue"),
        "other": ("another's", "tab:red"),
        "shift -1": ("of the step before", "tab:orange"),
        "shift 1": ("of the next", "tab:green"),
    }
    curves = [
        Curve(name, STEPS, [bootstrap(scores[who][:, step - 1]) for step in STEPS], color=color)
        for who, (name, color) in names.items()
    ]
    draw_curves(axis, curves, title="Dreams with right and wrong actions", unit="PSNR in dB")
    save_figure(figure, path)
    section.pictures[path.name] = "PSNR of dreams against what really happened, by the actions that they were given."
