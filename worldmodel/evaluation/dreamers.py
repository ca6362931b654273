"""What can be scored: anything that sees real frames and goes on from actions. The world model is one of them.

Shapes: B dreams, S steps, K steps of context, r ticks in a step, H W pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from worldmodel.envs.imagined.config import Actions
from worldmodel.envs.imagined.dreams import Dreams, Moment
from worldmodel.envs.imagined.models import load
from worldmodel.envs.imagined.starts import Beginnings
from worldmodel.evaluation.episodes import Context, RealEpisode
from worldmodel.model import WorldModel
from worldmodel.sampling import Guidance


class Dreamer(Protocol):
    """A model of a world, as it is scored.

    Attributes:
        name: In reports.
        frames_per_step: r.
        context_steps: K, steps that it can remember at most.
        fps: Ticks per second.
    """

    name: str
    frames_per_step: int
    context_steps: int
    fps: float

    def begin(self, contexts: Sequence[Context], seed: int) -> None:
        """Begins a dream after each context; the noise of the i-th follows from seed + i."""

    def step(self, actions: Sequence[Any]) -> Moment:
        """Steps all dreams, each with a member of the real action space; see `Moment`.

        What the model does not predict is NaN there.
        """

    def set_prompts(self, prompts: Sequence[str]) -> None:
        """Puts other prompts in force, one for each dream. A model without text ignores them."""

    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        """Returns the best that it could show of real frames, uint8 (S, r, H, W, 3): what its codec makes of them."""


class ModelDreamer:
    """A world model, in the fastest format that the machine has.

    Attributes:
        name: Of the checkpoint.
        model: The model.
        frames_per_step: r.
        context_steps: K.
        fps: Ticks per second.
        reads_prompts: True: prompts matter to it, and one alone, without any frame, is enough to begin with.
    """

    reads_prompts = True

    def __init__(self, checkpoint: str | WorldModel, *, num_steps: int = 2, name: str = "") -> None:
        """Loads a model.

        Args:
            checkpoint: Name of a bundled model, path of a checkpoint's folder, or a model.
            num_steps: Sampling steps for each latent frame.
            name: In reports; by default that of the checkpoint.

        Raises:
            FileNotFoundError: If there is no such checkpoint.
            ValueError: If it is damaged, or knows no actions.
        """
        self.model = checkpoint if isinstance(checkpoint, WorldModel) else load(checkpoint)[0]
        self.name = name or (checkpoint if isinstance(checkpoint, str) else "model")
        self.frames_per_step = self.model.frames_per_latent
        self.fps = self.model.metadata.fps
        config = self.model.config.denoiser
        self.context_steps = config.sinks + config.window - 1
        self.num_steps = num_steps
        self._size = (self.model.metadata.height, self.model.metadata.width)
        self._actions = Actions(self.model, None)
        self._beginnings = Beginnings(self.model, None, self._actions, self._size)
        self._dreams: Dreams | None = None

    def begin(self, contexts: Sequence[Context], seed: int) -> None:
        """Begins a dream after each context, which may have no frames but only a prompt; see `Dreamer`."""
        starts = []
        for part in contexts:
            ticks = [action for action in part.actions for _ in range(self.frames_per_step)]
            known = {"video": part.frames, "actions": ticks} if len(part.frames) else {}
            options = {**known, "prompt": part.prompt}
            starts.append(self._beginnings.choose(options, np.random.default_rng(seed)))
        number = len(starts)
        self._dreams = Dreams(self.model, number, size=self._size, num_steps=self.num_steps, guidance=Guidance())
        self._dreams.begin(range(number), starts, [seed + i for i in range(number)])

    def step(self, actions: Sequence[Any]) -> Moment:
        """Steps all dreams; see `Dreamer`. `None` is no action: the model decides what the player does."""
        known = [i for i, action in enumerate(actions) if action is not None]
        vectors = np.zeros((len(actions), *self.model.denoiser.action_shape), np.float32)
        if known:
            vectors[known] = self._actions.vectors([actions[i] for i in known])
        return self.dreams.step(vectors)

    def set_prompts(self, prompts: Sequence[str]) -> None:
        """Puts other prompts in force."""
        self.dreams.set_prompts(prompts)

    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        """Returns what the compression network makes of real frames; see `Dreamer`."""
        return self.model.decode_groups(self.model.encode_groups(torch.from_numpy(frames))).cpu().numpy()

    @property
    def dreams(self) -> Dreams:
        """The dreams that were begun."""
        if self._dreams is None:
            raise RuntimeError("step: no dream has begun; call begin first")
        return self._dreams


@dataclass(slots=True)
class Rollouts:
    """What B dreams showed.

    Attributes:
        frames: uint8 (B, S, r, H, W, 3).
        rewards: float64 (B, S).
        terminations: float64 (B, S), probabilities.
        trust: float64 (B, S).
    """

    frames: np.ndarray
    rewards: np.ndarray
    terminations: np.ndarray
    trust: np.ndarray


def dream(
    dreamer: Dreamer,
    contexts: Sequence[Context],
    actions: Sequence[Sequence[Any]],
    *,
    seed: int = 0,
    batch: int = 16,
    progress: Callable[[int], None] = lambda steps: None,
) -> Rollouts:
    """Goes on from contexts with given actions.

    Args:
        dreamer: Who dreams.
        contexts: B.
        actions: B lists of S actions.
        seed: Of the noise.
        batch: Dreams at a time.
        progress: Called with the number of new steps, over all dreams.
    """
    parts = []
    for first in range(0, len(contexts), batch):
        chosen = range(first, min(first + batch, len(contexts)))
        dreamer.begin([contexts[i] for i in chosen], seed + first)
        moments = []
        for t in range(len(actions[first])):
            moments.append(dreamer.step([actions[i][t] for i in chosen]))
            progress(len(chosen))
        parts.append(
            Rollouts(
                frames=np.stack([moment.frames for moment in moments], axis=1),
                rewards=np.stack([moment.rewards for moment in moments], axis=1),
                terminations=np.stack([moment.terminations for moment in moments], axis=1),
                trust=np.stack([moment.trust for moment in moments], axis=1),
            )
        )
    return Rollouts(
        frames=np.concatenate([part.frames for part in parts]),
        rewards=np.concatenate([part.rewards for part in parts]),
        terminations=np.concatenate([part.terminations for part in parts]),
        trust=np.concatenate([part.trust for part in parts]),
    )


def truth(episodes: Sequence[RealEpisode], first: int, num_steps: int) -> np.ndarray:
    """Returns the real frames of steps first + 1 to first + S: uint8 (B, S, r, H, W, 3)."""
    return np.stack([episode.frames[first + 1 : first + 1 + num_steps] for episode in episodes])


def psnr(frames: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the PSNR in dB of uint8 frames (..., H, W, 3), (...); 60 at most, where they are alike."""
    flat = frames.reshape(*frames.shape[:-3], -1), other.reshape(*other.shape[:-3], -1)
    error = np.square(flat[0].astype(np.float32) - flat[1]).mean(-1)
    return np.minimum(10 * np.log10(255.0**2 / np.maximum(error, 255.0**2 / 1e6)), np.float32(60))
