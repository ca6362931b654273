"""Keys given as text: how they are read, and what they do."""

import gymnasium
import numpy as np
import pytest

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.agents.keys import parse_keys
from worldmodel.envs.actions import BUTTONS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jump", [({"jump": 1}, 1)]),
        ("forward*20", [({"forward": 1}, 20)]),
        (" forward + sprint+jump * 3 ", [({"forward": 1, "sprint": 1, "jump": 1}, 3)]),
        ("hotbar.3, pickItem, ESC", [({"hotbar.3": 1}, 1), ({"pickItem": 1}, 1), ({"ESC": 1}, 1)]),
        ("wait*7, noop", [({}, 7), ({}, 1)]),
        ("look right 90", [({"camera": (0.0, 10.0)}, 9)]),
        ("look  left 25", [({"camera": (0.0, -25 / 3)}, 3)]),
        ("look up 5", [({"camera": (-5.0, 0.0)}, 1)]),
        ("look down 7.5 in 3 steps", [({"camera": (2.5, 0.0)}, 3)]),
        ("look right 180 in 1 step", [({"camera": (0.0, 180.0)}, 1)]),
        ("forward*2,\n look right 20,jump", [({"forward": 1}, 2), ({"camera": (0.0, 10.0)}, 2), ({"jump": 1}, 1)]),
    ],
)
def test_texts_are_read(text, expected):
    parts = parse_keys(text)
    assert [steps for _, steps in parts] == [steps for _, steps in expected]
    for (keys, _), (wanted, _) in zip(parts, expected, strict=True):
        assert keys == wanted or keys["camera"] == pytest.approx(wanted["camera"])


def test_every_key_has_its_name():
    assert parse_keys(", ".join(BUTTONS)) == [({name: 1}, 1) for name in BUTTONS]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "part 1 of 1, '': expected keys among ESC, .*, got nothing"),
        ("forward,,jump", "part 2 of 3, '': expected keys .*, got nothing"),
        ("forward,", "part 2 of 2, '': expected keys"),
        ("foward*3", r"part 1 of 1, 'foward\*3': expected keys among .*, got 'foward'; did you mean forward"),
        ("forward+", r"part 1 of 1, 'forward\+': expected keys among .*, got nothing"),
        ("wait+jump", "expected keys among .*, got 'wait'"),
        ("camera", "expected keys among .*, got 'camera'; or use 'look"),
        ("forward 20", "expected keys among .*, got 'forward 20'"),
        ("jump*", "expected a whole number of steps from 1 on, got ''"),
        ("jump*0", "expected a whole number of steps from 1 on, got '0'"),
        ("jump*2.5", "expected a whole number of steps from 1 on, got '2.5'"),
        ("jump*-1", "expected a whole number of steps from 1 on, got '-1'"),
        ("look right", "expected 'look right|left|up|down DEGREES'.*, got 2 words"),
        ("look right 90 in 3", "expected 'look right|left|up|down DEGREES'.*, got 5 words"),
        ("look north 90", "expected a direction among up, down, left, right, got 'north'"),
        ("look right far", "expected a number of degrees above 0, got 'far'"),
        ("look right -5", "expected a number of degrees above 0, got '-5'"),
        ("look right nan", "expected a number of degrees above 0, got 'nan'"),
        ("look right inf", "expected a number of degrees above 0, got 'inf'"),
        ("look right 90 in no steps", "expected a whole number of steps from 1 on, got 'no'"),
        ("look right 400 in 2 steps", "expected at most 180 degrees a step, got 200; give it more steps"),
    ],
)
def test_errors_name_the_part(text, message):
    with pytest.raises(ValueError, match=f"keys: .*{message}"):
        parse_keys(text)


def test_only_text_is_read():
    with pytest.raises(TypeError, match="keys: expected text such as .*, got int 3"):
        parse_keys(3)


@pytest.mark.parametrize("frame_skip", [1, 3])
def test_a_turn_is_as_large_as_it_says(frame_skip):
    env = gymnasium.make("worldmodel/Voxel-v0", height=32, width=32, frame_skip=frame_skip)
    player = make_player("keys", env, keys="look right 90, look down 30 in 2 steps, forward*4")
    for _ in range(2):  # the second time it begins anew
        observation, info = env.reset(seed=0)
        player.reset(0)
        start = info["pose"]
        actions = []
        for _ in range(9 + 2 + 4 + 3):
            actions.append(player.act(observation, info))
            assert actions[-1] in env.action_space
            observation, *_, info = env.step(actions[-1])
        assert (info["pose"]["yaw"] - start["yaw"]) % 360 == pytest.approx(90, abs=1e-3)
        assert info["pose"]["pitch"] - start["pitch"] == pytest.approx(30, abs=1e-3)
        assert [action["forward"] for action in actions] == [0] * 11 + [1] * 4 + [0] * 3
        assert all(not np.any(value) for value in actions[-1].values())  # it stands still
    env.close()


def test_it_plays_dreams(dream):
    player = make_player("keys", dream, keys="look left 20 in 2 steps, jump")
    observation, info = dream.reset(seed=0)
    player.reset(0)
    actions = []
    for _ in range(4):
        actions.append(player.act(observation, info))
        assert actions[-1] in dream.action_space
        observation, *_, info = dream.step(actions[-1])
    # Two ticks in a step, and the camera acts on both.
    assert [action["camera"].tolist() for action in actions] == [[0, -5], [0, -5], [0, 0], [0, 0]]
    assert [action["jump"] for action in actions] == [0, 0, 1, 0]


def test_it_needs_the_dictionary():
    env = gymnasium.make("worldmodel/Voxel-v0", height=32, width=32, actions="discrete")
    with pytest.raises(TypeError, match="env: expected the dictionary of keys as action space, got Discrete"):
        make_player("keys", env)
    with pytest.raises(TypeError, match="env: expected the dictionary of keys as action space, got Discrete"):
        make_player("keys", gymnasium.make("CartPole-v1"))
