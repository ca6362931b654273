"""How windows of frames look, beside those of real play: colour, contrast, change, features; and which have collapsed.

Shapes: B worlds, W windows, F frames of a window, H W pixels, P pixels that count, K components of features.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from worldmodel.evaluation.frechet import principal_components
from worldmodel.evaluation.judge import Judge

STILL, FLAT, STRANGE = 0.1, 0.25, 2.0
"""What has collapsed: less change than this share of the real one; less contrast than this share; so many times as far
out as any real window."""
_NOTICEABLE = 1.0
"""Levels of 255 that must be there in truth for their lack to count."""


@dataclass(slots=True)
class Looks:
    """How windows look.

    Attributes:
        components: (B, W, F, K), of the judge's features; see `frechet`.
        colour: (B, W, 3), mean red, green and blue, 0 to 255.
        contrast: (B, W), deviation of the pixels of a frame, in the mean over frames.
        change: (B, W), mean absolute difference of a frame and the next.
        roughness: (B, W), mean absolute difference of neighbouring pixels.
    """

    components: np.ndarray
    colour: np.ndarray
    contrast: np.ndarray
    change: np.ndarray
    roughness: np.ndarray

    def far_out(self) -> dict[str, np.ndarray]:
        """Returns what is never very large in real play, (B, W) each: features from their mean, and roughness."""
        return {"features": np.sqrt(np.square(self.components).mean(-1)).mean(-1), "roughness": self.roughness}


def look(frames: Mapping[str, np.ndarray], judge: Judge) -> dict[str, Looks]:
    """Measures how windows look.

    Args:
        frames: uint8 (B, W, F, H, W, 3): `dream`, `real` of the same worlds, `other` of as many other real worlds.
        judge: Whose features are taken.

    Returns:
        The same of each. For contrast and change only pixels count that change in real play.

    Raises:
        ValueError: If all real frames are alike.
    """
    features = {who: judge.features(part.reshape(-1, *part.shape[3:])) for who, part in frames.items()}
    components = principal_components(np.concatenate([features["real"], features["other"]]))
    counts = _moving(np.concatenate([frames[who].reshape(-1, *frames[who].shape[3:]) for who in ("real", "other")]))
    result = {}
    for who, part in frames.items():
        rows = [_measures(world.astype(np.float32), counts) for world in part]
        colour, contrast, change, roughness = (np.stack(column) for column in zip(*rows, strict=True))
        shown = components(features[who]).reshape(*part.shape[:3], -1)
        result[who] = Looks(shown, colour, contrast, change, roughness)
    return result


def collapsed(looks: Mapping[str, Looks], who: str) -> dict[str, np.ndarray]:
    """Tells which rollouts have collapsed, and how.

    A rollout is still if it changes much less from frame to frame than the real episode with the same actions does,
    flat if it has much less contrast, and strange if it is much farther out than any window of real play.

    Args:
        looks: Of dreams and of real worlds, as `look` returns them.
        who: `dream`, or `other` for the reference: real episodes, to which the rule is applied as if they were dreams.

    Returns:
        bool (B, W) for `still`, `flat` and `strange`.
    """
    own, found = looks["real"], looks[who]
    strange = np.zeros(found.change.shape, bool)
    for name, values in found.far_out().items():
        real, other = (looks[part].far_out()[name].max(1) for part in ("real", "other"))
        for i, row in enumerate(values):
            known = np.delete(other, i) if who == "other" else other  # whether a real one is, the others have to tell
            strange[i] |= row > STRANGE * max(real.max(), known.max(initial=0.0))
    return {
        "still": (found.change < STILL * own.change) & (own.change >= _NOTICEABLE),
        "flat": (found.contrast < FLAT * own.contrast) & (own.contrast >= _NOTICEABLE),
        "strange": strange,
    }


def _moving(frames: np.ndarray) -> np.ndarray:
    """Returns which pixels (H, W) change in real play (N, H, W, 3), unlike those of a bar that is always shown."""
    mean = frames.mean(0, dtype=np.float64)
    squares = np.zeros_like(mean)
    for frame in frames:
        squares += np.square(frame - mean)
    deviation = np.sqrt(squares / len(frames)).mean(-1)
    return deviation >= 0.5 * np.median(deviation)


def _measures(world: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns colour, contrast, change and roughness of the windows of a world, float32 (W, F, H, W, 3)."""
    pixels = world[:, :, counts]  # (W, F, P, 3)
    rough = [np.abs(np.diff(world, axis=axis)).mean((1, 2, 3, 4)) for axis in (2, 3)]
    return (
        world.mean((1, 2, 3)),
        pixels.std(2).mean((1, 2)),
        np.abs(np.diff(pixels, axis=1)).mean((1, 2, 3)),
        (rough[0] + rough[1]) / 2,
    )
