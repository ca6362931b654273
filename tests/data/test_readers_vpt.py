"""VPT's contractor recordings, and our own read as theirs."""

import json

import gymnasium
import numpy as np
import pytest
from fake_recordings import film, numbers, pressed, vpt_line, write_mp4, write_vpt
from fake_voxel import FakeVoxel, play

import worldmodel.envs  # noqa: F401 - registers the block world
from worldmodel.data import VptWriter, read_source, read_vpt, write_episode
from worldmodel.data.readers.fitting import fit_frame
from worldmodel.data.vpt import KEYBOARD, MOUSE

NAMES = {key.removeprefix("key.keyboard."): name for name, key in KEYBOARD.items()}


def test_keys_buttons_and_pixels(tmp_path):
    lines = [
        vpt_line(0, keys=["w", "left.control", "h"], dx=20.0, dy=-7.0),
        vpt_line(1, keys=["s", "a", "d", "space", "left.shift"], buttons=[0, 1], new=[0, 1]),
        vpt_line(2, keys=["q", "e", "f", "escape"], buttons=[2, 5], dx=-1.0),
        vpt_line(3, dy=2000.0, dx=-2000.0),
        vpt_line(4, keys=["w"]),
    ]
    episode = read_vpt(write_vpt(tmp_path, lines))
    assert numbers(episode.frames) == [0, 1, 2, 3, 4] and len(episode) == 4
    expected = [
        ({"forward", "sprint"}, [-1.05, 3.0]),
        ({"back", "left", "right", "jump", "sneak", "attack", "use"}, [0, 0]),
        ({"drop", "inventory", "swapHands", "ESC", "pickItem"}, [0, -0.15]),
        (set(), [180, -180]),
    ]
    for action, (keys, camera) in zip(episode.actions, expected, strict=True):
        assert pressed(action)[0] == keys
        np.testing.assert_allclose(action["camera"], camera, rtol=1e-6)
    pose = {"x": 843.4, "y": 63.0, "z": 24.9, "yaw": -112.35, "pitch": 8.1}
    assert episode.infos[2] == {"pose": pose, "hotbar": 0, "inventory": {"oak_planks": 123}, "gui": False}
    assert episode.rewards.tolist() == [0] * 4 and (episode.terminated, episode.truncated) == (False, True)


def test_an_attack_button_that_is_stuck_counts_from_its_next_press_on(tmp_path):
    held = [vpt_line(t, buttons=[0], new=[0] if t in (0, 4) else []) for t in range(7)]
    assert [action["attack"] for action in read_vpt(write_vpt(tmp_path, held)).actions] == [0, 0, 0, 0, 1, 1]
    # Not stuck: another button is new with it, or it is not new.
    for new in ([0, 1], []):
        lines = [vpt_line(t, buttons=[0, 1], new=new if t == 0 else []) for t in range(3)]
        assert [action["attack"] for action in read_vpt(write_vpt(tmp_path, lines)).actions] == [1, 1]


def test_the_mouse_wheel_presses_keys_of_the_hotbar(tmp_path):
    slots = [4, 4, 5, 5, 0, 2, 2]
    keys = [[], [], [], [], ["1"], ["9"], []]
    lines = [vpt_line(t, keys=keys[t], hotbar=slot) for t, slot in enumerate(slots)]
    path = write_vpt(tmp_path, lines)
    found = [pressed(action)[0] for action in read_vpt(path).actions]
    assert found == [set(), set(), {"hotbar.6"}, set(), {"hotbar.1"}, {"hotbar.9", "hotbar.3"}]
    compat = [pressed(action)[0] for action in read_vpt(path, vpt_compat=True).actions]
    assert compat == [{"hotbar.1"}, {"hotbar.9", "hotbar.3"}], "lines without keys are left out, wheel or not"


def test_an_open_window_gets_a_pointer(tmp_path):
    places = [(0.0, 0.0), (400.0, 240.0), (1279.0, 719.0), (-500.0, 9000.0), (640.0, 360.0)]
    lines = [vpt_line(t, gui=t < 4, x=x, y=y, dx=3.0) for t, (x, y) in enumerate(places)]
    raw = np.full((5, 90, 160, 3), 100, np.uint8)
    episode = read_vpt(write_vpt(tmp_path, lines, frames=raw))
    assert [info["gui"] for info in episode.infos] == [True] * 4 + [False]
    drawn = [np.argwhere((frame != 100).any(2)) for frame in episode.frames]
    for where, top_left, bottom_right in ((drawn[0], (0, 0), (15, 11)), (drawn[1], (30, 50), (45, 61))):
        assert where.min(0).tolist() == list(top_left) and (where.max(0) <= bottom_right).all()
        assert where.max(0)[0] == bottom_right[0]
    assert drawn[2].tolist() == [[89, 159]] and len(drawn[3]) == len(drawn[4]) == 0
    assert set(np.unique(episode.frames[1])) == {0, 100, 255}
    for size in ((45, 80), (30, 40), (20, 20), (80, 150)):  # shrunk by the decoder, or afterwards
        (small,) = dict(read_source(tmp_path, size=size)).values()
        whole = np.stack([fit_frame(frame, size) for frame in episode.frames]).astype(int)
        assert np.abs(small.frames - whole).max() <= 2
        assert (small.frames[1] != 100).any()


