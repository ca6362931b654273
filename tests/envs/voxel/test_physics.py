import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldmodel.envs.voxel import physics
from worldmodel.envs.voxel.blocks import CODES
from worldmodel.envs.voxel.grid import HEIGHT, NUM_CELLS, WINDOW, cell_index
from worldmodel.envs.voxel.physics import (
    BODY_HEIGHT,
    EYE_IN_WATER,
    FALL,
    HALF_WIDTH,
    IN_WATER,
    LANDED,
    ON_GROUND,
    PITCH,
    SPRINTING,
    TOUCHES_CACTUS,
    VX,
    VY,
    VZ,
    YAW,
    X,
    Y,
    Z,
    new_body,
    overlaps_solid,
    step_body,
)

GROUND = 20
ROUNDING = 1e-9
STONE = CODES["stone"]


@pytest.fixture
def cells():
    """A flat world: the topmost solid layer is GROUND - 1."""
    cells = np.zeros((WINDOW, WINDOW, HEIGHT), np.uint8)
    cells[:, :, :GROUND] = STONE
    return cells.reshape(-1)


def put(cells, name, x, y, z):
    """Fills a cell, or a box of cells where coordinates are ranges."""
    for i in x if isinstance(x, range) else [x]:
        for j in y if isinstance(y, range) else [y]:
            for k in z if isinstance(z, range) else [z]:
                cells[cell_index(i, j, k)] = CODES[name] if name else 0


def walk(cells, body, ticks, forward=0.0, strafe=0.0, jump=False, sneak=False, sprint=False):
    """Steps and returns the body after each tick, (ticks, BODY_SIZE)."""
    history = []
    for _ in range(ticks):
        step_body(cells, body, forward, strafe, jump, sneak, sprint)
        history.append(body.copy())
    return np.array(history)


@pytest.mark.parametrize(
    ("keys", "metres_per_second"),
    [
        ({"forward": 1.0}, 4.317),
        ({"forward": -1.0}, -4.317),
        ({"forward": 1.0, "sprint": True}, 5.612),
        ({"forward": 1.0, "sneak": True}, 1.295),
        ({"forward": -1.0, "sprint": True}, -4.317),
    ],
)
def test_speed_on_the_ground(cells, keys, metres_per_second):
    history = walk(cells, new_body(0.5, GROUND, 0.5), 60, **keys)
    assert history[-1, Z] - history[-21, Z] == pytest.approx(metres_per_second, rel=0.01)
    assert history[-1, X] == pytest.approx(0.5, abs=1e-9)
    assert (history[:, Y] == GROUND).all()


@pytest.mark.parametrize(
    ("yaw", "keys", "direction"),
    [
        (0, {"forward": 1.0}, (0, 1)),
        (90, {"forward": 1.0}, (-1, 0)),
        (-90, {"forward": 1.0}, (1, 0)),
        (-180, {"forward": 1.0}, (0, -1)),
        (0, {"strafe": 1.0}, (1, 0)),
        (90, {"strafe": -1.0}, (0, -1)),
    ],
)
def test_direction_follows_yaw(cells, yaw, keys, direction):
    body = new_body(0.5, GROUND, 0.5, yaw=yaw)
    walk(cells, body, 40, **keys)
    moved = np.array([body[X] - 0.5, body[Z] - 0.5])
    assert moved / np.linalg.norm(moved) == pytest.approx(direction, abs=1e-6)


def test_diagonal_is_hardly_faster_than_straight(cells):
    history = walk(cells, new_body(0.5, GROUND, 0.5), 60, forward=1.0, strafe=1.0)
    assert np.linalg.norm(history[-1, [X, Z]] - history[-21, [X, Z]]) == pytest.approx(4.317 / 0.98, rel=0.01)


