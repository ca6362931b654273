"""Environments without states of their own go back by copies."""

import sys
from pathlib import Path

import numpy as np
import pytest

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.evaluation.copies import CopiedEnv, restorable
from worldmodel.evaluation.episodes import play

# For toy_world and dream_checkpoint, which are no modules of a package.
sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "envs" / "imagined")]

from toy_world import ToyEnv  # noqa: E402

PLANNER = {"horizon_steps": 4, "candidates": 12, "elites": 3, "iterations": 2}


def test_an_environment_without_states_is_copied():
    env = ToyEnv()
    copied = restorable(env)
    assert isinstance(copied, CopiedEnv) and restorable(copied) is copied and copied.unwrapped is copied
    copied.reset(seed=3)
    state, first = copied.get_state(), copied.frames.copy()
    paths = []
    for _ in range(2):
        copied.set_state(state)
        assert np.array_equal(copied.frames, first)
        paths.append([copied.step(action)[0].tobytes() for action in (1, 1, 3, 2)])
    assert paths[0] == paths[1] and len(set(paths[0])) > 2
    chance = [copied.np_random.random() for copied.np_random in [np.random.default_rng(2)] for _ in range(2)]
    copied.np_random = np.random.default_rng(2)
    assert copied.np_random.random() == chance[0]
    with pytest.raises(AttributeError, match="policy_action"):
        copied.policy_action  # noqa: B018


def test_a_planner_plays_in_copies():
    env = restorable(ToyEnv())
    player = make_player("planner", env, horizon_steps=2, candidates=60, elites=8)
    episode = play(env, player, 5, 4)
    assert episode.actions == [1] * 4 and episode.rewards.sum() == 4


def test_what_cannot_be_copied_is_refused():
    env = ToyEnv()
    env.window = sys.stdout  # a file, as a window would be
    with pytest.raises(TypeError, match="env: expected one with get_state and set_state, or one that can be copied"):
        restorable(env).get_state()
