"""What holds for all actions: round trips, keys that exclude each other, what is lost and nothing else."""

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import BINS, left, plain, same

from worldmodel.data.minecraft import BUTTONS, CODECS, ITEM_ACTIONS, action_space, codec, convert, no_op
from worldmodel.data.minecraft.camera import MINEWORLD_CAMERA, OASIS_CAMERA, VPT_CAMERA

NAMES = list(CODECS)
ANGLES = st.one_of(
    st.floats(-180, 180, width=32),
    st.floats(-25, 25, width=32),
    st.sampled_from([0.0, -0.0, 180.0, -180.0, 10.0, -10.0, 7.5, -22.5, 1e-30, 2.5e-41, 90.0, 20.0]).map(np.float32),
)
CAMERAS = st.tuples(ANGLES, ANGLES).map(lambda pair: np.array(pair, np.float32))
CHOICES = {key: st.sampled_from([value for value in values if value != "none"]) for key, values in ITEM_ACTIONS.items()}
ITEMS = st.fixed_dictionaries({}, optional=CHOICES)
HALF = st.sampled_from([0, 1])
RARE = st.sampled_from([0] * 9 + [1])
ACTIONS = st.one_of(
    *(
        st.builds(
            lambda buttons, camera, items: no_op() | buttons | {"camera": camera} | items,
            st.fixed_dictionaries({button: values for button in BUTTONS}),
            CAMERAS,
            ITEMS,
        )
        for values in (HALF, RARE)
    )
)


def natives(name):
    """Native actions of a format, canonical or not."""
    one = codec(name)
    if name == "minerl-0.4":
        return st.tuples(st.integers(0, 2**31), ITEMS).map(lambda pair: sample(one.space, pair[0]) | pair[1])
    if name == "gamefactory":
        deltas = st.floats(-12, 12)
        return st.fixed_dictionaries(
            {"ws": st.integers(0, 2), "ad": st.integers(0, 2), "scs": st.integers(0, 3)},
            optional={"pitch_delta": deltas, "yaw_delta": deltas},
        )
    if name == "mineworld":
        places = [[65], range(23, 44), range(44, 65), [66, *range(14, 23)], [66, 2, 3], [66, 4, 5], [66, 7, 8]]
        places += [[66, 0, 1], [66, 6], [66, 9, 11], [67]]
        return st.tuples(*map(st.sampled_from, places)).map(np.array)
    if name == "oasis":
        buttons = st.lists(HALF, min_size=23, max_size=23)
        bins = st.lists(st.integers(-40, 40), min_size=2, max_size=2)
        return st.tuples(buttons, bins).map(
            lambda pair: np.array([*pair[0][:15], *(b / 40 for b in pair[1]), *pair[0][15:]], np.float32)
        )
    return st.integers(0, 2**31).map(lambda seed: sample(one.space, seed))


def sample(space, seed):
    space.seed(seed)
    return space.sample()


def canonical(name, native):
    """The one of all native actions with the same meaning that the codec writes."""
    if name == "vpt":
        buttons, camera = int(native[0]), int(native[1])
        if buttons == 8640:
            return (8640, 60)
        turns = buttons % 2 == 1 and camera != 60
        return (buttons - buttons % 2 + turns, camera if turns else 60)
    if name == "minedojo":
        return [*native[:5].tolist(), int(native[5]) if native[5] <= 3 else 0, 0, 0]
    if name == "gamefactory":
        deltas = {key: float(np.float32(15 * native.get(key, 0.0))) / 15 for key in ("pitch_delta", "yaw_delta")}
        return {"pitch_delta": 0.0, "yaw_delta": 0.0} | native | deltas
    return plain(native)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_declared_lost_is_lost_and_nothing_else(name):
    @settings(max_examples=60, deadline=None)
    @given(ACTIONS)
    def check(action):
        native = codec(name).from_dictionary(action)
        assert codec(name).space is None or name == "minerl-0.4" or codec(name).space.contains(native)
        back = codec(name).to_dictionary(native)
        assert same(back, left(name, action))
        # What is left survives as it is: the second time nothing more is lost.
        assert plain(codec(name).from_dictionary(back)) == plain(native)

    check()


