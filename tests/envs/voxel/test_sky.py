"""The course of a day: sun, moon, stars and the colours of the air."""

import math

import numpy as np
import pytest

from worldmodel.envs.voxel.renderer import Renderer, View
from worldmodel.envs.voxel.sky import CLOUD_HEIGHT, DAYLIGHT, GLOW, HORIZON, SKY_SIZE, STARS, SUN, ZENITH, sky_state
from worldmodel.envs.voxel.world import World

SUNRISE, NOON, SUNSET, MIDNIGHT = 0.0, 0.25, 0.5, 0.75
COLOURS = [part + i for part in (ZENITH, HORIZON, GLOW, DAYLIGHT + 3) for i in range(3)]
DAYLIGHTS = [DAYLIGHT, DAYLIGHT + 1, DAYLIGHT + 2]


@pytest.fixture(scope="module")
def world():
    """Eyes are put above the clouds, so that nothing hides the sky."""
    world = World(3, 16)
    world.recentre(0.0, 0.0)
    return world


@pytest.fixture(scope="module")
def camera():
    return Renderer(64, 64)


def look(camera, world, sky, yaw, pitch):
    frame = camera.render(world, View(x=0.5, y=CLOUD_HEIGHT + 1.0, z=0.5, yaw=yaw, pitch=pitch), sky)
    return frame.astype(float)


def towards(direction):
    """Yaw and pitch of a direction."""
    x, y, z = direction / np.linalg.norm(direction)
    return math.degrees(math.atan2(-x, z)), -math.degrees(math.asin(y))


def test_state_has_its_layout_and_colours_are_in_range():
    for time in np.linspace(0, 1, 97):
        for rain in (0.0, 0.4, 1.0):
            state = sky_state(float(time), rain, 12.0)
            assert state.shape == (SKY_SIZE,) and np.isfinite(state).all()
            assert (state[COLOURS] >= 0).all() and (state[COLOURS] <= 255).all()
            assert (state[DAYLIGHTS] > 0).all() and (state[DAYLIGHTS] <= 1).all()
            assert np.linalg.norm(state[SUN : SUN + 3]) == pytest.approx(1.0)
            assert 0.0 <= state[STARS] <= 1.0


def test_noon_is_brighter_than_sunset_and_sunset_than_midnight(world, camera):
    for part in (DAYLIGHT, ZENITH, HORIZON):
        noon, sunset, midnight = (sky_state(time, 0.0, 0.0)[part : part + 3].sum() for time in (NOON, SUNSET, MIDNIGHT))
        assert noon > sunset > midnight
    means = [look(camera, world, sky_state(time, 0.0, 0.0), 0.0, -40.0).mean() for time in (NOON, SUNSET, MIDNIGHT)]
    assert means[0] > 1.3 * means[1] > 1.3 * means[2]
    assert means[2] > 3.0, "even the night is not black"


def test_sun_rises_in_the_east_and_sets_in_the_west():
    for time, direction in ((SUNRISE, (1, 0)), (NOON, (0, 1)), (SUNSET, (-1, 0)), (MIDNIGHT, (0, -1))):
        x, y, _ = sky_state(time, 0.0, 0.0)[SUN : SUN + 3]
        assert (x, y) == pytest.approx(direction, abs=0.05)
    xs = [sky_state(time, 0.0, 0.0)[SUN] for time in np.linspace(SUNRISE, SUNSET, 30)]
    assert (np.diff(xs) < 0).all()


@pytest.mark.parametrize("time", [0.01, 0.03, 0.06, 0.44, 0.47, 0.49])
def test_the_sun_is_seen_where_it_stands(world, camera, time):
    sky = sky_state(time, 0.0, 0.0)
    frame = look(camera, world, sky, *towards(sky[SUN : SUN + 3]))
    disc = frame[30:34, 30:34].reshape(-1, 3)
    assert (disc[:, 0] > 250).all() and (disc[:, 1] > 240).all()
    around = frame[[10, 10, 20, 20], [8, 55, 8, 55]]
    assert around.mean() < disc.mean() - 40
    yaw, pitch = towards(sky[SUN : SUN + 3])
    away = look(camera, world, sky, yaw + 180.0, pitch)
    assert away[30:34, 30:34].mean() < disc.mean() - 30


