"""Learning in dreams: its parts, and the whole in a corridor whose best policy is known.

The corridor has places 0 to 6. The recorded player mostly goes left, where a small prize is near; the large one is far
to the right. Either ends the episode.
"""

import dataclasses
import itertools
import math
from pathlib import Path

import pytest
import torch
import yaml
from gymnasium import spaces

from worldmodel.agents.learning import (
    ActorCritic,
    Clips,
    Learner,
    LearningConfig,
    WorldStep,
    imagine,
    lambda_returns,
    policy_loss,
    read_origin,
    read_policy,
)
from worldmodel.agents.learning.returns import survival
from worldmodel.data.action_codec import ActionCodec

PLACES, DISCOUNT = 7, 0.9
LEFT, STAY, RIGHT = range(3)
CODEC = ActionCodec(spaces.Discrete(3))
SMALL = {"max_steps": 40, "cloning_steps": 50, "dreams": 64, "horizon_steps": 8, "discount": DISCOUNT, "hidden": 32}
SMALL |= {"learning_rate": 4e-3, "epochs": 2, "prior_weight": 0.3}
FAST = {**SMALL, "max_steps": 4, "cloning_steps": 3, "dreams": 8}


class Corridor:
    """A world of which everything is known; its state is the place."""

    num_features = PLACES

    def clips(self, batch, random):
        places = torch.randint(1, PLACES - 1, (batch, 3), generator=random)
        chances = torch.tensor([0.6, 0.2, 0.2]).expand(batch * 3, 3)
        actions = torch.multinomial(chances, 1, generator=random)[:, 0].view(batch, 3)
        known = torch.rand(batch, 3, generator=random) < 0.9
        actions = torch.where(known, actions, RIGHT)  # wrong, if it were not left out
        return Clips(one_hot(places, PLACES), one_hot(actions, 3), known)

    def begin(self, batch, random):
        places = torch.randint(1, PLACES - 1, (batch,), generator=random)
        return WorldStep(places, one_hot(places, PLACES), torch.zeros(batch), torch.ones(batch))

    def step(self, state, actions, random):
        inside = (state > 0) & (state < PLACES - 1)
        places = torch.where(inside, state + actions.argmax(-1) - 1, state)
        prize = torch.where(places == 0, 0.3, 0.0) + torch.where(places == PLACES - 1, 1.0, 0.0)
        going_on = ((places > 0) & (places < PLACES - 1)).float()
        return WorldStep(places, one_hot(places, PLACES), prize * inside, going_on)


def one_hot(numbers, size):
    return torch.nn.functional.one_hot(numbers, size).float()


def networks(hidden=32, features=PLACES):
    torch.manual_seed(0)
    return ActorCritic(features, CODEC, hidden)


def learner(folder, *, seed=0, **settings):
    return Learner(
        Corridor(), networks(), LearningConfig(**{**SMALL, **settings}), folder, seed=seed, origin={"hidden": 32}
    )


def weights(learned):
    return torch.cat([parameter.flatten() for parameter in learned.networks.state_dict().values()])


# Returns


def test_lambda_returns_by_hand():
    rewards = torch.tensor([[1.0, 0.0], [0.0, 2.0], [4.0, 0.0]])
    continues = torch.tensor([[1.0, 1.0], [0.5, 0.0], [1.0, 1.0]])
    values = torch.tensor([[9.0, 9.0], [2.0, 3.0], [4.0, 5.0], [8.0, 6.0]])
    found = lambda_returns(rewards, continues, values, discount=0.5, trace_decay=0.75)
    # From the end: 4 + .5 * 8 = 8; 0 + .25 * (.25 * 4 + .75 * 8) = 1.75; 1 + .5 * (.25 * 2 + .75 * 1.75) = 1.90625
    assert found[:, 0].tolist() == [1.90625, 1.75, 8.0]
    # 0 + .5 * 6 = 3; 2, as the episode is over; .5 * (.25 * 3 + .75 * 2) = 1.125
    assert found[:, 1].tolist() == [1.125, 2.0, 3.0]


