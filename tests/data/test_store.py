import json
import os
import pickle

import gymnasium
import numpy as np
import pytest
from fake_voxel import FakeVoxel, action_space, play

from worldmodel.data import Episode, EpisodeSource, EpisodeStore, EpisodeStoreWriter
from worldmodel.data.action_codec import ActionCodec

CODEC = ActionCodec(action_space())


def _write(folder, episodes, codec=CODEC, **settings):
    with EpisodeStoreWriter(folder, **{"codec": codec, "fps": 20} | settings) as writer:
        for key, episode in episodes.items():
            writer.append(episode, key)
    return EpisodeStore(folder)


def _film(num_frames=5, height=16, width=24, seed=None):
    """An episode without actions."""
    frames = np.random.default_rng(seed).integers(0, 256, (num_frames, height, width, 3), np.uint8)
    return Episode(
        frames=frames,
        actions=[None] * (num_frames - 1),
        rewards=np.zeros(num_frames - 1),
        terminated=False,
        truncated=True,
        infos=[{}] * num_frames,
        source=EpisodeSource(),
    )


def _rows(store, key):
    for bucket in store.buckets.values():
        for record in bucket.episodes:
            if record.key == key:
                rows = slice(record.start, record.start + record.num_frames)
                columns = bucket.frames, bucket.actions, bucket.rewards, bucket.caption_ids
                return record, *(np.array(column[rows]) for column in columns)
    raise KeyError(key)


def _assert_holds(store, key, episode):
    record, frames, actions, rewards, captions = _rows(store, key)
    np.testing.assert_array_equal(frames, episode.frames)
    np.testing.assert_array_equal(rewards, [0, *episode.rewards.astype(np.float32)])
    assert not actions[0].any()
    for t, action in enumerate(episode.actions):  # row t + 1 holds what led to frame t + 1
        expected = 0 if action is None else store.codec.encode(action).astype(np.float16)
        np.testing.assert_array_equal(actions[t + 1], expected)
    assert record.num_frames == len(episode.frames)
    assert record.has_actions == any(action is not None for action in episode.actions)
    assert record.terminated == episode.terminated
    assert (record.env_id, record.seed) == (episode.source.env_id, episode.source.seed)
    return [store.captions[i] for i in captions]


def test_episodes_come_back(tmp_path):
    episodes = {f"run/{seed}": play(seed=seed, steps=12 + seed) for seed in range(4)}
    store = _write(tmp_path / "store", episodes)
    assert store.codec.to_json() == CODEC.to_json() and store.fps == 20
    assert list(store.buckets) == ["48x64"]
    bucket = store.buckets["48x64"]
    assert (bucket.height, bucket.width) == (48, 64)
    assert bucket.frames.dtype == np.uint8 and bucket.actions.dtype == np.float16
    assert bucket.rewards.dtype == np.float32 and bucket.caption_ids.dtype == np.int32
    assert {len(part) for part in (bucket.frames, bucket.actions, bucket.rewards, bucket.caption_ids)} == {58}
    for key, episode in episodes.items():
        _assert_holds(store, key, episode)


def test_sizes_and_kinds_of_episodes_share_a_store(tmp_path):
    small = FakeVoxel(height=16, width=24)
    episodes = {"large": play(1), "film": _film(), "image": _film(1), "small": play(2, env=small)}
    store = _write(tmp_path, episodes)
    assert {name: [e.key for e in bucket.episodes] for name, bucket in store.buckets.items()} == {
        "16x24": ["film", "image", "small"],
        "48x64": ["large"],
    }
    for key, episode in episodes.items():
        _assert_holds(store, key, episode)


def test_a_store_without_actions(tmp_path):
    film = _film()
    store = _write(tmp_path, {"film": film}, codec=None)
    assert store.codec is None and store.buckets["16x24"].actions.shape == (5, 0)
    np.testing.assert_array_equal(_rows(store, "film")[1], film.frames)
    with EpisodeStoreWriter(tmp_path, codec=None, fps=20) as writer:
        with pytest.raises(ValueError, match="codec: expected one, because episode 'voxel' has actions"):
            writer.append(play(), "voxel")
    assert EpisodeStore(tmp_path).num_frames(False) + EpisodeStore(tmp_path).num_frames(True) == 5