@pytest.mark.parametrize("name", NAMES)
def test_native_actions_come_back(name):
    @settings(max_examples=60, deadline=None)
    @given(natives(name))
    def check(native):
        dictionary = codec(name).to_dictionary(native)
        items = {key: dictionary.pop(key) for key in ITEM_ACTIONS if key in dictionary}
        assert dictionary in action_space()
        if name == "minerl-0.4":
            assert items == {key: native[key] for key in ITEM_ACTIONS if key in native}
        assert plain(codec(name).from_dictionary(dictionary | items)) == canonical(name, native)

    check()


def test_every_joint_action_of_vpt_comes_back():
    one = codec("vpt")
    for native in [(buttons, 49) for buttons in range(8641)] + [(buttons, c) for buttons in (1, 7) for c in range(121)]:
        assert one.from_dictionary(one.to_dictionary(native)) == canonical("vpt", native)


@pytest.mark.parametrize("law", [VPT_CAMERA, OASIS_CAMERA, MINEWORLD_CAMERA], ids=["vpt", "oasis", "mineworld"])
def test_every_bin_comes_back_and_bins_are_in_order(law):
    degrees = [law.decode(i) for i in range(law.count)]
    assert degrees == sorted(degrees) and degrees[law.centre] == 0
    assert [law.encode(float(np.float32(angle))) for angle in degrees] == list(range(law.count))
    assert degrees == [-angle for angle in degrees[::-1]]


@pytest.mark.parametrize("name", list(BINS))
def test_the_bin_is_the_nearest_under_the_law(name):
    values, starts = BINS[name]
    for i, start in enumerate(starts):
        for angle, value in ((start * (1 - 1e-5), values[i]), (start * (1 + 1e-5), values[i + 1])):
            back = codec(name).to_dictionary(codec(name).from_dictionary({"camera": (angle, -angle)}))["camera"]
            assert back.tolist() == [float(np.float32(value)), -float(np.float32(value))]


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_opposed_keys_cancel_where_only_one_can_be_said(action):
    action |= {"forward": 1, "back": 1, "left": 1, "right": 1, "jump": 0, "sneak": 0, "sprint": 0}
    for name in ("vpt", "mineworld", "minedojo", "gamefactory"):
        neither = action | {"forward": 0, "back": 0, "left": 0, "right": 0}
        assert plain(codec(name).from_dictionary(action)) == plain(codec(name).from_dictionary(neither))
    for name in ("minerl-0.4", "minerl-1.0", "oasis"):
        back = codec(name).to_dictionary(codec(name).from_dictionary(action))
        assert all(back[key] for key in ("forward", "back", "left", "right"))


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_inventory_excludes_everything_else_in_vpt(action):
    assert codec("vpt").from_dictionary(action | {"inventory": 1}) == (8640, 60)
    buttons, camera = codec("vpt").from_dictionary(action | {"inventory": 0})
    assert buttons < 8640 and (buttons % 2 == 1) == (camera != 60)


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_conversion_loses_what_both_sides_lose(action, source, target):
    native = codec(source).from_dictionary(action)
    converted = convert(native, source, target)
    assert same(codec(target).to_dictionary(converted), left(target, left(source, action)))


def test_vector_spaces_are_gymnasiums():
    kinds = {"vpt": spaces.Tuple, "oasis": spaces.Box, "mineworld": spaces.MultiDiscrete, "teco": spaces.Discrete}
    kinds |= {"minedojo": spaces.MultiDiscrete, "minerl-0.4": spaces.Dict, "minerl-1.0": spaces.Dict}
    assert {name: type(one.space) for name, one in CODECS.items()} == kinds | {"gamefactory": type(None)}
