"""Stands in for MineRL in the bridge's process: old Gym's interface, made-up frames, and on demand every misbehaviour.

The worker loads it by its path and calls `make(task, **arguments)`. Tasks of 0.4 have the spaces that were written down
from the real one; `MineRLBasaltFake-v0` has those of 1.0. It is written for Python 3.7 and NumPy alone, and its spaces
have the names and attributes of MineRL's, because those are all that the worker may rely on.
"""

import json
import os
import subprocess
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


class Space:
    def __init__(self, shape=None, dtype=None):
        self.shape = shape
        self.dtype = None if dtype is None else np.dtype(dtype)


class Box(Space):
    def __init__(self, low, high, shape, dtype):
        super().__init__(tuple(shape), dtype)
        self.low = np.full(shape, low, dtype)
        self.high = np.full(shape, high, dtype)

    def no_op(self):
        return np.zeros(self.shape, self.dtype)


class Discrete(Space):
    def __init__(self, n):
        super().__init__((), np.int64)
        self.n = n

    def no_op(self):
        return 0


class Enum(Discrete):
    def __init__(self, *values, default):
        super().__init__(len(values))
        self.values = np.array(sorted(values))
        self.default = default

    def no_op(self):
        return self.default


class DiscreteRange(Discrete):
    def __init__(self, begin, end):
        super().__init__(end - begin)
        self.begin = begin


class MultiDiscrete(Space):
    def __init__(self, nvec):
        self.nvec = np.array(nvec, np.int64)
        super().__init__(self.nvec.shape, np.int64)


class MultiBinary(Space):
    def __init__(self, n):
        super().__init__((n,), np.int8)
        self.n = n


class Text(Space):
    pass


class Strange(Space):
    pass


class Dict(Space):
    def __init__(self, spaces):
        super().__init__()
        self.spaces = spaces

    def no_op(self):
        return {key: space.no_op() for key, space in self.spaces.items()}


class Tuple(Space):
    def __init__(self, spaces):
        super().__init__()
        self.spaces = spaces


def space_of(said):
    """Makes a space of what was written down."""
    if said["type"] == "Dict":
        return Dict({key: space_of(part) for key, part in said["spaces"]})
    if said["type"] == "Enum":
        return Enum(*said["values"], default=said["default"])
    if said["type"] == "Discrete":
        return Discrete(said["n"])
    assert said["type"] == "Box"
    return Box(said["low"], said["high"], said["shape"], said["dtype"])


def new_spaces():
    """The spaces of 1.0, from its sources: `human_controls.py`, with a few of its items."""
    names = ["ESC", "attack", "back", "drop", "forward", "inventory", "jump", "left", "pickItem", "right", "sneak"]
    names += ["sprint", "swapHands", "use"] + [f"hotbar.{number}" for number in range(1, 10)]
    keys = {name: Discrete(2) for name in names}
    keys["camera"] = Box(-180.0, 180.0, (2,), np.float32)
    items = {name: Box(0, 2304, (), np.int32) for name in ("air", "dirt", "oak_log")}
    return Dict(keys), Dict({"pov": Box(0, 255, (360, 640, 3), np.uint8), "inventory": Dict(items)})


def strange_spaces():
    """Kinds of spaces that MineRL has, or may have in a task of one's own."""
    uneven = Box(0, 1, (2,), np.float64)
    uneven.high = np.array([1.5, np.inf])
    observed = {"pov": Box(0, 255, (4, 4, 3), np.uint8), "range": DiscreteRange(-1, 3), "text": Text((1,))}
    observed.update(pair=Tuple([Discrete(3), uneven]), bits=MultiBinary(4))
    return Dict({"chat": Text((1,)), "menu": MultiDiscrete([2, 3])}), Dict(observed)


def sample(space, seed, steps):
    """An observation that tells seed and step, in the types that MineRL gives: not always those of the space."""
    if isinstance(space, Dict):
        return {key: sample(part, seed, steps) for key, part in space.spaces.items()}
    if isinstance(space, Tuple):
        return tuple(sample(part, seed, steps) for part in space.spaces)
    if isinstance(space, Enum):
        return np.array(space.default)
    if isinstance(space, DiscreteRange):
        return space.begin
    if isinstance(space, Discrete):
        return np.int64(1)
    if isinstance(space, Text):
        return "hello, world"
    if len(space.shape) == 3:
        frame = np.full(space.shape, (seed + steps) % 256, np.uint8)
        return frame[::-1]  # as MineRL turns pictures upside down
    return np.full(space.shape, min(steps, 1), np.float64 if space.dtype.kind == "f" else np.int64)


