import numpy as np
import pytest
import torch
from moving_square import SIZE, make_store

from worldmodel.data import read_video, video_info
from worldmodel.model import Metadata, Size, WorldModel, model_config
from worldmodel.training.evaluation import Prediction, dream, evaluate_prediction, held_out_clips
from worldmodel.training.latents import compress_store
from worldmodel.training.pictures import action_sheet, comparison_video, enlarge, reconstruction_sheet

RATIO = 2


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    store = make_store(folder / "data", episodes=20, steps=20)
    torch.manual_seed(0)
    metadata = Metadata(height=SIZE, width=SIZE, fps=10.0, action_space=store.codec.to_json())
    model = WorldModel(model_config(Size.tiny, frames_per_latent=RATIO, channels=4), metadata).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.05)
    bucket = compress_store(store, model, folder / "latents", held_out=True)["32x32"]
    return store, model, bucket


def clips_of(setting, *, number=6, context=3, horizon=4):
    store, _, bucket = setting
    return held_out_clips(store, "32x32", bucket, number=number, context=context, horizon=horizon)


def test_clips_are_held_out_and_frames_belong_to_latents(setting):
    store, model, bucket = setting
    clips = clips_of(setting)
    held_out = {
        frame.tobytes()
        for record in store.buckets["32x32"].episodes
        if record.held_out
        for frame in store.buckets["32x32"].frames[record.start :][: record.num_frames]
    }
    assert clips.frames.shape == (6, 7, RATIO, SIZE, SIZE, 3)
    assert all(frame.tobytes() in held_out for frame in clips.frames.flatten(0, 2).numpy())
    again = model.encode_groups(clips.frames.flatten(0, 1)).unflatten(0, (6, 7))
    torch.testing.assert_close(again, clips.latents, atol=5e-3, rtol=5e-3)


def test_actions_belong_to_frames(setting):
    """The square moves between the last frame of one group and the first of the next as the first action says."""
    clips = clips_of(setting)
    yellow = (clips.frames[..., 0] > 200).float()
    rows, columns = (torch.arange(SIZE, dtype=torch.float32)[None, None, None, :, None].transpose(-1, -1 - axis)
                     for axis in (0, 1))  # fmt: skip
    area = yellow.sum((-2, -1))
    place = torch.stack([(yellow * part).sum((-2, -1)) / area for part in (rows, columns)], dim=-1)  # (B, T, r, 2)
    moves = torch.tensor([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]) * 8.0
    for tick in range(RATIO):
        before = place[:, :-1, -1] if tick == 0 else place[:, 1:, tick - 1]
        moved = (place[:, 1:, tick] - before + SIZE / 2) % SIZE - SIZE / 2
        told = moves[clips.actions[:, 1:, tick].argmax(-1)]
        assert torch.equal(moved.round() % SIZE, told % SIZE)


def test_references_are_what_they_say(setting):
    _, model, _ = setting
    clips = clips_of(setting)
    prediction = evaluate_prediction(model, clips, num_steps=1)
    truth, last = clips.frames[:, 3:].float(), clips.frames[:, 2:3, -1:].float()
    error = ((truth - last) ** 2).mean((-3, -2, -1)).clamp_min(1e-10)
    expected = (10 * torch.log10(255**2 / error)).clamp(max=106).mean(-1)
    moved = expected < 60
    torch.testing.assert_close(prediction.repeat[moved], expected[moved], atol=0.05, rtol=0)
    assert prediction.dreamed.shape == clips.frames[:, 3:].shape


def test_the_ceiling_is_reached_by_a_perfect_dream(setting, monkeypatch):
    _, model, _ = setting
    clips = clips_of(setting)
    monkeypatch.setattr("worldmodel.training.evaluation.dream", lambda *args, **kwargs: clips.latents[:, 3:])
    prediction = evaluate_prediction(model, clips)
    torch.testing.assert_close(prediction.model, prediction.ceiling)


def test_dreams_differ_by_action_and_not_by_company(setting):
    _, model, _ = setting
    clips = clips_of(setting)
    dreams = dream(model, clips.latents, clips.actions, context=3, num_steps=2)
    alone = dream(model, clips.latents[:1], clips.actions[:1], context=3, num_steps=2)
    torch.testing.assert_close(dreams[:1], alone, atol=1e-4, rtol=1e-4)
    other = clips.actions.clone()
    other[:, -1] = other[:, -1].roll(1, -1)
    changed = dream(model, clips.latents, other, context=3, num_steps=2)
    assert torch.equal(changed[:, :-1], dreams[:, :-1]) and not torch.equal(changed[:, -1], dreams[:, -1])


def test_figures_are_means_over_moving_clips():
    values = torch.tensor([[10.0, 20.0], [30.0, 40.0]])
    prediction = Prediction(values, values, values, values, torch.tensor([True, False]), torch.zeros(0))
    assert prediction.figures([1, 2]) == {"moving_clips": 1.0} | {
        f"psnr_{name}_{step}": 10.0 * step for step in (1, 2) for name in ("model", "shuffled", "repeat", "ceiling")
    }


def test_too_long_a_horizon_is_refused(setting):
    with pytest.raises(ValueError, match="horizon: expected context .* <= 11 latent frames, got 40"):
        clips_of(setting, context=20, horizon=20)


def test_pictures_show_truth_and_dream(setting, tmp_path):
    from PIL import Image

    _, model, _ = setting
    clips = clips_of(setting, number=3)
    prediction = evaluate_prediction(model, clips, num_steps=1)
    comparison_video(clips, prediction.dreamed, tmp_path / "clips.mp4", 10.0, number=3)
    info = video_info(tmp_path / "clips.mp4")
    assert info.num_frames == 7 * RATIO
    frame = next(read_video(tmp_path / "clips.mp4"))
    half = len(frame) // 2
    assert np.abs(frame[:half].astype(int) - frame[half:].astype(int)).mean() < 3  # the context is shown twice
    actions = [(str(i), torch.eye(5)[i]) for i in range(5)]
    action_sheet(model, clips, actions, tmp_path / "actions.png", steps=4)
    assert Image.open(tmp_path / "actions.png").height == 4 + 5 * (128 + 4)
    reconstruction_sheet(model, clips.frames[:, 0], tmp_path / "groups.png")
    assert Image.open(tmp_path / "groups.png").height == 4 + 2 * (SIZE + 4)


def test_small_pictures_are_enlarged_by_whole_numbers():
    picture = np.arange(64 * 48 * 3, dtype=np.uint8).reshape(64, 48, 3)
    assert enlarge(picture, 128).shape == (192, 144, 3)
    assert (enlarge(picture, 128)[::3, ::3] == picture).all()
    wide = np.zeros((10, 500, 3), np.uint8)
    assert enlarge(wide, 128).shape == wide.shape
