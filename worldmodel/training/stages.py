"""The two stages of training: the compression network, then the denoiser on its latents.

A stage gives batches as a pure function of seed and step, so that a resumed run, and any number of machines, see
exactly the same. It draws the whole batch and keeps the part of one machine.

Shapes: B batch, T latent frames, r ticks in a latent frame, H W pixels, h w latent grid, C latent channels.
"""

import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from worldmodel.data.store import Bucket, EpisodeStore
from worldmodel.model.compression import compression_loss, psnr, to_float
from worldmodel.model.denoiser import STEP_SIZES, num_tokens
from worldmodel.model.text import Prompts
from worldmodel.model.world_model import WorldModel
from worldmodel.training.latents import LatentBucket, draw_clips
from worldmodel.training.losses import Clips, DenoiserLoss, loss_weights
from worldmodel.training.noising import draw_plan
from worldmodel.training.settings import CompressionTraining, DenoiserTraining


@dataclass(slots=True)
class Batch:
    """What one step trains on.

    Attributes:
        inputs: Arguments of the stage's module.
        tokens: Number of tokens that pass through the network, over all machines.
    """

    inputs: tuple[Any, ...]
    tokens: int


class Stage(ABC):
    """A part of the training: what is trained, on what.

    Attributes:
        name: Of the stage.
        module: Gives the loss and its parts, a dictionary of scalars, for the inputs of a batch.
    """

    name: str
    module: nn.Module

    @abstractmethod
    def batch(self, step: int, rank: int, world_size: int) -> Batch:
        """Returns the part of a step's batch that falls to one of `world_size` machines."""


def step_generator(seed: int, stage: str, step: int) -> torch.Generator:
    """Returns the generator of a step: the same for the same arguments, unrelated for others."""
    return torch.Generator().manual_seed(zlib.crc32(f"{seed}|{stage}|{step}".encode()) + (seed << 32) % 2**62)


def share(value: Any, rank: int, world_size: int) -> Any:
    """Returns the part of a batch that falls to one machine: rows rank, rank + world_size, ... of every tensor.

    Tuples and dataclasses are gone through; what has no rows stays as it is.
    """
    if isinstance(value, Tensor) and value.ndim:
        if len(value) % world_size:
            raise ValueError(f"batch_size: expected a multiple of the {world_size} machines, got {len(value)}")
        return value[rank::world_size]
    if isinstance(value, tuple):
        return tuple(share(part, rank, world_size) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{f.name: share(getattr(value, f.name), rank, world_size) for f in fields(value)})
    return value


def to_device(value: Any, device: torch.device) -> Any:
    """Returns a batch with all its tensors on a device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, tuple):
        return tuple(to_device(part, device) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{f.name: to_device(getattr(value, f.name), device) for f in fields(value)})
    return value


class CompressionLoss(nn.Module):
    """The compression network with its loss."""

    def __init__(self, model: WorldModel) -> None:
        """Takes the network of a model."""
        super().__init__()
        self.compression = model.compression

    def forward(self, groups: Tensor, noise: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss.

        Args:
            groups: uint8 (B, r, H, W, 3).
            noise: (B, h, w, C), added to the latents so that the decoder forgives the denoiser small errors.
        """
        pixels = to_float(groups)
        decoded = self.compression.decode_bounded(self.compression.bounded(pixels) + noise)
        return compression_loss(decoded, pixels), {"psnr": psnr(decoded.detach(), pixels).mean()}


class CompressionStage(Stage):
    """Trains the compression network on groups of frames."""

    name = "compression"

    def __init__(self, model: WorldModel, store: EpisodeStore, data: CompressionTraining, seed: int) -> None:
        """Takes a model, and the training split of a store."""
        self.module = CompressionLoss(model)
        for half in (model.compression.encoder, model.compression.decoder):
            half.checkpointing = data.gradient_checkpointing
        self._model, self._data, self._seed = model, data, seed
        self._buckets = [frames for frames in map(_Frames, store.buckets.values()) if frames.total]

    def batch(self, step: int, rank: int, world_size: int) -> Batch:  # noqa: D102 - inherited
        generator = step_generator(self._seed, self.name, step)
        bucket = self._buckets[_weighted([bucket.total for bucket in self._buckets], generator)]
        r, size = self._model.frames_per_latent, self._data.batch_size
        frames, length = bucket.draw(size, generator)  # a frame, and how many follow it in its episode
        stills = torch.rand(size, generator=generator) < self._data.still_share
        ticks = torch.where(stills[:, None], 0, torch.arange(r)[None]).minimum(length[:, None])
        rows = share(frames[:, None] + ticks, rank, world_size)
        groups = torch.from_numpy(bucket.frames[rows.numpy()])
        grid = self._model.compression.grid(bucket.height, bucket.width)
        noise = torch.randn(size, *grid, self._model.config.compression.channels, generator=generator)
        inputs = (groups, self._data.latent_noise * share(noise, rank, world_size))
        return Batch(inputs, size * grid[0] * grid[1])


