"""The action space, its parser, and the discrete preset."""

import dataclasses
import math
import random
from types import MappingProxyType

import gymnasium
import numpy as np
import pytest

from worldmodel.envs.actions import (
    BUTTONS,
    DISCRETE_ACTIONS,
    KEYS,
    action_space,
    discrete_action,
    discrete_action_space,
    no_op,
    parse_action,
)
from worldmodel.envs.voxel.controls import Controls

FIELDS = {
    "attack": "attack",
    "back": "back",
    "drop": "drop",
    "forward": "forward",
    "inventory": "inventory",
    "jump": "jump",
    "left": "left",
    "pickItem": "pick_item",
    "right": "right",
    "sneak": "sneak",
    "sprint": "sprint",
    "swapHands": "swap_hands",
    "use": "use",
}


def test_space_is_that_of_minerl():
    space = action_space()
    assert len(BUTTONS) == 23 and len(KEYS) == 24
    assert tuple(space) == KEYS == tuple(sorted(KEYS))
    assert all(space[name] == gymnasium.spaces.Discrete(2) for name in BUTTONS)
    assert space["camera"] == gymnasium.spaces.Box(-180.0, 180.0, (2,), np.float32)


def test_no_op_is_all_zeros_and_does_nothing():
    action = no_op()
    assert action in action_space()
    assert all(np.all(np.asarray(value) == 0) for value in action.values())
    assert parse_action(action) == parse_action({}) == Controls()
    action["camera"][0] = 1.0
    assert no_op()["camera"][0] == 0.0


@pytest.mark.parametrize("name", BUTTONS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "one", [1, True, np.int64(1), np.uint8(1), np.bool_(True), np.float32(1), np.array(1), np.array([1]), [1]]
)
def test_every_button_in_every_form(name, full, one):
    action = (no_op() if full else {}) | {name: one}
    expected = Controls()
    if name.startswith("hotbar"):
        expected.hotbar = int(name[-1]) - 1
    elif name in FIELDS:
        setattr(expected, FIELDS[name], True)
    controls = parse_action(action)
    assert controls == expected
    for field in dataclasses.fields(Controls):  # plain Python values, whatever came in
        assert type(getattr(controls, field.name)) is type(getattr(expected, field.name))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "camera",
    [
        (1.5, -2.0),
        [1.5, -2],
        np.array([1.5, -2.0]),
        np.array([1.5, -2.0], np.float32),
        np.array([[1.5, -2.0]]),
        [[1.5, -2.0]],
        (np.float32(1.5), np.array(-2.0)),
    ],
)
def test_camera_in_every_form(full, camera):
    controls = parse_action((no_op() if full else {}) | {"camera": camera})
    assert (controls.camera_pitch, controls.camera_yaw) == (1.5, -2.0)
    assert type(controls.camera_pitch) is type(controls.camera_yaw) is float


def test_camera_may_reach_the_limits():
    assert parse_action({"camera": (180, -180.0)}) == Controls(camera_pitch=180.0, camera_yaw=-180.0)


def test_full_and_partial_dictionaries_agree():
    space = action_space()
    space.seed(0)
    for _ in range(200):
        action = space.sample()
        partial = {name: value for name, value in action.items() if name == "camera" or value}
        arrays = {name: np.asarray(value).reshape((1, 2) if name == "camera" else 1) for name, value in action.items()}
        shuffled = dict(random.Random(1).sample(list(action.items()), 24))
        for other in (partial, arrays, shuffled, MappingProxyType(action)):
            assert parse_action(action) == parse_action(other)


def test_opposite_keys_are_both_passed_on_and_the_highest_slot_wins():
    assert parse_action({"forward": 1, "back": 1}) == Controls(forward=True, back=True)
    assert parse_action({"hotbar.7": 1, "hotbar.2": 1}).hotbar == 6
    assert parse_action(no_op() | {"hotbar.7": 1, "hotbar.2": 1}).hotbar == 6


