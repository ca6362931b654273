"""What was written for MineRL or VPT plays in the block world and in dreams. The checks are those of the originals."""

import importlib.machinery
import sys
import types

import gymnasium
import numpy as np
import pytest

import worldmodel.envs
from worldmodel.data.minecraft.dictionary import KEYS
from worldmodel.envs.minerl.facade import MineRLFacade

VPT_TASK = {  # openai/Video-Pre-Training, agent.py: ENV_KWARGS
    "fov_range": [70, 70],
    "gamma_range": [2, 2],
    "guiscale_range": [1, 1],
    "resolution": [640, 360],
    "cursor_size_range": [16.0, 16.0],
}


def voxel(env_id="worldmodel/Voxel-v0", height=45, width=80, **settings):
    return gymnasium.make(env_id, height=height, width=width, view_distance=16, **settings)


@pytest.fixture(scope="module")
def env():
    return MineRLFacade(voxel())


def vpt_action(**keys):
    """As VPT's agent gives it: no `ESC`, and a leading dimension of 1."""
    action = {key: np.array([keys.get(key, 0)]) for key in KEYS if key not in ("camera", "ESC")}
    return action | {"camera": np.array([keys.get("camera", (0.0, 0.0))])}


def test_vpt_finds_what_it_asks_for(env):
    for name, value in VPT_TASK.items():
        assert getattr(env.task, name) == value
    assert set(env.action_space.spaces) == set(KEYS)
    for name, space in env.action_space.spaces.items():
        camera = gymnasium.spaces.Box(low=-180.0, high=180.0, shape=(2,))
        assert space == (camera if name == "camera" else gymnasium.spaces.Discrete(2))


def test_an_agent_of_vpt_plays(env):
    env.seed(3)
    observation = env.reset()
    assert observation["pov"].shape == (360, 640, 3) and observation["pov"].dtype == np.uint8
    assert observation in env.observation_space
    for _ in range(3):
        observation, reward, done, info = env.step(vpt_action(forward=1, camera=(0.0, 10.0)))
    assert (type(reward), done) == (float, False) and "caption" in info
    turned = info["pose"]["yaw"]
    env.step(vpt_action(camera=(0.0, -10.0)))
    assert env.step(vpt_action())[3]["pose"]["yaw"] == pytest.approx(turned - 10)
    np.testing.assert_array_equal(env.render("rgb_array"), env._picture)
    assert env.unwrapped is env and env.reward_range[1] == float("inf")


def test_inventory_is_counted():
    env = MineRLFacade(voxel(inventory={"torch": 4, "oak_log": 70}))
    observation = env.reset()
    assert (observation["inventory"]["torch"], observation["inventory"]["oak_log"]) == (4, 70)
    assert observation["inventory"]["dirt"] == 0 and observation["inventory"]["dirt"].dtype == np.int32
    assert observation in env.observation_space


def test_the_same_seed_is_the_same_episode_and_is_used_once(env):
    def start(seed):
        env.seed(seed)
        return env.reset()["pov"]

    first = start(4)
    second = env.reset()["pov"]
    np.testing.assert_array_equal(start(4), first)
    np.testing.assert_array_equal(env.reset()["pov"], second)
    assert not np.array_equal(first, second)
    with pytest.raises(TypeError, match="seed: expected an integer or None, got 'a'"):
        env.seed("a")


def test_an_agent_of_the_old_generation_plays():
    env = MineRLFacade(voxel("worldmodel/VoxelTreechop-v0", 64, 64), "0.4")
    keys = ["attack", "back", "camera", "forward", "jump", "left", "right", "sneak", "sprint"]
    assert sorted(env.action_space.spaces) == keys
    assert env.reset()["pov"].shape == (64, 64, 3) and env.task.resolution == [64, 64]
    action = env.action_space.noop()
    assert action in env.action_space and not any(np.any(value) for value in action.values())
    assert str(env.action_space.no_op()) == str(env.noop_action()) == str(action)
    action["camera"] = [0, 3]
    action["attack"] = 1
    observation, reward, done, info = env.step(action)
    assert observation in env.observation_space and not done
    observation, reward, done, info = env.step(env.action_space.sample())
    assert env.task.max_episode_steps == env.spec.max_episode_steps == 8000


def test_the_compass_leads_to_the_goal():
    """The player of MineRL's own first example: turns by a share of the compass' angle, and runs."""
    env = MineRLFacade(voxel("worldmodel/VoxelNavigateDense-v0", 32, 32), "0.4")
    env.seed(2)
    observation = env.reset()
    before = env.env.unwrapped._info([])["goal"]["distance"]
    for _ in range(60):
        action = env.action_space.noop()
        action["camera"] = [0, 0.3 * observation["compass"]["angle"]]
        action.update(forward=1, sprint=1, jump=1)
        observation, reward, done, info = env.step(action)
    assert observation in env.observation_space and abs(observation["compass"]["angle"]) < 10
    assert info["goal"]["distance"] < before - 3


