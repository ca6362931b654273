import re
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.envs import vizdoom

pytest.importorskip("vizdoom")

NOTHING, SHOOT, RIGHT, LEFT = range(4)
"""Actions of the scenario basic."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # to see that the game leaves nothing behind


@pytest.fixture
def make():
    """Makes environments, and ends their games afterwards."""
    made = []

    def make_one(render_mode=None, **settings):
        made.append(gymnasium.make("worldmodel/ViZDoom-v0", render_mode=render_mode, **settings))
        return made[-1]

    yield make_one
    for env in made:
        env.close()


def play(env, actions, seed):
    observation, info = env.reset(seed=seed)
    steps = [(observation, 0.0, info)]
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        steps.append((observation, reward, info))
        if terminated or truncated:
            break
    frames, rewards, infos = zip(*steps, strict=True)
    return np.stack(frames), rewards, infos


def test_passes_gymnasiums_check(make, recwarn):
    check_env(make().unwrapped)
    assert not [str(warning.message) for warning in recwarn if "gymnasium" in str(warning.filename)]


def test_spaces(make):
    env = make()
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert env.action_space == gymnasium.spaces.Discrete(6)
    assert env.metadata["render_fps"] == 35
    names = ["", "MOVE_RIGHT", "MOVE_LEFT", "MOVE_FORWARD", "TURN_RIGHT", "TURN_LEFT"]
    assert env.unwrapped.action_names == names
    assert make(scenario="basic", max_buttons=2).unwrapped.action_names[3] == "MOVE_RIGHT+ATTACK"
    assert make(scenario="basic", max_buttons=0).unwrapped.action_names == ["MOVE_LEFT", "MOVE_RIGHT", "ATTACK"]
    assert make(scenario="basic", max_buttons=2).action_space == gymnasium.spaces.Discrete(7)
    assert make(scenario="basic", max_buttons=0).action_space == gymnasium.spaces.MultiBinary(3)
    assert make(scenario="deathmatch").action_space == gymnasium.spaces.Discrete(18), "without turning by degrees"


def test_same_seed_gives_the_same_bytes(make):
    actions = np.random.default_rng(0).integers(6, size=60).tolist()
    env = make(height=48, width=64)
    frames, rewards, infos = play(env, actions, 5)
    again, other = play(env, actions, 5), play(make(height=48, width=64), actions, 5)
    for episode in (again, other):
        assert np.array_equal(episode[0], frames) and episode[1:] == (rewards, infos)
    assert not np.array_equal(play(env, actions, 6)[0][0], frames[0])
    assert frames.shape == (61, 48, 64, 3) and frames.std() > 20


def test_info_has_variables_pose_and_caption(make):
    env = make(scenario="basic")
    _, info = env.reset(seed=0)
    assert info["game_variables"]["ammo2"] == 50 and info["game_variables"]["health"] == 100
    assert info["caption"] == "the Doom player stands still in a room, seeing a cacodemon"
    moved = env.step(RIGHT)[4]
    for _ in range(3):
        moved = env.step(RIGHT)[4]
    assert moved["caption"].startswith("the Doom player steps right in a room")
    assert moved["pose"]["y"] != info["pose"]["y"] and moved["pose"]["yaw"] == 0
    assert env.step(SHOOT)[4]["caption"].startswith("the Doom player attacks in a room")
    turning = make().unwrapped
    turning.reset(seed=0)
    assert turning.step(5)[4]["caption"] == "the Doom player turns left in a maze of rooms"


def test_buttons_may_be_pressed_together(make):
    env = make(scenario="basic", max_buttons=0)
    env.reset(seed=0)
    for _ in range(4):
        info = env.step(np.array([1, 0, 1], np.int8))[4]
    assert info["caption"].startswith("the Doom player steps left and attacks in a room")


def test_an_episode_ends_with_a_picture_and_in_one_sense(make):
    env = make(scenario="basic", frame_skip=10, render_mode="rgb_array")
    env.reset(seed=0)
    while True:
        before = env.render()
        observation, _, terminated, truncated, _ = env.step(NOTHING)
        if terminated or truncated:
            break
    assert (terminated, truncated) == (False, True), "after 300 ticks"
    assert observation.std() > 10 and np.abs(observation - before.astype(int)).mean() < 20
    assert 1 <= len(env.unwrapped.frames) <= 10


def test_death_terminates_and_is_told(make):
    env = make(scenario="take_cover", frame_skip=16)
    env.reset(seed=0)
    for _ in range(200):
        _, _, terminated, truncated, info = env.step(0)
        if terminated or truncated:
            break
    assert (terminated, truncated) == (True, False)
    assert info["caption"].startswith("the Doom player dies in a hall") and "hurt" not in info["caption"]


def test_levels_of_freedoom(make):
    first, second = make(scenario="freedoom2"), make(scenario="freedoom2", level="MAP07")
    frames = [env.reset(seed=0)[0] for env in (first, second)]
    assert not np.array_equal(*frames)
    assert "in Freedoom MAP07" in second.step(0)[4]["caption"]


def test_nothing_is_left_behind(make, tmp_path):
    env = make()
    env.reset(seed=0)
    folder = Path(env.unwrapped._game.game.get_doom_config_path()).parent
    assert folder.exists()
    env.close()
    env.close()
    assert not folder.exists() and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scenario": "chess"}, "scenario: expected one of basic, .*, got 'chess'"),
        ({"level": "MAP01"}, "level: expected none for scenario 'my_way_home', got 'MAP01'"),
        ({"scenario": "freedoom1", "level": "MAP01"}, "level: expected E1M1 to E4M9 for freedoom1, got 'MAP01'"),
        ({"scenario": "freedoom2", "level": "MAP33"}, "level: expected MAP01 to MAP32 for freedoom2"),
        ({"max_buttons": 4}, "max_buttons: expected 0, for any number, or 1 to 3, got 4"),
        ({"height": 8}, "height: expected"),
    ],
)
def test_bad_settings_are_refused(make, settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_options_are_refused(make):
    with pytest.raises(ValueError, match="options: expected none, got .'map'"):
        make().reset(options={"map": 1})


def test_every_scenario_is_on_the_page():
    page = (Path(__file__).parents[2] / "docs" / "other_worlds.md").read_text(encoding="utf-8")
    section = page.split("## ViZDoom")[1].split("\n## ")[0]
    assert set(vizdoom.SCENARIOS) <= set(re.findall(r"`(\w+)`", section))


def test_names_become_words():
    names = {"ShotgunGuy": "shotgun guy", "DoomImp": "imp", "CustomMedikit": "medikit", "BFG9000": "bfg"}
    for name, words in names.items():
        assert vizdoom._words(name) == words


def test_without_vizdoom_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "vizdoom", None)
    with pytest.raises(ImportError, match=r"worldmodel/ViZDoom-v0 needs the extra .*worldmodel\[vizdoom\]"):
        vizdoom.ViZDoomEnv()
