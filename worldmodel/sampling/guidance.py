"""Classifier-free guidance, composed from several conditions.

Shapes: `B` batch, `T` latent frames, `h w` rows and columns of tokens in a latent frame, `C` channels, `r` frames per
latent frame, `A` action width.

Guidance pushes a prediction away from the one made without a condition (Ho and Salimans 2022, arXiv:2207.12598).
Several conditions are composed by adding their pushes (Liu et al. 2022, arXiv:2206.01714), each measured from the
prediction that has all conditions but that one. Leaving out the known frames is history guidance (Song et al. 2025,
arXiv:2502.06764).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from torch import Tensor

from worldmodel.sampling.sampler import Denoise


@dataclass(kw_only=True, slots=True)
class Guidance:
    """Guidance scales: 1 is off, above 1 follows the condition more closely, 0 ignores it.

    Attributes:
        text: Scale of the prompt.
        action: Scale of the actions.
        history: Scale of the known frames.

    Raises:
        ValueError: If a scale is negative or not finite.
    """

    text: float = 1.0
    action: float = 1.0
    history: float = 1.0

    def __post_init__(self) -> None:
        """Checks the scales."""
        for name, scale in self.scales().items():
            if not (math.isfinite(scale) and scale >= 0):
                raise ValueError(f"{name}: expected a finite guidance scale of at least 0, got {scale}; 1 turns it off")

    def scales(self) -> dict[str, float]:
        """Scales by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def needed(guidance: Guidance) -> list[str]:
    """Names of the conditions whose scale is not 1: each costs one more pass through the model, without it."""
    return [name for name, scale in guidance.scales().items() if scale != 1]


def combine(conditional: Tensor, nulls: Mapping[str, Tensor], guidance: Guidance) -> Tensor:
    """Returns `conditional + sum_i (scale_i - 1) * (conditional - null_i)`.

    Args:
        conditional: Prediction with every condition, any shape.
        nulls: By name of a condition, the prediction that lacks this one only, shaped like `conditional`. Those whose
            scale is 1 are not looked at.
        guidance: Scales.

    Returns:
        The guided prediction, like `conditional`; `conditional` itself if all scales are 1.

    Raises:
        ValueError: If a needed prediction is missing, a name is unknown, or shapes differ.
    """
    _check_names(nulls, guidance)
    result = conditional
    for name in needed(guidance):
        null = nulls[name]
        if null.shape != conditional.shape:
            raise ValueError(
                f"nulls[{name!r}]: expected the shape of conditional, {tuple(conditional.shape)}, "
                f"got {tuple(null.shape)}"
            )
        result = result + (guidance.scales()[name] - 1) * (conditional - null)
    return result


def guided(denoise: Denoise, nulls: Mapping[str, Denoise], guidance: Guidance) -> Denoise:
    """Returns a denoiser for `sample` whose predictions of latents and actions are guided.

    Args:
        denoise: The denoiser with every condition.
        nulls: By name of a condition, the denoiser that lacks this one only. Those whose scale is 1 are never called.
        guidance: Scales.

    Raises:
        ValueError: If a needed denoiser is missing or a name is unknown.
    """
    _check_names(nulls, guidance)
    names = needed(guidance)
    if not names:
        return denoise

    def denoise_guided(z: Tensor, sigma: Tensor, action_z: Tensor, action_sigma: Tensor) -> tuple[Tensor, Tensor]:
        latents, actions = denoise(z, sigma, action_z, action_sigma)
        null = {name: nulls[name](z, sigma, action_z, action_sigma) for name in names}
        # In float32: differences of near predictions, scaled up, are what half precision holds worst.
        return (
            combine(latents.float(), {name: parts[0].float() for name, parts in null.items()}, guidance),
            combine(actions.float(), {name: parts[1].float() for name, parts in null.items()}, guidance),
        )

    return denoise_guided


def _check_names(nulls: Mapping[str, object], guidance: Guidance) -> None:
    unknown = sorted(set(nulls) - set(guidance.scales()))
    if unknown:
        raise ValueError(f"nulls: expected names among {list(guidance.scales())}, got {unknown}")
    missing = [name for name in needed(guidance) if name not in nulls]
    if missing:
        raise ValueError(
            f"nulls: expected one for each of {needed(guidance)}, got none for {missing}; "
            "give it, or set its scale to 1"
        )
