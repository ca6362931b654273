"""Text: do dreams show what prompts say? A judge that was trained on real frames reads their attributes.

Prompts are the long captions of real scenes, all of them of another kind, and what they ask for is read from their
words. Beside every figure stand two references: the judge's accuracy on the real frames that the captions were written
for, which no dream is expected to surpass, and the accuracy of the same dreams for the prompts of the others, which
dreams that do not listen reach as well.

Shapes: N dreams, S steps, r ticks in a step, H W pixels, V values of an attribute.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.evaluation.attributes import Facts
from worldmodel.evaluation.dreamers import Dreamer, dream
from worldmodel.evaluation.episodes import Context, RealEpisode, context
from worldmodel.evaluation.estimates import Estimate, bootstrap, difference
from worldmodel.evaluation.judge import Judge
from worldmodel.evaluation.judge_data import ACTIVITY
from worldmodel.evaluation.plots import grid, save_picture
from worldmodel.evaluation.scenes import Scenes, agreement, mean, others, own, told
from worldmodel.evaluation.sections import Check, Section, Table

STEPS = (4, 16)
"""Of standing still after a start from nothing but a prompt, where the frame is judged."""
CHANGED_STEPS = (4, 16, 32)
"""Of play after a prompt was changed, likewise."""
FREE_STEPS = 8
"""That the dream goes on without any action given, to show what the player does."""

_SHOWN, _SHOWN_STEPS = 8, CHANGED_STEPS[1:]
"""Rows of each contact sheet, and steps after a change of the prompt."""
_ALL = "all"
"""Name of the mean over attributes."""


def steps_needed(dreamer: Dreamer) -> int:
    """Returns how many steps the scenes must have for `evaluate_text`."""
    return dreamer.context_steps + CHANGED_STEPS[-1]


def steps_dreamed(number: int, judge: Judge) -> int:
    """Returns how many steps `evaluate_text` dreams from N scenes, for a progress bar."""
    return number * (STEPS[-1] + 2 * CHANGED_STEPS[-1] + (FREE_STEPS if judge.activity_values else 0))


def why_unfit(dreamer: Dreamer) -> str:
    """Says why text cannot be evaluated, as a clause; empty if it can."""
    return "" if getattr(dreamer, "reads_prompts", False) else "it reads no prompts"


@dataclass(slots=True)
class _Run:
    """What both parts of the section need; see `evaluate_text`."""

    dreamer: Dreamer
    judge: Judge
    scenes: Scenes
    folder: Path
    seed: int
    batch: int
    progress: Callable[[int], None]


def evaluate_text(
    dreamer: Dreamer,
    judge: Judge,
    episodes: Sequence[RealEpisode],
    folder: Path,
    *,
    seed: int = 0,
    batch: int = 16,
    progress: Callable[[int], None] = lambda steps: None,
) -> Section:
    """Dreams from prompts alone, and changes prompts in mid-dream; reads what the dreams show.

    Args:
        dreamer: Who dreams; one that reads prompts, can begin without any frame, and for the activity can go on without
            an action.
        judge: Reads attributes, and activities if it can.
        episodes: At least two real scenes, such as those of `play_scenes`, of as many steps as `steps_needed` says.
        folder: For contact sheets.
        seed: Of the noise.
        batch: Dreams at a time.
        progress: Called with the number of new steps, over all dreams.

    Raises:
        ValueError: If the judge knows no attributes, or there are too few scenes, or one is too short.
    """
    if not judge.attribute_values:
        raise ValueError("judge: expected one that knows attributes, got one without; leave the part on text out")
    needed = steps_needed(dreamer)
    if len(episodes) < 2 or min(episode.num_steps for episode in episodes) < needed:
        raise ValueError(
            f"episodes: expected at least 2, of at least {needed} steps, got {len(episodes)} of "
            f"{sorted({episode.num_steps for episode in episodes})}"
        )
    run = _Run(dreamer, judge, told(episodes, dreamer.context_steps, judge), folder, seed, batch, progress)
    section = Section(
        "text",
        "Text",
        f"{len(episodes)} real scenes of evaluation worlds, of all biomes, times and kinds of weather, were told by "
        "their captions. From these prompts alone, without any frame, dreams began and stood still. In others the "
        f"prompt was changed to that of another scene after {dreamer.context_steps} real steps, and play went on. What "
        "a frame shows is what the judge, trained on real frames only, finds likeliest; of objects the figure is the "
        "share of those asked for that it sees. Only what a prompt tells counts. Dawn and dusk look alike, and so do "
        "all hours of the day.",
    )
    _from_prompts(run, section)
    _changed(run, section)
    return section


def _matrices(run: _Run, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the agreement of frames (N, H, W, 3) with all prompts, (N, N) by attribute."""
    read, sets = run.judge.attributes(frames), run.judge.config.sets
    return {name: agreement(read[name], run.scenes.targets[name], many=name in sets) for name in read}


