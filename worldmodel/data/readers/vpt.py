"""Recordings in VPT's layout: our own, and those of OpenAI's contractors.

`<name>.mp4` is a video of 20 frames a second, `<name>.jsonl` one JSON object a tick: frame `t` was on screen when the
action on line `t` was chosen. Lines with a `"worldmodel"` object are our own and hold everything (`data/vpt.py`). The
contractors' have traps:

- Turns are in pixels of mouse movement; 0.15 degrees each. What is beyond the action space, 180 degrees a tick,
  becomes 180.
- Some start with the attack button down that nobody holds; it counts from its next press on.
- The mouse wheel changes the slot of the hotbar without a key: a new value of `hotbar` counts as a press of its key.
- While a window is open (`isGuiOpen`), the mouse moves a pointer that is not in the video: one is drawn at `mouse.x`,
  `mouse.y`, measured in a window 720 pixels high. `info["gui"]` is true there, and the camera is the pointer's.
- There are about as many lines as frames; the end of the longer one is dropped.
- Older and stripped files lack `hotbar`, the pose and the inventory.

With `vpt_compat`, also for our own files, actions are those of VPT's published loader: turns are cut down to whole
degrees, because it keeps them in an array of integers; frames whose action is null (no known key or button, no mouse
movement) are left out, even where the wheel was turned; and the slot before the first line is the first one.

Sources: openai/Video-Pre-Training on GitHub, `README.md` (contractor demonstrations), `data_loader.py` and
`run_inverse_dynamics_model.py`.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.data.episodes import Episode, EpisodeSource
from worldmodel.data.readers.items import ReadOptions, SourceItem, track_item
from worldmodel.data.readers.track import Row, Track, read_track
from worldmodel.data.video import video_info
from worldmodel.data.vpt import DEGREES_PER_PIXEL, KEYBOARD, MOUSE, decode_action, vpt_episode_paths

WINDOW_HEIGHT_PIXELS = 720
"""Height of the contractors' window, in which the mouse was measured."""

CAMERA_LIMIT_DEGREES = 180.0
"""Bound of a turn in the action space."""

_KNOWN_KEYS = frozenset(KEYBOARD.values())
_KNOWN_BUTTONS = frozenset(MOUSE.values())


def find_vpt(folder: Path, *, own: bool) -> list[SourceItem]:
    """Returns the recordings in a folder; in one of our own, `own`, also those whose video is missing."""
    items = []
    for path in vpt_episode_paths(folder):
        video = path.with_suffix(".mp4")
        if own or video.exists():  # lines of something else may lie beside videos
            items.append(_item(path, video))
    return items


def _item(path: Path, video: Path) -> SourceItem:
    def open_track(options: ReadOptions) -> Track:
        return open_vpt(path, vpt_compat=options.vpt_compat)

    return track_item(path, path.with_suffix(""), (path, video), open_track)


def read_vpt(path: str | os.PathLike[str], *, vpt_compat: bool = False) -> Episode:
    """Reads one recording as one episode, its frames as they are.

    Args:
        path: The `.jsonl` file; the `.mp4` file lies beside it.
        vpt_compat: Whether actions are to be those of VPT's published loader; see above.

    Returns:
        The episode. A contractor's has zero rewards and no captions.

    Raises:
        FileNotFoundError: If one of the two files is missing.
        ValueError: If one of them is damaged, or they do not belong together; the message names file and line.
    """
    track = open_vpt(Path(path), vpt_compat=vpt_compat)
    (episode,) = read_track(track, fit=None, chunk_frames=None)
    return episode


def open_vpt(path: Path, *, vpt_compat: bool = False) -> Track:
    """Opens one recording; `read_vpt` says what is raised. All lines are looked at once before the first is used."""
    if path.suffix != ".jsonl":
        raise ValueError(f"path: expected the .jsonl file of an episode, got {path}")
    lines = _survey(path)
    video = path.with_suffix(".mp4")
    info = video_info(video)
    own = "worldmodel" in lines.first
    if own and info.num_frames != lines.number + 1:
        raise ValueError(
            f"{path}: expected {lines.number + 1} frames for {lines.number} actions, got {info.num_frames} in "
            f"{video.name}; the two files do not belong together or one is damaged: record the episode again"
        )
    if lines.missing and info.num_frames - lines.number >= lines.missing:
        raise ValueError(
            f"{path}, line {lines.gap}: expected every tick, got a gap before it, though the video has frames for the "
            f"{lines.missing} ticks that are missing; actions would stand beside the wrong frames: get the file again"
        )
    num_frames = min(info.num_frames, lines.number + 1)
    if num_frames < 2:
        raise ValueError(f"{video}: expected at least 2 frames, got {info.num_frames}; record the episode again")
    if not own or vpt_compat:
        scale = info.height / WINDOW_HEIGHT_PIXELS
        rows = _contractor_rows(path, num_frames, scale, vpt_compat)
        return Track(video=video, video_info=info, rows=rows, num_frames=num_frames, source=EpisodeSource())
    with _fields(path):
        start, end = lines.first["worldmodel"]["episode"], lines.last["worldmodel"]
        return Track(
            video=video,
            video_info=info,
            rows=_own_rows(path),
            num_frames=num_frames,
            source=EpisodeSource(**{name: start[name] for name in ("env_id", "env_kwargs", "seed", "fps")}),
            terminated=end["terminated"],
            truncated=end["truncated"],
        )


