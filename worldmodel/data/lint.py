"""Looks for what ruins training quietly, in data, before training.

Actions stored one frame early or late train without a complaint and make a world model that does not obey. So do
recordings in which nothing happens, and test episodes that were trained on look like success.

```python
from worldmodel.data import EpisodeStore, lint_store

report = lint_store(EpisodeStore("store"))
assert report.ok, report.problems
```
"""

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worldmodel.data.alignment import MIN_PIECES, SHIFTS, measure_alignment
from worldmodel.data.episodes import EpisodeSource
from worldmodel.data.splits import world_key
from worldmodel.data.store import EpisodeRecord, EpisodeStore

MIN_FRAMES = 8
"""An episode of actions with fewer frames teaches next to nothing."""

BROKEN_SHARE = 0.05
"""Share of broken frames or episodes from which on it is a problem; below it is a warning."""

_PIECE_FRAMES = 128
_ALIGNMENT_FRAMES = 16_384  # for a few seconds of work
_FRAMES_LOOKED_AT = 64  # in an episode, evenly spread
_NAMED = 3  # episodes in a message


@dataclass(kw_only=True, slots=True)
class LintReport:
    """What was found in a store.

    Attributes:
        problems: What makes training on it pointless; a sentence each, with what to do.
        warnings: What may be meant, or could not be told.
        figures: What was measured, JSON values. `alignment` maps the shifts "-1", "0", "+1" to their scores.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


def lint_store(store: EpisodeStore, *, max_episodes: int = 64) -> LintReport:
    """Looks for misaligned and missing actions, broken frames, leaks between splits, and splits that are empty.

    Args:
        store: The store.
        max_episodes: Most episodes whose frames are looked at, evenly spread; what needs no frames is checked for all.

    Raises:
        ValueError: If `max_episodes` is below 1.
    """
    if max_episodes < 1:
        raise ValueError(f"max_episodes: expected at least 1, got {max_episodes}")
    report = LintReport()
    episodes = [episode for bucket in store.buckets.values() for episode in bucket.episodes]
    _check_splits(store, episodes, report)
    _check_leaks(store, episodes, report)
    _check_lengths(episodes, report)
    _check_frames(store, _spread(episodes, max_episodes), report)
    if store.codec is not None and episodes and _check_actions(store, episodes, report):
        acted = [episode for episode in episodes if episode.has_actions]
        _check_alignment(store, _spread(acted, max_episodes), report)
    return report


def _check_splits(store: EpisodeStore, episodes: list[EpisodeRecord], report: LintReport) -> None:
    report.figures["num_episodes"] = len(episodes)
    for name, is_held_out in (("train", False), ("held_out", True)):
        report.figures[f"num_frames_{name}"] = store.num_frames(is_held_out)
    if store.num_frames(False) == 0:
        report.problems.append("no episode is left to train on; add data, or hold out a smaller share")
    if store.num_frames(True) == 0:
        report.warnings.append("no episode is held out, so nothing can be tested; add data, or hold out a larger share")


def _check_leaks(store: EpisodeStore, episodes: list[EpisodeRecord], report: LintReport) -> None:
    """Three ways to see that an episode is in both splits: its world, its frames, its first frame."""

    def frames(episode: EpisodeRecord, places: Sequence[int]) -> tuple[object, ...]:
        rows = store.buckets[episode.bucket].frames
        return episode.bucket, *(zlib.crc32(rows[episode.start + place].tobytes()) for place in places)

    def world(episode: EpisodeRecord) -> str:
        return world_key(EpisodeSource(env_id=episode.env_id, seed=episode.seed), episode.key)

    def film(episode: EpisodeRecord) -> tuple[object, ...]:
        last = episode.num_frames - 1
        return episode.num_frames, *frames(episode, (0, last // 3, last // 2, last))

    if leaks := _in_both_splits(episodes, lambda episode: episode.key) or _in_both_splits(episodes, world):
        report.problems.append(f"worlds are both trained on and held out: {_names(leaks)}; prepare the data again")
    elif leaks := _in_both_splits(episodes, film):
        report.problems.append(
            f"episodes with the same frames are both trained on and held out: {_names(leaks)}; remove the copies"
        )
    elif leaks := _in_both_splits(episodes, lambda episode: frames(episode, (0,))):
        report.warnings.append(
            f"episodes that are held out start with the same frame as some that are trained on: {_names(leaks)}; "
            "harmless if the environment has one start for all seeds"
        )


def _check_lengths(episodes: list[EpisodeRecord], report: LintReport) -> None:
    acted = [episode for episode in episodes if episode.has_actions]
    short = [episode.key for episode in acted if episode.num_frames < MIN_FRAMES]
    if short:
        text = f"{len(short)} of {len(acted)} episodes have fewer than {MIN_FRAMES} frames: {_names(short)}"
        (report.problems if 2 * len(short) > len(acted) else report.warnings).append(f"{text}; record longer ones")


def _check_frames(store: EpisodeStore, episodes: list[EpisodeRecord], report: LintReport) -> None:
    still, blank = [], []
    num_blank = num_frames = 0
    for episode in episodes:
        rows = np.unique(np.linspace(0, episode.num_frames - 1, _FRAMES_LOOKED_AT).astype(int)) + episode.start
        frames = store.buckets[episode.bucket].frames[rows]
        pixels = frames.reshape(len(frames), -1, 3)
        is_blank = (pixels == pixels[:, :1]).all((1, 2))
        num_blank, num_frames = num_blank + int(is_blank.sum()), num_frames + len(frames)
        if is_blank.any():
            blank.append(episode.key)
        if episode.num_frames > 1 and (frames == frames[:1]).all():
            still.append(episode.key)
    report.figures["blank_frames_share"] = num_blank / max(num_frames, 1)
    report.figures["still_episodes_share"] = len(still) / max(len(episodes), 1)
    for name, share, keys in (
        ("frames are of one colour", num_blank / max(num_frames, 1), blank),
        ("episodes never change their picture", len(still) / max(len(episodes), 1), still),
    ):
        if keys:
            text = f"{share:.1%} of the {name}: {_names(keys)}; look at them, and leave them out if they are broken"
            (report.problems if share > BROKEN_SHARE else report.warnings).append(text)


def _check_actions(store: EpisodeStore, episodes: list[EpisodeRecord], report: LintReport) -> bool:
    """Returns whether there are actions that change."""
    acted = [episode for episode in episodes if episode.has_actions]
    null, low, high = [], [], []
    for episode in acted:
        actions = store.buckets[episode.bucket].actions[episode.start + 1 : episode.start + episode.num_frames]
        if not actions.any():
            null.append(episode.key)
        if len(actions):
            low.append(actions.min(0))
            high.append(actions.max(0))
    varying = int((np.max(high, 0) > np.min(low, 0)).sum()) if high else 0
    report.figures["varying_action_columns"] = varying
    if not acted:
        report.problems.append("the store has an action space, but no episode has actions; prepare it without a codec")
    elif null:
        report.problems.append(f"the actions of {len(null)} episodes are all null: {_names(null)}; record them again")
    elif varying == 0:
        report.problems.append("the action is the same in all frames; record with another player")
    return varying > 0


def _check_alignment(store: EpisodeStore, episodes: list[EpisodeRecord], report: LintReport) -> None:
    result = measure_alignment(_pieces(store, episodes))
    report.figures["alignment_rows"] = result.num_rows
    if not result.enough:
        report.warnings.append(
            f"too few changes of action ({result.num_rows}) to tell whether actions belong to their frames; record more"
        )
        return
    scores = {
        f"{shift:+d}" if shift else "0": round(score, 4) for shift, score in zip(SHIFTS, result.scores, strict=True)
    }
    report.figures["alignment"] = scores
    others = [shift for shift in SHIFTS if shift != 0]
    if result.best == -1 and result.explains() and result.slides():
        report.warnings.append(
            f"frames tell more of the action before than of their own (R squared at shifts {scores}), but of their own "
            "too: as where bodies slide, not as where actions are shifted"
        )
    elif result.best != 0 and result.explains() and result.is_better(result.best, 0):
        when = "late" if result.best > 0 else "early"
        report.problems.append(
            f"actions are stored one frame {when}: shifted by {result.best:+d} they explain the frames better "
            f"(R squared at shifts {scores}); row t must hold the action that led to frame t"
        )
    elif not result.explains():
        report.warnings.append(
            f"actions do not explain how frames change (R squared at shifts {scores}), so a shift would go unnoticed"
        )
    elif not all(result.is_better(0, shift) for shift in others):
        report.warnings.append(
            f"cannot tell whether actions are shifted by a frame (R squared at shifts {scores}); record more, or with "
            "a player that changes its action more often"
        )


def _pieces(store: EpisodeStore, episodes: list[EpisodeRecord]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields frames and actions of the episodes, about as much of each; in pieces if there are only a few."""
    share = max(_ALIGNMENT_FRAMES // max(len(episodes), 1), _PIECE_FRAMES)
    length = share if len(episodes) >= 2 * MIN_PIECES else _PIECE_FRAMES
    for episode in episodes:
        bucket = store.buckets[episode.bucket]
        stop = episode.start + min(episode.num_frames, share)
        for start in range(episode.start, stop, length):
            rows = slice(start, min(start + length, stop))
            yield bucket.frames[rows], bucket.actions[rows]


def _spread(episodes: list[EpisodeRecord], number: int) -> list[EpisodeRecord]:
    """Returns so many of the episodes, evenly spread."""
    places = np.linspace(0, len(episodes) - 1, min(number, len(episodes))).astype(int)
    return [episodes[place] for place in places]


def _in_both_splits(episodes: list[EpisodeRecord], name: Callable[[EpisodeRecord], object]) -> list[str]:
    """Returns the keys of the episodes that are held out while another of the same name is not."""
    splits: dict[object, set[bool]] = defaultdict(set)
    names = [name(episode) for episode in episodes]
    for episode, word in zip(episodes, names, strict=True):
        splits[word].add(episode.held_out)
    return [
        episode.key
        for episode, word in zip(episodes, names, strict=True)
        if episode.held_out and len(splits[word]) == 2
    ]


def _names(keys: Sequence[str]) -> str:
    more = len(keys) - _NAMED
    return ", ".join(keys[:_NAMED]) + (f" and {more} more" if more > 0 else "")
