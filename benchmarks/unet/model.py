"""A U-Net that denoises the next frames, given those before and the actions.

Sources: Alonso et al., 2024, "Diffusion for World Modeling: Visual Details Matter in Atari" (DIAMOND; what is stacked,
how it is conditioned, three Euler steps); Karras et al., 2022, "Elucidating the Design Space of Diffusion-Based
Generative Models" (EDM; preconditioning, noise levels, schedule); Ho et al., 2020, "Denoising Diffusion Probabilistic
Models" (the U-Net).

Shapes: B batch, P past ticks, r ticks in a step, H W pixels, C channels, A width of an action vector, D condition.
"""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIGMA_DATA = 0.5
"""Deviation of pixels in [-1, 1], as EDM takes it."""
SIGMA_MIN, SIGMA_MAX, RHO = 0.002, 5.0, 7.0
"""Noise levels of sampling, first and last, and how they are spaced; DIAMOND's."""
_GROUP = 32
"""Channels in a group of a group norm."""
_HEAD = 32
"""Channels of a head of attention."""


@dataclass(kw_only=True, slots=True)
class UNetConfig:
    """Sizes of the network.

    Attributes:
        action_width: A.
        frames_per_step: r, ticks that are predicted at once.
        past_ticks: P, ticks that are seen.
        channels: C on each level; every level has half the height and width of the one before.
        blocks: Residual blocks on each level, on the way down and again on the way up.
        condition_width: D.
    """

    action_width: int
    frames_per_step: int = 2
    past_ticks: int = 4
    channels: list[int] = field(default_factory=lambda: [24, 48, 64, 96])
    blocks: int = 2
    condition_width: int = 128

    @property
    def multiple(self) -> int:
        """What height and width must be multiples of."""
        return 2 ** (len(self.channels) - 1)


@dataclass(slots=True)
class Preconditioning:
    """How the network is wrapped at noise level sigma: table 1 of EDM.

    The denoised frames are `skip * noisy + out * network(into * noisy, noise)`. So what goes into the network and what
    it has to predict have deviation 1 at every level, and its errors are amplified as little as possible.

    Attributes:
        skip: c_skip, (B, 1, 1, 1).
        out: c_out, likewise.
        into: c_in, likewise.
        noise: c_noise, (B,).
    """

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor

    @classmethod
    def at(cls, sigma: Tensor) -> "Preconditioning":
        """Returns the factors at noise levels (B,)."""
        wide = sigma[:, None, None, None]
        total = wide**2 + SIGMA_DATA**2
        return cls(
            skip=SIGMA_DATA**2 / total,
            out=wide * SIGMA_DATA * total.rsqrt(),
            into=total.rsqrt(),
            noise=sigma.log() / 4,
        )


