import numpy as np
import pytest
import torch
from tiny_world import SPACE, noise_video, tiny_model

from worldmodel.model import labelling
from worldmodel.model.generation import infer_actions
from worldmodel.model.labelling import WINDOW_LATENTS, label, window_starts


@pytest.mark.parametrize("num_frames", [2, 5, 31, 32, 45, 46, 47, 200])
def test_windows_cover_everything_and_overlap(num_frames):
    length = 31
    starts = window_starts(num_frames, length, 2)
    assert starts == sorted(set(starts)) and starts[0] == 0
    covered = np.zeros(num_frames, int)
    for start in starts:
        assert start + length <= max(num_frames, length)
        covered[start : start + length] += 1
    assert covered.min() >= 1
    assert all(later - earlier <= length // 2 for earlier, later in zip(starts, starts[1:], strict=False))


def test_a_short_video_is_read_at_once(model):
    video = noise_video(7)
    expected = infer_actions(model, video, num_steps=2, seed=5).numpy()
    actions = label(model, video.numpy(), num_steps=2, seed=5)
    assert len(actions) == 6 and all(SPACE.contains(action) for action in actions)
    for action, vector in zip(actions, expected, strict=True):
        wanted = model.codec.decode(vector)
        assert all(np.array_equal(action[key], wanted[key]) for key in wanted)


def test_every_action_comes_from_the_window_in_whose_middle_it_lies(model, monkeypatch):
    length = 1 + (WINDOW_LATENTS - 1) * model.frames_per_latent
    frames = noise_video(2 * length + 5).numpy()
    seen = []

    def tell(model, video, **settings):
        """Says `use` in the middle half of each window only."""
        seen.append(len(video))
        vectors = model.codec.encode_many([{**SPACE.sample(), "use": 0} for _ in range(len(video) - 1)])
        used = model.codec.encode_many([{**model.codec.decode(vector), "use": 1} for vector in vectors])
        middle = slice(len(vectors) // 4, -len(vectors) // 4)
        vectors[middle] = used[middle]
        return torch.from_numpy(vectors)

    monkeypatch.setattr(labelling, "infer_actions", tell)
    actions = label(model, frames)
    assert max(seen) == length and len(actions) == len(frames) - 1
    inner = [action["use"] for action in actions[length // 4 + 1 : -length // 4 - 1]]
    assert np.mean(inner) > 0.9, "the edges of windows have a say only where there is no other"
    assert not any(action["use"] for action in actions[: length // 4 - 1])


def test_what_cannot_be_read(model):
    with pytest.raises(ValueError, match="trained with actions"):
        label(tiny_model(actions=False), noise_video(5).numpy())
    with pytest.raises(ValueError, match="F at least 2, got uint8"):
        label(model, noise_video(1).numpy())
    with pytest.raises(ValueError, match="got float32"):
        label(model, noise_video(5).numpy().astype(np.float32))
