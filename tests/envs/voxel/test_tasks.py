"""What is rewarded, and when an episode is over."""

import math
import pickle
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from worldmodel.envs import VOXEL_IDS
from worldmodel.envs.actions import DISCRETE_ACTIONS
from worldmodel.envs.voxel import physics
from worldmodel.envs.voxel.blocks import CODES
from worldmodel.envs.voxel.env import VoxelEnv
from worldmodel.envs.voxel.tasks import TASKS, Navigate, Pickaxe, Task, Treechop
from worldmodel.envs.voxel.terrain import surface_height

ACTIONS = {name: index for index, (name, _) in enumerate(DISCRETE_ACTIONS)}


def gained(item, count=1):
    return {"type": "gained", "item": item, "count": count}


def crafted(item, count=1):
    return {"type": "crafted", "item": item, "count": count}


@pytest.fixture
def player():
    """All that a task sees of the player."""
    return SimpleNamespace(body=physics.new_body(0.0, 30.0, 0.0))


def move(player, x, z, yaw=0.0):
    player.body[[physics.X, physics.Z, physics.YAW]] = x, z, yaw


def test_no_task_gives_nothing(player):
    task = Task()
    assert task.evaluate(player, [gained("oak_log"), {"type": "death", "cause": "fall"}]) == (0.0, False)
    assert task.info(player) == {} and task.get_state() == {}


def test_treechop_rewards_each_log(player):
    task = Treechop()
    events = [gained("oak_log"), gained("birch_log"), gained("dirt"), gained("spruce_log", 2), crafted("oak_planks", 4)]
    assert task.evaluate(player, events) == (4.0, False)
    assert task.evaluate(player, [{"type": "mined", "block": "oak_log", "position": [0, 0, 0]}]) == (0.0, False)
    assert task.evaluate(player, [gained("oak_log", 59)]) == (59.0, False)
    assert task.evaluate(player, [gained("oak_log")]) == (1.0, True)


def test_treechop_goes_on_from_its_state(player):
    task, other = Treechop(), Treechop()
    task.evaluate(player, [gained("oak_log", 63)])
    other.set_state(pickle.loads(pickle.dumps(task.get_state())))
    assert other.evaluate(player, [gained("oak_log")]) == (1.0, True)
    task.start(None, player, np.random.default_rng(0))
    assert task.evaluate(player, [gained("oak_log")]) == (1.0, False), "a new episode starts at none"


def test_pickaxe_rewards_each_milestone_once(player):
    task = Pickaxe()
    rewards = [
        task.evaluate(player, events)
        for events in (
            [gained("spruce_log")],
            [gained("oak_log")],
            [crafted("oak_planks", 4), crafted("oak_planks", 4)],
            [crafted("crafting_table")],
            [crafted("stick", 4), crafted("oak_planks", 4)],
            [crafted("wooden_pickaxe"), gained("dirt")],
            [gained("cobblestone")],
            [gained("cobblestone"), gained("cobblestone")],
            [crafted("stone_pickaxe")],
        )
    ]
    assert rewards == [
        (1.0, False), (0.0, False), (2.0, False), (4.0, False), (4.0, False), (8.0, False), (16.0, False),
        (0.0, False), (32.0, True),
    ]  # fmt: skip
    assert task.info(player) == {"milestones": list(Pickaxe.MILESTONES)[:2] + ["crafting_table", "stick"]
                                 + ["wooden_pickaxe", "cobblestone", "stone_pickaxe"]}  # fmt: skip


def test_pickaxe_goes_on_from_its_state(player):
    task, other = Pickaxe(), Pickaxe()
    task.evaluate(player, [gained("oak_log")])
    state = pickle.loads(pickle.dumps(task.get_state()))
    task.evaluate(player, [crafted("stick", 4)])
    other.set_state(state)
    assert other.info(player) == {"milestones": ["log"]}
    assert other.evaluate(player, [gained("oak_log"), crafted("stick", 4)]) == (4.0, False)
    info = other.info(player)
    info["milestones"].append("cheat")
    assert other.info(player) == {"milestones": ["log", "stick"]}


def navigate(goal, player, dense=False):
    task = Navigate(dense)
    task.set_state({"goal": list(goal), "closest": math.hypot(goal[0] + 0.5, goal[1] + 0.5)})
    return task


@pytest.mark.parametrize("dense", [False, True])
def test_navigate_ends_at_the_goal(player, dense):
    task = navigate((49, -1), player, dense)
    events = []
    assert task.evaluate(player, events) == (0.0, False) and events == []
    move(player, 47.4, -0.5)
    reward, over = task.evaluate(player, events)
    assert not over and events == [] and reward == pytest.approx(47.4 if dense else 0.0, abs=0.01)
    move(player, 47.6, -0.5)
    reward, over = task.evaluate(player, events)
    assert over and events == [{"type": "goal"}] and reward == pytest.approx(100.2 if dense else 100.0, abs=0.01)


