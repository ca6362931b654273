"""Several dreams, stepped by one batched pass through the model: what both environments are made of.

Noise is a pure function of a dream's seed and its step, so a dream is the same alone and in a batch, and a snapshot is
only references to tensors that never change: to take one, or a thousand, costs nothing.

Shapes: N dreams, K latent frames of a start, r ticks in a latent frame, H W pixels, h w latent grid, C latent channels,
A width of an action vector.
"""

import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldmodel.model import WorldModel, streaming
from worldmodel.model.heads import expected_reward
from worldmodel.sampling import Guidance


@dataclass(slots=True)
class Start:
    """What a dream begins with.

    Attributes:
        prompt: The prompt in force; `""` for none.
        latents: float32 (K, h, w, C), what is known; K = 0 lets the model make the first frame.
        actions: float32 (K, r, A), what led to each; zeros for none.
    """

    prompt: str
    latents: Tensor
    actions: Tensor


@dataclass(slots=True)
class Snapshot:
    """One dream at one moment: all that is needed to go on exactly from here.

    Attributes:
        state: Of the model, for a batch of one.
        seed: Of the dream's noise.
        step: Steps since its start.
        prompt: The prompt in force.
        policy: (r, A), logits of the player's next actions.
        model: Stamp of the checkpoint it belongs to.
    """

    state: streaming.DreamState
    seed: int
    step: int
    prompt: str
    policy: Tensor
    model: str


@dataclass(slots=True)
class Moment:
    """What a step of N dreams gave.

    Attributes:
        frames: uint8 (N, r, H, W, 3).
        rewards: float64 (N,).
        terminations: float64 (N,), probability that the episode has ended.
        trust: float64 (N,) in (0, 1], how sure the model is of the frame; 1 at the start.
        revision: float64 (N,), how far the sampling steps moved the first guess, in deviations of the latents.
        residual: float64 (N,), what the model would still change of the frame, seen with a little noise; likewise.
    """

    frames: np.ndarray
    rewards: np.ndarray
    terminations: np.ndarray
    trust: np.ndarray
    revision: np.ndarray
    residual: np.ndarray