def test_sprint_lasts_until_forward_is_released(cells):
    body = new_body(0.5, GROUND, 0.5)
    assert walk(cells, body, 1, forward=1.0, sprint=True)[-1, SPRINTING]
    assert walk(cells, body, 5, forward=1.0)[:, SPRINTING].all()
    assert not walk(cells, body, 1)[-1, SPRINTING]
    assert not walk(cells, body, 1, forward=1.0)[-1, SPRINTING]
    assert not walk(cells, body, 1, strafe=1.0, sprint=True)[-1, SPRINTING]
    assert not walk(cells, body, 1, forward=1.0, sneak=True, sprint=True)[-1, SPRINTING]


def test_sprint_stops_at_a_wall(cells):
    put(cells, "stone", 0, range(GROUND, GROUND + 3), 4)
    history = walk(cells, new_body(0.5, GROUND, 0.5), 40, forward=1.0, sprint=True)
    assert history[5, SPRINTING] and not history[-1, SPRINTING]


def test_jump_is_minecrafts(cells):
    body = new_body(0.5, GROUND, 0.5)
    walk(cells, body, 1)
    heights = walk(cells, body, 12, jump=True)[:, Y] - GROUND
    assert heights[:6] == pytest.approx([0.42, 0.7532, 1.0013, 1.1661, 1.2492, 1.2522], abs=1e-4)
    assert heights[11] == 0


@pytest.mark.parametrize(("blocks", "reached"), [(1, True), (2, False)])
def test_jump_clears_one_block_but_not_two(cells, blocks, reached):
    put(cells, "stone", range(-3, 4), range(GROUND, GROUND + blocks), range(3, 200))
    body = new_body(0.5, GROUND, 0.5)
    history = walk(cells, body, 100, forward=1.0, jump=True, sprint=True)
    assert (body[Z] > 4) == reached
    assert history[:, Y].max() < GROUND + (1.26 if not reached else blocks + 1.26)


def test_ceiling_stops_a_jump(cells):
    put(cells, "stone", 0, GROUND + 2, 0)
    history = walk(cells, new_body(0.5, GROUND, 0.5), 60, jump=True)
    assert history[:, Y].max() == GROUND + 2 - BODY_HEIGHT
    assert (history[:, Y] >= GROUND).all()


@pytest.mark.parametrize("yaw", range(-180, 180, 15))
def test_pushing_into_a_corner_never_creeps(cells, yaw):
    for side in (-1, 1):
        put(cells, "stone", 2 * side, range(GROUND, GROUND + 3), range(-3, 4))
        put(cells, "stone", range(-3, 4), range(GROUND, GROUND + 3), 2 * side)
    body = new_body(0.5, GROUND, 0.5, yaw=yaw)
    history = walk(cells, body, 200, forward=1.0, jump=True, sprint=True)
    assert history[:, [X, Z]].min() >= -1 + HALF_WIDTH
    assert history[:, [X, Z]].max() <= 2 - HALF_WIDTH
    assert (history[-1, [X, Z]] == history[150, [X, Z]]).all()


def test_a_gap_as_wide_as_a_cell_lets_the_body_through(cells):
    put(cells, "stone", range(-3, 4), range(GROUND, GROUND + 3), 3)
    put(cells, None, 0, range(GROUND, GROUND + 2), 3)
    body = new_body(0.5, GROUND, 0.5)
    walk(cells, body, 40, forward=1.0)
    assert body[Z] > 5


@pytest.mark.parametrize("yaw", [0, 37, 90, 135, -45, -100, -180])
def test_sneaking_stops_at_an_edge_and_walking_does_not(cells, yaw):
    put(cells, None, range(-8, 9), range(1, GROUND), range(-8, 9))
    put(cells, "stone", 0, GROUND - 1, 0)
    body = new_body(0.5, GROUND, 0.5, yaw=yaw)
    assert (walk(cells, body, 100, forward=1.0, sneak=True)[:, Y] == GROUND).all()
    assert max(abs(body[X] - 0.5), abs(body[Z] - 0.5)) > 0.7
    assert walk(cells, body, 30, forward=1.0)[-1, Y] < GROUND


