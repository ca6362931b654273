"""The adapter gives stable-baselines3 what its own `DummyVecEnv` gives for single environments."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv, VectorEnv
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import worldmodel.envs  # noqa: F401 - registers the ids

pytest.importorskip("stable_baselines3")

from stable_baselines3.common.monitor import Monitor  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecMonitor, VecTransposeImage  # noqa: E402

from worldmodel.envs.sb3 import Sb3VecEnv  # noqa: E402

SMALL = {"height": 16, "width": 24, "actions": "discrete"}
COUNT, LIMIT = 3, 4


def worlds(**settings):
    return gymnasium.make_vec("worldmodel/Voxel-v0", COUNT, autoreset_mode="SameStep", **SMALL, **settings)


def poles(limit=11):
    """Poles, which fall: episodes that terminate as well as those that are cut off."""
    vector = {"autoreset_mode": "SameStep"}
    return gymnasium.make_vec("CartPole-v1", COUNT, "sync", vector, max_episode_steps=limit)


class Counter(VectorEnv):
    """Counts in all environments at once: there are no single ones. Takes one seed, as many vector environments do."""

    metadata = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP, "render_modes": ["rgb_array"]}

    def __init__(self, num_envs=COUNT, render_mode=None):
        self.num_envs, self.render_mode = num_envs, render_mode
        self.single_observation_space = gymnasium.spaces.Box(0, 100, (1,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(3)
        self.names = [f"counter {i}" for i in range(num_envs)]
        self.speed = 1

    def reset(self, *, seed=None, options=None):
        assert seed is None or isinstance(seed, int)
        self.seen = seed, options
        self.count = np.zeros((self.num_envs, 1), np.float32)
        return self.count.copy(), {}

    def step(self, actions):
        self.count += self.speed * np.asarray(actions)[:, None]
        never = np.zeros(self.num_envs, np.bool_)
        return self.count.copy(), np.zeros(self.num_envs), never, never, {}

    def add(self, number):
        self.count += number
        return tuple(self.count[:, 0].tolist())

    def render(self):
        return tuple(np.full((2, 2, 3), i, np.uint8) for i in range(self.num_envs))


def assert_same(ours, theirs):
    assert type(ours) is type(theirs)
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_same(ours[key], theirs[key])
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()
    else:
        assert ours == theirs


@pytest.mark.parametrize("name", ["worlds", "poles"])
def test_the_same_as_dummy_vec_env(name):
    if name == "worlds":
        ours = Sb3VecEnv(worlds(max_episode_steps=LIMIT))
        theirs = DummyVecEnv(
            [lambda: TimeLimit(gymnasium.make("worldmodel/Voxel-v0", **SMALL).unwrapped, LIMIT) for _ in range(COUNT)]
        )
    else:
        ours = Sb3VecEnv(poles())
        theirs = DummyVecEnv([lambda: gymnasium.make("CartPole-v1", max_episode_steps=11) for _ in range(COUNT)])
    assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space
    assert ours.num_envs == COUNT and ours.render_mode == theirs.render_mode
    assert ours.seed(5) == theirs.seed(5) == [5, 6, 7]
    random, ends = np.random.default_rng(0), []
    for _ in range(2):  # the second time without seeds
        assert_same(ours.reset(), theirs.reset())
        assert_same(ours.reset_infos, theirs.reset_infos)
        for _ in range(3 * LIMIT + 2):
            actions = random.integers(2, size=COUNT)
            actions[2] = 1  # this pole falls soon
            (observations, rewards, ended, infos), reference = ours.step(actions), theirs.step(actions)
            assert_same(ours.reset_infos, theirs.reset_infos)
            assert_same((observations, rewards, ended, infos), reference)
            ends += [info["TimeLimit.truncated"] for info in infos if "terminal_observation" in info]
    assert len(ends) >= 2 * COUNT and True in ends and (name == "worlds" or False in ends)
    ours.close()


def test_options_reach_reset_and_are_used_once():
    env = Sb3VecEnv(Counter())
    env.seed(3)
    env.set_options({"a": 1})
    env.reset()
    assert env.env.seen == (3, {"a": 1})
    env.reset()
    assert env.env.seen == (None, None)
    picture = np.zeros((2, 2))
    env.set_options([{"a": picture} for _ in range(COUNT)])
    env.reset()
    np.testing.assert_array_equal(env.env.seen[1]["a"], picture)
    env.set_options(None)
    env.reset()
    assert env.env.seen == (None, None)
    for wrong in ([{"a": 1}, {"a": 1}, {"a": 2}], [{"a": 1}], [{"a": np.zeros(2)} for _ in range(COUNT)]):
        with pytest.raises(ValueError, match=r"^options: expected one dict.* or 3 that are the same, got"):
            env.set_options(wrong)


def test_what_cannot_be_adapted_is_refused():
    with pytest.raises(ValueError, match=r"^env: expected .*'SameStep'\), got 'NextStep'; make it with .*SameStep"):
        Sb3VecEnv(gymnasium.make_vec("worldmodel/Voxel-v0", 1, **SMALL))
    with pytest.raises(ValueError, match=r"got Dict; make it with actions=\"discrete\""):
        Sb3VecEnv(gymnasium.make_vec("worldmodel/Voxel-v0", 1, height=16, width=16, autoreset_mode="SameStep"))
    with pytest.raises(TypeError, match="^env: expected a vector environment, got .*; make it with gymnasium.make_vec"):
        Sb3VecEnv(gymnasium.make("worldmodel/Voxel-v0", **SMALL))
    with pytest.raises(RuntimeError, match="^step_wait: expected step_async before it"):
        Sb3VecEnv(Counter()).step_wait()


def test_single_environments_are_reached():
    env = Sb3VecEnv(worlds())
    env.reset()
    states = env.env_method("get_state")
    assert len(states) == COUNT
    assert env.env_method("find_blocks", [], radius=1, indices=[0, 2])[1].shape == (0, 3)
    env.set_attr("mark", 5, indices=1)
    assert env.get_attr("mark", 1) == [5] and not env.has_attr("mark") and not env.has_attr("nonsense")
    assert env.get_attr("action_space") == [env.action_space] * COUNT
    assert env.env_is_wrapped(TimeLimit) == [False] * COUNT
    assert Sb3VecEnv(worlds(max_episode_steps=2)).env_is_wrapped(TimeLimit, [0, 1]) == [True] * 2
    monitored = SyncVectorEnv([lambda: Monitor(gymnasium.make("CartPole-v1"))], autoreset_mode="SameStep")
    assert Sb3VecEnv(monitored).env_is_wrapped(Monitor) == [True]


def test_one_environment_for_all_is_reached():
    env = Sb3VecEnv(RecordEpisodeStatistics(Counter()))
    env.reset()
    assert env.get_attr("names", [2, 0]) == ["counter 2", "counter 0"]
    assert env.get_attr("speed") == [1, 1, 1] and env.get_attr("episode_count") == [0, 0, 0]
    env.set_attr("speed", 2)
    assert env.env.unwrapped.speed == 2
    assert env.step(np.array([0, 1, 2]))[0].ravel().tolist() == [0, 2, 4]
    assert env.env_method("add", 1) == [1, 3, 5]
    assert env.env_is_wrapped(RecordEpisodeStatistics) == [True] * COUNT and env.env_is_wrapped(Monitor, 0) == [False]
    for call in (lambda: env.env_method("add", 1, indices=[0]), lambda: env.set_attr("speed", 1, indices=[1])):
        with pytest.raises(ValueError, match="^indices: expected all 3 environments .* because they are one object"):
            call()
    with pytest.raises(AttributeError, match="^nonsense: expected an attribute of"):
        env.get_attr("nonsense")
    with pytest.raises(AttributeError, match="^nonsense"):
        env.env_method("nonsense")


def test_rendering():
    env = Sb3VecEnv(Counter(render_mode="rgb_array"))
    assert env.render_mode == "rgb_array" and env.metadata["render_modes"] == ["human", "rgb_array"]
    assert [int(image.max()) for image in env.get_images()] == [0, 1, 2]
    assert env.render().shape == (4, 4, 3)
    assert Sb3VecEnv(Counter()).get_images() == [None] * COUNT
    pictured = Sb3VecEnv(worlds(render_mode="rgb_array"))
    pictured.reset()
    assert pictured.metadata["render_fps"] == 20 and pictured.render().shape == (2 * 16, 2 * 24, 3)


def test_statistics_of_gymnasium_and_of_stable_baselines_are_the_same():
    theirs, ours = VecMonitor(Sb3VecEnv(poles())), Sb3VecEnv(RecordEpisodeStatistics(poles()))
    found = []
    for env in (theirs, ours):
        env.seed(0)
        env.reset()
        statistics = []
        for _ in range(20):
            *_, ended, infos = env.step(np.ones(COUNT, np.int64))
            assert ["episode" in info for info in infos] == ended.tolist()
            statistics += [info["episode"] for info in infos if "episode" in info]
        found.append([(each["r"], each["l"]) for each in statistics])
    assert found[0] == found[1] and len(found[0]) >= COUNT


def test_wrappers_of_stable_baselines():
    env = VecFrameStack(VecTransposeImage(Sb3VecEnv(worlds(max_episode_steps=2))), 2)
    assert env.reset().shape == (COUNT, 6, 16, 24)
    env.step(np.zeros(COUNT, np.int64))
    observations, _, ended, infos = env.step(np.zeros(COUNT, np.int64))
    assert ended.all() and infos[0]["terminal_observation"].shape == observations.shape[1:]


def test_learning_in_many_worlds():
    from stable_baselines3 import PPO

    env = VecMonitor(Sb3VecEnv(gymnasium.make_vec(
        "worldmodel/VoxelTreechop-v0", 2, height=36, width=36, actions="discrete", autoreset_mode="SameStep",
        max_episode_steps=8,
    )))  # fmt: skip
    model = PPO("CnnPolicy", env, n_steps=16, batch_size=16, n_epochs=1, seed=0, device="cpu")
    before = [parameter.detach().clone() for parameter in model.policy.parameters()]
    model.learn(64)
    assert model.num_timesteps == 64 and len(model.ep_info_buffer) == 8
    assert any((old != new).any() for old, new in zip(before, model.policy.parameters(), strict=True))


def test_without_the_package_the_error_names_the_extra():
    code = "import sys; sys.modules['stable_baselines3'] = None; import worldmodel.envs; import worldmodel.envs.sb3"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ") and "pip install 'worldmodel[sb3]' -c constraints.txt" in last
