import numpy as np
import pytest
import torch
from dream_tools import (  # noqa: F401 - full_precision is for all tests
    SIDE,
    action,
    draw_actions,
    full_precision,
    levels,
    make,
    make_batch,
    picture,
)

from worldmodel.envs.imagined.dreams import Dreams, Start
from worldmodel.sampling import Guidance

ACTIONS = [draw_actions(3, seed) for seed in range(5)]
"""Of five steps, for three dreams."""


@pytest.fixture(scope="module")
def envs(checkpoint):
    return make_batch(checkpoint, 3, autoreset_mode="Disabled", render_mode="rgb_array")


@pytest.fixture(scope="module")
def env(checkpoint):
    return make(checkpoint)


def by_key(actions):
    """A list of actions as a batch of the action space."""
    return {key: np.stack([np.asarray(one[key]) for one in actions]) for key in actions[0]}


def assert_same_dream(found, expected):
    """Batched matrix products round differently, so a level is allowed."""
    assert levels(found, expected) <= 1
    assert expected.std() > 1


def test_each_dream_is_what_it_would_be_alone(envs, env):
    frames, infos = envs.reset(seed=5)
    steps = [envs.step(by_key(actions)) for actions in ACTIONS]
    assert len({frame.tobytes() for frame in steps[-1][0]}) == 3
    for i in range(3):
        first, info = env.reset(seed=5 + i)
        assert_same_dream(frames[i], first)
        assert infos["caption"][i] == info["caption"]
        for t, (observations, rewards, terminations, truncations, infos_t) in enumerate(steps):
            observation, reward, terminated, truncated, info = env.step(ACTIONS[t][i])
            assert_same_dream(observations[i], observation)
            assert rewards[i] == pytest.approx(reward, rel=1e-3, abs=1e-3)
            assert (terminations[i], truncations[i]) == (terminated, truncated)
            assert infos_t["trust"][i] == pytest.approx(info["trust"], rel=1e-3)
            assert (infos_t["caption"][i], infos_t["step"][i]) == (info["caption"], info["step"])


def test_same_seed_and_actions_give_the_same_dreams(envs, checkpoint):
    other = make_batch(checkpoint, 3)
    other.reset(seed=99)
    for one in (envs, other):
        one.reset(seed=[3, 1, 4])
    for actions in ACTIONS[:3]:
        assert np.array_equal(envs.step(actions)[0], other.step(by_key(actions))[0])


def test_each_seed_decides_its_dream_alone(envs):
    frames = [envs.reset(seed=seeds, options={"prompt": "sand"})[0] for seeds in ([3, 1, 4], [4, 1, 3], [3, 3, 3])]
    assert_same_dream(frames[1], frames[0][[2, 1, 0]])
    for i in range(3):
        assert_same_dream(frames[2][i], frames[0][0])
    assert levels(frames[0][0], frames[0][1]) > 10


def test_shapes_and_types(envs):
    observations, infos = envs.reset(seed=0)
    assert observations.shape == (3, SIDE, SIDE, 3) and observations.dtype == np.uint8
    assert envs.observation_space.contains(observations)
    assert envs.frames.shape == (3, 2, SIDE, SIDE, 3)
    observations, rewards, terminations, truncations, infos = envs.step(ACTIONS[0])
    assert observations.shape == (3, SIDE, SIDE, 3)
    assert rewards.shape == (3,) and rewards.dtype == np.float64
    assert terminations.dtype == truncations.dtype == np.bool_
    assert infos["trust"].shape == (3,) and infos["trust"].dtype == np.float64
    assert infos["step"].tolist() == [1, 1, 1]
    assert np.array_equal(envs.frames[:, -1], observations)
    assert np.array_equal(np.stack(envs.render()), observations)
    kept = observations.copy()
    envs.step(ACTIONS[1])
    assert np.array_equal(observations, kept), "what was handed out is not used again"


def test_one_pass_steps_them_all(envs, monkeypatch):
    envs.reset(seed=0)
    batches = []
    forward = type(envs.model.denoiser).forward
    monkeypatch.setattr(
        type(envs.model.denoiser),
        "forward",
        lambda self, inputs, *rest: batches.append(len(inputs.latents)) or forward(self, inputs, *rest),
    )
    envs.step(ACTIONS[0])
    assert batches == [3, 3, 3], "two sampling steps and one that remembers"


def test_lists_hold_actions_of_ticks(envs):
    turn = action(camera=np.float32([0, 60]))

    def after(actions):
        envs.reset(seed=0)
        envs.step(actions)
        return envs.frames

    found = after([{}, [{}, turn], turn])
    assert_same_dream(found[0], after([{}, {}, {}])[0])
    assert_same_dream(found[2], after([turn] * 3)[2])
    assert_same_dream(found[1], after([[{}, turn]] * 3)[1])
    assert levels(found[1], after([{}] * 3)[1]) > 1 and levels(found[1], after([turn] * 3)[1]) > 1


