import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import h5py
import numpy as np
import pytest
from fake_voxel import FakeVoxel, assert_same, play

from worldmodel.data import (
    EpisodeSource,
    Format,
    MinariWriter,
    Recording,
    RecordingPlan,
    append_minari,
    read_episodes,
    read_manifest,
    read_minari,
    write_episode,
)

FORMATS = pytest.mark.parametrize("format", list(Format))


def _plan(format, num_episodes, **more):
    return RecordingPlan(
        **{"format": format, "env_id": "Fake-v0", "env_kwargs": {"length": 30}, "player": "random", "steps": 12}
        | {"seeds": list(range(num_episodes)), "lossless": True}
        | more
    )


def _record(folder, format, num_episodes, stop_after=None):
    recording = Recording(folder, _plan(format, num_episodes), FakeVoxel())
    missing = recording.missing()
    for index in missing[:stop_after]:
        write_episode(recording.writer(index), play(seed=index))
    recording.finish()
    return missing


@FORMATS
def test_round_trip(tmp_path, format):
    assert _record(tmp_path, format, 3) == [0, 1, 2]
    episodes = list(read_episodes(tmp_path))
    assert len(episodes) == 3
    for seed, episode in enumerate(episodes):
        expected = play(seed=seed)
        if format is Format.minari:
            expected.source.env_id, expected.source.env_kwargs = "", {}  # the fake is not registered
        assert_same(expected, episode)
    assert read_manifest(tmp_path) == _plan(format, 3)


@FORMATS
def test_a_recording_goes_on_where_it_stopped(tmp_path, format):
    _record(tmp_path, format, 4, stop_after=2)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("episode*")}
    assert len(list(read_episodes(tmp_path))) == 2
    assert _record(tmp_path, format, 5) == [2, 3, 4]
    assert _record(tmp_path, format, 3) == []
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [episode.source.seed for episode in read_episodes(tmp_path)] == [0, 1, 2, 3, 4]
    assert read_manifest(tmp_path).seeds == [0, 1, 2, 3, 4]


@FORMATS
def test_another_recording_is_not_mixed_in(tmp_path, format):
    _record(tmp_path, format, 1)
    for change in ({"steps": 13}, {"env_kwargs": {}}, {"seeds": [7]}, {"player": "explorer"}, {"lossless": False}):
        with pytest.raises(ValueError, match=f"output: .*{next(iter(change))}.*choose another folder"):
            Recording(tmp_path, _plan(format, 1, **change), FakeVoxel())
    assert len(list(read_episodes(tmp_path))) == 1


_KILLED = """
import sys
sys.path.append(sys.argv[1])
from fake_voxel import FakeVoxel, play
from test_recording import _plan
from worldmodel.data import Format, Recording
recording = Recording(sys.argv[2], _plan(Format(sys.argv[3]), 1000), FakeVoxel())
for index in recording.missing():
    episode = play(seed=index)
    with recording.writer(index) as writer:
        writer.reset(episode.frames[0], episode.infos[0])
        for t, action in enumerate(episode.actions):
            last = t == len(episode) - 1
            writer.step(action, episode.frames[t + 1], episode.rewards[t], False, last, episode.infos[t + 1])
    print(index, flush=True)
"""


@FORMATS
@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05])
def test_a_killed_recording_leaves_only_whole_episodes(tmp_path, format, delay):
    command = [sys.executable, "-c", _KILLED, str(Path(__file__).parent), str(tmp_path), format.value]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [b"0\n", b"1\n"]
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
    recording = Recording(tmp_path, _plan(format, 1000), FakeVoxel())
    number = recording.missing()[0]
    assert number >= 2
    recording.finish()
    episodes = list(read_episodes(tmp_path))
    assert len(episodes) == number
    for seed, episode in enumerate(episodes):
        assert len(episode) == 12 and episode.source.seed == seed
        np.testing.assert_array_equal(episode.frames, play(seed=seed).frames)
    # What an orphaned encoder has begun meanwhile is removed by whoever goes on.
    ends = time.monotonic() + 10
    while left := list(tmp_path.rglob("*partial*")):
        assert time.monotonic() < ends, left
        time.sleep(0.3)
        Recording(tmp_path, _plan(format, 1000), FakeVoxel())


def test_a_video_without_lines_is_not_an_episode(tmp_path):
    _record(tmp_path, Format.vpt, 2)
    (tmp_path / "episode_000001.jsonl").unlink()
    assert len(list(read_episodes(tmp_path))) == 1
    assert _record(tmp_path, Format.vpt, 2) == [1]
    assert len(list(read_episodes(tmp_path))) == 2


