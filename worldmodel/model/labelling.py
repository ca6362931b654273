"""Actions for videos that have none, read from their frames by the world model: the trick of VPT.

Source: Baker et al., 2022, "Video PreTraining (VPT): Learning to Act by Watching Unlabeled Online Videos", section
3: an inverse dynamics model sees what came before and after, which makes its task far easier than a player's.

Shapes: F frames, T latent frames of a window, r ticks in a latent frame, H W pixels.
"""

from typing import Any

import numpy as np
import torch

from worldmodel.model.generation import infer_actions
from worldmodel.model.world_model import WorldModel

WINDOW_LATENTS = 16
"""T, latent frames that are looked at together; as many as in a clip of training."""


def label(model: WorldModel, frames: np.ndarray, *, num_steps: int = 4, seed: int = 0) -> list[Any]:
    """Tells which actions led from frame to frame of a video of any length.

    It is looked at in windows that overlap by half, and each action is taken from the window in whose middle it lies
    most, so that frames before and after it are seen.

    Args:
        model: A model that was trained with actions.
        frames: uint8 (F, H, W, 3), one a tick, F at least 2.
        num_steps: Sampling steps.
        seed: Of the noise.

    Returns:
        F - 1 members of the action space of its data, the likeliest ones.

    Raises:
        ValueError: If the model was trained without actions, or frames do not fit.
    """
    if model.codec is None:
        raise ValueError("model: expected one that was trained with actions, got one without")
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or len(frames) < 2:
        raise ValueError(f"frames: expected uint8 (F, H, W, 3), F at least 2, got {frames.dtype} {frames.shape}")
    length = 1 + (WINDOW_LATENTS - 1) * model.frames_per_latent
    vectors = np.zeros((len(frames) - 1, model.codec.width), np.float32)
    nearness = np.full(len(vectors), -np.inf)
    for first in window_starts(len(frames), length, model.frames_per_latent):
        part = frames[first : first + length]
        found = infer_actions(model, torch.from_numpy(part), num_steps=num_steps, seed=seed).numpy()
        ticks = np.arange(len(found))
        near = -np.abs(ticks - (len(found) - 1) / 2)  # to the middle
        better = near > nearness[first + ticks]
        vectors[first + ticks[better]] = found[better]
        nearness[first + ticks[better]] = near[better]
    return [model.codec.decode(vector) for vector in vectors]


def window_starts(num_frames: int, length: int, stride_unit: int) -> list[int]:
    """Returns the first frames of windows that overlap by half and cover everything; the last ends with the video.

    Args:
        num_frames: F.
        length: Frames of a window.
        stride_unit: What the distance of two windows is a multiple of.
    """
    stride = max(1, length // 2 // stride_unit) * stride_unit
    starts = list(range(0, max(1, num_frames - length + 1), stride))
    if starts[-1] + length < num_frames:
        starts.append(num_frames - length)
    return starts