def test_fall_distance_is_reported_on_landing(cells):
    body = new_body(0.5, GROUND + 7, 0.5)
    history = walk(cells, body, 40)
    (landing,) = np.flatnonzero(history[:, LANDED])
    assert history[landing, LANDED] == pytest.approx(7, abs=1e-9)
    assert (history[landing:, FALL] == 0).all() and (history[landing:, Y] == GROUND).all()
    assert history[landing, ON_GROUND] and not history[landing - 1, ON_GROUND]


def test_fall_into_water_does_not_count(cells):
    put(cells, "water", range(-1, 2), range(GROUND, GROUND + 1), range(-1, 2))
    history = walk(cells, new_body(0.5, GROUND + 30, 0.5), 100)
    assert history[-1, Y] == GROUND
    assert (history[:, LANDED] == 0).all()


def test_terminal_velocity_and_the_bottom_and_top_of_the_world(cells):
    cells[:] = 0
    body = new_body(0.5, 3000.0, 0.5)
    history = walk(cells, body, 1200)
    assert history[:, VY].min() == pytest.approx(-3.92, abs=0.01)
    assert body[Y] == 0 and body[ON_GROUND]


def test_swimming(cells):
    put(cells, "water", range(-20, 20), range(GROUND, GROUND + 12), range(-20, 60))
    body = new_body(0.5, GROUND + 8, 0.5)
    sinking = walk(cells, body, 30)
    assert sinking[-1, Y] - sinking[-2, Y] == pytest.approx(-0.1, abs=0.005)
    assert sinking[-1, IN_WATER] and sinking[-1, EYE_IN_WATER]
    swimming = walk(cells, body, 200, jump=True)
    assert swimming[50, Y] > sinking[-1, Y] + 2
    assert GROUND + 11 < swimming[100:, Y].min() and swimming[100:, Y].max() < GROUND + 12.5
    assert not swimming[-1, EYE_IN_WATER]
    history = walk(cells, body, 60, forward=1.0, jump=True)
    assert 1.5 < history[-1, Z] - history[-21, Z] < 3


@pytest.mark.parametrize(("bank", "climbs"), [(0, True), (1, True), (3, False)])
def test_climbing_out_of_water_onto_a_shore(cells, bank, climbs):
    put(cells, None, range(-5, 6), range(GROUND - 4, GROUND), range(-5, 6))
    put(cells, "water", range(-5, 6), range(GROUND - 4, GROUND), range(-5, 6))
    put(cells, "stone", range(-9, 10), range(GROUND, GROUND + bank), range(6, 40))
    body = new_body(0.5, GROUND - 2, 0.5)
    walk(cells, body, 200, forward=1.0, jump=True)
    assert (body[Z] > 7) == climbs


def test_cactus_is_felt_from_the_side(cells):
    put(cells, "cactus", 0, range(GROUND, GROUND + 2), 3)
    body = new_body(0.5, GROUND, 0.5)
    assert not walk(cells, body, 1)[-1, TOUCHES_CACTUS]
    assert walk(cells, body, 30, forward=1.0)[-1, TOUCHES_CACTUS]


@pytest.mark.parametrize(("floor", "least", "most"), [("stone", 0.1, 0.4), ("ice", 1.5, 4.0)])
def test_ice_is_slippery(cells, floor, least, most):
    put(cells, floor, range(-3, 4), GROUND - 1, range(-9, 100))
    body = new_body(0.5, GROUND, 0.5)
    start = walk(cells, body, 60, forward=1.0)[-1, Z]
    assert least < walk(cells, body, 60)[-1, Z] - start < most


def test_sneaking_lowers_the_eyes(cells):
    body = new_body(0.5, GROUND, 0.5)
    assert walk(cells, body, 1, sneak=True)[-1, physics.EYE_HEIGHT] == 1.27
    assert walk(cells, body, 1)[-1, physics.EYE_HEIGHT] == 1.62


SIZE = 7
"""Edge of the cage of the property test, walls included: one cell thick, around cells 1 to 5."""

