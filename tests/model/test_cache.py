from dataclasses import replace

import pytest
import torch
from tiny_world import normal

from worldmodel.model.cache import StreamingCache, empty_cache, join_caches
from worldmodel.model.rotary import rotate, time_angles
from worldmodel.model.transformer import KeysValues

TOKENS, HEADS, WIDTH, SECONDS = 3, 2, 8, 0.1


def new_cache(*, batch: int = 2, slots: int = 4, sinks: int = 1, dtype=torch.float32) -> StreamingCache:
    return empty_cache(
        batch=batch,
        num_layers=2,
        slots=slots,
        sinks=sinks,
        tokens=TOKENS,
        heads=HEADS,
        head_width=WIDTH,
        latent_seconds=SECONDS,
        dtype=dtype,
        device=torch.device("cpu"),
    )


def frame(number: int, batch: int = 2) -> list[KeysValues]:
    """What two time attentions write of a frame."""
    shape = (batch, 1, TOKENS, HEADS, WIDTH)
    return [KeysValues(normal(*shape, seed=10 * number + i), normal(*shape, seed=10 * number + i + 5)) for i in (0, 1)]


def filled(num_frames: int, **settings) -> StreamingCache:
    cache = new_cache(**settings)
    for number in range(num_frames):
        cache = cache.write(frame(number, len(cache.count)))
    return cache


@pytest.mark.parametrize(
    ("sinks", "num_frames", "expected"),
    [
        (0, 0, set()),
        (0, 3, {0, 1, 2}),
        (0, 4, {0, 1, 2, 3}),
        (0, 5, {1, 2, 3, 4}),
        (0, 11, {7, 8, 9, 10}),
        (1, 4, {0, 1, 2, 3}),
        (1, 5, {0, 2, 3, 4}),
        (1, 20, {0, 17, 18, 19}),
        (3, 9, {0, 1, 2, 8}),
    ],
)
def test_sinks_and_the_latest_frames_are_remembered(sinks, num_frames, expected):
    cache = filled(num_frames, sinks=sinks)
    _, there = cache.read()
    for i in range(2):
        assert set(cache.frames[i][there[i]].tolist()) == expected
    assert there.sum() == 2 * len(expected)
    assert cache.count.tolist() == [num_frames] * 2


@pytest.mark.parametrize("num_frames", [1, 4, 7])
def test_each_slot_holds_the_frame_it_says(num_frames):
    cache = filled(num_frames)
    for slot, number in enumerate(cache.frames[0].tolist()):
        for layer in (0, 1):
            held = cache.layers[layer]
            if number >= 0:
                assert torch.equal(held.keys[:, slot], frame(number)[layer].keys[:, 0])
                assert torch.equal(held.values[:, slot], frame(number)[layer].values[:, 0])
            else:
                assert (held.keys[:, slot] == 0).all()


def test_keys_are_rotated_by_their_age_when_read():
    cache = filled(6, sinks=0)
    past, _ = cache.read()
    for slot, number in enumerate(cache.frames[0].tolist()):
        age = 6 - number
        angles = time_angles(torch.tensor(-age * SECONDS), WIDTH)
        for layer in (0, 1):
            expected = rotate(frame(number)[layer].keys[:, 0], angles)  # (B, S, N, E)
            torch.testing.assert_close(past[layer].keys[:, :, :, slot], expected)
            assert torch.equal(past[layer].values[:, :, :, slot], frame(number)[layer].values[:, 0])


@pytest.mark.parametrize("num_frames", [5, 6, 50])
def test_age_of_a_sink_is_no_more_than_the_slots(num_frames):
    cache = filled(num_frames, sinks=2, slots=4)
    past, _ = cache.read()
    for sink in (0, 1):
        angles = time_angles(torch.tensor(-min(num_frames - sink, 4) * SECONDS), WIDTH)
        torch.testing.assert_close(past[1].keys[:, :, :, sink], rotate(frame(sink)[1].keys[:, 0], angles))


