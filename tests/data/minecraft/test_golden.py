"""Each codec against numbers worked out by hand from the published definition of its format."""

import math

import numpy as np
import pytest
from oracle import HOTBAR, plain

from worldmodel.data import vpt as vpt_recordings
from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.action_factors import CAMERA_BINSIZE, CAMERA_MAXVAL, CAMERA_MU
from worldmodel.data.minecraft import BUTTONS, ITEM_ACTIONS, KEYS, MineWorldCodec, action_space, codec, no_op
from worldmodel.data.minecraft.camera import MINEWORLD_CAMERA, OASIS_CAMERA, VPT_CAMERA


def pressed(dictionary):
    """The keys that are down, and the camera if it turns, as plain values."""
    down = {key: value for key, value in dictionary.items() if key != "camera" and value != 0}
    turn = tuple(round(angle, 3) for angle in dictionary["camera"].tolist())
    return down if turn == (0, 0) else down | {"camera": turn}


def both_ways(name, cases):
    """Holds a codec to native actions and what they press, there and back."""
    for native, keys in cases:
        assert plain(codec(name).from_dictionary(keys)) == native, keys
        assert pressed(codec(name).to_dictionary(native)) == keys, native


def test_the_hub_has_the_keys_of_recordings_and_of_the_environments():
    assert {*vpt_recordings.KEYBOARD, *vpt_recordings.MOUSE, "camera"} == set(KEYS)
    assert len(KEYS) == 24 and tuple(sorted(KEYS)) == KEYS
    assert no_op() in action_space()


def test_camera_bins_of_vpt():
    degrees = [0, 0.615, 1.609, 3.215, 5.809, 10]
    expected = [-angle for angle in degrees[:0:-1]] + degrees
    assert VPT_CAMERA.count == 11 and VPT_CAMERA.centre == 5
    assert [round(VPT_CAMERA.decode(i), 3) for i in range(11)] == expected
    assert [VPT_CAMERA.encode(angle) for angle in expected] == list(range(11))
    assert [VPT_CAMERA.encode(angle) for angle in (0.2709, 0.2711, -0.2709, -0.2711)] == [5, 6, 5, 4]
    assert [VPT_CAMERA.encode(angle) for angle in (7.654, 7.656, 180, -180)] == [9, 10, 10, 0]


def test_camera_bins_of_vpt_are_those_of_the_action_codec():
    assert (VPT_CAMERA.maxval, VPT_CAMERA.binsize, VPT_CAMERA.mu) == (CAMERA_MAXVAL, CAMERA_BINSIZE, CAMERA_MU)
    values = ActionCodec(action_space()).factors[3].values
    middle = len(values) // 2
    np.testing.assert_allclose(values[middle - 5 : middle + 6], [VPT_CAMERA.decode(i) for i in range(11)], rtol=1e-12)


def test_camera_bins_of_oasis():
    # From the table of a reader who ran the published function, open-oasis issue 48: degrees, and value of the vector.
    table = {22: 1, 19: 0.975, 18: 0.95, 17: 0.9, 16: 0.875, 15: 0.85, 14: 0.8, 13: 0.775, 12: 0.725, 11: 0.7}
    table |= {10: 0.65, 9: 0.6, 8: 0.55, 7: 0.5, 6: 0.45, 5: 0.4, 0: 0}
    assert OASIS_CAMERA.count == 81 and OASIS_CAMERA.centre == 40
    for degrees, value in table.items():
        for sign in (1, -1):
            assert (OASIS_CAMERA.encode(sign * degrees) - 40) / 40 == sign * value
    # One bin is half a degree before the law: 20 (3.7 ** 0.025 - 1) / 2.7.
    assert math.isclose(OASIS_CAMERA.decode(41), 0.24629, abs_tol=1e-5)
    assert math.isclose(OASIS_CAMERA.decode(79), 19.11805, abs_tol=1e-5)


