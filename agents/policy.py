"""The model's own player: the head of a world model that says what the player it has watched would do next."""

import math
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from worldmodel.agents.player import Info, ticks_per_step

if TYPE_CHECKING:
    from worldmodel.model import WorldModel


class PolicyPlayer:
    """Plays as a world model thinks that its player goes on: in its own dream, or in a real environment it watches."""

    def __init__(
        self, env: gymnasium.Env, *, temperature: float = 1.0, checkpoint: "str | WorldModel | None" = None
    ) -> None:
        """Makes a player for one environment.

        Args:
            env: A `worldmodel/Imagined-v0`, or a real environment of the kind that the model was trained on: the same
                frame size and action space, and steps that last one tick, or as many as a latent frame.
            temperature: At least 0. Below 1 likely actions become likelier; 0 takes the most likely.
            checkpoint: The model that watches a real environment: the name of a bundled one, the path of a
                checkpoint's folder, or the model itself. `None` in a dream, where its own model plays.

        Raises:
            TypeError: If there is neither a dream nor a checkpoint, or the environment does not suit the model.
            ValueError: If the temperature is negative or not finite, a dream gets a checkpoint, or one is damaged.
            FileNotFoundError: If there is no such checkpoint.
        """
        world: Any = env.unwrapped
        if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature < math.inf:
            raise ValueError(f"temperature: expected a finite number of at least 0, got {temperature!r}")
        is_dream = hasattr(world, "policy_action")
        if is_dream and checkpoint is not None:
            raise ValueError(f"checkpoint: expected None in a dream, whose own model plays, got {checkpoint!r:.80}")
        if not is_dream and checkpoint is None:
            raise TypeError(
                f"env: expected worldmodel/Imagined-v0, got {type(world).__name__}; this player is a part of the world "
                "model: in a real environment give it a checkpoint that was trained on it, such as "
                "checkpoint='voxel-small', or use another player, such as 'explorer'"
            )
        self._plays: _InDream | _InReality
        self._plays = _InDream(env, temperature) if checkpoint is None else _InReality(env, temperature, checkpoint)

    def reset(self, seed: int) -> None:
        """Starts an episode."""
        self._plays.reset(seed)

    def act(self, observation: Any, info: Info) -> Any:
        """Draws what the player does next: in a dream a list with an action for each tick of a step, else an action."""
        return self._plays.act(observation)


class _InDream:
    """In a dream, whose model knows all that was before."""

    def __init__(self, env: gymnasium.Env, temperature: float) -> None:
        dream: Any = env.unwrapped
        _check_actions(env, dream.model)
        self._dream = dream
        self._temperature = temperature
        self._random = np.random.default_rng(0)

    def reset(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def act(self, observation: np.ndarray) -> list[Any]:
        return self._dream.policy_action(self._random, self._temperature)


class _InReality:
    """In a real environment, by frames alone.

    A prediction is for the r ticks of a latent frame. Where a step lasts one tick, their actions are taken one after
    another; where it lasts r, the first of them is held, as the environment wants it.
    """

    def __init__(self, env: gymnasium.Env, temperature: float, checkpoint: "str | WorldModel") -> None:
        from worldmodel.agents.watcher import Watcher  # here: PyTorch takes seconds, and most players need none
        from worldmodel.envs.imagined.models import load

        self._model = load(checkpoint)[0] if isinstance(checkpoint, str) else checkpoint
        _check_actions(env, self._model)
        self._world: Any = env.unwrapped
        self._ticks, r = ticks_per_step(env), self._model.frames_per_latent
        if self._ticks not in (1, r):
            raise TypeError(
                f"env: expected steps of {' or '.join(map(str, sorted({1, r})))} ticks, as the model has {r} in a "
                f"latent frame, got {self._ticks}; make the environment with another frame_skip"
            )
        if self._ticks > 1 and getattr(self._world, "render_mode", None) is None:
            raise TypeError('env: expected render_mode="rgb_array", so that every tick is seen, got None')
        metadata = self._model.metadata
        wanted, found = (metadata.height, metadata.width, 3), env.observation_space.shape
        if found != wanted:
            raise TypeError(
                f"env: expected frames of shape {wanted}, as the model was trained on, got {found}; make the "
                "environment with that height and width"
            )
        self._temperature = temperature
        self._watcher = Watcher(self._model)
        self.reset(0)

    def reset(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._seed = seed
        self._begun = False
        self._next: list[Any] = []
        """Actions that are drawn and not yet taken."""
        self._done: list[Any] = []
        """Actions since the last latent frame, one a tick, and what they led to."""
        self._seen: list[np.ndarray] = []

    def act(self, observation: np.ndarray) -> Any:
        if not self._begun:
            self._begun = True
            self._draw(self._watcher.begin(observation, self._seed))
        else:
            self._seen += [observation] if self._ticks == 1 else list(self._world.frames)
            if not self._next:
                self._draw(self._watcher.see(np.stack(self._seen), self._done))
                self._done, self._seen = [], []
        action = self._next.pop(0)
        self._done += [action] * self._ticks
        return action

    def _draw(self, probabilities: np.ndarray) -> None:
        """Draws the actions of the next latent frame, those that will be taken."""
        ticks = probabilities[: self._model.frames_per_latent // self._ticks]
        assert self._model.codec is not None
        self._next = [self._model.codec.sample(tick, self._random, self._temperature) for tick in ticks]


def _check_actions(env: gymnasium.Env, model: "WorldModel") -> None:
    if model.codec is None:
        raise TypeError("checkpoint: expected a model that was trained with actions, got one without; nothing plays it")
    if env.action_space != model.codec.space:
        raise TypeError(
            f"env: expected the action space that the model was trained with, got {env.action_space}; "
            "make the environment without its discrete preset"
        )
