"""Learning in dreams: first to do as was recorded, then what is worth more.

A divergence from the cloned behaviour holds the policy where the world model has seen what happens.

Sources: Hafner et al., 2025, "Training Agents Inside of Scalable World Models", section 3.3; Hafner et al., 2023,
"Mastering Diverse Domains through World Models" (the critic).

Shapes: B dreams, H steps of a dream, M moments, F features, A width of an action vector.
"""

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from worldmodel.agents.learning.actor_critic import ActorCritic
from worldmodel.agents.learning.imagination import Imagined, imagine
from worldmodel.agents.learning.objective import policy_loss, weighted_mean
from worldmodel.agents.learning.returns import lambda_returns
from worldmodel.agents.learning.settings import LearningConfig
from worldmodel.agents.learning.states import Progress, read_state, write_state
from worldmodel.agents.learning.worlds import World
from worldmodel.model.heads import reward_target


@dataclass(slots=True)
class Moments:
    """Moments of dreams, to learn from.

    Attributes:
        features: (M, F).
        actions: (M, A), what was done.
        returns: (M,), what came of it.
        advantages: (M,), how much more that was than the critic expected.
        weights: (M,), how likely the episode still ran.
    """

    features: Tensor
    actions: Tensor
    returns: Tensor
    advantages: Tensor
    weights: Tensor

    def select(self, rows: Tensor) -> "Moments":
        """Returns some of them."""
        return Moments(
            self.features[rows], self.actions[rows], self.returns[rows], self.advantages[rows], self.weights[rows]
        )