def test_dense_progress_is_never_rewarded_twice(player):
    task = navigate((0, 50), player, dense=True)
    total, generator, closest = 0.0, np.random.default_rng(0), 50.5
    x = z = 0.0
    for _ in range(300):
        x, z = x + generator.uniform(-2, 2), z + generator.uniform(-2, 2)
        move(player, x, z)
        reward, over = task.evaluate(player, [])
        distance = math.hypot(0.5 - x, 50.5 - z)
        if over:
            break
        total += reward
        assert reward == pytest.approx(max(closest - distance, 0.0), abs=0.02)
        closest = min(closest, distance)
        assert total == pytest.approx(50.5 - closest, abs=0.05)


def test_navigate_tells_distance_and_bearing(player):
    task = navigate((9, -1), player)  # 9.5 east of the player and 0.5 north
    move(player, 0.0, -0.5, yaw=-90.0)
    assert task.info(player)["goal"] == {"distance": pytest.approx(9.5), "bearing": pytest.approx(0.0)}
    for yaw, bearing in ((-180.0, 90.0), (0.0, -90.0), (-100.0, 10.0), (-80.0, -10.0)):
        move(player, 0.0, -0.5, yaw=yaw)
        assert task.info(player)["goal"]["bearing"] == pytest.approx(bearing)


def test_navigate_goes_on_from_its_state(player):
    task, other = navigate((49, -1), player, dense=True), Navigate(dense=True)
    move(player, 10.0, 0.0)
    task.evaluate(player, [])
    other.set_state(pickle.loads(pickle.dumps(task.get_state())))
    assert other.evaluate(player, [])[0] == 0.0 and other.info(player) == task.info(player)


@pytest.fixture(scope="module")
def navigation():
    return VoxelEnv(task="navigate_dense", height=16, width=16)


@pytest.mark.parametrize("seed", range(6))
def test_the_goal_is_a_column_of_gold_far_from_the_start(navigation, seed):
    env = navigation
    _, info = env.reset(seed=seed)
    assert 38.0 < info["goal"]["distance"] < 62.0
    yaw = math.radians(info["pose"]["yaw"] + info["goal"]["bearing"])
    x = math.floor(info["pose"]["x"] - math.sin(yaw) * info["goal"]["distance"])
    z = math.floor(info["pose"]["z"] + math.cos(yaw) * info["goal"]["distance"])
    ground = surface_height(env.get_state()["world"]["seed"], x, z)
    column = [env.block_at(x, y, z) for y in range(ground + 1, min(ground + 15, 63))]
    assert len(column) >= 5 and set(column) == {"gold_block"}
    assert env.block_at(x, ground, z) != "gold_block"
    assert env.step({})[1:3] == (0.0, False), "nobody starts at the goal"


def test_goals_differ_from_episode_to_episode(navigation):
    navigation.reset(seed=0)
    world_seed = {"world_seed": 7}
    goals = {tuple(navigation.reset(options=world_seed)[1]["goal"].values()) for _ in range(4)}
    assert len(goals) == 4


@pytest.mark.parametrize("view_distance", [16, 32, 96])
def test_navigation_works_at_every_view_distance(view_distance):
    env = VoxelEnv(task="navigate", height=16, width=16, view_distance=view_distance)
    for seed in range(8):
        _, info = env.reset(seed=seed)
        assert 38.0 < info["goal"]["distance"] < 62.0


def test_walking_to_the_goal_in_the_environment(navigation):
    """Progress adds up to the distance covered; teleports stand in for the walk."""
    env = navigation
    _, info = env.reset(seed=3, options={"biome": "plains"})
    start, total = info["goal"]["distance"], 0.0
    state = env.get_state()
    x, z = np.array(state["task"]["goal"]) + 0.5
    for distance in (30.0, 20.0, 25.0, 10.0, 1.5):
        state = env.get_state()
        body = state["simulation"]["body"]
        body[[physics.X, physics.Y, physics.Z, physics.VY]] = x + distance, 62.0, z, 0.0
        env.set_state(state)
        _, reward, over, _, info = env.step({})
        total += reward
        assert over == (distance < 2.0) == ({"type": "goal"} in info["events"])
    assert total == pytest.approx(100.0 + start - info["goal"]["distance"], abs=0.1)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step({})


