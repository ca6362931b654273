import json
import pickle

import gymnasium
import numpy as np
import pytest
import torch
from dream_checkpoint import write_checkpoint
from dream_tools import (  # noqa: F401 - full_precision is for all tests
    action,
    draw_actions,
    dream,
    full_precision,
    levels,
    make,
    make_batch,
    tensors,
)
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from worldmodel.envs.imagined import models
from worldmodel.envs.imagined.states import load_state, save_state

ACTIONS = draw_actions(6)


@pytest.fixture(scope="module")
def env(checkpoint):
    return make(checkpoint)


@pytest.fixture(scope="module")
def other(checkpoint):
    return make(checkpoint)


@pytest.fixture
def state(env):
    """A state in mid-episode, of a prompt that has changed on the way."""
    env.reset(seed=5, options={"start": 0})
    dream(env, ACTIONS[:2])
    env.set_prompt("a forest at night")
    env.step(ACTIONS[2])
    return env.get_state()


def storages(snapshot):
    return [part.untyped_storage().data_ptr() for part in tensors(snapshot.state)]


# --- Back and on


def test_dream_goes_on_exactly_from_a_state(env, other, state):
    expected, expected_drawn = dream(env, ACTIONS[3:]), env.policy_action(np.random.default_rng(0))
    for one in (env, other):  # the same environment, and another
        one.reset(seed=99)
        one.step(ACTIONS[0])
        one.set_state(state)
        assert np.array_equal(dream(one, ACTIONS[3:]), expected)
        drawn = one.policy_action(np.random.default_rng(0))
        for found, wanted in zip(drawn, expected_drawn, strict=True):
            assert all(np.array_equal(found[key], wanted[key]) for key in wanted)


def test_state_shows_its_frame_and_counts_on(env, other, state):
    latest = env.frames[-1]
    other.set_state(state)
    assert other.frames.shape[0] == 1 and np.array_equal(other.frames[0], latest)
    *_, info = other.step(ACTIONS[3])
    assert info["step"] == 4 and info["caption"] == "a forest at night"


def test_player_goes_on_from_a_state(env, other, state):
    likely = env._core.dreams.policy(0)
    other.set_state(state)
    assert np.array_equal(other._core.dreams.policy(0), likely)
    branches = env.fork(2)
    for i in range(2):
        np.testing.assert_allclose(branches._core.dreams.policy(i), likely, atol=1e-6)


def test_state_is_not_changed_by_later_steps(env, state):
    copies = [part.clone() for part in tensors(state.state)]
    facts = (state.seed, state.step, state.prompt, state.model)
    config = env.model.config.denoiser
    for i in range(config.window + 2):  # around the whole ring
        env.step(ACTIONS[i % 6])
    env.set_prompt("sand")
    env.reset()
    assert (state.seed, state.step, state.prompt, state.model) == facts
    for part, copy in zip(tensors(state.state), copies, strict=True):
        assert torch.equal(part, copy)


def test_state_costs_no_memory(env, state):
    states = [env.get_state() for _ in range(1000)]
    for one in states:
        assert storages(one) == storages(state)
    env.step(ACTIONS[3])
    assert set(storages(env.get_state())).isdisjoint(storages(state)[:4])


def test_state_as_an_option_of_reset(env, other, state):
    expected = dream(env, ACTIONS[3:])
    observation, info = other.reset(seed=1, options={"state": state})
    assert info == {"caption": "a forest at night", "step": 3, "trust": 1.0, "revision": 0.0, "residual": 0.0}
    assert np.array_equal(observation, other.frames[-1])
    assert np.array_equal(dream(other, ACTIONS[3:]), expected)


def test_state_may_come_before_the_first_reset(checkpoint, env, state):
    expected = dream(env, ACTIONS[3:])
    fresh = make(checkpoint)
    fresh.set_state(state)
    assert np.array_equal(dream(fresh, ACTIONS[3:]), expected)


