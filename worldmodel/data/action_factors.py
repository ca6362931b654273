"""What an action space is made of: the factors of its vectors, their bins, and how actions are taken apart and built.

Bins of a `Box` component:

| bounds | bins |
|---|---|
| both finite | `UNIFORM_BINS`, evenly from `low` to `high`; of integers no more than there are values |
| both infinite | `2 * SYMLOG_STEPS + 1`, from -`SYMLOG_REACH` to `SYMLOG_REACH` |
| one infinite | `SYMLOG_STEPS + 1`, from the finite bound to `SYMLOG_REACH` beyond it |
| camera of MineRL | the mu-law bins of VPT, continued to 180 degrees |

Symlog bins lie evenly in `sign(x) log(1 + |x|)` (DreamerV3, https://arxiv.org/abs/2301.04104); what lies beyond the
last one is clipped to it. Bounds beyond `HUGE` count as infinite. The camera is `camera` in a `Dict`, a float `Box` of
shape (2,) within +-180; its 11 inner bins are those of OpenAI's VPT, `lib/actions.py`, with `maxval` 10, `binsize` 2
and `mu` 10.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from gymnasium import Space, spaces

from worldmodel.data.spaces import space_to_json

UNIFORM_BINS = 11
"""Bins of a bounded component; odd, so that the middle of symmetric bounds, mostly rest, has a bin of its own."""

SYMLOG_REACH = 1000.0
"""How far the bins of an unbounded component reach."""

SYMLOG_STEPS = 20
"""Bins on each side of 0, or of the finite bound."""

HUGE = 1e9
"""Magnitude from which a bound counts as infinite: even bins over such a range would tell nothing apart."""

CAMERA_MAXVAL, CAMERA_BINSIZE, CAMERA_MU = 10.0, 2.0, 10.0
"""VPT's mu-law: the last of its bins in degrees, the step between bins before the law, and the law's constant."""


class Kind(Enum):
    """What the values of a factor are."""

    CATEGORICAL = "categorical"
    CONTINUOUS = "continuous"


@dataclass(kw_only=True, slots=True)
class Factor:
    """One number of an action, and its slice of the vector.

    Attributes:
        name: Path of the number, such as `"forward"`, `"camera[0]"`, `"menu/page"`; `"action"` if it is all there is.
        kind: Whether its values are categories or bins.
        size: Number of values.
        offset: Where its slice of the vector begins.
        values: float64 (size,), increasing, the value of each bin; `None` for categories.
    """

    name: str
    kind: Kind
    size: int
    offset: int
    values: np.ndarray | None = None

    @property
    def slice(self) -> slice:
        """Its part of the vector."""
        return slice(self.offset, self.offset + self.size)


class Limit(NamedTuple):
    """Range of a number as it is encoded; categories count from 0, and `shift` is the first one."""

    low: float
    high: float
    shift: int
    whole: bool


@dataclass(kw_only=True, slots=True)
class Leaf:
    """A space without parts.

    Attributes:
        name: Its path.
        space: The space.
        shape: Of a value.
        columns: Which factors are its own.
        start: int64, of that shape, the smallest category of each; `None` of a `Box`.
        zero: The value that means nothing, in plain numbers.
    """

    name: str
    space: Any
    shape: tuple[int, ...]
    columns: slice
    start: np.ndarray | None
    zero: Any


@dataclass(kw_only=True, slots=True)
class Branch:
    """A `Dict` or a `Tuple`.

    Attributes:
        name: Its path.
        is_dict: Which of the two.
        parts: By key or index.
        zero: The value that means nothing, in plain numbers.
    """

    name: str
    is_dict: bool
    parts: dict[Any, "Leaf | Branch"]
    zero: Any


def lay_out(space: Space, name: str, factors: list[Factor], limits: list[Limit]) -> Leaf | Branch:
    """Appends the factors of a space and their limits, and returns how its actions are read and built.

    Args:
        space: The space, or a part of one.
        name: Path of the part, empty for the whole.
        factors: Is extended.
        limits: Is extended, one a factor.

    Raises:
        TypeError: If the space, or a part of it, is of an unsupported type.
        ValueError: If the space, or a part of it, has nothing to choose.
    """
    if isinstance(space, spaces.Dict) and space.spaces:
        parts: dict[Any, Leaf | Branch] = {}
        # Dict spaces with their keys in another order are equal, so the layout must not depend on the order.
        for key, part in sorted(space.spaces.items(), key=lambda item: str(item[0])):
            path = f"{name}/{key}" if name else str(key)
            is_camera = key == "camera" and _is_camera(part)
            parts[key] = _leaf(part, path, factors, limits, True) if is_camera else lay_out(part, path, factors, limits)
        zero = {key: part.zero for key, part in parts.items()}
        return Branch(name=name or "action", is_dict=True, parts=parts, zero=zero)
    name = name or "action"
    if isinstance(space, spaces.Tuple) and space.spaces:
        parts = {i: lay_out(part, f"{name}[{i}]", factors, limits) for i, part in enumerate(space.spaces)}
        return Branch(name=name, is_dict=False, parts=parts, zero=tuple(part.zero for part in parts.values()))
    return _leaf(space, name, factors, limits, False)


def _leaf(space: Any, name: str, factors: list[Factor], limits: list[Limit], is_camera: bool) -> Leaf:
    first = len(factors)
    start: np.ndarray | None = None
    zero: Any = None
    match space:
        case spaces.Discrete():
            start, sizes = np.array(space.start, np.int64), np.array(space.n, np.int64)
        case spaces.MultiDiscrete():
            start, sizes = space.start.astype(np.int64), space.nvec.astype(np.int64)
        case spaces.MultiBinary():
            start, sizes = np.zeros(space.shape, np.int64), np.full(space.shape, 2)
        case spaces.Box():
            zero = _clip(np.zeros(space.shape, space.dtype), space)
            whole = space.dtype.kind != "f"
            for index in np.ndindex(space.shape):
                low, high = float(space.low[index]), float(space.high[index])
                values = _mu_law_bins(high) if is_camera else _bins(low, high, whole)
                _append(factors, name, index, len(values), values)
                limits.append(Limit(low, high, 0, whole))
        case _:
            space_to_json(space)  # names what is supported; returns only for an empty Dict or Tuple
    if start is not None:
        zero = np.where((start <= 0) & (start + sizes > 0), 0, start)
        for index, size in np.ndenumerate(sizes):
            _append(factors, name, index, int(size), None)
            limits.append(Limit(0, int(size) - 1, int(start[index]), True))
    if len(factors) == first:
        raise ValueError(f"space: expected something to choose for {name!r}, got the empty {space}; leave it out")
    columns = slice(first, len(factors))
    # As plain numbers, which NumPy stacks fastest.
    return Leaf(name=name, space=space, shape=space.shape, columns=columns, start=start, zero=zero.tolist())


def _append(factors: list[Factor], name: str, index: tuple[int, ...], size: int, values: np.ndarray | None) -> None:
    path = f"{name}[{','.join(map(str, index))}]" if index else name
    kind = Kind.CATEGORICAL if values is None else Kind.CONTINUOUS
    offset = factors[-1].slice.stop if factors else 0
    factors.append(Factor(name=path, kind=kind, size=size, offset=offset, values=values))


def _clip(values: np.ndarray, space: spaces.Box) -> np.ndarray:
    """Returns values within the bounds of a Box; unlike `np.clip`, of truth values too."""
    return np.asarray(np.minimum(np.maximum(values, space.low), space.high))


def _is_camera(space: Any) -> bool:
    """Whether a space is that of the camera of MineRL and VPT."""
    is_box = isinstance(space, spaces.Box) and space.dtype.kind == "f" and space.shape == (2,)
    return is_box and bool((space.low == -180).all() and (space.high == 180).all())


def _mu_law_bins(limit: float) -> np.ndarray:
    """Returns VPT's camera bins, continued by the same steps up to the limit in degrees, which is the last one."""
    positive = [0.0]
    while positive[-1] < limit:
        share = len(positive) * CAMERA_BINSIZE / CAMERA_MAXVAL
        positive.append(min(((1 + CAMERA_MU) ** share - 1) / CAMERA_MU * CAMERA_MAXVAL, limit))
    return _mirrored(np.array(positive))


