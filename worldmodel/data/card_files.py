"""The files of a data card: figures, a page to read, plots, and a contact sheet."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.data.card import DataCard
from worldmodel.data.files import write_json
from worldmodel.data.readers.fitting import fit_frame
from worldmodel.data.video import write_contact_sheet

CARD, PAGE, PLOTS, SHEET = "data_card.json", "data_card.md", "data_card.png", "contact_sheet.png"

_BARS = 16
"""Most bars in a plot."""

_TILE_WIDTH = 128
"""Of a frame on the contact sheet, in pixels: small ones are enlarged by whole numbers up to it."""

_NAMED = 10
"""Most damaged files, words and keys in the page."""


def write_card(folder: Path, card: DataCard, about: Mapping[str, Any]) -> list[str]:
    """Writes the files of a data card.

    Args:
        folder: Existing folder.
        card: What was found.
        about: What stands beside it: `path`, `kind`, `damaged` (a list of messages) and `lint` (`None`, or `problems`,
            `warnings` and figures).

    Returns:
        Names of the files that were written; without matplotlib, which the extra `train` brings, there are no plots.
    """
    figures = {**about, **card.figures()}
    write_json(folder / CARD, figures)
    (folder / PAGE).write_text("\n".join(page(figures)) + "\n", encoding="utf-8")
    written = [CARD, PAGE]
    if draw_card(folder / PLOTS, figures, card.episodes()):
        written.append(PLOTS)
    if card.sheet:
        frames = [frame for _, frame in sorted(card.sheet, key=lambda part: part[0])]
        size = frames[0].shape[0], frames[0].shape[1]
        scale = max(_TILE_WIDTH // size[1], 1)
        tiles = [fit_frame(frame, size).repeat(scale, 0).repeat(scale, 1) for frame in frames]
        write_contact_sheet(folder / SHEET, tiles)
        written.append(SHEET)
    return written


def page(figures: Mapping[str, Any]) -> list[str]:
    """Returns the lines of the page, Markdown, from the figures of a card."""
    reward, actions, captions = figures["reward"], figures["actions"], figures["captions"]
    lengths, ends = figures["episode_frames"], figures["ends"]
    rows = {
        "kind": figures["kind"],
        "episodes": f"{figures['num_episodes']}",
        "frames": f"{figures['num_frames']}, {_duration(figures['hours'])}",
        "frames of an episode": f"{lengths['least']} to {lengths['most']}, median {lengths['median']:g}",
        "frame sizes": _counts(figures["frame_sizes"], "frames"),
        "frames per second": _counts(figures["fps"], "episodes"),
        "environments": _counts(figures["environments"], "episodes"),
        "ends": f"{ends['terminated']} terminated, {ends['truncated']} truncated",
        "reward": f"{reward['sum']:g} in all, {reward['mean_of_episode']:g} an episode, in "
        f"{reward['rewarded_share']:.1%} of the steps",
        "actions": f"known in {actions['known_share']:.1%} of the steps",
        "idle": "unknown"
        if actions["idle_share"] is None
        else f"{actions['idle_share']:.1%} of the steps have the action that is all zeros",
        "still": f"{figures['still_share']:.1%} of the steps change nothing in the picture",
        "captions": f"{captions['share']:.1%} of the frames",
        "most common words": ", ".join(list(captions["words"])[:_NAMED]) or "none",
        "damaged files": f"{len(figures['damaged'])}",
    }
    lines = [f"# {figures['path']}", "", "| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows.items())]
    for title, told in (("Actions", _told_actions(actions["factors"])), ("Lint", _told_lint(figures["lint"]))):
        lines += ["", f"## {title}", "", *told]
    if figures["damaged"]:
        lines += ["", "## Damaged files", "", *(f"- {text}" for text in figures["damaged"][:_NAMED])]
    return lines


def draw_card(path: Path, figures: Mapping[str, Any], episodes: Mapping[str, Sequence[float]]) -> bool:
    """Draws actions, lengths, idleness, rewards, words and alignment to a PNG file.

    Returns:
        Whether it was drawn: not without matplotlib.
    """
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = [*_action_panels(figures["actions"]["factors"]), *_episode_panels(episodes)]
    words = figures["captions"]["words"]
    if words:
        panels.append(lambda axis: _bars(axis, "words in captions, frames", words))
    alignment = (figures["lint"] or {}).get("alignment")
    if alignment:
        title = "how well actions explain frames, R squared,\nshifted by -1, 0, +1 frames (0 should do best)"
        panels.append(lambda axis: _bars(axis, title, alignment, in_order=True))
    columns = 2 if len(panels) == 4 else 3 if len(panels) <= 6 else 4
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.6 * columns, 3.2 * rows), squeeze=False)
    for axis, draw in zip(axes.flat, panels, strict=False):
        draw(axis)
        axis.tick_params(labelsize=7)
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    title = f"{figures['num_episodes']} episodes, {figures['num_frames']} frames, {_duration(figures['hours'])}"
    figure.suptitle(f"{figures['path']}: {title}", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)
    return True


def pressed_shares(factors: Mapping[str, Any]) -> dict[str, float]:
    """Returns the share of steps in which each key, a number that is 0 or 1, is 1; the most pressed first."""
    keys = {name: part["shares"][1] for name, part in factors.items() if _is_key(part)}
    return dict(sorted(keys.items(), key=lambda item: -item[1]))


def _is_key(factor: Mapping[str, Any]) -> bool:
    return factor["kind"] == "categories" and len(factor["values"]) == 2


def _others(factors: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the factors that are more than keys; all of them, if a key is all there is."""
    return {name: part for name, part in factors.items() if not _is_key(part) or len(factors) == 1}