BAD_VALUES = [
    ("forward", 2, ValueError),
    ("forward", -1, ValueError),
    ("forward", 0.5, ValueError),
    ("forward", math.nan, ValueError),
    ("forward", 10**30, TypeError),
    ("forward", "1", TypeError),
    ("forward", None, TypeError),
    ("forward", [], ValueError),
    ("forward", [0, 1], ValueError),
    ("forward", np.zeros((1, 1)), ValueError),
    ("ESC", 7, ValueError),
    ("hotbar.3", 3, ValueError),
    ("camera", (math.nan, 0.0), ValueError),
    ("camera", np.array([0.0, math.inf]), ValueError),
    ("camera", (0.0, 180.5), ValueError),
    ("camera", (-181, 0), ValueError),
    ("camera", 3.0, ValueError),
    ("camera", (1.0,), ValueError),
    ("camera", (1.0, 2.0, 3.0), ValueError),
    ("camera", np.zeros((2, 1)), ValueError),
    ("camera", np.zeros((2, 2)), ValueError),
    ("camera", "ab", TypeError),
    ("camera", ("1", "2"), TypeError),
    ("camera", None, TypeError),
    ("camera", {1.0, 2.0}, TypeError),
    ("camera", [[1.0], 2.0], TypeError),
    ("camera", np.array([1j, 0]), TypeError),
]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("name", "value", "error"), BAD_VALUES)
def test_bad_values_name_the_key_and_what_was_expected(full, name, value, error):
    with pytest.raises(error, match=rf"action\['{name}'\]: expected .*, got .*; ") as caught:
        parse_action((no_op() if full else {}) | {name: value})
    assert ("two" if name == "camera" else "0 or 1") in str(caught.value)


@pytest.mark.parametrize("value", [0, 1])
def test_unknown_keys_are_refused(value):
    with pytest.raises(ValueError, match="expected keys among .*forward.*, got 'fly'; remove or rename it"):
        parse_action({"fly": value})
    with pytest.raises(ValueError, match="got 'fly'"):
        parse_action(no_op() | {"fly": value})
    renamed = no_op() | {"Forward": value}
    del renamed["forward"]
    with pytest.raises(ValueError, match="got 'Forward'"):
        parse_action(renamed)
    with pytest.raises(ValueError, match="got 3"):
        parse_action({3: value})


@pytest.mark.parametrize("action", [None, 3, np.int64(3), "forward", ["forward"], np.zeros(24), [0] * 24, "x" * 24])
def test_what_is_no_dictionary_is_refused(action):
    with pytest.raises(
        TypeError, match="(?s)action: expected a dictionary with any of the keys ESC, .*discrete preset"
    ):
        parse_action(action)


def test_discrete_actions_are_distinct_and_parse():
    names = [name for name, _ in DISCRETE_ACTIONS]
    assert len(set(names)) == len(names) == discrete_action_space().n
    parsed = [parse_action(keys) for _, keys in DISCRETE_ACTIONS]
    assert all(a != b for i, a in enumerate(parsed) for b in parsed[:i])
    assert names[0] == "noop" and parsed[0] == Controls()
    by_name = dict(zip(names, parsed, strict=True))
    assert by_name["turn_right"].camera_yaw > 0 and by_name["look_down"].camera_pitch > 0


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.array, lambda index: np.array([index])])
def test_discrete_action_accepts_integers_and_returns_copies(kind):
    for index, (_, keys) in enumerate(DISCRETE_ACTIONS):
        action = discrete_action(kind(index))
        assert action == dict(keys)
        action["forward"] = 5
        assert discrete_action(kind(index)) == dict(keys)


@pytest.mark.parametrize(
    ("index", "error"),
    [
        (-1, ValueError),
        (len(DISCRETE_ACTIONS), ValueError),
        (np.array([1, 2]), ValueError),
        (1.0, TypeError),
        (True, TypeError),
        (None, TypeError),
        ({"forward": 1}, TypeError),
    ],
)
def test_bad_discrete_actions_are_refused(index, error):
    with pytest.raises(error, match=r"action: expected an integer in \[0, \d+\).*, got .*; "):
        discrete_action(index)
