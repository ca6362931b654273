"""Parts of an evaluation at the same time, each in a process of its own.

A step of a dream is many small operations, which gain little from a second thread; two dreams at a time do.
"""

import contextlib
import queue
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event

import torch

from worldmodel.evaluation.bench import Bench, Progress
from worldmodel.evaluation.parts import PARTS
from worldmodel.evaluation.sections import Section

MakeBench = Callable[[], Bench]
"""Makes what parts work with, in each process; it can be pickled."""
_POLL_SECONDS = 0.2


def run_parts(
    make_bench: MakeBench, names: Sequence[str], workers: int, progress: Progress
) -> Iterator[tuple[Section, float]]:
    """Runs parts, and yields each with the minutes it took, in the order in which they end.

    Args:
        make_bench: See `MakeBench`.
        names: Of the parts, the longest first.
        workers: Parts at a time, which share the threads of this process.
        progress: Is told of the steps of all. If it raises, parts that are not done are given up.
    """
    context = get_context("spawn")  # processes that start afresh: a copy of this one would share its threads' locks
    steps: Queue[int] = context.Queue()
    stop = context.Event()
    workers = min(workers, len(names))
    threads = max(1, torch.get_num_threads() // workers)
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(make_bench, steps, stop, threads)
    )
    try:
        waiting = [pool.submit(_work, name) for name in names]
        while waiting:
            with contextlib.suppress(queue.Empty):
                progress.advance(steps.get(timeout=_POLL_SECONDS))
            progress.advance(0)
            done = [part for part in waiting if part.done()]
            waiting = [part for part in waiting if part not in done]
            for part in done:
                yield part.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


class _GivenUp(Exception):
    """The evaluation has ended before this part."""


class _Worker:
    """What a process has: it makes its bench once, and tells of its steps."""

    def __init__(self, make_bench: MakeBench, steps: "Queue[int]", stop: Event) -> None:
        self.bench, self._steps, self._stop = make_bench(), steps, stop

    def advance(self, steps: int) -> None:
        if self._stop.is_set():
            raise _GivenUp
        self._steps.put(steps)


_worker: _Worker


def _start(make_bench: MakeBench, steps: "Queue[int]", stop: Event, threads: int) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process decides
    steps.cancel_join_thread()  # nobody may read them any more
    torch.set_num_threads(threads)
    _worker = _Worker(make_bench, steps, stop)


def _work(name: str) -> tuple[Section, float]:
    begun = time.monotonic()
    section = PARTS[name].run(_worker.bench, _worker.advance)
    return section, (time.monotonic() - begun) / 60
