"""Videos and images without actions."""

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from worldmodel.data.episodes import Episode, EpisodeSource
from worldmodel.data.readers.items import ReadOptions, SourceItem, track_item
from worldmodel.data.readers.track import Row, Track
from worldmodel.data.video import video_info

VIDEOS = {".mp4", ".webm", ".mkv", ".avi", ".mov", ".gif"}
"""Endings of files that are read as videos."""

IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
"""Endings of files that are read as images."""


def plain_item(path: Path) -> SourceItem:
    """Returns the item of one video or image; of anything else, one that cannot be read."""
    if path.suffix.lower() in VIDEOS:
        return track_item(path, path, (path,), lambda _: open_plain(path))
    return SourceItem(path=path, key=path.as_posix(), files=frozenset((path,)), read=lambda o: _read_image(path, o))


def open_plain(path: Path) -> Track:
    """Opens a video; a text file of its name beside it is the caption of all frames.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no video.
    """
    info = video_info(path)
    return Track(
        video=path,
        video_info=info,
        rows=repeat(Row(info=_caption(path)), info.num_frames),
        num_frames=info.num_frames,
        source=EpisodeSource(fps=info.fps),
    )


def _read_image(path: Path, options: ReadOptions) -> Iterator[tuple[str, Episode]]:
    if path.suffix.lower() not in IMAGES:
        raise ValueError(f"expected an ending among {sorted(VIDEOS | IMAGES | {'.jsonl'})}, got {path.suffix!r}")
    with Image.open(path) as image:
        frame = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    yield (
        path.as_posix(),
        Episode(
            frames=options.fit(frame)[None],
            actions=[],
            rewards=np.zeros(0),
            terminated=False,
            truncated=True,
            infos=[_caption(path)],
            source=EpisodeSource(),
        ),
    )


def _caption(path: Path) -> dict[str, Any]:
    sidecar = path.with_suffix(".txt")
    caption = " ".join(sidecar.read_text(encoding="utf-8").split()) if sidecar.is_file() else ""
    return {"caption": caption} if caption else {}
