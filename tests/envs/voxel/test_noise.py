import numpy as np
import pytest

from worldmodel.envs.voxel.noise import (
    fractal_noise_2d,
    gradient_noise_2d,
    gradient_noise_3d,
    hash_cell,
    hash_unit,
    smoothstep,
)


def test_hash_is_never_negative_and_does_not_collide():
    values = {
        hash_cell(seed, x, y, z)
        for seed in (-1, 0, 1, 2**62)
        for x in range(-8, 8)
        for y in range(4)
        for z in range(-8, 8)
    }
    assert len(values) == 4 * 16 * 4 * 16
    assert min(values) >= 0 and max(values) < 2**63


def test_hash_bits_are_fair_and_each_input_bit_turns_half_of_them():
    flips = np.zeros(63)
    trials = 0
    for cell in range(200):
        whole = hash_cell(5, cell, -cell, 3 * cell)
        for bit in range(0, 32, 3):
            for changed in (
                hash_cell(5 ^ (1 << bit), cell, -cell, 3 * cell),
                hash_cell(5, cell ^ (1 << bit), -cell, 3 * cell),
                hash_cell(5, cell, -cell, (3 * cell) ^ (1 << bit)),
            ):
                difference = whole ^ changed
                flips += [difference >> i & 1 for i in range(63)]
                trials += 1
    assert np.all(np.abs(flips / trials - 0.5) < 0.04)


def test_hash_unit_is_uniform():
    values = np.array([hash_unit(3, i, 0, -i) for i in range(4000)])
    assert values.min() >= 0 and values.max() < 1
    counts, _ = np.histogram(values, bins=10, range=(0, 1))
    assert counts.min() > 320 and counts.max() < 480


def test_smoothstep_is_clamped():
    assert smoothstep(0.0, 2.0, -1.0) == 0.0
    assert smoothstep(0.0, 2.0, 1.0) == 0.5
    assert smoothstep(0.0, 2.0, 9.0) == 1.0


def test_noise_stays_in_range_and_has_no_bias():
    plane = np.array([gradient_noise_2d(9, i * 0.37, i * -0.73) for i in range(20000)])
    space = np.array([gradient_noise_3d(9, i * 0.37, i * 0.53, i * -0.73) for i in range(20000)])
    for values in (plane, space):
        assert np.abs(values).max() <= 1.0
        assert abs(values.mean()) < 0.02
        assert 0.2 < values.std() < 0.4


def test_noise_is_zero_at_its_lattice_points():
    assert gradient_noise_2d(1, -7.0, 4.0) == 0.0
    assert gradient_noise_3d(1, -7.0, 4.0, 0.0) == 0.0


@pytest.mark.parametrize("origin", [-1_000_000.0, -1.0, 0.0, 1_000_000.0])
def test_noise_is_continuous_across_lattice_lines(origin):
    step = 1e-6
    for i in range(50):
        along = origin + 0.31 * i
        assert abs(gradient_noise_2d(4, origin - step, along) - gradient_noise_2d(4, origin + step, along)) < 1e-4
        assert abs(gradient_noise_2d(4, along, origin - step) - gradient_noise_2d(4, along, origin + step)) < 1e-4
        below, above = gradient_noise_3d(4, along, origin - step, 0.3), gradient_noise_3d(4, along, origin + step, 0.3)
        assert abs(below - above) < 1e-4


def test_noise_is_not_mirrored_at_the_origin():
    points = [(0.3 + 0.7 * i, 0.9 + 0.45 * i) for i in range(200)]
    here = np.array([gradient_noise_2d(2, x, z) for x, z in points])
    for flip_x, flip_z in ((-1, 1), (1, -1), (-1, -1)):
        there = np.array([gradient_noise_2d(2, flip_x * x, flip_z * z) for x, z in points])
        assert abs(np.corrcoef(here, there)[0, 1]) < 0.3


def test_fractal_noise_differs_by_seed_and_salt_even_at_the_origin():
    values = {fractal_noise_2d(seed, salt, 0, 0, 100.0, 3) for seed in range(20) for salt in range(20)}
    assert len(values) == 400
    assert np.std(list(values)) > 0.1
    assert max(abs(value) for value in values) <= 1.0
