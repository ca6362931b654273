"""Outside suites and tools take a dream for an ordinary environment: checkers, wrappers, recorders, learners."""

import importlib.util
import warnings

import gymnasium
import numpy as np
import pytest
from dream_tools import full_precision  # noqa: F401
from ecosystem_tools import LIMIT, SIDE, assert_close, dream, dreams, endings, strict  # noqa: F401
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import (
    FrameStackObservation,
    GrayscaleObservation,
    RecordEpisodeStatistics,
    RecordVideo,
    TimeLimit,
)
from gymnasium.wrappers import vector as vector_wrappers

# Gymnasium recommends action boxes within [-1, 1]; MineRL's camera is in degrees within +-180 by definition.
CAMERA = ".*WARN: For Box action spaces, we recommend using a symmetric and normalized space"

# ruff: noqa: F811 - fixtures


@pytest.mark.parametrize("actions", [None, "dict", "discrete"])
def test_gymnasiums_checker(dream, actions, strict):
    if actions != "discrete":
        warnings.filterwarnings("ignore", message=CAMERA)
    env = dream(actions=actions, render_mode="rgb_array")
    check_env(env.unwrapped, skip_render_check=importlib.util.find_spec("pygame") is None)
    env.close()


def test_record_video_writes_a_film_that_can_be_read(dream, tmp_path):
    from moviepy import VideoFileClip

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        env = dream(render_mode="rgb_array")
        env = RecordVideo(env, str(tmp_path / "film"), episode_trigger=lambda episode: True, disable_logger=True)
        frames = [env.reset(seed=0)[0]] + [env.step(1)[0] for _ in range(9)]
        env.close()
    (path,) = tmp_path.glob("film/*.mp4")
    with VideoFileClip(str(path)) as film:
        found = list(film.iter_frames())
        assert film.fps == 10 and film.size == [SIDE, SIDE]  # two ticks of 20 a second in a step
    assert 9 <= len(found) <= 10  # the reader may leave out the last one
    # Noise of an untrained model makes no good film, but nearly every frame is most like the one that was recorded.
    distances = np.abs(np.stack(found)[:, None].astype(int) - np.stack(frames)).mean((2, 3, 4))
    assert (distances.argmin(1) == np.arange(len(found))).sum() >= 7


def test_episode_statistics_and_time_limit(dream):
    env = RecordEpisodeStatistics(TimeLimit(dream(), LIMIT))
    env.reset(seed=0)
    rewards = []
    for step in range(LIMIT):
        _, reward, terminated, truncated, info = env.step(1)
        rewards.append(reward)
        assert not terminated and truncated == (step == LIMIT - 1)
    assert info["episode"]["l"] == LIMIT and info["episode"]["r"] == pytest.approx(sum(rewards))
    limited = dream(max_episode_steps=1)
    limited.reset(seed=0)
    assert limited.step(1)[3] is True


def test_observation_wrappers(dream):
    stacked = FrameStackObservation(dream(), 3)
    observation, _ = stacked.reset(seed=0)
    latest = stacked.step(1)[0]
    assert observation.shape == (3, SIDE, SIDE, 3) and observation in stacked.observation_space
    np.testing.assert_array_equal(latest[1], observation[2])
    grey = GrayscaleObservation(dream())
    assert grey.reset(seed=0)[0].shape == (SIDE, SIDE) and grey.step(1)[0] in grey.observation_space


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_vector_wrappers(dreams, mode):
    envs = vector_wrappers.RecordEpisodeStatistics(dreams(2, autoreset_mode=mode, max_episode_steps=2))
    shape = (2, SIDE, SIDE, 3)
    if mode != AutoresetMode.SAME_STEP:  # Gymnasium's wrappers of observations take no other
        envs, shape = vector_wrappers.GrayscaleObservation(envs), (2, SIDE, SIDE)
    observations, _ = envs.reset(seed=0)
    assert observations.shape == shape and observations in envs.observation_space
    envs.step(envs.action_space.sample())
    observations, rewards, *_, infos = envs.step(envs.action_space.sample())
    assert infos["episode"]["l"].tolist() == [2, 2] and observations in envs.observation_space


