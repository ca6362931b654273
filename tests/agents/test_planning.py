"""The parts of planning: where candidates are tried, what they are drawn from, and how the best is found."""

import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents.planning import (
    ActionCoordinates,
    DreamSimulator,
    EnvironmentSimulator,
    ImageObjective,
    PlannerConfig,
    RewardObjective,
    Rollouts,
    TextObjective,
    beam_search,
    first_proposal,
    optimise,
)
from worldmodel.envs.actions import action_space
from worldmodel.envs.imagined import core
from worldmodel.envs.imagined.models import load
from worldmodel.model import streaming

sys.path.append(str(Path(__file__).parent))  # for toy_worlds, which is no module of a package

from toy_worlds import Chain, Locks, Lottery, Mass, Mixed, best_return  # noqa: E402

METHODS = ["random_shooting", "cem", "icem", "mppi", "beam"]
LENGTH = 4


def proposal_of(space, length=12, **kwargs):
    return first_proposal(ActionCoordinates(space), length, **{"spread": 0.5, "colour": 0.0, **kwargs})


def plan(env, random=None, objective=None, colour=None, **settings):
    """Begins an episode and makes one plan, with enough candidates to be sure of the best one."""
    defaults = {"horizon_steps": LENGTH, "candidates": 200, "iterations": 8, "elites": 30, "discount": 1.0}
    config = PlannerConfig(**{**defaults, **settings})
    env.reset(seed=0)
    simulator = EnvironmentSimulator(env)
    simulator.begin(env.get_state())
    proposal = proposal_of(env.action_space, config.length, colour=config.noise_colour)
    search = beam_search if settings.get("method") == "beam" else optimise
    return search(
        simulator, proposal, objective or RewardObjective(config.discount), config, random or np.random.default_rng(0)
    )


# Optimisers and the beam


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("world", [Chain, Locks])
def test_every_method_finds_the_best_of_all_discrete_plans(method, world):
    best = best_return(world(), LENGTH)
    found = plan(world(), method=method)
    assert found.score == pytest.approx(best)
    env = world()
    env.reset(seed=0)
    total, space = 0.0, ActionCoordinates(env.action_space)
    for action in space.actions(found.sequence):  # what is planned is what then happens
        _, reward, terminated, _, _ = env.step(action)
        total += reward
        if terminated:
            break
    assert total == pytest.approx(best)


@pytest.mark.parametrize(
    ("method", "within"), [("random_shooting", 1.2), ("cem", 0.11), ("icem", 0.11), ("mppi", 0.11), ("beam", 0.9)]
)
@pytest.mark.parametrize(("world", "length"), [(Mass, 4), (Mixed, 2)])
def test_every_method_comes_close_to_the_best_continuous_plan(method, within, world, length):
    best = best_return(world(), length)
    found = plan(world(), method=method, horizon_steps=length)
    assert best - within < found.score < best + 0.02


def test_every_iteration_of_cem_helps_and_shooting_only_draws():
    cem, shooting = (plan(Mass(), method=method, candidates=40, elites=5) for method in ("cem", "random_shooting"))
    assert cem.scores == sorted(cem.scores) and cem.scores[-1] > cem.scores[0]
    assert cem.score > shooting.score and cem.tried == shooting.tried == 320


def test_icem_tries_ever_fewer_and_its_elites_again():
    tried = []

    def spied(rollouts):
        tried.append([np.concatenate(seen).tolist() for seen in rollouts.observations])
        return rollouts.rewards.sum(1)

    found = plan(Mass(), method="icem", candidates=60, elites=10, iterations=4, objective=spied)
    assert [len(rows) for rows in tried] == [60, 48, 38, 31]
    assert found.tried == sum(map(len, tried))
    for before, after in zip(tried[:-1], tried[1:], strict=True):
        best = sorted(before, key=lambda row: -sum(-((x - 2.5) ** 2) for x in row))[0]
        assert any(np.allclose(best, row) for row in after)