def test_state_leaves_later_episodes_alone(env, other, state):
    for one in (env, other):
        one.reset(seed=7)
    env.set_state(state)
    env.step(ACTIONS[0])
    assert np.array_equal(env.reset()[0], other.reset()[0])


# --- Branches


def test_branches_are_the_dream_they_come_from(env, state):
    branches = env.fork(3)
    assert branches.num_envs == 3 and branches.frames.shape == (3, 2, 48, 48, 3)
    latest = env.frames[-1]
    for i in range(3):
        assert np.array_equal(branches.frames[i, -1], latest)
    for one in ACTIONS[3:]:
        expected, _, _, _, info = env.step(one)
        found, *_, infos = branches.step([one] * 3)
        for i in range(3):
            assert levels(found[i], found[0]) == 0 and levels(found[i], expected) <= 1
        assert infos["step"].tolist() == [info["step"]] * 3 and set(infos["caption"]) == {info["caption"]}


def test_branches_part_by_their_actions(env, other, state):
    branches = env.fork(3)
    others = [action(), action(camera=np.float32([0, 90])), action(forward=1, jump=1)]
    found = branches.step(others)[0]
    for i, one in enumerate(others):
        other.set_state(state)
        assert levels(found[i], other.step(one)[0]) <= 1
        for earlier in found[:i]:
            assert levels(found[i], earlier) > 1


def test_branches_leave_their_parent_alone(env, other, state):
    other.set_state(state)
    branches = env.fork(2)
    branches.step([ACTIONS[0]] * 2)
    branches.set_prompt("sand")
    branches.step([ACTIONS[1]] * 2)
    assert np.array_equal(dream(env, ACTIONS[3:5]), dream(other, ACTIONS[3:5]))
    assert env.get_state().prompt == "a forest at night"


def test_branches_share_the_memory_of_their_parent(env, state):
    branches = env.fork(1000)
    shared = branches._core.dreams._state
    assert len(shared.latents) == 1000
    for part, parent in zip(tensors(shared), tensors(state.state), strict=True):
        assert part.untyped_storage().data_ptr() == parent.untyped_storage().data_ptr()
        assert part.untyped_storage().nbytes() == parent.untyped_storage().nbytes()
    few = env.fork(2)
    few.step([ACTIONS[0]] * 2)
    stepped = tensors(few._core.dreams._state)
    assert stepped[2].untyped_storage().data_ptr() != tensors(state.state)[2].untyped_storage().data_ptr()


def test_branches_that_have_not_begun_hold_nothing(checkpoint):
    waiting = tensors(make_batch(checkpoint, 1000)._core.dreams._state)
    single = tensors(make_batch(checkpoint, 1)._core.dreams._state)
    assert sum(part.untyped_storage().nbytes() for part in waiting) == sum(
        part.untyped_storage().nbytes() for part in single
    )


def test_branch_branches_again(env, state):
    branches = env.fork(2)
    branches.step([ACTIONS[3], ACTIONS[4]])
    states = branches.get_states()
    expected = branches.step([ACTIONS[5], ACTIONS[5]])[0]
    again = env.fork(2)
    again.set_states(states[::-1])
    assert levels(again.step([ACTIONS[5]] * 2)[0], expected[::-1]) <= 1
    again.branch(states[1])
    found = again.step([ACTIONS[5]] * 2)[0]
    assert levels(found[0], expected[1]) <= 1 and levels(found[1], expected[1]) <= 1


def test_branches_begin_new_episodes_of_their_own(env, state):
    """After the end of an episode; from the state alone, so that a plan can be repeated."""
    head = env.model.denoiser.to_termination
    bias = head.bias.clone()
    try:
        found = []
        for _ in range(2):
            branches = env.fork(2)
            head.bias.fill_(50.0)
            assert branches.step([{}, {}])[2].all()
            head.bias.fill_(-50.0)
            observations, rewards, terminations, _, infos = branches.step([{}, {}])
            assert not terminations.any() and infos["step"].tolist() == [0, 0] and (rewards == 0).all()
            found.append([observations, branches.step([{}, {}])[0]])
        assert np.array_equal(found[0], found[1])
        assert levels(found[0][1][0], found[0][1][1]) > 1
    finally:
        head.bias.copy_(bias)


