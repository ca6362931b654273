"""Brings frames to a size."""

from collections.abc import Callable

import numpy as np
from PIL import Image

SIZE_STEP = 8
"""Without a size, height and width are cropped to a multiple of this, so that frames divide into patches."""

Fit = Callable[[np.ndarray], np.ndarray]
"""Turns uint8 (H, W, 3) into uint8 of another size."""


def fitter(size: tuple[int, int] | None) -> Fit:
    """Returns what brings frames to a height and width, or, for `None`, crops them to multiples of 8."""
    return crop_frame if size is None else lambda frame: fit_frame(frame, size)


def fit_frame(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a frame cropped around its middle to the ratio of a size, and resized to it.

    Args:
        frame: uint8 (H, W, 3).
        size: Height and width wanted. Shrinking takes the mean of the area under each pixel.

    Returns:
        uint8 (*size, 3).
    """
    height, width = frame.shape[:2]
    if (height, width) == tuple(size):
        return frame
    scale = max(size[0] / height, size[1] / width)
    crop_height, crop_width = size[0] / scale, size[1] / scale
    top, left = (height - crop_height) / 2, (width - crop_width) / 2
    kind = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    box = (left, top, left + crop_width, top + crop_height)
    return np.asarray(Image.fromarray(frame).resize((size[1], size[0]), kind, box=box))


def crop_frame(frame: np.ndarray) -> np.ndarray:
    """Returns the middle of a frame, height and width cropped down to multiples of 8.

    Raises:
        ValueError: If a side is below 8.
    """
    height, width = (side // SIZE_STEP * SIZE_STEP for side in frame.shape[:2])
    if 0 in (height, width):
        raise ValueError(f"expected frames of at least {SIZE_STEP} x {SIZE_STEP} pixels, got {frame.shape[:2]}")
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return frame[top : top + height, left : left + width]
