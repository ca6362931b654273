"""The player that plans."""

import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from PIL import Image

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.agents.planning import EnvironmentSimulator, PlannerConfig, first_proposal, policy_of
from worldmodel.cli.settings import player_kwargs
from worldmodel.model import WorldModel, streaming

sys.path.append(str(Path(__file__).parent))  # for toy_worlds, which is no module of a package

from toy_worlds import Chain, Locks, Mass, Mixed, best_return  # noqa: E402

SMALL = {"horizon_steps": 3, "candidates": 6, "elites": 2, "iterations": 2}


def play(env, steps, seed=0, **kwargs):
    """Plays an episode; returns the actions and the return."""
    player = make_player("planner", env, **kwargs)
    observation, info = env.reset(seed=1)
    player.reset(seed)
    actions, total = [], 0.0
    for _ in range(steps):
        actions.append(player.act(observation, info))
        assert actions[-1] in env.action_space
        observation, reward, terminated, truncated, info = env.step(actions[-1])
        total += reward
        if terminated or truncated:
            break
    return actions, total


def flat(actions):
    parts = [list(action.values()) if isinstance(action, dict) else [action] for action in actions]
    return [np.asarray(part).tolist() for row in parts for part in row]


# In the environment itself


@pytest.mark.parametrize(
    ("method", "within"), [("random_shooting", 1.2), ("cem", 0.3), ("icem", 1.2), ("mppi", 0.3), ("beam", 1.2)]
)
@pytest.mark.parametrize("world", [Chain, Locks, Mass, Mixed])
def test_a_receding_horizon_reaches_the_best_return(method, within, world):
    is_discrete = world in (Chain, Locks)
    grid = [a for a in Mixed.grid if abs(a["push"][0]) in (0.0, 0.5, 1.0)] if world is Mixed else world.grid
    best = best_return(type("Coarse", (world,), {"grid": grid})(), 4)
    _, total = play(world(), 4, method=method, horizon_steps=4, candidates=150, elites=30, discount=1.0)
    assert total > best - (0.2 if is_discrete else within)


def test_it_plans_in_the_block_world_and_leaves_it_alone():
    env = gymnasium.make("worldmodel/VoxelNavigateDense-v0", height=16, width=16, view_distance=16, frame_skip=4)
    player = make_player("planner", env, horizon_steps=4, candidates=12, elites=3)
    observation, info = env.reset(seed=1)
    player.reset(0)
    for _ in range(3):
        before, shown = env.unwrapped.get_state(), observation.copy()
        action = player.act(observation, info)
        after = env.unwrapped.get_state()
        assert np.array_equal(before["simulation"]["body"], after["simulation"]["body"])
        assert before["task"] == after["task"] and before["climate"] == after["climate"]
        assert np.array_equal(observation, shown)
        observation, reward, *_, info = env.step(action)
    twin = gymnasium.make("worldmodel/VoxelNavigateDense-v0", height=16, width=16, view_distance=16, frame_skip=4)
    twin.reset(seed=1)
    again = make_player("planner", twin, horizon_steps=4, candidates=12, elites=3)
    again.reset(0)
    assert flat([again.act(*twin.reset(seed=1))]) == flat(play(env, 1, horizon_steps=4, candidates=12, elites=3)[0])


def test_it_comes_nearer_to_the_goal_than_chance():
    env = gymnasium.make(
        "worldmodel/VoxelNavigateDense-v0", height=16, width=16, view_distance=16, frame_skip=4, actions="discrete"
    )
    settings = {"horizon_steps": 8, "action_repeat": 2, "replan_steps": 4, "candidates": 32, "elites": 6}
    _, planned = play(env, 12, **settings)
    player = make_player("random", env)
    env.reset(seed=1)
    player.reset(0)
    drawn = sum(env.step(player.act(None, {}))[1] for _ in range(12))
    assert planned > 5 > 2 > drawn


@pytest.mark.parametrize("seed", [0, 1])
def test_the_seed_decides(seed):
    settings = {"method": "icem", "candidates": 8, "elites": 2, "horizon_steps": 4}
    first, again = (play(Mass(), 4, seed, **settings)[0] for _ in range(2))
    assert flat(first) == flat(again) != flat(play(Mass(), 4, seed + 5, **settings)[0])


def test_a_player_that_is_reset_knows_nothing_of_the_episode_before():
    env = Mass()
    player = make_player("planner", env, candidates=8, elites=2, horizon_steps=4, replan_steps=3)
    runs = []
    for _ in range(2):
        observation, info = env.reset(seed=1)
        player.reset(4)
        assert player.plan is None
        runs.append([player.act(observation, info).tolist() for _ in range(2)])
    assert runs[0] == runs[1]


