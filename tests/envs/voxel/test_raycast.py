"""Which block each pixel shows, against a plain walk from cell to cell that shares no code with the library's."""

import itertools
import math

import numba
import numpy as np
import pytest

from worldmodel.envs.voxel.blocks import AIR, CODES, FIRST_BLOCK, SHAPE, SOLID, Shape
from worldmodel.envs.voxel.grid import HEIGHT
from worldmodel.envs.voxel.renderer import Renderer, View
from worldmodel.envs.voxel.sky import sky_state
from worldmodel.envs.voxel.terrain import BIOMES, find_spawn
from worldmodel.envs.voxel.world import World

SEED = 77
NOON = sky_state(0.25, 0.0, 0.0)
WATER = CODES["water"]
SIZES = [(64, 64), (128, 128), (72, 128), (360, 640), (65, 33), (16, 16), (17, 130)]


def directions(height, width, yaw, pitch, field_of_view=70.0):
    """(H, W, 3) unit vectors through the middles of the pixels, from the conventions alone."""
    a, b = math.radians(yaw), math.radians(pitch)
    forward = np.array([-math.sin(a) * math.cos(b), -math.sin(b), math.cos(a) * math.cos(b)])
    right = np.array([-math.cos(a), 0.0, -math.sin(a)])
    up = np.cross(right, forward)
    scale = math.tan(math.radians(field_of_view / 2)) / (height / 2)
    x = (np.arange(width) + 0.5 - width / 2) * scale
    y = (height / 2 - np.arange(height) - 0.5) * scale
    rays = forward + x[None, :, None] * right + y[:, None, None] * up
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


@numba.njit
def walk(cells, shapes, rays, x, y, z, far, in_water, distance, codes, unsure):
    """Fills distance and code of what each ray meets; `unsure` marks rays that touch a plant or a torch."""
    for row in range(rays.shape[0]):
        for column in range(rays.shape[1]):
            dx, dy, dz = rays[row, column]
            i, j, k = math.floor(x), math.floor(y), math.floor(z)
            step_x, step_y, step_z = (1 if dx > 0 else -1), (1 if dy > 0 else -1), (1 if dz > 0 else -1)
            delta_x = abs(1.0 / dx) if dx != 0.0 else np.inf
            delta_y = abs(1.0 / dy) if dy != 0.0 else np.inf
            delta_z = abs(1.0 / dz) if dz != 0.0 else np.inf
            next_x = (i + 1 - x if dx > 0 else x - i) * delta_x if dx != 0.0 else np.inf
            next_y = (j + 1 - y if dy > 0 else y - j) * delta_y if dy != 0.0 else np.inf
            next_z = (k + 1 - z if dz > 0 else z - k) * delta_z if dz != 0.0 else np.inf
            t = 0.0
            first_water = -1.0
            distance[row, column], codes[row, column], unsure[row, column] = np.inf, 0, False
            while t < far:
                cell = cells[(i & 255) * 16384 + (k & 255) * 64 + j] if 0 <= j < 64 else 0
                if cell >= 64:
                    if shapes[cell] == 0:
                        distance[row, column], codes[row, column] = t, cell
                        break
                    if shapes[cell] == 1:
                        if first_water < 0.0:
                            first_water = t
                    else:
                        unsure[row, column] = True
                if next_x <= next_y and next_x <= next_z:
                    t, i, next_x = next_x, i + step_x, next_x + delta_x
                elif next_y <= next_z:
                    t, j, next_y = next_y, j + step_y, next_y + delta_y
                else:
                    t, k, next_z = next_z, k + step_z, next_z + delta_z
            if first_water >= 0.0 and not in_water:
                distance[row, column], codes[row, column] = first_water, 80


def look(world, renderer, x, y, z, yaw, pitch):
    """Renders; returns the frame."""
    wet = 0 <= y < HEIGHT and world.block(math.floor(x), math.floor(y), math.floor(z)) == WATER
    return renderer.render(world, View(x=x, y=y, z=z, yaw=yaw, pitch=pitch), NOON), wet


