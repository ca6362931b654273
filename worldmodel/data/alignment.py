"""Do actions lie beside the frames they led to? Measured in seconds, without training a network.

The change from frame `t - 1` to frame `t` is put into a few numbers: optical flow and difference of brightness in the
cells of a coarse grid (Lucas & Kanade 1981). Ridge regression then guesses the action of row `t + shift` from them, for
shifts -1, 0 and 1. Where actions and frames belong together, shift 0 explains most.

Players hold keys for long, so that an action is like the one before and all shifts explain alike. Only rows at which
the action changes are counted.

Where bodies slide, a frame may tell more of the action before than of its own, with nothing shifted. But it tells
something new of its own, which it could not if that were one of later.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

SHIFTS = (-1, 0, 1)
"""Shifts that are compared. If shift `s` explains best, the action that led to frame `t` is stored in row `t + s`."""

MIN_PIECES, MIN_ROWS = 6, 120
"""Least data to judge by. Below, three scores differ by chance."""

CONFIDENCE = 0.99
"""Share of bootstrap samples in which a shift must win over another to be better."""

MIN_MARGIN = 0.015
"""Least score, and least difference of scores, that means something. With the actions of other episodes beside the
frames, no shift was better than 0 by as much in 180 trials."""

_SIDE = 32  # of the picture on which motion is measured, in pixels
_GRID = 4
_PENALTY = 1000  # rows' worth of ridge penalty, beside one for each row: less fits noise in small data


@dataclass(kw_only=True, slots=True)
class Alignment:
    """How well actions explain the change of frames, for each of `SHIFTS`.

    Attributes:
        scores: Share of the actions' variance that is explained in episodes that were not fitted on (R squared).
        confidence: [i][j] is the share of bootstrap samples in which shift i explains more than shift j.
        news: Share of what the action of the row before leaves open of a row's own that is explained.
        num_rows: Number of rows that were counted.
        enough: Whether there was enough data to judge.
    """

    scores: tuple[float, ...]
    confidence: tuple[tuple[float, ...], ...]
    news: float
    num_rows: int
    enough: bool

    @property
    def best(self) -> int:
        """The shift that explains most."""
        return SHIFTS[int(np.argmax(self.scores))]

    def explains(self) -> bool:
        """Returns whether the best shift explains anything."""
        return max(self.scores) >= MIN_MARGIN

    def slides(self) -> bool:
        """Returns whether frames tell of their own action, even if they tell more of the one before."""
        return self.news >= MIN_MARGIN

    def is_better(self, shift: int, other: int) -> bool:
        """Returns whether one shift explains clearly more than another."""
        i, j = SHIFTS.index(shift), SHIFTS.index(other)
        return self.confidence[i][j] >= CONFIDENCE and self.scores[i] - self.scores[j] >= MIN_MARGIN


def measure_alignment(pieces: Iterable[tuple[np.ndarray, np.ndarray]], *, seed: int = 0) -> Alignment:
    """Measures how well actions explain the change of frames, if they are shifted by -1, 0 and 1.

    Every second piece is fitted on and the others are scored, then the other way round.

    Args:
        pieces: Frames uint8 (n, H, W, 3) and encoded actions (n, A) of stretches without a cut: whole episodes, or
            parts of one, a hundred frames or so. Row `t` of the actions should have led to frame `t`.
        seed: Of the bootstrap.
    """
    data = [rows for frames, actions in pieces if (rows := _changing_rows(frames, actions)) is not None]
    num_rows = sum(len(x) for x, _ in data)
    if len(data) < MIN_PIECES or num_rows < MIN_ROWS:
        return Alignment(
            scores=(0.0, 0.0, 0.0), confidence=((0.0,) * 3,) * 3, news=0.0, num_rows=num_rows, enough=False
        )
    # Squared error of the regression, and of guessing the mean, for each piece, shift and column.
    errors = np.zeros((len(data), 2, len(SHIFTS), data[0][1].shape[2]))
    for parity in (0, 1):
        predict = _Ridge(*(np.concatenate(part) for part in zip(*data[parity::2], strict=True)))
        for i in range(1 - parity, len(data), 2):
            errors[i] = predict.errors(*data[i])
    # Columns that no shift explains, most keys of a player that presses all at random, would only add noise.
    explained = (_scores(errors.sum(0, keepdims=True))[0] > 0).any(0)
    errors = errors[..., explained].sum(3)
    samples = np.random.default_rng(seed).integers(len(data), size=(1000, len(data)))
    bootstrap = _scores(errors[samples].sum(1))  # (1000, 3)
    confidence = (bootstrap[:, :, None] > bootstrap[:, None, :]).mean(0)
    return Alignment(
        scores=tuple(_scores(errors.sum(0, keepdims=True))[0].tolist()),
        confidence=tuple(map(tuple, confidence.tolist())),
        news=_news(data),
        num_rows=num_rows,
        enough=True,
    )


def motion_features(frames: np.ndarray) -> np.ndarray:
    """Returns what moved between consecutive frames, in numbers.

    Args:
        frames: uint8 (n, H, W, 3).

    Returns:
        float32 (n - 1, F): for each cell of a 4 x 4 grid and for their mean, two estimates of the flow (along the
        gradient, and by least squares), the mean difference and the root of its mean size; and the squares of all.
    """
    grey = _shrink(frames)
    middle, change = (grey[1:] + grey[:-1]) / 2, grey[1:] - grey[:-1]
    d_y, d_x = np.gradient(middle, axis=(1, 2))
    noise = 1e-4  # variance of the gradient below which there is nothing to see move
    xx, yy, xy = _cells(d_x * d_x) + noise, _cells(d_y * d_y) + noise, _cells(d_x * d_y)
    x, y = _cells(change * d_x), _cells(change * d_y)
    determinant = xx * yy - xy * xy
    # Flow by least squares, in pixels; where a cell shows edges of one direction only, it is anything.
    flow = [np.clip((xy * y - yy * x) / determinant, -3, 3), np.clip((xy * x - xx * y) / determinant, -3, 3)]
    cells = [x / (xx + yy), y / (xx + yy), *flow, np.sqrt(_cells(np.abs(change))), _cells(change)]
    features = np.concatenate([*cells, *(cell.mean(1, keepdims=True) for cell in cells)], 1)
    return np.concatenate([features, features**2], 1)


class _Ridge:
    """Linear regression from features to the actions of all shifts."""

    def __init__(self, features: np.ndarray, actions: np.ndarray) -> None:
        """Fits features (n, F) to actions (n, 3, A)."""
        self._centre, self._scale = features.mean(0), features.std(0) + 1e-6
        x = self._standardise(features)
        self._mean = actions.mean(0)
        y = (actions - self._mean).reshape(len(x), -1)
        penalty = (len(x) + _PENALTY) * np.eye(x.shape[1])
        self._weights = np.linalg.solve(x.T @ x + penalty, x.T @ y)

    def errors(self, features: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Returns (2, 3, A): squared error of the regression, and of the mean, for each shift and column."""
        rest = actions - self._mean
        guess = (self._standardise(features) @ self._weights).reshape(rest.shape)
        return np.stack([((rest - guess) ** 2).sum(0), (rest**2).sum(0)])

    def _standardise(self, features: np.ndarray) -> np.ndarray:
        # Clipped, so that a few wild estimates of the flow do not decide.
        return np.clip((features - self._centre) / self._scale, -5, 5)


