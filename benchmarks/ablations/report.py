"""What the trials showed: a page, a plot, and a contact sheet."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ablations.trials import SAMPLING_STEPS, SHORT_TICKS, Result
from ablations.variants import FIRST, VARIANTS
from worldmodel.evaluation.estimates import Estimate, bootstrap, difference
from worldmodel.evaluation.plots import grid, pyplot, save_figure, save_picture
from worldmodel.training.evaluation import MOVING_BELOW_DB

PAGE, PLOT, SHEET = "ablations.md", "ablations.png", "ablations_sheet.png"
SHOWN_TICKS = (2, 8, 32, 128, 256)
"""A figure after so many ticks is the mean over the second half of the way to them."""
_SHEET_TICKS = (2, 4, 8, 16, 32, 64, 128, 256)


def moving(result: Result) -> np.ndarray:
    """Returns bool (N,), the clips in which much changes within the short horizon."""
    return result.repeat[:, SHORT_TICKS - 1] < MOVING_BELOW_DB


def after(psnr: np.ndarray, ticks: int) -> np.ndarray:
    """Returns the figure of each clip after so many ticks: (N, F) to (N,)."""
    return psnr[:, ticks // 2 : ticks].mean(1)


def gain(result: Result) -> np.ndarray:
    """Returns by how much a clip's own actions are better than another's, in dB (N,)."""
    return (result.dreamed[:, :SHORT_TICKS] - result.shuffled).mean(1)


def page(results: Mapping[str, Result]) -> list[str]:
    """Returns the lines of the page, Markdown."""
    first = results[FIRST]
    chosen = moving(first)
    work = first.steps * first.flops_per_step / 1e12
    lines = [
        f"Each training has {work:.1f} Tflop. {chosen.sum()} moving of {len(chosen)} held-out clips, "
        f"the same for all. PSNR in dB of the recipe, then by how much the others are better, with the interval that "
        "holds the true difference with 95 % confidence (pairs of clips; it knows nothing of what another seed does). "
        f"Own actions: by how much they are better than another clip's, over {SHORT_TICKS} ticks; loss ratio: that of "
        "the next frame with another clip's actions, over that with its own.",
        "",
        *_table(
            [
                "variant",
                "change",
                "steps",
                *(f"{ticks} ticks" for ticks in SHOWN_TICKS),
                "own actions",
                "loss ratio",
                "codec",
            ],
            [_row(name, result, first, chosen) for name, result in results.items()],
        ),
        "",
        f"By sampling steps, PSNR in dB over {SHORT_TICKS} ticks:",
        "",
        *_table(
            ["variant", *(f"sampling steps: {n}" for n in SAMPLING_STEPS)],
            [
                [name, *(bootstrap(part[chosen].mean(1)).text() for part in result.by_steps)]
                for name, result in results.items()
            ],
        ),
        "",
        f"![By how much variants are better than the recipe.]({PLOT})",
        "",
        f"![One clip: truth, then the dream of each variant.]({SHEET})",
    ]
    return lines


def _row(name: str, result: Result, first: Result, chosen: np.ndarray) -> list[str]:
    variant = VARIANTS[name]
    if name == FIRST:
        figures = [bootstrap(after(result.dreamed, ticks)[chosen]).text() for ticks in SHOWN_TICKS]
        heard = bootstrap(gain(result)[chosen]).text()
    else:
        figures = [_signed(_gained(result, first, ticks, chosen)) for ticks in SHOWN_TICKS]
        heard = _signed(difference(gain(result)[chosen], gain(first)[chosen]))
    codec = f"{result.codec[chosen].mean():.1f}"
    return [
        name,
        f"{variant.question}: {variant.change}",
        str(result.steps),
        *figures,
        heard,
        f"{result.heard:.3f}",
        codec,
    ]


def _gained(result: Result, first: Result, ticks: int, chosen: np.ndarray) -> Estimate:
    return difference(after(result.dreamed, ticks)[chosen], after(first.dreamed, ticks)[chosen])


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.2f} [{estimate.low:+.2f}, {estimate.high:+.2f}]"


def draw(results: Mapping[str, Result], path: Path) -> None:
    """Draws by how much variants are better than the recipe: near, far, and in what actions are worth."""
    first, plt = results[FIRST], pyplot()
    chosen = moving(first)
    others = {name: result for name, result in results.items() if name != FIRST}
    panels = {
        f"after {SHORT_TICKS} ticks": lambda result: _gained(result, first, SHORT_TICKS, chosen),
        f"after {SHOWN_TICKS[-1]} ticks": lambda result: _gained(result, first, SHOWN_TICKS[-1], chosen),
        "worth of own actions": lambda result: difference(gain(result)[chosen], gain(first)[chosen]),
    }
    figure, axes = plt.subplots(
        1, len(panels), figsize=(12, 1.2 + 0.28 * max(len(others), 1)), sharey=True, squeeze=False
    )
    places = np.arange(len(others))
    for axis, (title, estimate) in zip(axes[0], panels.items(), strict=True):
        estimates = [estimate(result) for result in others.values()]
        values = np.array([part.value for part in estimates])
        low, high = (np.array([getattr(part, end) for part in estimates]) for end in ("low", "high"))
        axis.axvline(0, color="black", linewidth=0.8)
        axis.errorbar(values, places, xerr=(values - low, high - values), fmt="o", capsize=3)
        axis.set(title=title, xlabel="dB better than the recipe")
        axis.grid(axis="x", alpha=0.3)
    axes[0][0].set_yticks(places, [f"{VARIANTS[name].question}: {VARIANTS[name].change}" for name in others])
    axes[0][0].invert_yaxis()
    save_figure(figure, path)


def draw_sheet(truth: np.ndarray, dreams: Mapping[str, np.ndarray], path: Path) -> None:
    """Writes one clip, uint8 (F - K, H, W, 3), as it was, and as each variant dreamed it."""
    rows = [[frames[ticks - 1] for ticks in _SHEET_TICKS] for frames in (truth, *dreams.values())]
    names = [f"after {ticks} ticks" for ticks in _SHEET_TICKS]
    save_picture(path, grid(rows, row_names=["truth", *dreams], column_names=names, least_width=96))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
