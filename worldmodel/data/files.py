"""Files that are either whole or not there.

A file is written under a temporary name beside its final one and renamed when complete; renaming within a folder is
atomic. Temporary names hold the process id, so that a new run never writes into what a dying one still holds open.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PARTIAL_SUFFIX = ".worldmodel-partial"
"""Ending of every temporary name. Whatever ends so after a run was left behind by a killed one."""


def partial_path(path: Path) -> Path:
    """Returns the temporary name, in the same folder, under which `path` is written."""
    return path.with_name(f"{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")


def remove_partial_files(folder: Path) -> None:
    """Removes files and folders that a killed run left behind in a folder. Nobody else may be writing there."""
    for path in folder.glob(f"*{PARTIAL_SUFFIX}"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def write_json(path: Path, value: Mapping[str, Any], *, lines: Mapping[str, Sequence[Any]] | None = None) -> None:
    """Writes an object as indented JSON; a reader sees the old file or the new one, never a part.

    Args:
        path: The file.
        value: The object.
        lines: More members of it: lists, so long that each of their elements goes on one line.
    """
    members = [json.dumps({name: part}, indent=2)[2:-2] for name, part in value.items()]
    for name, elements in (lines or {}).items():
        rows = ",\n".join(f"    {json.dumps(element)}" for element in elements)
        members.append(f"  {json.dumps(name)}: [\n{rows}\n  ]")
    partial = partial_path(path)
    partial.write_text("{\n" + ",\n".join(members) + "\n}\n", encoding="utf-8")
    os.replace(partial, path)


def read_json(path: Path) -> Any:
    """Reads JSON.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no JSON; the message names the file.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, got something else ({error}); delete it or restore it") from None
