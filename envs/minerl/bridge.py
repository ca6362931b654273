"""The process that runs MineRL, seen from here: started, asked, waited for, ended."""

import contextlib
import mmap
import os
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from worldmodel.envs.minerl import wire
from worldmodel.envs.minerl.errors import Failure, MineRLError

_WORKER = Path(__file__).with_name("worker.py")

_KILL_SECONDS = 8.0
"""How long the guard may take to end all that was started; it gives up a little earlier."""

_POLL_SECONDS = 0.5
_TAIL_BYTES = 2000


class Bridge:
    """A process that runs MineRL, and answers one request at a time.

    It ends when it is told to, when this object is forgotten, and when the process that made it ends, in whatever way:
    see `guard`. Not for several threads at once.

    Attributes:
        alive: Whether it can be asked: not once it has been ended.
    """

    def __init__(self, python: str, environment: Mapping[str, str] | None = None, log: str | None = None) -> None:
        """Starts the process.

        Args:
            python: Path of its interpreter.
            environment: Its environment variables, besides those of this process.
            log: File to which what it prints is added; `None` keeps it for errors only.

        Raises:
            MineRLError: If it cannot be started.
        """
        memory = _anonymous_file()
        os.ftruncate(memory, wire.MEMORY_BYTES)
        ours, theirs = socket.socketpair()
        self._output: BinaryIO = tempfile.TemporaryFile() if log is None else Path(log).open("a+b")
        try:
            self._process = subprocess.Popen(
                [python, str(_WORKER), str(theirs.fileno()), str(memory)],
                stdin=subprocess.PIPE,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(), memory),
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl-C is for this process, which then closes the other
            )
            mapped = mmap.mmap(memory, wire.MEMORY_BYTES)
        except OSError as error:
            ours.close()
            self._output.close()
            raise MineRLError(
                Failure.START, f"python: expected an interpreter that can be started, got {python!r}: {error}"
            ) from error
        finally:
            theirs.close()
            os.close(memory)
        self._socket = ours
        self._inbox = wire.Inbox(wire.Memory(mapped))
        self._number = 0
        self._end = weakref.finalize(self, _end, self._process, ours, os.getpid())
        weakref.finalize(self, self._output.close)  # later than the process: its last words are for the error

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._end.alive

    @property
    def process_id(self) -> int:
        """Of the guard, the parent of the process that runs MineRL."""
        return self._process.pid

    def ask(self, command: str, setting: str, seconds: float, **entries: Any) -> Any:
        """Asks for something and waits for the answer.

        Whoever interrupts this may ask again: the answer that is still to come is thrown away.

        Args:
            command: What to do; see `worker`.
            setting: Name of the setting that says how long to wait, for the error.
            seconds: How long to wait.
            **entries: Of the request.

        Raises:
            MineRLError: If there is no answer, or it is an error. Only after an error that MineRL has raised does the
                process live on.
        """
        if not self.alive:
            raise MineRLError(Failure.CRASH, f"{command}: the MineRL process has ended; call reset to start another")
        self._number += 1
        deadline = time.monotonic() + seconds
        try:
            self._send(wire.pack(self._number, {"command": command, **entries}), deadline)
            answer = self._receive(deadline)
        except TimeoutError:
            self.kill()
            raise MineRLError(
                Failure.TIMEOUT,
                f"{command}: expected an answer of the MineRL process within {seconds:g} s ({setting}), got none; the "
                f"process was ended. Call reset to start another, or give it more time.{self._tail()}",
            ) from None
        except wire.Garbage as error:
            self.kill()
            raise MineRLError(
                Failure.GARBAGE,
                f"{command}: expected an answer of the MineRL process, got garbage ({error}); the process was ended. "
                f"Call reset to start another.{self._tail()}",
            ) from None
        except OSError as error:
            code = self.kill()
            raise MineRLError(
                Failure.CRASH,
                f"{command}: the MineRL process has ended ({_how(code)}; {error}). Call reset to start "
                f"another.{self._tail()}",
            ) from None
        if "error" in answer:
            said = answer["error"]
            raise MineRLError(
                Failure.EXCEPTION,
                f"{command}: MineRL raised {said['type']}: {said['message']}\n{said['traceback']}{self._tail()}",
            )
        return answer["value"]

    def close(self, seconds: float) -> None:
        """Lets MineRL end Minecraft by itself, and ends what is left.

        Args:
            seconds: How long it may take.
        """
        if self.alive:
            with contextlib.suppress(MineRLError):
                self.ask("close", "close_timeout_seconds", seconds)
        self.kill()

    def kill(self) -> int | None:
        """Ends the process and all that it has started; returns the exit status of the guard."""
        self._end()
        return self._process.returncode

    def _send(self, message: bytes, deadline: float) -> None:
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        self._socket.sendall(message)

    def _receive(self, deadline: float) -> dict[str, Any]:
        """Returns the answer to the latest request.

        Raises:
            TimeoutError: If it does not come in time.
            OSError: If the process has ended.
            Garbage: If something else comes.
        """
        while True:
            message = self._inbox.take()
            if message is not None:
                number, answer = message
                if number < self._number:
                    continue  # of a request whose caller was interrupted
                if number > self._number or not isinstance(answer, dict) or not answer.keys() & {"value", "error"}:
                    raise wire.Garbage(f"answer {number} to request {self._number}: {answer!r:.60}")
                return answer
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(min(left, _POLL_SECONDS))
            try:
                piece = self._socket.recv(2**18)
            except TimeoutError:
                # What MineRL has started may have inherited the other end of the socket: then it stays open.
                if self._process.poll() is not None:
                    raise ConnectionError("it is gone") from None
                continue
            if not piece:
                raise ConnectionError("it has closed the connection")
            self._inbox.feed(piece)

    def _tail(self) -> str:
        """Returns the last of what the process has printed, for an error."""
        with contextlib.suppress(OSError, ValueError):
            size = os.fstat(self._output.fileno()).st_size
            said = os.pread(self._output.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace")
            if said.strip():
                return f"\nThe last that it printed:\n{said.strip()}"
        return ""


def _end(process: subprocess.Popen[bytes], connection: socket.socket, owner: int) -> None:
    """Ends a process and all that it has started, and waits for that."""
    connection.close()
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()  # the guard is waiting for this
    if os.getpid() != owner:
        return  # a fork of the owner forgets its copy; the process is not its own
    try:
        process.wait(_KILL_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _anonymous_file() -> int:
    """Returns an open file that has no name: nothing is left of it when both processes are gone, however they went."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("worldmodel-minerl")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _how(code: int | None) -> str:
    """Says how a process has ended, from the exit status of its guard."""
    if code is None:
        return "nobody knows how"
    number = code - 128 if code > 128 else -code
    if number > 0:
        with contextlib.suppress(ValueError):
            return f"by signal {signal.Signals(number).name}"
    return f"exit status {code}"
