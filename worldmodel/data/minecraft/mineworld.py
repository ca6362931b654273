"""The 11 tokens of MineWorld, Microsoft's world model.

| place | token of |
|---|---|
| 0, 10 | begin, end |
| 1, 2 | pitch, yaw: bins of `camera.MINEWORLD_CAMERA` |
| 3 | `hotbar.1` to `hotbar.9` |
| 4 to 7 | `forward` or `back`; `left` or `right`; `sprint` or `sneak`; `use` or `attack` |
| 8, 9 | `jump`; `drop` or `pickItem` |

or, at 3 to 9, of nothing. Tokens count from `offset`: first the buttons, then the bins of pitch, those of yaw, begin,
nothing, end. MineWorld's model has the tokens of its pictures before them and calls with an offset of 8192.

Its reader of VPT recordings also drops frames with `inventory` or `ESC`, and releases `jump` and `sneak` where both are
down; that is a choice of data, not of this code. Source: microsoft/mineworld on GitHub, `mcdataset.py`, `inference.py`.
"""

from typing import Any

import numpy as np
from gymnasium import spaces

from worldmodel.data.minecraft.camera import MINEWORLD_CAMERA
from worldmodel.data.minecraft.checks import integers
from worldmodel.data.minecraft.codec import Codec, one_of
from worldmodel.data.minecraft.dictionary import HOTBAR, Action, complete, full_action

WORDS: tuple[str, ...] = (
    "use",
    "attack",
    "forward",
    "back",
    "left",
    "right",
    "jump",
    "sneak",
    "sprint",
    "drop",
    "swapHands",
    "pickItem",
    "inventory",
    "ESC",
    *HOTBAR,
)
"""The buttons in the order of their tokens; some are never written."""

PITCH = len(WORDS)
YAW = PITCH + MINEWORLD_CAMERA.count
BEGIN = YAW + MINEWORLD_CAMERA.count
NOTHING = BEGIN + 1
END = BEGIN + 2
"""The first token of pitch, of yaw, and the three single ones, without the offset."""

PICTURE_TOKENS = 8192
"""The offset of MineWorld's model."""

_PLACES: tuple[tuple[str, ...], ...] = (
    HOTBAR,
    ("forward", "back"),
    ("left", "right"),
    ("sprint", "sneak"),
    ("use", "attack"),
    ("jump",),
    ("drop", "pickItem"),
)


class MineWorldCodec(Codec):
    """An int64 array (11,); `space` holds more than the actions, because not every token may stand everywhere."""

    name = "mineworld"
    lost = (
        "There are no inventory, swapHands, ESC, and none of MineRL 0.4's item actions. Both of a pair become nothing: "
        "forward and back, left and right, sprint and sneak, use and attack, drop and pickItem. Of several hotbar keys "
        "the lowest is left. Each angle of the camera becomes the nearest of 21 that lie the closer the smaller they "
        "are, 2.2 degrees apart at 0 and 22 at 90; beyond 90 degrees it becomes 90. In the other direction, the camera "
        "is rounded to float32."
    )

    def __init__(self, offset: int = 0) -> None:
        """Counts the tokens from `offset`; `PICTURE_TOKENS` for MineWorld's own model."""
        self.offset = offset
        length = len(_PLACES) + 4
        self.space = spaces.MultiDiscrete(np.full(length, END + 1), start=np.full(length, offset))
        bins = range(MINEWORLD_CAMERA.count)
        self._allowed: list[dict[int, str]] = [
            {BEGIN: "begin"},
            {PITCH + i: f"pitch {i}" for i in bins},
            {YAW + i: f"yaw {i}" for i in bins},
            *({NOTHING: "nothing", **{WORDS.index(name): name for name in names}} for names in _PLACES),
            {END: "end"},
        ]

    def from_dictionary(self, action: Action) -> np.ndarray:  # noqa: D102 - inherited
        action = complete(action)
        pitch, yaw = action["camera"].tolist()
        tokens = [BEGIN, PITCH + MINEWORLD_CAMERA.encode(pitch), YAW + MINEWORLD_CAMERA.encode(yaw)]
        for names in _PLACES:
            if names is HOTBAR:
                choice = next((number for number, name in enumerate(names, 1) if action[name]), 0)
            else:
                choice = one_of(action, *names)
            tokens.append(WORDS.index(names[choice - 1]) if choice else NOTHING)
        return np.array([*tokens, END], np.int64) + self.offset

    def to_dictionary(self, native: Any) -> dict[str, Any]:  # noqa: D102 - inherited
        tokens = integers("native", native, [self.offset + END + 1] * len(self._allowed))
        pressed: dict[str, int] = {}
        for place, (token, allowed) in enumerate(zip(tokens, self._allowed, strict=True)):
            if token - self.offset not in allowed:
                choices = ", ".join(f"{number + self.offset} ({word})" for number, word in allowed.items())
                raise ValueError(f"native[{place}]: expected one of {choices}, got {token}; look at order and offset")
            if token - self.offset < len(WORDS):
                pressed[WORDS[token - self.offset]] = 1
        pitch, yaw = tokens[1] - self.offset - PITCH, tokens[2] - self.offset - YAW
        return full_action(pressed, MINEWORLD_CAMERA.decode(pitch), MINEWORLD_CAMERA.decode(yaw))