def test_episodes_added_but_not_counted_are_added_again(tmp_path):
    """A process killed between the two renames of an extension leaves data that is newer than the metadata."""
    _record(tmp_path, Format.minari, 1)
    (data,) = tmp_path.glob("*/data")
    metadata = (data / "metadata.json").read_text()
    _record(tmp_path, Format.minari, 3)
    (data / "metadata.json").write_text(metadata)
    assert len(list(read_episodes(tmp_path))) == 1
    assert _record(tmp_path, Format.minari, 3) == [1, 2]
    for seed, episode in enumerate(read_episodes(tmp_path)):
        np.testing.assert_array_equal(episode.frames, play(seed=seed).frames)


def test_minari_itself_reads_the_dataset(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    gymnasium.register("test_data/Fake-v0", "fake_voxel:FakeVoxel")
    env = gymnasium.make("test_data/Fake-v0", render_mode="rgb_array", length=30)
    plan = _plan(Format.minari, 2, env_id="test_data/Fake-v0")
    recording = Recording(tmp_path, plan, env)
    for index in recording.missing():
        write_episode(recording.writer(index), play(seed=index))
    recording.finish()
    gymnasium.registry.pop("test_data/Fake-v0")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    dataset = minari.load_dataset("fake-random-v0")
    assert (dataset.total_episodes, dataset.total_steps) == (2, 24)
    assert dataset.env_spec.id == "test_data/Fake-v0"
    episode, expected = dataset[1], play(seed=1)
    np.testing.assert_array_equal(episode.observations, expected.frames)
    assert episode.observations.dtype == np.uint8
    assert dataset.action_space == env.action_space
    np.testing.assert_array_equal(episode.actions["camera"][3], expected.actions[3]["camera"])
    assert episode.truncations.tolist() == [False] * 11 + [True]
    assert [text.decode() for text in episode.infos["caption"]] == expected.captions
    (own, *_) = read_episodes(tmp_path)
    assert own.source == EpisodeSource(env_id="test_data/Fake-v0", env_kwargs={"length": 30}, seed=0)


def test_minari_holds_any_action_space(tmp_path):
    class Other(FakeVoxel):
        def __init__(self, space):
            super().__init__()
            self.action_space = space

    for name, space, actions in (
        ("discrete", gymnasium.spaces.Discrete(5), [1, np.int64(2), np.array([3])]),
        ("box", gymnasium.spaces.Box(-1, 1, (3,), np.float32), [np.full(3, v, np.float32) for v in (0.1, 0.2, 0.3)]),
        ("dict", FakeVoxel().action_space, [{"forward": 1}, {"camera": (1, 2)}, {"jump": np.ones(1)}]),
    ):
        episode = play(steps=3)
        episode.actions = actions
        write_episode(MinariWriter(tmp_path, name, episode.source, Other(space)), episode)
        (result,) = read_minari(tmp_path / name)
        assert all(space.contains(action) for action in result.actions)
        if name == "discrete":
            assert result.actions == [1, 2, 3]


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    monkeypatch.setitem(sys.modules, "minari.dataset.minari_storage", None)
    with pytest.raises(ImportError, match=r"worldmodel\[minari\]"):
        MinariWriter(tmp_path, "name", EpisodeSource(), FakeVoxel())
    with pytest.raises(ImportError, match=r"worldmodel\[minari\]"):
        append_minari(tmp_path / "data", [play()], dataset_id="x-v0", env=FakeVoxel())


def test_damage_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected episodes"):
        read_episodes(tmp_path)
    with pytest.raises(FileNotFoundError, match="main_data.hdf5"):
        list(read_minari(tmp_path))
    _record(tmp_path, Format.minari, 2)
    (data,) = tmp_path.glob("*/data/main_data.hdf5")
    with h5py.File(data, "a") as file:
        del file["episode_1/rewards"]
    with pytest.raises(ValueError, match="main_data.hdf5: expected episode 1"):
        list(read_episodes(tmp_path))
    data.write_bytes(data.read_bytes()[:3000])
    with pytest.raises(ValueError, match="main_data.hdf5: expected episode 0"):
        list(read_episodes(tmp_path))
    manifest = tmp_path / "recording.json"
    manifest.write_text("{")
    with pytest.raises(ValueError, match="recording.json: expected JSON"):
        read_manifest(tmp_path)
    manifest.write_text(json.dumps({"version": 99}))
    with pytest.raises(ValueError, match="version"):
        read_manifest(tmp_path)
    manifest.write_text("[]")
    with pytest.raises(ValueError, match="manifest"):
        read_manifest(tmp_path)
