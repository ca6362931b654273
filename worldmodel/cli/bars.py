"""Progress bars of a command, one after another, which notice when somebody asks to stop."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tqdm import tqdm

from worldmodel.cli.playing import Interruption


class Stopped(Exception):
    """Somebody asked to stop."""


class Bars:
    """Progress bars, one for each part of what is done.

    Attributes:
        active: Whether they are shown.
    """

    def __init__(self, interruption: Interruption, *, active: bool = True) -> None:
        """Shows nothing yet.

        Args:
            interruption: Knows whether somebody asked to stop.
            active: Whether bars are shown.
        """
        self.active = active
        self._interruption = interruption
        self._bar: tqdm | None = None
        self._whose = ""
        self._first: tuple[float, float] | None = None
        """Share of the part that was done, and time, when its figures were first shown."""

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        """Closes the last bar."""
        self._close()

    def of(self, whose: str) -> Self:
        """Returns itself; from now on a name stands before those of parts."""
        self._whose = f"{whose}: "
        return self

    def stage(self, name: str, total: int | None, unit: str = "step") -> None:
        """Begins a part of so many units; `None` if nobody knows.

        Raises:
            Stopped: If somebody asked to stop.
        """
        self._close()
        self._bar = tqdm(
            total=total, desc=f"{self._whose}{name}", unit=unit, dynamic_ncols=True, disable=not self.active
        )
        self._first = None
        self.advance(0)

    def advance(self, done: int) -> None:
        """So much more is done.

        Raises:
            Stopped: If somebody asked to stop.
        """
        self.show(done)
        if self.should_stop():
            raise Stopped

    def show(self, done: int, figures: Sequence[str] = (), share: float | None = None) -> None:
        """So much more is done; for loops that end by themselves when somebody asks to stop.

        Args:
            done: Units since the last call.
            figures: To stand beside the bar.
            share: Of the part that is over, 0 to 1, from which the time that is left is told; `None` to leave it out.
        """
        assert self._bar is not None
        if share is not None:
            now = time.monotonic()
            self._first = self._first or (share, now)  # a resumed run begins somewhere in between
            if share > self._first[0]:
                left = (now - self._first[1]) * (1 - share) / (share - self._first[0])
                figures = [*figures, f"{share:.0%}, {left / 60:.1f} min left"]
        if figures:
            self._bar.set_postfix_str(", ".join(figures), refresh=False)
        self._bar.update(done)

    def should_stop(self) -> bool:
        """Returns whether somebody asked to stop."""
        return self._interruption.requested

    def write(self, text: str) -> None:
        """Prints a line above the bar."""
        tqdm.write(text)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
