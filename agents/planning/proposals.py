"""What a planner draws its candidates from: distributions over sequences of actions of any space.

An action is a row of coordinates, one for each factor of `ActionCodec`: the index of a category, or a place between the
bins of a continuous factor. Bins are even where bounds are finite, and grow outwards where they are not, and for the
camera: a Gaussian over places tries small and large values alike, and any value of the space can be drawn.

Sources: Rubinstein, 1999, "The Cross-Entropy Method for Combinatorial and Continuous Optimization"; de Boer et al.,
2005, "A Tutorial on the Cross-Entropy Method" (smoothed updating); Pinneri et al., 2020, "Sample-efficient
Cross-Entropy Method for Real-time Planning" (coloured noise); Timmer & König, 1995, "On generating power law noise".

Shapes: N candidates, L actions of a sequence, F factors, C continuous factors, A width of an action vector.
"""

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import Space

from worldmodel.data.action_factors import Factor, Kind, Limit, build, gather, lay_out

_KEPT = 0.5
"""Weight of the actions of the plan before in the categories that a warm start draws."""
_normal = np.frompyfunc(lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2))), 1, 1)
"""The distribution function of the standard normal distribution."""


class ActionCoordinates:
    """Turns rows of coordinates into actions of a space.

    Attributes:
        factors: Of the space, as `ActionCodec` has them.
        rest: float64 (F,), the action that does nothing, or what comes closest.
        categorical: Indices of the categorical factors.
        continuous: Indices of the others.
        last: float64 (C,), the largest coordinate of each continuous factor.
    """

    def __init__(self, space: Space) -> None:
        """Lays out the coordinates.

        Args:
            space: `Discrete`, `MultiDiscrete`, `MultiBinary`, `Box`, or `Dict` or `Tuple` of them, nested.

        Raises:
            TypeError: If the space, or a part of it, is of another type.
            ValueError: If there is nothing to choose.
        """
        factors: list[Factor] = []
        limits: list[Limit] = []
        self._root = lay_out(space, "", factors, limits)
        self.factors = tuple(factors)
        is_continuous = np.array([factor.kind is Kind.CONTINUOUS for factor in factors])
        self.categorical: list[int] = np.flatnonzero(~is_continuous).tolist()
        self.continuous: list[int] = np.flatnonzero(is_continuous).tolist()
        self.last = np.array([factors[f].size - 1.0 for f in self.continuous])
        zero = np.empty((1, len(factors)))
        gather(self._root, [self._root.zero], zero)
        self.rest = zero[0]
        for f in self.continuous:
            bins = self._bins(f)
            self.rest[f] = np.interp(self.rest[f], bins, np.arange(len(bins)))

    def actions(self, rows: np.ndarray) -> list[Any]:
        """Returns the actions of rows (N, F)."""
        numbers = rows.copy()
        for f in self.continuous:
            bins = self._bins(f)
            numbers[:, f] = np.interp(rows[:, f], np.arange(len(bins)), bins)
        return [build(self._root, row) for row in numbers]

    def _bins(self, factor: int) -> np.ndarray:
        bins = self.factors[factor].values
        assert bins is not None
        return bins


