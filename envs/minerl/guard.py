"""Keeps watch over the process that runs MineRL, so that nothing of it outlives the library.

The guard is a process between the two: it starts the one that runs MineRL, and ends it and *all* that it has started
when the library closes the guard's standard input, or dies, however it dies. It imports nothing but the standard
library, so what hangs or crashes next to it does not hang or crash it. It is written for Python 3.7.

MineRL starts Minecraft in a session of its own, where no signal to a process group reaches it. On Linux the guard
therefore adopts what loses its parent (`PR_SET_CHILD_SUBREAPER`), and walks down the tree of its children.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

POLL_SECONDS = 0.1
SWEEP_SECONDS = 5.0

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def guarded(work: Callable[[], None], descriptors: list[int]) -> int:
    """Does some work in a child process, and ends that when it must.

    Args:
        work: What the child does.
        descriptors: Open files that only the child keeps.

    Returns:
        Exit status of the child: of one that a signal has ended, 128 and the signal.
    """
    library = os.getppid()
    guard = os.getpid()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        # The guard has one thread, so "the parent's thread has ended", which Linux means here, is "it has ended".
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == guard:
            _run(work)
        os._exit(1)
    for descriptor in descriptors:
        os.close(descriptor)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    status = None
    try:
        while status is None and not _library_has_gone(library):
            status = _status(child)
        for _ in range(10):
            # The library also leaves because the child has crashed, and wants to know how: it may be about to end.
            status = _status(child) if status is None else status
            if status is None:
                time.sleep(POLL_SECONDS / 10)
    finally:
        _end_descendants()
    return 1 if status is None else status


def _status(child: int) -> int | None:
    """Returns the exit status of a process, as a shell would; `None` while it runs."""
    ended, code = os.waitpid(child, os.WNOHANG)
    if not ended:
        return None
    return 128 + os.WTERMSIG(code) if os.WIFSIGNALED(code) else os.WEXITSTATUS(code)


def _run(work: Callable[[], None]) -> None:
    """Does the work, and leaves the process."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # the guard's standard input is not for MineRL
    status = 1
    try:
        work()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _library_has_gone(library: int) -> bool:
    """Waits a moment, and returns whether the library has closed standard input, or is no longer the parent."""
    ready, _, _ = select.select([0], [], [], POLL_SECONDS)
    return bool(ready) and not os.read(0, 1) or os.getppid() != library


def _leave(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


def _prctl(option: int, value: int) -> None:
    """Asks Linux; elsewhere there is nothing to ask."""
    with contextlib.suppress(OSError, AttributeError, ImportError):
        import ctypes  # not every Python has been built with it

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _end_descendants() -> None:
    """Kills all that was started here, again and again until there is nothing left."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while time.monotonic() < deadline:
        living = _descendants(os.getpid())
        for process in living:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not living:
            return
        time.sleep(0.02)


def _descendants(ancestor: int) -> list[int]:
    """Returns the processes below one, those left out that have ended and only wait to be asked."""
    children: dict[int, list[int]] = {}
    for process, parent in _processes():
        children.setdefault(parent, []).append(process)
    found = []
    new = [ancestor]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found += new
    return found


def _processes() -> list[tuple[int, int]]:
    """Returns all living processes, each with its parent."""
    if os.path.isdir("/proc/self"):
        rows = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError), open("/proc/" + name + "/stat", "rb") as file:
                    # The name of the program stands in parentheses, and may have any character in it.
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
                    if state not in (b"Z", b"X"):
                        rows.append((int(name), int(parent)))
        return rows
    listing = subprocess.Popen(["ps", "-A", "-o", "pid=,ppid=,stat="], stdout=subprocess.PIPE)
    lines = [line.split() for line in listing.communicate()[0].decode().splitlines()]
    return [(int(line[0]), int(line[1])) for line in lines if line[2][0] != "Z" and int(line[0]) != listing.pid]