def test_plans_are_made_when_it_is_time(monkeypatch):
    made, rollout = [], EnvironmentSimulator.rollout
    monkeypatch.setattr(EnvironmentSimulator, "rollout", lambda self, *a, **k: made.append(1) or rollout(self, *a, **k))
    actions, _ = play(Mass(), 8, horizon_steps=6, action_repeat=2, replan_steps=4, iterations=1, candidates=8, elites=2)
    assert len(made) == 2
    held = np.array(flat(actions))[:, 0]
    assert np.array_equal(held[0::2], held[1::2]) and len(np.unique(held)) > 2


def centre_of_the_next(player):
    """The middle of what the first candidates of the next plan are drawn from."""
    first = first_proposal(player._coordinates, player.config.length, spread=0.5, colour=0.0)
    return player._warmed(first)[0].centre()


def test_a_warm_start_goes_on_with_the_plan_before():
    env = Locks()
    player = make_player("planner", env, horizon_steps=3, candidates=30, elites=5)
    observation, info = env.reset(seed=0)
    player.reset(0)
    player.act(observation, info)
    before = player.plan
    assert np.array_equal(centre_of_the_next(player), before.sequence[[1, 2, 2]])
    cold = make_player("planner", env, horizon_steps=3, candidates=30, elites=5, warm_start=False)
    cold.reset(0)
    cold.act(observation, info)
    assert np.array_equal(centre_of_the_next(cold), np.zeros((3, 2)))


def test_any_function_is_an_objective():
    actions, _ = play(Chain(), 2, objective=lambda r: -np.array([seen[-1][0] for seen in r.observations]), **SMALL)
    assert actions == [0, 0]


# In dreams


@pytest.mark.parametrize("method", ["cem", "icem", "mppi", "random_shooting", "beam"])
def test_it_plays_a_dream_and_the_seed_decides(dream, method):
    settings = {"method": method, **SMALL, "candidates": 8}
    first, again, *others = (flat(play(dream, 2, seed, **settings)[0]) for seed in (0, 0, 1, 2))
    assert first == again and others != [first, first]


def test_in_a_dream_the_plan_comes_true(dream):
    player = make_player("planner", dream, **{**SMALL, "replan_steps": 3, "discount": 1.0})
    observation, info = dream.reset(seed=1)
    player.reset(0)
    total = 0.0
    for _ in range(3):
        observation, reward, terminated, _, info = dream.step(player.act(observation, info))
        total += reward
        if terminated:
            break
    assert total == pytest.approx(player.plan.score, rel=0.02)
    assert player.plan.score == max(player.plan.scores)


def test_a_prior_is_what_the_model_would_do(dream):
    player = make_player("planner", dream, horizon_steps=2, candidates=1, elites=1, iterations=1, prior=1.0)
    observation, info = dream.reset(seed=1)
    player.reset(0)
    player.act(observation, info)
    model = dream.unwrapped.model
    policy = policy_of(model, dream.unwrapped.get_state())
    likeliest = [policy[factor.slice].argmax() for factor in model.codec.factors if factor.values is None]
    assert player.plan.sequence[:, player._coordinates.categorical].tolist() == [likeliest] * 2


def test_an_image_is_a_goal_in_a_dream_and_in_truth(dream, tmp_path):
    goal = dream.reset(seed=5)[0]
    Image.fromarray(goal).save(tmp_path / "goal.png")
    as_array, as_path = (
        play(dream, 1, objective="image", goal=picture, **SMALL)[0] for picture in (goal, str(tmp_path / "goal.png"))
    )
    assert flat(as_array) == flat(as_path)
    env = gymnasium.make("worldmodel/Voxel-v0", height=32, width=32, view_distance=16, frame_skip=4, actions="discrete")
    env.reset(seed=1)
    right = env.step(11)[0]
    actions, _ = play(env, 1, objective="image", goal=right, method="beam", horizon_steps=1, candidates=32, elites=1)
    assert actions == [11]


def test_words_are_a_goal_in_a_dream(dream):
    assert len(play(dream, 1, objective="text", goal="a forest", **SMALL)[0]) == 1


# In dreams of a real environment


def real(**settings):
    settings = {"height": 48, "width": 48, "view_distance": 16, "render_mode": "rgb_array", **settings}
    return gymnasium.make("worldmodel/Voxel-v0", **settings)


