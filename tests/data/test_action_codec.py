"""Actions as vectors of probabilities."""

import json
import time

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from space_strategies import SPACES

from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.action_factors import Kind
from worldmodel.envs.actions import KEYS, action_space, no_op

SEEDS = st.integers(0, 2**31 - 1)
MENU = spaces.Dict(
    {
        "page": spaces.Discrete(3, start=2),
        "pair": spaces.Tuple((spaces.MultiBinary(2), spaces.Box(-1.0, 1.0, (2, 1)))),
        "inner": spaces.Dict({"dial": spaces.MultiDiscrete([2, 3], start=[0, -1]), "gain": spaces.Box(0.5, 2.0, ())}),
    }
)


@pytest.fixture(scope="module")
def minerl():
    return ActionCodec(action_space())


def ends_of_bins(codec):
    """First and last bin of each factor, NaN for categories."""
    return [(np.nan, np.nan) if f.values is None else (f.values[0], f.values[-1]) for f in codec.factors]


def assert_same(space, action, back, ends):
    """Categories come back exactly, and small integers; numbers to float32 rounding, clipped to the last bin."""
    if isinstance(space, spaces.Dict):
        for key in sorted(space):
            assert_same(space[key], action[key], back[key], ends)
    elif isinstance(space, spaces.Tuple):
        for parts in zip(space, action, back, strict=True):
            assert_same(*parts, ends)
    else:
        for first, second in zip(np.ravel(action), np.ravel(back), strict=True):
            low, high = next(ends)
            is_integer, largest = space.dtype.kind != "f", max(abs(low), abs(high))
            if not isinstance(space, spaces.Box) or (is_integer and largest < 1e5 and low <= first <= high):
                assert second == first
            else:
                rounding = 1e-6 * largest + 0.5 * is_integer
                assert float(second) == pytest.approx(min(max(float(first), low), high), rel=0, abs=rounding)


@settings(max_examples=200, deadline=None)
@given(SPACES, SEEDS)
def test_any_action_comes_back(space, seed):
    codec = ActionCodec(space)
    space.seed(seed)
    action = space.sample()
    vector = codec.encode(action)
    assert vector.dtype == np.float32 and vector.shape == (codec.width,)
    for factor in codec.factors:
        part = vector[factor.slice]
        assert part.min() >= 0 and part.sum() == pytest.approx(1, abs=1e-6)
        assert np.count_nonzero(part) <= (1 if factor.kind is Kind.CATEGORICAL else 2)
    back = codec.decode(vector)
    assert space.contains(back)
    assert_same(space, action, back, iter(ends_of_bins(codec)))


@settings(max_examples=100, deadline=None)
@given(SPACES, SEEDS, st.sampled_from([0.0, 0.3, 1.0, 5.0]))
def test_samples_are_members_and_many_is_each(space, seed, temperature):
    codec = ActionCodec(space)
    generator = np.random.default_rng(seed)
    probabilities = codec.normalise(generator.normal(size=(5, codec.width)) * 3)
    actions = [codec.sample(row, generator, temperature) for row in probabilities]
    assert all(space.contains(action) for action in actions)
    assert all(space.contains(codec.decode(row)) for row in probabilities)
    many = codec.encode_many(actions)
    np.testing.assert_array_equal(many, [codec.encode(action) for action in actions])


@settings(max_examples=60, deadline=None)
@given(SPACES)
def test_json_gives_an_equal_codec_of_the_same_layout(space):
    codec = ActionCodec(space)
    back = ActionCodec.from_json(json.loads(json.dumps(codec.to_json(), allow_nan=False)))
    assert back == codec
    assert [(f.name, f.kind, f.size, f.offset) for f in back.factors] == [
        (f.name, f.kind, f.size, f.offset) for f in codec.factors
    ]
    for first, second in zip(back.factors, codec.factors, strict=True):
        np.testing.assert_array_equal(first.values, second.values)


def test_factors_follow_each_other():
    codec = ActionCodec(MENU)
    assert [factor.name for factor in codec.factors] == [
        *("inner/dial[0]", "inner/dial[1]", "inner/gain", "page"),
        *("pair[0][0]", "pair[0][1]", "pair[1][0,0]", "pair[1][1,0]"),
    ]
    assert [factor.size for factor in codec.factors] == [2, 3, 11, 3, 2, 2, 11, 11]
    assert [factor.offset for factor in codec.factors] == [0, 2, 5, 16, 19, 21, 23, 34]
    assert codec.width == 45
    assert ActionCodec(spaces.Discrete(3)).factors[0].name == "action"
    assert ActionCodec(spaces.Tuple((spaces.Discrete(3),))).factors[0].name == "action[0]"


