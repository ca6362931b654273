"""Spaces as JSON."""

import json
import subprocess
import sys

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from space_strategies import SPACES

from worldmodel.data.spaces import space_from_json, space_to_json
from worldmodel.envs.actions import action_space

EXAMPLES = [
    spaces.Discrete(5),
    spaces.Discrete(3, start=-1, dtype=np.int32),
    spaces.MultiDiscrete([[2, 3], [4, 5]], start=[[0, 1], [-2, 0]]),
    spaces.MultiDiscrete([2, 3], dtype=np.int8),
    spaces.MultiBinary(4),
    spaces.MultiBinary((2, 3)),
    spaces.Box(0, 255, (64, 48, 3), np.uint8),
    spaces.Box(-1.0, 1.0, ()),
    spaces.Box(np.array([-np.inf, 0.1]), np.array([1.0, np.inf]), dtype=np.float64),
    spaces.Box(-np.inf, np.inf, (3,), np.float32),
    spaces.Box(-np.inf, 7, (2,), np.int64),
    spaces.Box(-(2**63), 2**63 - 2, (1,), np.int64),
    spaces.Box(0, 1, (2,), np.bool_),
    spaces.Box(0.0, 1.0, (0,)),
    spaces.Dict({}),
    spaces.Tuple(()),
    spaces.Dict(
        {"b": spaces.Tuple((spaces.Discrete(2), spaces.Dict({"x": spaces.MultiBinary(1)}))), "a": spaces.Discrete(1)}
    ),
    action_space(),
]


def through_text(space):
    return space_from_json(json.loads(json.dumps(space_to_json(space), allow_nan=False, sort_keys=True)))


def same(first, second):
    """Whether spaces are the same in all that decides samples, exactly; `==` of boxes has a tolerance."""
    if isinstance(first, spaces.Dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, spaces.Tuple):
        return len(first) == len(second) and all(same(*pair) for pair in zip(first, second, strict=True))
    if isinstance(first, spaces.Box):
        names = ("low", "high", "bounded_below", "bounded_above")
        return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)
    return True


@pytest.mark.parametrize("space", EXAMPLES, ids=lambda space: repr(space)[:40])
def test_examples_come_back(space):
    back = through_text(space)
    assert back == space and type(back) is type(space)
    assert same(space, back)


@settings(max_examples=150, deadline=None)
@given(SPACES)
def test_any_space_comes_back(space):
    back = through_text(space)
    assert back == space
    assert same(space, back)


def test_samples_are_the_same():
    space = spaces.Box(np.array([-np.inf, 0.0]), np.array([1.0, 1.0]), dtype=np.float64)
    back = through_text(space)
    space.seed(3)
    back.seed(3)
    np.testing.assert_array_equal(space.sample(), back.sample())


def test_equal_bounds_are_one_number():
    assert space_to_json(spaces.Box(0, 255, (64, 64, 3), np.uint8)) == {
        "type": "Box",
        "low": 0,
        "high": 255,
        "shape": [64, 64, 3],
        "dtype": "uint8",
    }


def test_infinity_is_text():
    value = space_to_json(spaces.Box(np.array([-np.inf, -1.0]), np.array([np.inf, np.inf]), dtype=np.float64))
    assert (value["low"], value["high"]) == (["-inf", -1.0], "inf")


def test_the_order_of_keys_is_kept():
    space = spaces.Dict([("z", spaces.Discrete(2)), ("a", spaces.Discrete(3))])
    assert list(through_text(space)) == ["z", "a"]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Text(5), "space: expected Discrete.*got Text"),
        (
            spaces.Dict({"goal": spaces.Tuple((spaces.Sequence(spaces.Discrete(2)),))}),
            r"space\['goal'\]\[0\].*Sequence",
        ),
        (spaces.Dict([(1, spaces.Discrete(2))]), "space: expected text keys, got 1"),
        (5, "space: expected Discrete.*got int 5"),
    ],
)
def test_unsupported_spaces_are_named(space, message):
    with pytest.raises(TypeError, match=message):
        space_to_json(space)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([], TypeError, "space: expected a dictionary"),
        ({}, ValueError, "space: expected the type of a space"),
        ({"type": "Text"}, ValueError, "got type 'Text'"),
        ({"type": "Discrete", "start": 0}, ValueError, "expected the entry 'n' of a Discrete"),
        ({"type": "Discrete", "n": -3, "start": 0, "dtype": "int64"}, ValueError, "expected a Discrete"),
        ({"type": "Discrete", "n": "3", "start": 0, "dtype": "int64"}, ValueError, "expected a Discrete"),
        ({"type": "Box", "low": 0, "high": 1, "shape": [2], "dtype": "nonsense"}, ValueError, "expected a Box"),
        ({"type": "Box", "low": [0, 0, 0], "high": 1, "shape": [2], "dtype": "int8"}, ValueError, "expected a Box"),
        ({"type": "Box", "low": 0, "high": 300, "shape": [2], "dtype": "uint8"}, ValueError, "expected a Box"),
        ({"type": "Box", "low": 2, "high": 1, "shape": [2], "dtype": "float32"}, ValueError, "expected a Box"),
        ({"type": "MultiBinary", "n": 0}, ValueError, "expected a MultiBinary"),
        ({"type": "Tuple", "spaces": [{"type": "Discrete"}]}, ValueError, r"space\[0\]: expected the entry"),
        ({"type": "Dict", "spaces": ["abc"]}, ValueError, "space: expected pairs"),
        ({"type": "Dict", "spaces": [["a", 3]]}, TypeError, r"space\['a'\]: expected a dictionary"),
        ({"type": "Dict", "spaces": {"a": 3}}, ValueError, "a list named spaces"),
    ],
)
def test_what_makes_no_space_is_explained(value, error, message):
    with pytest.raises(error, match=message):
        space_from_json(value)


def test_does_not_import_torch():
    program = (
        "import sys, worldmodel.data.spaces, worldmodel.data.action_codec\n"
        "assert 'torch' not in sys.modules and 'worldmodel.envs' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