def test_lambda_returns_at_the_limits():
    rewards, continues, values = torch.rand(5, 3), torch.rand(5, 3), torch.rand(6, 3)
    trusting, summing = (
        lambda_returns(rewards, continues, values, discount=0.9, trace_decay=decay) for decay in (0.0, 1.0)
    )
    assert torch.allclose(trusting, rewards + 0.9 * continues * values[1:])
    factors = torch.cat([torch.ones(1, 3), (0.9 * continues).cumprod(0)])
    assert torch.allclose(summing[0], (factors[:-1] * rewards).sum(0) + factors[-1] * values[-1])
    with pytest.raises(ValueError, match=r"values: expected one moment more than rewards \(5, 3\)"):
        lambda_returns(rewards, continues, values[1:], discount=0.9, trace_decay=0.5)


def test_episodes_survive_as_long_as_they_go_on():
    alive, continues = torch.tensor([1.0, 0.0]), torch.tensor([[0.5, 1.0], [0.0, 1.0], [1.0, 1.0]])
    assert survival(alive, continues).tolist() == [[1.0, 0.0], [0.5, 0.0], [0.0, 0.0], [0.0, 0.0]]


# The loss, the distributions


def test_only_the_sign_of_an_advantage_counts():
    likelihoods = torch.tensor([-1.0, -2.0, -3.0, -5.0], requires_grad=True)
    ones = torch.ones(4)
    loss = policy_loss(likelihoods, torch.tensor([0.1, 0.0, -9.0, -0.1]), ones)
    assert loss.item() == pytest.approx(0.5 * ((-3 - 5) / 2 - (-1 - 2) / 2))
    loss.backward()
    assert likelihoods.grad.tolist() == [-0.25, -0.25, 0.25, 0.25], "good ones likelier, bad ones less likely"
    scaled = policy_loss(likelihoods, 1000 * torch.tensor([0.1, 0.0, -9.0, -0.1]), ones)
    assert scaled.item() == loss.item()


def test_moments_after_the_end_do_not_count():
    likelihoods, advantages = torch.tensor([-1.0, -2.0, -4.0]), torch.tensor([1.0, 1.0, -1.0])
    weighed = policy_loss(likelihoods, advantages, torch.tensor([1.0, 0.0, 1.0]))
    assert weighed == policy_loss(likelihoods[[0, 2]], advantages[[0, 2]], torch.ones(2))
    assert policy_loss(likelihoods, advantages.abs(), torch.ones(3)).item() == pytest.approx(0.5 * 7 / 3)
    assert policy_loss(likelihoods, advantages, torch.zeros(3)).item() == 0


def test_figures_of_policies_are_those_of_categories():
    made = networks()
    logits, others = torch.tensor([[1.0, 0.0, -1.0]]), torch.tensor([[0.0, 0.5, 0.0]])
    one, other = (torch.distributions.Categorical(logits=values) for values in (logits, others))
    assert made.divergence(logits, others) == pytest.approx(torch.distributions.kl_divergence(one, other).item())
    assert made.entropy(logits) == pytest.approx(one.entropy().item())
    likelihood = made.log_likelihood(logits, one_hot(torch.tensor([2]), 3))
    assert likelihood == pytest.approx(one.log_prob(torch.tensor(2)).item())


def test_a_new_critic_says_nothing_and_a_new_policy_all():
    made, features = networks(), torch.rand(5, PLACES)
    assert made.value(features).abs().max() < 1e-5
    assert made.entropy(made.actor(features)).tolist() == pytest.approx([math.log(3)] * 5)


