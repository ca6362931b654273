"""Trains a tiny model on the moving square; a program of its own, so that it can be killed and launched many times.

python square_run.py FOLDER [--kill-at STAGE:STEP] [--stage-gradients FILE]
"""

import argparse
import os
import signal
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from moving_square import make_store

from worldmodel.data.store import EpisodeStore
from worldmodel.model import Metadata, Size, WorldModel, model_config
from worldmodel.model.precision import has_fast_bf16
from worldmodel.training.latents import compress_store
from worldmodel.training.optimizer import OptimizerConfig
from worldmodel.training.run import Run, RunConfig
from worldmodel.training.settings import CompressionTraining, DenoiserTraining
from worldmodel.training.stages import DenoiserStage
from worldmodel.training.trainer import Trainer


class Watcher:
    """Kills the process at a step of a stage, as nothing polite would."""

    def __init__(self, kill_at: str | None) -> None:
        self.kill_at, self.name, self.done = kill_at, "", 0

    def stage(self, name, total):
        self.name, self.done = name, 0

    def advance(self, done, figures=None):
        self.done += done
        if f"{self.name}:{self.done}" == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def should_stop(self):
        return False


def make_model(store: EpisodeStore) -> WorldModel:
    torch.manual_seed(0)
    metadata = Metadata(height=32, width=32, fps=10.0, action_space=store.codec.to_json())
    return WorldModel(model_config(Size.tiny, frames_per_latent=2, channels=4), metadata)


def run_config(*, bf16: bool | None = None) -> RunConfig:
    common = {"batch_size": 4, "log_every": 1, "save_minutes": 0.0, "report_every": 5}
    common["bf16"] = has_fast_bf16() if bf16 is None else bf16
    common["optimizer"] = OptimizerConfig(warmup_steps=2)
    return RunConfig(
        compression=CompressionTraining(max_steps=6, **common),
        denoiser=DenoiserTraining(max_steps=8, clip_latents=4, shortcut_after=2, shortcut_share=0.5, **common),
        learning_rate=0.01,
        context_latents=2,
        evaluation_clips=2,
    )


def first_gradients(folder: Path, file: Path) -> None:
    """Writes the gradients of the first denoiser step, as every machine has them, to a file."""
    store = EpisodeStore(folder / "data")
    model = make_model(store)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    config = run_config(bf16=False).denoiser
    train = compress_store(store, model, folder / "plain_latents", held_out=False)
    trainer = Trainer(DenoiserStage(model, train, store.captions, config, 0), config, 0.01, folder / "gradients")
    machines = trainer.accelerator
    sums = None
    for step in range(4):  # several, so that all kinds of batches come
        batch = trainer.stage.batch(step, machines.process_index, machines.num_processes)
        loss, _ = trainer.module(*batch.inputs)
        machines.backward(loss)
        gradients = [p.grad.clone() for p in trainer.module.parameters() if p.grad is not None]
        sums = gradients if sums is None else [a + b for a, b in zip(sums, gradients, strict=True)]
        trainer.module.zero_grad()
    if machines.is_main_process:
        torch.save({"machines": machines.num_processes, "gradients": sums}, file)
    machines.wait_for_everyone()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill-at")
    parser.add_argument("--stage-gradients", type=Path)
    arguments = parser.parse_args()
    if arguments.stage_gradients:
        first_gradients(arguments.folder, arguments.stage_gradients)
        return
    if not (arguments.folder / "data").exists():
        make_store(arguments.folder / "data", episodes=12, steps=20)
    store = EpisodeStore(arguments.folder / "data")
    watcher = Watcher(arguments.kill_at)
    assert Run(make_model(store), store, run_config(), arguments.folder, watcher).train()


if __name__ == "__main__":
    main()
