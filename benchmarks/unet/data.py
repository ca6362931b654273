"""What the U-Net is trained on: moments of the episodes that the world model is trained on, and of no others.

Shapes: B batch, P past ticks, r ticks in a step, H W pixels, A width of an action vector.
"""

import torch
from torch import Tensor, nn

from unet.model import Preconditioning, UNetDenoiser, stack
from worldmodel.data.store import Bucket, EpisodeStore
from worldmodel.training.stages import Batch, Stage, share, step_generator

SHORT_SHARE = 0.1
"""Share of moments whose past is cut short, as at the beginning of a dream from a picture."""
SIGMA_MEAN, SIGMA_DEVIATION = -0.4, 1.2
"""Of the logarithm of the noise level; DIAMOND's."""
SIGMA_RANGE = (0.002, 20.0)
"""Noise levels are clipped to it."""


class UNetLoss(nn.Module):
    """The denoiser with its loss."""

    def __init__(self, model: UNetDenoiser) -> None:
        """Takes the denoiser."""
        super().__init__()
        self.model = model

    def forward(
        self, frames: Tensor, actions: Tensor, sigma: Tensor, noise: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss: the squared error of what the network itself predicts, which weighs all levels alike.

        Args:
            frames: uint8 (B, P + r, H, W, 3), past and next.
            actions: float32 (B, P - 1 + r, A), what led to each but the first.
            sigma: float32 (B,), noise levels.
            noise: float32 (B, 3 r, H, W), standard normal.
        """
        past, clean = stack(frames).split([3 * self.model.config.past_ticks, noise.shape[1]], dim=1)
        noisy = clean + sigma[:, None, None, None] * noise
        factors = Preconditioning.at(sigma)
        target = (clean - factors.skip * noisy) / factors.out
        return (self.model.predict(noisy, factors, past, actions) - target).square().mean(), {}


class UNetStage(Stage):
    """Trains the U-Net, with the loop that trains the world model."""

    name = "unet"

    def __init__(self, model: UNetDenoiser, store: EpisodeStore, batch_size: int, seed: int) -> None:
        """Takes the denoiser, and the training split of a store.

        Raises:
            ValueError: If there is nothing to train on.
        """
        self.module = UNetLoss(model)
        self._config, self._batch_size, self._seed = model.config, batch_size, seed
        self._bucket = largest(store)
        r = model.config.frames_per_step
        records = [record for record in self._bucket.episodes if not record.held_out]
        self._starts = torch.tensor([record.start for record in records])
        self._ends = torch.tensor([(record.num_frames - 1) // r for record in records]).cumsum(0)  # of their steps
        if not len(records) or not self._ends[-1]:
            raise ValueError(f"store: expected episodes for training of {r + 1} frames or more, found none; add data")

    def batch(self, step: int, rank: int, world_size: int) -> Batch:  # noqa: D102 - inherited
        config, size = self._config, self._batch_size
        generator = step_generator(self._seed, self.name, step)
        draws = torch.randint(int(self._ends[-1]), (size,), generator=generator)
        owners = torch.searchsorted(self._ends, draws, right=True)
        before = torch.where(owners > 0, self._ends[owners - 1], 0)
        # Steps of an episode begin at its first frame, as those of the world model: both see the same moments.
        last = (draws - before) * config.frames_per_step
        # One frame, or one and some whole steps: what a dream may begin with.
        fewer = torch.randint(-(-(config.past_ticks - 1) // config.frames_per_step), (size,), generator=generator)
        short = torch.rand(size, generator=generator) < SHORT_SHARE
        known = torch.where(short, 1 + fewer * config.frames_per_step, config.past_ticks)
        first = (last + 1 - known).clamp(min=0)[:, None]
        ticks = last[:, None] + torch.arange(1 - config.past_ticks, 1 + config.frames_per_step)
        rows = (self._starts[owners][:, None] + ticks.maximum(first)).numpy()
        actions = torch.from_numpy(self._bucket.actions[rows[:, 1:]]).float() * (ticks[:, 1:] > first)[..., None]
        normal = torch.randn(size, generator=generator)
        sigma = (SIGMA_MEAN + SIGMA_DEVIATION * normal).exp().clamp(*SIGMA_RANGE)
        shape = (size, 3 * config.frames_per_step, self._bucket.height, self._bucket.width)
        inputs = (
            torch.from_numpy(self._bucket.frames[rows]),
            actions,
            sigma,
            torch.randn(shape, generator=generator),
        )
        return Batch(share(inputs, rank, world_size), size)


def largest(store: EpisodeStore) -> Bucket:
    """Returns the episodes of the most common frame size."""
    return max(store.buckets.values(), key=lambda bucket: len(bucket.frames))
