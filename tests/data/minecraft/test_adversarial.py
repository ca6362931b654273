"""10,000 random and adversarial actions through each codec, and everything that is no action."""

import math
import random
from collections import OrderedDict
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import BINS, left, plain, same

from worldmodel.data.minecraft import BUTTONS, CODECS, ITEM_ACTIONS, KEYS, action_space, codec, no_op

NAMES = list(CODECS)
COUNT = 10_000
EDGES = [0.0, -0.0, 180.0, -180.0, 179.99999, 1e-40, -1e-40, 5e-324, 10.0, 20.0, 90.0, 7.5, -7.5, 22.5, 1 / 3, -1e-9]
STARTS = [np.float32(start) for _, starts in BINS.values() for start in starts]
EDGES += [float(np.nextafter(start, np.float32(side))) for start in STARTS for side in (0, 180)]
FORMS = [int, bool, float, np.int8, np.uint64, np.bool_, np.float16, np.array, lambda value: np.array([value])]
FORMS += [lambda value: [value]]
CAMERA_FORMS = [tuple, list, np.array, lambda pair: np.array([pair]), lambda pair: np.array(pair, np.float32)]
WRAPPERS = [dict, OrderedDict, lambda pairs: MappingProxyType(dict(pairs))]


def angle(generator):
    match generator.randrange(4):
        case 0:
            return 0.0
        case 1:
            return generator.choice(EDGES) * generator.choice((1, -1))
        case 2:
            return generator.gauss(0, 5)
    return generator.uniform(-180, 180)


def draw(generator):
    """An action in one of the many forms that are taken, and the same one as a full plain dictionary."""
    chance, choice = generator.random, generator.choice
    rate = choice((0.0, 0.1, 0.5, 1.0))
    down = {button: int(chance() < rate) for button in BUTTONS}
    camera = [angle(generator), angle(generator)]
    items = {key: choice(values) for key, values in ITEM_ACTIONS.items() if chance() < 0.2}
    full = no_op() | down | {"camera": np.array(camera, np.float32)}
    full |= {key: value for key, value in items.items() if value != "none"}
    given = {button: choice(FORMS)(value) for button, value in down.items() if value or chance() < 0.5}
    given["camera"] = choice(CAMERA_FORMS)(camera)
    given |= {key: choice((str, np.str_))(value) for key, value in items.items()}
    return choice(WRAPPERS)(generator.sample(list(given.items()), len(given))), full


@pytest.fixture(scope="module")
def actions():
    generator = random.Random(0)
    return [draw(generator) for _ in range(COUNT)]


@pytest.mark.parametrize("name", NAMES)
def test_ten_thousand_actions_lose_what_is_documented_and_nothing_else(name, actions):
    one = codec(name)
    for number, (action, full) in enumerate(actions):
        native = one.from_dictionary(action)
        back = one.to_dictionary(native)
        expected = left(name, full)
        assert same(back, expected), f"{action} became {back}, not {expected}"
        if number % 20 == 0:  # the slower half of the checks
            assert plain(one.from_dictionary(back)) == plain(native)
            if one.space is not None and name != "minerl-0.4":
                assert one.space.contains(native)
            assert {key: back[key] for key in KEYS} in action_space()


BAD_VALUES = [2, -1, 0.5, math.nan, math.inf, 10**30, "1", None, [], [0, 1], np.zeros((1, 1)), 1j, object(), b"1", {}]
BAD_CAMERAS = [
    (math.nan, 0),
    (0, math.inf),
    (0, 180.5),
    (-181, 0),
    3.0,
    (1.0,),
    (1, 2, 3),
    np.zeros((2, 1)),
    "ab",
    None,
]
BAD_CAMERAS += [("1", "2"), {1.0, 2.0}, [[1.0], 2.0], np.array([1j, 0]), np.zeros(0), {"pitch": 1, "yaw": 2}]
NO_DICTIONARIES = [None, 3, "forward", ["forward"], np.zeros(24), [("forward", 1)], {"forward"}, object()]


def refused(call, argument, start):
    """Whether a call raises an error that names the argument, what was expected, what came, and what to do."""
    with pytest.raises((TypeError, ValueError), match=rf"(?s)^{start}.*: expected .*, got .*; \w") as error:
        call(argument)
    assert type(error.value) in (TypeError, ValueError) and len(str(error.value)) < 600
    return True


@pytest.mark.parametrize("name", NAMES)
def test_wrong_dictionaries_are_refused(name):
    call = codec(name).from_dictionary
    for value in BAD_VALUES:
        for button in ("forward", "ESC", "hotbar.9", "inventory"):
            for rest in ({}, no_op()):
                assert refused(call, rest | {button: value}, rf"action\['{button}'\]")
    for value in BAD_CAMERAS:
        for rest in ({}, no_op()):
            assert refused(call, rest | {"camera": value}, r"action\['camera'\]")
    for action in NO_DICTIONARIES:
        assert refused(call, action, "action")
    for key in ("fly", "Forward", "hotbar.0", "hotbar.10", "", 3, None, ("camera",)):
        for value in (0, 1):
            assert refused(call, {key: value}, "action")
            assert refused(call, no_op() | {key: value}, "action")
    for key in ITEM_ACTIONS:
        for value in ("", "diamond", "None", "Dirt", 1, None, ["none"], np.array("none")):
            assert refused(call, {key: value}, rf"action\['{key}'\]")


