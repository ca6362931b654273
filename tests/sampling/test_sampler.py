import pytest
import torch
from task_table import GRID, TASKS

from worldmodel.sampling import Sample, Schedule, draw_noise, euler_step, sample, tasks

BATCH, CHANNELS, TICKS, WIDTH = 3, 4, 2, 5
EVERY_TASK = pytest.mark.parametrize("name", TASKS)


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _given(batch=BATCH, grid=GRID, seed=1):
    generator = _generator(seed)
    latents = torch.randn(batch, *grid, CHANNELS, generator=generator)
    return latents, torch.rand(batch, grid[0], TICKS, WIDTH, generator=generator)


def _mix(z, sigma, action_z, action_sigma):
    """A denoiser that looks at neighbours in a circle, at levels and at actions: equivariant to rolls along time."""
    level = sigma[..., None]
    action = action_z.mean(dim=(2, 3)) * (1 - action_sigma)
    x_hat = 0.5 * z.roll(1, dims=1) + 0.3 * z.roll(-1, dims=1) * (1 - level) + action[:, :, None, None, None]
    action_hat = 0.8 * action_z + 0.1 * z.mean(dim=(2, 3, 4))[:, :, None, None]
    return x_hat, action_hat


def _places(z, sigma, action_z, action_sigma):
    """A denoiser that knows absolute time: not equivariant."""
    place = torch.arange(z.shape[1], dtype=z.dtype)[None, :, None, None, None]
    return 0.5 * z + place, action_z


# ---- one step ----


def test_step_follows_the_velocity():
    z, x_hat = _given(seed=2)[0], _given(seed=3)[0]
    sigma, next_sigma = torch.full(GRID, 0.8), torch.full(GRID, 0.3)
    torch.testing.assert_close(euler_step(z, x_hat, sigma, next_sigma), z + (0.3 - 0.8) * (z - x_hat) / 0.8)


def test_step_stays_or_lands_exactly():
    z, x_hat = _given(seed=2)[0], _given(seed=3)[0]
    sigma = torch.rand(GRID, generator=_generator())
    sigma[0], sigma[1] = 0, 1e-12
    assert euler_step(z, x_hat, sigma, sigma).equal(z)
    assert euler_step(z, x_hat, sigma, torch.zeros(GRID))[:, 1:].equal(x_hat[:, 1:])
    assert euler_step(z, x_hat * float("nan"), sigma, sigma).equal(z)


# ---- the law of what is sampled, for a normal distribution, where the best denoiser is known ----


def _law(size, seed=5):
    """Mean (size,) and covariance (size, size) of a normal distribution in which everything depends on everything."""
    factor = torch.randn(size, size, generator=_generator(seed), dtype=torch.float64)
    mean = torch.randn(size, generator=_generator(seed + 1), dtype=torch.float64)
    return mean, factor @ factor.T / size + 0.2 * torch.eye(size, dtype=torch.float64)


def _flat(latents, actions):
    return torch.cat([latents.flatten(1), actions.flatten(1)], dim=1).double()


def _posterior_mean(mean, covariance):
    """The best denoiser of such data, E[x | z], for latents of one channel and actions of one number."""

    def denoise(z, sigma, action_z, action_sigma):
        level = _flat(sigma[:1], action_sigma[:1])[0]  # the same for all items
        kept = torch.diag(1 - level)
        gain = covariance @ kept @ torch.linalg.inv(kept @ covariance @ kept + torch.diag(level**2))
        x = mean + (_flat(z, action_z) - mean * (1 - level)) @ gain.T
        latents, actions = x.float().split([z[0].numel(), action_z[0].numel()], dim=1)
        return latents.reshape(z.shape), actions.reshape(action_z.shape)

    return denoise


