"""Spacetime patches: pixels and latents to tokens and back, for any duration, size and aspect ratio.

Source: OpenAI, 2024, "Video generation models as world simulators": spacetime latent patches.

Shapes: B batch, F frames, T latent frames, r frames in a latent frame, H W pixels, h w patches, S = h w, C channels.
"""

import torch
from einops import rearrange
from torch import Tensor


def patchify(grid: Tensor, patch: int) -> Tensor:
    """Cuts grids into square patches.

    Args:
        grid: (..., H, W, C), H and W divisible by `patch`.
        patch: Side of a patch.

    Returns:
        (..., S, patch * patch * C), patches row by row.

    Raises:
        ValueError: If H or W is not divisible by `patch`.
    """
    check_divisible(grid.shape[-3], grid.shape[-2], patch)
    return rearrange(grid, "... (h p) (w q) c -> ... (h w) (p q c)", p=patch, q=patch)


def unpatchify(tokens: Tensor, height: int, width: int, patch: int) -> Tensor:
    """Puts patches together again.

    Args:
        tokens: (..., S, patch * patch * C).
        height: Of the grid, H.
        width: Of the grid, W.
        patch: Side of a patch.

    Returns:
        (..., H, W, C).
    """
    h, w = height // patch, width // patch
    return rearrange(tokens, "... (h w) (p q c) -> ... (h p) (w q) c", h=h, w=w, p=patch, q=patch)


def check_divisible(height: int, width: int, patch: int) -> None:
    """Raises a ValueError unless both sizes are positive multiples of the patch."""
    for name, size in (("height", height), ("width", width)):
        if size < 1 or size % patch:
            nearest = max(patch, round(size / patch) * patch)
            raise ValueError(
                f"{name}: expected a positive multiple of {patch}, got {size}; crop or resize to {nearest}"
            )


def to_groups(video: Tensor, frames_per_latent: int) -> Tensor:
    """Groups the frames of an episode or clip so that each group becomes one latent frame.

    The first group is the first frame alone, repeated: a still, as `reset` of an environment shows it. Every further
    group is the next `frames_per_latent` frames, those that one step of the environment makes. What is missing at the
    end is filled with the last frame. A picture is one group.

    Args:
        video: (F, ...), F at least 1.
        frames_per_latent: r.

    Returns:
        (T, r, ...), T = `num_groups(F, r)`.
    """
    return video[group_indices(len(video), frames_per_latent).to(video.device)]


def group_indices(num_frames: int, frames_per_latent: int) -> Tensor:
    """Returns which frame stands where in the groups of `to_groups`: int64 (T, r)."""
    groups = torch.arange(num_groups(num_frames, frames_per_latent))[:, None]
    ticks = torch.arange(frames_per_latent)[None]
    return ((groups - 1) * frames_per_latent + 1 + ticks).clamp(0, num_frames - 1)


def num_groups(num_frames: int, frames_per_latent: int) -> int:
    """Returns the number of latent frames of so many frames.

    Raises:
        ValueError: If there is no frame.
    """
    if num_frames < 1:
        raise ValueError(f"num_frames: expected at least 1, got {num_frames}")
    return 1 + -(-(num_frames - 1) // frames_per_latent)


def from_groups(groups: Tensor, num_frames: int | None = None) -> Tensor:
    """Undoes `to_groups`.

    Args:
        groups: (T, r, ...).
        num_frames: F, to cut off what was filled in; `None` for all, 1 + (T - 1) * r.

    Returns:
        (F, ...).
    """
    frames = torch.cat([groups[0, -1:], groups[1:].flatten(0, 1)])
    return frames if num_frames is None else frames[:num_frames]
