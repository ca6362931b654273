"""States of dreams as values: picked, repeated, joined, given other prompts; and what a step says of itself."""

import pytest
import torch
from tiny_world import action_vectors, generators, normal, tiny_model

from worldmodel.model import streaming
from worldmodel.model.streaming import begin, imagine, join, observe, set_prompts
from worldmodel.sampling import Guidance

PROMPT = ["a snowy forest", "sand"]
GRID, SIZE = (4, 6), (16, 24)


def remembered(model, num_frames, prompts=PROMPT, seed=0):
    """A state that remembers so many frames, each from an action."""
    state, batch = begin(model, prompts, *SIZE), len(prompts)
    actions = action_vectors(model, batch, num_frames, seed)
    for t in range(num_frames):
        latents = normal(batch, *GRID, 4, seed=seed + 100 * t)
        state = observe(model, state, latents, actions[:, t], generators(*range(t, t + batch))).state
    return state


def tensors(state):
    layers = [part for layer in state.cache.layers for part in (layer.keys, layer.values)]
    return [*layers, state.cache.frames, state.cache.count, state.latents, state.seen, *state.text, *state.null_text]


def assert_equal_states(one, other):
    for mine, theirs in zip(tensors(one), tensors(other), strict=True):
        assert torch.equal(mine, theirs)


def test_selected_items_are_as_they_were():
    model = tiny_model(context_noise=0.05)
    prompts = ["a snowy forest", "sand", "rain, and more rain"]
    state = remembered(model, 6, prompts)
    picked = state.select(torch.tensor([2, 0, 2]))
    actions = action_vectors(model, 3, 1, seed=5)[:, 0]
    expected = imagine(model, state, actions, generators(1, 2, 3))
    found = imagine(model, picked, actions[[2, 0, 2]], generators(3, 1, 3))
    torch.testing.assert_close(found.latents, expected.latents[[2, 0, 2]], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.residual, expected.residual[[2, 0, 2]], atol=1e-5, rtol=1e-5)
    assert_equal_states(state.select(torch.tensor([0, 1, 2])), state)


def test_expanded_state_is_the_same_many_times_and_takes_no_memory():
    model = tiny_model(context_noise=0.05)
    state = remembered(model, 7, ["sand"])
    many = state.expand(5)
    assert_equal_states(many, state.select(torch.zeros(5, dtype=torch.int64)))
    for mine, theirs in zip(tensors(many), tensors(state), strict=True):
        assert mine.untyped_storage().data_ptr() == theirs.untyped_storage().data_ptr()
    before = [part.clone() for part in tensors(state)]
    actions = action_vectors(model, 5, 1, seed=5)[:, 0]
    step = imagine(model, many, actions, generators(7, 7, 7, 7, 7))
    for i in range(5):
        mine = imagine(model, state, actions[i : i + 1], generators(7))
        torch.testing.assert_close(step.latents[i], mine.latents[0], atol=1e-4, rtol=1e-4)
    for old, now in zip(before, tensors(state), strict=True):
        assert torch.equal(old, now)


def test_joined_states_go_on_as_they_were():
    """Of other batches, ages and lengths of prompts; what was only needed for a long prompt is cut off again."""
    model = tiny_model(context_noise=0.05)
    old = remembered(model, 9, ["a snowy forest at dusk", "sand"])
    young = remembered(model, 2, [""], seed=3)
    both = join([old, young])
    assert both.cache.count.tolist() == [9, 9, 2]
    actions = action_vectors(model, 3, 1, seed=5)[:, 0]
    found = imagine(model, both, actions, generators(1, 2, 3), guidance=Guidance(text=2.0))
    expected = imagine(model, old, actions[:2], generators(1, 2), guidance=Guidance(text=2.0))
    torch.testing.assert_close(found.latents[:2], expected.latents, atol=1e-4, rtol=1e-4)
    expected = imagine(model, young, actions[2:], generators(3), guidance=Guidance(text=2.0))
    torch.testing.assert_close(found.latents[2:], expected.latents, atol=1e-4, rtol=1e-4)
    short = join([both.select(torch.tensor([1])), both.select(torch.tensor([2]))])
    assert short.text[0].shape[1] == short.text[1].shape[1] == 2, "the null token, and a word"
    assert_equal_states(join([old]), old)


def test_prompts_change_what_follows_and_not_what_is_remembered():
    model = tiny_model()
    state = remembered(model, 3)
    changed = set_prompts(model, state, ["lava everywhere now", PROMPT[1]])
    assert changed.cache is state.cache and torch.equal(changed.latents, state.latents)
    fresh = begin(model, ["lava everywhere now", PROMPT[1]], *SIZE)
    assert torch.equal(changed.text[0], fresh.text[0]) and torch.equal(changed.text[1], fresh.text[1])
    before = imagine(model, state, None, generators(1, 2)).latents
    after = imagine(model, changed, None, generators(1, 2)).latents
    assert (after[0] - before[0]).abs().max() > 1e-3
    torch.testing.assert_close(after[1], before[1], atol=1e-5, rtol=1e-5)
    back = set_prompts(model, changed, PROMPT)
    assert torch.equal(imagine(model, back, None, generators(1, 2)).latents, before)


def test_prompts_that_do_not_fit_are_named(model):
    state = begin(model, PROMPT, *SIZE)
    with pytest.raises(ValueError, match="^prompts: expected 2, one for each dream, got 1"):
        set_prompts(model, state, ["sand"])
    with pytest.raises(ValueError, match="^prompt: expected at most 12 words, got 13"):
        set_prompts(model, state, ["sand", "word " * 13])
    with pytest.raises(TypeError, match="^prompt: expected a string, got int 3"):
        set_prompts(model, state, ["sand", 3])


def root_mean_square(x):
    return x.square().flatten(1).mean(1).sqrt()


def test_revision_is_what_sampling_changed_of_the_first_guess(monkeypatch):
    model = tiny_model()
    state = remembered(model, 3)
    guesses = []
    euler_step = streaming.euler_step
    monkeypatch.setattr(streaming, "euler_step", lambda z, x, *rest: guesses.append(x) or euler_step(z, x, *rest))
    step = imagine(model, state, None, generators(1, 2), num_steps=4)
    assert len(guesses) == 4 and step.revision.shape == (2,)
    torch.testing.assert_close(step.revision, root_mean_square(guesses[0] - step.latents))
    assert (step.revision > 1e-3).all()
    assert imagine(model, state, None, generators(1, 2), num_steps=1).revision.tolist() == [0.0, 0.0]
    assert observe(model, state, step.latents, None, generators(1, 2)).revision.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("context_noise", [0.0, 0.1])
def test_residual_is_what_the_model_would_still_change(context_noise):
    model = tiny_model(context_noise=context_noise)
    state = remembered(model, 3)
    actions = action_vectors(model, 2, 1, seed=5)[:, 0]
    step = imagine(model, state, actions, generators(1, 2))
    assert step.residual.shape == (2,)
    torch.testing.assert_close(step.residual, root_mean_square(step.heads.latents[:, 0] - step.latents))
    assert (step.residual > 1e-3).all() and step.residual[0] != step.residual[1]
    alone = imagine(model, state.select(torch.tensor([1])), actions[1:], generators(2))
    torch.testing.assert_close(alone.residual[0], step.residual[1], atol=1e-5, rtol=1e-4)
