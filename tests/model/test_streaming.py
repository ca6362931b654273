from dataclasses import replace
from functools import partial

import pytest
import torch
from tiny_world import (
    OUTPUTS,
    action_vectors,
    assert_same,
    distance,
    generators,
    normal,
    pick,
    side_by_side,
    tiny_model,
)

from worldmodel.model import denoiser
from worldmodel.model.generation import denoise_function
from worldmodel.model.rotary import rotate, time_angles
from worldmodel.model.streaming import begin, imagine, observe
from worldmodel.model.transformer import KeysValues, SelfAttention
from worldmodel.sampling import Guidance, sample, tasks

PROMPT = ["a snowy forest", "sand"]
GRID, SIZE = (4, 6), (16, 24)


def video(model, num_frames: int, batch: int = 2, seed: int = 0):
    """Latents and actions: the first frame comes from no action."""
    actions = action_vectors(model, batch, num_frames, seed)
    actions[:, 0] = 0
    return normal(batch, num_frames, *GRID, 4, seed=seed), actions


def stream(model, latents, actions, prompts=PROMPT, state=None, sources=None):
    """Observes frame after frame. Returns the heads of all frames side by side, and the last state."""
    state = begin(model, prompts, *SIZE) if state is None else state
    sources = generators(*range(len(prompts))) if sources is None else sources
    steps = []
    for t in range(latents.shape[1]):
        step = observe(model, state, latents[:, t], actions[:, t], sources)
        state = step.state
        steps.append(step.heads)
    side_by_side = {name: torch.cat([getattr(step, name) for step in steps], dim=1) for name in OUTPUTS}
    return replace(steps[0], **side_by_side), state


def at_once(model, latents, actions, prompts=PROMPT, sigma=0.0):
    """The same in one uncached, causal pass."""
    with torch.no_grad():
        return model.denoiser(model.inputs(latents, sigma, actions=actions, text=model.embed_prompts(prompts)))


def snapshot(state):
    cache = state.cache
    tensors = [cache.frames, cache.count, state.latents, state.seen, *state.text, *state.null_text]
    return [tensor.clone() for tensor in tensors + [part for kv in cache.layers for part in (kv.keys, kv.values)]]


def numbers_held(state) -> int:
    return sum(tensor.numel() for tensor in snapshot(state))


def remembering_attention(window: int, sinks: int, latent_seconds: float):
    """Time attention as the cache should make it, frame by frame over a whole video, without a cache.

    A frame sees itself, `window` frames before it, and the sinks; a sink is never seen as older than all slots.
    """

    def over_time(self, x, geometry, past):
        queries_keys, values = self.project(x)
        queries, keys = queries_keys.unbind(3)  # (B, T, S, N, E)
        read = torch.zeros_like(queries)
        for t in range(x.shape[1]):
            seen = [s for s in range(t + 1) if t - s <= window or s < sinks]
            seconds = torch.tensor([-float(min(t - s, window + sinks)) for s in seen]) * latent_seconds
            turned = rotate(keys[:, seen], time_angles(seconds, self.head_width)[:, None, None])
            scores = torch.einsum("bsne,bksne->bksn", queries[:, t], turned) / self.head_width**0.5
            read[:, t] = torch.einsum("bksn,bksne->bsne", scores.softmax(1), values[:, seen])
        return self.out(read.flatten(-2)), KeysValues(keys, values)

    return over_time


@pytest.mark.parametrize("sinks", [0, 1, 2])
def test_stream_is_the_uncached_pass(sinks):
    """To rounding, as long as nothing is forgotten: for sinks + window frames, and one that sees them."""
    model = tiny_model(sinks=sinks, window=4)
    latents, actions = video(model, sinks + 4 + 1)
    streamed, _ = stream(model, latents, actions)
    assert_same(streamed, at_once(model, latents, actions))


def test_stream_beyond_the_window_is_a_banded_pass(monkeypatch):
    model = tiny_model(sinks=0, window=3)
    latents, actions = video(model, 12)
    streamed, _ = stream(model, latents, actions)
    unbanded = at_once(model, latents, actions)
    monkeypatch.setattr(denoiser, "time_mask", partial(denoiser.time_mask, window=3))
    banded = at_once(model, latents, actions)
    assert_same(streamed, banded)
    assert distance(unbanded, banded)["latents"] > 0.01, "the band must make a difference for this to say anything"