def test_actions_are_drawn_as_likely_as_they_are():
    codec = ActionCodec(spaces.MultiDiscrete([3, 2, 3]))
    factors = ActorCritic(4, codec, 8).factors
    chances = torch.tensor([0.1, 0.6, 0.3, 0.75, 0.25, 0.0, 0.5, 0.5])
    random = torch.Generator().manual_seed(0)
    drawn = factors.draw(chances.log().clamp(min=-50).expand(20000, -1), random)
    assert ((drawn == 0) | (drawn == 1)).all() and (drawn.sum(-1) == 3).all()
    assert drawn.mean(0).tolist() == pytest.approx(chances.tolist(), abs=0.015)
    one, two = drawn[:, :3].argmax(-1), drawn[:, 5:].argmax(-1)
    assert ((one == 1) & (two == 2)).float().mean() == pytest.approx(0.3, abs=0.015), "factors are independent"


def test_dreams_follow_the_policy_and_count_until_the_end():
    def go_right(features):
        return torch.tensor([0.0, 0.0, 50.0]).expand(len(features), 3)

    dreamed = imagine(Corridor(), networks(), go_right, dreams=32, horizon=5, random=torch.Generator().manual_seed(0))
    assert dreamed.features.shape == (6, 32, PLACES) and (dreamed.actions.argmax(-1) == RIGHT).all()
    starts = dreamed.features[0].argmax(-1)
    assert dreamed.rewards.argmax(0).tolist() == (PLACES - 2 - starts).tolist()
    assert dreamed.alive.sum(0).tolist() == (PLACES - 1 - starts).tolist()
    assert dreamed.mean_return() == 1.0
    dreamed.alive[:, 1:] = 0  # as if those had begun where an episode had ended
    dreamed.rewards[:, 1:] = 5
    assert dreamed.mean_return() == 1.0


# The whole


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    made = learner(tmp_path_factory.mktemp("learned"))
    figures = []
    assert made.run(on_step=figures.append)
    return made, figures


def test_cloning_plays_as_was_recorded(learned):
    made, figures = learned
    inside = torch.eye(PLACES)[1:-1]
    chances = made.networks.factors.probabilities(made.networks.prior(inside))
    assert chances.mean(0).tolist() == pytest.approx([0.6, 0.2, 0.2], abs=0.08)
    losses = [row["cloning_loss"] for row in figures if "cloning_loss" in row]
    assert len(losses) == SMALL["cloning_steps"] and losses[-1] < losses[0]


def test_learning_finds_the_best_policy(learned):
    made, figures = learned
    inside = torch.eye(PLACES)[1:-1]
    chances = made.networks.factors.probabilities(made.networks.actor(inside))
    assert chances.argmax(-1).tolist() == [RIGHT] * (PLACES - 2)
    assert len([row for row in figures if "imagined_return" in row]) == SMALL["max_steps"]
    returns = {}
    for name in ("prior", "actor"):
        dreamed = made.dream(getattr(made.networks, name), torch.Generator().manual_seed(5))
        returns[name] = dreamed.mean_return()
    assert returns["actor"] > 0.9 > 0.5 > returns["prior"]


def test_the_critic_knows_what_moments_are_worth(learned):
    made, _ = learned
    best = torch.tensor([DISCOUNT ** (PLACES - 2 - place) for place in range(1, PLACES - 1)])
    with torch.no_grad():
        values = made.networks.value(torch.eye(PLACES)[1:-1])
    assert values.diff().min() > 0
    assert (values - best).abs().max() < 0.2


def test_the_prior_holds_the_policy(learned, tmp_path):
    held = learner(tmp_path, prior_weight=30.0, max_steps=15)
    held.run()
    far = {}
    for name, made in (("free", learned[0]), ("held", held)):
        inside = torch.eye(PLACES)[1:-1]
        far[name] = made.networks.divergence(made.networks.actor(inside), made.networks.prior(inside)).mean().item()
    assert far["held"] < 0.05 < 0.3 < far["free"]


