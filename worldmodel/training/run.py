"""A whole training run in one folder: both stages, what is between them, and the report at the end.

```
<folder>/
  compression/  denoiser/   saved states, metrics.jsonl, TensorBoard, samples, of each stage
  latents/                  the compressed data
  checkpoint/               the model, for use; written anew whenever a stage reports or ends
  report.json               figures on held-out episodes
```

Whatever is there is used: a run that was stopped, or killed, goes on where it was saved last.
"""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from worldmodel.data.files import write_json
from worldmodel.data.store import Bucket, EpisodeStore
from worldmodel.data.store_files import EpisodeRecord
from worldmodel.model.compression import psnr, to_float
from worldmodel.model.starts import Starts
from worldmodel.model.world_model import WorldModel
from worldmodel.training.evaluation import HeldOutClips, action_sensitivity, evaluate_prediction, held_out_clips
from worldmodel.training.latents import LatentBucket, compress_store
from worldmodel.training.logs import plot_metrics
from worldmodel.training.pictures import action_sheet, comparison_video, reconstruction_sheet
from worldmodel.training.settings import CompressionTraining, DenoiserTraining
from worldmodel.training.stages import CompressionStage, DenoiserStage
from worldmodel.training.trainer import Report, Trainer, machines

STATISTICS_GROUPS = 2048
"""Groups of frames from which mean and deviation of the latents are taken."""
REPORTED_STEPS = (1, 2, 4, 8, 16)


class Watcher(Protocol):
    """Whoever follows a run, such as a progress bar."""

    def stage(self, name: str, total: int | None) -> None:
        """A part of the run begins: its name, and its length, if known."""

    def advance(self, done: int, figures: dict[str, float] | None = None) -> None:
        """So much more is done, with the figures of the moment."""

    def should_stop(self) -> bool:
        """Whether somebody wants the run to stop."""


@dataclass(kw_only=True, slots=True)
class RunConfig:
    """Settings of a run.

    Attributes:
        compression: The first stage.
        denoiser: The second stage.
        learning_rate: Peak rate of both.
        seed: Of all that is drawn.
        keep_compression: Whether the model's compression network is kept as it is, and only the denoiser is trained.
        context_latents: Latent frames seen before a dream in evaluations.
        evaluation_clips: Held-out clips in an evaluation.
        named_actions: Names and vectors (A,) of actions that are shown held down, each from the same past.
    """

    compression: CompressionTraining
    denoiser: DenoiserTraining
    learning_rate: float
    seed: int = 0
    keep_compression: bool = False
    context_latents: int = 8
    evaluation_clips: int = 32
    named_actions: list[tuple[str, Tensor]] = field(default_factory=list)


class _Stopped(Exception):
    """Somebody wants the run to stop."""