class Learner:
    """Learns in a folder, from its last saved state on.

    Attributes:
        networks: Actor, prior and critic.
        config: Settings.
        progress: Where it is.
        objective: The loss of the actor, a function as `policy_loss` is.
    """

    objective = staticmethod(policy_loss)

    def __init__(
        self, world: World, networks: ActorCritic, config: LearningConfig, folder: Path, *, seed: int, origin: dict
    ) -> None:
        """Prepares everything, and goes back to the last saved state if there is one.

        Args:
            world: Where to learn.
            networks: With random weights.
            config: Settings.
            folder: For states.
            seed: Of all that is drawn: every step has a generator of its own, made of this and its number.
            origin: Plain values that are written into each state: what the networks belong to.
        """
        self.world, self.networks, self.config, self.folder = world, networks, config, folder
        self._seed, self._origin = seed, origin
        parameters = [*networks.actor.parameters(), *networks.critic.parameters()]
        self._parameters = parameters
        self._optimizer = torch.optim.Adam(parameters, lr=config.learning_rate, eps=1e-5)
        self.progress = read_state(folder, networks, self._optimizer) or Progress(0, 0.0)

    @property
    def is_cloning(self) -> bool:
        """Whether the recorded actions are still being learned."""
        return self.progress.step < self.config.cloning_steps

    @property
    def share(self) -> float:
        """Share of learning that is over, 0 to 1; 1 means it is done."""
        config, progress = self.config, self.progress
        shares = [0.0]
        if config.max_steps is not None:
            shares.append(progress.step / (config.cloning_steps + config.max_steps))
        if config.max_minutes is not None:
            shares.append(progress.seconds / 60 / config.max_minutes)
        return min(1.0, max(shares))

    def run(
        self,
        *,
        on_step: Callable[[dict[str, float]], None] = lambda figures: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Learns until the end, or until asked to stop, and saves.

        Args:
            on_step: Called after every step with its figures.
            should_stop: Asked after every step.

        Returns:
            Whether the end was reached.
        """
        saved = last = time.perf_counter()
        while self.share < 1 and not should_stop():
            figures = self.take_step()
            now = time.perf_counter()
            self.progress.seconds += now - last
            on_step(figures)
            if now - saved > 60 * self.config.save_minutes:
                self.save()
                saved = time.perf_counter()
            last = time.perf_counter()  # neither a log nor a save counts as learning
        self.save()
        return self.share >= 1

    def save(self) -> None:
        """Saves the state."""
        write_state(self.folder, self.networks, self._optimizer, self.progress, self._origin)

    def take_step(self) -> dict[str, float]:
        """Learns one step. Returns its figures."""
        random = torch.Generator().manual_seed(zlib.crc32(f"{self._seed}|{self.progress.step}".encode()))
        figures = self._clone(random) if self.is_cloning else self._improve(random)
        self.progress.step += 1
        if self.progress.step == self.config.cloning_steps:
            self.networks.freeze_prior()
        return figures

    def dream(self, policy: Callable[[Tensor], Tensor], random: torch.Generator) -> Imagined:
        """Returns dreams of a policy, from features to logits."""
        config = self.config
        return imagine(
            self.world, self.networks, policy, dreams=config.dreams, horizon=config.horizon_steps, random=random
        )

    def _clone(self, random: torch.Generator) -> dict[str, float]:
        """Learns the recorded actions of some clips."""
        clips = self.world.clips(self.config.cloning_batch, random)
        logits = self.networks.actor(clips.features)
        likelihood = self.networks.log_likelihood(logits, clips.actions)
        loss = -weighted_mean(likelihood, clips.known.float())
        self._descend(loss)
        return {"cloning_loss": loss.item()}

    def _improve(self, random: torch.Generator) -> dict[str, float]:
        """Dreams, and learns from it."""
        networks, config = self.networks, self.config
        dreamed = self.dream(networks.actor, random)
        moments, figures = self._judge(dreamed)
        sums: dict[str, float] = {}
        for _ in range(config.epochs):
            order = torch.randperm(len(moments.returns), generator=random).to(moments.returns.device)
            for rows in order.chunk(config.minibatches):
                loss, parts = self._loss(moments.select(rows))
                self._descend(loss)
                for name, value in parts.items():
                    sums[name] = sums.get(name, 0.0) + value / (config.epochs * config.minibatches)
        return figures | sums

    @torch.no_grad()
    def _judge(self, dreamed: Imagined) -> tuple[Moments, dict[str, float]]:
        """Returns the moments of dreams with what came of each."""
        values = self.networks.value(dreamed.features)
        returns = lambda_returns(
            dreamed.rewards,
            dreamed.continues,
            values,
            discount=self.config.discount,
            trace_decay=self.config.trace_decay,
        )
        weights = dreamed.alive[:-1]
        figures = {
            "imagined_return": dreamed.mean_return(),
            "value": float(weighted_mean(values[:-1], weights)),
            "value_error": float(weighted_mean((returns - values[:-1]).square(), weights).sqrt()),
        }
        moments = Moments(
            dreamed.features[:-1].flatten(0, 1),
            dreamed.actions.flatten(0, 1),
            returns.flatten(),
            (returns - values[:-1]).flatten(),
            weights.flatten(),
        )
        return moments, figures

    def _loss(self, moments: Moments) -> tuple[Tensor, dict[str, float]]:
        """Returns the loss of actor and critic, and its parts."""
        networks = self.networks
        logits = networks.actor(moments.features)
        with torch.no_grad():
            prior = networks.prior(moments.features)
        likelihoods = networks.log_likelihood(logits, moments.actions)
        improvement = self.objective(likelihoods, moments.advantages, moments.weights)
        divergence = weighted_mean(networks.divergence(logits, prior), moments.weights)
        critic = networks.critic(moments.features).log_softmax(-1)
        critic_loss = -weighted_mean((critic * reward_target(moments.returns)).sum(-1), moments.weights)
        loss = improvement + self.config.prior_weight * divergence + critic_loss
        figures = {
            "policy_loss": improvement.item(),
            "divergence": divergence.item(),
            "critic_loss": critic_loss.item(),
            "entropy": weighted_mean(networks.entropy(logits.detach()), moments.weights).item(),
        }
        return loss, figures

    def _descend(self, loss: Tensor) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