def test_the_layout_does_not_depend_on_the_order_of_keys():
    parts = [("z", spaces.Discrete(2)), ("a", spaces.Box(0.0, 1.0, ()))]
    first, second = ActionCodec(spaces.Dict(parts)), ActionCodec(spaces.Dict(parts[::-1]))
    assert first == second
    action = {"a": 0.25, "z": 1}
    np.testing.assert_array_equal(first.encode(action), second.encode(action))


def test_equality_is_that_of_the_spaces():
    assert ActionCodec(spaces.Discrete(3)) == ActionCodec(spaces.Discrete(3))
    assert ActionCodec(spaces.Discrete(3)) != ActionCodec(spaces.Discrete(3, start=1))
    assert ActionCodec(spaces.Discrete(3)) != spaces.Discrete(3)


def test_one_hot_and_two_hot():
    np.testing.assert_array_equal(ActionCodec(spaces.Discrete(4, start=-2)).encode(0), [0, 0, 1, 0])
    codec = ActionCodec(spaces.Box(0.0, 10.0, ()))
    np.testing.assert_array_equal(codec.factors[0].values, np.arange(11))
    np.testing.assert_allclose(codec.encode(2.25), [0, 0, 0.75, 0.25, *[0] * 7])
    np.testing.assert_array_equal(codec.encode(10.0), [*[0] * 10, 1])
    np.testing.assert_array_equal(ActionCodec(spaces.MultiBinary(2)).encode([1, 0]), [0, 1, 1, 0])


def test_thousands_of_categories():
    codec = ActionCodec(spaces.Discrete(8641))
    vector = codec.encode(8000)
    assert vector.argmax() == 8000 and vector.sum() == 1
    assert codec.decode(vector) == 8000


# What counts as an action


def test_minerl_dictionaries_come_back(minerl):
    space = action_space()
    space.seed(1)
    assert len(minerl.factors) == 25 and minerl.width == 23 * 2 + 2 * 23
    actions = [space.sample() for _ in range(50)]
    for action, vector in zip(actions, minerl.encode_many(actions), strict=True):
        back = minerl.decode(vector)
        assert space.contains(back) and tuple(back) == KEYS
        assert all(back[key] == action[key] for key in KEYS if key != "camera")
        np.testing.assert_allclose(back["camera"], action["camera"], atol=1e-4)


def test_missing_keys_do_nothing(minerl):
    np.testing.assert_array_equal(minerl.encode({}), minerl.encode(no_op()))
    np.testing.assert_array_equal(minerl.encode({"jump": 1}), minerl.encode(no_op() | {"jump": 1}))


def test_missing_keys_are_what_is_closest_to_nothing():
    back = ActionCodec(MENU).decode(ActionCodec(MENU).encode({"inner": {}}))
    assert back["page"] == 2
    np.testing.assert_array_equal(back["inner"]["dial"], [0, 0])
    assert back["inner"]["gain"] == pytest.approx(0.5)
    np.testing.assert_array_equal(back["pair"][0], [0, 0])
    np.testing.assert_array_equal(back["pair"][1], [[0], [0]])


@pytest.mark.parametrize(
    "one", [1, True, np.int64(1), np.uint8(1), np.bool_(True), 1.0, np.array(1), np.array([1]), [1]]
)
def test_scalars_of_every_kind_are_accepted(minerl, one):
    expected = minerl.encode({"jump": 1})
    np.testing.assert_array_equal(minerl.encode({"jump": one}), expected)
    np.testing.assert_array_equal(minerl.encode_many([{"jump": one}, {"jump": 1}, {}])[:2], [expected] * 2)


@pytest.mark.parametrize("camera", [[3, -4], (3.0, -4.0), np.array([3, -4]), np.array([[3.0, -4.0]], np.float32)])
def test_arrays_of_every_kind_are_accepted(minerl, camera):
    np.testing.assert_allclose(minerl.decode(minerl.encode({"camera": camera}))["camera"], [3, -4], atol=1e-5)


