"""Tasks as noise schedules: which tokens are known, and how the noise of the others falls.

Shapes: `N` sampling steps, `T` latent frames, `h w` rows and columns of tokens in a latent frame.

Every function takes a grid `(T, h, w)` of any size and the number of sampling steps, and returns a `Schedule`; one
model with a noise level per token serves all of them (Chen et al. 2024, arXiv:2407.01392). Common keyword arguments:

- `actions_known`: the actions of all frames are given. If false, those of all frames fall from 1 to 0 with the frames,
  so the model chooses them: latents and actions are then sampled together (Bao et al. 2023, arXiv:2303.06555).
- `shift`: the timestep shift of `noise_levels`.

All raise `ValueError` for sizes, counts and masks that do not fit the grid, or that leave nothing to sample.
"""

import torch
from torch import Tensor

from worldmodel.sampling.schedule import Schedule, noise_levels

Grid = tuple[int, int, int]


def generate(grid: Grid, num_steps: int, *, actions_known: bool = True, shift: float = 1.0) -> Schedule:
    """Text to video, and text to image with one latent frame: every token from noise."""
    return _fall(_frames(grid, []), noise_levels(num_steps, shift=shift), actions_known)


def extend_forward(
    grid: Grid, num_steps: int, *, known: int, actions_known: bool = True, shift: float = 1.0
) -> Schedule:
    """Image to video, and what comes after a video: the first `known` latent frames, 1 to T - 1, are given."""
    _check_count("known", known, 1, grid[0] - 1)
    return _fall(_frames(grid, range(known)), noise_levels(num_steps, shift=shift), actions_known)


def extend_backward(
    grid: Grid, num_steps: int, *, known: int, actions_known: bool = True, shift: float = 1.0
) -> Schedule:
    """What came before a video: the last `known` latent frames, 1 to T - 1, are given."""
    _check_count("known", known, 1, grid[0] - 1)
    frames = range(grid[0] - known, grid[0])
    return _fall(_frames(grid, frames), noise_levels(num_steps, shift=shift), actions_known)


def connect(
    grid: Grid, num_steps: int, *, known_start: int, known_end: int, actions_known: bool = True, shift: float = 1.0
) -> Schedule:
    """From one video to another: the first `known_start` and the last `known_end` latent frames, each 1 or more."""
    _check_count("known_start", known_start, 1, grid[0] - 2)
    _check_count("known_end", known_end, 1, grid[0] - 1 - known_start)
    frames = [*range(known_start), *range(grid[0] - known_end, grid[0])]
    return _fall(_frames(grid, frames), noise_levels(num_steps, shift=shift), actions_known)


def infill(
    grid: Grid, num_steps: int, *, known_frames: Tensor, actions_known: bool = True, shift: float = 1.0
) -> Schedule:
    """Fills in frames: those where `known_frames`, bool (T,), is true are given."""
    _check_grid(grid)
    _check_mask("known_frames", known_frames, grid[:1])
    known = known_frames[:, None, None].expand(grid)
    return _fall(known, noise_levels(num_steps, shift=shift), actions_known)


def inpaint(
    grid: Grid, num_steps: int, *, known_tokens: Tensor, actions_known: bool = True, shift: float = 1.0
) -> Schedule:
    """Fills in parts of frames: tokens where `known_tokens`, bool (T, h, w), is true are given."""
    _check_grid(grid)
    _check_mask("known_tokens", known_tokens, grid)
    return _fall(known_tokens, noise_levels(num_steps, shift=shift), actions_known)