class Run:
    """A training run."""

    def __init__(
        self, model: WorldModel, store: EpisodeStore, config: RunConfig, folder: Path, watcher: Watcher
    ) -> None:
        """Takes everything together; nothing is trained yet.

        Args:
            model: With random weights, or those of a checkpoint to go on from.
            store: The data.
            config: Settings.
            folder: For everything that is written.
            watcher: Is told how it goes.
        """
        self.model, self.store, self.config, self.folder, self.watcher = model, store, config, folder, watcher
        self.model.to(machines().device).eval()

    def train(self) -> bool:
        """Trains both stages, or the second alone. Returns whether it came to its end."""
        if not self.config.keep_compression and not self._train_compression():
            return False
        train = self._compressed(held_out=False)
        if train is None:
            return False
        return self._train_denoiser(train)

    def _train_compression(self) -> bool:
        config, folder = self.config.compression, self.folder / "compression"
        stage = CompressionStage(copy.deepcopy(self.model), self.store, config, self.config.seed)
        trainer = Trainer(stage, config, self.config.learning_rate, folder)
        self.watcher.stage("compression", config.max_steps)

        def report(trainer: Trainer, average: dict[str, Tensor]) -> dict[str, float]:
            self._take(average)
            groups = held_out_groups(self.store, self.model.frames_per_latent, 64)
            if groups is None:
                return {}
            samples = folder / "samples"
            samples.mkdir(exist_ok=True)
            reconstruction_sheet(self.model, groups[:8], samples / f"step_{trainer.clock.step:06d}.png")
            return {"held_out_psnr": reconstruction_psnr(self.model, groups)}

        if not self._run(trainer, report, folder):
            return False
        groups = random_groups(self.store, self.model.frames_per_latent, STATISTICS_GROUPS, self.config.seed)
        with torch.no_grad():
            parts = [self.model.compression.bounded(to_float(part.to(self.model.device))) for part in groups.split(64)]
        self.model.compression.set_statistics(torch.cat(parts))
        trainer.accelerator.free_memory()
        return True

    def _compressed(self, *, held_out: bool) -> dict[str, LatentBucket] | None:
        self.watcher.stage("latents, held out" if held_out else "latents", None)
        folder = self.folder / "latents" / ("held_out" if held_out else "train")

        def progress(done: int) -> None:
            self.watcher.advance(done)
            if self.watcher.should_stop():
                raise _Stopped

        try:
            with machines().main_process_first(), self._autocast():  # the others find it done
                return compress_store(self.store, self.model, folder, held_out=held_out, progress=progress)
        except _Stopped:
            return None

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.config.denoiser.bf16)

    def _train_denoiser(self, train: dict[str, LatentBucket]) -> bool:
        config, folder = self.config.denoiser, self.folder / "denoiser"
        stage = DenoiserStage(copy.deepcopy(self.model), train, self.store.captions, config, self.config.seed)
        clips = self._evaluation_clips()
        trainer = Trainer(stage, config, self.config.learning_rate, folder)
        self.watcher.stage("denoiser", config.max_steps)

        def report(trainer: Trainer, average: dict[str, Tensor]) -> dict[str, float]:
            self._take(average)
            self._note(trainer)
            self.model.save(self.folder / "checkpoint")
            if clips is None:
                return {}
            seen = clips.context  # dreams may begin with what evaluations begin with
            Starts(clips.latents[:, :seen], clips.actions[:, :seen], clips.captions).save(self.folder / "checkpoint")
            figures = self._evaluate(clips, folder / "samples", f"step_{trainer.clock.step:06d}")
            write_json(self.folder / "report.json", {"step": trainer.clock.step, **figures})
            return figures

        return self._run(trainer, report, folder)

    def _run(self, trainer: Trainer, report: Report, folder: Path) -> bool:
        self.watcher.advance(trainer.clock.step)
        ended = trainer.progress >= 1
        done = ended or trainer.run(
            on_step=lambda trainer, figures: self.watcher.advance(
                trainer.config.log_every, figures | {"progress": trainer.progress}
            ),
            on_report=report,
            should_stop=self.watcher.should_stop,
        )
        if trainer.accelerator.is_main_process:
            plot_metrics(folder, folder / "curves.png", folder.name)
        if done:
            self._take(trainer.average())
        return done

    def _take(self, average: dict[str, Tensor]) -> None:
        """Puts weights of a stage into the model; it is a copy of it that is trained."""
        unknown = self.model.load_state_dict(average, strict=False).unexpected_keys
        assert not unknown, unknown

    def _evaluation_clips(self) -> HeldOutClips | None:
        """Returns held-out clips of the most common frame size; none if nothing is held out."""
        buckets = self._compressed(held_out=True)
        if not buckets:  # nothing is held out, or the run is stopping
            return None
        name = max(buckets, key=lambda name: len(buckets[name].latents))
        longest = max(episode.length for episode in buckets[name].episodes)
        context = min(self.config.context_latents, max(1, longest // 2))
        horizon = min(max(REPORTED_STEPS), longest - context)
        if horizon < 1:
            return None
        return held_out_clips(
            self.store, name, buckets[name], number=self.config.evaluation_clips, context=context, horizon=horizon
        )

    def _evaluate(self, clips: HeldOutClips, samples: Path, name: str) -> dict[str, float]:
        samples.mkdir(parents=True, exist_ok=True)
        with self._autocast():
            prediction = evaluate_prediction(self.model, clips)
            true, shuffled = action_sensitivity(self.model, clips)
            if self.config.named_actions:
                action_sheet(self.model, clips, self.config.named_actions, samples / f"{name}_actions.png")
        fps = self.model.metadata.fps
        order = prediction.moving.to(torch.int64).argsort(descending=True, stable=True)
        shown = HeldOutClips(clips.context, clips.latents[order], clips.actions[order], clips.frames[order],
                             [clips.captions[i] for i in order.tolist()])  # fmt: skip
        comparison_video(shown, prediction.dreamed[order], samples / f"{name}.mp4", fps)
        figures = prediction.figures([step for step in REPORTED_STEPS if step <= prediction.model.shape[1]])
        return figures | {"action_loss_ratio": shuffled / true}

    def _note(self, trainer: Trainer) -> None:
        self.model.metadata.training = {
            **self.model.metadata.training,
            "denoiser_steps": trainer.clock.step,
            "denoiser_minutes": round(trainer.clock.seconds / 60, 1),
        }


def held_out_groups(store: EpisodeStore, frames_per_latent: int, number: int) -> Tensor | None:
    """Returns groups of frames spread evenly over the held-out episodes of the most common size, or `None`."""
    return _groups(store, frames_per_latent, number, held_out=True, generator=None)


def random_groups(store: EpisodeStore, frames_per_latent: int, number: int, seed: int) -> Tensor:
    """Returns random groups of frames of the training split, of the most common size."""
    generator = torch.Generator().manual_seed(seed)
    groups = _groups(store, frames_per_latent, number, held_out=False, generator=generator)
    assert groups is not None
    return groups


def _groups(
    store: EpisodeStore, r: int, number: int, *, held_out: bool, generator: torch.Generator | None
) -> Tensor | None:
    def records(bucket: Bucket) -> list[EpisodeRecord]:
        return [record for record in bucket.episodes if record.held_out == held_out]

    bucket = max(store.buckets.values(), key=lambda bucket: sum(record.num_frames for record in records(bucket)))
    if not records(bucket):
        return None
    starts = torch.cat([record.start + torch.arange(max(1, record.num_frames - r + 1)) for record in records(bucket)])
    if generator is None:
        chosen = starts[torch.linspace(0, len(starts) - 1, min(number, len(starts))).long()]
    else:
        chosen = starts[torch.randint(len(starts), (number,), generator=generator)]
    ends = torch.tensor([record.start + record.num_frames for record in records(bucket)])
    last = ends[torch.searchsorted(ends, chosen, right=True)] - 1  # an episode may be shorter than a group
    rows = (chosen[:, None] + torch.arange(r)).minimum(last[:, None])
    return torch.from_numpy(bucket.frames[rows.numpy()])


@torch.no_grad()
def reconstruction_psnr(model: WorldModel, groups: Tensor) -> float:
    """Returns the mean PSNR in dB of what the compression network makes of uint8 groups (B, r, H, W, 3)."""
    values = []
    for part in groups.split(32):
        pixels = to_float(part.to(model.device))
        values.append(psnr(model.compression.decode_bounded(model.compression.bounded(pixels)).clamp(-1, 1), pixels))
    return float(torch.cat(values).mean())
