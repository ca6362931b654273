"""Crafter as a Gymnasium environment."""

import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import worldmodel.envs
from worldmodel.envs import crafter

ROOT = Path(__file__).parents[2]
NOOP, LEFT, RIGHT, UP, DOWN, DO, SLEEP = range(7)
PLACE_TABLE, MAKE_WOOD_PICKAXE = 8, 11


def make(**settings):
    return gymnasium.make(worldmodel.envs.CRAFTER_ID, **settings)


@pytest.fixture
def env():
    return make()


def play(env, actions, *, seed=None, immortal=False):
    """Plays actions; returns frames, rewards and captions."""
    observation, info = env.reset(seed=seed)
    frames, rewards, captions = [observation], [], [info["caption"]]
    for action in actions:
        if immortal:
            env.unwrapped._game._player.inventory["health"] = 9
        observation, reward, terminated, truncated, info = env.step(action)
        frames.append(observation)
        rewards.append(reward)
        captions.append(info["caption"])
        if terminated or truncated:
            break
    return np.stack(frames), rewards, captions


def put(env, material, *, facing=(0, 1)):
    """Puts a material in front of the player, who stands alone."""
    game = env.unwrapped._game
    game._player.facing = facing
    place = tuple(game._player.pos + facing)
    if game._world[place][1] is not None:
        game._world.remove(game._world[place][1])
    game._world[place] = material
    return place


def test_passes_gymnasiums_check(recwarn):
    check_env(make().unwrapped)
    assert not [str(warning.message) for warning in recwarn if "gymnasium" in str(warning.filename)]


def test_spaces(env):
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert env.action_space == gymnasium.spaces.Discrete(17)
    assert env.metadata["render_fps"] == 10
    assert env.spec.max_episode_steps == 10_000


@pytest.mark.parametrize(("height", "width"), [(18, 18), (32, 96), (100, 37)])
def test_frames_have_the_size_asked_for(height, width):
    env = make(height=height, width=width)
    observation, _ = env.reset(seed=0)
    assert observation.shape == (height, width, 3)
    assert observation.dtype == np.uint8
    assert observation.std() > 10
    assert env.step(RIGHT)[0] in env.observation_space


def test_same_seed_gives_the_same_bytes(env):
    actions = np.random.default_rng(0).integers(17, size=250).tolist()
    frames, rewards, captions = play(env, actions, seed=5, immortal=True)
    again = play(env, actions, seed=5, immortal=True)  # after another episode
    other = play(make(), actions, seed=5, immortal=True)
    for episode in (again, other):
        np.testing.assert_array_equal(episode[0], frames)
        assert episode[1:] == (rewards, captions)


def test_a_seeded_episode_begins_as_crafters_first():
    import crafter as original

    game = original.Env(seed=11)
    first = game.reset()
    frames, _, _ = play(make(), [RIGHT, DOWN, DO], seed=11)
    np.testing.assert_array_equal(frames, [first, *(game.step(action)[0] for action in (RIGHT, DOWN, DO))])


