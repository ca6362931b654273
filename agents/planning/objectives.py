"""What a plan is good for: scores of what became of the candidates.

| objective | score |
|---|---|
| reward | discounted sum of rewards, of the environment or as predicted |
| image | nearness to a picture, in the latent space of a compression network or in pixels |
| text | how much better the model explains the last frame when it is told the goal in words |

Any function from `Rollouts` to a score for each candidate is one.

Shapes: N candidates, T steps, h w latent grid, C latent channels, H W pixels.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.agents.planning.simulators import Rollouts

if TYPE_CHECKING:
    from torch import Tensor

    from worldmodel.model import WorldModel

Objective = Callable[[Rollouts], np.ndarray]
"""Scores N candidates by what became of them, float64 (N,): the higher the better."""

TEXT_LEVELS = (0.5, 0.7)
"""Noise levels at which a frame is compared with words: below, a frame explains itself; above, little of it is left."""
_TEXT_DRAWS = 2
"""Draws of noise at each level."""


class RewardObjective:
    """The discounted sum of rewards."""

    def __init__(self, discount: float = 1.0) -> None:
        """Takes the discount of a step."""
        self._discount = discount

    def __call__(self, rollouts: Rollouts) -> np.ndarray:
        """Scores candidates."""
        return _discounted(rollouts.rewards, self._discount)


class ImageObjective:
    """Nearness to a picture: minus the root mean square distance at each step, discounted, so that sooner is better.

    After the end of an episode its last distance counts for all steps that are left.
    """

    def __init__(self, goal: np.ndarray, *, model: "WorldModel | None" = None, discount: float = 1.0) -> None:
        """Takes a picture.

        Args:
            goal: uint8 (H, W, 3), as observations are.
            model: Whose compression network compares; `None` for pixels. For rollouts of a dream, the model of it.
            discount: Of a step.

        Raises:
            ValueError: If the picture is none.
        """
        if not isinstance(goal, np.ndarray) or goal.dtype != np.uint8 or goal.ndim != 3 or goal.shape[-1] != 3:
            found = f"{goal.dtype} {goal.shape}" if isinstance(goal, np.ndarray) else type(goal).__name__
            raise ValueError(f"goal: expected a picture, uint8 (H, W, 3), got {found}")
        self._pixels, self._model, self._discount = goal, model, discount
        self._goal = None if model is None else self._encoded(goal[None])

    def __call__(self, rollouts: Rollouts) -> np.ndarray:
        """Scores candidates.

        Raises:
            ValueError: If observations have another size than the picture.
        """
        distances = np.zeros(rollouts.rewards.shape)
        if rollouts.latents is not None and self._goal is not None:
            distances[:] = (rollouts.latents - self._goal).square().flatten(2).mean(-1).sqrt().double().cpu().numpy()
        else:
            for i, seen in enumerate(self._seen(rollouts)):
                distances[i, : len(seen)] = self._distances(seen)
        last = rollouts.last
        held = np.where(rollouts.taken, distances, distances[np.arange(len(last)), last][:, None])
        return -_discounted(held, self._discount)

    def _seen(self, rollouts: Rollouts) -> list[np.ndarray]:
        """Returns the frames of each candidate, (T, H, W, 3), up to the end of its episode."""
        if rollouts.model is None or rollouts.latents is None:
            return [np.stack(seen) for seen in rollouts.observations]
        return [rollouts.model.decode_groups(latents)[:, -1].cpu().numpy() for latents in rollouts.latents]

    def _distances(self, frames: np.ndarray) -> np.ndarray:
        if frames.shape[1:] != self._pixels.shape:
            raise ValueError(
                f"goal: expected a picture of shape {frames.shape[1:]}, as observations are, got {self._pixels.shape}"
            )
        if self._goal is None:
            return np.sqrt(((frames.astype(np.float64) - self._pixels) ** 2).mean((1, 2, 3))) / 255
        return (self._encoded(frames) - self._goal).square().flatten(1).mean(1).sqrt().double().cpu().numpy()

    def _encoded(self, frames: np.ndarray) -> "Tensor":
        """Returns the latents of frames (T, H, W, 3), each as a still: float32 (T, h, w, C)."""
        import torch

        assert self._model is not None
        stills = torch.from_numpy(np.array(frames))[:, None]
        return self._model.encode_groups(stills.expand(-1, self._model.frames_per_latent, -1, -1, -1))


class TextObjective:
    """How much better the model denoises the last frame when it knows the goal in words than when it knows none.

    The frame is looked at without its past, at a few noise levels, with the same noise for all candidates and prompts:
    two small passes a level and draw for a whole rollout. What is scored is the share by which words lower the loss.

    Source: Li et al., 2023, "Your Diffusion Model is Secretly a Zero-Shot Classifier" (arXiv:2303.16203).
    """

    def __init__(self, goal: str, model: "WorldModel") -> None:
        """Takes a goal.

        Args:
            goal: In words, such as those of the captions that the model was trained with.
            model: The model. It may also compare frames of a real environment, of the size that it was trained on.

        Raises:
            ValueError: If the goal is empty or too long.
        """
        if not isinstance(goal, str) or not goal.strip():
            raise ValueError(f"goal: expected words, got {goal!r:.80}")
        self._model = model
        self._words = {"": model.embed_prompts([""]), "goal": model.embed_prompts([goal])}

    def __call__(self, rollouts: Rollouts) -> np.ndarray:
        """Scores candidates."""
        return self.agreement(self._latents(rollouts)).double().cpu().numpy()

    def agreement(self, latents: "Tensor") -> "Tensor":
        """Returns by which share the goal lowers the loss of latent frames (N, h, w, C): (N,), at most 1."""
        import torch

        losses = {name: torch.zeros(len(latents), device=latents.device) for name in self._words}
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for level in TEXT_LEVELS:
                for _ in range(_TEXT_DRAWS):
                    noise = torch.randn(latents.shape[1:], generator=generator).to(latents.device)
                    noisy = (1 - level) * latents + level * noise
                    for name, (words, mask) in self._words.items():
                        text = (words.expand(len(latents), -1, -1), mask.expand(len(latents), -1))
                        output = self._model.denoiser(self._model.inputs(noisy[:, None], level, text=text))
                        losses[name] += (output.latents[:, 0].float() - latents).square().flatten(1).mean(1)
        return 1 - losses["goal"] / losses[""].clamp(min=1e-12)

    def _latents(self, rollouts: Rollouts) -> "Tensor":
        import torch

        if rollouts.latents is not None:
            return rollouts.last_latents()
        stills = torch.from_numpy(rollouts.last_frames())[:, None]
        return self._model.encode_groups(stills.expand(-1, self._model.frames_per_latent, -1, -1, -1))


def _discounted(values: np.ndarray, discount: float) -> np.ndarray:
    """Returns the discounted sums (N,) of values (N, T)."""
    return values @ discount ** np.arange(values.shape[1])
