"""Do places stay what they are, and what they were made? Walks that lead back, and blocks and holes that are left.

As for `permanence`, an amnesiac stands beside the dream: the same dreamer, begun while the place is out of sight. What
was built in one world was not built in its twin. So it can be told of a dream which of the two it remembers: whether it
is nearer to the one or the other where they differ, and what a network that learned from real frames sees in it.

Shapes: B worlds, N frames, H W pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from worldmodel.evaluation.dreamers import Dreamer, dream, psnr
from worldmodel.evaluation.episodes import context, evaluation_seeds
from worldmodel.evaluation.estimates import bootstrap, difference
from worldmodel.evaluation.permanence import Revisit
from worldmodel.evaluation.plots import grid, save_picture
from worldmodel.evaluation.presence import Presence
from worldmodel.evaluation.revisits import Built, away_steps, build, pairs, walk_away, walked_steps
from worldmodel.evaluation.sections import Check, Section, Table

WALKS = {"aba": 2, "abca": 3}
"""Sides of the ways that are walked, by name."""
BUILDINGS = {"block": False, "hole": True}
"""Whether it is dug, by what is built."""
NAMES = {"aba": "walk A-B-A", "abca": "walk A-B-C-A", "block": "placed block", "hole": "dug hole"}
"""In tables."""
FIRST_LESSON_SEED, FIRST_TEST_SEED = 550_000, 595_000
"""Worlds in which the networks learn what buildings look like, and in which they are tested: among those of judges."""

_LESSON_WORLDS, _TEST_WORLDS = 32, 12
_WHO = {"real": "real frames", "codec": "codec", "dream": "dream", "amnesiac": "amnesiac"}
_SHOWN = 2


@dataclass(slots=True)
class Reader:
    """A network that tells whether something was built.

    Attributes:
        network: It.
        there: bool (N,), what it says of real frames of other worlds with it.
        absent: bool (N,), and without it.
    """

    network: Presence
    there: np.ndarray
    absent: np.ndarray


@dataclass(slots=True)
class Places:
    """What was played.

    Attributes:
        walks: By name of the way.
        built: By what was built.
        readers: Likewise.
    """

    walks: dict[str, list[Revisit]]
    built: dict[str, list[Built]]
    readers: dict[str, Reader]


def steps_dreamed(worlds: int, ticks: int) -> int:
    """Returns how many steps are dreamed for B worlds of each kind, with r ticks in a step."""
    walked = sum(sum(walked_steps(sides, ticks)) for sides in WALKS.values())
    return worlds * (walked + 2 * len(BUILDINGS) * sum(away_steps()))


def play_places(env: gymnasium.Env, worlds: int, block: int) -> Places:
    """Plays all ways in the block world, and lets networks learn what buildings look like.

    Args:
        env: The block world, with its sun and weather at rest, and `revisits.INVENTORY`.
        worlds: For each kind; fewer where too few are flat enough.
        block: Of `evaluation_seeds`, of the first kind; the others have those that follow.

    Raises:
        ValueError: If no world is flat enough for any of them.
    """
    seeds = {kind: evaluation_seeds(worlds, block + i) for i, kind in enumerate((*WALKS, *BUILDINGS))}
    walks = {kind: walk_away(env, seeds[kind], sides) for kind, sides in WALKS.items()}
    built = {kind: build(env, seeds[kind], digs=digs) for kind, digs in BUILDINGS.items()}
    places = Places(
        {k: found for k, found in walks.items() if found}, {k: found for k, found in built.items() if found}, {}
    )
    if not places.walks and not places.built:
        raise ValueError("env: expected worlds in which a few steps can be walked, found none; leave this part out")
    for kind in places.built:
        lessons, tests = (
            pairs(env, range(first, first + number), digs=BUILDINGS[kind])
            for first, number in ((FIRST_LESSON_SEED, _LESSON_WORLDS), (FIRST_TEST_SEED, _TEST_WORLDS))
        )
        network = Presence(*lessons)
        places.readers[kind] = Reader(network, *(network.read(frames) for frames in tests))
    return places


def evaluate_places(
    dreamer: Dreamer,
    places: Places,
    folder: Path,
    *,
    seed: int = 0,
    batch: int = 16,
    progress: Callable[[int], None] = lambda steps: None,
) -> Section:
    """Scores whether places, and what was built there, are remembered.

    Args:
        dreamer: Who dreams.
        places: Real episodes.
        folder: For the picture.
        seed: Of the noise.
        batch: Dreams at a time.
        progress: Called with the number of new steps.
    """
    section = Section(
        "places",
        "Places and what is built there",
        "A dream sees real frames up to the moment when the player leaves, is told the real actions, and is compared "
        "with the truth when the player is back, at the same place with the same view. The player walks to another "
        "place and back (A-B-A), or to two (A-B-C-A); or it places a block or digs a hole before its feet, turns away "
        "and back. The amnesiac is the same model begun while the view is out of sight; what the dream does "
        "better is memory. Each building has a twin, the same world without it, from which a dream is begun, too.",
    )

    def shown(visits: Sequence[Revisit]) -> dict[str, np.ndarray]:
        dreams = [_back(dreamer, visits, seed, batch, progress, from_out=from_out) for from_out in (False, True)]
        return {"dream": dreams[0], "amnesiac": dreams[1], **_known(dreamer, visits)}

    visits = places.walks | {kind: [part.visit for part in built] for kind, built in places.built.items()}
    views = {kind: shown(part) for kind, part in visits.items()}
    twins = {kind: shown([part.twin for part in built]) for kind, built in places.built.items()}
    _score_views(section, views)
    if twins:
        _score_buildings(section, places, views, twins)
    _sheet(section, folder / "places.png", visits, views)
    return section


def _back(
    dreamer: Dreamer,
    visits: Sequence[Revisit],
    seed: int,
    batch: int,
    progress: Callable[[int], None],
    *,
    from_out: bool,
) -> np.ndarray:
    """Returns the frames at `back`, uint8 (B, H, W, 3), of dreams from when the view is left, or out of sight."""
    contexts, actions = [], []
    for visit in visits:
        step = visit.out if from_out else visit.left
        length = min(visit.unseen, dreamer.context_steps) if from_out else dreamer.context_steps
        contexts.append(context(visit.episode, step, length))
        actions.append(visit.episode.actions[step : visit.back])
    frames = dream(dreamer, contexts, actions, seed=seed, batch=batch, progress=progress).frames
    return frames[:, -1, -1]


def _known(dreamer: Dreamer, visits: Sequence[Revisit]) -> dict[str, np.ndarray]:
    """Returns the view as it was left, as the codec shows it, and as it really is when it is back: (B, H, W, 3)."""
    views = [visit.episode.frames[visit.back : visit.back + 1] for visit in visits]
    return {
        "last seen": np.stack([visit.episode.frames[visit.left, -1] for visit in visits]),
        "codec": np.concatenate([dreamer.reconstruct(view)[:, -1] for view in views]),
        "real": np.concatenate([view[:, -1] for view in views]),
    }


def _score_views(section: Section, views: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Adds how near views are to the truth, and the check for walks."""
    rows: list[list[Any]] = []
    walked: list[np.ndarray] = []
    for kind, shown in views.items():
        scores = {who: psnr(shown[who], shown["real"]) for who in ("dream", "amnesiac", "last seen", "codec")}
        estimates = [bootstrap(values) for values in scores.values()]
        section.figures |= {
            f"psnr_{who.replace(' ', '_')}_{kind}": estimate for who, estimate in zip(scores, estimates, strict=True)
        }
        section.figures[f"memory_gain_{kind}"] = gain = difference(scores["dream"], scores["amnesiac"])
        rows.append([NAMES[kind], len(shown["real"]), *estimates, gain])
        if kind in WALKS:
            walked.append(scores["dream"] - scores["amnesiac"])
    header = ["", "worlds", "dream", "amnesiac", "last seen", "codec", "gain by memory"]
    section.tables.append(Table(header, rows, "PSNR in dB of the view that is back:"))
    if walked:
        section.figures["memory_gain_walks"] = gain = bootstrap(np.concatenate(walked))
        reason = f"after walks the view is {gain.text()} dB nearer than the amnesiac's"
        section.checks.append(Check("ways back lead to the same place", gain.number > 1 and gain.low > 0, reason))


