"""Writes episodes in the layout of VPT's contractor recordings: `<name>.mp4` and `<name>.jsonl`, one JSON line a tick.

`readers/vpt.py` reads them.

Line `t` holds the action that was chosen while frame `t` was on screen; frame `t + 1` of the video is its result. `N`
actions are `N` lines and `N + 1` frames. On line `t`, `yaw`, `pitch`, `xpos`, `ypos`, `zpos` and `inventory` are those
of frame `t`; `hotbar` is the slot *after* the tick, because VPT's loader takes a change of it for a key press.

The action is in `keyboard.keys`, `mouse.buttons` and `mouse.dx`, `mouse.dy`; degrees are 0.15 times `(dy, dx)`. `dx`
and `dy` are written with all digits of a double, so a float32 camera comes back exactly. What VPT has no word for
stands in one more object on each line, `"worldmodel"`, which VPT's loader skips: `reward`, `terminated`, `truncated`
and `info` of the result, and on line 0 `episode` with where it came from and the `info` of frame 0.

The layout holds one action a tick of 50 ms, a dictionary with the keys of MineRL 1.0. Source: openai/Video-Pre-Training
on GitHub, `README.md` (contractor data), `data_loader.py` and `run_inverse_dynamics_model.py`.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from worldmodel.data.episodes import EpisodeSource, EpisodeWriter, plain
from worldmodel.data.files import partial_path
from worldmodel.data.video import VideoWriter

DEGREES_PER_PIXEL = 0.15
"""Turn of the camera for one pixel of mouse movement: Minecraft's default sensitivity."""

VERSION = 1
"""Version of the `"worldmodel"` object."""

KEYBOARD: dict[str, str] = {
    "ESC": "key.keyboard.escape",
    "back": "key.keyboard.s",
    "drop": "key.keyboard.q",
    "forward": "key.keyboard.w",
    **{f"hotbar.{number}": f"key.keyboard.{number}" for number in range(1, 10)},
    "inventory": "key.keyboard.e",
    "jump": "key.keyboard.space",
    "left": "key.keyboard.a",
    "right": "key.keyboard.d",
    "sneak": "key.keyboard.left.shift",
    "sprint": "key.keyboard.left.control",
    "swapHands": "key.keyboard.f",
}
"""VPT's key name of each action key that is on the keyboard."""

MOUSE: dict[str, int] = {"attack": 0, "use": 1, "pickItem": 2}
"""VPT's number of each action key that is on the mouse."""

_ACTION_KEYS = {*KEYBOARD, *MOUSE, "camera"}
_SCREEN_CENTRE = {"x": 640.0, "y": 360.0, "scaledX": 0.0, "scaledY": 0.0}


def encode_action(action: Mapping[str, Any], before: Sequence[str | int] | None) -> dict[str, Any]:
    """Returns the `mouse` and `keyboard` objects of one line.

    Args:
        action: Any subset of the 24 keys; buttons 0 or 1, `camera` `(pitch, yaw)` in degrees.
        before: Keys and buttons that were down on the line before; `None` on the first line.

    Raises:
        TypeError: If `action` is no dictionary.
        ValueError: If it has an unknown key.
    """
    if not isinstance(action, Mapping):
        raise TypeError(
            f"action: expected a dictionary with MineRL's keys, got {type(action).__name__}; VPT's layout holds "
            "nothing else: make the environment with dictionary actions, or record with format=minari"
        )
    if unknown := set(action) - _ACTION_KEYS:
        raise ValueError(f"action: expected keys among {sorted(_ACTION_KEYS)}, got {sorted(unknown)}")
    pressed = {name for name, value in action.items() if name != "camera" and np.asarray(value).item()}
    keys: list[str] = [key for name, key in KEYBOARD.items() if name in pressed]
    buttons: list[int] = [button for name, button in MOUSE.items() if name in pressed]
    # On the first line nothing is new: VPT's loader takes a new button 0 there for one that is stuck, and drops it.
    old: Sequence[str | int] = [*keys, *buttons] if before is None else before
    pitch, yaw = np.asarray(action.get("camera", (0, 0)), np.float32).reshape(2).astype(np.float64).tolist()
    return {
        "mouse": {
            **_SCREEN_CENTRE,
            "dx": yaw / DEGREES_PER_PIXEL,
            "dy": pitch / DEGREES_PER_PIXEL,
            "dwheel": 0.0,
            "buttons": buttons,
            "newButtons": [button for button in buttons if button not in old],
        },
        "keyboard": {"keys": keys, "newKeys": [key for key in keys if key not in old], "chars": ""},
    }


