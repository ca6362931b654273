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

from collections.abc import Mapping
from operator import itemgetter
from types import MappingProxyType
from typing import Any

import gymnasium
import numpy as np

from worldmodel.envs.voxel.controls import Controls

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

CAMERA_LIMIT_DEGREES = 180.0
"""Bound of both camera values, per tick."""

Action = Mapping[str, Any]

_FIELDS: dict[str, str] = {"pickItem": "pick_item", "swapHands": "swap_hands"}
_FIELDS |= {name: name for name in BUTTONS if not name.startswith(("hotbar", "ESC")) and name not in _FIELDS}
_HOTBAR: dict[str, int] = {f"hotbar.{number}": number - 1 for number in range(1, 10)}
_KNOWN = frozenset(KEYS)
_PLAIN_NUMBERS = frozenset({int, float})
_PLAIN_SEQUENCES = frozenset({np.ndarray, tuple, list})

_all_buttons = itemgetter(*BUTTONS)
_is_pressed = {0: False, 1: True}.__getitem__  # numpy scalars hash and compare like the numbers they hold


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
        return _parse_partial(_checked(action))


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


def _checked(action: Any) -> dict[str, Any]:
    """Returns the action with every value as a plain scalar, or raises the error that explains what is wrong."""
    if not isinstance(action, Mapping):
        raise TypeError(
            f"action: expected a dictionary with any of the keys {', '.join(KEYS)}, got {type(action).__name__} "
            f"{action!r:.80}; for integer actions make the environment with its discrete preset"
        )
    plain: dict[str, Any] = {}
    for name, value in action.items():
        if name == "camera":
            plain[name] = _checked_camera(value)
        elif name in _KNOWN:
            plain[name] = _checked_button(name, value)
        else:
            raise ValueError(f"action: expected keys among {', '.join(KEYS)}, got {name!r}; remove or rename it")
    return plain


def _checked_button(name: str, value: Any) -> int:
    array = _numbers(f"action[{name!r}]", value, "0 or 1")
    if array.shape not in ((), (1,)):
        raise ValueError(
            f"action[{name!r}]: expected 0 or 1, as a scalar or of shape (1,), got shape {array.shape}; "
            "pass one environment's action, not a batch"
        )
    number = array.item()
    if number != 0 and number != 1:
        raise ValueError(f"action[{name!r}]: expected 0 or 1, got {number!r}; a button is up (0) or held down (1)")
    return int(number)


def _checked_camera(value: Any) -> tuple[float, float]:
    name = "action['camera']"
    array = _numbers(name, value, "two degrees (pitch, yaw)")
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


def _numbers(name: str, value: Any, expected: str) -> np.ndarray:
    """Returns a value as an array of bool, int or float."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # ragged sequences; tensors that require a gradient
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name}: expected {expected} as numbers, got {type(value).__name__} {value!r:.80}; convert it to a number"
        )
    return array


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
    array = _numbers("action", index, expected)
    if array.dtype.kind not in "iu":
        raise TypeError(f"action: expected {expected}, got {type(index).__name__} {index!r:.80}; convert it to int")
    if array.shape not in ((), (1,)):
        raise ValueError(f"action: expected {expected}, got shape {array.shape}; pass one environment's action")
    number = int(array.item())
    if not 0 <= number < len(DISCRETE_ACTIONS):
        raise ValueError(f"action: expected {expected}, got {number}; see worldmodel.envs.actions.DISCRETE_ACTIONS")
    return dict(DISCRETE_ACTIONS[number][1])