def disagreement(world, renderer, x, y, z, yaw, pitch, nudges=((0.0, 0.0, 0.0),)):
    """Numbers of pixels that differ from the reference, and of those compared.

    A ray that runs exactly along the border of two cells may be taken to be in either: `nudges` are displacements of
    the eye from which the reference may have been taken.
    """
    _, wet = look(world, renderer, x, y, z, yaw, pitch)
    shape = renderer.depth.shape
    distance, codes, unsure = np.empty(shape), np.empty(shape, np.uint8), np.empty(shape, np.bool_)
    rays = directions(*shape, yaw, pitch, renderer.field_of_view)
    same, sure = np.zeros(shape, np.bool_), np.ones(shape, np.bool_)
    for dx, dy, dz in nudges:
        eye = x + dx, y + dy, z + dz
        walk(world.cells, SHAPE, rays, *eye, float(world.view_distance), wet, distance, codes, unsure)
        # Under water it is hazy: there the picture need not go as far.
        sure &= ~unsure & (distance < 16.0) if wet else ~unsure
        same |= (renderer.codes == codes) & np.isclose(renderer.depth, distance, atol=1e-3, rtol=0)
    return int((sure & ~same).sum()), int(sure.sum())


@pytest.fixture(scope="module", params=BIOMES)
def landscape(request):
    """A world loaded around a spawn of each biome, and places for eyes: (N, 3) air and water cells."""
    world = World(SEED, 64)
    x, z = find_spawn(SEED, request.param)
    world.recentre(x, z)
    span = np.arange(-24, 25)
    box = world.cells.reshape(256, 256, HEIGHT)[np.ix_((x + span) & 255, (z + span) & 255)]
    lit = world.light.reshape(256, 256, HEIGHT)[np.ix_((x + span) & 255, (z + span) & 255)]
    places = {
        "open": (box < FIRST_BLOCK) & (lit >> 4 == 15) & (np.arange(HEIGHT) < 50),
        "shade": (box < FIRST_BLOCK) & (lit >> 4 > 3) & (lit >> 4 < 15),
        "cave": (box < FIRST_BLOCK) & (lit == 0),
        "water": box == WATER,
    }
    origin = np.array([x - 24, z - 24, 0])
    return world, {name: (np.argwhere(mask) + origin)[:, [0, 2, 1]] for name, mask in places.items() if mask.any()}


def poses(places, count, generator):
    for name, cells in places.items():
        for cell in cells[generator.integers(len(cells), size=count)]:
            x, y, z = (cell + generator.uniform(0.01, 0.99, 3)).tolist()
            yield name, x, y, z, float(generator.uniform(-180, 180)), float(np.clip(generator.normal(8, 35), -90, 90))


def test_agrees_with_the_reference_everywhere(landscape):
    world, places = landscape
    assert {"open", "cave"} <= places.keys()
    renderer, generator = Renderer(64, 64), np.random.default_rng(0)
    wrong = compared = 0
    for name, *pose in poses(places, 30, generator):
        bad, sure = disagreement(world, renderer, *pose)
        assert bad <= 0.02 * max(sure, 500), f"{name} {pose}: {bad} of {sure} pixels differ"
        wrong, compared = wrong + bad, compared + sure
    assert compared > 100_000
    assert wrong <= 0.001 * compared, f"{wrong} of {compared} pixels differ"


