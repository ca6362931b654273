"""How fast a world model dreams, where the time goes, and whether a long dream costs more than a short one.

    python benchmarks/dreaming.py [CHECKPOINT] [--rounds N] [--steps N | --no-long] [--threads N] [--output FILE]

One process does everything by turns, round after round: a large bfloat16 matrix product, steps of 1, 4 and 16 dreams,
the same step without a cache, and the parts of a step; whatever else the machine does hits all of them alike. Figures
are medians over rounds. A step is what `env.step` does, from the action to the frames, with a full memory. Floating-
point operations are counted by PyTorch on the matrix products that are really made; the share is their rate over that
of the plain product.

Without a cache, all remembered frames go through the denoiser again in each of its passes.

Then one dream goes on for thousands of steps: the cost of a step, and the memory of the process, early against late.
The matrix product is measured beside both, since minutes lie between them. Last, a thousand branches of a dream.
"""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from worldmodel.envs.imagined.core import Imagination
from worldmodel.envs.imagined.env import ImaginedEnv
from worldmodel.model import WorldModel
from worldmodel.model.streaming import DreamState
from worldmodel.sampling import noise_levels

MATRIX_SIZE = 2048
BATCHES = (1, 4, 16)
BRANCHES = 1000
WINDOW = 100
"""Steps in which the long dream is looked at, early and late."""


@dataclass(slots=True)
class Contender:
    """Something to measure.

    Attributes:
        label: Its name.
        run: Does it once, to the end.
        frames: How many it makes.
        flops: Of its matrix products.
        seconds: Of each round.
    """

    label: str
    run: Callable[[], Any]
    frames: int
    flops: float
    seconds: list[float]

    def median(self) -> float:
        """Returns the median of its seconds."""
        return statistics.median(self.seconds)


def contender(label: str, run: Callable[[], Any], *, frames: int = 0, flops: float | None = None) -> Contender:
    """Returns something to measure, warmed up, with its operations counted."""
    run()
    if flops is None:
        with FlopCounterMode(display=False) as counter:
            run()
        flops = counter.get_total_flops()
    return Contender(label, run, frames, flops, [])


def matrix_product(device: torch.device) -> Contender:
    """Returns the yardstick."""
    left, right = torch.randn(2, MATRIX_SIZE, MATRIX_SIZE, device=device, dtype=torch.bfloat16)
    return contender(
        "matrix product, bfloat16", lambda: finished(torch.mm(left, right)), flops=2 * float(MATRIX_SIZE) ** 3
    )


