"""What a player did and what came of it, in numbers that add up over episodes, and how far two players are apart.

Shapes: N episodes, S ticks, A width of an action vector, F factors of an action, L keys (see `key_names`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.action_factors import Kind
from worldmodel.evaluation.episodes import RealEpisode

OUTCOMES = {
    "walked": "blocks walked",
    "cells": "cells visited",
    "yaw": "degrees of yaw seen",
    "logs": "logs",
    "mined": "blocks broken",
    "placed": "blocks placed",
    "achievements": "achievements",
    "reward": "reward",
}
"""What came of it, in an episode, where the environment tells."""

_YAW_BIN = 10.0
"""Degrees."""


@dataclass(slots=True)
class Conduct:
    """What a player did in N episodes, in numbers that add up.

    Attributes:
        ticks: (N,), length of each.
        counts: (N, A), sums of the action vectors over the ticks.
        held: (N, L), ticks for which each key was held.
        presses: (N, L), how often it was pressed: ticks in which it was held and had not been before.
        outcomes: (N,) by name, see `outcomes`; NaN where it is not known.
    """

    ticks: np.ndarray
    counts: np.ndarray
    held: np.ndarray
    presses: np.ndarray
    outcomes: dict[str, np.ndarray]


def key_names(codec: ActionCodec) -> list[str]:
    """Returns what can be held: each button, each choice of a larger factor but that of rest, each continuous number.

    A continuous number, such as a turn of the camera, counts as held while it is not at rest.
    """
    names = []
    for factor in codec.factors:
        if factor.kind is Kind.CONTINUOUS:
            names.append(f"{factor.name} moves")
        elif factor.size == 2:
            names.append(factor.name)
        else:
            rest = int(codec.rest[factor.slice].argmax())
            names += [f"{factor.name} {value}" for value in range(factor.size) if value != rest]
    return names


def keys_held(codec: ActionCodec, vectors: np.ndarray) -> np.ndarray:
    """Returns which keys are held: 0 or 1, float32 (S, L), of action vectors (S, A).

    A continuous number between rest and the next bin is held in part, as its vector is: a policy, which draws bins, can
    show small movements only by making large ones less often.
    """
    columns = []
    for factor in codec.factors:
        part, rest = vectors[:, factor.slice], codec.rest[factor.slice]
        if factor.kind is Kind.CONTINUOUS:
            columns.append(1.0 - part[:, rest.argmax()])
        else:
            columns += [part[:, value] for value in range(factor.size) if value != int(rest.argmax())]
    return np.stack(columns, axis=1)


def conduct(
    codec: ActionCodec, actions: Sequence[Sequence[Any]], episodes: Sequence[RealEpisode | None] = ()
) -> Conduct:
    """Adds up what a player did.

    Args:
        codec: Of the actions.
        actions: Of N episodes, one a tick.
        episodes: Where they were taken, for what came of them; `None` where that is not known, as in a dream.
    """
    ticks, counts, held, presses = [], [], [], []
    for taken in actions:
        vectors = codec.encode_many(taken)
        down = keys_held(codec, vectors)
        before = np.concatenate([np.zeros_like(down[:1]), down[:-1]])
        ticks.append(len(taken))
        counts.append(vectors.sum(0, dtype=np.float64))
        held.append(down.sum(0, dtype=np.float64))
        presses.append(((down > 0) & (before == 0)).sum(0))
    found = [outcomes(episode) if episode is not None else {} for episode in episodes]
    names = sorted({name for part in found for name in part})
    return Conduct(
        ticks=np.array(ticks, np.float64),
        counts=np.stack(counts),
        held=np.stack(held),
        presses=np.stack(presses).astype(np.float64),
        outcomes={name: np.array([part.get(name, math.nan) for part in found]) for name in names},
    )


def outcomes(episode: RealEpisode) -> dict[str, float]:
    """Returns what came of an episode, as far as its environment tells: the keys of `OUTCOMES`."""
    infos = episode.infos
    found = {"reward": float(episode.rewards.sum())}
    if "pose" in infos[0]:
        place = np.array([[info["pose"]["x"], info["pose"]["z"]] for info in infos])
        yaw = np.array([info["pose"]["yaw"] for info in infos])
        found["walked"] = float(np.hypot(*np.diff(place, axis=0).T).sum())
        found["cells"] = float(len(np.unique(np.floor(place), axis=0)))
        found["yaw"] = _YAW_BIN * len(np.unique(np.floor(yaw % 360.0 / _YAW_BIN)))
    if "events" in infos[0]:
        events = [event for info in infos for event in info["events"]]
        gained = [event for event in events if event["type"] == "gained"]
        found["logs"] = float(sum(event["count"] for event in gained if event["item"].endswith("_log")))
        for name in ("mined", "placed"):
            found[name] = float(sum(event["type"] == name for event in events))
    if "achievements" in infos[0]:
        found["achievements"] = float(sum(count > 0 for count in infos[-1]["achievements"].values()))
    return found


def factor_distances(codec: ActionCodec, counts: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the total variation distance of each factor: (F,), 0 for alike, 1 for nothing in common.

    Args:
        codec: Of the actions.
        counts: (A,), sums of action vectors.
        other: Likewise, of any other number of actions.
    """
    difference = np.abs(_shares(codec, counts) - _shares(codec, other))
    return 0.5 * np.add.reduceat(difference, [factor.offset for factor in codec.factors])


def distance(codec: ActionCodec, counts: np.ndarray, other: np.ndarray) -> float:
    """Returns the mean of the factors' distances, weighted by their entropy in `counts`.

    So a key that the first player hardly ever presses has little weight; see `factor_distances`.
    """
    shares = _shares(codec, counts)
    surprise = -shares * np.log(np.maximum(shares, 1e-12))
    weights = np.add.reduceat(surprise, [factor.offset for factor in codec.factors])
    distances = factor_distances(codec, counts, other)
    return float(np.average(distances, weights=weights)) if weights.sum() > 1e-9 else float(distances.mean())


def _shares(codec: ActionCodec, counts: np.ndarray) -> np.ndarray:
    """Returns how often each value of a factor was chosen: (A,), 1 in the sum over a factor."""
    offsets = [factor.offset for factor in codec.factors]
    totals = np.add.reduceat(counts, offsets)
    return counts / np.maximum(np.repeat(totals, [factor.size for factor in codec.factors]), 1e-9)
