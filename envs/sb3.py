"""Any Gymnasium vector environment as the `VecEnv` of stable-baselines3: needs the extra `sb3`.

>>> import gymnasium, worldmodel.envs
>>> from worldmodel.envs.sb3 import Sb3VecEnv
>>> dreams = gymnasium.make_vec("worldmodel/Imagined-v0", 8, actions="discrete", autoreset_mode="SameStep")
>>> env = Sb3VecEnv(dreams)

Single environments need no adapter: stable-baselines3 takes them as they are.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

try:
    from stable_baselines3.common.env_util import is_wrapped
    from stable_baselines3.common.vec_env import VecEnv
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn
except ImportError as error:
    raise ImportError(
        f'{error}: worldmodel.envs.sb3 needs the extra "sb3"; install it with '
        "pip install 'worldmodel[sb3]' -c constraints.txt"
    ) from None

_STATISTICS = "episode"
"""What Gymnasium's `RecordEpisodeStatistics` knows of the episode that ended stands beside the info of the next one."""


class Sb3VecEnv(VecEnv):
    """A Gymnasium vector environment, seen as stable-baselines3 wants it.

    All environments are stepped by the one call that the vector environment makes of it: for dreams, one pass through
    the model. stable-baselines3 expects that an episode which ends is followed by the next one in the same step.

    `get_attr`, `set_attr`, `env_method` and `env_is_wrapped` reach the single environments of a vector environment that
    has them (`envs`, as `worldmodel/Voxel-v0` and `SyncVectorEnv` have). Where all are one, as in dreams, they reach
    the vector environment and its wrappers: what it answers counts for all, unless it is a sequence with one for each.

    Attributes:
        env: The vector environment.
    """

    def __init__(self, env: VectorEnv) -> None:
        """Takes a vector environment.

        Args:
            env: What `gymnasium.make_vec` returned; made with `autoreset_mode="SameStep"`.

        Raises:
            TypeError: If it is no vector environment.
            ValueError: If it resets at another time, or has actions that stable-baselines3 cannot take.
        """
        if not isinstance(env, VectorEnv):
            raise TypeError(
                f"env: expected a vector environment, got {type(env).__name__}; make it with gymnasium.make_vec, or "
                "give a single one to stable-baselines3 as it is"
            )
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(
                "env: expected one that resets in the step in which an episode ends (autoreset_mode "
                f"{AutoresetMode.SAME_STEP.value!r}), got {getattr(mode, 'value', mode)!r}; "
                'make it with gymnasium.make_vec(..., autoreset_mode="SameStep")'
            )
        if isinstance(env.single_action_space, gymnasium.spaces.Dict | gymnasium.spaces.Tuple):
            raise ValueError(
                "env: expected actions that stable-baselines3 takes (Box, Discrete, MultiDiscrete, MultiBinary), got "
                f'{type(env.single_action_space).__name__}; make it with actions="discrete"'
            )
        self.env = env
        self._actions: np.ndarray | None = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata = {**env.metadata, **self.metadata}

    def reset(self) -> VecEnvObs:
        """Begins episodes in all environments, with what `seed` and `set_options` have said since the last time."""
        # The seeds follow each other, so the first one says all; some vector environments take no list.
        observations, infos = self.env.reset(seed=self._seeds[0], options=self._options[0] or None)
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = [_part(infos, i) for i in range(self.num_envs)]
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Remembers the actions: (num_envs, ...)."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Steps all environments.

        Returns:
            Observations, those of the next episode where one has ended; rewards float32 (num_envs,); whether an episode
            has ended, bool (num_envs,); and an info for each, with `TimeLimit.truncated`, and with
            `terminal_observation` where an episode has ended. The info of the next one is in `reset_infos` then.

        Raises:
            RuntimeError: Without `step_async`.
        """
        if self._actions is None:
            raise RuntimeError("step_wait: expected step_async before it, got no actions; call step_async first")
        actions, self._actions = self._actions, None
        observations, rewards, terminations, truncations, batch = self.env.step(actions)
        ended = terminations | truncations
        infos = [_part(batch, i) for i in range(self.num_envs)]
        for i in np.flatnonzero(ended).tolist():
            following = infos[i]
            infos[i] = following.pop("final_info", {})
            infos[i]["terminal_observation"] = following.pop("final_obs")
            if _STATISTICS in following:
                infos[i][_STATISTICS] = following.pop(_STATISTICS)
            self.reset_infos[i] = following
        for info, truncated in zip(infos, (truncations & ~terminations).tolist(), strict=True):
            info["TimeLimit.truncated"] = truncated
        return observations, np.asarray(rewards, np.float32), ended, infos

    def close(self) -> None:
        """Closes the vector environment."""
        self.env.close()

    def set_options(self, options: Sequence[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """Says what the next `reset` passes to the environments.

        Args:
            options: For all. A list is taken too, if all its members are the same: Gymnasium has one for all. In those
                of `worldmodel/Imagined-v0`, `prompt` and `state` may be lists with one for each.

        Raises:
            ValueError: If a list holds different ones, or not one for each environment.
        """
        if isinstance(options, Sequence):
            if len(options) != self.num_envs or not all(_same(other, options[0]) for other in options):
                raise ValueError(
                    f"options: expected one dict for all environments, or {self.num_envs} that are the same, got "
                    f"{len(options)} that are not: {list(options)!r:.80}"
                )
            options = options[0]
        super().set_options(options)

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Returns the latest picture of each environment; `None` unless it was made with `rgb_array`."""
        frames: Any = self.env.render() if self.render_mode == "rgb_array" else None
        return [None] * self.num_envs if frames is None else list(frames)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Returns an attribute of each environment; see the class.

        Raises:
            AttributeError: If there is none.
        """
        chosen, singles = self._indices(indices), self._singles()
        if singles:
            return [singles[i].get_wrapper_attr(attr_name) for i in chosen]
        return self._each(getattr(self._layer(attr_name), attr_name), chosen)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Sets an attribute of each environment; see the class.

        Raises:
            ValueError: If only some are meant, but all are one.
        """
        chosen, singles = self._indices(indices), self._singles()
        if singles:
            for i in chosen:
                setattr(singles[i], attr_name, value)
            return
        self._check_all("set_attr", chosen)
        setattr(next((layer for layer in self._layers() if hasattr(layer, attr_name)), self.env), attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls a method of each environment; see the class.

        Raises:
            AttributeError: If there is none.
            ValueError: If only some are meant, but all are one.
        """
        chosen, singles = self._indices(indices), self._singles()
        if singles:
            return [singles[i].get_wrapper_attr(method_name)(*method_args, **method_kwargs) for i in chosen]
        self._check_all("env_method", chosen)
        return self._each(getattr(self._layer(method_name), method_name)(*method_args, **method_kwargs), chosen)

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Returns whether each environment, or the vector environment as a whole, is in a wrapper of that class."""
        whole = any(isinstance(layer, wrapper_class) for layer in self._layers())
        singles = self._singles()
        return [whole or (bool(singles) and is_wrapped(singles[i], wrapper_class)) for i in self._indices(indices)]

    def _indices(self, indices: VecEnvIndices) -> list[int]:
        return list(self._get_indices(indices))

    def _singles(self) -> list[gymnasium.Env]:
        """Returns the single environments; none if all are one."""
        return list(getattr(self.env.unwrapped, "envs", []))

    def _layers(self) -> Iterable[VectorEnv]:
        """Yields the vector environment with its wrappers, outermost first."""
        layer = self.env
        while isinstance(layer, VectorWrapper):
            yield layer
            layer = layer.env
        yield layer

    def _layer(self, name: str) -> VectorEnv:
        """Returns the outermost layer that has an attribute."""
        for layer in self._layers():
            if hasattr(layer, name):
                return layer
        raise AttributeError(f"{name}: expected an attribute of {self.env}, which has none of that name")

    def _each(self, value: Any, indices: Iterable[int]) -> list[Any]:
        """Returns the parts of what was said for all."""
        parts = isinstance(value, list | tuple | np.ndarray) and len(value) == self.num_envs
        return [value[i] if parts else value for i in indices]

    def _check_all(self, name: str, indices: list[int]) -> None:
        if sorted(indices) != list(range(self.num_envs)):
            raise ValueError(
                f"indices: expected all {self.num_envs} environments for {name}, because they are one object, got "
                f"{indices}; leave indices out"
            )


def _part(infos: Mapping[str, Any], i: int) -> dict[str, Any]:
    """Returns the info of one environment, out of Gymnasium's batch of them: what its masks `_name` say that it has."""
    part: dict[str, Any] = {}
    for name, value in infos.items():
        if name.startswith("_") and name[1:] in infos:
            continue
        mask = infos.get(f"_{name}")
        if mask is not None and not mask[i]:
            continue
        if isinstance(value, Mapping):
            part[name] = _part(value, i)
        else:
            part[name] = value[i].item() if isinstance(value[i], np.generic) else value[i]
    return part


def _same(a: Any, b: Any) -> bool:
    """Returns whether two options are the same; arrays are, if they are one object."""
    try:
        return bool(a == b)
    except (TypeError, ValueError, RuntimeError):  # arrays, and tensors, have no truth
        return False