def test_recording_a_batch(dreams, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        envs = dreams(2, render_mode="rgb_array", max_episode_steps=4)
        envs = vector_wrappers.RecordVideo(envs, str(tmp_path / "film"), video_length=3, disable_logger=True)
        envs.reset(seed=0)
        for _ in range(4):
            envs.step(envs.action_space.sample())
        envs.close()
    assert list(tmp_path.glob("film/*.mp4"))


# Minari


@pytest.mark.parametrize("actions", [None, "discrete"])
def test_minari_collects_a_dream_and_gives_it_back(dream, tmp_path, monkeypatch, actions):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = dream(actions=actions, max_episode_steps=3)
    collector = minari.DataCollector(env, jpeg_encoding=False)
    collector.action_space.seed(0)
    episodes = []
    for seed in range(2):
        observations, commands, rewards, over = [collector.reset(seed=seed)[0]], [], [], False
        while not over:
            commands.append(collector.action_space.sample())
            observation, reward, terminated, truncated, _ = collector.step(commands[-1])
            observations.append(observation)
            rewards.append(reward)
            over = terminated or truncated
        episodes.append((observations, commands, rewards))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that authors and code are not told
        collector.create_dataset(f"dream/test-{actions or 'dict'}-v0".lower())
    collector.close()

    dataset = minari.load_dataset(f"dream/test-{actions or 'dict'}-v0")
    assert dataset.total_episodes == 2 and dataset.total_steps == 6
    assert dataset.observation_space == env.observation_space and dataset.action_space == env.action_space
    for episode, (observations, commands, rewards) in zip(dataset.iterate_episodes(), episodes, strict=True):
        np.testing.assert_array_equal(episode.observations, np.stack(observations))
        np.testing.assert_allclose(episode.rewards, rewards)
        assert episode.truncations.tolist() == [False, False, True]
        for step, command in enumerate(commands):
            if actions:
                assert episode.actions[step] == command
            else:
                for key, value in command.items():
                    np.testing.assert_array_equal(episode.actions[key][step], value)
    # The dataset knows how to make the dream again.
    again = dataset.recover_environment()
    np.testing.assert_array_equal(again.reset(seed=0)[0], episodes[0][0][0])


# stable-baselines3

TINY = {
    "policy": "CnnPolicy",
    "policy_kwargs": {"features_extractor_kwargs": {"features_dim": 16}, "net_arch": [16]},
    "n_epochs": 1,
    "seed": 0,
    "device": "cpu",
}


def assert_learns(model, steps):
    before = [parameter.detach().clone() for parameter in model.policy.parameters()]
    model.learn(steps)
    assert model.num_timesteps == steps and len(model.ep_info_buffer) == steps // LIMIT
    after = list(model.policy.parameters())
    assert all(parameter.isfinite().all() for parameter in after)
    changed = sum(bool((old != new).any()) for old, new in zip(before, after, strict=True))
    assert changed > len(after) / 2


def test_stable_baselines_checker(dream, strict):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(dream(render_mode="rgb_array"))


def test_stable_baselines_learns_in_a_dream(dream):
    sb3 = pytest.importorskip("stable_baselines3")
    assert_learns(sb3.PPO(env=dream(max_episode_steps=LIMIT, num_steps=1), n_steps=64, batch_size=64, **TINY), 192)


def test_stable_baselines_learns_in_a_batch_of_dreams(dreams):
    sb3 = pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecMonitor

    from worldmodel.envs.sb3 import Sb3VecEnv

    env = VecMonitor(Sb3VecEnv(dreams(8, autoreset_mode="SameStep", max_episode_steps=LIMIT, num_steps=1)))
    env.set_options({"prompt": "a forest"})
    model = sb3.PPO(env=env, n_steps=16, batch_size=64, **TINY)
    assert_learns(model, 256)
    assert {info["caption"] for info in env.unwrapped.reset_infos} == {"a forest"}  # of later episodes, too
    _, lengths = evaluate_policy(model, env, n_eval_episodes=8, return_episode_rewards=True)
    assert lengths == [LIMIT] * 8


def test_the_adapter_gives_stable_baselines_what_single_dreams_give(dream, dreams, endings):
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    from worldmodel.envs.sb3 import Sb3VecEnv

    ours = Sb3VecEnv(dreams(2, autoreset_mode="SameStep", max_episode_steps=LIMIT, render_mode="rgb_array"))
    theirs = vec_env.DummyVecEnv([lambda: TimeLimit(dream(render_mode="rgb_array"), LIMIT) for _ in range(2)])
    for env in (ours, theirs):
        env.seed(4)
    assert_close(ours.reset(), theirs.reset())
    ends = 0
    for _ in range(2 * LIMIT + 1):
        actions = np.array([1, 4])
        (observations, rewards, over, infos), reference = ours.step(actions), theirs.step(actions)
        assert_close(observations, reference[0])
        assert_close(rewards, reference[1])
        assert over.tolist() == reference[2].tolist()
        for one, other in zip(infos + ours.reset_infos, reference[3] + theirs.reset_infos, strict=True):
            assert {name: type(value) for name, value in one.items()} == {k: type(value) for k, value in other.items()}
            for name in set(one) - {"terminal_observation"}:
                rounded = name in ("trust", "revision", "residual")
                assert one[name] == (pytest.approx(other[name], abs=1e-3) if rounded else other[name]), name
        ends += over.sum()
    assert ends >= 4
    assert_close(ours.render(), theirs.render())
    assert ours.metadata["render_fps"] == 10
    model, other = ours.get_attr("model")
    assert model is other and ours.env_method("set_prompt", "a desert") == [None, None]
    assert [info["caption"] for info in ours.step(np.array([1, 4]))[3]] == ["a desert"] * 2
    assert len(set(map(id, ours.env_method("get_states")))) == 2


# TorchRL


@pytest.mark.parametrize("actions", [None, "discrete"])
def test_torchrl_checker(dream, actions):
    envs = pytest.importorskip("torchrl.envs")
    env = envs.GymWrapper(dream(actions=actions))
    envs.check_env_specs(env, seed=0)
    assert env.rollout(3)["next", "pixels"].shape == (3, SIDE, SIDE, 3)


@pytest.mark.parametrize("mode", ["Disabled", "SameStep"])
def test_torchrl_checker_of_a_batch(dreams, mode):
    torchrl = pytest.importorskip("torchrl.envs")
    vector, reference = (dreams(2, autoreset_mode=mode, max_episode_steps=LIMIT) for _ in range(2))
    if mode == "SameStep":
        vector, reference = NumbersOnly(vector), NumbersOnly(reference)
    env = torchrl.GymWrapper(vector, categorical_action_encoding=True)
    torchrl.check_env_specs(env, seed=0)
    begun = env.reset(seed=0)
    rollout = env.rollout(2 * LIMIT, break_when_any_done=False, auto_reset=False, tensordict=begun)
    assert rollout.shape == (2, 2 * LIMIT)
    assert rollout["next", "truncated"].squeeze(-1).nonzero()[:, 1].tolist() == [LIMIT - 1, 2 * LIMIT - 1] * 2
    observations, _ = reference.reset(seed=0)
    # Where all episodes end in one step, TorchRL resets a `SameStep` environment once more: other episodes follow.
    for step in range(2 * LIMIT if mode == "Disabled" else LIMIT):
        np.testing.assert_array_equal(rollout["observation"][:, step], observations)
        observations, rewards, _, truncations, infos = reference.step(rollout["action"][:, step].numpy())
        final = np.stack(infos["final_obs"]) if "final_obs" in infos else observations
        np.testing.assert_array_equal(rollout["next", "observation"][:, step], final)
        np.testing.assert_allclose(rollout["next", "reward"][:, step, 0], rewards, rtol=1e-6)
        if mode == "Disabled" and truncations.any():
            observations, _ = reference.reset(options={"reset_mask": truncations})


class NumbersOnly(gymnasium.vector.VectorWrapper):
    """TorchRL makes tensors of all of `info` where environments reset themselves, and knows none of strings."""

    def __init__(self, env):
        super().__init__(env)
        self.autoreset_mode = env.autoreset_mode  # TorchRL looks here

    def reset(self, **arguments):
        observations, infos = self.env.reset(**arguments)
        return observations, self._numbers(infos)

    def step(self, actions):
        *rest, infos = self.env.step(actions)
        return *rest, self._numbers(infos)

    def _numbers(self, infos):
        infos = {name: value for name, value in infos.items() if "caption" not in name}
        return {name: self._numbers(value) if isinstance(value, dict) else value for name, value in infos.items()}
