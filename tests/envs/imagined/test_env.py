import json

import gymnasium
import numpy as np
import pytest
import torch
from dream_tools import (  # noqa: F401 - full_precision is for all tests
    SIDE,
    action,
    draw_actions,
    dream,
    full_precision,
    levels,
    make,
    picture,
    tensors,
)

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.envs.imagined.vector import ImaginedVectorEnv
from worldmodel.model.heads import REWARD_BINS, reward_bins

ACTIONS = draw_actions(6)
START = {"caption": "", "step": 0, "trust": 1.0, "revision": 0.0, "residual": 0.0}
"""What `info` says at the start, but for the caption."""


@pytest.fixture(scope="module")
def env(checkpoint):
    return make(checkpoint)


@pytest.fixture(scope="module")
def other(checkpoint):
    return make(checkpoint)


# --- What it looks like from outside


def test_it_is_made_by_its_id(checkpoint):
    env = gymnasium.make("worldmodel/Imagined-v0", checkpoint=checkpoint, num_steps=1, render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation) and observation.std() > 1
    assert env.unwrapped.model.metadata.env_id == "worldmodel/Voxel-v0"
    assert env.metadata["render_fps"] == 10.0  # 20 ticks a second, two in a step
    assert env.unwrapped.frames_per_step == 2
    envs = gymnasium.make_vec("worldmodel/Imagined-v0", num_envs=2, checkpoint=checkpoint, num_steps=1)
    assert type(envs) is ImaginedVectorEnv and envs.num_envs == 2


def test_step_returns_what_gymnasium_wants(env):
    observation, info = env.reset(seed=0)
    assert info == START | {"caption": info["caption"]}
    for step in (1, 2, 3):
        observation, reward, terminated, truncated, info = env.step(ACTIONS[step])
        assert observation.shape == (SIDE, SIDE, 3) and observation.dtype == np.uint8
        assert type(reward) is float and np.isfinite(reward)
        assert type(terminated) is bool and type(truncated) is bool
        assert set(info) == set(START) and type(info["caption"]) is str
        assert type(info["trust"]) is float and 0.0 < info["trust"] < 1.0
        assert type(info["revision"]) is float and info["revision"] > 0.0
        assert type(info["residual"]) is float and info["residual"] > 0.0
        assert info["step"] == step
        json.dumps(info)


def test_nothing_handed_out_is_used_again(env):
    first, _ = env.reset(seed=0)
    kept = first.copy()
    second = env.step(ACTIONS[0])[0]
    frames = env.frames
    assert np.array_equal(first, kept) and not np.array_equal(first, second)
    second[:], frames[:] = 0, 0  # what is done to them is no matter of the dream's
    assert env.frames.any()
    after = env.step(ACTIONS[1])[0]
    env.reset(seed=0)
    env.step(ACTIONS[0])
    assert np.array_equal(env.step(ACTIONS[1])[0], after)


def test_all_ticks_of_a_step_are_shown(checkpoint):
    env = make(checkpoint, render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    assert env.frames.shape == (1, SIDE, SIDE, 3)
    assert np.array_equal(env.render(), observation)
    observation = env.step(ACTIONS[0])[0]
    assert env.frames.shape == (2, SIDE, SIDE, 3)
    assert np.array_equal(env.frames[-1], observation) and np.array_equal(env.render(), observation)
    assert not np.array_equal(env.frames[0], observation)


def test_without_render_mode_there_is_nothing_to_render(env):
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="made without a render mode"):
        assert env.render() is None


# --- Actions


def test_list_holds_one_action_for_each_tick(env, other):
    one, two = action(forward=1), action(camera=np.float32([0, 60]))

    def after(actions):
        env.reset(seed=5)
        env.step(actions)
        return env.frames

    assert np.array_equal(after([one, one]), after(one))
    found = [after(part) for part in (one, two, [one, two], [two, one])]
    for i, frames in enumerate(found):
        for earlier in found[:i]:
            assert not np.array_equal(frames, earlier)


def test_list_reaches_the_model_tick_by_tick(env, monkeypatch):
    one, two = action(forward=1), action(camera=np.float32([5, 60]))
    env.reset(seed=5)
    seen = []
    step = env._core.dreams.step
    monkeypatch.setattr(env._core.dreams, "step", lambda vectors: seen.append(vectors) or step(vectors))
    env.step([one, two])
    env.step(two)
    codec = env.model.codec
    assert np.array_equal(seen[0][0], codec.encode_many([one, two]))
    assert np.array_equal(seen[1][0], codec.encode_many([two, two]))
    assert seen[0].dtype == np.float32 and seen[0].shape == (1, 2, codec.width)