def test_bounds_count_as_the_type_of_the_space_has_them():
    codec = ActionCodec(spaces.Box(0.1, 0.7, (1,), np.float32))
    for bound in (0.1, 0.7):
        assert codec.decode(codec.encode([bound]))[0] == pytest.approx(bound)


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        ({"fly": 1}, ValueError, "'action': expected keys among .*'fly'"),
        ({"jump": 2}, ValueError, r"'jump': expected an integer in \[0, 1\], got 2"),
        ({"jump": 0.5}, ValueError, "'jump': expected an integer"),
        ({"jump": float("nan")}, ValueError, "'jump'.*nan"),
        ({"jump": [0, 1]}, ValueError, r"'jump': expected shape \(\), got \(2,\)"),
        ({"jump": "1"}, TypeError, "'jump': expected numbers, got str"),
        ({"jump": None}, TypeError, "'jump': expected numbers, got NoneType"),
        ({"camera": 3.0}, ValueError, r"'camera': expected shape \(2,\), got \(\)"),
        ({"camera": (0, 180.5)}, ValueError, r"'camera\[1\]': expected a finite number in \[-180, 180\], got 180.5"),
        ({"camera": (np.nan, 0)}, ValueError, r"'camera\[0\]'.*got nan"),
        ({"camera": [1, [2, 3]]}, TypeError, "'camera': expected numbers, got list"),
        (3, TypeError, "'action': expected a dictionary, got int 3"),
    ],
)
def test_bad_actions_are_refused_by_name(minerl, action, error, message):
    with pytest.raises(error, match=message):
        minerl.encode(action)
    with pytest.raises(error, match=message):
        minerl.encode_many([{}, {"jump": 1, "camera": [0, 0]}, action])


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        ({"page": 1}, ValueError, r"'page': expected an integer in \[2, 4\], got 1"),
        ({"inner": {"dial": [0, 2]}}, ValueError, r"'inner/dial\[1\]': expected an integer in \[-1, 1\], got 2"),
        ({"inner": {"knob": 1}}, ValueError, "'inner': expected keys among .*'knob'"),
        ({"pair": ([0, 1],)}, TypeError, "'pair': expected a tuple of 2 parts"),
        ({"pair": ([0, 1], [0, 0])}, ValueError, r"'pair\[1\]': expected shape \(2, 1\)"),
        ({"pair": ([0, 1], [[0], [np.inf]])}, ValueError, r"'pair\[1\]\[1,0\]'"),
    ],
)
def test_bad_parts_are_refused_by_their_path(action, error, message):
    with pytest.raises(error, match=message):
        ActionCodec(MENU).encode(action)


def test_infinity_is_no_action_even_without_bounds():
    with pytest.raises(ValueError, match=r"action\[0\].*finite"):
        ActionCodec(spaces.Box(-np.inf, np.inf, (1,))).encode([np.inf])


def test_fractions_are_no_integers():
    with pytest.raises(ValueError, match=r"action\[0\]': expected an integer"):
        ActionCodec(spaces.Box(0, 9, (1,), np.int64)).encode([1.5])


def test_the_row_of_a_bad_action_is_told():
    with pytest.raises(ValueError, match="action 2"):
        ActionCodec(spaces.Discrete(2)).encode_many([0, 1, 2])


def test_many_actions_are_fast(minerl):
    space = action_space()
    space.seed(0)
    few = [space.sample() for _ in range(500)]
    actions = few * 40
    start = time.perf_counter()
    vectors = minerl.encode_many(actions)
    assert time.perf_counter() - start < 5  # about 0.15 s on an idle core
    assert vectors.shape == (20_000, minerl.width)
    assert minerl.encode_many([]).shape == (0, minerl.width)


# Decoding and sampling


def test_decoding_takes_the_most_likely_category_and_the_expectation():
    codec = ActionCodec(spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Box(0.0, 10.0, ())}))
    vector = np.zeros(codec.width)
    vector[:3] = 0.3, 0.5, 0.2
    vector[3 + 2], vector[3 + 6] = 2, 6  # any scale
    action = codec.decode(vector)
    assert action["a"] == 1 and type(action["a"]) is int
    assert action["b"] == pytest.approx(5)
    assert action["b"].shape == () and action["b"].dtype == np.float32