def test_a_greedy_beam_takes_the_near_prize_and_a_wide_one_the_far():
    assert plan(Chain(), method="beam", elites=1, candidates=3).score == pytest.approx(0.3 - 0.02)
    assert plan(Chain(), method="beam", elites=27, candidates=81).score == pytest.approx(1 - 0.04)


def test_a_beam_continues_the_best_only():
    found = plan(Locks(), method="beam", elites=4, candidates=24)
    assert found.tried == 6 + 3 * 4 * 6, "all six actions of the start, then of each of the four best"


@pytest.mark.parametrize("method", METHODS)
def test_the_generator_decides(method):
    first, again, other = (
        plan(Mass(), np.random.default_rng(seed), method=method, candidates=20, elites=5, iterations=2)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first.sequence, again.sequence) and first.score == again.score
    assert not np.array_equal(first.sequence, other.sequence)


def test_actions_are_held():
    seen = []
    settings = {"horizon_steps": 6, "action_repeat": 3, "replan_steps": 3, "method": "random_shooting"}
    found = plan(Mass(), objective=lambda r: seen.append(r.observations) or r.rewards.sum(1), **settings)
    moves = np.diff(np.array(seen[0])[..., 0], axis=1)
    assert found.sequence.shape == (2, 1) and moves.shape == (200, 5)
    assert np.allclose(moves[:, 0], moves[:, 1]) and np.allclose(moves[:, 2], moves[:, 4])
    assert not np.allclose(moves[:, 1], moves[:, 2])


@pytest.mark.parametrize("scores", [np.zeros(3), np.full(200, np.nan)])
def test_objectives_must_score_every_candidate(scores):
    with pytest.raises(ValueError, match="objective: expected a finite score for each of 200 candidates, got shape"):
        plan(Chain(), objective=lambda rollouts: scores)


# The real simulator


def test_rollouts_are_what_would_happen_and_leave_the_world_alone():
    env = Lottery()
    env.reset(seed=3)
    env.step(np.array([0, 1]))
    before, chance = env.get_state(), env.np_random.bit_generator.state
    simulator = EnvironmentSimulator(env)
    simulator.begin(before)
    found = simulator.rollout([[np.array([0, 1])] * 3] * 2)
    assert env.get_state() == before and env.np_random.bit_generator.state == chance
    happens = [env.step(np.array([0, 1]))[1] for _ in range(3)]
    assert np.allclose(found.rewards, [happens, happens])


def test_nothing_counts_after_the_end_of_an_episode():
    env = Chain()
    env.reset(seed=0)
    simulator = EnvironmentSimulator(env)
    simulator.begin(env.get_state())
    found = simulator.rollout([[0, 0, 2, 2], [2, 2, 2, 2], [1, 1, 1, 1]])
    assert found.rewards.round(2).tolist() == [[-0.01, 0.29, 0, 0], [-0.01, -0.01, -0.01, 0.99], [-0.01] * 4]
    assert found.taken.sum(1).tolist() == [2, 4, 4] and found.last.tolist() == [1, 3, 3]
    assert found.over.tolist() == [True, True, False] and [len(seen) for seen in found.observations] == [2, 4, 4]
    assert env.get_state() == (2, 0), "also after an end"


def test_an_error_of_the_environment_leaves_it_where_it_was():
    env = Chain()
    env.reset(seed=0)
    simulator = EnvironmentSimulator(env)
    simulator.begin(env.get_state())
    with pytest.raises(ValueError, match="invalid literal"):
        simulator.rollout([[2, "x"]])
    assert env.get_state() == (2, 0)


def test_it_needs_an_environment_that_can_go_back():
    with pytest.raises(TypeError, match="env: expected one with get_state and set_state.*got CartPoleEnv; give the"):
        EnvironmentSimulator(gymnasium.make("CartPole-v1"))
    with pytest.raises(TypeError, match="a wrapper has changed them to"):
        EnvironmentSimulator(gymnasium.wrappers.RescaleAction(Mass(), -2, 2))


