"""The same seed and actions give the same frames: in another process, from a saved state, in the next version.

The golden frames are written anew by `UPDATE_GOLDEN=1 pytest tests/envs/voxel/test_determinism.py`; look at them before
they are committed.
"""

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playing import random_actions
from same import equal

from worldmodel.envs import actions
from worldmodel.envs.voxel import physics
from worldmodel.envs.voxel.blocks import CODES
from worldmodel.envs.voxel.env import VoxelEnv

GOLDEN = Path(__file__).parent / "golden"


def digest():
    """Hash of all frames, rewards and infos of a few short episodes, among them one with every biome."""
    env = VoxelEnv(task="navigate_dense", frame_skip=2, render_mode="rgb_array", height=48, width=64,
                   inventory={"oak_log": 3, "torch": 2, "sand": 4})  # fmt: skip
    total = hashlib.sha256()
    env.action_space.seed(0)
    for seed, options in ((0, {}), (1, {"biome": "snow", "weather": "snow"}), (2, {"biome": "mountains"})):
        observation, info = env.reset(seed=seed, options=options)
        for _ in range(25):
            total.update(env.frames.tobytes() + env.depth().tobytes() + env.block_ids().tobytes())
            total.update(observation.tobytes() + json.dumps(info).encode())
            action = env.action_space.sample()
            action["camera"] *= np.float32(0.05)
            observation, reward, _, _, info = env.step(action)
            total.update(repr(reward).encode())
    return total.hexdigest()


def test_another_process_gives_the_same_bytes():
    here = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {here!r}); import test_determinism; print(test_determinism.digest())"
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    other = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    here = digest()
    assert digest() == here, "and so does the same process again"
    output, _ = other.communicate(timeout=600)
    assert other.returncode == 0 and output.strip() == here


def play(env, commands):
    return [env.step(command) for command in commands]


@pytest.fixture
def env():
    env = VoxelEnv(render_mode="rgb_array", inventory={"dirt": 20, "torch": 3}, height=32, width=48)
    env.reset(seed=1, options={"biome": "plains", "start_time": 0.3, "weather": "clear"})
    return env


@pytest.mark.parametrize("task", ["none", "navigate_dense", "pickaxe", "treechop"])
def test_a_pickled_state_goes_on_exactly(task):
    """In another environment that has been elsewhere, and in the same one after going elsewhere."""
    settings = {"task": task, "inventory": {"oak_log": 4, "dirt": 9, "sand": 5, "torch": 2}, "height": 32, "width": 48}
    env, other = VoxelEnv(**settings), VoxelEnv(**settings)
    env.reset(seed=6, options={"weather": "auto"})
    commands = random_actions(env.action_space, 120, seed=3)
    play(env, commands[:60])
    state = pickle.dumps(env.get_state())
    expected = [list(result) for result in play(env, commands[60:])]

    other.reset(seed=100, options={"biome": "desert", "weather": "rain"})
    play(other, commands[:10])
    other.set_state(pickle.loads(state))
    assert equal([list(result) for result in play(other, commands[60:])], expected)

    far = env.get_state()
    far["simulation"]["body"][physics.X] += 500.0
    env.set_state(far)
    play(env, commands[:5])
    env.set_state(pickle.loads(state))
    assert equal([list(result) for result in play(env, commands[60:])], expected)

    fresh = VoxelEnv(**settings)
    fresh.set_state(pickle.loads(state))
    assert equal([list(result) for result in play(fresh, commands[60:])], expected)


def test_state_as_an_option_shows_the_same_picture(env):
    commands = random_actions(env.action_space, 20)
    observation, _, _, _, info = play(env, commands)[-1]
    state = env.get_state()
    again, info_again = env.reset(options={"state": state})
    assert equal(observation, again)
    for key in ("pose", "inventory", "health", "biome", "tick", "time_of_day", "weather", "hotbar"):
        assert equal(info[key], info_again[key])
    assert info_again["events"] == []
    with pytest.raises(ValueError, match="^options: a state decides all"):
        env.reset(options={"state": state, "biome": "snow"})


def test_states_of_other_tasks_and_other_things_are_refused(env):
    before = env.get_state()
    foreign = VoxelEnv(task="pickaxe", height=16, width=16)
    foreign.reset(seed=0)
    for state in (foreign.get_state(), {}, None, 3):
        with pytest.raises(ValueError, match="^state: expected"):
            env.set_state(state)
    assert equal(env.get_state()["simulation"], before["simulation"])


def test_a_set_state_takes_effect_on_render_and_truth(env):
    state, frame, depth = env.get_state(), env.render(), env.depth()
    play(env, [{"camera": (0.0, 90.0)}, {"forward": 1}])
    assert not equal(env.render(), frame)
    env.set_state(state)
    assert equal(env.render(), frame) and equal(env.depth(), depth) and equal(env.frames, frame[None])


def test_discrete_preset_equals_the_dictionary():
    settings = {"inventory": {"oak_log": 3, "dirt": 5, "torch": 2}, "height": 32, "width": 48}
    discrete, dictionary = VoxelEnv(actions="discrete", **settings), VoxelEnv(**settings)
    first = [list(env.reset(seed=2)) for env in (discrete, dictionary)]
    assert equal(*first)
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(len(actions.DISCRETE_ACTIONS)), 3))
    for index in order:
        ours, theirs = discrete.step(index), dictionary.step(dict(actions.DISCRETE_ACTIONS[index][1]))
        assert equal(list(ours), list(theirs)), actions.DISCRETE_ACTIONS[index][0]


