"""LeRobot's data sets, versions 2.1 and 3.0, written as its tools write them."""

import json
import sys

import numpy as np
import pytest
from fake_recordings import film, numbers, write_mp4

from worldmodel.data import read_source

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

LENGTHS = [6, 4, 5]
CAMERA = "observation.images.top"
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": [2], "names": None},
    "action": {"dtype": "float32", "shape": [3], "names": None},
    CAMERA: {"dtype": "video", "shape": [32, 48, 3], "names": ["height", "width", "channels"]},
    "observation.images.wrist": {"dtype": "video", "shape": [32, 48, 3], "names": None},
}


def _rows(episode, length):
    t = np.arange(length)
    return {
        "observation.state": [[0.0, 0.0]] * length,
        "action": [[episode, step, -step] for step in t.tolist()],
        "timestamp": (t / 10).tolist(),
        "frame_index": t.tolist(),
        "episode_index": [episode] * length,
        "task_index": [episode % 2] * length,
        "next.reward": (t * 0.5).tolist(),
        "next.success": [False] * (length - 1) + [episode == 1],
    }


def _table(path, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path)


def _info(root, version, **paths):
    (root / "meta").mkdir(parents=True)
    info = {"codebase_version": version, "robot_type": "so100", "fps": 10, "features": FEATURES, **paths}
    (root / "meta" / "info.json").write_text(json.dumps(info))


def _version2(root):
    _info(
        root,
        "v2.1",
        chunks_size=1000,
        data_path="data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        video_path="videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    )
    tasks = [{"task_index": 0, "task": "pick"}, {"task_index": 1, "task": "place"}]
    (root / "meta" / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    for episode, length in enumerate(LENGTHS):
        _table(root / f"data/chunk-000/episode_{episode:06d}.parquet", _rows(episode, length))
        for camera, first in ((CAMERA, 0), ("observation.images.wrist", 100)):
            path = root / f"videos/chunk-000/{camera}/episode_{episode:06d}.mp4"
            write_mp4(path, film(length, first=first + 20 * episode), fps=10)


def _version3(root):
    """Two episodes in the first video, one in the second; all rows in one table."""
    _info(
        root,
        "v3.0",
        data_path="data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        video_path="videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    )
    _table(root / "meta/tasks.parquet", {"task_index": [0, 1], "__index_level_0__": ["pick", "place"]})
    rows = [_rows(episode, length) for episode, length in enumerate(LENGTHS)]
    _table(root / "data/chunk-000/file-000.parquet", {k: sum((r[k] for r in rows), []) for k in rows[0]})
    films = [film(length, first=20 * episode) for episode, length in enumerate(LENGTHS)]
    for file, frames in enumerate((np.concatenate(films[:2]), films[2])):
        write_mp4(root / f"videos/{CAMERA}/chunk-000/file-{file:03d}.mp4", frames, fps=10)
    places = {"chunk_index": [0, 0, 0], "file_index": [0, 0, 1], "from_timestamp": [0.0, 0.6, 0.0]}
    _table(
        root / "meta/episodes/chunk-000/file-000.parquet",
        {
            "episode_index": [0, 1, 2],
            "data/chunk_index": [0] * 3,
            "data/file_index": [0] * 3,
            **{f"videos/{CAMERA}/{name}": column for name, column in places.items()},
            "stats/action/mean": [[0.0] * 3] * 3,
        },
    )


VERSIONS = pytest.mark.parametrize("write", [_version2, _version3])


@VERSIONS
def test_episodes(tmp_path, write):
    write(tmp_path)
    source = read_source(tmp_path, size=None)
    episodes = list(source)
    assert source.skipped == [] and len(episodes) == 3
    for index, (key, episode) in enumerate(episodes):
        assert key.endswith(f"episode_{index:06d}")
        assert numbers(episode.frames) == [20 * index + t for t in range(LENGTHS[index])]
        assert [action.tolist() for action in episode.actions] == [[index, t, -t] for t in range(LENGTHS[index] - 1)]
        assert all(action.dtype == np.float32 for action in episode.actions)
        assert episode.rewards.tolist() == [t / 2 for t in range(LENGTHS[index] - 1)]
        assert set(episode.captions) == {("pick", "place")[index % 2]}
        assert (episode.terminated, episode.truncated) == (index == 1, index != 1)
        assert episode.source.fps == 10


@VERSIONS
def test_chunks_and_shards(tmp_path, write):
    write(tmp_path)
    chunks = dict(read_source(tmp_path, size=(16, 16), chunk_frames=3))
    assert [(key[-14:], len(chunk.frames)) for key, chunk in chunks.items()] == [
        *(("episode_000000", 3), ("e_000000#000001"[-14:], 3), ("e_000000#000002"[-14:], 2)),
        *(("episode_000001", 3), ("e_000001#000001"[-14:], 2)),
        *(("episode_000002", 3), ("e_000002#000001"[-14:], 3)),
    ]
    shares = [[key[-1] for key, _ in read_source(tmp_path, size=None, shard=(i, 2))] for i in range(2)]
    assert sorted(sum(shares, [])) == ["0", "1", "2"] and all(shares)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("damage", "left", "message"),
    [
        (lambda root: _cut(root / "data/chunk-000/episode_000001.parquet"), "02", "expected a whole Parquet table"),
        (lambda root: _cut(root / f"videos/chunk-000/{CAMERA}/episode_000001.mp4"), "02", "one for each row"),
        (lambda root: (root / f"videos/chunk-000/{CAMERA}/episode_000001.mp4").unlink(), "02", "expected a video file"),
        (lambda root: _table(root / "data/chunk-000/episode_000001.parquet", {"a": [1]}), "02", "a column action"),
        (lambda root: _table(root / "data/chunk-000/episode_000001.parquet", _rows(1, 9)), "02", "expected 9 frames"),
        (
            lambda root: (root / "meta/info.json").write_text('{"codebase_version": "v2.1"}'),
            "",
            "LeRobot's description",
        ),
        (lambda root: (root / "meta/info.json").write_text('"codebase_version"'), "", "LeRobot's description"),
        (lambda root: (root / "meta/tasks.jsonl").write_text("{"), "", "tasks.jsonl, line 1"),
    ],
)
def test_damage_of_version_2(tmp_path, damage, left, message):
    _version2(tmp_path)
    damage(tmp_path)
    source = read_source(tmp_path, size=None)
    assert "".join(key[-1] for key, _ in source) == left
    assert len(source.skipped) == (1 if left or "description" in message else 3) and message in source.skipped[0]


