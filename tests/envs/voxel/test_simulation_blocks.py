import math

import pytest
from flat_world import GROUND, NOTHING, FlatWorld, look_down, put, run, simulate, ticks_to_mine, types

from worldmodel.envs.voxel import physics
from worldmodel.envs.voxel.blocks import AIR, BLOCKS, CODES, SOLID, Tool
from worldmodel.envs.voxel.controls import Controls
from worldmodel.envs.voxel.grid import HEIGHT
from worldmodel.envs.voxel.simulation import Simulation


@pytest.fixture
def world():
    return FlatWorld()


# Mining


@pytest.mark.parametrize(
    ("block", "tool", "ticks", "drop"),
    [  # seconds of minecraft.wiki, "Breaking", times 20
        ("dirt", None, 15, "dirt"),
        ("grass_block", None, 18, "dirt"),
        ("sand", None, 15, "sand"),
        ("gravel", None, 18, "gravel"),
        ("oak_log", None, 60, "oak_log"),
        ("oak_log", "stone_pickaxe", 60, "oak_log"),
        ("oak_planks", None, 60, "oak_planks"),
        ("crafting_table", None, 75, "crafting_table"),
        ("oak_leaves", None, 6, None),
        ("cactus", None, 12, "cactus"),
        ("stone", None, 150, None),
        ("stone", "wooden_pickaxe", 23, "cobblestone"),
        ("stone", "stone_pickaxe", 12, "cobblestone"),
        ("cobblestone", "wooden_pickaxe", 30, "cobblestone"),
        ("coal_ore", "wooden_pickaxe", 45, "coal"),
        ("coal_ore", None, 300, None),
        ("iron_ore", "wooden_pickaxe", 150, None),
        ("iron_ore", "stone_pickaxe", 23, "raw_iron"),
        ("diamond_ore", "stone_pickaxe", 23, "diamond"),
    ],
)
def test_mining_times_and_drops(world, block, tool, ticks, drop):
    simulation = simulate(world, facing=block, **({tool: 1} if tool else {}))
    taken, events = ticks_to_mine(simulation)
    assert taken == ticks
    expected = [{"type": "mined", "block": block, "position": [0, GROUND + 1, 2]}]
    if drop:
        expected.append({"type": "gained", "item": drop, "count": 1})
    assert events == expected
    assert simulation.inventory.as_dict() == ({tool: 1} if tool else {}) | ({drop: 1} if drop else {})
    assert world.block(0, GROUND + 1, 2) == AIR and simulation.mining_progress == 0


@pytest.mark.parametrize("block", [block.name for block in BLOCKS if block.hardness == math.inf and SOLID[block.code]])
def test_some_blocks_cannot_be_mined(world, block):
    simulation = simulate(world, facing=block, stone_pickaxe=1)
    assert run(simulation, 100, attack=True) == [] and simulation.mining_progress == 0


def test_plants_break_at_once_without_a_pause(world):
    put(world, "poppy", 0, GROUND, 2)
    put(world, "short_grass", 0, GROUND, 3)
    simulation = simulate(world)
    look_down(simulation, 27.0)
    first, second = simulation.tick(Controls(attack=True)), simulation.tick(Controls(attack=True))
    assert [event.get("block") or event["item"] for event in first + second] == ["poppy", "poppy", "short_grass"]


def test_pause_between_blocks(world):
    put(world, "dirt", 0, GROUND + 1, 3)
    simulation = simulate(world, facing="dirt")
    assert ticks_to_mine(simulation)[0] == 15
    assert ticks_to_mine(simulation)[0] == 5 + 15


def test_progress_is_lost_on_release_and_on_another_target(world):
    simulation = simulate(world, facing="dirt")
    run(simulation, 10, attack=True)
    assert simulation.mining_progress == pytest.approx(10 / 15)
    simulation.tick(NOTHING)
    assert simulation.mining_progress == 0
    run(simulation, 10, attack=True)
    run(simulation, 1, attack=True, camera_pitch=30.0)
    assert simulation.target.y == GROUND and simulation.mining_progress == pytest.approx(1 / 15)
    simulation.tick(Controls(attack=True, camera_pitch=-120.0))
    assert simulation.target is None and simulation.mining_progress == 0


def test_progress_is_lost_with_another_tool(world):
    simulation = simulate(world, facing="stone", wooden_pickaxe=1, stone_pickaxe=1)
    run(simulation, 10, attack=True)
    simulation.tick(Controls(attack=True, hotbar=1))
    assert simulation.mining_progress == pytest.approx(4 / 1.5 / 30)