steps = st.tuples(
    st.sampled_from([-1.0, 0.0, 1.0]),
    st.sampled_from([-1.0, 0.0, 1.0]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.floats(-180, 180),
    st.one_of(st.none(), st.tuples(*[st.floats(-60, 60)] * 3)),
)
inner = st.integers(1, SIZE - 2)
base = np.zeros(NUM_CELLS, np.uint8)
"""Shared by the examples, which all write the same cells: a fresh world an example is too slow."""


def build(blocks, bottom):
    """Builds the cage and what is in it, returns the solid cells (N, 3) relative to its corner."""
    solid = []
    for x in range(SIZE):
        for y in range(SIZE):
            for z in range(SIZE):
                wall = not {0, SIZE - 1}.isdisjoint((x, y, z))
                name = "stone" if wall else blocks.get((x, y, z))
                base[cell_index(x - 3, bottom + y, z - 3)] = CODES[name] if name else 5
                if name and name != "water":
                    solid.append((x - 3, bottom + y, z - 3))
    return np.array(solid)


def overlap(solid, low, high):
    """Greatest penetration of the box from `low` to `high` into any solid cell (negative: distance)."""
    return (np.minimum(high, solid + 1) - np.maximum(low, solid)).min(1).max()


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.tuples(inner, inner, inner), st.sampled_from(["stone", "water", "ice", "cactus"]), max_size=40),
    st.lists(steps, min_size=1, max_size=40),
    st.floats(0.3, 0.7),
)
def test_never_inside_a_block_and_never_through_one(blocks, actions, offset):
    start = (3, 3, 3)
    blocks = {cell: name for cell, name in blocks.items() if cell not in (start, (3, 4, 3))}
    bottom = 30
    solid = build(blocks, bottom)
    body = new_body(offset, bottom + 3, offset)
    half, size = np.array([HALF_WIDTH, 0, HALF_WIDTH]), np.array([HALF_WIDTH, BODY_HEIGHT, HALF_WIDTH])
    for forward, strafe, jump, sneak, sprint, yaw, push in actions:
        body[YAW] = yaw
        if push is not None:
            body[[VX, VY, VZ]] = push
        old = body[[X, Y, Z]].copy()
        step_body(base, body, forward, strafe, jump, sneak, sprint)
        new = body[[X, Y, Z]]
        assert np.isfinite(body).all()
        for corner in ([old[0], new[1], old[2]], [new[0], new[1], old[2]], new):
            # The volume swept on the way from one corner of the path to the next.
            low, high = np.minimum(old, corner) - half, np.maximum(old, corner) + size
            assert overlap(solid, low, high) <= ROUNDING
            old = np.array(corner)
        assert not overlaps_solid(base, *new)


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.tuples(inner, inner), min_size=1, max_size=25),
    st.lists(steps, min_size=1, max_size=60),
)
def test_sneaking_never_leaves_the_ground(floor, actions):
    bottom = 30
    build({(x, 1, z): "stone" for x, z in floor}, bottom)
    x, z = min(floor)
    body = new_body(x - 3 + 0.5, bottom + 2, z - 3 + 0.5)
    body[ON_GROUND] = 1
    for forward, strafe, _, _, sprint, yaw, push in actions:
        body[YAW] = yaw
        if push is not None:
            body[[VX, VZ]] = push[0] / 100, push[2] / 100
        step_body(base, body, forward, strafe, False, True, sprint)
        assert body[Y] == bottom + 2


def test_far_from_the_origin_walls_still_hold(cells):
    for x in (1_000_003.5, -1_000_003.5):
        put(cells, "stone", math.floor(x) + 2, range(GROUND, GROUND + 2), range(-2, 3))
        body = new_body(x, GROUND, 0.5, yaw=-90)
        walk(cells, body, 100, forward=1.0, sprint=True)
        assert body[X] == pytest.approx(math.floor(x) + 2 - HALF_WIDTH, abs=1e-6)
        assert body[PITCH] == 0
