"""Rollouts of a policy in a world, all in one batch.

Shapes: B dreams, H steps, F features of a moment, A width of an action vector.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.agents.learning.actor_critic import ActorCritic
from worldmodel.agents.learning.returns import survival
from worldmodel.agents.learning.worlds import World


@dataclass(slots=True)
class Imagined:
    """What was dreamed.

    Attributes:
        features: float32 (H + 1, B, F), what is known at each moment.
        actions: float32 (H, B, A), what was done there.
        rewards: float32 (H, B), that came with it.
        continues: float32 (H, B), how likely the episode went on.
        alive: float32 (H + 1, B), how likely it still runs at each moment.
    """

    features: Tensor
    actions: Tensor
    rewards: Tensor
    continues: Tensor
    alive: Tensor

    def mean_return(self) -> float:
        """Returns the mean sum of rewards of a dream, those after the likely end of its episode left out.

        Dreams that begin where an episode has ended do not count.
        """
        sums = (self.rewards * self.alive[:-1]).sum(0)
        return float(sums.sum() / self.alive[0].sum().clamp(min=1))


@torch.no_grad()
def imagine(
    world: World,
    networks: ActorCritic,
    policy: Callable[[Tensor], Tensor],
    *,
    dreams: int,
    horizon: int,
    random: torch.Generator,
) -> Imagined:
    """Rolls a policy out.

    Args:
        world: Where.
        networks: Draws actions.
        policy: From features (B, F) to logits (B, A).
        dreams: B.
        horizon: H.
        random: Of all that is drawn.
    """
    now = world.begin(dreams, random)
    features, actions, rewards, continues, alive = [now.features], [], [], [], now.continues
    for _ in range(horizon):
        actions.append(networks.factors.draw(policy(now.features), random))
        now = world.step(now.state, actions[-1], random)
        features.append(now.features)
        rewards.append(now.rewards)
        continues.append(now.continues)
    going_on = torch.stack(continues)
    return Imagined(
        torch.stack(features), torch.stack(actions), torch.stack(rewards), going_on, survival(alive, going_on)
    )
