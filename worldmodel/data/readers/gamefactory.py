"""GF-Minecraft, the data set of GameFactory: a video, its annotations as JSON, and prompts as CSV.

```
data_2003/
    annotation.csv               Original video name, Start frame index, End frame index, Prompt
    metadata/seed_1_part_1.json  {"biome", "initial_weather", "start_time", "actions": {"0": {...}, "1": ...}}
    video/seed_1_part_1.mp4
```

or `seed_1_part_1.json` right beside `seed_1_part_1.mp4`, as in its sample. An annotation holds the keys
(`minecraft/gamefactory.py`) and where the player was after them, so annotation `t` led TO its frame. Annotation `"0"`
has no action, and in most files no frame. So annotations and frames are matched from the end: there are as many frames
as annotations, or one fewer; anything else is refused.

A prompt is the caption of its frames, both ends included, counted from 0. The table calls videos `seed_1_part.mp4`
where the files are `seed_1_part_1.mp4`; both are understood.

Sources: KwaiVGI/GameFactory-Dataset on Hugging Face, `README.md`; https://arxiv.org/abs/2501.08325, appendix.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from worldmodel.data.episodes import EpisodeSource
from worldmodel.data.files import read_json
from worldmodel.data.minecraft import codec
from worldmodel.data.readers.items import SourceItem, track_item
from worldmodel.data.readers.track import Row, Track
from worldmodel.data.video import video_info

PROMPTS = "annotation.csv"
"""Name of the table of prompts."""

_SNIFFED_BYTES = 4096
_WORLD = {"biome": "biome", "initial_weather": "weather", "start_time": "time_name"}
_COLUMNS = ("originalvideoname", "startframeindex", "endframeindex", "prompt")


def find_gamefactory(folder: Path) -> list[SourceItem]:
    """Returns the recordings in a folder: every mp4 file with annotations beside it, or in `../metadata`."""
    items = []
    for video in sorted(folder.glob("*.mp4")):
        beside, apart = video.with_suffix(".json"), folder.parent / "metadata" / f"{video.stem}.json"
        if folder.name == "video" and apart.exists():
            items.append(_item(video, apart, folder.parent / PROMPTS))
        elif beside.exists() and _is_annotation(beside):  # JSON beside a video may be anything
            items.append(_item(video, beside, folder / PROMPTS))
    return items


def _item(video: Path, annotations: Path, prompts: Path) -> SourceItem:
    return track_item(
        video, video.with_suffix(""), (video, annotations), lambda _: open_gamefactory(video, annotations, prompts)
    )


def _is_annotation(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(_SNIFFED_BYTES)
    return b'"actions"' in start and b'"ws"' in start


def open_gamefactory(video: Path, annotations: Path, prompts: Path) -> Track:
    """Opens one recording.

    Args:
        video: Its frames.
        annotations: Its JSON file.
        prompts: The table; it need not exist.

    Raises:
        FileNotFoundError: If one of the first two is missing.
        ValueError: If a file is damaged, or the numbers of frames and annotations do not match.
    """
    found = read_json(annotations)
    actions = found.get("actions") if isinstance(found, Mapping) else None
    numbers = _numbers(actions)
    if not isinstance(actions, Mapping) or not numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise ValueError(
            f'{annotations}: expected "actions" with an annotation for each of "0", "1", "2" and so on, got none or '
            "some; get the file again"
        )
    info = video_info(video)
    first = numbers[-1] + 1 - info.num_frames  # the annotation of the first frame
    if first not in (0, 1):
        raise ValueError(
            f"{annotations}: expected {info.num_frames} annotations for the frames of {video.name}, or one more, got "
            f"{len(numbers)}; the two files do not belong together or one is cut off: get both again"
        )
    world = {ours: found[theirs] for theirs, ours in _WORLD.items() if isinstance(found.get(theirs), str)}
    captions = _captions(prompts, video.stem, info.num_frames)
    return Track(
        video=video,
        video_info=info,
        rows=_rows(annotations, actions, range(first, numbers[-1] + 1), world, captions),
        num_frames=info.num_frames,
        source=EpisodeSource(fps=info.fps),
    )


def _numbers(actions: Any) -> list[int]:
    """Returns the numbers of the annotations in order; none if one is no number."""
    known = isinstance(actions, Mapping) and all(name.isdecimal() for name in actions)
    return sorted(map(int, actions)) if known else []


def _rows(
    path: Path, actions: Mapping[str, Any], numbers: range, world: dict[str, Any], captions: list[str]
) -> Iterator[Row]:
    decode = codec("gamefactory").to_dictionary
    for t, number in enumerate(numbers):
        info = dict(world)
        if captions[t]:
            info["caption"] = captions[t]
        action = None
        try:
            if pose := _pose(actions.get(str(number), {})):
                info["pose"] = pose
            if t + 1 < len(numbers):
                action = decode(actions[str(number + 1)])
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path}: annotation {number} or the next: {error}; get the file again") from None
        yield Row(info=info, action=action)


def _pose(annotation: Mapping[str, Any]) -> dict[str, float]:
    position = annotation.get("pos")
    if not isinstance(position, list) or len(position) != 3 or not {"pitch", "yaw"} <= set(annotation):
        return {}
    names = ("x", "y", "z", "pitch", "yaw")
    return dict(zip(names, map(float, (*position, annotation["pitch"], annotation["yaw"])), strict=True))


def _captions(path: Path, stem: str, num_frames: int) -> list[str]:
    """Returns a caption for each frame, empty where the table has none."""
    captions = [""] * num_frames
    if not path.is_file():
        return captions
    short = re.sub(r"^(seed_\d+_part)_\d+$", r"\1", stem)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                cells = {"".join(str(name).split()).lower(): value for name, value in row.items()}
                name, start, end, prompt = (str(cells[column]).strip() for column in _COLUMNS)
                if name.removesuffix(".mp4") in (stem, short):
                    for t in range(max(0, int(start)), min(num_frames, int(end) + 1)):
                        captions[t] = " ".join(prompt.split())
    except (KeyError, ValueError, csv.Error) as error:
        raise ValueError(
            f"{path}: expected the columns Original video name, Start frame index, End frame index and Prompt, got "
            f"something else ({error}); get it again, or delete it to read the videos without prompts"
        ) from None
    return captions