class Env:
    """Behaves, until step `at`, or until reset number `at`; then does what `trouble` says."""

    def __init__(self, spaces, limit, trouble=None, at=2, length=None, child=None, once=None, quiet=False, told=False):
        self.action_space, self.observation_space = spaces
        self.task = type("Task", (), {"max_episode_steps": limit})()
        self.trouble, self.at, self.length, self.once = trouble, at, length, once
        self.quiet, self.told = quiet, told
        self.resets = 0
        self._seed = None
        if child is not None:
            # Minecraft, as MineRL starts it: in a session of its own, and with a child of its own.
            minecraft = subprocess.Popen(["sh", "-c", "sleep 300 & wait"], start_new_session=True)
            with open(child, "a") as file:
                file.write(f"{minecraft.pid}\n{os.getpid()}\n")

    def seed(self, seed):
        assert type(seed) is int
        self._seed = seed

    def reset(self):
        self.resets += 1
        if not self.quiet:
            print("this is no message, but MineRL prints such things")
            os.write(1, b"\x00\xff WMB1 and so do its children\n")
        self.steps = 0
        self.seeded, self._seed = self._seed, None
        if self.trouble is not None and self.trouble.startswith("reset "):
            self._misbehave(self.trouble[6:])
        return sample(self.observation_space, 0 if self.seeded is None else self.seeded, 0)

    def step(self, action):
        self.steps += 1
        observation = sample(self.observation_space, 0 if self.seeded is None else self.seeded, self.steps)
        reward, done = float(self.steps), self.length is not None and self.steps >= self.length
        info = {"seed": self.seeded, "action": action, "kinds": {key: type(action[key]).__name__ for key in action}}
        if done and self.told:
            info["TimeLimit.truncated"] = True
        if self.trouble is not None and self.steps >= self.at and not self.trouble.startswith("reset "):
            return self._misbehave(self.trouble, observation, reward, done, info)
        return observation, reward, done, info

    def close(self):
        if self.trouble == "deaf":
            time.sleep(300)

    def _misbehave(self, trouble, observation=None, reward=None, done=False, info=None):
        """Does what it must not; with `once`, the path of a file, only until that is there."""
        if self.once is not None:
            if os.path.exists(self.once):
                return observation, reward, done, info
            open(self.once, "w").close()
        if trouble == "crash":
            os.abort()
        if trouble == "exit":
            os._exit(3)
        if trouble == "hang":
            time.sleep(300)
        if trouble == "nap":
            time.sleep(1)
        if trouble == "raise":
            raise AssertionError("the world is flat")
        if trouble == "garbage":
            for descriptor in range(3, 20):
                try:
                    os.write(descriptor, b"\x01\x02 Exception in thread main java.lang.Error" * 20)
                except OSError:
                    pass
        if trouble == "error":
            observation["pov"] = np.random.randint(0, 255, observation["pov"].shape).astype(np.uint8)
            return observation, 0, True, {"error": "Connection timed out!"}
        if trouble == "shape":
            observation["pov"] = observation["pov"][:-1]
        if trouble == "dtype":
            observation["pov"] = observation["pov"] / 255.0
        if trouble == "key":
            del observation["pov"]
        if trouble == "none":
            observation = None
        if trouble == "count":
            observation["inventory"]["dirt"] = 2**40
        if trouble == "word":
            observation["equipped_items"]["mainhand"]["type"] = "spoon"
        if trouble == "nan":
            reward = float("nan")
        if trouble == "done":
            done = "yes"
        if trouble == "info":
            info = None
        return observation, reward, done, info


def make(task, **arguments):
    with open(os.path.join(HERE, "golden", "minerl_0.4.4.json")) as file:
        golden = json.load(file)
    if task in golden:
        said = golden[task]
        limit = arguments.pop("limit", said["limit"])
        return Env((space_of(said["action"]), space_of(said["observation"])), limit, **arguments)
    if task == "MineRLBasaltFake-v0":
        return Env(new_spaces(), 3600, **arguments)
    if task == "Strange-v0":
        return Env(strange_spaces(), None, **arguments)
    if task == "Unknown-v0":
        return Env((Dict({"key": Strange()}), Dict({})), None, **arguments)
    raise KeyError("No registered env with id: " + task)
