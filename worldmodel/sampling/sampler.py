"""The one sampler: follows a noise schedule, whatever the task.

Shapes: `B` batch, `T` latent frames, `h w` rows and columns of tokens in a latent frame, `C` channels, `r` frames per
latent frame (so actions per latent frame), `A` action width.

The model predicts clean data. On the straight path `z = (1 - sigma) x + sigma eps` (Lipman et al. 2022,
arXiv:2210.02747) the velocity is then `(z - x_hat) / sigma`, and every token follows it with its own pair of levels;
known tokens, at level 0, are seen by the model and never move.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.sampling.schedule import Schedule

Denoise = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes noisy latents (B, T, h, w, C), their levels (B, T, h, w), noisy actions (B, T, r, A) and their levels (B, T),
all float32; returns predictions of the clean latents and actions, shaped as those."""

Generators = torch.Generator | Sequence[torch.Generator]
"""One generator for a batch, or one for each of its items."""

SIGMA_FLOOR = 1e-6
"""Smallest level that is divided by: below the levels of any schedule but 0, whose tokens do not move anyway."""


@dataclass(kw_only=True, slots=True, eq=False)
class Sample:
    """What was sampled, with the known parts as they were given.

    Attributes:
        latents: (B, T, h, w, C).
        actions: (B, T, r, A). Predicted probabilities, not projected: they may lie a little outside 0 to 1.
    """

    latents: Tensor
    actions: Tensor


def draw_noise(shape: Sequence[int], generators: Generators) -> Tensor:
    """Draws standard normal noise.

    With one generator per item, an item's noise is the same alone and in any batch.

    Args:
        shape: Of the result; the first axis is the batch.
        generators: One, or one per item. They are advanced.

    Returns:
        float32 noise, on the generators' device.

    Raises:
        ValueError: If there are several generators, but not one per item.
    """
    return _draw(
        shape[0],
        generators,
        lambda batch, generator: torch.randn(
            (batch, *shape[1:]), generator=generator, device=generator.device, dtype=torch.float32
        ),
    )


