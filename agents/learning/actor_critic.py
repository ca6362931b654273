"""Actor and critic: small networks on what the world model knows of a moment.

Sources: Hafner et al., 2023, "Mastering Diverse Domains through World Models" (a critic with two-hot bins in symlog);
Hafner et al., 2025, "Training Agents Inside of Scalable World Models" (a frozen prior of the recorded behaviour).

Shapes: (...) moments, F features of a moment, A width of an action vector.
"""

import torch
from torch import Tensor, nn

from worldmodel.data.action_codec import ActionCodec
from worldmodel.model.heads import REWARD_BINS, FactorDistribution, expected_reward


class ActorCritic(nn.Module):
    """A policy, the policy it began as, and a critic.

    Attributes:
        factors: Distributions over the factors of an action, each a category of its own.
        actor: From features to logits of the factors.
        prior: The same of the recorded behaviour; it is not learned, but taken from the actor after cloning.
        critic: From features to logits over bins of return.
    """

    def __init__(self, num_features: int, codec: ActionCodec, hidden: int) -> None:
        """Makes networks: uniform policies, and a critic that says 0.

        Args:
            num_features: F.
            codec: Of the action space.
            hidden: Width of the layers.
        """
        super().__init__()
        self.factors = FactorDistribution(codec)
        self.actor = _network(num_features, hidden, codec.width)
        self.prior = _network(num_features, hidden, codec.width).requires_grad_(False)
        self.critic = _network(num_features, hidden, REWARD_BINS)

    def value(self, features: Tensor) -> Tensor:
        """Returns the expected return (...) at moments (..., F)."""
        return expected_reward(self.critic(features))

    def log_likelihood(self, logits: Tensor, actions: Tensor) -> Tensor:
        """Returns the logarithm of the probability (...) of actions (..., A), in nats, under logits (..., A)."""
        return -self.factors.cross_entropy(logits, actions)

    def divergence(self, logits: Tensor, others: Tensor) -> Tensor:
        """Returns how far a policy is from another, both as logits (..., A): KL(policy || other) in nats, (...)."""
        chances = self.factors.probabilities(logits)
        return self.factors.cross_entropy(others, chances) - self.factors.cross_entropy(logits, chances)

    def entropy(self, logits: Tensor) -> Tensor:
        """Returns the entropy (...) of a policy as logits (..., A), in nats, summed over factors."""
        return self.factors.cross_entropy(logits, self.factors.probabilities(logits))

    @torch.no_grad()
    def freeze_prior(self) -> None:
        """Makes the policy, as it is now, the prior."""
        self.prior.load_state_dict(self.actor.state_dict())


def _network(num_features: int, hidden: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        *(nn.Linear(num_features, hidden), nn.LayerNorm(hidden), nn.SiLU()),
        *(nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.SiLU()),
        last,
    )
