"""The tools of others work: environment checkers, wrappers, recorders."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import (
    FrameStackObservation,
    GrayscaleObservation,
    RecordEpisodeStatistics,
    RecordVideo,
    ResizeObservation,
)

from worldmodel.envs import VOXEL_IDS
from worldmodel.envs.actions import no_op

SMALL = {"height": 64, "width": 64}

# Gymnasium recommends action boxes within [-1, 1]; MineRL's camera is in degrees within +-180 by definition.
CAMERA = ".*WARN: For Box action spaces, we recommend using a symmetric and normalized space"


@pytest.fixture
def strict():
    """Warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("actions", ["dict", "discrete"])
@pytest.mark.parametrize("name", list(VOXEL_IDS))
def test_gymnasiums_checker(name, actions, strict):
    if actions == "dict":
        warnings.filterwarnings("ignore", message=CAMERA)
    env = gymnasium.make(name, actions=actions, render_mode="rgb_array", **SMALL)
    check_env(env.unwrapped)
    env.close()


@pytest.mark.parametrize("name", list(VOXEL_IDS))
def test_stable_baselines_checker(name, strict):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(gymnasium.make(name, actions="discrete", render_mode="rgb_array", **SMALL))


def test_stable_baselines_learns_a_few_steps(strict):
    sb3 = pytest.importorskip("stable_baselines3")
    env = gymnasium.make("worldmodel/VoxelTreechop-v0", actions="discrete", height=36, width=36)
    sb3.A2C("CnnPolicy", env, n_steps=4, seed=0, device="cpu").learn(8)


def test_record_video_writes_a_film_that_can_be_read(tmp_path):
    from moviepy import VideoFileClip

    env = gymnasium.make("worldmodel/Voxel-v0", render_mode="rgb_array", **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        env = RecordVideo(env, str(tmp_path / "film"), episode_trigger=lambda episode: True, disable_logger=True)
        first, _ = env.reset(seed=0, options={"start_time": 0.25})
        for _ in range(9):
            env.step({"forward": 1})
        env.close()
    (path,) = tmp_path.glob("film/*.mp4")
    with VideoFileClip(str(path)) as film:
        frames = list(film.iter_frames())
        assert film.fps == 20 and film.size == [64, 64]
    assert 9 <= len(frames) <= 10  # the reader may leave out the last one
    assert np.abs(frames[0].astype(int) - first).mean() < 12


def test_episode_statistics():
    env = gymnasium.make("worldmodel/VoxelPickaxe-v0", inventory={"oak_log": 2}, max_episode_steps=6, **SMALL)
    env = RecordEpisodeStatistics(env)
    env.reset(seed=0)
    for step in range(6):
        info = env.step({"inventory": (step + 1) % 2})[4]
    assert info["episode"]["l"] == 6 and info["episode"]["r"] >= 6.0


def test_observation_wrappers():
    env = gymnasium.make("worldmodel/Voxel-v0", actions="discrete", **SMALL)
    stacked = FrameStackObservation(env, 3)
    observation, _ = stacked.reset(seed=0)
    latest = stacked.step(1)[0]
    assert observation.shape == (3, 64, 64, 3) and observation in stacked.observation_space
    np.testing.assert_array_equal(latest[1], observation[2])
    grey = GrayscaleObservation(env)
    assert grey.reset(seed=0)[0].shape == (64, 64) and grey.step(1)[0] in grey.observation_space


def test_resize_wrapper():
    pytest.importorskip("cv2")
    env = ResizeObservation(gymnasium.make("worldmodel/Voxel-v0", **SMALL), (32, 48))
    assert env.reset(seed=0)[0].shape == (32, 48, 3) and env.step(no_op())[0] in env.observation_space


@pytest.mark.parametrize("actions", ["dict", "discrete"])
def test_minari_collects_and_gives_back_what_happened(tmp_path, monkeypatch, actions):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = gymnasium.make("worldmodel/Voxel-v0", actions=actions, max_episode_steps=5, height=32, width=32)
    collector = minari.DataCollector(env, jpeg_encoding=False)
    collector.action_space.seed(0)
    episodes = []
    for seed in range(2):
        observations, commands, over = [collector.reset(seed=seed)[0]], [], False
        while not over:
            commands.append(collector.action_space.sample())
            observation, _, terminated, truncated, _ = collector.step(commands[-1])
            observations.append(observation)
            over = terminated or truncated
        episodes.append((observations, commands))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that authors and code are not told
        collector.create_dataset(f"voxel/test-{actions}-v0")
    collector.close()

    dataset = minari.load_dataset(f"voxel/test-{actions}-v0")
    assert dataset.total_episodes == 2 and dataset.total_steps == 10
    assert dataset.observation_space == env.observation_space and dataset.action_space == env.action_space
    for episode, (observations, commands) in zip(dataset.iterate_episodes(), episodes, strict=True):
        np.testing.assert_array_equal(episode.observations, np.stack(observations))
        assert episode.truncations.tolist() == [False] * 4 + [True]
        for step, command in enumerate(commands):
            if actions == "discrete":
                assert episode.actions[step] == command
            else:
                for key, value in command.items():
                    np.testing.assert_array_equal(episode.actions[key][step], value)


@pytest.mark.parametrize("name", list(VOXEL_IDS))
def test_time_limits(name):
    limit = VOXEL_IDS[name][1]
    env = gymnasium.make(name, height=16, width=16)
    assert env.spec.max_episode_steps == limit
    short = gymnasium.make(name, height=16, width=16, max_episode_steps=3)
    short.reset(seed=0)
    assert [short.step({})[3] for _ in range(3)] == [False, False, True]


def test_importing_the_package_registers_every_id():
    code = "import gymnasium, worldmodel.envs as e; print(all(name in gymnasium.registry for name in e.VOXEL_IDS))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