def test_keys_left_out_are_not_pressed(env):
    def after(one):
        env.reset(seed=5)
        return env.step(one)[0]

    assert np.array_equal(after({"forward": 1}), after(action(forward=1)))
    assert np.array_equal(after({}), after(env.idle_action()))
    assert not np.array_equal(after({}), after({"forward": 1}))


def test_discrete_preset_is_the_dictionary_it_stands_for(checkpoint, env):
    discrete = make(checkpoint, actions="discrete")
    assert discrete.action_space == gymnasium.spaces.Discrete(19) and discrete.idle_action() == 0
    for number, keys in ((1, {"forward": 1}), (8, {"camera": (0.0, 15.0)}), (np.int64(0), {})):
        discrete.reset(seed=5)
        env.reset(seed=5)
        assert np.array_equal(discrete.step(number)[0], env.step(keys)[0])
    assert np.array_equal(discrete.step([1, 8])[0], env.step([{"forward": 1}, {"camera": (0.0, 15.0)}])[0])
    with pytest.raises(ValueError, match=r"^action: expected an integer in \[0, 19\), got 19"):
        discrete.step(19)
    with pytest.raises(TypeError, match=r"^action: expected an integer in \[0, 19\) as numbers, got dict"):
        discrete.step({"forward": 1})
    assert np.array_equal(discrete.step(1)[0], env.step({"forward": 1})[0])


def test_player_of_the_model_plays(env):
    env.reset(seed=5)
    drawn = env.policy_action(np.random.default_rng(0))
    assert len(drawn) == 2 and all(env.action_space.contains(tick) for tick in drawn)

    def drawn_keys(seed, temperature):
        ticks = env.policy_action(np.random.default_rng(seed), temperature)
        return [[int(tick["jump"]), int(tick["attack"]), *tick["camera"].tolist()] for tick in ticks]

    assert drawn_keys(0, 1.0) == drawn_keys(0, 1.0)
    assert len({str(drawn_keys(seed, 1.0)) for seed in range(5)}) == 5
    assert drawn_keys(0, 0.0) == drawn_keys(1, 0.0)
    env.step(drawn)


def test_player_reads_the_latest_frame(env):
    def likely():
        return env._core.dreams.policy(0)

    env.reset(seed=5, options={"start": 0})
    first = likely()
    np.testing.assert_allclose(first.sum(), 2 * len(env.model.codec.factors), rtol=1e-5)
    env.step(ACTIONS[0])
    assert np.abs(likely() - first).max() > 1e-4
    env.reset(seed=5, options={"start": 0})
    assert np.array_equal(likely(), first)


# --- Prompts


def test_prompt_changes_what_follows_and_not_what_is_remembered(env):
    def dreamed(prompt):
        env.reset(seed=5, options={"start": 0})
        env.step(ACTIONS[0])
        if prompt is not None:
            env.set_prompt(prompt)
        state = env.get_state()
        return state, env.frames, dream(env, ACTIONS[1:3])

    state, seen, frames = dreamed(None)
    changed, same, after = dreamed("lava everywhere now")
    assert np.array_equal(same, seen)
    for one, another in zip(changed.state.cache.layers, state.state.cache.layers, strict=True):
        assert torch.equal(one.keys, another.keys) and torch.equal(one.values, another.values)
    assert not np.array_equal(after[0], frames[0])
    unchanged = dreamed(state.prompt)[2]
    assert np.array_equal(unchanged, frames), "the prompt that is in force anyway changes nothing"


def test_prompt_is_part_of_state_and_caption(env, other):
    _, info = env.reset(seed=5, options={"start": 0})
    assert info["caption"] == "a forest at noon"
    env.step(ACTIONS[0])
    old = env.get_state()
    env.set_prompt("at night")
    state = env.get_state()
    assert env.step(ACTIONS[1])[4]["caption"] == "at night"
    frame = env.frames
    other.set_state(state)
    assert other.step(ACTIONS[1])[4]["caption"] == "at night"
    assert np.array_equal(other.frames, frame)
    other.set_state(old)
    assert other.step(ACTIONS[1])[4]["caption"] == "a forest at noon"
    assert not np.array_equal(other.frames, frame)


