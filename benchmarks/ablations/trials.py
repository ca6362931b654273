"""Trains one variant, and scores it on held-out clips that are the same for all.

Shapes: N clips, F ticks of a clip, K ticks of it that are seen, r ticks in a latent frame.
"""

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from ablations.variants import Variant
from worldmodel.data.store import EpisodeStore
from worldmodel.model import Metadata, WorldModel
from worldmodel.model.compression import psnr, to_float
from worldmodel.model.sizes import ModelConfig, Size, model_config
from worldmodel.training.evaluation import HeldOutClips, action_sensitivity, dream
from worldmodel.training.latents import LatentBucket, compress_store
from worldmodel.training.noising import NoisingConfig
from worldmodel.training.optimizer import OptimizerConfig
from worldmodel.training.run import STATISTICS_GROUPS, random_groups
from worldmodel.training.settings import CompressionTraining, DenoiserTraining
from worldmodel.training.stages import CompressionStage, DenoiserStage
from worldmodel.training.trainer import Trainer

SIZE, LEARNING_RATE = Size.mini, 0.002
CONTEXT_TICKS, HORIZON_TICKS, SHORT_TICKS = 16, 256, 32
"""What is seen before dreams, how far they go, and how far those that only show whether actions are heard."""
SAMPLING_STEPS = (1, 2, 4)
USUAL_STEPS = 2
CLIP_TICKS = 32
"""Duration of a training clip, and with it of what is remembered: the same for all variants."""
BATCH_CLIPS = 4
SHORTCUT_AFTER = 0.4
"""Share of the training after which long sampling steps are trained, too."""
_COUNTED_STEPS = 40
_ALIGNED = 4
"""Clips begin at multiples of so many ticks: between latent frames, whatever r is."""


@dataclass(slots=True)
class Result:
    """How well a variant dreams, PSNR in dB against what happened.

    Attributes:
        dreamed: float32 (N, F - K), tick by tick, with the usual sampling steps.
        shuffled: float32 (N, short), with the actions of another clip.
        by_steps: float32 (sampling steps, N, short), with each number of sampling steps.
        codec: float32 (N, F - K), what the compression network makes of the truth.
        repeat: float32 (N, F - K), the last frame that was seen, again and again.
        heard: Loss of the next frame with the actions of another clip, over that with its own.
        steps: Of training.
        flops_per_step: Floating-point operations of a step of training.
    """

    dreamed: np.ndarray
    shuffled: np.ndarray
    by_steps: np.ndarray
    codec: np.ndarray
    repeat: np.ndarray
    heard: float
    steps: int
    flops_per_step: float


def sizes(variant: Variant) -> ModelConfig:
    """Returns the sizes of a variant's model; all remember as many seconds."""
    config = model_config(SIZE, **variant.model)
    transformer = replace(config.denoiser.transformer, time_every=variant.time_every)
    window = CLIP_TICKS // variant.frames_per_latent
    return replace(config, denoiser=replace(config.denoiser, transformer=transformer, window=window))


def make(variant: Variant, metadata: Metadata, codec: WorldModel) -> WorldModel:
    """Returns the untrained model of a variant, with the compression network of another one."""
    torch.manual_seed(variant.seed)
    model = WorldModel(sizes(variant), copy.deepcopy(metadata))
    actions = model.codec
    assert actions is not None
    model.denoiser = variant.denoiser(
        model.config.denoiser,
        channels=model.config.compression.channels,
        frames_per_latent=model.frames_per_latent,
        action_width=actions.width,
        latent_seconds=model.latent_seconds,
    )
    model.denoiser.make_actions_heard(torch.from_numpy(actions.rest))
    model.compression.load_state_dict(codec.compression.state_dict())
    return model


