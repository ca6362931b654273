"""`worldmodel convert`."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_recordings import film, gamefactory_annotations, vpt_line, write_gamefactory, write_mp4, write_teco, write_vpt
from fake_voxel import FakeVoxel, assert_same, play

from worldmodel.cli import convert, main
from worldmodel.data import Format, VptWriter, append_minari, read_episodes, read_minari, read_source, write_episode
from worldmodel.data.files import PARTIAL_SUFFIX
from worldmodel.envs.actions import action_space

sys.path.append(str(Path(__file__).parents[1] / "envs" / "imagined"))  # for dream_checkpoint

from dream_checkpoint import SIDE, write_checkpoint  # noqa: E402


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(convert, "CHUNK_FRAMES", 5)  # several a recording
    write_vpt(Path("src/contractors"), [vpt_line(t, keys=["w"], dx=20.0 * t) for t in range(13)], name="a")
    write_teco(Path("src/teco/train/0"), np.arange(12) % 4)
    write_gamefactory(Path("src/gf"), gamefactory_annotations(9), 9, prompts=[("seed_1_part.mp4", 0, 9, "snow")])


NAMES = ["contractors_a", "gf_video_seed_1_part_1", "teco_train_0_000000"]


def _same_actions(left, right):
    for one, other in zip(left.actions, right.actions, strict=True):
        assert set(one) == set(other) and all(np.array_equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("format", list(Format))
def test_recordings_come_out_as_they_are_read(capsys, format):
    command = ["convert", "src", "out", f"format={format.value}", "lossless=true"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "3 recordings converted (34 frames), 0 were there already, 0 skipped; complete",
        {"vpt": "out", "minari": "out/converted-v0/data"}[format.value],
    ]
    expected = [episode for _, episode in read_source("src", size=None)]
    found = list(read_episodes("out"))
    if format is Format.vpt:
        assert sorted(path.stem for path in Path("out").glob("*.jsonl")) == NAMES
    for one, other in zip(expected, found, strict=True):
        _same_actions(one, other)
        np.testing.assert_array_equal(one.frames, other.frames)
        assert one.infos == other.infos and one.captions == other.captions
        assert (one.terminated, one.truncated) == (other.terminated, other.truncated)
        np.testing.assert_array_equal(one.rewards, other.rewards)
    assert found[1].captions == ["snow"] * 9
    assert [path for path in Path("out").rglob(f"*{PARTIAL_SUFFIX}")] == []


@pytest.mark.parametrize("format", list(Format))
def test_the_same_command_goes_on(capsys, format):
    command = ["convert", "src/contractors", "out", f"format={format.value}"]
    assert main(command) == 0
    before = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.mp4")}
    Path(f"out/left.1.mp4{PARTIAL_SUFFIX}").write_text("of a killed one")
    capsys.readouterr()
    write_vpt(Path("src/contractors"), [vpt_line(t) for t in range(4)], name="b")
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("1 recordings converted (4 frames), 1 were there already, 0 skipped")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [path for path in Path("out").rglob(f"*{PARTIAL_SUFFIX}")] == []
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("0 recordings converted (0 frames), 2 were there already")


def test_our_own_keep_everything(capsys):
    os.mkdir("own")
    episode = play(seed=7)
    write_episode(VptWriter(Path("own"), "one", episode.source, lossless=True), episode)
    assert main(["convert", "own/one.jsonl", "out", "lossless=true"]) == 0
    assert_same(episode, next(read_episodes("out")))


def test_minari_to_vpt(capsys):
    append_minari(Path("set"), [play(0), play(1)], dataset_id="foreign-v0", env=FakeVoxel())
    assert main(["convert", "source=set", "output=out", "lossless=true"]) == 0
    for one, other in zip(read_minari("set"), read_episodes("out"), strict=True):
        assert_same(one, other)


def test_one_size(capsys):
    assert main(["convert", "src", "out", "format=minari", "height=16", "width=24"]) == 0
    assert {episode.frames.shape[1:] for episode in read_minari("out/converted-v0/data")} == {(16, 24, 3)}


def test_compatible_actions(capsys):
    write_vpt(Path("odd"), [vpt_line(t, dx=float(t % 2)) for t in range(9)], name="a")
    assert main(["convert", "odd", "out", "vpt_compat=true"]) == 0
    (episode,) = read_episodes("out")
    assert len(episode) == 4 and all(action["camera"].tolist() == [0, 0] for action in episode.actions)


@pytest.mark.parametrize("format", list(Format))
def test_what_cannot_be_converted_is_told(capsys, format):
    path = Path("src/contractors/a.mp4")
    path.write_bytes(path.read_bytes()[:-300])
    write_mp4(Path("src/film.mp4"), film(3))
    write_teco(Path("src/large"), np.zeros(3, np.int32), name="z")
    write_mp4(Path("src/large/z.mp4"), film(3, 48, 64))
    assert main(["convert", "src", "out", f"format={format.value}"]) == 0
    out = capsys.readouterr().out.splitlines()
    size = ["skipped src/large/z.mp4: expected the observation_space of the recordings before"]
    messages = ["skipped src/contractors/a.jsonl: ", "skipped src/film.mp4: expected a recording with actions"]
    messages += size if format is Format.minari else []
    assert all(line.startswith(message) for line, message in zip(out, messages, strict=False))
    assert f"{len(messages)} skipped; complete" in out[len(messages)]
    assert len(list(read_episodes("out"))) == 5 - len(messages)
    assert not list(Path("out").glob("contractors*"))


@pytest.mark.parametrize("format", list(Format))
def test_a_model_reads_the_actions_of_videos(tmp_path, capsys, format):
    checkpoint = write_checkpoint(tmp_path / "tiny")
    write_mp4(Path("src/film.mp4"), film(12, 48, 48))
    assert main(["convert", "src/film.mp4", "out", f"format={format.value}", f"checkpoint={checkpoint}"]) == 0
    assert "12 frames), the actions of 1 of them read from their frames, 0" in capsys.readouterr().out
    (episode,) = read_episodes("out")
    assert episode.frames.shape == (12, SIDE, SIDE, 3) and len(episode.actions) == 11
    assert all(action_space().contains(action) for action in episode.actions)


def test_recorded_actions_are_kept_and_other_rates_refused(tmp_path, capsys):
    write_mp4(Path("src/contractors/film.mp4"), film(12), fps=30)
    checkpoint = write_checkpoint(tmp_path / "tiny")
    command = [
        "convert",
        "src/contractors",
        "out",
        "lossless=true",
        f"checkpoint={checkpoint}",
        "height=32",
        "width=32",
    ]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "film.mp4: expected a video of 20 frames per second, as the model's ticks, got 30" in out
    assert "1 recordings converted (13 frames), 0 were there" in out
    (before,) = (episode for _, episode in read_source("src/contractors/a.jsonl", size=(32, 32)))
    (after,) = read_episodes("out")
    _same_actions(before, after)


def test_stopping(monkeypatch, capsys):
    """The recording at hand is given up, whole ones stay."""

    class Stop:
        asked = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        @property
        def requested(self):
            Stop.asked += 1
            return Stop.asked > 5  # after the first recording, which has three chunks

    monkeypatch.setattr(convert, "Interruption", Stop)
    assert main(["convert", "src", "out"]) == 130
    assert "interrupted: the same command goes on" in capsys.readouterr().out
    assert sorted(path.name for path in Path("out").iterdir()) == ["contractors_a.jsonl", "contractors_a.mp4"]


WRONG = {
    "convert": "source: expected a value, got none",
    "convert nowhere out": "source: expected recorded episodes, videos or images, found none at nowhere",
    "convert src out more": "expected a source and an output, got 3 words: src, out, more",
    "convert src src/out": "output: expected a folder outside the source",
    "convert src out height=8": "height: expected together with width",
    "convert src out height=0 width=8": "size: expected height and width",
    "convert src out checkpoint=none": "checkpoint: ",
    "convert src out formt=vpt": "did you mean format?",
    "convert src out format=avi": "format: Invalid value 'avi', expected one of [vpt, minari]",
    "convert films out": "source: expected recordings with actions, none of 1 could be converted",
}


@pytest.mark.parametrize("command", WRONG)
def test_a_wrong_command_gets_one_line_that_helps(capsys, command):
    write_mp4(Path("films/film.mp4"), film(3))
    assert main(command.split()) == 2
    assert WRONG[command] in capsys.readouterr().err.splitlines()[-2 if "films" in command else 0]
    assert not Path("out").exists()


def test_any_path_will_do(capsys):
    name = "a, b=c {1} it's"
    os.rename("src", f"./{name}")
    assert main(["convert", f"./{name}", "out"]) == 0
    assert len(list(read_episodes("out"))) == 3
