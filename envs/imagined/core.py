"""What the single and the vector environment have in common: a model with its spaces, and dreams that are checked.

Shapes: N dreams, r ticks of a step, H W pixels.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from worldmodel.envs.imagined.config import Actions, ImaginedConfig
from worldmodel.envs.imagined.dreams import Dreams, Moment, Snapshot
from worldmodel.envs.imagined.models import load
from worldmodel.envs.imagined.starts import Beginnings
from worldmodel.envs.imagined.states import load_state
from worldmodel.model.checkpoint import find_checkpoint, read_config

TERMINATED_ABOVE = 0.5
"""Predicted probability of the end above which an episode is over."""


class Imagination:
    """N dreams of a checkpoint, by Gymnasium's words.

    Attributes:
        config: Settings.
        model: The model.
        dreams: The dreams.
        observation_space: uint8 `Box` (H, W, 3).
        action_space: Of one dream.
        fps: Ticks per second.
        bundled_starts: How many starts lie beside the checkpoint.
    """

    def __init__(self, num: int, settings: Mapping[str, Any]) -> None:
        """Loads the checkpoint.

        Args:
            num: N.
            settings: Of `ImaginedConfig`.

        Raises:
            TypeError: If a setting is unknown.
            ValueError: If a setting is out of range, or does not suit the model.
            FileNotFoundError: If there is no such checkpoint.
        """
        known = [field.name for field in dataclasses.fields(ImaginedConfig)]
        for name in settings:
            if name not in known:
                raise TypeError(f"settings: expected any of {known}, got {name!r}; remove or rename it")
        self.config = ImaginedConfig(**settings)
        self.model, starts = load(self.config.checkpoint)
        self.stamp = str(read_config(find_checkpoint(self.config.checkpoint)).get("stamp"))
        metadata = self.model.metadata
        size = (self.config.height or metadata.height, self.config.width or metadata.width)
        self.actions = Actions(self.model, self.config.actions)
        self.action_space = self.actions.space
        self.observation_space = gymnasium.spaces.Box(0, 255, (*size, 3), np.uint8)
        self.fps = metadata.fps
        self.dreams = Dreams(
            self.model, num, size=size, num_steps=self.config.num_steps, guidance=self.config.guidance()
        )
        self._beginnings = Beginnings(self.model, starts, self.actions, size)
        self.bundled_starts = 0 if self._beginnings.bundled is None else len(self._beginnings.bundled)

    def reset(self, items: Sequence[int], options: Sequence[Mapping[str, Any]], randoms: Sequence[Any]) -> np.ndarray:
        """Begins some of the dreams anew.

        Args:
            items: Which.
            options: Of `reset`, for each.
            randoms: Generator of each; what is drawn from it does not depend on the options.

        Returns:
            First frames, uint8 (items, H, W, 3).

        Raises:
            TypeError: If an option is of the wrong kind.
            ValueError: If an option does not fit; no dream has changed then.
        """
        starts, snapshots = {}, {}
        seeds = {}
        for item, chosen, random in zip(items, options, randoms, strict=True):
            seeds[item] = int(random.integers(2**62))
            state = chosen.get("state")
            if state is None:
                starts[item] = self._beginnings.choose(chosen, random)
                continue
            random.integers(2**31)  # as `choose` draws
            if others := sorted(name for name, value in chosen.items() if name != "state" and value is not None):
                raise ValueError(f"options: a state decides all, got {others} besides; leave them out")
            snapshots[item] = self.checked(state)
        if starts:
            self.dreams.begin(list(starts), list(starts.values()), [seeds[item] for item in starts])
        if snapshots:
            self.dreams.restore(snapshots)
        return self.dreams.frames(list(items))

    def step(self, actions: list[Any]) -> Moment:
        """Steps all dreams.

        Args:
            actions: One for each; see `Actions.vectors`.

        Raises:
            TypeError: If an action is of the wrong kind; no dream has changed then.
            ValueError: If an action is not in the space; likewise.
        """
        return self.dreams.step(self.actions.vectors(actions))

    def ends(self, moment: Moment) -> tuple[np.ndarray, np.ndarray]:
        """Returns which episodes a step has terminated, and which it has truncated for want of trust: bool (N,)."""
        floor = -1.0 if self.config.min_trust is None else self.config.min_trust
        return moment.terminations > TERMINATED_ABOVE, moment.trust < floor

    def info(self, item: int, moment: Moment | None = None) -> dict[str, Any]:
        """Describes a dream, after a step or at its start."""
        signals = {"trust": 1.0, "revision": 0.0, "residual": 0.0}
        if moment is not None:
            signals = {name: float(getattr(moment, name)[item]) for name in signals}
        return {"caption": self.dreams.prompts[item], "step": self.dreams.steps[item], **signals}

    def checked(self, state: Any) -> Snapshot:
        """Returns a state, read from its file if it is a path.

        Raises:
            TypeError: If it is neither state nor path.
            ValueError: If it belongs to another model or frame size.
        """
        if isinstance(state, str | os.PathLike):
            state = load_state(state, self.model.device, self.model.dtype)
        if not isinstance(state, Snapshot):
            raise TypeError(f"state: expected what get_state returned, or the path of one, got {type(state).__name__}")
        if state.model != self.stamp:
            raise ValueError(
                f"state: expected one of checkpoint {self.config.checkpoint!r} ({self.stamp}), got one of "
                f"{state.model}; use the checkpoint it was made with"
            )
        grid = self.model.grid(*self.observation_space.shape[:2])  # type: ignore[index]
        if state.state.latents.shape[1:3] != grid:
            raise ValueError(
                f"state: expected a latent grid of {grid}, got {tuple(state.state.latents.shape[1:3])}; make the "
                "environment with the height and width it was made with"
            )
        return state

    def policy_action(self, item: int, random: np.random.Generator, temperature: float) -> Any:
        """Draws what the model's player does next: a list of r actions, one a tick; see `Dreams.policy`."""
        codec = self.model.codec
        assert codec is not None
        return [codec.sample(tick, random, temperature) for tick in self.dreams.policy(item)]
