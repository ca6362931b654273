"""Checks of what comes in: values as numbers, or an error that says what was expected and what came."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def numbers(name: str, value: Any, expected: str) -> np.ndarray:
    """Returns a value as an array of bool, int or float.

    Args:
        name: What an error calls it.
        value: Anything.
        expected: What should have come, in words.

    Raises:
        TypeError: If it holds anything else, or its parts do not fit together.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # ragged sequences; tensors that require a gradient
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name}: expected {expected} as numbers, got {type(value).__name__} {value!r:.80}; convert it to a number"
        )
    return array


def integer(name: str, value: Any, size: int) -> int:
    """Returns a number in [0, size), from an int, a numpy integer, or an integer array with one element.

    Raises:
        TypeError: If `value` is no integer.
        ValueError: If it has the wrong shape or is out of range.
    """
    expected = f"an integer in [0, {size})"
    array = numbers(name, value, expected)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected {expected}, got {type(value).__name__} {value!r:.80}; convert it to int")
    if array.size != 1:
        raise ValueError(f"{name}: expected {expected}, got shape {array.shape}; pass one action, not a batch")
    number = int(array.item())
    if not 0 <= number < size:
        raise ValueError(f"{name}: expected {expected}, got {number}; look at the space of the codec")
    return number


def integers(name: str, value: Any, sizes: Sequence[int]) -> list[int]:
    """Returns as many numbers as there are sizes, the i-th of them in [0, sizes[i]).

    Raises:
        TypeError: If `value` holds anything but integers.
        ValueError: If it has the wrong shape or a number is out of range.
    """
    expected = f"{len(sizes)} integers"
    array = numbers(name, value, expected)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected {expected}, got {type(value).__name__} {value!r:.80}; convert them to int")
    if array.shape not in ((len(sizes),), (1, len(sizes))):
        raise ValueError(f"{name}: expected {expected}, got shape {array.shape}; pass one action, not a batch")
    return [integer(f"{name}[{i}]", array.flat[i], size) for i, size in enumerate(sizes)]
