import numpy as np
import pytest

from worldmodel.envs.voxel.blocks import CODES
from worldmodel.envs.voxel.grid import NUM_CELLS, cell_index
from worldmodel.envs.voxel.targeting import REACH, cast_target, look_target

MISS = (False, 0, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def cells():
    return np.zeros(NUM_CELLS, np.uint8)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [-1, 1])
def test_hits_the_face_towards_the_eyes(cells, axis, sign):
    cell = [0, 30, 0]
    cell[axis] += 3 * sign
    cells[cell_index(*cell)] = CODES["stone"]
    direction, normal = [0.0, 0.0, 0.0], [0, 0, 0]
    direction[axis], normal[axis] = float(sign), -sign
    assert cast_target(cells, 0.5, 30.5, 0.5, *direction, REACH) == (True, *cell, *normal, CODES["stone"])
    assert cast_target(cells, 0.5, 30.5, 0.5, *direction, 2.4) == MISS
    assert cast_target(cells, 0.5, 30.5, 0.5, *[-d for d in direction], REACH) == MISS


def test_agrees_with_small_steps_along_the_ray(cells):
    rng = np.random.default_rng(0)
    grid = rng.random((9, 9, 9)) < 0.1
    grid[3:6, 3:6, 3:6] = False
    for x, y, z in np.argwhere(grid).tolist():
        cells[cell_index(x, y + 20, z)] = CODES["stone"]
    start = np.array([4.37, 24.61, 4.53])
    hits = 0
    for _ in range(300):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        found, x, y, z, *_ = cast_target(cells, *start, *direction, REACH)
        points = start + np.arange(0, REACH, 1e-4)[:, None] * direction
        cubes = np.floor(points).astype(int) - [0, 20, 0]
        inside = ((cubes >= 0) & (cubes < 9)).all(1)
        solid = np.zeros(len(cubes), bool)
        solid[inside] = grid[tuple(cubes[inside].T)]
        if found:
            hits += 1
            assert solid.any() and (cubes[solid.argmax()] + [0, 20, 0] == [x, y, z]).all()
        else:
            assert not solid.any()
    assert hits > 50


def test_water_does_not_stop_the_ray(cells):
    for z in range(3):
        cells[cell_index(0, 30, z)] = CODES["water"]
    cells[cell_index(0, 30, 3)] = CODES["sand"]
    assert cast_target(cells, 0.5, 30.5, 0.5, 0.0, 0.0, 1.0, REACH)[1:4] == (0, 30, 3)


@pytest.mark.parametrize(
    ("name", "height", "sideways", "hit"),
    [
        ("dandelion", 0.5, 0.0, True),
        ("dandelion", 0.75, 0.35, True),
        ("dandelion", 0.85, 0.0, False),
        ("dandelion", 0.5, 0.45, False),
        ("torch", 0.6, 0.1, True),
        ("torch", 0.7, 0.0, False),
        ("torch", 0.5, 0.2, False),
    ],
)
def test_plants_and_torches_have_small_boxes(cells, name, height, sideways, hit):
    cells[cell_index(0, 30, 2)] = CODES[name]
    cells[cell_index(0, 30, 3)] = CODES["stone"]
    found = cast_target(cells, 0.5 + sideways, 30 + height, 0.5, 0.0, 0.0, 1.0, REACH)
    assert found == ((True, 0, 30, 2, 0, 0, -1, CODES[name]) if hit else (True, 0, 30, 3, 0, 0, -1, CODES["stone"]))


def test_plant_seen_from_above(cells):
    cells[cell_index(0, 30, 0)] = CODES["poppy"]
    assert cast_target(cells, 0.5, 32.0, 0.5, 0.0, -1.0, 0.0, REACH) == (True, 0, 30, 0, 0, 1, 0, CODES["poppy"])


def test_outside_the_world_is_nothing(cells):
    cells[cell_index(0, 63, 0)] = CODES["stone"]
    assert cast_target(cells, 0.5, 66.0, 0.5, 0.0, -1.0, 0.0, REACH)[1:7] == (0, 63, 0, 0, 1, 0)
    assert cast_target(cells, 0.5, 66.0, 0.5, 0.0, 1.0, 0.0, REACH) == MISS
    assert cast_target(cells, 3.5, 1.0, 0.5, 0.0, -1.0, 0.0, REACH) == MISS


def test_eyes_inside_a_cube_see_that_cube(cells):
    cells[cell_index(0, 30, 0)] = CODES["sand"]
    assert cast_target(cells, 0.5, 30.5, 0.5, 0.6, 0.8, 0.0, REACH) == (True, 0, 30, 0, 0, 0, 0, CODES["sand"])


@pytest.mark.parametrize(
    ("yaw", "pitch", "cell"),
    [(0, 0, (0, 30, 3)), (90, 0, (-3, 30, 0)), (-180, 0, (0, 30, -3)), (-90, 0, (3, 30, 0)), (0, 90, (0, 27, 0))],
)
def test_look_direction_is_minecrafts(cells, yaw, pitch, cell):
    cells[cell_index(*cell)] = CODES["stone"]
    assert look_target(cells, 0.5, 30.5, 0.5, float(yaw), float(pitch))[1:4] == cell
