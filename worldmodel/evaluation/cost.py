"""Cost: how fast a dreamer dreams on this machine, and how much of the machine it makes use of.

Seconds say little about a model, since machines differ and are shared. So operations are counted as they are made, and
the rate at which a plain matrix product of the same number format runs is measured in the same minute: the share of it
says how well the model makes use of a machine.

Shapes: B dreams, r ticks in a step.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from worldmodel.evaluation.dreamers import Dreamer
from worldmodel.evaluation.episodes import RealEpisode, context
from worldmodel.evaluation.estimates import bootstrap
from worldmodel.evaluation.sections import Section, Table, Value

BATCHES = (1, 16)
"""Dreams at a time."""
MATRIX_SIZE = 2048
"""Rows and columns of the plain matrix product."""
_PRODUCT_OPERATIONS = 2 * float(MATRIX_SIZE) ** 3
_ROUNDS = 5
"""In which everything is measured by turns, so that whatever else the machine does hits all alike."""
MEASUREMENTS = len(BATCHES) * (_ROUNDS + 1)
"""For a progress bar: the first of each is for counting."""
_STEPS, _SECONDS = 8, 0.4
"""Most steps of a measurement, and the time after which no other is begun."""
_PRODUCT_SECONDS = 0.02
"""Least time for which products are made in a row; where one is quick, the clock and the launch would tell."""


@dataclass(slots=True)
class _Spent:
    """What was measured of one number of dreams.

    Attributes:
        operations: Floating-point operations of a step of all.
        steps: Seconds of a step of all, one median for each round.
        products: Seconds of a matrix product, likewise, taken before and after these steps.
    """

    operations: int
    steps: list[float]
    products: list[float]


def evaluate_cost(
    dreamer: Dreamer,
    episodes: Sequence[RealEpisode],
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda measurements: None,
) -> Section:
    """Measures how fast dreams are.

    Args:
        dreamer: Who dreams.
        episodes: Real ones, at least one, that dreams go on from with their actions.
        seed: Of the noise.
        progress: Called with the number of new measurements, of `MEASUREMENTS`.

    Raises:
        ValueError: If there is no episode, or one without a step.
    """
    if not episodes or min(episode.num_steps for episode in episodes) < 1:
        raise ValueError("episodes: expected at least one, of at least one step each")
    found, products = _count(dreamer, episodes, seed, progress)
    multiply = _product(products.dtype, products.device)
    for _ in range(_ROUNDS):
        for batch, spent in found.items():
            before = multiply()
            spent.steps.append(statistics.median(_times(dreamer, episodes, batch, seed, products.device)))
            spent.products.append((before + multiply()) / 2)
            progress(1)
    r = dreamer.frames_per_step
    device = torch.cuda.get_device_name(products.device) if products.device.type == "cuda" else "the processor"
    number_format = str(products.dtype).removeprefix("torch.")
    section = Section(
        "cost",
        "Cost",
        f"Steps of {' and of '.join(map(str, BATCHES))} dreams with a full memory, from actions to {r} frames each, on "
        f"{device}, threads {torch.get_num_threads()}, in {number_format}. Steps and frames are those of all dreams "
        "together. Floating-point operations are those of the matrix products and convolutions that are really made, "
        f"counted by PyTorch. By turns with the steps, a plain product of matrices of {MATRIX_SIZE} x {MATRIX_SIZE} "
        f"in {number_format} is timed; the share is the rate of operations of a step over that of the product. Figures "
        f"are medians of {_ROUNDS} rounds, and intervals come from resampling rounds.",
    )
    rows: list[list[Value]] = []
    for batch, spent in found.items():
        steps, both = np.array(spent.steps), np.array([spent.steps, spent.products]).T
        figures: dict[str, Value] = {
            "milliseconds": bootstrap(1e3 * steps, _median),
            "steps_per_second": bootstrap(batch / steps, _median),
            "frames_per_second": bootstrap(r * batch / steps, _median),
            "gflop_per_step": spent.operations / batch / 1e9,
            "gflops": bootstrap(spent.operations / steps / 1e9, _median),
            "matrix_share": bootstrap(both, lambda rows, made=spent.operations: _share(rows, made)),  # type: ignore[misc]
        }
        section.figures |= {f"{name}_{batch}": value for name, value in figures.items()}
        rows.append([batch, *figures.values()])
    seconds = np.concatenate([spent.products for spent in found.values()])
    section.figures["matrix_gflops"] = bootstrap(_PRODUCT_OPERATIONS / seconds / 1e9, _median)
    section.figures["threads"] = torch.get_num_threads()
    section.figures["number_format"] = number_format
    header = ["dreams", "ms of a step of all", "steps/s", "frames/s", "GFLOP of a step of one", "GFLOP/s",
              "share of the matrix product"]  # fmt: skip
    section.tables.append(Table(header, rows))
    return section


def _median(rows: np.ndarray) -> float:
    return float(np.median(rows))


def _share(rows: np.ndarray, operations: int) -> float:
    """Returns the rate of a step over that of the product, of seconds (rounds, 2) of both."""
    step, product = np.median(rows, axis=0)
    return float(operations / step / (_PRODUCT_OPERATIONS / product))


class _Products(TorchDispatchMode):
    """Notes in which number format and on which device operations are made.

    Attributes:
        made: Operations by format and device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: Counter[tuple[torch.dtype, torch.device]] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        if (count := flop_registry.get(function._overloadpacket)) is not None:
            first = next(part for part in args if isinstance(part, Tensor))
            self.made[first.dtype, first.device] += count(*args, **(kwargs or {}), out_val=out)
        return out


