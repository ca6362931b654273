"""The dictionary of MineRL 1.0 and VPT: the 24 keys that every other action format is turned into and out of.

23 buttons are 0 (up) or 1 (held down); `camera` is `(pitch, yaw)` in degrees per tick of 50 ms, + is down and right.

MineRL 0.4 also has actions that choose an item by name and have no key: `place`, `equip`, `craft`, `nearbyCraft` and
`nearbySmelt`. They may stand beside the 24 keys, as text; one that is not there is `"none"`.

Sources: MineRL 1.0, `minerl/herobraine/env_specs/human_controls.py`; VPT, `agent.py`; MineRL 0.4.4,
`minerl/herobraine/env_specs/obtain_specs.py` and `navigate_specs.py`.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from worldmodel.data.minecraft.checks import numbers

BUTTONS: tuple[str, ...] = (
    "ESC",
    "attack",
    "back",
    "drop",
    "forward",
    "hotbar.1",
    "hotbar.2",
    "hotbar.3",
    "hotbar.4",
    "hotbar.5",
    "hotbar.6",
    "hotbar.7",
    "hotbar.8",
    "hotbar.9",
    "inventory",
    "jump",
    "left",
    "pickItem",
    "right",
    "sneak",
    "sprint",
    "swapHands",
    "use",
)
"""The 23 keys that are up (0) or down (1)."""

KEYS: tuple[str, ...] = (*BUTTONS[:3], "camera", *BUTTONS[3:])
"""All 24 keys, in the order of the action space."""

HOTBAR: tuple[str, ...] = tuple(f"hotbar.{number}" for number in range(1, 10))
"""The nine keys that select a slot, from left to right."""

CAMERA_LIMIT_DEGREES = 180.0
"""Bound of both camera values, per tick."""

NONE = "none"
"""What an item action says when it does nothing."""

ITEM_ACTIONS: dict[str, tuple[str, ...]] = {
    "place": (NONE, "dirt", "stone", "cobblestone", "crafting_table", "furnace", "torch"),
    "equip": (
        NONE,
        "air",
        "wooden_axe",
        "wooden_pickaxe",
        "stone_axe",
        "stone_pickaxe",
        "iron_axe",
        "iron_pickaxe",
    ),
    "craft": (NONE, "torch", "stick", "planks", "crafting_table"),
    "nearbyCraft": (
        NONE,
        "wooden_axe",
        "wooden_pickaxe",
        "stone_axe",
        "stone_pickaxe",
        "iron_axe",
        "iron_pickaxe",
        "furnace",
    ),
    "nearbySmelt": (NONE, "iron_ingot", "coal"),
}
"""The values of MineRL 0.4's item actions."""

Action = Mapping[str, Any]

_KNOWN = frozenset(KEYS)


def action_space() -> gymnasium.spaces.Dict:
    """Returns MineRL's action space: `Discrete(2)` for each button, `camera` a float32 `Box(-180, 180, (2,))`."""
    spaces: dict[str, gymnasium.Space] = {name: gymnasium.spaces.Discrete(2) for name in KEYS}
    spaces["camera"] = gymnasium.spaces.Box(-CAMERA_LIMIT_DEGREES, CAMERA_LIMIT_DEGREES, (2,), np.float32)
    return gymnasium.spaces.Dict(spaces)


def no_op() -> dict[str, Any]:
    """Returns a new full action that does nothing: zeros for all 24 keys, a member of `action_space()`."""
    action: dict[str, Any] = {name: 0 for name in KEYS}
    action["camera"] = np.zeros(2, np.float32)
    return action


def full_action(pressed: Mapping[str, Any], pitch: float = 0.0, yaw: float = 0.0) -> dict[str, Any]:
    """Returns a new full action.

    Args:
        pressed: The buttons that are down, each with a true value; others may be there with a false one.
        pitch: Degrees, + is down.
        yaw: Degrees, + is right.

    Returns:
        All 24 keys, a member of `action_space()` if both angles are within +-180 degrees.
    """
    action = no_op()
    for name, value in pressed.items():
        action[name] = int(bool(value))
    action["camera"][:] = pitch, yaw
    return action