@pytest.mark.parametrize(("sinks", "window"), [(0, 3), (1, 3), (2, 2), (3, 1)])
def test_stream_is_what_a_frame_may_remember(monkeypatch, sinks, window):
    """Against a reference by brute force, far beyond what the cache holds."""
    model = tiny_model(sinks=sinks, window=window)
    latents, actions = video(model, 14)
    streamed, _ = stream(model, latents, actions)
    monkeypatch.setattr(SelfAttention, "over_time", remembering_attention(window, sinks, model.latent_seconds))
    assert_same(streamed, at_once(model, latents, actions))


def test_stream_does_not_drift():
    """A long time after the start, the same window of frames gives the same answer."""
    model = tiny_model(sinks=0, window=2)
    latents, actions = video(model, 8)
    _, late = stream(model, *video(model, 60, seed=3))
    # What is seen reaches back through the layers: two time attentions, two frames each, and the frame before those.
    long_ago, _ = stream(model, latents, actions, state=late)
    fresh, _ = stream(model, latents, actions)
    assert_same(
        replace(long_ago, **{name: getattr(long_ago, name)[:, 5:] for name in OUTPUTS}),
        replace(fresh, **{name: getattr(fresh, name)[:, 5:] for name in OUTPUTS}),
    )


def test_context_noise_is_added_and_declared():
    model = tiny_model(context_noise=0.3)
    latents, actions = video(model, 4)
    streamed, state = stream(model, latents, actions, sources=generators(5, 6))
    sources = generators(5, 6)
    noise = torch.stack([torch.cat([torch.randn(1, *GRID, 4, generator=g) for g in sources]) for _ in range(4)], dim=1)
    assert_same(streamed, at_once(model, 0.7 * latents + 0.3 * noise, actions, sigma=0.3))
    assert torch.equal(state.latents, latents[:, -1]), "the frame itself is kept without noise"


def test_dreaming_is_sampling_with_a_known_prefix():
    """`imagine` with its cache, and the general sampler over the whole video, are one and the same."""
    model = tiny_model()
    latents, actions = video(model, 4)
    _, state = stream(model, latents[:, :3], actions[:, :3])
    dreamed = imagine(model, state, actions[:, 3], generators(8, 9), num_steps=3).latents
    noise = torch.zeros_like(latents)
    noise[:, 3] = torch.cat([torch.randn(1, *GRID, 4, generator=g) for g in generators(8, 9)])
    schedule = tasks.extend_forward((4, *GRID), 3, known=3)
    denoise = denoise_function(model, model.embed_prompts(PROMPT), schedule, causal=True)
    sampled = sample(denoise, schedule, latents, actions, noise=(noise, torch.zeros_like(actions)))
    torch.testing.assert_close(dreamed, sampled.latents[:, 3], atol=1e-4, rtol=1e-4)
    assert (dreamed - latents[:, 3]).abs().max() > 0.1


@pytest.mark.parametrize("num_steps", [1, 2, 4, 8])
def test_dream_goes_on_with_what_was_dreamed(num_steps):
    model = tiny_model()
    latents, actions = video(model, 4)
    _, state = stream(model, latents[:, :3], actions[:, :3])
    step = imagine(model, state, actions[:, 3], generators(1, 2), num_steps=num_steps)
    observed = observe(model, state, step.latents, actions[:, 3], generators(1, 2))
    assert torch.equal(step.state.latents, step.latents)
    assert_same(step.heads, observed.heads, tolerance=0)
    for one, other in zip(snapshot(step.state), snapshot(observed.state), strict=True):
        assert torch.equal(one, other)


def test_number_of_steps_is_told_to_the_model():
    model = tiny_model()
    latents, actions = video(model, 2)
    _, state = stream(model, latents, actions)
    z = torch.cat([torch.randn(1, *GRID, 4, generator=g) for g in generators(1, 2)])
    dreamed = imagine(model, state, actions[:, 1], generators(1, 2), num_steps=1).latents
    past, mask = state.cache.read()
    for step_size, same in ((3, True), (0, False)):
        inputs = model.inputs(
            z[:, None], 1.0, actions=actions[:, 1:], text=state.text, step_size=step_size,
            before=state.seen, before_sigma=torch.zeros(2, *GRID),
        )  # fmt: skip
        with torch.no_grad():
            predicted = model.denoiser(inputs, past, mask).latents[:, 0]
        assert torch.allclose(predicted, dreamed, atol=1e-5) == same


def test_cost_and_memory_of_a_step_do_not_grow():
    model = tiny_model(sinks=1, window=2)
    state = begin(model, ["sand"], 8, 8)
    source, held = torch.Generator().manual_seed(0), set()
    for _ in range(250):
        state = imagine(model, state, None, source, num_steps=1).state
        held.add(numbers_held(state))
    assert len(held) == 1
    assert sorted(state.cache.frames[0].tolist()) == [0, 248, 249]
    assert state.latents.isfinite().all()


