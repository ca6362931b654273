"""Minecraft as TECO and WorldMem recorded it: a video and, beside it, an array of actions with one row a frame.

```
train/0/000000.mp4     frames
train/0/000000.npz     actions, and what the readers of neither need: depth, poses, matrices
```

Row `t` of `actions` is the action that led TO frame `t`; row 0 led to nothing and is dropped.

| actions | who | what |
|---|---|---|
| int (N,) | TECO, 20 frames a second | 0 to 3, see `minecraft/teco.py`; also a bare `.npy` file |
| int (N, 8) | WorldMem, 10 frames a second | MineDojo's eight numbers, see `minecraft/minedojo.py` |

MineDojo's place (6) brings the item of an inventory slot to the hand and uses it. It becomes `use`, together with
`hotbar.1` to `hotbar.9` where the slot is 0 to 8. WorldMem's `poses` (N, 5) become `info["pose"]`. Its loader never
trains on the first 100 frames, in which the world is still being drawn; here they are kept.

Sources: wilson1yan/teco on GitHub, `teco/data.py`; wilson1yan/collect-minecraft, `collect.py`; xizaoqu/WorldMem,
`data_generator.py` and `datasets/video/minecraft_video_dataset.py`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.data.episodes import EpisodeSource
from worldmodel.data.minecraft import codec
from worldmodel.data.readers.arrays import load_arrays
from worldmodel.data.readers.items import SourceItem, track_item
from worldmodel.data.readers.track import Row, Track
from worldmodel.data.video import video_info

_PLACE, _NUM_HOTBAR_SLOTS = 6, 9
_POSE = ("x", "y", "z", "pitch", "yaw")


def find_teco(folder: Path) -> list[SourceItem]:
    """Returns the recordings in a folder: every mp4 file that has arrays of its name beside it."""
    items = []
    for video in sorted(folder.glob("*.mp4")):
        for arrays in (video.with_suffix(".npz"), video.with_suffix(".npy")):
            if arrays.exists():
                items.append(_item(video, arrays))
                break
    return items


def _item(video: Path, arrays: Path) -> SourceItem:
    return track_item(video, video.with_suffix(""), (video, arrays), lambda _: open_teco(video, arrays))


def open_teco(video: Path, arrays: Path) -> Track:
    """Opens one recording.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, has no such actions, or not one for each frame.
    """
    loaded = load_arrays(arrays, ("actions", "poses").__contains__)
    actions = loaded.get("actions")
    if actions is None:
        raise ValueError(f"{arrays}: expected an array called actions, got none; remove it to read a video without")
    if actions.dtype.kind not in "iu" or (actions.ndim != 1 and actions.shape[1:] != (8,)):
        raise ValueError(
            f"{arrays}: expected actions of integers (N,), as TECO has them, or (N, 8), as WorldMem has them, got "
            f"{actions.dtype} {actions.shape}; remove it to read a video without actions"
        )
    info = video_info(video)
    if len(actions) != info.num_frames:
        raise ValueError(
            f"{arrays}: expected an action for each of the {info.num_frames} frames of {video.name}, got "
            f"{len(actions)}; the two files do not belong together or one is cut off: get both again"
        )
    return Track(
        video=video,
        video_info=info,
        rows=_rows(arrays, actions, loaded.get("poses")),
        num_frames=info.num_frames,
        source=EpisodeSource(fps=info.fps),
    )


def _rows(path: Path, actions: np.ndarray, poses: np.ndarray | None) -> Iterator[Row]:
    decode: Callable[[Any], dict[str, Any]] = codec("teco").to_dictionary if actions.ndim == 1 else from_worldmem
    if poses is not None and poses.shape != (len(actions), len(_POSE)):
        poses = None  # some have none for the first frame
    for t in range(len(actions)):
        action = None
        if t + 1 < len(actions):
            try:
                action = decode(actions[t + 1])
            except ValueError as error:
                raise ValueError(f"{path}: actions[{t + 1}]: {error}") from None
        pose = {} if poses is None else {"pose": dict(zip(_POSE, poses[t].tolist(), strict=True))}
        yield Row(info=pose, action=action)


def from_worldmem(numbers: np.ndarray) -> dict[str, Any]:
    """Returns MineDojo's eight numbers as all 24 keys, place as `use` and the key of its slot.

    Raises:
        ValueError: If a number is out of its range.
    """
    action = codec("minedojo").to_dictionary(numbers)
    if numbers[5] == _PLACE:
        action["use"] = 1
        if numbers[7] < _NUM_HOTBAR_SLOTS:
            action[f"hotbar.{int(numbers[7]) + 1}"] = 1
    return action
