"""MineRL as a Gymnasium environment; see `docs/minerl.md`."""

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from worldmodel.envs.minerl.bridge import Bridge
from worldmodel.envs.minerl.config import MineRLConfig, Observation, OnFailure
from worldmodel.envs.minerl.errors import Failure, MineRLError
from worldmodel.envs.minerl.spaces import checked_action, checked_observation, no_op, to_gymnasium


class MineRLEnv(gymnasium.Env):
    """A task of MineRL, 0.4 or 1.0, played in a process of another interpreter.

    Observation and action space are those of the task, strings of its Enums included. What an action
    leaves out does nothing. What MineRL makes up when it has lost Minecraft never comes out of here: it is an error.

    Attributes:
        config: The settings.
        versions: Of Python, NumPy and Gym in the other interpreter.
        limit: Steps after which MineRL ends an episode; `None` if it does not say.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, render_mode: str | None = None, **settings: Any) -> None:
        """Starts the process and has it make the task, which does not start Minecraft yet: the first reset does.

        Args:
            render_mode: `None` or `"rgb_array"`.
            **settings: Of `MineRLConfig`.

        Raises:
            TypeError: If a setting is unknown, or of the wrong kind.
            ValueError: If a setting or the render mode is out of range.
            FileNotFoundError: If there is no interpreter.
            MineRLError: If it cannot be started, or has no such task.
        """
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode: expected None or one of {self.metadata['render_modes']}, got {render_mode!r}"
            )
        known = [field.name for field in dataclasses.fields(MineRLConfig)]
        for name in settings:
            if name not in known:
                raise TypeError(f"settings: expected any of {known}, got {name!r}; remove or rename it")
        self.config = MineRLConfig(**settings)
        self.render_mode = render_mode
        self._bridge, made = self._start()
        try:
            self._space = to_gymnasium(made["spaces"]["observation"], "observation_space")
            self.action_space = to_gymnasium(made["spaces"]["action"], "action_space")
            self.observation_space = self._chosen_space()
        except BaseException:
            self._bridge.kill()
            raise
        self._made = made["spaces"]
        self.limit: int | None = made["limit"]
        self.versions: dict[str, str] = made["versions"]
        self._running = False
        self._begun = False
        self._steps = 0
        self._latest: Any = None

    def no_op(self) -> Any:
        """Returns a new action that does nothing."""
        return no_op(self.action_space)

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins an episode. The first time Minecraft is started, which takes minutes.

        Args:
            seed: Seeds the generator that draws the seeds of the worlds, and is the seed of this one. MineRL is given
                a seed before every reset, so a run can be repeated as far as Minecraft can be.
            options: None are known.

        Returns:
            Observation, and an empty `info` (with `observation="pov"`, the rest of the observation).

        Raises:
            ValueError: If there are options.
            MineRLError: If it fails, also with a new process, `restarts` times.
        """
        if options:
            raise ValueError(f"options: expected none, got {sorted(options)}; the task is chosen with gymnasium.make")
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**31))
        world = drawn if seed is None else seed
        self._running = False
        for tries in range(1, self.config.restarts + 2):
            try:
                if not self._bridge.alive:
                    self._bridge = self._restarted()
                answer = self._ask("reset", self.config.reset_timeout_seconds, seed=world)
                self._latest = checked_observation(self._space, answer.get("observation"))
                break
            except MineRLError as error:
                self._bridge.kill()  # also one that lives: a Minecraft that could not be reset is not to be trusted
                if tries > self.config.restarts:
                    raise MineRLError(error.failure, f"reset: failed {tries} times; the last time: {error}") from error
        self._running = self._begun = True
        self._steps = 0
        return self._observe(answer.get("info"))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Plays one tick of 50 ms.

        Args:
            action: A member of the action space; of a dictionary, any part of one.

        Returns:
            Observation, reward, whether the episode ended, whether its time was over, and MineRL's `info`. With
            `on_failure="truncate"`, `info["error"]` says that MineRL failed: the observation is the one before then.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after the end of an episode or a failure.
            TypeError: If the action is of the wrong kind; nothing has happened then.
            ValueError: If the action is not in the space; likewise.
            MineRLError: If MineRL, or its process, fails; not with `on_failure="truncate"`.
        """
        if not self._running:
            state = "is over" if self._begun else "has not begun"
            raise gymnasium.error.ResetNeeded(f"step: the episode {state}; call reset first")
        checked = checked_action(self.action_space, action)
        self._running = False  # unless what follows comes to its end
        try:
            answer = self._ask("step", self.config.step_timeout_seconds, action=checked)
            reward, done, info = self._checked_step(answer)
            self._latest = checked_observation(self._space, answer["observation"])
        except MineRLError as error:
            if error.failure in (Failure.LOST, Failure.INVALID):
                self._bridge.kill()  # it would go on as if nothing had happened
            if self.config.on_failure is OnFailure.RAISE:
                raise
            observation, info = self._observe({"error": str(error), "failure": error.failure.value})
            return observation, 0.0, False, True, info
        self._steps += 1
        truncated = done and self._out_of_time(info)
        self._running = not done
        observation, info = self._observe(info)
        return observation, reward, done and not truncated, truncated, info

    def render(self) -> np.ndarray | None:
        """Returns the latest picture, (H, W, 3) uint8, a copy; `None` without a render mode."""
        if self.render_mode is None:
            gymnasium.logger.warn('render: made without a render mode; pass render_mode="rgb_array" to make')
            return None
        if self._latest is None:
            raise gymnasium.error.ResetNeeded("render: the episode has not begun; call reset first")
        return self._latest["pov"].copy()

    def close(self) -> None:
        """Ends Minecraft and the process. A later reset starts them again."""
        self._running = False
        if hasattr(self, "_bridge"):
            self._bridge.close(self.config.close_timeout_seconds)

    def _start(self) -> tuple[Bridge, dict[str, Any]]:
        """Starts a process and makes the task in it."""
        config = self.config
        python = config.interpreter()
        bridge = Bridge(python, config.environment, config.log)
        try:
            made = bridge.ask(
                "make", "start_timeout_seconds", config.start_timeout_seconds,
                module=config.module, task=config.task, arguments=config.task_arguments,
            )  # fmt: skip
        except MineRLError as error:
            bridge.kill()
            failure = Failure.START if error.failure is Failure.EXCEPTION else error.failure
            raise MineRLError(failure, f"task: {config.task!r} could not be made by {python}: {error}") from error
        except BaseException:
            bridge.kill()
            raise
        return bridge, made

    def _restarted(self) -> Bridge:
        """Starts another process, which must have the same task."""
        bridge, made = self._start()
        if made["spaces"] != self._made:
            bridge.kill()
            raise MineRLError(Failure.INVALID, "spaces: expected those of before, got others from a new process")
        return bridge

    def _ask(self, command: str, seconds: float, **entries: Any) -> dict[str, Any]:
        answer = self._bridge.ask(command, f"{command}_timeout_seconds", seconds, **entries)
        if not isinstance(answer, dict):
            raise MineRLError(Failure.INVALID, f"{command}: expected a dictionary, got {answer!r:.80}")
        return answer

    def _checked_step(self, answer: Mapping[str, Any]) -> tuple[float, bool, dict[str, Any]]:
        """Returns reward, end and info of a step, or raises a MineRLError if they are not to be believed."""
        reward, done, info = answer.get("reward"), answer.get("done"), answer.get("info")
        if not isinstance(info, dict):
            raise MineRLError(Failure.INVALID, f"info: expected a dictionary, got {info!r:.80}")
        if "error" in info:
            raise MineRLError(
                Failure.LOST,
                f"step: MineRL has lost Minecraft ({info['error']}), and made an observation up, which is thrown away; "
                "call reset to start another",
            )
        if isinstance(reward, np.ndarray) and reward.size == 1:
            reward = reward.item()
        if not isinstance(reward, numbers.Real) or not math.isfinite(reward):
            raise MineRLError(Failure.INVALID, f"reward: expected a finite number, got {reward!r:.80}")
        if not isinstance(done, bool | int | np.bool_) or done not in (0, 1):
            raise MineRLError(Failure.INVALID, f"done: expected True or False, got {done!r:.80}")
        return float(reward), bool(done), info

    def _out_of_time(self, info: Mapping[str, Any]) -> bool:
        """Returns whether an episode that has ended was cut off by its time limit.

        MineRL seldom says so: Minecraft has a clock of its own, and BASALT's wrapper of 1.0 says nothing.
        """
        if info.get("TimeLimit.truncated"):
            return True
        if self.limit is None:
            return False
        return self._steps >= self.limit - min(self.config.limit_slack_steps, self.limit // 100)

    def _chosen_space(self) -> gymnasium.Space:
        """Returns the observation space, by the setting `observation`."""
        has_picture = isinstance(self._space, gymnasium.spaces.Dict) and "pov" in self._space.spaces
        if self.render_mode is not None and not has_picture:
            raise ValueError(f"render_mode: expected None, because the task shows no picture, but {self._space}")
        if self.config.observation is Observation.DICT:
            return self._space
        if not has_picture:
            raise ValueError(f'observation: expected "dict", because the task shows no picture, but {self._space}')
        return self._space["pov"]  # type: ignore[index]

    def _observe(self, info: Any) -> tuple[Any, dict[str, Any]]:
        """Returns observation and info of the latest step, as the caller's own."""
        info = dict(info) if isinstance(info, Mapping) else {}
        observation = _copied(self._latest)
        if self.config.observation is Observation.DICT:
            return observation, info
        picture = observation.pop("pov")
        return picture, {**observation, **info}


def _copied(value: Any) -> Any:
    """Returns a copy of an observation."""
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return value.copy() if isinstance(value, np.ndarray) else value