def _from_prompts(run: _Run, section: Section) -> None:
    """Begins with nothing but prompts."""
    scenes, names = run.scenes, list(run.judge.attribute_values)
    number, size = len(scenes.prompts), scenes.episodes[0].frames.shape[2:]
    contexts = [Context(np.zeros((0, *size), np.uint8), [], prompt) for prompt in scenes.prompts]
    rest = run.judge.codec.decode(run.judge.codec.rest)
    shown = _dream(run, contexts, [rest] * STEPS[-1])
    by_step = {step: _matrices(run, shown[:, step - 1, -1]) for step in STEPS}
    columns = {str(step): {name: own(part[name]) for name in names} for step, part in by_step.items()}
    columns["shuffled"] = {name: others(by_step[STEPS[-1]][name]) for name in names}
    columns["real"] = {name: own(matrix) for name, matrix in _matrices(run, scenes.frames()).items()}
    for column in columns.values():
        column[_ALL] = mean(np.stack(list(column.values())), 0)
    rows: list[list[str | Estimate]] = []
    for name in (*names, _ALL):
        estimates = {column: bootstrap(values[name]) for column, values in columns.items()}
        section.figures |= {f"{name}_{column}": estimate for column, estimate in estimates.items()}
        rows.append([name, *estimates.values()])
    if run.judge.activity_values:
        rows.append(_activity_row(run, section, contexts))
    header = ["", *(f"after {step} steps" for step in STEPS), "prompts of others", "real frames"]
    section.tables.append(Table(header, rows, "Accuracy of dreams that begin with a prompt alone"))
    one, other = columns[str(STEPS[-1])][_ALL], columns["shuffled"][_ALL]
    section.checks.append(
        _check(
            "prompts are heard", one, other, "for their own prompts", f"for those of others, after {STEPS[-1]} steps"
        )
    )
    real = scenes.frames()
    pictures = [[real[i], *(shown[i, step - 1, -1] for step in STEPS)] for i in range(min(_SHOWN, number))]
    labels = [_label(facts) for facts in scenes.facts[: len(pictures)]]
    heads = ["real", *(f"step {step}" for step in STEPS)]
    save_picture(run.folder / "text_prompts.png", grid(pictures, row_names=labels, column_names=heads))
    section.pictures["text_prompts.png"] = "Real scenes, and dreams from nothing but their captions."