@pytest.mark.parametrize("name", [name for name in TASKS if name != "edit"])
def test_samples_follow_the_law_given_what_is_known(name):
    num_samples, size = 20_000, 2 * GRID[0] + GRID[0]
    mean, covariance = _law(size)
    schedule = TASKS[name](64)
    truth = (mean + torch.linalg.cholesky(covariance) @ torch.randn(size, generator=_generator(9)).double()).float()
    latents = truth[: 2 * GRID[0]].reshape(1, *GRID, 1).expand(num_samples, -1, -1, -1, -1)
    actions = truth[2 * GRID[0] :].reshape(1, GRID[0], 1, 1).expand(num_samples, -1, -1, -1)

    result = sample(_posterior_mean(mean, covariance), schedule, latents, actions, _generator(), roll=False)

    known = torch.cat([schedule.known_latents.flatten(), schedule.known_actions])
    gain = covariance[~known][:, known] @ torch.linalg.inv(covariance[known][:, known])
    expected_mean = mean[~known] + gain @ (truth.double() - mean)[known]
    expected = covariance[~known][:, ~known] - gain @ covariance[known][:, ~known]
    found = _flat(result.latents, result.actions)[:, ~known]
    deviations = expected.diag().sqrt()
    assert ((found.mean(dim=0) - expected_mean).abs() < 4.5 * deviations / num_samples**0.5).all()
    assert ((found.std(dim=0) / deviations - 1).abs() < 0.04).all()
    error = (found.T.cov() - expected) / deviations / deviations[:, None]
    assert error.abs().max() < 0.08  # most of it is the Euler method's, and shrinks with the number of steps


def test_editing_data_yields_data():
    num_samples, size = 20_000, 3 * GRID[0]
    mean, covariance = _law(size)
    factor = torch.linalg.cholesky(covariance)
    data = (mean + torch.randn(num_samples, size, generator=_generator(9)).double() @ factor.T).float()
    latents, actions = data.split([2 * GRID[0], GRID[0]], dim=1)
    schedule = tasks.edit(GRID, 64, strength=0.6, actions_known=False)
    denoise = _posterior_mean(mean, covariance)
    result = sample(
        denoise, schedule, latents.reshape(-1, *GRID, 1), actions.reshape(-1, GRID[0], 1, 1), _generator(), roll=False
    )
    found = _flat(result.latents, result.actions)
    deviations = covariance.diag().sqrt()
    assert ((found.mean(dim=0) - mean).abs() < 4.5 * deviations / num_samples**0.5).all()
    assert ((found.T.cov() - covariance) / deviations / deviations[:, None]).abs().max() < 0.08
    assert (found - data).std() > 0.1  # edited, not copied


def test_one_step_gives_the_mean():
    mean, covariance = _law(3 * GRID[0])
    given = torch.zeros(4, *GRID, 1), torch.zeros(4, GRID[0], 1, 1)
    schedule = tasks.generate(GRID, 1, actions_known=False)
    result = sample(_posterior_mean(mean, covariance), schedule, *given, _generator())
    assert _flat(result.latents, result.actions).float().equal(mean.float().expand(4, -1))


# ---- what is known ----


def _bits(x):
    return x.contiguous().view(torch.uint8)


@EVERY_TASK
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_known_parts_come_out_bit_for_bit(name, dtype):
    latents, actions = (part.to(dtype) for part in _given())
    latents[..., 0], actions[..., 0] = -0.0, 1e-38
    latents[..., 1], actions[..., 1] = 0.1, 0.1  # which float64 holds more exactly than float32
    before = latents.clone(), actions.clone()
    schedule = TASKS[name](4)
    result = sample(_mix, schedule, latents, actions, _generator())
    known, known_actions = schedule.known_latents, schedule.known_actions
    assert _bits(result.latents[:, known]).equal(_bits(latents[:, known]))
    assert _bits(result.actions[:, known_actions]).equal(_bits(actions[:, known_actions]))
    assert (result.latents[:, ~known] != latents[:, ~known]).any(dim=-1).all()
    assert (result.actions[:, ~known_actions] != actions[:, ~known_actions]).any(dim=-1).all()
    assert result.latents.dtype == result.actions.dtype == dtype
    assert latents.equal(before[0]) and actions.equal(before[1])


@EVERY_TASK
def test_the_model_sees_known_parts_clean_and_levels_as_scheduled(name):
    latents, actions = _given()
    schedule = TASKS[name](4)
    steps = []

    def denoise(z, sigma, action_z, action_sigma):
        step = len(steps)
        steps.append(step)
        assert sigma.equal(schedule.latents[step].expand(BATCH, *GRID))
        assert action_sigma.equal(schedule.actions[step].expand(BATCH, GRID[0]))
        assert z[sigma == 0].equal(latents[sigma == 0]) or step > 0
        assert z[:, schedule.known_latents].equal(latents[:, schedule.known_latents])
        assert action_z[:, schedule.known_actions].equal(actions[:, schedule.known_actions])
        return torch.zeros_like(z), torch.zeros_like(action_z)

    result = sample(denoise, schedule, latents, actions, _generator(), roll=False)
    assert len(steps) == schedule.num_steps
    assert (result.latents[:, ~schedule.known_latents] == 0).all()


