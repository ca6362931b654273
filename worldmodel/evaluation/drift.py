"""Drift: what becomes of dreams that go on for thousands of steps, beside real play of the same worlds.

A long dream cannot show what really happens, since it has to invent what lies beyond its context. But it should go on
looking like the real world: its frames, as a set, should be those of real play, as bright, as rich in contrast and as
lively. All figures of a step are taken from a window of frames that ends there. Beside them stand the same figures of
other real worlds, instead of dreams: what a dream reaches that has forgotten the place, but looks right.

Shapes: B worlds, W windows, F frames of a window, H W pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents import Player
from worldmodel.evaluation.dreamers import Dreamer
from worldmodel.evaluation.episodes import Context, EpisodesTooShort, context, play
from worldmodel.evaluation.estimates import Estimate, bootstrap
from worldmodel.evaluation.frechet import frechet_estimate
from worldmodel.evaluation.judge import Judge
from worldmodel.evaluation.looks import FLAT, STILL, STRANGE, Looks, collapsed, look
from worldmodel.evaluation.plots import Curve, draw_curves, grid, pyplot, save_figure, save_picture
from worldmodel.evaluation.sections import Check, Section, Table, Value

STEPS = (16, 64, 256, 1000, 4000)
"""Where dreams are looked at."""
WINDOW = 16
"""F: frames of each window, the last of its step each; spread over the last quarter of the way, so that they differ."""

_SHOWN = 4


@dataclass(slots=True)
class LongPlay:
    """A long real episode, of which only what is needed was kept.

    Attributes:
        seed: Of the world.
        context: What a dream sees before it goes on.
        actions: Of all steps after it.
        frames: uint8 (H, W, 3), the last frame of a step, by the number of the step after the context.
    """

    seed: int
    context: Context
    actions: list[Any]
    frames: dict[int, np.ndarray]


def shown_steps(most: int) -> list[int]:
    """Returns those of `STEPS` that are not beyond a number of steps.

    Raises:
        ValueError: If all are.
    """
    steps = [step for step in STEPS if step <= most]
    if not steps:
        raise ValueError(f"drift_steps: expected at least {STEPS[0]}, got {most}")
    return steps


def window(step: int) -> list[int]:
    """Returns the steps whose last frames are looked at for a step: F of them, the last of which it is."""
    stride = max(1, step // (4 * WINDOW))
    return [step - stride * k for k in reversed(range(WINDOW))]


def steps_taken(worlds: int, most: int) -> int:
    """Returns how many steps are played and dreamed for N worlds, for a progress bar."""
    return 3 * worlds * shown_steps(most)[-1]


def play_long(
    env: gymnasium.Env,
    player: Player,
    seeds: Sequence[int],
    number: int,
    *,
    context_steps: int,
    most_steps: int,
    progress: Callable[[int], None] = lambda steps: None,
) -> list[LongPlay]:
    """Plays long episodes, each in a world of its own.

    Where too few last to the last of `STEPS` within `most_steps`, all end at the longest of them that enough reach.

    Args:
        env: The real environment.
        player: Who plays.
        seeds: Of the worlds; more than are needed, because episodes may end early.
        number: Of episodes.
        context_steps: Steps of context.
        most_steps: Steps after it.
        progress: Called with the number of new steps.

    Raises:
        EpisodesTooShort: If too few reach even the first of `STEPS`.
    """
    steps = shown_steps(most_steps)
    kept = {t for step in steps for t in window(step)}
    played: list[LongPlay] = []
    for seed in seeds:
        played.append(_play(env, player, seed, context_steps, steps[-1], kept))
        if len(played[-1].actions) == steps[-1]:
            progress(steps[-1])
        if sum(len(part.actions) == steps[-1] for part in played) == number:
            break
    for last in reversed(steps):
        reaching = [part for part in played if len(part.actions) >= last][:number]
        if len(reaching) == number:
            for part in reaching:
                del part.actions[last:]
            return reaching
    raise EpisodesTooShort(context_steps + steps[0])


def _play(
    env: gymnasium.Env, player: Player, seed: int, context_steps: int, num_steps: int, kept: set[int]
) -> LongPlay:
    """Plays on after the context without keeping all frames: those of thousands of steps would fill the memory."""
    episode = play(env, player, seed, context_steps)
    result = LongPlay(seed, context(episode, episode.num_steps, context_steps), [], {})
    observation, info = episode.frames[-1, -1], episode.infos[-1]
    over = episode.terminated or episode.num_steps < context_steps
    while len(result.actions) < num_steps and not over:
        action = player.act(observation, info)
        observation, _, terminated, truncated, info = env.step(action)
        result.actions.append(action)
        if len(result.actions) in kept:
            result.frames[len(result.actions)] = np.array(observation)
        over = terminated or truncated
    return result


def evaluate_drift(
    dreamer: Dreamer,
    judge: Judge,
    played: Sequence[LongPlay],
    folder: Path,
    *,
    seed: int = 0,
    batch: int = 16,
    progress: Callable[[int], None] = lambda steps: None,
) -> Section:
    """Dreams long, with the actions of real episodes, and compares with how these look.

    Args:
        dreamer: Who dreams.
        judge: Whose features are compared.
        played: 2 B real episodes of the same length: after the first half of them dreams go on, the others are for
            reference.
        folder: For plot and contact sheet.
        seed: Of the noise.
        batch: Dreams at a time.
        progress: Called with the number of new steps, over all dreams.

    Raises:
        ValueError: If there are not at least two episodes, an even number, all of the same length.
    """
    lengths = sorted({len(part.actions) for part in played})
    if len(played) < 2 or len(played) % 2 or len(lengths) != 1:
        raise ValueError(f"played: expected an even number of episodes of one length, got {len(played)} of {lengths}")
    steps, number = shown_steps(lengths[0]), len(played) // 2
    real = np.stack([[[part.frames[t] for t in window(step)] for step in steps] for part in played])
    dreamed = _dream(dreamer, played[:number], steps, seed, batch, progress)
    looks = look({"dream": dreamed, "real": real[:number], "other": real[number:]}, judge)
    section = Section(
        "drift",
        "Drift",
        f"Dreams of {number} worlds over {steps[-1]} steps, with the actions of real episodes and the prompt of their "
        f"beginning, against these. Figures of a step come from {WINDOW} frames of each world, spread over the last "
        "quarter of the way to it. The Frechet distance (squared) is that between Gaussian fits of the features that a "
        f"judge sees in dreamed and in real frames, in the {looks['real'].components.shape[-1]} leading principal "
        "components of real ones, in units of their deviations. Colour is how far mean red, green and blue are off, "
        "and brightness how much brighter the dream is, in levels of 255; contrast, how far pixels are from the middle "
        "one in shares of the brightness, is given as a ratio. Columns named real hold the same of as many other real "
        "worlds instead of dreams: what a dream reaches that is in another place but looks right; at first it should "
        "be nearer. A rollout has collapsed if, frames made equally bright, its pixels vary over the window less than "
        f"{STILL:.0%} as much as in its real episode (still), if its contrast is less than {FLAT:.0%} of that (flat), "
        f"or if its features or the differences of neighbouring pixels are more than {STRANGE:g} times as far out as "
        "in any window of real play (strange). Intervals come from leaving worlds out (Frechet) or resampling them.",
        figures={"worlds": number, "last_step": steps[-1]},
    )
    figures = _figures(looks, steps)
    section.figures |= {f"{name}_{step}": value for (name, step), value in figures.items()}
    section.figures |= {f"{name}_last": value for (name, step), value in figures.items() if step == steps[-1]}
    section.tables += _tables(figures, steps)
    lost, flagged = (round(number * figures[name, steps[-1]].value) for name in ("collapsed", "collapsed_real"))
    reason = (
        f"{lost} of {number} have collapsed after {steps[-1]} steps; of as many real episodes the rule says {flagged}"
    )
    section.checks.append(Check("no rollout collapses", lost == 0, reason))
    _plot(folder / "drift.png", figures, steps)
    _sheet(folder / "drift_sheet.png", played, dreamed, steps)
    section.pictures = {
        "drift.png": "How far dreams are from real play as they go on.",
        "drift_sheet.png": "Truth above, the dream below it, with the same actions.",
    }
    return section


def _dream(
    dreamer: Dreamer,
    played: Sequence[LongPlay],
    steps: Sequence[int],
    seed: int,
    batch: int,
    progress: Callable[[int], None],
) -> np.ndarray:
    """Returns dreamed frames of all windows, uint8 (B, W, F, H, W, 3); no others are kept."""
    kept = {t for step in steps for t in window(step)}
    parts = []
    for first in range(0, len(played), batch):
        chosen = played[first : first + batch]
        dreamer.begin([part.context for part in chosen], seed + first)
        frames: dict[int, np.ndarray] = {}
        for t in range(1, steps[-1] + 1):
            moment = dreamer.step([part.actions[t - 1] for part in chosen])
            if t in kept:
                frames[t] = moment.frames[:, -1].copy()
            progress(len(chosen))
        parts.append(np.stack([np.stack([frames[t] for t in window(step)], axis=1) for step in steps], axis=1))
    return np.concatenate(parts)


def _figures(looks: dict[str, Looks], steps: Sequence[int]) -> dict[tuple[str, int], Estimate]:
    """Returns all figures by name and step; those of other real worlds end in `_real`."""
    own = looks["real"]
    figures = {}
    for who, end in (("dream", ""), ("other", "_real")):
        found = looks[who]
        off = found.colour - own.colour
        for i, step in enumerate(steps):
            lost = {name: part[:, i] for name, part in collapsed(looks, who).items()}
            lost["collapsed"] = np.any(list(lost.values()), axis=0)
            figures[f"frechet{end}", step] = frechet_estimate(found.components[:, i], own.components[:, i])
            figures[f"colour{end}", step] = bootstrap(np.abs(off[:, i]).mean(-1))
            figures |= {(f"{name}{end}", step): bootstrap(part.astype(np.float64)) for name, part in lost.items()}
            if who == "dream":
                contrasts = np.stack([found.contrast[:, i], own.contrast[:, i]], axis=1).astype(np.float64)
                figures["brightness", step] = bootstrap(off[:, i].mean(-1))
                figures["contrast", step] = bootstrap(contrasts, _ratio)
    return figures


def _ratio(rows: np.ndarray) -> float:
    """Returns the ratio of two sums, of rows (N, 2); NaN if the second is nothing."""
    one, other = rows.sum(0)
    return float(one / other) if other else float("nan")


def _tables(figures: dict[tuple[str, int], Estimate], steps: Sequence[int]) -> list[Table]:
    def rows(names: Sequence[str]) -> list[list[Value]]:
        return [[step, *(figures[name, step] for name in names)] for step in steps]

    looks = {"frechet": "Frechet", "frechet_real": "real", "colour": "colour", "colour_real": "real",
             "brightness": "brightness", "contrast": "contrast"}  # fmt: skip
    lost = {"collapsed": "collapsed", "still": "still", "flat": "flat", "strange": "strange", "collapsed_real": "real"}
    return [
        Table(["step", *looks.values()], rows(list(looks)), "How dreams look beside real play"),
        Table(["step", *lost.values()], rows(list(lost)), "Share of rollouts that have collapsed, and how"),
    ]


def _plot(path: Path, figures: dict[tuple[str, int], Estimate], steps: Sequence[int]) -> None:
    figure, axes = pyplot().subplots(1, 3, figsize=(13, 3.8))
    shown = {
        "frechet": ("Frechet distance to real frames", "squared, in deviations", None),
        "brightness": ("Brightness, less that of real frames", "levels of 255", 0),
        "contrast": ("Contrast", "ratio to that of real frames", 1),
    }
    for axis, (name, (title, unit, right)) in zip(axes, shown.items(), strict=True):
        curves = [Curve("dream", steps, [figures[name, step] for step in steps])]
        if right is None:
            other = [figures[f"{name}_real", step] for step in steps]
            curves.append(Curve("other real worlds", steps, other, "--", "tab:green"))
        else:
            axis.axhline(right, ls="--", lw=1.5, color="tab:green", label="real frames")
        draw_curves(axis, curves, title=title, unit=unit)
    save_figure(figure, path)


def _sheet(path: Path, played: Sequence[LongPlay], dreamed: np.ndarray, steps: Sequence[int]) -> None:
    rows, names = [], []
    for i, part in enumerate(played[: min(_SHOWN, len(dreamed))]):
        last = part.context.frames[-1]
        rows += [[last, *(part.frames[step] for step in steps)], [last, *dreamed[i, :, -1]]]
        names += [f"{i + 1} truth", f"{i + 1} dream"]
    columns = ["context", *(f"step {step}" for step in steps)]
    save_picture(path, grid(rows, row_names=names, column_names=columns))
