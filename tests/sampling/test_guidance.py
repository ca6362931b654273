import pytest
import torch

from worldmodel.sampling import Guidance, combine, guided, needed, sample, tasks


def _tensors(*names):
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randn(2, 3, 4, generator=generator) for name in names}


def _constant(latents, actions=0.0, calls=None):
    def denoise(z, sigma, action_z, action_sigma):
        if calls is not None:
            calls.append(latents)
        return torch.full_like(z, latents), torch.full_like(action_z, actions)

    return denoise


def test_guidance_is_off_by_default():
    (conditional,) = _tensors("conditional").values()
    assert needed(Guidance()) == []
    assert combine(conditional, {}, Guidance()) is conditional
    denoise = _constant(1.0)
    assert guided(denoise, {}, Guidance()) is denoise


def test_needed_names_the_scales_that_are_not_one():
    assert needed(Guidance(text=3.0)) == ["text"]
    assert needed(Guidance(text=0.0, action=1.0, history=1.5)) == ["text", "history"]


def test_conditions_add_their_pushes():
    parts = _tensors("conditional", "text", "action", "history")
    conditional = parts.pop("conditional")
    result = combine(conditional, parts, Guidance(text=3.0, action=2.0, history=0.5))
    expected = conditional + (
        2.0 * (conditional - parts["text"])
        + 1.0 * (conditional - parts["action"])
        - 0.5 * (conditional - parts["history"])
    )
    torch.testing.assert_close(result, expected)


def test_one_condition_goes_from_its_null_through_the_prediction():
    conditional, null = _tensors("conditional", "null").values()
    torch.testing.assert_close(combine(conditional, {"text": null}, Guidance(text=0.0)), null)
    torch.testing.assert_close(
        combine(conditional, {"text": null}, Guidance(text=4.0)), null + 4.0 * (conditional - null)
    )


def test_agreeing_predictions_are_kept():
    (conditional,) = _tensors("conditional").values()
    nulls = {"text": conditional.clone(), "action": conditional.clone()}
    assert combine(conditional, nulls, Guidance(text=7.0, action=3.0)).equal(conditional)


def test_inputs_are_not_changed():
    parts = _tensors("conditional", "text")
    before = {name: part.clone() for name, part in parts.items()}
    combine(parts["conditional"], {"text": parts["text"]}, Guidance(text=2.0))
    assert all(part.equal(before[name]) for name, part in parts.items())


def test_a_guided_denoiser_guides_both_parts_and_calls_only_what_it_needs():
    calls: list[float] = []
    denoise = guided(
        _constant(1.0, actions=0.5),
        {"text": _constant(0.75, actions=0.25), "history": _constant(9.0, calls=calls)},
        Guidance(text=3.0),
    )
    schedule = tasks.generate((2, 1, 1), 1, actions_known=False)
    given = torch.zeros(1, 2, 1, 1, 4), torch.zeros(1, 2, 1, 3)
    result = sample(denoise, schedule, *given, torch.Generator().manual_seed(0))
    assert (result.latents == 1.5).all() and (result.actions == 1.0).all()
    assert calls == []


def test_guided_half_precision_is_combined_in_single():
    def halved(value):
        return lambda z, sigma, action_z, action_sigma: (
            torch.full_like(z, value, dtype=torch.bfloat16),
            torch.zeros_like(action_z, dtype=torch.bfloat16),
        )

    denoise = guided(halved(1.0), {"text": halved(1 - 2**-8)}, Guidance(text=2.0))
    latents, _ = denoise(
        torch.zeros(1, 1, 1, 1, 1), torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), torch.zeros(1, 1)
    )
    assert latents.item() == 1 + 2**-8  # bfloat16 would round it to 1


@pytest.mark.parametrize("name", ["text", "action", "history"])
@pytest.mark.parametrize("scale", [-0.1, float("nan"), float("inf")])
def test_scales_are_finite_and_not_negative(name, scale):
    with pytest.raises(ValueError, match=f"{name}: expected a finite guidance scale of at least 0, got {scale}"):
        Guidance(**{name: scale})


@pytest.mark.parametrize(
    ("nulls", "message"),
    [
        ({}, r"got none for \['text'\]"),
        ({"action": torch.zeros(2)}, r"got none for \['text'\]"),
        ({"text": torch.zeros(2), "sound": torch.zeros(2)}, r"names among .* got \['sound'\]"),
        ({"text": torch.zeros(1)}, r"nulls\['text'\]: expected the shape of conditional, \(2,\), got \(1,\)"),
    ],
)
def test_combine_refuses(nulls, message):
    with pytest.raises(ValueError, match=message):
        combine(torch.zeros(2), nulls, Guidance(text=2.0))


def test_guided_refuses_before_it_is_called():
    with pytest.raises(ValueError, match=r"got none for \['action'\]"):
        guided(_constant(1.0), {"text": _constant(0.0)}, Guidance(text=2.0, action=2.0))
