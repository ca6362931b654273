"""How fast a player plans in a dream, where the time goes, and whether plans are any good: in truth, and in dreams.

    python benchmarks/planning.py [CHECKPOINT] [--rounds N] [--worlds N] [--parts speed truth dream] [--threads N]

Speed: one iteration of 64 candidates of 12 steps, by turns with a large bfloat16 matrix product. Time within the model
is that within the forward passes of its parts; all else, noise and memory of the dreams included, is outside. What the
planner itself adds is what is outside of `streaming.imagine`.

Truth: players of all methods and one that acts at random go for the goal of the Navigate task, planning in the block
world itself. Figures are returns, +1 for each block nearer and +100 for arriving, with bootstrap intervals over worlds.

Dream: after a short walk in the real environment, a picture is taken of where four drawn actions, of those that walk,
turn and look, would lead, and a plan is made in a dream to get there, of all actions of the discrete preset. It is then
done in the real environment, and so are a plan that was made in the real environment, one that was drawn at random, and
none at all.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from dreaming import matrix_product, seconds, table
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.agents.planning import (
    ActionCoordinates,
    EnvironmentSimulator,
    ImageObjective,
    PlannerConfig,
    Watched,
    first_proposal,
    optimise,
)
from worldmodel.envs.actions import DISCRETE_ACTIONS
from worldmodel.envs.imagined.env import ImaginedEnv
from worldmodel.envs.twin import model_environment
from worldmodel.evaluation.estimates import bootstrap, difference
from worldmodel.model import streaming

CANDIDATES, HORIZON = 64, 12
METHODS = ("cem", "icem", "mppi", "random_shooting", "beam")
FIRST_SEED = 1_000_000
"""Training uses small seeds."""
_CONTEXT, _PLANNED = 16, 4
"""Steps before the start of a plan, and steps of one."""
_WALK = ("forward", "forward", "turn_left", "turn_right")
"""Drawn before the start."""
_THERE = ("forward", "turn_left", "turn_right", "look_up", "look_down")
"""Drawn for the way to where a picture is taken."""


class Stopwatch:
    """Adds up the time that calls take.

    Attributes:
        total: In seconds.
    """

    def __init__(self) -> None:
        """Starts at 0."""
        self.total = 0.0
        self._begun = 0.0

    def start(self, *_: Any) -> None:
        """Begins a call."""
        self._begun = time.perf_counter()

    def stop(self, *_: Any) -> None:
        """Ends it."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.total += time.perf_counter() - self._begun

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function whose calls are timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            self.start()
            try:
                return function(*args, **kwargs)
            finally:
                self.stop()

        return timed


def speed(checkpoint: str, rounds: int) -> None:
    """Prints how long a plan takes, and where the time goes."""
    env = ImaginedEnv(checkpoint=checkpoint)
    config = env.model.config.denoiser
    player = make_player("planner", env, candidates=CANDIDATES, horizon_steps=HORIZON, iterations=1)
    observation, info = env.reset(seed=0)
    for _ in range(config.sinks + config.window):
        env._core.step([env.idle_action()])

    def decide() -> None:
        player.reset(0)
        player.act(observation, info)

    yardstick = matrix_product(env.model.device)
    with FlopCounterMode(display=False) as counter:
        decide()
    flops = counter.get_total_flops()
    model, imagining = Stopwatch(), Stopwatch()
    for part in (env.model.denoiser, env.model.compression, env.model.text):
        part.register_forward_pre_hook(model.start)
        part.register_forward_hook(model.stop)
    imagine, streaming.imagine = streaming.imagine, imagining.around(streaming.imagine)
    whole, plain, within, dreamt = [], [], [], []
    for _ in tqdm(range(rounds), desc="speed"):
        plain.append(statistics.median(seconds(yardstick.run) for _ in range(5)))
        model.total = imagining.total = 0.0
        whole.append(seconds(decide))
        within.append(model.total / whole[-1])
        dreamt.append(imagining.total / whole[-1])
    streaming.imagine = imagine
    took, rate = statistics.median(whole), yardstick.flops / statistics.median(plain)
    print(
        f"\n{checkpoint}, {torch.get_num_threads()} threads, {env.model.device}, {rounds} rounds: one iteration of "
        f"{CANDIDATES} candidates x {HORIZON} steps.\n"
    )
    rows = [
        ["decisions/s, of one iteration", f"{1 / took:.3f}"],
        ["imagined steps/s", f"{CANDIDATES * HORIZON / took:.1f}"],
        ["share of time outside the model's passes", f"{1 - statistics.median(within):.1%}"],
        ["of which the planner itself", f"{1 - statistics.median(dreamt):.1%}"],
        ["GFLOP/s of a decision", f"{flops / took / 1e9:.0f}"],
        ["GFLOP/s of the matrix product", f"{rate / 1e9:.0f}"],
        ["share of the matrix product", f"{flops / took / rate:.0%}"],
    ]
    table(["", ""], rows)


def navigate(player_name: str, seed: int, steps: int, **settings: Any) -> tuple[float, float]:
    """Plays an episode of the task; returns its return, and the seconds of an action."""
    size = {"height": 16, "width": 16, "view_distance": 16}
    env = gymnasium.make("worldmodel/VoxelNavigateDense-v0", frame_skip=4, actions="discrete", **size)
    player = make_player(player_name, env, **settings)
    observation, info = env.reset(seed=seed)
    player.reset(seed)
    total, begun = 0.0, time.perf_counter()
    for t in range(steps):  # noqa: B007 - its last value counts
        observation, reward, terminated, truncated, info = env.step(player.act(observation, info))
        total += float(reward)
        if terminated or truncated:
            break
    env.close()
    return total, (time.perf_counter() - begun) / (t + 1)


