"""How fast the block world steps, beside Crafter and ViZDoom, and how it scales over threads.

    python benchmarks/throughput.py [--rounds N] [--output FILE]

One process pinned to one core steps all contenders by turns, round after round, so that whatever else the machine does
hits all of them alike. What is timed is a complete step: world, picture, HUD, events, captions and the loading of new
terrain; `reset` is not. Afterwards, on all cores, 8 environments are stepped on one thread and on two, by turns.
"""

# ruff: noqa: D102, D107 - inherited or said by the class

import argparse
import json
import os
import platform
import statistics
import sys
import time
from abc import ABC, abstractmethod
from datetime import date
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.envs.actions import no_op
from worldmodel.envs.voxel.terrain import BIOMES
from worldmodel.envs.voxel.vector import VoxelVectorEnv

NUM_ENVS = 8
MATRIX_SIZE = 512


class Contender(ABC):
    """An environment that is measured; the clock stands still while it resets.

    Attributes:
        label: Name in the table.
        steps: Steps in a round.
    """

    label: str
    steps: int

    @abstractmethod
    def step(self, number: int) -> bool:
        """Takes a step with the action of that number; returns whether the episode is over."""

    @abstractmethod
    def reset(self) -> None:
        """Starts an episode."""

    def prepare(self) -> None:
        """Starts the first episode and takes some steps, so that everything is compiled and loaded."""
        self.reset()
        for number in range(20):
            if self.step(number):
                self.reset()

    def measure(self, start: int) -> float:
        """Takes the steps of a round, the first with the action of number `start`; returns seconds."""
        seconds = 0.0
        begin = time.perf_counter()
        for number in range(start, start + self.steps):
            if self.step(number):
                seconds += time.perf_counter() - begin
                self.reset()
                begin = time.perf_counter()
        return seconds + time.perf_counter() - begin


class VoxelContender(Contender):
    """The block world in one biome after another, a part of every round in each."""

    def __init__(self, size: int, steps: int) -> None:
        self.label = f"worldmodel/Voxel-v0, {size} x {size}"
        self.steps = steps
        self._envs = [
            gymnasium.make("worldmodel/Voxel-v0", height=size, width=size, biome=biome, disable_env_checker=True)
            for biome in BIOMES
        ]
        self._actions = mixed_actions(4096, seed=0)
        self._current = 0

    def prepare(self) -> None:
        for seed, env in enumerate(self._envs):
            env.reset(seed=seed)
            for action in self._actions[:20]:
                env.step(action)

    def step(self, number: int) -> bool:
        self._current = len(self._envs) * (number % self.steps) // self.steps
        _, _, terminated, truncated, _ = self._envs[self._current].step(self._actions[number % len(self._actions)])
        return terminated or truncated

    def reset(self) -> None:
        self._envs[self._current].reset()


class CrafterContender(Contender):
    """Crafter (Hafner, 2021), at its usual size."""

    def __init__(self, steps: int) -> None:
        import crafter

        self.label, self.steps = "Crafter, 64 x 64", steps
        self._env = crafter.Env(seed=0)
        self._actions = np.random.default_rng(0).integers(self._env.action_space.n, size=4096).tolist()

    def step(self, number: int) -> bool:
        _, _, done, _ = self._env.step(self._actions[number % len(self._actions)])
        return done

    def reset(self) -> None:
        self._env.reset()


class VizdoomContender(Contender):
    """ViZDoom's basic scenario (Kempka et al., 2016), in RGB."""

    def __init__(self, steps: int) -> None:
        import vizdoom

        self.label, self.steps = "ViZDoom basic, 320 x 240", steps
        self._game = vizdoom.DoomGame()
        self._game.load_config(str(Path(vizdoom.scenarios_path) / "basic.cfg"))
        self._game.set_screen_resolution(vizdoom.ScreenResolution.RES_320X240)
        self._game.set_screen_format(vizdoom.ScreenFormat.RGB24)
        self._game.set_window_visible(False)
        self._game.set_mode(vizdoom.Mode.PLAYER)
        self._game.set_seed(0)
        self._game.init()
        buttons = self._game.get_available_buttons_size()
        self._actions = np.random.default_rng(0).integers(2, size=(4096, buttons)).tolist()

    def step(self, number: int) -> bool:
        self._game.make_action(self._actions[number % len(self._actions)])
        if self._game.is_episode_finished():
            return True
        np.array(self._game.get_state().screen_buffer)  # an observation of its own, as others give
        return False

    def reset(self) -> None:
        self._game.new_episode()


class VectorContender(Contender):
    """The vector environment on a number of threads; a step of it counts as `NUM_ENVS` steps."""

    def __init__(self, size: int, threads: int, steps: int) -> None:
        self.label = f"{NUM_ENVS} x Voxel-v0, {size} x {size}, threads={threads}"
        self.steps = steps
        self._envs = VoxelVectorEnv(NUM_ENVS, threads=threads, height=size, width=size)
        rows = [mixed_actions(512, seed=i) for i in range(NUM_ENVS)]
        self._actions = [{key: np.stack([row[t][key] for row in rows]) for key in rows[0][0]} for t in range(512)]

    def step(self, number: int) -> bool:
        self._envs.step(self._actions[number % len(self._actions)])
        return False  # it resets by itself

    def reset(self) -> None:
        self._envs.reset(seed=0)


