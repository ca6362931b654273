"""The variants of `benchmarks/ablations` differ in what they say, and all are scored on the same ticks."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodel.model import Metadata
from worldmodel.model.text import tokenize
from worldmodel.training.losses import Clips, DenoiserLoss, loss_weights
from worldmodel.training.noising import NoisePlan

ROOT = Path(__file__).parents[1]
# For moving_square and ablations, which are no modules of a package.
sys.path += [str(ROOT / "tests" / "training"), str(ROOT / "benchmarks")]

from ablations import report, trials  # noqa: E402
from ablations.trials import Result  # noqa: E402
from ablations.variants import FIRST, VARIANTS  # noqa: E402
from moving_square import make_store  # noqa: E402

B, T, H, W, C = 3, 4, 4, 4, 16


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("ablations") / "data", episodes=12, steps=60, percent=40.0)


@pytest.fixture(scope="module")
def make(store):
    """Makes the model of a variant, with random weights where training begins with zeros."""
    metadata = Metadata(height=32, width=32, fps=10.0, action_space=store.codec.to_json())

    def made(name):
        variant = VARIANTS[name]
        model = trials.make(variant, metadata, trials.make(replace(variant, seed=9), metadata, _random(variant)))
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for parameter in model.denoiser.parameters():
                if not parameter.any():
                    parameter.normal_(std=0.1, generator=generator)
        return model.eval()

    def _random(variant):
        from worldmodel.model import WorldModel

        return WorldModel(trials.sizes(variant), metadata)

    return made


@pytest.fixture
def clips():
    g = torch.Generator().manual_seed(1)
    return Clips(
        latents=torch.randn(B, T, H, W, C, generator=g),
        actions=torch.nn.functional.one_hot(torch.randint(5, (B, T, 2), generator=g), 5).float(),
        action_null=torch.zeros(B, T, dtype=torch.bool),
        rewards=torch.zeros(B, T),
        terminated=torch.zeros(B, T, dtype=torch.bool),
        prompts=tokenize(["a", "b", "c"], 64),
        noise=torch.randn(B, T, H, W, C, generator=g),
        action_noise=torch.randn(B, T, 2, 5, generator=g),
        causal=True,
    )


def plan(sigma):
    nobody = torch.zeros(B, dtype=torch.bool)
    levels = torch.full((B, T, H, W), sigma)
    levels[:, 0] = 0.0
    return NoisePlan(levels, levels > 0, torch.zeros(B, T), nobody, nobody)


def noisy(model, clips, sigma):
    """What the denoiser looks at, the first frame known."""
    levels = plan(sigma).sigma
    z = (1 - levels[..., None]) * clips.latents + levels[..., None] * clips.noise
    return model.inputs(z, levels, actions=clips.actions)


def test_a_velocity_leads_to_the_clean_latents(make, clips):
    model = make("velocity")
    inputs = noisy(model, clips, 0.7)
    found = model.denoiser._clean(inputs, torch.zeros(()), clips.noise - clips.latents)
    torch.testing.assert_close(found, clips.latents)


def test_errors_of_velocities_count_by_the_noise(make, clips):
    model, drawn = make("velocity"), plan(0.5)
    weights = loss_weights(clips, drawn)
    velocity = VARIANTS["velocity"].loss(model)(clips, drawn, weights)[1]["latent"]
    clean = DenoiserLoss(model)(clips, drawn, weights)[1]["latent"]
    assert float(velocity) == pytest.approx(4 * float(clean), rel=1e-5)


def test_without_a_first_guess_the_network_says_it_all(make, clips):
    model = make("clean")
    inputs = noisy(model, clips, 0.7)
    found = model.denoiser._clean(inputs, torch.zeros(()), torch.ones_like(clips.latents))
    assert (found[:, 1:] == 1).all()
    torch.testing.assert_close(found[:, 0], clips.latents[:, 0], msg="what is known stays")


@pytest.mark.parametrize(("name", "in_tokens", "in_conditions"), [
    ("base", True, True), ("action_token", True, False), ("action_condition", False, True),
])  # fmt: skip
def test_where_actions_go_in(make, clips, name, in_tokens, in_conditions):
    denoiser = make(name).denoiser
    inputs = noisy(make(name), clips, 0.7)
    others = replace(inputs, actions=inputs.actions.roll(1, -1))
    with torch.no_grad():
        (tokens, action), (other_tokens, other_action) = denoiser._tokens(inputs), denoiser._tokens(others)
        conditions = denoiser._condition(inputs, action), denoiser._condition(others, other_action)
        heard = denoiser(inputs).latents, denoiser(others).latents
    assert torch.allclose(tokens, other_tokens, atol=1e-5) != in_tokens
    assert torch.allclose(*conditions) != in_conditions
    assert not torch.allclose(*heard), "all variants obey their actions"


def test_ordinary_initialisation_is_another_one(make):
    heard, unheard = (make(name).denoiser.from_action[0].weight.std().item() for name in ("base", "action_unheard"))
    assert heard == pytest.approx(0.3, rel=0.1) and unheard < 0.25


def test_all_remember_as_many_ticks():
    for variant in VARIANTS.values():
        config = trials.sizes(variant)
        assert config.denoiser.window * config.compression.frames_per_latent == trials.CLIP_TICKS
        settings = trials.training_settings(variant, 100)
        assert settings.clip_latents * variant.frames_per_latent == trials.CLIP_TICKS
        assert settings.shortcut_share == (0.0 if variant is VARIANTS["no_shortcut"] else 0.2)


def test_clips_hold_the_same_ticks_whatever_a_latent_frame_is(make, store, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "HORIZON_TICKS", 32)
    found = []
    for name in ("ticks_1", FIRST, "ticks_4"):
        bucket = trials.compressed(store, make(name), tmp_path / name, held_out=True)
        found.append(trials.held_out_clips(store, bucket, 5))
    ticks = [clips.frames.flatten(1, 2) for clips in found]
    assert ticks[0].shape == (5, 48, 32, 32, 3) and len({clips.context for clips in found}) == 3
    for clips, frames in zip(found, ticks, strict=True):
        torch.testing.assert_close(frames, ticks[0])
        torch.testing.assert_close(clips.actions.flatten(1, 2), found[0].actions.flatten(1, 2), msg="actions, too")
    monkeypatch.setattr(trials, "HORIZON_TICKS", 400)
    with pytest.raises(ValueError, match="held-out episodes of more than 416 frames, found none"):
        trials.held_out_clips(store, bucket, 5)


def test_a_training_goes_on_and_is_scored(make, store, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "HORIZON_TICKS", 32)
    variant, model = VARIANTS["tokens_36"], make("tokens_36")
    buckets = [trials.compressed(store, model, tmp_path / str(part), held_out=part) for part in (False, True)]
    flops = trials.flops_per_step(variant, model, buckets[0], store.captions)
    assert flops == trials.flops_per_step(variant, model, buckets[0], store.captions), "whatever else the machine does"
    before = model.denoiser.to_latent.weight.clone()
    trials.train("a", variant, model, buckets[0], store.captions, tmp_path / "run", 3)
    after = model.denoiser.to_latent.weight.clone()
    assert not torch.equal(before, after)
    again = trials.train("a", variant, make("tokens_36"), buckets[0], store.captions, tmp_path / "run", 3)
    torch.testing.assert_close(again.denoiser.to_latent.weight, after, msg="a training that is over is not done again")
    clips = trials.held_out_clips(store, buckets[1], 2)
    result, dream = trials.score(again, clips, 3, flops)
    assert result.dreamed.shape == (2, 32) and dream.shape == (2, 32, 32, 32, 3)
    assert result.by_steps.shape == (3, 2, 32) and result.shuffled.shape == (2, 32) and result.heard > 0
    np.testing.assert_array_equal(result.by_steps[1], result.dreamed, "2 sampling steps are the usual ones")
    truth = clips.frames[:, clips.context :].flatten(1, 2).numpy().astype(np.float64)
    error = np.square(truth - dream).mean((2, 3, 4))
    np.testing.assert_allclose(result.dreamed, 10 * np.log10(255**2 / error), rtol=1e-3)


def test_the_page_tells_differences(tmp_path):
    def result(psnr, shuffled):
        flat = np.full((8, 256), psnr, np.float32)
        return Result(
            dreamed=flat, shuffled=np.full((8, 32), shuffled, np.float32), by_steps=np.stack([flat[:, :32]] * 3),
            codec=flat + 5, repeat=np.full((8, 256), 12.0, np.float32), heard=1.25, steps=10, flops_per_step=2e12,
        )  # fmt: skip

    results = {FIRST: result(15.0, 14.0), "velocity": result(13.5, 13.0)}
    lines = report.page(results)
    assert lines[0].startswith("Each training has 20.0 Tflop. 8 moving of 8 held-out clips")
    base, velocity = (next(line for line in lines if line.startswith(f"| {name} ")) for name in results)
    assert "15.00 [15.00, 15.00]" in base and "1.00 [1.00, 1.00] | 1.250 | 20.0 |" in base
    assert "-1.50 [-1.50, -1.50]" in velocity and "-0.50 [-0.50, -0.50] | 1.250 | 18.5 |" in velocity
    report.draw(results, tmp_path / report.PLOT)
    truth = np.zeros((256, 8, 8, 3), np.uint8)
    report.draw_sheet(truth, {name: truth for name in results}, tmp_path / report.SHEET)
    assert (tmp_path / report.PLOT).stat().st_size > 1000 and (tmp_path / report.SHEET).exists()
