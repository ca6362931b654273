"""The loss of the actor: PMPO.

Of an action only counts whether it turned out better or worse than the critic expected, so no scale of rewards or
returns has to be known. benchmarks/policy_losses.py sets it beside weights that grow with the advantage.

Sources: Abdolmaleki et al., 2024, "Preference Optimization as Probabilistic Inference"; Hafner et al., 2025, "Training
Agents Inside of Scalable World Models", section 3.3 (its use in dreams).

Shapes: M moments.
"""

import torch
from torch import Tensor


def policy_loss(likelihoods: Tensor, advantages: Tensor, weights: Tensor) -> Tensor:
    """Returns the loss: what turned out well becomes likelier, what turned out badly less likely, each half of it.

    Args:
        likelihoods: (M,), logarithms of the probabilities of what was done, under the policy that learns.
        advantages: (M,), how much more came of it than the critic expected; only the sign counts, 0 is good.
        weights: (M,), what each moment counts, from 0 on.
    """
    better = advantages >= 0
    good = weighted_mean(likelihoods, weights * better)
    bad = weighted_mean(likelihoods, weights * torch.logical_not(better))
    return 0.5 * (bad - good)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Returns the mean of values, each of which counts as much as its weight; 0 if nothing counts."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)
