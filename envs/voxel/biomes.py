"""Climate: the slow fields that decide what grows at a place, and how high the ground lies.

Four fields of gradient noise vary over one to two hundred cells: temperature, humidity, ruggedness and wetness. The
first three choose the biome, and all of them shape the ground through smooth weights, never through the biome's name,
so the ground has no step where two biomes meet. The approach, and the words, are those of Minecraft's noise router
(minecraft.wiki, "World generation"), with fewer fields.
"""

import numba

from worldmodel.envs.voxel.grid import SEA_LEVEL
from worldmodel.envs.voxel.noise import fractal_noise_2d, smoothstep

BIOMES = ("plains", "forest", "desert", "snow", "mountains")
"""Names of the biomes; a biome's code is its index."""
PLAINS, FOREST, DESERT, SNOW, MOUNTAINS = range(len(BIOMES))

MAX_GROUND = 57
"""No ground lies higher, so that six layers of air remain."""

CLIMATE_STEP = 4
"""The climate is computed on a lattice of this width in cells and interpolated in between, to save time."""

_TEMPERATURE, _HUMIDITY, _RUGGEDNESS, _WETNESS = range(1, 5)  # salts of the fields that make the climate
_ELEVATION, _ROLL, _RIDGE, _DUNE, _WARP_X, _WARP_Z = range(5, 11)  # and of those that shape the ground

HOT, COLD = 0.17, -0.17
"""Temperatures above which it is desert and below which snow lies."""
_HUMID = 0.0
_RUGGED = 0.2


@numba.njit(cache=True, nogil=True)
def climate(seed: int, x: int, z: int) -> tuple[float, float, float, float, float]:
    """Computes the climate of a column from scratch.

    Args:
        seed: The world's seed.
        x: Column, east.
        z: Column, south.

    Returns:
        `(temperature, humidity, ruggedness, basin, ground)`: three floats in [-1, 1]; how much of a lake's basin the
        place is, in [0, 1]; height of the ground in cells, before fine detail.
    """
    # Gradient noise has edges along the axes; bending the plane first makes shores and borders wander.
    warped_x = x + 42.0 * fractal_noise_2d(seed, _WARP_X, x, z, 72.0, 2)
    warped_z = z + 42.0 * fractal_noise_2d(seed, _WARP_Z, x, z, 72.0, 2)
    temperature = fractal_noise_2d(seed, _TEMPERATURE, warped_x, warped_z, 210.0, 3)
    humidity = fractal_noise_2d(seed, _HUMIDITY, warped_x, warped_z, 170.0, 3)
    ruggedness = fractal_noise_2d(seed, _RUGGEDNESS, warped_x, warped_z, 190.0, 2)
    wetness = fractal_noise_2d(seed, _WETNESS, warped_x, warped_z, 130.0, 2)
    roll = fractal_noise_2d(seed, _ROLL, x, z, 44.0, 2)

    desert = smoothstep(HOT - 0.08, HOT + 0.12, temperature)
    snow = smoothstep(-COLD - 0.08, -COLD + 0.12, -temperature)
    forest = smoothstep(_HUMID - 0.1, _HUMID + 0.15, humidity) * (1.0 - desert) * (1.0 - snow)
    mountain = smoothstep(_RUGGED - 0.08, _RUGGED + 0.28, ruggedness)

    ground = 27.6 + 2.4 * fractal_noise_2d(seed, _ELEVATION, x, z, 150.0, 1)
    ground += roll * (2.4 + 5.0 * forest + 3.0 * snow)
    if desert > 0.0:
        dune = 1.0 - abs(fractal_noise_2d(seed, _DUNE, x, 2 * z, 52.0, 2))
        ground += desert * 5.5 * (dune * dune - 0.5)
    if mountain > 0.0:
        ridge = 1.0 - 1.6 * abs(fractal_noise_2d(seed, _RIDGE, x, z, 72.0, 2))
        ground += mountain * (6.0 + 22.0 * ridge)
    basin = smoothstep(0.16, 0.46, wetness) * (1.0 - mountain) * (1.0 - 0.6 * desert)
    ground += basin * (SEA_LEVEL - 9.0 - ground)
    return temperature, humidity, ruggedness, basin, ground


@numba.njit(cache=True, nogil=True)
def classify(temperature: float, humidity: float, ruggedness: float) -> int:
    """Chooses the biome, an index into `BIOMES`, from the climate."""
    if ruggedness > _RUGGED:
        return MOUNTAINS
    if temperature > HOT:
        return DESERT
    if temperature < COLD:
        return SNOW
    return FOREST if humidity > _HUMID else PLAINS


@numba.njit(cache=True, nogil=True)
def blend(a: float, b: float, c: float, d: float, u: float, w: float) -> float:
    """Interpolates in a square with values `a b` on its north side and `c d` on its south side, `u, w` in [0, 1]."""
    near = a + u * (b - a)
    far = c + u * (d - c)
    return near + w * (far - near)


@numba.njit(cache=True, nogil=True)
def column_climate(seed: int, x: int, z: int) -> tuple[float, float, float, float, float]:
    """Computes the climate of one column as the world has it, interpolated from the lattice; see `climate`."""
    x0, z0 = x // CLIMATE_STEP * CLIMATE_STEP, z // CLIMATE_STEP * CLIMATE_STEP
    u, w = (x - x0) / CLIMATE_STEP, (z - z0) / CLIMATE_STEP
    a = climate(seed, x0, z0)
    b = climate(seed, x0 + CLIMATE_STEP, z0)
    c = climate(seed, x0, z0 + CLIMATE_STEP)
    d = climate(seed, x0 + CLIMATE_STEP, z0 + CLIMATE_STEP)
    return (
        blend(a[0], b[0], c[0], d[0], u, w),
        blend(a[1], b[1], c[1], d[1], u, w),
        blend(a[2], b[2], c[2], d[2], u, w),
        blend(a[3], b[3], c[3], d[3], u, w),
        blend(a[4], b[4], c[4], d[4], u, w),
    )


@numba.njit(cache=True, nogil=True)
def biome_at(seed: int, x: int, z: int) -> int:
    """Tells the biome of a column.

    Args:
        seed: The world's seed.
        x: Column, east.
        z: Column, south.

    Returns:
        Index into `BIOMES`.
    """
    temperature, humidity, ruggedness, _, _ = column_climate(seed, x, z)
    return classify(temperature, humidity, ruggedness)