def train_codec(
    frames_per_latent: int, store: EpisodeStore, metadata: Metadata, folder: Path, steps: int
) -> WorldModel:
    """Returns a model with a trained compression network; it is trained if that has not been done in the folder."""
    torch.manual_seed(0)
    model = WorldModel(model_config(SIZE, frames_per_latent=frames_per_latent), metadata)
    training = CompressionTraining(max_steps=steps, batch_size=32)
    trainer = Trainer(CompressionStage(copy.deepcopy(model), store, training, 0), training, LEARNING_RATE, folder)
    if trainer.progress < 1:
        _run(trainer, f"compression, {frames_per_latent} ticks")
    model.load_state_dict(trainer.average(), strict=False)
    groups = random_groups(store, frames_per_latent, STATISTICS_GROUPS, 0)
    with torch.no_grad():
        model.compression.set_statistics(
            torch.cat([model.compression.bounded(to_float(part)) for part in groups.split(64)])
        )
    return model.eval()


def compressed(store: EpisodeStore, codec: WorldModel, folder: Path, *, held_out: bool) -> LatentBucket:
    """Returns the only bucket of a split, compressed."""
    with tqdm(desc="latents", unit="latent", dynamic_ncols=True) as bar:
        buckets = compress_store(store, codec, folder, held_out=held_out, progress=bar.update)
    return next(iter(buckets.values()))