def test_an_empty_store(tmp_path):
    store = _write(tmp_path, {})
    assert store.buckets == {} and store.captions == [""] and store.num_frames(False) == 0


def test_short_and_long_captions_take_turns(tmp_path):
    episode = play(steps=100, env=FakeVoxel(length=1000))
    episode.infos[3] = {}
    episode.infos[4].pop("caption")
    captions = _assert_holds(_write(tmp_path, {"a": episode}), "a", episode)
    long = {t for t, caption in enumerate(captions) if caption.startswith("a Minecraft player")}
    assert long == {4, *range(40, 80)}
    assert captions[3] == "" and captions[5] == "step 5" and captions[45] == "a Minecraft player at step 45"


def test_captions_are_stored_once(tmp_path):
    store = _write(tmp_path, {"a": play(0), "b": play(1)})
    assert store.captions[0] == "" and len(set(store.captions)) == len(store.captions) == 14


def test_held_out_by_world(tmp_path):
    episodes = {f"{player}/{seed}": play(seed=seed, steps=2) for player in "ab" for seed in range(30)}
    store = _write(tmp_path, episodes, held_out_percent=30)
    records = store.buckets["48x64"].episodes
    test = {record.seed for record in records if record.held_out}
    train = {record.seed for record in records if not record.held_out}
    assert test and train and not test & train
    assert store.num_frames(True) == 2 * 3 * len(test) and store.num_frames(False) == 2 * 3 * len(train)


def test_a_store_goes_on(tmp_path):
    _write(tmp_path, {"a": play(0)})
    with EpisodeStoreWriter(tmp_path, codec=CODEC, fps=20) as writer:
        assert writer.has("a") and not writer.has("b")
        with pytest.raises(ValueError, match="key: expected one that the store has not, got 'a'"):
            writer.append(play(0), "a")
        writer.append(play(1), "b")
        assert writer.has("b")
    with pytest.raises(ValueError, match="open writer"):
        writer.append(play(2), "c")
    store = EpisodeStore(tmp_path)
    for seed, key in enumerate("ab"):
        _assert_holds(store, key, play(seed))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"codec": None}, "codec"),
        ({"codec": ActionCodec(gymnasium.spaces.Discrete(5))}, "codec"),
        ({"fps": 10}, "fps"),
        ({"held_out_percent": 6}, "held_out_percent"),
    ],
)
def test_another_store_is_not_mixed_in(tmp_path, change, name):
    _write(tmp_path, {"a": play(0)})
    with pytest.raises(ValueError, match=f"^{name}: expected .* that of the store"):
        EpisodeStoreWriter(tmp_path, **{"codec": CODEC, "fps": 20} | change)


