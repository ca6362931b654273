"""MineRL 0.4, TECO, WorldMem and GF-Minecraft."""

import json
import subprocess

import numpy as np
import pytest
from fake_recordings import (
    MINERL_KEYS,
    film,
    gamefactory_annotations,
    numbers,
    pressed,
    write_gamefactory,
    write_minerl,
    write_mp4,
    write_teco,
)
from imageio_ffmpeg import get_ffmpeg_exe

from worldmodel.data import read_source
from worldmodel.data.minecraft import action_space

SPACE = action_space()


def _read(path, **options):
    source = read_source(path, **{"size": None} | options)
    return dict(source), source.skipped


def _one(path, **options):
    episodes, skipped = _read(path, **options)
    assert skipped == []
    ((key, episode),) = episodes.items()
    return key, episode


def _skips(path, message):
    episodes, (skipped,) = _read(path)
    assert episodes == {} and skipped.startswith(str(path)), skipped
    assert message in skipped, skipped


# MineRL


def test_minerl(tmp_path):
    folder = write_minerl(tmp_path)
    key, episode = _one(tmp_path)
    assert key == folder.as_posix()
    assert numbers(episode.frames) == [3, 4, 5, 6, 7, 8, 9], "the first three frames have no actions"
    for t, action in enumerate(episode.actions):
        keys = {name for i, name in enumerate(MINERL_KEYS) if t % (i + 2) == 0}
        assert pressed(action) == (keys | ({"use"} if t == 1 else set()), [t * 0.5, -t * 1.5])
        assert SPACE.contains(action)
    assert episode.rewards.tolist() == [0, 1, 2, 3, 4, 5]
    assert (episode.terminated, episode.truncated) == (True, False)
    assert (episode.source.env_id, episode.source.seed, episode.source.fps) == ("MineRLObtainDiamond-v0", None, 20)
    assert episode.infos[0] == {"inventory": {}, "compass_angle": 0.0}
    assert episode.infos[2] == {"inventory": {"dirt": 2}, "compass_angle": 20.0, "item_actions": {"place": "dirt"}}
    assert episode.infos[3]["item_actions"] == {"craft": "planks"} and episode.infos[6]["inventory"] == {"dirt": 6}


def test_minerl_without_items_or_success(tmp_path):
    write_minerl(tmp_path, extra_frames=0, success=False, **{"action$place": None, "action$craft": None})
    _, episode = _one(tmp_path)
    assert numbers(episode.frames) == list(range(7)) and not any(action["use"] for action in episode.actions)
    assert (episode.terminated, episode.truncated) == (False, True)


def test_numbers_of_items_from_before_there_were_names(tmp_path):
    write_minerl(tmp_path, **{"action$place": np.array([0, 0, 3, 0, 0, 0]), "action$craft": None})
    _, episode = _one(tmp_path)
    assert [action["use"] for action in episode.actions] == [0, 0, 1, 0, 0, 0]
    assert episode.infos[3]["item_actions"] == {"place": "3"}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"reward": None}, "expected reward, action$camera and the keys"),
        ({"action$camera": None, "action$vector": np.zeros((6, 64))}, "obfuscated data sets cannot be read"),
        ({"action$jump": np.zeros(5, np.int64)}, "expected 6 values of action$jump"),
        ({"action$jump": np.full(6, 7)}, "actions of step 0"),
        ({"action$camera": np.full((6, 2), np.nan, np.float32)}, "actions of step 0"),
        ({"action$place": np.array([{}] * 6)}, "damaged or foreign file"),
        ({"reward": np.zeros(20), **{f"action${name}": np.zeros(20, int) for name in (*MINERL_KEYS, "place", "craft")},
          "action$camera": np.zeros((20, 2))}, "expected 10 frames, of which the last 21"),
    ],
)  # fmt: skip
def test_minerl_arrays_that_do_not_fit(tmp_path, arrays, message):
    _skips(write_minerl(tmp_path, **arrays), message)


@pytest.mark.parametrize("name", ["recording.mp4", "rendered.npz", "metadata.json"])
def test_minerl_files_that_are_damaged_or_missing(tmp_path, name):
    folder = write_minerl(tmp_path)
    path = folder / name
    path.write_bytes(path.read_bytes()[:-30])
    _skips(folder, str(path))
    if name != "rendered.npz":  # it is what a stream is known by
        path.unlink()
        _skips(folder, str(path))


# TECO and WorldMem


