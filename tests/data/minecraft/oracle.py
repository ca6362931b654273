"""What each codec must leave of an action, worked out from the published definitions in another way than the codecs do.

The codecs take logarithms, these bins are looked up; the codecs go through groups, these rules strike out keys.
"""

import numpy as np

from worldmodel.data.minecraft import BUTTONS, ITEM_ACTIONS

HOTBAR = [f"hotbar.{number}" for number in range(1, 10)]
NO_PLACE = {
    "minerl-0.4": ["ESC", "drop", "inventory", "pickItem", "swapHands", "use", *HOTBAR],
    "minerl-1.0": [],
    "vpt": ["ESC", "pickItem", "swapHands"],
    "oasis": [],
    "mineworld": ["ESC", "inventory", "swapHands"],
    "minedojo": ["ESC", "inventory", "pickItem", "swapHands", *HOTBAR],
    "gamefactory": ["ESC", "attack", "drop", "inventory", "pickItem", "swapHands", "use", *HOTBAR],
}
"""The buttons that a format has no word for. TECO has words for none of them alone."""

CANCEL = {
    "vpt": [("forward", "back"), ("left", "right")],
    "mineworld": [("forward", "back"), ("left", "right"), ("sprint", "sneak"), ("use", "attack"), ("drop", "pickItem")],
    "minedojo": [("forward", "back"), ("left", "right"), ("sneak", "sprint")],
    "gamefactory": [("forward", "back"), ("left", "right"), ("sneak", "sprint")],
}
"""Pairs that become nothing when both are down."""

FIRST_WINS = {
    "vpt": [("sneak", "sprint"), HOTBAR[::-1]],
    "mineworld": [HOTBAR],
    "minedojo": [("attack", "use", "drop")],
}
"""Keys of which the first that is down is left."""


def mu_law(maxval, binsize, mu):
    """The bins of one side in degrees, from 0 up, and the degrees where each but the first begins."""
    steps = np.arange(0, maxval / binsize + 0.5, 0.5) * binsize / maxval
    degrees = maxval * ((1 + mu) ** steps - 1) / mu
    return degrees[::2], degrees[1::2]


BINS = {"vpt": mu_law(10, 2, 10), "oasis": mu_law(20, 0.5, 2.7), "mineworld": mu_law(90, 9, 11.4887)}


def camera_left(name, degrees):
    """What a codec leaves of one angle."""
    if name in BINS:
        values, starts = BINS[name]
        return np.float32(np.copysign(values[np.searchsorted(starts, abs(degrees), "right")], degrees))
    if name == "minedojo":
        return np.float32(15 * np.round(np.float64(degrees) / 15))
    return np.float32(degrees)


def left(name, action):
    """The full dictionary that is left of a full one, item actions included, after there and back."""
    kept = {key: action[key] for key in BUTTONS}
    pitch, yaw = action["camera"].tolist()
    if name == "teco":
        turn = -20 if yaw <= -10 else 20 if yaw >= 10 else 0
        walks = not turn and kept["forward"] and not kept["back"]
        kept = dict.fromkeys(BUTTONS, 0) | {"forward": int(walks), "jump": int(bool(walks or turn))}
        return kept | {"camera": np.array([0, turn], np.float32)}
    if name == "vpt" and kept["inventory"]:
        return dict.fromkeys(BUTTONS, 0) | {"inventory": 1, "camera": np.zeros(2, np.float32)}
    if name in ("minedojo", "gamefactory") and kept["jump"]:
        kept["sneak"] = kept["sprint"] = 0
    gone = set(NO_PLACE[name])
    for pair in CANCEL.get(name, []):
        if kept[pair[0]] and kept[pair[1]]:
            gone.update(pair)
    for keys in FIRST_WINS.get(name, []):
        gone.update([key for key in keys if kept[key]][1:])
    kept |= dict.fromkeys(gone, 0)
    kept["camera"] = np.array([camera_left(name, pitch), camera_left(name, yaw)])
    items = {key: action[key] for key in ITEM_ACTIONS if key in action} if name == "minerl-0.4" else {}
    return kept | items


def same(first, second):
    """Whether two full dictionaries are equal, the camera to the last bit but for the sign of 0."""
    if first.keys() != second.keys():
        return False
    return all(
        first[key].dtype == second[key].dtype and np.array_equal(first[key], second[key])
        if key == "camera"
        else first[key] == second[key]
        for key in first
    )


def plain(native):
    """A native action as plain values that can be compared."""
    if isinstance(native, dict):
        return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in native.items()}
    return native.tolist() if isinstance(native, np.ndarray) else native