class _Frames:
    """The training frames of a bucket, to draw from."""

    def __init__(self, bucket: Bucket) -> None:
        self.frames, self.height, self.width = bucket.frames, bucket.height, bucket.width
        episodes = [record for record in bucket.episodes if not record.held_out]
        self._starts = torch.tensor([record.start for record in episodes])
        self._ends = torch.tensor([record.num_frames for record in episodes]).cumsum(0)
        self.total = int(self._ends[-1]) if episodes else 0

    def draw(self, number: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        draws = torch.randint(self.total, (number,), generator=generator)
        owner = torch.searchsorted(self._ends, draws, right=True)
        left = self._ends[owner] - 1 - draws
        before = torch.where(owner > 0, self._ends[owner - 1], 0)
        return self._starts[owner] + draws - before, left


class DenoiserStage(Stage):
    """Trains denoiser, text encoder and heads on clips of latents."""

    name = "denoiser"

    def __init__(
        self,
        model: WorldModel,
        buckets: dict[str, LatentBucket],
        captions: list[str],
        data: DenoiserTraining,
        seed: int,
    ) -> None:
        """Takes a model, and the compressed training split.

        Raises:
            ValueError: If there is no data.
        """
        if not buckets:
            raise ValueError("buckets: expected compressed training data, got none")
        self.module = DenoiserLoss(model)
        model.denoiser.transformer.checkpointing = data.gradient_checkpointing
        self._model, self._data, self._seed = model, data, seed
        self._buckets = list(buckets.values())
        self._captions = captions
        self._prompts: dict[int, Prompts] = {}

    def batch(self, step: int, rank: int, world_size: int) -> Batch:  # noqa: D102 - inherited
        data = self._data
        generator = step_generator(self._seed, self.name, step)
        kind, causal, periodic, shortcut = torch.rand(4, generator=generator).tolist()
        wanted = data.clip_latents
        if kind < data.single_share:
            wanted = 1
        elif kind < data.single_share + data.short_share:
            wanted = max(1, wanted // 2)
        bucket, num_frames = self._bucket(wanted, generator)
        size = data.batch_size * max(1, data.clip_latents // num_frames)
        clips = draw_clips(bucket, size, num_frames, generator, still_share=data.still_share)
        is_causal = causal < data.causal_share
        is_periodic = not is_causal and num_frames > 2 and periodic < data.periodic_share / (1 - data.causal_share)
        latents, null = clips.latents, clips.action_null
        if is_periodic:
            latents, null = _there_and_back(latents, generator), torch.ones_like(null)
        step_size = 0
        if shortcut < data.shortcut_share and step >= data.shortcut_after:
            step_size = 1 + int(torch.randint(len(STEP_SIZES) - 1, (), generator=generator))
        config = self._model.config
        plan = draw_plan(
            size,
            num_frames,
            (latents.shape[2], latents.shape[3]),
            causal=is_causal,
            step_size=step_size,
            context_noise=config.denoiser.context_noise,
            config=data.noising,
            generator=generator,
        )
        drawn = Clips(
            latents=latents,
            actions=clips.actions,
            action_null=null,
            rewards=clips.rewards,
            terminated=clips.terminated,
            prompts=self._tokenized(clips.captions),
            noise=torch.randn(latents.shape, generator=generator),
            action_noise=torch.randn(clips.actions.shape, generator=generator),
            causal=is_causal,
            periodic=is_periodic,
        )
        patches = num_tokens(latents.shape[2], latents.shape[3], config.denoiser.patch)
        tokens = size * num_frames * (patches + self._model.denoiser.num_extra)
        return Batch(share((drawn, plan, loss_weights(drawn, plan)), rank, world_size), tokens)

    def _bucket(self, wanted: int, generator: torch.Generator) -> tuple[LatentBucket, int]:
        """Returns a frame size by its share of the data, and the clip length: shorter if it has none so long."""
        draw = _weighted([len(bucket.latents) for bucket in self._buckets], generator)
        bucket = self._buckets[draw]
        return bucket, min(wanted, max(episode.length for episode in bucket.episodes))

    def _tokenized(self, captions: list[int]) -> Prompts:
        for number in set(captions) - set(self._prompts):
            self._prompts[number] = self._model.text.tokenize([self._captions[number]], truncate=True).to(
                torch.device("cpu")
            )
        rows = [self._prompts[number] for number in captions]
        length = max(row.codes.shape[1] for row in rows)
        codes = torch.zeros(len(rows), length, rows[0].codes.shape[2], dtype=torch.int64)
        mask = torch.zeros(len(rows), length, dtype=torch.bool)
        for i, row in enumerate(rows):
            codes[i, : row.codes.shape[1]], mask[i, : row.mask.shape[1]] = row.codes[0], row.mask[0]
        return Prompts(codes, mask)


def _there_and_back(latents: Tensor, generator: torch.Generator) -> Tensor:
    """Makes loops of clips (B, T, ...): forward, then back, turned by a random number of frames."""
    num_frames = latents.shape[1]
    half = num_frames // 2
    order = torch.cat([torch.arange(half + 1), torch.arange(half - 1, 0, -1)])[:num_frames]
    order = torch.cat([order, order.new_ones(num_frames - len(order))])  # an odd one stays a little longer
    return latents[:, order.roll(int(torch.randint(num_frames, (), generator=generator)))]


def _weighted(weights: list[int], generator: torch.Generator) -> int:
    return int(torch.multinomial(torch.from_numpy(np.array(weights, np.float64)), 1, generator=generator))