@dataclass(slots=True)
class _Kind:
    """Number format and device of most operations; those of a processor where there are none."""

    dtype: torch.dtype = torch.float32
    device: torch.device = torch.device("cpu")


def _count(
    dreamer: Dreamer, episodes: Sequence[RealEpisode], seed: int, progress: Callable[[int], None]
) -> tuple[dict[int, _Spent], _Kind]:
    """Counts the operations of a step of each number of dreams, and says in what most are made."""
    found, products = {}, _Products()
    for batch in BATCHES:
        actions = _begin(dreamer, episodes, batch, seed)
        dreamer.step(actions[0])
        # The counter takes apart what is made of several products, and hands the parts on.
        with products, FlopCounterMode(display=False) as counter:
            dreamer.step(actions[1])
        found[batch] = _Spent(counter.get_total_flops(), [], [])
        progress(1)
    kind = products.made.most_common(1)
    return found, _Kind(*kind[0][0]) if kind else _Kind()


def _begin(dreamer: Dreamer, episodes: Sequence[RealEpisode], batch: int, seed: int) -> list[list[Any]]:
    """Begins dreams with as much memory as they can have; returns actions of a step and of those after it."""
    chosen = [episodes[i % len(episodes)] for i in range(batch)]
    length = min(dreamer.context_steps, min(episode.num_steps for episode in chosen))
    dreamer.begin([context(episode, length, length) for episode in chosen], seed)
    return [[part.actions[(length + t) % part.num_steps] for part in chosen] for t in range(_STEPS + 1)]


def _times(
    dreamer: Dreamer, episodes: Sequence[RealEpisode], batch: int, seed: int, device: torch.device
) -> list[float]:
    """Returns the seconds of some steps, after one to warm up."""
    first, *others = _begin(dreamer, episodes, batch, seed)
    dreamer.step(first)
    times: list[float] = []
    for actions in others:
        if sum(times) >= _SECONDS and len(times) > 1:
            break
        times.append(_seconds(lambda actions=actions: dreamer.step(actions), device))  # type: ignore[misc]
    return times


def _product(dtype: torch.dtype, device: torch.device) -> Callable[[], float]:
    """Returns a measurement: the seconds of a matrix product."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, MATRIX_SIZE, MATRIX_SIZE, generator=generator).to(device=device, dtype=dtype)

    def multiply(number: int = 1) -> None:
        for _ in range(number):
            torch.mm(left, right)

    _seconds(multiply, device)
    number = max(1, round(_PRODUCT_SECONDS / _seconds(multiply, device)))
    return lambda: _seconds(lambda: multiply(number), device) / number


def _seconds(run: Callable[[], Any], device: torch.device) -> float:
    """Returns how long a call takes, until the device has finished."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    begun = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - begun
