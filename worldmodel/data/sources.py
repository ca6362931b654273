"""Training data as it lies on disk, whatever it is: recordings with actions, and plain videos and images without.

```python
from worldmodel.data import EpisodeStoreWriter, read_source

source = read_source("runs/record", size=(64, 64))
with EpisodeStoreWriter("store", codec=codec, fps=20) as store:
    for key, episode in source:
        store.append(episode, key)
skipped = source.skipped  # paths of damaged files
```
"""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from worldmodel.data.episodes import Episode, EpisodeSource, episode_name
from worldmodel.data.minari import read_minari
from worldmodel.data.recording import MANIFEST as RECORDING
from worldmodel.data.store_files import EPISODES, MANIFEST
from worldmodel.data.video import read_video, video_info
from worldmodel.data.vpt import read_vpt, vpt_episode_paths

VIDEOS = {".mp4", ".webm", ".mkv", ".avi", ".mov", ".gif"}
"""Endings of files that are read as videos."""

IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
"""Endings of files that are read as images."""

SIZE_STEP = 8
"""Without a size, height and width are cropped to a multiple of this, so that frames divide into patches."""

# What a damaged file makes the readers raise; Pillow raises SyntaxError for some.
_DAMAGE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)

_log = logging.getLogger(__name__)


class SourceReader(Iterator[tuple[str, Episode]]):
    """Iterates over the episodes of a source, one in memory at a time; `read_source` makes it.

    Attributes:
        skipped: One message for each damaged file that was passed over so far.
    """

    def __init__(self, path: Path, size: tuple[int, int] | None) -> None:
        """Looks for files; reads none yet. See `read_source`."""
        self.skipped: list[str] = []
        self._size = size
        self._parts = [path] if path.is_file() else list(_parts(path)) if path.is_dir() else []
        if not self._parts:
            raise FileNotFoundError(
                f"path: expected recorded episodes, videos or images, found none at {path}; look at the name"
            )
        self._episodes = self._read()

    def __next__(self) -> tuple[str, Episode]:
        """Returns the next key and episode."""
        return next(self._episodes)

    def _read(self) -> Iterator[tuple[str, Episode]]:
        for part in self._parts:
            try:
                yield from self._read_part(part)
            except _DAMAGE as error:
                _log.warning("skipped %s: %s", part, error)
                self.skipped.append(f"{part}: {error}")

    def _read_part(self, part: Path) -> Iterator[tuple[str, Episode]]:
        suffix = part.suffix.lower()
        if part.is_dir():
            for index, episode in enumerate(read_minari(part)):
                yield (part / episode_name(index)).as_posix(), self._fit(episode)
        elif suffix == ".jsonl":
            yield part.with_suffix("").as_posix(), self._fit(read_vpt(part))
        elif suffix in VIDEOS:
            fit = _fitter(self._size)
            frames = np.stack([fit(frame) for frame in read_video(part)])
            yield part.as_posix(), _plain_episode(part, frames, EpisodeSource(fps=video_info(part).fps))
        elif suffix in IMAGES:
            with Image.open(part) as image:
                frame = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
            yield part.as_posix(), _plain_episode(part, _fitter(self._size)(frame)[None], EpisodeSource())
        else:
            raise ValueError(f"expected an ending among {sorted(VIDEOS | IMAGES | {'.jsonl'})}, got {part.suffix!r}")

    def _fit(self, episode: Episode) -> Episode:
        if episode.frames.shape[1:3] != self._size:
            fit = _fitter(self._size)
            episode.frames = np.stack([fit(frame) for frame in episode.frames])
        return episode


def read_source(path: str | os.PathLike[str], *, size: tuple[int, int] | None) -> SourceReader:
    """Iterates over everything in a folder that can be trained on, subfolders included, in the order of names.

    Read are recordings (VPT's layout or Minari, with their actions), and all other videos and images. Those have no
    actions: `None` for each. A text file of the same name beside one, `name.txt`, is its caption. An image is an
    episode of one frame. Hidden folders are left out. Damaged files are passed over with a warning in the log, and
    listed in `skipped`; of a damaged Minari dataset, the rest.

    Args:
        path: A folder, or one file.
        size: Height and width of all frames: the middle is cropped to their ratio and resized. `None` keeps sizes, but
            crops height and width down to multiples of 8.

    Returns:
        An iterator of keys, the path of each episode as seen from here, and episodes.

    Raises:
        FileNotFoundError: If there is nothing to read.
        ValueError: If `size` is no two positive integers, or the folder is an episode store already.
    """
    if size is not None and (len(size) != 2 or any(side != int(side) or side < 1 for side in size)):
        raise ValueError(f"size: expected height and width, two positive integers, got {size!r}")
    return SourceReader(Path(path), size)


def fit_frame(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a frame cropped around its middle to the ratio of a size, and resized to it.

    Args:
        frame: uint8 (H, W, 3).
        size: Height and width wanted. Shrinking takes the mean of the area under each pixel.

    Returns:
        uint8 (*size, 3).
    """
    height, width = frame.shape[:2]
    if (height, width) == tuple(size):
        return frame
    scale = max(size[0] / height, size[1] / width)
    crop_height, crop_width = size[0] / scale, size[1] / scale
    top, left = (height - crop_height) / 2, (width - crop_width) / 2
    kind = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    box = (left, top, left + crop_width, top + crop_height)
    return np.asarray(Image.fromarray(frame).resize((size[1], size[0]), kind, box=box))


def crop_frame(frame: np.ndarray) -> np.ndarray:
    """Returns the middle of a frame, height and width cropped down to multiples of 8.

    Raises:
        ValueError: If a side is below 8.
    """
    height, width = (side // SIZE_STEP * SIZE_STEP for side in frame.shape[:2])
    if 0 in (height, width):
        raise ValueError(f"expected frames of at least {SIZE_STEP} x {SIZE_STEP} pixels, got {frame.shape[:2]}")
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return frame[top : top + height, left : left + width]


def _fitter(size: tuple[int, int] | None) -> Callable[[np.ndarray], np.ndarray]:
    return crop_frame if size is None else lambda frame: fit_frame(frame, size)


def _plain_episode(path: Path, frames: np.ndarray, source: EpisodeSource) -> Episode:
    """Returns an episode without actions."""
    sidecar = path.with_suffix(".txt")
    caption = " ".join(sidecar.read_text(encoding="utf-8").split()) if sidecar.is_file() else ""
    return Episode(
        frames=frames,
        actions=[None] * (len(frames) - 1),
        rewards=np.zeros(len(frames) - 1),
        terminated=False,
        truncated=True,
        infos=[{"caption": caption} if caption else {}] * len(frames),
        source=source,
    )


def _parts(folder: Path) -> Iterator[Path]:
    """Yields what is to be read: lines files of recorded episodes, folders of Minari datasets, videos and images."""
    if (folder / MANIFEST).exists() and (folder / EPISODES).exists():
        raise ValueError(
            f"path: expected recordings, videos or images, got an episode store, {folder}; use it as it is"
        )
    if (folder / "main_data.hdf5").exists():
        yield folder
        return
    recorded = vpt_episode_paths(folder)
    own = (folder / RECORDING).exists()
    if not own:  # lines of something else may lie beside videos
        recorded = [path for path in recorded if path.with_suffix(".mp4").exists()]
    yield from recorded
    taken = {path.with_suffix(".mp4") for path in recorded}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _parts(path)
        # In a recording, a video without lines is half an episode.
        elif not own and path not in taken and path.suffix.lower() in VIDEOS | IMAGES:
            yield path
