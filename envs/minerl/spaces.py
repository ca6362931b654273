"""MineRL's spaces as Gymnasium's, and what is in them.

| MineRL, old Gym | here |
|---|---|
| `Box`, `Discrete`, `MultiDiscrete`, `MultiBinary`, `Dict`, `Tuple` | the same: bounds, type of numbers, order |
| `DiscreteRange` | `Discrete` with `start` |
| `Enum` | `Enum`: its members are the strings, as in MineRL |
| `Text`, which says neither length nor letters | `Text` of up to 1000 printable characters |
"""

import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from worldmodel.envs.minerl.errors import Failure, MineRLError

TEXT_LENGTH = 1000


class Enum(spaces.Text):
    """One of some strings, such as what to craft.

    It is a `Text`, so that what handles spaces by their class treats its members as the strings they are.

    Attributes:
        values: The strings, in MineRL's order, which is that of the alphabet.
        default: The one that does nothing.
    """

    def __init__(self, values: Sequence[str], default: str | None = None, seed: Any = None) -> None:
        """Makes a space.

        Args:
            values: At least one string, none twice.
            default: One of them; `None` for the first one.
            seed: Of the generator for `sample`.

        Raises:
            ValueError: If there are none, or some twice, or the default is not among them.
        """
        self.values = tuple(str(value) for value in values)
        self.default = self.values[0] if default is None and self.values else str(default)
        if len(set(self.values)) != len(self.values) or self.default not in self.values:
            raise ValueError(
                f"values: expected different strings, among them the default {default!r}, got {list(self.values)}"
            )
        lengths = [len(value) for value in self.values]
        super().__init__(
            max(lengths), min_length=min(lengths), charset="".join(sorted(set("".join(self.values)))), seed=seed
        )

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Returns one of the strings; masks are those of a `Discrete`, over `values`."""
        if mask is not None or probability is not None:
            indices = spaces.Discrete(len(self.values), seed=self.np_random)
            return self.values[int(indices.sample(mask, probability))]
        return self.values[int(self.np_random.integers(len(self.values)))]

    def contains(self, x: Any) -> bool:
        """Returns whether something is one of the strings."""
        return isinstance(x, str) and x in self.values

    def __eq__(self, other: Any) -> bool:
        """Returns whether another space has the same strings, in the same order, and the same default."""
        return isinstance(other, Enum) and (self.values, self.default) == (other.values, other.default)

    def __repr__(self) -> str:
        """Returns what makes it."""
        return f"Enum({list(self.values)!r}, default={self.default!r})"


def to_gymnasium(said: Mapping[str, Any], name: str = "space") -> Space:
    """Returns a space from what `worker.describe` said about it.

    Raises:
        MineRLError: If it is of a kind that is not known; the message says which part.
    """
    kind = said.get("type")
    match kind:
        case "Enum":
            return Enum(said["values"], said["default"])
        case "Discrete":
            return spaces.Discrete(said["n"], start=said["start"])
        case "MultiDiscrete":
            return spaces.MultiDiscrete(said["nvec"], dtype=np.dtype(said["dtype"]).type)
        case "MultiBinary":
            return spaces.MultiBinary(said["n"] if len(said["n"]) > 1 else said["n"][0])
        case "Box":
            dtype: np.dtype[Any] = np.dtype(said["dtype"])
            shape = tuple(said["shape"])
            low, high = (np.broadcast_to(np.array(said[end], dtype), shape) for end in ("low", "high"))
            return spaces.Box(low, high, shape, dtype.type)
        case "Dict":
            return spaces.Dict([(key, to_gymnasium(part, f"{name}[{key!r}]")) for key, part in said["spaces"]])
        case "Tuple":
            return spaces.Tuple([to_gymnasium(part, f"{name}[{i}]") for i, part in enumerate(said["spaces"])])
        case "Text":
            return spaces.Text(TEXT_LENGTH, min_length=0, charset=string.printable)
    raise MineRLError(
        Failure.INVALID,
        f"{name}: expected one of MineRL's spaces, got {kind} {said.get('said', '')!s:.200}; wrap the environment in "
        "the interpreter that has MineRL: module= may be a file with a function make",
    )


def no_op(space: Space) -> Any:
    """Returns a new member of an action space that does nothing, the same one as MineRL's `noop`."""
    match space:
        case Enum():
            return space.default
        case spaces.Discrete():
            return int(space.start)
        case spaces.Dict():
            return {key: no_op(part) for key, part in space.spaces.items()}
        case spaces.Tuple():
            return tuple(no_op(part) for part in space.spaces)
        case spaces.Text():
            return ""
    return np.zeros(space.shape or (), space.dtype)


