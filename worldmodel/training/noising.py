"""What is known and how noisy the rest is, drawn anew for every clip of a training batch.

The mix holds the masking pattern of every task, so that one set of weights serves all of them (docs/model.md).

Sources: Chen et al., 2024, "Diffusion Forcing" (a level for each frame); Hafner et al., 2025, "Training Agents Inside
of Scalable World Models", section 3.3 (levels on the grid of the sampling step for shortcuts, noise on the context).

Shapes: B batch, T latent frames, h w latent grid.
"""

from dataclasses import dataclass, field
from enum import Enum

import torch
from torch import Tensor

from worldmodel.model.denoiser import STEP_SIZES


class Pattern(Enum):
    """Which part of a clip is known, and whether the rest shares one noise level."""

    SHARED = "shared"
    """Nothing is known, one level for all: text to video, edits."""
    INDEPENDENT = "independent"
    """Nothing is known, a level for each frame: diffusion forcing."""
    PREFIX = "prefix"
    """The first frames are known: extension forward, a picture set in motion."""
    SUFFIX = "suffix"
    """The last frames are known: extension backward."""
    ENDS = "ends"
    """The first and last frames are known: connecting two videos."""
    FRAMES = "frames"
    """Any frames are known: filling in."""
    BLOCK = "block"
    """A rectangle of each frame is known, or all but it: spatial editing."""
    HISTORY = "history"
    """Most frames are known, by a chance that is drawn for the clip, the rest has a level each: streaming."""


CAUSAL_MIX = {Pattern.HISTORY: 0.8, Pattern.INDEPENDENT: 0.1, Pattern.PREFIX: 0.1}
"""Shares of the patterns in batches in which frames see no later ones."""

PURE_NOISE = {True: 0.3, False: 0.15}
"""Share of pure noise among the levels, in causal batches and in others.

Few-step sampling begins there, and most of what there is to know is decided there. A frame that shows through its noise
tells more of what happened than the action does: actions are learned from frames that do not, after a known one.
"""

BIDIRECTIONAL_MIX = {
    Pattern.SHARED: 0.3,
    Pattern.INDEPENDENT: 0.25,
    Pattern.PREFIX: 0.15,
    Pattern.SUFFIX: 0.1,
    Pattern.ENDS: 0.08,
    Pattern.FRAMES: 0.08,
    Pattern.BLOCK: 0.04,
}
"""Shares of the patterns in all other batches."""


@dataclass(kw_only=True, slots=True)
class NoisingConfig:
    """How clips are noised.

    Attributes:
        text_dropout: Share of clips without their prompt, for guidance.
        action_dropout: Share of clips without their actions, likewise.
        action_noise: Share of clips whose actions have noise levels of their own: there the model learns to tell
            actions from frames, and to play by itself.
        clean_noise: Share of known frames that carry a little noise, and are declared to.
    """

    text_dropout: float = 0.15
    action_dropout: float = 0.1
    action_noise: float = 0.1
    clean_noise: float = 0.3


@dataclass(slots=True)
class NoisePlan:
    """Noise levels of one batch.

    Attributes:
        sigma: (B, T, h, w), of latents.
        unknown: bool (B, T, h, w), which of them are to be predicted; the others are context.
        action_sigma: (B, T), of actions.
        action_null: bool (B,), clips without their actions.
        text_null: bool (B,), clips without their prompt.
        step_size: Index into `STEP_SIZES`, the same for the whole batch.
    """

    sigma: Tensor
    unknown: Tensor
    action_sigma: Tensor
    action_null: Tensor
    text_null: Tensor
    step_size: int = field(default=0)