@pytest.mark.parametrize("skip", [2, 3, 4])
def test_frame_skip_is_holding_the_action(skip):
    settings = {"inventory": {"oak_log": 3}, "render_mode": "rgb_array", "height": 32, "width": 48}
    skipping, single = VoxelEnv(frame_skip=skip, **settings), VoxelEnv(**settings)
    assert equal(*[list(env.reset(seed=5)) for env in (skipping, single)])
    for action in random_actions(single.action_space, 24):
        observation, reward, terminated, truncated, info = skipping.step(action)
        steps = play(single, [action] * skip)
        assert equal(observation, steps[-1][0])
        assert reward == sum(step[1] for step in steps)
        assert info["events"] == [event for step in steps for event in step[4]["events"]]
        last = steps[-1][4] | {"events": info["events"]}
        assert info.keys() == last.keys()
        assert all(equal(info[key], last[key]) for key in info.keys() - {"caption", "caption_long"})
        assert equal(skipping.frames, np.stack([step[0] for step in steps]))


def pose(env, *, yaw, pitch, position=None, edits=(), wet=False):
    """Puts the player somewhere and returns what is seen."""
    state = env.get_state()
    body = state["simulation"]["body"]
    if position is not None:
        body[[physics.X, physics.Y, physics.Z]] = position
    body[[physics.YAW, physics.PITCH]] = yaw, pitch
    body[[physics.IN_WATER, physics.EYE_IN_WATER]] = float(wet)
    state["world"]["edits"] = np.array(sorted(edits), np.int32).reshape(-1, 4)
    return env.reset(options={"state": state})[0]


def start(env, biome, time, weather="clear"):
    info = env.reset(seed=0, options={"world_seed": 12, "biome": biome, "start_time": time, "weather": weather})[1]
    return info["pose"]["x"], info["pose"]["y"], info["pose"]["z"]


def underwater(env):
    """Looks along the bottom of the nearest water that is three deep."""
    start(env, "plains", 0.25)
    cells = set(map(tuple, env.find_blocks(["water"], 64).tolist()))
    x, y, z = next(cell for cell in env.find_blocks(["water"], 64).tolist()
                   if all((cell[0] + i, cell[1] + j, cell[2] + k) in cells
                          for i in (-1, 0, 1) for j in (0, 1, 2) for k in (-1, 0, 1)))  # fmt: skip
    return pose(env, position=(x + 0.5, y, z + 0.5), yaw=40.0, pitch=8.0, wet=True)


def cave(env):
    """Stands in the nearest roomy cave, a torch beside."""
    x, _, z = map(int, map(np.floor, start(env, "mountains", 0.25)))
    rooms = (
        (abs(i) + abs(k), x + i, y, z + k)
        for i in range(-40, 41) for k in range(-40, 41) for y in range(4, 14)
        if env.block_at(x + i, y - 1, z + k) == "stone"
        and all(env.block_at(x + i + a, y + b, z + k + c) == "air"
                for a in (-1, 0, 1) for b in (0, 1, 2) for c in (-1, 0, 1, 2, 3))
    )  # fmt: skip
    _, i, y, k = min(rooms)
    torch = (i + 1, y, k + 2, CODES["torch"])
    return pose(env, position=(i + 0.5, y, k + 0.5), yaw=-12.0, pitch=12.0, edits=[torch])


def night(env):
    """A torch on the ground in front of the player."""
    x, y, z = start(env, "plains", 0.7)
    i, k = int(np.floor(x)), int(np.floor(z))
    ground = max(j for j in range(64) if env.block_at(i + 1, j, k + 4) in ("grass_block", "dirt", "sand", "stone"))
    return pose(env, yaw=10.0, pitch=12.0, edits=[(i + 1, ground + 1, k + 4, CODES["torch"])])


def view(biome, time, yaw, pitch, weather="clear"):
    def take(env):
        start(env, biome, time, weather)
        return pose(env, yaw=yaw, pitch=pitch)

    return take


SCENES = {
    "plains_noon": view("plains", 0.22, 30.0, 5.0),
    "forest_morning": view("forest", 0.06, -70.0, -4.0),
    "desert_sunset": view("desert", 0.485, 90.0, -2.0),
    "snow_falling": view("snow", 0.3, 120.0, 4.0, "snow"),
    "mountains_rain": view("mountains", 0.35, -150.0, 0.0, "rain"),
    "night_with_torch": night,
    "underwater": underwater,
    "cave": cave,
}


@pytest.fixture(scope="module")
def camera():
    return VoxelEnv(height=128, width=128, inventory={"stone_pickaxe": 1, "oak_planks": 32, "torch": 7})


@pytest.mark.parametrize("name", list(SCENES))
def test_golden_frames(camera, name):
    """Another processor may round differently here and there; what can be seen must stay."""
    frame = SCENES[name](camera)
    path = GOLDEN / f"{name}.png"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        Image.fromarray(frame).save(path, optimize=True)
    assert path.exists(), f"{path}: expected a golden frame; write it with UPDATE_GOLDEN=1 and look at it"
    golden = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert golden.shape == frame.shape
    close = (np.abs(frame - golden) <= 2).all(-1).mean()
    assert close >= 0.995, f"{name}: {100 * (1 - close):.2f} % of the pixels differ from {path}"


def test_golden_frames_show_different_things(camera):
    frames = [np.asarray(Image.open(GOLDEN / f"{name}.png").convert("RGB")).astype(int) for name in SCENES]
    assert {path.stem for path in GOLDEN.glob("*.png")} == set(SCENES), "no golden frame is left over"
    for i, frame in enumerate(frames):
        assert frame.std() > 10
        assert all(np.abs(frame - other).mean() > 10 for other in frames[:i])
