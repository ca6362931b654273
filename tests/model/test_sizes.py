from functools import cache

import pytest
import torch
from tiny_world import CODEC

from worldmodel.model import Metadata, Size, WorldModel, model_config


@cache
def weightless(size: Size) -> WorldModel:
    """A model of that size whose weights take no memory."""
    with torch.device("meta"):
        return WorldModel(model_config(size), Metadata(height=64, width=64, fps=20.0, action_space=CODEC.to_json()))


def compute(size: Size) -> int:
    """Products a token takes in the blocks of the denoiser: one for each weight of their matrices."""
    blocks = weightless(size).denoiser.transformer.blocks
    return sum(parameter.numel() for parameter in blocks.parameters() if parameter.ndim == 2)


def test_tiny_is_below_a_million_parameters():
    assert weightless(Size("tiny")).num_parameters() < 1_000_000


def test_mini_is_about_two_million_parameters():
    assert 1.5e6 < weightless(Size("mini")).num_parameters() < 3e6


def test_small_is_about_ten_million_parameters():
    assert 8e6 < weightless(Size("small")).num_parameters() < 15e6


@pytest.mark.parametrize(("size", "times"), [(Size("base"), 4), (Size("large"), 16)])
def test_compute_grows_as_documented(size, times):
    assert compute(size) / compute(Size("small")) == pytest.approx(times, rel=0.15)


@pytest.mark.parametrize("size", Size)
def test_every_size_remembers_and_reads_prompts(size):
    stack = weightless(size).config.denoiser.transformer
    assert sum(stack.has_time(layer) for layer in range(stack.depth)) >= 2


def test_settings_reach_the_parts():
    config = model_config(Size("tiny"), frames_per_latent=4, patch=16, channels=7, latent_patch=3, context_noise=0.1)
    compression = config.compression
    assert (compression.frames_per_latent, compression.patch, compression.channels) == (4, 16, 7)
    assert (config.denoiser.patch, config.denoiser.context_noise) == (3, 0.1)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("frames_per_latent", 3),
        ("patch", 7),
        ("channels", 0),
        ("frames_per_latent", 0),
        ("latent_patch", 0),
        ("context_noise", 1.0),
    ],
)
def test_settings_out_of_range_are_named(setting, value):
    with pytest.raises(ValueError, match=f"^{setting}: expected .*, got {value}"):
        model_config(Size("tiny"), **{setting: value})