WRONG_NATIVES = {
    "minerl-0.4": [
        {"use": 1}, {"ESC": 0}, {"forward": 2}, {"camera": 1}, {"craft": "diamond"}, {"place": 0}, 3, (0, 60),
    ],
    "minerl-1.0": [{"place": "dirt"}, {"craft": "none"}, {"forward": 2}, {"fly": 1}, [], 7, "forward"],
    "vpt": [
        (8641, 0), (-1, 60), (0, 121), (0, -1), (0,), (0, 0, 0), (0.0, 60.0), (True, False), 5, "ab", {0, 60},
        {"buttons": 0}, {"buttons": 0, "camera": 0, "x": 0}, {"buttons": [0, 1], "camera": 60}, ("0", "60"), (None, 1),
        np.zeros((2, 2), int), {"buttons": 0.5, "camera": 60},
    ],
    "oasis": [
        np.zeros(24), np.zeros((2, 25)), np.zeros(25, complex), [0.0] * 26, np.full(25, 0.5), np.full(25, np.nan),
        np.eye(25)[15] * 1.1, np.eye(25)[16] * np.nan, np.eye(25)[24] * -1, {}, "x" * 25, 1.0,
    ],
    "mineworld": [
        [0] * 11, [65, 33, 54, *[66] * 7, 66], [65, 54, 33, *[66] * 7, 67], [65, 33, 54, 2, *[66] * 6, 67],
        [65, 33, 54, *[66] * 6, 67], [65.0, 33, 54, *[66] * 7, 67], [65, 33, 54, *[12] * 7, 67],
        [65, 33, 65, *[66] * 7, 67], np.full((2, 11), 66), [8257, 8225, 8246, *[8258] * 7, 8259], [-1] * 11, None, "65",
    ],
    "minedojo": [
        [0] * 7, [0] * 9, [3, 0, 0, 12, 12, 0, 0, 0], [0, 0, 4, 12, 12, 0, 0, 0], [0, 0, 0, 25, 12, 0, 0, 0],
        [0, 0, 0, 12, 12, 8, 0, 0], [0, 0, 0, 12, 12, 4, 244, 0], [0, 0, 0, 12, 12, 5, 0, 36],
        [-1, 0, 0, 12, 12, 0, 0, 0], np.zeros(8), np.zeros((2, 8), int), {}, "00012", 0,
    ],
    "teco": [4, -1, 1.0, True, None, "1", [1, 2], {}, np.nan, 10**30, np.zeros(0, int)],
    "gamefactory": [
        {}, {"ws": 0}, {"ws": 0, "ad": 0}, {"ws": 3, "ad": 0, "scs": 0}, {"ws": 0, "ad": -1, "scs": 0},
        {"ws": 0, "ad": 0, "scs": 4}, {"ws": 1.0, "ad": 0, "scs": 0}, {"ws": "1", "ad": 0, "scs": 0},
        {"ws": 0, "ad": 0, "scs": 0, "yaw_delta": 12.01}, {"ws": 0, "ad": 0, "scs": 0, "pitch_delta": math.nan},
        {"ws": 0, "ad": 0, "scs": 0, "pitch_delta": "1"}, {"ws": 0, "ad": 0, "scs": 0, "pitch_delta": [1, 2]},
        {"ws": None, "ad": 0, "scs": 0}, [0, 0, 0], 0, None,
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_wrong_native_actions_are_refused(name):
    for native in WRONG_NATIVES[name]:
        assert refused(codec(name).to_dictionary, native, "native"), native


SCALARS = st.one_of(
    st.integers(-5, 9000),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=4),
    st.complex_numbers(),
)
FIELDS = st.one_of(st.sampled_from([*KEYS, *ITEM_ACTIONS, "ws", "ad", "scs", "yaw_delta", "buttons"]), SCALARS)
JUNK = st.recursive(
    SCALARS,
    lambda parts: st.one_of(
        st.lists(parts, max_size=12),
        st.lists(st.integers(0, 70), min_size=8, max_size=11).map(np.array),
        st.lists(parts, max_size=3).map(tuple),
        st.dictionaries(FIELDS, parts, max_size=5),
        st.lists(st.floats(-2, 2), min_size=24, max_size=25).map(np.array),
    ),
    max_leaves=15,
)


@pytest.mark.parametrize("name", NAMES)
def test_junk_is_read_exactly_or_refused(name):
    one = codec(name)

    @settings(max_examples=60, deadline=None)
    @given(JUNK)
    def check(junk):
        for call, known in ((one.to_dictionary, "native"), (one.from_dictionary, "action")):
            try:
                result = call(junk)
            except (TypeError, ValueError) as error:
                assert type(error) in (TypeError, ValueError)
                assert str(error).startswith(known) and ": expected " in str(error)
            else:
                dictionary = result if known == "native" else one.to_dictionary(result)
                assert {key: dictionary[key] for key in KEYS} in action_space()

    check()
