"""The annotations of GameFactory's GF-Minecraft: one JSON object a frame.

| field | values |
|---|---|
| `ws` | 0 nothing, 1 `forward`, 2 `back` |
| `ad` | 0 nothing, 1 `left`, 2 `right` |
| `scs` | 0 nothing, 1 `jump`, 2 `sneak`, 3 `sprint` |
| `pitch_delta`, `yaw_delta` | turn of the camera, 1 is 15 degrees; + is down and right |

Other fields of an annotation are not actions and are not looked at: `pitch` and `yaw`, where the player looks, `pos`,
and what its tools add, such as `collision`. The data was recorded with MineDojo, so MineDojo's rules say here what
becomes of keys that exclude each other.

Sources: KwaiVGI/GameFactory-Dataset on Hugging Face, `README.md`; https://arxiv.org/abs/2501.08325.
"""

from collections.abc import Mapping
from typing import Any

from worldmodel.data.minecraft.checks import integer, numbers
from worldmodel.data.minecraft.codec import Codec, chosen, one_of
from worldmodel.data.minecraft.dictionary import CAMERA_LIMIT_DEGREES, Action, complete, full_action

DEGREES_PER_DELTA = 15.0
"""Turn of the camera for a delta of 1."""

_LIMIT = CAMERA_LIMIT_DEGREES / DEGREES_PER_DELTA


class GameFactoryCodec(Codec):
    """A dictionary `{"ws": int, "ad": int, "scs": int, "pitch_delta": float, "yaw_delta": float}`.

    A delta may be missing and is 0 then: the part of the data without a mouse has no use for it.
    """

    name = "gamefactory"
    space = None
    lost = (
        "There are no attack, use, drop, inventory, pickItem, swapHands, ESC, hotbar.1 to hotbar.9, and none of MineRL "
        "0.4's item actions. Forward and back together become nothing, and so do left and right; beside jump, sneak "
        "and sprint are lost, and without it sneak and sprint together become nothing. In the other direction, the "
        "camera is rounded to float32."
    )

    def from_dictionary(self, action: Action) -> dict[str, Any]:  # noqa: D102 - inherited
        action = complete(action)
        pitch, yaw = action["camera"].tolist()
        return {
            "ws": one_of(action, "forward", "back"),
            "ad": one_of(action, "left", "right"),
            "scs": 1 if action["jump"] else one_of(action, "jump", "sneak", "sprint"),
            "pitch_delta": pitch / DEGREES_PER_DELTA,
            "yaw_delta": yaw / DEGREES_PER_DELTA,
        }

    def to_dictionary(self, native: Any) -> dict[str, Any]:  # noqa: D102 - inherited
        if not isinstance(native, Mapping):
            raise TypeError(
                f"native: expected a dictionary with ws, ad and scs, got {type(native).__name__} {native!r:.80}; pass "
                "the annotation of one frame"
            )
        if missing := [field for field in ("ws", "ad", "scs") if field not in native]:
            raise ValueError(
                f"native: expected the fields ws, ad and scs, got none called {', '.join(missing)}; pass the "
                "annotation of one frame"
            )
        pressed = chosen(integer("native['ws']", native["ws"], 3), "forward", "back")
        pressed |= chosen(integer("native['ad']", native["ad"], 3), "left", "right")
        pressed |= chosen(integer("native['scs']", native["scs"], 4), "jump", "sneak", "sprint")
        # In float64: dividing by 15 and multiplying again is far more exact than a step of float32.
        return full_action(pressed, _degrees(native, "pitch_delta"), _degrees(native, "yaw_delta"))


def _degrees(native: Mapping[str, Any], field: str) -> float:
    name = f"native[{field!r}]"
    expected = f"a finite number within +-{_LIMIT:g}"
    array = numbers(name, native.get(field, 0.0), expected)
    if array.size != 1:
        raise ValueError(f"{name}: expected {expected}, got shape {array.shape}; pass the annotation of one frame")
    delta = float(array.item())
    if not abs(delta) <= _LIMIT:
        raise ValueError(f"{name}: expected {expected}, got {delta!r}; 1 is 15 degrees: clip it, or look for NaN")
    return delta * DEGREES_PER_DELTA
