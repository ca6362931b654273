"""Messages between the library and the process that runs MineRL.

Both sides use this file, and the other side may be as old as Python 3.7 with NumPy 1.16: it needs nothing else.

A message is a header (`MAGIC`, number, length and CRC-32 of what follows) and JSON text. Never pickle: what comes back
is data, whoever wrote it. Arrays stand in the text as base64 while they are small; the others, frames above all, lie in
memory that both processes have mapped, and the text says where. One message is answered before the next is sent, so the
memory holds the arrays of one answer at a time; whoever reads it copies them.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import numpy as np

HEADER = struct.Struct("!4sIII")
MAGIC = b"WMB1"

MAX_BYTES = 2**25
"""Longest text of a message; a header that says more is garbage."""

INLINE_BYTES = 256
"""Longest array that stands in the text."""

MEMORY_BYTES = 2**26
"""Size of the shared memory; pages that are never written cost nothing."""

_TAG = "~"
_KINDS = "biufcUS"


class Garbage(ValueError):
    """What came is no message."""


class Memory:
    """The arrays of one answer in memory that both processes have mapped."""

    def __init__(self, buffer: Any) -> None:
        """Takes a writable buffer."""
        self._buffer = buffer
        self._used = 0

    def clear(self) -> None:
        """Forgets what was stored."""
        self._used = 0

    def store(self, array: np.ndarray) -> int:
        """Copies an array into the memory and returns where it begins.

        Raises:
            ValueError: If it does not fit.
        """
        offset = -(-self._used // 64) * 64
        if offset + array.nbytes > len(self._buffer):
            raise ValueError(
                f"arrays: expected at most {len(self._buffer)} bytes in one message, got {offset + array.nbytes}"
            )
        np.ndarray(array.shape, array.dtype, self._buffer, offset)[...] = array
        self._used = offset + array.nbytes
        return offset

    def load(self, offset: int, shape: tuple, dtype: np.dtype) -> np.ndarray:
        """Returns a copy of an array.

        Raises:
            Garbage: If it does not lie within the memory.
        """
        count = 1
        for length in shape:
            count *= length
        if offset < 0 or offset + count * dtype.itemsize > len(self._buffer):
            raise Garbage(f"an array of shape {shape} at {offset} is outside the memory")
        return np.ndarray(shape, dtype, self._buffer, offset).copy()


def pack(number: int, value: Any, memory: Memory | None = None) -> bytes:
    """Returns a message.

    Args:
        number: Of the request; its answer has the same.
        value: `None`, booleans, numbers, text, NumPy arrays and scalars, and dictionaries, lists and tuples of these.
            Of anything else only its representation arrives, as text.
        memory: For arrays that are not small; `None` puts all into the text.

    Raises:
        ValueError: If it is too large.
    """
    if memory is not None:
        memory.clear()
    payload = json.dumps(_plain(value, memory)).encode()
    if len(payload) > MAX_BYTES:
        raise ValueError(f"message: expected at most {MAX_BYTES} bytes, got {len(payload)}")
    return HEADER.pack(MAGIC, number, len(payload), zlib.crc32(payload)) + payload


class Inbox:
    """Puts messages together from the pieces that arrive."""

    def __init__(self, memory: Memory | None = None) -> None:
        """Starts empty.

        Args:
            memory: Where arrays that are not in the text lie.
        """
        self._memory = memory
        self._pieces = bytearray()

    def feed(self, piece: bytes) -> None:
        """Adds what has arrived."""
        self._pieces += piece

    def take(self) -> tuple[int, Any] | None:
        """Returns number and value of the next message; `None` while it is not whole.

        Raises:
            Garbage: If what arrived is no message.
        """
        head = bytes(self._pieces[: HEADER.size])
        if head[: len(MAGIC)] != MAGIC[: len(head)]:
            raise Garbage(f"expected a message, got {bytes(self._pieces[:60])!r}")
        if len(head) < HEADER.size:
            return None
        _, number, length, checksum = HEADER.unpack(head)
        if length > MAX_BYTES:
            raise Garbage(f"a message says that it has {length} bytes")
        if len(self._pieces) < HEADER.size + length:
            return None
        payload = bytes(self._pieces[HEADER.size : HEADER.size + length])
        del self._pieces[: HEADER.size + length]
        if zlib.crc32(payload) != checksum:
            raise Garbage(f"a message is damaged: {payload[:60]!r}")
        try:
            return number, _value(json.loads(payload.decode()), self._memory)
        except Garbage:
            raise
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Garbage(f"a message makes no sense: {error}") from error


def _plain(value: Any, memory: Memory | None) -> Any:
    """Returns a value as JSON values."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in _KINDS:
        return _array(value, memory)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        if all(isinstance(key, str) and key != _TAG for key in value):
            return {str(key): _plain(part, memory) for key, part in value.items()}
        return {_TAG: "dict", "pairs": [[_plain(k, memory), _plain(v, memory)] for k, v in value.items()]}
    if isinstance(value, list):
        return [_plain(part, memory) for part in value]
    if isinstance(value, tuple):
        return {_TAG: "tuple", "parts": [_plain(part, memory) for part in value]}
    return repr(value)[:1000]


def _array(value: Any, memory: Memory | None) -> dict[str, Any]:
    array = np.asarray(value)
    said: dict[str, Any] = {_TAG: "scalar" if isinstance(value, np.generic) else "array", "dtype": array.dtype.str}
    said["shape"] = list(array.shape)
    if memory is None or array.nbytes <= INLINE_BYTES:
        said["bytes"] = base64.b64encode(array.tobytes()).decode()
    else:
        said["offset"] = memory.store(array)
    return said


def _value(said: Any, memory: Memory | None) -> Any:
    """Returns what `_plain` was given."""
    if isinstance(said, list):
        return [_value(part, memory) for part in said]
    if not isinstance(said, dict):
        return said
    kind = said.get(_TAG)
    if kind is None:
        return {key: _value(part, memory) for key, part in said.items()}
    if kind == "dict":
        return {_value(key, memory): _value(part, memory) for key, part in said["pairs"]}
    if kind == "tuple":
        return tuple(_value(part, memory) for part in said["parts"])
    if kind not in ("array", "scalar"):
        raise Garbage(f"no such kind of value: {kind!r}")
    dtype = np.dtype(said["dtype"])
    shape = tuple(int(length) for length in said["shape"])
    if dtype.kind not in _KINDS or any(length < 0 for length in shape):
        raise Garbage(f"no such array: {dtype} {shape}")
    if "offset" in said:
        if memory is None:
            raise Garbage("an array lies in memory that is not there")
        array = memory.load(int(said["offset"]), shape, dtype)
    else:
        array = np.frombuffer(base64.b64decode(said["bytes"]), dtype).reshape(shape).copy()
    return array[()] if kind == "scalar" else array
