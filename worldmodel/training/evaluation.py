"""How well a model predicts: dreams with recorded actions, on held-out episodes, against what happened.

Beside every figure stand two references: repeating the last frame that was seen, and what the compression network
alone makes of the truth, which no prediction can surpass.

Shapes: B clips, K context latent frames, T dreamed latent frames, r ticks in a latent frame, h w latent grid,
C latent channels, A action width, H W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldmodel.data.store import EpisodeStore
from worldmodel.model import streaming
from worldmodel.model.compression import psnr, to_float
from worldmodel.model.patches import group_indices
from worldmodel.model.world_model import WorldModel
from worldmodel.training.latents import LatentBucket

MOVING_BELOW_DB = 24.0
"""A clip counts as moving if repeating its last context frame is worse than this at its end."""


@dataclass(slots=True)
class HeldOutClips:
    """Clips of K + T latent frames, spread evenly over held-out episodes.

    Attributes:
        context: K.
        latents: float32 (B, K + T, h, w, C).
        actions: float32 (B, K + T, r, A), zeros for none.
        frames: uint8 (B, K + T, r, H, W, 3), the truth.
        captions: B prompts.
    """

    context: int
    latents: Tensor
    actions: Tensor
    frames: Tensor
    captions: list[str]


def held_out_clips(
    store: EpisodeStore, name: str, bucket: LatentBucket, *, number: int, context: int, horizon: int, seed: int = 0
) -> HeldOutClips:
    """Picks clips.

    Args:
        store: The data.
        name: Name of the bucket, its frame size.
        bucket: Its compressed held-out split.
        number: B.
        context: K.
        horizon: T.
        seed: Decides which.

    Raises:
        ValueError: If no held-out episode is long enough.
    """
    counts = bucket.clip_counts(context + horizon)
    if not counts.any():
        longest = max(episode.length for episode in bucket.episodes)
        raise ValueError(f"horizon: expected context + horizon <= {longest} latent frames, got {context + horizon}")
    ends = counts.cumsum()
    places = (np.arange(number) + np.random.default_rng(seed).random(number)) * ends[-1] / number
    places = places.astype(np.int64)
    owners = np.searchsorted(ends, places, side="right")
    offsets = places - (ends[owners] - counts[owners])
    rows, truth = [], []
    r = bucket.actions.shape[1]
    frames = store.buckets[name].frames
    for owner, offset in zip(owners, offsets, strict=True):
        episode = bucket.episodes[owner]
        groups = np.arange(offset, offset + context + horizon)
        rows.append(episode.start + groups)
        truth.append(frames[episode.frame_start + group_indices(episode.num_frames, r).numpy()[groups]])
    index = np.stack(rows)
    actions = bucket.actions[index].astype(np.float32) * ~bucket.action_null[index][..., None, None]
    return HeldOutClips(
        context=context,
        latents=torch.from_numpy(bucket.latents[index].astype(np.float32)),
        actions=torch.from_numpy(actions),
        frames=torch.from_numpy(np.stack(truth)),
        captions=[store.captions[i] for i in bucket.captions[index[:, 0]]],
    )


@torch.no_grad()
def dream(
    model: WorldModel,
    latents: Tensor,
    actions: Tensor,
    *,
    context: int,
    prompts: Sequence[str] | None = None,
    num_steps: int = 4,
    seed: int = 0,
) -> Tensor:
    """Goes on from context frames, as an agent would that steps the model with known actions.

    Args:
        model: The model.
        latents: (B, >= K, h, w, C); the first K are seen.
        actions: (B, K + T, r, A).
        context: K, at least 1.
        prompts: B prompts; none if `None`.
        num_steps: Sampling steps.
        seed: Clip i has the generator of seed + i.

    Returns:
        float32 (B, T, h, w, C), the dreamed frames.
    """
    batch, _, h, w, _ = latents.shape
    patch = model.config.compression.patch
    generators = [torch.Generator().manual_seed(seed + i) for i in range(batch)]
    state = streaming.begin(model, list(prompts or [""] * batch), h * patch, w * patch)
    latents, actions = latents.to(model.device), actions.to(model.device)
    for t in range(context):
        state = streaming.observe(model, state, latents[:, t], actions[:, t], generators).state
    dreamed = []
    for t in range(context, actions.shape[1]):
        step = streaming.imagine(model, state, actions[:, t], generators, num_steps=num_steps)
        state = step.state
        dreamed.append(step.latents.float())
    return torch.stack(dreamed, dim=1)


@dataclass(slots=True)
class Prediction:
    """PSNR in dB, each (B, T): of clip and step.

    Attributes:
        model: Of the dream.
        shuffled: Of the dream with the actions of another clip.
        repeat: Of repeating the last context frame.
        ceiling: Of the compression network's reconstruction of the truth.
        moving: bool (B,), clips in which much changes.
        dreamed: uint8 (B, T, r, H, W, 3), the dream.
    """

    model: Tensor
    shuffled: Tensor
    repeat: Tensor
    ceiling: Tensor
    moving: Tensor
    dreamed: Tensor

    def figures(self, steps: Sequence[int]) -> dict[str, float]:
        """Returns means over moving clips at some steps, counted from 1, by name; over all clips if none moves."""
        chosen = self.moving if self.moving.any() else torch.ones_like(self.moving)
        figures = {"moving_clips": float(self.moving.sum())}
        for step in steps:
            for name in ("model", "shuffled", "repeat", "ceiling"):
                figures[f"psnr_{name}_{step}"] = float(getattr(self, name)[chosen, step - 1].mean())
        return figures


def evaluate_prediction(model: WorldModel, clips: HeldOutClips, *, num_steps: int = 4, seed: int = 0) -> Prediction:
    """Dreams on from the context of held-out clips and compares with what happened, tick by tick.

    Args:
        model: The model.
        clips: See `held_out_clips`.
        num_steps: Sampling steps.
        seed: Of the noise.
    """
    context = clips.context
    truth = clips.frames[:, context:]
    prompts = clips.captions
    dreamed = _decode(model, dream(model, clips.latents, clips.actions, context=context, prompts=prompts,
                                   num_steps=num_steps, seed=seed))  # fmt: skip
    wrong = clips.actions.clone()
    wrong[:, context:] = clips.actions.roll(1, 0)[:, context:]
    shuffled = _decode(model, dream(model, clips.latents, wrong, context=context, prompts=prompts,
                                    num_steps=num_steps, seed=seed))  # fmt: skip
    last = clips.frames[:, context - 1 : context, -1:].expand(truth.shape)
    repeat = _compare(last, truth)
    return Prediction(
        model=_compare(dreamed, truth),
        shuffled=_compare(shuffled, truth),
        repeat=repeat,
        ceiling=_compare(_decode(model, clips.latents[:, context:]), truth),
        moving=repeat[:, -1] < MOVING_BELOW_DB,
        dreamed=dreamed,
    )


@torch.no_grad()
def action_sensitivity(model: WorldModel, clips: HeldOutClips, *, seed: int = 0) -> tuple[float, float]:
    """Returns the loss of the first frame after the context with true and with shuffled actions: are they listened to?

    The loss is the mean squared error of the predicted clean latents, over noise levels 1, .75, .5 and .25, with all
    frames of the context known.
    """
    generator = torch.Generator().manual_seed(seed)
    latents, true = (part[:, : clips.context + 1] for part in (clips.latents, clips.actions))
    level = model.config.denoiser.context_noise
    noise = torch.randn(latents.shape, generator=generator)
    wrong = true.clone()
    wrong[:, -1] = true[:, -1].roll(1, 0)
    losses = [0.0, 0.0]
    for sigma_last in (1.0, 0.75, 0.5, 0.25):
        sigma = torch.full(latents.shape[:-1], level)
        sigma[:, -1] = sigma_last
        z = (1 - sigma[..., None]) * latents + sigma[..., None] * noise
        for i, actions in enumerate((true, wrong)):
            inputs = model.inputs(z.to(model.device), sigma.to(model.device), actions=actions.to(model.device))
            predicted = model.denoiser(inputs).latents[:, -1].float().cpu()
            losses[i] += float((predicted - latents[:, -1]).square().mean()) / 4
    return losses[0], losses[1]


def _decode(model: WorldModel, latents: Tensor) -> Tensor:
    """Returns uint8 (B, T, r, H, W, 3) of latents (B, T, h, w, C)."""
    return model.decode_groups(latents.flatten(0, 1)).cpu().unflatten(0, latents.shape[:2])


def _compare(frames: Tensor, truth: Tensor) -> Tensor:
    """Returns PSNR (B, T), the mean over ticks, of uint8 (B, T, r, H, W, 3)."""
    return torch.stack([psnr(to_float(a), to_float(b)).mean(-1) for a, b in zip(frames, truth, strict=True)])
