"""The players, in the block world."""

import math

import gymnasium
import numpy as np
import pytest

import worldmodel.envs  # noqa: F401  registers the environments
from worldmodel.agents import PLAYERS, make_player
from worldmodel.agents.player import ScriptedPlayer
from worldmodel.envs.actions import BUTTONS

SCRIPTED = [name for name, kind in PLAYERS.items() if isinstance(kind, type) and issubclass(kind, ScriptedPlayer)]


@pytest.fixture(scope="module")
def env():
    env = gymnasium.make("worldmodel/Voxel-v0", height=32, width=32)
    yield env
    env.close()


def play(env, name: str, seed: int, steps: int, until=lambda player: False, **kwargs):
    """Plays one episode; returns its infos (the first from `reset`), actions, and the player."""
    player = make_player(name, env, **kwargs)
    observation, info = env.reset(seed=seed)
    player.reset(seed)
    infos, actions = [info], list[dict]()
    while len(actions) < steps and not until(player):
        actions.append(player.act(observation, info))
        assert actions[-1] in env.action_space
        observation, _, terminated, truncated, info = env.step(actions[-1])
        infos.append(info)
        assert not terminated, f"{name} died: {info['events']}"
    return infos, actions, player


def poses(infos) -> np.ndarray:
    return np.array([[info["pose"][name] for name in ("x", "y", "z", "yaw", "pitch")] for info in infos])


def events(infos, kind: str) -> list[dict]:
    return [event for info in infos for event in info["events"] if event["type"] == kind]


@pytest.mark.parametrize("name", [*SCRIPTED, "keys", "random", "idle"])
def test_players_are_deterministic(env, name):
    first_infos, first, _ = play(env, name, 5, 120)
    again_infos, again, _ = play(env, name, 5, 120)
    for a, b in zip(first, again, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in a)
    assert np.array_equal(poses(first_infos), poses(again_infos))


@pytest.mark.parametrize("name", ["random", "explorer"])
def test_seeds_make_a_difference(env, name):
    _, first, player = play(env, name, 5, 60)
    observation, info = env.reset(seed=5)
    player.reset(6)
    other = []
    for _ in range(60):
        other.append(player.act(observation, info))
        observation, *_, info = env.step(other[-1])
    assert any(not np.array_equal(a[key], b[key]) for a, b in zip(first, other, strict=True) for key in a)


@pytest.mark.parametrize("seed", [1, 2])
def test_lumberjack_fells_trees(env, seed):
    infos, _, _ = play(env, "lumberjack", seed, 1000)
    logs = sum(event["count"] for event in events(infos, "gained") if event["item"].endswith("_log"))
    assert logs >= 5


@pytest.mark.parametrize("seed", [1, 2])
def test_builder_digs_and_builds(env, seed):
    infos, _, _ = play(env, "builder", seed, 2500)
    placed = [tuple(event["position"]) for event in events(infos, "placed")]
    assert len(events(infos, "mined")) >= 10 and len(placed) >= 4
    # What it builds holds together: most blocks touch another one of it.
    touching = sum(any(math.dist(a, b) == 1.0 for b in placed) for a in placed)
    assert touching >= 0.8 * len(placed)


