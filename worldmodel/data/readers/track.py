"""From a video and what stands beside its frames to episodes, with a bounded number of frames in memory.

A long recording comes out as several episodes, its chunks. Each starts with the last frame of the one before, so that
every action stands between the frame it was chosen at and its result, and no action is lost at a cut.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.data.episodes import Episode, EpisodeSource
from worldmodel.data.readers.fitting import Fit
from worldmodel.data.readers.pointer import draw_pointer
from worldmodel.data.video import VideoInfo, read_video


@dataclass(kw_only=True, slots=True)
class Row:
    """What stands beside one frame.

    Attributes:
        info: What is known of the frame, JSON values.
        action: What was chosen while it was on screen; `None` if that is unknown.
        reward: What the action earned.
        pointer: Where the tip of the mouse pointer is to be drawn, (x, y) in pixels; `None` if there is none.
        skip: Whether the frame and its action are left out.
    """

    info: dict[str, Any] = field(default_factory=dict)
    action: Any = None
    reward: float = 0.0
    pointer: tuple[int, int] | None = None
    skip: bool = False


@dataclass(kw_only=True, slots=True)
class Track:
    """One recording.

    Attributes:
        video: The video file.
        video_info: What it holds.
        rows: Made while they are read: `num_frames` of them, one a frame. The action of the last leads nowhere and is
            dropped.
        num_frames: Number of frames of the recording, at least one.
        first_frame: Where in the video it starts.
        source: Where it came from.
        terminated: Whether its last step ended the task.
        truncated: Whether its last step cut it off.
    """

    video: Path
    video_info: VideoInfo
    rows: Iterator[Row]
    num_frames: int
    first_frame: int = 0
    source: EpisodeSource
    terminated: bool = False
    truncated: bool = True


Pair = tuple[np.ndarray, Row]


def read_track(
    track: Track, *, fit: Fit | None, chunk_frames: int | None, size: tuple[int, int] | None = None
) -> Iterator[Episode]:
    """Yields the episodes of a recording, in order.

    Args:
        track: The recording; its rows are used up.
        fit: Brings each frame to size while it is read; `None` keeps them as they are.
        chunk_frames: Most frames in an episode, at least 2; `None` makes one episode of all.
        size: Height and width that `fit` brings frames to, if it does: much smaller ones come from the decoder.

    Raises:
        ValueError: At the damaged place, if the video or a row is damaged. Chunks before it have been given by then.
    """
    return cut(_pairs(track, fit, size), track.source, (track.terminated, track.truncated), chunk_frames)


def decoded_size(info: VideoInfo, size: tuple[int, int] | None) -> tuple[int, int] | None:
    """Returns the size that the decoder is to shrink to: a wanted one if it is at most half of the video's."""
    return size if size is not None and 2 * size[0] <= info.height and 2 * size[1] <= info.width else None


def cut(
    pairs: Iterable[Pair], source: EpisodeSource, ends: tuple[bool, bool], chunk_frames: int | None
) -> Iterator[Episode]:
    """Cuts frames and their rows into episodes.

    Args:
        pairs: Frames, all of one size, each with its row.
        source: Where they came from.
        ends: Whether the last step terminated and truncated; all other episodes are truncated.
        chunk_frames: Most frames in an episode; `None` for no limit.
    """
    frames: list[np.ndarray] = []
    rows: list[Row] = []
    for frame, row in pairs:
        if len(frames) == chunk_frames:
            yield _episode(frames, rows, source, (False, True))
            frames, rows = frames[-1:], rows[-1:]
        frames.append(frame)
        rows.append(row)
    if frames:
        yield _episode(frames, rows, source, ends)


def cut_episode(episode: Episode, *, fit: Fit, chunk_frames: int | None) -> Iterator[Episode]:
    """Cuts an episode that is in memory, as `read_track` cuts a recording."""
    if chunk_frames is None or len(episode.frames) <= chunk_frames:
        fitted = [fit(frame) for frame in episode.frames]
        if fitted and fitted[0].shape != episode.frames.shape[1:]:
            episode.frames = np.stack(fitted)
        yield episode
        return
    actions, rewards = [*episode.actions, None], [*episode.rewards.tolist(), 0.0]
    rows = (Row(info=i, action=a, reward=r) for i, a, r in zip(episode.infos, actions, rewards, strict=True))
    pairs = ((fit(frame), row) for frame, row in zip(episode.frames, rows, strict=True))
    yield from cut(pairs, episode.source, (episode.terminated, episode.truncated), chunk_frames)


def _pairs(track: Track, fit: Fit | None, size: tuple[int, int] | None) -> Iterator[Pair]:
    info = track.video_info
    with contextlib.closing(read_video(track.video, info=info, size=decoded_size(info, size))) as video:
        frames = islice(video, track.first_frame, track.first_frame + track.num_frames)
        for frame, row in zip(frames, track.rows, strict=True):
            if row.skip:
                continue
            if row.pointer is not None:
                draw_pointer(frame, *row.pointer, whole=(info.height, info.width))
            yield frame if fit is None else fit(frame), row
        if track.first_frame + track.num_frames == info.num_frames:
            next(video, None)  # to its end: only there the decoder says whether all was well


def _episode(frames: list[np.ndarray], rows: list[Row], source: EpisodeSource, ends: tuple[bool, bool]) -> Episode:
    return Episode(
        frames=np.stack(frames),
        actions=[row.action for row in rows[:-1]],
        rewards=np.array([row.reward for row in rows[:-1]], np.float64),
        terminated=ends[0],
        truncated=ends[1],
        infos=[row.info for row in rows],
        source=source,
    )
