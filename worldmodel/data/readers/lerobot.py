"""LeRobot's data sets: robots, and games that were recorded as if they were robots.

```
meta/info.json                                   codebase_version, fps, features, and the paths of the rest
version 2: data/chunk-000/episode_000000.parquet, videos/chunk-000/<camera>/episode_000000.mp4, meta/tasks.jsonl
version 3: data/chunk-000/file-000.parquet, videos/<camera>/chunk-000/file-000.mp4, meta/tasks.parquet,
           meta/episodes/chunk-000/file-000.parquet; many episodes on end in one file
```

Row `t` of an episode holds frame `t` and the action chosen at it, as ours do; the last action leads nowhere. Actions
are float32 arrays of the feature `action`, rewards those of `next.reward`, the caption is the task; `next.success` of
the last row says whether the task was ended. Of several cameras the first is read. Frames must be videos; `image`
features, which lie in the tables, are refused.

Tables are Parquet and need the extra `lerobot` (pyarrow). Source: huggingface/lerobot on GitHub,
`src/lerobot/datasets/lerobot_dataset.py` and `utils.py`.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.data.episodes import Episode, EpisodeSource, chunk_key
from worldmodel.data.files import read_json
from worldmodel.data.readers.items import ReadOptions, SourceItem, track_item
from worldmodel.data.readers.lerobot_tables import Columns, lines_of, read_columns
from worldmodel.data.readers.track import Pair, Row, Track, cut, decoded_size
from worldmodel.data.video import read_video, video_info

_INFO = Path("meta") / "info.json"
_EPISODE, _TASK = "episode_index", "task_index"
_WANTED = ("action", _EPISODE, _TASK, "next.reward", "next.success")


@dataclass(kw_only=True, slots=True)
class _DataSet:
    """What `meta/info.json` says."""

    folder: Path
    version: int
    fps: float
    camera: str
    data_path: str
    video_path: str


def is_lerobot(folder: Path) -> bool:
    """Returns whether a folder is a data set of LeRobot."""
    path = folder / _INFO
    return path.is_file() and "codebase_version" in path.read_text(encoding="utf-8", errors="replace")


def find_lerobot(folder: Path) -> list[SourceItem]:
    """Returns the recordings of a data set: its episodes, or, of version 3, its video files."""
    try:
        data = _data_set(folder)
    except ValueError as error:
        return [_unreadable(folder / _INFO, error)]
    if data.version == 2:
        return [_episode_item(data, table) for table in sorted(folder.glob("data/chunk-*/episode_*.parquet"))]
    return [_file_item(data, video) for video in sorted(folder.glob(f"videos/{data.camera}/chunk-*/file-*.mp4"))]


def _data_set(folder: Path) -> _DataSet:
    path = folder / _INFO
    info = read_json(path)
    try:
        cameras = [name for name, feature in info["features"].items() if feature["dtype"] == "video"]
        data = _DataSet(
            folder=folder,
            version=int(str(info["codebase_version"]).lstrip("v").partition(".")[0]),
            fps=float(info["fps"]),
            camera=cameras[0] if cameras else "",
            data_path=str(info["data_path"]),
            video_path=str(info.get("video_path")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: expected LeRobot's description of a data set, got none or a wrong {error}") from None
    if data.version not in (2, 3) or not cameras:
        raise ValueError(
            f"{path}: expected version 2 or 3 and a feature that is a video, got {info['codebase_version']} and "
            f"{', '.join(info['features'])}; convert it with LeRobot's own tools first"
        )
    return data


def _unreadable(path: Path, error: ValueError) -> SourceItem:
    def read(options: ReadOptions) -> Iterator[tuple[str, Episode]]:
        raise error

    return SourceItem(path=path, key=path.as_posix(), files=frozenset((path,)), read=read)


def _episode_item(data: _DataSet, table: Path) -> SourceItem:
    """Returns an episode of version 2."""
    chunk, index = (int(name.rpartition(mark)[2]) for name, mark in ((table.parent.name, "-"), (table.stem, "_")))
    video = data.folder / data.video_path.format(episode_chunk=chunk, episode_index=index, video_key=data.camera)
    return track_item(table, table.with_suffix(""), (table, video), lambda _: _open_episode(data, table, video))


def _open_episode(data: _DataSet, table: Path, video: Path) -> Track:
    columns = read_columns(table, _WANTED)
    lines = lines_of(data.folder / "meta" / "tasks.jsonl")
    tasks = {int(line[_TASK]): str(line["task"]) for line in lines if {_TASK, "task"} <= set(line)}
    rows, success = _rows(table, columns, np.arange(columns.num_rows), tasks)
    info = video_info(video)
    if not rows or info.num_frames != len(rows):
        raise ValueError(
            f"{video}: expected {len(rows)} frames, one for each row of {table.name}, got {info.num_frames}; get both "
            "files again"
        )
    return Track(
        video=video,
        video_info=info,
        rows=iter(rows),
        num_frames=len(rows),
        source=EpisodeSource(fps=data.fps),
        terminated=success,
        truncated=not success,
    )


def _file_item(data: _DataSet, video: Path) -> SourceItem:
    """Returns a video file of version 3, with all of its episodes."""
    key = video.with_suffix("").as_posix()

    def read(options: ReadOptions) -> Iterator[tuple[str, Episode]]:
        return _read_file(data, video, key, options)

    return SourceItem(path=video, key=key, files=frozenset((video,)), read=read)


def _read_file(data: _DataSet, video: Path, key: str, options: ReadOptions) -> Iterator[tuple[str, Episode]]:
    """Yields the episodes of a video file while it is decoded once, from its start to its end."""
    tasks = _tasks(data.folder / "meta" / "tasks.parquet")
    opened, columns = None, Columns({}, 0)
    done = 0
    info = video_info(video)
    with contextlib.closing(read_video(video, info=info, size=decoded_size(info, options.size))) as frames:
        for place in _places(data, video):
            table = data.folder / data.data_path.format(chunk_index=place.data[0], file_index=place.data[1])
            if table != opened:
                opened, columns = table, read_columns(table, _WANTED)
            numbers = np.flatnonzero(np.asarray(columns.get(_EPISODE, ())) == place.episode)
            rows, success = _rows(table, columns, numbers, tasks)
            if place.first_frame < done or not rows:
                raise ValueError(
                    f"{table}: expected {place.first_frame - done} or more rows of episode {place.episode}, got "
                    f"{len(rows)}; the data set does not fit together: get it again"
                )
            pairs = _file_pairs(frames, place.first_frame - done, rows, options, video)
            done = place.first_frame + len(rows)
            name = f"{key}/episode_{place.episode:06d}"
            ends = success, not success
            for index, episode in enumerate(cut(pairs, EpisodeSource(fps=data.fps), ends, options.chunk_frames)):
                yield chunk_key(name, index), episode


def _file_pairs(
    frames: Iterator[np.ndarray], skip: int, rows: list[Row], options: ReadOptions, video: Path
) -> Iterator[Pair]:
    fit = options.fit
    number = 0
    for frame in islice(frames, skip, skip + len(rows)):
        yield fit(frame), rows[number]
        number += 1
    if number < len(rows):
        raise ValueError(f"{video}: expected {len(rows)} frames of an episode, got {number}; get the file again")


@dataclass(slots=True)
class _Place:
    """Where an episode of version 3 lies: its number, its first frame in the video, chunk and file of its table."""

    episode: int
    first_frame: int
    data: tuple[int, int]


def _places(data: _DataSet, video: Path) -> list[_Place]:
    """Returns the places of the episodes in a video file, in order."""
    here = tuple(int(name.rpartition("-")[2]) for name in (video.parent.name, video.stem))
    prefix = f"videos/{data.camera}"
    names = [_EPISODE, "data/chunk_index", "data/file_index"]
    names += [f"{prefix}/{name}" for name in ("chunk_index", "file_index", "from_timestamp")]
    places = []
    for path in sorted(data.folder.glob("meta/episodes/chunk-*/file-*.parquet")):
        columns = read_columns(path, names)
        if missing := [name for name in names if name not in columns]:
            raise ValueError(f"{path}: expected a column {missing[0]}, got none; get the data set again")
        for row in zip(*(columns[name] for name in names), strict=True):
            episode, data_chunk, data_file, chunk, file, start = row
            if (chunk, file) == here:
                places.append(_Place(episode, round(start * data.fps), (data_chunk, data_file)))
    return sorted(places, key=lambda place: place.first_frame)


def _rows(table: Path, columns: Columns, numbers: np.ndarray, tasks: Mapping[int, str]) -> tuple[list[Row], bool]:
    """Returns the rows of an episode, and whether it succeeded."""
    if "action" not in columns:
        raise ValueError(f"{table}: expected a column action, got none; get the file again")
    rows = []
    for i in numbers.tolist():
        task = tasks.get(int(columns[_TASK][i]), "") if _TASK in columns else ""
        reward = _number(columns["next.reward"][i]) if "next.reward" in columns else 0.0
        info: dict[str, Any] = {"caption": task} if task else {}
        rows.append(Row(info=info, action=np.asarray(columns["action"][i], np.float32), reward=reward))
    success = bool(rows) and "next.success" in columns and bool(_number(columns["next.success"][int(numbers[-1])]))
    return rows, success


def _tasks(path: Path) -> dict[int, str]:
    columns = read_columns(path, ("task", "__index_level_0__", _TASK)) if path.is_file() else Columns({}, 0)
    texts = columns.get("task") or columns.get("__index_level_0__") or []
    return {int(index): str(text) for index, text in zip(columns.get(_TASK, []), texts, strict=False)}


def _number(value: Any) -> float:
    return float(np.asarray(value).reshape(-1)[0])