def checked_action(space: Space, action: Any, name: str = "action") -> Any:
    """Returns an action as MineRL takes it: of a dictionary, what is missing does nothing.

    Args:
        space: The action space.
        action: A member, or a part of one. Numbers may be of any kind, and of shape (1,).
        name: Of the action in errors.

    Raises:
        TypeError: If a value is of the wrong kind.
        ValueError: If a key is unknown, or a value is not in its space.
    """
    if isinstance(space, spaces.Dict):
        if not isinstance(action, Mapping):
            raise TypeError(
                f"{name}: expected a dictionary with any of the keys {', '.join(space.spaces)}, "
                f"got {type(action).__name__} {action!r:.80}"
            )
        for key in action:
            if key not in space.spaces:
                raise ValueError(f"{name}: expected keys among {', '.join(space.spaces)}, got {key!r}; remove it")
        return {
            key: checked_action(part, action[key], f"{name}[{key!r}]") if key in action else no_op(part)
            for key, part in space.spaces.items()
        }
    if isinstance(space, spaces.Text):
        if not space.contains(action):
            raise ValueError(f"{name}: expected a member of {space}, got {action!r:.80}")
        return str(action)
    array = np.asarray(action)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected a member of {space}, got {type(action).__name__} {action!r:.80}")
    shape = space.shape or ()
    value = array.reshape(shape) if array.size == 1 and array.ndim <= len(shape) + 1 and shape in ((), (1,)) else array
    if value.shape == (1, *shape):
        value = value[0]
    exact = _exact(value, space.dtype)
    if exact is None or not space.contains(exact if shape or isinstance(space, spaces.Box) else exact[()]):
        raise ValueError(f"{name}: expected a member of {space}, got {action!r:.80}")
    return int(exact) if isinstance(space, spaces.Discrete) else exact


def checked_observation(space: Space, value: Any, name: str = "observation") -> Any:
    """Returns an observation in the types of its space.

    MineRL does not keep to those: counts come as int64 where the space says int32. What means the same is converted,
    and nothing else.

    Raises:
        MineRLError: If it has other parts, another shape, or numbers that the type of the space cannot hold.
    """
    match space:
        case spaces.Dict():
            if not isinstance(value, Mapping) or set(value) != set(space.spaces):
                got = f"the keys {sorted(map(str, value))}" if isinstance(value, Mapping) else f"{value!r:.80}"
                raise MineRLError(
                    Failure.INVALID, f"{name}: expected the keys {sorted(space.spaces)}, got {got}; it is no data"
                )
            return {
                key: checked_observation(part, value[key], f"{name}[{key!r}]") for key, part in space.spaces.items()
            }
        case spaces.Tuple():
            if isinstance(value, tuple | list) and len(value) == len(space.spaces):
                parts = enumerate(zip(space.spaces, value, strict=True))
                return tuple(checked_observation(part, item, f"{name}[{i}]") for i, (part, item) in parts)
        case spaces.Text():
            # Of 0.4 some text comes as an array of no dimensions.
            text = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
            if isinstance(text, str) and (text in space.values if isinstance(space, Enum) else True):
                return str(text)
        case _:
            array = np.asarray(value)
            exact = _exact(array, space.dtype) if array.shape == (space.shape or ()) else None
            if exact is not None:
                return space.dtype.type(exact) if isinstance(space, spaces.Discrete) else exact  # type: ignore[union-attr]
    got = f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else f"{value!r:.80}"
    raise MineRLError(Failure.INVALID, f"{name}: expected {space}, got {got}; it is no data")


def _exact(array: np.ndarray, dtype: Any) -> np.ndarray | None:
    """Returns numbers in another type, an array of their own; `None` if it cannot hold them.

    Precision of fractions may be lost: MineRL gives float64 where its spaces say float32.
    """
    if array.dtype == dtype:
        return array.copy()
    if array.dtype.kind not in "biuf":
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        converted = array.astype(dtype)
    if converted.dtype.kind == "f":
        return converted if np.allclose(converted, array, rtol=1e-6, equal_nan=True) else None
    return converted if np.array_equal(converted, array) else None