def _files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_a_killed_append_left_is_ignored_and_cut_off(tmp_path):
    before, killed = tmp_path / "before", tmp_path / "killed"
    _write(before, {"a": play(0)})
    _write(killed, {"a": play(0), "b": play(1, steps=20)})
    lines = (killed / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    (killed / "episodes.jsonl").write_bytes(lines[0] + lines[1][:30])  # the line comes last: cut in its middle
    with (killed / "captions.jsonl").open("ab") as file:
        file.write(b'"half a capt')
    store = EpisodeStore(killed)
    assert [e.key for e in store.buckets["48x64"].episodes] == ["a"] and len(store.buckets["48x64"].frames) == 13
    with EpisodeStoreWriter(killed, codec=CODEC, fps=20) as writer:
        assert not writer.has("b")
        assert (killed / "48x64" / "frames.u8").stat().st_size == 13 * 48 * 64 * 3
        writer.append(play(2), "c")
    with EpisodeStoreWriter(before, codec=CODEC, fps=20) as writer:
        writer.append(play(2), "c")
    left, right = _files(before), _files(killed)
    captions = [files.pop(next(path for path in files if path.name == "captions.jsonl")) for files in (left, right)]
    assert left == right
    assert captions[1].startswith(captions[0])
    _assert_holds(EpisodeStore(killed), "c", play(2))


def test_a_failed_append_leaves_the_store_as_it_was(tmp_path):
    broken = play(1)
    broken.actions[5] = {"forward": "yes"}
    with EpisodeStoreWriter(tmp_path, codec=CODEC, fps=20) as writer:
        writer.append(play(0), "a")
        with pytest.raises((ValueError, TypeError)):
            writer.append(broken, "b")
        assert not writer.has("b")
        writer.append(play(1), "b")
    store = EpisodeStore(tmp_path)
    _assert_holds(store, "a", play(0))
    _assert_holds(store, "b", play(1))


def test_a_reader_sees_whole_episodes_while_another_is_written(tmp_path):
    with EpisodeStoreWriter(tmp_path, codec=CODEC, fps=20) as writer:
        writer.append(play(0), "a")
        store = EpisodeStore(tmp_path)
        writer.append(play(1), "b")
        _assert_holds(store, "a", play(0))
        assert len(store.buckets["48x64"].frames) == 13


def test_a_worker_process_opens_the_store_again(tmp_path):
    data = pickle.dumps(_write(tmp_path, {"a": play(0)}))
    assert len(data) < 1000
    _assert_holds(pickle.loads(data), "a", play(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": np.zeros((13, 48, 64), np.uint8)}, r"frames uint8 \(N, H, W, 3\)"),
        ({"frames": np.zeros((13, 48, 64, 3))}, "got float64"),
        ({"actions": []}, "12 actions for 13 frames, got 0"),
        ({"rewards": np.zeros(13)}, "12 rewards for 13 frames, got 13"),
        ({"infos": []}, "13 infos for 13 frames, got 0"),
        ({"actions": [None, *play().actions[1:]]}, "all of its actions or none"),
    ],
)
def test_odd_episodes_are_refused(tmp_path, change, message):
    episode = play()
    for name, value in change.items():
        setattr(episode, name, value)
    with EpisodeStoreWriter(tmp_path, codec=CODEC, fps=20) as writer:
        with pytest.raises(ValueError, match=f"episode 'a': .*{message}"):
            writer.append(episode, "a")


def test_settings_out_of_range(tmp_path):
    for fps in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="fps: expected a positive"):
            EpisodeStoreWriter(tmp_path / "store", codec=None, fps=fps)
    with pytest.raises(ValueError, match="percent: expected"):
        EpisodeStoreWriter(tmp_path / "store", codec=None, fps=20, held_out_percent=101)
    assert not (tmp_path / "store").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "recording.json").write_text("{}")
    with pytest.raises(ValueError, match="folder: expected an empty folder or an episode store"):
        EpisodeStoreWriter(tmp_path, codec=None, fps=20)
    assert os.listdir(tmp_path) == ["recording.json"]


def test_missing_and_damaged_stores(tmp_path):
    with pytest.raises(FileNotFoundError, match="manifest.json: expected an episode store"):
        EpisodeStore(tmp_path)
    _write(tmp_path, {"a": play(0), "b": play(1)})
    whole = _files(tmp_path)

    def damaged(name, data, error, message):
        (tmp_path / name).unlink() if data is None else (tmp_path / name).write_bytes(data)
        with pytest.raises(error, match=message):
            EpisodeStore(tmp_path)
        for path, original in whole.items():
            (tmp_path / path).write_bytes(original)

    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    newer = json.dumps(manifest | {"version": 2}).encode()
    damaged("manifest.json", newer, ValueError, "expected version 1, got 2; update worldmodel")
    damaged("manifest.json", b"{", ValueError, "expected JSON")
    damaged("manifest.json", b'{"version": 1}', ValueError, "action_space")
    damaged("manifest.json", b"[]", ValueError, "manifest of an episode store")
    damaged("episodes.jsonl", None, FileNotFoundError, "episodes.jsonl")
    damaged("episodes.jsonl", b"{}\n", ValueError, "line 1: expected")
    damaged("episodes.jsonl", b"nonsense\n", ValueError, "line 1: expected JSON")
    lines = (tmp_path / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    damaged("episodes.jsonl", lines[0] + lines[0], ValueError, "line 2: expected start 13")
    damaged("48x64/frames.u8", b"short", ValueError, "frames.u8: expected at least .* bytes, got 5")
    damaged("48x64/rewards.f32", None, ValueError, "rewards.f32: expected at least .* bytes, got 0")
    (tmp_path / "48x64/frames.u8").write_bytes(b"short")
    with pytest.raises(ValueError, match="the store is damaged"):
        EpisodeStoreWriter(tmp_path, codec=CODEC, fps=20)