def decode_action(line: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the action of one line: all 24 keys; buttons int 0 or 1, `camera` float32 (2,) in degrees."""
    keys, mouse = line["keyboard"]["keys"], line["mouse"]
    action: dict[str, Any] = {name: int(key in keys) for name, key in KEYBOARD.items()}
    action |= {name: int(button in mouse["buttons"]) for name, button in MOUSE.items()}
    # The rounding of the division and of this product is far below half a float32 step: float32 in, the same out.
    action["camera"] = np.array([mouse["dy"] * DEGREES_PER_PIXEL, mouse["dx"] * DEGREES_PER_PIXEL], np.float32)
    return action


class VptWriter(EpisodeWriter):
    """Writes one episode in VPT's layout while it is played.

    The lines file gets its final name last: an episode is whole exactly if `<name>.jsonl` exists.
    """

    def __init__(self, folder: Path, name: str, source: EpisodeSource, *, lossless: bool = False) -> None:
        """Starts `<folder>/<name>.mp4` and `<folder>/<name>.jsonl` under temporary names.

        Args:
            folder: Existing folder.
            name: File name without ending.
            source: Where the episode comes from.
            lossless: Store exact RGB frames.

        Raises:
            FileNotFoundError: If `folder` does not exist.
        """
        self._source = source
        self._path = folder / f"{name}.jsonl"
        self._partial = partial_path(self._path)
        self._video = VideoWriter(folder / f"{name}.mp4", fps=source.fps, lossless=lossless)
        self._lines: IO[str] = self._partial.open("w", encoding="utf-8")
        self._info: dict[str, Any] | None = None
        self._before: list[str | int] | None = None
        self._tick = 0

    def reset(self, frame: np.ndarray, info: Mapping[str, Any]) -> None:  # noqa: D102 - inherited
        self._video.write(frame)
        self._info = plain(info, "info")

    def step(  # noqa: D102 - inherited
        self,
        action: Any,
        frame: np.ndarray,
        reward: float,
        terminated: bool,
        truncated: bool,
        info: Mapping[str, Any],
    ) -> None:
        if self._info is None:
            raise RuntimeError("step: expected reset first; call reset once, then step")
        devices = encode_action(action, self._before)
        after = plain(info, "info")
        result = {"reward": float(reward), "terminated": bool(terminated), "truncated": bool(truncated), "info": after}
        if self._tick == 0:
            result["episode"] = {"version": VERSION, **asdict(self._source), "info": self._info}
        line = {**devices, **self._state(self._info, after), "worldmodel": result}
        self._video.write(frame)
        self._lines.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._before = [*devices["keyboard"]["keys"], *devices["mouse"]["buttons"]]
        self._info = after
        self._tick += 1

    def close(self) -> None:  # noqa: D102 - inherited
        if self._tick == 0:
            self.discard()
            raise ValueError(f"{self._path}: expected at least one step, got none; step before closing")
        self._video.close()
        self._lines.close()
        os.replace(self._partial, self._path)

    def discard(self) -> None:  # noqa: D102 - inherited
        self._video.discard()
        self._lines.close()
        self._partial.unlink(missing_ok=True)

    def _state(self, info: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        """Returns VPT's fields for what is known of the world; zeros for what the environment does not tell."""
        pose = info.get("pose", {})
        items = info.get("inventory", {})
        return {
            "isGuiOpen": False,
            "isGuiInventory": False,
            "hotbar": after.get("hotbar", 0),
            "yaw": pose.get("yaw", 0.0),
            "pitch": pose.get("pitch", 0.0),
            "xpos": pose.get("x", 0.0),
            "ypos": pose.get("y", 0.0),
            "zpos": pose.get("z", 0.0),
            "tick": self._tick,
            "milli": round(1000 * self._tick / self._source.fps),  # not the clock: the same episode, the same file
            "inventory": [{"type": name, "quantity": count} for name, count in items.items()],
            "serverTick": self._tick,
            "stats": {},
        }


def vpt_episode_paths(folder: Path) -> list[Path]:
    """Returns the lines files of the whole episodes in a folder, in order of their names."""
    return sorted(folder.glob("*.jsonl"))
