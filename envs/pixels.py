"""Any environment as one of pictures: frames of one size, some ticks to a step, one kind of `info`.

`PixelEnv` does this for every Gymnasium id. Environments of other packages that deserve more, such as captions, are
subclasses that say only what is theirs: `vizdoom.py`, `minigrid.py`, `atari.py`.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np

from worldmodel.data.episodes import TICKS_PER_SECOND
from worldmodel.envs.resizing import AreaResizer

MIN_FRAME_SIZE, MAX_FRAME_SIZE = 16, 2048
"""In pixels."""

MAX_FRAME_SKIP = 16
"""In ticks."""

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Brightness of red, green and blue (ITU-R BT.601)."""


@dataclass(kw_only=True, slots=True)
class PixelConfig:
    """What every environment of pictures can be asked for.

    Attributes:
        height: Of a frame, in pixels, 16 to 2048; training needs multiples of 16.
        width: Likewise. The whole picture is shown, stretched where its sides have another ratio.
        frame_skip: Ticks that one step lasts, 1 to 16: steps of the environment itself, all with the same action.
        grayscale: Whether frames show brightness only, in three equal channels.
    """

    height: int = 64
    width: int = 64
    frame_skip: int = 1
    grayscale: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError if a value is out of range."""
        for name, low, high, unit in (
            ("height", MIN_FRAME_SIZE, MAX_FRAME_SIZE, "pixels"),
            ("width", MIN_FRAME_SIZE, MAX_FRAME_SIZE, "pixels"),
            ("frame_skip", 1, MAX_FRAME_SKIP, "ticks"),
        ):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{name}: expected a whole number of {unit} in [{low}, {high}], got {value!r}")
        if type(self.grayscale) is not bool:
            raise ValueError(f"grayscale: expected true or false, got {self.grayscale!r}")


class PixelEnv(gymnasium.Env):
    """Any environment, stepped as one of pictures; see `docs/other_worlds.md`.

    Observations are `Box(0, 255, (height, width, 3), uint8)`; actions, rewards and ends are those of the environment
    inside. Its observation is the picture if it is one, or a dictionary with one; otherwise it is asked to render.

    Attributes:
        config: The settings.
        inner: The environment inside.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": TICKS_PER_SECOND}

    def __init__(
        self,
        render_mode: str | None = None,
        *,
        env_id: str,
        env_kwargs: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        """Makes the environment.

        Args:
            render_mode: `None` or `"rgb_array"`. With the latter, `frames` has every tick of a step.
            env_id: Gymnasium id of the environment inside, such as `"CartPole-v1"`; in front of it may stand the module
                that registers it, as in `"ale_py:ALE/Pong-v5"`.
            env_kwargs: What it is made with.
            **settings: Of `PixelConfig`.

        Raises:
            TypeError: If a setting is unknown.
            ValueError: If a setting or the render mode is out of range, or the environment shows no pictures.
            gymnasium.error.Error: If there is no such environment.
        """
        self._check(render_mode, settings)
        self.config = PixelConfig(**settings)
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(0, 255, (self.config.height, self.config.width, 3), np.uint8)
        self.inner, self._part = _open(env_id, dict(env_kwargs or {}))
        self.action_space = space = self.inner.action_space
        discrete = isinstance(space, gymnasium.spaces.Discrete)
        self._choices = range(int(space.start), int(space.start + space.n)) if discrete else range(0)
        self.metadata = {**self.metadata, "render_fps": self._ticks_per_second() / self.config.frame_skip}
        self._fit = AreaResizer(self.config.height, self.config.width)
        self._frame: np.ndarray | None = None
        self._frames: list[np.ndarray] = []
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: Passed on to the environment inside, and so are the options.
            options: Likewise.

        Returns:
            The first observation, and the `info` of the environment inside, with a `caption` if one is known.
        """
        super().reset(seed=seed)
        observation, info = self.inner.reset(seed=seed, options=options)
        self._frame = self._new_frame(observation)
        self._frames = []
        self._over = False
        return self._frame.copy(), self._info(info, observation, None, 0.0)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Takes an action for `frame_skip` ticks, or until the episode ends.

        Args:
            action: A member of the action space.

        Returns:
            Observation (height, width, 3) uint8, sum of the rewards, whether the episode terminated, whether it was
            truncated, and the `info` of the last tick.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after the end of an episode.
            ValueError: If the action is not in the action space.
        """
        if self._over:
            state = "has not begun" if self._frame is None else "is over"
            raise gymnasium.error.ResetNeeded(f"step: the episode {state}; call reset first")
        is_known = type(action) is int and action in self._choices  # `contains` takes microseconds
        if not (is_known or self.action_space.contains(action)):
            raise ValueError(f"action: expected a member of {self.action_space}, got {action!r:.80}")
        total, frames = 0.0, []
        for tick in range(1, self.config.frame_skip + 1):
            observation, reward, terminated, truncated, info = self._tick(action)
            total += float(reward)
            self._over = bool(terminated or truncated)
            if self._over or tick == self.config.frame_skip:
                break
            if self.render_mode is not None:
                self._frame = self._new_frame(observation)
                frames.append(self._frame)
        self._frame, self._frames = self._new_frame(observation), frames
        described = self._info(info, observation, action, total)
        return self._frame.copy(), total, bool(terminated), bool(truncated), described

    def render(self) -> np.ndarray | None:
        """Returns the latest frame, (height, width, 3) uint8, a copy; `None` without a render mode or before reset."""
        return None if self.render_mode is None or self._frame is None else self._frame.copy()

    @property
    def frames(self) -> np.ndarray:
        """Frames of the latest step, one a tick: (T, height, width, 3) uint8, T <= frame_skip; one after reset.

        Raises:
            RuntimeError: Without a render mode, since only the last frame of a step is made then; or before reset.
        """
        if self.render_mode is None:
            raise RuntimeError('frames: made without a render mode; pass render_mode="rgb_array" to make')
        if self._frame is None:
            raise RuntimeError("frames: expected an episode, none has begun; call reset first")
        return np.stack([*self._frames, self._frame])

    def close(self) -> None:
        """Closes the environment inside."""
        self.inner.close()

    def _tick(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Steps the environment inside."""
        return self.inner.step(action)

    def _picture(self, observation: Any) -> np.ndarray | None:
        """Returns the picture that belongs to an observation; `None` if there is none, and the last one stays."""
        if self._part is None:
            return self.inner.render()
        return observation[self._part] if self._part else observation

    def _describe(self, info: dict[str, Any], observation: Any, action: Any, reward: float) -> dict[str, Any]:
        """Returns what is to be added to an `info`.

        Args:
            info: Of the environment inside.
            observation: Likewise.
            action: That led there; `None` after reset.
            reward: Of the step.
        """
        mission = observation.get("mission") if isinstance(observation, Mapping) else None
        return {"caption": mission} if isinstance(mission, str) and "caption" not in info else {}

    def _ticks_per_second(self) -> float:
        """Returns how many ticks are a second."""
        return float(self.inner.metadata.get("render_fps") or TICKS_PER_SECOND)

    def _check(self, render_mode: str | None, settings: Mapping[str, Any]) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode: expected None or one of {self.metadata['render_modes']}, got {render_mode!r}"
            )
        known = [setting.name for setting in fields(PixelConfig)]
        for name in settings:
            if name not in known:
                raise TypeError(f"settings: expected any of {known}, got {name!r}; remove or rename it")

    def _info(self, info: dict[str, Any], observation: Any, action: Any, reward: float) -> dict[str, Any]:
        info = {**info, **self._describe(info, observation, action, reward)}
        return {name: value for name, value in info.items() if _is_plain(value)}

    def _new_frame(self, observation: Any) -> np.ndarray:
        """Returns the frame of an observation; nobody else has it."""
        picture = self._picture(observation)
        if picture is None and self._frame is not None:
            return self._frame
        frame = self._fit(_as_rgb(picture))
        if self.config.grayscale:
            frame[:] = np.rint(frame @ _GREY)[..., None]
        return frame


def import_extra(module: str, extra: str, env_id: str) -> ModuleType:
    """Imports a module of an optional package.

    Raises:
        ImportError: If it is not installed; the message names the extra that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f'{error}: {env_id} needs the extra "{extra}"; install it with '
            f"pip install 'worldmodel[{extra}]' -c constraints.txt"
        ) from None


def _open(env_id: str, kwargs: dict[str, Any]) -> tuple[Any, str | None]:
    """Makes an environment; returns it, and the part of its observation that is the picture.

    The part is `""` for the observation as a whole, and `None` if there is none: then it can render.
    """
    inner = gymnasium.make(env_id, disable_env_checker=True, **kwargs)
    space = inner.observation_space
    if _is_picture_space(space):
        return inner, ""
    parts = space.spaces if isinstance(space, gymnasium.spaces.Dict) else {}
    pictures = [name for name, part in parts.items() if _is_picture_space(part)]
    if len(pictures) == 1:
        return inner, pictures[0]
    modes = inner.metadata.get("render_modes", [])
    if inner.render_mode == "rgb_array":
        return inner, None
    inner.close()
    if "rgb_array" not in modes:
        raise ValueError(
            f"env_id: expected an environment with pictures, uint8 (H, W, 3), as observations or with the render mode "
            f"'rgb_array', got {env_id} with {space} and {modes}; choose another"
        )
    kwargs = {**kwargs, "render_mode": "rgb_array"}
    return gymnasium.make(env_id, disable_env_checker=True, **kwargs), None


def _is_picture_space(space: gymnasium.Space) -> bool:
    """Returns whether a space is one of pictures, and not of small grids of codes, as MiniGrid's."""
    return (
        isinstance(space, gymnasium.spaces.Box)
        and space.dtype == np.uint8
        and (len(space.shape) == 2 or (len(space.shape) == 3 and space.shape[2] in (1, 3)))
        and min(space.shape[:2]) >= MIN_FRAME_SIZE
    )


def _as_rgb(picture: Any) -> np.ndarray:
    """Returns a picture as uint8 (H, W, 3)."""
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8:
        if picture.ndim == 3 and picture.shape[2] == 3:
            return picture
        if picture.ndim == 2:
            picture = picture[..., None]
        if picture.ndim == 3 and picture.shape[2] == 1:
            return np.repeat(picture, 3, axis=2)
        if picture.ndim == 3 and picture.shape[2] == 4:
            return picture[..., :3]
    got = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
    raise ValueError(f"env_id: expected an environment that shows uint8 (H, W, 3) pictures, got {got}; choose another")


def _is_plain(value: Any) -> bool:
    """Returns whether a value of an `info` can be recorded: see `worldmodel.data.episodes.plain`."""
    if value is None or isinstance(value, (str, int, float)):  # first, because it is quick
        return True
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.kind in "biufU"
    return isinstance(value, Mapping) and all(map(_is_plain, value.values()))
