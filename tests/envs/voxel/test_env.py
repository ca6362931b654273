"""The environment: spaces, actions, info, states, truth and errors."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from playing import random_actions
from same import equal

from worldmodel.envs import actions
from worldmodel.envs.voxel import physics
from worldmodel.envs.voxel.blocks import CODES, NAMES
from worldmodel.envs.voxel.env import VoxelEnv

SMALL = {"height": 32, "width": 48}


def plain(value):
    """Whether a value is made of Python's own types alone."""
    if isinstance(value, dict):
        return all(type(key) is str and plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return value is None or type(value) in (str, int, float, bool)


@pytest.fixture(scope="module")
def shared():
    """One environment for tests that only need some episode."""
    return VoxelEnv(render_mode="rgb_array", inventory={"dirt": 20, "torch": 3}, **SMALL)


@pytest.fixture
def env(shared):
    shared.reset(seed=1, options={"biome": "plains", "start_time": 0.3, "weather": "clear"})
    return shared


def play(env, commands):
    return [env.step(command) for command in commands]


# Spaces and actions


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (72, 128), (16, 33)])
def test_spaces(size):
    env = VoxelEnv(height=size[0], width=size[1])
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (*size, 3), np.uint8)
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    assert env.step(env.action_space.sample())[0] in env.observation_space


def test_action_space_is_minerls():
    space = VoxelEnv().action_space
    expected = {f"hotbar.{number}": gymnasium.spaces.Discrete(2) for number in range(1, 10)}
    for name in ("ESC attack back drop forward inventory jump left pickItem right sneak sprint swapHands use").split():
        expected[name] = gymnasium.spaces.Discrete(2)
    expected["camera"] = gymnasium.spaces.Box(-180.0, 180.0, (2,), np.float32)
    assert dict(space.spaces) == expected and len(space.spaces) == 24
    assert actions.no_op() in space
    assert VoxelEnv(actions="discrete").action_space == gymnasium.spaces.Discrete(len(actions.DISCRETE_ACTIONS))


@pytest.mark.parametrize(
    "variant",
    [
        {**actions.no_op(), "forward": 1, "camera": np.array([2.0, -3.0], np.float32)},
        {"forward": np.int64(1), "camera": (2.0, -3.0)},
        {"forward": np.array([1]), "camera": np.array([[2.0, -3.0]], np.float32)},
        {"forward": True, "jump": np.array([0]), "camera": [2, -3]},
    ],
)
def test_forms_of_an_action(env, variant):
    state = env.get_state()
    expected = env.step({"forward": 1, "camera": np.array([2.0, -3.0], np.float32)})
    env.set_state(state)
    assert equal(list(env.step(variant)), list(expected))
    assert expected[4]["pose"]["pitch"] == 2.0


# What comes back belongs to the caller


def test_frames_and_render(env):
    observation, _ = env.reset(seed=3)
    assert env.frames.shape == (1, 32, 48, 3) and equal(env.frames[0], observation) and equal(env.render(), observation)
    observation = env.step({"forward": 1})[0]
    assert equal(env.frames[-1], observation) and equal(env.render(), observation)


def test_nothing_that_is_given_out_is_used_again():
    env, other = VoxelEnv(render_mode="rgb_array", **SMALL), VoxelEnv(render_mode="rgb_array", **SMALL)
    results = [list(e.reset(seed=4)) for e in (env, other)]
    for action in random_actions(env.action_space, 12):
        kept = copy.deepcopy(results[1])
        results[1][0][:] = 7
        results[1][-1].clear()
        for array in (other.render(), other.frames, other.depth(), other.block_ids()):
            array[:] = 0
        state = other.get_state()
        for values in (state["simulation"]["body"], state["world"]["edits"]):
            values[...] = 0
        state["simulation"]["inventory"]["items"][...] = 0
        other.find_blocks(["dirt"], 3)[:] = 0
        assert equal(kept, results[0]) and equal(env.render(), other.render())
        assert equal(env.depth(), other.depth()) and equal(env.block_ids(), other.block_ids())
        results = [list(e.step(action)) for e in (env, other)]
    for key, value in env.step({})[4].items():
        assert plain(value), f"info[{key!r}] is {value!r}"