@dataclass(kw_only=True, slots=True)
class Proposal:
    """A distribution over sequences of actions, in which all factors at all times are independent.

    Attributes:
        space: The coordinates.
        probabilities: Of the values of each categorical factor, float64 (L, size).
        mean: float64 (L, C), centres of the continuous ones.
        std: float64 (L, C), their deviations.
        colour: Exponent of the noise over time: 0 is white, with larger ones an action is held for longer.
    """

    space: ActionCoordinates
    probabilities: list[np.ndarray]
    mean: np.ndarray
    std: np.ndarray
    colour: float = 0.0

    def sample(self, number: int, random: np.random.Generator) -> np.ndarray:
        """Draws sequences: float64 (N, L, F).

        Noise of one colour moves all factors. What a category gets of it is turned into a uniform number, so that its
        probabilities stay what they are while neighbouring times tend to draw the same. The order of categories is
        another one in each sequence: none of them lies between two others.
        """
        noise = coloured_noise((number, len(self.mean), len(self.space.factors)), self.colour, random)
        drawn = np.empty_like(noise)
        for f, chances in zip(self.space.categorical, self.probabilities, strict=True):
            orders = random.permuted(np.tile(np.arange(chances.shape[1]), (number, 1)), axis=1)
            total = np.take_along_axis(chances[None], orders[:, None], axis=2).cumsum(-1)  # (N, L, size)
            uniform = _normal(noise[..., f]).astype(np.float64)[..., None]
            places = (total[..., :-1] <= uniform * total[..., -1:]).sum(-1)
            drawn[..., f] = np.take_along_axis(orders, places, axis=1)
        wide = self.mean + self.std * noise[..., self.space.continuous]
        drawn[..., self.space.continuous] = np.clip(wide, 0.0, self.space.last)
        return drawn

    def centre(self) -> np.ndarray:
        """Returns the likeliest sequence: float64 (L, F)."""
        rows = np.empty((len(self.mean), len(self.space.factors)))
        for f, chances in zip(self.space.categorical, self.probabilities, strict=True):
            rows[:, f] = chances.argmax(1)
        rows[:, self.space.continuous] = np.clip(self.mean, 0.0, self.space.last)
        return rows

    def choices(self, time: int, number: int, random: np.random.Generator) -> np.ndarray:
        """Returns different actions for one time: float64 (up to N, F).

        Those are all there are, if there are no more than N; else the likeliest one and others that are drawn.
        """
        sizes = [self.space.factors[f].size for f in self.space.categorical]
        if not self.space.continuous and math.prod(sizes) <= number:
            return np.array(list(itertools.product(*map(range, sizes))), np.float64)
        now = replace(
            self,
            probabilities=[chances[time : time + 1] for chances in self.probabilities],
            mean=self.mean[time : time + 1],
            std=self.std[time : time + 1],
        )
        rows = np.concatenate([now.centre(), now.sample(number - 1, random)[:, 0]])
        _, first = np.unique(rows, axis=0, return_index=True)
        return rows[np.sort(first)]

    def refitted(
        self, sequences: np.ndarray, weights: np.ndarray, *, smoothing: float, keeps_std: bool = False
    ) -> "Proposal":
        """Returns the distribution that fits weighted sequences, mixed with this one.

        Args:
            sequences: (K, L, F).
            weights: (K,), not negative; their sum is 1.
            smoothing: Share of this distribution that is kept, 0 to 1.
            keeps_std: Whether the deviations stay as they are.
        """

        def mixed(old: np.ndarray, new: np.ndarray) -> np.ndarray:
            return smoothing * old + (1 - smoothing) * new

        probabilities = []
        for f, chances in zip(self.space.categorical, self.probabilities, strict=True):
            hits = sequences[..., f, None] == np.arange(chances.shape[1])  # (K, L, size)
            probabilities.append(mixed(chances, np.tensordot(weights, hits, axes=1)))
        places = sequences[..., self.space.continuous]
        mean = np.tensordot(weights, places, axes=1)
        std = self.std if keeps_std else mixed(self.std, np.sqrt(np.tensordot(weights, (places - mean) ** 2, axes=1)))
        return replace(self, probabilities=probabilities, mean=mixed(self.mean, mean), std=std)

    def warmed(self, plan: np.ndarray) -> "Proposal":
        """Returns this distribution, moved to a plan (L, F): as wide as before, and still with all categories."""
        probabilities = [
            (1 - _KEPT) * chances + _KEPT * (plan[:, f, None] == np.arange(chances.shape[1]))
            for f, chances in zip(self.space.categorical, self.probabilities, strict=True)
        ]
        return replace(self, probabilities=probabilities, mean=plan[:, self.space.continuous])


def first_proposal(
    space: ActionCoordinates,
    length: int,
    *,
    spread: float,
    colour: float,
    policy: np.ndarray | None = None,
    prior: float = 0.0,
) -> Proposal:
    """Returns the distribution to begin with, the same for all times: categories alike, other factors around rest.

    Args:
        space: The coordinates.
        length: L.
        spread: Deviation of a continuous factor, as a share of half its bins.
        colour: Of the noise.
        policy: (A,), what a player would do next, probabilities as `ActionCodec` has them; `None` without a prior.
        prior: Share of the policy in a mixture with the rest, 0 to 1.
    """
    probabilities, means, stds = [], [], []
    for f, factor in enumerate(space.factors):
        even, places = np.full(factor.size, 1 / factor.size), np.arange(factor.size)
        share, chances = (0.0, even) if policy is None else (prior, np.asarray(policy[factor.slice], np.float64))
        chances = chances / chances.sum()
        if factor.values is None:
            probabilities.append(np.tile(share * chances + (1 - share) * even, (length, 1)))
            continue
        rest, width = space.rest[f], spread * (factor.size - 1) / 2
        means.append(share * (chances @ places) + (1 - share) * rest)
        square = share * (chances @ places**2) + (1 - share) * (rest**2 + width**2)
        stds.append(math.sqrt(max(square - means[-1] ** 2, 0.0)))
    return Proposal(
        space=space,
        probabilities=probabilities,
        mean=np.tile(np.array(means, np.float64), (length, 1)),
        std=np.tile(np.array(stds, np.float64), (length, 1)),
        colour=colour,
    )


def coloured_noise(shape: tuple[int, int, int], exponent: float, random: np.random.Generator) -> np.ndarray:
    """Draws noise that is standard normal at each time, and whose power falls with frequency f as f ** -exponent.

    Args:
        shape: (N, L, F); L is time.
        exponent: 0 for white noise, 2 for that of a random walk.
        random: Source of what is random.

    Returns:
        float64, of that shape.
    """
    number, length, factors = shape
    if length == 1 or exponent == 0:
        return random.standard_normal(shape)
    period = 2 * length  # such noise is periodic: half of it is cut off, so that the end does not meet the start
    frequencies = np.fft.rfftfreq(period)
    frequencies[0] = frequencies[1]  # what does not change at all is as strong as the slowest change
    scale = frequencies ** (-exponent / 2)
    real, imaginary = random.standard_normal((2, number, len(scale), factors))
    power = scale**2
    for end in (0, -1):  # these have no imaginary part
        real[:, end] *= math.sqrt(2)
        imaginary[:, end] = 0.0
        power[end] /= 2
    noise = np.fft.irfft((real + 1j * imaginary) * scale[:, None], n=period, axis=1)[:, :length]
    return noise * (period / (2 * math.sqrt(power.sum())))
