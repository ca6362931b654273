"""The player that `worldmodel learn` has made: a policy on what a world model knows of what it sees.

Shapes: r ticks in a latent frame, H W pixels.
"""

import math
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents.player import Info, ticks_per_step


class LearnedPlayer:
    """Plays what was learned in dreams, in the real environment or in a dream of it, by frames alone.

    The world model watches: every r ticks it is shown a latent frame, as in a dream that goes on with real frames, and
    the policy chooses the action that is held for the next r ticks.
    """

    def __init__(self, env: gymnasium.Env, *, checkpoint: str, temperature: float = 1.0, cloned: bool = False) -> None:
        """Makes a player for one environment.

        Args:
            env: The environment that the world model was trained on, or a dream of it. Its steps last one tick, or as
                many as a latent frame.
            checkpoint: Folder of `worldmodel learn`.
            temperature: At least 0. Below 1 likely actions become likelier; 0 takes the most likely.
            cloned: Play as the recorded player did, by the policy that learning began with.

        Raises:
            TypeError: If the environment does not suit the model.
            ValueError: If the temperature is negative or not finite, or a checkpoint is damaged or another.
            FileNotFoundError: If there is no such folder, or the world model is no longer where it was.
        """
        from worldmodel.agents.learning.states import read_origin, read_policy  # here: PyTorch takes seconds
        from worldmodel.agents.learning.worlds import count_features
        from worldmodel.envs.imagined.models import load
        from worldmodel.model.checkpoint import find_checkpoint, read_config

        if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature < math.inf:
            raise ValueError(f"temperature: expected a finite number of at least 0, got {temperature!r}")
        if not isinstance(checkpoint, str):
            raise TypeError(f"checkpoint: expected the folder of `worldmodel learn`, got {checkpoint!r:.80}")
        origin = read_origin(checkpoint)
        self._model = load(origin["world_model"])[0]
        stamp = str(read_config(find_checkpoint(origin["world_model"])).get("stamp"))
        if stamp != origin["world_stamp"]:
            raise ValueError(
                f"checkpoint: expected the world model that was learned in, {origin['world_stamp']}, got {stamp} in "
                f"{origin['world_model']}; learn anew, or restore it"
            )
        assert self._model.codec is not None  # else nothing was learned
        metadata, r = self._model.metadata, self._model.frames_per_latent
        _check(env, self._model.codec.space, (metadata.height, metadata.width, 3), r)
        features = count_features(self._model, metadata.height, metadata.width)
        networks = read_policy(checkpoint, self._model.codec, features).to(self._model.device)
        self._policy = networks.prior if cloned else networks.actor
        self._factors = networks.factors
        self._world: Any = env.unwrapped
        self._ticks, self._temperature = ticks_per_step(env), temperature
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Starts an episode; all that is random follows from the seed."""
        self._random = np.random.default_rng(seed)
        self._state: Any = None
        self._action: Any = None
        self._seen: list[np.ndarray] = []
        """Frames since the last latent frame."""

    def act(self, observation: np.ndarray, info: Info) -> Any:
        """Returns the next action, drawn anew whenever a latent frame is complete."""
        import torch

        model = self._model
        if self._state is None:
            from worldmodel.model import streaming

            self._state = streaming.begin(model, [""], *observation.shape[:2])
            self._choose(model.encode(torch.from_numpy(observation[None])), None)
            return self._action
        self._seen += [observation] if self._ticks == 1 else list(self._world.frames)
        if len(self._seen) >= model.frames_per_latent:
            assert model.codec is not None
            vectors = torch.from_numpy(model.codec.encode_many([self._action] * model.frames_per_latent))
            self._choose(model.encode_groups(torch.from_numpy(np.stack(self._seen)[None])), vectors[None])
            self._seen = []
        return self._action

    def _choose(self, latents: Any, actions: Any) -> None:
        """Shows the model a latent frame and what led to it, and draws what to do next."""
        import torch

        from worldmodel.agents.learning.worlds import features_of
        from worldmodel.model import streaming

        assert self._model.codec is not None
        noise = torch.Generator().manual_seed(int(self._random.integers(2**62)))
        step = streaming.observe(self._model, self._state, latents, actions, [noise])
        self._state = step.state
        with torch.no_grad():
            chances = self._factors.probabilities(self._policy(features_of(step))[0]).cpu().numpy()
        self._action = self._model.codec.sample(chances, self._random, self._temperature)


def _check(env: gymnasium.Env, space: gymnasium.Space, shape: tuple[int, ...], r: int) -> None:
    """Raises TypeError if an environment is not as the model was trained on."""
    if env.action_space != space:
        raise TypeError(
            f"env: expected the action space that the model was trained with, {space}, got {env.action_space}"
        )
    if env.observation_space.shape != shape:
        raise TypeError(
            f"env: expected frames of shape {shape}, as the model was trained on, got {env.observation_space.shape}; "
            "make the environment with that height and width"
        )
    if (ticks := ticks_per_step(env)) not in (1, r):
        raise TypeError(
            f"env: expected steps of {' or '.join(map(str, sorted({1, r})))} ticks, as the model has {r} in a latent "
            f"frame, got {ticks}; make the environment with another frame_skip"
        )
    world: Any = env.unwrapped
    if ticks > 1 and not hasattr(world, "policy_action") and getattr(world, "render_mode", None) is None:
        raise TypeError('env: expected render_mode="rgb_array", so that every tick is seen, got None')