def _activity_row(run: _Run, section: Section, contexts: Sequence[Context]) -> list[str | Estimate]:
    """Lets dreams go on without an action, and reads what the player does in the mean of their steps."""
    target, step = run.scenes.targets[ACTIVITY], run.scenes.step
    free = run.judge.activities(_dream(run, contexts, [None] * FREE_STEPS)).mean(1)
    # A caption tells one moment, which is read from the steps around it, of the dreams as of real play.
    first = max(0, step - FREE_STEPS // 2)
    clips = np.stack([episode.frames[first : first + FREE_STEPS + 1] for episode in run.scenes.episodes])
    real = run.judge.activities(clips)[:, step - first - 1]
    matrix = agreement(free, target, many=False)
    columns = {
        str(FREE_STEPS): own(matrix),
        "shuffled": others(matrix),
        "real": own(agreement(real, target, many=False)),
    }
    estimates = {name: bootstrap(values) for name, values in columns.items()}
    section.figures |= {f"{ACTIVITY}_{name}": estimate for name, estimate in estimates.items()}
    return [f"{ACTIVITY}, in {FREE_STEPS} free steps", *["-"] * (len(STEPS) - 1), *estimates.values()]


def _changed(run: _Run, section: Section) -> None:
    """Begins with real steps and their prompts, and goes on with the prompts of other scenes, or without a change."""
    scenes, names = run.scenes, list(run.judge.config.choices)
    partners = [_partner(scenes.facts, i, names) for i in range(len(scenes.facts))]
    frames = {
        "changed": _play_on(run, [scenes.prompts[j] for j in partners]),
        "kept": _play_on(run, scenes.prompts),
    }
    results: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    for who, step in ((who, step) for who in frames for step in CHANGED_STEPS):
        matrices = _matrices(run, frames[who][:, step - 1, -1])
        results[who, step] = {}
        for name in names:
            # Only what is to become another counts.
            changes = [
                scenes.facts[i].get(name) not in (None, scenes.facts[j].get(name)) for i, j in enumerate(partners)
            ]
            new = matrices[name][np.arange(len(partners)), partners]
            results[who, step][name] = np.where(changes, new, np.nan)
        results[who, step][_ALL] = mean(np.stack(list(results[who, step].values())), 0)
    last = CHANGED_STEPS[-1]
    columns = [("changed", step) for step in CHANGED_STEPS] + [("kept", last)]
    rows: list[list[str | Estimate]] = []
    for name in (*names, _ALL):
        estimates = {column: bootstrap(results[column][name]) for column in columns}
        section.figures |= {f"{who}_{name}_{step}": estimate for (who, step), estimate in estimates.items()}
        rows.append([name, *estimates.values()])
    header = ["", *(f"changed, after {step} steps" for step in CHANGED_STEPS), f"not changed, after {last} steps"]
    section.tables.append(
        Table(header, rows, "Share of dreams that show what the new prompt asks for, of those in which it is another")
    )
    one, other = results["changed", last][_ALL], results["kept", last][_ALL]
    section.checks.append(
        _check("changed prompts are heard", one, other, "for new prompts", f"without a change, after {last} steps")
    )
    real, pictures, labels = scenes.frames(), [], []
    for i in range(min(_SHOWN, len(partners))):
        pictures.append(
            [real[i], *(frames[who][i, step - 1, -1] for who in ("kept", "changed") for step in _SHOWN_STEPS)]
        )
        labels.append(f"{_label(scenes.facts[i], names)}  to  {_label(scenes.facts[partners[i]], names)}")
    heads = ["context", *(f"{who} {step}" for who in ("kept", "changed") for step in _SHOWN_STEPS)]
    save_picture(run.folder / "text_changed.png", grid(pictures, row_names=labels, column_names=heads))
    section.pictures["text_changed.png"] = "Dreams that go on with their prompt, and with that of another scene."


def _dream(run: _Run, contexts: Sequence[Context], actions: list[Any]) -> np.ndarray:
    """Returns the frames of dreams that all do the same, uint8 (N, S, r, H, W, 3)."""
    return dream(
        run.dreamer, contexts, [actions] * len(contexts), seed=run.seed, batch=run.batch, progress=run.progress
    ).frames


def _play_on(run: _Run, prompts: Sequence[str]) -> np.ndarray:
    """Goes on after the real steps with the player's actions and given prompts: frames uint8 (N, S, r, H, W, 3)."""
    dreamer, parts = run.dreamer, []
    for first in range(0, len(prompts), run.batch):
        chosen = run.scenes.episodes[first : first + run.batch]
        contexts = [context(episode, run.scenes.step, dreamer.context_steps) for episode in chosen]
        dreamer.begin(contexts, run.seed + first)
        dreamer.set_prompts(prompts[first : first + run.batch])
        frames = []
        for step in range(run.scenes.step, run.scenes.step + CHANGED_STEPS[-1]):
            frames.append(dreamer.step([episode.actions[step] for episode in chosen]).frames)
            run.progress(len(chosen))
        parts.append(np.stack(frames, axis=1))
    return np.concatenate(parts)


def _partner(facts: Sequence[Facts], i: int, names: Sequence[str]) -> int:
    """Returns the scene that differs from the i-th in most attributes; the first one after it of several."""
    order = [(i + shift) % len(facts) for shift in range(1, len(facts))]
    differing = [
        sum(name in facts[i] and name in facts[j] and facts[i][name] != facts[j][name] for name in names) for j in order
    ]
    return order[int(np.argmax(differing))]


def _check(name: str, one: np.ndarray, other: np.ndarray, first: str, second: str) -> Check:
    """Asks whether the first of two accuracies (N,) is above the second, beyond doubt."""
    gain = difference(one, other)
    reason = f"accuracy {bootstrap(one).text()} {first}, {bootstrap(other).text()} {second}: {gain.text()} more"
    return Check(name, gain.low > 0, reason)


def _label(facts: Facts, names: Sequence[str] | None = None) -> str:
    """Returns what a prompt asks for, in a few words."""
    told = [facts[name] for name in (names or facts) if name in facts]
    return ", ".join(part if isinstance(part, str) else ", ".join(part) for part in told if part)
