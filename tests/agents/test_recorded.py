"""Replays of recordings."""

import gymnasium
import numpy as np
import pytest

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.data import EpisodeSource, VptWriter, read_episodes

STEPS = 7


@pytest.fixture(scope="module")
def env():
    env = gymnasium.make("worldmodel/Voxel-v0", height=32, width=32)
    yield env
    env.close()


@pytest.fixture(scope="module")
def recording(env, tmp_path_factory):
    """A folder with two episodes of the explorer, with the seeds 3 and 4."""
    folder = tmp_path_factory.mktemp("recording")
    for number, seed in enumerate((3, 4)):
        player = make_player("explorer", env)
        observation, info = env.reset(seed=seed)
        player.reset(seed)
        source = EpisodeSource(env_id="worldmodel/Voxel-v0", seed=seed)
        with VptWriter(folder, f"episode_{number:06d}", source, lossless=True) as writer:
            writer.reset(observation, info)
            for _ in range(STEPS):
                action = player.act(observation, info)
                observation, reward, terminated, truncated, info = env.step(action)
                writer.step(action, observation, float(reward), terminated, truncated, info)
    return folder


def same(one, other):
    return all(np.array_equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("number", [0, 1])
def test_the_same_episode_comes_again(env, recording, number):
    episode = list(read_episodes(recording))[number]
    player = make_player("recorded", env, path=recording, episode=number)
    assert player.source == episode.source
    for _ in range(2):  # the second time it begins anew
        observation, info = env.reset(seed=player.source.seed)
        player.reset(0)
        for t in range(STEPS):
            assert np.array_equal(observation, episode.frames[t]) and info["pose"] == episode.infos[t]["pose"]
            observation, *_, info = env.step(player.act(observation, info))
        assert np.array_equal(observation, episode.frames[STEPS])
        after = player.act(observation, info)
        assert after in env.action_space and all(not np.any(value) for value in after.values())


def test_a_dream_gets_an_action_for_each_tick(dream, recording):
    actions = next(iter(read_episodes(recording))).actions
    player = make_player("recorded", dream, path=str(recording))
    observation, info = dream.reset(seed=0)
    player.reset(0)
    given = []
    for _ in range(5):
        given.append(player.act(observation, info))
        observation, *_, info = dream.step(given[-1])
    assert all(len(ticks) == 2 for ticks in given)
    ticks = [tick for pair in given for tick in pair]
    assert all(same(one, other) for one, other in zip(ticks, actions, strict=False))
    assert all(not np.any(value) for tick in ticks[STEPS:] for value in tick.values())


@pytest.mark.parametrize("episode", [-1, True, "0"])
def test_bad_numbers_are_refused(env, recording, episode):
    with pytest.raises(ValueError, match="episode: expected an integer from 0 on, got"):
        make_player("recorded", env, path=recording, episode=episode)


def test_what_is_not_there_is_explained(env, recording, tmp_path):
    with pytest.raises(ValueError, match="episode: expected one that is in .*, got 2; they count from 0 on"):
        make_player("recorded", env, path=recording, episode=2)
    with pytest.raises(FileNotFoundError, match="expected episodes"):
        make_player("recorded", env, path=tmp_path)


def test_it_needs_the_same_actions_and_steps_of_one_tick(recording):
    with pytest.raises(TypeError, match=r"path: expected actions of Discrete\(2\), got .*worldmodel/Voxel-v0, or"):
        make_player("recorded", gymnasium.make("CartPole-v1"), path=recording)
    slow = gymnasium.make("worldmodel/Voxel-v0", height=32, width=32, frame_skip=2)
    with pytest.raises(TypeError, match="env: expected steps of one tick, .* got 2 ticks; .* frame_skip=1"):
        make_player("recorded", slow, path=recording)