def test_states_are_never_changed():
    model = tiny_model(context_noise=0.05)
    _, state = stream(model, *video(model, 7))
    before = snapshot(state)
    actions = action_vectors(model, 2, 1, seed=5)[:, 0]
    first = imagine(model, state, actions, generators(1, 2))
    going_on = first.state
    for _ in range(6):  # around the whole ring
        going_on = imagine(model, going_on, actions.flip(-1), generators(3, 4)).state
    for old, now in zip(before, snapshot(state), strict=True):
        assert torch.equal(old, now)
    again = imagine(model, state, actions, generators(1, 2))
    assert torch.equal(again.latents, first.latents)
    assert_same(again.heads, first.heads, tolerance=0)


def test_forks_part_by_their_actions_alone():
    model = tiny_model()
    _, state = stream(model, *video(model, 3))
    fork = pick(state, 0, 0, 0)
    actions = action_vectors(model, 3, 1, seed=5)[:, 0]
    actions[2] = actions[0]
    step = imagine(model, fork, actions, generators(7, 7, 7))
    torch.testing.assert_close(step.latents[0], step.latents[2], atol=1e-5, rtol=1e-5)
    assert (step.latents[0] - step.latents[1]).abs().max() > 0.01


def test_items_of_different_ages_in_one_batch_are_as_alone():
    """As after a reset of one of several environments: one is far around the ring, one has just begun."""
    model = tiny_model(context_noise=0.05)
    latents, actions = video(model, 9)
    prompt = ["a snowy forest"]  # of one length, to be put side by side
    _, old = stream(model, latents[:1], actions[:1], prompt)
    _, young = stream(model, latents[1:, :1], actions[1:, :1], ["a dry desert"])
    both, alone = side_by_side(old, young), [old, young]
    actions = action_vectors(model, 2, 8, seed=5)
    sources, own = generators(1, 2), generators(1, 2)
    for t in range(8):
        step = imagine(model, both, actions[:, t], sources, num_steps=2)
        for i in (0, 1):
            mine = imagine(model, alone[i], actions[i : i + 1, t], own[i : i + 1], num_steps=2)
            torch.testing.assert_close(step.latents[i : i + 1], mine.latents, atol=1e-4, rtol=1e-4)
            alone[i] = mine.state
        both = step.state
    assert both.cache.count.tolist() == [17, 9]
    swapped = imagine(model, pick(both, 1, 0), actions[[1, 0], 0], generators(4, 3)).latents
    straight = imagine(model, both, actions[:, 0], generators(3, 4)).latents
    torch.testing.assert_close(swapped[[1, 0]], straight, atol=1e-5, rtol=1e-5)


def test_item_is_the_same_alone_and_in_a_batch():
    """Each with a generator of its own, and prompts of different lengths."""
    model = tiny_model(context_noise=0.05)
    prompts = ["a snowy forest at dusk", "", "sand"]
    actions = action_vectors(model, 3, 6)
    together, alone = begin(model, prompts, *SIZE), [begin(model, [prompt], *SIZE) for prompt in prompts]
    sources, own = generators(4, 5, 6), generators(4, 5, 6)
    guidance = Guidance(text=2.0, action=1.5, history=1.2)
    for t in range(6):
        step = imagine(model, together, actions[:, t], sources, num_steps=2, guidance=guidance)
        together = step.state
        for i in range(3):
            mine = imagine(model, alone[i], actions[i : i + 1, t], own[i : i + 1], num_steps=2, guidance=guidance)
            alone[i] = mine.state
            torch.testing.assert_close(step.latents[i], mine.latents[0], atol=1e-3, rtol=1e-3)
            torch.testing.assert_close(step.heads.reward_logits[i], mine.heads.reward_logits[0], atol=1e-3, rtol=1e-3)