def _score_buildings(
    section: Section,
    places: Places,
    views: Mapping[str, Mapping[str, np.ndarray]],
    twins: Mapping[str, Mapping[str, np.ndarray]],
) -> None:
    """Adds whether what was built is there, where it was and where it was not, and the check."""
    rows: list[list[Any]] = []
    kept: list[np.ndarray] = []
    for kind, built in places.built.items():
        reader = places.readers[kind]
        section.figures[f"reader_accuracy_{kind}"] = float(reader.there.mean() + 1 - reader.absent.mean()) / 2
        truth = views[kind]["real"], twins[kind]["real"]
        for who, label in _WHO.items():
            shown = views[kind][who], twins[kind][who]
            row: list[Any] = [NAMES[kind], label]
            for name, said in (
                ("nearer", [_nearer(part, truth, built) for part in shown]),
                ("read", [reader.network.read(part) for part in shown]),
            ):
                right = (said[0] + 1.0 - said[1]) / 2  # of both dreams of a world
                section.figures[f"{name}_right_{kind}_{who}"] = estimate = bootstrap(right)
                row += [float(said[0].mean()), float(said[1].mean()), estimate]
                if (name, who) == ("nearer", "dream"):
                    kept.append(right)
            rows.append(row)
    accuracy = ", ".join(
        f"{section.figures[f'reader_accuracy_{kind}']:.0%} for a {NAMES[kind]}" for kind in places.built
    )
    caption = (
        "Is it there? Share of views in which it is, where it was built and where it was not; and of answers that are "
        "right, by chance 0.5. Nearer: by which of the two real views is nearer where they differ. Read: by a network "
        f"that learned from real frames, and is right on those of other worlds in {accuracy}."
    )
    header = ["", "in", "nearer: built", "not built", "right", "read: built", "not built", "right"]
    section.tables.append(Table(header, rows, caption))
    section.figures["built_right"] = right_in_all = bootstrap(np.concatenate(kept))
    reason = f"dreams show what was built, and none where none was, in {right_in_all.text()} of all; by chance 0.50"
    passed = right_in_all.number > 1 and right_in_all.low > 0.5
    section.checks.append(Check("what was built is still there", passed, reason))


def _nearer(frames: np.ndarray, truth: tuple[np.ndarray, np.ndarray], built: Sequence[Built]) -> np.ndarray:
    """Returns where frames (B, H, W, 3) are nearer to the truth with what was built than to that without: bool (B,)."""
    errors = [
        [np.square(frame[part.where].astype(np.float32) - real[part.where]).sum() for frame, real, part in triples]
        for triples in (zip(frames, reals, built, strict=True) for reals in truth)
    ]
    return np.array(errors[0]) < np.array(errors[1])


def _sheet(
    section: Section,
    path: Path,
    visits: Mapping[str, Sequence[Revisit]],
    views: Mapping[str, Mapping[str, np.ndarray]],
) -> None:
    rows, names = [], []
    for kind, shown in views.items():
        for i, visit in enumerate(visits[kind][:_SHOWN]):
            away = visit.episode.frames[visit.out, -1]
            rows.append([shown["last seen"][i], away, *(shown[who][i] for who in ("real", "dream", "amnesiac"))])
            names.append(NAMES[kind])
    columns = ["last look", "away", "back, truth", "dream", "amnesiac"]
    save_picture(path, grid(rows, row_names=names, column_names=columns))
    section.pictures[path.name] = "Places that are left and come back to, and what was built there."
