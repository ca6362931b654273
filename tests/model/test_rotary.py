import math

import pytest
import torch
from tiny_world import normal

from worldmodel.model.rotary import rotate, space_angles, time_angles


def scores(queries, keys, angles):
    """Products of all rotated queries (P, E) with all rotated keys."""
    return rotate(queries, angles) @ rotate(keys, angles).T


def test_rotation_keeps_lengths_of_pairs():
    x, angles = normal(3, 8), 10 * normal(3, 4, seed=1)
    turned = rotate(x, angles)
    pairs, turned_pairs = x.unflatten(-1, (2, 4)), turned.unflatten(-1, (2, 4))
    torch.testing.assert_close(turned_pairs.norm(dim=-2), pairs.norm(dim=-2))
    assert not torch.allclose(turned, x)


def test_rotation_by_known_angles():
    x = torch.tensor([[1.0, 0.0, 0.0, 1.0]])  # pairs (1, 0) and (0, 1)
    turned = rotate(x, torch.tensor([math.pi / 2, math.pi]))
    torch.testing.assert_close(turned, torch.tensor([[0.0, 0.0, 1.0, -1.0]]), atol=1e-6, rtol=0)


def test_rotations_add_up():
    x, one, other = normal(5, 8), normal(5, 4, seed=1), normal(5, 4, seed=2)
    torch.testing.assert_close(rotate(rotate(x, one), other), rotate(x, one + other))


def test_rotation_keeps_the_number_format():
    assert rotate(normal(2, 8).bfloat16(), normal(2, 4)).dtype == torch.bfloat16


@pytest.mark.parametrize("shift", [0.05, 1.0, 7.3])
def test_scores_depend_on_differences_of_times_only(shift):
    queries, keys = normal(6, 32), normal(6, 32, seed=1)
    seconds = torch.arange(6) * 0.1
    here = scores(queries, keys, time_angles(seconds, 32))
    there = scores(queries, keys, time_angles(seconds + shift, 32))
    torch.testing.assert_close(there, here, atol=1e-3, rtol=1e-3)
    slower = scores(queries, keys, time_angles(2 * seconds, 32))
    assert (slower - here).abs().max() > 0.1


@pytest.mark.parametrize(("down", "right"), [(0, 3), (2, 0), (2, 3)])
def test_scores_depend_on_differences_of_places_only(down, right):
    """A small picture inside a large one: the scores among its patches are the same wherever it is."""
    queries, keys = normal(6, 32), normal(6, 32, seed=1)
    large = space_angles(6, 8, 0, 32).view(6, 8, -1)
    window = large[down : down + 2, right : right + 3].flatten(0, 1)
    here = scores(queries, keys, space_angles(2, 3, 0, 32))
    torch.testing.assert_close(scores(queries, keys, window), here, atol=1e-4, rtol=1e-4)
    turned = space_angles(3, 2, 0, 32)
    assert (scores(queries, keys, turned) - here).abs().max() > 0.1


def test_rows_and_columns_are_told_apart():
    angles = space_angles(3, 3, 0, 16).view(3, 3, 2, 4)  # rows in the first half, columns in the second
    assert torch.equal(angles[0, :, 0], angles[0, :1, 0].expand(3, -1))
    assert torch.equal(angles[:, 0, 1], angles[:1, 0, 1].expand(3, -1))
    assert (angles[0, 0] != angles[1, 1]).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (5, 4)])
def test_places_are_counted_from_the_middle(height, width):
    angles = space_angles(height, width, 3, 16)
    assert angles.shape == (height * width + 3, 8)
    patches, extra = angles[: height * width], angles[height * width :]
    torch.testing.assert_close(patches.flip(0), -patches)
    assert (extra == 0).all()
    if height % 2 and width % 2:
        assert (patches[len(patches) // 2] == 0).all()


def test_time_runs_at_many_rates():
    rates = time_angles(torch.tensor(1.0), 32)
    assert rates[0].item() == pytest.approx(2 * math.pi / 0.2)
    assert rates[-1].item() == pytest.approx(2 * math.pi / 60)
    assert (rates.diff() < 0).all()


@pytest.mark.parametrize("num_frames", [1, 5, 16])
def test_end_of_a_loop_meets_its_start(num_frames):
    period = num_frames * 0.1
    seconds = torch.arange(num_frames + 1) * 0.1
    angles = time_angles(seconds, 32, period)
    torch.testing.assert_close(angles[-1].cos(), torch.ones(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(angles[-1].sin(), torch.zeros(16), atol=1e-4, rtol=0)
    assert not torch.allclose(time_angles(seconds, 32)[-1].cos(), torch.ones(16), atol=1e-2)


def test_a_loop_changes_rates_as_little_as_can_be():
    plain, looped = time_angles(torch.tensor(1.0), 32), time_angles(torch.tensor(1.0), 32, 1.6)
    unit = 2 * math.pi / 1.6
    assert (plain - looped).abs().max() <= unit / 2 + 1e-4
    assert looped[0] > 0 and looped[-1] == 0  # the slowest does not turn at all
