"""Many block worlds as one Gymnasium vector environment, stepped on threads."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, iterate
from gymnasium.wrappers import TimeLimit

from worldmodel.envs.batches import each_seed, reset_mask
from worldmodel.envs.voxel.env import VoxelEnv

_Result = TypeVar("_Result")


class VoxelVectorEnv(VectorEnv):
    """`num_envs` block worlds in one process.

    The compiled kernels that do nearly all of the work let go of Python's lock, so threads run them side by side.
    Environment `i` gives exactly what `VoxelEnv` gives for the same seed and actions.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        threads: int | None = None,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        """Makes the environments.

        Args:
            num_envs: How many, at least 1.
            autoreset_mode: What happens after the end of an episode: `"NextStep"` resets in the following step, whose
                action is ignored; `"SameStep"` at once, with `final_obs` and `final_info` in `info`; `"Disabled"`
                leaves it to `reset` with `options["reset_mask"]`.
            max_episode_steps: Steps after which an episode is truncated; `None` for no limit.
            threads: Threads to step on; `None` for one a processor, as far as there are environments.
            render_mode: As for `VoxelEnv`.
            **settings: Of `VoxelConfig`.

        Raises:
            TypeError: If a setting is unknown.
            ValueError: If a setting is out of range.
        """
        for name, value in (("num_envs", num_envs), ("threads", 1 if threads is None else threads)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        self.num_envs = num_envs
        self.envs: list[gymnasium.Env] = [VoxelEnv(render_mode, **settings) for _ in range(num_envs)]
        if max_episode_steps is not None:
            self.envs = [TimeLimit(env, max_episode_steps) for env in self.envs]
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.envs[0].metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = render_mode
        self.single_observation_space = self.envs[0].observation_space
        self.single_action_space = self.envs[0].action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._shape = (num_envs, *self.single_observation_space.shape)  # type: ignore[misc]
        self._over = np.zeros(num_envs, np.bool_)
        self._pool = ThreadPoolExecutor(min(num_envs, threads or os.cpu_count() or 1))

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """Generators of the environments."""
        return tuple(env.unwrapped.np_random for env in self.envs)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """Seeds of the environments' generators."""
        return tuple(env.unwrapped.np_random_seed for env in self.envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts episodes, in all environments or in those of `options["reset_mask"]`.

        Args:
            seed: One seed, from which environment `i` gets `seed + i`, or one for each.
            options: `reset_mask`, (num_envs,) bool; the others go to every `VoxelEnv.reset`.

        Returns:
            Observations (num_envs, H, W, 3) uint8, those of environments that were not reset being zero, and infos.

        Raises:
            ValueError: If the number of seeds or the shape of the mask does not fit.
            TypeError: If the mask is not boolean.
        """
        seeds = each_seed(seed, self.num_envs)
        options = dict(options or {})
        mask = reset_mask(options.pop("reset_mask", None), self.num_envs)

        def start(i: int) -> tuple[np.ndarray, dict[str, Any]]:
            return self.envs[i].reset(seed=seeds[i], options=options)

        observations = np.zeros(self._shape, np.uint8)
        infos: dict[str, Any] = {}
        indices = np.flatnonzero(mask).tolist()
        for i, (observation, info) in zip(indices, self._map(start, indices), strict=True):
            observations[i] = observation
            infos = self._add_info(infos, info, i)
        self._over[mask] = False
        return observations, infos

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Steps all environments.

        Args:
            actions: A batch of the action space.

        Returns:
            Observations (num_envs, H, W, 3) uint8; rewards, terminations and truncations (num_envs,); infos.

        Raises:
            gymnasium.error.ResetNeeded: With autoreset disabled, if an episode is over and was not reset.
        """
        if self.autoreset_mode == AutoresetMode.DISABLED and self._over.any():
            raise gymnasium.error.ResetNeeded(
                f"step: the episodes of environments {np.flatnonzero(self._over).tolist()} are over; "
                "call reset with options={'reset_mask': mask} first"
            )
        commands = list(iterate(self.action_space, actions))
        if len(commands) != self.num_envs:
            raise ValueError(f"actions: expected {self.num_envs}, one for each environment, got {len(commands)}")
        restarts = self._over.copy() if self.autoreset_mode == AutoresetMode.NEXT_STEP else np.zeros_like(self._over)

        def advance(i: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            env = self.envs[i]
            if restarts[i]:
                observation, info = env.reset()
                return observation, 0.0, False, False, info
            observation, reward, terminated, truncated, info = env.step(commands[i])
            if (terminated or truncated) and self.autoreset_mode == AutoresetMode.SAME_STEP:
                final = {"final_obs": observation, "final_info": info}
                observation, info = env.reset()
                info = final | info
            return observation, float(reward), terminated, truncated, info

        observations = np.empty(self._shape, np.uint8)
        rewards = np.zeros(self.num_envs)
        terminations, truncations = np.zeros(self.num_envs, np.bool_), np.zeros(self.num_envs, np.bool_)
        infos: dict[str, Any] = {}
        for i, result in enumerate(self._map(advance, range(self.num_envs))):
            observations[i], rewards[i], terminations[i], truncations[i], info = result
            infos = self._add_info(infos, info, i)
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            self._over[:] = False
        else:
            self._over = terminations | truncations
        return observations, rewards, terminations, truncations, infos

    def render(self) -> tuple[Any, ...] | None:
        """Returns the latest frame of every environment."""
        return tuple(env.render() for env in self.envs)

    def close_extras(self, **kwargs: Any) -> None:
        """Ends the threads."""
        self._pool.shutdown()
        for env in self.envs:
            env.close()

    def _map(self, function: Callable[[int], _Result], indices: Sequence[int]) -> list[_Result]:
        """Applies a function to indices on the threads; results in order."""
        return list(self._pool.map(function, indices))
