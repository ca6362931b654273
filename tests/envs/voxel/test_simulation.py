import math
import pickle

import numpy as np
import pytest
from flat_world import GROUND, NOTHING, FlatWorld, put, run, simulate, types

from worldmodel.envs.voxel import physics
from worldmodel.envs.voxel.blocks import BY_NAME, CODES
from worldmodel.envs.voxel.controls import Controls
from worldmodel.envs.voxel.simulation import Simulation


@pytest.fixture
def world():
    return FlatWorld()


# Looking and moving


def test_starts_on_the_ground_and_sees(world):
    simulation = simulate(world, facing="oak_log")
    assert simulation.body[:3].tolist() == [0.5, GROUND, 0.5]
    target = simulation.target
    assert (target.x, target.y, target.z, target.code) == (0, GROUND + 1, 2, CODES["oak_log"])
    assert (target.normal_x, target.normal_y, target.normal_z) == (0, 0, -1)
    assert simulation.tick(NOTHING) == []
    assert simulation.body[:3].tolist() == [0.5, GROUND, 0.5] and simulation.health == 20


def test_starts_on_the_highest_block_under_the_body(world):
    put(world, "stone", 1, GROUND + 2, 0)
    assert Simulation(world, 0.9, 0.5).body[physics.Y] == GROUND + 3


def test_keeps_the_world_loaded_around_the_body(world):
    simulation = simulate(world)
    run(simulation, 40, forward=True)
    assert world.centres[0] == (0.5, 0.5)
    assert world.centres[-1] == (0.5, simulation.body[physics.Z])


def test_yaw_wraps_and_pitch_is_clamped(world):
    simulation = simulate(world)
    for _ in range(7):
        simulation.tick(Controls(camera_yaw=90.0, camera_pitch=50.0))
        assert -180 <= simulation.body[physics.YAW] < 180
    assert simulation.body[physics.YAW] == -90 and simulation.body[physics.PITCH] == 90
    simulation.tick(Controls(camera_yaw=-90.0, camera_pitch=-180.0))
    assert simulation.body[physics.YAW] == -180 and simulation.body[physics.PITCH] == -90
    simulation.tick(Controls(camera_yaw=-1e-15))
    assert simulation.body[physics.YAW] == -180


@pytest.mark.parametrize("controls", [Controls(camera_yaw=math.nan), Controls(camera_pitch=181.0), Controls(hotbar=9)])
def test_impossible_controls_are_refused(world, controls):
    with pytest.raises(ValueError, match="expected"):
        simulate(world).tick(controls)


def test_opposite_keys_cancel(world):
    simulation = simulate(world)
    run(simulation, 20, forward=True, back=True, left=True, right=True)
    assert simulation.body[:3].tolist() == [0.5, GROUND, 0.5]


def test_left_is_to_the_left(world):
    simulation = simulate(world)
    run(simulation, 20, left=True)
    assert simulation.body[physics.X] > 2  # east, when looking south


def test_jumps_in_the_first_tick(world):
    simulation = simulate(world)
    run(simulation, 1, jump=True)
    assert simulation.body[physics.Y] == pytest.approx(GROUND + 0.42)


# The other keys


def test_hotbar_and_pick_item(world):
    simulation = simulate(world, facing="oak_log", dirt=1, oak_log=1)
    run(simulation, 1, hotbar=5)
    assert simulation.inventory.selected == 5
    run(simulation, 1, pick_item=True)
    assert simulation.inventory.selected == 1
    run(simulation, 1, pick_item=True, hotbar=3)
    assert simulation.inventory.selected == 3  # the key was still down
    run(simulation, 1, swap_hands=True)
    assert simulation.inventory.as_dict() == {"dirt": 1, "oak_log": 1}


def test_drop_acts_when_the_key_goes_down(world):
    simulation = simulate(world, dirt=3)
    assert run(simulation, 10, drop=True) == [{"type": "dropped", "item": "dirt", "count": 1}]
    run(simulation, 1)
    run(simulation, 1, drop=True)
    assert simulation.inventory.as_dict() == {"dirt": 1}


def test_from_logs_to_a_stone_pickaxe(world):
    simulation = simulate(world, facing="stone", oak_log=4)
    crafted = []

    def press(times):
        for _ in range(times):
            events = run(simulation, 3, inventory=True) + run(simulation, 1)
            assert set(types(events)) <= {"crafted"} and len(events) <= 1
            crafted.extend(event["item"] for event in events)

    press(2)
    table = simulation.inventory.hotbar_slot(CODES["crafting_table"])
    assert [event["block"] for event in run(simulation, 1, hotbar=table, use=True)] == ["crafting_table"]
    press(6)
    assert crafted == ["oak_planks", "crafting_table", "oak_planks", "stick", "oak_planks", "wooden_pickaxe"] + [
        "oak_planks"
    ]
    assert simulation.inventory.as_dict() == {"oak_planks": 7, "stick": 2, "wooden_pickaxe": 1}
    simulation.inventory.add("cobblestone", 3)
    run(simulation, 40, back=True)
    press(1)
    assert crafted[-1] == "crafting_table"  # the first one is too far away
    run(simulation, 40, forward=True)
    press(1)
    assert crafted[-1] == "stone_pickaxe"
    assert simulation.inventory.as_dict() == {
        "crafting_table": 1,
        "oak_planks": 3,
        "wooden_pickaxe": 1,
        "stone_pickaxe": 1,
    }


def test_swing_takes_six_ticks(world):
    simulation = simulate(world)
    assert simulation.swing == 0
    phases = [run(simulation, 1, attack=True) or simulation.swing for _ in range(12)]
    assert phases == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 0] * 2)
    run(simulation, 2, attack=True)
    assert [run(simulation, 1) or simulation.swing for _ in range(5)] == pytest.approx([3 / 6, 4 / 6, 5 / 6, 0, 0])