def test_writing_and_reading_leave_a_cache_as_it_is():
    cache = filled(5)
    copies = [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]
    frames, count = cache.frames.clone(), cache.count.clone()
    cache.read()
    one = cache.write(frame(5))
    other = cache.write(frame(99))
    one.write(frame(6))
    assert torch.equal(cache.frames, frames) and torch.equal(cache.count, count)
    for layer, (keys, values) in zip(cache.layers, copies, strict=True):
        assert torch.equal(layer.keys, keys) and torch.equal(layer.values, values)
    assert torch.equal(one.frames, other.frames)
    assert not torch.equal(one.layers[0].keys, other.layers[0].keys)


def test_items_write_where_their_own_count_says():
    ahead, behind = filled(6, batch=1), filled(1, batch=1)
    both = replace(
        ahead,
        layers=[
            KeysValues(torch.cat([one.keys, other.keys]), torch.cat([one.values, other.values]))
            for one, other in zip(ahead.layers, behind.layers, strict=True)
        ],
        frames=torch.cat([ahead.frames, behind.frames]),
        count=torch.cat([ahead.count, behind.count]),
    )
    for number in (6, 7, 8):
        written = frame(number, batch=2)
        both = both.write(written)
        ahead, behind = (
            cache.write([KeysValues(part.keys[i : i + 1], part.values[i : i + 1]) for part in written])
            for i, cache in enumerate((ahead, behind))
        )
    for i, alone in enumerate((ahead, behind)):
        mine = both.select(torch.tensor([i]))
        assert torch.equal(mine.frames, alone.frames)
        for one, other in zip(mine.read()[0], alone.read()[0], strict=True):
            torch.testing.assert_close(one.keys, other.keys)
            assert torch.equal(one.values, other.values)


def test_items_are_selected_in_order_and_more_than_once():
    cache = filled(3, batch=3)
    picked = cache.select(torch.tensor([2, 0, 2, 2]))
    for i, source in enumerate((2, 0, 2, 2)):
        assert torch.equal(picked.layers[1].keys[i], cache.layers[1].keys[source])
        assert torch.equal(picked.layers[0].values[i], cache.layers[0].values[source])
    assert picked.frames.shape == (4, 4) and picked.count.tolist() == [3] * 4
    assert (picked.sinks, picked.latent_seconds) == (1, SECONDS)


def test_joined_caches_stand_side_by_side():
    parts = [filled(6, batch=2), filled(1, batch=1), filled(0, batch=1)]
    joined = join_caches(parts)
    assert joined.count.tolist() == [6, 6, 1, 0]
    assert (joined.sinks, joined.latent_seconds) == (1, SECONDS)
    for items, part in zip(([0, 1], [2], [3]), parts, strict=True):
        mine = joined.select(torch.tensor(items))
        assert torch.equal(mine.frames, part.frames)
        for one, other in zip(mine.layers, part.layers, strict=True):
            assert torch.equal(one.keys, other.keys) and torch.equal(one.values, other.values)
    written = joined.write(frame(9, batch=4))
    assert written.count.tolist() == [7, 7, 2, 1]
    assert torch.equal(written.frames[3], torch.tensor([0, -1, -1, -1]))


def test_caches_of_other_sizes_are_not_joined():
    with pytest.raises(RuntimeError, match="Sizes of tensors must match"):
        join_caches([new_cache(slots=4), new_cache(slots=5)])


def test_nothing_is_there_at_first():
    past, there = new_cache().read()
    assert not there.any()
    assert past[0].keys.shape == (2, TOKENS, HEADS, 4, WIDTH)
    assert all(part.keys.isfinite().all() for part in past)


def test_number_format_is_kept():
    cache = new_cache(dtype=torch.bfloat16)
    cache = cache.write([KeysValues(part.keys.bfloat16(), part.values.bfloat16()) for part in frame(0)])
    past, _ = cache.read()
    assert past[0].keys.dtype == past[0].values.dtype == cache.layers[0].keys.dtype == torch.bfloat16


@pytest.mark.parametrize("slots", [1, 2])
def test_no_room_beside_the_sinks_is_refused(slots):
    with pytest.raises(ValueError, match=f"^slots: expected more than the 2 sinks, got {slots}; enlarge the window"):
        new_cache(slots=slots, sinks=2)
