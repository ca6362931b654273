from dataclasses import replace

import pytest
import torch
from tiny_world import (
    HEADS,
    OUTPUTS,
    PROMPTS,
    assert_same,
    distance,
    item,
    noisy_input,
    normal,
    tiny_config,
    tiny_model,
)

from worldmodel.model.denoiser import STEP_SIZES, Denoiser, foreseen, step_size_index
from worldmodel.model.heads import REWARD_BINS

PERTURBED = ("latents", "sigma", "actions", "action_sigma", "action_null")


def run(model, inputs):
    with torch.no_grad():
        return model.denoiser(inputs)


def perturb(inputs, name: str, frames):
    """Changes one part of an input at some frames."""
    part = getattr(inputs, name).clone()
    if name == "action_null":
        part[:, frames] = ~part[:, frames]
    elif name == "actions":
        part[:, frames] = part[:, frames].flip(-1)
    elif name == "latents":
        part[:, frames] += 1
    else:
        part[:, frames] = 1 - part[:, frames]
    return replace(inputs, **{name: part})


@pytest.mark.parametrize("grid", [(2, 2), (4, 6), (6, 4), (2, 10)])
@pytest.mark.parametrize("num_frames", [1, 3])
def test_any_grid_and_duration(model, grid, num_frames):
    output = run(model, noisy_input(model, num_frames=num_frames, grid=grid))
    assert output.latents.shape == (2, num_frames, *grid, 4)
    assert output.action_logits.shape == output.policy_logits.shape == (2, num_frames, 2, 31)
    assert output.reward_logits.shape == (2, num_frames, REWARD_BINS)
    assert output.termination_logits.shape == (2, num_frames)
    assert all(getattr(output, name).isfinite().all() for name in OUTPUTS)


@pytest.mark.parametrize("name", PERTURBED)
def test_causal_mode_never_looks_ahead(model, name):
    inputs = noisy_input(model, num_frames=5)
    before, after = run(model, inputs), run(model, perturb(inputs, name, slice(3, None)))
    for output in OUTPUTS:
        one, other = getattr(before, output), getattr(after, output)
        assert torch.equal(one[:, :3], other[:, :3]), f"{name} of a later frame has leaked into {output}"
        assert (one[:, 3:] - other[:, 3:]).abs().amax() > 1e-3, f"{name} has no say in {output} of its own frame"


@pytest.mark.parametrize("name", PERTURBED)
def test_causal_mode_looks_back(model, name):
    inputs = noisy_input(model, num_frames=5)
    before, after = run(model, inputs), run(model, perturb(inputs, name, 1))
    for output in OUTPUTS:
        one, other = getattr(before, output), getattr(after, output)
        assert (one[:, 4] - other[:, 4]).abs().amax() > 1e-4, f"{name} of an earlier frame has no say in {output}"


@pytest.mark.parametrize("name", PERTURBED)
def test_bidirectional_mode_looks_ahead(model, name):
    inputs = noisy_input(model, num_frames=5, causal=False)
    before, after = run(model, inputs), run(model, perturb(inputs, name, 4))
    for output in OUTPUTS:
        one, other = getattr(before, output), getattr(after, output)
        assert (one[:, 0] - other[:, 0]).abs().amax() > 1e-4, f"{name} of a later frame has no say in {output}"


@pytest.mark.parametrize("causal", [True, False])
def test_nothing_reads_the_agent_token(causal):
    model = tiny_model()
    inputs = noisy_input(model, causal=causal)
    before = run(model, inputs)
    with torch.no_grad():
        model.denoiser.extra_tokens[-1] += normal(32)
    after = run(model, inputs)
    assert torch.equal(before.latents, after.latents)
    assert torch.equal(before.action_logits, after.action_logits)
    assert all(change > 0.01 for change in distance(before, after, HEADS).values())


@pytest.mark.parametrize("token", [0, 1, 2], ids=["register", "register 2", "action token"])
def test_other_tokens_are_read(token):
    model = tiny_model()
    inputs = noisy_input(model)
    before = run(model, inputs)
    with torch.no_grad():
        model.denoiser.extra_tokens[token] += normal(32)
    assert all(change > 0.01 for change in distance(before, run(model, inputs)).values())


def test_agent_token_sees_all_of_its_frame(model):
    inputs = noisy_input(model, num_frames=1)
    before = run(model, inputs)
    for site in ((0, 0), (3, 5), (2, 3)):
        latents = inputs.latents.clone()
        latents[:, 0, *site] += 2
        assert all(change > 1e-3 for change in distance(before, run(model, replace(inputs, latents=latents))).values())


@pytest.mark.parametrize("causal", [True, False])
def test_item_is_the_same_alone_and_in_a_batch(model, causal):
    inputs = noisy_input(model, batch=4, causal=causal)
    together = run(model, inputs)
    for i in range(4):
        alone = run(model, item(inputs, i))
        for name in OUTPUTS:
            torch.testing.assert_close(getattr(together, name)[i], getattr(alone, name)[0], atol=2e-5, rtol=2e-5)