def _told_actions(factors: Mapping[str, Any]) -> list[str]:
    if not factors:
        return ["The action space is not known, or there are no actions."]
    lines = []
    keys = pressed_shares(factors) if len(factors) > 1 else {}
    if keys:
        shown = list(keys.items())[:_NAMED]
        lines += ["| key | pressed |", "|---|---|", *(f"| {name} | {share:.1%} |" for name, share in shown), ""]
    for name, part in _others(factors).items():
        values = np.array(part["values"], np.float64)
        shares = np.array(part["shares"])
        if part["kind"] == "bins":
            size = float(np.abs(values) @ shares)
            rest = float(shares[np.argmin(np.abs(values))])
            lines.append(f"- `{name}`: mean size {size:.3g}, about zero in {rest:.1%} of the steps")
        else:
            order = np.argsort(-shares)[:_NAMED]
            told = ", ".join(f"{int(values[i])} ({shares[i]:.1%})" for i in order if shares[i] > 0)
            lines.append(f"- `{name}`: {told}")
    return lines


def _told_lint(lint: Mapping[str, Any] | None) -> list[str]:
    if lint is None:
        return ["Not looked at."]
    told = [f"- problem: {text}" for text in lint["problems"]] + [f"- warning: {text}" for text in lint["warnings"]]
    if not lint["problems"]:
        told.insert(0, "- no problem found")
    if lint["alignment"]:
        scores = ", ".join(f"{shift}: {score:.3f}" for shift, score in lint["alignment"].items())
        told.append(f"- alignment, R squared of actions shifted by frames: {scores}")
    return told


def _action_panels(factors: Mapping[str, Any]) -> list[Callable[[Any], None]]:
    panels: list[Callable[[Any], None]] = []
    keys = pressed_shares(factors) if len(factors) > 1 else {}
    if keys:
        panels.append(lambda axis: _bars(axis, "keys, share of steps in which they are pressed", keys))
    others = _others(factors)
    bins = {name: part for name, part in others.items() if part["kind"] == "bins"}
    for name, part in [item for item in others.items() if item[0] not in bins][:2]:
        shares = {str(value): share for value, share in zip(part["values"], part["shares"], strict=True)}
        title = f"values of {name}, share of steps"
        panels.append(lambda axis, title=title, shares=shares: _columns(axis, title, shares))  # type: ignore[misc]
    if bins:
        panels.append(lambda axis: _bin_lines(axis, bins))
    return panels


