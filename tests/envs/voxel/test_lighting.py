"""Light and the measure of air, against computations from scratch that share no code with the library's."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worldmodel.envs.voxel.blocks import AIR, CODES, EMITS, FIRST_BLOCK, SHAPE, SOLID, Shape
from worldmodel.envs.voxel.grid import CHUNK, HEIGHT
from worldmodel.envs.voxel.lighting import MAX_LIGHT, MAX_RADIUS, OPAQUE
from worldmodel.envs.voxel.terrain import generate_chunk, surface_height
from worldmodel.envs.voxel.world import World

SEED = 11
STONE, TORCH, GOLD, WATER, GLASSY = (CODES[name] for name in ("stone", "torch", "gold_block", "water", "short_grass"))


def read(field, x0, x1, z0, z1):
    """(X, Z, HEIGHT) part of a field of the window."""
    xs, zs = np.arange(x0, x1) & 255, np.arange(z0, z1) & 255
    return field.reshape(256, 256, HEIGHT)[np.ix_(xs, zs)]


def generated_blocks(seed, edits, x0, x1, z0, z1):
    """(X, Z, HEIGHT) block codes from terrain and edits alone; bounds are multiples of a chunk."""
    codes = np.zeros((x1 - x0, z1 - z0, HEIGHT), np.uint8)
    out = np.empty(CHUNK * CHUNK * HEIGHT, np.uint8)
    for cx in range(x0 // CHUNK, x1 // CHUNK):
        for cz in range(z0 // CHUNK, z1 // CHUNK):
            generate_chunk(seed, cx, cz, out)
            i, k = cx * CHUNK - x0, cz * CHUNK - z0
            codes[i : i + CHUNK, k : k + CHUNK] = out.reshape(CHUNK, CHUNK, HEIGHT)
    for (x, y, z), code in edits.items():
        if x0 <= x < x1 and z0 <= z < z1:
            codes[x - x0, z - z0, y] = code
    return codes


def shifted(field, axis, step, fill):
    """`field` moved by one along an axis."""
    moved = np.full_like(field, fill)
    source, target = [slice(None)] * 3, [slice(None)] * 3
    source[axis], target[axis] = (slice(1, None), slice(None, -1)) if step > 0 else (slice(None, -1), slice(1, None))
    moved[tuple(target)] = field[tuple(source)]
    return moved


def expected_light(codes):
    """Light bytes by relaxation; exact `MAX_LIGHT` cells inside the edges along x and z."""
    solid, clear = SOLID[codes], ~SOLID[codes] & (SHAPE[codes] != Shape.LIQUID)
    open_sky = np.logical_and.accumulate(clear[:, :, ::-1], axis=2)[:, :, ::-1]
    kinds = []
    for source in (np.where(open_sky, MAX_LIGHT, 0), EMITS[codes].astype(int)):
        level = source.copy()
        for _ in range(MAX_LIGHT):
            best = source
            for axis in range(3):
                for step in (-1, 1):
                    best = np.maximum(best, shifted(level, axis, step, 0) - 1)
            level = np.where(solid, source, best)
        kinds.append(level)
    return np.where(solid, OPAQUE, kinds[0] << 4 | kinds[1]).astype(np.uint8)


def expected_air(codes):
    """(around, above) by growing the blocks a step at a time; exact `MAX_RADIUS` cells inside the edges."""
    measures = []
    for steps_down in ((-1, 1), (1,)):
        near = codes >= FIRST_BLOCK
        distance = np.where(near, 0, MAX_RADIUS)
        for radius in range(1, MAX_RADIUS):
            for axis in range(3):
                steps = steps_down if axis == 2 else (-1, 1)
                near = np.logical_or.reduce([near] + [shifted(near, axis, step, False) for step in steps])
            distance = np.where(near & (distance == MAX_RADIUS), radius, distance)
        measures.append(distance)
    return measures


def assert_exact(world, edits, x0, x1, z0, z1):
    """Blocks, light and air of an area (bounds multiples of a chunk) are what terrain and edits say."""
    margin = CHUNK
    codes = generated_blocks(world.seed, edits, x0 - margin, x1 + margin, z0 - margin, z1 + margin)
    inner = (slice(margin, -margin), slice(margin, -margin))
    cells, light = read(world.cells, x0, x1, z0, z1), read(world.light, x0, x1, z0, z1)
    np.testing.assert_array_equal(np.where(cells >= FIRST_BLOCK, cells, 0), codes[inner])
    np.testing.assert_array_equal(light, expected_light(codes)[inner])
    around, above = expected_air(codes)
    air = codes[inner] == AIR
    np.testing.assert_array_equal((cells[air] & 7) + 1, around[inner][air])
    np.testing.assert_array_equal((cells[air] >> 3) + 1, above[inner][air])


@pytest.fixture(scope="module")
def world():
    """A world around the origin; its edits are undone by every test."""
    world = World(SEED, 32)
    world.recentre(8.0, 8.0)
    return world


@pytest.fixture
def clean(world):
    yield world
    world.recentre(8.0, 8.0)
    world.set_state({"seed": SEED, "edits": np.empty((0, 4), np.int32)})


def edit(world, edits, changes):
    for x, y, z, code in changes:
        world.set_block(x, y, z, code)
        edits[x, y, z] = code
    world.refresh()


def sky(world, x, y, z):
    return int(read(world.light, x, x + 1, z, z + 1)[0, 0, y]) >> 4


def glow(world, x, y, z):
    return int(read(world.light, x, x + 1, z, z + 1)[0, 0, y]) & 15


def test_terrain_is_exact_after_loading(world):
    assert_exact(world, {}, -32, 48, -32, 48)


def changes_near(border):
    """Sequences of edits around a corner where four chunks meet."""
    cells = st.tuples(
        st.integers(border - 6, border + 6), st.integers(1, HEIGHT - 1), st.integers(border - 6, border + 6)
    )
    codes = st.sampled_from((AIR, AIR, STONE, STONE, TORCH, GOLD, WATER, GLASSY))
    return st.lists(st.tuples(cells, codes), min_size=1, max_size=25)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(changes_near(16), min_size=1, max_size=3))
def test_edits_keep_light_and_air_exact(clean, batches):
    clean.set_state({"seed": SEED, "edits": np.empty((0, 4), np.int32)})
    edits = {}
    for batch in batches:
        edit(clean, edits, [(*cell, code) for cell, code in batch])
    assert_exact(clean, edits, 0, 32, 0, 32)


@pytest.mark.parametrize("seed", range(4))
def test_digging_roofs_and_lamps_keep_light_and_air_exact(clean, seed):
    """Edits as a player makes them: shafts and tunnels down from the surface, roofs, lamps in all of them."""
    generator = np.random.default_rng(seed)
    edits = {}
    for _ in range(6):
        x, z = generator.integers(2, 30, 2).tolist()
        top = int(surface_height(SEED, x, z))
        shaft = [(x, y, z, AIR) for y in range(top, max(top - 9, 1), -1)]
        tunnel = [(x + i, max(top - 8, 1), z, AIR) for i in range(-6, 7)]
        roof = [(x + i, min(top + 5, 62), z + k, STONE) for i in range(-3, 4) for k in range(-3, 4)]
        lamps = [(x + 4, max(top - 8, 1), z, TORCH), (x - 5, max(top - 8, 1), z, GOLD)]
        parts = [shaft, tunnel, roof, lamps]
        for part in generator.permutation(4):
            edit(clean, edits, parts[part])
        edit(clean, edits, [(x, min(top + 5, 62), z, AIR), (x + 4, max(top - 8, 1), z, AIR)])
    assert_exact(clean, edits, -16, 48, -16, 48)


def test_walking_away_and_back_keeps_everything_exact(clean):
    edits = {}
    edit(clean, edits, [(15, 30, 15, TORCH), (16, 31, 16, GOLD)] + [(x, 40, 16, STONE) for x in range(8, 24)])
    # Diagonal steps over two chunk borders at once, a far jump, and a return by another way.
    for x, z in ((40, 40), (72, 70), (130, 120), (1000, -900), (100, 8), (60, -20), (8, 8)):
        clean.recentre(x, z)
        cx, cz = x // CHUNK * CHUNK, z // CHUNK * CHUNK
        assert_exact(clean, edits, cx - 32, cx + 48, cz - 32, cz + 48)


def test_every_way_of_loading_gives_the_same_light():
    """Jumps of a few chunks, so that old and new chunks meet along corners."""
    generator = np.random.default_rng(5)
    world = World(SEED, 16)
    x, z = 0, 0
    for _ in range(12):
        x, z = x + int(generator.integers(-70, 71)), z + int(generator.integers(-70, 71))
        world.recentre(x, z)
        cx, cz = x // CHUNK * CHUNK, z // CHUNK * CHUNK
        assert_exact(world, {}, cx - 16, cx + 32, cz - 16, cz + 32)


def test_states_keep_everything_exact(clean):
    edits = {}
    edit(clean, edits, [(15, 25, 8, GOLD), (16, 25, 8, AIR), (17, 26, 9, TORCH), (8, 50, 8, STONE)])
    before = clean.get_state()
    later = dict(edits)
    edit(clean, later, [(15, 25, 8, AIR), (31, 30, 31, GOLD), (8, 50, 8, AIR), (9, 50, 8, STONE)])
    clean.set_state(before)
    assert_exact(clean, edits, -16, 48, -16, 48)


def test_state_that_removes_a_lamp_of_a_forgotten_chunk(clean):
    """The lamp's own chunk is forgotten, a neighbour that it shines into is not, when the state is set."""
    before = clean.get_state()
    edit(clean, {}, [(0, 50, 8, GOLD)])
    assert glow(clean, -1, 50, 8) == 14
    for distance in range(1, 9):
        clean.recentre(-CHUNK * distance + 8, 8)
    clean.set_state(before)
    clean.recentre(8, 8)
    assert_exact(clean, {}, -32, 48, -32, 48)