def test_what_was_given_does_not_matter_where_all_is_noise():
    latents, actions = _given()
    schedule = tasks.play(GRID, 3, known=2)
    first = sample(_mix, schedule, latents, actions, _generator())
    latents[:, 2:], actions[:, 2:] = float("nan"), float("inf")
    second = sample(_mix, schedule, latents, actions, _generator())
    assert first.latents.equal(second.latents) and first.actions.equal(second.actions)


def test_predictions_of_known_parts_do_not_matter():
    schedule = tasks.extend_forward(GRID, 3, known=2)

    def denoise(z, sigma, action_z, action_sigma):
        x_hat = torch.where(sigma[..., None] == 0, float("nan"), 0.5 * z)
        return x_hat, torch.full_like(action_z, float("nan"))

    result = sample(denoise, schedule, *_given(), _generator())
    assert result.latents.isfinite().all() and result.actions.isfinite().all()


# ---- editing ----


def test_editing_moves_further_the_stronger_it_is():
    latents, actions = _given()

    def denoise(z, sigma, action_z, action_sigma):
        level = sigma[..., None]
        return z * (1 - level) / ((1 - level) ** 2 + level**2), action_z  # the best one for standard normal data

    def moved(strength):
        schedule = tasks.edit(GRID, 8, strength=strength)
        result = sample(denoise, schedule, latents, actions, _generator())
        return (result.latents - latents).abs().mean().item()

    distances = [moved(strength) for strength in (0.0, 1e-4, 0.2, 0.5, 0.8)]
    assert distances[0] == 0 and distances[1] < 1e-3
    assert distances == sorted(distances) and distances[-1] > 0.5


# ---- loops ----


def test_rolls_do_not_matter_to_a_model_without_a_sense_of_place():
    given = _given()
    noise = draw_noise(given[0].shape, _generator(7)), draw_noise(given[1].shape, _generator(8))
    schedule = tasks.loop(GRID, 6, actions_known=False)
    still = sample(_mix, schedule, *given, noise=noise, roll=False)
    rolled = [sample(_mix, schedule, *given, _generator(seed), noise=noise) for seed in range(3)]
    rolled.append(sample(_mix, schedule, *given, noise=noise))  # by one frame a step
    for other in rolled:
        torch.testing.assert_close(other.latents, still.latents)
        torch.testing.assert_close(other.actions, still.actions)


@pytest.mark.parametrize("name", ["infill", "inpaint", "play", "pyramid, actions too"])
def test_rolls_keep_latents_actions_and_levels_aligned(name):
    given = _given()
    noise = draw_noise(given[0].shape, _generator(7)), draw_noise(given[1].shape, _generator(8))
    schedule = TASKS[name](4)
    still, rolled = (sample(_mix, schedule, *given, _generator(), noise=noise, roll=roll) for roll in (False, True))
    torch.testing.assert_close(rolled.latents, still.latents)
    torch.testing.assert_close(rolled.actions, still.actions)


def test_rolls_even_out_places():
    grid = (6, 1, 1)
    given = torch.zeros(200, *grid, CHANNELS), torch.zeros(200, grid[0], TICKS, WIDTH)
    noise = draw_noise(given[0].shape, _generator()), given[1]

    def spread(**more):
        frames = sample(_places, tasks.loop(grid, 40), *given, **more).latents.mean(dim=(0, 2, 3, 4))
        return (frames.max() - frames.min()).item()

    still = spread(noise=noise, roll=False)
    assert spread(generator=_generator()) < 0.2 * still
    assert spread(noise=noise) < 0.6 * still  # by one frame a step


def test_predictions_reach_on_step_unrolled():
    seen = []
    given = _given()
    noise = draw_noise(given[0].shape, _generator(7)), torch.zeros_like(given[1])
    schedule = tasks.loop(GRID, 4)
    result = sample(
        lambda z, sigma, action_z, action_sigma: (z, action_z),
        schedule,
        *given,
        noise=noise,
        on_step=lambda step, x_hat: seen.append((step, x_hat)),
    )
    assert [step for step, _ in seen] == [0, 1, 2, 3]
    assert all(x_hat.equal(noise[0]) for _, x_hat in seen) and result.latents.equal(noise[0])


