from dataclasses import replace

import pytest
import torch
from moving_square import ACTIONS

from worldmodel.data.action_codec import ActionCodec
from worldmodel.model import Metadata, Size, WorldModel, model_config
from worldmodel.model.text import tokenize
from worldmodel.training.losses import Clips, DenoiserLoss, loss_weights
from worldmodel.training.noising import NoisePlan

B, T, H, W = 4, 5, 4, 4


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    metadata = Metadata(height=32, width=32, fps=10.0, action_space=ActionCodec(ACTIONS).to_json())
    model = WorldModel(model_config(Size.tiny, frames_per_latent=1, channels=4), metadata)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return model


@pytest.fixture
def clips():
    g = torch.Generator().manual_seed(1)
    actions = torch.nn.functional.one_hot(torch.randint(5, (B, T, 1), generator=g), 5).float()
    return Clips(
        latents=torch.randn(B, T, H, W, 4, generator=g),
        actions=actions,
        action_null=torch.zeros(B, T, dtype=torch.bool),
        rewards=torch.zeros(B, T),
        terminated=torch.zeros(B, T, dtype=torch.bool),
        prompts=tokenize(["a square", "b", "", "c d"], 64),
        noise=torch.randn(B, T, H, W, 4, generator=g),
        action_noise=torch.randn(B, T, 1, 5, generator=g),
        causal=True,
    )


def plan(sigma=0.5, *, step_size=0, known=0, action_sigma=0.0):
    unknown = torch.ones(B, T, H, W, dtype=torch.bool)
    unknown[:, :known] = False
    return NoisePlan(
        sigma=torch.where(unknown, sigma, 0.0),
        unknown=unknown,
        action_sigma=torch.full((B, T), action_sigma),
        action_null=torch.zeros(B, dtype=torch.bool),
        text_null=torch.zeros(B, dtype=torch.bool),
        step_size=step_size,
    )


def parts(model, clips, drawn):
    return DenoiserLoss(model)(clips, drawn, loss_weights(clips, drawn))[1]


def test_a_perfect_prediction_has_no_loss(model, clips, monkeypatch):
    forward = model.denoiser.forward
    monkeypatch.setattr(model.denoiser, "forward", lambda inputs: replace(forward(inputs), latents=clips.latents))
    assert parts(model, clips, plan())["latent"] == 0


def test_known_frames_do_not_count(model, clips, monkeypatch):
    forward = model.denoiser.forward

    def wrong_where_known(inputs):
        latents = clips.latents.clone()
        latents[:, :2] += 5
        return replace(forward(inputs), latents=latents)

    monkeypatch.setattr(model.denoiser, "forward", wrong_where_known)
    assert parts(model, clips, plan(known=2))["latent"] == 0
    assert parts(model, clips, plan(known=1))["latent"] > 1


def test_clean_latents_count_more_than_noise(clips):
    clean, noisy = (loss_weights(clips, plan(sigma)).latent.sum() / B for sigma in (0.01, 1.0))
    assert clean == pytest.approx(0.996, abs=1e-3) and noisy == pytest.approx(0.6, abs=1e-3)


def test_the_heads_learn_only_where_they_are_not_told_the_future(clips):
    assert loss_weights(clips, plan(0.2)).policy.sum() == pytest.approx(B)
    assert loss_weights(replace(clips, causal=False), plan(0.2)).policy.sum() == 0
    assert loss_weights(replace(clips, causal=False), plan(0.2)).head.sum() == 0
    # A frame that is pure noise shows nothing to act upon.
    assert loss_weights(clips, plan(1.0)).policy.sum() == 0


def test_actions_count_where_they_are_noisy_and_there(clips):
    assert loss_weights(clips, plan()).action.sum() == 0
    clips.action_null[:, 0] = True
    weights = loss_weights(clips, plan(action_sigma=0.5)).action
    assert weights[:, 0].sum() == 0 and weights[:, 1:].min() > 0


def test_the_parts_of_a_batch_have_the_gradient_of_the_whole(model, clips):
    """What every machine does with its share, put together, is what one machine does with everything."""
    from worldmodel.training.stages import share

    drawn = plan(known=1, action_sigma=0.5)
    drawn.unknown[0] = False  # items count differently
    drawn.unknown[0, -1] = True
    whole = (clips, drawn, loss_weights(clips, drawn))
    module = DenoiserLoss(model)

    def gradients(batches):
        module.zero_grad()
        for batch in batches:
            (module(*batch)[0] / len(batches)).backward()
        return [p.grad.clone() for p in module.parameters() if p.grad is not None]

    for one, two in zip(gradients([whole]), gradients([share(whole, i, 2) for i in range(2)]), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_dropped_prompts_are_no_prompts(model, clips):
    drawn = plan()
    drawn.text_null[:] = True
    nothing = replace(clips, prompts=tokenize([""] * B, 64))
    torch.testing.assert_close(parts(model, clips, drawn)["latent"], parts(model, nothing, plan())["latent"])
    assert parts(model, clips, drawn)["latent"] != parts(model, clips, plan())["latent"]


def test_a_long_step_aims_where_two_half_steps_end(model, clips, monkeypatch):
    """Against the definition, with a denoiser whose answers are known."""
    calls = []

    def denoise(inputs):
        calls.append((int(inputs.step_size[0]), inputs.sigma.clone(), inputs.latents.clone()))
        return replace(original(inputs), latents=0.5 * inputs.latents + 1)

    original = model.denoiser.forward
    monkeypatch.setattr(model.denoiser, "forward", denoise)
    drawn = plan(0.5, step_size=2, known=1)  # steps of one half: from .5 to .25 to 0
    loss = parts(model, clips, drawn)["latent"]
    z = 0.5 * clips.latents + 0.5 * clips.noise
    halfway = z - 0.25 * (z - (0.5 * z + 1)) / 0.5
    end = halfway - 0.25 * (halfway - (0.5 * halfway + 1)) / 0.25
    target = z - 0.5 * ((z - end) / 0.5)
    error = (0.5 * z + 1 - target).square().mean(-1)[:, 1:]
    torch.testing.assert_close(loss, (error * (1 - 0.4 * 0.5)).mean())
    assert [call[0] for call in calls] == [1, 1, 2]
    torch.testing.assert_close(calls[1][2][:, 1:], halfway[:, 1:])
    torch.testing.assert_close(calls[1][2][:, 0], clips.latents[:, 0])
    assert (calls[1][1][:, 1:] == 0.25).all() and (calls[1][1][:, 0] == 0).all()
