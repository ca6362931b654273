"""Many worlds at once give what single environments give."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import worldmodel.envs  # noqa: F401
from worldmodel.envs.voxel import physics
from worldmodel.envs.voxel.env import VoxelEnv
from worldmodel.envs.voxel.vector import VoxelVectorEnv

SMALL = {"height": 24, "width": 32}
COUNT, LIMIT = 3, 4


def unbatch(infos, index):
    """The info of one environment, out of Gymnasium's batch of them; only keys that it has."""
    out = {}
    for key, value in infos.items():
        if key.startswith("_") or not np.all(infos.get(f"_{key}", np.ones(COUNT, bool))[index]):
            continue
        if isinstance(value, dict):
            # The mask of a nested dictionary is kept with its leaves too.
            out[key] = unbatch(value, index)
        else:
            out[key] = value[index]
    return out


def assert_same(ours, theirs):
    """Values are the same to the last bit, but for the array types that batching brings."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_same(ours[key], theirs[key])
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        assert ours.tobytes() == theirs.tobytes()
    else:
        assert ours == theirs


def singles(limit=LIMIT, **settings):
    envs = [VoxelEnv(**SMALL, **settings) for _ in range(COUNT)]
    return [TimeLimit(env, limit) for env in envs] if limit else envs


def batches(space, count, seed=0):
    space.seed(seed)
    for _ in range(count):
        action = space.sample()
        if isinstance(action, dict):
            action["camera"] *= np.float32(0.05)
        yield action


@pytest.mark.parametrize("actions", ["dict", "discrete"])
@pytest.mark.parametrize("threads", [1, 2, None])
def test_the_same_as_single_environments(actions, threads):
    settings = {"actions": actions, "task": "navigate_dense", "inventory": {"dirt": 4}}
    vector, envs = VoxelVectorEnv(COUNT, threads=threads, **SMALL, **settings), singles(None, **settings)
    observations, infos = vector.reset(seed=10)
    for i, env in enumerate(envs):
        observation, info = env.reset(seed=10 + i)
        assert_same(observations[i], observation)
        assert_same(unbatch(infos, i), info)
    for batch in batches(vector.action_space, 8):
        observations, rewards, terminations, truncations, infos = vector.step(batch)
        assert observations.dtype == np.uint8 and rewards.dtype == np.float64 and terminations.dtype == np.bool_
        for i, (env, action) in enumerate(zip(envs, iterate(vector.action_space, batch), strict=True)):
            observation, reward, terminated, truncated, info = env.step(action)
            assert_same(observations[i], observation)
            assert (rewards[i], terminations[i], truncations[i]) == (reward, terminated, truncated)
            assert_same(unbatch(infos, i), info)
    vector.close()


def test_next_step_autoreset():
    vector, envs = VoxelVectorEnv(COUNT, max_episode_steps=LIMIT, **SMALL), singles()
    assert vector.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    vector.reset(seed=0)
    [env.reset(seed=i) for i, env in enumerate(envs)]
    over, ends = [False] * COUNT, 0
    for batch in batches(vector.action_space, 3 * LIMIT + 2):
        observations, rewards, terminations, truncations, infos = vector.step(batch)
        for i, (env, action) in enumerate(zip(envs, iterate(vector.action_space, batch), strict=True)):
            if over[i]:
                observation, info = env.reset()
                expected = (observation, 0.0, False, False)
            else:
                *expected, info = env.step(action)
            over[i] = expected[2] or expected[3]
            ends += over[i]
            assert_same(observations[i], expected[0])
            assert (rewards[i], terminations[i], truncations[i]) == tuple(expected[1:])
            assert_same(unbatch(infos, i), info)
    assert ends == 3 * COUNT
    vector.close()


def test_same_step_autoreset():
    vector, envs = VoxelVectorEnv(COUNT, autoreset_mode="SameStep", max_episode_steps=LIMIT, **SMALL), singles()
    vector.reset(seed=0)
    [env.reset(seed=i) for i, env in enumerate(envs)]
    ends = 0
    for batch in batches(vector.action_space, 3 * LIMIT + 2):
        observations, rewards, terminations, truncations, infos = vector.step(batch)
        for i, (env, action) in enumerate(zip(envs, iterate(vector.action_space, batch), strict=True)):
            observation, reward, terminated, truncated, info = env.step(action)
            assert (rewards[i], terminations[i], truncations[i]) == (reward, terminated, truncated)
            got = unbatch(infos, i)
            if terminated or truncated:
                ends += 1
                assert_same(got.pop("final_obs"), observation)
                assert_same(got.pop("final_info"), info)
                observation, info = env.reset()
            assert_same(observations[i], observation)
            assert_same(got, info)
    assert ends == 3 * COUNT
    vector.close()


def test_disabled_autoreset_and_reset_mask():
    vector, envs = (
        VoxelVectorEnv(COUNT, autoreset_mode=AutoresetMode.DISABLED, max_episode_steps=LIMIT, **SMALL),
        singles(),
    )
    vector.reset(seed=0)
    [env.reset(seed=i) for i, env in enumerate(envs)]
    commands = list(batches(vector.action_space, 20))

    def step(batch):
        observations, _, _, truncations, infos = vector.step(batch)
        for i, (env, action) in enumerate(zip(envs, iterate(vector.action_space, batch), strict=True)):
            observation, _, _, truncated, info = env.step(action)
            assert_same(observations[i], observation)
            assert_same(unbatch(infos, i), info)
            assert truncations[i] == truncated
        return truncations

    def reset(mask, **more):
        mask = np.array(mask)
        observations, infos = vector.reset(options={"reset_mask": mask, **more})
        for i in range(COUNT):
            if mask[i]:
                observation, info = envs[i].reset(options=more)
                assert_same(observations[i], observation)
                assert_same(unbatch(infos, i), info)
            else:
                assert not observations[i].any() and unbatch(infos, i) == {}

    step(commands[0])
    reset([True, False, False], biome="desert")
    for k in range(1, 3):
        assert not step(commands[k]).any()
    assert step(commands[3]).tolist() == [False, True, True]
    for _ in range(2):
        with pytest.raises(gymnasium.error.ResetNeeded, match=r"\[1, 2\].*reset_mask"):
            vector.step(commands[4])
    reset([False, True, False])
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"\[2\]"):
        vector.step(commands[4])
    reset([False, False, True])
    assert step(commands[5]).tolist() == [True, False, False]
    reset([True, True, True])
    step(commands[6])
    vector.close()


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_an_environment_that_dies_does_not_disturb_the_others(mode):
    """One player is thrown from the sky; the others go on as alone."""
    vector, envs = VoxelVectorEnv(COUNT, autoreset_mode=mode, **SMALL), singles(None)
    vector.reset(seed=4, options={"biome": "plains"})
    [env.reset(seed=4 + i, options={"biome": "plains"}) for i, env in enumerate(envs)]
    for env in (vector.envs[1], envs[1]):
        state = env.unwrapped.get_state()
        state["simulation"]["body"][[physics.Y, physics.ON_GROUND]] = 80.0, 0.0
        env.unwrapped.set_state(state)
    idle = {name: np.zeros((COUNT, *space.shape), space.dtype) for name, space in vector.single_action_space.items()}
    dead = False
    for _ in range(80):
        observations, _, terminations, _, infos = vector.step(idle)
        for i in (0, 2):
            observation, *_, info = envs[i].step({})
            assert_same(observations[i], observation)
            assert_same(unbatch(infos, i), info)
        if terminations[1]:
            dead = True
            break
    assert dead and terminations.tolist() == [False, True, False]
    if mode == "SameStep":
        assert unbatch(infos, 1)["final_info"]["health"] == 0.0 and infos["health"][1] == 20.0
    elif mode == "NextStep":
        assert vector.step(idle)[4]["health"].tolist() == [20.0] * COUNT
    vector.close()


def test_seeds():
    vector = VoxelVectorEnv(COUNT, **SMALL)
    first = vector.reset(seed=20)[0]
    np.testing.assert_array_equal(vector.reset(seed=[20, 21, 22])[0], first)
    np.testing.assert_array_equal(vector.reset(seed=(22, 21, 20))[0], first[::-1])
    assert vector.np_random_seed == (22, 21, 20) and len(vector.np_random) == COUNT
    later = vector.reset()[0]
    assert (later != first).any()
    vector.reset(seed=np.int64(22))
    vector.reset(seed=[22, None, None])
    vector.close()


def test_options_go_to_every_environment():
    vector = VoxelVectorEnv(COUNT, **SMALL)
    infos = vector.reset(seed=0, options={"biome": "snow", "start_time": 0.6})[1]
    assert infos["biome"].tolist() == ["snow"] * COUNT and infos["time_of_day"].tolist() == [0.6] * COUNT
    vector.close()


def test_wrong_arguments_are_explained():
    vector = VoxelVectorEnv(COUNT, **SMALL)
    with pytest.raises(gymnasium.error.ResetNeeded):
        vector.step(vector.action_space.sample())
    vector.reset(seed=0)
    for seeds in ([1, 2], [1, 2, 3, 4], []):
        with pytest.raises(ValueError, match="^seed: expected 3 seeds"):
            vector.reset(seed=seeds)
    for mask, error in (([True] * COUNT, TypeError), (np.ones(COUNT), TypeError), (np.ones(2, bool), ValueError),
                        (np.zeros(COUNT, bool), ValueError)):  # fmt: skip
        with pytest.raises(error, match=r"^options\['reset_mask'\]: expected"):
            vector.reset(options={"reset_mask": mask})
    with pytest.raises(ValueError, match="^biome: expected"):
        vector.reset(options={"biome": "moon"})
    vector.close()
    discrete = VoxelVectorEnv(COUNT, actions="discrete", **SMALL)
    discrete.reset(seed=0)
    with pytest.raises(ValueError, match="actions: expected 3"):
        discrete.step(np.zeros(2, np.int64))
    discrete.close()
    for bad, name in (({"num_envs": 0}, "num_envs"), ({"threads": 0}, "threads"), ({"height": 3}, "height"),
                      ({"autoreset_mode": "Never"}, "Never")):  # fmt: skip
        with pytest.raises(ValueError, match=name):
            VoxelVectorEnv(**({"num_envs": 1} | bad))
    with pytest.raises(TypeError, match="heigth"):
        VoxelVectorEnv(1, heigth=64)


def test_observations_are_not_used_again():
    vector = VoxelVectorEnv(2, **SMALL)
    first = vector.reset(seed=0)[0]
    kept = first.copy()
    second = vector.step(vector.action_space.sample())[0]
    np.testing.assert_array_equal(first, kept)
    kept = second.copy()
    vector.step(vector.action_space.sample())
    np.testing.assert_array_equal(second, kept)
    vector.close()


@pytest.mark.parametrize(("name", "task"), [("worldmodel/Voxel-v0", "none"), ("worldmodel/VoxelPickaxe-v0", "pickaxe")])
def test_make_vec(name, task):
    vector = gymnasium.make_vec(name, num_envs=2, actions="discrete", **SMALL)
    assert isinstance(vector.unwrapped, VoxelVectorEnv) and vector.num_envs == 2
    assert all(env.unwrapped.config.task == task for env in vector.unwrapped.envs)
    observations, _ = vector.reset(seed=0)
    assert observations.shape == (2, 24, 32, 3) and observations in vector.observation_space
    assert vector.step(vector.action_space.sample())[0] in vector.observation_space
    assert vector.single_action_space == gymnasium.make(name, actions="discrete").action_space
    vector.close()


def test_make_vec_keeps_the_time_limit_of_the_id():
    vector = gymnasium.make_vec("worldmodel/VoxelTreechop-v0", num_envs=1, height=16, width=16)
    limits = [env._max_episode_steps for env in vector.unwrapped.envs if isinstance(env, TimeLimit)]
    vector.close()
    assert limits == [8000]


def test_episode_statistics_wrapper():
    env = RecordEpisodeStatistics(VoxelVectorEnv(2, actions="discrete", max_episode_steps=LIMIT, **SMALL))
    env.reset(seed=0)
    lengths = []
    for _ in range(2 * LIMIT + 2):
        infos = env.step(np.ones(2, np.int64))[4]
        if "episode" in infos:
            lengths += infos["episode"]["l"].tolist()
    assert lengths == [LIMIT] * 4
    env.close()


def test_render_gives_the_frames():
    vector = VoxelVectorEnv(2, render_mode="rgb_array", **SMALL)
    observations = vector.reset(seed=0)[0]
    frames = vector.render()
    assert len(frames) == 2
    np.testing.assert_array_equal(np.stack(frames), observations)
    vector.close()