class Script:
    """Plays the discrete preset and adds up the rewards by the items that were made or gained."""

    def __init__(self, env):
        self.env, self.rewards, self.over = env, {}, False
        self.info = env.reset(seed=4, options={"biome": "plains", "start_time": 0.25, "weather": "clear"})[1]

    def do(self, name, times=1):
        for _ in range(times):
            assert not self.over
            _, reward, self.over, _, self.info = self.env.step(ACTIONS[name])
            if reward:
                (item,) = {e["item"] for e in self.info["events"] if e["type"] in ("gained", "crafted")}
                self.rewards[item] = reward

    def craft(self, item):
        for _ in range(8):
            self.do("craft")
            made = [event["item"] for event in self.info["events"] if event["type"] == "crafted"]
            self.do("noop") if not self.over else None
            if item in made:
                return
        raise AssertionError(f"{item} was not made; inventory {self.info['inventory']}")

    def hold(self, item):
        items = self.env.get_state()["simulation"]["inventory"]["items"]
        self.do(f"hotbar.{items.tolist().index(CODES[item]) + 1}")

    def attack_until(self, item, count):
        for _ in range(800):
            if self.info["inventory"].get(item, 0) >= count:
                return
            self.do("attack")
        raise AssertionError(f"{count} {item} were not gained; inventory {self.info['inventory']}")

    def place_table(self):
        self.hold("crafting_table")
        self.do("use")
        assert [e["block"] for e in self.info["events"] if e["type"] == "placed"] == ["crafting_table"]
        self.do("noop")


def test_pickaxe_chain_with_given_cobblestone():
    script = Script(VoxelEnv(task="pickaxe", actions="discrete", inventory={"oak_log": 5, "cobblestone": 3}, height=16,
                             width=16))  # fmt: skip
    script.craft("crafting_table")
    script.craft("stick")
    script.do("look_down", 3)
    script.place_table()
    script.craft("stone_pickaxe")
    assert script.over and script.info["inventory"]["stone_pickaxe"] == 1
    assert script.rewards == {"oak_planks": 2.0, "crafting_table": 4.0, "stick": 4.0, "stone_pickaxe": 32.0}
    with pytest.raises(gymnasium.error.ResetNeeded):
        script.env.step(0)


def test_whole_pickaxe_chain_from_logs():
    """Takes the table along down to the stone, and makes room for it there."""
    script = Script(VoxelEnv(task="pickaxe", actions="discrete", inventory={"oak_log": 5}, height=16, width=16))
    script.craft("crafting_table")
    script.craft("stick")
    script.do("look_down", 3)
    script.place_table()
    script.craft("wooden_pickaxe")
    script.attack_until("crafting_table", 1)
    script.hold("wooden_pickaxe")
    script.do("look_down", 3)
    script.attack_until("cobblestone", 4)
    script.do("look_up", 6)
    script.attack_until("cobblestone", 5)
    script.place_table()
    script.craft("stone_pickaxe")
    assert script.over
    assert script.rewards == {item: reward for item, reward in Pickaxe.MILESTONES.items() if item != "log"}
    assert script.info["milestones"] == list(script.rewards)


def test_chopping_a_tree_in_the_environment():
    env = VoxelEnv(task="treechop", height=16, width=16)
    env.reset(seed=0, options={"biome": "forest"})
    state = env.get_state()
    x, y, z = env.find_blocks(["oak_log", "birch_log", "spruce_log"], 60)[0].tolist()
    body = state["simulation"]["body"]
    # Stand on a tuft of logs' own: beside the trunk, on a block of dirt, looking at it.
    state["world"]["edits"] = np.array([[x, y - 1, z - 1, CODES["dirt"]], [x, y, z - 1, 0], [x, y + 1, z - 1, 0]],
                                       np.int32)  # fmt: skip
    body[[physics.X, physics.Y, physics.Z, physics.YAW, physics.PITCH]] = x + 0.5, y, z - 0.5, 0.0, 40.0
    env.set_state(state)
    env.step({})
    assert env.target["block"].endswith("_log")
    total, logs = 0.0, 0
    for _ in range(70):
        _, reward, over, _, info = env.step({"attack": 1})
        total += reward
        logs += sum(e["count"] for e in info["events"] if e["type"] == "gained" and e["item"].endswith("_log"))
        assert not over
    assert total == logs >= 1


def test_every_id_has_its_task_and_limit():
    assert {task for task, _ in VOXEL_IDS.values()} == set(TASKS)
    for name, (task, limit) in VOXEL_IDS.items():
        spec = gymnasium.spec(name)
        assert spec.max_episode_steps == limit and spec.kwargs == {"task": task}
