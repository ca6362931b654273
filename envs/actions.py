"""The action space: the 24 keys of MineRL 1.0 and VPT, their parsing, and a discrete preset.

An action is a dictionary. 23 buttons are 0 (up) or 1 (held down); `camera` is `(pitch, yaw)` in degrees per tick of
50 ms, + is down and right. A step of `frame_skip` ticks obeys the same dictionary on every tick, the camera included: a
`camera` of `(0, 15)` turns by `15 * frame_skip` degrees. What the keys do is Minecraft's default key binding:

| key | while held |
|---|---|
| `forward` `back` `left` `right` | walk; opposite keys cancel |
| `jump` `sneak` `sprint` | jump or swim up; slow and safe at edges; run (with `forward`) |
| `attack` `use` | mine what the crosshair is on; place the selected item against it |
| `hotbar.1` to `hotbar.9` | select a slot; the highest wins |
| `inventory` | craft the next useful thing; acts once, when the key goes down |
| `drop` `pickItem` | drop one item; select the slot of the block looked at; act once, when the key goes down |
| `swapHands` `ESC` | accepted and without effect: there is no other hand and no menu |

Source of names and bounds: MineRL 1.0, `minerl/herobraine/env_specs/human_controls.py`; VPT, `agent.py`.
"""

from operator import itemgetter
from types import MappingProxyType
from typing import Any

import gymnasium
import numpy as np

from worldmodel.data.minecraft.checks import numbers
from worldmodel.data.minecraft.dictionary import (  # noqa: F401 - used here, or named here for whoever imports them
    BUTTONS,
    CAMERA_LIMIT_DEGREES,
    KEYS,
    Action,
    action_space,
    no_op,
    plain_action,
)
from worldmodel.envs.voxel.controls import Controls

_DISCRETE_ADVICE = "for integer actions make the environment with its discrete preset"

_FIELDS: dict[str, str] = {"pickItem": "pick_item", "swapHands": "swap_hands"}
_FIELDS |= {name: name for name in BUTTONS if not name.startswith(("hotbar", "ESC")) and name not in _FIELDS}
_HOTBAR: dict[str, int] = {f"hotbar.{number}": number - 1 for number in range(1, 10)}
_KNOWN = frozenset(KEYS)
_PLAIN_NUMBERS = frozenset({int, float})
_PLAIN_SEQUENCES = frozenset({np.ndarray, tuple, list})

_all_buttons = itemgetter(*BUTTONS)
_is_pressed = {0: False, 1: True}.__getitem__  # numpy scalars hash and compare like the numbers they hold


def parse_action(action: Action) -> Controls:
    """Turns an action dictionary into what one tick obeys.

    Args:
        action: Any subset of the 24 keys; a missing key is not pressed. Buttons: 0 or 1 as int, bool, numpy scalar or
            array of shape `()` or `(1,)`. `camera`: two numbers `(pitch, yaw)` in degrees within +-180 as any sequence
            of two, or of shape `(1, 2)`.

    Raises:
        TypeError: If `action` is no mapping, or a value is no number.
        ValueError: If a key is unknown, or a value has the wrong shape or is out of range.
    """
    try:
        if len(action) == 24:
            return _parse_full(action)
        return _parse_partial(action)
    except Exception:
        # Some value is not a plain number, or is wrong: look at each with care, and explain.
        return _parse_partial(plain_action(action, "action", _DISCRETE_ADVICE))


def _parse_full(action: Action) -> Controls:
    """Parses a dictionary with all keys and scalar values; raises anything otherwise."""
    # Each of these calls handles all buttons in C, so a step spends its time on the world. `bytes` takes ints, bools
    # and numpy integers, and refuses what does not fit a byte; `translate` leaves what is neither 0 nor 1.
    pressed = bytes(_all_buttons(action))
    if pressed.translate(None, b"\0\1"):
        raise ValueError
    pitch, yaw = _camera(action["camera"])
    _, attack, back, drop, forward = map(bool, pressed[:5])
    inventory, jump, left, pick_item, right, sneak, sprint, swap_hands, use = map(bool, pressed[14:])
    hotbar = max(pressed.rfind(1, 5, 14) - 5, -1)
    return Controls(
        forward, back, left, right, jump, sneak, sprint, attack, use, drop, inventory, pick_item, swap_hands,
        hotbar, pitch, yaw,
    )  # fmt: skip


