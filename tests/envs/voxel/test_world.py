"""The loaded window: what can be seen or touched depends on the seed and the edits alone."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worldmodel.envs.voxel.blocks import AIR, CODES, FIRST_BLOCK, FIRST_ITEM
from worldmodel.envs.voxel.grid import CHUNK, HEIGHT
from worldmodel.envs.voxel.terrain import generate_chunk
from worldmodel.envs.voxel.world import MAX_VIEW_DISTANCE, MIN_VIEW_DISTANCE, World

SEED = 2024
STONE, TORCH, GOLD = CODES["stone"], CODES["torch"], CODES["gold_block"]
NO_EDITS = {"seed": SEED, "edits": np.empty((0, 4), np.int32)}


def window(field, x, z, radius):
    """(2 radius + 1, 2 radius + 1, HEIGHT) part of a field around a column."""
    span = np.arange(-radius, radius + 1)
    return field.reshape(256, 256, HEIGHT)[np.ix_((x + span) & 255, (z + span) & 255)]


def assert_like_fresh(world, x, z):
    """The world around its centre is what a new world with the same edits loads there at once."""
    fresh = World(world.seed, world.view_distance)
    fresh.set_state(world.get_state())
    fresh.recentre(x, z)
    for name in ("cells", "light"):
        seen = (window(getattr(w, name), x, z, world.view_distance) for w in (world, fresh))
        np.testing.assert_array_equal(*seen, err_msg=name)


@pytest.fixture(scope="module")
def shared():
    return World(SEED, 32)


@pytest.fixture
def world(shared):
    """A world of terrain alone around the origin."""
    shared.set_state(NO_EDITS)
    shared.recentre(0.0, 0.0)
    return shared


def test_holds_the_generated_terrain(world):
    out = np.empty(CHUNK * CHUNK * HEIGHT, np.uint8)
    generator = np.random.default_rng(0)
    for cx, cz in ((0, 0), (-1, -1), (2, -2)):
        generate_chunk(SEED, cx, cz, out)
        for i, k, y in generator.integers(0, (16, 16, 64), (50, 3)).tolist():
            assert world.block(16 * cx + i, y, 16 * cz + k) == out[i << 10 | k << 6 | y]


def test_seeds_make_different_worlds(world):
    other = World(SEED + 1, 32)
    other.recentre(0.0, 0.0)
    assert (window(other.cells, 0, 0, 32) != window(world.cells, 0, 0, 32)).mean() > 0.05


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.lists(st.tuples(st.integers(-150, 150), st.integers(-150, 150)), min_size=1, max_size=4))
def test_is_the_same_whichever_way_it_was_loaded(world, path):
    for x, z in path:
        world.recentre(x, z)
    assert_like_fresh(world, x, z)


@pytest.mark.parametrize("seed", range(3))
def test_walking_and_building_gives_what_a_fresh_world_loads(world, seed):
    """A walk with edits around the walker, over chunk borders in all directions, away and back."""
    generator = np.random.default_rng(seed)
    x, z = 0, 0
    for _ in range(40):
        x, z = x + int(generator.integers(-9, 10)), z + int(generator.integers(-9, 10))
        world.recentre(x, z)
        for _ in range(4):
            i, j, k = generator.integers((-5, 1, -5), (6, HEIGHT, 6)).tolist()
            world.set_block(x + i, j, z + k, int(generator.choice([AIR, AIR, STONE, TORCH, GOLD])))
        if generator.random() < 0.5:
            world.refresh()
    world.refresh()
    assert_like_fresh(world, x, z)
    world.recentre(x + 400, z - 300)
    assert_like_fresh(world, x + 400, z - 300)
    world.recentre(x, z)
    assert_like_fresh(world, x, z)


def test_edits_stay_after_leaving_far_away(world):
    edits = {(3, 40, -5): STONE, (-17, 20, 16): AIR, (0, 63, 0): GOLD, (15, 1, 15): TORCH}
    for (x, y, z), code in edits.items():
        world.set_block(x, y, z, code)
    world.recentre(5000, -5000)
    world.recentre(0, 0)
    assert {cell: world.block(*cell) for cell in edits} == edits


def test_edits_do_not_show_where_the_torus_wraps(world):
    world.set_block(0, 50, 0, GOLD)
    world.recentre(256, 0)
    assert world.block(256, 50, 0) == AIR
    assert_like_fresh(world, 256, 0)


def test_state_round_trip_with_removal_of_edits(world):
    empty = world.get_state()
    assert empty["seed"] == SEED and empty["edits"].shape == (0, 4)
    world.set_block(1, 45, 1, STONE)
    world.set_block(-1, 30, -40, TORCH)
    one = world.get_state()
    assert one["edits"].tolist() == [[-1, 30, -40, TORCH], [1, 45, 1, STONE]] and one["edits"].dtype == np.int32
    world.set_block(1, 45, 1, AIR)
    world.set_block(2, 45, 1, GOLD)
    world.refresh()

    world.set_state(one)
    assert world.block(1, 45, 1) == STONE and world.block(2, 45, 1) == AIR
    assert_like_fresh(world, 0, 0)
    np.testing.assert_array_equal(world.get_state()["edits"], one["edits"])

    world.set_state(empty)
    assert world.block(1, 45, 1) == AIR and world.get_state()["edits"].shape == (0, 4)
    assert_like_fresh(world, 0, 0)


def test_state_is_a_copy(world):
    world.set_block(1, 45, 1, STONE)
    state = world.get_state()
    world.set_block(1, 46, 1, STONE)
    assert len(state["edits"]) == 1
    world.set_state(state)
    state["edits"][:] = 0
    world.set_block(1, 47, 1, STONE)
    assert world.get_state()["edits"].tolist() == [[1, 45, 1, STONE], [1, 47, 1, STONE]]


def test_state_of_another_seed(world):
    other = World(SEED + 7, 32)
    other.recentre(0, 0)
    other.set_block(0, 50, 0, TORCH)
    world.set_state(other.get_state())
    world.recentre(0, 0)
    assert world.seed == SEED + 7 and world.block(0, 50, 0) == TORCH
    assert_like_fresh(world, 0, 0)


def test_unrefreshed_edits_do_not_spoil_a_state(world):
    state = world.get_state()
    world.set_block(4, 50, 4, GOLD)
    world.set_state(state)
    world.refresh()
    assert_like_fresh(world, 0, 0)


def test_blocks_outside_the_height_are_air_and_air_is_never_a_measure(world):
    assert world.block(0, -1, 0) == AIR and world.block(0, HEIGHT, 0) == AIR
    assert world.block(0, 0, 0) == CODES["bedrock"]
    column = {world.block(0, y, 0) for y in range(HEIGHT)}
    assert all(code == AIR or code >= FIRST_BLOCK for code in column)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0, -1, 0, STONE), "y"),
        ((0, HEIGHT, 0, STONE), "y"),
        ((400, 5, 0, STONE), "x, z"),
        ((0, 5, -400, STONE), "x, z"),
        ((0, 5, 0, FIRST_BLOCK - 1), "code"),
        ((0, 5, 0, 255), "code"),
        ((0, 5, 0, FIRST_ITEM), "code"),
    ],
)
def test_set_block_explains_what_is_wrong_and_changes_nothing(world, arguments, name):
    before = world.cells.copy()
    with pytest.raises(ValueError, match=f"^{name}: expected|^{name}: cell"):
        world.set_block(*arguments)
    np.testing.assert_array_equal(world.cells, before)
    assert len(world.get_state()["edits"]) == 0


@pytest.mark.parametrize("distance", [MIN_VIEW_DISTANCE - 1, MAX_VIEW_DISTANCE + 1, 0, -64])
def test_view_distance_is_checked(distance):
    with pytest.raises(ValueError, match="^view_distance: expected 16 to 96"):
        World(SEED, distance)


@pytest.mark.parametrize("distance", [MIN_VIEW_DISTANCE, 50, MAX_VIEW_DISTANCE])
def test_everything_within_the_view_distance_is_loaded(distance):
    world = World(SEED, distance)
    for x, z in ((7, 9), (15, 0)):
        world.recentre(x, z)
        assert (window(world.cells, x, z, distance)[:, :, 0] == CODES["bedrock"]).all()
        assert_like_fresh(world, x, z)
