"""What `baselines.py` writes of several models: a page, a plot, and a contact sheet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from unet.dreamer import UNetDreamer

from worldmodel.evaluation.bench import Progress
from worldmodel.evaluation.dreamers import ModelDreamer, dream, psnr
from worldmodel.evaluation.episodes import RealEpisode, context
from worldmodel.evaluation.parts import PARTS
from worldmodel.evaluation.plots import Curve, draw_curves, grid, pyplot, save_figure, save_picture
from worldmodel.evaluation.prediction import CHECKED_STEP, STEPS
from worldmodel.evaluation.presets import Preset
from worldmodel.evaluation.report import Finding, cell
from worldmodel.evaluation.sections import Section
from worldmodel.model import Metadata
from worldmodel.training.evaluation import MOVING_BELOW_DB

PAGE, PLOT, SHEET = "comparison.md", "comparison.png", "comparison_sheet.png"
SHEET_STEPS = (1, 2, 4, 8, 16, 32)
_COLORS = ("tab:blue", "tab:orange", "tab:green", "tab:purple", "tab:brown", "tab:pink", "tab:olive", "tab:cyan")


@dataclass(slots=True)
class Contender:
    """One of the models.

    Attributes:
        name: In the comparison, and of its folder.
        path: As it was given.
        dreamer: The model; its `context_steps` become those of the comparison.
        stamp: Of the weights.
        remembers: Steps that it can remember.
    """

    name: str
    path: str
    dreamer: ModelDreamer | UNetDreamer
    stamp: str
    remembers: int

    @property
    def metadata(self) -> Metadata:
        """What it was trained on."""
        return self.dreamer.metadata if isinstance(self.dreamer, UNetDreamer) else self.dreamer.model.metadata

    @property
    def kind(self) -> str:
        """In a few words."""
        return "U-Net" if isinstance(self.dreamer, UNetDreamer) else "world model"


def page(
    contenders: Sequence[Contender],
    found: Mapping[str, Sequence[Finding]],
    preset: Preset,
    *,
    pictures: bool,
) -> list[str]:
    """Returns the lines of the comparison, Markdown."""
    lines = [
        f"# Comparison of {', '.join(found)}",
        "",
        f"{preset.clips} clips of {contenders[0].dreamer.context_steps} real steps of context each, the same "
        "for all; who remembers fewer looks at the last of them. Figures stand with the interval that holds the true "
        "one with 95 % confidence. Worlds were never trained on. A U-Net has no codec: alike frames count as 60 dB.",
        "",
        *_table(
            ["model", "kind", "million parameters", "remembers", "sampling steps", "checkpoint", "stamp"],
            [
                [part.name, part.kind, f"{_parameters(part) / 1e6:.2f}", f"{part.remembers} steps",
                 str(part.dreamer.num_steps), part.path, part.stamp]
                for part in contenders
            ],
        ),
        "",
        *_table(["part", "figure or check", *found], summary(found)),
    ]  # fmt: skip
    remarks = [
        f"- {name}: {finding.name} is left out, {finding.remark}."
        for name, findings in found.items()
        for finding in findings
        if finding.section is None
    ]
    if remarks:
        lines += ["", *remarks]
    if pictures:
        figures, which, steps = _predicted(found)
        header = ["steps", *figures, "last frame repeated"]
        repeated = next(iter(figures.values()))
        rows = [
            [str(step), *(cell(part[f"psnr_full_{step}_{which}"]) for part in figures.values()),
             cell(repeated[f"psnr_repeat_{step}_{which}"])]
            for step in steps
        ]  # fmt: skip
        lines += ["", f"PSNR in dB after so many steps, {which} clips:", "", *_table(header, rows)]
        lines += ["", f"![Dreams against the truth.]({PLOT})", ""]
        lines += [f"![One clip: truth, then each dream with the same actions.]({SHEET})"]
    return lines


def summary(found: Mapping[str, Sequence[Finding]]) -> list[list[str]]:
    """Returns rows of part, label and what each model reached: highlights, then checks."""
    rows = []
    for name in PARTS:
        sections = [section_of(findings, name) for findings in found.values()]
        for label, figure in PARTS[name].highlights.items():
            values = [None if section is None else section.figures.get(figure) for section in sections]
            if any(value is not None for value in values):
                rows.append([name, label.strip(), *("-" if value is None else cell(value) for value in values)])
        checks = [{} if part is None else {check.name: check.passed for check in part.checks} for part in sections]
        for label in dict.fromkeys(label for part in checks for label in part):
            verdicts = ("-" if label not in part else "PASS" if part[label] else "FAIL" for part in checks)
            rows.append([name, label, *verdicts])
    return rows


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a table for the terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def draw(contenders: Sequence[Contender], found: Mapping[str, Sequence[Finding]], path: Path) -> None:
    """Draws the PSNR of all over steps, beside repeating the last frame, and the codecs."""
    figures, which, steps = _predicted(found)
    curves = []

    def add(label: str, name: str, who: str, style: str, color: str) -> None:
        curves.append(
            Curve(label, steps, [figures[name][f"psnr_{who}_{step}_{which}"] for step in steps], style, color)
        )

    for i, part in enumerate(contenders):
        color = _COLORS[i % len(_COLORS)]
        add(part.name, part.name, "full", "-", color)
        if isinstance(part.dreamer, ModelDreamer):
            add(f"{part.name}, codec alone", part.name, "codec", ":", color)
    add("last frame repeated", contenders[0].name, "repeat", "--", "tab:red")
    figure, axis = pyplot().subplots(figsize=(7, 4.2))
    draw_curves(axis, curves, title=f"Dreams against the truth, {which} clips", unit="PSNR in dB")
    save_figure(figure, path)


def show(
    contenders: Sequence[Contender],
    episodes: Sequence[RealEpisode],
    preset: Preset,
    seed: int,
    path: Path,
    progress: Progress,
) -> None:
    """Draws one clip, the first that moves: truth, then every dream, the same that was scored."""
    first, horizon = contenders[0].dreamer.context_steps, preset.horizon
    steps = [step for step in SHEET_STEPS if step <= horizon]
    last = first + min(CHECKED_STEP, horizon)
    changed = [psnr(episode.frames[first, -1], episode.frames[last, -1]) < MOVING_BELOW_DB for episode in episodes]
    chosen = int(np.argmax(changed))
    episode = episodes[chosen]
    known, given = context(episode, first, first), episode.actions[first : first + steps[-1]]
    shown = {"truth": [episode.frames[first + step, -1] for step in steps]}
    progress.stage("contact sheet", steps[-1] * len(contenders))
    for part in contenders:
        frames = dream(part.dreamer, [known], [given], seed=seed + chosen, progress=progress.advance).frames
        shown[part.name] = [frames[0, step - 1, -1] for step in steps]
    rows = [[episode.frames[first, -1], *frames] for frames in shown.values()]
    columns = ["context", *(f"step {step}" for step in steps)]
    save_picture(path, grid(rows, row_names=list(shown), column_names=columns))


def section_of(findings: Sequence[Finding], name: str) -> Section | None:
    """Returns what was found of a part; `None` if it was left out."""
    return next((finding.section for finding in findings if finding.name == name), None)


def _predicted(found: Mapping[str, Sequence[Finding]]) -> tuple[dict[str, dict[str, Any]], str, list[int]]:
    """Returns the figures of prediction of each model, of which clips they are best told, and for which steps."""
    sections = {name: section_of(findings, "prediction") for name, findings in found.items()}
    figures = {name: section.figures for name, section in sections.items() if section is not None}
    some = next(iter(figures.values()))
    return (
        figures,
        "moving" if some["moving_clips"] else "all",
        [step for step in STEPS if f"psnr_full_{step}_all" in some],
    )


def _parameters(part: Contender) -> int:
    return sum(parameter.numel() for parameter in part.dreamer.model.parameters())


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