def test_actions_are_not_changed_or_kept(env):
    action = actions.no_op() | {"camera": np.array([1.0, 2.0], np.float32)}
    given = copy.deepcopy(action)
    state = env.get_state()
    env.step(action)
    assert equal(action, given)
    action["camera"][:] = 90
    after = env.get_state()
    env.set_state(state)
    env.step(given)
    assert equal(pickle.loads(pickle.dumps(after))["simulation"], env.get_state()["simulation"])


def test_info_describes_the_state(env):
    info = env.step({"forward": 1})[4]
    assert set(info["pose"]) == {"x", "y", "z", "yaw", "pitch"}
    assert info["biome"] == "plains" and info["weather"] == "clear" and info["health"] == 20.0
    assert info["time_of_day"] == pytest.approx(0.3, abs=1e-3) and info["tick"] == 1
    assert info["inventory"] == {"dirt": 20, "torch": 3} and info["hotbar"] == 0
    assert "Minecraft" in info["caption"] and "Minecraft" in info["caption_long"]
    assert env.step({"hotbar.2": 1})[4]["hotbar"] == 1


def test_body_mining_and_placing(env):
    for _ in range(3):
        env.step({"camera": (30.0, 0.0)})
    target = env.target
    assert target is not None
    events = []
    for _ in range(60):
        events += env.step({"attack": 1})[4]["events"]
        if any(event["type"] == "mined" for event in events):
            break
    mined = next(event for event in events if event["type"] == "mined")
    assert mined["block"] == target["block"] and mined["position"] == target["position"]
    assert env.block_at(*target["position"]) == "air"
    placed = env.step({"use": 1, "hotbar.1": 1})[4]["events"]
    if placed:
        assert env.block_at(*placed[0]["position"]) == placed[0]["block"] == "dirt"


# Options


def test_options(shared):
    options = {"world_seed": 77, "biome": "snow", "start_time": 0.75, "weather": "snow"}
    first, info = shared.reset(seed=0, options=options)
    assert (info["biome"], info["time_of_day"], info["weather"]) == ("snow", 0.75, "snow")
    assert shared.get_state()["world"]["seed"] == 77
    again, _ = shared.reset(seed=0, options=options)
    assert equal(first, again)
    _, info = shared.reset(options={"biome": "desert"})
    assert info["biome"] == "desert" and shared.get_state()["world"]["seed"] != 77
    _, info = shared.reset(options={"biome": None, "start_time": 0})
    assert info["time_of_day"] == 0


def test_options_do_not_change_later_episodes(shared):
    shared.reset(seed=9)
    expected = shared.reset()
    shared.reset(seed=9, options={"world_seed": 3, "start_time": 0.1, "weather": "rain", "biome": "forest"})
    assert equal(list(shared.reset()), list(expected))


@pytest.mark.parametrize("biome", ["plains", "forest", "desert", "snow", "mountains"])
def test_biome_setting(biome):
    env = VoxelEnv(biome=biome, height=16, width=16)
    for seed in range(3):
        assert env.reset(seed=seed)[1]["biome"] == biome


@pytest.mark.parametrize(
    "options",
    [
        {"world_seed": -1}, {"world_seed": 1.5}, {"world_seed": 2**63}, {"biome": "moon"}, {"start_time": 2},
        {"start_time": float("nan")}, {"weather": "hail"}, {"start_time": "noon"}, {"world": 3},
    ],
)  # fmt: skip
def test_bad_options_name_themselves_and_leave_the_episode_alone(env, options):
    before = env.get_state()
    name = next(iter(options)) if "world" not in options else "options"
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        env.reset(options=options)
    assert equal(env.get_state()["simulation"], before["simulation"])
    env.step({})


def test_seeds_make_different_worlds_and_the_same_seed_the_same(shared):
    first = [shared.reset(seed=seed)[0].tobytes() for seed in (1, 2, 3)]
    assert len(set(first)) == 3
    assert [shared.reset(seed=seed)[0].tobytes() for seed in (1, 2, 3)] == first


