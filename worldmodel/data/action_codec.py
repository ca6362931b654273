"""Actions of any Gymnasium space as flat vectors of probabilities, and back.

A space is a list of *factors*, each one number to choose: a `Discrete` is one, a `Box` of shape (2,) is two. A factor
owns a slice of the vector and keeps there a probability for each of its values. A categorical factor is one-hot. A
continuous one has bins and is two-hot: the weight is split between the two neighbouring bins so that the expectation
over the bins is the value itself. So a model reads and predicts all actions alike, as categories, and a vector of zeros
is free to mean that no action is known. Which bins there are is told in `action_factors.py`.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from gymnasium import Space

from worldmodel.data.action_factors import Factor, Kind, Limit, build, gather, lay_out
from worldmodel.data.spaces import space_from_json, space_to_json


class ActionCodec:
    """Turns actions of a space into vectors of probabilities, one slice a factor, and back.

    Factors stand in the order of the space, the parts of a `Dict` in the order of their sorted keys, so equal spaces
    have equal vectors.

    Attributes:
        space: The action space.
        factors: The factors, in the order of their slices.
        width: Length of a vector, the sum of the sizes.
        rest: float32 (width,), the action that does nothing, or what comes closest: zeros, or the first choice.
    """

    def __init__(self, space: Space) -> None:
        """Lays out the vector.

        Args:
            space: `Discrete`, `MultiDiscrete`, `MultiBinary`, `Box`, or `Dict` or `Tuple` of them, nested.

        Raises:
            TypeError: If the space, or a part of it, is of another type.
            ValueError: If the space, or a part of it, has nothing to choose: an empty `Dict`, a `Box` of shape (0,).
        """
        self.space = space
        self._limits: list[Limit] = []
        factors: list[Factor] = []
        self._root = lay_out(space, "", factors, self._limits)
        self.factors: tuple[Factor, ...] = tuple(factors)
        self.width: int = factors[-1].slice.stop
        self._low = np.array([limit.low for limit in self._limits], np.float64)
        self._high = np.array([limit.high for limit in self._limits], np.float64)
        self._fraction = np.array([not limit.whole for limit in self._limits])
        self._sizes = np.array([factor.size for factor in factors])
        self._offsets = np.array([factor.offset for factor in factors])
        self._categorical = np.flatnonzero([factor.kind is Kind.CATEGORICAL for factor in factors])
        self.rest = self.encode(self._root.zero)

    def encode(self, action: Any) -> np.ndarray:
        """Returns an action as a vector.

        Args:
            action: A member of the space, or less: a missing key of a dictionary means 0, or what is closest to it (the
                first category, a bound). Scalars may be Python or NumPy numbers, and any array may have one more
                leading dimension of 1. Continuous values beyond the last bin are clipped to it.

        Returns:
            float32 (width,); each factor's slice sums to 1.

        Raises:
            TypeError: If a part is of the wrong type; the message names it.
            ValueError: If a key is unknown, or a part is out of range, not finite, or of the wrong shape; likewise.
        """
        return self.encode_many([action])[0]

    def encode_many(self, actions: Iterable[Any]) -> np.ndarray:
        """Returns N actions as vectors, float32 (N, width); `encode` says what an action is and what is raised."""
        actions = list(actions)
        vectors = np.zeros((len(actions), self.width), np.float32)
        if not actions:
            return vectors
        numbers = np.empty((len(actions), len(self.factors)))
        gather(self._root, actions, numbers)
        self._check(numbers)
        rows = np.arange(len(actions))
        chosen = numbers[:, self._categorical].astype(np.intp) + self._offsets[self._categorical]
        vectors[rows[:, None], chosen] = 1.0
        for column, factor in enumerate(self.factors):
            if factor.values is None:
                continue
            bins = factor.values
            value = np.clip(numbers[:, column], bins[0], bins[-1])
            left = np.clip(np.searchsorted(bins, value, side="right") - 1, 0, max(factor.size - 2, 0))
            right = np.minimum(left + 1, factor.size - 1)
            share = (value - bins[left]) / np.where(left == right, 1.0, bins[right] - bins[left])
            vectors[rows, factor.offset + right] = share
            vectors[rows, factor.offset + left] = 1.0 - share
        return vectors

    def decode(self, vector: np.ndarray) -> Any:
        """Returns the action that a vector stands for.

        Args:
            vector: (width,), not negative, each factor's slice in any scale.

        Returns:
            A member of the space: of a categorical factor the most likely value, of a continuous one the expectation,
            rounded if it is an integer. `Discrete` gives `int`, all others arrays.

        Raises:
            ValueError: If the vector is null, or no vector of probabilities.
        """
        vector = self._checked("vector", vector)
        numbers = np.empty(len(self.factors))
        for column, factor in enumerate(self.factors):
            weights = vector[factor.slice]
            numbers[column] = (
                weights.argmax() if factor.values is None else np.dot(weights, factor.values) / weights.sum()
            )
        return build(self._root, numbers)

    def sample(self, probabilities: np.ndarray, generator: np.random.Generator, temperature: float = 1.0) -> Any:
        """Draws an action, each factor on its own.

        Args:
            probabilities: (width,), not negative, each factor's slice in any scale.
            generator: Gives one uniform number a factor, whatever the temperature.
            temperature: At least 0. Below 1 likely values become likelier; 0 takes the most likely.

        Returns:
            A member of the space; a continuous factor has the value of the bin that was drawn.

        Raises:
            ValueError: If the probabilities are null or none, or the temperature is negative or not finite.
        """
        vector = self._checked("probabilities", probabilities)
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature: expected a finite number of at least 0, got {temperature!r}")
        numbers = np.empty(len(self.factors))
        for column, (factor, uniform) in enumerate(zip(self.factors, generator.random(len(self.factors)), strict=True)):
            weights = vector[factor.slice]
            index = int(weights.argmax())
            if temperature > 0:
                weights = (weights / weights[index]) ** (1 / temperature)
                total = weights.cumsum()
                # The product may round up to the whole sum, which lies beyond the last value.
                index = min(int(np.searchsorted(total, uniform * total[-1], "right")), int(weights.nonzero()[0][-1]))
            numbers[column] = index if factor.values is None else factor.values[index]
        return build(self._root, numbers)

    def normalise(self, logits: np.ndarray) -> np.ndarray:
        """Returns the softmax of every factor's slice.

        Args:
            logits: (..., width); -inf rules a value out.

        Returns:
            float32 (..., width); each factor's slice sums to 1.

        Raises:
            ValueError: If the last dimension is not `width`, or a factor has NaN, +inf, or nothing but -inf.
        """
        logits = np.asarray(logits, np.float64)
        if logits.ndim == 0 or logits.shape[-1] != self.width:
            raise ValueError(f"logits: expected shape (..., {self.width}), got {logits.shape}; look at the space")
        peaks = np.maximum.reduceat(logits, self._offsets, axis=-1)
        if not np.isfinite(peaks).all():
            name = self.factors[int(np.argwhere(~np.isfinite(peaks))[0][-1])].name
            raise ValueError(
                f"logits: expected a finite largest value of {name!r}, got NaN or infinity; look at the model"
            )
        powers = np.exp(logits - np.repeat(peaks, self._sizes, axis=-1))
        sums = np.add.reduceat(powers, self._offsets, axis=-1)
        return (powers / np.repeat(sums, self._sizes, axis=-1)).astype(np.float32)

    def null(self) -> np.ndarray:
        """Returns the vector that means that no action is known: zeros, float32 (width,)."""
        return np.zeros(self.width, np.float32)

    def to_json(self) -> dict[str, Any]:
        """Returns JSON values that `from_json` turns into an equal codec; `TypeError` if a key is no text."""
        return {"space": space_to_json(self.space), "width": self.width}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ActionCodec":
        """Returns the codec that `to_json` has turned into `value`.

        Raises:
            TypeError: If a part is of the wrong type.
            ValueError: If an entry is missing or wrong, or the codec was one of other bins.
        """
        if not isinstance(value, Mapping) or not {"space", "width"} <= value.keys():
            raise ValueError(f"value: expected a dictionary with space and width, from to_json, got {value!r:.80}")
        codec = cls(space_from_json(value["space"]))
        if codec.width != value["width"]:
            raise ValueError(
                f"value: expected vectors of width {codec.width}, got {value['width']}; "
                "it was written with other bins: use the version that wrote it"
            )
        return codec

    def __eq__(self, other: object) -> bool:
        """Whether the other is a codec of an equal space."""
        return isinstance(other, ActionCodec) and self.space == other.space

    def __repr__(self) -> str:
        """Names the space."""
        return f"ActionCodec({self.space})"

    def _check(self, numbers: np.ndarray) -> None:
        """Refuses numbers (N, factors) that are out of range, not finite, or no integers where these are needed."""
        good = (numbers >= self._low) & (numbers <= self._high) & np.isfinite(numbers)
        good &= self._fraction | (numbers == np.floor(numbers))
        if good.all():
            return
        row, column = np.argwhere(~good)[0]
        low, high, shift, whole = self._limits[column]
        raise ValueError(
            f"action {row}: {self.factors[column].name!r}: expected {'an integer' if whole else 'a finite number'} "
            f"in [{low + shift:g}, {high + shift:g}], got {numbers[row, column] + shift:g}; clip it, or look for NaN"
        )

    def _checked(self, name: str, vector: np.ndarray) -> np.ndarray:
        """Returns a vector of probabilities as float64, or raises what is wrong with it."""
        vector = np.asarray(vector, np.float64)
        if vector.shape != (self.width,):
            raise ValueError(f"{name}: expected shape ({self.width},), got {vector.shape}; pass one action's")
        if not (np.isfinite(vector).all() and vector.min() >= 0):
            raise ValueError(f"{name}: expected finite numbers of at least 0, got others; call normalise on logits")
        empty = np.add.reduceat(vector, self._offsets) == 0
        if empty.all():
            raise ValueError(f"{name}: expected an action, got the null vector; it stands for no known action")
        if empty.any():
            factor = self.factors[int(empty.argmax())]
            raise ValueError(f"{name}: expected a positive probability of {factor.name!r}, got only 0; normalise it")
        return vector