class Dreams:
    """N dreams of one model.

    Attributes:
        model: The model.
        num: N.
        steps: Steps of each since its start.
        prompts: The prompt in force in each.
    """

    def __init__(
        self, model: WorldModel, num: int, *, size: tuple[int, int], num_steps: int, guidance: Guidance
    ) -> None:
        """Makes dreams that have not begun.

        Args:
            model: The model.
            num: N.
            size: (H, W) of the frames.
            num_steps: Sampling steps for each latent frame.
            guidance: Guidance scales.

        Raises:
            ValueError: If the size does not suit the model.
        """
        self.model, self.num = model, num
        self._num_steps, self._guidance = num_steps, guidance
        self._size = size
        self.steps = [0] * num
        self.prompts = [""] * num
        self._seeds = [0] * num
        # Nothing is written into a state, so one empty cache will do for all that have not begun.
        self._state = streaming.begin(model, [""], *size).expand(num)
        self._policy = torch.zeros(num, *model.denoiser.action_shape, dtype=model.dtype, device=model.device)

    def begin(self, items: Sequence[int], starts: Sequence[Start], seeds: Sequence[int]) -> None:
        """Begins some of the dreams anew.

        Args:
            items: Which.
            starts: What each begins with.
            seeds: Of the noise of each.

        Raises:
            ValueError: If a prompt is too long; nothing has changed then.
        """
        groups: dict[int, list[int]] = defaultdict(list)  # those with equally long starts run in one batch
        for place, start in enumerate(starts):
            groups[len(start.latents)].append(place)
        states, policies = {}, {}
        for length, places in groups.items():
            state = streaming.begin(self.model, [starts[place].prompt for place in places], *self._size)
            for t in range(length):
                latents = torch.stack([starts[place].latents[t] for place in places]).to(self.model.device)
                actions = torch.stack([starts[place].actions[t] for place in places])
                generators = [_generator(seeds[place], t - length) for place in places]
                step = streaming.observe(self.model, state, latents, actions, generators)
                state = step.state
            if length == 0:
                generators = [_generator(seeds[place], 0) for place in places]
                step = streaming.imagine(
                    self.model, state, None, generators, num_steps=self._num_steps, guidance=self._guidance
                )
            for i, place in enumerate(places):
                states[items[place]] = step.state.select(torch.tensor([i]))
                policies[items[place]] = step.heads.policy_logits[i, 0]
        self._put(states, policies)
        for item, start, seed in zip(items, starts, seeds, strict=True):
            self.steps[item], self.prompts[item], self._seeds[item] = 0, start.prompt, seed

    def step(self, actions: np.ndarray) -> Moment:
        """Steps all dreams.

        Args:
            actions: float32 (N, r, A).
        """
        steps = [step + 1 for step in self.steps]
        generators = [_generator(seed, step) for seed, step in zip(self._seeds, steps, strict=True)]
        step = streaming.imagine(
            self.model,
            self._state,
            torch.from_numpy(actions),
            generators,
            num_steps=self._num_steps,
            guidance=self._guidance,
        )
        moment = Moment(
            frames=self.model.decode_groups(step.latents).cpu().numpy(),
            rewards=expected_reward(step.heads.reward_logits[:, 0]).double().cpu().numpy(),
            terminations=step.heads.termination_logits[:, 0].double().sigmoid().cpu().numpy(),
            trust=(-step.revision.double() / TRUST_SCALE).exp().cpu().numpy(),
            revision=step.revision.double().cpu().numpy(),
            residual=step.residual.double().cpu().numpy(),
        )
        # Last of all and together: whoever interrupts a step finds the dream where it was.
        self._state, self.steps, self._policy = step.state, steps, step.heads.policy_logits[:, 0]
        return moment

    def frames(self, items: Sequence[int]) -> np.ndarray:
        """Returns the latest frame of some dreams: uint8 (items, H, W, 3)."""
        latents = self._state.latents[torch.tensor(items)]
        return self.model.decode_groups(latents)[:, -1].cpu().numpy()

    def policy(self, item: int) -> np.ndarray:
        """Returns what the model thinks its player does next.

        Args:
            item: Which dream.

        Returns:
            float32 (r, A), probabilities of the values of each factor, for each tick of the next step.
        """
        assert self.model.factors is not None
        return self.model.factors.probabilities(self._policy[item].float()).cpu().numpy()

    def set_prompts(self, prompts: Sequence[str]) -> None:
        """Puts other prompts in force, one for each dream; see `streaming.set_prompts`.

        Raises:
            TypeError: If one is no string.
            ValueError: If one is too long; nothing has changed then.
        """
        self._state = streaming.set_prompts(self.model, self._state, prompts)
        self.prompts = list(prompts)

    def snapshot(self, item: int, stamp: str) -> Snapshot:
        """Returns one dream as it is now."""
        state = self._state if self.num == 1 else self._state.select(torch.tensor([item]))
        return Snapshot(state, self._seeds[item], self.steps[item], self.prompts[item], self._policy[item], stamp)

    def restore(self, snapshots: dict[int, Snapshot]) -> None:
        """Goes to snapshots, given by dream."""
        self._put(
            {item: snapshot.state for item, snapshot in snapshots.items()},
            {item: snapshot.policy for item, snapshot in snapshots.items()},
        )
        for item, snapshot in snapshots.items():
            self._seeds[item], self.steps[item], self.prompts[item] = snapshot.seed, snapshot.step, snapshot.prompt

    def branch(self, snapshot: Snapshot) -> None:
        """Goes to one snapshot in all dreams; they share its memory until they are stepped."""
        self._state = snapshot.state.expand(self.num)
        self._policy = snapshot.policy.expand(self.num, *snapshot.policy.shape)
        self._seeds, self.steps = [snapshot.seed] * self.num, [snapshot.step] * self.num
        self.prompts = [snapshot.prompt] * self.num

    def _put(self, states: dict[int, streaming.DreamState], policies: dict[int, Tensor]) -> None:
        """Replaces the states of some dreams, and what their players do next."""
        if len(states) == self.num == 1:
            self._state = states[0]
        else:
            kept = [item for item in range(self.num) if item not in states]
            parts = [self._state.select(torch.tensor(kept))] if kept else []
            order = torch.tensor(kept + list(states)).argsort()
            self._state = streaming.join([*parts, *states.values()]).select(order)
        self._policy = torch.stack([policies.get(item, self._policy[item]) for item in range(self.num)])


TRUST_SCALE = 0.5
"""Revision, in deviations of the latents, at which trust has fallen to 1 / e."""


def _generator(seed: int, step: int) -> torch.Generator:
    """Returns the generator of one step of a dream."""
    return torch.Generator().manual_seed(zlib.crc32(f"{seed}|{step}".encode()))
