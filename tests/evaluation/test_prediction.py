"""A perfect dreamer scores perfectly, one that repeats the last frame gains nothing, and SSIM is what it should be."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worldmodel.data import video_info
from worldmodel.evaluation.dreamers import psnr
from worldmodel.evaluation.episodes import play_all
from worldmodel.evaluation.prediction import evaluate_prediction, steps_dreamed, steps_needed
from worldmodel.evaluation.similarity import ssim

# For toy_world. It is no module of a package `tests`, because some dependencies install one of that name.
sys.path.append(str(Path(__file__).parent))

from toy_world import SIDE, ToyDreamer, ToyEnv, Wanderer  # noqa: E402


@pytest.fixture(scope="module")
def episodes():
    return play_all(ToyEnv(), Wanderer(), range(5), steps_needed(ToyDreamer(), 32, False))


def score(episodes, folder, dreamer, **settings):
    return evaluate_prediction(dreamer, episodes, folder, **{"horizon": 32, "teco": False, "batch": 3, **settings})


def test_a_perfect_dreamer(episodes, tmp_path):
    section = score(episodes, tmp_path, ToyDreamer())
    for step in (1, 16, 32):
        for which in ("all", "moving"):
            for context in ("one", "full"):
                assert section.figures[f"psnr_{context}_{step}_{which}"].value == 60
                assert section.figures[f"ssim_{context}_{step}_{which}"].value == pytest.approx(1, abs=1e-5)
            assert section.figures[f"psnr_codec_{step}_{which}"].value == pytest.approx(48.13, abs=0.01)
            gain = section.figures[f"psnr_gain_{step}_{which}"]
            assert gain.value == pytest.approx(60 - section.figures[f"psnr_repeat_{step}_{which}"].value)
    assert section.figures["psnr_mineworld_dream"].value == 60 and "psnr_teco_dream" not in section.figures
    assert section.figures["clips"] == section.figures["moving_clips"] == 5
    (check,) = section.checks
    assert check.passed and check.name == "beats repeating the last frame at 16 steps"


def test_repeating_the_last_frame_gains_nothing(episodes, tmp_path):
    section = score(episodes, tmp_path, ToyDreamer(obeys=False, noise=3))
    assert section.figures["psnr_gain_16_moving"].high < 0.1 and not section.checks[0].passed
    assert section.figures["psnr_full_16_all"].value == pytest.approx(
        section.figures["psnr_repeat_16_all"].value, abs=0.5
    )


def test_where_nothing_moves_there_is_nothing_to_tell(episodes, tmp_path):
    class Idle(Wanderer):
        def act(self, observation, info):
            return 0

    still = play_all(ToyEnv(), Idle(), range(2), 40)
    section = score(still, tmp_path, ToyDreamer())
    assert section.figures["moving_clips"] == 0 and not section.checks[0].passed
    assert "no clip moved" in section.checks[0].reason
    assert section.figures["psnr_full_16_moving"].number == 0 and section.figures["psnr_full_16_all"].value == 60


def test_contexts_are_what_is_said(episodes, tmp_path):
    dreamer = ToyDreamer(context_steps=4)
    done = []
    score(episodes, tmp_path, dreamer, progress=done.append, seed=9)
    assert sum(done) == 5 * steps_dreamed(dreamer, 32, False) == 5 * 64
    assert [len(batch) for batch in dreamer.begun] == [3, 3, 2, 2] and dreamer.seeds == [9, 9, 12, 12]
    one, full = dreamer.begun[:2]
    assert {len(part.frames) for part in one} == {1} and {len(part.frames) for part in full} == {9}
    # All go on from the same moment.
    assert all(np.array_equal(a.frames[-1], b.frames[-1]) for a, b in zip(one, full, strict=True))


def test_the_protocols_of_others(tmp_path):
    """36 frames of context where the dreamer remembers so much, then 264; and 1 and 15."""
    dreamer = ToyDreamer(context_steps=30)
    assert steps_needed(dreamer, 8, True) == 30 + 132
    assert steps_dreamed(dreamer, 8, True) == 8 + 8 + 132
    assert steps_dreamed(ToyDreamer(context_steps=4), 8, True) == 8 + 132  # TECO's context is all it remembers
    episodes = play_all(ToyEnv(), Wanderer(), range(2), 162)
    section = score(episodes, tmp_path, dreamer, horizon=8, teco=True)
    contexts = {len(batch[0].frames) for batch in dreamer.begun}
    assert contexts == {1, 35, 61}  # whole steps: 35 frames
    for name in ("mineworld", "teco"):
        assert section.figures[f"psnr_{name}_dream"].value == 60
        assert section.figures[f"ssim_{name}_dream"].value == pytest.approx(1, abs=1e-5)
    real = np.stack([episode.frames[31:] for episode in episodes]).reshape(2, -1, SIDE, SIDE, 3)
    last = np.stack([episode.frames[30, -1] for episode in episodes])[:, None]
    for name, generated in (("mineworld", 15), ("teco", 264)):
        expected = psnr(last, real[:, :generated]).mean()
        assert section.figures[f"psnr_{name}_repeat"].value == pytest.approx(expected, rel=1e-5)


def test_pictures_and_video(episodes, tmp_path):
    section = score(episodes, tmp_path, ToyDreamer())
    for name in section.pictures:
        assert np.asarray(Image.open(tmp_path / name)).std() > 10
    assert set(section.pictures) == {"prediction.png", "prediction_sheet.png"}
    (video,) = section.videos
    info = video_info(tmp_path / video)
    assert (info.num_frames, info.fps) == (2 * (4 + 32), 20)
    assert {path.name for path in tmp_path.iterdir()} == {*section.pictures, video}


def test_short_episodes_are_refused(episodes, tmp_path):
    with pytest.raises(ValueError, match="episodes: expected at least one, of at least 68 steps, got"):
        score(episodes, tmp_path, ToyDreamer(), horizon=64)
    with pytest.raises(ValueError, match="got none"):
        score([], tmp_path, ToyDreamer())


def picture(seed=0, shape=(32, 40)):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def test_ssim_of_the_same_picture_is_one():
    assert ssim(picture(), picture()) == pytest.approx(1, abs=1e-5)
    flat = np.full((16, 16, 3), 90, np.uint8)
    assert ssim(flat, flat) == pytest.approx(1, abs=1e-5)


def test_ssim_of_flat_pictures_is_the_term_of_brightness():
    one, other = np.full((16, 16, 3), 51, np.uint8), np.full((16, 16, 3), 102, np.uint8)
    assert ssim(one, other) == pytest.approx((2 * 0.2 * 0.4 + 1e-4) / (0.2**2 + 0.4**2 + 1e-4), rel=1e-3)


def test_ssim_by_its_definition():
    """Against the sums of the paper, window by window."""
    one = picture(0, (14, 13)).astype(np.float64) / 255
    other = np.clip(one + np.random.default_rng(1).normal(0, 0.2, one.shape), 0, 1)
    one, other = (np.round(part * 255).astype(np.uint8) for part in (one, other))
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    values = []
    for channel in range(3):
        for y in range(4):
            for x in range(3):
                a, b = (part[y : y + 11, x : x + 11, channel].astype(np.float64) / 255 for part in (one, other))
                mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
                var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
                both = (weights * (a - mean_a) * (b - mean_b)).sum()
                values.append(
                    (2 * mean_a * mean_b + 1e-4)
                    * (2 * both + 9e-4)
                    / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
                )
    assert ssim(one, other) == pytest.approx(np.mean(values), abs=1e-5)


def test_ssim_sees_structure_that_psnr_does_not():
    real = np.repeat(np.linspace(60, 180, 32).astype(np.uint8)[:, None, None], 32, 1).repeat(3, 2)
    brighter = real + 20
    noisy = (real + np.random.default_rng(0).choice([-20, 20], real.shape)).astype(np.uint8)
    assert psnr(real, brighter) == pytest.approx(psnr(real, noisy))
    assert ssim(real, brighter) > 0.9 > 0.4 > ssim(real, noisy)


def test_ssim_of_many():
    frames, other = np.stack([[picture(0), picture(1)]] * 2), np.stack([[picture(0), picture(2)]] * 2)
    found = ssim(frames, other)
    assert found.shape == (2, 2) and np.allclose(found[:, 0], 1) and np.all(found[:, 1] < 0.2)
    assert found[0, 1] == pytest.approx(ssim(picture(1), picture(2)))
    with pytest.raises(ValueError, match="at least 11 x 11 pixels"):
        ssim(picture(0, (8, 20)), picture(1, (8, 20)))
