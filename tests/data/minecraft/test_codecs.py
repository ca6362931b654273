"""The registry, and what all codecs have in common."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
from oracle import left, plain, same

from worldmodel.data.minecraft import BUTTONS, CODECS, ITEM_ACTIONS, Codec, action_space, codec, convert, no_op

NAMES = ["minerl-0.4", "minerl-1.0", "vpt", "oasis", "mineworld", "minedojo", "teco", "gamefactory"]
PAGE = Path(__file__).parents[3] / "docs" / "minecraft_actions.md"


def test_the_codecs_are_found_by_their_names():
    assert list(CODECS) == NAMES
    for name, known in CODECS.items():
        assert codec(name) is known and known.name == name and isinstance(known, Codec)
        assert name in repr(known)


@pytest.mark.parametrize("name", ["", "VPT", "malmo", None, 3, ["vpt"]])
def test_unknown_names_are_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match="name: expected one of minerl-0.4, .*, gamefactory, got .*; choose") as error:
        codec(name)
    assert all(known in str(error.value) for known in NAMES)
    with pytest.raises(ValueError, match="name: expected one of"):
        convert({}, name, "vpt")
    with pytest.raises(ValueError, match="name: expected one of"):
        convert({}, "minerl-1.0", name)


@pytest.mark.parametrize("name", NAMES)
def test_the_no_op_does_nothing_and_is_new_each_time(name):
    one = codec(name)
    assert same(one.to_dictionary(one.noop), no_op())
    assert plain(one.from_dictionary(no_op())) == plain(one.noop) == plain(one.from_dictionary({}))
    assert one.space is None or one.space.contains(one.noop)
    if not isinstance(one.noop, int | tuple):
        assert one.noop is not one.noop


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("target", NAMES)
def test_no_ops_are_converted_to_no_ops(source, target):
    assert plain(convert(codec(source).noop, source, target)) == plain(codec(target).noop)


def test_actions_are_converted_through_the_dictionary():
    assert convert((323, 65), "vpt", "minedojo").tolist() == [1, 0, 1, 12, 13, 0, 0, 0]
    assert convert(3, "teco", "gamefactory") == {
        "ws": 0, "ad": 0, "scs": 1, "pitch_delta": 0.0, "yaw_delta": 20 / 15
    }  # fmt: skip
    assert convert({"ws": 1, "ad": 0, "scs": 3}, "gamefactory", "vpt") == (288 + 32, 60)
    assert convert({"attack": 1, "craft": "stick"}, "minerl-0.4", "minerl-0.4")["craft"] == "stick"
    assert convert({"attack": 1, "craft": "stick"}, "minerl-0.4", "vpt") == (4, 60)


@pytest.mark.parametrize("name", NAMES)
def test_every_button_that_is_lost_alone_is_said_to_be(name):
    one = codec(name)
    for button in BUTTONS:
        back = one.to_dictionary(one.from_dictionary({button: 1}))
        said = "hotbar.1 to hotbar.9" if button.startswith("hotbar") else button
        # TECO walks and turns with jump, so forward comes back, but not alone.
        if not same(back, no_op() | {button: 1}) and (name, button) != ("teco", "forward"):
            assert re.search(rf"\b{said}\b", one.lost), f"{button} is lost and it is not said"
        elif name in ("minerl-0.4", "oasis", "minerl-1.0"):
            assert not re.search(rf"\b{said}\b", one.lost), f"{button} is said to be lost and is not"


@pytest.mark.parametrize("name", NAMES)
def test_item_actions_survive_in_minerl_04_alone(name):
    one = codec(name)
    for key, values in ITEM_ACTIONS.items():
        for value in values:
            back = one.to_dictionary(one.from_dictionary({key: value}))
            kept = {key: value} if name == "minerl-0.4" and value != "none" else {}
            assert {key: value for key, value in back.items() if key in ITEM_ACTIONS} == kept
    assert ("MineRL 0.4's item actions" in one.lost) == (name != "minerl-0.4")


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_in_stays_as_it_is(name):
    one = codec(name)
    action = {"forward": np.array([1]), "back": True, "camera": np.array([[3.0, -4.0]]), "craft": "stick"}
    before = copy.deepcopy(action)
    native = one.from_dictionary(action)
    assert plain(action) == plain(before)
    before = copy.deepcopy(native)
    dictionary = one.to_dictionary(native)
    dictionary["camera"][:] = 99.0
    assert plain(native) == plain(before)


@pytest.mark.parametrize("name", NAMES)
def test_values_are_plain_whatever_came_in(name):
    one = codec(name)
    for value in (1, True, np.int64(1), np.uint8(1), np.bool_(True), np.float32(1), np.array(1), np.array([1]), [1]):
        for camera in ([1.5, -12], np.array([[1.5, -12]]), (np.float64(1.5), np.array(-12))):
            action = {"forward": value, "use": value, "camera": camera}
            back = one.to_dictionary(one.from_dictionary(action))
            full = no_op() | {"forward": 1, "use": 1, "camera": np.array([1.5, -12], np.float32)}
            assert same(back, left(name, full))
            assert back in action_space()
            assert all(type(back[button]) is int for button in BUTTONS)


def test_the_page_lists_every_codec():
    rows = [line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert [row[1].strip().strip("`") for row in rows if row[1].strip().strip("`") in NAMES] == NAMES
