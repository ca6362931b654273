"""What the heads of the denoiser mean: distributions over the factors of an action, and over rewards.

Sources: Hafner et al., 2023, "Mastering Diverse Domains through World Models" (two-hot distributions over bins that are
spaced evenly in symlog).

Shapes: A width of an action vector, (...) any.
"""

from collections import defaultdict

import torch
from torch import Tensor, nn

from worldmodel.data.action_codec import ActionCodec

REWARD_BINS = 41
"""Bins of the predicted distribution over rewards, evenly spaced in symlog."""
REWARD_LIMIT = 6.0
"""Symlog of the largest reward that has a bin: about 400."""


class FactorDistribution(nn.Module):
    """Distributions over the factors of an action; factors of equal size take one softmax together."""

    def __init__(self, codec: ActionCodec) -> None:
        """Groups the factors of a codec by size."""
        super().__init__()
        by_size: dict[int, list[Tensor]] = defaultdict(list)
        for factor in codec.factors:
            by_size[factor.size].append(torch.arange(factor.offset, factor.offset + factor.size))
        self.num_groups = len(by_size)
        for i, rows in enumerate(by_size.values()):
            self.register_buffer(f"group_{i}", torch.stack(rows), persistent=False)

    def cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        """Returns the loss in nats, summed over factors, of logits (..., A) for probabilities (..., A): (...)."""
        loss = torch.zeros(logits.shape[:-1], device=logits.device)
        for i in range(self.num_groups):
            columns = getattr(self, f"group_{i}")  # (factors, size)
            loss = loss - (logits[..., columns].float().log_softmax(-1) * target[..., columns]).sum((-2, -1))
        return loss

    def probabilities(self, logits: Tensor) -> Tensor:
        """Returns float32 (..., A), a softmax for each factor, of logits (..., A)."""
        result = torch.zeros_like(logits, dtype=torch.float32)
        for i in range(self.num_groups):
            columns = getattr(self, f"group_{i}")
            result[..., columns] = logits[..., columns].float().softmax(-1)
        return result

    def draw(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """Draws a value of each factor: one-hot float32 (..., A), of logits (..., A).

        Args:
            logits: Of the factors.
            generator: Of a processor; draws one uniform number for each factor.
        """
        result = torch.zeros_like(logits, dtype=torch.float32)
        for i in range(self.num_groups):
            columns = getattr(self, f"group_{i}")
            below = logits[..., columns].float().softmax(-1).cumsum(-1)[..., :-1]  # (..., factors, size - 1)
            uniform = torch.rand(*below.shape[:-1], 1, generator=generator).to(below.device)
            chosen = (below <= uniform).sum(-1)
            result[..., columns] = nn.functional.one_hot(chosen, columns.shape[-1]).float()
        return result


def reward_bins(device: torch.device | None = None) -> Tensor:
    """Returns the rewards that the bins stand for, rising: float32 (REWARD_BINS,)."""
    middle = REWARD_BINS // 2  # exactly 0: most rewards are
    places = torch.arange(-middle, middle + 1, device=device) * (REWARD_LIMIT / middle)
    return places.sign() * places.abs().expm1()


def reward_target(rewards: Tensor) -> Tensor:
    """Returns the two-hot distribution whose mean is the reward (...): (..., REWARD_BINS). Larger ones are clipped."""
    bins = reward_bins(rewards.device)
    rewards = rewards.clamp(bins[0], bins[-1])
    low = (torch.searchsorted(bins, rewards.contiguous(), right=True) - 1).clamp(0, REWARD_BINS - 2)
    share = ((rewards - bins[low]) / (bins[low + 1] - bins[low]))[..., None]
    one_hot = nn.functional.one_hot
    return one_hot(low, REWARD_BINS) * (1 - share) + one_hot(low + 1, REWARD_BINS) * share


def expected_reward(logits: Tensor) -> Tensor:
    """Returns the mean reward (...) of logits (..., REWARD_BINS)."""
    return logits.float().softmax(-1) @ reward_bins(logits.device)
