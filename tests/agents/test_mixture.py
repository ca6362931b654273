"""The player that is another one in each episode, and the one that fidgets."""

from collections import Counter
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from omegaconf import OmegaConf

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.envs.actions import BUTTONS

ROOT = Path(__file__).parents[2]
PLAYERS = {"look_away": 0.5, "idle": 0.25, "random": 0.25}


@pytest.fixture(scope="module")
def env():
    env = gymnasium.make("worldmodel/Voxel-v0", height=32, width=32)
    yield env
    env.close()


def play(env, player, seed, steps):
    """Plays an episode; returns infos and actions."""
    observation, info = env.reset(seed=seed)
    player.reset(seed)
    infos, actions = [info], []
    for _ in range(steps):
        actions.append(player.act(observation, info))
        assert actions[-1] in env.action_space
        observation, *_, info = env.step(actions[-1])
        infos.append(info)
    return infos, actions


def test_chances_decide_how_often_a_player_plays(env):
    player = make_player("mixture", env, players={name: 8 * chance for name, chance in PLAYERS.items()})
    played = Counter()
    for seed in range(400):
        player.reset(seed)
        played[player.playing] += 1
    assert set(played) == set(PLAYERS)
    assert all(abs(played[name] / 400 - chance) < 0.08 for name, chance in PLAYERS.items())


def test_a_list_of_arguments_is_a_choice(env):
    player = make_player("mixture", env, players={"look_away": 1}, kwargs={"look_away": {"wait_steps": [1, 7]}})
    waits = Counter()
    for seed in range(40):
        player.reset(seed)
        _, actions = play(env, player, seed, 10)
        assert player.settings["wait_steps"] in (1, 7)
        still = [not action["camera"].any() for action in actions]
        assert still.index(False) == player.settings["wait_steps"]
        waits[player.settings["wait_steps"]] += 1
    assert min(waits[1], waits[7]) > 8


def test_it_plays_as_the_player_that_is_drawn(env):
    mixture = make_player("mixture", env, players={"explorer": 1, "look_away": 1})
    for seed in range(3):
        infos, actions = play(env, mixture, seed, 40)
        alone_infos, alone = play(env, make_player(mixture.playing, env), seed, 40)
        assert all(np.array_equal(a[key], b[key]) for a, b in zip(actions, alone, strict=True) for key in a)
        assert infos[-1]["pose"] == alone_infos[-1]["pose"]


def test_who_played_before_does_not_matter(env):
    player, other = (make_player("mixture", env, players=PLAYERS) for _ in range(2))
    for seed in (4, 2, 9):
        player.reset(seed)
    other.reset(9)
    assert (player.playing, player.settings) == (other.playing, other.settings)


def test_a_chance_of_zero_leaves_a_player_out(env):
    player = make_player("mixture", env, players={"policy": 0, "idle": 1})  # policy could not play here
    player.reset(0)
    assert player.playing == "idle"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"players": {"steve": 1}}, ValueError, "players: 'steve': name: expected a player among .*, got 'steve'"),
        ({"players": {}}, ValueError, "players: expected at least one with a chance above 0, got {}"),
        ({"players": {"idle": 0}}, ValueError, "players: expected at least one with a chance above 0"),
        ({"players": {"idle": -1}}, ValueError, "expected a number from 0 on as chance of 'idle', got -1"),
        ({"players": {"idle": True}}, ValueError, "expected a number from 0 on as chance of 'idle', got True"),
        ({"players": {"idle": float("nan")}}, ValueError, "as chance of 'idle', got nan"),
        ({"players": "idle"}, TypeError, "players: expected a dictionary by names of players, got 'idle'"),
        ({"players": {"idle": 1}, "kwargs": ["idle"]}, TypeError, "kwargs: expected a dictionary by names"),
        ({"players": {"idle": 1}, "kwargs": {"idle": 3}}, TypeError, "a dictionary of arguments of 'idle', got 3"),
        ({"players": {"idle": 1}, "kwargs": {"random": {}}}, ValueError, "kwargs: .* among idle, got 'random'"),
        ({"players": {"random": 1}, "kwargs": {"random": {"hold_steps": [2, 0]}}}, ValueError, "'random': hold_steps"),
        ({"players": {"random": 1}, "kwargs": {"random": {"hold_steps": []}}}, ValueError, "got an empty list"),
        ({"players": {"idle": 1}, "kwargs": {"idle": {"speed": 1}}}, TypeError, "players: 'idle': .*speed"),
        ({"players": {"policy": 1}}, TypeError, "players: 'policy': env: expected worldmodel/Imagined-v0"),
        ({}, TypeError, "players"),
    ],
)
def test_bad_settings_are_named(env, settings, error, message):
    with pytest.raises(error, match=message):
        make_player("mixture", env, **settings)


def test_the_recipe_of_the_configuration_plays(env):
    kwargs = OmegaConf.to_object(OmegaConf.load(ROOT / "configs" / "player" / "mixture.yaml"))["kwargs"]
    assert sum(kwargs["players"].values()) == pytest.approx(1.0)
    player = make_player("mixture", env, **kwargs)
    played = set()
    for seed in range(200):
        player.reset(seed)
        played.add(player.playing)
    assert played == set(kwargs["players"])


def test_the_fidgeter_presses_every_key_for_a_while(env):
    held, presses, turned, poses = Counter(), Counter(), [], []
    for seed in range(4):
        infos, actions = play(env, make_player("fidgeter", env), seed, 500)
        for before, action in zip([None, *actions], actions, strict=False):
            held.update(key for key in BUTTONS if action[key])
            presses.update(key for key in BUTTONS if action[key] and not (before and before[key]))
        turned += [action["camera"] for action in actions]
        poses += [info["pose"] for info in infos]
    assert all(held[key] > 0 for key in BUTTONS)
    for key in ("left", "right", "back", "attack", "use", "jump"):
        assert held[key] > 0.04 * 2000, key
    assert held["attack"] / presses["attack"] > 10 > held["use"] / presses["use"] > 2
    assert 0.3 < np.any(turned, axis=1).mean() < 0.95 and np.abs(turned).max() <= 15.0
    assert -55.0 <= min(pose["pitch"] for pose in poses) and max(pose["pitch"] for pose in poses) <= 65.0