def training_settings(variant: Variant, steps: int) -> DenoiserTraining:
    """Returns how a variant is trained: as the recipe says, but for so many steps."""
    return DenoiserTraining(
        max_steps=steps,
        batch_size=BATCH_CLIPS,
        clip_latents=CLIP_TICKS // variant.frames_per_latent,
        optimizer=OptimizerConfig(warmup_steps=min(50, steps // 4)),
        noising=NoisingConfig(clean_noise=variant.clean_noise),
        **{"causal_share": 0.8, "shortcut_share": 0.2, "shortcut_after": int(SHORTCUT_AFTER * steps)}
        | variant.training,
    )


def flops_per_step(variant: Variant, model: WorldModel, bucket: LatentBucket, captions: list[str]) -> float:
    """Returns the floating-point operations of a training step, as they are made, in the mean over the training.

    Operations, because time on a shared machine says more of its other work than of the model.
    """
    settings = training_settings(variant, _COUNTED_STEPS)
    same = replace(variant, seed=0)  # the same batches for all
    stage = _stage(same, copy.deepcopy(model), bucket, captions, settings)
    with FlopCounterMode(display=False) as counter:
        for step in range(_COUNTED_STEPS):
            loss, _ = stage.module(*stage.batch(step, 0, 1).inputs)
            loss.backward()
    return counter.get_total_flops() / _COUNTED_STEPS


def train(
    name: str, variant: Variant, model: WorldModel, bucket: LatentBucket, captions: list[str], folder: Path, steps: int
) -> WorldModel:
    """Returns a variant's model, trained; a training that was stopped goes on."""
    settings = training_settings(variant, steps)
    stage = _stage(variant, copy.deepcopy(model), bucket, captions, settings)
    trainer = Trainer(stage, settings, LEARNING_RATE, folder)
    if trainer.progress < 1:
        _run(trainer, name)
    unknown = model.load_state_dict(trainer.average(), strict=False).unexpected_keys
    assert not unknown, unknown
    return model.eval()


def _stage(
    variant: Variant, model: WorldModel, bucket: LatentBucket, captions: list[str], settings: DenoiserTraining
) -> DenoiserStage:
    stage = DenoiserStage(model, {"": bucket}, captions, settings, variant.seed)
    stage.module = variant.loss(model)
    return stage


def _run(trainer: Trainer, name: str) -> None:
    bar = tqdm(total=trainer.config.max_steps, initial=trainer.clock.step, desc=name, unit="step", dynamic_ncols=True)

    def show(trainer: Trainer, figures: dict[str, float]) -> None:
        bar.set_postfix_str(f"loss {figures['loss']:.4f}", refresh=False)
        bar.update(trainer.clock.step - bar.n)

    with bar:
        trainer.run(on_step=show)


def held_out_clips(store: EpisodeStore, bucket: LatentBucket, number: int) -> HeldOutClips:
    """Picks clips of held-out episodes, the same ticks whatever r is.

    Args:
        store: The data.
        bucket: Its compressed held-out split.
        number: N.

    Raises:
        ValueError: If no held-out episode is long enough.
    """
    r = bucket.actions.shape[1]
    ticks = CONTEXT_TICKS + HORIZON_TICKS
    places = [
        (episode, start)
        for episode in bucket.episodes
        for start in range(0, episode.num_frames - ticks, _ALIGNED)  # the frame before the first one
    ]
    if not places:
        raise ValueError(f"store: expected held-out episodes of more than {ticks} frames, found none; collect longer")
    chosen = [places[int((i + 0.5) * len(places) / number)] for i in range(number)]
    rows = np.stack([episode.start + start // r + 1 + np.arange(ticks // r) for episode, start in chosen])
    frames = next(iter(store.buckets.values())).frames
    truth = np.stack([frames[episode.frame_start + start + 1 :][:ticks] for episode, start in chosen])
    return HeldOutClips(
        context=CONTEXT_TICKS // r,
        latents=torch.from_numpy(bucket.latents[rows].astype(np.float32)),
        actions=torch.from_numpy(bucket.actions[rows].astype(np.float32)),
        frames=torch.from_numpy(truth).unflatten(1, (-1, r)),
        captions=[store.captions[i] for i in bucket.captions[rows[:, 0]]],
    )


def score(model: WorldModel, clips: HeldOutClips, steps: int, flops: float) -> tuple[Result, np.ndarray]:
    """Dreams all clips, and returns the result, and the dream itself, uint8 (N, F - K, H, W, 3)."""
    context, r = clips.context, model.frames_per_latent
    truth = clips.frames[:, context:].flatten(1, 2)
    short = context + SHORT_TICKS // r

    def dreamed(actions: Tensor, num_steps: int) -> Tensor:
        latents = dream(
            model, clips.latents, actions, context=context, prompts=clips.captions, num_steps=num_steps, seed=1
        )
        return _decode(model, latents)

    wrong = clips.actions[:, :short].clone()
    wrong[:, context:] = clips.actions.roll(1, 0)[:, context:short]
    whole = dreamed(clips.actions, USUAL_STEPS)
    far = _compare(whole, truth)
    by_steps = [
        far[:, :SHORT_TICKS] if n == USUAL_STEPS else _compare(dreamed(clips.actions[:, :short], n), truth)
        for n in SAMPLING_STEPS
    ]
    true_loss, shuffled_loss = action_sensitivity(model, clips)
    last = clips.frames[:, context - 1, -1:].expand(truth.shape)
    result = Result(
        dreamed=far,
        shuffled=_compare(dreamed(wrong, USUAL_STEPS), truth),
        by_steps=np.stack(by_steps),
        codec=_compare(_decode(model, clips.latents[:, context:]), truth),
        repeat=_compare(last, truth),
        heard=shuffled_loss / true_loss,
        steps=steps,
        flops_per_step=flops,
    )
    return result, whole.numpy()


def _decode(model: WorldModel, latents: Tensor) -> Tensor:
    """Returns uint8 (N, ticks, H, W, 3) of latents (N, T, h, w, C)."""
    return model.decode_groups(latents.flatten(0, 1)).unflatten(0, latents.shape[:2]).flatten(1, 2)


def _compare(frames: Tensor, truth: Tensor) -> np.ndarray:
    """Returns PSNR (N, ticks), as far as there are frames."""
    pairs = zip(frames, truth[:, : frames.shape[1]], strict=True)
    return torch.stack([psnr(to_float(a), to_float(b)) for a, b in pairs]).clamp_max(60.0).numpy()
