"""Where a planner tries its candidates out: a dream, or the environment itself. One protocol for both.

Candidates begin at one state. A dream goes on with all of them in one batch: what it remembers is shared until they
differ. A real environment plays one after the other, and is where it was afterwards.

Shapes: N candidates, T steps, r ticks in a latent frame, h w latent grid, C latent channels, A action width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import gymnasium
import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from worldmodel.envs.imagined.core import Imagination
    from worldmodel.envs.imagined.dreams import Snapshot
    from worldmodel.model import WorldModel


@dataclass(kw_only=True, slots=True)
class Rollouts:
    """What became of N candidates.

    Attributes:
        rewards: float64 (N, T); 0 after the end of an episode.
        taken: bool (N, T), whether the episode was still going when the step was taken.
        over: bool (N,), whether it has ended, be it with the last step.
        observations: Of each candidate, one for each step that was taken; empty lists from a dream.
        latents: float32 (N, T, h, w, C), latent frames of a dream; `None` from a real environment.
        model: The model that dreamed; likewise.
        states: Where each candidate ended, to go on from; empty if they were not kept.
    """

    rewards: np.ndarray
    taken: np.ndarray
    over: np.ndarray
    observations: list[list[Any]]
    latents: "Tensor | None" = None
    model: "WorldModel | None" = None
    states: list[Any] = field(default_factory=list)

    @property
    def last(self) -> np.ndarray:
        """int64 (N,), the last step of each that was taken."""
        return self.taken.sum(1) - 1

    def last_latents(self) -> "Tensor":
        """Returns the latent frame at the end of each: float32 (N, h, w, C); only from a dream."""
        import torch

        assert self.latents is not None
        return self.latents[torch.arange(len(self.latents)), torch.from_numpy(self.last)]

    def last_frames(self) -> np.ndarray:
        """Returns the observation at the end of each: (N, ...); a dream makes these frames now, uint8 (N, H, W, 3)."""
        if self.model is None:
            return np.stack([np.asarray(seen[-1]) for seen in self.observations])
        return self.model.decode_groups(self.last_latents())[:, -1].cpu().numpy()

    def frames(self) -> list[np.ndarray]:
        """Returns what each candidate saw, one observation for each step that was taken: (T, ...) each."""
        if self.model is None or self.latents is None:
            return [np.stack([np.asarray(observation) for observation in seen]) for seen in self.observations]
        groups = self.model.decode_groups(self.latents.flatten(0, 1))[:, -1].cpu().numpy()
        steps = groups.reshape(*self.taken.shape, *groups.shape[1:])
        return [seen[: int(number)] for seen, number in zip(steps, self.taken.sum(1), strict=True)]

    def followed(self, parents: np.ndarray, others: "Rollouts") -> "Rollouts":
        """Returns rollouts that go on: candidate i of the others began where `parents[i]` of these had ended."""
        import torch

        before, latents = self.picked(parents), None
        if before.latents is not None and others.latents is not None:
            latents = torch.cat([before.latents, others.latents], 1)
        return Rollouts(
            rewards=np.concatenate([before.rewards, others.rewards], 1),
            taken=np.concatenate([before.taken, others.taken], 1),
            over=others.over,
            observations=[old + new for old, new in zip(before.observations, others.observations, strict=True)],
            latents=latents,
            model=others.model,
            states=others.states,
        )

    def picked(self, items: np.ndarray) -> "Rollouts":
        """Returns some of the candidates, in that order."""
        import torch

        return Rollouts(
            rewards=self.rewards[items],
            taken=self.taken[items],
            over=self.over[items],
            observations=[self.observations[i] for i in items],
            latents=None if self.latents is None else self.latents[torch.from_numpy(items)],
            model=self.model,
            states=[self.states[i] for i in items] if self.states else [],
        )


class Simulator(Protocol):
    """Tries candidates out.

    Attributes:
        action_space: Of their actions.
    """

    action_space: gymnasium.Space

    def begin(self, state: Any) -> None:
        """Goes to the state that candidates begin at.

        Args:
            state: What `get_state` of the environment returned.
        """

    def rollout(
        self, sequences: Sequence[Sequence[Any]], starts: Sequence[Any] | None = None, *, keeps_states: bool = False
    ) -> Rollouts:
        """Tries N candidates.

        Args:
            sequences: T actions of each.
            starts: `states` of other rollouts, one for each candidate; `None` for where `begin` went.
            keeps_states: Whether to return where each ended.
        """


class EnvironmentSimulator:
    """Tries candidates in an environment that can go back to a state, one after the other.

    It is a perfect simulator: it knows what chance will bring, as far as that is a part of the state or of `np_random`.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        """Takes an environment.

        Args:
            env: With `get_state()` and `set_state(state)`. It may be the one that is played: after a rollout it is
                where `begin` went. Wrappers, such as a limit of time, are left out.

        Raises:
            TypeError: If it has no such methods.
        """
        self._env: Any = env.unwrapped
        if not (callable(getattr(self._env, "get_state", None)) and callable(getattr(self._env, "set_state", None))):
            raise TypeError(
                f"env: expected one with get_state and set_state, such as worldmodel/Voxel-v0, got "
                f"{type(self._env).__name__}; give the player a checkpoint, and it plans in a dream of it"
            )
        if env.action_space != self._env.action_space:
            raise TypeError(
                f"env: expected the actions of {type(self._env).__name__} itself, a wrapper has changed them to "
                f"{env.action_space}; leave it out"
            )
        self.action_space = env.action_space
        self._root: Any = None

    def begin(self, state: Any) -> None:
        """Goes to the state that candidates begin at."""
        self._root = state

    def rollout(
        self, sequences: Sequence[Sequence[Any]], starts: Sequence[Any] | None = None, *, keeps_states: bool = False
    ) -> Rollouts:
        """Tries N candidates; see `Simulator`."""
        number, length = len(sequences), len(sequences[0])
        found = Rollouts(
            rewards=np.zeros((number, length)),
            taken=np.zeros((number, length), np.bool_),
            over=np.zeros(number, np.bool_),
            observations=[[] for _ in range(number)],
        )
        chance = self._env.np_random.bit_generator.state
        try:
            for i, actions in enumerate(sequences):
                self._env.set_state(self._root if starts is None else starts[i])
                self._env.np_random.bit_generator.state = chance
                for t, action in enumerate(actions):
                    observation, reward, terminated, truncated, _ = self._env.step(action)
                    found.rewards[i, t], found.taken[i, t] = reward, True
                    found.observations[i].append(observation)
                    if terminated or truncated:
                        found.over[i] = True
                        break
                if keeps_states:
                    found.states.append(self._env.get_state())
        finally:
            self._env.set_state(self._root)
            self._env.np_random.bit_generator.state = chance
        return found


