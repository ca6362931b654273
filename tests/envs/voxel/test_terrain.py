from functools import lru_cache

import numpy as np
import pytest

from worldmodel.envs.voxel.blocks import BY_CODE, CODES, LOGS, SOLID
from worldmodel.envs.voxel.grid import CHUNK, HEIGHT, SEA_LEVEL
from worldmodel.envs.voxel.terrain import BIOMES, biome_at, find_spawn, generate_chunk, surface_height

SEEDS = (0, 7, 123456789)
LEAVES = [CODES[f"{wood}_leaves"] for wood in ("oak", "birch", "spruce")]
GROUND = [
    CODES[name]
    for name in (
        "stone dirt grass_block sand sandstone gravel snowy_grass_block snow_block "
        "coal_ore iron_ore diamond_ore bedrock"
    ).split()
]


def chunk(seed: int, cx: int, cz: int) -> np.ndarray:
    """Returns a chunk as (x, z, y), poisoned beforehand: whatever is not written shows."""
    out = np.full(CHUNK * CHUNK * HEIGHT, 255, np.uint8)
    generate_chunk(seed, cx, cz, out)
    return out.reshape(CHUNK, CHUNK, HEIGHT)


@lru_cache(maxsize=16)
def area(seed: int, cx: int = -6, cz: int = -6, chunks: int = 12) -> np.ndarray:
    """Returns a square of chunks as one (x, z, y) array."""
    rows = [np.concatenate([chunk(seed, cx + i, cz + k) for k in range(chunks)], 1) for i in range(chunks)]
    whole = np.concatenate(rows, 0)
    whole.flags.writeable = False
    return whole