def test_mining_is_slow_in_the_air_and_under_water(world):
    simulation = simulate(world, facing="dirt")
    put(world, "dirt", 0, GROUND + 2, 2)
    run(simulation, 1, jump=True, attack=True)
    assert simulation.mining_progress == pytest.approx(1 / 15 / 5)
    put(world, "water", range(-2, 3), range(GROUND, GROUND + 6), range(-2, 2))
    simulation = Simulation(world, 0.5, 0.5)
    simulation.body[physics.Y] = GROUND
    run(simulation, 20)
    run(simulation, 1, attack=True)
    assert simulation.mining_progress == pytest.approx(1 / 15 / 5)


def test_what_does_not_fit_into_the_inventory_is_lost(world):
    simulation = simulate(world, facing="dirt", sand=64 * 36)
    assert types(ticks_to_mine(simulation)[1]) == ["mined"]


def test_everything_with_a_drop_drops_for_the_best_tool(world):
    for block in BLOCKS:
        if block.drops and SOLID[block.code] and not block.falls:
            simulation = simulate(world, facing=block.name, **({"stone_pickaxe": 1} if block.needs > Tool.HAND else {}))
            assert ticks_to_mine(simulation)[1][1]["item"] == block.drops


def test_ice_melts_where_something_is_below(world):
    put(world, "water", 0, GROUND - 1, 0)
    put(world, "ice", 0, GROUND, 0)
    simulation = simulate(world)
    look_down(simulation)
    assert types(ticks_to_mine(simulation)[1]) == ["mined"]
    assert world.name(0, GROUND, 0) == "water"


# Placing


def test_placing_against_a_face_and_mining_it_again(world):
    simulation = simulate(world, facing="stone", dirt=2)
    assert run(simulation, 1, use=True) == [{"type": "placed", "block": "dirt", "position": [0, GROUND + 1, 1]}]
    assert world.name(0, GROUND + 1, 1) == "dirt" and simulation.inventory.as_dict() == {"dirt": 1}
    assert simulation.target.z == 1 and simulation.swing > 0
    assert ticks_to_mine(simulation)[0] == 15
    assert world.block(0, GROUND + 1, 1) == AIR and simulation.inventory.as_dict() == {"dirt": 2}


def test_holding_use_repeats_every_four_ticks_and_pressing_acts_at_once(world):
    simulation = simulate(world, facing="stone", dirt=9)
    put(world, "stone", 0, range(GROUND, GROUND + 2), 4)
    put(world, None, 0, range(GROUND, GROUND + 2), 2)
    placed = [types(run(simulation, 1, use=True)) for _ in range(5)]
    assert placed == [["placed"], [], [], [], ["placed"]]
    assert types(run(simulation, 1)) == []
    look_down(simulation, 50)
    assert types(run(simulation, 1, use=True)) == ["placed"]


def test_nothing_is_placed_into_the_body(world):
    simulation = simulate(world, dirt=1, torch=1)
    look_down(simulation)
    assert run(simulation, 1, use=True) == []
    run(simulation, 1)
    assert types(run(simulation, 1, use=True, hotbar=1)) == ["placed"]
    assert world.name(0, GROUND, 0) == "torch"


def test_pillar_up_by_jumping(world):
    simulation = simulate(world, dirt=64)
    look_down(simulation)
    run(simulation, 200, jump=True, use=True)
    assert simulation.body[physics.Y] > GROUND + 10
    assert world.name(0, GROUND + 9, 0) == "dirt"


@pytest.mark.parametrize("item", ["stick", "stone_pickaxe", "water"])
def test_some_things_cannot_be_placed(world, item):
    simulation = simulate(world, facing="stone", **{item: 1})
    assert run(simulation, 1, use=True) == [] and simulation.inventory.count(item) == 1


def test_an_empty_hand_and_the_sky_place_nothing(world):
    assert run(simulate(world, facing="stone"), 1, use=True) == []
    assert run(simulate(FlatWorld(), dirt=1), 1, use=True) == []


@pytest.mark.parametrize(("below", "works"), [("stone", True), ("oak_leaves", True), (None, False), ("torch", False)])
@pytest.mark.parametrize("item", ["torch", "dandelion"])
def test_torches_and_plants_need_a_floor(world, below, works, item):
    simulation = simulate(world, facing="stone", **{item: 1})
    if below:
        put(world, below, 0, GROUND, 1)
    assert (types(run(simulation, 1, use=True)) == ["placed"]) == works