def _own_rows(path: Path) -> Iterator[Row]:
    info: dict[str, Any] = {}
    for t, line in enumerate(_read_lines(path)):
        with _fields(path):
            result = line["worldmodel"]
            info = result["episode"]["info"] if t == 0 else info
            row = Row(info=info, action=decode_action(line), reward=result["reward"])
            info = result["info"]
        yield row
    yield Row(info=info)


def _contractor_rows(path: Path, num_frames: int, scale: float, compat: bool) -> Iterator[Row]:
    slot = 0 if compat else None
    stuck = False
    row = Row()
    for t, line in enumerate(islice(_read_lines(path), num_frames)):
        with _fields(path):
            new = line["mouse"]["newButtons"]
            stuck = new == [MOUSE["attack"]] if t == 0 else stuck and MOUSE["attack"] not in new
            row = _contractor_row(line, stuck, slot, scale, compat)
            slot = line.get("hotbar", slot)
        row.skip = row.skip and t < num_frames - 1  # the last frame is a result, whatever was done then
        yield row
    if t < num_frames - 1:
        yield Row(info=row.info)  # the video has a frame more than there are lines


def _contractor_row(line: Mapping[str, Any], stuck: bool, slot: int | None, scale: float, compat: bool) -> Row:
    action, mouse = decode_action(line), line["mouse"]
    action["attack"] = int(action["attack"] and not stuck)
    null = (
        not _KNOWN_KEYS.intersection(line["keyboard"]["keys"])
        and not _KNOWN_BUTTONS.difference({MOUSE["attack"]} if stuck else ()).intersection(mouse["buttons"])
        and mouse["dx"] == 0 == mouse["dy"]
    )
    if not np.isfinite(action["camera"]).all():
        raise TypeError(f"mouse movement {mouse['dx']!r}, {mouse['dy']!r}")
    if compat:  # of the product as it is: rounded to float32, it may lie on the other side of a whole degree
        action["camera"][:] = [int(mouse[name] * DEGREES_PER_PIXEL) for name in ("dy", "dx")]
    action["camera"] = action["camera"].clip(-CAMERA_LIMIT_DEGREES, CAMERA_LIMIT_DEGREES)
    now = line.get("hotbar", slot)
    if now is not None and now not in range(9):
        raise TypeError(f"hotbar {now!r}")
    if slot is not None and now != slot:
        action[f"hotbar.{now + 1}"] = 1
    gui = bool(line.get("isGuiOpen", False))
    return Row(
        info=_info(line) | {"gui": gui},
        action=action,
        pointer=(int(mouse["x"] * scale), int(mouse["y"] * scale)) if gui else None,
        skip=compat and null,
    )


def _info(line: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a line tells of the world, in the words of the block world."""
    info: dict[str, Any] = {}
    names = {"x": "xpos", "y": "ypos", "z": "zpos", "yaw": "yaw", "pitch": "pitch"}
    if all(name in line for name in names.values()):
        info["pose"] = {name: line[theirs] for name, theirs in names.items()}
    if "hotbar" in line:
        info["hotbar"] = line["hotbar"]
    if "inventory" in line:
        inventory: dict[str, int] = {}
        for item in line["inventory"]:  # one entry for each stack
            inventory[item["type"]] = inventory.get(item["type"], 0) + item["quantity"]
        info["inventory"] = inventory
    return info


@dataclass(slots=True)
class _Lines:
    """What a lines file holds.

    Attributes:
        first: Its first line.
        last: Its last line.
        number: How many there are.
        missing: How many ticks are missing between them.
        gap: Before which line the first are missing.
    """

    first: dict[str, Any]
    last: dict[str, Any]
    number: int
    missing: int = 0
    gap: int = 0


def _survey(path: Path) -> _Lines:
    lines = _Lines({}, {}, 0)
    for number, line in enumerate(_read_lines(path), 1):
        before, now = lines.last.get("tick"), line.get("tick")
        if isinstance(before, int) and isinstance(now, int) and now > before + 1:
            lines.missing, lines.gap = lines.missing + now - before - 1, lines.gap or number
        lines.first, lines.last, lines.number = lines.first or line, line, number
    return lines


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the lines of a file, at least one.

    Raises:
        ValueError: If there is none, or one is no JSON object; the message names it.
    """
    number = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file, 1):
            try:
                line = json.loads(text)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: expected one JSON object, got {error}") from None
            if not isinstance(line, dict):
                raise ValueError(f"{path}, line {number}: expected one JSON object, got {type(line).__name__}")
            yield line
    if number == 0:
        raise ValueError(f"{path}: expected one line a tick, got an empty file; record the episode again")


@contextlib.contextmanager
def _fields(path: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: expected VPT's fields on every line, got none or a wrong {error}") from None
