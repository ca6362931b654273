"""Rotary position embedding: of patches in a picture, and of latent frames in time.

Source: Su et al., 2021, "RoFormer" (rotary embedding); Heo et al., 2024, "Rotary Position Embedding for Vision
Transformer" (axes of a picture side by side). Angles depend on differences of positions only, so any size, aspect ratio
and duration can be asked for.

Shapes: B batch, T latent frames, S tokens a frame, N heads, E width of a head.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

SHORTEST_SECONDS, LONGEST_SECONDS = 0.2, 60.0
"""Periods of the fastest and of the slowest rotation in time."""
SHORTEST_PATCHES, LONGEST_PATCHES = 2.0, 200.0
"""Periods of the fastest and of the slowest rotation in space, in patches."""


def turns(angles: Tensor) -> tuple[Tensor, Tensor]:
    """Returns what `turn` needs of angles (..., E / 2): cosines and signed sines, (..., E) each."""
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates pairs of channels.

    Args:
        x: (..., E).
        cos: (..., E) from `turns`, broadcast against `x`.
        sin: Likewise.

    Returns:
        (..., E) of the dtype of `x`.
    """
    return torch.addcmul(x * cos.to(x.dtype), x.roll(x.shape[-1] // 2, -1), sin.to(x.dtype))


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Rotates pairs of channels of x (..., E) by angles (..., E / 2); see `turn`."""
    return turn(x, *turns(angles))


@lru_cache(maxsize=64)
def space_angles(height: int, width: int, num_extra: int, head_width: int) -> Tensor:
    """Returns the angles of the tokens of one frame.

    Positions are counted from the middle of the picture, so that tokens without a place, which are not rotated, stand
    there for every size.

    Args:
        height: Patches in a column.
        width: Patches in a row.
        num_extra: Tokens without a place, after the patches.
        head_width: E, divisible by 4.

    Returns:
        (S, E / 2), S = height * width + num_extra; the same tensor for the same arguments, not to be changed.
    """
    frequencies = _frequencies(head_width // 4, SHORTEST_PATCHES, LONGEST_PATCHES)
    rows = (torch.arange(height) - (height - 1) / 2)[:, None] * frequencies
    columns = (torch.arange(width) - (width - 1) / 2)[:, None] * frequencies
    patches = torch.cat(
        [rows[:, None].expand(height, width, -1), columns[None].expand(height, width, -1)], dim=-1
    ).reshape(height * width, -1)
    return torch.cat([patches, torch.zeros(num_extra, head_width // 2)])


def time_angles(seconds: Tensor, head_width: int, period_seconds: float | None = None) -> Tensor:
    """Returns the angles of moments.

    Args:
        seconds: Any shape (...), positions in time.
        head_width: E, divisible by 2.
        period_seconds: Duration of a seamless loop: every frequency is moved to the nearest one that fits a whole
            number of times, so that the end meets the start. `None` for no loop.

    Returns:
        (..., E / 2).
    """
    frequencies = _frequencies(head_width // 2, SHORTEST_SECONDS, LONGEST_SECONDS).to(seconds.device)
    if period_seconds is not None:
        unit = 2 * math.pi / period_seconds
        frequencies = (frequencies / unit).round() * unit
    return seconds[..., None] * frequencies


def _frequencies(number: int, shortest: float, longest: float) -> Tensor:
    """Returns angular frequencies for periods spread evenly, on a logarithmic scale, from shortest to longest."""
    exponents = torch.arange(number) / max(number - 1, 1)
    return 2 * math.pi / (shortest * (longest / shortest) ** exponents)
