"""What all readers have in common: finding out the layout, chunks, shards, sizes, and how much is in memory."""

import tracemalloc

import numpy as np
import pytest
from fake_recordings import (
    film,
    gamefactory_annotations,
    numbers,
    vpt_line,
    write_gamefactory,
    write_minerl,
    write_mp4,
    write_teco,
    write_vpt,
)
from fake_voxel import FakeVoxel, assert_same, play
from PIL import Image

from worldmodel.data import (
    EpisodeStore,
    EpisodeStoreWriter,
    VptWriter,
    append_minari,
    read_source,
    read_video,
    write_episode,
)
from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.minecraft import action_space
from worldmodel.data.readers.fitting import fit_frame
from worldmodel.data.splits import world_key


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A folder of all layouts, twelve steps or so in each."""
    root = tmp_path_factory.mktemp("everything")
    write_vpt(root / "contractors", [vpt_line(t, dx=float(t)) for t in range(13)])
    own = play(seed=4)
    (root / "own").mkdir()
    write_episode(VptWriter(root / "own", "episode", own.source, lossless=True), own)
    write_minerl(root / "minerl", num_steps=12)
    write_teco(root / "teco" / "train" / "0", np.arange(13) % 4)
    write_gamefactory(root / "gf", gamefactory_annotations(13), 13, prompts=[("seed_1_part.mp4", 0, 6, "snow")])
    append_minari(root / "minari", [play(0), play(1)], dataset_id="foreign-v0", env=FakeVoxel())
    write_mp4(root / "films" / "film.mp4", film(13))
    (root / "films" / "film.txt").write_text("a film")
    Image.fromarray(film(1)[0]).save(root / "films" / "still.png")
    return root


KEYS = [
    "contractors/cheeky-cornflower-setter-74ae6c2eae2e-20220315-122354",
    "films/film.mp4",
    "films/still.png",
    "gf/video/seed_1_part_1",
    "minari/episode_000000",
    "minari/episode_000001",
    "minerl/MineRLObtainDiamond-v0/v3_absolute_grape_changeling-16_11234-12345",
    "own/episode",
    "teco/train/0/000000",
]


def _read(root, **options):
    source = read_source(root, **{"size": (32, 48)} | options)
    episodes = {key.removeprefix(f"{root.as_posix()}/"): episode for key, episode in source}
    assert source.skipped == []
    return episodes


def test_each_layout_is_known_by_what_lies_in_the_folder(everything):
    episodes = _read(everything)
    assert list(episodes) == KEYS
    assert {key for key, e in episodes.items() if e.actions and e.actions[0] is None} == {"films/film.mp4"}
    assert all(len(e) == 12 for key, e in episodes.items() if key != "films/still.png")
    codec = ActionCodec(action_space())
    for key, episode in episodes.items():
        assert len(episode.frames) == len(episode.infos) == len(episode) + 1 == len(episode.rewards) + 1
        if "films" not in key:
            assert codec.encode_many(episode.actions).shape == (12, codec.width)


@pytest.mark.parametrize("chunk_frames", [2, 7, 12, 13])
def test_chunks_are_short_and_make_up_the_whole(everything, chunk_frames):
    whole = _read(everything)
    chunks = _read(everything, chunk_frames=chunk_frames)
    for key, episode in whole.items():
        parts = [chunks.pop(name) for name in list(chunks) if name.split("#")[0] == key]
        assert all(2 <= len(part.frames) <= chunk_frames for part in parts) or key == "films/still.png"
        for one, other in zip(parts, parts[1:], strict=False):
            np.testing.assert_array_equal(one.frames[-1], other.frames[0])
            assert one.infos[-1] == other.infos[0]
            assert (one.terminated, one.truncated) == (False, True), "nothing ends at a cut"
        joined = parts[0]
        joined.frames = np.concatenate([parts[0].frames, *(part.frames[1:] for part in parts[1:])])
        joined.infos = parts[0].infos + [info for part in parts[1:] for info in part.infos[1:]]
        joined.actions = [action for part in parts for action in part.actions]
        joined.rewards = np.concatenate([part.rewards for part in parts])
        joined.terminated, joined.truncated = parts[-1].terminated, parts[-1].truncated
        if "films" in key:
            assert joined.actions == episode.actions
            np.testing.assert_array_equal(joined.frames, episode.frames)
        else:
            assert_same(episode, joined)
    assert chunks == {}


def test_workers_share_the_recordings(everything):
    for count in (2, 20):
        shares = [list(_read(everything, shard=(index, count))) for index in range(count)]
        assert sorted(key for share in shares for key in share) == KEYS
        assert max(map(len, shares)) <= len(KEYS) // count + 2
    assert list(_read(everything, shard=(1, 2), chunk_frames=7)) == [
        name
        for key in _read(everything, shard=(1, 2))
        for name in ([key] if "still" in key else [key, f"{key}#000001"])
    ]


def test_one_file_of_a_recording_is_the_recording(everything):
    places = ["contractors/*.mp4", "contractors/*.jsonl", "gf/video/*.mp4", "minerl/*/*/*.mp4", "teco/*/*/*.npz"]
    for place in places:
        (path,) = everything.glob(place)
        ((key, episode),) = read_source(path, size=None)
        assert len(episode) == 12 and episode.actions[0] is not None
        assert any(key.endswith(name) for name in KEYS)


def test_a_video_that_two_layouts_could_claim_is_read_once(tmp_path):
    write_vpt(tmp_path, [vpt_line(t) for t in range(4)], name="a")
    np.savez(tmp_path / "a.npz", actions=np.zeros(4, np.int32))
    assert len(list(read_source(tmp_path, size=None))) == 1


def test_only_a_chunk_is_in_memory(tmp_path):
    num_frames = 1500
    write_teco(tmp_path, np.arange(num_frames) % 4, name="a", num_frames=num_frames)
    size = 32 * 48 * 3
    peaks = {}
    for chunk_frames in (50, None):
        source = read_source(tmp_path, size=None, chunk_frames=chunk_frames)
        tracemalloc.start()
        total = 0
        for _, episode in source:
            total += len(episode)
        peaks[chunk_frames] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == num_frames - 1
    assert peaks[None] > num_frames * size
    assert peaks[50] < 5 * 50 * size + 500_000 < peaks[None] / 3


def test_frames_are_resized_before_they_are_kept(tmp_path):
    num_frames, large = 60, (240, 320)
    write_mp4(tmp_path / "a.mp4", film(num_frames, *large))
    tracemalloc.start()
    ((_, episode),) = read_source(tmp_path, size=(24, 32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert numbers(episode.frames) == list(range(num_frames))
    assert peak < 10 * large[0] * large[1] * 3, "not even ten of sixty frames in full size"


def test_the_decoder_is_stopped_with_the_reader(tmp_path):
    write_mp4(tmp_path / "a.mp4", film(400))
    psutil = pytest.importorskip("psutil")
    before = psutil.Process().children()
    source = read_source(tmp_path, size=None, chunk_frames=10)
    assert len(next(source)[1].frames) == 10
    assert len(psutil.Process().children()) == len(before) + 1
    del source
    assert psutil.Process().children() == before


def test_all_chunks_of_a_recording_are_in_one_split(tmp_path, everything):
    with EpisodeStoreWriter(tmp_path, codec=ActionCodec(action_space()), fps=20, held_out_percent=50) as writer:
        for key, episode in read_source(everything / "teco", size=None, chunk_frames=4):
            writer.append(episode, key)
    (bucket,) = EpisodeStore(tmp_path).buckets.values()
    assert len(bucket.episodes) == 4 and len({episode.held_out for episode in bucket.episodes}) == 1


def test_parts_of_one_session_are_one_world():
    source = play(steps=1).source
    source.seed = None
    for one, other in (
        ("10.0/cheeky-setter-02e496ce4abb-20220421-092639", "10.0/cheeky-setter-02e496ce4abb-20220421-093140#000002"),
        ("Obtain/v3_grape_changeling-16_11234-12345", "Obtain/v3_grape_changeling-16_20000-23456"),
    ):
        assert world_key(source, one) == world_key(source, other)
    names = "a/walk-1", "a/walk-2", "a/v3_grape-1_5-6", "a/v3_grape-2_5-6", "a/b-aa-20220421-092639"
    assert len({world_key(source, name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk_frames": 1}, "chunk_frames: expected an integer from 2 on"),
        ({"chunk_frames": 2.5}, "chunk_frames: expected an integer"),
        ({"shard": (2, 2)}, "shard: expected .index, count. with 0 <= index < count"),
        ({"shard": (0,)}, "shard: expected"),
        ({"shard": (-1, 3)}, "shard: expected"),
    ],
)
def test_wrong_arguments(everything, options, message):
    with pytest.raises(ValueError, match=message):
        read_source(everything, size=None, **options)


@pytest.mark.parametrize(("height", "width", "size"), [(90, 160, (16, 16)), (91, 157, (16, 32)), (64, 48, (16, 24))])
def test_the_decoder_shrinks_as_pictures_are_shrunk(tmp_path, height, width, size):
    coarse = np.random.default_rng(0).integers(0, 256, (8, 5, 7, 3), np.uint8)
    frames = [
        np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)) for picture in coarse
    ]
    write_mp4(tmp_path / "a.mp4", frames)
    ((_, episode),) = read_source(tmp_path, size=size)
    whole = np.stack([fit_frame(frame, size) for frame in read_video(tmp_path / "a.mp4")]).astype(int)
    error = episode.frames - whole
    assert episode.frames.shape == (8, *size, 3)
    # It crops from an even pixel on, because colours are stored for every second; a pixel off makes a difference of 4.
    assert np.abs(error).mean() < 5 and np.abs(error.mean()) < 0.5
