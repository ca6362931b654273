"""How windows of frames look, beside those of real play: colour, contrast, change, features; and which have collapsed.

Shapes: B worlds, W windows, F frames of a window, H W pixels, K components of features.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from worldmodel.evaluation.frechet import principal_components
from worldmodel.evaluation.judge import Judge

STILL, FLAT, STRANGE = 0.15, 0.25, 2.0
"""What has collapsed: less change than this share of the real one; less contrast than this share; so many times as far
out as any real window. Of pairs of real worlds of the block world, taken for dream and truth, two in a hundred would be
still after 16 steps, and hardly any later."""
_NOTICEABLE = 0.01
"""Of the brightness of a frame: change and contrast that must be there in truth for their lack to count."""


@dataclass(slots=True)
class Looks:
    """How windows look.

    Attributes:
        components: (B, W, F, K), of the judge's features; see `frechet`.
        colour: (B, W, 3), mean red, green and blue, 0 to 255.
        contrast: (B, W), how far pixels of a frame are from the middle one, in shares of its brightness, in the mean.
        change: (B, W), how much pixels vary over the frames of a window (deviation), likewise. By brightness, so that
            dark places count as light ones do, and a flat frame that flickers has not changed.
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
        How each looks; components are those of the real frames, `real` and `other`.

    Raises:
        ValueError: If all real frames are alike.
    """
    features = {who: judge.features(part.reshape(-1, *part.shape[3:])) for who, part in frames.items()}
    components = principal_components(np.concatenate([features["real"], features["other"]]))
    result = {}
    for who, part in frames.items():
        rows = [_measures(world.astype(np.float32)) for world in part]
        colour, contrast, change, roughness = (np.stack(column) for column in zip(*rows, strict=True))
        shown = components(features[who]).reshape(*part.shape[:3], -1)
        result[who] = Looks(shown, colour, contrast, change, roughness)
    return result


def collapsed(looks: Mapping[str, Looks], who: str) -> dict[str, np.ndarray]:
    """Tells which rollouts have collapsed, and how.

    A rollout is still if it changes much less than the real episode with the same actions, flat if it has much less
    contrast, and strange if it is much farther out than any window of real play.

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


def _measures(world: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns colour, contrast, change and roughness of the windows of a world, float32 (W, F, H, W, 3)."""
    pixels = world.reshape(*world.shape[:2], -1, 3)
    shares = pixels / np.maximum(pixels.mean((2, 3), keepdims=True), 1.0)
    rough = [np.abs(np.diff(world, axis=axis)).mean((1, 2, 3, 4)) for axis in (2, 3)]
    return (
        pixels.mean((1, 2)),
        np.abs(shares - np.median(shares, axis=2, keepdims=True)).mean((1, 2, 3)),
        shares.std(1).mean((1, 2)),
        (rough[0] + rough[1]) / 2,
    )