def test_teco(tmp_path):
    write_teco(tmp_path / "train" / "0", np.array([0, 1, 1, 2, 3, 1], np.int32), depth=np.zeros(6))
    key, episode = _one(tmp_path)
    assert key == (tmp_path / "train/0/000000").as_posix()
    assert numbers(episode.frames) == list(range(6))
    turn = ({"jump"}, [0, -20]), ({"jump"}, [0, 20])
    walk = {"forward", "jump"}, [0, 0]
    assert [pressed(action) for action in episode.actions] == [walk, walk, *turn, walk]
    assert episode.source.fps == 20 and episode.infos == [{}] * 6 and not episode.terminated


def test_teco_beside_a_bare_array(tmp_path):
    write_mp4(tmp_path / "000000.mp4", film(3))
    np.save(tmp_path / "000000.npy", np.array([0, 1, 3], np.int32))
    _, episode = _one(tmp_path)
    assert [pressed(action)[1] for action in episode.actions] == [[0, 0], [0, 20]]


def test_worldmem(tmp_path):
    rows = [
        [0, 0, 0, 12, 12, 0, 0, 0],
        [1, 0, 0, 12, 12, 0, 0, 0],
        [2, 0, 0, 12, 11, 0, 0, 0],
        [0, 1, 0, 13, 12, 3, 0, 0],
        [0, 2, 1, 11, 13, 1, 0, 0],
        [0, 0, 0, 12, 12, 6, 0, 1],
        [0, 0, 0, 12, 12, 6, 0, 20],
        [0, 0, 0, 12, 12, 7, 0, 1],
    ]
    poses = np.arange(40, dtype=np.float64).reshape(8, 5)
    write_teco(tmp_path / "plains" / "3", np.array(rows, np.int32), fps=10, poses=poses)
    _, episode = _one(tmp_path)
    assert [pressed(action) for action in episode.actions] == [
        ({"forward"}, [0, 0]),
        ({"back"}, [0, -15]),
        ({"left", "attack"}, [15, 0]),
        ({"right", "jump", "use"}, [-15, 15]),
        ({"use", "hotbar.2"}, [0, 0]),
        ({"use"}, [0, 0]),
        (set(), [0, 0]),
    ]
    assert episode.source.fps == 10
    assert episode.infos[2] == {"pose": {"x": 10.0, "y": 11.0, "z": 12.0, "pitch": 13.0, "yaw": 14.0}}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"action": np.zeros(4, np.int32)}, "expected an array called actions, got none"),
        ({"actions": np.zeros(4)}, "expected actions of integers"),
        ({"actions": np.zeros((4, 7), np.int32)}, "expected actions of integers"),
        ({"actions": np.zeros(9, np.int32)}, "expected an action for each of the 4 frames"),
        ({"actions": np.full(4, 4)}, "actions[1]: native: expected an integer in [0, 4)"),
        ({"actions": np.full((4, 8), 30)}, "actions[1]"),
        ({"actions": np.array([{}] * 4)}, "damaged or foreign file"),
    ],
)
def test_teco_arrays_that_do_not_fit(tmp_path, arrays, message):
    video = write_mp4(tmp_path / "a.mp4", film(4))
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    _skips(video, message)


@pytest.mark.parametrize("name", ["a.mp4", "a.npz"])
@pytest.mark.parametrize("kept", [0, 100, -100])
def test_teco_files_that_are_damaged(tmp_path, name, kept):
    write_teco(tmp_path, np.random.default_rng(0).integers(0, 4, 40), name="a")
    write_teco(tmp_path, np.zeros(3, np.int32), name="b")
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:kept])
    episodes, (skipped,) = _read(tmp_path)
    assert [key[-1] for key in episodes] == ["b"] and str(path) in skipped


def test_the_codec_that_teco_and_worldmem_use(tmp_path):
    """OpenCV's "mp4v", which is MPEG-4 Part 2."""
    write_teco(tmp_path, np.array([0, 1, 2, 3] * 5), name="a")
    command = [get_ffmpeg_exe(), "-v", "error", "-i", str(tmp_path / "a.mp4"), "-c:v", "mpeg4", "-q:v", "3"]
    subprocess.run([*command, str(tmp_path / "b.mp4")], check=True)
    (tmp_path / "b.mp4").replace(tmp_path / "a.mp4")
    _, episode = _one(tmp_path)
    assert numbers(episode.frames) == list(range(20)) and len(episode) == 19