def test_same_seed_same_dream():
    model = tiny_model(context_noise=0.05)

    def dream(seed):
        state, source, frames = begin(model, ["sand"], *SIZE), torch.Generator().manual_seed(seed), []
        for _ in range(3):
            step = imagine(model, state, None, source)
            state = step.state
            frames.append(step.latents)
        return torch.stack(frames)

    torch.manual_seed(1)
    first = dream(7)
    torch.manual_seed(2)  # the global generator has no say, and is not used
    before = torch.get_rng_state()
    assert torch.equal(dream(7), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(dream(8), first)


def test_prompt_may_change_on_the_way():
    model = tiny_model()
    _, state = stream(model, *video(model, 3))
    before = imagine(model, state, None, generators(1, 2)).latents
    changed = replace(state, text=model.embed_prompts(["lava everywhere now", "sand"]))
    after = imagine(model, changed, None, generators(1, 2)).latents
    assert (after[0] - before[0]).abs().max() > 1e-3
    torch.testing.assert_close(after[1], before[1], atol=1e-5, rtol=1e-5)


def test_no_actions_are_actions_of_zero():
    model = tiny_model()
    _, state = stream(model, *video(model, 2))
    none = imagine(model, state, None, generators(1, 2))
    zeros = imagine(model, state, torch.zeros(2, 2, 31), generators(1, 2))
    given = imagine(model, state, action_vectors(model, 2, 1)[:, 0], generators(1, 2))
    assert torch.equal(none.latents, zeros.latents)
    assert (none.latents - given.latents).abs().max() > 0.01


def test_guidance_of_one_is_off_and_scales_change_the_dream():
    model = tiny_model()
    _, state = stream(model, *video(model, 3))
    actions = action_vectors(model, 2, 1, seed=5)[:, 0]

    def dream(guidance=None):
        return imagine(model, state, actions, generators(1, 2), guidance=guidance).latents

    assert torch.equal(dream(Guidance(text=1.0, action=1.0, history=1.0)), dream())
    dreams = [dream(), dream(Guidance(text=3.0)), dream(Guidance(action=3.0)), dream(Guidance(history=3.0))]
    dreams.append(dream(Guidance(text=3.0, action=3.0, history=3.0)))
    for i, one in enumerate(dreams):
        assert one.isfinite().all()
        for other in dreams[:i]:
            assert (one - other).abs().max() > 1e-3


def test_guidance_of_zero_ignores_the_condition():
    model = tiny_model()
    _, state = stream(model, *video(model, 3))
    unprompted = replace(state, text=state.null_text)
    actions = action_vectors(model, 2, 1, seed=5)[:, 0]
    ignored = imagine(model, state, actions, generators(1, 2), guidance=Guidance(text=0.0)).latents
    torch.testing.assert_close(
        ignored, imagine(model, unprompted, actions, generators(1, 2)).latents, atol=1e-4, rtol=1e-4
    )
    first = begin(model, PROMPT, *SIZE)  # of the history nothing is left over: as at the start
    ignored = imagine(model, state, actions, generators(1, 2), guidance=Guidance(history=0.0)).latents
    torch.testing.assert_close(ignored, imagine(model, first, actions, generators(1, 2)).latents, atol=1e-4, rtol=1e-4)


def test_frames_of_any_size_stream():
    model = tiny_model()
    for height, width in ((8, 8), (16, 40), (24, 8)):
        state = begin(model, ["sand"], height, width)
        step = imagine(model, state, None, generators(0), num_steps=1)
        step = imagine(model, step.state, None, generators(1), num_steps=1)
        frames = model.decode_groups(step.latents)
        assert frames.shape == (1, 2, height, width, 3)


def test_half_precision_streams():
    model = tiny_model(context_noise=0.05).bfloat16()
    state = begin(model, PROMPT, *SIZE)
    for _ in range(3):
        step = imagine(model, state, action_vectors(model, 2, 1)[:, 0], generators(0, 1), guidance=Guidance(text=2.0))
        state = step.state
    assert step.latents.dtype == torch.float32 and step.latents.isfinite().all()
    assert state.cache.layers[0].keys.dtype == torch.bfloat16


def test_size_that_does_not_fit_is_named(model):
    with pytest.raises(ValueError, match="^width: expected a positive multiple of 8 pixels, got 20"):
        begin(model, ["sand"], 16, 20)


def test_actions_of_a_wrong_shape_are_named(model):
    state = begin(model, PROMPT, *SIZE)
    with pytest.raises(ValueError, match="^actions: expected shape"):
        imagine(model, state, torch.zeros(2, 31), generators(0, 1))
    with pytest.raises(ValueError, match="^actions: expected shape"):
        imagine(model, state, torch.zeros(3, 2, 31), generators(0, 1))


def test_generators_must_fit_the_batch(model):
    with pytest.raises(ValueError, match="^generators: expected one, or one for each of 2 items, got 3"):
        imagine(model, begin(model, PROMPT, *SIZE), None, generators(0, 1, 2))


@pytest.mark.parametrize("shape", [(1, 4, 6, 4), (2, 4, 4, 4), (2, 4, 6, 3)], ids=["batch", "grid", "channels"])
def test_latents_of_a_wrong_shape_are_named(model, shape):
    state = begin(model, PROMPT, *SIZE)
    with pytest.raises(ValueError, match="^latents: expected"):
        observe(model, state, torch.zeros(shape), None, torch.Generator())
