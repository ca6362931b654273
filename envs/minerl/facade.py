"""Other environments as if they were MineRL: what was written for it or for VPT plays in the block world and in dreams.

>>> env = MineRLFacade(gymnasium.make("worldmodel/Voxel-v0", height=360, width=640))
>>> observation = env.reset()
>>> observation, reward, done, info = env.step(env.action_space.noop())
"""

from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
from PIL import Image

from worldmodel.data.minecraft.dictionary import KEYS, complete
from worldmodel.envs.minerl.generations import (
    SIZES,
    Generation,
    Task,
    action_space,
    observation_space,
    space_module,
)
from worldmodel.envs.viewer import Viewer
from worldmodel.envs.voxel.config import as_member


class MineRLFacade:
    """An environment with the dictionary of keys, by the interface of MineRL: old Gym's, with four results of a step.

    Spaces are Gym's if it can be imported, else Gymnasium's. An observation has `pov`, and `inventory` and
    `compass` where the environment knows them. A step of the facade is one of the environment, also where that lasts
    several ticks, as in dreams: the camera's degrees are then divided among the ticks.

    Attributes:
        env: The environment.
        task: What MineRL's `env.task` says.
        action_space: With `noop` and `no_op`, as MineRL's.
        observation_space: `Dict` with `pov`.
    """

    reward_range = (-float("inf"), float("inf"))

    def __init__(
        self,
        env: gymnasium.Env,
        generation: Generation | str = Generation.NEW,
        *,
        done_on_escape: bool = False,
        spaces: ModuleType | None = None,
    ) -> None:
        """Takes an environment.

        Args:
            env: One with the 24 keys, such as `worldmodel/Voxel-v0` or a dream of it; closed by `close`.
            generation: `"1.0"` or `"0.4"`.
            done_on_escape: Whether the key `ESC` ends the episode, as in BASALT.
            spaces: Module that the spaces are made with; `None` for `gym.spaces` if there is Gym, else Gymnasium's.

        Raises:
            TypeError: If its actions are not the 24 keys.
            ValueError: If it shows no pictures.
        """
        space = env.action_space
        if not isinstance(space, gymnasium.spaces.Dict) or set(space.spaces) != set(KEYS):
            raise TypeError(
                f"env: expected one with the {len(KEYS)} keys as actions, got {space}; make a block world, or a "
                'dream of it, without actions="discrete"'
            )
        self.env = env
        self._generation = as_member("generation", Generation, generation)
        self._size = SIZES[self._generation]
        self._picture_space(env.observation_space)
        world: Any = env.unwrapped
        self._items = _items(world)
        config: Any = getattr(world, "config", None)
        self._has_compass = str(getattr(config, "task", "")).startswith("navigate")
        self._ticks = int(getattr(world, "frames_per_step", 0) or getattr(config, "frame_skip", 1))
        self._done_on_escape = done_on_escape
        limit = env.spec.max_episode_steps if env.spec is not None else None
        name = env.spec.id if env.spec is not None else type(world).__name__
        angle = _field_of_view(world)
        height, width = self._size
        self.task = Task(name=name, max_episode_steps=limit, resolution=[width, height], fov_range=[angle, angle])
        self.spec = SimpleNamespace(id=name, max_episode_steps=limit, reward_threshold=None)
        self.metadata: dict[str, Any] = {"render.modes": ["human", "rgb_array"], "video.frames_per_second": 20}
        module = space_module() if spaces is None else spaces
        self.action_space = action_space(module, self._generation)
        self.observation_space = observation_space(module, self._generation, self._items, self._has_compass)
        self._seed: int | None = None
        self._running = False
        self._picture: np.ndarray | None = None
        self._viewer: Viewer | None = None

    @property
    def unwrapped(self) -> "MineRLFacade":
        """Itself: below it, there is no MineRL."""
        return self

    def seed(self, seed: int | None = None, seed_spaces: bool = True) -> list[int | None]:
        """Seeds the next episode, and the spaces, as MineRL does: to be called before `reset`.

        Raises:
            TypeError: If it is no integer.
        """
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer | None):
            raise TypeError(f"seed: expected an integer or None, got {seed!r:.80}")
        self._seed = None if seed is None else int(seed)
        if seed_spaces and self._seed is not None:
            self.action_space.seed(self._seed)
            self.observation_space.seed(self._seed)
        return [self._seed]

    def reset(self) -> dict[str, Any]:
        """Begins an episode and returns the first observation; a seed is used once."""
        seed, self._seed = self._seed, None
        observation, info = self.env.reset(seed=seed)
        self._running = True
        return self._observe(observation, info)

    def step(self, action: Mapping[str, Any]) -> tuple[dict[str, Any], float, bool, dict[str, Any]]:
        """Plays a step.

        Args:
            action: Any of the keys, their values as scalars, or with a leading dimension of 1 as VPT's agent has them.
                Keys that there are not here, such as `craft`, must do nothing.

        Returns:
            Observation, reward, whether the episode is over, and the environment's `info`, with `TimeLimit.truncated`
            if it was cut off.

        Raises:
            RuntimeError: Before the first reset, and after the end of an episode.
            TypeError: If the action is of the wrong kind; nothing has happened then.
            ValueError: If it is not in the space; likewise.
        """
        if not self._running:
            raise RuntimeError("step: expected a running episode, got one that is over or has not begun; call reset")
        keys = self._keys(action)
        observation, reward, terminated, truncated, info = self.env.step(keys)
        if self._done_on_escape and keys["ESC"]:
            terminated = True
        self._running = not (terminated or truncated)
        seen = self._observe(observation, info)
        if truncated:
            info = {**info, "TimeLimit.truncated": not terminated}
        return seen, float(reward), not self._running, info

    def noop_action(self) -> dict[str, Any]:
        """Returns a new action that does nothing."""
        return self.action_space.noop()

    def render(self, mode: str = "human") -> np.ndarray | None:
        """Returns the latest `pov`; with `"human"`, MineRL's default, it is shown in a window (the extra `human`)."""
        if mode not in self.metadata["render.modes"]:
            raise ValueError(f"mode: expected one of {self.metadata['render.modes']}, got {mode!r}")
        if self._picture is None:
            return None
        if mode == "human":
            if self._viewer is None:
                self._viewer = Viewer(self.task.name, 20.0)
            self._viewer.show(self._picture[None])
        return self._picture.copy()

    def close(self) -> None:
        """Closes the environment and the window."""
        if self._viewer is not None:
            self._viewer.close()
        self.env.close()

    def _keys(self, action: Any) -> dict[str, Any]:
        """Returns an action of the environment."""
        if not isinstance(action, Mapping):
            raise TypeError(f"action: expected a dictionary of keys, got {type(action).__name__} {action!r:.80}")
        known = {}
        for name, value in action.items():
            if name in KEYS:
                known[name] = value
            elif not _does_nothing(value):
                raise ValueError(
                    f"action[{name!r}]: expected nothing, because there is no such key here, got {value!r:.80}; "
                    f"the keys are {', '.join(KEYS)}"
                )
        pressed = complete(known)
        pressed["camera"] = (pressed["camera"].astype(np.float64) / self._ticks).astype(np.float32)
        return pressed

    def _observe(self, observation: Any, info: Mapping[str, Any]) -> dict[str, Any]:
        picture = observation["pov"] if isinstance(observation, Mapping) else observation
        self._picture = _resized(picture, *self._size)
        seen: dict[str, Any] = {"pov": self._picture.copy()}
        if self._items:
            counts = info["inventory"]
            seen["inventory"] = {name: np.array(counts.get(name, 0), np.int32) for name in self._items}
        if self._has_compass:
            seen["compass"] = {"angle": np.array(info["goal"]["bearing"], np.float32)}
        return seen

    def _picture_space(self, space: gymnasium.Space) -> None:
        """Raises a ValueError unless observations are pictures."""
        pictures = space["pov"] if isinstance(space, gymnasium.spaces.Dict) and "pov" in space.spaces else space
        shape: tuple[int, ...] = getattr(pictures, "shape", None) or ()
        if pictures.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3:
            raise ValueError(f"env: expected observations that are uint8 (H, W, 3) pictures, got {space}")


def _field_of_view(world: Any) -> float:
    """Returns the angle in degrees, of a dream that of the world it was trained on; where nobody says, Minecraft's."""
    trained_on = getattr(getattr(getattr(world, "model", None), "metadata", None), "env_kwargs", None) or {}
    return float(getattr(getattr(world, "config", None), "field_of_view", trained_on.get("field_of_view", 70.0)))


def _items(world: Any) -> tuple[str, ...]:
    """Returns the items of the block world, if it is one: nothing else tells what it can hold."""
    if not hasattr(world, "block_at"):
        return ()
    from worldmodel.envs.voxel.blocks import CODES

    return tuple(sorted(CODES))


def _does_nothing(value: Any) -> bool:
    """Returns whether the value of a key that is not there asks for nothing: zeros, or MineRL's word for it."""
    if isinstance(value, str):
        return value in ("", "none")
    return not np.any(np.asarray(value))


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns a picture, uint8 (H, W, 3), in another size."""
    if picture.shape[:2] == (height, width):
        return picture.copy()
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))
