"""The 25 numbers of Oasis, the world model of Decart and Etched.

23 buttons are 0 or 1. `cameraX` and `cameraY`, which despite their names are pitch and yaw, are `(bin - 40) / 40`, with
the bins of `camera.OASIS_CAMERA`: from -1 to 1 for -20 to 20 degrees, not in proportion. Oasis gives the first frame,
which no action led to, the action that does nothing.

Sources: etched-ai/open-oasis on GitHub, `utils.py` (order, scale), issue 9 (bins), issue 35 (which angle is which).
"""

from typing import Any

import numpy as np
from gymnasium import spaces

from worldmodel.data.minecraft.camera import OASIS_CAMERA
from worldmodel.data.minecraft.checks import numbers
from worldmodel.data.minecraft.codec import Codec
from worldmodel.data.minecraft.dictionary import HOTBAR, Action, complete, full_action

ORDER: tuple[str, ...] = (
    "inventory",
    "ESC",
    *HOTBAR,
    "forward",
    "back",
    "left",
    "right",
    "cameraX",
    "cameraY",
    "jump",
    "sneak",
    "sprint",
    "swapHands",
    "attack",
    "use",
    "pickItem",
    "drop",
)
"""What each number is."""

_PITCH, _YAW = ORDER.index("cameraX"), ORDER.index("cameraY")
_BUTTONS = tuple((i, name) for i, name in enumerate(ORDER) if i not in (_PITCH, _YAW))


class OasisCodec(Codec):
    """A float32 array (25,), in the order of `ORDER`.

    Any camera within -1 and 1 is read, also one between two bins, to a thousandth of a bin.
    """

    name = "oasis"
    space = spaces.Box(
        np.where(np.isin(np.arange(len(ORDER)), (_PITCH, _YAW)), -1.0, 0.0).astype(np.float32),
        np.ones(len(ORDER), np.float32),
    )
    lost = (
        "MineRL 0.4's item actions. Each angle of the camera becomes the nearest of 81 that lie the closer the smaller "
        "they are, 0.25 degrees apart at 0 and 0.88 at 20; beyond 20 degrees it becomes 20. In the other direction, "
        "the camera is rounded to float32."
    )

    def from_dictionary(self, action: Action) -> np.ndarray:  # noqa: D102 - inherited
        action = complete(action)
        vector = np.zeros(len(ORDER), np.float32)
        for i, name in _BUTTONS:
            vector[i] = action[name]
        for i, degrees in zip((_PITCH, _YAW), action["camera"].tolist(), strict=True):
            vector[i] = (OASIS_CAMERA.encode(degrees) - OASIS_CAMERA.centre) / OASIS_CAMERA.centre
        return vector

    def to_dictionary(self, native: Any) -> dict[str, Any]:  # noqa: D102 - inherited
        vector = numbers("native", native, f"{len(ORDER)} numbers")
        if vector.shape not in ((len(ORDER),), (1, len(ORDER))):
            raise ValueError(
                f"native: expected shape ({len(ORDER)},), got {vector.shape}; pass one action, not a batch"
            )
        values = vector.reshape(-1).astype(np.float64).tolist()
        for i, value in enumerate(values):
            name = f"native[{i}] ({ORDER[i]})"
            if i in (_PITCH, _YAW):
                if not abs(value) <= 1:
                    raise ValueError(f"{name}: expected a number in [-1, 1], got {value!r}; clip it, or look for NaN")
            elif value not in (0.0, 1.0):
                raise ValueError(f"{name}: expected 0 or 1, got {value!r}; round it, or look for NaN")
        # float32 has no 0.65, so a bin would not be met exactly without the rounding.
        pitch, yaw = (OASIS_CAMERA.decode(round((1 + values[i]) * OASIS_CAMERA.centre, 3)) for i in (_PITCH, _YAW))
        return full_action({name: values[i] for i, name in _BUTTONS}, pitch, yaw)