def test_camera_bins_of_mineworld():
    # 90 (12.4887 ** (i / 10) - 1) / 11.4887
    expected = [0, 2.25, 5.146, 8.874, 13.673, 19.85, 27.802, 38.037, 51.212, 68.17, 90]
    assert MINEWORLD_CAMERA.count == 21 and MINEWORLD_CAMERA.centre == 10
    assert [round(MINEWORLD_CAMERA.decode(10 + i), 3) for i in range(11)] == expected
    assert [round(MINEWORLD_CAMERA.decode(10 - i), 3) for i in range(1, 11)] == [-angle for angle in expected[1:]]


def test_minerl_04_has_the_keys_of_its_environments():
    treechop = ["attack", "back", "camera", "forward", "jump", "left", "right", "sneak", "sprint"]
    assert list(codec("minerl-0.4").space) == treechop
    # As minerl 0.4.4 prints its spaces, in the order of the alphabet.
    enums = {
        "craft": "crafting_table,none,planks,stick,torch",
        "equip": "air,iron_axe,iron_pickaxe,none,stone_axe,stone_pickaxe,wooden_axe,wooden_pickaxe",
        "nearbyCraft": "furnace,iron_axe,iron_pickaxe,none,stone_axe,stone_pickaxe,wooden_axe,wooden_pickaxe",
        "nearbySmelt": "coal,iron_ingot,none",
        "place": "cobblestone,crafting_table,dirt,furnace,none,stone,torch",
    }
    assert {key: ",".join(sorted(values)) for key, values in ITEM_ACTIONS.items()} == enums


def test_minerl_04_keeps_item_actions_as_text():
    native = {"attack": 1, "camera": [0.0, 5.0], "craft": "planks", "place": np.str_("dirt"), "equip": "none"}
    dictionary = codec("minerl-0.4").to_dictionary(native)
    assert pressed(dictionary) == {"attack": 1, "craft": "planks", "place": "dirt", "camera": (0, 5)}
    assert type(dictionary["place"]) is str and len(dictionary) == 24 + 2
    back = codec("minerl-0.4").from_dictionary(dictionary)
    assert {key: value for key, value in back.items() if key in ITEM_ACTIONS} == {"craft": "planks", "place": "dirt"}
    assert codec("minerl-1.0").from_dictionary(dictionary).keys() == set(KEYS)


def test_minerl_10_is_the_dictionary():
    assert codec("minerl-1.0").space == action_space()
    assert plain(codec("minerl-1.0").noop) == plain(no_op())
    both_ways("minerl-1.0", [(plain(no_op() | {"ESC": 1, "use": 1}), {"ESC": 1, "use": 1})])


# ------------------------------------------------------------------------------------------------ VPT

# The camera's switch is the fastest, each group is as many times slower as all after it have combinations.
STRIDES = {"jump": 2, "attack": 4, "drop": 8, "use": 16, "sprint": 32, "sneak": 64, "left": 96, "right": 192}
STRIDES |= {"forward": 288, "back": 576} | {name: 864 * number for number, name in enumerate(HOTBAR, 1)}


def test_vpt_has_the_published_size_and_no_op():
    space = codec("vpt").space
    assert (space[0].n, space[1].n) == (8641, 121)
    assert codec("vpt").noop == (0, 60)


def test_vpt_joint_indices():
    both_ways(
        "vpt",
        [
            ((0, 60), {}),
            *(((stride, 60), {name: 1}) for name, stride in STRIDES.items()),
            ((8640, 60), {"inventory": 1}),
            ((322, 60), {"forward": 1, "sprint": 1, "jump": 1}),
            ((1, 115), {"camera": (10, 0)}),
            ((1, 65), {"camera": (0, 10)}),
            ((1, 0), {"camera": (-10, -10)}),
            ((1, 71), {"camera": (0.615, 0)}),
            ((293, 58), {"forward": 1, "attack": 1, "camera": (0, -1.609)}),
            ((8639, 120), dict.fromkeys(("hotbar.9", "back", "right", "sneak", "use", "drop", "attack", "jump"), 1)
             | {"camera": (10, 10)}),
        ],
    )  # fmt: skip


def test_vpt_every_button_index_is_the_sum_of_its_keys():
    for index in range(8640):
        down = pressed(codec("vpt").to_dictionary((index, 0)))
        turns = down.pop("camera", None) == (-10, -10)
        assert turns == index % 2
        assert sum(STRIDES[name] for name in down) + turns == index


