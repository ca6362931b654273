import pytest
import torch
from tiny_world import normal, tiny_model, uniform

from worldmodel.model.compression import CompressionConfig, compression_loss, psnr, to_float, to_uint8

SIZES = [(8, 8), (16, 24), (24, 16), (4, 40)]


@pytest.fixture(scope="module")
def network(model):
    return model.compression


def groups(batch: int, ratio: int = 2, height: int = 8, width: int = 12, seed: int = 0):
    return 2 * uniform(batch, ratio, height, width, 3, seed=seed) - 1


@pytest.mark.parametrize("ratio", [1, 2, 4])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_any_size_and_ratio(ratio, height, width):
    network = tiny_model(frames_per_latent=ratio).compression
    frames = groups(3, ratio, height, width)
    latents = network.encode(frames)
    assert latents.shape == (3, height // 4, width // 4, 4)
    decoded = network.decode(latents)
    assert decoded.shape == frames.shape
    assert decoded.std() > 0.1


def test_groups_are_encoded_on_their_own(network):
    frames = groups(4)
    before = network.encode(frames)
    for other in (0, 2, 3):
        frames[other] = groups(1, seed=other + 1)[0]
    after = network.encode(frames)
    assert torch.equal(after[1], before[1])
    assert (after[2] - before[2]).abs().max() > 0.1
    torch.testing.assert_close(network.encode(frames[1:2])[0], before[1], atol=1e-5, rtol=1e-5)


def test_latent_frames_can_be_reordered_and_spliced(network):
    one, other = network.encode(groups(3)), network.encode(groups(2, seed=1))
    order = torch.tensor([4, 0, 3, 2])
    spliced = torch.cat([one, other])[order]
    apart = torch.cat([network.decode(one), network.decode(other)])[order]
    torch.testing.assert_close(network.decode(spliced), apart, atol=1e-5, rtol=1e-5)


def test_every_frame_and_place_of_a_group_counts(network):
    frames = groups(1)
    before = network.encode(frames)
    for tick, row, column in ((0, 0, 0), (1, 0, 0), (1, 7, 11), (0, 4, 5)):
        changed = frames.clone()
        changed[0, tick, row, column] += 1
        assert (network.encode(changed) - before).abs().amax((0, 3)).min() > 1e-3, "every site sees every pixel"


@pytest.mark.parametrize(("row", "column"), [(0, 0), (7, 11), (4, 5), (3, 8)])
def test_site_stands_where_its_pixels_stand(row, column):
    """With attention silenced, a pixel is seen by its own site alone, and a site paints its own pixels alone."""
    network = tiny_model().compression
    for stack in (network.encoder, network.decoder):
        torch.nn.init.zeros_(stack.blocks[0].space.out.weight)
    frames, latents = groups(1), normal(1, 2, 3, 4)
    before, painted = network.encode(frames), network.decode_bounded(latents)
    frames[0, 1, row, column] += 1
    latents[0, row // 4, column // 4] += 1
    site = torch.zeros(2, 3, dtype=torch.bool)
    site[row // 4, column // 4] = True
    assert torch.equal((network.encode(frames) != before).any(-1)[0], site)
    pixels = site.repeat_interleave(4, 0).repeat_interleave(4, 1)
    repainted = (network.decode_bounded(latents) != painted).any(-1)[0]
    assert torch.equal(repainted, pixels.expand(2, -1, -1))


def test_order_of_frames_in_a_group_counts(network):
    frames = groups(1)
    assert (network.encode(frames.flip(1)) - network.encode(frames)).abs().max() > 0.01


def test_bounded_latents_stay_within_one(network):
    frames = 50 * groups(2)  # far from any picture
    bounded = network.bounded(frames)
    assert bounded.abs().max() <= 1
    assert bounded.std() > 0.1


def test_statistics_bring_latents_to_mean_0_and_deviation_1():
    network = tiny_model(seed=3).compression
    frames = groups(64)
    network.set_statistics(network.bounded(frames))
    latents = network.encode(frames).flatten(0, 2)
    torch.testing.assert_close(latents.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.std(0), torch.ones(4), atol=1e-3, rtol=0)


def test_channel_that_never_changes_does_not_blow_up():
    network = tiny_model(seed=3).compression
    network.set_statistics(torch.full((2, 3, 3, 4), 0.5))
    assert network.encode(groups(2)).isfinite().all()


def test_decoding_undoes_the_statistics(network):
    bounded = network.bounded(groups(2))
    latents = network.encode(groups(2))
    assert not torch.allclose(bounded, latents, atol=0.1)
    torch.testing.assert_close(
        network.decode(latents), network.decode_bounded(bounded).clamp(-1, 1), atol=1e-5, rtol=1e-5
    )


def test_decoded_pixels_stay_within_one(network):
    decoded = network.decode(100 * normal(2, 2, 3, 4))
    assert decoded.abs().max() <= 1


def test_wrong_number_of_frames_is_named(network):
    with pytest.raises(ValueError, match="^groups: expected 2 frames in each, got 3"):
        network.encode(groups(1, ratio=3))


@pytest.mark.parametrize(("size", "name"), [((10, 12), "height"), ((8, 13), "width")])
def test_size_that_is_not_divisible_is_named(network, size, name):
    with pytest.raises(ValueError, match=f"^{name}: expected a positive multiple of 4"):
        network.encode(groups(1, 2, *size))


@pytest.mark.parametrize(
    ("setting", "value"), [("patch", 5), ("frames_per_latent", 3), ("channels", 0)], ids=lambda part: str(part)
)
def test_setting_out_of_range_is_named(setting, value):
    with pytest.raises(ValueError, match=f"^{setting}: expected .* got {value}"):
        CompressionConfig(**{setting: value})


def test_pixels_make_the_round_trip():
    pixels = torch.arange(256, dtype=torch.uint8)
    floats = to_float(pixels)
    assert (floats[0], floats[-1]) == (-1, 1)
    assert torch.equal(to_uint8(floats), pixels)
    assert to_uint8(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


def test_signal_to_noise_of_known_errors():
    truth = torch.zeros(2, 4, 4, 3)
    pictures = torch.stack([torch.full((4, 4, 3), 0.2), torch.full((4, 4, 3), 2.0)])
    torch.testing.assert_close(psnr(pictures, truth), torch.tensor([20.0, 0.0]), atol=1e-4, rtol=0)
    assert psnr(truth, truth).isfinite().all()


def test_loss_is_zero_for_the_truth_and_sees_blur():
    truth = groups(2)
    assert compression_loss(truth, truth) == 0
    error = 0.1 * normal(*truth.shape).sign()  # of one size everywhere: sharp or flat is all that differs
    flat = torch.full_like(error, 0.1)
    assert compression_loss(truth + error, truth) > compression_loss(truth + flat, truth) > 0


def test_loss_of_single_frames_and_pixels_is_finite():
    truth = groups(1, 1, 1, 1)
    torch.testing.assert_close(compression_loss(truth + 0.1, truth), torch.tensor(0.1**2 + 0.05 * 0.1))
