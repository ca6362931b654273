"""Training data as it lies on disk, whatever it is: recordings with actions, and plain videos and images without.

```python
from worldmodel.data import EpisodeStoreWriter, read_source

source = read_source("runs/record", size=(64, 64), chunk_frames=1000)
with EpisodeStoreWriter("store", codec=codec, fps=20) as store:
    for key, episode in source:
        store.append(episode, key)
skipped = source.skipped  # paths of damaged files
```
"""

import logging
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from PIL import Image

from worldmodel.data.episodes import Episode, chunk_key, episode_name
from worldmodel.data.minari import read_minari
from worldmodel.data.readers.gamefactory import find_gamefactory
from worldmodel.data.readers.items import ReadOptions, SourceItem
from worldmodel.data.readers.lerobot import find_lerobot, is_lerobot
from worldmodel.data.readers.minerl import find_minerl
from worldmodel.data.readers.plain import IMAGES, VIDEOS, plain_item
from worldmodel.data.readers.teco import find_teco
from worldmodel.data.readers.track import cut_episode
from worldmodel.data.readers.vpt import find_vpt
from worldmodel.data.recording import MANIFEST as RECORDING
from worldmodel.data.store_files import EPISODES, MANIFEST

DAMAGE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What a damaged file makes the readers raise; Pillow raises SyntaxError for some."""

_MINARI = "main_data.hdf5"

_log = logging.getLogger(__name__)


class SourceReader(Iterator[tuple[str, Episode]]):
    """Iterates over the episodes of a source, one in memory at a time; `read_source` makes it.

    Attributes:
        items: What was found, this reader's share of it, in the order in which it is read.
        skipped: One message for each damaged file that was passed over so far.
    """

    def __init__(self, path: Path, options: ReadOptions) -> None:
        """Looks for files; reads none yet. See `read_source`."""
        self.skipped: list[str] = []
        self._options = options
        found = _items_of_file(path) if path.is_file() else list(_items(path)) if path.is_dir() else []
        if not found:
            raise FileNotFoundError(
                f"path: expected recorded episodes, videos or images, found none at {path}; look at the name"
            )
        index, num_shards = options.shard
        number = count()
        self.items = [item for item in found if item.divisible or next(number) % num_shards == index]
        self._episodes = _episodes(self.items, options, self.skipped)

    def __next__(self) -> tuple[str, Episode]:
        """Returns the next key and episode."""
        return next(self._episodes)

    def read(self, item: SourceItem) -> Iterator[tuple[str, Episode]]:
        """Yields keys and episodes of one of `items`, for those who want to know which of them are damaged.

        Raises:
            OSError, ValueError: One of `DAMAGE`, at the damaged place.
            ImportError: If it needs an extra; the message says which.
        """
        return item.read(self._options)


def _episodes(items: list[SourceItem], options: ReadOptions, skipped: list[str]) -> Iterator[tuple[str, Episode]]:
    # Not a method: a generator that knows its owner keeps the decoder running when both are forgotten.
    for item in items:
        try:
            yield from item.read(options)
        except DAMAGE as error:
            _log.warning("skipped %s: %s", item.path, error)
            skipped.append(f"{item.path}: {error}")


def read_source(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None,
    chunk_frames: int | None = None,
    shard: tuple[int, int] = (0, 1),
    vpt_compat: bool = False,
) -> SourceReader:
    """Iterates over everything in a folder that can be trained on, subfolders included, in the order of names.

    Read are recordings with their actions, in the layouts of VPT, MineRL 0.4, TECO, WorldMem, GameFactory, LeRobot and
    Minari, and all other videos and images. Those have no actions: `None` for each. A text file of the same name
    beside one, `name.txt`, is its caption. An image is an episode of one frame. Hidden folders are left out.

    Damaged files are passed over with a warning in the log, and listed in `skipped`; of a damaged Minari dataset, the
    rest. Chunks that were read before the damage showed have been given by then.

    Args:
        path: A folder, or one file.
        size: Height and width of all frames: the middle is cropped to their ratio and resized, while it is read.
            `None` keeps sizes, but crops height and width down to multiples of 8.
        chunk_frames: Most frames in an episode, at least 2. A longer recording becomes several episodes, each of which
            starts with the last frame of the one before; no more than one of them is in memory. (Of a Minari dataset,
            the whole episode is.) `None` makes one episode of each recording, however long.
        shard: `(index, count)`: which share of the recordings is read, for `count` workers that each read another.
        vpt_compat: Whether actions of VPT files are those that VPT's published loader gives, with turns in whole
            degrees and without frames in which nothing was pressed; see `readers/vpt.py`.

    Returns:
        An iterator of keys, the path of each episode as seen from here, and episodes. Chunks after the first have
        `#000001` and so on at the end of their keys.

    Raises:
        FileNotFoundError: If there is nothing to read.
        ValueError: If an argument is out of its range, or the folder is an episode store already.
    """
    options = ReadOptions(size=size, chunk_frames=chunk_frames, shard=shard, vpt_compat=vpt_compat)
    return SourceReader(Path(path), options)


def _items_of_file(path: Path) -> list[SourceItem]:
    """Returns the recording that a file belongs to, or the file alone."""
    for item in _recordings(path.parent, own=False):
        if path in item.files:
            return [item]
    return [plain_item(path)]


def _recordings(folder: Path, *, own: bool) -> Iterator[SourceItem]:
    """Yields the recordings that lie in a folder itself; a file belongs to the first that claims it."""
    taken: set[Path] = set()
    for item in (*find_vpt(folder, own=own), *find_minerl(folder), *find_teco(folder), *find_gamefactory(folder)):
        if taken.isdisjoint(item.files):
            taken |= item.files
            yield item


def _items(folder: Path) -> Iterator[SourceItem]:
    """Yields what is to be read."""
    if (folder / MANIFEST).exists() and (folder / EPISODES).exists():
        raise ValueError(
            f"path: expected recordings, videos or images, got an episode store, {folder}; use it as it is"
        )
    if (folder / _MINARI).exists():
        yield _minari_item(folder)
        return
    if is_lerobot(folder):
        yield from find_lerobot(folder)
        return
    own = (folder / RECORDING).exists()
    recordings = list(_recordings(folder, own=own))
    yield from recordings
    taken = {path for item in recordings for path in item.files}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _items(path)
        # In a recording of our own, a video without lines is half an episode.
        elif not own and path not in taken and path.suffix.lower() in VIDEOS | IMAGES:
            yield plain_item(path)


def _minari_item(folder: Path) -> SourceItem:
    def read(options: ReadOptions) -> Iterator[tuple[str, Episode]]:
        first, step = options.shard
        for number, episode in enumerate(read_minari(folder, first=first, step=step)):
            name = (folder / episode_name(first + number * step)).as_posix()
            for index, chunk in enumerate(cut_episode(episode, fit=options.fit, chunk_frames=options.chunk_frames)):
                yield chunk_key(name, index), chunk

    return SourceItem(path=folder, key=folder.as_posix(), files=frozenset(), read=read, divisible=True)