@pytest.mark.parametrize("frame_skip", [1, 2])
def test_dreams_begin_with_what_was_seen_and_done(checkpoint, monkeypatch, frame_skip):
    shown, observe = [], streaming.observe
    monkeypatch.setattr(streaming, "observe", lambda *args: shown.append(args[2:4]) or observe(*args))
    seen, imagine = [], streaming.imagine
    monkeypatch.setattr(streaming, "imagine", lambda *args, **kw: seen.append(args[1]) or imagine(*args, **kw))
    env = real(frame_skip=frame_skip)
    player = make_player("planner", env, checkpoint=checkpoint, num_steps=1, **{**SMALL, "iterations": 1})
    observation, info = env.reset(seed=1)
    player.reset(0)
    frames, ticks = [observation], []
    for _ in range(6 // frame_skip):
        action = player.act(observation, info)
        assert action in env.action_space
        observation, *_, info = env.step(action)
        frames += list(env.unwrapped.frames)
        ticks += [action] * frame_skip
    assert flat(ticks[0::2]) == flat(ticks[1::2]), "an action lasts as long as a latent frame"
    model = WorldModel.from_pretrained(checkpoint, dtype=player._place.model.dtype)
    assert len(shown) == 3, "each latent frame once, and the last one is not yet asked for"
    wanted = model.encode(torch.from_numpy(np.stack(frames[:5])))
    vectors = model.action_vectors(ticks[:4])
    for t, (latents, actions) in enumerate(shown):
        assert torch.allclose(latents[0], wanted[t], atol=1e-2)
        assert (actions is None) if t == 0 else torch.equal(actions[0], vectors[t])
    assert [len(state.latents) for state in seen] == [6] * 9, "three plans, each a pass a step for all candidates"
    for t in range(3):
        state = seen[3 * t]
        assert state.cache.count.tolist() == [t + 1] * 6 and state.cache.layers[0].keys.stride(0) == 0
        assert torch.allclose(state.latents[0], shown[t][0][0])


def test_in_reality_the_seed_decides(checkpoint):
    env = real(frame_skip=2, actions="discrete")
    settings = {"checkpoint": checkpoint, "num_steps": 1, **SMALL}
    first, again, other = (play(env, 3, seed, **settings)[0] for seed in (0, 0, 1))
    assert first == again != other


# What is refused, and what is promised


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"horizon_steps": 0}, ValueError, "horizon_steps: expected a whole number of at least 1, got 0"),
        ({"elites": 65}, ValueError, "elites: expected at most as many as candidates, 64, got 65"),
        ({"depth": 3}, TypeError, "settings: expected any of method, .*got 'depth'; remove or rename it"),
        ({"objective": "image"}, ValueError, "goal: expected a picture or the path of one with the objective image"),
        ({"objective": "text"}, ValueError, "goal: expected words with the objective text, got None"),
        ({"objective": "text", "goal": "sand"}, ValueError, "objective: expected one other than text where no model"),
        ({"goal": "sand"}, ValueError, "goal: expected None with the objective reward, got 'sand'"),
        ({"objective": len, "goal": "sand"}, ValueError, "goal: expected None with an objective of your own"),
        ({"objective": "image", "goal": "no.png"}, ValueError, "objective: expected pictures as observations"),
        ({"prior": 0.5}, ValueError, "prior: expected 0 where no player of a model plays with the action space"),
        ({"checkpoint": "no-such"}, FileNotFoundError, "no-such"),
    ],
)
def test_bad_settings_are_refused(kwargs, error, message):
    with pytest.raises(error, match=message):
        make_player("planner", Chain(), **kwargs)


def test_unfit_environments_are_refused(checkpoint, dream, tmp_path):
    with pytest.raises(TypeError, match="env: expected one with get_state and set_state.*got CartPoleEnv"):
        make_player("planner", gymnasium.make("CartPole-v1"))
    with pytest.raises(ValueError, match="checkpoint: expected None in a dream, whose own model plans"):
        make_player("planner", dream, checkpoint=checkpoint)
    for settings, message in [
        ({"frame_skip": 3}, "expected steps of 1 or 2 ticks, as the model has 2 in a latent frame, got 3"),
        ({"frame_skip": 2, "render_mode": None}, 'expected render_mode="rgb_array", so that every tick is seen'),
        ({"height": 32}, "expected the observation_space that the model was trained with"),
    ]:
        with pytest.raises(TypeError, match=message):
            make_player("planner", real(**settings), checkpoint=checkpoint)
    env = real()
    with pytest.raises(FileNotFoundError, match="goal: expected a picture file, found none at 'no.png'"):
        make_player("planner", env, objective="image", goal="no.png")
    (tmp_path / "words.png").write_text("words")
    with pytest.raises(ValueError, match="goal: expected a picture file, got another kind of file"):
        make_player("planner", env, objective="image", goal=str(tmp_path / "words.png"))


def test_the_settings_file_has_every_setting_with_its_default():
    defaults = PlannerConfig()
    named = {name: getattr(defaults, name) for name in PlannerConfig.__dataclass_fields__}
    named = {name: getattr(value, "value", value) for name, value in named.items()}
    assert player_kwargs("planner") == named | {"goal": None, "checkpoint": None}
