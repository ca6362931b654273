"""How alike two pictures are in structure: SSIM.

Source: Wang, Bovik, Sheikh & Simoncelli, 2004, "Image Quality Assessment: From Error Visibility to Structural
Similarity".

Shapes: N frames, H W pixels.
"""

import numpy as np
import torch
from torch import Tensor

_WINDOW, _SIGMA = 11, 1.5
"""Side of the Gaussian window and its deviation, in pixels."""
_C1, _C2 = 0.01**2, 0.03**2
"""Constants of the paper, for values from 0 to 1."""
_CHUNK = 256
"""Frames compared at a time."""


def ssim(frames: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the SSIM of frames, -1 to 1: the mean over all windows that lie within the picture, and over channels.

    Args:
        frames: uint8 (..., H, W, 3).
        other: Likewise, of the same shape.

    Returns:
        float32 (...).

    Raises:
        ValueError: If the frames are smaller than the window.
    """
    height, width = frames.shape[-3:-1]
    if min(height, width) < _WINDOW:
        raise ValueError(f"frames: expected at least {_WINDOW} x {_WINDOW} pixels for SSIM, got {height} x {width}")
    # A filter is the product with a banded matrix: eight times as fast as a convolution.
    down, across = _filter(height), _filter(width)

    def blur(planes: Tensor) -> Tensor:
        return down @ planes @ across.T

    flat = [part.reshape(-1, height, width, 3) for part in np.broadcast_arrays(frames, other)]
    values = []
    for first in range(0, len(flat[0]), _CHUNK):
        x, y = (torch.from_numpy(part[first : first + _CHUNK].copy()).movedim(-1, 1).float() / 255 for part in flat)
        mean_x, mean_y = blur(x), blur(y)
        variance_x = blur(x * x) - mean_x**2
        variance_y = blur(y * y) - mean_y**2
        covariance = blur(x * y) - mean_x * mean_y
        brightness = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
        values.append((brightness * (2 * covariance + _C2) / (variance_x + variance_y + _C2)).mean((1, 2, 3)))
    return torch.cat(values).numpy().reshape(np.broadcast_shapes(frames.shape, other.shape)[:-3])


def _filter(length: int) -> Tensor:
    """Returns the matrix (length - 10, length) that weighs each window by the Gaussian."""
    offsets = torch.arange(_WINDOW) - _WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    rows = torch.zeros(length - _WINDOW + 1, length)
    for i in range(len(rows)):
        rows[i, i : i + _WINDOW] = weights / weights.sum()
    return rows
