"""Same seed, same actions, same dream."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from dream_tools import draw_actions, dream, full_precision, levels, make, picture  # noqa: F401 - for all tests

ACTIONS = draw_actions(6)
STARTS = {
    "prompt": {"prompt": "a forest"},
    "start": {"start": 1},
    "start and prompt": {"start": 1, "prompt": "a forest"},
    "image": {"image": picture()},
    "video": {"video": picture(frames=5)},
    "state": {},
}


@pytest.fixture(scope="module")
def env(checkpoint):
    return make(checkpoint)


@pytest.fixture(scope="module")
def other(checkpoint):
    return make(checkpoint)


def test_same_seed_and_actions_give_the_same_dream(env, other):
    first, _ = env.reset(seed=5)
    frames = dream(env, ACTIONS)
    other.reset(seed=99)  # what was before, and others that dream beside, have no say
    dream(other, ACTIONS[3:])
    again, _ = other.reset(seed=5)
    beside = []
    for one in ACTIONS:
        other.step(one)
        beside.append(other.frames)
        env.step(ACTIONS[0])
    assert np.array_equal(again, first)
    assert np.array_equal(beside, frames)


def test_another_seed_or_action_gives_another_dream(env):
    def dreamed(seed, actions):
        env.reset(seed=seed, options={"start": 0})
        return dream(env, actions)

    frames = dreamed(5, ACTIONS[:2])
    assert not np.array_equal(dreamed(6, ACTIONS[:2]), frames)
    turned = dreamed(5, [ACTIONS[0], ACTIONS[5]])
    assert np.array_equal(turned[0], frames[0])
    assert levels(turned[1], frames[1]) > 1


def test_global_generators_are_neither_used_nor_changed(env):
    def dreamed():
        env.reset(seed=5)
        return dream(env, ACTIONS[:2])

    torch.manual_seed(1)
    np.random.seed(1)
    frames = dreamed()
    torch.manual_seed(2)
    np.random.seed(2)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    assert np.array_equal(dreamed(), frames)
    assert torch.equal(torch.get_rng_state(), before[0]) and np.random.get_state()[1].tolist() == before[1]


PROGRAM = """
import hashlib, sys
sys.path.append(sys.argv[2])
import torch
from dream_tools import draw_actions, dream, make
from worldmodel.envs.imagined import models
models.fast_dtype = lambda device: torch.float32
env = make(sys.argv[1])
env.reset(seed=5)
print(hashlib.sha256(dream(env, draw_actions(4)).tobytes()).hexdigest())
"""


def test_dream_is_the_same_in_another_process(env, checkpoint):
    env.reset(seed=5)
    mine = hashlib.sha256(dream(env, draw_actions(4)).tobytes()).hexdigest()
    command = [sys.executable, "-c", PROGRAM, checkpoint, str(Path(__file__).parent)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == mine


@pytest.mark.parametrize("options", [{}, {"prompt": "a forest"}], ids=["bundled", "prompt"])
def test_start_depends_on_the_seed(env, options):
    first, info = env.reset(seed=5, options=options)
    again, same = env.reset(seed=5, options=options)
    assert np.array_equal(again, first) and same == info
    starts = {env.reset(seed=seed, options=options)[0].tobytes() for seed in range(8)}
    assert len(starts) == (8 if options else 3), "every start is its own; of the bundled ones all are chosen"


def test_episodes_after_the_first_differ(env):
    def episodes(seed):
        first = env.reset(seed=seed, options={"prompt": "a forest"})[0]
        return [first] + [env.reset(options={"prompt": "a forest"})[0] for _ in range(3)]

    found = episodes(5)
    assert len({frame.tobytes() for frame in found}) == 4
    assert np.array_equal(episodes(5), found)


def test_episodes_from_one_start_differ_in_what_follows(env):
    env.reset(seed=5, options={"start": 1})
    first = dream(env, ACTIONS[:1])
    env.reset(options={"start": 1})
    assert not np.array_equal(dream(env, ACTIONS[:1]), first)


@pytest.mark.parametrize("name", STARTS)
def test_options_do_not_change_later_episodes(env, other, name):
    env.reset(seed=1)
    options = {"state": env.get_state()} if name == "state" else STARTS[name]
    for one, chosen in ((env, options), (other, {})):
        one.reset(seed=5)
        one.reset(options=chosen)
    assert np.array_equal(env.reset()[0], other.reset()[0])
    assert np.array_equal(dream(env, ACTIONS[:1]), dream(other, ACTIONS[:1]))


def test_length_of_an_episode_does_not_change_later_ones(env, other):
    for one, steps in ((env, 4), (other, 0)):
        one.reset(seed=5)
        for i in range(steps):
            one.step(ACTIONS[i])
    assert np.array_equal(env.reset()[0], other.reset()[0])