@pytest.fixture(scope="module")
def room():
    """A world with a sealed room of air under ground, 31 x 5 x 31 cells, floor at y = 4, around its centre (8, 8)."""
    world = World(SEED, 32)
    world.recentre(8.0, 8.0)
    for x in range(-9, 26):
        for z in range(-9, 26):
            for y in range(1, 12):
                inside = -8 < x < 24 and -8 < z < 24 and 4 < y < 10
                world.set_block(x, y, z, AIR if inside else STONE)
    world.refresh()
    return world


def test_a_sealed_room_is_dark(room):
    light = read(room.light, -7, 24, -7, 24)[:, :, 5:10]
    assert light.size and (light == 0).all()


def test_torch_light_falls_by_one_a_cell_and_goes_out_with_the_torch(room):
    room.set_block(8, 5, 8, TORCH)
    room.refresh()
    assert [glow(room, 8 + d, 5, 8) for d in range(16)] == [14 - d for d in range(15)] + [0]
    assert glow(room, 8 + 3, 5 + 2, 8 - 4) == 14 - 9
    room.set_block(9, 5, 8, STONE)
    room.refresh()
    assert glow(room, 10, 5, 8) == 14 - 4, "light goes round a corner"
    assert read(room.light, 9, 10, 8, 9)[0, 0, 5] == OPAQUE
    room.set_block(9, 5, 8, AIR)
    room.set_block(8, 5, 8, AIR)
    room.refresh()
    assert (read(room.light, -7, 24, -7, 24)[:, :, 5:10] == 0).all()


