"""How well training uses the machine: tokens a second, and the share of what its matrix products allow.

    python benchmarks/training.py [--size small] [--rounds N] [--threads N] [--device cpu] [--output FILE]

One process does, by turns, round after round: a large bfloat16 matrix product, a training step of the compression
network, and one of the denoiser with either optimiser; whatever else the machine does hits all of them alike. A step is
complete: forward, backward, clipping, optimiser, running average. Its floating-point operations are counted by PyTorch
on the matrix products it really makes, forward and backward. The share is operations a second, over those of the plain
product; medians over rounds.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.cli.collecting import play_episode
from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.episodes import EpisodeSource
from worldmodel.data.store import EpisodeStore, EpisodeStoreWriter
from worldmodel.model import Metadata, Size, WorldModel, model_config
from worldmodel.training.latents import compress_store
from worldmodel.training.optimizer import OptimizerConfig, OptimizerKind
from worldmodel.training.settings import CompressionTraining, DenoiserTraining
from worldmodel.training.stages import CompressionStage, DenoiserStage, Stage, to_device
from worldmodel.training.trainer import Trainer

MATRIX_SIZE = 2048


class MatrixProduct:
    """The yardstick."""

    label = "matrix product, bfloat16"

    def __init__(self, device: torch.device) -> None:
        """Makes two matrices."""
        self._factors = torch.randn(2, MATRIX_SIZE, MATRIX_SIZE, device=device, dtype=torch.bfloat16)
        self.flops = 10 * 2 * MATRIX_SIZE**3
        self.tokens = 0

    def run(self) -> None:
        """Multiplies ten times."""
        for _ in range(10):
            torch.mm(*self._factors)


class TrainingStep:
    """A complete step on a batch of the most common kind: long clips, tiny sampling steps."""

    def __init__(
        self, label: str, stage: Stage, settings: CompressionTraining | DenoiserTraining, folder: Path
    ) -> None:
        """Prepares the trainer, and counts the operations of a step."""
        self.label = label
        self._trainer = Trainer(stage, settings, 1e-3, folder)
        self._batch = stage.batch(0, 0, 1)
        self.tokens = self._batch.tokens
        with FlopCounterMode(display=False) as counter:
            loss, _ = self._trainer.module(*to_device(self._batch.inputs, self._trainer.accelerator.device))
            self._trainer.accelerator.backward(loss)
        self.flops = counter.get_total_flops()  # of the model alone: the optimiser's are no progress
        self.run()

    def run(self) -> None:
        """Takes a step."""
        self._trainer.take_step(self._batch)


def make_store(folder: Path) -> EpisodeStore:
    """Plays a few short episodes of the block world."""
    env = gymnasium.make("worldmodel/Voxel-v0", height=64, width=64)
    player = make_player("random", env)
    with EpisodeStoreWriter(folder, codec=ActionCodec(env.action_space), fps=20, held_out_percent=0) as writer:
        for seed in range(4):
            source = EpisodeSource(env_id="worldmodel/Voxel-v0", seed=seed)
            writer.append(play_episode(env, player, source, 100), str(seed))
    return EpisodeStore(folder)


def contenders(size: Size, device: torch.device, folder: Path) -> list[MatrixProduct | TrainingStep]:
    """Returns everything that is measured; the yardstick first."""
    store = make_store(folder / "data")
    assert store.codec is not None
    found: list[MatrixProduct | TrainingStep] = [MatrixProduct(device)]
    space = store.codec.to_json()
    metadata = Metadata(height=64, width=64, fps=20.0, action_space=space)
    settings = {"single_share": 0.0, "short_share": 0.0, "causal_share": 1.0, "shortcut_share": 0.0}
    for kind in OptimizerKind:
        optimizer = OptimizerConfig(kind=kind)
        model = WorldModel(model_config(size), metadata)
        compression = CompressionTraining(max_steps=10**6, batch_size=32, optimizer=optimizer)
        stage: Stage = CompressionStage(model, store, compression, 0)
        found.append(
            TrainingStep(f"compression, {kind.value}", stage, compression, folder / f"compression-{kind.value}")
        )
        train = compress_store(store, model, folder / f"latents-{kind.value}", held_out=False)
        denoiser = DenoiserTraining(max_steps=10**6, batch_size=16, optimizer=optimizer, **settings)
        stage = DenoiserStage(model, train, store.captions, denoiser, 0)
        found.append(TrainingStep(f"denoiser, {kind.value}", stage, denoiser, folder / f"d-{kind.value}"))
    return found


def seconds(function: Callable[[], None], device: torch.device) -> float:
    """Returns how long a call takes."""
    begun = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=Size, default=Size.small, choices=list(Size), help="size of the model")
    parser.add_argument("--rounds", type=int, default=8, help="rounds of all contenders")
    parser.add_argument("--threads", type=int, default=None, help="threads; PyTorch's choice by default")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--output", type=Path, default=None, help="also write the figures to a JSON file")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        measured = contenders(arguments.size, device, Path(folder))
        times: list[list[float]] = [[] for _ in measured]
        for _ in range(arguments.rounds):
            for contender, row in zip(measured, times, strict=True):
                row.append(seconds(contender.run, device))
    yardstick = measured[0].flops / np.array(times[0])
    print(f"{'':28}{'GFLOP/s':>10}{'share':>8}{'tokens/s':>12}{'s/step':>10}")
    figures = {}
    for contender, row in zip(measured, times, strict=True):
        rates = contender.flops / np.array(row)
        share = statistics.median((rates / yardstick).tolist())
        median = statistics.median(row)
        figures[contender.label] = {
            "gflops": contender.flops / median / 1e9,
            "share": share,
            "tokens_per_second": contender.tokens / median,
            "seconds": median,
        }
        print(
            f"{contender.label:28}{contender.flops / median / 1e9:10.0f}{share:8.0%}"
            f"{contender.tokens / median:12.0f}{median:10.3f}"
        )
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
