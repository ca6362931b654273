"""What a policy learns in: a world that can be begun, stepped, and asked for recorded behaviour.

Shapes: B dreams or clips, T latent frames of a clip, F features of a moment, r ticks in a latent frame, A width of an
action vector, h w latent grid, C channels, D width of the denoiser.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from worldmodel.model import WorldModel, streaming
from worldmodel.model.heads import expected_reward
from worldmodel.sampling import draw_noise
from worldmodel.training.latents import LatentBucket, draw_clips


@dataclass(slots=True)
class Clips:
    """Recorded behaviour.

    Attributes:
        features: float32 (B, T, F), what is known at each moment.
        actions: float32 (B, T, A), what was done next, in the mean over the ticks of a step.
        known: bool (B, T), whether that is known.
    """

    features: Tensor
    actions: Tensor
    known: Tensor


@dataclass(slots=True)
class WorldStep:
    """Where a world is after a step, for B dreams.

    Attributes:
        state: To go on from; whatever the world likes.
        features: float32 (B, F).
        rewards: float32 (B,), that came with the step; zeros at the beginning.
        continues: float32 (B,) in [0, 1], how likely the episode goes on.
    """

    state: Any
    features: Tensor
    rewards: Tensor
    continues: Tensor


class World(Protocol):
    """What a policy learns in.

    Attributes:
        num_features: F.
    """

    num_features: int

    def clips(self, batch: int, random: torch.Generator) -> Clips:
        """Draws recorded behaviour."""

    def begin(self, batch: int, random: torch.Generator) -> WorldStep:
        """Draws moments at which dreams begin."""

    def step(self, state: Any, actions: Tensor, random: torch.Generator) -> WorldStep:
        """Goes on by one step, by actions (B, A)."""


class ModelWorld:
    """Dreams of a world model that begin at moments of recorded episodes, all of them in one batch.

    An action is held for all ticks of a step: a real environment takes one action for a step, too.

    Attributes:
        num_features: F.
    """

    def __init__(self, model: WorldModel, bucket: LatentBucket, *, context_latents: int, num_steps: int) -> None:
        """Takes a model and data.

        Args:
            model: It is not changed.
            bucket: Its latents of recorded episodes.
            context_latents: Most latent frames that it sees of an episode.
            num_steps: Sampling steps of each latent frame.
        """
        self._model, self._bucket = model, bucket
        longest = max(episode.length for episode in bucket.episodes)
        self._context, self._num_steps = min(context_latents, longest), num_steps
        self.num_features = count_features(model, bucket.height, bucket.width)

    @torch.no_grad()
    def clips(self, batch: int, random: torch.Generator) -> Clips:
        """Draws clips of recorded behaviour, all of one length, which is drawn as well."""
        length = min(self._length(random) + 1, max(episode.length for episode in self._bucket.episodes))
        model, clips = self._model, draw_clips(self._bucket, batch, length, random)
        latents, level = clips.latents.to(model.device), model.config.denoiser.context_noise
        noisy = (1 - level) * latents + level * draw_noise(latents.shape, random).to(model.device)
        actions = clips.actions.to(model.device)
        output = model.denoiser(model.inputs(noisy, level, actions=actions))
        return Clips(
            _features(output.agent, latents)[:, :-1],
            actions[:, 1:].mean(2),
            torch.logical_not(clips.action_null[:, 1:]).to(model.device),
        )

    def begin(self, batch: int, random: torch.Generator) -> WorldStep:
        """Draws moments of recorded episodes; the model has seen some of what was before, as far back as is drawn."""
        length = self._length(random)
        model, clips = self._model, draw_clips(self._bucket, batch, length, random)
        state = streaming.begin(model, [""] * batch, self._bucket.height, self._bucket.width)
        for t in range(length):
            latents = clips.latents[:, t].to(model.device)
            step = streaming.observe(model, state, latents, clips.actions[:, t], random)
            state = step.state
        alive = torch.logical_not(clips.terminated[:, -1]).float().to(model.device)
        return WorldStep(state, features_of(step), torch.zeros_like(alive), alive)

    def step(self, state: streaming.DreamState, actions: Tensor, random: torch.Generator) -> WorldStep:
        """Dreams on."""
        model = self._model
        held = actions[:, None].expand(-1, model.frames_per_latent, -1)
        step = streaming.imagine(model, state, held, random, num_steps=self._num_steps)
        heads = step.heads
        rewards = expected_reward(heads.reward_logits[:, 0])
        return WorldStep(step.state, features_of(step), rewards, 1 - heads.termination_logits[:, 0].float().sigmoid())

    def _length(self, random: torch.Generator) -> int:
        return 1 + int(torch.randint(self._context, (), generator=random))


def count_features(model: WorldModel, height: int, width: int) -> int:
    """Returns F, for a frame size in pixels."""
    h, w = model.grid(height, width)
    return model.config.denoiser.transformer.width + h * w * model.config.compression.channels


def features_of(step: streaming.DreamStep) -> Tensor:
    """Returns what the model knows after a step, float32 (B, F): its agent token, and the latent frame itself."""
    return _features(step.heads.agent[:, 0], step.latents)


def _features(agent: Tensor, latents: Tensor) -> Tensor:
    """Returns features (..., F) of agent tokens (..., D) and latent frames (..., h, w, C)."""
    return torch.cat([agent.float(), latents.float().flatten(-3)], dim=-1)
