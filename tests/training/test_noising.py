import pytest
import torch

from worldmodel.model.denoiser import STEP_SIZES
from worldmodel.training.noising import NoisingConfig, Pattern, _unknown, draw_plan

GRID = (4, 6)


def plan(*, batch=64, num_frames=8, causal=True, step_size=0, seed=0, **config):
    generator = torch.Generator().manual_seed(seed)
    return draw_plan(
        batch,
        num_frames,
        GRID,
        causal=causal,
        step_size=step_size,
        context_noise=0.05,
        config=NoisingConfig(**config),
        generator=generator,
    )


def masks(pattern, number=200, num_frames=8):
    generator = torch.Generator().manual_seed(0)
    return torch.stack([_unknown(pattern, num_frames, GRID, generator) for _ in range(number)])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("num_frames", [1, 2, 3, 8])
def test_every_clip_has_something_to_predict(causal, num_frames):
    drawn = plan(batch=300, num_frames=num_frames, causal=causal)
    assert drawn.unknown.flatten(1).any(1).all()
    assert ((drawn.sigma >= 0) & (drawn.sigma <= 1)).all()
    assert (drawn.sigma[drawn.unknown] > 0).all()


def test_known_frames_are_nearly_clean():
    for causal in (True, False):
        drawn = plan(batch=300, causal=causal)
        assert drawn.sigma[~drawn.unknown].max() <= 0.15
        assert (drawn.sigma[drawn.unknown] > 0.15).float().mean() > 0.9


def test_streaming_shows_the_context_noise_that_the_cache_declares():
    known = plan(causal=True).sigma[~plan(causal=True).unknown]
    assert (known == 0.05).float().mean() > 0.5
    bidirectional = plan(causal=False)
    assert (bidirectional.sigma[~bidirectional.unknown] == 0).float().mean() > 0.5


def test_prefix_and_suffix():
    for pattern, order in ((Pattern.PREFIX, 1), (Pattern.SUFFIX, -1)):
        frames = masks(pattern)[..., 0, 0]
        frames = frames if order == 1 else frames.flip(1)
        assert (frames.int().diff(dim=1) >= 0).all()  # known, then unknown for good
        counts = (~frames).sum(1)
        assert counts.min() == 1 and counts.max() == 7


def test_both_ends_are_known_and_the_middle_is_not():
    frames = masks(Pattern.ENDS)[..., 0, 0]
    assert not frames[:, 0].any() and not frames[:, -1].any()
    assert (frames.int().diff(dim=1) == 1).sum(1).eq(1).all()  # one gap
    assert masks(Pattern.ENDS, num_frames=2).flatten(1).any(1).all()


def test_blocks_are_the_same_in_every_frame_and_leave_something_known():
    blocks = masks(Pattern.BLOCK)
    assert (blocks == blocks[:, :1]).all()
    shares = blocks[:, 0].float().mean((1, 2))
    assert shares.min() > 0 and shares.max() < 1 and shares.std() > 0.1


def test_any_frames_may_be_known():
    frames = masks(Pattern.FRAMES)[..., 0, 0]
    assert 0.2 < frames.float().mean() < 0.9
    assert len({tuple(row.tolist()) for row in frames}) > 50


@pytest.mark.parametrize("step_size", range(1, len(STEP_SIZES)))
def test_long_steps_have_levels_on_their_own_grid(step_size):
    drawn = plan(step_size=step_size)
    steps = drawn.sigma[drawn.unknown] / STEP_SIZES[step_size]
    assert (steps == steps.round()).all() and steps.min() == 1


def test_pure_noise_comes_often():
    drawn = plan(batch=400, causal=False)
    assert 0.08 < (drawn.sigma[drawn.unknown] == 1).float().mean() < 0.3


def test_dropout_shares():
    drawn = plan(batch=4000, num_frames=2, text_dropout=0.3, action_dropout=0.2, action_noise=0.4)
    assert drawn.text_null.float().mean() == pytest.approx(0.3, abs=0.03)
    assert drawn.action_null.float().mean() == pytest.approx(0.2, abs=0.03)
    assert (drawn.action_sigma > 0).any(1).float().mean() == pytest.approx(0.4, abs=0.03)
    # Among noisy ones, some have nothing left of their actions: inverse dynamics and self-play start there.
    assert (drawn.action_sigma == 1).all(1).float().mean() > 0.1


def test_the_seed_decides():
    assert torch.equal(plan(seed=3).sigma, plan(seed=3).sigma)
    assert not torch.equal(plan(seed=3).sigma, plan(seed=4).sigma)
