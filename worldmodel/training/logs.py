"""Figures of a run: a JSON line each time, TensorBoard beside it, and curves as a picture."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

METRICS = "metrics.jsonl"

_COLUMNS = 4
_NOT_DRAWN = ("step", "seconds", "learning_rate_factor", "moving_clips")
_PSNR_AT_STEP = re.compile(r"psnr_(\w+)_(\d+)")


class MetricLog:
    """Writes figures to `metrics.jsonl` and for TensorBoard.

    A resumed run goes on from a saved state: what was logged after that is taken off, since it comes again.
    """

    def __init__(self, folder: Path, *, first_step: int, active: bool = True) -> None:
        """Opens the log.

        Args:
            folder: Existing folder.
            first_step: Steps done so far; lines of later ones are removed.
            active: Whether to write at all: only one machine does.
        """
        self._active = active
        if not active:
            return
        from torch.utils.tensorboard import SummaryWriter  # here, because it takes a second to import

        path = folder / METRICS
        kept = [line for line in read_metrics(folder) if line["step"] <= first_step]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)

    def write(self, step: int, seconds: float, figures: Mapping[str, float]) -> None:
        """Adds figures of a step; seconds are those of training so far."""
        if not self._active:
            return
        self._file.write(json.dumps({"step": step, "seconds": round(seconds, 2), **figures}) + "\n")
        self._file.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Closes both."""
        if self._active:
            self._file.close()
            self._board.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Reads the lines of a log; none if there is none. The last one is left out if it was cut off."""
    path = folder / METRICS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    parsed = []
    for line in lines:
        try:
            parsed.append(json.loads(line))
        except ValueError:
            break
    return parsed


def plot_metrics(folder: Path, path: Path, title: str) -> None:
    """Draws every figure of a log over minutes of training, to a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for line in read_metrics(folder):
        for name, value in line.items():
            if name not in _NOT_DRAWN:
                stepped = _PSNR_AT_STEP.fullmatch(name)  # what can be compared stands in one panel
                panel, curve = (f"PSNR in dB after {int(stepped[2])} steps", stepped[1]) if stepped else (name, name)
                panels[panel][curve].append((line["seconds"] / 60, value))
    if not panels:
        return
    rows = -(-len(panels) // _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(4 * _COLUMNS, 2.6 * rows), squeeze=False)
    for axis, (panel, curves) in zip(axes.flat, panels.items(), strict=False):
        for curve, points in curves.items():
            axis.plot(*zip(*points, strict=True), lw=1.2, label=curve)
        if len(curves) > 1:
            axis.legend(fontsize=7)
        axis.set_title(panel, fontsize=9)
        axis.set_xlabel("minutes", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