# Health


@pytest.mark.parametrize(("height", "damage"), [(3, 0), (4, 1), (5, 2), (12, 9), (22.5, 19)])
def test_fall_damage(world, height, damage):
    simulation = simulate(world)
    simulation.body[physics.Y] += height
    simulation.body[physics.ON_GROUND] = 0
    events = run(simulation, 60)
    assert events == ([{"type": "damage", "amount": damage, "cause": "fall"}] if damage else [])
    assert simulation.health == 20 - damage


def test_death_is_final(world):
    simulation = simulate(world, dirt=1)
    simulation.body[physics.Y] += 30
    assert types(run(simulation, 100)) == ["damage", "death"]
    assert simulation.dead and simulation.health == 0
    position = simulation.body.copy()
    assert run(simulation, 100, forward=True, drop=True, camera_yaw=5.0) == []
    assert (simulation.body == position).all() and simulation.health == 0


def test_drowning(world):
    put(world, "water", range(-3, 4), range(GROUND, GROUND + 20), range(-3, 4))
    simulation = simulate(world)
    simulation.body[physics.Y] = GROUND
    run(simulation, 1)
    air = simulation.air
    assert run(simulation, air + 19) == [] and simulation.air == 0
    assert simulation.tick(NOTHING) == [{"type": "damage", "amount": 2, "cause": "drowning"}]
    assert types(run(simulation, 40)) == ["damage"] * 2
    simulation.body[physics.Y] = GROUND + 20
    run(simulation, 5, jump=True)
    assert simulation.air == 20


def test_cactus_hurts_twice_a_second(world):
    simulation = simulate(world, facing="cactus")
    events = run(simulation, 40, forward=True)
    assert {event["cause"] for event in events} == {"cactus"}
    first = simulation.health
    assert len(run(simulation, 20, forward=True)) == 2 and simulation.health == first - 2


def test_health_comes_back(world):
    simulation = simulate(world)
    simulation.health = 18.0
    run(simulation, 79)
    assert simulation.health == 18
    run(simulation, 1)
    assert simulation.health == 19
    run(simulation, 200)
    assert simulation.health == 20


# State


def random_controls(rng, ticks):
    """Keys that stay down for a while, as a player's do."""
    keys = ["forward", "back", "left", "right", "jump", "sneak", "sprint", "attack", "use", "drop", "inventory"]
    held = dict.fromkeys([*keys, "pick_item"], False)
    for _ in range(ticks):
        for key in held:
            if rng.random() < 0.1:
                held[key] = bool(rng.random() < (0.05 if key == "drop" else 0.5))
        hotbar = int(rng.integers(9)) if rng.random() < 0.1 else -1
        yaw, pitch = rng.normal(0, 8, 2).tolist()
        yield Controls(**held, hotbar=hotbar, camera_yaw=yaw, camera_pitch=pitch)


def busy_world(rng):
    world = FlatWorld()
    names = ["sand", "gravel", "water", "torch", "short_grass", "dirt", "oak_log", "cactus", "ice", "crafting_table"]
    for _ in range(900):
        x, z = rng.integers(-9, 10, 2).tolist()
        world.set_block(x, GROUND + int(rng.integers(-2, 6)), z, CODES[names[rng.integers(len(names))]])
    return world


CONTENTS = {"sand": 50, "torch": 20, "dirt": 20, "gravel": 30, "stone_pickaxe": 1, "oak_log": 8, "cobblestone": 3}


def same(one, other):
    return pickle.dumps(one.get_state()) == pickle.dumps(other.get_state()) and one.target == other.target


@pytest.mark.parametrize("seed", range(8))
def test_a_copy_of_the_state_goes_on_exactly_alike(seed):
    rng = np.random.default_rng(seed)
    world = busy_world(rng)
    simulation = Simulation(world, 0.5, 0.5, inventory=CONTENTS)
    controls = list(random_controls(rng, 400))
    kinds = set()
    for start in range(0, 400, 20):
        twin_world = FlatWorld()
        twin_world.cells[:] = world.cells
        twin = Simulation(twin_world, 3.5, 4.5)
        twin.set_state(pickle.loads(pickle.dumps(simulation.get_state())))
        assert same(simulation, twin)
        for control in controls[start : start + 20]:
            events = simulation.tick(control)
            kinds |= set(types(events))
            assert events == twin.tick(control)
        assert same(simulation, twin)
        assert (world.cells == twin_world.cells).all()
    assert {"mined", "placed"} <= kinds


def test_a_state_is_not_changed_by_going_on(world):
    simulation = simulate(world, facing="dirt", dirt=5, sand=3)
    run(simulation, 5, attack=True)
    state = simulation.get_state()
    before = pickle.dumps(state)
    run(simulation, 40, attack=True, forward=True)
    assert pickle.dumps(state) == before


@pytest.mark.parametrize("seed", range(6))
def test_the_body_is_never_inside_a_block_whatever_it_does(seed):
    rng = np.random.default_rng(100 + seed)
    world = busy_world(rng)
    simulation = Simulation(world, 0.5, 0.5, inventory=CONTENTS)
    for control in random_controls(rng, 1500):
        simulation.health = 20.0
        events = simulation.tick(control)
        assert not physics.overlaps_solid(world.cells, *simulation.body[:3])
        assert simulation.body[physics.Y] >= 0
        for event in events:
            if event["type"] in ("mined", "placed"):
                assert event["block"] in BY_NAME and all(type(i) is int for i in event["position"])