def euler_step(z: Tensor, x_hat: Tensor, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    """Goes from one noise level to a lower one along the velocity `(z - x_hat) / sigma`.

    Args:
        z: Noisy tokens, float32 (..., C).
        x_hat: Their predicted clean values, likewise.
        sigma: Their levels, (...) or broadcastable to it.
        next_sigma: The levels to reach, at most `sigma`.

    Returns:
        Tokens like `z`: exactly `x_hat` where `next_sigma` is 0, exactly `z` where both levels are equal.
    """
    # Equal to z + (next_sigma - sigma) * velocity, but the quotient is never above 1, and x_hat is reached unrounded.
    kept = (next_sigma / sigma.clamp(min=SIGMA_FLOOR))[..., None]
    moved = torch.where(kept == 0, x_hat, x_hat + kept * (z - x_hat))
    return torch.where((sigma == next_sigma)[..., None], z, moved)


@torch.no_grad()
def sample(
    denoise: Denoise,
    schedule: Schedule,
    latents: Tensor,
    actions: Tensor,
    generator: Generators | None = None,
    *,
    noise: tuple[Tensor, Tensor] | None = None,
    roll: bool | None = None,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Sample:
    """Samples latents and actions along a schedule, in float32 and without gradients.

    Unknown tokens start from `(1 - sigma) given + sigma eps` at their first level: pure noise for level 1, where what
    was given is not looked at, and a noised video for SDEdit. Noise is drawn for the whole grid, latents first, so the
    noise of a token does not depend on which others are known.

    Args:
        denoise: The model, its prompt and other conditions bound to it.
        schedule: What is known, and how the noise of the rest falls.
        latents: Given latents, floating point (B, T, h, w, C).
        actions: Given actions, floating point (B, T, r, A).
        generator: One for the batch, or one per item: then an item is the same alone and in any batch. It is advanced.
            Needed unless `noise` is given.
        noise: Noise for the latents and for the actions, shaped as they are; nothing is drawn for them then.
        roll: Whether to show the model the frames (with their actions and levels) rolled along time, by a new shift at
            each step, so that a loop has no seam at any fixed place (Bi et al. 2025, arXiv:2502.20307). Shifts are
            drawn, or grow by one frame a step without a generator. By default as `schedule.periodic`.
        on_step: Called after each step with its index, from 0, and the prediction of the clean latents, float32
            (B, T, h, w, C).

    Returns:
        The sample, in the data types given. Known tokens and actions are bit for bit as given.

    Raises:
        ValueError: If the schedule is not valid, shapes do not fit, or there is neither generator nor noise.
    """
    schedule.validate()
    _check_given(schedule, latents, actions)
    if noise is None:
        if generator is None:
            raise ValueError("generator: expected a generator, or one per item, or noise; got neither")
        noise = draw_noise(latents.shape, generator), draw_noise(actions.shape, generator)
    _check_shape("noise", noise[0], latents)
    _check_shape("noise", noise[1], actions)
    roll = schedule.periodic if roll is None else roll

    device = latents.device
    sigmas = schedule.latents.to(device, torch.float32)  # (N + 1, T, h, w)
    action_sigmas = schedule.actions.to(device, torch.float32)[..., None]  # (N + 1, T, 1)
    z = _start(latents, noise[0], sigmas[0])
    action_z = _start(actions, noise[1], action_sigmas[0])

    for step in range(schedule.num_steps):
        sigma, action_sigma = sigmas[step], action_sigmas[step]
        seen = [z, sigma.expand(z.shape[:-1]), action_z, action_sigma[..., 0].expand(z.shape[:2])]
        if roll:
            # The state stays where it is; only the model's view of it is rolled, and its answer is rolled back.
            shift = _draw_shift(len(z), z.shape[1], generator, step).to(device)
            seen = [_roll(part, shift) for part in seen]
        x_hat, action_hat = denoise(*seen)
        _check_shape("denoise", x_hat, z)
        _check_shape("denoise", action_hat, action_z)
        x_hat, action_hat = x_hat.float(), action_hat.float()
        if roll:
            x_hat, action_hat = _roll(x_hat, -shift), _roll(action_hat, -shift)
        z = euler_step(z, x_hat, sigma, sigmas[step + 1])
        action_z = euler_step(action_z, action_hat, action_sigma, action_sigmas[step + 1])
        if on_step is not None:
            on_step(step, x_hat)

    # What was known is taken from the input itself: float32 holds float64 only roughly.
    known, known_actions = schedule.known_latents.to(device), schedule.known_actions.to(device)
    return Sample(
        latents=torch.where(known[..., None], latents, z.to(latents.dtype)),
        actions=torch.where(known_actions[:, None, None], actions, action_z.to(actions.dtype)),
    )


def _start(given: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """Mixes what was given with noise; levels 0 and 1 take one alone, though the other may hold NaN."""
    given, noise, sigma = given.float(), noise.to(given.device).float(), sigma[..., None]
    mixed = (1 - sigma) * given + sigma * noise
    return torch.where(sigma == 0, given, torch.where(sigma == 1, noise, mixed))


def _draw(batch: int, generators: Generators, draw: Callable[[int, torch.Generator], Tensor]) -> Tensor:
    """Draws for a batch, from one generator or item by item."""
    if isinstance(generators, torch.Generator):
        return draw(batch, generators)
    if len(generators) != batch:
        raise ValueError(
            f"generators: expected one, or one for each of {batch} items, got {len(generators)}; "
            "derive one per item from its own seed"
        )
    return torch.cat([draw(1, generator) for generator in generators])


def _draw_shift(batch: int, num_frames: int, generator: Generators | None, step: int) -> Tensor:
    """Frames by which each item is rolled at a step, int64 (B,)."""
    if generator is None:
        return torch.full((batch,), step)
    return _draw(
        batch, generator, lambda count, one: torch.randint(num_frames, (count,), generator=one, device=one.device)
    )


def _roll(x: Tensor, shift: Tensor) -> Tensor:
    """Rolls (B, T, ...) along T as `torch.roll` does, each item by its own shift (B,)."""
    frames = (torch.arange(x.shape[1], device=x.device) - shift[:, None]) % x.shape[1]  # (B, T)
    return x[torch.arange(len(x), device=x.device)[:, None], frames]


def _check_given(schedule: Schedule, latents: Tensor, actions: Tensor) -> None:
    """Checks what `sample` was given against the schedule."""
    for name, given, expected, num_axes in (
        ("latents", latents, "(B, T, h, w, C)", 5),
        ("actions", actions, "(B, T, r, A)", 4),
    ):
        if given.ndim != num_axes or not given.is_floating_point():
            raise ValueError(
                f"{name}: expected floating point {expected}, got {given.dtype} {tuple(given.shape)}; "
                "where nothing is known, give zeros"
            )
    if tuple(latents.shape[1:4]) != schedule.grid:
        raise ValueError(
            f"latents: expected the schedule's grid {schedule.grid} of (T, h, w), got {tuple(latents.shape[1:4])}; "
            "make the schedule for this grid"
        )
    if actions.shape[:2] != latents.shape[:2]:
        raise ValueError(
            f"actions: expected (B, T) = {tuple(latents.shape[:2])} as of latents, got {tuple(actions.shape[:2])}"
        )


def _check_shape(name: str, tensor: Tensor, like: Tensor) -> None:
    if tensor.shape != like.shape:
        raise ValueError(
            f"{name}: expected a tensor shaped {tuple(like.shape)}, got {tuple(tensor.shape)}; "
            "latents come first, actions second"
        )