def test_vpt_rules_for_keys_that_exclude_each_other():
    encode = codec("vpt").from_dictionary
    assert encode({"forward": 1, "back": 1, "left": 1, "right": 1}) == (0, 60)
    assert encode({"sprint": 1, "sneak": 1}) == (64, 60)
    assert encode({"hotbar.2": 1, "hotbar.7": 1}) == (864 * 7, 60)
    assert encode({"inventory": 1, "forward": 1, "camera": (10, 10)}) == (8640, 60)
    assert encode({"ESC": 1, "pickItem": 1, "swapHands": 1}) == (0, 60)
    assert encode({"camera": (0.27, -0.27)}) == (0, 60)


def test_vpt_reads_what_its_policy_gives():
    decode = codec("vpt").to_dictionary
    for native in ({"buttons": np.array([[293]]), "camera": np.array([[58]])}, [293, 58], np.array([293, 58])):
        assert pressed(decode(native)) == {"forward": 1, "attack": 1, "camera": (0, -1.609)}
    assert pressed(decode((292, 58))) == {"forward": 1, "attack": 1}  # the switch is off
    assert pressed(decode((8640, 0))) == {"inventory": 1, "camera": (-10, -10)}  # as published, though never written


def test_oasis_order_and_values():
    order = ["inventory", "ESC", *HOTBAR, "forward", "back", "left", "right", "camera", "camera", "jump", "sneak"]
    order += ["sprint", "swapHands", "attack", "use", "pickItem", "drop"]
    assert len(order) == 25 and codec("oasis").noop.tolist() == [0.0] * 25
    for i, name in enumerate(order):
        if name != "camera":
            both_ways("oasis", [([0.0] * i + [1.0] + [0.0] * (24 - i), {name: 1})])
    vector = codec("oasis").from_dictionary({"camera": (10, -5)})
    assert vector.dtype == np.float32 and vector.shape == (25,)
    assert vector[15:17].tolist() == [np.float32(0.65), np.float32(-0.4)]  # pitch first, though called cameraX


def test_oasis_reads_a_camera_between_two_bins():
    vector = codec("oasis").noop
    vector[16] = 0.5125
    degrees = codec("oasis").to_dictionary(vector)["camera"][1]
    assert math.isclose(degrees, 20 * (3.7**0.5125 - 1) / 2.7, rel_tol=1e-6)


def test_mineworld_tokens():
    nothing = [66] * 7
    both_ways(
        "mineworld",
        [
            ([65, 33, 54, *nothing, 67], {}),
            ([65, 23, 64, *nothing, 67], {"camera": (-90, 90)}),
            ([65, 34, 54, 14, 2, 4, 8, 0, 6, 9, 67], {"hotbar.1": 1, "forward": 1, "left": 1, "sprint": 1, "use": 1}
             | {"jump": 1, "drop": 1, "camera": (2.25, 0)}),
            ([65, 33, 53, 22, 3, 5, 7, 1, 66, 11, 67], {"hotbar.9": 1, "back": 1, "right": 1, "sneak": 1, "attack": 1}
             | {"pickItem": 1, "camera": (0, -2.25)}),
        ],
    )  # fmt: skip


def test_mineworld_rules_for_keys_that_exclude_each_other():
    encode = codec("mineworld").from_dictionary
    pairs = [("forward", "back"), ("left", "right"), ("sprint", "sneak"), ("use", "attack"), ("drop", "pickItem")]
    assert encode({name: 1 for pair in pairs for name in pair}).tolist() == codec("mineworld").noop.tolist()
    assert encode({"hotbar.7": 1, "hotbar.2": 1})[3] == 15
    assert encode({"jump": 1, "sneak": 1})[[6, 8]].tolist() == [7, 6]


def test_mineworld_counts_from_its_offset():
    shifted = MineWorldCodec(offset=8192)
    assert (shifted.noop - 8192).tolist() == codec("mineworld").noop.tolist()
    assert shifted.space.contains(shifted.noop)
    action = {"attack": 1, "camera": (5.146, 0)}
    assert pressed(shifted.to_dictionary(shifted.from_dictionary(action))) == action
    with pytest.raises(ValueError, match="offset"):
        shifted.to_dictionary(codec("mineworld").noop)


