"""The loss of the denoiser: clean latents, shortcuts, actions, and the heads.

Sources: Lipman et al., 2023, "Flow Matching" (the path); Frans et al., 2024, "One Step Diffusion via Shortcut Models"
(a long step learned from two short ones); Hafner et al., 2025, "Training Agents Inside of Scalable World Models",
section 3.3 (both in the space of clean latents, weighted by a ramp); Hafner et al., 2023, "Mastering Diverse Domains
through World Models" (two-hot distributions over rewards in symlog).

Shapes: B batch, T latent frames, h w latent grid, C latent channels, r ticks in a latent frame, A action width.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel.model.denoiser import STEP_SIZES, DenoiserInput, DenoiserOutput
from worldmodel.model.heads import reward_target
from worldmodel.model.text import Prompts
from worldmodel.model.world_model import WorldModel
from worldmodel.training.noising import NoisePlan

ACTION_WEIGHT, POLICY_WEIGHT, REWARD_WEIGHT, TERMINATION_WEIGHT = 0.02, 0.02, 0.02, 0.05
"""Weights of the other losses beside that of the latents, whose scale is that of their variance, 1."""
RAMP_FLOOR = 0.6
"""Weight of latents at pure noise; it rises evenly to 1 for clean ones."""


@dataclass(slots=True)
class Clips:
    """A batch of clips as latents, with everything that belongs to them.

    Attributes:
        latents: float32 (B, T, h, w, C).
        actions: float32 (B, T, r, A), what led to each latent frame.
        action_null: bool (B, T), where there is no action.
        rewards: float32 (B, T), sum over the ticks of each latent frame.
        terminated: bool (B, T), whether the episode ended with it.
        prompts: Captions.
        noise: float32 like `latents`.
        action_noise: float32 like `actions`.
        causal: Whether frames see no later ones.
        periodic: Whether the end meets the start.
    """

    latents: Tensor
    actions: Tensor
    action_null: Tensor
    rewards: Tensor
    terminated: Tensor
    prompts: Prompts
    noise: Tensor
    action_noise: Tensor
    causal: bool
    periodic: bool = False


@dataclass(slots=True)
class LossWeights:
    """What every part of the loss counts, so that the mean over the items of a batch is the mean over what counts.

    They come from the whole batch: many machines, each with some of its items, then get the gradient of one machine.

    Attributes:
        latent: (B, T, h, w), for unknown sites, less at high noise.
        action: (B, T), for actions that are noisy.
        policy: (B, T - 1), for the action that follows each frame, as far as the frame can be seen.
        head: (B, T), for reward and termination, likewise.
    """

    latent: Tensor
    action: Tensor
    policy: Tensor
    head: Tensor


def loss_weights(clips: Clips, plan: NoisePlan) -> LossWeights:
    """Returns the weights of a whole batch."""
    null = clips.action_null | plan.action_null[:, None]
    ramp = plan.unknown * (1 - (1 - RAMP_FLOOR) * plan.sigma)
    # With a look into the future, which not causal batches have, the heads would be told what they are to predict.
    clear = (1 - plan.sigma.amax((2, 3))) * float(clips.causal)
    return LossWeights(
        latent=ramp * (len(ramp) / plan.unknown.sum()),
        action=_normalised(((plan.action_sigma > 0) & ~null).float()),
        policy=_normalised(clear[:, :-1] * ~clips.action_null[:, 1:]),
        head=_normalised(clear),
    )


def _normalised(weights: Tensor) -> Tensor:
    """Returns weights (B, ...) whose sum over an item is 1 in the mean; zeros stay zeros."""
    return weights * (len(weights) / weights.sum().clamp_min(1e-6))


class DenoiserLoss(nn.Module):
    """The denoiser and text encoder with their loss, as one module to train (and to wrap for many machines)."""

    def __init__(self, model: WorldModel) -> None:
        """Takes the two parts of a model."""
        super().__init__()
        self.denoiser, self.text = model.denoiser, model.text
        self.factors = model.factors

    def forward(self, clips: Clips, plan: NoisePlan, weights: LossWeights) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of a batch, and its parts for the log."""
        sigma = plan.sigma[..., None]
        z = (1 - sigma) * clips.latents + sigma * clips.noise
        action_sigma = plan.action_sigma[..., None, None]
        null = clips.action_null | plan.action_null[:, None]
        prompts = _without(clips.prompts, plan.text_null)
        inputs = DenoiserInput(
            latents=z,
            sigma=plan.sigma,
            actions=(1 - action_sigma) * clips.actions + action_sigma * clips.action_noise,
            action_sigma=plan.action_sigma,
            action_null=null,
            text=self.text(prompts),
            text_mask=prompts.mask,
            step_size=torch.full((len(z),), plan.step_size, dtype=torch.int64, device=z.device),
            causal=clips.causal,
            periodic=clips.periodic,
        )
        target = clips.latents if plan.step_size == 0 else self._shortcut_target(inputs, plan)
        output = self.denoiser(inputs)

        error = (output.latents.float() - target).square().mean(-1)  # (B, T, h, w)
        latent = _weigh(error, weights.latent)
        parts = {"latent": latent}
        loss = latent + self._head_losses(output, clips, weights, parts)
        return loss, {name: part.detach() for name, part in parts.items()}

    def _head_losses(
        self, output: DenoiserOutput, clips: Clips, weights: LossWeights, parts: dict[str, Tensor]
    ) -> Tensor:
        """Returns the weighted sum of the other losses, and puts each into `parts`."""
        if self.factors is None:
            action = policy = output.action_logits.sum() * 0.0
        else:
            action = _weigh(self.factors.cross_entropy(output.action_logits, clips.actions).mean(-1), weights.action)
            following = self.factors.cross_entropy(output.policy_logits[:, :-1], clips.actions[:, 1:])
            policy = _weigh(following.mean(-1), weights.policy)
        bins = output.reward_logits.float().log_softmax(-1)
        reward = _weigh(-(reward_target(clips.rewards) * bins).sum(-1), weights.head)
        ends = F.binary_cross_entropy_with_logits(
            output.termination_logits.float(), clips.terminated.float(), reduction="none"
        )
        termination = _weigh(ends, weights.head)
        parts |= {"action": action, "policy": policy, "reward": reward, "termination": termination}
        return (
            ACTION_WEIGHT * action + POLICY_WEIGHT * policy + REWARD_WEIGHT * reward + TERMINATION_WEIGHT * termination
        )

    @torch.no_grad()
    def _shortcut_target(self, inputs: DenoiserInput, plan: NoisePlan) -> Tensor:
        """Returns the clean latents that one long step must aim at to end where two half steps end."""
        half = STEP_SIZES[plan.step_size] / 2
        # The shortest step that is learned starts from the model's own idea of tiny steps.
        size = max(plan.step_size - 1, 0)
        short = replace(inputs, step_size=torch.full_like(inputs.step_size, size), text=inputs.text.detach())
        first = self.denoiser(short).latents.float()
        step = torch.where(plan.unknown, half, 0.0)
        middle = inputs.sigma - step
        # Towards the prediction: what is left of the noise shrinks with the level.
        kept = (middle / inputs.sigma.clamp_min(1e-6))[..., None]
        halfway = torch.where(plan.unknown[..., None], first + kept * (inputs.latents - first), inputs.latents)
        second = self.denoiser(replace(short, latents=halfway, sigma=middle)).latents.float()
        velocity = (inputs.latents - first) / inputs.sigma.clamp_min(1e-6)[..., None]
        velocity = velocity + (halfway - second) / middle.clamp_min(1e-6)[..., None]
        aim = inputs.latents - inputs.sigma[..., None] * velocity / 2
        return torch.where(plan.unknown[..., None], aim, inputs.latents)


def _weigh(values: Tensor, weights: Tensor) -> Tensor:
    """Returns the sum of each item, weighted, in the mean over items."""
    return (values * weights).sum() / len(values)


def _without(prompts: Prompts, null: Tensor) -> Prompts:
    """Returns the prompts, with those of some items left out."""
    mask = prompts.mask & ~(null[:, None] & (torch.arange(prompts.mask.shape[1], device=null.device) > 0))
    return Prompts(torch.where(mask[..., None], prompts.codes, 0), mask)