def mixed_actions(count: int, seed: int) -> list[dict[str, Any]]:
    """Returns full actions as an explorer gives them: spells of walking and standing, turns, jumps, mining, placing."""
    generator = np.random.default_rng(seed)
    actions: list[dict[str, Any]] = []
    while len(actions) < count:
        walks, sprints, attacks = generator.random(3) < (0.75, 0.3, 0.25)
        turn = generator.normal(0.0, (1.0, 4.0))
        for _ in range(int(generator.integers(5, 40))):
            action = no_op()
            action["camera"] = (turn + generator.normal(0.0, 0.5, 2)).astype(np.float32)
            action["forward"], action["sprint"], action["attack"] = int(walks), int(sprints), int(attacks)
            action["jump"], action["use"] = (generator.random(2) < (0.15, 0.03)).astype(int).tolist()
            actions.append(action)
    return actions[:count]


def matrix_rate(threads: int) -> float:
    """Returns the median GFLOP/s of float32 matrix products: what the machine's vector units can do at all."""
    import torch  # here, because it takes seconds

    torch.set_num_threads(threads)
    a, b = torch.randn(2, MATRIX_SIZE, MATRIX_SIZE)
    times = []
    for _ in range(60):
        begin = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - begin)
    return 2.0 * MATRIX_SIZE**3 / statistics.median(times) / 1e9


def make_contenders() -> list[Contender]:
    """Returns those that are installed; says which extra brings the others."""
    contenders: list[Contender] = [VoxelContender(64, 600), VoxelContender(128, 300)]
    for extra, kind, steps in (("crafter", CrafterContender, 120), ("vizdoom", VizdoomContender, 400)):
        try:
            contenders.append(kind(steps))
        except ImportError:
            print(f"without {extra}: install the extra with  pip install -c constraints.txt -e '.[{extra}]'")
    return contenders


def run_rounds(contenders: list[Contender], rounds: int) -> dict[str, list[float]]:
    """Measures all by turns; returns the seconds per step of every round, by label."""
    for contender in contenders:
        contender.prepare()
    times: dict[str, list[float]] = {contender.label: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            times[contender.label].append(contender.measure(number * contender.steps) / contender.steps)
        if sys.stderr.isatty():
            print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr)
    return times


def cpu_name() -> str:
    """Returns what the processor calls itself."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def pin_to_one_core() -> set[int] | None:
    """Keeps this process on one core; returns those it had, `None` where that cannot be done."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    return cores


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures steps per second of the block world beside others.")
    parser.add_argument("--rounds", type=int, default=15, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/throughput.json"), help="JSON of results")
    arguments = parser.parse_args()

    cores = pin_to_one_core()
    gflops = matrix_rate(1)
    rates = {
        label: {"median": 1.0 / statistics.median(times), "best": 1.0 / min(times)}
        for label, times in run_rounds(make_contenders(), arguments.rounds).items()
    }
    if cores:
        os.sched_setaffinity(0, cores)
    products = [(matrix_rate(1), matrix_rate(2)) for _ in range(5)]
    scaling = {
        f"matrix products, {MATRIX_SIZE} x {MATRIX_SIZE}, GFLOP/s": {
            "one_thread": statistics.median(one for one, _ in products),
            "two_threads": statistics.median(two for _, two in products),
            "ratio": statistics.median(two / one for one, two in products),
        }
    }
    for size, steps in ((64, 50), (128, 25)):
        pair: list[Contender] = [VectorContender(size, threads, steps) for threads in (1, 2)]
        one, two = run_rounds(pair, max(arguments.rounds // 2, 1)).values()
        scaling[f"{size} x {size}"] = {
            "one_thread": NUM_ENVS / statistics.median(one),
            "two_threads": NUM_ENVS / statistics.median(two),
            "ratio": statistics.median(a / b for a, b in zip(one, two, strict=True)),
        }

    base = next((rate["median"] for label, rate in rates.items() if label.startswith("Crafter")), None)
    print(f"\n{cpu_name()}, {os.cpu_count()} cores; float32 matrix products on one thread: {gflops:.0f} GFLOP/s\n")
    print(f"{'one core, complete steps':<32}{'median/s':>10}{'best/s':>10}{'to Crafter':>12}")
    for label, rate in rates.items():
        ratio = f"{rate['median'] / base:.2f} x" if base else "-"
        print(f"{label:<32}{rate['median']:>10.0f}{rate['best']:>10.0f}{ratio:>12}")
    print(f"\n{f'{NUM_ENVS} environments, steps/s':<40}{'1 thread':>10}{'2 threads':>10}{'ratio':>12}")
    for name, row in scaling.items():
        print(f"{name:<40}{row['one_thread']:>10.0f}{row['two_threads']:>10.0f}{row['ratio']:>10.2f} x")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cpu": cpu_name(), "cores": os.cpu_count(), "matrix_gflops": gflops, "python": platform.python_version()}
    result = {"date": date.today().isoformat(), "machine": machine, "steps_per_second": rates, "vector": scaling}
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\n{arguments.output}")


if __name__ == "__main__":
    main()