def test_explorer_covers_places_and_actions(env):
    used: set[str] = set()
    chunks = []
    for seed in (1, 2):
        infos, actions, _ = play(env, "explorer", seed, 2500)
        used |= {key for action in actions for key in BUTTONS if action[key]}
        track = poses(infos)
        chunks.append(len({(x // 16, z // 16) for x, z in track[:, [0, 2]].tolist()}))
        cameras = np.array([action["camera"] for action in actions])
        assert np.abs(cameras).max() <= 15.0
        assert (np.abs(cameras) > 0.0).any(axis=1).mean() > 0.2
        # It goes somewhere in any half minute.
        assert all(np.ptp(track[i : i + 600, [0, 2]], axis=0).max() > 2.0 for i in range(0, 1900, 300))
        assert track[:, 4].min() < -20.0 and track[:, 4].max() > 40.0
        assert events(infos, "mined")
    assert min(chunks) >= 8
    assert set(BUTTONS) - used <= {"ESC", "drop", "swapHands", "pickItem"}


@pytest.mark.parametrize("angle", [None, 180.0, -90.0])
def test_look_away_returns_exactly(env, angle):
    infos, actions, player = play(
        env, "look_away", 3, 300, lambda player: player.rounds == 2, repeats=2, angle_degrees=angle, turn_steps=15
    )
    assert len(actions) <= 2 * (2 * 15 + 2 * 20) + 1
    total = np.sum([action["camera"].astype(np.float64) for action in actions], axis=0)
    assert total.tolist() == [0.0, 0.0]
    track = poses(infos)
    assert np.abs(track[-1] - track[0]).max() < 1e-9
    away = np.abs((track[:, 3] - track[0, 3] + 180.0) % 360.0 - 180.0).max()
    assert away >= 89.9 if angle is None else away == pytest.approx(abs(angle), abs=0.01)


@pytest.mark.parametrize("waypoints", [2, 3])
@pytest.mark.parametrize("seed", [1, 4])
def test_patrol_returns_to_the_start(env, waypoints, seed):
    infos, _, player = play(
        env, "patrol", seed, 1500, lambda player: player.rounds == 1, repeats=1, waypoints=waypoints, distance=10.0
    )
    assert player.rounds == 1
    track = poses(infos)
    assert np.hypot(*(track[:, [0, 2]] - track[0, [0, 2]]).T).max() > 4.0
    assert np.hypot(*(track[-1, [0, 2]] - track[0, [0, 2]])) < 0.1
    assert track[-1, 1] == track[0, 1]
    assert np.abs(track[-1, 3:] - track[0, 3:]).max() < 1e-6


def test_players_stand_still_when_done(env):
    infos, actions, _ = play(env, "look_away", 3, 200, repeats=1, turn_steps=5, wait_steps=2)
    assert all(np.all(np.asarray(value) == 0) for action in actions[20:] for value in action.values())


def test_frame_skip_is_allowed_for():
    env = gymnasium.make("worldmodel/Voxel-v0", height=32, width=32, frame_skip=4)
    infos, actions, _ = play(
        env, "look_away", 3, 200, lambda player: player.rounds == 1, repeats=1, angle_degrees=120.0
    )
    track = poses(infos)
    assert np.abs(track[-1] - track[0]).max() < 1e-9
    assert np.ptp(track[:, 3]) == pytest.approx(120.0, abs=0.1)
    infos, _, _ = play(env, "lumberjack", 1, 400)
    assert events(infos, "gained")
    env.close()


def test_unknown_names_are_refused(env):
    with pytest.raises(ValueError, match="name: expected a player among random, idle, explorer, .*, got 'steve'"):
        make_player("steve", env)


@pytest.mark.parametrize("name", SCRIPTED)
def test_scripted_players_need_the_block_world_and_its_dictionary(name):
    with pytest.raises(TypeError, match="env: expected worldmodel/Voxel-v0 or one of its tasks, got .*'random'"):
        make_player(name, gymnasium.make("CartPole-v1"))
    discrete = gymnasium.make("worldmodel/Voxel-v0", height=32, width=32, actions="discrete")
    with pytest.raises(TypeError, match="env: expected the dictionary of keys as action space, got Discrete"):
        make_player(name, discrete)


@pytest.mark.parametrize("name", ["random", "idle"])
def test_general_players_play_anything(name):
    env = gymnasium.make("CartPole-v1")
    player = make_player(name, env)
    observation, info = env.reset(seed=0)
    player.reset(0)
    assert all(player.act(observation, info) in env.action_space for _ in range(20))


def test_idle_names_spaces_it_cannot_play_in():
    env = gymnasium.make("CartPole-v1")
    env.action_space = gymnasium.spaces.Text(3)
    with pytest.raises(TypeError, match="expected an action space of Dict, Discrete and Box, got Text"):
        make_player("idle", env)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("look_away", {"turn_steps": 0}, "turn_steps, wait_steps: expected at least 1 and 0, got 0 and 20"),
        ("look_away", {"angle_degrees": 180.0, "turn_steps": 2}, "angle_degrees: expected at most 60 degrees"),
        ("look_away", {"angle_degrees": math.nan}, "angle_degrees: expected at most 60 degrees"),
        ("patrol", {"waypoints": 4}, "waypoints: expected 2 .* or 3 .*, got 4"),
        ("patrol", {"distance": 1.0}, "distance: expected 2 to 48 blocks, got 1.0"),
    ],
)
def test_bad_arguments_are_refused(env, name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_player(name, env, **kwargs)


def test_random_player_holds_actions_as_long_as_told():
    env = gymnasium.make("CartPole-v1").unwrapped
    env.action_space = gymnasium.spaces.Discrete(1000)
    player = make_player("random", env, hold_steps=5.0)
    player.reset(seed=1)
    actions = [player.act(None, {}) for _ in range(2000)]
    changes = sum(one != other for one, other in zip(actions, actions[1:], strict=False))
    assert 300 < changes < 500
    player.reset(seed=1)
    assert [player.act(None, {}) for _ in range(2000)] == actions
    with pytest.raises(ValueError, match="hold_steps: expected at least 1, got 0.5"):
        make_player("random", env, hold_steps=0.5)