def test_padded_words_have_no_say(model):
    words, mask = model.embed_prompts(PROMPTS[:2])
    inputs = noisy_input(model)
    before = run(model, inputs)
    noise = torch.where(mask[..., None], words, 100.0)
    longer = torch.cat([noise, torch.full((2, 3, 32), -50.0)], dim=1)
    longer_mask = torch.cat([mask, torch.zeros(2, 3, dtype=torch.bool)], dim=1)
    assert_same(run(model, replace(inputs, text=longer, text_mask=longer_mask)), before)


def test_prompt_has_a_say(model):
    one = run(model, noisy_input(model, text=model.embed_prompts(["snow", "snow"])))
    other = run(model, noisy_input(model, text=model.embed_prompts(["lava", "snow"])))
    assert (one.latents[0] - other.latents[0]).abs().max() > 1e-3
    assert torch.equal(one.latents[1], other.latents[1])


def test_each_site_has_a_noise_level(model):
    """Two sites of one patch, and frames whose largest level is the same, must be told apart."""
    inputs = noisy_input(model, num_frames=1)
    inputs.sigma[:] = 0.5
    inputs.sigma[:, :, 3, 5] = 1.0
    before = run(model, inputs)
    for site in ((0, 0), (0, 1)):
        sigma = inputs.sigma.clone()
        sigma[:, :, *site] = 0.0
        assert distance(before, run(model, replace(inputs, sigma=sigma)))["latents"] > 0.01


def test_actions_have_no_say_where_they_are_null(model):
    inputs = noisy_input(model)
    inputs.action_null[:, 1] = True
    before = run(model, inputs)
    assert_same(run(model, perturb(inputs, "actions", 1)), before, tolerance=0)
    assert distance(before, run(model, perturb(inputs, "actions", 2)))["latents"] > 0.01


def test_actions_come_in_as_a_token_too():
    """Not only through scales and shifts: the action token, at noise levels of its own, is what is denoised."""
    model = tiny_model()
    for modulation in (model.denoiser.transformer.modulation, model.denoiser.modulation):
        torch.nn.init.zeros_(modulation.weight)
    inputs = noisy_input(model)
    changes = distance(run(model, inputs), run(model, perturb(inputs, "actions", 2)))
    assert all(change > 1e-3 for change in changes.values())


def test_every_tick_of_an_action_has_a_say(model):
    inputs = noisy_input(model)
    before = run(model, inputs)
    for tick in range(2):
        actions = inputs.actions.clone()
        actions[:, 2, tick] = actions[:, 2, tick].flip(-1)
        assert distance(before, run(model, replace(inputs, actions=actions)))["latents"] > 0.01


def test_step_sizes_and_modes_are_told_apart(model):
    inputs = noisy_input(model, num_frames=1)  # a frame alone: the mode changes nothing that is seen
    outputs = [run(model, replace(inputs, step_size=torch.full((2,), i))) for i in range(len(STEP_SIZES))]
    outputs.append(run(model, replace(inputs, causal=False)))
    for i, one in enumerate(outputs):
        for other in outputs[:i]:
            assert distance(one, other)["latents"] > 0.01


def test_order_of_frames_counts(model):
    inputs = noisy_input(model, causal=False)
    flipped = {name: getattr(inputs, name).flip(1) for name in PERTURBED}
    before, after = run(model, inputs), run(model, replace(inputs, **flipped))
    assert (before.latents - after.latents.flip(1)).abs().max() > 1e-3


@pytest.mark.parametrize("shift", [1, 2, 5])
def test_loop_has_no_first_frame(model, shift):
    inputs = noisy_input(model, num_frames=6, causal=False, periodic=True)
    rolled = replace(inputs, **{name: getattr(inputs, name).roll(shift, 1) for name in PERTURBED})
    before, after = run(model, inputs), run(model, rolled)
    for name in OUTPUTS:
        torch.testing.assert_close(getattr(after, name), getattr(before, name).roll(shift, 1), atol=1e-4, rtol=1e-4)


def test_plain_video_has_a_first_frame(model):
    inputs = noisy_input(model, num_frames=6, causal=False)
    rolled = replace(inputs, **{name: getattr(inputs, name).roll(1, 1) for name in PERTURBED})
    assert (run(model, rolled).latents - run(model, inputs).latents.roll(1, 1)).abs().max() > 1e-2


def test_clock_counts_in_seconds():
    """A latent frame of 4 ticks lasts twice as long as one of 2: the same weights see frames further apart."""
    model = tiny_model()
    inputs = noisy_input(model)
    before = run(model, inputs)
    model.denoiser.latent_seconds *= 2
    after = run(model, inputs)
    torch.testing.assert_close(before.latents[:, 0], after.latents[:, 0])
    assert (before.latents[:, 1:] - after.latents[:, 1:]).abs().max() > 1e-3