def _parse_partial(action: Action) -> Controls:
    """Parses a dictionary with any of the keys and scalar values; raises anything otherwise."""
    controls = Controls()
    for name, value in action.items():
        if name == "camera":
            controls.camera_pitch, controls.camera_yaw = _camera(value)
        elif _is_pressed(value):
            if name in _FIELDS:
                setattr(controls, _FIELDS[name], True)
            elif name in _HOTBAR:
                controls.hotbar = max(controls.hotbar, _HOTBAR[name])
            elif name != "ESC":
                raise KeyError(name)
        elif name not in _KNOWN:
            raise KeyError(name)
    return controls


def _camera(value: Any) -> tuple[float, float]:
    """Unpacks two plain numbers, the common form of a camera; raises anything otherwise."""
    pitch, yaw = value.tolist() if type(value) is np.ndarray else value
    # A comparison with NaN is false, so this refuses NaN too.
    if (
        type(pitch) in _PLAIN_NUMBERS
        and type(yaw) in _PLAIN_NUMBERS
        and type(value) in _PLAIN_SEQUENCES
        and -180.0 <= pitch <= 180.0
        and -180.0 <= yaw <= 180.0
    ):
        return float(pitch), float(yaw)
    raise ValueError


_DISCRETE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("noop", {}),
    ("forward", {"forward": 1}),
    ("back", {"back": 1}),
    ("left", {"left": 1}),
    ("right", {"right": 1}),
    ("jump_forward", {"forward": 1, "jump": 1}),
    ("sprint_jump_forward", {"forward": 1, "sprint": 1, "jump": 1}),
    ("turn_left", {"camera": (0.0, -15.0)}),
    ("turn_right", {"camera": (0.0, 15.0)}),
    ("look_up", {"camera": (-15.0, 0.0)}),
    ("look_down", {"camera": (15.0, 0.0)}),
    ("attack", {"attack": 1}),
    ("use", {"use": 1}),
    ("craft", {"inventory": 1}),
    ("hotbar.1", {"hotbar.1": 1}),
    ("hotbar.2", {"hotbar.2": 1}),
    ("hotbar.3", {"hotbar.3": 1}),
    ("hotbar.4", {"hotbar.4": 1}),
    ("hotbar.5", {"hotbar.5": 1}),
)
DISCRETE_ACTIONS: tuple[tuple[str, Action], ...] = tuple((name, MappingProxyType(keys)) for name, keys in _DISCRETE)
"""Name and partial dictionary of every action of the discrete preset, for libraries without dictionary actions."""


def discrete_action_space() -> gymnasium.spaces.Discrete:
    """Returns the action space of the discrete preset: an index into `DISCRETE_ACTIONS`."""
    return gymnasium.spaces.Discrete(len(DISCRETE_ACTIONS))


def discrete_action(index: int) -> dict[str, Any]:
    """Returns a new partial dictionary for an action of the discrete preset.

    Args:
        index: Integer in [0, len(DISCRETE_ACTIONS)), as int, numpy integer, or integer array of shape `()` or `(1,)`.

    Raises:
        TypeError: If `index` is no integer.
        ValueError: If it has the wrong shape or is out of range.
    """
    if type(index) in (int, np.int64) and 0 <= index < len(DISCRETE_ACTIONS):
        return dict(_DISCRETE[index][1])
    expected = f"an integer in [0, {len(DISCRETE_ACTIONS)})"
    array = numbers("action", index, expected)
    if array.dtype.kind not in "iu":
        raise TypeError(f"action: expected {expected}, got {type(index).__name__} {index!r:.80}; convert it to int")
    if array.shape not in ((), (1,)):
        raise ValueError(f"action: expected {expected}, got shape {array.shape}; pass one environment's action")
    number = int(array.item())
    if not 0 <= number < len(DISCRETE_ACTIONS):
        raise ValueError(f"action: expected {expected}, got {number}; see worldmodel.envs.actions.DISCRETE_ACTIONS")
    return dict(DISCRETE_ACTIONS[number][1])
