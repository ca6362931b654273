"""What is left out or exchanged, one thing at a time.

Shapes: B batch, T latent frames, S tokens a frame, D width, h w latent grid, C latent channels, r ticks in a latent
frame.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from worldmodel.model.denoiser import Denoiser, DenoiserInput
from worldmodel.training.losses import Clips, DenoiserLoss, LossWeights
from worldmodel.training.noising import NoisePlan

FIRST = "base"
"""The variant that all others are compared with: the recipe as it is."""
_LEAST_SIGMA = 0.05
"""Below this the weight of an error in velocities grows no more."""


class CleanDenoiser(Denoiser):
    """Predicts clean latents outright, without a first guess to add to."""

    def _clean(self, inputs: DenoiserInput, condition: Tensor, change: Tensor) -> Tensor:
        return torch.where(inputs.sigma[..., None] > 0, change.float(), inputs.latents.float())


class VelocityDenoiser(Denoiser):
    """Predicts the velocity, noise minus clean latents; the clean ones follow from it and from what is seen."""

    def _clean(self, inputs: DenoiserInput, condition: Tensor, change: Tensor) -> Tensor:
        return inputs.latents.float() - inputs.sigma[..., None].float() * change.float()


class VelocityLoss(DenoiserLoss):
    """Counts errors of velocities: those of clean latents over the squared noise level."""

    def forward(self, clips: Clips, plan: NoisePlan, weights: LossWeights) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of a batch, and its parts."""
        return super().forward(
            clips, plan, replace(weights, latent=weights.latent / plan.sigma.clamp_min(_LEAST_SIGMA).square())
        )


class TokenActionDenoiser(Denoiser):
    """Gets actions as a token of each frame alone; the conditions of the layers do not know them."""

    def _condition(self, inputs: DenoiserInput, action: Tensor) -> Tensor:
        return super()._condition(inputs, torch.zeros_like(action))


class ConditionActionDenoiser(Denoiser):
    """Gets actions as conditions of the layers alone; the token beside the patches does not know them."""

    def _tokens(self, inputs: DenoiserInput) -> tuple[Tensor, Tensor]:
        tokens, action = super()._tokens(inputs)
        known = torch.zeros_like(tokens)
        known[:, :, -2] = action.to(tokens.dtype)
        return tokens - known, action


class UnheardActionDenoiser(Denoiser):
    """Embeds actions by layers of ordinary initialisation."""

    def make_actions_heard(self, rest: Tensor) -> None:
        """Leaves them as they are."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A model and its training, as far as they differ from the recipe.

    Attributes:
        question: Under which it stands in the table.
        change: What is different, in a few words.
        model: Arguments of `model_config`.
        time_every: Every how many layers frames look at earlier ones.
        denoiser: The network.
        loss: What it is trained on.
        training: Settings of `DenoiserTraining`.
        clean_noise: Share of known frames that carry a little noise in training.
        seed: Of weights, batches and noise.
    """

    question: str
    change: str
    model: dict[str, Any] = field(default_factory=dict)
    time_every: int = 2
    denoiser: type[Denoiser] = Denoiser
    loss: type[DenoiserLoss] = DenoiserLoss
    training: dict[str, Any] = field(default_factory=dict)
    clean_noise: float = 0.3
    seed: int = 0

    @property
    def frames_per_latent(self) -> int:
        """r, which decides the compression network."""
        return self.model.get("frames_per_latent", 2)


VARIANTS: dict[str, Variant] = {
    FIRST: Variant("the recipe", "as it is"),
    "seed": Variant("chance", "another seed", seed=1),
    "clean": Variant("what is predicted", "clean latents, without a first guess", denoiser=CleanDenoiser),
    "velocity": Variant("what is predicted", "velocities", denoiser=VelocityDenoiser, loss=VelocityLoss),
    "no_noise": Variant("noise on the past", "none", {"context_noise": 0.0}, clean_noise=0.0),
    "more_noise": Variant("noise on the past", "0.15 instead of 0.05", {"context_noise": 0.15}),
    "time_1": Variant("attention in time", "in every layer instead of every second", time_every=1),
    "time_3": Variant("attention in time", "in every third layer", time_every=3),
    "tokens_36": Variant("tokens of a frame", "36 patches instead of 9", {"latent_patch": 1}),
    "tokens_4": Variant("tokens of a frame", "4 patches", {"latent_patch": 3}),
    "ticks_1": Variant("ticks in a latent frame", "1 instead of 2", {"frames_per_latent": 1}),
    "ticks_4": Variant("ticks in a latent frame", "4", {"frames_per_latent": 4}),
    "no_shortcut": Variant("long sampling steps", "not trained", training={"shortcut_share": 0.0}),
    "action_token": Variant("actions", "as a token only", denoiser=TokenActionDenoiser),
    "action_condition": Variant("actions", "as a condition only", denoiser=ConditionActionDenoiser),
    "action_unheard": Variant("actions", "ordinary initialisation", denoiser=UnheardActionDenoiser),
}
"""All by name. Frames of 48 x 48 have 6 x 6 sites, so that patches of 2 x 2 make 9 tokens."""
