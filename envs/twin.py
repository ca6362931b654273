"""A real environment and its dream, side by side: the truth that a dream is scored against.

Both begin with the same frames and get the same actions. The real one is made with as many ticks in a step as the
model has in a latent frame.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from worldmodel.envs.imagined.config import Actions
from worldmodel.envs.imagined.env import ImaginedEnv
from worldmodel.model import WorldModel

Act = Callable[[np.ndarray, dict[str, Any]], Any]
"""Chooses an action from an observation and an `info` of the real environment."""


@dataclass(slots=True)
class TwinStep:
    """What a step gave on both sides.

    Attributes:
        real: What the real environment returned: observation, reward, terminated, truncated, info.
        imagined: What the imagined one returned.
        real_frames: uint8 (r, H, W, 3), every tick of the step; fewer if the episode ended in it.
        imagined_frames: uint8 (r, H, W, 3).
        psnr: Of the imagined observation, in dB, against the real one.
    """

    real: tuple[np.ndarray, float, bool, bool, dict[str, Any]]
    imagined: tuple[np.ndarray, float, bool, bool, dict[str, Any]]
    real_frames: np.ndarray
    imagined_frames: np.ndarray
    psnr: float


class Twin:
    """Steps a real and an imagined environment with the same actions.

    Attributes:
        real: The real environment.
        imagined: The imagined one.
        action_space: Of both.
    """

    def __init__(self, imagined: gymnasium.Env | None = None, *, context_steps: int = 8, **settings: Any) -> None:
        """Makes the real environment that the model of the imagined one was trained on.

        Args:
            imagined: A `worldmodel/Imagined-v0`; by default one is made with the settings.
            context_steps: Steps played in the real environment before the dream sets in; the dream sees them.
            **settings: Of `ImaginedConfig`, if no environment is given.

        Raises:
            ValueError: If the model's data came from no environment that steps `frame_skip` ticks, such as the block
                world.
        """
        self.imagined: ImaginedEnv = imagined.unwrapped if imagined is not None else ImaginedEnv(**settings)  # type: ignore[assignment]
        if context_steps < 0:
            raise ValueError(f"context_steps: expected at least 0, got {context_steps}")
        self._context_steps = context_steps
        self.real = real_environment(self.imagined)
        self.action_space = self.imagined.action_space

    def reset(
        self, *, seed: int, act: Act | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Begins in the real environment, plays the context there, and lets the dream go on from it.

        Args:
            seed: Of both.
            act: Who plays the context; by default nothing is done.
            options: Of the real environment's `reset`, such as `state` or `biome`.

        Returns:
            Real and imagined observation, and the real `info`.

        Raises:
            RuntimeError: If the real episode ends within the context; choose another seed.
        """
        observation, info = self.real.reset(seed=seed, options=dict(options or {}))
        frames, ticks = [observation], []
        for _ in range(self._context_steps):
            action = self._idle() if act is None else act(observation, info)
            observation, _, terminated, truncated, info = self.real.step(action)
            if terminated or truncated:
                raise RuntimeError(f"the real episode with seed {seed} ended within its first steps; choose another")
            frames += list(self._real_frames(observation))
            ticks += [action] * self.imagined.frames_per_step
        context = {"video": np.stack(frames), "actions": ticks, "prompt": str(info.get("caption", ""))}
        imagined, _ = self.imagined.reset(seed=seed, options=context)
        return observation, imagined, info

    def step(self, action: Any) -> TwinStep:
        """Steps both.

        Args:
            action: A member of the action space.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after the end of either episode.
        """
        real = self.real.step(action)  # first: it takes fewer kinds of actions, and may be over
        imagined = self.imagined.step(action)
        error = np.square(real[0].astype(np.float64) - imagined[0]).mean()
        return TwinStep(
            real=real,  # type: ignore[arg-type]
            imagined=imagined,
            real_frames=self._real_frames(real[0]),
            imagined_frames=self.imagined.frames,
            psnr=float(10 * np.log10(255.0**2 / max(error, 1e-6))),
        )

    def close(self) -> None:
        """Closes both."""
        self.real.close()
        self.imagined.close()

    def _real_frames(self, observation: np.ndarray) -> np.ndarray:
        return self.real.unwrapped.frames if self.imagined.frames_per_step > 1 else observation[None]  # type: ignore[attr-defined]

    def _idle(self) -> Any:
        return self.imagined.idle_action()


def real_environment(imagined: ImaginedEnv) -> gymnasium.Env:
    """Makes the real environment that a model was trained on, with the spaces and the step of the imagined one.

    Raises:
        ValueError: If the model's data came from no environment, or one that cannot step so many ticks.
    """
    height, width = imagined.observation_space.shape[:2]  # type: ignore[index]
    return model_environment(imagined.model, size=(height, width), actions=imagined.action_preset)


def model_environment(
    model: WorldModel, *, size: tuple[int, int] | None = None, actions: str | None = None, **settings: Any
) -> gymnasium.Env:
    """Makes the real environment that a model was trained on, with as many ticks in a step as a latent frame has.

    Args:
        model: The model.
        size: (H, W) of the frames; by default that of the training data.
        actions: Preset of the action space, as `ImaginedConfig` has it.
        **settings: Others than those it was trained with, such as `biome`; `frame_skip=1` for steps of one tick.

    Raises:
        ValueError: If the model's data came from no environment, or one that cannot step so many ticks, or that does
            not know a setting.
    """
    metadata, ticks = model.metadata, model.frames_per_latent
    if not metadata.env_id:
        raise ValueError("checkpoint: expected a model of an environment, got one of recordings: it has no twin")
    height, width = size or (metadata.height, metadata.width)
    chosen = dict(metadata.env_kwargs)
    for name, value in (("height", height), ("width", width)):
        if name in chosen or value != getattr(metadata, name):
            chosen[name] = value
    if ticks > 1:
        chosen["frame_skip"] = ticks
    if actions is not None:
        chosen["actions"] = actions
    chosen |= settings
    try:
        real = gymnasium.make(metadata.env_id, render_mode="rgb_array", **chosen)
    except TypeError as error:
        raise ValueError(
            f"checkpoint: expected a model of an environment that can step {ticks} ticks at once, got one of "
            f"{metadata.env_id} ({error}): it has no twin"
        ) from error
    shown = gymnasium.spaces.Box(0, 255, (height, width, 3), np.uint8)
    if real.action_space != Actions(model, actions).space or real.observation_space != shown:
        real.close()
        raise ValueError(f"checkpoint: expected the spaces of {metadata.env_id}, got others: it has no twin")
    return real
