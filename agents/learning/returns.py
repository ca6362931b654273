"""Returns of imagined rollouts.

Sources: Sutton & Barto, 2018, "Reinforcement Learning: An Introduction", section 12.1 (lambda-returns); Hafner et al.,
2023, "Mastering Diverse Domains through World Models", section "Critic learning" (with predicted continuation).

Shapes: H steps of a dream, (...) dreams.
"""

import torch
from torch import Tensor


def lambda_returns(
    rewards: Tensor, continues: Tensor, values: Tensor, *, discount: float, trace_decay: float
) -> Tensor:
    """Returns what each moment of a dream is worth, by rewards that come and values where they are not trusted.

    `R[t] = r[t] + discount * c[t] * ((1 - trace_decay) * v[t + 1] + trace_decay * R[t + 1])`, and `R[H] = v[H]`.

    Args:
        rewards: (H, ...), r[t] comes with the step from moment t to t + 1.
        continues: (H, ...), c[t] in [0, 1], how likely the episode goes on after that step.
        values: (H + 1, ...), of the critic, at every moment.
        discount: Of what comes a step later.
        trace_decay: Lambda, 0 to 1.

    Returns:
        (H, ...).

    Raises:
        ValueError: If shapes do not fit together.
    """
    if continues.shape != rewards.shape or values.shape != (len(rewards) + 1, *rewards.shape[1:]):
        raise ValueError(
            f"values: expected one moment more than rewards {tuple(rewards.shape)} and continues "
            f"{tuple(continues.shape)}, which are alike, got {tuple(values.shape)}"
        )
    following, found = values[-1], []
    for t in reversed(range(len(rewards))):
        mixed = (1 - trace_decay) * values[t + 1] + trace_decay * following
        following = rewards[t] + discount * continues[t] * mixed
        found.append(following)
    return torch.stack(found[::-1])


def survival(alive: Tensor, continues: Tensor) -> Tensor:
    """Returns how likely the episode still runs at each moment.

    Args:
        alive: (...), at the first moment.
        continues: (H, ...), how likely it goes on after each step.

    Returns:
        (H + 1, ...).
    """
    return torch.cat([alive[None], alive * continues.cumprod(0)])
