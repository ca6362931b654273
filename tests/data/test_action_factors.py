"""The factors of action spaces, and their bins."""

import numpy as np
import pytest
from gymnasium import spaces

from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.action_factors import HUGE, SYMLOG_REACH, UNIFORM_BINS
from worldmodel.envs.actions import action_space


def test_camera_has_the_bins_of_vpt():
    camera = [f for f in ActionCodec(action_space()).factors if f.name.startswith("camera")]
    assert [factor.name for factor in camera] == ["camera[0]", "camera[1]"]
    for factor in camera:
        middle = factor.size // 2
        np.testing.assert_allclose(
            factor.values[middle - 5 : middle + 6],
            [-10, -5.809483, -3.215369, -1.609499, -0.615394, 0, 0.615394, 1.609499, 3.215369, 5.809483, 10],
            atol=1e-6,
        )
        np.testing.assert_allclose(
            factor.values[-6:], [16.769337, 27.704485, 45.369061, 73.904314, 120, 180], atol=1e-5
        )
        np.testing.assert_array_equal(factor.values, -factor.values[::-1])
        assert (np.diff(factor.values) > 0).all()


def test_nothing_a_player_can_do_with_the_camera_is_clipped():
    minerl = ActionCodec(action_space())
    degrees = np.linspace(-180, 180, 1001, dtype=np.float32)
    vectors = minerl.encode_many([{"camera": (pitch, -pitch)} for pitch in degrees])
    back = np.array([minerl.decode(vector)["camera"] for vector in vectors])
    np.testing.assert_allclose(back, np.stack([degrees, -degrees], 1), atol=1e-4)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict({"view": spaces.Box(-180.0, 180.0, (2,))}),
        spaces.Dict({"camera": spaces.Box(-180.0, 180.0, (3,))}),
        spaces.Dict({"camera": spaces.Box(-90.0, 90.0, (2,))}),
        spaces.Dict({"camera": spaces.Box(-180, 180, (2,), np.int32)}),
        spaces.Tuple((spaces.Box(-180.0, 180.0, (2,)),)),
    ],
)
def test_other_boxes_have_even_bins(space):
    for factor in ActionCodec(space).factors:
        assert factor.size == UNIFORM_BINS
        np.testing.assert_allclose(np.diff(factor.values, 2), 0, atol=1e-9)


def test_integers_have_no_more_bins_than_values():
    codec = ActionCodec(spaces.Box(np.array([0, -1, 0]), np.array([3, -1, 255]), dtype=np.int64))
    assert [factor.size for factor in codec.factors] == [4, 1, 11]
    for action in ([0, -1, 0], [3, -1, 254], [2, -1, 77]):
        np.testing.assert_array_equal(codec.decode(codec.encode(action)), action)


def test_unbounded_bins_are_symmetric_and_clip_beyond_their_reach():
    codec = ActionCodec(spaces.Box(-np.inf, np.inf, (1,)))
    values = codec.factors[0].values
    np.testing.assert_array_equal(values, -values[::-1])
    assert values[-1] == pytest.approx(SYMLOG_REACH)
    assert 0 in values and (np.diff(values[values >= 0], 2) > 0).all()
    for value in (0.0, 0.01, -3.3, 512.0):
        assert codec.decode(codec.encode([value]))[0] == pytest.approx(value, rel=1e-5, abs=1e-6)
    assert codec.decode(codec.encode([1e6]))[0] == pytest.approx(SYMLOG_REACH)


def test_half_bounded_bins_start_at_the_bound():
    codec = ActionCodec(spaces.Box(np.array([5.0, -np.inf]), np.array([np.inf, 5.0]), dtype=np.float64))
    above, below = (factor.values for factor in codec.factors)
    assert above[0] == below[-1] == 5
    assert above[-1] == pytest.approx(5 + SYMLOG_REACH) and below[0] == pytest.approx(5 - SYMLOG_REACH)
    assert (np.diff(above) > 0).all() and (np.diff(below) > 0).all()


def test_huge_bounds_count_as_infinite():
    codec = ActionCodec(spaces.Box(-2 * HUGE, 2 * HUGE, (1,)))
    assert codec.factors[0].values[-1] == pytest.approx(SYMLOG_REACH)
    assert codec.encode([HUGE]).argmax() == codec.width - 1
    with pytest.raises(ValueError, match=r"action\[0\]"):
        codec.encode([3 * HUGE])


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict({}),
        spaces.Tuple(()),
        spaces.Box(0.0, 1.0, (0,)),
        spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Tuple(())}),
    ],
)
def test_spaces_with_nothing_to_choose_are_refused(space):
    with pytest.raises(ValueError, match="expected something to choose"):
        ActionCodec(space)


def test_unsupported_spaces_are_refused():
    with pytest.raises(TypeError, match="got Text"):
        ActionCodec(spaces.Dict({"say": spaces.Text(5)}))
