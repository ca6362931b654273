"""A world model that watches a real environment and says what its player does next.

Shapes: r ticks in a latent frame, H W pixels, A width of an action vector.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from worldmodel.model import WorldModel, streaming


class Watcher:
    """Remembers what was seen and done as a dream does, but with real frames: it never imagines any."""

    def __init__(self, model: WorldModel) -> None:
        """Takes a model.

        Args:
            model: One that was trained with actions.
        """
        self._model = model
        self._random = np.random.default_rng(0)
        self._state: streaming.DreamState | None = None

    def begin(self, frame: np.ndarray, seed: int) -> np.ndarray:
        """Starts with the first frame of an episode, and without a prompt.

        Args:
            frame: uint8 (H, W, 3).
            seed: Of the little noise with which frames are remembered.

        Returns:
            float32 (r, A), what the player does in the next r ticks: probabilities of the values of each factor, as
            `ActionCodec.sample` takes them.
        """
        self._random = np.random.default_rng(seed)
        self._state = streaming.begin(self._model, [""], *frame.shape[:2])
        return self._remember(self._model.encode(torch.from_numpy(frame[None])), None)

    def see(self, frames: np.ndarray, actions: Sequence[Any]) -> np.ndarray:
        """Goes on by one latent frame.

        Args:
            frames: uint8 (r, H, W, 3).
            actions: r members of the action space, that led to each.

        Returns:
            As `begin` does.
        """
        assert self._model.codec is not None
        vectors = torch.from_numpy(self._model.codec.encode_many(actions))
        return self._remember(self._model.encode_groups(torch.from_numpy(frames[None])), vectors[None])

    def _remember(self, latents: torch.Tensor, actions: torch.Tensor | None) -> np.ndarray:
        assert self._state is not None and self._model.factors is not None
        noise = torch.Generator().manual_seed(int(self._random.integers(2**62)))
        step = streaming.observe(self._model, self._state, latents, actions, [noise])
        self._state = step.state
        return self._model.factors.probabilities(step.heads.policy_logits[0, 0]).cpu().numpy()