def test_the_choice_of_creatures_to_remove_is_reproducible():
    # From the tenth step on, Crafter itself differs from run to run with this seed.
    first, second = (play(make(), [NOOP] * 60, seed=0, immortal=True)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_creatures_are_kept_in_the_order_they_came(env):
    env.reset(seed=0)
    world = env.unwrapped._game._world
    chunks = [list(objects) for objects in world.chunks.values()]
    assert sum(map(len, chunks)) > 20
    indices = [[world._objects.index(thing) for thing in chunk] for chunk in chunks]
    assert all(chunk == sorted(chunk) for chunk in indices)


def test_other_seeds_give_other_worlds(env):
    first, _ = env.reset(seed=1)
    second, _ = env.reset(seed=2)
    assert not np.array_equal(first, second)


def test_resets_without_a_seed_follow_from_the_last_seed(env):
    def three():
        return [env.reset(seed=3)[0], env.reset()[0], env.reset()[0]]

    first, second = three(), three()
    np.testing.assert_array_equal(first, second)
    assert len({frame.tobytes() for frame in first}) == 3


def test_leaves_the_global_generator_alone():
    np.random.seed(0)
    expected = np.random.random(3)
    np.random.seed(0)
    play(make(), [NOOP] * 3, seed=1)
    np.testing.assert_array_equal(np.random.random(3), expected)


def test_death_terminates(env):
    env.reset(seed=0)
    put(env, "lava")
    _, reward, terminated, truncated, info = env.step(DOWN)
    assert (terminated, truncated) == (True, False)
    assert reward == pytest.approx(-0.9)
    assert info["caption"].startswith("the Crafter player dies")
    with pytest.raises(gymnasium.error.ResetNeeded, match="is over"):
        env.unwrapped.step(NOOP)
    env.reset()
    assert not env.step(NOOP)[2]


def test_the_time_limit_truncates():
    env = make(max_episode_steps=3)
    env.reset(seed=0)
    ends = [env.step(NOOP)[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


def test_has_no_limit_of_its_own():
    env = make().unwrapped
    env.reset(seed=0)
    env._game._step = 10_000
    assert env.step(NOOP)[2:4] == (False, False)


def test_stepping_before_reset_is_refused():
    with pytest.raises(gymnasium.error.ResetNeeded, match="has not begun"):
        make().unwrapped.step(NOOP)


def test_achievements_are_counted_rewarded_once_and_told(env):
    _, info = env.reset(seed=0)
    assert len(info["achievements"]) == 22 and not any(info["achievements"].values())
    assert info["inventory"]["health"] == 9
    put(env, "tree")
    _, reward, _, _, info = env.step(DO)
    assert reward == pytest.approx(1)
    assert info["achievements"]["collect_wood"] == info["inventory"]["wood"] == 1
    assert info["caption"].startswith("the Crafter player collects wood")
    put(env, "tree")
    _, reward, _, _, info = env.step(DO)
    assert reward == pytest.approx(0)
    assert info["achievements"]["collect_wood"] == 2
    assert all(type(count) is int for part in ("achievements", "inventory") for count in info[part].values())


def test_info_of_a_step_does_not_change_later(env):
    _, info = env.reset(seed=0)
    put(env, "tree")
    env.step(DO)
    assert info["achievements"]["collect_wood"] == 0


def test_tools_are_told(env):
    env.reset(seed=0)
    env.unwrapped._game._player.inventory["wood"] = 9
    put(env, "grass")
    caption = env.step(PLACE_TABLE)[4]["caption"]
    assert caption.startswith("the Crafter player places a table, near ") and "a table" in caption.split("near")[1]
    caption = env.step(MAKE_WOOD_PICKAXE)[4]["caption"]
    assert caption.startswith("the Crafter player makes a wood pickaxe, near ")
    assert caption.endswith(", holding a wood pickaxe")
    env.unwrapped._game._player.inventory.update(iron_pickaxe=1, stone_sword=1)
    assert env.step(NOOP)[4]["caption"].endswith(", holding an iron pickaxe and a stone sword")


def test_captions_tell_what_the_player_does(env):
    env.reset(seed=0)
    assert env.step(NOOP)[4]["caption"].startswith("the Crafter player stands still")
    put(env, "grass", facing=(1, 0))
    assert env.step(RIGHT)[4]["caption"].startswith("the Crafter player walks right")
    put(env, "water", facing=(-1, 0))
    env.unwrapped._game._player.facing = (1, 0)
    assert env.step(LEFT)[4]["caption"].startswith("the Crafter player turns left, near")
    assert env.step(DO)[4]["caption"].startswith("the Crafter player drinks water, near")
    env.unwrapped._game._player.inventory["energy"] = 1
    assert env.step(SLEEP)[4]["caption"].startswith("the Crafter player sleeps")
    assert env.step(LEFT)[4]["caption"].startswith("the Crafter player sleeps")


def test_captions_tell_of_creatures(env):
    import crafter as original

    env.reset(seed=0)
    game = env.unwrapped._game
    place = put(env, "grass")
    game._world.add(original.objects.Cow(game._world, place))
    caption = env.step(DO)[4]["caption"]
    assert caption.startswith("the Crafter player hits a cow, near ")


def test_what_is_called_near_is_near():
    env = make()
    found = set()
    for seed in range(8):
        _, info = env.reset(seed=seed)
        world, (x, y) = env.unwrapped._game._world, env.unwrapped._game._player.pos
        materials = {world[i, j][0] for i in range(x - 3, x + 4) for j in range(y - 3, y + 4)}
        for material, word in (("tree", "trees"), ("water", "water"), ("stone", "stone")):
            if f" {word}" in info["caption"]:
                assert material in materials
                found.add(word)
    assert "trees" in found


def test_night_is_told(env):
    env.reset(seed=0)
    assert "at night" not in env.step(NOOP)[4]["caption"]
    env.unwrapped._game._step = 200
    assert "at night" in env.step(NOOP)[4]["caption"]


def test_rendering_shows_the_latest_frame_and_changes_nothing():
    env, silent = make(render_mode="rgb_array"), make()
    for each in (env, silent):
        each.reset(seed=0)
        each.unwrapped._game._step = 200  # at night frames have noise
    for _ in range(5):
        observation = env.step(NOOP)[0]
        np.testing.assert_array_equal(env.render(), observation)
        np.testing.assert_array_equal(silent.step(NOOP)[0], observation)
    env.render()[:] = 0
    assert env.render().any()
    assert silent.unwrapped.render() is None


def test_facing_is_where_the_player_looks(env):
    env.reset(seed=0)
    for action, step in ((LEFT, (-1, 0)), (RIGHT, (1, 0)), (UP, (0, -1)), (DOWN, (0, 1))):
        env.step(action)
        assert env.unwrapped.facing == step


def test_ahead_tells_material_or_thing(env):
    import crafter as original

    env.reset(seed=0)
    game, world = env.unwrapped._game, env.unwrapped
    for material in ("grass", "water", "lava", "table"):
        put(env, material, facing=(0, 1))
        assert world.ahead((0, 1)) == material
    place = put(env, "grass", facing=(1, 0))
    game._world.add(original.objects.Cow(game._world, place))
    assert world.ahead((1, 0)) == "cow" and world.ahead((0, 1)) == "table"
    assert world.ahead((0, 0)) == "player"


def test_beyond_the_map_there_is_its_edge(env):
    env.reset(seed=0)
    x, y = env.unwrapped._game._player.pos
    assert env.unwrapped.ahead((-int(x) - 1, 0)) == "edge" and env.unwrapped.ahead((0, 64 - int(y))) == "edge"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 17}, "height: expected .*18.*got 17"),
        ({"width": 4096}, "width: expected .*2048.*got 4096"),
        ({"width": 64.0}, "width: expected a whole number"),
        ({"height": True}, "height: expected a whole number"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_bad_render_mode_is_refused():
    with pytest.raises(ValueError, match="render_mode: expected None or one of .*'human'"):
        crafter.CrafterEnv("human")


def test_options_are_refused(env):
    with pytest.raises(ValueError, match="options: expected none, got .'biome'"):
        env.reset(options={"biome": "desert"})


@pytest.mark.parametrize("action", [3, np.int64(3), np.array(3), np.array([3])])
def test_integers_of_every_kind_are_actions(action):
    env = make().unwrapped
    env.reset(seed=0)
    env.step(action)
    assert env._game._player.facing == (0, -1)


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (17, ValueError, r"in \[0, 17\), got 17"),
        (-1, ValueError, "got -1"),
        (1.0, TypeError, "got float 1.0"),
        ("do", TypeError, "got str 'do'"),
        (np.array([1, 2]), ValueError, r"got shape \(2,\)"),
    ],
)
def test_bad_actions_are_refused(action, error, message):
    env = make().unwrapped
    env.reset(seed=0)
    with pytest.raises(error, match=f"action: expected an integer.*{message}"):
        env.step(action)


def test_without_crafter_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "crafter", None)
    with pytest.raises(ImportError, match=r"worldmodel\[crafter\]"):
        crafter.CrafterEnv()


def test_importing_the_environments_does_not_import_crafter():
    program = "import sys, worldmodel.envs.crafter; assert 'crafter' not in sys.modules"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_page_is_true(tmp_path):
    page = (ROOT / "docs" / "crafter.md").read_text(encoding="utf-8")
    programs = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    command = [sys.executable, "-c", "\n".join(programs)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert programs and result.returncode == 0, result.stderr
    _, info = make().reset(seed=0)
    fields = page.split("## `info`")[1].split("## Settings")[0]
    assert re.findall(r"^\| `(\w+)` \|", fields, re.MULTILINE) == list(info)


def test_the_settings_of_the_command_line_are_the_defaults():
    from omegaconf import OmegaConf

    settings = OmegaConf.to_object(OmegaConf.load(ROOT / "configs" / "env" / "crafter.yaml"))
    env = gymnasium.make(settings["id"], **settings["kwargs"])
    assert env.observation_space == make().observation_space
    assert settings["kwargs"] == {"height": 64, "width": 64}