def test_fork_has_the_settings_of_its_parent(checkpoint):
    parent = make(checkpoint, actions="discrete", num_steps=1, height=32, width=64, text_guidance=2.0, min_trust=0.01)
    parent.reset(seed=0)
    branches = parent.fork(2)
    assert branches._core.config == parent._core.config
    assert branches.single_action_space == gymnasium.spaces.Discrete(19)
    assert levels(branches.step([3, 3])[0][1], parent.step(3)[0]) <= 1


# --- On disk


def test_saved_state_is_the_state(env, other, state, tmp_path):
    path = tmp_path / "folder" / "forest.safetensors"
    save_state(state, path)
    expected = dream(env, ACTIONS[3:])
    loaded = load_state(path)
    assert (loaded.seed, loaded.step, loaded.prompt, loaded.model) == (state.seed, 3, state.prompt, state.model)
    for one, another in zip(tensors(loaded.state), tensors(state.state), strict=True):
        assert one.dtype == another.dtype and torch.equal(one, another)
    for given in (loaded, path, str(path)):
        other.set_state(given)
        assert np.array_equal(dream(other, ACTIONS[3:]), expected)
    other.reset(options={"state": str(path)})
    assert np.array_equal(dream(other, ACTIONS[3:]), expected)
    assert [file.name for file in path.parent.iterdir()] == ["forest.safetensors"]
    batch = make_batch(env._core.config.checkpoint, 2)
    batch.set_states([path, state])
    found = batch.step([ACTIONS[3]] * 2)[0]
    assert levels(found[0], found[1]) == 0 and levels(found[0], expected[0, -1]) <= 1


def test_state_of_one_of_many_is_saved_alone(env, state, tmp_path):
    branches = env.fork(3)
    save_state(branches.get_states()[1], tmp_path / "branch")
    save_state(state, tmp_path / "state")
    assert (tmp_path / "branch").stat().st_size == (tmp_path / "state").stat().st_size
    save_state(state, tmp_path / "branch")  # an older one is replaced
    assert load_state(tmp_path / "branch").step == 3


def test_state_names_no_code(state, tmp_path):
    save_state(state, tmp_path / "state")
    with safe_open(tmp_path / "state", framework="pt") as file:
        facts = json.loads(file.metadata()["worldmodel_state"])
    assert all(isinstance(value, int | float | str) for value in facts.values())
    assert facts["prompt"] == "a forest at night"


def test_state_goes_to_a_model_in_another_number_format(env, state, tmp_path, monkeypatch):
    """As on a machine without bfloat16: near, not equal."""
    save_state(state, tmp_path / "state")
    expected = env.step(ACTIONS[3])[0]
    monkeypatch.setattr(models, "fast_dtype", lambda device: torch.bfloat16)
    models._load.cache_clear()
    try:
        half = make(env._core.config.checkpoint)
        half.set_state(tmp_path / "state")
        found = half.step(ACTIONS[3])[0]
        assert half.get_state().state.cache.layers[0].keys.dtype == torch.bfloat16
        assert np.abs(found.astype(float) - expected).mean() < 8
    finally:
        models._load.cache_clear()


@pytest.fixture
def pair(env, other, state):
    other.set_state(state)
    return env, other


def assert_undisturbed(env, other):
    assert np.array_equal(env.step(ACTIONS[3])[0], other.step(ACTIONS[3])[0])
    assert env.get_state().step == 4


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 0.99999])
def test_state_that_was_cut_off(pair, state, tmp_path, share):
    save_state(state, tmp_path / "state")
    content = (tmp_path / "state").read_bytes()
    (tmp_path / "state").write_bytes(content[: int(len(content) * share)])
    for refuse in (pair[0].set_state, lambda path: pair[0].reset(options={"state": path})):
        with pytest.raises(
            ValueError, match="^state: expected a file that save_state wrote, got a damaged one: .*state"
        ):
            refuse(tmp_path / "state")
    assert_undisturbed(*pair)


