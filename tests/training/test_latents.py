import json

import numpy as np
import pytest
import torch
from moving_square import make_store

from worldmodel.model import Metadata, Size, WorldModel, model_config
from worldmodel.model.patches import to_groups
from worldmodel.training.latents import STILL_EVERY, compress_store, draw_clips

STEPS = 21


@pytest.fixture(scope="module", params=[1, 2, 4])
def compressed(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("latents")
    store = make_store(folder / "data", episodes=12, steps=STEPS)
    torch.manual_seed(0)
    metadata = Metadata(height=32, width=32, fps=10.0, action_space=store.codec.to_json())
    model = WorldModel(model_config(Size.tiny, frames_per_latent=request.param, channels=4), metadata)
    train, test = (compress_store(store, model, folder / name, held_out=name == "test") for name in ("train", "test"))
    return store, model, folder, train["32x32"], test["32x32"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_splits_are_those_of_the_store(compressed):
    store, _, _, train, test = compressed
    starts = {record.start: record.held_out for record in store.buckets["32x32"].episodes}
    assert {episode.frame_start for episode in test.episodes} == {s for s, held_out in starts.items() if held_out}
    assert {episode.frame_start for episode in train.episodes} == {s for s, held_out in starts.items() if not held_out}
    assert test.episodes and train.episodes


def test_latents_are_those_of_the_frames(compressed):
    store, model, _, train, _ = compressed
    episode = train.episodes[-1]
    frames = torch.from_numpy(np.array(store.buckets["32x32"].frames[episode.frame_start :][: episode.num_frames]))
    expected = model.encode(frames)
    stored = torch.from_numpy(train.latents[episode.start : episode.start + episode.length].astype(np.float32))
    torch.testing.assert_close(stored, expected, atol=2e-3, rtol=2e-3)
    still = model.encode_groups(to_groups(frames, model.frames_per_latent)[STILL_EVERY : STILL_EVERY + 1, -1:].expand(
        -1, model.frames_per_latent, -1, -1, -1))  # fmt: skip
    stored = torch.from_numpy(train.stills[episode.still_start + 1].astype(np.float32))
    torch.testing.assert_close(stored[None], still, atol=2e-3, rtol=2e-3)


def test_actions_and_rewards_stand_with_the_frames_they_led_to(compressed):
    store, model, _, train, _ = compressed
    r, bucket = model.frames_per_latent, store.buckets["32x32"]
    for episode in train.episodes:
        assert train.action_null[episode.start] and not train.action_null[episode.start + 1 : episode.start + 3].any()
        for frame in range(1, episode.num_frames):
            group, tick = (frame - 1) // r + 1, (frame - 1) % r
            assert (train.actions[episode.start + group, tick] == bucket.actions[episode.frame_start + frame]).all()
        rewards = bucket.rewards[episode.frame_start :][: episode.num_frames]
        assert train.rewards[episode.start :][: episode.length].sum() == pytest.approx(rewards.sum())
        assert train.rewards[episode.start + 1] == pytest.approx(rewards[1 : r + 1].sum())


def test_what_is_there_is_not_compressed_again(compressed):
    store, model, folder, train, _ = compressed
    path = folder / "train" / "32x32" / "latents.f16"
    before = path.stat().st_mtime_ns
    again = compress_store(store, model, folder / "train", held_out=False)["32x32"]
    assert path.stat().st_mtime_ns == before
    assert (again.latents == train.latents).all()


def test_latents_of_other_data_are_refused(compressed):
    store, model, folder, *_ = compressed
    note = folder / "train" / "32x32" / "done.json"
    content = note.read_text()
    note.write_text(json.dumps({"latent_frames": 3}))
    with pytest.raises(ValueError, match="expected .* latent frames, found 3"):
        compress_store(store, model, folder / "train", held_out=False)
    note.write_text(content)


def test_clips_are_whole_and_from_one_episode(compressed):
    _, _, _, train, _ = compressed
    clips = draw_clips(train, 200, 4, generator())
    ends = np.array([episode.start + episode.length for episode in train.episodes])
    first, last = (np.searchsorted(ends, clips.frames[:, t].numpy(), side="right") for t in (0, -1))
    assert (first == last).all()
    assert (clips.frames.diff(dim=1) == 1).all()
    assert len(set(first)) == len(train.episodes)
    assert torch.equal(clips.latents, torch.from_numpy(train.latents[clips.frames.numpy()].astype(np.float32)))
    assert torch.equal(clips.action_null[:, 1:], torch.zeros(200, 3, dtype=torch.bool))


def test_stills_begin_clips_without_an_action(compressed):
    _, _, _, train, _ = compressed
    clips = draw_clips(train, 60, 3, generator(), still_share=1.0)
    assert clips.action_null[:, 0].all() and not clips.action_null[:, 1:].any()
    stills = {still.tobytes() for still in train.stills}
    assert all(latent.numpy().astype(np.float16).tobytes() in stills for latent in clips.latents[:, 0])


def test_clips_longer_than_any_episode_are_refused(compressed):
    _, _, _, train, _ = compressed
    with pytest.raises(ValueError, match="num_frames: expected at most"):
        draw_clips(train, 1, 100, generator())


def test_the_seed_decides_the_clips(compressed):
    _, _, _, train, _ = compressed
    frames = [draw_clips(train, 20, 3, generator(seed)).frames for seed in (1, 1, 2)]
    assert torch.equal(frames[0], frames[1]) and not torch.equal(frames[0], frames[2])