def _as_the_published_loader(lines, num_frames):
    """What data_loader.py and run_inverse_dynamics_model.py of VPT make of the lines: frame numbers and actions."""
    pairs, stuck, slot = [], False, 0
    for t, line in enumerate(lines[:num_frames]):
        new, down = line["mouse"]["newButtons"], line["mouse"]["buttons"]
        stuck = new == [0] if t == 0 else stuck and 0 not in new
        down = [button for button in down if not (stuck and button == 0)]
        action = {NAMES[key[13:]] for key in line["keyboard"]["keys"] if key[13:] in NAMES}
        action |= {name for name, button in MOUSE.items() if button in down}
        camera = np.array([0, 0])  # of integers
        camera[0], camera[1] = line["mouse"]["dy"] * (360 / 2400), line["mouse"]["dx"] * (360 / 2400)
        null = not action and line["mouse"]["dx"] == 0 and line["mouse"]["dy"] == 0
        if line["hotbar"] != slot:
            action.add(f"hotbar.{line['hotbar'] + 1}")
        slot = line["hotbar"]
        if not null:
            pairs.append((t, action, camera.tolist()))
    return pairs


@pytest.mark.parametrize("seed", range(3))
def test_compatible_actions_are_those_of_the_published_loader(tmp_path, seed):
    rng = np.random.default_rng(seed)
    lines = []
    for t in range(60):
        buttons = [b for b in range(4) if rng.random() < 0.15]
        new = [0] if t == 0 and seed else [b for b in buttons if rng.random() < 0.3]
        dx, dy = (float(rng.integers(-90, 90)) if rng.random() < 0.3 else 0.0 for _ in range(2))
        keys = rng.choice([*NAMES, "h", "f3"], rng.integers(0, 2), replace=False).tolist()
        slot = int(rng.integers(9)) if rng.random() < 0.2 else (lines[-1]["hotbar"] if lines else 0)
        lines.append(vpt_line(t, keys=keys, buttons=buttons, new=new, dx=dx, dy=dy, hotbar=slot))
    path = write_vpt(tmp_path, lines, num_frames=60)
    expected = _as_the_published_loader(lines, 60)
    episode = read_vpt(path, vpt_compat=True)
    if expected[-1][0] == 59:  # the action of the last frame has no result
        expected.pop()
    assert 20 < len(expected) < 59
    assert numbers(episode.frames) == [t for t, _, _ in expected] + [59]
    assert [pressed(action) for action in episode.actions] == [(keys, camera) for _, keys, camera in expected]
    everything = read_vpt(path)
    assert numbers(everything.frames) == list(range(60))


def test_whole_degrees(tmp_path):
    lines = [vpt_line(t, dx=dx, dy=-dx) for t, dx in enumerate([20.0, 19.0, 6.0, 7.0, -1.0, 0.0])]
    path = write_vpt(tmp_path, lines)
    camera = [action["camera"].tolist() for action in read_vpt(path, vpt_compat=True).actions]
    assert camera == [[-3, 3], [-2, 2], [0, 0], [-1, 1], [0, 0]]


@pytest.mark.parametrize(("num_lines", "num_frames", "steps"), [(5, 5, 4), (5, 6, 5), (5, 9, 5), (5, 3, 2)])
def test_the_longer_of_both_files_is_cut(tmp_path, num_lines, num_frames, steps):
    lines = [vpt_line(t, dx=float(20 * t)) for t in range(num_lines)]
    episode = read_vpt(write_vpt(tmp_path, lines, num_frames))
    assert numbers(episode.frames) == list(range(steps + 1)) and len(episode.infos) == steps + 1
    assert [action["camera"][1] for action in episode.actions] == [3 * t for t in range(steps)]


def test_stripped_lines(tmp_path):
    lines = [vpt_line(t, keys=["w"]) for t in range(4)]
    for line in lines:
        for name in ("hotbar", "yaw", "xpos", "inventory", "tick", "stats", "isGuiOpen", "isGuiInventory"):
            del line[name]
    episode = read_vpt(write_vpt(tmp_path, lines))
    assert [pressed(action)[0] for action in episode.actions] == [{"forward"}] * 3
    assert episode.infos == [{"gui": False}] * 4