def test_minedojo_numbers():
    assert codec("minedojo").space.nvec.tolist() == [3, 3, 4, 25, 25, 8, 244, 36]
    both_ways(
        "minedojo",
        [
            ([0, 0, 0, 12, 12, 0, 0, 0], {}),
            ([1, 1, 1, 13, 10, 1, 0, 0], {"forward": 1, "left": 1, "jump": 1, "use": 1, "camera": (15, -30)}),
            ([2, 2, 2, 0, 24, 2, 0, 0], {"back": 1, "right": 1, "sneak": 1, "drop": 1, "camera": (-180, 180)}),
            ([0, 0, 3, 12, 12, 3, 0, 0], {"sprint": 1, "attack": 1}),
        ],
    )


def test_minedojo_rules_for_keys_that_exclude_each_other():
    encode = codec("minedojo").from_dictionary
    assert encode({"forward": 1, "back": 1, "left": 1, "right": 1, "sneak": 1, "sprint": 1})[:3].tolist() == [0, 0, 0]
    assert encode({"jump": 1, "sneak": 1, "sprint": 1})[2] == 1
    assert encode({"attack": 1, "use": 1, "drop": 1})[5] == 3
    assert encode({"use": 1, "drop": 1})[5] == 1
    assert encode({"camera": (7.4, -7.6)})[3:5].tolist() == [12, 11]
    for function in (4, 5, 6, 7):
        assert pressed(codec("minedojo").to_dictionary([0, 0, 0, 12, 12, function, 243, 35])) == {}


def test_teco_actions():
    both_ways(
        "teco",
        [
            (0, {}),
            (1, {"forward": 1, "jump": 1}),
            (2, {"jump": 1, "camera": (0, -20)}),
            (3, {"jump": 1, "camera": (0, 20)}),
        ],
    )
    encode = codec("teco").from_dictionary
    assert [encode({"camera": (50, yaw), "forward": 1}) for yaw in (-180, -10, -9.9, 9.9, 10)] == [2, 2, 1, 1, 3]
    assert [encode({"forward": 1, "back": 1}), encode({"jump": 1}), encode({"forward": 1})] == [0, 0, 1]


def test_gamefactory_annotations():
    both_ways(
        "gamefactory",
        [
            ({"ws": 0, "ad": 0, "scs": 0, "pitch_delta": 0.0, "yaw_delta": 0.0}, {}),
            ({"ws": 1, "ad": 1, "scs": 1, "pitch_delta": 1.0, "yaw_delta": -0.5}, {"forward": 1, "left": 1, "jump": 1}
             | {"camera": (15, -7.5)}),
            ({"ws": 2, "ad": 2, "scs": 2, "pitch_delta": 0.0, "yaw_delta": 0.0}, {"back": 1, "right": 1, "sneak": 1}),
            ({"ws": 0, "ad": 0, "scs": 3, "pitch_delta": 0.0, "yaw_delta": 12.0}, {"sprint": 1, "camera": (0, 180)}),
        ],
    )  # fmt: skip


def test_gamefactory_reads_whole_annotations_and_those_without_a_mouse():
    decode = codec("gamefactory").to_dictionary
    whole = {"ws": 2, "ad": 1, "scs": 3, "pitch": -40.0, "yaw": 17.25, "pitch_delta": -0.165, "yaw_delta": -0.732}
    whole |= {"pos": [-228.5, 75.0, 246.4], "collision": 0}
    assert pressed(decode(whole)) == {"back": 1, "left": 1, "sprint": 1, "camera": (-2.475, -10.98)}
    assert pressed(decode({"ws": 1, "ad": 0, "scs": 0})) == {"forward": 1}


def test_buttons_that_no_rule_mentions_are_alone():
    """Every button, alone, comes back from the formats that have a word for it."""
    for button in BUTTONS:
        for name in ("minerl-1.0", "oasis"):
            assert pressed(codec(name).to_dictionary(codec(name).from_dictionary({button: 1}))) == {button: 1}
