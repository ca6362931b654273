"""VPT's joint actions: one number for all buttons, one for the camera.

The buttons are in groups of which one button is chosen, or none. The first number counts all combinations, the last
group fastest, and one more for `inventory`, which excludes everything else:

| group | choices beside none |
|---|---|
| hotbar | `hotbar.1` to `hotbar.9` |
| fore_back | `forward`, `back` |
| left_right | `left`, `right` |
| sprint_sneak | `sprint`, `sneak` |
| use; drop; attack; jump | one each |
| camera | whether the second number counts |

The second number is `11 * pitch + yaw` in bins of `camera.VPT_CAMERA`. Source: openai/Video-Pre-Training on GitHub,
`lib/action_mapping.py`, `CameraHierarchicalMapping`, and `lib/actions.py`.
"""

import math
from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from worldmodel.data.minecraft.camera import VPT_CAMERA
from worldmodel.data.minecraft.checks import integer, numbers
from worldmodel.data.minecraft.codec import Codec, chosen, one_of
from worldmodel.data.minecraft.dictionary import HOTBAR, Action, complete, full_action

GROUPS: tuple[tuple[str, ...], ...] = (
    HOTBAR,
    ("forward", "back"),
    ("left", "right"),
    ("sprint", "sneak"),
    ("use",),
    ("drop",),
    ("attack",),
    ("jump",),
)
"""The groups of buttons, the slowest first; the switch of the camera comes last and has no button."""

_OPPOSED = (("forward", "back"), ("left", "right"))

INVENTORY = 2 * math.prod(1 + len(group) for group in GROUPS)
"""The number of `inventory`, the last one: 8640."""

NULL_CAMERA = VPT_CAMERA.centre * VPT_CAMERA.count + VPT_CAMERA.centre
"""The number of a camera that does not turn: 60."""


class VptCodec(Codec):
    """A pair of integers: buttons in [0, 8641), camera in [0, 121).

    Also read is what VPT's policy gives: a dictionary with `buttons` and `camera`, integer arrays of one element.
    """

    name = "vpt"
    space = spaces.Tuple((spaces.Discrete(INVENTORY + 1), spaces.Discrete(VPT_CAMERA.count**2)))
    lost = (
        "There are no pickItem, swapHands, ESC, and none of MineRL 0.4's item actions. Beside inventory, everything "
        "else is lost, the camera too. Forward and back together become nothing, and so do left and right; of sprint "
        "and sneak together sneak is left, of several hotbar keys the highest. Each angle of the camera becomes the "
        "nearest of 11: 0, 0.62, 1.61, 3.22, 5.81 and 10 degrees to either side. In the other direction, the camera's "
        "number is not looked at where the buttons say that it does not turn."
    )

    def from_dictionary(self, action: Action) -> tuple[int, int]:  # noqa: D102 - inherited
        action = complete(action)
        if action["inventory"]:
            return INVENTORY, NULL_CAMERA
        pitch, yaw = action["camera"].tolist()
        camera = VPT_CAMERA.encode(pitch) * VPT_CAMERA.count + VPT_CAMERA.encode(yaw)
        buttons = 0
        for group in GROUPS:
            # Opposed keys cancel; of others that are down together the last one counts.
            last = max((number for number, name in enumerate(group, 1) if action[name]), default=0)
            choice = one_of(action, *group) if group in _OPPOSED else last
            buttons = buttons * (1 + len(group)) + choice
        return 2 * buttons + (camera != NULL_CAMERA), camera

    def to_dictionary(self, native: Any) -> dict[str, Any]:  # noqa: D102 - inherited
        buttons, camera = _pair(native)
        pressed: dict[str, int] = {}
        turns = 1
        if buttons == INVENTORY:
            # As published: the camera of this one is read, though none is ever written.
            pressed["inventory"] = 1
        else:
            buttons, turns = divmod(buttons, 2)
            for group in reversed(GROUPS):
                buttons, choice = divmod(buttons, 1 + len(group))
                pressed |= chosen(choice, *group)
        if not turns:
            camera = NULL_CAMERA
        pitch, yaw = divmod(camera, VPT_CAMERA.count)
        return full_action(pressed, VPT_CAMERA.decode(pitch), VPT_CAMERA.decode(yaw))


def _pair(native: Any) -> tuple[int, int]:
    """Returns the two numbers of a native action, or raises what is wrong with it."""
    expected = "two integers (buttons, camera)"
    if isinstance(native, Mapping):
        if set(native) != {"buttons", "camera"}:
            raise ValueError(f"native: expected the keys buttons and camera, got {list(native)!r:.80}; rename them")
        parts: list[Any] = [native["buttons"], native["camera"]]
    else:
        array = numbers("native", native, expected)
        if array.size != 2:
            raise ValueError(f"native: expected {expected}, got shape {array.shape}; pass one action, not a batch")
        parts = list(array.flat)
    buttons = integer("native, buttons", parts[0], INVENTORY + 1)
    return buttons, integer("native, camera", parts[1], VPT_CAMERA.count**2)
