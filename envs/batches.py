"""What vector environments that make their own batch have in common: seeds and masks, as Gymnasium gives them."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def each_seed(seed: int | Sequence[int | None] | None, num_envs: int) -> list[int | None]:
    """Returns a seed for each environment: `seed + i` of a single one, or those that were given.

    Raises:
        ValueError: If there is not one for each.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, int | np.integer):
        return [int(seed) + i for i in range(num_envs)]
    seeds = list(seed)
    if len(seeds) != num_envs:
        raise ValueError(f"seed: expected {num_envs} seeds, one for each environment, got {len(seeds)}")
    return seeds


def reset_mask(mask: Any, num_envs: int) -> np.ndarray:
    """Returns which environments are reset, (num_envs,) bool: all without a mask.

    Raises:
        TypeError: If the mask is not boolean.
        ValueError: If it has another shape, or is nowhere true.
    """
    if mask is None:
        return np.ones(num_envs, np.bool_)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"options['reset_mask']: expected a numpy array of bool, got {mask!r:.80}")
    if mask.shape != (num_envs,) or not mask.any():
        raise ValueError(
            f"options['reset_mask']: expected shape ({num_envs},) with at least one True, got {mask!r:.80}"
        )
    return mask
