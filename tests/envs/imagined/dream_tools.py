"""What tests of dreams have in common."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from worldmodel.envs.actions import action_space, no_op
from worldmodel.envs.imagined import models
from worldmodel.envs.imagined.env import ImaginedEnv
from worldmodel.envs.imagined.vector import ImaginedVectorEnv
from worldmodel.model.streaming import DreamState

SIDE = 48


@pytest.fixture(scope="module", autouse=True)
def full_precision() -> Iterator[None]:
    """Models compute in float32 in the modules that import this: only then is a dream alone like one in a batch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "fast_dtype", lambda device: torch.float32)
        models._load.cache_clear()
        yield
    models._load.cache_clear()


def make(checkpoint: str, **settings: Any) -> ImaginedEnv:
    return ImaginedEnv(checkpoint=checkpoint, num_steps=settings.pop("num_steps", 2), **settings)


def make_batch(checkpoint: str, number: int, **settings: Any) -> ImaginedVectorEnv:
    return ImaginedVectorEnv(number, checkpoint=checkpoint, num_steps=settings.pop("num_steps", 2), **settings)


def draw_actions(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Members of the action space, with cameras as people turn them."""
    space = action_space()
    space.seed(seed)
    return [space.sample() | {"camera": np.float32([seed + i, 10 - 3 * i])} for i in range(count)]


def action(**keys: Any) -> dict[str, Any]:
    return no_op() | keys


def picture(seed: int = 0, frames: int | None = None, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """Noise: uint8 (H, W, 3), or a video of so many frames."""
    shape = (height, width, 3) if frames is None else (frames, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def dream(env: ImaginedEnv, actions: Sequence[Any]) -> np.ndarray:
    """Steps an environment: all frames, uint8 (steps, r, H, W, 3)."""
    frames = []
    for one in actions:
        env.step(one)
        frames.append(env.frames)
    return np.stack(frames)


def levels(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference, in levels of 255."""
    assert one.shape == other.shape and one.dtype == other.dtype == np.uint8
    return int(np.abs(one.astype(np.int16) - other).max())


def tensors(state: DreamState) -> list[torch.Tensor]:
    """All that a state of the model holds."""
    cache = state.cache
    parts = [cache.frames, cache.count, state.latents, state.seen, *state.text, *state.null_text]
    return parts + [part for layer in cache.layers for part in (layer.keys, layer.values)]