def test_prompt_of_an_episode_ends_with_it(env):
    env.reset(seed=5, options={"start": 0})
    env.set_prompt("at night")
    assert env.reset(options={"start": 0})[1]["caption"] == "a forest at noon"
    assert env.reset(options={"start": 0, "prompt": "rain"})[1]["caption"] == "rain"


# --- Ends


@pytest.fixture
def head(env):
    """The head that says whether an episode is over; as it was afterwards."""
    head = env.model.denoiser.to_termination
    bias = head.bias.clone()
    yield head
    head.bias.copy_(bias)


def test_model_ends_an_episode(env, head):
    env.reset(seed=0)
    head.bias.fill_(-50.0)
    assert env.step(ACTIONS[0])[2:4] == (False, False)
    before = env.get_state()
    head.bias.fill_(50.0)
    assert env.step(ACTIONS[0])[2:4] == (True, False)
    for name, call in {
        "step": lambda: env.step(ACTIONS[0]),
        "set_prompt": lambda: env.set_prompt("x"),
        "policy_action": lambda: env.policy_action(np.random.default_rng(0)),
    }.items():
        with pytest.raises(gymnasium.error.ResetNeeded, match=f"^{name}: the episode is over; call reset first"):
            call()
    assert env.frames.shape[0] == 2, "its last frames can still be looked at"
    head.bias.fill_(-50.0)
    env.set_state(before)
    assert env.step(ACTIONS[0])[2:4] == (False, False)
    head.bias.fill_(50.0)
    env.step(ACTIONS[0])
    head.bias.fill_(-50.0)
    env.reset()
    assert env.step(ACTIONS[0])[2:4] == (False, False)


def test_reward_is_that_of_the_head(env):
    head = env.model.denoiser.to_reward
    weight, bias = head.weight.clone(), head.bias.clone()
    try:
        head.weight.zero_()
        for number in (0, 25, REWARD_BINS - 1):
            head.bias.zero_()
            head.bias[number] = 100.0
            env.reset(seed=0)
            assert env.step(ACTIONS[0])[1] == pytest.approx(reward_bins()[number].item(), rel=1e-4)
    finally:
        head.weight.copy_(weight)
        head.bias.copy_(bias)


def test_lost_trust_truncates(checkpoint, env):
    env.reset(seed=5)
    trusts = [env.step(one)[4]["trust"] for one in ACTIONS[:3]]
    floor = (min(trusts) + max(trusts)) / 2
    wary = make(checkpoint, min_trust=floor)
    wary.reset(seed=5)
    for one, trust in zip(ACTIONS, trusts, strict=False):
        *_, terminated, truncated, info = wary.step(one)
        assert info["trust"] == trust and not terminated
        assert truncated == (trust < floor)
        if truncated:
            break
    assert truncated
    with pytest.raises(gymnasium.error.ResetNeeded, match="the episode is over"):
        wary.step(ACTIONS[0])


def test_trust_says_how_far_sampling_moved_the_first_guess(env, monkeypatch):
    from worldmodel.model import streaming

    steps = []
    imagine = streaming.imagine
    monkeypatch.setattr(streaming, "imagine", lambda *a, **b: steps.append(imagine(*a, **b)) or steps[-1])
    env.reset(seed=5)
    info = env.step(ACTIONS[0])[4]
    assert info["residual"] == pytest.approx(steps[0].residual.item())
    assert info["revision"] == pytest.approx(steps[0].revision.item())
    assert info["trust"] == pytest.approx(np.exp(-steps[0].revision.item() / 0.5))


# --- Long dreams


def test_memory_does_not_grow(checkpoint):
    env = make(checkpoint, num_steps=1)
    env.reset(seed=0, options={"start": 0})

    def held():
        return [
            (tuple(part.shape), part.dtype, part.untyped_storage().nbytes()) for part in tensors(env.get_state().state)
        ]

    env.step(ACTIONS[0])
    first = held()
    for i in range(100):
        observation, *_, info = env.step(ACTIONS[i % 6])
    assert held() == first
    assert info["step"] == 101 and observation.std() > 1
    config = env.model.config.denoiser
    remembered = env.get_state().state.cache.frames[0].tolist()
    assert len(remembered) == config.sinks + config.window
    assert sorted(remembered) == [0, *range(106 - config.window, 106)], "the sink, and the latest"
