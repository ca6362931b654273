"""Seeded hashing and gradient noise on the integer plane: where every random thing in the world comes from.

Everything is a pure function of a seed and a position, so any part of an infinite world can be computed alone, in any
order, on any thread. Arithmetic is 64-bit throughout and nothing is reordered (no fast math): the same seed gives the
same bits on every machine. A coordinate of a million still leaves more than thirty binary digits for the fraction.

Gradient noise follows K. Perlin, "Improving Noise" (SIGGRAPH 2002); the hash ends in the mixing steps of
D. Stafford's variant 13 of the MurmurHash3 finaliser, as in SplitMix64.
"""

import math

import numba
import numpy as np

_SEED_STEP = np.uint64(0x9E3779B97F4A7C15)
_X_STEP = np.uint64(0xD1B54A32D192ED03)
_Y_STEP = np.uint64(0x8CB92BA72F3D8DD7)
_Z_STEP = np.uint64(0xABC98388FB8FAC03)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_1 = np.uint64(30)
_SHIFT_2 = np.uint64(27)
_SHIFT_3 = np.uint64(31)
_ONE = np.uint64(1)
_TOP_FOUR = np.uint64(60)

# Sixteen directions, evenly spaced and off the axes, written out so that no library's sine decides their last bit.
_C0, _C1, _C2, _C3 = 0.9807852804032304, 0.8314696123025452, 0.5555702330196022, 0.19509032201612825
_GRADIENTS_2D = np.array(
    [(sx * a, sz * b) for a, b in ((_C0, _C3), (_C1, _C2), (_C2, _C1), (_C3, _C0)) for sx in (1, -1) for sz in (1, -1)]
)
# The twelve edges of a cube; four of them twice, so that four bits choose.
_GRADIENTS_3D = np.array(
    [(a, b, 0) for a in (1, -1) for b in (1, -1)]
    + [(a, 0, b) for a in (1, -1) for b in (1, -1)]
    + [(0, a, b) for a in (1, -1) for b in (1, -1)]
    + [(1, 1, 0), (-1, 1, 0), (0, -1, 1), (0, -1, -1)],
    np.float64,
)


@numba.njit(cache=True, nogil=True)
def hash_cell(seed: int, x: int, y: int, z: int) -> int:
    """Hashes a cell.

    Args:
        seed: Any 64-bit integer.
        x: Any integer, and so are `y` and `z`; unused ones may be used to tell several draws for one cell apart.
        y: See `x`.
        z: See `x`.

    Returns:
        An int64 in [0, 2**63) whose bits all depend on all bits of the arguments.
    """
    value = np.uint64(seed) * _SEED_STEP
    value ^= value >> _SHIFT_3
    value += np.uint64(x) * _X_STEP + np.uint64(y) * _Y_STEP + np.uint64(z) * _Z_STEP
    value = (value ^ (value >> _SHIFT_1)) * _MIX_1
    value = (value ^ (value >> _SHIFT_2)) * _MIX_2
    value ^= value >> _SHIFT_3
    return np.int64(value >> _ONE)  # type: ignore[return-value]


@numba.njit(cache=True, nogil=True)
def hash_unit(seed: int, x: int, y: int, z: int) -> float:
    """Hashes a cell to a float in [0, 1); arguments as for `hash_cell`."""
    return (hash_cell(seed, x, y, z) >> 10) * (1.0 / (1 << 53))


