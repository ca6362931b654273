"""How much the environments of pictures cost, beside the environments inside them.

    python benchmarks/wrappers.py [--rounds N] [--steps N] [--output FILE]

A bare environment is what one gets from its own package and asks for pictures: their own size, nothing else. A wrapped
one resizes them, checks actions and makes captions. One process pinned to one core steps all by turns, round after
round, with the same actions; resets are not timed. ViZDoom is there twice: bare as it comes, 320 x 240, and drawn as
small as the wrapper has it drawn.
"""

import argparse
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import worldmodel.envs  # noqa: F401 - registers the ids

Make = Callable[[], gymnasium.Env]


def bare(module: str, env_id: str, /, **kwargs: Any) -> Make:
    """Returns what makes an environment of another package."""

    def make() -> gymnasium.Env:
        importlib.import_module(module)
        return gymnasium.make(env_id, disable_env_checker=True, **kwargs)

    return make


def wrapped(env_id: str, /, **kwargs: Any) -> Make:
    """Returns what makes one of ours."""
    return lambda: gymnasium.make(env_id, disable_env_checker=True, **kwargs)


DOOM = {"scenario_config_file": "my_way_home.cfg", "max_buttons_pressed": 1}
PAIRS: dict[str, tuple[Make, Make]] = {
    "ViZDoom, as it comes": (
        bare("vizdoom.gymnasium_wrapper", "VizdoomMyWayHome-v1"),
        wrapped("worldmodel/ViZDoom-v0"),
    ),
    "ViZDoom, 160 x 120": (
        bare("vizdoom.gymnasium_wrapper", "VizdoomMyWayHome-v1", screen_resolution="RES_160X120"),
        wrapped("worldmodel/ViZDoom-v0"),
    ),
    "MiniGrid": (
        bare("minigrid", "MiniGrid-DoorKey-8x8-v0", render_mode="rgb_array", tile_size=8, highlight=False),
        wrapped("worldmodel/MiniGrid-v0"),
    ),
    "Atari": (
        bare("ale_py", "ALE/Pong-v5", repeat_action_probability=0.0),
        wrapped("worldmodel/Atari-v0"),
    ),
    "CartPole in Pixels": (
        bare("gymnasium", "CartPole-v1", render_mode="rgb_array"),
        wrapped("worldmodel/Pixels-v0", env_id="CartPole-v1"),
    ),
}
"""What is compared: bare and wrapped, by name. Both have the same actions."""


class Contender:
    """An environment that is stepped; where its observation is no picture, it is also asked to render one."""

    def __init__(self, make: Make) -> None:
        """Makes it and warms it up."""
        self.env = make()
        space = self.env.observation_space
        parts = space.spaces.values() if isinstance(space, gymnasium.spaces.Dict) else [space]
        self._renders = not any(len(part.shape or ()) == 3 and min(part.shape[:2]) > 16 for part in parts)
        self.env.reset(seed=0)

    def seconds(self, actions: Sequence[Any]) -> float:
        """Returns how long the steps take, without resets."""
        total, begin = 0.0, time.perf_counter()
        for action in actions:
            _, _, terminated, truncated, _ = self.env.step(action)
            if self._renders:
                self.env.render()
            if terminated or truncated:
                total += time.perf_counter() - begin
                self.env.reset()
                begin = time.perf_counter()
        return total + time.perf_counter() - begin


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="steps in a round (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/wrappers.json"), help="JSON of results")
    options = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    contenders: dict[str, tuple[Contender, Contender]] = {}
    for name, (one, other) in PAIRS.items():
        try:
            contenders[name] = (Contender(one), Contender(other))
        except ImportError as error:
            print(f"without {name}: {error}")
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in contenders}
    generator = np.random.default_rng(0)
    for number in range(options.rounds + 1):
        for name, pair in contenders.items():
            actions = generator.integers(pair[1].env.action_space.n, size=options.steps).tolist()  # type: ignore[attr-defined]
            first = number % 2  # by turns, so that neither is always the one that warms things up
            found = {i: pair[i].seconds(actions) / options.steps for i in (first, 1 - first)}
            if number:  # the first round warms up
                times[name].append((found[0], found[1]))
        if sys.stderr.isatty():
            print(f"\rround {number} of {options.rounds}", end="", file=sys.stderr)
    figures = {}
    print(f"\n{'steps/s, medians':<24}{'bare':>10}{'wrapped':>10}{'ratio':>10}")
    for name, rounds in times.items():
        medians = [1 / statistics.median(part) for part in zip(*rounds, strict=True)]
        ratio = statistics.median(one / other for one, other in rounds)
        figures[name] = {"bare": medians[0], "wrapped": medians[1], "ratio": ratio}
        print(f"{name:<24}{medians[0]:>10.0f}{medians[1]:>10.0f}{ratio:>8.2f} x")
    for pair in contenders.values():
        for contender in pair:
            contender.env.close()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"\n{options.output}")


if __name__ == "__main__":
    main()
