import subprocess
import sys

import pytest
import torch
from tiny_world import CODEC, action_vectors, draw_actions, noise_video, normal, tiny_model, uniform

from worldmodel.model.compression import to_float


@pytest.fixture(scope="module", params=[1, 2, 4], ids=lambda ratio: f"r={ratio}")
def any_model(request):
    return tiny_model(frames_per_latent=request.param)


@pytest.mark.parametrize("num_frames", [1, 2, 5, 8])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 24), (24, 8)])
def test_any_video_is_encoded_and_decoded(any_model, num_frames, height, width):
    ratio = any_model.frames_per_latent
    video = noise_video(num_frames, height, width)
    latents = any_model.encode(video)
    length = 1 + -(-(num_frames - 1) // ratio)
    assert latents.shape == (length, height // 4, width // 4, 4)
    assert latents.dtype == torch.float32
    decoded = any_model.decode(latents, num_frames)
    assert decoded.shape == video.shape and decoded.dtype == torch.uint8
    assert len(any_model.decode(latents)) == 1 + (length - 1) * ratio
    assert decoded.float().std() > 10


def test_picture_is_one_frame(any_model):
    picture = noise_video(1)
    still = any_model.encode(picture)
    assert still.shape[0] == 1
    repeated = to_float(picture.expand(any_model.frames_per_latent, -1, -1, -1)[None])
    torch.testing.assert_close(still, any_model.compression.encode(repeated))
    first, _ = any_model.encode(noise_video(5)).split([1, len(any_model.encode(noise_video(5))) - 1])
    torch.testing.assert_close(any_model.encode(noise_video(5)[:1]), first, atol=1e-5, rtol=1e-5)


def test_frames_stand_in_their_latent_frame(any_model):
    """A change of frame t changes the latent frame that `to_groups` puts it into, and no other."""
    ratio, video = any_model.frames_per_latent, noise_video(9)
    before = any_model.encode(video)
    for t in range(9):
        changed = video.clone()
        changed[t] = 255 - changed[t]
        moved = (any_model.encode(changed) != before).flatten(1).any(1).nonzero()[:, 0].tolist()
        assert moved == [-(-t // ratio)]


def test_size_of_a_batch_does_not_count(model):
    video = noise_video(9)
    latents = model.encode(video)
    torch.testing.assert_close(model.encode(video, batch=2), latents, atol=1e-5, rtol=1e-5)
    difference = model.decode(latents).int() - model.decode(latents, batch=2).int()
    assert difference.abs().max() <= 1


def test_actions_lead_to_the_frames_after_them(any_model):
    ratio, actions = any_model.frames_per_latent, draw_actions(7)
    vectors = any_model.action_vectors(actions)
    encoded = torch.from_numpy(CODEC.encode_many(actions))
    assert vectors.shape == (1 + -(-7 // ratio), ratio, CODEC.width)
    assert vectors.dtype == torch.float32
    assert (vectors[0] == 0).all()
    ticks = vectors[1:].flatten(0, 1)
    assert torch.equal(ticks[:7], encoded)
    assert (ticks[7:] == 0).all()
    assert len({tuple(row.tolist()) for row in encoded}) == 7, "else an action in the wrong place could pass"


def test_no_actions_are_one_null_frame(any_model):
    vectors = any_model.action_vectors([])
    assert vectors.shape == (1, any_model.frames_per_latent, CODEC.width)
    assert (vectors == 0).all()


def test_action_that_does_not_fit_is_refused(model):
    with pytest.raises(ValueError, match="move"):
        model.action_vectors([{"move": 17}])


def test_model_without_actions_refuses_them():
    with pytest.raises(ValueError, match="^actions: expected none"):
        tiny_model(actions=False).action_vectors(draw_actions(2))


def test_sizes_of_a_model(any_model):
    assert any_model.pixel_multiple == 8
    assert any_model.grid(16, 24) == (4, 6)
    assert any_model.latent_seconds == any_model.frames_per_latent / 20
    assert any_model.null_actions(2, 3).shape == (2, 3, any_model.frames_per_latent, CODEC.width)
    assert any_model.num_parameters() == sum(parameter.numel() for parameter in any_model.parameters())


def test_cache_fits_the_model():
    model = tiny_model(window=5, sinks=2)
    cache = model.start_cache(3, 16, 24)
    assert len(cache.layers) == 2  # of 4 blocks, every second
    assert cache.layers[0].keys.shape == (3, 7, 2 * 3 + 4, 2, 16)
    assert (cache.sinks, cache.latent_seconds) == (2, 0.1)
    assert model.bfloat16().start_cache(1, 8, 8).layers[0].keys.dtype == torch.bfloat16


def test_inputs_fill_in_what_is_not_given(model):
    inputs = model.inputs(normal(2, 3, 4, 6, 4), 0.25)
    assert (inputs.sigma == 0.25).all() and inputs.sigma.shape == (2, 3, 4, 6)
    assert inputs.action_null.all()
    assert (inputs.actions == 0).all() and (inputs.action_sigma == 0).all()
    words, mask = model.embed_prompts([""])
    torch.testing.assert_close(inputs.text, words.expand(2, -1, -1), atol=1e-5, rtol=1e-5)
    assert torch.equal(inputs.text_mask, mask.expand(2, -1))
    assert (inputs.step_size == 0).all() and inputs.causal and not inputs.periodic


def test_actions_of_zero_are_no_actions(model):
    actions = action_vectors(model, 2, 3)
    actions[0, 1] = 0
    actions[1, 2, 0] = 0  # one tick is still given
    inputs = model.inputs(normal(2, 3, 4, 6, 4), 0.0, actions=actions)
    assert inputs.action_null.tolist() == [[False, True, False], [False] * 3]


@pytest.mark.parametrize(
    "video",
    [
        uniform(3, 16, 24, 3),
        noise_video(3)[..., :1],
        noise_video(3)[0],
        noise_video(3)[:0],
        noise_video(3).permute(0, 3, 1, 2),
    ],
    ids=["float", "grey", "no time axis", "no frames", "channels first"],
)
def test_video_of_a_wrong_kind_is_named(model, video):
    with pytest.raises(ValueError, match=r"^video: expected uint8 \(F, H, W, 3\), got torch\."):
        model.encode(video)


@pytest.mark.parametrize(
    ("height", "width", "message"),
    [
        (12, 24, "height: expected a positive multiple of 8 pixels, got 12; crop or resize"),
        (16, 20, "width: expected a positive multiple of 8 pixels, got 20; crop or resize"),
        (0, 8, "height: .* got 0"),
        (8, -8, "width: .* got -8"),
    ],
)
def test_size_that_does_not_fit_is_named(model, height, width, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        model.grid(height, width)
    if height > 0 and width > 0:
        with pytest.raises(ValueError, match=f"^{message}"):
            model.encode(noise_video(1, height, width))


def test_half_precision_is_near(model):
    video = noise_video(3)
    half = tiny_model().bfloat16()
    latents, reference = half.encode(video), model.encode(video)
    assert latents.dtype == torch.float32
    assert (latents - reference).square().mean() < 0.01 * reference.var()
    decoded = half.decode(reference).float() - model.decode(reference).float()
    assert decoded.square().mean() < 0.01 * model.decode(reference).float().var()


def test_import_of_the_package_needs_no_environments():
    """Dependencies run one way: the model knows nothing of environments, agents, or the command line."""
    code = (
        "import sys, worldmodel.model.world_model, worldmodel.model.streaming, worldmodel.model.generation;"
        "bad = [m for m in sys.modules if m.startswith(('worldmodel.envs', 'worldmodel.agents', 'worldmodel.cli',"
        " 'hydra', 'moviepy'))]; sys.exit(' '.join(bad) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
