"""The four actions of TECO's Minecraft data set.

| number | pressed | turn of the camera |
|---|---|---|
| 0 | nothing: it stands at the first frame, which no action led to | |
| 1 | `forward`, `jump` | |
| 2 | `jump` | 20 degrees to the left |
| 3 | `jump` | 20 degrees to the right |

Source: wilson1yan/collect-minecraft on GitHub, `collect.py`.
"""

from typing import Any

from gymnasium import spaces

from worldmodel.data.minecraft.checks import integer
from worldmodel.data.minecraft.codec import Codec
from worldmodel.data.minecraft.dictionary import Action, complete, full_action

TURN_DEGREES = 20.0
"""How far actions 2 and 3 turn."""


class TecoCodec(Codec):
    """An integer in [0, 4)."""

    name = "teco"
    space = spaces.Discrete(4)
    lost = (
        "Everything but walking and turning. A yaw of 10 degrees or more, to either side, becomes a turn of 20 with "
        "jump; otherwise forward, unless back is down too, becomes forward with jump; everything else becomes nothing. "
        "So lost are pitch, the size of the turn, forward while turning, whether jump is down, back, left, right, "
        "sneak, sprint, attack, use, drop, inventory, pickItem, swapHands, ESC, hotbar.1 to hotbar.9, and MineRL 0.4's "
        "item actions. In the other direction nothing is lost."
    )

    def from_dictionary(self, action: Action) -> int:  # noqa: D102 - inherited
        action = complete(action)
        yaw = float(action["camera"][1])
        # To the nearest of -20, 0 and 20.
        if abs(yaw) >= TURN_DEGREES / 2:
            return 2 if yaw < 0 else 3
        return int(action["forward"] and not action["back"])

    def to_dictionary(self, native: Any) -> dict[str, Any]:  # noqa: D102 - inherited
        number = integer("native", native, 4)
        if number == 0:
            return full_action({})
        if number == 1:
            return full_action({"forward": 1, "jump": 1})
        return full_action({"jump": 1}, yaw=-TURN_DEGREES if number == 2 else TURN_DEGREES)