@pytest.mark.parametrize("time", [0.53, 0.56, 0.94, 0.97])
def test_the_moon_is_opposite_the_sun(world, camera, time):
    sky = sky_state(time, 0.0, 0.0)
    frame = look(camera, world, sky, *towards(-sky[SUN : SUN + 3]))
    disc, around = frame[31:33, 31:33].mean(), frame[[10, 10, 20, 20], [8, 55, 8, 55]].mean()
    assert disc > 170 and disc > around + 60


def test_the_sky_glows_towards_the_setting_sun():
    sky = sky_state(0.5, 0.0, 0.0)
    world = World(3, 16)
    world.recentre(0.0, 0.0)
    camera = Renderer(32, 32)
    west, east = (look(camera, world, sky, yaw, -12.0)[20:, :6].mean((0, 1)) for yaw in (90.0, -90.0))
    assert west[0] > east[0] + 15 and west[0] - west[2] > east[0] - east[2]


def test_colours_change_without_jumps():
    """Steps of ten ticks of a day of 24,000."""
    for rain in (0.0, 1.0):
        states = np.array([sky_state(step / 2400, rain, 0.0) for step in range(2401)])
        np.testing.assert_allclose(states[0], states[-1], atol=1e-9)
        steps = np.abs(np.diff(states, axis=0))
        assert steps[:, COLOURS].max() < 3.0
        assert steps[:, DAYLIGHTS].max() < 0.02 and steps[:, STARS].max() < 0.05
    rains = np.array([sky_state(0.3, step / 100, 0.0) for step in range(101)])
    assert np.abs(np.diff(rains, axis=0))[:, COLOURS].max() < 3.0


def test_pictures_of_the_sky_change_without_jumps(world, camera):
    for start in (-0.06, 0.44):
        frames = [look(camera, world, sky_state(start + step / 2400, 0.0, 0.0), 0.0, -50.0) for step in range(288)]
        means = np.array([frame.mean((0, 1)) for frame in frames])
        assert np.abs(np.diff(means, axis=0)).max() < 2.5 and np.ptp(means) > 40


def test_stars_shine_at_night_only(world, camera):
    def stars(time, rain=0.0):
        """Pixels of the upper sky that the stars change."""
        sky = sky_state(time, rain, 0.0)
        starless = sky.copy()
        starless[STARS] = 0.0
        return (look(camera, world, sky, 0.0, -40.0) != look(camera, world, starless, 0.0, -40.0)).any(-1)

    night = stars(MIDNIGHT)
    assert 3 <= night.sum() < 0.2 * night.size
    for time in (SUNRISE, 0.1, NOON, 0.4, SUNSET):
        assert not stars(time).any() and sky_state(time, 0.0, 0.0)[STARS] == 0.0
    assert not stars(MIDNIGHT, rain=1.0).any()


def test_rain_greys_and_dims_the_day():
    clear, wet = sky_state(NOON, 0.0, 0.0), sky_state(NOON, 1.0, 0.0)
    assert (wet[DAYLIGHT : DAYLIGHT + 3] < clear[DAYLIGHT : DAYLIGHT + 3]).all()
    assert np.ptp(wet[ZENITH : ZENITH + 3]) < 0.4 * np.ptp(clear[ZENITH : ZENITH + 3])


def test_clouds_drift_west(world, camera):
    """The picture from x blocks east is that of clouds that have drifted x blocks."""
    sky = sky_state(0.3, 0.0, 0.0)
    view = {"y": 70.0, "z": 0.5, "yaw": 30.0, "pitch": -55.0}
    here = camera.render(world, View(x=0.5, **view), sky)
    moved = camera.render(world, View(x=0.5, **view), sky_state(0.3, 0.0, 8.0))
    east = camera.render(world, View(x=8.5, **view), sky)
    assert (here != moved).any()
    np.testing.assert_allclose(moved.astype(int), east.astype(int), atol=1)
