"""Trains models that differ in one thing, each for the same floating-point operations, and compares their dreams.

    python benchmarks/ablations OUTPUT [--steps N] [--variants NAME ...] [--threads N]

The world is a narrow one, in which little compute goes far: plains at noon, clear weather, 48 x 48. Everything goes
into OUTPUT: the data, a compression network for each number of ticks in a latent frame, a folder for each variant, and
the page, the plot and the contact sheet. What is there is not done again, so the same command goes on where it was
stopped, and with more variants adds these.
"""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

# In the place of this folder, whose modules have names that others may have too.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np  # noqa: E402 - found only now
import torch  # noqa: E402
from tqdm import tqdm  # noqa: E402

from ablations import report, trials  # noqa: E402
from ablations.trials import Result  # noqa: E402
from ablations.variants import FIRST, VARIANTS  # noqa: E402
from worldmodel.cli.collecting import DataConfig, prepare_store  # noqa: E402
from worldmodel.cli.settings import EnvConfig, PlayerConfig  # noqa: E402
from worldmodel.cli.train import check_same_run  # noqa: E402
from worldmodel.data.files import partial_path  # noqa: E402
from worldmodel.data.store import EpisodeStore  # noqa: E402
from worldmodel.model import Metadata  # noqa: E402

_ENV = EnvConfig(
    id="worldmodel/Voxel-v0",
    kwargs={
        "height": 48, "width": 48, "biome": "plains", "start_time": 0.25, "day_length_ticks": None, "weather": "clear",
        "hud": False,
    },
)  # fmt: skip
_PLAYERS = {"explorer": 0.6, "fidgeter": 0.3, "look_away": 0.1}
_EPISODE_STEPS = 300
_RESULT, _DREAM = "result.npz", "dream.npy"


def main() -> None:
    """Reads the arguments, does what is not yet done, and writes the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=800, help="of the recipe; dearer variants have fewer")
    parser.add_argument("--codec-steps", type=int, default=1500, help="steps of a compression network")
    parser.add_argument("--frames", type=int, default=40000, help="frames to collect")
    parser.add_argument("--clips", type=int, default=48, help="held-out clips to dream")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    asked = {name: value for name, value in vars(arguments).items() if name not in ("output", "variants")}
    check_same_run(output, asked, ("threads",))
    store = _store(output / "data", arguments.frames)
    for name in dict.fromkeys([FIRST, *arguments.variants]):
        if not (output / name / _RESULT).exists():
            _try(name, store, output, arguments)
    results = {name: _read(output / name / _RESULT) for name in VARIANTS if (output / name / _RESULT).exists()}
    dreams = {name: np.load(output / name / _DREAM) for name in results}
    (output / report.PAGE).write_text("\n".join(report.page(results)) + "\n")
    report.draw(results, output / report.PLOT)
    report.draw_sheet(np.load(output / FIRST / "truth.npy"), dreams, output / report.SHEET)
    print((output / report.PAGE).read_text())
    print(*(output / name for name in (report.PAGE, report.PLOT, report.SHEET)), sep="\n")


def _store(folder: Path, frames: int) -> EpisodeStore:
    data = DataConfig(
        folders=[], store=None, frames=frames, episode_steps=_EPISODE_STEPS, first_seed=0, held_out_percent=10.0,
        height=None, width=None, workers=1, lint=True,
    )  # fmt: skip
    with tqdm(total=frames, desc="data", unit="frame", dynamic_ncols=True) as bar:
        store = prepare_store(
            folder,
            _ENV,
            PlayerConfig(name="mixture", kwargs={"players": _PLAYERS}),
            data,
            progress=bar.update,
            should_stop=lambda: False,
        )
    assert store is not None
    return store


def _try(name: str, store: EpisodeStore, output: Path, arguments: argparse.Namespace) -> None:
    variant, folder = VARIANTS[name], output / name
    assert store.codec is not None
    metadata = Metadata(height=48, width=48, fps=store.fps, action_space=store.codec.to_json())
    r = variant.frames_per_latent
    codec = trials.train_codec(r, store, metadata, output / f"codec_{r}", arguments.codec_steps)
    buckets = [
        trials.compressed(store, codec, output / f"codec_{r}" / split, held_out=split == "held_out")
        for split in ("train", "held_out")
    ]
    model = trials.make(variant, metadata, codec)
    folder.mkdir(parents=True, exist_ok=True)
    flops = trials.flops_per_step(variant, model, buckets[0], store.captions)
    steps = arguments.steps
    if name != FIRST:
        steps = max(1, round(steps * _read(output / FIRST / _RESULT).flops_per_step / flops))
    trials.train(name, variant, model, buckets[0], store.captions, folder / "training", steps)
    clips = trials.held_out_clips(store, buckets[1], arguments.clips)
    result, dream = trials.score(model, clips, steps, flops)
    shown = int(np.flatnonzero(report.moving(result))[0])
    np.save(folder / _DREAM, dream[shown])
    np.save(folder / "truth.npy", clips.frames[shown, clips.context :].flatten(0, 1).numpy())
    partial = partial_path(folder / _RESULT)
    with partial.open("wb") as file:
        np.savez(file, **{part.name: getattr(result, part.name) for part in fields(result)})
    partial.replace(folder / _RESULT)


def _read(path: Path) -> Result:
    with np.load(path) as parts:
        values = {name: parts[name] for name in parts.files}
    return Result(**{name: value if value.ndim else value.item() for name, value in values.items()})


if __name__ == "__main__":
    main()
