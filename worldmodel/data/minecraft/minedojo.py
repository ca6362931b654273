"""MineDojo's eight numbers.

| place | values |
|---|---|
| 0 | 0 nothing, 1 `forward`, 2 `back` |
| 1 | 0 nothing, 1 `left`, 2 `right` |
| 2 | 0 nothing, 1 `jump`, 2 `sneak`, 3 `sprint` |
| 3, 4 | pitch, yaw: 0 to 24 for -180 to 180 degrees, 15 apart |
| 5 | 0 nothing, 1 `use`, 2 `drop`, 3 `attack`, 4 craft, 5 equip, 6 place, 7 destroy |
| 6 | what to craft, of 244 |
| 7 | which slot to equip, place or destroy, of 36 |

MineDojo's own way back, `reverse_action`, rounds the camera up, so that a turn of 0.1 degrees becomes one of 15 and one
of -14 none; here it becomes the nearest. Source: MineDojo/MineDojo on GitHub,
`minedojo/sim/wrappers/ar_nn/nn_action_space_wrapper.py`.
"""

from typing import Any

import numpy as np
from gymnasium import spaces

from worldmodel.data.minecraft.checks import integers
from worldmodel.data.minecraft.codec import Codec, chosen, one_of
from worldmodel.data.minecraft.dictionary import CAMERA_LIMIT_DEGREES, Action, complete, full_action

BIN_DEGREES = 15.0
"""Step of the camera."""

SIZES: tuple[int, ...] = (3, 3, 4, 25, 25, 8, 244, 36)
"""How many values each number has."""

_FUNCTIONS = ("use", "drop", "attack")
_CENTRE = round(CAMERA_LIMIT_DEGREES / BIN_DEGREES)


class MineDojoCodec(Codec):
    """An int64 array (8,)."""

    name = "minedojo"
    space = spaces.MultiDiscrete(list(SIZES))
    lost = (
        "There are no inventory, pickItem, swapHands, ESC, hotbar.1 to hotbar.9, and none of MineRL 0.4's item "
        "actions. Forward and back together become nothing, and so do left and right; beside jump, sneak and sprint "
        "are lost, and without it sneak and sprint together become nothing; of attack, use and drop together the first "
        "of them is left. Each angle of the camera becomes the nearest multiple of 15 degrees, a half the even "
        "multiple. In the other direction, craft, equip, place and destroy become nothing, because the dictionary has "
        "no such key."
    )

    def from_dictionary(self, action: Action) -> np.ndarray:  # noqa: D102 - inherited
        action = complete(action)
        pitch, yaw = (_CENTRE + round(degrees / BIN_DEGREES) for degrees in action["camera"].tolist())
        function = next((name for name in ("attack", "use", "drop") if action[name]), None)
        return np.array(
            [
                one_of(action, "forward", "back"),
                one_of(action, "left", "right"),
                1 if action["jump"] else one_of(action, "jump", "sneak", "sprint"),
                pitch,
                yaw,
                0 if function is None else 1 + _FUNCTIONS.index(function),
                0,
                0,
            ],
            np.int64,
        )

    def to_dictionary(self, native: Any) -> dict[str, Any]:  # noqa: D102 - inherited
        walk, strafe, posture, pitch, yaw, function, _, _ = integers("native", native, SIZES)
        pressed = chosen(walk, "forward", "back") | chosen(strafe, "left", "right")
        pressed |= chosen(posture, "jump", "sneak", "sprint")
        pressed |= chosen(function if function <= len(_FUNCTIONS) else 0, *_FUNCTIONS)
        return full_action(pressed, (pitch - _CENTRE) * BIN_DEGREES, (yaw - _CENTRE) * BIN_DEGREES)