def _episode_panels(episodes: Mapping[str, Sequence[float]]) -> list[Callable[[Any], None]]:
    def lengths(axis: Any) -> None:
        _histogram(axis, "length of episodes in frames", {"": episodes["frames"]})

    def idleness(axis: Any) -> None:
        named = {"action of zeros": episodes["idle"], "picture does not change": episodes["still"]}
        _histogram(axis, "share of idle steps in an episode", named, limits=(0.0, 1.0))

    def rewards(axis: Any) -> None:
        _histogram(axis, "reward of episodes", {"": episodes["reward"]})

    return [lengths, idleness, rewards]


def _bars(axis: Any, title: str, values: Mapping[str, float], *, in_order: bool = False) -> None:
    """Draws horizontal bars, the largest on top."""
    shown = list(values.items()) if in_order else sorted(values.items(), key=lambda item: -item[1])[:_BARS]
    names, heights = zip(*shown, strict=True)
    axis.barh(range(len(names)), heights, color="tab:blue")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_title(title, fontsize=9)


def _columns(axis: Any, title: str, values: Mapping[str, float]) -> None:
    """Draws vertical bars, in order."""
    axis.bar(range(len(values)), list(values.values()), color="tab:blue")
    step = -(-len(values) // 24)
    axis.set_xticks(range(0, len(values), step), list(values)[::step])
    axis.set_title(title, fontsize=9)


def _bin_lines(axis: Any, factors: Mapping[str, Any]) -> None:
    """Draws how often each value of continuous numbers is chosen."""
    for name, part in list(factors.items())[:8]:
        axis.plot(part["values"], np.maximum(part["shares"], 1e-6), marker=".", lw=1, label=name)
    axis.set_yscale("log")
    axis.set_ylim(bottom=1e-5)
    chosen = [value for part in factors.values() for value, share in zip(part["values"], part["shares"], strict=True)
              if share > 1e-5]  # fmt: skip
    axis.set_xlim(min(chosen, default=-1) - 1, max(chosen, default=1) + 1)
    axis.legend(fontsize=7)
    axis.set_title("values of continuous actions, share of steps", fontsize=9)


def _histogram(
    axis: Any, title: str, named: Mapping[str, Sequence[float]], limits: tuple[float, float] | None = None
) -> None:
    values = {name: np.array(part, np.float64) for name, part in named.items()}
    known = {name: part[np.isfinite(part)] for name, part in values.items()}
    every = np.concatenate([*known.values(), []])
    low, high = limits or (every.min(initial=np.inf), every.max(initial=-np.inf))
    if low == high:  # one bar; a scale would be meaningless
        axis.bar([0], [len(every)], width=0.2)
        axis.set_xlim(-1, 1)
        axis.set_xticks([0], [f"{low:g}"])
    elif low < high:
        for name, part in known.items():
            axis.hist(part, bins=20, range=(low, high), alpha=0.7 if len(known) > 1 else 1.0, label=name)
    axis.yaxis.get_major_locator().set_params(integer=True)
    if len(known) > 1:
        axis.legend(fontsize=7)
    axis.set_title(title, fontsize=9)
    axis.set_ylabel("episodes", fontsize=8)


def _duration(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.2f} hours"
    return f"{hours * 60:.1f} minutes" if hours * 60 >= 1 else f"{hours * 3600:.1f} seconds"


def _counts(counts: Mapping[str, int], of: str) -> str:
    """Returns `"64x64"`, or with several kinds `"64x64 (100 frames), 32x32 (5 frames)"`."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{name} ({number} {of})" for name, number in counts.items()) or "none"