@numba.njit(cache=True, nogil=True)
def smoothstep(low: float, high: float, value: float) -> float:
    """Rises smoothly from 0 where `value <= low` to 1 where `value >= high`."""
    t = min(max((value - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@numba.njit(cache=True, nogil=True)
def _fade(t: float) -> float:
    return t * t * t * (t * (t * 6.0 - 15.0) + 10.0)


@numba.njit(cache=True, nogil=True)
def _direction(seed: int, x: int, y: int, z: int) -> int:
    """Hashes a lattice point to [0, 16); one round of mixing is enough for the top bits, and this is the hot spot."""
    value = np.uint64(seed) + np.uint64(x) * _X_STEP + np.uint64(y) * _Y_STEP + np.uint64(z) * _Z_STEP
    value = (value ^ (value >> _SHIFT_3)) * _MIX_1
    return np.int64(value >> _TOP_FOUR)  # type: ignore[return-value]


@numba.njit(cache=True, nogil=True)
def _corner_2d(seed: int, x: int, z: int, dx: float, dz: float) -> float:
    direction = _direction(seed, x, 0, z)
    return _GRADIENTS_2D[direction, 0] * dx + _GRADIENTS_2D[direction, 1] * dz


@numba.njit(cache=True, nogil=True)
def _corner_3d(seed: int, x: int, y: int, z: int, dx: float, dy: float, dz: float) -> float:
    direction = _direction(seed, x, y, z)
    return _GRADIENTS_3D[direction, 0] * dx + _GRADIENTS_3D[direction, 1] * dy + _GRADIENTS_3D[direction, 2] * dz


@numba.njit(cache=True, nogil=True)
def gradient_noise_2d(seed: int, x: float, z: float) -> float:
    """Smooth noise on the plane with features about one unit wide.

    Args:
        seed: Any 64-bit integer.
        x: Position in units of the lattice; the noise is 0 at whole numbers.
        z: Likewise.

    Returns:
        A float in [-1, 1], mean 0, standard deviation about 0.3.
    """
    x0, z0 = math.floor(x), math.floor(z)
    dx, dz = x - x0, z - z0
    u, w = _fade(dx), _fade(dz)
    a = _corner_2d(seed, x0, z0, dx, dz)
    b = _corner_2d(seed, x0 + 1, z0, dx - 1.0, dz)
    c = _corner_2d(seed, x0, z0 + 1, dx, dz - 1.0)
    d = _corner_2d(seed, x0 + 1, z0 + 1, dx - 1.0, dz - 1.0)
    near, far = a + u * (b - a), c + u * (d - c)
    return (near + w * (far - near)) * math.sqrt(2.0)


@numba.njit(cache=True, nogil=True)
def gradient_noise_3d(seed: int, x: float, y: float, z: float) -> float:
    """Smooth noise in space with features about one unit wide.

    Args:
        seed: Any 64-bit integer.
        x: Position in units of the lattice; the noise is 0 at whole numbers.
        y: Likewise.
        z: Likewise.

    Returns:
        A float in about [-1, 1], mean 0, standard deviation about 0.27.
    """
    x0, y0, z0 = math.floor(x), math.floor(y), math.floor(z)
    dx, dy, dz = x - x0, y - y0, z - z0
    u, v, w = _fade(dx), _fade(dy), _fade(dz)
    a = _corner_3d(seed, x0, y0, z0, dx, dy, dz)
    b = _corner_3d(seed, x0 + 1, y0, z0, dx - 1.0, dy, dz)
    low_near = a + u * (b - a)
    a = _corner_3d(seed, x0, y0 + 1, z0, dx, dy - 1.0, dz)
    b = _corner_3d(seed, x0 + 1, y0 + 1, z0, dx - 1.0, dy - 1.0, dz)
    high_near = a + u * (b - a)
    a = _corner_3d(seed, x0, y0, z0 + 1, dx, dy, dz - 1.0)
    b = _corner_3d(seed, x0 + 1, y0, z0 + 1, dx - 1.0, dy, dz - 1.0)
    low_far = a + u * (b - a)
    a = _corner_3d(seed, x0, y0 + 1, z0 + 1, dx, dy - 1.0, dz - 1.0)
    b = _corner_3d(seed, x0 + 1, y0 + 1, z0 + 1, dx - 1.0, dy - 1.0, dz - 1.0)
    high_far = a + u * (b - a)
    near, far = low_near + v * (high_near - low_near), low_far + v * (high_far - low_far)
    return near + w * (far - near)


@numba.njit(cache=True, nogil=True)
def fractal_noise_2d(seed: int, salt: int, x: float, z: float, period: float, octaves: int) -> float:
    """Sums octaves of noise, each half as wide and half as strong as the one before.

    Every octave is shifted by a hashed fraction of its lattice: gradient noise is 0 at its lattice points, and
    unshifted octaves of all fields of all seeds would share them (the origin would look alike in every world).

    Args:
        seed: Any 64-bit integer, the world's.
        salt: Tells fields of one world apart.
        x: Position in cells.
        z: Likewise.
        period: Width of the widest features in cells.
        octaves: Number of octaves, at least 1.

    Returns:
        A float in [-1, 1], mean 0, standard deviation about 0.25.
    """
    total, weights, weight, frequency = 0.0, 0.0, 1.0, 1.0 / period
    for octave in range(octaves):
        key = hash_cell(seed, salt, octave, 0)
        shift_x, shift_z = (key & 0xFFFF) * (1.0 / 65536), ((key >> 16) & 0xFFFF) * (1.0 / 65536)
        total += weight * gradient_noise_2d(key, x * frequency + shift_x, z * frequency + shift_z)
        weights += weight
        weight *= 0.5
        frequency *= 2.0
    return total / weights
