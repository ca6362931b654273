"""Gymnasium spaces as plain JSON values, and back.

What a model was trained on must be known where no environment is installed, so checkpoints and recordings keep spaces
as text. The form is strict JSON: infinite bounds are the strings `"inf"` and `"-inf"`, and the parts of a `Dict` are a
list of pairs, because their order matters and JSON tools may sort objects.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import Space, spaces

_SUPPORTED = "Discrete, MultiDiscrete, MultiBinary, Box, Dict or Tuple"


def space_to_json(space: Space) -> dict[str, Any]:
    """Returns a space as a dictionary of JSON values.

    Args:
        space: `Discrete`, `MultiDiscrete`, `MultiBinary`, `Box`, or `Dict` (with text keys) or `Tuple` of them, nested.

    Returns:
        A dictionary with the entry `type` and what that type needs; `space_from_json` turns it into an equal space.

    Raises:
        TypeError: If the space, or a part of it, is of another type; the message says which part.
    """
    return _to_json(space, "space")


def space_from_json(value: Mapping[str, Any]) -> Space:
    """Returns the space that `space_to_json` has turned into `value`.

    Args:
        value: A dictionary as `space_to_json` returns it, also after a round trip through JSON text.

    Raises:
        TypeError: If `value`, or a part of it, is no dictionary.
        ValueError: If an entry is missing or makes no space; the message says which part.
    """
    return _from_json(value, "space")


def _to_json(space: Any, name: str) -> dict[str, Any]:
    match space:
        case spaces.Discrete():
            return {"type": "Discrete", "n": int(space.n), "start": int(space.start), "dtype": space.dtype.name}
        case spaces.MultiDiscrete():
            return {
                "type": "MultiDiscrete",
                "nvec": space.nvec.tolist(),
                "start": space.start.tolist(),
                "dtype": space.dtype.name,
            }
        case spaces.MultiBinary():
            return {"type": "MultiBinary", "n": space.n if isinstance(space.n, int) else [int(n) for n in space.n]}
        case spaces.Box():
            return {
                "type": "Box",
                "low": _bounds_to_json(space.low, space.bounded_below, "-inf"),
                "high": _bounds_to_json(space.high, space.bounded_above, "inf"),
                "shape": list(space.shape),
                "dtype": space.dtype.name,
            }
        case spaces.Dict():
            for key in space.spaces:
                if not isinstance(key, str):
                    raise TypeError(f"{name}: expected text keys, got {key!r}; rename it")
            parts = [[key, _to_json(part, f"{name}[{key!r}]")] for key, part in space.spaces.items()]
            return {"type": "Dict", "spaces": parts}
        case spaces.Tuple():
            return {"type": "Tuple", "spaces": [_to_json(part, f"{name}[{i}]") for i, part in enumerate(space.spaces)]}
    raise TypeError(f"{name}: expected {_SUPPORTED}, got {type(space).__name__} {space!r:.80}; wrap the environment")


def _bounds_to_json(bounds: np.ndarray, bounded: np.ndarray, infinity: str) -> Any:
    """Returns bounds as nested lists, or as one scalar where all are the same."""
    # Of an integer Box only `bounded` tells an infinite bound from the last integer.
    values = np.where(bounded, bounds.astype(object), infinity)
    # `tolist` of an object array keeps NumPy scalars, which are no JSON values, but `astype(object)` has none.
    flat = values.ravel().tolist()
    return flat[0] if flat and all(value == flat[0] for value in flat) else values.tolist()


def _from_json(value: Any, name: str) -> Space:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: expected a dictionary from space_to_json, got {type(value).__name__} {value!r:.80}")
    kind = value.get("type")
    try:
        match kind:
            case "Discrete":
                return spaces.Discrete(value["n"], start=value["start"], dtype=value["dtype"])
            case "MultiDiscrete":
                dtype: Any = np.dtype(value["dtype"])
                return spaces.MultiDiscrete(
                    np.array(value["nvec"], dtype), dtype, start=np.array(value["start"], dtype)
                )
            case "MultiBinary":
                return spaces.MultiBinary(value["n"])
            case "Box":
                return _box_from_json(value)
    except KeyError as error:
        raise ValueError(f"{name}: expected the entry {error} of a {kind}, got {sorted(value)}; add it") from None
    except (AssertionError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}: expected a {kind} from space_to_json, got {dict(value)!r:.200}: {error}") from None
    parts = value.get("spaces")
    if kind not in ("Dict", "Tuple") or not isinstance(parts, Sequence) or isinstance(parts, str):
        raise ValueError(
            f"{name}: expected the type of a space ({_SUPPORTED}) and, of the last two, a list named spaces; "
            f"got type {kind!r} and {sorted(map(str, value))}"
        )
    if kind == "Tuple":
        return spaces.Tuple([_from_json(part, f"{name}[{i}]") for i, part in enumerate(parts)])
    for pair in parts:
        if not (isinstance(pair, Sequence) and len(pair) == 2 and isinstance(pair[0], str)):
            raise ValueError(f"{name}: expected pairs of a key and a space, got {pair!r:.80}")
    return spaces.Dict([(key, _from_json(part, f"{name}[{key!r}]")) for key, part in parts])


def _box_from_json(value: Mapping[str, Any]) -> spaces.Box:
    dtype: np.dtype[Any] = np.dtype(value["dtype"])
    shape = tuple(value["shape"])
    low, bounded_below = _bounds_from_json(value["low"], "-inf", shape, dtype)
    high, bounded_above = _bounds_from_json(value["high"], "inf", shape, dtype)
    space = spaces.Box(low, high, shape, dtype)
    # Gymnasium cannot know from the last integer that it stands for infinity; sampling asks these.
    space.bounded_below, space.bounded_above = bounded_below, bounded_above
    return space


def _bounds_from_json(
    value: Any, infinity: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns bounds of the space's type, and where they are finite."""
    values = np.broadcast_to(np.array(value, object), shape)
    bounded = values != infinity
    end: Any = float(infinity)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        end = limits.min if infinity == "-inf" else limits.max
    bounds = np.empty(shape, dtype)
    bounds[...] = np.where(bounded, values, end)
    return bounds, np.array(bounded, np.bool_).reshape(shape)