def finished(result: Any) -> Any:
    """Waits for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result


def dreams(checkpoint: str, batch: int, num_steps: int) -> Imagination:
    """Returns dreams with a full memory."""
    core = Imagination(batch, {"checkpoint": checkpoint, "num_steps": num_steps})
    items = list(range(batch))
    core.reset(items, [{}] * batch, [np.random.default_rng(item) for item in items])
    config = core.model.config.denoiser
    actions = [core.actions.idle()] * batch
    for _ in range(config.sinks + config.window):
        core.step(actions)
    return core


def steps(checkpoint: str, num_steps: int) -> list[Contender]:
    """Returns a step of each number of dreams."""
    found = []
    for batch in BATCHES:
        core = dreams(checkpoint, batch, num_steps)
        core.action_space.seed(0)
        actions = [core.action_space.sample() for _ in range(batch)]
        found.append(
            contender(
                f"step of {batch} dream{'s' if batch > 1 else ''}",
                partial(core.step, actions),
                frames=batch * core.model.frames_per_latent,
            )
        )
    return found


def parts(model: WorldModel, state: DreamState, num_steps: int) -> list[Contender]:
    """Returns the parts of a step of one dream, and a step without a cache."""
    acts = model.null_actions(1, 1)
    noise = torch.randn_like(state.latents)
    past, mask = state.cache.read()
    context = model.config.denoiser.context_noise
    sigma = torch.full_like(noise[..., 0], 0.5)
    context_sigma = torch.full_like(sigma, context)

    def one_pass() -> Any:
        inputs = model.inputs(
            noise[:, None], sigma[:, None], actions=acts, text=state.text, before=state.seen, before_sigma=context_sigma
        )
        return finished(model.denoiser(inputs, past, mask))

    written = one_pass().written
    remembered = len(mask[0])
    clip = torch.randn(1, remembered + 1, *noise.shape[1:], device=model.device)
    levels = torch.full_like(clip[..., 0], context)
    clip_acts = model.null_actions(1, remembered + 1)

    def without_cache() -> Any:
        for level in [*noise_levels(num_steps).tolist()[:-1], context]:  # as many passes: the heads come with the last
            levels[:, -1] = level
            output = model.denoiser(model.inputs(clip, levels, actions=clip_acts, text=state.text))
        return finished((output, model.decode_groups(noise)))

    return [
        contender("step of 1 dream without a cache", without_cache, frames=model.frames_per_latent),
        contender("one pass of the denoiser", one_pass),
        contender("reading the cache", lambda: finished(state.cache.read())),
        contender("writing the cache", lambda: finished(state.cache.write(written))),
        contender("decoding", lambda: finished(model.decode_groups(noise).cpu())),
    ]


def seconds(run: Callable[[], Any]) -> float:
    """Returns how long a call takes."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def resident_mib() -> float:
    """Returns the memory of the process in MiB; where the system does not say, the most it ever had."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def long_dream(core: Imagination, yardstick: Contender, num_steps: int) -> dict[str, dict[str, float]]:
    """Steps one dream on and on; returns figures of an early and of a late window.

    Args:
        core: A dream.
        yardstick: Measured ten times in each window.
        num_steps: Steps in all.
    """
    window = max(1, min(WINDOW, num_steps // 4))
    windows = {window: range(window // 2, window // 2 + window), num_steps: range(num_steps - window, num_steps)}
    core.action_space.seed(0)
    actions = [core.action_space.sample() for _ in range(50)]
    times: dict[int, list[float]] = {end: [] for end in windows}
    plain: dict[int, list[float]] = {end: [] for end in windows}
    memory: dict[int, float] = {}
    for step in range(num_steps):
        spent = seconds(partial(core.step, [actions[step % len(actions)]]))
        for end, inside in windows.items():
            if step in inside:
                times[end].append(spent)
                memory[end] = resident_mib()
                if (step - inside.start) % max(1, window // 10) == 0:
                    plain[end].append(seconds(yardstick.run))
    return {
        str(end): {
            "seconds": statistics.median(times[end]),
            "matrix_product_seconds": statistics.median(plain[end]),
            "mib": memory[end],
        }
        for end in windows
    }


def branches(checkpoint: str, num_steps: int) -> dict[str, float]:
    """Returns the memory that states and branches of a dream with a full memory take, in MiB."""
    env = ImaginedEnv(checkpoint=checkpoint, num_steps=num_steps)
    env.reset(seed=0)
    config = env.model.config.denoiser
    for _ in range(config.sinks + config.window):
        env._core.step([env.idle_action()])
    layers = env.get_state().state.cache.layers
    cache = sum(part.nbytes for layer in layers for part in (layer.keys, layer.values)) / 2**20
    before = resident_mib()
    kept: list[Any] = [env.get_state() for _ in range(BRANCHES)]
    states = resident_mib()
    kept.append(env.fork(BRANCHES))
    return {"cache": cache, "states": states - before, "branches": resident_mib() - states, "before": before}


def table(heads: list[str], rows: list[list[str]]) -> None:
    """Prints a table in Markdown."""
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def report(yardstick: Contender, whole: list[Contender], pieces: list[Contender], passes: int) -> None:
    """Prints what was measured by turns."""
    rate = yardstick.flops / yardstick.median()
    rows = [[yardstick.label, f"{yardstick.median() * 1e3:.1f}", "", "", f"{rate / 1e9:.0f}", "100 %"]]
    for one in [*whole, *pieces]:
        own = one.flops / one.median()
        speed = f"{one.frames / one.median():.1f}" if one.frames else ""
        counted = [f"{one.flops / 1e9:.2f}", f"{own / 1e9:.0f}", f"{own / rate:.0%}"] if one.flops else ["0", "", ""]
        rows.append([one.label, f"{one.median() * 1e3:.1f}", speed, *counted])
    table(["", "ms", "frames/s", "GFLOP", "GFLOP/s", "of the matrix product"], rows)
    by_label = {one.label: one.median() for one in pieces}
    step = whole[0].median()
    spent = {
        f"{passes} sampling passes": passes * by_label["one pass of the denoiser"],
        "the pass that remembers, and the heads": by_label["one pass of the denoiser"],
        "reading the cache": by_label["reading the cache"],
        "writing the cache": by_label["writing the cache"],
        "decoding": by_label["decoding"],
    }
    spent["the rest: noise, actions, copies"] = step - sum(spent.values())
    table(["of a step of 1 dream", "ms", "share"], [[k, f"{v * 1e3:.1f}", f"{v / step:.0%}"] for k, v in spent.items()])
    print(f"Without a cache a step takes {by_label['step of 1 dream without a cache'] / step:.1f} times as long.\n")


def main() -> None:
    """Measures and prints tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default="voxel-small", help="name or path")
    parser.add_argument("--rounds", type=int, default=30, help="rounds of all contenders")
    parser.add_argument("--num-steps", type=int, default=2, help="sampling steps for each latent frame")
    parser.add_argument("--steps", type=int, default=10_000, help="steps of the long dream")
    parser.add_argument("--no-long", action="store_true", help="leave the long dream out")
    parser.add_argument("--threads", type=int, default=2, help="threads")
    parser.add_argument("--output", type=Path, default=None, help="also write the figures to a JSON file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    whole = steps(arguments.checkpoint, arguments.num_steps)
    core = dreams(arguments.checkpoint, 1, arguments.num_steps)
    yardstick = matrix_product(core.model.device)
    snapshot = core.dreams.snapshot(0, core.stamp)
    with torch.no_grad():
        pieces = parts(core.model, snapshot.state, arguments.num_steps)
        for _ in range(arguments.rounds):
            for one in [yardstick, *whole, *pieces]:
                one.seconds.append(seconds(one.run))
    height, width, _ = core.observation_space.shape  # type: ignore[misc]
    model = core.model
    print(
        f"{arguments.checkpoint}: {model.num_parameters() / 1e6:.1f} million parameters, {height} x {width} pixels, "
        f"{model.frames_per_latent} frames in a step of {arguments.num_steps} sampling steps, {model.dtype}, "
        f"{arguments.threads} threads, medians of {arguments.rounds} rounds.\n"
    )
    report(yardstick, whole, pieces, arguments.num_steps)
    figures: dict[str, Any] = {
        one.label: {"seconds": one.median(), "frames": one.frames, "flops": one.flops}
        for one in [yardstick, *whole, *pieces]
    }
    if not arguments.no_long:
        figures["long"] = long_dream(core, yardstick, arguments.steps)
        rows = [
            [
                end,
                f"{found['seconds'] * 1e3:.1f}",
                f"{found['matrix_product_seconds'] * 1e3:.1f}",
                f"{found['mib']:.0f}",
            ]
            for end, found in figures["long"].items()
        ]
        table(["about step", "ms", "ms of a matrix product then", "MiB of the process"], rows)
    figures["branches"] = branches(arguments.checkpoint, arguments.num_steps)
    found = figures["branches"]
    rows = [
        [f"{BRANCHES} states", f"{found['states']:.1f}"],
        [f"{BRANCHES} branches, with their spaces and first frames", f"{found['branches']:.1f}"],
        [f"{BRANCHES} copies would take", f"{BRANCHES * found['cache']:.0f}"],
    ]
    table(["", "MiB"], rows)
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