def _news(data: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Returns how much better row 0 is guessed from row -1 and the features than from row -1 alone."""
    before, own = SHIFTS.index(-1), SHIFTS.index(0)
    errors = np.zeros((2, 2, data[0][1].shape[2]))  # without and with features; of the regression, of the mean
    for parity in (0, 1):
        for i in (0, 1):
            x, y = zip(
                *((np.concatenate([a[:, before], *[f] * i], 1), a[:, own : own + 1]) for f, a in data), strict=True
            )
            predict = _Ridge(np.concatenate(x[parity::2]), np.concatenate(y[parity::2]))
            for piece in zip(x[1 - parity :: 2], y[1 - parity :: 2], strict=True):
                errors[i] += predict.errors(*piece)[:, 0]
    explained = errors[1, 0] < errors[1, 1]
    known, better = errors[:, 0, explained].sum(1)
    return float(1 - better / known) if known > 1e-9 else 0.0


def _scores(errors: np.ndarray) -> np.ndarray:
    """Returns R squared (b, ...) from errors (b, 2, ...)."""
    return 1 - errors[:, 0] / np.maximum(errors[:, 1], 1e-9)


def _changing_rows(frames: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns features (m, F) and actions (m, 3, A) of rows where the action changes; `None` if there are none."""
    actions = np.asarray(actions, np.float32)
    changes = np.abs(np.diff(actions, axis=0)).sum(1) > 1e-3  # element t: between rows t and t + 1
    rows = np.arange(2, len(frames) - 1)  # row 0 is no action, and all three shifts must exist
    rows = rows[changes[rows - 1] | changes[rows]]
    if len(rows) == 0 or min(frames.shape[1:3]) < 2 * _GRID:
        return None
    return motion_features(frames)[rows - 1], np.stack([actions[rows + shift] for shift in SHIFTS], 1)


def _shrink(frames: np.ndarray) -> np.ndarray:
    """Returns brightness, 0 to 1, float32 (n, h, w), in blocks so that the shorter side is 32 or a little more."""
    block = max(1, min(frames.shape[1:3]) // _SIDE)
    height, width = (side // (block * _GRID) * _GRID for side in frames.shape[1:3])
    frames = frames[:, : height * block, : width * block]
    grey = frames.mean(3, dtype=np.float32) / 255
    return grey.reshape(len(grey), height, block, width, block).mean((2, 4))


def _cells(picture: np.ndarray) -> np.ndarray:
    """Returns the mean of each cell of the grid: (n, h, w) to (n, 16)."""
    count, height, width = picture.shape
    return picture.reshape(count, _GRID, height // _GRID, _GRID, width // _GRID).mean((2, 4)).reshape(count, -1)
