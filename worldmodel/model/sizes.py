"""Sizes of the model by name."""

from dataclasses import dataclass, field
from enum import Enum

from worldmodel.model.compression import CompressionConfig
from worldmodel.model.denoiser import DenoiserConfig
from worldmodel.model.text import TextConfig
from worldmodel.model.transformer import TransformerConfig


class Size(Enum):
    """How large the model is."""

    tiny = "tiny"
    """For tests: under a million parameters."""
    mini = "mini"
    """About 2 million parameters: learns a simple world in an hour on a processor without bfloat16."""
    small = "small"
    """About 10 million parameters: steps on the processor of a laptop."""
    base = "base"
    """4 times the compute of `small`."""
    large = "large"
    """16 times the compute of `small`."""


@dataclass(kw_only=True, slots=True)
class ModelConfig:
    """Sizes of all parts.

    Attributes:
        compression: The compression network.
        denoiser: The diffusion transformer.
        text: The encoder of prompts.
    """

    compression: CompressionConfig = field(default_factory=CompressionConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    text: TextConfig = field(default_factory=TextConfig)


_STACKS: dict[Size, tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]] = {
    # width, depth and head width of each half of the compression network, of the denoiser, and of the text encoder
    Size.tiny: ((64, 1, 32), (64, 4, 32), (32, 1, 32)),
    Size.mini: ((96, 2, 32), (128, 6, 32), (96, 1, 32)),
    Size.small: ((192, 3, 64), (256, 6, 64), (192, 2, 64)),
    Size.base: ((384, 3, 64), (448, 8, 64), (256, 3, 64)),
    Size.large: ((640, 4, 64), (768, 11, 64), (384, 4, 64)),
}


def model_config(
    size: Size,
    *,
    frames_per_latent: int = 2,
    patch: int = 8,
    channels: int = 16,
    latent_patch: int = 2,
    context_noise: float = 0.05,
) -> ModelConfig:
    """Returns the sizes of all parts for a name.

    Args:
        size: The name.
        frames_per_latent: r, frames that become one latent frame.
        patch: Pixels along the side of a site of the latent grid.
        channels: Numbers at a site of the latent grid.
        latent_patch: Sites along the side of a square that becomes one token of the denoiser.
        context_noise: Declared noise level at which finished frames are remembered in streaming, 0 to 1.

    Raises:
        ValueError: If a number is out of range.
    """
    if latent_patch < 1:
        raise ValueError(f"latent_patch: expected at least 1 site, got {latent_patch}")
    if not 0 <= context_noise < 1:
        raise ValueError(f"context_noise: expected a noise level from 0 to below 1, got {context_noise}")
    (wide, depth, head), (width, layers, heads), (text_width, text_depth, text_heads) = _STACKS[size]
    half = {"width": wide, "depth": depth, "head_width": head}
    return ModelConfig(
        compression=CompressionConfig(
            patch=patch,
            frames_per_latent=frames_per_latent,
            channels=channels,
            encoder=TransformerConfig(**half),
            decoder=TransformerConfig(**half),
        ),
        denoiser=DenoiserConfig(
            transformer=TransformerConfig(width=width, depth=layers, head_width=heads, time_every=2),
            patch=latent_patch,
            context_noise=context_noise,
        ),
        text=TextConfig(width=text_width, depth=text_depth, head_width=text_heads),
    )
