import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.envs import minigrid

pytest.importorskip("minigrid")

LEFT, RIGHT, FORWARD, PICK_UP, DROP, TOGGLE, DONE = range(7)


def make(render_mode=None, **settings):
    return gymnasium.make("worldmodel/MiniGrid-v0", render_mode=render_mode, **settings)


def test_passes_gymnasiums_check(recwarn):
    check_env(make().unwrapped)
    assert not [str(warning.message) for warning in recwarn if "gymnasium" in str(warning.filename)]


def test_spaces():
    env = make()
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert env.action_space == gymnasium.spaces.Discrete(7)
    assert env.metadata["render_fps"] == 10


def test_same_seed_gives_the_same_bytes():
    def play(env, seed):
        frames = [env.reset(seed=seed)[0]]
        for action in np.random.default_rng(0).integers(7, size=40):
            frames.append(env.step(int(action))[0])
        return np.stack(frames)

    env = make()
    first = play(env, 3)
    assert np.array_equal(play(env, 3), first) and np.array_equal(play(make(), 3), first)
    assert not np.array_equal(play(env, 4)[0], first[0])


def test_cells_are_sharp_where_they_fit():
    frame, _ = make().reset(seed=0)  # 8 x 8 cells of 8 pixels
    cells = frame.reshape(8, 8, 8, 8, 3).transpose(0, 2, 1, 3, 4)
    assert (cells[0] == cells[0, 0]).all() and (cells[:, 0] == cells[0, 0]).all(), "walls all around"
    assert make().unwrapped._grid.tile_size == 8
    assert make(height=128, width=96).unwrapped._grid.tile_size == 16
    assert make(level="MiniGrid-MultiRoom-N6-v0").unwrapped._grid.tile_size == 4


def test_the_view_of_the_agent_is_another_picture():
    whole, own = make().reset(seed=0)[0], make(view="agent").reset(seed=0)[0]
    assert not np.array_equal(whole, own)
    turned = make(view="agent")
    turned.reset(seed=0)
    assert np.abs(turned.step(LEFT)[0] - own.astype(int)).mean() > 5, "the world turns around the agent"


def test_the_mission_is_the_caption():
    env = make(level="BabyAI-GoToObj-v0")
    missions = set()
    for seed in range(8):
        _, info = env.reset(seed=seed)
        assert info["caption"] == info["mission"] == env.unwrapped._grid.mission
        assert info["caption_long"].startswith(info["mission"])
        missions.add(info["mission"])
    assert len(missions) > 3 and all(mission.startswith("go to the ") for mission in missions)


def test_long_captions_tell_what_is_done():
    from minigrid.core.world_object import Ball, Door

    env = make(level="MiniGrid-Empty-8x8-v0")  # the agent begins in a corner, looking right
    _, info = env.reset(seed=0)
    mission = info["mission"]

    def tell(action):
        return env.step(action)[4]["caption_long"].removeprefix(f"{mission}, the agent ")

    assert info["caption_long"] == f"{mission}, the agent stands still"
    assert tell(RIGHT) == "turns right" and tell(LEFT) == "turns left"
    assert tell(LEFT) == "turns left, facing a wall"
    assert tell(FORWARD) == "stands still, facing a wall"
    assert tell(RIGHT) == "turns right"
    assert tell(FORWARD) == "walks"
    env.unwrapped._grid.grid.set(3, 1, Ball("blue"))
    assert tell(DONE) == "stands still, facing a blue ball"
    assert tell(PICK_UP) == "picks up a blue ball, carrying a blue ball"
    assert tell(DROP) == "drops a blue ball, facing a blue ball"
    env.unwrapped._grid.grid.set(3, 1, Door("yellow"))
    assert tell(DONE) == "stands still, facing a closed yellow door"
    assert tell(TOGGLE) == "opens a yellow door, facing an open yellow door"
    assert tell(TOGGLE) == "closes a yellow door, facing a closed yellow door"


def test_reaching_the_goal_pays_and_the_limit_truncates():
    env = make(level="MiniGrid-Empty-5x5-v0", frame_skip=2)
    env.reset(seed=0)
    env.step(FORWARD)
    _, reward, terminated, _, info = env.unwrapped.step(RIGHT)  # two turns: now it looks back
    assert (reward, terminated) == (0, False) and "turns" in info["caption_long"]
    env = make(level="MiniGrid-Empty-5x5-v0")
    env.reset(seed=0)
    for action in (FORWARD, FORWARD, RIGHT, FORWARD, FORWARD):
        _, reward, terminated, truncated, _ = env.step(action)
    assert (terminated, truncated) == (True, False) and 0.9 < reward < 1
    env.reset(seed=0)
    for _ in range(env.unwrapped._grid.max_steps):
        _, reward, terminated, truncated, _ = env.step(DONE)
    assert (reward, terminated, truncated) == (0, False, True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"view": "side"}, "view: expected 'map' or 'agent', got 'side'"),
        ({"level": "CartPole-v1"}, "level: expected an id such as 'MiniGrid-DoorKey-8x8-v0'.*got 'CartPole-v1'"),
        ({"width": 8}, "width: expected"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_unknown_levels_are_refused():
    with pytest.raises(gymnasium.error.NameNotFound, match="MiniGrid-Nowhere"):
        make(level="MiniGrid-Nowhere-v0")


def test_without_minigrid_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "minigrid", None)
    with pytest.raises(ImportError, match=r"worldmodel/MiniGrid-v0 needs the extra .*worldmodel\[minigrid\]"):
        minigrid.MiniGridEnv()