def test_done_says_how():
    env = MineRLFacade(voxel(height=16, width=16, max_episode_steps=2))
    with pytest.raises(RuntimeError, match="step: expected a running episode"):
        env.step({})
    env.reset()
    assert env.step({})[2] is False
    _, _, done, info = env.step({})
    assert done is True and info["TimeLimit.truncated"] is True
    with pytest.raises(RuntimeError, match="step: expected a running episode"):
        env.step({})
    env = MineRLFacade(voxel(height=16, width=16), done_on_escape=True)
    env.reset()
    _, _, done, info = env.step({"ESC": 1})
    assert done and "TimeLimit.truncated" not in info
    env = MineRLFacade(voxel(height=16, width=16))
    env.reset()
    assert not env.step({"ESC": 1})[2]


def test_keys_that_are_not_there_must_do_nothing(env):
    env.reset()
    env.step({"craft": "none", "place": np.str_("none"), "chat": "", "swap": 0} | {"forward": 1})
    with pytest.raises(ValueError, match=r"action\['craft'\]: expected nothing.*got 'planks'"):
        env.step({"craft": "planks"})
    with pytest.raises(ValueError, match=r"action\['jump'\]: expected 0 or 1"):
        env.step({"jump": 2})
    with pytest.raises(TypeError, match="action: expected a dictionary of keys, got int 3"):
        env.step(3)


def test_in_a_dream(checkpoint):
    dream = gymnasium.make("worldmodel/Imagined-v0", checkpoint=checkpoint)
    env = MineRLFacade(dream)
    env.seed(1)
    observation = env.reset()
    assert set(observation) == {"pov"} and observation["pov"].shape == (360, 640, 3)
    frames = [env.step(vpt_action(forward=1, camera=(0.0, 8.0)))[0]["pov"] for _ in range(2)]
    assert frames[0] in env.observation_space["pov"] and not np.array_equal(*frames)
    twin = gymnasium.make("worldmodel/Imagined-v0", checkpoint=checkpoint)
    twin.reset(seed=1)
    action = worldmodel.data.minecraft.dictionary.no_op() | {"forward": 1}
    action["camera"] = np.array([0, 4], np.float32)  # two ticks in a step
    for _ in range(2):
        expected = twin.step(action)[0]
    np.testing.assert_array_equal(env.env.unwrapped.frames[-1], expected)


def test_what_has_no_keys_or_no_pictures_is_refused():
    with pytest.raises(TypeError, match='env: expected one with the 24 keys.*without actions="discrete"'):
        MineRLFacade(voxel(actions="discrete"))
    blind = voxel()
    blind.observation_space = gymnasium.spaces.Discrete(3)
    with pytest.raises(ValueError, match=r"env: expected observations that are uint8 .*got Discrete\(3\)"):
        MineRLFacade(blind)
    with pytest.raises(ValueError, match=r"generation: expected one of \['1.0', '0.4'\], got '0.3'"):
        MineRLFacade(voxel(), "0.3")
    with pytest.raises(ValueError, match=r"mode: expected one of \['human', 'rgb_array'\], got 'ansi'"):
        MineRLFacade(voxel()).render("ansi")


def test_another_field_of_view_is_told():
    assert MineRLFacade(voxel(field_of_view=90)).task.fov_range == [90, 90]
    dream = voxel()
    dream.unwrapped.config = None
    dream.unwrapped.model = types.SimpleNamespace(metadata=types.SimpleNamespace(env_kwargs={"field_of_view": 80.0}))
    assert MineRLFacade(dream).task.fov_range == [80, 80]


def test_spaces_are_those_of_gym_where_there_is_gym(monkeypatch):
    class Dict(gymnasium.spaces.Dict):
        pass

    gym, spaces = types.ModuleType("gym"), types.ModuleType("gym.spaces")
    gym.__spec__ = importlib.machinery.ModuleSpec("gym", None)
    spaces.Dict, spaces.Box, spaces.Discrete = Dict, gymnasium.spaces.Box, gymnasium.spaces.Discrete
    monkeypatch.setitem(sys.modules, "gym", gym)
    monkeypatch.setitem(sys.modules, "gym.spaces", spaces)
    env = MineRLFacade(voxel())
    assert type(env.action_space) is Dict and type(env.observation_space) is Dict
    assert type(MineRLFacade(voxel(), spaces=gymnasium.spaces).action_space) is gymnasium.spaces.Dict


def test_human_render_opens_a_window(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = MineRLFacade(voxel(height=16, width=16), "0.4")
    assert env.render() is None
    env.reset()
    assert env.render().shape == (64, 64, 3)
    env.close()
