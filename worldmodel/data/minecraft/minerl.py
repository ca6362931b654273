"""MineRL's own dictionaries: all 24 keys since 1.0; before, 8 buttons, the camera, and item actions.

Item actions are chosen by name: `place` in Navigate, all five in ObtainDiamond and ObtainIronPickaxe, none in
Treechop. Sources: `minerl/herobraine/env_specs/` of minerl 0.4.4, `simple_embodiment.py`, `navigate_specs.py` and
`obtain_specs.py`; of MineRL 1.0, `human_controls.py`.
"""

from typing import Any

import numpy as np
from gymnasium import spaces

from worldmodel.data.minecraft.codec import Codec
from worldmodel.data.minecraft.dictionary import (
    CAMERA_LIMIT_DEGREES,
    ITEM_ACTIONS,
    KEYS,
    Action,
    action_space,
    complete,
)

BUTTONS_04: tuple[str, ...] = ("attack", "back", "forward", "jump", "left", "right", "sneak", "sprint")
"""The buttons of MineRL 0.4."""

_KEYS_04 = tuple(sorted((*BUTTONS_04, "camera")))


class MineRL10Codec(Codec):
    """The dictionary itself: any subset of the 24 keys comes in, all of them go out."""

    name = "minerl-1.0"
    space = action_space()
    lost = "MineRL 0.4's item actions; the camera is rounded to float32. In the other direction nothing is lost."

    def from_dictionary(self, action: Action) -> dict[str, Any]:  # noqa: D102 - inherited
        action = complete(action)
        return {key: action[key] for key in KEYS}

    def to_dictionary(self, native: Any) -> dict[str, Any]:  # noqa: D102 - inherited
        action = complete(native, "native")
        _refuse(native, KEYS)
        return action


class MineRL04Codec(Codec):
    """A dictionary of 8 buttons, `camera`, and the item actions that are not `"none"`, as text.

    `space` is that of Treechop; the other environments have item actions beside it, for which Gymnasium has no space.
    A key that is missing is not pressed, an item action that is missing is `"none"`: so MineRL's environments take it.
    """

    name = "minerl-0.4"
    space = spaces.Dict(
        {
            key: spaces.Box(-CAMERA_LIMIT_DEGREES, CAMERA_LIMIT_DEGREES, (2,), np.float32)
            if key == "camera"
            else spaces.Discrete(2)
            for key in _KEYS_04
        }
    )
    lost = (
        "There are no use, drop, inventory, pickItem, swapHands, ESC, and hotbar.1 to hotbar.9; the camera is rounded "
        "to float32. In the other direction nothing is lost: item actions stand beside the 24 keys, and the other "
        "codecs lose them."
    )

    def from_dictionary(self, action: Action) -> dict[str, Any]:  # noqa: D102 - inherited
        action = complete(action)
        return {key: action[key] for key in (*_KEYS_04, *ITEM_ACTIONS) if key in action}

    def to_dictionary(self, native: Any) -> dict[str, Any]:  # noqa: D102 - inherited
        action = complete(native, "native")
        _refuse(native, (*_KEYS_04, *ITEM_ACTIONS))
        return action


def _refuse(native: Action, known: tuple[str, ...]) -> None:
    """Raises if there is a key that this version of MineRL has not, though the other one has it."""
    for key in native:
        if key not in known:
            raise ValueError(f"native: expected keys among {', '.join(known)}, got {key!r}; remove it")
