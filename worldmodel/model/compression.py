"""The compression network: a transformer autoencoder that compresses video in space and in time.

Each group of frames is encoded and decoded on its own, with no look at its neighbours: latent frames can be shifted,
reversed, spliced and looped. A still picture is a group of equal frames.

Source: OpenAI, 2024, "Video generation models as world simulators" ("video compression network"); bounded latents with
noise after Hafner et al., 2025, "Training Agents Inside of Scalable World Models", section 3.2.

Shapes: B groups, r frames in a group, H W pixels, h w latent grid, S = h w, C latent channels, D width.
"""

from dataclasses import dataclass, field

import torch
from einops import rearrange
from torch import Tensor, nn

from worldmodel.model.patches import check_divisible, patchify, unpatchify
from worldmodel.model.places import PlaceEmbedding
from worldmodel.model.rotary import space_angles
from worldmodel.model.transformer import Geometry, Norm, Transformer, TransformerConfig


@dataclass(kw_only=True, slots=True)
class CompressionConfig:
    """Size of the compression network.

    Attributes:
        patch: Side of the square of pixels that becomes one site of the latent grid: 8, 16 or 32.
        frames_per_latent: r, frames that become one latent frame: 1, 2 or 4.
        channels: C, numbers at each site of the latent grid.
        encoder: The stack of the encoder.
        decoder: The stack of the decoder.
    """

    patch: int = 8
    frames_per_latent: int = 2
    channels: int = 16
    encoder: TransformerConfig = field(default_factory=lambda: TransformerConfig(width=192, depth=3))
    decoder: TransformerConfig = field(default_factory=lambda: TransformerConfig(width=192, depth=3))

    def __post_init__(self) -> None:
        """Checks the sizes.

        Raises:
            ValueError: If one is out of range; the message names it.
        """
        if self.patch not in (4, 8, 16, 32):
            raise ValueError(f"patch: expected 4, 8, 16 or 32 pixels, got {self.patch}")
        if self.frames_per_latent not in (1, 2, 4):
            raise ValueError(f"frames_per_latent: expected 1, 2 or 4, got {self.frames_per_latent}")
        if self.channels < 1:
            raise ValueError(f"channels: expected at least 1, got {self.channels}")