# Errors


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"height": 15}, "height"), ({"height": 64.0}, "height"), ({"width": 4096}, "width"),
        ({"width": True}, "width"),
        ({"actions": "continuous"}, "actions"), ({"frame_skip": 0}, "frame_skip"), ({"frame_skip": 5}, "frame_skip"),
        ({"task": "win"}, "task"), ({"field_of_view": 5}, "field_of_view"), ({"view_distance": 8}, "view_distance"),
        ({"view_distance": 97}, "view_distance"), ({"biome": "swamp"}, "biome"), ({"start_time": 1.5}, "start_time"),
        ({"start_time": float("nan")}, "start_time"), ({"day_length_ticks": 0}, "day_length_ticks"),
        ({"weather": "storm"}, "weather"), ({"render_mode": "human"}, "render_mode"), ({"height": "64"}, "height"),
        ({"hud": "yes"}, "hud"), ({"inventory": {"sword": 1}}, "inventory"), ({"inventory": {"dirt": -1}}, "inventory"),
    ],
)  # fmt: skip
def test_bad_settings_name_themselves(settings, name):
    with pytest.raises((ValueError, TypeError), match=rf"^{name}.*expected"):
        VoxelEnv(**settings)


def test_unknown_settings_are_refused():
    with pytest.raises(TypeError, match="frameskip"):
        VoxelEnv(frameskip=2)


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        ({"camera": (float("nan"), 0.0)}, ValueError, "camera.*NaN"),
        ({"camera": np.array([0, np.inf])}, ValueError, "camera"),
        ({"camera": (200.0, 0.0)}, ValueError, "camera.*180"),
        ({"camera": np.zeros(3)}, ValueError, r"camera.*shape \(3,\)"),
        ({"fly": 1}, ValueError, "fly"),
        ({"forward": 2}, ValueError, "forward.*0 or 1"),
        ({"forward": np.array([1, 0])}, ValueError, r"forward.*shape \(2,\)"),
        ({"forward": "yes"}, TypeError, "forward"),
        (3, TypeError, "discrete"),
        (None, TypeError, "action"),
    ],
)
def test_bad_actions_are_explained_and_change_nothing(env, action, error, message):
    before, frame = env.get_state(), env.render()
    with pytest.raises(error, match=message):
        env.step(action)
    after = env.get_state()
    assert equal(after["simulation"], before["simulation"]) and equal(after["climate"], before["climate"])
    assert equal(env.render(), frame)


@pytest.mark.parametrize("action", [-1, 99, 1.5, "forward", {"forward": 1}, np.array([1, 2])])
def test_bad_discrete_actions(action):
    env = VoxelEnv(actions="discrete", height=16, width=16)
    env.reset(seed=0)
    with pytest.raises((TypeError, ValueError), match="action: expected an integer"):
        env.step(action)


def test_nothing_works_before_the_first_reset():
    env = VoxelEnv(height=16, width=16, render_mode="rgb_array")
    for call in (lambda: env.step({}), env.get_state, env.depth, env.render, env.block_ids, lambda: env.target,
                 lambda: env.block_at(0, 0, 0), lambda: env.find_blocks(["dirt"], 3), lambda: env.frames):  # fmt: skip
        with pytest.raises(gymnasium.error.ResetNeeded, match="call reset first"):
            call()


def test_death_ends_the_episode():
    env = VoxelEnv(frame_skip=2, render_mode="rgb_array", **SMALL)
    env.reset(seed=0, options={"biome": "plains"})
    state = env.get_state()
    state["simulation"]["body"][[physics.Y, physics.VY, physics.ON_GROUND]] = 90.0, -1.0, 0.0
    env.set_state(state)
    for _ in range(100):
        observation, reward, terminated, truncated, info = env.step({})
        if terminated:
            break
    assert terminated and not truncated and reward == 0.0 and info["health"] == 0.0
    assert [event["type"] for event in info["events"]][-2:] == ["damage", "death"]
    assert 1 <= len(env.frames) <= 2 and equal(env.frames[-1], observation)
    with pytest.raises(gymnasium.error.ResetNeeded, match="is over"):
        env.step({})
    assert env.reset()[1]["health"] == 20.0
    env.step({})


def test_render_without_a_mode():
    env = VoxelEnv(**SMALL)
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None
    with pytest.raises(RuntimeError, match="render_mode"):
        _ = env.frames


# Truth


