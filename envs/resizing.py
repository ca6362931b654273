"""Pictures to another size: each pixel of the result is the mean of the area of the picture that it covers.

Compiled, because the usual library takes as long for a frame as an emulator does to make it. Numba's own cache is
enough here: the kernel contains nothing from other files.
"""

from typing import Any

import numba
import numpy as np


class AreaResizer:
    """Resizes pictures to one size; the shares of their rows and columns are computed once for each size they have."""

    def __init__(self, height: int, width: int) -> None:
        """Sets the size of the result, in pixels."""
        self.height, self.width = height, width
        self._shape: tuple[int, ...] = ()
        self._shares: tuple[Any, ...] = ()

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Returns a picture, resized.

        Args:
            picture: uint8 (H, W, 3). The whole of it is shown, so it is stretched where the ratio of sides differs.

        Returns:
            uint8 (height, width, 3), a new array.
        """
        if picture.shape == (self.height, self.width, 3):
            return picture.copy()
        if picture.shape != self._shape:
            self._shape = picture.shape
            rows, columns = area_shares(picture.shape[0], self.height), area_shares(picture.shape[1], self.width)
            self._shares = (*rows, *columns, (0,) * columns[1].shape[1])
        result = np.empty((self.height, self.width, 3), np.uint8)
        _resize(np.ascontiguousarray(picture), *self._shares, result)  # type: ignore[call-arg]
        return result


def area_shares(length: int, new_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns which pixels of a line each pixel of a line of another length covers.

    Args:
        length: Number of pixels.
        new_length: Number of pixels of the other line, which lies over the same stretch.

    Returns:
        int64 (new_length,), the first pixel covered; float32 (new_length, K), the share of it and of those after it,
        which sum to 1.
    """
    edges = np.arange(new_length + 1) * (length / new_length)
    first = np.floor(edges[:-1] + 1e-9).astype(np.int64)
    size = int((np.ceil(edges[1:] - 1e-9).astype(np.int64) - first).max())
    first = np.minimum(first, length - size)  # so that all have as many
    pixels = first[:, None] + np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    shares = np.maximum(overlap, 0.0)
    return first, (shares / shares.sum(1, keepdims=True)).astype(np.float32)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _resize(picture, first_row, row_shares, first_column, column_shares, taps, result):
    # Unsigned indices: of signed ones Numba asks whether they count from the end: that costs half as much again.
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    num_values = picture.shape[1] * 3
    rows = picture.reshape(picture.shape[0], num_values)
    pixels = result.reshape(result.shape[0], result.shape[1] * 3)
    line = np.empty(num_values, np.float32)
    for y in range(np.uint64(result.shape[0])):
        line[:] = 0.5  # to round
        for k in range(np.uint64(row_shares.shape[1])):
            share = row_shares[y, k]
            if share > 0.0:
                row = rows[np.uint64(first_row[y]) + k]
                for place in range(num_values):
                    line[place] += share * np.float32(row[place])
        for x in range(np.uint64(result.shape[1])):
            red = green = blue = np.float32(0.0)
            i = np.uint64(first_column[x]) * three
            for k in range(np.uint64(len(taps))):  # known when it is compiled, and so unrolled
                share = column_shares[x, k]
                red += share * line[i]
                green += share * line[i + one]
                blue += share * line[i + two]
                i += three
            j = x * three
            pixels[y, j] = np.uint8(red)
            pixels[y, j + one] = np.uint8(green)
            pixels[y, j + two] = np.uint8(blue)
