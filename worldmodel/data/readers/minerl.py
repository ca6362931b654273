"""MineRL's data set, versions 0.3 and 0.4: people who play Navigate, Treechop and the Obtain tasks.

```
<root>/<EnvId>/<stream>/
    recording.mp4      64 x 64 pixels, 20 frames a second
    rendered.npz       reward (N,); action$<name> (N, ...); observation$<name> (N + 1, ...)
    metadata.json      true_video_frame_count, success, stream_name, ...
```

The video starts earlier than the arrays. Its last frame belongs to the last observation, so the first
`true_video_frame_count - (N + 1)` frames are passed over. (MineRL's loader shows the frame before the last twice; here
the last is the last.)

All actions that are keys become keys. Those that choose an item by name, `place`, `equip`, `craft`, `nearbyCraft` and
`nearbySmelt`, have none: `place` becomes `use`, and what was asked for stands in `info["item_actions"]` of the frame
that resulted. Data sets of the obfuscated environments have vectors instead of keys and are refused.

Sources: minerllabs/minerl on GitHub, branch of 0.4, `minerl/data/data_pipeline.py` and
`minerl/data/pipeline/publish.py`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.data.episodes import EpisodeSource
from worldmodel.data.files import read_json
from worldmodel.data.minecraft import BUTTONS, ITEM_ACTIONS, codec
from worldmodel.data.readers.arrays import load_arrays
from worldmodel.data.readers.items import SourceItem, track_item
from worldmodel.data.readers.track import Row, Track
from worldmodel.data.video import video_info

_VIDEO, _ARRAYS, _METADATA = "recording.mp4", "rendered.npz", "metadata.json"
_ACTION, _INVENTORY = "action$", "observation$inventory$"
_COMPASS = ("observation$compass$angle", "observation$compassAngle")
_NOTHING = ("none", "0")  # the number in data sets before text came


def find_minerl(folder: Path) -> list[SourceItem]:
    """Returns the recording that a folder is, if it is one."""
    if not (folder / _ARRAYS).exists():
        return []
    files = [folder / name for name in (_VIDEO, _ARRAYS, _METADATA)]
    return [track_item(folder, folder, files, lambda _: open_minerl(folder))]


def open_minerl(folder: Path) -> Track:
    """Opens one stream.

    Raises:
        FileNotFoundError: If one of its three files is missing.
        ValueError: If one of them is damaged, or they do not fit together.
    """
    metadata = read_json(folder / _METADATA)
    path = folder / _ARRAYS
    arrays = load_arrays(path, lambda name: name == "reward" or name.startswith((_ACTION, _INVENTORY, *_COMPASS)))
    actions = {name.removeprefix(_ACTION): array for name, array in arrays.items() if name.startswith(_ACTION)}
    if "reward" not in arrays or "camera" not in actions:
        raise ValueError(
            f"{path}: expected reward, action$camera and the keys, got {', '.join(sorted(arrays)) or 'none'}; "
            "obfuscated data sets cannot be read: get the one without VectorObf in its name"
        )
    rewards = arrays["reward"]
    for name, array in actions.items():
        if len(array) != len(rewards):
            raise ValueError(
                f"{path}: expected {len(rewards)} values of action${name}, one for each reward, got {len(array)}; "
                "get the file again"
            )
    info = video_info(folder / _VIDEO)
    counted = metadata.get("true_video_frame_count") if isinstance(metadata, Mapping) else None
    if not isinstance(counted, int):
        raise ValueError(f"{folder / _METADATA}: expected true_video_frame_count, got none; get the file again")
    skip = counted - (len(rewards) + 1)
    if skip < 0 or info.num_frames < counted:
        raise ValueError(
            f"{folder / _VIDEO}: expected {counted} frames, of which the last {len(rewards) + 1} have actions, got "
            f"{info.num_frames}; the files do not belong together or one is cut off: get them again"
        )
    success = bool(metadata.get("success", False))
    return Track(
        video=folder / _VIDEO,
        video_info=info,
        rows=_rows(path, actions, rewards, arrays),
        num_frames=len(rewards) + 1,
        first_frame=skip,
        source=EpisodeSource(env_id=folder.absolute().parent.name, fps=info.fps),
        terminated=success,
        truncated=not success,
    )


def _rows(
    path: Path, actions: Mapping[str, np.ndarray], rewards: np.ndarray, arrays: Mapping[str, np.ndarray]
) -> Iterator[Row]:
    keys = {name: array for name, array in actions.items() if name in BUTTONS or name == "camera"}
    items = {name: array for name, array in actions.items() if name in ITEM_ACTIONS}
    states = {name: array for name, array in arrays.items() if not name.startswith((_ACTION, "reward"))}
    chosen: dict[str, str] = {}
    for t in range(len(rewards) + 1):
        info = _info({name: array[t] for name, array in states.items() if t < len(array)})
        if chosen:
            info["item_actions"] = chosen
        if t == len(rewards):
            yield Row(info=info)
            return
        chosen = {name: str(array[t]) for name, array in items.items() if str(array[t]) not in _NOTHING}
        try:
            action = codec("minerl-1.0").to_dictionary({name: array[t] for name, array in keys.items()})
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: actions of step {t}: {error}") from None
        action["use"] |= int("place" in chosen)
        yield Row(info=info, action=action, reward=float(rewards[t]))


def _info(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
    info: dict[str, Any] = {}
    inventory = {
        name.removeprefix(_INVENTORY): int(value) for name, value in state.items() if name.startswith(_INVENTORY)
    }
    if inventory:
        info["inventory"] = {name: number for name, number in inventory.items() if number}
    for name in _COMPASS:
        if name in state:
            info["compass_angle"] = float(state[name])
    return info
