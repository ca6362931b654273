import pytest
import torch

from worldmodel.sampling import Schedule, noise_levels


def _schedule(**more):
    levels = torch.linspace(1, 0, 5)
    parts = {"latents": levels[:, None, None, None].repeat(1, 3, 2, 2), "actions": levels[:, None].repeat(1, 3)}
    return Schedule(**(parts | more))


def test_levels_are_uniform_without_a_shift():
    assert noise_levels(4).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert noise_levels(1).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("shift", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("start", [0.0, 1e-4, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("num_steps", [1, 2, 37])
def test_levels_fall_from_start_to_zero(num_steps, start, shift):
    levels = noise_levels(num_steps, start=start, shift=shift)
    assert levels.shape == (num_steps + 1,) and levels.dtype == torch.float32
    assert levels[0] == torch.tensor(start) and levels[-1] == 0
    assert (levels[1:] < levels[:-1]).all() or start == 0


def test_shift_follows_the_formula_and_spends_steps_at_high_noise():
    t = torch.linspace(1, 0, 9)
    torch.testing.assert_close(noise_levels(8, shift=3.0), 3 * t / (1 + 2 * t))
    assert noise_levels(8, shift=3.0)[4] > 0.5 > noise_levels(8, shift=1 / 3)[4]


def test_levels_below_start_are_the_end_of_the_full_curve():
    whole = noise_levels(10, shift=3.0)
    torch.testing.assert_close(noise_levels(6, start=whole[4].item(), shift=3.0), whole[4:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_steps": 0}, "num_steps: expected at least 1, got 0"),
        ({"num_steps": 4, "start": 1.5}, "start: expected .* got 1.5"),
        ({"num_steps": 4, "start": -0.1}, "start: expected"),
        ({"num_steps": 4, "start": float("nan")}, "start: expected"),
        ({"num_steps": 4, "shift": 0.0}, "shift: expected .* got 0.0"),
        ({"num_steps": 4, "shift": float("inf")}, "shift: expected"),
    ],
)
def test_levels_refuse(arguments, message):
    with pytest.raises(ValueError, match=message):
        noise_levels(**arguments)


def test_schedule_tells_its_size_and_what_is_known():
    schedule = _schedule()
    schedule.latents[:, 1, 0] = 0
    schedule.actions[:, 2] = 0
    schedule.validate()
    assert schedule.num_steps == 4 and schedule.grid == (3, 2, 2)
    assert schedule.known_latents.nonzero().tolist() == [[1, 0, 0], [1, 0, 1]]
    assert schedule.known_actions.tolist() == [False, False, True]


def _spoiled(name, index, value):
    levels = getattr(_schedule(), name).clone()
    levels[index] = value
    return {name: levels}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"latents": torch.zeros(5, 3)}, r"latents: expected \(num_steps \+ 1, T, h, w\).* got \(5, 3\)"),
        ({"latents": torch.zeros(1, 3, 2, 2)}, "latents: expected .* at least one step"),
        ({"latents": torch.zeros(5, 3, 0, 2)}, "latents: expected .* no empty axis"),
        ({"latents": torch.zeros(5, 3, 2, 2, dtype=torch.int64)}, "latents: expected floating point .* torch.int64"),
        ({"actions": torch.zeros(5, 3, 1)}, r"actions: expected \(num_steps \+ 1, T\).* got \(5, 3, 1\)"),
        ({"actions": torch.zeros(5, 4)}, r"actions: expected \(5, 3\).* got \(5, 4\)"),
        ({"actions": torch.zeros(4, 3)}, r"actions: expected \(5, 3\).* got \(4, 3\)"),
        (_spoiled("latents", (0, 0, 0, 0), 1.5), "latents: expected noise levels from 0 to 1, got 0.0 to 1.5"),
        (_spoiled("latents", (0, 0, 0, 0), float("nan")), "latents: expected noise levels from 0 to 1"),
        (_spoiled("actions", (4, 0), -0.5), "actions: expected noise levels from 0 to 1, got -0.5"),
        (_spoiled("latents", (2, 1, 1, 0), 0.9), "latents: .* never rise, got a rise from step 1 to step 2"),
        (_spoiled("actions", (4, 1), 0.125), "actions: expected 0 in the last row, got up to 0.125"),
    ],
)
def test_validate_refuses(parts, message):
    with pytest.raises(ValueError, match=message):
        _schedule(**parts).validate()
