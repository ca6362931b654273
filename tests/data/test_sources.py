import logging

import numpy as np
import pytest
from fake_voxel import FakeVoxel, assert_same, play
from PIL import Image

from worldmodel.data import (
    EpisodeSource,
    EpisodeStore,
    EpisodeStoreWriter,
    Format,
    Recording,
    RecordingPlan,
    VideoWriter,
    VptWriter,
    append_minari,
    read_episodes,
    read_source,
    write_episode,
)
from worldmodel.data.readers.fitting import crop_frame, fit_frame


def _record(folder, format, num_episodes=2):
    seeds = list(range(num_episodes))
    plan = RecordingPlan(format=format, env_id="Fake-v0", env_kwargs={"length": 30}, steps=12, seeds=seeds)
    plan.lossless = True
    recording = Recording(folder, plan, FakeVoxel())
    for index in recording.missing():
        write_episode(recording.writer(index), play(seed=index))
    recording.finish()


def _video(path, frames, fps=10):
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=fps, lossless=True) as video:
        for frame in frames:
            video.write(frame)


def _noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _read(path, size=None):
    source = read_source(path, size=size)
    return dict(source), source.skipped


@pytest.mark.parametrize("format", list(Format))
def test_recordings_keep_their_actions(tmp_path, format):
    _record(tmp_path / "run", format)
    episodes, skipped = _read(tmp_path / "run")
    assert skipped == []
    for expected, (key, episode) in zip(read_episodes(tmp_path / "run"), episodes.items(), strict=True):
        assert key.startswith((tmp_path / "run").as_posix())
        assert_same(expected, episode)
    assert len({key.split("/")[-1] for key in episodes}) == 2


def test_recordings_are_found_in_subfolders_and_are_not_taken_for_plain_videos(tmp_path):
    _record(tmp_path / "explorer", Format.vpt)
    _record(tmp_path / "builder", Format.minari)
    _video(tmp_path / "explorer" / "episode_000009.mp4", _noise(3, 48, 64, 3))  # half an episode: its lines are missing
    _video(tmp_path / "films" / "film.mp4", _noise(3, 48, 64, 3))
    episodes, skipped = _read(tmp_path)
    assert skipped == [] and len(episodes) == 5
    without = [key for key, episode in episodes.items() if episode.actions[0] is None]
    assert without == [(tmp_path / "films/film.mp4").as_posix()]


def test_plain_videos(tmp_path):
    frames = _noise(5, 24, 32, 3)
    _video(tmp_path / "a" / "walk.mp4", frames, fps=12.5)
    (tmp_path / "a" / "walk.txt").write_text("a snowy forest\n at dusk\n")
    _video(tmp_path / "b" / "b" / "RUN.MP4", frames[:2])
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "thumb.png").write_text("")
    (tmp_path / "metadata.jsonl").write_text("{}\n")  # of something else
    episodes, skipped = _read(tmp_path)
    assert skipped == []
    assert list(episodes) == [(tmp_path / name).as_posix() for name in ("a/walk.mp4", "b/b/RUN.MP4")]
    walk, run = episodes.values()
    np.testing.assert_array_equal(walk.frames, frames)
    assert walk.actions == [None] * 4 and len(walk.rewards) == 4 and not walk.terminated
    assert walk.infos == [{"caption": "a snowy forest at dusk"}] * 5 and run.infos == [{}] * 2
    assert walk.source == EpisodeSource(fps=12.5)


def test_gifs_and_images(tmp_path):
    frame = _noise(16, 24, 3)
    films = [Image.new("RGB", (24, 16), colour) for colour in ("red", "lime", "blue")]
    films[0].save(tmp_path / "film.gif", save_all=True, append_images=films[1:], duration=100, loop=0)
    for name in ("a.png", "b.webp", "c.bmp"):
        Image.fromarray(frame).save(tmp_path / name, **({"lossless": True} if name == "b.webp" else {}))
    Image.fromarray(frame[:, :, 0]).save(tmp_path / "grey.jpg", quality=100)
    (tmp_path / "b.txt").write_text("noise")
    episodes, skipped = _read(tmp_path)
    assert skipped == []
    images = {key.split("/")[-1]: episode for key, episode in episodes.items()}
    film = images.pop("film.gif")
    assert film.frames[:, 0, 0].argmax(1).tolist() == [0, 1, 2] and film.source.fps == 10
    grey = images.pop("grey.jpg")
    assert abs(grey.frames[0].astype(int) - frame[:, :, :1]).max() < 10
    for name, episode in images.items():
        assert episode.actions == [] and len(episode.rewards) == 0
        np.testing.assert_array_equal(episode.frames, frame[None])
        assert episode.captions == ["noise" if name == "b.webp" else ""]