@pytest.mark.parametrize(
    ("damage", "left", "message"),
    [
        (lambda root: _cut(root / f"videos/{CAMERA}/chunk-000/file-000.mp4"), "2", "expected a whole video"),
        (lambda root: write_mp4(root / f"videos/{CAMERA}/chunk-000/file-000.mp4", film(8)), "02", "got 2"),
        (lambda root: (root / "data/chunk-000/file-000.parquet").unlink(), "", "expected a table of LeRobot's"),
        (lambda root: _table(root / "data/chunk-000/file-000.parquet", _rows(0, 6)), "0", "rows of episode 1, got 0"),
    ],
)
def test_damage_of_version_3(tmp_path, damage, left, message):
    _version3(tmp_path)
    damage(tmp_path)
    source = read_source(tmp_path, size=None)
    assert "".join(key[-1] for key, _ in source) == left and message in source.skipped[0]


@pytest.mark.parametrize(("version", "features"), [("v1.6", FEATURES), ("v2.1", {"action": FEATURES["action"]})])
def test_what_cannot_be_read_is_told(tmp_path, version, features):
    _version2(tmp_path)
    info = json.loads((tmp_path / "meta/info.json").read_text()) | {"codebase_version": version, "features": features}
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    source = read_source(tmp_path, size=None)
    assert list(source) == [] and "convert it with LeRobot's own tools" in source.skipped[0]


def test_the_extra_is_named(tmp_path, monkeypatch):
    _version2(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match='need the extra "lerobot".*-c constraints.txt'):
        list(read_source(tmp_path, size=None))
