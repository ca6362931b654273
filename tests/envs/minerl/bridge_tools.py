import os
import sys
from pathlib import Path

PYTHON = os.environ.get("WORLDMODEL_MINERL_PYTHON") or sys.executable
"""Interpreter of the other side: an old one, if there is one."""

FAKE = str(Path(__file__).with_name("fake_minerl.py"))
"""What the worker loads in place of MineRL."""


def is_alive(process):
    """Whether there is such a process, one that has ended and waits to be asked left out."""
    try:
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False