def test_discrete_actions_come_as_an_array(checkpoint, envs):
    discrete = make_batch(checkpoint, 3, actions="discrete")
    for one in (discrete, envs):
        one.reset(seed=0)
    expected = envs.step([{}, {"forward": 1}, {"camera": [0.0, 15.0]}])[0]
    assert np.array_equal(discrete.step(np.array([0, 1, 8]))[0], expected)


def test_mask_resets_some_and_leaves_the_others(envs, checkpoint):
    other = make_batch(checkpoint, 3, autoreset_mode="Disabled")
    for one in (envs, other):
        one.reset(seed=5)
        one.step(ACTIONS[0])
    latest = envs.frames[:, -1]
    mask = np.array([False, True, False])
    observations, infos = envs.reset(seed=77, options={"reset_mask": mask, "prompt": "sand"})
    assert np.array_equal(observations[~mask], latest[~mask]), "their latest frames"
    assert infos["_caption"].tolist() == mask.tolist() and infos["caption"][1] == "sand"
    alone = make(checkpoint)
    assert_same_dream(observations[1], alone.reset(seed=78, options={"prompt": "sand"})[0])
    for actions in ACTIONS[1:4]:
        found, *_, infos = envs.step(actions)
        expected, *_, same = other.step(actions)
        for i in (0, 2):
            assert_same_dream(found[i], expected[i])
            assert infos["step"][i] == same["step"][i]
        assert_same_dream(found[1], alone.step(actions[1])[0])
    assert infos["step"].tolist() == [4, 3, 4]
    # The seed was for the dream that was reset: what the others begin later is not changed by it.
    both = np.array([True, False, True])
    found, _ = envs.reset(options={"reset_mask": both, "prompt": "sand"})
    expected, _ = other.reset(options={"reset_mask": both, "prompt": "sand"})
    assert_same_dream(found[both], expected[both])


def test_every_dream_has_its_prompt(envs, env):
    prompts = ["sand", "a snowy forest at dusk, seen from a hill", ""]
    observations, infos = envs.reset(seed=5, options={"prompt": prompts})
    assert infos["caption"].tolist() == prompts
    found, *_, infos = envs.step(ACTIONS[0])
    assert infos["caption"].tolist() == prompts
    for i, prompt in enumerate(prompts):
        assert_same_dream(observations[i], env.reset(seed=5 + i, options={"prompt": prompt})[0])
        assert_same_dream(found[i], env.step(ACTIONS[0][i])[0])


def test_prompts_change_on_the_way(envs, env):
    def dreamed(prompts):
        envs.reset(seed=5, options={"start": 0})
        envs.step(ACTIONS[0])
        if prompts is not None:
            envs.set_prompt(prompts)
        observations, *_, infos = envs.step(ACTIONS[1])
        return observations, infos["caption"].tolist()

    plain, captions = dreamed(None)
    assert captions == ["a forest at noon"] * 3
    changed, captions = dreamed(["a forest at noon", "lava everywhere, and smoke", "rain"])
    assert captions == ["a forest at noon", "lava everywhere, and smoke", "rain"]
    assert_same_dream(changed[0], plain[0])
    assert levels(changed[1], plain[1]) > 1 and levels(changed[2], plain[2]) > 1
    one, captions = dreamed("rain")
    assert captions == ["rain"] * 3
    assert_same_dream(one[2], changed[2])
    env.reset(seed=7, options={"start": 0})
    env.step(ACTIONS[0][2])
    env.set_prompt("rain")
    assert_same_dream(env.step(ACTIONS[1][2])[0], one[2])


@pytest.mark.parametrize("prompts", [[None, "sand", None], ["sand", None, "rain"]], ids=str)
def test_bundled_starts_and_prompts_in_one_batch(envs, env, prompts):
    """Those of a start remember five frames, those of a prompt alone one."""
    observations, infos = envs.reset(seed=5, options={"prompt": prompts})
    found = envs.step(ACTIONS[0])[0]
    for i, prompt in enumerate(prompts):
        options = {} if prompt is None else {"prompt": prompt}
        first, info = env.reset(seed=5 + i, options=options)
        assert_same_dream(observations[i], first)
        assert infos["caption"][i] == info["caption"]
        assert_same_dream(found[i], env.step(ACTIONS[0][i])[0])


