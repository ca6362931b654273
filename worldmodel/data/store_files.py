"""The files of an episode store: manifest, lines of JSON, and arrays of rows.

Lines and arrays only grow, and a beginning of known length is whole. `store.py` says what they mean together.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.data.files import read_json

VERSION = 1
"""Version of the layout."""

MANIFEST, EPISODES, CAPTIONS = "manifest.json", "episodes.jsonl", "captions.jsonl"


@dataclass(kw_only=True, slots=True)
class EpisodeRecord:
    """Where an episode lies in the store, and what is known of it.

    Attributes:
        bucket: Frame size, `"HxW"`.
        start: Row of its first frame in the arrays of the bucket.
        num_frames: Number of rows.
        key: Name of the episode, unique in the store.
        held_out: Whether it is for testing only.
        env_id: Gymnasium id of the environment; empty if unknown.
        seed: Seed of the world; `None` if unknown.
        fps: Frames per second.
        has_actions: Whether actions are known. If not, they are zeros.
        terminated: Whether the last frame ended the task.
    """

    bucket: str
    start: int
    num_frames: int
    key: str
    held_out: bool
    env_id: str
    seed: int | None
    fps: float
    has_actions: bool
    terminated: bool


def write_at(path: Path, offset: int, data: bytes | memoryview) -> None:
    """Writes at the end of the whole part of a file, in the place of whatever follows it; makes the file if missing.

    Args:
        path: The file, at least `offset` bytes long.
        offset: Length of the whole part, in bytes.
        data: What comes next.
    """
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.truncate(offset)
        file.seek(offset)
        file.write(data)


def cut_to(path: Path, num_bytes: int) -> None:
    """Cuts off what follows the whole part of a file.

    Raises:
        ValueError: If the file is missing, or shorter than that.
    """
    check_length(path, num_bytes)
    with path.open("r+b") as file:
        file.truncate(num_bytes)


def check_length(path: Path, num_bytes: int) -> None:
    """Raises ValueError if a file is missing or has fewer bytes."""
    length = path.stat().st_size if path.is_file() else 0
    if length < num_bytes:
        raise ValueError(
            f"{path}: expected at least {num_bytes} bytes, got {length}; the store is damaged: delete it and prepare "
            "the data again"
        )


def json_lines(values: Iterable[Any]) -> bytes:
    """Returns values as lines of JSON."""
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def read_json_lines(path: Path) -> tuple[list[Any], int]:
    """Reads lines of JSON; a last line without its end is still being written, or never was, and does not count.

    Returns:
        The values, and the length of their lines in bytes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is damaged; the message names it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected this file in an episode store, found none; prepare the data again")
    text = path.read_bytes()
    num_bytes = text.rfind(b"\n") + 1
    values = []
    for number, line in enumerate(text[:num_bytes].splitlines(), 1):
        try:
            values.append(json.loads(line))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: expected JSON, got {error}; prepare the data again") from None
    return values, num_bytes


def map_rows(path: Path, num_rows: int, dtype: type[np.generic], shape: tuple[int, ...]) -> np.ndarray:
    """Maps the first rows of an array file into memory, read-only.

    Args:
        path: The file.
        num_rows: Number of rows that are whole.
        dtype: Type of a number.
        shape: Shape of a row.

    Returns:
        `dtype` (num_rows, *shape).

    Raises:
        ValueError: If the file is missing or too short.
    """
    size = num_rows * row_bytes(dtype, shape)
    check_length(path, size)
    if size == 0:  # nothing cannot be mapped
        return np.zeros((num_rows, *shape), dtype)
    return np.memmap(path, dtype, "r", shape=(num_rows, *shape))


def row_bytes(dtype: type[np.generic], shape: tuple[int, ...]) -> int:
    """Returns the length of a row in bytes."""
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def read_manifest(folder: Path) -> dict[str, Any]:
    """Returns the manifest of a store: `version`, `action_space`, `fps`, `held_out_percent`.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, or of a later version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected an episode store, found none; look at the name")
    manifest = read_json(path)
    names = {"version", "action_space", "fps", "held_out_percent"}
    if not isinstance(manifest, dict) or "version" not in manifest:
        raise ValueError(f"{path}: expected the manifest of an episode store, got something else; look at the name")
    if manifest["version"] != VERSION:
        raise ValueError(f"{path}: expected version {VERSION}, got {manifest['version']!r}; update worldmodel")
    if set(manifest) != names:
        raise ValueError(f"{path}: expected {sorted(names)}, got {sorted(manifest)}; prepare the data again")
    return manifest


def read_records(folder: Path) -> tuple[list[EpisodeRecord], int]:
    """Returns the whole episodes of a store, and the length of their lines in bytes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is damaged.
    """
    path = folder / EPISODES
    lines, num_bytes = read_json_lines(path)
    records: list[EpisodeRecord] = []
    ends: dict[str, int] = {}
    names = [field.name for field in fields(EpisodeRecord)]
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict) or sorted(line) != sorted(names):
            raise ValueError(f"{path}, line {number}: expected {names}, got {line!r}; prepare the data again")
        record = EpisodeRecord(**line)
        if record.start != ends.get(record.bucket, 0):
            raise ValueError(
                f"{path}, line {number}: expected start {ends.get(record.bucket, 0)}, after the episode before, got "
                f"{record.start}; two writers at once? Prepare the data again"
            )
        ends[record.bucket] = record.start + record.num_frames
        records.append(record)
    return records, num_bytes


def columns(bucket: str, action_width: int) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """Returns the array files of a bucket, with dtype and shape of a row.

    Args:
        bucket: Frame size, `"HxW"`.
        action_width: Width of an encoded action.
    """
    height, width = map(int, bucket.split("x"))
    return {
        "frames.u8": (np.uint8, (height, width, 3)),
        "actions.f16": (np.float16, (action_width,)),
        "rewards.f32": (np.float32, ()),
        "caption_ids.i32": (np.int32, ()),
    }
