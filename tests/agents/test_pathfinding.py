"""Ways on foot over small drawn worlds."""

import itertools

import pytest

from worldmodel.agents.pathfinding import Terrain, find_path

SYMBOLS = {"#": "stone", ".": "air", "~": "water", "c": "cactus", "f": "poppy"}


def drawn(*layers: str):
    """A world of 8 x 8 columns: stone at y = 0, layers from below with rows from north to south, stone around."""

    def block_at(x: int, y: int, z: int) -> str:
        if y <= 0 or not (0 <= x < 8 and 0 <= z < 8):
            return "stone" if y <= 6 else "air"
        if y > len(layers):
            return "air"
        rows = layers[y - 1].split()
        return SYMBOLS[rows[z][x]] if z < len(rows) else "air"

    return block_at


def neighbours_only(cells) -> bool:
    return all(max(abs(a[0] - b[0]), abs(a[2] - b[2])) <= 1 for a, b in itertools.pairwise(cells))


OPEN = "........ " * 8


def test_straight_over_open_ground():
    path = find_path(Terrain(drawn(OPEN)), (1, 1, 1), (6.5, 1.5))
    assert path.arrives and not path.enclosed
    assert path.cells == [(x, 1, 1) for x in range(1, 7)]


def test_around_a_wall_and_over_a_step():
    wall = "........ ........ ........ ######.. ........ ........ ........ ........"
    high = find_path(Terrain(drawn(wall, wall)), (1, 1, 1), (1.5, 6.5))
    assert high.arrives and neighbours_only(high.cells)
    assert all(cell[1] == 1 for cell in high.cells) and any(cell[0] >= 6 for cell in high.cells)
    low = find_path(Terrain(drawn(wall)), (1, 1, 1), (1.5, 6.5))
    assert low.arrives and (1, 2, 3) in low.cells and len(low.cells) == 6


def test_never_cuts_a_corner():
    block = "........ ........ ...#.... ........ ........ ........ ........ ........"
    path = find_path(Terrain(drawn(block, block)), (2, 1, 2), (3.5, 3.5))
    assert path.arrives and path.cells == [(2, 1, 2), (2, 1, 3), (3, 1, 3)]


def test_drops_only_as_far_as_allowed():
    plateau = "###..... " * 8
    world = drawn(plateau, plateau, plateau)
    assert find_path(Terrain(world, max_drop=3), (1, 4, 1), (6.5, 1.5)).arrives
    stuck = find_path(Terrain(world, max_drop=2), (1, 4, 1), (6.5, 1.5))
    assert not stuck.arrives and stuck.enclosed and stuck.cells[-1] == (2, 4, 1)


@pytest.mark.parametrize("swims", [True, False])
def test_water(swims):
    river = "###~~### " * 8
    path = find_path(Terrain(drawn(river), swims=swims), (1, 2, 1), (6.5, 1.5))
    assert path.arrives == swims
    assert (3, 1, 1) in path.cells or not swims


def test_keeps_clear_of_cacti_and_walks_through_flowers():
    plants = "........ ...f.... ........ ........ ........ ........ ........ ........"
    assert (3, 1, 1) in find_path(Terrain(drawn(plants)), (1, 1, 1), (6.5, 1.5)).cells
    cactus = plants.replace("f", "c")
    cells = find_path(Terrain(drawn(cactus, cactus)), (1, 1, 1), (6.5, 1.5)).cells
    assert not {(3, 1, 1), (2, 1, 1), (4, 1, 1), (3, 1, 2), (3, 1, 0)} & set(cells)


def test_hole_is_enclosed():
    pit = "######## ######## ##.##### ######## ######## ######## ######## ########"
    path = find_path(Terrain(drawn(pit, pit)), (2, 1, 2), (6.5, 6.5))
    assert path.enclosed and path.cells == [(2, 1, 2)]