@pytest.mark.parametrize("facts", [None, "[]", "{}", '"text"', "{", '{"version": 1}'], ids=str)
def test_state_that_is_something_else(pair, state, tmp_path, facts):
    save_state(state, tmp_path / "state")
    metadata = {} if facts is None else {"worldmodel_state": facts}
    save_file(load_file(tmp_path / "state"), tmp_path / "foreign", metadata=metadata)
    with pytest.raises(ValueError, match="^state: expected a file that save_state wrote, got a damaged one: .*foreign"):
        pair[0].set_state(tmp_path / "foreign")
    assert_undisturbed(*pair)


@pytest.mark.parametrize("name", ["latents", "keys.1", "count", "text_mask", "policy"])
def test_state_without_a_part(pair, state, tmp_path, name):
    save_state(state, tmp_path / "state")
    with safe_open(tmp_path / "state", framework="pt") as file:
        metadata = file.metadata()
    parts = load_file(tmp_path / "state")
    del parts[name]
    save_file(parts, tmp_path / "state", metadata=metadata)
    with pytest.raises(ValueError, match="^state: expected a file that save_state wrote, got a damaged one"):
        pair[0].set_state(tmp_path / "state")
    assert_undisturbed(*pair)


def test_files_that_are_no_states(pair, tmp_path, checkpoint):
    (tmp_path / "text").write_text("forest " * 100)
    (tmp_path / "pickle").write_bytes(pickle.dumps({"a": 1}))
    for path in (tmp_path / "text", tmp_path / "pickle", f"{checkpoint}/model.safetensors"):
        with pytest.raises(ValueError, match="^state: expected a file that save_state wrote, got a damaged one"):
            pair[0].set_state(path)
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(FileNotFoundError, match="^state: expected a file that save_state wrote, found none at"):
            pair[0].set_state(path)
    for given in (3, None, {"step": 1}, [1]):
        with pytest.raises(TypeError, match="^state: expected what get_state returned, or the path of one, got"):
            pair[0].set_state(given)
    assert_undisturbed(*pair)


def test_state_of_a_later_version(pair, state, tmp_path):
    save_state(state, tmp_path / "state")
    with safe_open(tmp_path / "state", framework="pt") as file:
        facts = json.loads(file.metadata()["worldmodel_state"])
    later = {"worldmodel_state": json.dumps(facts | {"version": 2})}
    save_file(load_file(tmp_path / "state"), tmp_path / "state", metadata=later)
    with pytest.raises(ValueError, match="expected version 1, got 2; update worldmodel"):
        pair[0].set_state(tmp_path / "state")
    assert_undisturbed(*pair)


def test_state_of_another_checkpoint(pair, state, tmp_path):
    path = write_checkpoint(tmp_path / "other", seed=1)
    foreign = make(path)
    foreign.reset(seed=0)
    mine = foreign.get_state()
    save_state(mine, tmp_path / "state")
    for given in (mine, tmp_path / "state"):
        for refuse in (pair[0].set_state, lambda one: pair[0].reset(options={"state": one})):
            with pytest.raises(ValueError, match=f"^state: expected one of checkpoint .*, got one of {mine.model}"):
                refuse(given)
    branches = pair[0].fork(2)
    with pytest.raises(ValueError, match="^state: expected one of checkpoint"):
        branches.branch(mine)
    with pytest.raises(ValueError, match="^state: expected one of checkpoint"):
        branches.set_states([state, mine])
    assert levels(branches.step([ACTIONS[3]] * 2)[0][0], pair[1].step(ACTIONS[3])[0]) <= 1
    pair[1].set_state(state)
    assert_undisturbed(*pair)
