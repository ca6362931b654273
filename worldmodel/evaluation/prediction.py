"""Prediction: how close a dream stays to what really happened, frame by frame, with the same actions.

Beside every figure stand two references: repeating the last frame that was seen, and what the dreamer's codec makes of
the truth, which no prediction can surpass.

Protocols of others, on our episodes:

- MineWorld (Guo et al., 2025, arXiv 2504.08388): 1 frame of context, 15 generated.
- TECO (Yan et al., 2023, arXiv 2210.02396): 36 frames of context, 264 generated.

Both count frames, which are ticks here, and report the mean over all generated frames of all clips. Their figures are
of other data and other frame sizes: the protocol is comparable, the numbers are not.

Shapes: B clips, S steps, r ticks in a step, F frames, H W pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from worldmodel.evaluation.dreamers import Dreamer, dream, psnr, truth
from worldmodel.evaluation.episodes import RealEpisode, context
from worldmodel.evaluation.estimates import Estimate, bootstrap, difference
from worldmodel.evaluation.plots import Curve, draw_curves, grid, pyplot, save_figure, save_picture, save_video
from worldmodel.evaluation.sections import Check, Section, Table, Value
from worldmodel.evaluation.similarity import ssim
from worldmodel.training.evaluation import MOVING_BELOW_DB

STEPS = (1, 2, 4, 8, 16, 32, 64)
"""Where a dream is compared with the truth."""
CHECKED_STEP = 16
"""Where it has to beat repeating the last frame, and where it shows which clips move."""

MINEWORLD = (1, 15)
TECO = (36, 264)
"""Frames of context, and frames generated, of the protocols of others."""

_SHOWN_CLIPS = 4
"""In the video and on the contact sheet."""
_METRICS = {"psnr": ("PSNR in dB", 2), "ssim": ("SSIM", 3)}
_WHO = {
    "full": "dream, full context",
    "one": "dream, 1 frame of context",
    "repeat": "last frame repeated",
    "codec": "codec alone",
}


@dataclass(slots=True)
class _Plan:
    """What is dreamed: how many steps after each length of context, all from the same step of an episode.

    Attributes:
        first: Last step of the context.
        full: Steps of context that the dreamer remembers.
        teco: Steps of context of TECO's protocol, at most as many as the dreamer remembers; `None` without it.
        lengths: Steps to dream, by steps of context.
    """

    first: int
    full: int
    teco: int | None
    lengths: dict[int, int]


def _plan(dreamer: Dreamer, horizon: int, teco: bool) -> _Plan:
    r, full = dreamer.frames_per_step, dreamer.context_steps
    ticks = TECO[0] - 1 if teco else 0  # the first frame is the end of a step
    lengths = {0: max(horizon, -(-MINEWORLD[1] // r))}
    lengths[full] = max(horizon, lengths.get(full, 0))
    short = min(full, ticks // r)
    if teco:
        lengths[short] = max(lengths.get(short, 0), -(-TECO[1] // r))
    return _Plan(max(full, short), full, short if teco else None, lengths)


def steps_needed(dreamer: Dreamer, horizon: int, teco: bool) -> int:
    """Returns how many steps the episodes must have for `evaluate_prediction`."""
    plan = _plan(dreamer, horizon, teco)
    return plan.first + max(plan.lengths.values())


def steps_dreamed(dreamer: Dreamer, horizon: int, teco: bool) -> int:
    """Returns how many steps `evaluate_prediction` dreams of each episode, for a progress bar."""
    return sum(_plan(dreamer, horizon, teco).lengths.values())


def evaluate_prediction(
    dreamer: Dreamer,
    episodes: Sequence[RealEpisode],
    folder: Path,
    *,
    horizon: int = 64,
    teco: bool = True,
    seed: int = 0,
    batch: int = 16,
    progress: Callable[[int], None] = lambda steps: None,
) -> Section:
    """Dreams on from real episodes, with their actions, and compares with what happened.

    Args:
        dreamer: Who dreams.
        episodes: B real ones, of as many steps as `steps_needed` says; each is one clip, and independent.
        folder: For plot, contact sheet and video.
        horizon: Steps that are dreamed, at most 64 of which are shown in the tables.
        teco: Whether to dream the 264 frames of TECO's protocol too.
        seed: Of the noise.
        batch: Dreams at a time.
        progress: Called with the number of new steps, over all dreams.

    Raises:
        ValueError: If an episode is too short.
    """
    needed = steps_needed(dreamer, horizon, teco)
    if not episodes or min(episode.num_steps for episode in episodes) < needed:
        lengths = sorted({episode.num_steps for episode in episodes}) or "none"
        raise ValueError(f"episodes: expected at least one, of at least {needed} steps, got {lengths}")
    plan = _plan(dreamer, horizon, teco)
    scores = _Scores()
    for start in range(0, len(episodes), batch):
        chosen = episodes[start : start + batch]
        dreams = {
            length: dream(
                dreamer,
                [context(episode, plan.first, length) for episode in chosen],
                [episode.actions[plan.first : plan.first + steps] for episode in chosen],
                seed=seed + start,
                batch=batch,
                progress=progress,
            ).frames
            for length, steps in plan.lengths.items()
        }
        real = truth(chosen, plan.first, max(plan.lengths.values()))
        names = {"one": dreams[0], "full": dreams[plan.full]}
        if plan.teco is not None:
            names["teco"] = dreams[plan.teco]
        last = np.stack([episode.frames[plan.first, -1] for episode in chosen])[:, None, None]
        names["repeat"] = np.broadcast_to(last, real.shape)
        names["codec"] = np.stack([dreamer.reconstruct(frames) for frames in real])
        scores.add(names, real)
        if start == 0:
            _show(folder, dreamer, chosen, plan.first, names["full"][:, :horizon])
    return _section(scores, folder, horizon=horizon, teco=teco, context=plan.full, r=dreamer.frames_per_step)


@dataclass(slots=True)
class _Scores:
    """PSNR and SSIM of every frame: by metric and by who made it, a list of (clips, frames)."""

    parts: dict[tuple[str, str], list[np.ndarray]] = field(default_factory=dict)

    def add(self, names: dict[str, np.ndarray], real: np.ndarray) -> None:
        """Scores frames, uint8 (B, S, r, H, W, 3), each against as many steps of the real ones."""
        for who, frames in names.items():
            for metric, function in (("psnr", psnr), ("ssim", ssim)):
                score = function(frames, real[:, : frames.shape[1]])
                self.parts.setdefault((metric, who), []).append(score.reshape(len(score), -1))

    def ticks(self, metric: str, who: str) -> np.ndarray:
        """Returns scores (B, F), of clips and frames."""
        return np.concatenate(self.parts[metric, who])


def _section(scores: _Scores, folder: Path, *, horizon: int, teco: bool, context: int, r: int) -> Section:
    def at(metric: str, who: str, step: int) -> np.ndarray:
        return scores.ticks(metric, who)[:, (step - 1) * r : step * r].mean(1)

    steps = [step for step in STEPS if step <= horizon]
    checked = min(CHECKED_STEP, horizon)
    moving = at("psnr", "repeat", checked) < MOVING_BELOW_DB
    section = Section(
        "prediction",
        "Prediction",
        f"Dreams with the actions of {len(moving)} real episodes against their frames. Figures of a step are means "
        f"over its {r} frames. Context is 1 frame, or {context} steps, all that the dreamer remembers. A clip moves if "
        f"repeating its last frame is worse than {MOVING_BELOW_DB:g} dB after {checked} steps: {moving.sum()} do. The "
        "codec alone, given the truth, is the best that could be. Intervals hold the true figure with 95 % confidence "
        "(bootstrap over episodes).",
        figures={"clips": len(moving), "moving_clips": int(moving.sum()), "context_steps": context},
    )
    found: dict[tuple[str, str, str, int], Estimate] = {}
    for which, mask in (("moving", moving), ("all", np.ones_like(moving))):
        for metric, (name, digits) in _METRICS.items():
            rows: list[list[Value]] = []
            for step in steps:
                columns = [bootstrap(at(metric, who, step)[mask]) for who in _WHO]
                gain = difference(at(metric, "full", step)[mask], at(metric, "repeat", step)[mask])
                found |= {(metric, which, who, step): part for who, part in zip(_WHO, columns, strict=True)}
                section.figures |= {f"{metric}_{who}_{step}_{which}": found[metric, which, who, step] for who in _WHO}
                section.figures[f"{metric}_gain_{step}_{which}"] = gain
                rows.append([step, *columns, gain])
            header = ["step", *_WHO.values(), "gain over repeating"]
            section.tables.append(Table(header, rows, f"{name}, {which} clips ({mask.sum()})", digits))
    section.tables.append(_protocols(scores, section, teco))
    gain = difference(at("psnr", "full", checked)[moving], at("psnr", "repeat", checked)[moving])
    section.checks.append(
        Check(
            f"beats repeating the last frame at {checked} steps",
            bool(gain.low > 0),
            f"better by {gain.text()} dB on {gain.number} moving clips, full context"
            if gain.number
            else "no clip moved, so there is nothing to tell; take more episodes",
        )
    )
    _plot(folder / "prediction.png", found, steps, "moving" if moving.any() else "all", int(moving.sum()))
    section.pictures = {
        "prediction.png": "The dream against the truth over time.",
        "prediction_sheet.png": "Truth above, the dream below it, from the same past with the same actions.",
    }
    section.videos = {"prediction.mp4": "Truth and dream side by side; they part where the context ends."}
    return section


def _protocols(scores: _Scores, section: Section, teco: bool) -> Table:
    """Returns the table of the protocols of others, and adds their figures."""
    rows = []
    for name, who, (seen, generated) in (("mineworld", "one", MINEWORLD), ("teco", "teco", TECO)):
        if name == "teco" and not teco:
            continue
        for metric, (title, digits) in _METRICS.items():
            columns = []
            for key, maker in (("dream", who), ("repeat", "repeat"), ("codec", "codec")):
                columns.append(bootstrap(scores.ticks(metric, maker)[:, :generated]))
                section.figures[f"{metric}_{name}_{key}"] = columns[-1]
            label = {"mineworld": "MineWorld", "teco": "TECO"}[name]
            # One table for both metrics, so each shows its digits by itself.
            rows.append([f"{label}, {seen} + {generated} frames, {title}", *(part.text(digits) for part in columns)])
    header = ["protocol", "dream", _WHO["repeat"], _WHO["codec"]]
    return Table(header, rows, "Protocols of others: mean over all generated frames of all clips")


def _plot(path: Path, found: dict, steps: Sequence[int], which: str, number: int) -> None:
    figure, axes = pyplot().subplots(1, 2, figsize=(10, 3.8))
    colors = {"full": "tab:blue", "one": "tab:cyan", "repeat": "tab:red", "codec": "tab:green"}
    styles = {"full": "-", "one": "-", "repeat": "--", "codec": ":"}
    for axis, (metric, (unit, _)) in zip(axes, _METRICS.items(), strict=True):
        curves = [
            Curve(name, steps, [found[metric, which, who, step] for step in steps], styles[who], colors[who])
            for who, name in _WHO.items()
        ]
        title = f"{unit}, moving clips ({number})" if which == "moving" else f"{unit}, all clips (none moves)"
        draw_curves(axis, curves, title=title, unit=unit)
    save_figure(figure, path)


def _show(folder: Path, dreamer: Dreamer, episodes: Sequence[RealEpisode], first: int, dreamed: np.ndarray) -> None:
    """Writes contact sheet and video of the first clips; `dreamed` is uint8 (B, S, r, H, W, 3)."""
    shown = range(min(_SHOWN_CLIPS, len(episodes)))
    steps = [step for step in STEPS if step <= dreamed.shape[1]]
    rows, names = [], []
    for i in shown:
        real = episodes[i].frames
        rows += [
            [real[first, -1], *(real[first + step, -1] for step in steps)],
            [real[first, -1], *(dreamed[i, step - 1, -1] for step in steps)],
        ]
        names += [f"{i + 1} truth", f"{i + 1} dream"]
    columns = ["context", *(f"step {step}" for step in steps)]
    save_picture(folder / "prediction_sheet.png", grid(rows, row_names=names, column_names=columns))
    length = min(first, dreamer.context_steps)
    pairs = []
    for i in shown:
        before = episodes[i].frames[first + 1 - length : first + 1]
        after = episodes[i].frames[first + 1 : first + 1 + dreamed.shape[1]]
        pairs.append([np.concatenate([before, part]).reshape(-1, *before.shape[2:]) for part in (after, dreamed[i])])
    pictures = (
        grid([[pair[j][t] for pair in pairs] for j in range(2)], row_names=["truth", "dream"])
        for t in range(len(pairs[0][0]))
    )
    save_video(folder / "prediction.mp4", pictures, dreamer.fps)