# Dreams


@pytest.fixture
def dreamt(dream):
    """The simulator of a dream that has begun, and its state."""
    dream.reset(seed=1, options={"prompt": "a forest"})
    for _ in range(3):
        dream.step({"forward": 1})
    simulator = DreamSimulator(dream.unwrapped._core)
    state = dream.unwrapped.get_state()
    simulator.begin(state)
    return simulator, state


def sequences(number, length, seed=0):
    proposal = proposal_of(action_space(), length)
    rows = proposal.sample(number, np.random.default_rng(seed))
    return [proposal.space.actions(row) for row in rows]


def test_all_candidates_dream_in_one_pass_and_share_the_past(dreamt, monkeypatch):
    simulator, state = dreamt
    seen, imagine = [], streaming.imagine
    monkeypatch.setattr(streaming, "imagine", lambda *args, **kw: seen.append(args[1]) or imagine(*args, **kw))
    simulator.rollout(sequences(5, 3))
    assert [len(call.latents) for call in seen] == [5, 5, 5], "one pass a step"
    for mine, theirs in zip(seen[0].cache.layers, state.state.cache.layers, strict=True):
        assert mine.keys.data_ptr() == theirs.keys.data_ptr() and mine.keys.stride(0) == 0


def test_what_is_tried_in_a_dream_is_what_then_happens_in_it(dreamt, dream):
    simulator, state = dreamt
    plans = sequences(3, 4)
    found = simulator.rollout(plans)
    assert np.abs(found.rewards[0] - found.rewards[1]).max() > 1
    for i, actions in enumerate(plans):
        dream.unwrapped.set_state(state)
        rewards = []
        for action in actions:
            frame, reward, terminated, _, _ = dream.step(action)
            rewards.append(reward)
            if terminated:
                break
        assert np.allclose(found.rewards[i, : len(rewards)], rewards, atol=0.4)
        assert found.over[i] == terminated
        assert np.abs(found.last_frames()[i].astype(int) - frame).mean() < 2


def test_rollouts_go_on_from_their_ends(dreamt):
    simulator, _ = dreamt
    plans = sequences(3, 4)
    whole = simulator.rollout(plans)
    first = simulator.rollout([actions[:2] for actions in plans], keeps_states=True)
    order = np.array([2, 0])
    then = simulator.rollout([plans[i][2:] for i in order], [first.states[i] for i in order])
    joined = first.followed(order, then)
    assert np.allclose(joined.rewards, whole.rewards[order], atol=0.4)
    assert torch.allclose(joined.latents, whole.latents[torch.from_numpy(order)], atol=0.1)
    assert np.array_equal(joined.taken, whole.taken[order])


def test_nothing_counts_after_the_end_of_a_dream(dreamt, monkeypatch):
    simulator, _ = dreamt
    monkeypatch.setattr(core, "TERMINATED_ABOVE", -1.0)
    found = simulator.rollout(sequences(2, 3))
    assert found.taken.tolist() == [[True, False, False]] * 2 and found.over.all()
    assert (found.rewards[:, 1:] == 0).all() and (found.rewards[:, 0] != 0).all()


# Objectives


def rollouts(rewards, taken=None, **kwargs):
    rewards = np.array(rewards, np.float64)
    taken = np.ones(rewards.shape, bool) if taken is None else np.array(taken)
    return Rollouts(
        rewards=rewards, taken=taken, over=~taken[:, -1], **{"observations": [[] for _ in rewards], **kwargs}
    )


def test_rewards_are_discounted():
    assert RewardObjective(0.5)(rollouts([[1, 2, 4], [0, 0, 8]])).tolist() == [3.0, 2.0]


