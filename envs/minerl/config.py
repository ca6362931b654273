"""Settings of `worldmodel/MineRL-v0`, and where the interpreter that has MineRL is found."""

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from worldmodel.envs.voxel.config import as_member, check_range

PYTHON_VARIABLE = "WORLDMODEL_MINERL_PYTHON"
"""Environment variable with the path of the interpreter that has MineRL."""


class Observation(Enum):
    """What an observation is."""

    DICT = "dict"
    """MineRL's dictionary."""
    POV = "pov"
    """Its picture alone; the rest is in `info`."""


class OnFailure(Enum):
    """What a step does when MineRL, or its process, fails."""

    RAISE = "raise"
    TRUNCATE = "truncate"


@dataclass(kw_only=True, slots=True)
class MineRLConfig:
    """Settings of `worldmodel/MineRL-v0`, as `gymnasium.make` takes them.

    Attributes:
        task: An id that MineRL registers, such as `"MineRLTreechop-v0"`; or `"module:Class"`, a specification that is
            made with `task_arguments`.
        task_arguments: Keyword arguments for it: JSON values.
        python: Path of the interpreter that has MineRL; `None` for that of the environment variable
            `WORLDMODEL_MINERL_PYTHON`, or for this one, if it has MineRL.
        module: What registers the task: the name of a module, or the path of a file. If it has a function `make`, that
            makes the environment, `make(task, **task_arguments)`.
        environment: Environment variables of the process, besides those of this one.
        observation: `"dict"`, MineRL's dictionary, or `"pov"`, its picture alone.
        on_failure: `"raise"`, or `"truncate"`: the episode ends with the observation before, once more.
        restarts: How often a reset that fails is tried again, with another process.
        start_timeout_seconds: For starting Python, importing MineRL and making the environment.
        reset_timeout_seconds: For one try of a reset; the first one starts Minecraft.
        step_timeout_seconds: For a step.
        close_timeout_seconds: For MineRL to end Minecraft by itself.
        limit_slack_steps: An episode that MineRL ends so few steps before its time limit, or later, counts as
            truncated: Minecraft's clock, which knows the limit too, may start before the first step. At most a
            hundredth of the limit.
        log: Path of a file to which what MineRL prints is added; `None` keeps it for errors only.
    """

    task: str = "MineRLTreechop-v0"
    task_arguments: dict[str, Any] = field(default_factory=dict)
    python: str | None = None
    module: str = "minerl"
    environment: dict[str, str] = field(default_factory=dict)
    observation: Observation = Observation.DICT
    on_failure: OnFailure = OnFailure.RAISE
    restarts: int = 2
    start_timeout_seconds: float = 120.0
    reset_timeout_seconds: float = 600.0
    step_timeout_seconds: float = 60.0
    close_timeout_seconds: float = 20.0
    limit_slack_steps: int = 20
    log: str | None = None

    def __post_init__(self) -> None:
        """Turns names into members, and checks every value.

        Raises:
            ValueError: If a value is out of range; the message names it.
            TypeError: If it is of the wrong kind.
        """
        self.observation = as_member("observation", Observation, self.observation)
        self.on_failure = as_member("on_failure", OnFailure, self.on_failure)
        for name in ("task", "module"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise TypeError(f"{name}: expected a name as a string, got {getattr(self, name)!r:.80}")
        for name in ("python", "log"):
            if not isinstance(getattr(self, name), str | None):
                raise TypeError(f"{name}: expected a path as a string, or None, got {getattr(self, name)!r:.80}")
        for name in ("task_arguments", "environment"):
            values = getattr(self, name)
            if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
                raise TypeError(f"{name}: expected a dictionary with names as keys, got {values!r:.80}")
        check_range("restarts", self.restarts, 0, 100, "a whole number of tries", int)
        check_range("limit_slack_steps", self.limit_slack_steps, 0, 10_000, "a whole number of steps", int)
        for name in ("start", "reset", "step", "close"):
            name = f"{name}_timeout_seconds"
            check_range(name, getattr(self, name), 0.01, 86_400, "seconds", (int, float))

    def interpreter(self) -> str:
        """Returns the path of the interpreter that has MineRL.

        Raises:
            FileNotFoundError: If none is named, or it is not there.
        """
        named, where = self.python, "python"
        if named is None:
            named, where = os.environ.get(PYTHON_VARIABLE) or None, PYTHON_VARIABLE
        if named is None and (self.module.endswith(".py") or importlib.util.find_spec(self.module.split(".")[0])):
            return sys.executable
        if named is None:
            raise FileNotFoundError(
                "python: expected the path of an interpreter that has MineRL, which Python "
                f"{sys.version_info.major}.{sys.version_info.minor} cannot have, got None; pass python=, or set "
                f"{PYTHON_VARIABLE} (docs/minerl.md says how to make one)"
            )
        found = shutil.which(os.path.expanduser(named))
        if found is None:
            raise FileNotFoundError(f"{where}: expected the path of a Python interpreter, got {named!r}; is it there?")
        return found
