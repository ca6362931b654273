import json

import numpy as np
import pytest
from fake_voxel import BUTTONS, assert_same, play
from hypothesis import given
from hypothesis import strategies as st

from worldmodel.data import EpisodeSource, VptWriter, read_video, read_vpt, write_episode
from worldmodel.data.vpt import decode_action, encode_action


def _write(folder, episode, lossless=True):
    write_episode(VptWriter(folder, "episode", episode.source, lossless=lossless), episode)
    return folder / "episode.jsonl"


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lossless_round_trip_is_exact(tmp_path):
    episode = play(seed=3)
    assert_same(episode, read_vpt(_write(tmp_path, episode)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["episode.jsonl", "episode.mp4"]


def test_lossy_round_trip_keeps_all_but_the_pixels(tmp_path):
    episode = play(seed=3)
    episode.frames[:] = np.linspace(0, 255, 64).astype(np.uint8)[:, None]
    result = read_vpt(_write(tmp_path, episode, lossless=False))
    assert_same(episode, result, frames=False)
    assert np.abs(result.frames.astype(int) - episode.frames).mean() < 2


@given(
    st.lists(st.floats(-180, 180, width=32), min_size=2, max_size=2),
    st.sets(st.sampled_from(BUTTONS)),
)
def test_every_action_comes_back_exactly_through_text(camera, pressed):
    action = {"camera": np.array(camera, np.float32)} | {name: int(name in pressed) for name in BUTTONS}
    line = json.loads(json.dumps(encode_action(action, None)))
    result = decode_action(line)
    assert result["camera"].tobytes() == action["camera"].tobytes()
    assert {name: result[name] for name in BUTTONS} == {name: action[name] for name in BUTTONS}


def test_partial_and_array_actions():
    action = {"forward": np.ones(1, np.int64), "jump": np.bool_(True), "camera": [[1, -2]]}
    result = decode_action(encode_action(action, None))
    assert {name for name in BUTTONS if result[name]} == {"forward", "jump"}
    np.testing.assert_array_equal(result["camera"], [1, -2])
    with pytest.raises(ValueError, match="forwards"):
        encode_action({"forwards": 1}, None)
    with pytest.raises(TypeError, match="dictionary"):
        encode_action(3, None)


def test_lines_hold_the_state_before_and_the_result_of_their_action(tmp_path):
    episode = play(seed=1)
    lines = _lines(_write(tmp_path, episode))
    assert len(lines) == len(episode) and len(list(read_video(tmp_path / "episode.mp4"))) == len(episode) + 1
    for t, line in enumerate(lines):
        assert line["tick"] == t and line["milli"] == 50 * t
        assert line["yaw"] == episode.infos[t]["pose"]["yaw"] and line["xpos"] == episode.infos[t]["pose"]["x"]
        assert line["inventory"] == [{"type": "oak_log", "quantity": t}]
        assert line["hotbar"] == episode.infos[t + 1]["hotbar"]
        assert line["worldmodel"]["info"] == episode.infos[t + 1]
        pressed = {name for name in BUTTONS if episode.actions[t][name]}
        assert ("key.keyboard.w" in line["keyboard"]["keys"]) == ("forward" in pressed)
        assert (2 in line["mouse"]["buttons"]) == ("pickItem" in pressed)
        assert 0.15 * line["mouse"]["dx"] == pytest.approx(episode.actions[t]["camera"][1])


def _as_the_loader_of_vpt(lines):
    """What data_loader.py and run_inverse_dynamics_model.py of VPT make of the lines, without its camera rounding."""
    names = {"key.keyboard.w": "forward", "key.keyboard.left.shift": "sneak", "key.keyboard.f": "swapHands"}
    names |= {f"key.keyboard.{n}": f"hotbar.{n}" for n in range(1, 10)}
    stuck, slot, actions = False, 0, []
    for t, line in enumerate(lines):
        new, down = line["mouse"]["newButtons"], line["mouse"]["buttons"]
        stuck = new == [0] if t == 0 else stuck and 0 not in new
        action = {names[key] for key in line["keyboard"]["keys"] if key in names}
        action |= {name for n, name in enumerate(["attack", "use", "pickItem"]) if n in down and (n or not stuck)}
        if line["hotbar"] != slot:
            action.add(f"hotbar.{line['hotbar'] + 1}")
        slot = line["hotbar"]
        actions.append(action)
    return actions


@pytest.mark.parametrize("seed", range(4))
def test_the_loader_of_vpt_sees_the_same_actions(tmp_path, seed):
    episode = play(seed=seed)
    episode.actions[0] |= {"attack": 1, "use": 0, "pickItem": 0}  # looks like a stuck button
    known = {"forward", "sneak", "swapHands", "attack", "use", "pickItem", *(f"hotbar.{n}" for n in range(1, 10))}
    expected = [{name for name in known if action[name]} for action in episode.actions]
    assert _as_the_loader_of_vpt(_lines(_write(tmp_path, episode))) == expected


def test_files_of_vpt_itself_are_read(tmp_path):
    path = _write(tmp_path, play(seed=0))
    lines = _lines(path)
    for t, line in enumerate(lines):
        del line["worldmodel"]
        line["mouse"] |= {"buttons": [0], "newButtons": [0] if t in (0, 5) else []}
        line["keyboard"] = {"keys": ["key.keyboard.unknown"], "newKeys": [], "chars": ""}
        line["hotbar"] = 3 if t >= 4 else 0
    path.write_text("\n".join(json.dumps(line) for line in [*lines, *lines]))  # more lines than frames
    episode = read_vpt(path)
    assert len(episode.frames) == len(episode) + 1 == len(episode.infos) == 13
    assert [action["attack"] for action in episode.actions] == [0] * 5 + [1] * 7
    assert [t for t, action in enumerate(episode.actions) if action["hotbar.4"]] == [4]
    assert episode.infos[2]["pose"]["x"] == lines[2]["xpos"]


def test_damage_is_named(tmp_path):
    path = _write(tmp_path, play(seed=0))
    good = path.read_text()
    path.write_text(good[: len(good) // 2])
    with pytest.raises(ValueError, match=r"episode.jsonl, line \d+"):
        read_vpt(path)
    path.write_text("\n".join(good.splitlines()[:-1]) + "\n")
    with pytest.raises(ValueError, match="12 frames for 11 actions, got 13"):
        read_vpt(path)
    path.write_text("")
    with pytest.raises(ValueError, match="empty file"):
        read_vpt(path)
    path.write_text("[1]\n")
    with pytest.raises(ValueError, match="line 1: expected one JSON object"):
        read_vpt(path)
    path.write_text('{"tick": 0}\n')
    with pytest.raises(ValueError, match="VPT's fields"):
        read_vpt(path)
    path.write_text(good)
    video = tmp_path / "episode.mp4"
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="episode.mp4|episode.jsonl"):
        read_vpt(path)
    video.unlink()
    with pytest.raises(FileNotFoundError, match="episode.mp4"):
        read_vpt(path)


def test_only_whole_episodes_appear(tmp_path):
    episode = play()
    with pytest.raises(RuntimeError, match="stop"):
        with VptWriter(tmp_path, "episode", EpisodeSource()) as writer:
            writer.reset(episode.frames[0], episode.infos[0])
            writer.step(episode.actions[0], episode.frames[1], 0.0, False, False, episode.infos[1])
            raise RuntimeError("stop")
    with pytest.raises(ValueError, match="at least one step"):
        with VptWriter(tmp_path, "episode", EpisodeSource()) as writer:
            writer.reset(episode.frames[0], episode.infos[0])
    with pytest.raises(RuntimeError, match="reset first"):
        with VptWriter(tmp_path, "episode", EpisodeSource()) as writer:
            writer.step(episode.actions[0], episode.frames[1], 0.0, False, False, episode.infos[1])
    with pytest.raises(TypeError, match=r"info\['thing'\].*object"):
        with VptWriter(tmp_path, "episode", EpisodeSource()) as writer:
            writer.reset(episode.frames[0], {"thing": object()})
    assert list(tmp_path.iterdir()) == []