def _bins(low: float, high: float, whole: bool) -> np.ndarray:
    """Returns the bins of a component; see the table at the top."""
    outward = np.expm1(np.linspace(0.0, math.log1p(SYMLOG_REACH), SYMLOG_STEPS + 1))
    if low < -HUGE and high > HUGE:
        return _mirrored(outward)
    if high > HUGE:
        return low + outward
    if low < -HUGE:
        return high - outward[::-1]
    count = min(UNIFORM_BINS, int(high - low) + 1) if whole else UNIFORM_BINS
    return np.unique(np.linspace(low, high, count))  # a single one where both bounds are the same


def _mirrored(positive: np.ndarray) -> np.ndarray:
    return np.concatenate([-positive[:0:-1], positive])


def gather(node: Leaf | Branch, values: list[Any], numbers: np.ndarray) -> None:
    """Writes the numbers of N values of a space into its columns of (N, factors); categories count from 0."""
    if isinstance(node, Leaf):
        array = _stack(node, values).reshape(len(values), -1)
        if node.start is None:
            with np.errstate(over="ignore"):  # what overflows is refused as not finite
                # Bounds are of the space's type: 0.1 in float64 is below 0.1 in float32.
                array = array.astype(node.space.dtype) if node.space.dtype.kind == "f" else array
        elif array.dtype.kind == "i":
            array = array - node.start.ravel()  # in integers, because float64 has only 53 bits
        else:
            array = array.astype(np.float64) - node.start.ravel()
        numbers[:, node.columns] = array
    elif node.is_dict:
        for value in values:
            if type(value) is not dict and not isinstance(value, Mapping):
                raise TypeError(f"{node.name!r}: expected a dictionary, got {type(value).__name__} {value!r:.80}")
            if not node.parts.keys() >= value.keys():
                unknown = next(key for key in value if key not in node.parts)
                raise ValueError(f"{node.name!r}: expected keys among {list(node.parts)}, got {unknown!r}; remove it")
        for key, part in node.parts.items():
            zero = part.zero
            gather(part, [value.get(key, zero) for value in values], numbers)
    else:
        for value in values:
            if not isinstance(value, tuple | list) or len(value) != len(node.parts):
                raise TypeError(f"{node.name!r}: expected a tuple of {len(node.parts)} parts, got {value!r:.80}")
        for key, part in node.parts.items():
            gather(part, [value[key] for value in values], numbers)