def truth(worlds: int, steps: int) -> None:
    """Prints how well players do that plan in the real environment."""
    settings = {"candidates": CANDIDATES, "horizon_steps": HORIZON, "action_repeat": 2, "replan_steps": 4}
    runs: dict[str, Callable[[int], tuple[float, float]]] = {
        method: partial(navigate, "planner", steps=steps, method=method, **settings) for method in METHODS
    }
    runs["random player"] = partial(navigate, "random", steps=steps, hold_steps=4.0)
    found = {
        name: np.array([run(seed=FIRST_SEED + i) for i in tqdm(range(worlds), desc=name)]) for name, run in runs.items()
    }
    chance = found["random player"][:, 0]
    print(f"\nNavigate, dense: {worlds} worlds, {steps} steps of 4 ticks; {settings}.\n")
    rows = [
        [
            name,
            bootstrap(returns[:, 0]).text(1),
            "" if name == "random player" else difference(returns[:, 0], chance).text(1),
            f"{(returns[:, 0] > 100).mean():.0%}",
            f"{1 / returns[:, 1].mean():.1f}",
        ]
        for name, returns in found.items()
    ]
    table(["", "return", "more than the random player", "arrived", "actions/s"], rows)


def drawn(names: Sequence[str], number: int, random: np.random.Generator) -> np.ndarray:
    """Returns so many actions of the discrete preset, as a plan has them: float64 (number, 1)."""
    known = [name for name, _ in DISCRETE_ACTIONS]
    return np.array([[known.index(names[i])] for i in random.integers(len(names), size=number)], np.float64)


def direction(info: dict[str, Any]) -> np.ndarray:
    """Returns where the player looks, a unit vector (3,)."""
    yaw, pitch = np.radians([info["pose"]["yaw"], info["pose"]["pitch"]])
    return np.array([np.cos(pitch) * np.sin(yaw), np.sin(pitch), np.cos(pitch) * np.cos(yaw)])


def dream(checkpoint: str, worlds: int) -> None:
    """Prints how near plans to get to a picture come to it, made in a dream and elsewhere."""
    config = PlannerConfig(horizon_steps=_PLANNED, replan_steps=_PLANNED, candidates=CANDIDATES)
    env = model_environment(ImaginedEnv(checkpoint=checkpoint).model, actions="discrete")
    place = Watched(env, checkpoint, config.num_steps)
    world: Any = env.unwrapped
    coordinates = ActionCoordinates(env.action_space)
    first = first_proposal(coordinates, _PLANNED, spread=config.spread, colour=0.0)

    def follow(start: Any, sequence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the picture that a sequence of actions leads to, and the direction."""
        world.set_state(start)
        for action in coordinates.actions(sequence):
            frame, *_, info = world.step(action)
        return frame, direction(info)

    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ("dream", "truth", "random", "nothing")}
    for i in tqdm(range(worlds), desc="dream"):
        random = np.random.default_rng(FIRST_SEED + i)
        observation, _ = env.reset(seed=FIRST_SEED + i, options={"start_time": 0.2})
        place.reset(i)
        place.see(observation)
        for action in coordinates.actions(drawn(_WALK, _CONTEXT, random)):
            place.did(action)
            observation, *_ = env.step(action)
            place.see(observation)
        start = world.get_state()
        goal, wanted = follow(start, drawn(_THERE, _PLANNED, random))
        objective = ImageObjective(goal, model=place.model)
        plans = {"random": first.sample(1, random)[0], "nothing": np.tile(coordinates.rest, (_PLANNED, 1))}
        world.set_state(start)
        real = EnvironmentSimulator(env)
        for name, simulator, state in (("dream", place.simulator, place.state()), ("truth", real, start)):
            simulator.begin(state)
            plans[name] = optimise(simulator, first, objective, config, np.random.default_rng(i)).sequence
        for name, sequence in plans.items():
            frame, reached = follow(start, sequence)
            distance = np.sqrt(((frame.astype(np.float64) - goal) ** 2).mean())
            found[name].append((float(distance), float(np.degrees(np.arccos(np.clip(wanted @ reached, -1, 1))))))
    print(
        f"\n{checkpoint}: {worlds} pictures, {_PLANNED} steps away; {CANDIDATES} candidates, {config.iterations} "
        "iterations of CEM.\n"
    )
    figures = {name: np.array(pairs) for name, pairs in found.items()}
    chance = figures["random"]
    rows = [
        [name, *(f"{bootstrap(pairs[:, k]).text(1)}; {difference(pairs[:, k], chance[:, k]).text(1)}" for k in (0, 1))]
        for name, pairs in figures.items()
    ]
    table(["plan", "distance to the picture, of 255; to random", "degrees from its direction; to random"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default="voxel-small", help="name or path")
    parser.add_argument("--rounds", type=int, default=5, help="decisions that are timed")
    parser.add_argument("--worlds", type=int, default=12, help="episodes of each player, and pictures")
    parser.add_argument("--steps", type=int, default=80, help="steps of an episode of the task")
    parser.add_argument("--parts", nargs="+", choices=("speed", "truth", "dream"), default=["speed", "truth", "dream"])
    parser.add_argument("--threads", type=int, default=2, help="threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if "speed" in arguments.parts:
        speed(arguments.checkpoint, arguments.rounds)
    if "truth" in arguments.parts:
        truth(arguments.worlds, arguments.steps)
    if "dream" in arguments.parts:
        dream(arguments.checkpoint, arguments.worlds)


if __name__ == "__main__":
    main()
