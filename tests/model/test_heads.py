import gymnasium as gym
import numpy as np
import pytest
import torch
from tiny_world import CODEC, SPACE, normal, uniform

from worldmodel.data.action_codec import ActionCodec
from worldmodel.model.heads import (
    REWARD_BINS,
    FactorDistribution,
    expected_reward,
    reward_bins,
    reward_target,
)


def mean(distribution):
    return (distribution.double() * reward_bins().double()).sum(-1)


@pytest.mark.parametrize("reward", [0.0, 1.0, -1.0, 0.1, -0.37, 5.0, 13.7, -250.0, 400.0])
def test_mean_of_a_two_hot_target_is_the_reward(reward):
    target = reward_target(torch.tensor(reward))
    assert target.shape == (REWARD_BINS,)
    assert mean(target).item() == pytest.approx(reward, rel=1e-5, abs=1e-6)
    assert target.sum().item() == pytest.approx(1)
    assert (target >= 0).all()


def test_two_neighbouring_bins_are_hot():
    rewards = 20 * normal(200)
    hot = reward_target(rewards) > 0
    assert (hot.sum(-1) <= 2).all()
    places = torch.arange(REWARD_BINS).expand_as(hot)
    first, last = places.masked_fill(~hot, REWARD_BINS).amin(-1), places.masked_fill(~hot, -1).amax(-1)
    assert (last - first <= 1).all()


def test_value_of_a_bin_is_one_hot():
    bins = reward_bins()
    torch.testing.assert_close(reward_target(bins), torch.eye(REWARD_BINS), atol=1e-6, rtol=0)
    assert (bins.diff() > 0).all()
    torch.testing.assert_close(bins, -bins.flip(0), atol=1e-6, rtol=1e-6)


def test_no_reward_has_a_bin_of_its_own():
    """It is by far the most frequent reward: its target should be one number."""
    assert reward_bins()[REWARD_BINS // 2] == 0
    assert reward_target(torch.tensor(0.0))[REWARD_BINS // 2] == 1


@pytest.mark.parametrize(("reward", "place"), [(1e6, -1), (-1e6, 0), (float("inf"), -1)])
def test_rewards_beyond_the_bins_are_clipped(reward, place):
    target = reward_target(torch.tensor([reward]))
    assert target[0, place] == 1
    assert target.sum() == 1


def test_targets_keep_the_shape_of_rewards():
    rewards = normal(2, 3).T  # not contiguous
    target = reward_target(rewards)
    assert target.shape == (3, 2, REWARD_BINS)
    torch.testing.assert_close(mean(target).float(), rewards)


def test_expected_reward_of_logits_undoes_the_target():
    rewards = torch.tensor([-3.0, 0.0, 0.5, 100.0])
    logits = reward_target(rewards).log().clamp_min(-1e4) + 7.0  # logits are free of their sum
    torch.testing.assert_close(expected_reward(logits), rewards, atol=1e-4, rtol=1e-4)


def test_probabilities_sum_to_one_for_each_factor():
    logits = 5 * normal(3, 4, CODEC.width)
    probabilities = FactorDistribution(CODEC).probabilities(logits)
    assert probabilities.shape == logits.shape
    for factor in CODEC.factors:
        torch.testing.assert_close(probabilities[..., factor.slice].sum(-1), torch.ones(3, 4))


def test_probabilities_are_those_of_the_codec():
    """The codec's own softmax, factor by factor, is the reference."""
    logits = 3 * normal(5, CODEC.width)
    expected = torch.from_numpy(CODEC.normalise(logits.numpy()))
    torch.testing.assert_close(FactorDistribution(CODEC).probabilities(logits), expected)


@pytest.mark.parametrize("space", [SPACE, gym.spaces.Discrete(6), gym.spaces.MultiDiscrete([3, 2, 3, 4])])
def test_cross_entropy_is_a_loop_over_factors(space):
    codec = ActionCodec(space)
    space.seed(0)
    target = torch.from_numpy(codec.encode_many([space.sample() for _ in range(6)])).view(2, 3, -1)
    logits = 3 * normal(2, 3, codec.width)
    expected = torch.zeros(2, 3)
    for row in np.ndindex(2, 3):
        for factor in codec.factors:
            part = logits[row][factor.slice]
            log_probabilities = part - part.exp().sum().log()
            expected[row] -= (log_probabilities * target[row][factor.slice]).sum()
    torch.testing.assert_close(FactorDistribution(codec).cross_entropy(logits, target), expected)


def test_cross_entropy_is_least_at_the_target():
    distribution = FactorDistribution(CODEC)
    target = distribution.probabilities(normal(CODEC.width))
    entropy = -(target * target.log()).sum()
    torch.testing.assert_close(distribution.cross_entropy(target.log(), target), entropy)
    assert distribution.cross_entropy(target.log() + 0.5 * uniform(CODEC.width), target) > entropy


def test_cross_entropy_with_no_action_is_nothing():
    logits = normal(2, CODEC.width)
    assert (FactorDistribution(CODEC).cross_entropy(logits, torch.zeros(2, CODEC.width)) == 0).all()


def test_half_precision_logits_are_worked_on_in_single():
    logits = normal(4, CODEC.width).bfloat16()
    distribution = FactorDistribution(CODEC)
    assert distribution.probabilities(logits).dtype == torch.float32
    target = distribution.probabilities(normal(4, CODEC.width, seed=1))
    torch.testing.assert_close(
        distribution.cross_entropy(logits, target), distribution.cross_entropy(logits.float(), target)
    )


def test_distribution_adds_nothing_to_a_checkpoint():
    assert FactorDistribution(CODEC).state_dict() == {}