def test_sooner_and_nearer_to_the_picture_is_better():
    black, grey, goal = (np.full((2, 2, 3), value, np.uint8) for value in (0, 100, 200))
    seen = [[black, goal, goal], [black, black, goal], [black, grey, grey], [goal], [black]]
    taken = [[True] * 3] * 3 + [[True, False, False]] * 2
    scores = ImageObjective(goal)(rollouts(np.zeros((5, 3)), taken, observations=seen))
    assert np.argsort(-scores).tolist() == [3, 0, 1, 2, 4]
    assert scores[3] == 0.0 and scores[4] == pytest.approx(-3 * 200 / 255), "the last one counts until the end"
    with pytest.raises(ValueError, match=r"goal: expected a picture of shape \(2, 2, 3\), as observations are, got"):
        ImageObjective(np.zeros((4, 4, 3), np.uint8))(rollouts(np.zeros((5, 3)), taken, observations=seen))
    with pytest.raises(ValueError, match="goal: expected a picture, uint8"):
        ImageObjective(np.zeros((4, 4, 3)))


def test_pictures_are_compared_in_latent_space(dreamt, dream):
    simulator, _ = dreamt
    found, model = simulator.rollout(sequences(4, 1)), dream.unwrapped.model
    frames = found.last_frames()
    assert ImageObjective(frames[2])(found).argmax() == 2, "in pixels"
    goal = model.encode(torch.from_numpy(frames[2][None]))
    distances = (found.latents[:, 0] - goal).square().flatten(1).mean(1).sqrt()
    assert np.allclose(ImageObjective(frames[2], model=model)(found), -distances.numpy(), atol=1e-5)
    real = rollouts(np.zeros((4, 1)), observations=[[frame] for frame in frames])
    assert ImageObjective(frames[2], model=model)(real).argmax() == 2, "frames of a real environment are encoded"


def test_words_agree_with_what_they_say():
    model, _ = load("voxel-small")
    env = gymnasium.make("worldmodel/Voxel-v0", height=64, width=64)
    biomes = ["desert", "snow"] * 4
    frames = [env.reset(seed=i, options={"biome": b, "start_time": 0.2})[0] for i, b in enumerate(biomes)]
    seen = rollouts(np.zeros((8, 1)), observations=[[frame] for frame in frames])
    sand = TextObjective("a Minecraft player walks through a desert", model)(seen)
    snow = TextObjective("a Minecraft player walks through a snowy forest", model)(seen)
    assert (sand - snow)[0::2].min() > (sand - snow)[1::2].max()
    with pytest.raises(ValueError, match="goal: expected words, got ' '"):
        TextObjective(" ", model)


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizon_steps": 0}, "horizon_steps: expected a whole number of at least 1, got 0"),
        ({"candidates": 2.5}, "candidates: expected a whole number of at least 1, got 2.5"),
        ({"iterations": True}, "iterations: expected a whole number of at least 1, got True"),
        ({"candidates": 8, "elites": 9}, "elites: expected at most as many as candidates, 8, got 9"),
        ({"action_repeat": 5}, "horizon_steps: expected a multiple of action_repeat, 5, got 12"),
        ({"action_repeat": 2, "replan_steps": 3}, "replan_steps: expected a multiple of action_repeat, 2, got 3"),
        ({"replan_steps": 13}, "replan_steps: expected at most horizon_steps, 12, got 13"),
        ({"discount": 0}, "discount: expected a number above 0 and at most 1, got 0"),
        ({"discount": 1.5}, "discount: expected a number above 0 and at most 1, got 1.5"),
        ({"smoothing": 1.0}, "smoothing: expected a number from 0 to below 1, got 1.0"),
        ({"prior": -0.1}, "prior: expected a number from 0 to 1, got -0.1"),
        ({"temperature": float("nan")}, "temperature: expected a number above 0"),
        ({"warm_start": "yes"}, "warm_start: expected true or false, got 'yes'"),
        ({"method": "hope"}, "method: expected one of random_shooting, cem, icem, mppi, beam, got 'hope'"),
        ({"objective": "fame"}, "objective: expected one of reward, image, text, got 'fame'"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PlannerConfig(**settings)
