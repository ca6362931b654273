"""What pictures look like: calm in the distance, lit, wet, and marked where they should be."""

import dataclasses
import math

import numpy as np
import pytest

from worldmodel.envs.voxel import renderer as renderer_module
from worldmodel.envs.voxel.blocks import AIR, CODES
from worldmodel.envs.voxel.env import VoxelEnv
from worldmodel.envs.voxel.grid import HEIGHT
from worldmodel.envs.voxel.renderer import Renderer, View, camera_basis
from worldmodel.envs.voxel.sky import DAYLIGHT, GLOW, HORIZON, SUN, sky_state
from worldmodel.envs.voxel.terrain import find_spawn
from worldmodel.envs.voxel.textures import MIP_OFFSETS, build_textures
from worldmodel.envs.voxel.weather import RAIN, SNOW
from worldmodel.envs.voxel.world import World

SEED = 5
NOON, MIDNIGHT = sky_state(0.25, 0.0, 0.0), sky_state(0.75, 0.0, 0.0)
RADIUS = 20
FLOOR = 46


@pytest.fixture(scope="module")
def hall():
    """A world with a box of open sky over a floor of snow blocks; returns it with the eye above its middle."""
    world = World(SEED, 64)
    x, z = find_spawn(SEED, "plains")
    world.recentre(x, z)
    for i in range(x - RADIUS, x + RADIUS + 1):
        for k in range(z - RADIUS, z + RADIUS + 1):
            world.set_block(i, FLOOR, k, CODES["snow_block"])
            for y in range(FLOOR + 1, HEIGHT):
                if world.block(i, y, k) != AIR:
                    world.set_block(i, y, k, AIR)
    world.refresh()
    return world, x, FLOOR + 1, z


@pytest.fixture
def stage(hall):
    """The hall; whatever a test builds is taken down after it."""
    world = hall[0]
    state = world.get_state()
    yield hall
    world.set_state(state)


@pytest.fixture(scope="module")
def camera():
    return Renderer(96, 96)


def build(world, cells, name):
    for x, y, z in cells:
        world.set_block(x, y, z, CODES[name] if name != "air" else AIR)
    world.refresh()


def box(x0, x1, y0, y1, z0, z1):
    return [(x, y, z) for x in range(x0, x1) for y in range(y0, y1) for z in range(z0, z1)]


def view(x, y, z, yaw=0.0, pitch=0.0, **more):
    return View(x=x + 0.5, y=y + 1.62, z=z + 0.5, yaw=yaw, pitch=pitch, **more)


def brightness(frame, mask=slice(None)):
    return float(frame[mask].mean())