def test_videos_of_different_lengths_in_one_batch(envs, env):
    videos = [picture(seed=i, frames=length) for i, length in enumerate((1, 3, 7))]
    envs.reset(seed=5)
    for i, video in enumerate(videos):
        envs.reset(seed=5, options={"reset_mask": np.arange(3) == i, "video": video})
    steps = [envs.step(actions)[0] for actions in ACTIONS]
    for i, video in enumerate(videos):
        env.reset(seed=5 + i, options={"video": video})
        for t, frames in enumerate(steps):
            assert_same_dream(frames[i], env.step(ACTIONS[t][i])[0])


def test_starts_of_different_lengths_begin_together(env, monkeypatch):
    """Those of equal lengths in one batch; a dream of its own for each is the truth."""
    model = env.model
    h, w = model.grid(SIDE, SIDE)

    def dreams(number):
        return Dreams(model, number, size=(SIDE, SIDE), num_steps=1, guidance=Guidance())

    lengths = (1, 4, 0, 4, 2)
    noise = torch.Generator().manual_seed(0)
    starts = [
        Start(
            f"number {i}",
            torch.randn(length, h, w, 4, generator=noise),
            torch.rand(length, *model.denoiser.action_shape, generator=noise),
        )
        for i, length in enumerate(lengths)
    ]
    together = dreams(6)
    items = [4, 0, 5, 1, 3]
    together.begin(items, starts, [10, 20, 30, 40, 50])
    assert [together.prompts[item] for item in items] == [start.prompt for start in starts]
    counts = together._state.cache.count
    assert counts[items].tolist() == [1, 4, 1, 4, 2] and counts[2] == 0
    vectors = model.codec.encode_many(draw_actions(12)).reshape(6, 2, -1)
    moment = together.step(vectors)
    for item, start, seed in zip(items, starts, (10, 20, 30, 40, 50), strict=True):
        alone = dreams(1)
        alone.begin([0], [start], [seed])
        assert_same_dream(moment.frames[item], alone.step(vectors[item : item + 1]).frames[0])


def test_states_go_from_one_to_another(envs, env, checkpoint):
    envs.reset(seed=5, options={"prompt": ["a", "somewhat longer", "sand"]})
    envs.step(ACTIONS[0])
    states = envs.get_states()
    expected, *_, infos = envs.step(ACTIONS[1])
    assert [state.step for state in states] == [1, 1, 1]
    for i in range(3):
        env.set_state(states[i])
        assert_same_dream(env.step(ACTIONS[1][i])[0], expected[i])
    other = make_batch(checkpoint, 3)  # never reset
    other.set_states(states)
    assert levels(other.frames[:, -1], np.stack([env_frame(env, state) for state in states])) <= 1
    found, *_, same = other.step(ACTIONS[1])
    assert_same_dream(found, expected)
    assert same["caption"].tolist() == infos["caption"].tolist() and same["step"].tolist() == [2, 2, 2]
    order = [2, 0, 0]
    other.set_states([states[i] for i in order])
    assert_same_dream(other.step([ACTIONS[1][i] for i in order])[0], expected[order])


def env_frame(env, state):
    env.set_state(state)
    return env.frames[-1]


def test_states_as_options(envs, env):
    env.reset(seed=1, options={"start": 2})
    env.step(ACTIONS[0][0])
    mine = env.get_state()
    expected = env.step(ACTIONS[1][0])[0]
    observations, infos = envs.reset(seed=5, options={"state": [mine, None, mine], "prompt": None})
    assert infos["step"].tolist() == [1, 0, 1] and levels(observations[0], observations[2]) == 0
    found = envs.step([ACTIONS[1][0]] * 3)[0]
    assert_same_dream(found[0], expected)
    assert_same_dream(found[2], expected)
    env.reset(seed=6)
    assert_same_dream(found[1], env.step(ACTIONS[1][0])[0])


def test_time_limit_counts_from_each_start(checkpoint):
    envs = make_batch(checkpoint, 2, num_steps=1, max_episode_steps=3, autoreset_mode="Disabled")
    envs.reset(seed=0)
    actions = [{}, {}]
    assert envs.step(actions)[3].tolist() == [False, False]
    envs.reset(options={"reset_mask": np.array([False, True])})
    assert envs.step(actions)[3].tolist() == [False, False]
    assert envs.step(actions)[3].tolist() == [True, False]


def test_memory_does_not_grow(checkpoint):
    envs = make_batch(checkpoint, 2, num_steps=1)
    envs.reset(seed=0)

    def held():
        layers = envs._core.dreams._state.cache.layers
        return [part.untyped_storage().nbytes() for layer in layers for part in (layer.keys, layer.values)]

    envs.step([{}, {}])
    first = held()
    for _ in range(60):
        observations = envs.step([{}, {}])[0]
    assert held() == first and observations.std() > 1