# ---- randomness ----


@pytest.mark.parametrize("name", ["generate, actions too", "extend_forward", "loop"])
def test_an_item_with_its_own_generator_is_the_same_alone_and_in_a_batch(name):
    latents, actions = _given()
    schedule = TASKS[name](4)
    together = sample(_mix, schedule, latents, actions, [_generator(seed) for seed in range(BATCH)])
    for item in range(BATCH):
        part = slice(item, item + 1)
        alone = sample(_mix, schedule, latents[part], actions[part], _generator(item))
        torch.testing.assert_close(alone.latents, together.latents[part], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(alone.actions, together.actions[part], rtol=1e-6, atol=1e-6)


def test_noise_of_an_item_is_the_same_alone_and_in_a_batch():
    shape = (3, *GRID, CHANNELS)
    noise = draw_noise(shape, [_generator(seed) for seed in (4, 5, 6)])
    assert noise.shape == shape and noise.dtype == torch.float32
    assert noise[1:2].equal(draw_noise((1, *shape[1:]), _generator(5)))
    assert not noise[0].equal(noise[1])


def test_noise_does_not_depend_on_what_is_known():
    starts = {}

    def keep(name):
        def denoise(z, sigma, action_z, action_sigma):
            starts[name] = z
            return z, action_z

        return denoise

    for name in ("generate", "extend_forward"):
        sample(keep(name), TASKS[name](1), *_given(), _generator())
    assert starts["generate"][:, 2:].equal(starts["extend_forward"][:, 2:])


def test_global_random_state_is_neither_read_nor_changed():
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        results.append(sample(_mix, tasks.loop(GRID, 3), *_given(), _generator()))
        assert torch.get_rng_state().equal(before)
    assert results[0].latents.equal(results[1].latents)


def test_sampling_keeps_no_gradients_and_works_in_float32():
    latents, actions = (part.half().requires_grad_() for part in _given())

    def denoise(*seen):
        assert all(part.dtype == torch.float32 for part in seen)
        return seen[0].half(), seen[2].half()

    result = sample(denoise, tasks.generate(GRID, 2), latents, actions, _generator())
    assert isinstance(result, Sample)
    assert result.latents.dtype == torch.float16 and not result.latents.requires_grad


# ---- errors ----


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latents": torch.zeros(BATCH, 5, 2, CHANNELS)}, r"latents: expected .*\(B, T, h, w, C\)"),
        ({"latents": torch.zeros(BATCH, *GRID, CHANNELS).long()}, "latents: expected floating point .* torch.int64"),
        ({"latents": torch.zeros(BATCH, 5, 2, 2, CHANNELS)}, r"latents: .* \(5, 1, 2\) .* got \(5, 2, 2\)"),
        ({"actions": torch.zeros(BATCH, 5, WIDTH)}, r"actions: expected .*\(B, T, r, A\)"),
        ({"actions": torch.zeros(BATCH, 4, TICKS, WIDTH)}, r"actions: expected \(B, T\) = \(3, 5\).* got \(3, 4\)"),
        ({"generator": None}, "generator: expected"),
        ({"generator": [_generator()]}, "generators: expected one, or one for each of 3 items, got 1"),
        ({"noise": (torch.zeros(1), torch.zeros(1))}, r"noise: expected a tensor shaped \(3, 5, 1, 2, 4\)"),
        ({"denoise": lambda z, *rest: (z[..., :1], rest[1])}, "denoise: expected .* got .*1\\)"),
        ({"denoise": lambda z, *rest: (rest[1], z), "roll": True}, "denoise: expected"),
        ({"schedule": Schedule(latents=torch.ones(2, *GRID), actions=torch.zeros(2, 5))}, "latents: expected 0 in"),
    ],
)
def test_sample_refuses(change, message):
    latents, actions = _given()
    arguments = {"denoise": _mix, "schedule": tasks.generate(GRID, 2), "latents": latents, "actions": actions}
    with pytest.raises(ValueError, match=message):
        sample(**(arguments | {"generator": _generator()} | change))
