"""The model's own player."""

import gymnasium
import numpy as np
import pytest

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player


def play(dream, seed, **kwargs):
    player = make_player("policy", dream, **kwargs)
    observation, info = dream.reset(seed=1, options={"prompt": "a Minecraft player walks"})
    player.reset(seed)
    actions = []
    for _ in range(4):
        actions.append(player.act(observation, info))
        observation, *_, info = dream.step(actions[-1])
    return actions, observation


def flat(actions):
    return [np.asarray(tick[key]).tolist() for ticks in actions for tick in ticks for key in sorted(tick)]


def test_it_gives_an_action_for_each_tick(dream):
    actions, _ = play(dream, 0)
    assert all(len(ticks) == 2 and all(tick in dream.action_space for tick in ticks) for ticks in actions)


def test_the_seed_decides(dream):
    first, shown = play(dream, 0)
    again, shown_again = play(dream, 0)
    assert flat(first) == flat(again) and np.array_equal(shown, shown_again)
    assert flat(first) != flat(play(dream, 1)[0])


def test_without_temperature_nothing_is_drawn(dream):
    assert flat(play(dream, 0, temperature=0)[0]) == flat(play(dream, 1, temperature=0)[0])


@pytest.mark.parametrize("temperature", [-1, float("nan"), float("inf"), "hot", True])
def test_bad_temperatures_are_refused(dream, temperature):
    with pytest.raises(ValueError, match="temperature: expected a finite number of at least 0, got"):
        make_player("policy", dream, temperature=temperature)


def test_it_plays_dreams_only(checkpoint):
    with pytest.raises(TypeError, match="env: expected worldmodel/Imagined-v0, got CartPoleEnv; this player is"):
        make_player("policy", gymnasium.make("CartPole-v1"))
    discrete = gymnasium.make("worldmodel/Imagined-v0", checkpoint=checkpoint, actions="discrete")
    with pytest.raises(TypeError, match="env: expected the action space that the model was trained with, got Discrete"):
        make_player("policy", discrete)