def _stack(leaf: Leaf, values: list[Any]) -> np.ndarray:
    """Returns N values of a space without parts as numbers (N, ...), the last dimensions being its shape or 1."""
    try:
        array = np.asarray(values)
        if array.dtype.kind in "biuf" and _fits(leaf, array.shape[1:]):
            return array
    except (TypeError, ValueError, OverflowError, RuntimeError):  # mixed shapes, or no numbers
        pass
    return np.stack([_plain(leaf, value) for value in values])


def _plain(leaf: Leaf, value: Any) -> np.ndarray:
    """Returns one value as numbers of the space's shape, or raises what is wrong with it."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{leaf.name!r}: expected numbers, got {type(value).__name__} {value!r:.80}; convert them")
    if not _fits(leaf, array.shape):
        raise ValueError(f"{leaf.name!r}: expected shape {leaf.shape}, got {array.shape}; pass one action, not a batch")
    return array.reshape(leaf.shape)


def _fits(leaf: Leaf, shape: tuple[int, ...]) -> bool:
    """Whether a value of this shape is one of the space's, up to a leading dimension of 1."""
    return shape == leaf.shape or shape == (1, *leaf.shape) or (shape == () and leaf.shape == (1,))


def build(node: Leaf | Branch, numbers: np.ndarray) -> Any:
    """Returns the member of a space that has these numbers (factors,)."""
    if isinstance(node, Branch):
        parts = {key: build(part, numbers) for key, part in node.parts.items()}
        return parts if node.is_dict else tuple(parts.values())
    values = numbers[node.columns].reshape(node.shape)
    space = node.space
    if node.start is None:
        values = values if space.dtype.kind == "f" else np.rint(values)
        return _clip(values.astype(space.dtype), space)
    chosen = node.start + values.astype(np.int64)
    return int(chosen) if isinstance(space, spaces.Discrete) else np.asarray(chosen, space.dtype)