class UNetDenoiser(nn.Module):
    """The denoiser.

    Attributes:
        config: Sizes.
    """

    frequencies: Tensor

    def __init__(self, config: UNetConfig) -> None:
        """Makes a network with random weights that predicts nothing but the noisy frames, weighed."""
        super().__init__()
        self.config = config
        channels, width = config.channels, config.condition_width
        ticks = config.past_ticks + config.frames_per_step
        self.level = nn.Linear(width, width)
        self.action = nn.Linear((ticks - 1) * config.action_width, width)
        self.condition = nn.Linear(width, width)
        frequencies = 2 * math.pi * torch.logspace(-1, 1, width // 2)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.first = nn.Conv2d(3 * ticks, channels[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.shrink, self.grow = nn.ModuleList(), nn.ModuleList()
        for above, here in zip([channels[0], *channels], channels, strict=False):
            blocks = [ResidualBlock(above if i == 0 else here, here, width) for i in range(config.blocks)]
            self.down.append(nn.ModuleList(blocks))
            self.up.append(nn.ModuleList([ResidualBlock(2 * here, here, width) for _ in range(config.blocks)]))
        for above, below in zip(channels, channels[1:], strict=False):
            self.shrink.append(nn.Conv2d(above, above, 3, stride=2, padding=1))
            self.grow.append(nn.Conv2d(below, above, 3, padding=1))
        deepest = channels[-1]
        self.middle = nn.ModuleList([ResidualBlock(deepest, deepest, width) for _ in range(2)])
        self.attention = Attention(deepest)
        self.norm = nn.GroupNorm(_groups(channels[0]), channels[0])
        self.last = nn.Conv2d(channels[0], 3 * config.frames_per_step, 3, padding=1)
        _silence(self.last)

    def forward(self, noisy: Tensor, sigma: Tensor, past: Tensor, actions: Tensor) -> Tensor:
        """Returns the clean next frames, as far as they can be guessed.

        Args:
            noisy: float32 (B, 3 r, H, W), next frames in [-1, 1] plus noise.
            sigma: float32 (B,), deviation of the noise.
            past: float32 (B, 3 P, H, W) in [-1, 1], oldest first.
            actions: float32 (B, P - 1 + r, A), what led to each of the frames but the oldest; zeros for none.

        Returns:
            float32 (B, 3 r, H, W).

        Raises:
            ValueError: If height or width does not suit the levels.
        """
        factors = Preconditioning.at(sigma)
        return factors.skip * noisy + factors.out * self.predict(noisy, factors, past, actions)

    def predict(self, noisy: Tensor, factors: Preconditioning, past: Tensor, actions: Tensor) -> Tensor:
        """Returns what the network itself gives, float32 (B, 3 r, H, W); see `forward`."""
        height, width = noisy.shape[-2:]
        if height % self.config.multiple or width % self.config.multiple:
            raise ValueError(
                f"noisy: expected height and width in multiples of {self.config.multiple}, got {height} x {width}; "
                "make the data of another size, or give the network fewer levels"
            )
        waves = factors.noise[:, None] * self.frequencies
        condition = self.level(torch.cat([waves.cos(), waves.sin()], dim=1)) + self.action(actions.flatten(1))
        condition = F.silu(self.condition(F.silu(condition)))
        x = self.first(torch.cat([past / SIGMA_DATA, factors.into * noisy], dim=1))
        seen = []
        for i, blocks in enumerate(self.down):
            if i > 0:
                x = self.shrink[i - 1](x)
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, condition)
                seen.append(x)
        x = self.middle[1](self.attention(self.middle[0](x, condition)), condition)
        for i in reversed(range(len(self.up))):
            for block in self.up[i]:  # type: ignore[attr-defined]
                x = block(torch.cat([x, seen.pop()], dim=1), condition)
            if i > 0:
                x = self.grow[i - 1](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.last(F.silu(self.norm(x))).float()


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, each after an adaptive group norm; does nothing at first."""

    def __init__(self, channels: int, out_channels: int, condition_width: int) -> None:
        """Makes a block from so many channels to so many."""
        super().__init__()
        same = channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)
        self.norm1 = AdaptiveGroupNorm(channels, condition_width)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.norm2 = AdaptiveGroupNorm(out_channels, condition_width)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        _silence(self.conv2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Returns (B, out_channels, H, W) for (B, channels, H, W) and (B, D)."""
        y = self.conv1(F.silu(self.norm1(x, condition)))
        y = self.conv2(F.silu(self.norm2(y, condition)))
        return self.shortcut(x) + y


class AdaptiveGroupNorm(nn.Module):
    """A group norm whose scale and shift come from the condition."""

    def __init__(self, channels: int, condition_width: int) -> None:
        """Makes one for so many channels."""
        super().__init__()
        self.groups = _groups(channels)
        self.modulation = nn.Linear(condition_width, 2 * channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Returns (B, C, H, W) for (B, C, H, W) and (B, D)."""
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        return F.group_norm(x, self.groups) * (1 + scale) + shift


class Attention(nn.Module):
    """Every place looks at every other; does nothing at first."""

    def __init__(self, channels: int) -> None:
        """Makes one for so many channels."""
        super().__init__()
        self.heads = max(1, channels // _HEAD)
        self.norm = nn.GroupNorm(_groups(channels), channels)
        self.look = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        _silence(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, C, H, W) for (B, C, H, W)."""
        parts = self.look(self.norm(x)).flatten(2).unflatten(1, (3, self.heads, -1))  # (B, 3, heads, C / heads, H W)
        query, key, value = parts.transpose(-1, -2).unbind(1)
        found = F.scaled_dot_product_attention(query, key, value)  # (B, heads, H W, C / heads)
        return x + self.out(found.transpose(-1, -2).flatten(1, 2).unflatten(-1, x.shape[-2:]))


def _silence(layer: nn.Module) -> None:
    """Makes a layer give zeros until it has learned something."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _groups(channels: int) -> int:
    """Returns the number of groups: about 32 channels in each, and the same number."""
    groups = max(1, channels // _GROUP)
    while channels % groups:
        groups -= 1
    return groups


def noise_levels(num_steps: int) -> list[float]:
    """Returns the noise levels of sampling, num_steps + 1 from the highest to 0: equation 5 of EDM."""
    low, high = SIGMA_MIN ** (1 / RHO), SIGMA_MAX ** (1 / RHO)
    shares = [i / max(num_steps - 1, 1) for i in range(num_steps)]
    return [*((high + share * (low - high)) ** RHO for share in shares), 0.0]


@torch.no_grad()
def sample(model: UNetDenoiser, past: Tensor, actions: Tensor, noise: Tensor, num_steps: int) -> Tensor:
    """Draws next frames, by Euler's method.

    Args:
        model: The denoiser.
        past: float32 (B, 3 P, H, W) in [-1, 1].
        actions: float32 (B, P - 1 + r, A).
        noise: float32 (B, 3 r, H, W), standard normal.
        num_steps: Passes through the network.

    Returns:
        float32 (B, 3 r, H, W) in [-1, 1].
    """
    levels = noise_levels(num_steps)
    x = levels[0] * noise
    for level, following in zip(levels, levels[1:], strict=False):
        clean = model(x, x.new_full((len(x),), level), past, actions).clamp(-1, 1)
        x = clean + following / level * (x - clean)
    return x


def stack(frames: Tensor) -> Tensor:
    """Turns uint8 frames (B, F, H, W, 3) into floats in [-1, 1], (B, 3 F, H, W)."""
    return (frames.float() / 127.5 - 1).permute(0, 1, 4, 2, 3).flatten(1, 2)


def unstack(stacked: Tensor) -> Tensor:
    """Undoes `stack`; values outside are clipped."""
    pixels = ((stacked.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.unflatten(1, (-1, 3)).permute(0, 1, 3, 4, 2)