def _without_ours(path):
    """Takes from a file of ours what no contractor's has."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        del line["worldmodel"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_the_block_world_is_read_as_a_contractor(tmp_path):
    env = gymnasium.make("worldmodel/Voxel-v0", height=64, width=64)
    episode = play(seed=5, steps=25, env=env)
    write_episode(VptWriter(tmp_path, "world", episode.source), episode)
    _without_ours(tmp_path / "world.jsonl")
    for found in (read_vpt(tmp_path / "world.jsonl"), dict(read_source(tmp_path, size=None)).popitem()[1]):
        assert len(found) == len(episode)
        for ours, theirs in zip(episode.actions, found.actions, strict=True):
            assert set(ours) == set(theirs) and all(np.array_equal(ours[key], theirs[key]) for key in ours)
        errors = np.abs(found.frames.astype(int) - episode.frames).mean((1, 2, 3))
        assert errors.max() < 6, "the codec"
        assert np.abs(found.frames[1:].astype(int) - episode.frames[:-1]).mean() > errors.max(), "not its neighbours"
        assert [info["pose"]["x"] for info in found.infos[:-1]] == [info["pose"]["x"] for info in episode.infos[:-1]]
    env.close()


@pytest.mark.parametrize("vpt_compat", [False, True])
def test_our_own_are_exact_or_as_the_loader_sees_them(tmp_path, vpt_compat):
    episode = play(seed=2)
    write_episode(VptWriter(tmp_path, "own", episode.source, lossless=True), episode)
    found = read_vpt(tmp_path / "own.jsonl", vpt_compat=vpt_compat)
    camera = np.array([action["camera"] for action in episode.actions])
    read = np.array([action["camera"] for action in found.actions])
    np.testing.assert_array_equal(read, np.trunc(camera) if vpt_compat else camera)
    assert (found.infos == episode.infos) != vpt_compat


def _cut_in_half(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _edit(change):
    def damage(lines_file):
        lines = lines_file.read_text().splitlines(keepends=True)
        lines_file.write_text("".join(change(lines)))

    return damage


DAMAGES = {
    "mp4 cut off": (lambda path: _cut_in_half(path.with_suffix(".mp4")), "expected a whole video"),
    "mp4 empty": (lambda path: path.with_suffix(".mp4").write_bytes(b""), "expected a whole video"),
    "jsonl cut off": (_cut_in_half, r"line \d+: expected one JSON object"),
    "jsonl empty": (lambda path: path.write_text(""), "empty file"),
    "lines missing": (_edit(lambda lines: lines[:8] + lines[11:]), "line 9: expected every tick.* 3 ticks"),
    "no JSON": (_edit(lambda lines: [*lines[:5], "{bad\n", *lines[5:]]), "line 6: expected one JSON object"),
    "no object": (_edit(lambda lines: [*lines[:5], "[1]\n", *lines[5:]]), "line 6: expected one JSON object, got list"),
    "no keyboard": (_edit(lambda lines: [*lines[:-3], '{"mouse": null}\n', *lines[-3:]]), "expected VPT's fields"),
    "no such slot": (_edit(lambda lines: [line.replace('"hotbar": 0', '"hotbar": 9') for line in lines]), "hotbar 9"),
    "no number": (
        _edit(lambda lines: [line.replace('"dx": 0.0', '"dx": NaN') for line in lines]),
        "mouse movement nan",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_named_and_passed_over(tmp_path, damage):
    lines = [vpt_line(t, keys=["w"]) for t in range(16)]
    harm, message = DAMAGES[damage]
    path = write_vpt(tmp_path, lines, name="b")
    write_vpt(tmp_path, lines, name="c")
    harm(path)
    with pytest.raises(ValueError, match=rf"/b\.(mp4|jsonl).*{message}"):
        read_vpt(path)
    for chunk_frames in (None, 6):
        source = read_source(tmp_path, size=None, chunk_frames=chunk_frames)
        names = {key.split("/")[-1].split("#")[0] for key, _ in source}
        assert "c" in names and len(source.skipped) == 1 and source.skipped[0].startswith(f"{path}: ")


def test_ticks_that_the_game_left_out_do_no_harm(tmp_path):
    lines = [vpt_line(t if t < 5 else t + 7, dx=20.0 * t) for t in range(12)]
    episode = read_vpt(write_vpt(tmp_path, lines))
    assert [action["camera"][1] for action in episode.actions] == [3 * t for t in range(11)]


def test_lines_of_something_else_are_no_recording(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"file": "film.mp4"}\n')
    write_mp4(tmp_path / "film.mp4", film(3))
    (key,) = dict(read_source(tmp_path, size=None))
    assert key.endswith("film.mp4")


def test_one_size_for_all_frames(tmp_path):
    write_vpt(tmp_path, [vpt_line(t) for t in range(4)])
    (episode,) = dict(read_source(tmp_path, size=(16, 16))).values()
    assert episode.frames.shape == (4, 16, 16, 3)
    assert FakeVoxel().action_space.contains(episode.actions[0])