def spawn_area(seed: int, biome: str, chunks: int = 6) -> np.ndarray:
    x, z = find_spawn(seed, biome)
    return area(seed, x // CHUNK - chunks // 2, z // CHUNK - chunks // 2, chunks)


def column(seed: int, x: int, z: int) -> np.ndarray:
    return chunk(seed, x // CHUNK, z // CHUNK)[x % CHUNK, z % CHUNK]


def test_a_chunk_depends_on_nothing_but_seed_and_place():
    places = [(0, 0), (-1, 0), (0, -1), (-1, -1), (3, -7), (1000, 2000)]
    first = {place: chunk(7, *place) for place in places}
    for place in reversed(places):
        chunk(8, *place)
        np.testing.assert_array_equal(chunk(7, *place), first[place])
    assert not np.array_equal(chunk(8, 0, 0), first[0, 0])


@pytest.mark.parametrize("seed", SEEDS)
def test_every_cell_is_air_or_a_block_and_bedrock_is_the_floor(seed):
    world = area(seed)
    assert set(np.unique(world)) <= {0, *BY_CODE}
    assert np.all(world[:, :, 0] == CODES["bedrock"])
    assert not np.any(world[:, :, 1:] == CODES["bedrock"])
    assert not np.any(world[:, :, HEIGHT - 1])


@pytest.mark.parametrize("seed", SEEDS)
def test_surface_height_is_the_topmost_ground(seed):
    world = area(seed)
    tops = HEIGHT - 1 - np.isin(world, GROUND)[:, :, ::-1].argmax(2)
    for x in range(0, 192, 3):
        for z in range(0, 192, 3):
            assert surface_height(seed, x - 96, z - 96) == tops[x, z]


def test_ground_is_continuous_across_chunk_borders_and_biomes():
    heights = np.array([[surface_height(7, x, z) for z in range(-96, 96)] for x in range(-96, 96)])
    for steps in (np.abs(np.diff(heights, axis=0)), np.abs(np.diff(heights, axis=1)).T):
        borders = steps[CHUNK - 1 :: CHUNK]
        assert abs(borders.mean() - steps.mean()) < 0.05
        assert np.mean(steps <= 1) > 0.97


def test_plains_can_be_walked():
    steps = []
    for seed in range(6):
        x0, z0 = find_spawn(seed, "plains")
        steps += [
            abs(surface_height(seed, x + 1, z) - surface_height(seed, x, z))
            for x in range(x0 - 24, x0 + 24)
            for z in range(z0 - 24, z0 + 24)
            if biome_at(seed, x, z) == BIOMES.index("plains")
        ]
    assert np.mean(np.array(steps) <= 1) > 0.98
    assert np.mean(np.array(steps) == 0) > 0.8


def test_a_walker_meets_every_biome_and_water():
    places = [(x, z) for x in range(-600, 600, 20) for z in range(-600, 600, 20)]
    for seed in SEEDS:
        shares = np.bincount([biome_at(seed, x, z) for x, z in places], minlength=len(BIOMES)) / len(places)
        assert len(shares) == len(BIOMES)
        assert shares.min() > 0.05
        water = np.mean([surface_height(seed, x, z) < SEA_LEVEL for x, z in places])
        assert 0.03 < water < 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_water_fills_the_hollows_and_never_borders_a_cave(seed):
    for world in (area(seed), spawn_area(seed, "snow")):
        water = np.isin(world, [CODES["water"], CODES["ice"]])
        assert not np.any(water[:, :, SEA_LEVEL + 1 :])
        air = world == 0
        assert not np.any(water[:, :, 1:] & air[:, :, :-1]), "water hangs over air"
        for axis in (0, 1):
            for shifted in (np.roll(air, 1, axis), np.roll(air, -1, axis)):
                inside = (water & shifted)[1:-1, 1:-1]
                assert not np.any(inside), "water leans on air"


def test_ice_covers_the_lakes_of_the_snow():
    ice = water = 0
    for seed in range(8):
        world = spawn_area(seed, "snow", 8)
        ice += np.sum(world == CODES["ice"])
        water += np.sum(world == CODES["water"])
        assert not np.any(world[:, :, :SEA_LEVEL] == CODES["ice"])
    assert ice > 0 and water > 0


def test_ores_lie_in_their_layers_and_show_in_caves():
    ores = {"coal_ore": 50, "iron_ore": 35, "diamond_ore": 14}
    world = area(7)
    air = world == 0
    beside_air = np.zeros_like(air)
    for axis in range(3):
        for shift in (1, -1):
            beside_air |= np.roll(air, shift, axis)
    amounts = []
    for name, limit in ores.items():
        here = world == CODES[name]
        assert not np.any(here[:, :, limit:])
        assert np.any((here & beside_air)[1:-1, 1:-1])
        amounts.append(here.sum())
    assert amounts == sorted(amounts, reverse=True)


def test_caves_exist_and_some_open_to_the_sky():
    world = area(7)
    heights = HEIGHT - 1 - np.isin(world, GROUND)[:, :, ::-1].argmax(2)
    below = np.arange(HEIGHT) < heights[:, :, None]
    assert 0.02 < np.mean(world[below] == 0) < 0.2
    under_sky = np.logical_and.accumulate((world == 0)[:, :, ::-1], axis=2)[:, :, ::-1]
    hidden = (world == 0) & ~under_sky
    opens = [hidden & np.roll(under_sky, shift, axis) for axis in (0, 1) for shift in (1, -1)]
    assert any(np.any(cells[1:-1, 1:-1]) for cells in opens)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_falls_hangs_in_the_air(seed):
    world = spawn_area(seed, "desert")
    falls = np.isin(world, [code for code, block in BY_CODE.items() if block.falls])
    assert not np.any(falls[:, :, 1:] & (world[:, :, :-1] == 0))


def test_trees_are_complete_across_chunk_borders():
    world = area(7)
    logs, leaves = np.isin(world, LOGS), np.isin(world, LEAVES)
    trunks = np.argwhere(logs[:, :, 1:] & ~logs[:, :, :-1]) + (0, 0, 1)
    crossing = 0
    for x, z, y in trunks:
        if not (3 <= x < world.shape[0] - 3 and 3 <= z < world.shape[1] - 3):
            continue
        assert world[x, z, y - 1] in (CODES["grass_block"], CODES["snowy_grass_block"])
        trunk = int(np.argmin(logs[x, z, y:]))
        assert 4 <= trunk <= 8
        cross = [(x + 1, z), (x - 1, z), (x, z + 1), (x, z - 1)]
        for i, k in cross:
            high = y + trunk - 1
            assert logs[i, k, high] or leaves[i, k, high] or SOLID[world[i, k, high]]
        crossing += x % CHUNK in (0, CHUNK - 1) or z % CHUNK in (0, CHUNK - 1)
    assert crossing >= 10
    assert np.all(np.any(logs[2:-2, 2:-2], 2) <= np.any(leaves[2:-2, 2:-2], 2)), "every trunk has leaves above it"


def test_leaves_never_float_without_a_trunk_near():
    world = area(7)
    trunk_columns = np.any(np.isin(world, LOGS), axis=2)
    for x, z in np.argwhere(np.isin(world, LEAVES).any(2)):
        if 2 <= x < world.shape[0] - 2 and 2 <= z < world.shape[1] - 2:
            assert trunk_columns[x - 2 : x + 3, z - 2 : z + 3].any()


@pytest.mark.parametrize(
    ("biome", "expected"),
    [
        ("plains", ["grass_block", "short_grass"]),
        ("forest", ["oak_log", "birch_log", "oak_leaves", "birch_leaves"]),
        ("desert", ["sand", "sandstone", "cactus", "dead_bush"]),
        ("snow", ["snowy_grass_block", "spruce_log", "spruce_leaves"]),
        ("mountains", ["stone"]),
    ],
)
def test_each_biome_has_its_own_things(biome, expected):
    found = set()
    for seed in SEEDS:
        found |= set(np.unique(spawn_area(seed, biome)))
    assert {CODES[name] for name in expected} <= found


def test_plants_stand_on_soil_and_are_sparse():
    world = area(7)
    soil = {
        "short_grass": ["grass_block"],
        "dandelion": ["grass_block"],
        "poppy": ["grass_block"],
        "dead_bush": ["sand", "sandstone"],
    }
    for name, grounds in soil.items():
        for x, z, y in np.argwhere(world == CODES[name]):
            assert world[x, z, y - 1] in [CODES[ground] for ground in grounds]
    plants = np.isin(world, [CODES[name] for name in ("short_grass", "dandelion", "poppy")]).sum()
    assert 0.01 < plants / np.sum(world == CODES["grass_block"]) < 0.1


def test_cacti_touch_nothing_on_their_sides():
    found = 0
    for seed in range(6):
        world = spawn_area(seed, "desert")
        for x, z, y in np.argwhere(world == CODES["cactus"]):
            if 1 <= x < world.shape[0] - 1 and 1 <= z < world.shape[1] - 1:
                assert not any(SOLID[world[i, k, y]] for i, k in ((x - 1, z), (x + 1, z), (x, z - 1), (x, z + 1)))
                found += 1
    assert found > 10


@pytest.mark.parametrize("biome", [None, *BIOMES])
def test_find_spawn_gives_open_dry_land(biome):
    places = set()
    for seed in range(25):
        x, z = find_spawn(seed, biome)
        assert find_spawn(seed, biome) == (x, z)
        places.add((x, z))
        if biome is not None:
            assert BIOMES[biome_at(seed, x, z)] == biome
        height = surface_height(seed, x, z)
        here = column(seed, x, z)
        assert height > SEA_LEVEL
        assert SOLID[here[height]]
        assert not SOLID[here[height + 1 :]].any()
        for i in (-1, 0, 1):
            for k in (-1, 0, 1):
                assert CODES["cactus"] not in column(seed, x + i, z + k)
    assert len(places) > 20


def test_find_spawn_names_the_biomes_there_are():
    with pytest.raises(ValueError, match="biome: expected one of .*'ocean'"):
        find_spawn(0, "ocean")


@pytest.mark.parametrize(("cx", "cz"), [(-62500, 62500), (62499, -62501), (2**26, -(2**26))])
def test_far_away_is_like_here(cx, cz):
    world = area(7, cx, cz, 8)
    assert set(np.unique(world)) <= {0, *BY_CODE}
    assert np.all(world[:, :, 0] == CODES["bedrock"])
    heights = np.array([[surface_height(7, 16 * cx + x, 16 * cz + z) for z in range(128)] for x in range(128)])
    tops = HEIGHT - 1 - np.isin(world, GROUND)[:, :, ::-1].argmax(2)
    np.testing.assert_array_equal(heights, tops)
    assert np.mean(np.abs(np.diff(heights, axis=0)) <= 1) > 0.95
    assert len(np.unique(heights)) > 3


def test_large_and_negative_seeds_work():
    worlds = [chunk(seed, 0, 0) for seed in (-1, -(2**40), 2**31, 2**62)]
    assert len({world.tobytes() for world in worlds}) == len(worlds)