def complete(action: Action, name: str = "action") -> dict[str, Any]:
    """Checks an action and fills in what is missing.

    Args:
        action: Any subset of the 24 keys; a missing key is not pressed. Buttons: 0 or 1 as int, bool, numpy scalar or
            array of shape `()` or `(1,)`. `camera`: two numbers `(pitch, yaw)` in degrees within +-180 as any sequence
            of two, or of shape `(1, 2)`. Item actions: one of their names.
        name: What an error calls it.

    Returns:
        All 24 keys in their order: buttons int 0 or 1, `camera` float32 (2,); then the item actions that are not
        `"none"`.

    Raises:
        TypeError: If `action` is no mapping, or a value is no number, or an item action no text.
        ValueError: If a key is unknown, or a value has the wrong shape or is out of range.
    """
    plain = plain_action(action, name, "name what is pressed, or look for the codec of this format", items=True)
    full = no_op()
    for key, value in plain.items():
        if key != "camera":
            full[key] = value
    full["camera"][:] = plain.get("camera", (0.0, 0.0))
    return full


def plain_action(action: Any, name: str, advice: str, *, items: bool = False) -> dict[str, Any]:
    """Returns an action with every value as a plain scalar, or raises the error that explains what is wrong.

    Args:
        action: As for `complete`.
        name: What an error calls it.
        advice: What to do with what is no dictionary.
        items: Whether item actions are known. Those that are `"none"` are left out.

    Returns:
        The keys that were given: buttons int 0 or 1, `camera` two floats, item actions text.
    """
    if not isinstance(action, Mapping):
        raise TypeError(
            f"{name}: expected a dictionary with any of the keys {', '.join(KEYS)}, got {type(action).__name__} "
            f"{action!r:.80}; {advice}"
        )
    plain: dict[str, Any] = {}
    for key, value in action.items():
        if key == "camera":
            plain[key] = _camera(name, value)
        elif key in _KNOWN:
            # The common case, spelled out because it is on the path of every recorded tick.
            plain[key] = value if type(value) is int and 0 <= value <= 1 else button(f"{name}[{key!r}]", value)
        elif items and key in ITEM_ACTIONS:
            if (item := item_name(f"{name}[{key!r}]", key, value)) != NONE:
                plain[key] = item
        else:
            known = (*KEYS, *ITEM_ACTIONS) if items else KEYS
            raise ValueError(f"{name}: expected keys among {', '.join(known)}, got {key!r}; remove or rename it")
    return plain


def button(name: str, value: Any) -> int:
    """Returns 0 or 1; `name` is what an error calls the value."""
    array = numbers(name, value, "0 or 1")
    if array.shape not in ((), (1,)):
        raise ValueError(
            f"{name}: expected 0 or 1, as a scalar or of shape (1,), got shape {array.shape}; "
            "pass one environment's action, not a batch"
        )
    number = array.item()
    if number != 0 and number != 1:
        raise ValueError(f"{name}: expected 0 or 1, got {number!r}; a button is up (0) or held down (1)")
    return int(number)


def item_name(name: str, key: str, value: Any) -> str:
    """Returns the value of an item action; `name` is what an error calls it, `key` which one it is."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected the name of an item, got {type(value).__name__} {value!r:.80}; pass text")
    if value not in ITEM_ACTIONS[key]:
        raise ValueError(f"{name}: expected one of {', '.join(ITEM_ACTIONS[key])}, got {value!r:.80}; choose one")
    return str(value)  # a plain one, of NumPy's too


def _camera(name: str, value: Any) -> tuple[float, float]:
    name = f"{name}['camera']"
    array = numbers(name, value, "two degrees (pitch, yaw)")
    if array.shape not in ((2,), (1, 2)):
        raise ValueError(
            f"{name}: expected two degrees (pitch, yaw) of shape (2,) or (1, 2), got shape {array.shape}; "
            "pass one environment's action, not a batch"
        )
    pitch, yaw = array.reshape(2).astype(np.float64).tolist()
    if not (abs(pitch) <= CAMERA_LIMIT_DEGREES and abs(yaw) <= CAMERA_LIMIT_DEGREES):
        raise ValueError(
            f"{name}: expected two finite degrees (pitch, yaw) within +-180, got ({pitch!r}, {yaw!r}); "
            "clip it, and look for NaN where it is computed"
        )
    return pitch, yaw
