"""The error that is the user's to mend."""


class UsageError(Exception):
    """A command that was not understood; its message is one line that says what to do."""
