"""Noise schedules: how the noise of every latent token and every action falls over the sampling steps.

Shapes: `N` sampling steps, `T` latent frames, `h w` rows and columns of tokens in a latent frame.

A noise level `sigma` mixes data `x` and noise `eps`: `z = (1 - sigma) x + sigma eps`, the straight path of flow
matching (Lipman et al. 2022, arXiv:2210.02747). Levels that differ from frame to frame are diffusion forcing's (Chen et
al. 2024, arXiv:2407.01392).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def noise_levels(num_steps: int, *, start: float = 1.0, shift: float = 1.0) -> Tensor:
    """Returns levels that fall from `start` to 0.

    They are uniform for `shift` 1. Otherwise a uniform `t` becomes `shift * t / (1 + (shift - 1) * t)`, the shift by
    resolution of Esser et al. 2024 (arXiv:2403.03206): above 1, more steps are spent at high noise, as larger grids
    need. With `start` below 1, the levels are the end of that curve, not a squeezed copy of it.

    Args:
        num_steps: Number of steps, at least 1.
        start: First level, 0 to 1.
        shift: Timestep shift, above 0.

    Returns:
        float32 (num_steps + 1,), non-increasing; the first is `start`, the last 0.

    Raises:
        ValueError: If an argument is out of its range.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps: expected at least 1, got {num_steps}; one step already lands on clean data")
    if not 0 <= start <= 1:
        raise ValueError(f"start: expected a noise level from 0 (clean) to 1 (pure noise), got {start}")
    if not (math.isfinite(shift) and shift > 0):
        raise ValueError(f"shift: expected a finite number above 0, got {shift}; 1 gives uniform levels")
    first = start / (shift - (shift - 1) * start)  # the t that the curve takes to `start`
    t = torch.linspace(first, 0.0, num_steps + 1, dtype=torch.float64)
    return (shift * t / (1 + (shift - 1) * t)).float()


@dataclass(kw_only=True, slots=True, eq=False)
class Schedule:
    """The noise level of every token at every sampling step; the same for all items of a batch.

    Tokens and actions whose level is 0 throughout are known: a sampler takes them as given and returns them unchanged.

    Attributes:
        latents: Levels of latent tokens, floating point (N + 1, T, h, w): 0 to 1, non-increasing along the first axis,
            0 in the last row.
        actions: Levels of the actions that lead to each latent frame, (N + 1, T), likewise.
        periodic: Whether the last frame is followed by the first: a seamless loop.
    """

    latents: Tensor
    actions: Tensor
    periodic: bool = False

    @property
    def num_steps(self) -> int:
        """Number of sampling steps, `N`."""
        return len(self.latents) - 1

    @property
    def grid(self) -> tuple[int, int, int]:
        """Latent frames, rows and columns of tokens: `(T, h, w)`."""
        _, num_frames, rows, columns = self.latents.shape
        return num_frames, rows, columns

    @property
    def known_latents(self) -> Tensor:
        """Mask of the known tokens, bool (T, h, w)."""
        return (self.latents == 0).all(dim=0)

    @property
    def known_actions(self) -> Tensor:
        """Mask of the latent frames whose actions are known, bool (T,)."""
        return (self.actions == 0).all(dim=0)

    def validate(self) -> None:
        """Checks shapes and levels.

        Raises:
            ValueError: If they are not as the attributes say.
        """
        _validate_levels("latents", self.latents, "(num_steps + 1, T, h, w)", 4)
        _validate_levels("actions", self.actions, "(num_steps + 1, T)", 2)
        if self.actions.shape != self.latents.shape[:2]:
            raise ValueError(
                f"actions: expected {tuple(self.latents.shape[:2])}, the steps and latent frames of latents, "
                f"got {tuple(self.actions.shape)}; give every latent frame one level per step"
            )


def _validate_levels(name: str, levels: Tensor, expected: str, num_axes: int) -> None:
    """Checks one tensor of levels on its own."""
    if levels.ndim != num_axes or len(levels) < 2 or 0 in levels.shape:
        raise ValueError(
            f"{name}: expected {expected}, of at least one step and no empty axis, got {tuple(levels.shape)}"
        )
    if not levels.is_floating_point():
        raise ValueError(f"{name}: expected floating point levels, got {levels.dtype}; convert with .float()")
    if not ((levels >= 0) & (levels <= 1)).all():  # false for NaN, too
        raise ValueError(
            f"{name}: expected noise levels from 0 to 1, got {levels.min().item()} to {levels.max().item()}"
        )
    rises = (levels[1:] > levels[:-1]).flatten(1).any(dim=1)
    if rises.any():
        step = int(rises.int().argmax())
        raise ValueError(
            f"{name}: expected levels that never rise, got a rise from step {step} to step {step + 1}; "
            "noise is not added again while sampling"
        )
    if (levels[-1] != 0).any():
        raise ValueError(
            f"{name}: expected 0 in the last row, got up to {levels[-1].max().item()}; "
            "end every token's levels at 0, or its sample stays noisy"
        )