def without_mip_maps():
    """The textures with the coarser levels sampled, not averaged, from the finest."""
    textures = build_textures()
    texels = textures.texels.copy()
    finest = texels[:, :256].reshape(-1, 16, 16, 4)
    for level, offset in enumerate(MIP_OFFSETS):
        size = 16 >> level
        texels[:, offset : offset + size * size] = finest[:, :: 16 // size, :: 16 // size].reshape(-1, size * size, 4)
    texels.flags.writeable = False
    return dataclasses.replace(textures, texels=texels)


@pytest.mark.parametrize("biome", ["forest", "desert", "mountains"])
def test_far_terrain_does_not_sparkle(biome, monkeypatch):
    world = World(SEED, 96)
    x, z = find_spawn(SEED, biome)
    world.recentre(x, z)

    def far_pixels(yaw):
        camera.render(world, View(x=x + 0.5, y=58.0, z=z + 0.5, yaw=yaw, pitch=14.0), NOON)
        return ((camera.depth > 30.0) & (camera.depth < 60.0)).sum()

    camera = Renderer(128, 128)
    start = max((30.0 * i + 4.0 for i in range(12)), key=far_pixels)

    def sparkle():
        """Mean change of far pixels from frame to frame, in levels, while the camera turns slowly."""
        camera = Renderer(128, 128)
        changes, previous = [], None
        for step in range(16):
            frame = camera.render(world, View(x=x + 0.5, y=58.0, z=z + 0.5, yaw=start + 0.1 * step, pitch=14.0), NOON)
            far = (camera.depth > 30.0) & (camera.depth < 60.0)
            if previous is not None:
                both = far & previous[1]
                assert both.sum() > 400
                changes.append(np.abs(frame[both].astype(int) - previous[0][both]).mean())
            previous = frame, far
        return float(np.mean(changes))

    calm = sparkle()
    monkeypatch.setattr(renderer_module, "build_textures", without_mip_maps)
    noisy = sparkle()
    assert calm < 0.85 * noisy
    assert calm < 4.0


def test_a_picture_depends_on_its_arguments_only(hall, camera):
    world, *feet = hall
    first = camera.render(world, view(*feet, yaw=10.0, pitch=20.0), NOON)
    camera.render(world, view(*feet, yaw=100.0, tick=9, precipitation=RAIN, strength=1.0), MIDNIGHT)
    np.testing.assert_array_equal(camera.render(world, view(*feet, yaw=10.0, pitch=20.0), NOON), first)


def test_faces_are_shaded_by_their_direction(stage, camera):
    world, x, y, z = stage
    build(world, [(x, y + 6, z)], "snow_block")
    means = {}
    for side, (i, j, k, yaw, pitch) in {
        "top": (0, 9, 0, 0.0, 90.0),
        "bottom": (0, 2, 0, 0.0, -90.0),
        "north": (0, 5, -3, 0.0, 0.0),
        "west": (-3, 5, 0, -90.0, 0.0),
    }.items():
        frame = camera.render(world, view(x + i, y + j - 0.12, z + k, yaw, pitch), NOON)
        assert camera.depth[48, 48] < 4
        means[side] = brightness(frame[40:56, 40:56])
    assert means["top"] > means["north"] * 1.1 > means["west"] * 1.1 > means["bottom"] * 1.1


def test_corners_are_darker_than_open_floor(stage, camera):
    world, x, y, z = stage
    build(world, box(x - 8, x + 9, y, y + 3, z + 4, z + 5), "stone")
    frame = camera.render(world, view(x, y, z, pitch=25.0), NOON)
    snow = camera.codes == CODES["snow_block"]
    near_wall = (
        snow & (camera.depth > 3.6) & (camera.depth < 3.87) & (np.arange(96) > 30)[None] & (np.arange(96) < 66)[None]
    )
    open_floor = snow & (camera.depth < 3.0) & (np.arange(96) > 30)[None] & (np.arange(96) < 66)[None]
    assert near_wall.sum() > 30 and open_floor.sum() > 30
    assert brightness(frame, near_wall) < 0.93 * brightness(frame, open_floor)


def test_torch_brightens_the_night_and_is_warm(stage, camera):
    world, x, y, z = stage
    dark = camera.render(world, view(x, y, z, pitch=30.0), MIDNIGHT)
    build(world, [(x + 1, y, z + 2)], "torch")
    lit = camera.render(world, view(x, y, z, pitch=30.0), MIDNIGHT)
    floor = (camera.codes == CODES["snow_block"]) & (camera.depth < 5)
    assert brightness(lit, floor) > 1.4 * brightness(dark, floor)
    red, _, blue = lit[floor].reshape(-1, 3).mean(0)
    assert red > blue * 1.2
    day = camera.render(world, view(x, y, z, pitch=30.0), NOON)
    assert brightness(day, floor) > brightness(lit, floor)


def test_a_cave_is_dark_at_noon(stage, camera):
    world, x, y, z = stage
    build(world, box(x - 4, x + 5, y, y + 5, z - 4, z + 5), "stone")
    build(world, box(x - 3, x + 4, y, y + 4, z - 3, z + 4), "air")
    assert brightness(camera.render(world, view(x, y, z), NOON)) < 20


def test_target_outline_and_cracks_darken_the_target_alone(stage, camera):
    world, x, y, z = stage
    build(world, [(x, y + 1, z + 3)], "stone")
    plain = camera.render(world, view(x, y, z), NOON).astype(int)
    shown = (camera.codes == CODES["stone"]) & (camera.depth < 6)
    target = (x, y + 1, z + 3)
    previous = camera.render(world, view(x, y, z, target=target), NOON).astype(int)
    changed = (previous != plain).any(-1)
    assert 10 < changed.sum() < 0.6 * shown.sum()
    assert not (changed & ~shown).any() and (previous <= plain).all()
    for crack in (0, 4, 9):
        cracked = camera.render(world, view(x, y, z, target=target, crack=crack), NOON).astype(int)
        assert (cracked <= previous).all() and not ((cracked != plain).any(-1) & ~shown).any()
        assert cracked.sum() < previous.sum()
        previous = cracked


def test_water_tints(stage, camera):
    world, x, y, z = stage
    build(world, box(x - 6, x + 7, y, y + 4, z - 6, z + 7), "water")
    above = View(x=x + 0.5, y=y + 7.0, z=z + 0.5, yaw=0.0, pitch=80.0)
    red, _, blue = camera.render(world, above, NOON)[40:56, 40:56].reshape(-1, 3).mean(0)
    assert camera.codes[48, 48] == CODES["water"] and camera.depth[48, 48] == pytest.approx(3.0, abs=0.2)
    assert blue > 1.2 * red
    inside = camera.render(world, view(x, y, z, pitch=40.0), NOON)
    red, _, blue = inside.reshape(-1, 3).mean(0)
    assert blue > 1.3 * red
    assert (camera.codes != CODES["water"]).any(), "the floor is seen through the water around the eye"
    floor = camera.codes == CODES["snow_block"]
    far, near = floor & (camera.depth > 5), floor & (camera.depth < 3)
    assert far.any() and near.any()
    assert inside[near][:, 0].mean() > 1.1 * inside[far][:, 0].mean(), "water takes red away with distance"


@pytest.mark.parametrize("kind", [RAIN, SNOW])
def test_rain_and_snow_fall_where_the_sky_is_open(stage, kind):
    world, x, y, z = stage
    camera = Renderer(96, 96)
    build(world, box(x - 14, x + 15, y + 4, y + 5, z - 14, z - 1), "stone")
    build(world, box(x - 14, x + 15, y, y + 4, z - 2, z - 1), "air")

    def changed(yaw, strength=1.0, tick=5, **more):
        plain = camera.render(world, view(x, y, z, yaw, **more), NOON)
        depth, codes = camera.depth.copy(), camera.codes.copy()
        wet = camera.render(world, view(x, y, z, yaw, precipitation=kind, strength=strength, tick=tick, **more), NOON)
        np.testing.assert_array_equal(camera.depth, depth)
        np.testing.assert_array_equal(camera.codes, codes)
        return (plain != wet).any(-1)

    assert changed(0.0).mean() > 0.01
    assert changed(0.0, strength=0.2).sum() <= changed(0.0).sum()
    assert (changed(0.0, tick=5) != changed(0.0, tick=6)).any(), "it falls"
    assert not changed(0.0, strength=0.0).any()
    # To the north there is a roof from one block on: drops are seen in front of it at most.
    north = changed(180.0)
    under = camera.depth < 14.0
    assert under.any() and not (north & under & (np.arange(96)[:, None] > 48)).any()


@pytest.mark.parametrize("kind", [RAIN, SNOW])
def test_no_rain_and_snow_under_a_roof(stage, camera, kind):
    world, x, y, z = stage
    build(world, box(x - 12, x + 13, y + 3, y + 4, z - 12, z + 13), "stone")
    for yaw in (0.0, 90.0, 180.0, 270.0):
        plain = camera.render(world, view(x, y, z, yaw), NOON)
        wet = camera.render(world, view(x, y, z, yaw, precipitation=kind, strength=1.0), NOON)
        np.testing.assert_array_equal(plain, wet)


def test_a_wall_hides_the_rain_behind_it(stage, camera):
    world, x, y, z = stage
    build(world, box(x - 3, x + 4, y, y + 6, z + 2, z + 3), "stone")
    plain = camera.render(world, view(x, y, z), NOON)
    wet = camera.render(world, view(x, y, z, precipitation=RAIN, strength=1.0), NOON)
    wall = camera.depth < 2.6
    assert wall.mean() > 0.3
    np.testing.assert_array_equal(plain[wall], wet[wall])


@pytest.mark.parametrize("sky", [NOON, sky_state(0.48, 0.0, 0.0), MIDNIGHT], ids=["noon", "sunset", "midnight"])
def test_terrain_at_the_view_distance_is_haze(sky):
    world = World(SEED, 32)
    x, z = find_spawn(SEED, "plains")
    world.recentre(x, z)
    camera = Renderer(128, 128)
    compared = 0
    for yaw in (0.0, 90.0, 180.0, -90.0):
        frame = camera.render(world, View(x=x + 0.5, y=50.0, z=z + 0.5, yaw=yaw, pitch=40.0), sky).astype(float)
        rows, columns = np.nonzero((camera.depth > 0.985 * 32) & (camera.depth <= 32))
        basis = camera_basis(yaw, 40.0, 128, 70.0)
        for row, column in list(zip(rows.tolist(), columns.tolist(), strict=True))[::7]:
            ray = basis[0] + (column + 0.5 - 64) * basis[1] + (64 - row - 0.5) * basis[2]
            ray /= np.linalg.norm(ray)
            assert ray[1] < 0.0, "below the horizon the haze has no share of the zenith's colour"
            glow = max(0.0, ray[0] * sky[SUN] + ray[2] * sky[SUN + 2]) ** 2
            haze = np.minimum(sky[HORIZON : HORIZON + 3] + glow * sky[GLOW : GLOW + 3], 255.0)
            assert np.abs(frame[row, column] - haze).max() <= 2.5
            compared += 1
    assert compared > 20


def test_fog_starts_far_away(stage):
    """Near surfaces keep their colour whatever the view distance."""
    world, x, y, z = stage
    camera = Renderer(64, 64)
    far = camera.render(world, view(x, y, z, pitch=40.0), NOON)
    near = camera.depth < 8
    world.view_distance, kept = 16, world.view_distance
    try:
        foggy = camera.render(world, view(x, y, z, pitch=40.0), NOON)
    finally:
        world.view_distance = kept
    assert near.mean() > 0.5
    np.testing.assert_array_equal(far[near], foggy[near])


def test_daylight_scales_the_ground(hall, camera):
    world, *feet = hall
    levels = []
    for time in (0.25, 0.02, 0.75):
        sky = sky_state(time, 0.0, 0.0)
        frame = camera.render(world, view(*feet, pitch=60.0), sky)
        levels.append((brightness(frame, camera.codes > 0), sky[DAYLIGHT : DAYLIGHT + 3].mean()))
    for (one, daylight), (other, less) in zip(levels, levels[1:], strict=False):
        assert one > other and other / one == pytest.approx(less / daylight, rel=0.15)


def test_hud_changes_its_own_pixels_only():
    frames = []
    for hud in (False, True):
        env = VoxelEnv(hud=hud, height=128, width=128)
        frames.append(env.reset(seed=1, options={"start_time": 0.25})[0])
        codes = env.block_ids()
    changed = (frames[0] != frames[1]).any(-1)
    assert 0.02 < changed.mean() < 0.3
    assert changed[110:].any(), "the hotbar"
    assert changed[60:68, 60:68].any(), "the crosshair"
    assert not changed[:55].any()
    assert codes.shape == (128, 128), "truth shows the world behind the display"


def test_camera_basis_is_right_handed_and_scaled_by_the_field_of_view():
    for yaw, pitch in ((0.0, 0.0), (37.0, -20.0), (-120.0, 70.0)):
        forward, right, up = camera_basis(yaw, pitch, 100, 70.0)
        pixel = math.tan(math.radians(35.0)) / 50
        assert np.linalg.norm(forward) == pytest.approx(1.0)
        assert np.linalg.norm(right) == pytest.approx(pixel) and np.linalg.norm(up) == pytest.approx(pixel)
        np.testing.assert_allclose(np.cross(right, forward) / pixel, up / pixel, atol=1e-12)
        assert right[1] == 0.0