def test_the_seed_decides(tmp_path):
    runs = []
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        made = learner(tmp_path / name, seed=seed, **FAST)
        made.run()
        runs.append(weights(made))
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("stop", [2, 3, 5])
def test_stopped_and_gone_on_is_the_same(tmp_path, stop):
    whole = learner(tmp_path / "whole", **FAST)
    assert whole.run()
    first = learner(tmp_path / "parts", **FAST)
    countdown = itertools.count(1)
    assert not first.run(should_stop=lambda: next(countdown) > stop)
    assert first.progress.step == stop
    second = learner(tmp_path / "parts", **FAST)
    assert second.progress.step == stop and second.progress.seconds == first.progress.seconds
    assert second.run() and second.progress.step == 7
    assert torch.equal(weights(second), weights(whole))


def test_one_whole_state_is_kept(tmp_path, monkeypatch):
    made = learner(tmp_path, **FAST, save_minutes=1e-9)
    assert made.run()
    assert [path.name for path in tmp_path.iterdir()] == ["policy-000000007"]
    assert read_origin(tmp_path)["hidden"] == 32 and read_origin(tmp_path)["step"] == 7
    read = read_policy(tmp_path, CODEC, PLACES)
    assert torch.equal(read.actor(torch.eye(PLACES)), made.networks.actor(torch.eye(PLACES)))
    assert not any(parameter.requires_grad for parameter in read.parameters())
    made.progress.step = 8
    monkeypatch.setattr("worldmodel.agents.learning.states.os.replace", fail)
    with pytest.raises(OSError, match="disk"):
        made.save()
    assert read_origin(tmp_path)["step"] == 7, "a half written state is none"
    monkeypatch.undo()
    made.save()
    assert [path.name for path in tmp_path.iterdir()] == ["policy-000000008"]


def fail(*_):
    raise OSError("disk")


def test_states_of_others_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="checkpoint: expected the folder of `worldmodel learn`"):
        read_policy(tmp_path, CODEC, PLACES)
    learner(tmp_path, **FAST).save()
    with pytest.raises(ValueError, match="expected networks of this world model, got those of another; learn anew"):
        read_policy(tmp_path, CODEC, PLACES + 1)
    other = Corridor()
    with pytest.raises(ValueError, match="learn anew"):
        Learner(other, networks(features=9), LearningConfig(**FAST), tmp_path, seed=0, origin={})
    path = tmp_path / "policy-000000000" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="expected safetensors, got a damaged file"):
        read_policy(tmp_path, CODEC, PLACES)


def test_time_is_a_limit_too(tmp_path):
    made = learner(tmp_path, **{**FAST, "max_steps": None, "max_minutes": 1.0})
    made.progress.seconds = 30.0
    assert made.share == 0.5
    made.progress.seconds = 61.0
    assert made.share == 1.0 and made.run() and made.progress.step == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "max_steps: expected a number of steps, or max_minutes, got neither"),
        ({"max_minutes": 0}, "max_minutes: expected more than 0, got 0"),
        ({"max_steps": 1, "dreams": 0}, "dreams: expected more than 0, got 0"),
        ({"max_steps": 1, "horizon_steps": -2}, "horizon_steps: expected more than 0, got -2"),
        ({"max_steps": 1, "learning_rate": math.nan}, "learning_rate: expected more than 0, got nan"),
        ({"max_steps": 1, "cloning_steps": -1}, "cloning_steps: expected at least 0, got -1"),
        ({"max_steps": 1, "prior_weight": -0.1}, "prior_weight: expected at least 0, got -0.1"),
        ({"max_steps": 1, "discount": 1.0}, "discount: expected a number above 0 and below 1, got 1.0"),
        ({"max_steps": 1, "trace_decay": 1.5}, "trace_decay: expected a number from 0 to 1, got 1.5"),
        ({"max_steps": 1, "dreams": 1, "horizon_steps": 2}, "minibatches: expected at most 2, the moments of"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        LearningConfig(**settings)


def test_the_settings_file_has_the_defaults():
    file = Path(__file__).parents[2] / "configs" / "learn.yaml"
    written = yaml.safe_load(file.read_text())["learning"]
    defaults = dataclasses.asdict(LearningConfig(max_minutes=written["max_minutes"]))
    assert written == {name: defaults[name] for name in written}