def draw_plan(
    batch: int,
    num_frames: int,
    grid: tuple[int, int],
    *,
    causal: bool,
    step_size: int,
    context_noise: float,
    config: NoisingConfig,
    generator: torch.Generator,
) -> NoisePlan:
    """Draws the noise levels of a batch.

    Args:
        batch: B.
        num_frames: T; clips of one frame are wholly unknown.
        grid: (h, w).
        causal: Whether frames see no later ones.
        step_size: Index into `STEP_SIZES`; levels then are multiples of that size.
        context_noise: Level at which streaming remembers finished frames.
        config: Shares.
        generator: Source of all that is random.
    """
    mix = CAUSAL_MIX if causal else BIDIRECTIONAL_MIX
    patterns = list(mix)
    draws = torch.multinomial(torch.tensor(list(mix.values())), batch, replacement=True, generator=generator).tolist()
    unknown = torch.ones(batch, num_frames, *grid, dtype=torch.bool)
    shared = torch.zeros(batch, dtype=torch.bool)
    for i, draw in enumerate(draws):
        pattern = patterns[draw]
        if num_frames > 1:
            unknown[i] = _unknown(pattern, num_frames, grid, generator)
        shared[i] = pattern is not Pattern.INDEPENDENT and not causal and float(_uniform(generator)) < 0.75
    levels = _levels((batch, num_frames), step_size, PURE_NOISE[causal], generator)
    levels = torch.where(shared[:, None], levels[:, :1], levels)
    clean = _clean_levels((batch, num_frames), causal, context_noise, config.clean_noise, generator)
    sigma = torch.where(unknown, levels[:, :, None, None], clean[:, :, None, None])

    noisy_actions = torch.rand(batch, generator=generator) < config.action_noise
    action_levels = _levels((batch, num_frames), 0, PURE_NOISE[False], generator)
    # A level for each, one for all, or nothing known of the actions at all: as inverse dynamics starts.
    kind = torch.randint(3, (batch,), generator=generator)[:, None]
    action_levels = torch.where(kind == 1, action_levels[:, :1], torch.where(kind == 2, 1.0, action_levels))
    return NoisePlan(
        sigma=sigma,
        unknown=unknown,
        action_sigma=torch.where(noisy_actions[:, None], action_levels, 0.0),
        action_null=torch.rand(batch, generator=generator) < config.action_dropout,
        text_null=torch.rand(batch, generator=generator) < config.text_dropout,
        step_size=step_size,
    )


def _unknown(pattern: Pattern, num_frames: int, grid: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Returns bool (T, h, w), at least one frame (or part of it) unknown."""
    frames = torch.ones(num_frames, dtype=torch.bool)

    def count(low: int, high: int) -> int:
        return int(torch.randint(low, max(high, low + 1), (), generator=generator))

    if pattern is Pattern.PREFIX:
        frames[: count(1, num_frames)] = False
    elif pattern is Pattern.SUFFIX:
        frames[num_frames - count(1, num_frames) :] = False
    elif pattern is Pattern.ENDS:
        first = count(1, num_frames - 1)
        frames[:first] = False
        frames[num_frames - count(1, num_frames - first) :] = False
        if not frames.any():
            frames[num_frames // 2] = True
    elif pattern in (Pattern.FRAMES, Pattern.HISTORY):
        chance = 0.3 + 0.6 * _uniform(generator) if pattern is Pattern.HISTORY else 0.9 * _uniform(generator)
        frames = torch.rand(num_frames, generator=generator) >= chance
        if not frames.any():
            frames[count(0, num_frames)] = True
    elif pattern is Pattern.BLOCK:
        return _block(grid, generator).expand(num_frames, *grid)
    return frames[:, None, None].expand(num_frames, *grid)


def _block(grid: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Returns bool (h, w): a rectangle of at least a quarter of each side, or all but it."""
    inside = torch.zeros(grid, dtype=torch.bool)
    sides = []
    for size in grid:
        length = int(torch.randint(max(1, size // 4), max(size, 2), (), generator=generator))
        start = int(torch.randint(0, size - length + 1, (), generator=generator))
        sides.append(slice(start, start + length))
    inside[sides[0], sides[1]] = True
    if inside.all():
        inside[0] = False
    return inside if float(_uniform(generator)) < 0.5 else ~inside


def _levels(shape: tuple[int, int], step_size: int, pure_noise: float, generator: torch.Generator) -> Tensor:
    """Draws noise levels in (0, 1]: multiples of the step, or, for tiny steps, mostly in the middle and often 1."""
    size = STEP_SIZES[step_size]
    if size:
        return torch.randint(1, round(1 / size) + 1, shape, generator=generator) * size
    levels = torch.randn(shape, generator=generator).sigmoid()
    return torch.where(torch.rand(shape, generator=generator) < pure_noise, 1.0, levels)


def _clean_levels(
    shape: tuple[int, int], causal: bool, context_noise: float, share: float, generator: torch.Generator
) -> Tensor:
    """Draws the levels of known frames: 0, or a little; in streaming mostly the level that the cache declares."""
    noisy = torch.rand(shape, generator=generator) < share
    little = torch.rand(shape, generator=generator) * 3 * context_noise
    usual = torch.full(shape, context_noise if causal else 0.0)
    return torch.where(noisy, little, usual)


def _uniform(generator: torch.Generator) -> Tensor:
    return torch.rand((), generator=generator)