class DreamSimulator:
    """Tries candidates in the dream of a model: each step is one batched pass for all of them.

    Frames are not decoded unless an objective asks for them.
    """

    def __init__(self, imagination: "Imagination") -> None:
        """Takes a model with its settings.

        Args:
            imagination: That of an imagined environment; its own dreams are left alone.
        """
        self._core = imagination
        self.action_space = imagination.action_space
        self._root: Snapshot | None = None

    def begin(self, state: "Snapshot") -> None:
        """Goes to the dream that candidates begin at."""
        self._root = state

    def rollout(
        self, sequences: Sequence[Sequence[Any]], starts: Sequence[Any] | None = None, *, keeps_states: bool = False
    ) -> Rollouts:
        """Tries N candidates; see `Simulator`. An episode is over as in `ImaginedEnv`."""
        import torch

        from worldmodel.envs.imagined.core import TERMINATED_ABOVE
        from worldmodel.envs.imagined.dreams import TRUST_SCALE, Snapshot
        from worldmodel.envs.imagined.dreams import _generator as noise_of
        from worldmodel.model import streaming
        from worldmodel.model.heads import expected_reward

        core, root, number, length = self._core, self._root, len(sequences), len(sequences[0])
        assert root is not None
        snapshots = [root] * number if starts is None else list(starts)
        state = root.state.expand(number) if starts is None else streaming.join([start.state for start in snapshots])
        flat = core.actions.vectors([action for actions in sequences for action in actions])
        vectors = torch.from_numpy(flat.reshape(number, length, *flat.shape[1:]))
        rewards, taken = np.zeros((number, length)), np.zeros((number, length), np.bool_)
        latents, going = [], np.ones(number, np.bool_)
        least_trust = -1.0 if core.config.min_trust is None else core.config.min_trust
        for t in range(length):
            # The noise of the dream itself: what is planned in a dream is what then happens in it.
            generators = [noise_of(start.seed, start.step + t + 1) for start in snapshots]
            step = streaming.imagine(
                core.model,
                state,
                vectors[:, t],
                generators,
                num_steps=core.config.num_steps,
                guidance=core.config.guidance(),
            )
            state = step.state
            latents.append(step.latents)
            taken[:, t] = going
            rewards[:, t] = np.where(going, _plain(expected_reward(step.heads.reward_logits[:, 0])), 0.0)
            going = going & (_plain(step.heads.termination_logits[:, 0].sigmoid()) <= TERMINATED_ABOVE)
            going = going & (_plain((-step.revision / TRUST_SCALE).exp()) >= least_trust)
        states = []
        if keeps_states:
            states = [
                Snapshot(
                    state.select(torch.tensor([i])), start.seed, start.step + length, start.prompt,
                    step.heads.policy_logits[i, 0], start.model,
                )
                for i, start in enumerate(snapshots)
            ]  # fmt: skip
        return Rollouts(
            rewards=rewards,
            taken=taken,
            over=~going,
            observations=[[] for _ in range(number)],
            latents=torch.stack(latents, 1),
            model=core.model,
            states=states,
        )


def _plain(tensor: "Tensor") -> np.ndarray:
    """Returns numbers as float64."""
    return tensor.double().cpu().numpy()
