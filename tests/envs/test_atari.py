import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.envs import atari

pytest.importorskip("ale_py")


def make(render_mode=None, **settings):
    return gymnasium.make("worldmodel/Atari-v0", render_mode=render_mode, **settings)


def play(env, actions, seed):
    observation, info = env.reset(seed=seed)
    frames, infos = [observation], [info]
    for action in actions:
        observation, _, _, _, info = env.step(action)
        frames.append(observation)
        infos.append(info)
    return np.stack(frames), infos


def test_passes_gymnasiums_check(recwarn):
    check_env(make().unwrapped)
    assert not [str(warning.message) for warning in recwarn if "gymnasium" in str(warning.filename)]


def test_spaces():
    env = make()
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert env.action_space == gymnasium.spaces.Discrete(6)
    assert env.unwrapped.action_names == ["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"]
    assert env.metadata["render_fps"] == 15
    assert make(frames_per_tick=1, frame_skip=2).metadata["render_fps"] == 30


@pytest.mark.parametrize("sticky", [0.0, 0.25])
def test_same_seed_gives_the_same_bytes(sticky):
    actions = np.random.default_rng(0).integers(6, size=40).tolist()
    env = make(sticky_actions=sticky)
    frames, infos = play(env, actions, 2)
    again, infos_again = play(env, actions, 2)
    assert np.array_equal(frames, again) and infos[1:] == infos_again[1:]
    assert np.array_equal(frames, play(make(sticky_actions=sticky), actions, 2)[0])
    assert len({frame.tobytes() for frame in frames}) > 20


def test_a_tick_is_some_frames_of_the_console():
    slow, quick = make(), make(frames_per_tick=1)
    for env in (slow, quick):
        env.reset(seed=0)
    for _ in range(10):
        frame = slow.step(3)[0]
        for _ in range(4):
            last = quick.step(3)[0]
        assert np.array_equal(frame, last)


def test_captions_tell_joystick_points_and_lives():
    env = make(game="breakout", frame_skip=4)
    _, info = env.reset(seed=0)
    assert info["caption"] == "a game of Breakout, the joystick at rest" and info["lives"] == 5
    captions = [env.step(action)[4]["caption"] for action in (1, 2, 3)]
    assert captions[0] == "a game of Breakout, the joystick at rest, the button pressed"
    assert captions[1] == "a game of Breakout, the joystick right"
    while not captions[-1].endswith("a life is lost"):
        captions.append(env.step(1)[4]["caption"])
        assert len(captions) < 200
    pong = make(frame_skip=8)
    pong.reset(seed=0)
    assert any("points are lost" in pong.step(0)[4]["caption"] for _ in range(40))
    assert atari._joystick("UPRIGHTFIRE") == "the joystick up and right, the button pressed"
    assert atari._joystick("FIRE") == "the joystick at rest, the button pressed"


def test_it_does_not_greet():
    code = "import gymnasium, worldmodel.envs; gymnasium.make('worldmodel/Atari-v0').reset(seed=0)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"game": "chess"}, "game: expected one of adventure, .*, got 'chess'"),
        ({"game": "combat"}, "game: expected one of .*, got 'combat'"),
        ({"frames_per_tick": 0}, r"frames_per_tick: expected a whole number in \[1, 16\], got 0"),
        ({"sticky_actions": 1.0}, "sticky_actions: expected a probability"),
        ({"frame_skip": 17}, "frame_skip: expected"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_without_ale_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(ImportError, match=r"worldmodel/Atari-v0 needs the extra .*worldmodel\[atari\]"):
        atari.AtariEnv()
