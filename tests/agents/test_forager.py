"""The player that walks about in Crafter."""

import gymnasium
import numpy as np
import pytest

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player

DIRECTIONS = {1: (-1, 0), 2: (1, 0), 3: (0, -1), 4: (0, 1)}


@pytest.fixture(scope="module")
def env():
    return gymnasium.make("worldmodel/Crafter-v0")


def play(env, seed, steps, before=lambda world: None, **kwargs):
    """Plays an episode; returns places, actions, and what was in front of the player before each."""
    player = make_player("forager", env, **kwargs)
    observation, info = env.reset(seed=seed)
    player.reset(seed)
    world = env.unwrapped
    places, actions, ahead = [tuple(world._game._player.pos)], [], []
    for _ in range(steps):
        before(world)
        action = player.act(observation, info)
        assert action in env.action_space
        ahead.append(world.ahead(DIRECTIONS[action]) if action in DIRECTIONS else "")
        observation, _, terminated, _, info = env.step(action)
        actions.append(action)
        places.append(tuple(world._game._player.pos))
        if terminated:
            break
    return places, actions, ahead


def heal(world):
    """Keeps the player alive and awake, so that it is its walking that is looked at."""
    world._game._player.inventory.update(health=9, food=9, drink=9, energy=9)


def test_the_seed_decides(env):
    first, again, other = (play(env, seed, 150)[1] for seed in (3, 3, 4))
    assert first == again != other


def test_it_walks_in_most_steps(env):
    walked, used = [], set()
    for seed in range(4):
        places, actions, _ = play(env, seed, 300, heal)
        walked += [before != after for before, after in zip(places, places[1:], strict=False)]
        used |= set(actions)
        assert len(set(places)) > 60
    assert np.mean(walked) > 0.5
    assert used == set(range(17))


def test_it_never_steps_into_lava(env):
    def surround(world):
        """Lava on three sides, one of them drawn to be free, so that it meets lava all the time."""
        heal(world)
        game = world._game
        for way, step in DIRECTIONS.items():
            cell = tuple(game._player.pos + np.array(step))
            if world.ahead(step) == "edge" or game._world[cell][1] is not None:
                continue
            game._world[cell] = "grass" if way == 1 + game._step % 4 else "lava"

    places, actions, ahead = play(env, 0, 400, surround)
    assert len(actions) == 400 and "lava" not in ahead
    assert len(set(places)) > 20


def test_it_takes_what_bars_its_way(env):
    player = make_player("forager", env)
    observation, info = env.reset(seed=0)
    player.reset(0)
    for _ in range(300):
        heal(env.unwrapped)
        observation, *_, info = env.step(player.act(observation, info))
    assert info["achievements"]["collect_wood"] > 0 or info["achievements"]["collect_drink"] > 0


@pytest.mark.parametrize("walk_steps", [0, 0.5, -3, float("nan")])
def test_bad_settings_are_named(env, walk_steps):
    with pytest.raises(ValueError, match="walk_steps: expected at least 1, got"):
        make_player("forager", env, walk_steps=walk_steps)


def test_it_plays_crafter_only():
    with pytest.raises(TypeError, match="env: expected worldmodel/Crafter-v0, got .*CartPole.*'random'"):
        make_player("forager", gymnasium.make("CartPole-v1"))