class CompressionNetwork(nn.Module):
    """Encoder and decoder, and the statistics that bring latents to mean 0 and deviation 1 for the denoiser."""

    latent_mean: Tensor
    latent_deviation: Tensor

    def __init__(self, config: CompressionConfig) -> None:
        """Makes the network with random weights."""
        super().__init__()
        self.config = config
        pixels = config.frames_per_latent * config.patch**2 * 3
        wide, narrow = config.encoder.width, config.decoder.width
        self.from_pixels = nn.Linear(pixels, wide)
        self.encoder_places = PlaceEmbedding(wide)
        self.encoder = Transformer(config.encoder, conditioned=False)
        self.encoder_norm = Norm(wide)
        self.to_latent = nn.Linear(wide, config.channels)
        self.from_latent = nn.Linear(config.channels, narrow)
        self.decoder_places = PlaceEmbedding(narrow)
        self.decoder = Transformer(config.decoder, conditioned=False)
        self.decoder_norm = Norm(narrow)
        self.to_pixels = nn.Linear(narrow, pixels)
        self.register_buffer("latent_mean", torch.zeros(config.channels))
        self.register_buffer("latent_deviation", torch.ones(config.channels))

    def bounded(self, groups: Tensor) -> Tensor:
        """Encodes to latents as they come from the network, each number within [-1, 1].

        Args:
            groups: float (B, r, H, W, 3) in [-1, 1].

        Returns:
            (B, h, w, C).

        Raises:
            ValueError: If sizes do not fit.
        """
        _, frames, height, width, _ = groups.shape
        if frames != self.config.frames_per_latent:
            raise ValueError(f"groups: expected {self.config.frames_per_latent} frames in each, got {frames}")
        h, w = self.grid(height, width)
        tokens = self.from_pixels(patchify(rearrange(groups, "b r h w c -> b h w (r c)"), self.config.patch))
        tokens = tokens + self.encoder_places(h, w, 0)
        x, _ = self.encoder(tokens[:, None], self._geometry(h, w, self.config.encoder))
        return self.to_latent(self.encoder_norm(x[:, 0])).tanh().unflatten(1, (h, w))

    def encode(self, groups: Tensor) -> Tensor:
        """Encodes groups of frames; see `bounded`. Returns latents of mean 0 and deviation 1 over the training data."""
        return (self.bounded(groups) - self.latent_mean) / self.latent_deviation

    def decode_bounded(self, latents: Tensor) -> Tensor:
        """Decodes what `bounded` gave: (B, h, w, C) to float (B, r, H, W, 3), about [-1, 1]."""
        _, h, w, _ = latents.shape
        tokens = self.from_latent(latents.flatten(1, 2)) + self.decoder_places(h, w, 0)
        x, _ = self.decoder(tokens[:, None], self._geometry(h, w, self.config.decoder))
        pixels = self.to_pixels(self.decoder_norm(x[:, 0]))
        patch = self.config.patch
        frames = unpatchify(pixels, h * patch, w * patch, patch)
        return rearrange(frames, "b h w (r c) -> b r h w c", c=3)

    def decode(self, latents: Tensor) -> Tensor:
        """Decodes latents of `encode`: (B, h, w, C) to float (B, r, H, W, 3) in [-1, 1]."""
        bounded = (latents * self.latent_deviation + self.latent_mean).clamp(-1, 1)
        return self.decode_bounded(bounded).clamp(-1, 1)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Returns the size (h, w) of the latent grid for frames of a size.

        Raises:
            ValueError: If it is not divisible by the patch.
        """
        check_divisible(height, width, self.config.patch)
        return height // self.config.patch, width // self.config.patch

    def set_statistics(self, bounded: Tensor) -> None:
        """Takes mean and deviation of each channel from a sample of `bounded` latents, (..., C)."""
        flat = bounded.flatten(0, -2).float()
        self.latent_mean.copy_(flat.mean(0))
        self.latent_deviation.copy_(flat.std(0).clamp_min(1e-3))

    def _geometry(self, h: int, w: int, config: TransformerConfig) -> Geometry:
        return Geometry(space_angles(h, w, 0, config.head_width).to(self.latent_mean.device))


def compression_loss(decoded: Tensor, groups: Tensor) -> Tensor:
    """Returns the loss of a reconstruction; it keeps detail without any other network.

    Squared error decides the picture, absolute error keeps it from blurring, and the absolute error of differences
    between neighbouring pixels and frames keeps edges and motion.

    Args:
        decoded: float (B, r, H, W, 3).
        groups: What it should be.
    """
    error = (decoded - groups).float()
    loss = error.square().mean() + 0.05 * error.abs().mean()
    for axis in (1, 2, 3):
        if error.shape[axis] > 1:
            loss = loss + 0.05 * error.diff(dim=axis).abs().mean()
    return loss


def psnr(pictures: Tensor, truth: Tensor) -> Tensor:
    """Returns the peak signal-to-noise ratio in dB of each picture, (..., H, W, 3) in [-1, 1]: shape (...)."""
    error = (pictures.float() - truth.float()).square().mean((-3, -2, -1))
    return 10 * torch.log10(4.0 / error.clamp_min(1e-10))


def to_float(pixels: Tensor) -> Tensor:
    """Turns uint8 pixels into floats in [-1, 1]."""
    return pixels.float() / 127.5 - 1.0


def to_uint8(pixels: Tensor) -> Tensor:
    """Turns floats in [-1, 1] into uint8 pixels; values outside are clipped."""
    return ((pixels.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
