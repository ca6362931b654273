"""Trains the U-Net on the data of a training run of the world model.

    python benchmarks/unet DATA OUTPUT [--flops N] [--minutes N] [--steps N]

DATA is the folder of an episode store, such as `runs/voxel/data`; only the training split is used. OUTPUT gets
`checkpoint/`, for `UNetDreamer`, beside saved states and the log. The run ends with whichever limit comes first; the
same command goes on with one that was stopped. Optimisation, averaged weights and saved states are those of the world
model's training. Operations are counted as three times those of a forward pass.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from unet.data import UNetStage, largest
from unet.model import UNetConfig, UNetDenoiser
from worldmodel.cli.playing import Interruption
from worldmodel.data.files import read_json, write_json
from worldmodel.data.store import EpisodeStore
from worldmodel.model import Metadata
from worldmodel.model.checkpoint import to_plain, write_checkpoint
from worldmodel.training.optimizer import OptimizerConfig, OptimizerKind
from worldmodel.training.settings import TrainerConfig
from worldmodel.training.stages import to_device
from worldmodel.training.trainer import Trainer

CHECKPOINT, SETTINGS = "checkpoint", "settings.json"
BATCH_SIZE, LEARNING_RATE = 16, 5e-4


def make(
    store: EpisodeStore,
    *,
    frames_per_step: int = 2,
    past_ticks: int = 4,
    channels: Sequence[int] = (24, 48, 64, 96),
    blocks: int = 2,
    seed: int = 0,
) -> UNetDenoiser:
    """Returns a network with random weights for the frames and actions of a store; see `UNetConfig`.

    Raises:
        ValueError: If the data has no actions, or frames of a size that does not suit the levels.
    """
    if store.codec is None:
        raise ValueError("store: expected data with actions, got data without; there is nothing to step the model with")
    config = UNetConfig(
        action_width=store.codec.width,
        frames_per_step=frames_per_step,
        past_ticks=past_ticks,
        channels=list(channels),
        blocks=blocks,
    )
    size = largest(store)
    if size.height % config.multiple or size.width % config.multiple:
        raise ValueError(
            f"channels: expected a number of levels that {size.height} x {size.width} can be halved for, got "
            f"{len(channels)}; give fewer"
        )
    torch.manual_seed(seed)
    return UNetDenoiser(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def training_flops(stage: UNetStage, device: torch.device) -> int:
    """Returns the floating-point operations of a training step: a backward pass is taken for two forward passes."""
    inputs = to_device(stage.batch(0, 0, 1).inputs, device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        stage.module.to(device)(*inputs)
    return 3 * counter.get_total_flops()


def train(
    model: UNetDenoiser,
    store: EpisodeStore,
    folder: Path,
    *,
    flops: float | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = LEARNING_RATE,
    ema_decay: float = 0.998,
    seed: int = 0,
    save_minutes: float = 5.0,
    active: bool = False,
) -> bool:
    """Trains a network in a folder, from its last saved state on, until the first limit.

    Args:
        model: From `make`, with the same seed each time.
        store: The data.
        folder: For everything that is written.
        flops: Floating-point operations, in whole steps.
        minutes: Minutes, resumed runs counted together.
        steps: Steps.
        batch_size: Moments in a batch.
        learning_rate: Peak rate.
        ema_decay: Of the running average of the weights, which is what is saved for use.
        seed: Of batches and noise.
        save_minutes: Minutes between two saved states.
        active: Whether to show a progress bar.

    Returns:
        Whether the limit was reached, and nobody interrupted it before.

    Raises:
        ValueError: If there is no limit, or the folder holds a run with other settings.
    """
    fixed = {"model": to_plain(model.config), "batch_size": batch_size, "learning_rate": learning_rate}
    _check_same(folder, fixed | {"ema_decay": ema_decay, "seed": seed})
    stage = UNetStage(model, store, batch_size, seed)
    per_step = training_flops(stage, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    limits = [limit for limit in (steps, None if flops is None else max(1, int(flops / per_step))) if limit is not None]
    config = TrainerConfig(
        max_steps=min(limits, default=None),
        max_minutes=minutes,
        batch_size=batch_size,
        optimizer=OptimizerConfig(kind=OptimizerKind.adamw),
        ema_decay=ema_decay,
        log_every=10,
        save_minutes=save_minutes,
        report_every=500,
    )
    trainer = Trainer(stage, config, learning_rate, folder)

    def save(trainer: Trainer, average: dict[str, Tensor]) -> dict[str, float]:
        names = {name.removeprefix("model."): tensor for name, tensor in average.items()}
        clock = trainer.clock
        training = {
            "steps": clock.step,
            "minutes": round(clock.seconds / 60, 2),
            "flops": clock.step * per_step,
            **fixed,
        }
        write_checkpoint(folder / CHECKPOINT, names, _description(model, store, training))
        return {"petaflops": clock.step * per_step / 1e15}

    with Interruption() as interruption, _Bar(trainer, per_step, active=active) as bar:
        return trainer.progress >= 1 or trainer.run(
            on_step=bar.show, on_report=save, should_stop=lambda: interruption.requested
        )


def _description(model: UNetDenoiser, store: EpisodeStore, training: dict[str, Any]) -> dict[str, Any]:
    """Returns what `config.json` says of a network."""
    assert store.codec is not None
    size = largest(store)
    metadata = Metadata(
        height=size.height,
        width=size.width,
        fps=store.fps,
        action_space=store.codec.to_json(),
        env_id=size.episodes[0].env_id,
        training_data={"frames": store.num_frames(held_out=False)},
        training=training,
    )
    return {"unet": to_plain(model.config), "metadata": to_plain(metadata)}


def _check_same(folder: Path, settings: dict[str, Any]) -> None:
    """Writes the settings down, or compares them with those that the run in the folder was begun with."""
    path = folder / SETTINGS
    if path.exists() and (before := read_json(path)) != settings:
        raise ValueError(
            f"output: expected the settings of the run in {folder}, {before}, got {settings}; choose another"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, settings)


class _Bar:
    """A progress bar of the nearest limit, with loss and rate."""

    def __init__(self, trainer: Trainer, flops: int, *, active: bool) -> None:
        self._flops = flops
        form = "{l_bar}{bar}| {elapsed} < {remaining}{postfix}"
        start = trainer.progress  # a resumed run begins somewhere in between
        self._bar = tqdm(total=1.0, initial=start, desc="unet", bar_format=form, disable=not active)
        self._last = trainer.clock.step, trainer.clock.seconds

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, trainer: Trainer, figures: dict[str, float]) -> None:
        clock = trainer.clock
        rate = (clock.step - self._last[0]) * self._flops / max(clock.seconds - self._last[1], 1e-9)
        self._last = clock.step, clock.seconds
        shown = f"step {clock.step}, loss {figures['loss']:.4f}, {rate / 1e9:.0f} GFLOP/s"
        self._bar.set_postfix_str(shown, refresh=False)
        self._bar.update(trainer.progress - self._bar.n)


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of an episode store")
    parser.add_argument("output", type=Path, help="folder of the run")
    parser.add_argument(
        "--flops", type=float, default=None, help="floating-point operations to train for, such as 1e15"
    )
    parser.add_argument("--minutes", type=float, default=None, help="minutes to train for")
    parser.add_argument("--steps", type=int, default=None, help="steps to train for")
    parser.add_argument("--frames-per-step", type=int, default=2, help="ticks in a step of the world model")
    parser.add_argument("--channels", type=int, nargs="+", default=[24, 48, 64, 96], help="on each level")
    parser.add_argument("--batch", type=int, default=BATCH_SIZE, help="moments in a batch")
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE, help="peak rate")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches and noise")
    parser.add_argument("--threads", type=int, default=None, help="threads; PyTorch's choice by default")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    if not any((options.flops, options.minutes, options.steps)):
        parser.error("give a limit: --flops, --minutes or --steps")
    try:
        store = EpisodeStore(options.data)
        model = make(store, frames_per_step=options.frames_per_step, channels=options.channels, seed=options.seed)
        parameters = sum(math.prod(parameter.shape) for parameter in model.parameters())
        print(f"{parameters / 1e6:.2f} million parameters")
        done = train(
            model,
            store,
            options.output,
            flops=options.flops,
            minutes=options.minutes,
            steps=options.steps,
            batch_size=options.batch,
            learning_rate=options.learning_rate,
            seed=options.seed,
            active=True,
        )
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    print(options.output / CHECKPOINT if done else "interrupted; go on with the same command")