@pytest.mark.parametrize(
    ("there", "item", "works"),
    [
        ("water", "dirt", True),
        ("water", "torch", False),
        ("short_grass", "dirt", True),
        ("dead_bush", "torch", True),
        ("poppy", "dirt", False),
    ],
)
def test_what_can_be_replaced(world, there, item, works):
    put(world, there, 0, GROUND, 2)
    simulation = simulate(world, **{item: 1})
    look_down(simulation, 38)
    run(simulation, 1, use=True)
    assert world.name(0, GROUND, 2) == (item if works else there)


def test_nothing_is_placed_above_the_world(world):
    put(world, "stone", 0, range(GROUND, HEIGHT), range(0, 3))
    simulation = simulate(world, dirt=1)
    assert simulation.body[physics.Y] == HEIGHT
    look_down(simulation, 50)
    assert simulation.target.y == HEIGHT - 1
    assert run(simulation, 1, use=True) == []


# What follows from changes


def test_sand_placed_in_the_air_falls_a_cell_a_tick(world):
    put(world, "stone", 0, range(GROUND + 1, GROUND + 5), 3)
    simulation = simulate(world, sand=1)
    look_down(simulation, -35)
    run(simulation, 1, use=True)
    heights = [y for y in range(GROUND, HEIGHT) if world.name(0, y, 2) == "sand"]
    assert len(heights) == 1 and heights[0] >= GROUND + 2
    for y in range(heights[0] - 1, GROUND - 1, -1):
        run(simulation, 1)
        assert [world.name(0, k, 2) for k in (y, y + 1)] == ["sand", None]
    run(simulation, 5)
    assert world.name(0, GROUND, 2) == "sand" and not simulation.updates.falling


def test_a_column_above_a_mined_block_follows_and_crushes_plants(world):
    put(world, "dirt", 0, GROUND + 1, 2)
    put(world, "gravel", 0, range(GROUND + 2, GROUND + 6), 2)
    put(world, "poppy", 0, GROUND, 2)
    simulation = simulate(world)
    events = ticks_to_mine(simulation)[1]
    assert types(events) == ["mined", "gained"]
    assert run(simulation, 15) == []
    assert [world.name(0, GROUND + y, 2) for y in range(5)] == ["gravel"] * 4 + [None]


def test_water_stays_where_sand_fell_through(world):
    put(world, "water", range(-3, 4), range(GROUND, GROUND + 6), range(1, 6))
    put(world, "dirt", 0, GROUND + 2, 3)
    put(world, "sand", 0, GROUND + 3, 3)
    simulation = simulate(world)
    simulation.updates.change(0, GROUND + 2, 3, CODES["water"])
    run(simulation, 10)
    assert [world.name(0, GROUND + y, 3) for y in range(6)] == ["sand"] + ["water"] * 5


def test_sand_waits_above_the_body(world):
    put(world, "stone", 0, GROUND + 2, 0)
    put(world, "sand", 0, GROUND + 3, 0)
    simulation = simulate(world)
    simulation.body[physics.Y] = GROUND
    look_down(simulation, -90)
    assert simulation.target.code == CODES["stone"]
    ticks_to_mine(simulation)
    run(simulation, 20)
    assert world.name(0, GROUND + 2, 0) == "sand" and world.name(0, GROUND + 1, 0) is None
    run(simulation, 1, jump=True)
    assert simulation.body[physics.Y] == pytest.approx(GROUND + 0.2)
    run(simulation, 20, back=True)
    assert world.name(0, GROUND, 0) == "sand"


@pytest.mark.parametrize(
    ("plant", "drop"), [("torch", "torch"), ("dandelion", "dandelion"), ("dead_bush", "stick"), ("short_grass", None)]
)
def test_what_stands_on_a_mined_block_breaks(world, plant, drop):
    put(world, plant, 0, GROUND + 2, 2)
    simulation = simulate(world, facing="dirt")
    items = [event["item"] for event in ticks_to_mine(simulation)[1] if event["type"] == "gained"]
    assert items == ["dirt"] + ([drop] if drop else [])
    assert world.block(0, GROUND + 2, 2) == AIR


def test_sand_in_the_air_stays_until_something_changes_there(world):
    put(world, "sand", 0, GROUND + 9, 5)
    simulation = simulate(world)
    run(simulation, 20)
    assert world.name(0, GROUND + 9, 5) == "sand"