def directions(info, height, width):
    """(H, W, 3) unit vectors through the pixels of a field of view of 70 degrees."""
    yaw, pitch = np.radians(info["pose"]["yaw"]), np.radians(info["pose"]["pitch"])
    forward = np.array([-np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.array([-np.cos(yaw), 0.0, -np.sin(yaw)])
    scale = np.tan(np.radians(35.0)) / (height / 2)
    x, y = (np.arange(width) + 0.5 - width / 2) * scale, (height / 2 - np.arange(height) - 0.5) * scale
    rays = forward + x[None, :, None] * right + y[:, None, None] * np.cross(right, forward)
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


@pytest.mark.parametrize("biome", ["forest", "snow", "mountains"])
def test_truth_images_agree_with_block_at(biome):
    env = VoxelEnv(**SMALL)
    env.reset(seed=2, options={"biome": biome})
    checked = 0
    for action in ({"camera": (25.0, 0.0)}, {"camera": (-10.0, 70.0)}, {"camera": (0.0, 100.0), "forward": 1}):
        info = env.step(action)[4]
        depth, codes = env.depth(), env.block_ids()
        assert depth.dtype == np.float32 and codes.dtype == np.uint8
        assert ((codes == 0) == np.isinf(depth)).all() and (depth > 0).all()
        eye = np.array([info["pose"]["x"], info["pose"]["y"] + 1.62, info["pose"]["z"]])
        inside = eye + (depth[..., None] + 1e-3) * directions(info, *codes.shape)
        for row in range(0, 32, 3):
            for column in range(0, 48, 5):
                if codes[row, column]:
                    i, j, k = np.floor(inside[row, column]).astype(int).tolist()
                    near = {env.block_at(i + a, j, k + b) for a in (0, -1, 1) for b in (0, -1, 1)}
                    assert NAMES[codes[row, column]] in near
                    checked += NAMES[codes[row, column]] == env.block_at(i, j, k)
        names, counts = np.unique(codes[codes > 0], return_counts=True)
        assert env.visible_blocks() == {NAMES[c]: n for c, n in zip(names.tolist(), counts.tolist(), strict=True)}
    assert checked > 100


def test_find_blocks_finds_all_nearest_first(env):
    found = env.find_blocks(["grass_block", "oak_log"], 10)
    info = env.step({})[4]
    eye = np.array([info["pose"]["x"], info["pose"]["y"] + 1.62, info["pose"]["z"]])
    distance = np.linalg.norm(found + 0.5 - eye, axis=1)
    assert len(found) > 20 and (np.diff(distance) >= 0).all()
    x, z = int(np.floor(eye[0])), int(np.floor(eye[2]))
    expected = {
        (i, j, k)
        for i in range(x - 10, x + 11) for k in range(z - 10, z + 11) for j in range(64)
        if env.block_at(i, j, k) in ("grass_block", "oak_log")
    }  # fmt: skip
    assert set(map(tuple, found.tolist())) == expected
    assert env.find_blocks([], 5).shape == (0, 3) and env.find_blocks(["gold_block"], 5).shape == (0, 3)
    with pytest.raises(ValueError, match="^names: expected"):
        env.find_blocks(["unobtainium"], 5)
    for radius in (-1, 65, 2.5):
        with pytest.raises(ValueError, match="^radius: expected"):
            env.find_blocks(["dirt"], radius)


def test_target_is_what_the_middle_of_the_picture_shows(env):
    env.step({"camera": (60.0, 0.0)})
    target = env.target
    assert target["block"] == env.block_at(*target["position"]) != "air"
    assert plain(target)
    if CODES[target["block"]] < CODES["torch"]:
        assert NAMES[env.block_ids()[16, 24]] == target["block"]
    env.step({"camera": (-150.0, 0.0)})
    assert env.target is None


def test_hud_can_be_left_away(env):
    bare = VoxelEnv(hud=False, inventory={"dirt": 20, "torch": 3}, **SMALL)
    other, _ = env.reset(options={"state": env.get_state()})
    picture, _ = bare.reset(options={"state": env.get_state()})
    assert (picture != other).any(-1).mean() < 0.4 and (picture[:10] == other[:10]).all()


@pytest.mark.parametrize("frame_skip", [1, 4])
def test_rendered_video_runs_at_the_speed_of_the_world(frame_skip):
    env = gymnasium.make("worldmodel/Voxel-v0", frame_skip=frame_skip, render_mode="rgb_array", **SMALL)
    _, before = env.reset(seed=0)
    *_, after = env.step({})
    assert (after["tick"] - before["tick"]) * env.metadata["render_fps"] == 20