def test_a_shining_solid_block_lights_its_neighbours(room):
    room.set_block(8, 5, 8, GOLD)
    room.refresh()
    assert read(room.light, 8, 9, 8, 9)[0, 0, 5] == OPAQUE
    assert [glow(room, 8, 5, 8 + d) for d in range(1, 16)] == [15 - d for d in range(1, 16)]
    room.set_block(8, 5, 8, AIR)
    room.refresh()


def test_sky_light_falls_straight_and_spreads(room):
    for y in range(10, HEIGHT):
        room.set_block(8, y, 8, AIR)
    room.refresh()
    assert [sky(room, 8, y, 8) for y in (63, 30, 11, 9, 5)] == [15] * 5
    assert [sky(room, 8 + d, 5, 8) for d in (1, 2, 5, 14, 15)] == [14, 13, 10, 1, 0]
    room.set_block(8, 10, 8, WATER)
    room.refresh()
    assert [sky(room, 8, y, 8) for y in (11, 10, 9, 8)] == [15, 14, 13, 12], "water lets light through, but dims it"
    room.set_block(8, 10, 8, AIR)
    room.set_block(8, 40, 8, GLASSY)
    room.refresh()
    assert sky(room, 8, 5, 8) == 15, "plants do not dim the sky"
    room.set_block(8, 40, 8, STONE)
    room.refresh()
    assert sky(room, 8, 5, 8) == 0


def test_no_cell_that_lets_light_through_is_marked_opaque(world):
    open_cells = ~SOLID[read(world.cells, -32, 48, -32, 48)]
    light = read(world.light, -32, 48, -32, 48)
    assert (light[open_cells] != OPAQUE).all() and (light[~open_cells] == OPAQUE).all()
