"""Is it there? A small network that tells frames with something in the middle from frames without it.

It learns from real frames only, in seconds, in worlds of its own.

Shapes: N frames, H W pixels.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 32
"""Pixels of the middle of a frame that are looked at, across and down: half of it, where neither hand nor hotbar is."""

_UPDATES, _BATCH, _LEARNING_RATE, _WEIGHT_DECAY = 200, 64, 3e-3, 0.05
_NOISE, _CONTRAST, _BRIGHTNESS = 0.05, 0.2, 0.1
"""Deviations by which pictures are spoiled in training: dreamed ones lack details, and colours are a little off."""


class Presence:
    """Tells whether something is there."""

    def __init__(self, with_it: np.ndarray, without: np.ndarray, *, seed: int = 0) -> None:
        """Learns.

        Args:
            with_it: Real frames, uint8 (N, H, W, 3), at least 16 x 16.
            without: Likewise, of the same places.
            seed: Of weights and batches.
        """
        pixels = torch.cat([_middle(with_it), _middle(without)])
        labels = torch.cat([torch.ones(len(with_it)), torch.zeros(len(without))])
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._network = _network()
            optimizer = torch.optim.AdamW(self._network.parameters(), _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
            for update in range(_UPDATES):
                optimizer.param_groups[0]["lr"] = _LEARNING_RATE * (1 - update / _UPDATES)
                chosen = torch.randint(len(pixels), (_BATCH,), generator=generator)
                logits = self._network(_spoil(pixels[chosen], generator))[:, 0]
                loss = functional.binary_cross_entropy_with_logits(logits, labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self._network.eval().requires_grad_(False)

    def read(self, frames: np.ndarray) -> np.ndarray:
        """Tells of frames, uint8 (N, H, W, 3), whether it is there: bool (N,)."""
        return (self._network(_middle(frames))[:, 0] > 0).numpy()


def _network() -> nn.Module:
    def layer(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.SiLU())

    low, high = 16, 32
    layers = layer(3, low), layer(low, high), layer(high, high), nn.Flatten(), nn.Dropout(0.3)
    return nn.Sequential(*layers, nn.Linear(high * (SIDE // 8) ** 2, 1))


def _middle(frames: np.ndarray) -> Tensor:
    """Cuts the middle out of frames: float (N, 3, SIDE, SIDE) in [-1, 1]."""
    height, width = frames.shape[1:3]
    cut = frames[:, height // 4 : height - height // 4, width // 4 : width - width // 4]
    pixels = torch.from_numpy(cut.copy()).movedim(-1, 1).float() / 127.5 - 1
    return functional.interpolate(pixels, (SIDE, SIDE), mode="area")


def _spoil(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors, blurs, and changes noise, contrast and brightness of pictures (N, 3, SIDE, SIDE), each by chance."""
    number = len(pixels)

    def chance(normal: bool = True) -> Tensor:
        draw = torch.randn if normal else torch.rand
        return draw(number, 1, 1, 1, generator=generator)

    pixels = torch.where(chance() < 0, pixels.flip(-1), pixels)
    soft = functional.avg_pool2d(pixels, 3, 1, 1, count_include_pad=False)
    pixels = torch.lerp(pixels, soft, chance(normal=False))
    pixels = pixels + _NOISE * torch.randn(pixels.shape, generator=generator)
    return pixels * (1 + _CONTRAST * chance()) + _BRIGHTNESS * chance()
