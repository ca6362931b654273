"""What candidates are drawn from: distributions over the actions of any space."""

import sys
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents.planning import (
    ActionCoordinates,
    first_proposal,
)
from worldmodel.agents.planning.proposals import coloured_noise
from worldmodel.data.action_codec import ActionCodec
from worldmodel.envs.actions import action_space

sys.path.append(str(Path(__file__).parent))  # for toy_worlds, which is no module of a package


SPACES = [
    spaces.Discrete(5, start=-2),
    spaces.MultiDiscrete([3, 2]),
    spaces.MultiBinary(3),
    spaces.Box(-1.0, 3.0, (2,), np.float32),
    spaces.Box(-np.inf, np.inf, (1,), np.float64),
    spaces.Box(0, 7, (2,), np.int64),
    action_space(),
]


def proposal_of(space, length=12, **kwargs):
    return first_proposal(ActionCoordinates(space), length, **{"spread": 0.5, "colour": 0.0, **kwargs})


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("colour", [0.0, 2.0])
def test_what_is_drawn_is_in_the_space(space, colour):
    proposal = proposal_of(space, colour=colour)
    rows = proposal.sample(30, np.random.default_rng(0))
    assert rows.shape == (30, 12, len(ActionCodec(space).factors))
    actions = proposal.space.actions(rows.reshape(360, -1))
    assert all(action in space for action in actions)
    codec = ActionCodec(space)
    assert np.unique(codec.encode_many(actions), axis=0).shape[0] > 3
    rest = proposal.space.actions(proposal.space.rest[None])[0]
    assert np.array_equal(codec.encode(rest), codec.rest)


def test_all_continuous_values_can_be_drawn_and_bounds_hold():
    proposal = proposal_of(SPACES[3], 1, spread=2.0)
    values = np.array(proposal.space.actions(proposal.sample(2000, np.random.default_rng(0))[:, 0]))
    assert values.min() == -1.0 and values.max() == 3.0, "clipped to the bounds"
    assert len(np.unique(values)) > 1000, "not only to bins"


def test_refitting_goes_to_the_elites_and_keeps_a_share():
    proposal = proposal_of(spaces.Dict({"a": spaces.Discrete(4), "b": spaces.Box(-1.0, 1.0, (1,))}), 3)
    elites = np.zeros((2, 3, 2))
    elites[:, :, 0] = 2
    elites[0, :, 1], elites[1, :, 1] = 4.0, 8.0
    fitted = proposal.refitted(elites, np.array([0.5, 0.5]), smoothing=0.2)
    assert np.allclose(fitted.probabilities[0], [[0.05, 0.05, 0.85, 0.05]] * 3)
    assert np.allclose(fitted.mean, 0.2 * 5 + 0.8 * 6) and np.allclose(fitted.std, 0.2 * 2.5 + 0.8 * 2)
    weighted = proposal.refitted(elites, np.array([1.0, 0.0]), smoothing=0.0, keeps_std=True)
    assert np.allclose(weighted.mean, 4.0) and np.allclose(weighted.std, 2.5)


def test_a_warm_start_is_around_the_plan_and_still_draws_everything():
    proposal = proposal_of(spaces.Dict({"a": spaces.Discrete(4), "b": spaces.Box(-1.0, 1.0, (1,))}), 2)
    warm = proposal.warmed(np.array([[1.0, 9.0], [3.0, 2.0]]))
    assert np.array_equal(warm.centre(), [[1.0, 9.0], [3.0, 2.0]])
    assert np.allclose(warm.probabilities[0][0], [0.125, 0.625, 0.125, 0.125]) and np.array_equal(
        warm.std, proposal.std
    )


def test_a_policy_is_mixed_in():
    space = spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Box(-1.0, 1.0, (1,))})
    codec = ActionCodec(space)
    policy = codec.encode({"a": 1, "b": np.array([0.6], np.float32)})
    half, full = (proposal_of(space, 2, policy=policy, prior=prior) for prior in (0.5, 1.0))
    assert np.allclose(half.probabilities[0], [[0.25, 0.75]] * 2) and np.allclose(full.probabilities[0], [[0, 1]] * 2)
    assert np.allclose(half.mean, 6.5) and np.allclose(full.mean, 8.0) and np.allclose(full.std, 0.0, atol=1e-3)
    drawn = full.space.actions(full.sample(5, np.random.default_rng(0))[:, 0])
    assert all(action["a"] == 1 and action["b"] == pytest.approx(0.6, abs=1e-3) for action in drawn)


@pytest.mark.parametrize("length", [1, 2, 7, 12])
@pytest.mark.parametrize("exponent", [0.0, 1.0, 3.0])
def test_coloured_noise_is_standard_normal_at_each_time_and_alike_beside_it(length, exponent):
    noise = coloured_noise((20_000, length, 1), exponent, np.random.default_rng(0))[..., 0]
    assert np.allclose(noise.std(0), 1.0, atol=0.03) and np.allclose(noise.mean(0), 0.0, atol=0.03)
    if length == 12:
        beside = np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]
        assert (abs(beside) < 0.03) if exponent == 0 else beside > {1.0: 0.4, 3.0: 0.9}[exponent]
        assert np.corrcoef(noise[:, 0], noise[:, -1])[0, 1] < 0.1, "the end does not meet the start"


def test_coloured_categories_stay_for_longer_with_the_same_probabilities():
    white, coloured = proposal_of(spaces.Discrete(4)), proposal_of(spaces.Discrete(4), colour=2.0)
    for proposal in (white, coloured):
        proposal.probabilities[0][:] = [0.1, 0.2, 0.3, 0.4]
    rows = [proposal.sample(5000, np.random.default_rng(0))[..., 0] for proposal in (white, coloured)]
    same = [(row[:, 1:] == row[:, :-1]).mean() for row in rows]
    assert same[0] == pytest.approx(0.3, abs=0.02) and same[1] > 0.6
    for row in rows:
        assert np.allclose([(row == value).mean() for value in range(4)], [0.1, 0.2, 0.3, 0.4], atol=0.02)


def test_all_actions_are_chosen_from_where_they_are_few():
    proposal, random = proposal_of(spaces.MultiDiscrete([3, 2])), np.random.default_rng(0)
    assert proposal.choices(0, 6, random).tolist() == [[a, b] for a in range(3) for b in range(2)]
    few = proposal.choices(0, 4, random)
    assert len(few) <= 4 and len(np.unique(few, axis=0)) == len(few)
