import pytest
import torch
import torch.nn.functional as F
from tiny_world import awaken, normal, uniform

from worldmodel.model.rotary import space_angles, time_angles
from worldmodel.model.transformer import (
    Geometry,
    Norm,
    Past,
    Transformer,
    TransformerConfig,
    attend,
    time_mask,
)

CONFIG = TransformerConfig(width=32, depth=4, head_width=16, time_every=2)


def stack(*, conditioned: bool = True, config: TransformerConfig = CONFIG) -> Transformer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = Transformer(config, conditioned=conditioned)
        awaken(transformer)
    return transformer


def geometry(num_frames: int, tokens: int, **settings) -> Geometry:
    return Geometry(
        space_angles(1, tokens, 0, CONFIG.head_width),
        time_angles(torch.arange(num_frames) * 0.1, CONFIG.head_width),
        **settings,
    )


def words(batch: int, length: int = 3) -> dict:
    return {
        "text": normal(batch, length, CONFIG.width, seed=8),
        "text_mask": torch.ones(batch, length, dtype=torch.bool),
    }


@pytest.mark.parametrize("queries", [1, 5, 300], ids=lambda n: f"{n} queries")  # the last takes the fused kernel
@pytest.mark.parametrize("mask", ["no mask", "causal", "by item"])
def test_attention_is_that_of_torch(queries, mask):
    keys = 5 if queries == 1 else queries
    q, k, v = normal(2, 3, queries, 8), normal(2, 3, keys, 8, seed=1), normal(2, 3, keys, 8, seed=2)
    seen = {
        "no mask": None,
        "causal": torch.arange(keys) <= torch.arange(queries)[:, None] + keys - queries,
        "by item": (uniform(2, 1, 1, keys, seed=3) < 0.5) | (torch.arange(keys) == 0),
    }[mask]
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    torch.testing.assert_close(attend(q, k, v, seen), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("queries", [5, 300], ids=lambda n: f"{n} queries")
def test_what_is_masked_has_no_say(queries):
    q, k, v = normal(queries, 8), normal(queries, 8, seed=1), normal(queries, 8, seed=2)
    mask = torch.arange(queries) != 2
    before = attend(q[None], k[None], v[None], mask)
    k[2], v[2] = 1e4, 1e4
    assert torch.equal(attend(q[None], k[None], v[None], mask), before)


def test_attention_in_half_precision_is_near():
    q, k, v = normal(1, 6, 8), normal(1, 6, 8, seed=1), normal(1, 6, 8, seed=2)
    half = attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), None)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), attend(q, k, v, None), atol=0.05, rtol=0.05)