def test_null_is_no_action(minerl):
    assert minerl.null().dtype == np.float32 and minerl.null().shape == (minerl.width,)
    assert not minerl.null().any()
    with pytest.raises(ValueError, match="vector: .*null"):
        minerl.decode(minerl.null())
    with pytest.raises(ValueError, match="probabilities: .*null"):
        minerl.sample(minerl.null(), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([1, 0], r"expected shape \(4,\), got \(2,\)"),
        ([1, 0, 0.5, -0.5], "at least 0"),
        ([1, 0, np.nan, 0], "finite"),
        ([1, 0, 0, 0], r"positive probability of 'action\[1\]'"),
    ],
)
def test_bad_vectors_are_refused(vector, message):
    with pytest.raises(ValueError, match=message):
        ActionCodec(spaces.MultiDiscrete([2, 2])).decode(vector)


def test_samples_follow_the_probabilities():
    codec = ActionCodec(spaces.Tuple((spaces.Discrete(3), spaces.Box(0.0, 10.0, ()))))
    probabilities = np.zeros(codec.width)
    probabilities[:3] = 0.2, 0.0, 0.8
    probabilities[[3, 3 + 10]] = 0.5
    generator = np.random.default_rng(0)
    drawn = np.array([codec.sample(probabilities, generator) for _ in range(4000)], float)
    counts = np.bincount(drawn[:, 0].astype(int), minlength=3) / 4000
    np.testing.assert_allclose(counts, [0.2, 0, 0.8], atol=0.03)
    assert set(drawn[:, 1]) == {0.0, 10.0}
    assert np.mean(drawn[:, 1]) == pytest.approx(5, abs=0.3)
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(0, abs=0.06)


def test_temperature_sharpens_and_flattens():
    codec = ActionCodec(spaces.Discrete(2))

    def share(temperature):
        generator = np.random.default_rng(0)
        return np.mean([codec.sample([0.25, 0.75], generator, temperature) for _ in range(2000)])

    assert share(0) == 1
    assert share(0.5) == pytest.approx(0.9, abs=0.03)
    assert share(1) == pytest.approx(0.75, abs=0.03)
    assert share(1e6) == pytest.approx(0.5, abs=0.04)
    assert share(1e-9) == 1


def test_samples_depend_on_the_generator_alone(minerl):
    probabilities = minerl.normalise(np.zeros(minerl.width))
    draws = [minerl.sample(probabilities, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    vectors = minerl.encode_many(draws)
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert (vectors[0] != vectors[2]).any()


@pytest.mark.parametrize("temperature", [-1, float("nan"), float("inf")])
def test_bad_temperatures_are_refused(temperature):
    with pytest.raises(ValueError, match="temperature: expected a finite number of at least 0"):
        ActionCodec(spaces.Discrete(2)).sample([0.5, 0.5], np.random.default_rng(0), temperature)


def test_normalise_is_a_softmax_for_each_factor():
    codec = ActionCodec(spaces.MultiDiscrete([2, 3]))
    logits = np.array([[0, np.log(3), 1000, 1000, -np.inf], [5, 5, 0, 0, 0]], np.float32)
    probabilities = codec.normalise(logits[None])
    assert probabilities.shape == (1, 2, 5) and probabilities.dtype == np.float32
    np.testing.assert_allclose(
        probabilities[0], [[0.25, 0.75, 0.5, 0.5, 0], [0.5, 0.5, 1 / 3, 1 / 3, 1 / 3]], atol=1e-6
    )


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros(4), r"expected shape \(..., 5\), got \(4,\)"),
        (0.0, "expected shape"),
        ([0, 0, np.nan, 0, 0], r"'action\[1\]'"),
        ([-np.inf, -np.inf, 0, 0, 0], r"'action\[0\]'"),
        ([0, np.inf, 0, 0, 0], r"'action\[0\]'"),
    ],
)
def test_bad_logits_are_refused(logits, message):
    with pytest.raises(ValueError, match=message):
        ActionCodec(spaces.MultiDiscrete([2, 3])).normalise(logits)


def test_json_of_other_bins_is_refused():
    value = ActionCodec(spaces.Box(0.0, 1.0, ())).to_json()
    with pytest.raises(ValueError, match="other bins"):
        ActionCodec.from_json(value | {"width": 21})
    with pytest.raises(ValueError, match="space and width"):
        ActionCodec.from_json({"space": value["space"]})
