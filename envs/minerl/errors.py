"""What goes wrong with MineRL."""

from enum import Enum

import gymnasium


class Failure(Enum):
    """Kinds of failures."""

    START = "start"
    """The process that is to run MineRL could not be started, or MineRL could not make the environment."""
    CRASH = "crash"
    """The process has ended."""
    TIMEOUT = "timeout"
    """The process did not answer in time."""
    GARBAGE = "garbage"
    """The process answered with something that is no answer."""
    EXCEPTION = "exception"
    """MineRL raised an exception."""
    LOST = "lost"
    """MineRL lost Minecraft (`info["error"]`), and its observation was made up."""
    INVALID = "invalid"
    """What MineRL returned is not what its spaces say."""


class MineRLError(gymnasium.error.Error, RuntimeError):
    """MineRL, or the process that runs it, has failed.

    Attributes:
        failure: How.
    """

    def __init__(self, failure: Failure, message: str) -> None:
        """Takes the kind of the failure, and what it says."""
        super().__init__(message)
        self.failure = failure