def test_norm_takes_size_away():
    norm, x = Norm(64), normal(3, 64)
    torch.testing.assert_close(norm(x).square().mean(-1).sqrt(), torch.ones(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(norm(5 * x), norm(x), atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        norm.scale[0] = 0
    assert (norm(x)[:, 0] == 0).all() and (norm(x)[:, 1:] != 0).all()
    assert norm.bfloat16()(x.bfloat16()).dtype == torch.bfloat16


def test_time_masks():
    assert time_mask(3, causal=False) is None
    assert time_mask(3, causal=True).int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    banded = time_mask(4, causal=True, window=1)
    assert banded.int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    assert time_mask(2, causal=True, window=0).int().tolist() == [[1, 0], [0, 1]]


def test_time_attention_is_in_every_kth_block():
    assert [CONFIG.has_time(layer) for layer in range(4)] == [False, True, False, True]
    never = TransformerConfig(width=16, depth=3, head_width=16)
    assert not any(never.has_time(layer) for layer in range(3))
    _, written = stack()(normal(1, 2, 3, 32), geometry(2, 3), **words(1))
    assert len(written) == 2
    assert written[0].keys.shape == (1, 2, 3, 2, 16)


def test_written_keys_do_not_tell_the_time():
    """They are rotated when they are read: what is remembered has no place in time yet."""
    x = normal(1, 1, 4, 32).expand(-1, 3, -1, -1)
    _, written = stack()(x, geometry(3, 4))
    torch.testing.assert_close(written[0].keys[:, 2], written[0].keys[:, 0])
    torch.testing.assert_close(written[0].values[:, 2], written[0].values[:, 0])


def test_frames_meet_in_time_attention_only():
    x = normal(1, 3, 4, 32)
    changed = x.clone()
    changed[:, 1] += normal(32, seed=7)
    for transformer, meets in (
        (stack(), True),
        (stack(config=TransformerConfig(width=32, depth=4, head_width=16)), False),
    ):
        before, _ = transformer(x, geometry(3, 4))
        after, _ = transformer(changed, geometry(3, 4))
        assert torch.equal(before[:, 0], after[:, 0]) != meets
        assert not torch.equal(before[:, 1], after[:, 1])


def test_items_of_a_batch_do_not_meet():
    x = normal(2, 3, 4, 32)
    before, _ = stack()(x, geometry(3, 4), condition=normal(2, 3, 32, seed=1), **words(2))
    x[1] += normal(32, seed=7)
    after, _ = stack()(x, geometry(3, 4), condition=normal(2, 3, 32, seed=1), **words(2))
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


@pytest.mark.parametrize("unread", [0, 1, 2])
def test_unread_tokens_read_and_are_not_read(unread):
    x, places = normal(1, 3, 5, 32), geometry(3, 5, num_unread=unread)
    transformer = stack()
    before, _ = transformer(x, places, **words(1))
    last, first = x.clone(), x.clone()
    last[:, :, -1] += normal(32, seed=7)
    first[:, :, 0] += normal(32, seed=7)
    others = slice(0, 5 - max(unread, 1))
    after, _ = transformer(last, places, **words(1))
    assert torch.equal(before[:, :, others], after[:, :, others]) == (unread > 0)
    after, _ = transformer(first, places, **words(1))
    assert not torch.equal(before[:, :, -1], after[:, :, -1])


def test_condition_of_a_frame_steers_that_frame():
    transformer = stack(config=TransformerConfig(width=32, depth=2, head_width=16))
    x, condition = normal(1, 3, 4, 32), normal(1, 3, 32, seed=1)
    before, _ = transformer(x, geometry(3, 4), condition=condition)
    condition[:, 2] += normal(32, seed=7)
    after, _ = transformer(x, geometry(3, 4), condition=condition)
    assert torch.equal(before[:, :2], after[:, :2])
    assert (before[:, 2] - after[:, 2]).abs().max() > 0.1


def test_masked_words_have_no_say():
    text, mask = normal(1, 3, 32), torch.tensor([[True, True, False]])
    x, transformer = normal(1, 2, 4, 32, seed=1), stack()
    before, _ = transformer(x, geometry(2, 4), text=text, text_mask=mask)
    text[:, 2] += normal(32, seed=7)
    after, _ = transformer(x, geometry(2, 4), text=text, text_mask=mask)
    assert torch.equal(before, after)
    text[:, 1] += normal(32, seed=7)
    after, _ = transformer(x, geometry(2, 4), text=text, text_mask=mask)
    assert (before - after).abs().max() > 0.01


def test_remembered_frames_are_seen_as_mask_says():
    transformer, x = stack(), normal(2, 1, 3, 32)
    past = [Past(normal(2, 3, 2, 4, 16, seed=s), normal(2, 3, 2, 4, 16, seed=s + 9)) for s in (1, 2)]
    there = torch.tensor([[True, True, False, False], [False] * 4])
    mask = torch.cat([there, torch.ones(2, 1, dtype=torch.bool)], dim=1)[:, None]
    before, _ = transformer(x, geometry(1, 3, time_mask=mask), past=past)
    alone, _ = transformer(x, geometry(1, 3))
    torch.testing.assert_close(before[1], alone[1])
    assert (before[0] - alone[0]).abs().max() > 0.01
    for part in past:
        part.keys[:, ..., 2:, :] = 50
        part.values[:, ..., 2:, :] = 50
    after, _ = transformer(x, geometry(1, 3, time_mask=mask), past=past)
    assert torch.equal(before, after)


def test_first_output_of_time_and_text_is_zero_and_gates_are_open():
    """So a fresh stack treats each frame alone, and is no identity."""
    torch.manual_seed(0)
    transformer = Transformer(CONFIG, conditioned=True)
    x = normal(1, 3, 4, 32)
    before, _ = transformer(x, geometry(3, 4), condition=normal(1, 3, 32), **words(1))
    alone, _ = transformer(x[:, :1], geometry(1, 4), condition=normal(1, 1, 32, seed=5))
    torch.testing.assert_close(before[:, :1], alone)
    assert (before - x).abs().max() > 0.1


@pytest.mark.parametrize("conditioned", [False, True])
def test_checkpointing_leaves_outputs_and_gradients_as_they_are(conditioned):
    results = []
    for checkpointing in (False, True):
        transformer = stack(conditioned=conditioned)
        transformer.checkpointing = checkpointing
        x = normal(2, 3, 4, 32).requires_grad_()
        condition = normal(2, 3, 32, seed=1).requires_grad_() if conditioned else None
        out, written = transformer(
            x, geometry(3, 4, time_mask=time_mask(3, causal=True)), condition=condition, **words(2)
        )
        (out.square().sum() + written[-1].keys.sum() + written[0].values.sum()).backward()
        leaves = [x, *([condition] if conditioned else []), *transformer.parameters()]
        results.append([out, *[leaf.grad for leaf in leaves]])
    assert len(results[0]) > 30
    for plain, again in zip(*results, strict=True):
        assert plain is not None and plain.abs().max() > 0
        torch.testing.assert_close(again, plain)


def test_checkpointing_forgets_what_is_between_blocks():
    """Else it would save no memory."""
    kept = []
    for checkpointing in (False, True):
        transformer, count = stack(), [0]
        transformer.checkpointing = checkpointing

        def count_up(tensor, count=count):
            count[0] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count_up, lambda tensor: tensor):
            transformer(normal(2, 3, 4, 32), geometry(3, 4), condition=normal(2, 3, 32))
        kept.append(count[0])
    assert kept[1] < kept[0] / 3


def test_hidden_width_is_a_multiple_of_32():
    assert TransformerConfig(width=256, depth=1).hidden_width == 672
    assert TransformerConfig(width=192, depth=1).hidden_width == 512


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 64, "depth": 1, "head_width": 6}, "head_width: expected a multiple of 4, got 6"),
        ({"width": 64, "depth": 1, "head_width": 0}, "head_width: expected a multiple of 4, got 0"),
        ({"width": 50, "depth": 1, "head_width": 16}, "width: expected a multiple of head_width=16, got 50"),
        ({"width": 0, "depth": 1, "head_width": 16}, "width: expected"),
        ({"width": 64, "depth": 0}, "depth: expected at least 1, got 0"),
    ],
)
def test_sizes_that_do_not_fit_are_named(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        TransformerConfig(**settings)