def test_agrees_along_the_axes_and_from_lattice_points(landscape):
    """Rays that are parallel to the axes, eyes on the borders of cells, above the world and on its floor."""
    world, places = landscape
    renderer = Renderer(33, 47)
    i, _, k = places["open"][len(places["open"]) // 2].tolist()
    top = max(j for j in range(HEIGHT) if SOLID[world.block(i, j, k)])
    nudges = list(itertools.product((0.0, -2e-5, 2e-5), repeat=3))
    wrong = compared = 0
    for x, y, z in ((i + 0.5, top + 2.62, k + 0.5), (float(i), top + 3.0, float(k)), (i + 0.3, 75.0, k + 0.6)):
        for yaw in (-180.0, -90.0, 0.0, 45.0, 90.0):
            for pitch in (-90.0, -45.0, 0.0, 45.0, 90.0):
                bad, sure = disagreement(world, renderer, x, y, z, yaw, pitch, nudges)
                wrong, compared = wrong + bad, compared + sure
    assert compared > 50_000 and wrong <= 0.001 * compared, f"{wrong} of {compared} pixels differ"


@pytest.fixture(scope="module")
def plains():
    world = World(SEED, 64)
    x, z = find_spawn(SEED, "forest")
    world.recentre(x, z)
    top = max(j for j in range(HEIGHT) if SOLID[world.block(x, j, z)])
    return world, (x + 0.4, top + 2.62, z + 0.7)


@pytest.mark.parametrize("size", SIZES)
def test_every_frame_size_agrees_with_the_reference(plains, size):
    world, eye = plains
    renderer = Renderer(*size)
    for yaw, pitch in ((20.0, 5.0), (-130.0, 30.0)):
        bad, sure = disagreement(world, renderer, *eye, yaw, pitch)
        assert sure > 0.5 * size[0] * size[1] and bad <= max(0.001 * sure, 2)


@pytest.mark.parametrize("size", SIZES)
def test_no_pixel_is_left_unwritten(plains, size):
    world, eye = plains
    renderer = Renderer(*size)
    frames = []
    for garbage in (0, 255):
        renderer.depth.fill(np.nan)
        renderer.codes.fill(255)
        stale = np.full((*size, 3), garbage, np.uint8)  # memory that the next frame may get
        del stale
        frame, _ = look(world, renderer, *eye, 75.0, -5.0)
        assert frame.shape == (*size, 3) and frame.dtype == np.uint8
        assert not np.isnan(renderer.depth).any() and (renderer.codes != 255).all()
        assert ((renderer.codes == 0) == np.isinf(renderer.depth)).all()
        frames.append(frame)
    np.testing.assert_array_equal(*frames)


def test_a_render_is_a_new_array(plains):
    world, eye = plains
    renderer = Renderer(32, 32)
    first, _ = look(world, renderer, *eye, 0.0, 0.0)
    kept = first.copy()
    look(world, renderer, *eye, 90.0, 0.0)
    np.testing.assert_array_equal(first, kept)


def test_narrow_and_wide_fields_of_view_agree_with_the_reference(plains):
    world, eye = plains
    for degrees in (30.0, 110.0):
        bad, sure = disagreement(world, Renderer(64, 96, degrees), *eye, 10.0, 8.0)
        assert sure > 2000 and bad <= 0.002 * sure


@pytest.mark.parametrize("distance", [16, 96])
def test_view_distance_ends_the_view(distance):
    world = World(SEED, distance)
    x, z = find_spawn(SEED, "plains")
    world.recentre(x, z)
    renderer = Renderer(64, 64)
    bad, sure = disagreement(world, renderer, x + 0.5, 56.0, z + 0.5, 30.0, 35.0)
    assert bad <= 0.002 * sure
    seen = renderer.depth[np.isfinite(renderer.depth)]
    assert seen.size == 0 or seen.max() <= distance + 1e-3
    if distance == 96:
        assert seen.max() > 40


@pytest.fixture(scope="module")
def targets():
    """Coloured blocks in the sky, 10 cells from an eye at (0.5, 59.5, 0.5): nothing else is in the way."""
    world = World(SEED, 64)
    x, z = find_spawn(SEED, "plains")
    world.recentre(x, z)
    for i in range(x - 14, x + 15):
        for k in range(z - 14, z + 15):
            for y in range(46, HEIGHT):
                if world.block(i, y, k) != AIR:
                    world.set_block(i, y, k, AIR)
    named = {"south": (0, 0, 10), "west": (-10, 0, 0), "north": (0, 0, -10), "east": (10, 0, 0), "below": (0, -10, 0)}
    codes = {}
    for code, (side, (i, j, k)) in zip(
        ("gold_block", "crafting_table", "oak_planks", "cobblestone", "ice"), named.items(), strict=True
    ):
        world.set_block(x + i, 59 + j, z + k, CODES[code])
        codes[side] = CODES[code]
    world.refresh()
    return world, (x + 0.5, 59.5, z + 0.5), codes


def centre_of(mask):
    rows, columns = np.nonzero(mask)
    return rows.mean() + 0.5, columns.mean() + 0.5


@pytest.mark.parametrize(
    ("yaw", "pitch", "side"),
    [(0, 0, "south"), (90, 0, "west"), (180, 0, "north"), (-180, 0, "north"), (-90, 0, "east"), (33, 90, "below")],
)
def test_compass(targets, yaw, pitch, side):
    world, eye, codes = targets
    renderer = Renderer(64, 64)
    look(world, renderer, *eye, float(yaw), float(pitch))
    assert renderer.codes[32, 32] == codes[side]
    assert renderer.depth[32, 32] == pytest.approx(9.5, abs=0.01)


@pytest.mark.parametrize("size", [(128, 128), (72, 128), (65, 33)])
@pytest.mark.parametrize("field_of_view", [70.0, 50.0])
def test_a_block_at_a_known_angle_is_at_the_expected_pixel(targets, size, field_of_view):
    world, eye, codes = targets
    height, width = size
    renderer = Renderer(height, width, field_of_view)
    unit = height / 2 / math.tan(math.radians(field_of_view / 2))  # pixels at depth 1
    look(world, renderer, *eye, 0.0, 0.0)
    shown = renderer.codes == codes["south"]
    assert centre_of(shown) == (pytest.approx(height / 2, abs=0.6), pytest.approx(width / 2, abs=0.6))
    assert math.sqrt(shown.sum()) == pytest.approx(unit / 9.5, abs=1.2)
    # To turn right moves it left; to look down moves it up.
    for yaw, pitch in ((8.0, 0.0), (-8.0, 0.0), (0.0, 15.0), (0.0, -15.0)):
        look(world, renderer, *eye, yaw, pitch)
        row, column = centre_of(renderer.codes == codes["south"])
        assert row == pytest.approx(height / 2 - math.tan(math.radians(pitch)) * unit, abs=1.0)
        assert column == pytest.approx(width / 2 - math.tan(math.radians(yaw)) * unit, abs=1.0)


def test_depth_is_measured_along_the_ray(targets):
    world, eye, codes = targets
    renderer = Renderer(128, 128)
    look(world, renderer, *eye, 24.0, 17.0)
    shown = renderer.codes == codes["south"]
    assert shown.sum() > 20
    rays = directions(128, 128, 24.0, 17.0)
    points = np.array(eye) + renderer.depth[..., None] * rays
    assert points[shown][:, 2] == pytest.approx(math.floor(eye[2]) + 10, abs=0.005)
    expected = 9.5 / rays[..., 2]
    assert renderer.depth[shown] == pytest.approx(expected[shown], abs=0.005)


def test_plants_and_torches_are_met_inside_their_cell(targets):
    world, eye, _ = targets
    renderer = Renderer(64, 64)
    x, y, z = (math.floor(v) for v in eye)
    for name, width in (("poppy", 1.0), ("torch", 2 / 16)):
        world.set_block(x, y, z + 2, CODES[name])
        world.refresh()
        frame, _ = look(world, renderer, *eye, 0.0, 0.0)
        shown = (renderer.codes == CODES[name]) & (renderer.depth < 6.0)
        world.set_block(x, y, z + 2, AIR)
        world.refresh()
        assert 3 <= shown.sum() < 2000
        assert renderer.depth[shown].min() > 1.5 and renderer.depth[shown].max() < 2.5 * 1.3
        columns = np.nonzero(shown.any(0))[0]
        unit = 32 / math.tan(math.radians(35)) / 1.5
        assert np.ptp(columns) + 1 <= width * unit + 2
        assert SHAPE[CODES[name]] in (Shape.CROSS, Shape.TORCH)


def test_statistics_summarise_the_picture(plains):
    world, eye = plains
    renderer = Renderer(128, 128)
    look(world, renderer, *eye, 40.0, 10.0)
    counts, columns, nearest = renderer.statistics()
    assert counts.sum() == pytest.approx(128 * 128 / 16)
    for code in np.unique(renderer.codes):
        share = (renderer.codes == code).mean()
        assert counts[code] / counts.sum() == pytest.approx(share, abs=0.05)
        if share > 0.05:
            middle = np.nonzero(renderer.codes == code)[1].mean() / 128
            assert columns[code] / counts[code] == pytest.approx(middle, abs=0.08)
            assert nearest[code] >= renderer.depth[renderer.codes == code].min()
    missing = np.setdiff1d(np.arange(len(counts)), renderer.codes)
    assert (counts[missing] == 0).all() and np.isinf(nearest[missing]).all()
