"""What a recording, a data set or an episode store holds, in figures; found out with a bounded part of it in memory.

>>> card = DataCard(codec)
>>> for stretch in read_stretches(source, codec):
...     card.add(stretch)
>>> figures = card.figures()
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.action_factors import Kind
from worldmodel.data.episodes import Episode, recording_key
from worldmodel.data.readers.fitting import fit_frame
from worldmodel.data.store import EpisodeStore

STRETCH_FRAMES = 1000
"""Most frames in memory at a time."""

SHEET_FRAMES = 32
"""Frames kept for the contact sheet."""

SHEET_SIDE = 192
"""Longest side of a frame on it, in pixels."""

STILL_LEVELS = 24
"""Levels of 256 by which no colour changes where the picture stays the same; compressed video changes by some."""

_TOP = 24  # words, and frame sizes, environments
_WORD = re.compile(r"[a-z0-9']+")
_FILLERS = frozenset("a an and at by for from has in is it its of on or that the their then there to with".split())


@dataclass(kw_only=True, slots=True)
class Stretch:
    """A part of an episode, or all of it.

    Attributes:
        key: Name of the episode.
        frames: uint8 (N, H, W, 3).
        actions: (N, A), encoded, row `t` led to frame `t`; the first row says nothing. `None` if unknown.
        rewards: (N,), likewise.
        captions: N of them, empty where there is none.
        continues: Whether the first frame is the last one of the stretch before, of the same episode.
        terminated: Whether the last frame ended the task.
        env_id: Gymnasium id of the environment; empty if unknown.
        fps: Frames per second.
    """

    key: str
    frames: np.ndarray
    actions: np.ndarray | None
    rewards: np.ndarray
    captions: Sequence[str]
    continues: bool
    terminated: bool
    env_id: str
    fps: float


@dataclass(slots=True)
class _Totals:
    """Of one episode."""

    num_frames: int = 0
    seconds: float = 0.0
    steps: int = 0
    acted: int = 0
    idle: int = 0
    still: int = 0
    reward: float = 0.0
    rewarded: int = 0
    terminated: bool = False


@dataclass(slots=True)
class DataCard:
    """Adds up what there is.

    Attributes:
        codec: Encodes the actions; `None` if they are not known.
        sheet: Frames for a contact sheet, drawn from everything seen so far: (place, uint8 (H, W, 3)).
    """

    codec: ActionCodec | None = None
    sheet: list[tuple[tuple[int, int], np.ndarray]] = field(default_factory=list)
    _episodes: list[_Totals] = field(default_factory=list)
    _key: str | None = None
    _sizes: Counter[str] = field(default_factory=Counter)
    _fps: Counter[str] = field(default_factory=Counter)
    _env_ids: Counter[str] = field(default_factory=Counter)
    _captioned: int = 0
    _words: Counter[str] = field(default_factory=Counter)
    _action_sums: np.ndarray | None = None
    _offered: int = 0
    _random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def add(self, stretch: Stretch) -> None:
        """Adds a stretch; those of one episode come one after another."""
        if not (stretch.continues and stretch.key == self._key):
            self._key = stretch.key
            self._episodes.append(_Totals())
            self._fps[f"{stretch.fps:g}"] += 1
            self._env_ids[stretch.env_id or "unknown"] += 1
        totals, first = self._episodes[-1], int(stretch.continues)
        frames, num_new = stretch.frames, len(stretch.frames) - first
        self._sizes[f"{frames.shape[1]}x{frames.shape[2]}"] += num_new
        totals.num_frames += num_new
        totals.seconds += num_new / stretch.fps
        totals.steps += len(frames) - 1
        totals.still += sum(_is_still(frames[t - 1], frames[t]) for t in range(1, len(frames)))
        totals.reward += float(np.sum(stretch.rewards[1:], dtype=np.float64))
        totals.rewarded += int(np.count_nonzero(stretch.rewards[1:]))
        totals.terminated = stretch.terminated
        self._add_actions(stretch, totals)
        for caption, number in Counter(stretch.captions[first:]).items():
            if caption:
                self._captioned += number
                for word in _WORD.findall(caption.lower()):
                    if word not in _FILLERS:
                        self._words[word] += number
        self._offer(frames, len(self._episodes) - 1, totals.num_frames - num_new - first)

    def figures(self) -> dict[str, Any]:
        """Returns what was found, as JSON values; all shares are from 0 to 1."""
        episodes = self._episodes
        num_frames = sum(episode.num_frames for episode in episodes)
        steps, acted = (sum(getattr(episode, name) for episode in episodes) for name in ("steps", "acted"))
        lengths = [episode.num_frames for episode in episodes] or [0]
        terminated = sum(episode.terminated for episode in episodes)
        return {
            "num_episodes": len(episodes),
            "num_frames": num_frames,
            "hours": sum(episode.seconds for episode in episodes) / 3600,
            "frame_sizes": dict(self._sizes.most_common(_TOP)),
            "fps": dict(self._fps.most_common(_TOP)),
            "environments": dict(self._env_ids.most_common(_TOP)),
            "episode_frames": {
                "least": min(lengths),
                "median": float(np.median(lengths)),
                "most": max(lengths),
            },
            "ends": {"terminated": terminated, "truncated": len(episodes) - terminated},
            "reward": {
                "sum": sum(episode.reward for episode in episodes),
                "mean_of_episode": sum(episode.reward for episode in episodes) / max(len(episodes), 1),
                "rewarded_share": sum(episode.rewarded for episode in episodes) / max(steps, 1),
            },
            "actions": {
                "known_share": acted / max(steps, 1),
                "idle_share": sum(episode.idle for episode in episodes) / acted if acted else None,
                "factors": self._factors(acted),
            },
            "still_share": sum(episode.still for episode in episodes) / max(steps, 1),
            "captions": {
                "share": self._captioned / max(num_frames, 1),
                "words": dict(self._words.most_common(_TOP)),
            },
        }

    def episodes(self) -> dict[str, list[float]]:
        """Returns for each episode its `frames`, `reward`, and shares of `idle` and `still` steps; NaN if unknown."""
        return {
            "frames": [episode.num_frames for episode in self._episodes],
            "reward": [episode.reward for episode in self._episodes],
            "idle": [episode.idle / episode.acted if episode.acted else np.nan for episode in self._episodes],
            "still": [episode.still / episode.steps if episode.steps else np.nan for episode in self._episodes],
        }

    def _add_actions(self, stretch: Stretch, totals: _Totals) -> None:
        if stretch.actions is None or self.codec is None:
            return
        rows = np.asarray(stretch.actions[1:], np.float32)
        sums = rows.sum(0, dtype=np.float64)
        self._action_sums = sums if self._action_sums is None else self._action_sums + sums
        totals.acted += len(rows)
        totals.idle += int((np.abs(rows - self.codec.rest) < 1e-2).all(1).sum())  # stored in half precision

    def _factors(self, acted: int) -> dict[str, Any]:
        """Returns for each number of an action the share of each of its values, bins of continuous ones."""
        if self.codec is None or self._action_sums is None or not acted:
            return {}
        found: dict[str, Any] = {}
        for factor in self.codec.factors:
            shares = (self._action_sums[factor.slice] / acted).tolist()
            is_category = factor.kind is Kind.CATEGORICAL
            values = list(range(factor.size)) if factor.values is None else factor.values.tolist()
            found[factor.name] = {"kind": "categories" if is_category else "bins", "values": values, "shares": shares}
        return found

    def _offer(self, frames: np.ndarray, episode: int, start: int) -> None:
        """Offers frames, evenly spread, to the contact sheet, which keeps a fair sample of all that were offered."""
        for t in np.unique(np.linspace(0, len(frames) - 1, SHEET_FRAMES).astype(int)).tolist():
            self._offered += 1
            place = len(self.sheet) if len(self.sheet) < SHEET_FRAMES else int(self._random.integers(self._offered))
            if place < SHEET_FRAMES:
                self.sheet[place : place + 1] = [((episode, start + t), _thumbnail(frames[t]))]


def read_stretches(source: Iterable[tuple[str, Episode]], codec: ActionCodec | None) -> Iterator[Stretch]:
    """Yields what a source has that was opened with `chunk_frames`; actions that the codec has no word for are unknown.

    Args:
        source: The source.
        codec: Encodes actions; `None` if they are of no interest.
    """
    before = None
    for key, episode in source:
        name = recording_key(key)
        yield stretch_of(episode, name, codec, continues=name == before)
        before = name


def stretch_of(episode: Episode, key: str, codec: ActionCodec | None, *, continues: bool) -> Stretch:
    """Returns an episode that is in memory, or a chunk of one, as a stretch."""
    actions = None
    if codec is not None and episode.actions and all(action is not None for action in episode.actions):
        try:
            actions = np.concatenate([codec.null()[None], codec.encode_many(episode.actions)])
        except (TypeError, ValueError):
            actions = None
    return Stretch(
        key=key,
        frames=episode.frames,
        actions=actions,
        rewards=np.concatenate([[0.0], episode.rewards]),
        captions=[str(info.get("caption") or info.get("caption_long") or "") for info in episode.infos],
        continues=continues,
        terminated=episode.terminated,
        env_id=episode.source.env_id,
        fps=episode.source.fps,
    )


def store_stretches(store: EpisodeStore) -> Iterator[Stretch]:
    """Yields what an episode store has, in the order of its files."""
    for bucket in store.buckets.values():
        for record in bucket.episodes:
            end = record.start + record.num_frames
            for start in range(record.start, max(end - 1, record.start + 1), STRETCH_FRAMES - 1):
                rows = slice(start, min(start + STRETCH_FRAMES, end))
                yield Stretch(
                    key=record.key,
                    frames=bucket.frames[rows],
                    actions=bucket.actions[rows] if record.has_actions else None,
                    rewards=bucket.rewards[rows],
                    captions=[store.captions[number] for number in bucket.caption_ids[rows].tolist()],
                    continues=start > record.start,
                    terminated=record.terminated,
                    env_id=record.env_id,
                    fps=record.fps,
                )


def _thumbnail(frame: np.ndarray) -> np.ndarray:
    """Returns a copy of a frame, no larger than wanted on the sheet."""
    longest = max(frame.shape[:2])
    height, width = (max(side * SHEET_SIDE // longest, 1) if longest > SHEET_SIDE else side for side in frame.shape[:2])
    return np.array(fit_frame(np.asarray(frame), (height, width)))


def _is_still(before: np.ndarray, after: np.ndarray) -> bool:
    """Returns whether two frames look the same."""
    # Unsigned numbers: the difference by larger and smaller, which needs no wider ones.
    return bool((np.maximum(before, after) - np.minimum(before, after)).max() <= STILL_LEVELS)