def edit(grid: Grid, num_steps: int, *, strength: float, actions_known: bool = True, shift: float = 1.0) -> Schedule:
    """Changes a video along a new prompt or new actions: SDEdit (Meng et al. 2021, arXiv:2108.01073).

    All tokens start at `strength`, 0 to 1: near 0 the video is kept, near 1 only its rough layout is, and 1 is
    `generate`. Unknown actions start there, too: they are edited, not invented.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength: expected 0 (keep the video) to 1 (ignore it), got {strength}; try 0.6")
    return _fall(_frames(grid, []), noise_levels(num_steps, start=strength, shift=shift), actions_known)


def loop(grid: Grid, num_steps: int, *, actions_known: bool = True, shift: float = 1.0) -> Schedule:
    """A seamless loop: every token from noise, and the last latent frame is followed by the first.

    The first action then leads from the last frame to the first. Sampling rolls the frames along time, so that no
    place is special (Bi et al. 2025, arXiv:2502.20307); the model must see time as periodic.
    """
    schedule = generate(grid, num_steps, actions_known=actions_known, shift=shift)
    return Schedule(latents=schedule.latents, actions=schedule.actions, periodic=True)


def play(grid: Grid, num_steps: int, *, known: int, shift: float = 1.0) -> Schedule:
    """The model plays itself: after the first `known` latent frames, 0 to T - 1, and their actions, it chooses both."""
    _check_grid(grid)
    _check_count("known", known, 0, grid[0] - 1)
    return _fall(_frames(grid, range(known)), noise_levels(num_steps, shift=shift), torch.arange(grid[0]) < known)


def infer_actions(grid: Grid, num_steps: int, *, shift: float = 1.0) -> Schedule:
    """Inverse dynamics: all frames are given, their actions are not.

    Nothing leads to the first latent frame of an episode: leave its first action out of account.
    """
    known = _frames(grid, range(grid[0]))
    return _schedule(known, torch.zeros(grid[0], dtype=torch.bool), noise_levels(num_steps, shift=shift)[:, None])


def pyramid(
    grid: Grid, num_steps: int, *, known: int, delay_steps: int, actions_known: bool = True, shift: float = 1.0
) -> Schedule:
    """A rollout in which later frames are noisier: each starts `delay_steps` after the one before it.

    The near future is settled while the far one is still vague, which keeps long rollouts stable (Chen et al. 2024,
    arXiv:2407.01392; Ruhe et al. 2024, arXiv:2402.09470).

    Args:
        grid: `(T, h, w)`.
        num_steps: Steps that each frame takes from noise to clean. The schedule has `delay_steps` more for every
            unknown frame after the first.
        known: Latent frames given at the start, 0 to T - 1.
        delay_steps: 0 (all frames at once) to `num_steps` (one frame after another).
        actions_known: Whether all actions are given; if not, each falls with its frame, and those of known frames with
            the first unknown one.
        shift: Timestep shift.
    """
    _check_grid(grid)
    _check_count("known", known, 0, grid[0] - 1)
    levels = noise_levels(num_steps, shift=shift)
    _check_count("delay_steps", delay_steps, 0, num_steps)
    delays = (torch.arange(grid[0]) - known).clamp(min=0) * delay_steps  # (T,)
    steps = torch.arange(num_steps + int(delays[-1]) + 1)
    levels = levels[(steps[:, None] - delays).clamp(0, num_steps)]  # (N + 1, T)
    return _fall(_frames(grid, range(known)), levels, actions_known)


def _fall(known: Tensor, levels: Tensor, known_actions: Tensor | bool) -> Schedule:
    """A schedule that samples latents: unknown tokens and actions follow levels, (N + 1,) or (N + 1, T)."""
    if known.all():
        raise ValueError(
            "known: expected at least one unknown token, got a mask that is true everywhere; "
            "there is nothing to sample (infer_actions samples actions)"
        )
    if isinstance(known_actions, bool):
        known_actions = torch.full(known.shape[:1], known_actions)
    return _schedule(known, known_actions, levels[:, None] if levels.ndim == 1 else levels)


def _schedule(known_latents: Tensor, known_actions: Tensor, levels: Tensor) -> Schedule:
    """Combines masks (T, h, w) and (T,) with levels (N + 1, T), or (N + 1, 1) that all frames share."""
    known_latents, known_actions = known_latents.cpu(), known_actions.cpu()  # where levels are
    return Schedule(
        latents=torch.where(known_latents, 0.0, levels[..., None, None]),
        actions=torch.where(known_actions, 0.0, levels),
    )


def _frames(grid: Grid, known: range | list[int]) -> Tensor:
    """A mask (T, h, w) of whole latent frames."""
    _check_grid(grid)
    mask = torch.zeros(grid, dtype=torch.bool)
    mask[list(known)] = True
    return mask


def _check_grid(grid: Grid) -> None:
    if len(grid) != 3 or min(grid) < 1:
        raise ValueError(f"grid: expected (latent frames, rows, columns), each at least 1, got {tuple(grid)}")


def _check_count(name: str, value: int, low: int, high: int) -> None:
    if high < low:
        raise ValueError(f"grid: expected more latent frames, for {name} is at least {low}; got room for {high}")
    if not low <= value <= high:
        raise ValueError(f"{name}: expected {low} to {high}, got {value}; change it, or the size of the grid or steps")


def _check_mask(name: str, mask: Tensor, shape: tuple[int, ...]) -> None:
    if mask.dtype != torch.bool or mask.shape != torch.Size(shape):
        raise ValueError(
            f"{name}: expected bool {tuple(shape)}, true where known, got {mask.dtype} {tuple(mask.shape)}"
        )