def test_one_file(tmp_path):
    _video(tmp_path / "a.mp4", _noise(3, 16, 16, 3))
    _video(tmp_path / "b.mp4", _noise(2, 16, 16, 3))
    (episode,) = _read(tmp_path / "b.mp4")[0].values()
    assert len(episode.frames) == 2


def test_sizes(tmp_path):
    _video(tmp_path / "wide.mp4", _noise(2, 50, 100, 3))
    _record(tmp_path / "run", Format.vpt, 1)
    shapes = {size: {e.frames.shape[1:3] for e in _read(tmp_path, size)[0].values()} for size in (None, (32, 32))}
    assert shapes == {None: {(48, 96), (48, 64)}, (32, 32): {(32, 32)}}


def test_resizing_crops_the_middle_and_takes_the_mean_of_areas():
    frame = _noise(32, 64, 3)
    shrunk = fit_frame(frame, (8, 8))  # the middle 32 x 32, in blocks of 4 x 4
    mean = frame[:, 16:48].reshape(8, 4, 8, 4, 3).mean((1, 3))
    assert abs(shrunk - mean).max() <= 1
    assert fit_frame(frame, (64, 128)).shape == (64, 128, 3)
    assert fit_frame(frame, (32, 64)) is frame
    np.testing.assert_array_equal(fit_frame(frame, (32, 16)), frame[:, 24:40])


def test_cropping_to_multiples_of_eight():
    frame = _noise(19, 25, 3)
    np.testing.assert_array_equal(crop_frame(frame), frame[1:17, 0:24])
    with pytest.raises(ValueError, match="at least 8 x 8"):
        crop_frame(frame[:7])


def test_damaged_files_are_skipped_and_told(tmp_path, caplog):
    _record(tmp_path / "run", Format.vpt, 3)
    lines = tmp_path / "run" / "episode_000001.jsonl"
    lines.write_text(lines.read_text()[:-40])
    _video(tmp_path / "cut.mp4", _noise(8, 16, 16, 3))
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "cut.mp4").read_bytes()[:3000])
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    Image.fromarray(_noise(4, 4, 3)).save(tmp_path / "tiny.png")
    Image.fromarray(_noise(8, 8, 3)).save(tmp_path / "whole.png")
    with caplog.at_level(logging.WARNING, "worldmodel.data.sources"):  # `worldmodel data` makes its parent quiet
        episodes, skipped = _read(tmp_path)
    assert [key.split("/")[-1] for key in episodes] == ["episode_000000", "episode_000002", "whole.png"]
    names = ["broken.png", "cut.mp4", "episode_000001.jsonl", "tiny.png"]
    assert [message.split(": ")[0].split("/")[-1] for message in skipped] == names
    assert [record.message for record in caplog.records] == [f"skipped {message}" for message in skipped]


def test_nothing_to_read(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(FileNotFoundError, match="path: expected recorded episodes, videos or images"):
            read_source(path, size=None)
    for size in ((0, 64), (64,), (64, 1.5)):
        with pytest.raises(ValueError, match="size: expected height and width"):
            read_source(tmp_path, size=size)


def test_from_disk_to_store(tmp_path):
    _video(tmp_path / "data" / "film.mp4", _noise(3, 16, 16, 3))
    Image.fromarray(_noise(16, 16, 3)).save(tmp_path / "data" / "still.png")
    source = read_source(tmp_path / "data", size=(16, 16))
    with EpisodeStoreWriter(tmp_path / "store", codec=None, fps=20) as writer:
        for key, episode in source:
            writer.append(episode, key)
    (bucket,) = EpisodeStore(tmp_path / "store").buckets.values()
    assert [(e.num_frames, e.has_actions) for e in bucket.episodes] == [(3, False), (1, False)]
    with pytest.raises(ValueError, match="got an episode store"):
        read_source(tmp_path / "store", size=None)


def test_foreign_recordings(tmp_path):
    append_minari(tmp_path / "data", [play(0), play(1)], dataset_id="foreign-v0", env=FakeVoxel())
    write_episode(VptWriter(tmp_path, "contractor", EpisodeSource(seed=3), lossless=True), play(3))
    keys = list(_read(tmp_path)[0])
    assert keys == [
        (tmp_path / name).as_posix() for name in ("contractor", *(f"data/episode_00000{i}" for i in (0, 1)))
    ]