# GF-Minecraft


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize(("num", "first", "num_frames"), [(8, 0, 7), (8, 0, 8), (7, 1, 7)])
def test_gamefactory(tmp_path, apart, num, first, num_frames):
    annotations = gamefactory_annotations(num, first)
    video = write_gamefactory(tmp_path / "data_269", annotations, num_frames, apart=apart)
    key, episode = _one(tmp_path)
    assert key == video.with_suffix("").as_posix()
    assert numbers(episode.frames) == list(range(num_frames)) and episode.source.fps == 16
    shift = 8 - num_frames  # the annotation of the first frame
    for t, action in enumerate(episode.actions):
        number = t + shift + 1  # of the frame it led to
        keys = {
            *[[], ["forward"], ["back"]][number % 3],
            *[[], ["left"], ["right"]][number // 3 % 3],
            *[[], ["jump"], ["sneak"], ["sprint"]][number % 4],
        }
        assert pressed(action)[0] == keys
        np.testing.assert_allclose(action["camera"], [1.5 * number, -1.5 * number], rtol=1e-6)
    expected = {"biome": "plains", "weather": "rain", "time_name": "Sunset"}
    number = 2 + shift
    pose = {"x": -228.5 + number, "y": 75.0, "z": 246.4, "pitch": 0.5 * number, "yaw": -1.5 * number}
    assert episode.infos[2] == expected | {"pose": pose}


@pytest.mark.parametrize("name", ["seed_1_part_1.mp4", "seed_1_part.mp4", "seed_1_part_1"])
def test_prompts_are_captions(tmp_path, name):
    prompts = [
        (name, 0, 2, "A snowy\nforest, at dusk"),
        (name, 3, 4, "A lake"),
        ("seed_11_part_11.mp4", 0, 9, "of another"),
    ]
    write_gamefactory(tmp_path, gamefactory_annotations(7), 7, prompts=prompts)
    _, episode = _one(tmp_path)
    assert episode.captions == ["A snowy forest, at dusk"] * 3 + ["A lake"] * 2 + ["", ""]
    chunks, _ = _read(tmp_path, chunk_frames=3)
    assert [chunk.captions[-1] for chunk in chunks.values()] == ["A snowy forest, at dusk", "A lake", ""]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("actions"), 'expected "actions" with an annotation for each'),
        (lambda a: a["actions"].pop("3"), 'expected "actions" with an annotation for each'),
        (lambda a: a["actions"].update(end={}), 'expected "actions" with an annotation for each'),
        (lambda a: a["actions"].popitem(), "expected 7 annotations for the frames of seed_1_part_1.mp4, or one more"),
        (lambda a: a["actions"]["3"].update(ws=9), "annotation 2 or the next"),
        (lambda a: a["actions"]["3"].pop("ad"), "annotation 2 or the next"),
        (lambda a: a["actions"].update({"3": None}), "annotation 2 or the next"),
        (lambda a: a["actions"]["3"].update(pos=["a", 1, 2]), "annotation 3 or the next"),
    ],
)
def test_gamefactory_annotations_that_do_not_fit(tmp_path, change, message):
    annotations = gamefactory_annotations(7)
    change(annotations)
    _skips(write_gamefactory(tmp_path, annotations, 7), message)


def test_gamefactory_files_that_are_damaged(tmp_path):
    for name in ("a", "b", "c"):
        write_gamefactory(tmp_path, gamefactory_annotations(4), 4, name=name)
    (tmp_path / "metadata" / "a.json").write_text('{"actions": {"0": {"ws"')
    video = tmp_path / "video" / "b.mp4"
    video.write_bytes(video.read_bytes()[:500])
    episodes, skipped = _read(tmp_path)
    assert [key[-1] for key in episodes] == ["c"]
    assert ["metadata/a.json: expected JSON" in skipped[0], "video/b.mp4: expected a whole" in skipped[1]] == [True] * 2
    (tmp_path / "annotation.csv").write_text("name,text\nc.mp4,snow\n")
    assert "expected the columns Original video name" in _read(tmp_path)[1][2]


def test_json_of_something_else_beside_a_video(tmp_path):
    write_mp4(tmp_path / "walk.mp4", film(3))
    (tmp_path / "walk.json").write_text(json.dumps({"title": "a walk", "actions": []}))
    _, episode = _one(tmp_path)
    assert episode.actions == [None, None]
