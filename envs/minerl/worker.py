"""The program that runs MineRL: `python worker.py SOCKET MEMORY`, two open files, in the interpreter that has it.

It is written for Python 3.7 and needs NumPy, MineRL and what that needs; `worldmodel` is not there. It answers requests
until the other side closes the socket. Each is a dictionary with `command`:

| command | entries | answer |
|---|---|---|
| `make` | `module`, `task`, `arguments` | `spaces`, `limit` in steps or `None`, `versions` |
| `reset` | `seed` or `None` | `observation`, `info` |
| `step` | `action` | `observation`, `reward`, `done`, `info` |
| `close` | | `None`, and the program ends |

An answer is a dictionary with `value`, or with `error`: `type`, `message` and `traceback` of an exception.
"""

from __future__ import annotations

import importlib
import importlib.util
import mmap
import os
import platform
import socket
import sys
import traceback
from typing import Any


def beside(name: str) -> Any:
    """Returns a module that lies beside this file, not to be found by that name in the process."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    spec = importlib.util.spec_from_file_location("worldmodel_minerl_" + name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # the folder is another interpreter's
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


def main(arguments: list[str]) -> int:
    """Answers requests in a guarded process; returns the exit status."""
    if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]  # this folder's files are not for MineRL to import
    descriptors = [int(argument) for argument in arguments]
    return beside("guard").guarded(lambda: serve(*descriptors), descriptors)


def serve(channel: int, memory: int) -> None:
    """Answers requests until there are no more."""
    for descriptor in (channel, memory):
        os.set_inheritable(descriptor, False)  # Minecraft must not keep them open
    wire = beside("wire")
    connection = socket.socket(fileno=channel)
    arrays = wire.Memory(mmap.mmap(memory, wire.MEMORY_BYTES))
    inbox = wire.Inbox()
    world = World()
    while True:
        message = inbox.take()
        if message is None:
            piece = connection.recv(2**16)
            if not piece:
                return
            inbox.feed(piece)
            continue
        number, request = message
        try:
            answer = wire.pack(number, {"value": world.answer(request)}, arrays)
        except Exception as error:
            said = {"type": type(error).__name__, "message": str(error), "traceback": traceback.format_exc()}
            answer = wire.pack(number, {"error": said})
        connection.sendall(answer)
        if request["command"] == "close":
            return


class World:
    """The environment, old Gym's or new."""

    def __init__(self) -> None:
        """Makes none yet."""
        self._env: Any = None

    def answer(self, request: dict) -> Any:
        """Does what a request says."""
        command = request["command"]
        if command == "make":
            return self._make(request["module"], request["task"], request["arguments"])
        if command == "reset":
            return self._reset(request["seed"])
        if command == "step":
            return self._step(request["action"])
        if command == "close":
            if self._env is not None:
                self._env.close()
            return None
        raise ValueError(f"command: expected make, reset, step or close, got {command!r}")

    def _make(self, name: str, task: str, arguments: dict) -> dict:
        module = load(name)
        if hasattr(module, "make"):
            self._env = module.make(task, **arguments)
        elif ":" in task:
            # A specification, as VPT uses it: minerl.herobraine.env_specs.human_survival_specs:HumanSurvival.
            path, _, specification = task.partition(":")
            self._env = getattr(importlib.import_module(path), specification)(**arguments).make()
        else:
            import gym

            self._env = gym.make(task, **arguments)
        spaces = {"action": describe(self._env.action_space), "observation": describe(self._env.observation_space)}
        return {"spaces": spaces, "limit": limit_of(self._env), "versions": versions(name)}

    def _reset(self, seed: Any) -> dict:
        # MineRL forgets the seed with every reset, and takes it only before.
        if seed is not None:
            self._env.seed(seed)
        result = self._env.reset()
        observation, info = result if isinstance(result, tuple) else (result, {})
        return {"observation": observation, "info": info}

    def _step(self, action: Any) -> dict:
        result = self._env.step(action)
        if len(result) == 5:  # gym from 0.26 on
            observation, reward, terminated, truncated, info = result
            done = terminated or truncated
            info = dict(info, **{"TimeLimit.truncated": bool(truncated and not terminated)})
        else:
            observation, reward, done, info = result
        return {"observation": observation, "reward": reward, "done": done, "info": info}


def load(name: str) -> Any:
    """Returns a module by its name, or by its path."""
    if not name.endswith(".py"):
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(os.path.basename(name)[:-3], name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def limit_of(env: Any) -> Any:
    """Returns after how many steps an environment ends an episode; `None` if it does not say."""
    for holder in ("spec", "task"):
        limit = getattr(getattr(env, holder, None), "max_episode_steps", None)
        if limit is not None:
            return int(limit)
    return None


def versions(name: str) -> dict:
    """Returns what runs here."""
    import numpy

    found = {"python": platform.python_version(), "numpy": numpy.__version__}
    for module in ("gym", name):
        version = getattr(sys.modules.get(module), "__version__", None)
        if version is not None:
            found[module] = str(version)
    return found


def describe(space: Any) -> dict:
    """Returns what a space is, in words that `worldmodel.envs.minerl.spaces` understands.

    Spaces are known by the names of their classes: MineRL's are subclasses of Gym's.
    """
    names = {kind.__name__ for kind in type(space).__mro__}
    if "Enum" in names:
        values = [str(value) for value in space.values]
        return {"type": "Enum", "values": values, "default": str(getattr(space, "default", None) or values[0])}
    if "DiscreteRange" in names:
        return {"type": "Discrete", "n": int(space.n), "start": int(space.begin)}
    if "Discrete" in names:
        return {"type": "Discrete", "n": int(space.n), "start": int(getattr(space, "start", 0))}
    if "MultiDiscrete" in names:
        return {"type": "MultiDiscrete", "nvec": space.nvec.tolist(), "dtype": str(space.dtype)}
    if "MultiBinary" in names:
        return {"type": "MultiBinary", "n": [int(n) for n in space.shape]}
    if "Box" in names:
        bounds = {"low": bound(space.low), "high": bound(space.high)}
        return dict(bounds, type="Box", shape=list(space.shape), dtype=str(space.dtype))
    if "Dict" in names:
        return {"type": "Dict", "spaces": [[key, describe(part)] for key, part in space.spaces.items()]}
    if "Tuple" in names:
        return {"type": "Tuple", "spaces": [describe(part) for part in space.spaces]}
    if "Text" in names:
        return {"type": "Text"}
    return {"type": type(space).__name__, "said": repr(space)}


def bound(values: Any) -> Any:
    """Returns the bounds of a Box, plain numbers: a single one, if all are the same."""
    flat = values.ravel()
    return flat[0].item() if flat.size and (flat == flat[0]).all() else values.tolist()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
