"""The diffusion transformer: predicts the clean latents, and the clean actions, of a video at given noise levels.

Every latent frame, and every action, has a noise level of its own, so that one set of weights serves every task: what
is known is at level 0. Block-causal and bidirectional attention in time are two modes of the same weights.

Sources: OpenAI, 2024, "Video generation models as world simulators" (a diffusion transformer that predicts clean
patches); Chen et al., 2024, "Diffusion Forcing" (noise levels by frame); Frans et al., 2024, "One Step Diffusion via
Shortcut Models" (the size of the sampling step as a condition); Hafner et al., 2025, "Training Agents Inside of
Scalable World Models" (shortcut forcing in x-space, agent tokens that nothing reads); Karras et al., 2022, "Elucidating
the Design Space of Diffusion-Based Generative Models", section 5 (the network adds to what is known without it).

Shapes: B batch, T latent frames, h w latent grid, C latent channels, S tokens a frame, D width, L words,
r ticks in a latent frame, A width of an action vector.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from worldmodel.model.heads import REWARD_BINS
from worldmodel.model.patches import patchify, unpatchify
from worldmodel.model.places import PlaceEmbedding
from worldmodel.model.rotary import space_angles, time_angles
from worldmodel.model.transformer import Geometry, KeysValues, Norm, Past, Transformer, TransformerConfig, time_mask

STEP_SIZES = (0.0, 0.25, 0.5, 1.0)
"""Sizes of a sampling step that the model knows: infinitely small, and those of sampling in 4, 2 and 1 steps."""


@dataclass(kw_only=True, slots=True)
class DenoiserConfig:
    """Size of the denoiser.

    Attributes:
        transformer: The stack.
        patch: Side of the square of latent sites that becomes one token.
        registers: Free tokens in each frame.
        window: Earlier latent frames that a streaming step remembers at most.
        sinks: How many of the first latent frames it keeps besides.
        context_noise: Declared noise level at which finished frames are remembered.
    """

    transformer: TransformerConfig = field(default_factory=lambda: TransformerConfig(width=256, depth=6, time_every=2))
    patch: int = 2
    registers: int = 2
    window: int = 16
    sinks: int = 1
    context_noise: float = 0.05


@dataclass(slots=True)
class DenoiserInput:
    """What the denoiser looks at.

    Attributes:
        latents: (B, T, h, w, C), at their noise levels.
        sigma: (B, T, h, w) in [0, 1], noise levels of latents.
        actions: (B, T, r, A), what led to each latent frame, at their noise levels.
        action_sigma: (B, T) in [0, 1].
        action_null: bool (B, T): no action is given there, as for the first frame of an episode, or for a video
            without actions.
        text: (B, L, D), words of the prompts.
        text_mask: bool (B, L).
        step_size: int64 (B,), index into `STEP_SIZES`.
        causal: Whether frames see no later ones.
        periodic: Whether the end of the video meets its start.
        before: (B, h, w, C), the latent frame before the first one, at its noise level, where there is a past;
            `None` for none.
        before_sigma: (B, h, w), its noise levels; 1 where there is no past.
    """

    latents: Tensor
    sigma: Tensor
    actions: Tensor
    action_sigma: Tensor
    action_null: Tensor
    text: Tensor
    text_mask: Tensor
    step_size: Tensor
    causal: bool = True
    periodic: bool = False
    before: Tensor | None = None
    before_sigma: Tensor | None = None

    def previous(self) -> tuple[Tensor, Tensor]:
        """Returns the frame before each one, (B, T, h, w, C), and its noise levels; pure noise of size 0 for none."""
        if self.periodic:
            return self.latents.roll(1, 1), self.sigma.roll(1, 1)
        before, sigma = self.before, self.before_sigma
        if before is None or sigma is None:
            before, sigma = torch.zeros_like(self.latents[:, 0]), torch.ones_like(self.sigma[:, 0])
        latents = torch.cat([before[:, None].to(self.latents.dtype), self.latents[:, :-1]], dim=1)
        return latents, torch.cat([sigma[:, None].to(self.sigma.dtype), self.sigma[:, :-1]], dim=1)


@dataclass(slots=True)
class DenoiserOutput:
    """What the denoiser says.

    Attributes:
        latents: float32 (B, T, h, w, C), prediction of the clean latents.
        action_logits: (B, T, r, A), of the actions that led to each frame.
        policy_logits: (B, T, r, A), of the player's next actions, those that lead to the following frame.
        reward_logits: (B, T, REWARD_BINS), of the reward that came with each frame.
        termination_logits: (B, T), of the episode having ended with each frame.
        agent: (B, T, D), the agent token, from which these last three are read: what the model knows of each moment.
        written: Keys and values of each time attention.
    """

    latents: Tensor
    action_logits: Tensor
    policy_logits: Tensor
    reward_logits: Tensor
    termination_logits: Tensor
    agent: Tensor
    written: list[KeysValues]


class Denoiser(nn.Module):
    """The network. Tokens of a frame: patches, registers, the action token, and last the agent token.

    The agent token reads everything in its frame and its own past, and nothing reads it: what the heads learn from it
    does not disturb the video, and the video does not depend on it.
    """

    def __init__(
        self, config: DenoiserConfig, *, channels: int, frames_per_latent: int, action_width: int, latent_seconds: float
    ) -> None:
        """Makes the network.

        Args:
            config: Sizes.
            channels: C.
            frames_per_latent: r.
            action_width: A; 0 for data without actions.
            latent_seconds: Duration of a latent frame.
        """
        super().__init__()
        self.config, self.channels = config, channels
        self.latent_seconds = latent_seconds
        width = config.transformer.width
        site = config.patch**2 * channels
        self.action_shape = (frames_per_latent, action_width)
        self.num_extra = config.registers + 2

        self.from_latent = nn.Linear(2 * (site + config.patch**2), width)
        self.places = PlaceEmbedding(width)
        self.extra_tokens = nn.Parameter(0.5 * torch.randn(self.num_extra, width))
        self.from_action = nn.Sequential(
            nn.Linear(frames_per_latent * action_width, width), Norm(width), nn.SiLU(), nn.Linear(width, width)
        )
        self.action_null = nn.Parameter(torch.zeros(width))
        self.from_sigma = nn.Sequential(nn.Linear(2 * _LEVEL_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.step_size = nn.Embedding(len(STEP_SIZES), width)
        self.mode = nn.Embedding(2, width)
        self.transformer = Transformer(config.transformer, conditioned=True)
        self.norm = Norm(width)
        self.modulation = nn.Linear(width, 2 * width)
        self.likeness = nn.Linear(width, 1)
        self.to_latent = nn.Linear(width, site)
        self.to_action = nn.Linear(width, frames_per_latent * action_width)
        self.to_policy = nn.Linear(width, frames_per_latent * action_width)
        self.to_reward = nn.Linear(width, REWARD_BINS)
        self.to_termination = nn.Linear(width, 1)
        for head in (self.modulation, self.likeness, self.to_latent, self.to_action, self.to_policy, self.to_reward):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        for table in (self.step_size, self.mode):  # next to the action, which must be heard among them
            nn.init.normal_(table.weight, std=0.1)
        nn.init.ones_(self.likeness.bias)  # a correlation of .73: that of the block world, in steps of a tenth second
        nn.init.zeros_(self.to_termination.weight)
        nn.init.constant_(self.to_termination.bias, -5.0)  # ends are rare

    @torch.no_grad()
    def make_actions_heard(self, rest: Tensor) -> None:
        """Begins with an embedding of actions that tells any two of them well apart.

        Most of an action says what is not done, the same in nearly all of them: beside so much that never changes, a
        network of ordinary initialisation hardly notices the rest.

        Args:
            rest: (A,), the action that does nothing; what is measured is the difference to it.
        """
        first, last = self.from_action[0], self.from_action[-1]
        assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
        nn.init.normal_(first.weight, std=0.3)
        nn.init.normal_(first.bias, std=0.3)
        first.bias.sub_(first.weight @ rest.repeat(self.action_shape[0]).to(first.weight))
        nn.init.normal_(last.weight, std=1.5 / last.in_features**0.5)
        nn.init.zeros_(last.bias)

    def forward(
        self, inputs: DenoiserInput, past: list[Past] | None = None, past_mask: Tensor | None = None
    ) -> DenoiserOutput:
        """Predicts clean latents and actions.

        Args:
            inputs: See `DenoiserInput`.
            past: What each time attention remembers of earlier frames, in streaming; positions in time are then
                counted from the first new frame.
            past_mask: bool (B, R), which of it is there.

        Raises:
            ValueError: If shapes do not fit together.
        """
        self._check(inputs)
        _, num_frames, h, w, _ = inputs.latents.shape
        tokens, action_token = self._tokens(inputs)
        condition = self._condition(inputs, action_token)
        x, written = self.transformer(
            tokens,
            self._geometry(inputs, past_mask),
            condition=condition,
            text=inputs.text,
            text_mask=inputs.text_mask,
            past=past,
        )
        x = self.norm(x)
        patches = num_tokens(h, w, self.config.patch)
        shift, scale = self.modulation(nn.functional.silu(condition)).unsqueeze(2).chunk(2, dim=-1)
        change = self.to_latent(torch.addcmul(shift, x[:, :, :patches], 1 + scale))
        action, agent = x[:, :, -2], x[:, :, -1]
        return DenoiserOutput(
            latents=self._clean(inputs, condition, unpatchify(change, h, w, self.config.patch)),
            action_logits=self.to_action(action).unflatten(-1, self.action_shape),
            policy_logits=self.to_policy(agent).unflatten(-1, self.action_shape),
            reward_logits=self.to_reward(agent),
            termination_logits=self.to_termination(agent).squeeze(-1),
            agent=agent,
            written=written,
        )

    def _clean(self, inputs: DenoiserInput, condition: Tensor, change: Tensor) -> Tensor:
        """Returns the prediction of the clean latents, float32, from what the network adds, both (B, T, h, w, C)."""
        likeness = self.likeness(nn.functional.silu(condition)).squeeze(-1).float().sigmoid().clamp(max=_ALIKE)
        return change + foreseen(inputs, likeness)

    def _tokens(self, inputs: DenoiserInput) -> tuple[Tensor, Tensor]:
        """Returns the tokens (B, T, S, D), and the embedded actions (B, T, D)."""
        _, _, h, w, _ = inputs.latents.shape
        dtype = self.from_latent.weight.dtype
        # The noise level of each site goes in beside it: a part of a frame may be known while the rest is not. So does
        # the same place in the frame before: most of a frame is to be found there, a little further on.
        previous, previous_sigma = inputs.previous()
        parts = (inputs.latents, inputs.sigma[..., None], previous, previous_sigma[..., None])
        sites = torch.cat([part.to(dtype) for part in parts], dim=-1)
        patches = self.from_latent(patchify(sites, self.config.patch))  # (B, T, h w / p^2, D)
        action = self.from_action(inputs.actions.flatten(2).to(dtype))
        action = torch.where(inputs.action_null[..., None], self.action_null.to(action.dtype), action)
        extra = self.extra_tokens.to(patches.dtype).expand(*patches.shape[:2], -1, -1)
        extra = torch.cat([extra[:, :, :-2], extra[:, :, -2:-1] + action.unsqueeze(2), extra[:, :, -1:]], dim=2)
        places = self.places(h // self.config.patch, w // self.config.patch, self.num_extra)
        return torch.cat([patches, extra.to(patches.dtype)], dim=2) + places.to(patches.dtype), action

    def _condition(self, inputs: DenoiserInput, action: Tensor) -> Tensor:
        """Returns the conditions (B, T, D)."""
        # A frame counts as noisy as its noisiest site.
        levels = torch.cat([_embed_level(inputs.sigma.amax((2, 3))), _embed_level(inputs.action_sigma)], dim=-1)
        mode = self.mode(torch.full_like(inputs.step_size, int(inputs.causal)))
        whole = self.step_size(inputs.step_size) + mode
        return self.from_sigma(levels.to(action.dtype)) + action + whole[:, None]

    def _geometry(self, inputs: DenoiserInput, past_mask: Tensor | None) -> Geometry:
        batch, num_frames, h, w, _ = inputs.latents.shape
        head_width = self.config.transformer.head_width
        device = inputs.latents.device
        seconds = torch.arange(num_frames, device=device) * self.latent_seconds
        period = num_frames * self.latent_seconds if inputs.periodic else None
        mask = time_mask(num_frames, causal=inputs.causal)
        if mask is not None:
            mask = None if num_frames == 1 else mask.to(device)
        if past_mask is not None:
            own = torch.ones(num_frames, num_frames, dtype=torch.bool, device=device) if mask is None else mask
            mask = torch.cat([past_mask[:, None].expand(-1, num_frames, -1), own.expand(batch, -1, -1)], dim=-1)
        return Geometry(
            space_angles(h // self.config.patch, w // self.config.patch, self.num_extra, head_width).to(device),
            time_angles(seconds, head_width, period),
            num_unread=1,
            time_mask=mask,
        )

    def _check(self, inputs: DenoiserInput) -> None:
        shape = tuple(inputs.latents.shape)
        if len(shape) != 5 or shape[-1] != self.channels:
            raise ValueError(f"latents: expected (B, T, h, w, {self.channels}), got {shape}")
        batch, num_frames, h, w, _ = shape
        words = inputs.text.shape[1] if inputs.text.ndim == 3 else 0
        expected = {
            "sigma": (inputs.sigma, (batch, num_frames, h, w)),
            "actions": (inputs.actions, (batch, num_frames, *self.action_shape)),
            "action_sigma": (inputs.action_sigma, (batch, num_frames)),
            "action_null": (inputs.action_null, (batch, num_frames)),
            "text": (inputs.text, (batch, words, self.config.transformer.width)),
            "text_mask": (inputs.text_mask, (batch, words)),
            "step_size": (inputs.step_size, (batch,)),
        }
        if inputs.before is not None:
            expected["before"] = (inputs.before, (batch, h, w, self.channels))
        if inputs.before_sigma is not None:
            expected["before_sigma"] = (inputs.before_sigma, (batch, h, w))
        for name, (tensor, wanted) in expected.items():
            if tensor.shape != wanted:
                raise ValueError(f"{name}: expected shape {wanted} beside latents {shape}, got {tuple(tensor.shape)}")


def foreseen(inputs: DenoiserInput, likeness: Tensor) -> Tensor:
    """Returns the best guess of the clean latents that needs no look at the picture, float32 (B, T, h, w, C).

    It is the mean of a normal distribution: latents have variance 1, those of a frame correlate with those of the one
    before, and both are seen through their noise. The network adds what this does not know. So a clean frame is kept as
    it is, and a new one begins as the one before, as far as that can be expected.

    Args:
        inputs: What the denoiser looks at.
        likeness: (B, T) in [0, 1), the correlation of each frame with the one before.
    """
    z, sigma = inputs.latents.float(), inputs.sigma.float()[..., None]
    previous, previous_sigma = (part.float() for part in inputs.previous())
    previous_sigma = previous_sigma[..., None]
    likeness = likeness.float()[:, :, None, None, None]
    signal = 1 - previous_sigma
    power = signal.square() + previous_sigma.square()
    mean = likeness * signal * previous / power
    variance = 1 - likeness.square() * signal.square() / power
    signal = 1 - sigma
    return mean + variance * signal * (z - signal * mean) / (variance * signal.square() + sigma.square())


_ALIKE = 0.999
_LEVEL_FEATURES = 16


def _embed_level(sigma: Tensor) -> Tensor:
    """Embeds noise levels: (...) to (..., _LEVEL_FEATURES)."""
    frequencies = math.pi * 2.0 ** torch.arange(_LEVEL_FEATURES // 2, device=sigma.device) / 2
    angles = sigma.float()[..., None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def num_tokens(h: int, w: int, patch: int) -> int:
    """Returns the number of patches of a latent grid."""
    return (h // patch) * (w // patch)


def step_size_index(num_steps: int) -> int:
    """Returns the index into `STEP_SIZES` for sampling in so many equal steps; that of tiny steps if there is none."""
    size = 1.0 / num_steps
    return STEP_SIZES.index(size) if size in STEP_SIZES else 0