def test_model_without_actions():
    model = tiny_model(actions=False)
    output = run(model, noisy_input(model))
    assert output.latents.std() > 0.1
    assert output.action_logits.shape == (2, 4, 2, 0)


def test_half_precision_is_near(model):
    inputs = noisy_input(model)
    half = run(tiny_model().bfloat16(), replace(inputs, text=inputs.text.bfloat16()))
    reference = run(model, inputs)
    assert half.reward_logits.dtype == torch.bfloat16
    assert half.latents.dtype == torch.float32, "a small change must not be lost beside what was foreseen"
    error = (half.latents.float() - reference.latents).square().mean() / reference.latents.var()
    assert error < 0.01


def test_fresh_network_adds_nothing_and_predicts_rare_ends():
    config = tiny_config()
    denoiser = Denoiser(config.denoiser, channels=4, frames_per_latent=2, action_width=31, latent_seconds=0.1)
    inputs = noisy_input(tiny_model())
    output = run(type("Model", (), {"denoiser": denoiser}), inputs)
    likeness = torch.full((2, 4), torch.tensor(1.0).sigmoid())
    assert torch.equal(output.latents, foreseen(inputs, likeness))
    for name in ("action_logits", "policy_logits", "reward_logits"):
        assert (getattr(output, name) == 0).all()
    assert (output.termination_logits.sigmoid() < 0.01).all()


def test_what_is_foreseen():
    """Against sampling: latents of variance 1, correlated in time, seen through noise."""
    likeness, sigma, previous_sigma = 0.8, 0.4, 0.3
    source = torch.Generator().manual_seed(0)
    first, change, *noise = (torch.randn(200_000, generator=source) for _ in range(4))
    clean = likeness * first + (1 - likeness**2) ** 0.5 * change
    seen = (1 - previous_sigma) * first + previous_sigma * noise[0], (1 - sigma) * clean + sigma * noise[1]
    latents = torch.stack(seen).view(1, 2, 1, 1, -1)
    inputs = replace(noisy_input(tiny_model()), latents=latents)
    inputs.sigma = torch.tensor([previous_sigma, sigma]).view(1, 2, 1, 1)
    guess = foreseen(inputs, torch.full((1, 2), likeness))[0, 1].flatten()
    best = torch.linalg.lstsq(torch.stack(seen, 1), clean[:, None]).solution[:, 0]
    torch.testing.assert_close(guess, torch.stack(seen, 1) @ best, atol=0.02, rtol=0.0)


def test_fresh_network_learns():
    """Zeros at the start must not cut all gradients off."""
    config = tiny_config()
    torch.manual_seed(0)
    denoiser = Denoiser(config.denoiser, channels=4, frames_per_latent=2, action_width=31, latent_seconds=0.1)
    inputs = noisy_input(tiny_model())
    optimizer = torch.optim.Adam(denoiser.parameters(), 1e-2)
    losses = []
    for _ in range(12):
        loss = (denoiser(inputs).latents - inputs.latents).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_sizes_of_steps():
    assert [STEP_SIZES[step_size_index(steps)] for steps in (1, 2, 4)] == [1.0, 0.5, 0.25]
    assert [STEP_SIZES[step_size_index(steps)] for steps in (3, 8, 50)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("sigma", (2, 4)),
        ("sigma", (2, 4, 6, 4)),
        ("actions", (2, 4, 31)),
        ("actions", (2, 4, 1, 31)),
        ("actions", (2, 3, 2, 31)),
        ("action_sigma", (2, 3)),
        ("action_null", (4,)),
        ("step_size", (1,)),
    ],
)
def test_part_of_a_wrong_shape_is_named(model, name, shape):
    inputs = replace(noisy_input(model), **{name: torch.zeros(shape)})
    with pytest.raises(ValueError, match=rf"^{name}: expected shape .* got \({shape[0]}"):
        model.denoiser(inputs)


@pytest.mark.parametrize(("grid", "name"), [((3, 4), "height"), ((4, 5), "width")])
def test_grid_that_cannot_be_cut_into_patches_is_named(model, grid, name):
    with pytest.raises(ValueError, match=f"^{name}: expected a positive multiple of 2"):
        model.denoiser(noisy_input(model, grid=grid))


@pytest.mark.parametrize(
    ("name", "shape"),
    [("latents", (2, 4, 4, 6, 5)), ("text", (3, 5, 32)), ("text", (2, 5, 16)), ("text_mask", (2, 4))],
)
def test_latents_and_text_of_a_wrong_shape_are_named(model, name, shape):
    text = normal(2, 5, 32), torch.ones(2, 5, dtype=torch.bool)
    wrong = normal(*shape) > 0 if name == "text_mask" else normal(*shape)
    inputs = replace(noisy_input(model, text=text), **{name: wrong})
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        model.denoiser(inputs)
