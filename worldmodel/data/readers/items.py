"""What can be read: one item for each recording that was found, and how it is to be read."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worldmodel.data.episodes import Episode, chunk_key
from worldmodel.data.readers.fitting import Fit, fitter
from worldmodel.data.readers.track import Track, read_track


@dataclass(kw_only=True, slots=True)
class ReadOptions:
    """How recordings are read; `worldmodel.data.read_source` explains it.

    Attributes:
        size: Height and width of frames; `None` keeps sizes, cropped to multiples of 8.
        chunk_frames: Most frames in an episode; `None` for no limit.
        shard: `(index, count)`: this reader's share, and how many share.
        vpt_compat: Whether VPT files are read as VPT's published loader reads them.
    """

    size: tuple[int, int] | None = None
    chunk_frames: int | None = None
    shard: tuple[int, int] = (0, 1)
    vpt_compat: bool = False

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ValueError: If one is out of its range.
        """
        size, chunk, shard = self.size, self.chunk_frames, self.shard
        if size is not None and (len(size) != 2 or any(side != int(side) or side < 1 for side in size)):
            raise ValueError(f"size: expected height and width, two positive integers, got {size!r}")
        if chunk is not None and (chunk != int(chunk) or chunk < 2):
            raise ValueError(f"chunk_frames: expected an integer from 2 on, or None for no limit, got {chunk!r}")
        if len(shard) != 2 or any(part != int(part) for part in shard) or not 0 <= shard[0] < shard[1]:
            raise ValueError(f"shard: expected (index, count) with 0 <= index < count, got {shard!r}")

    @property
    def fit(self) -> Fit:
        """What brings a frame to size."""
        return fitter(self.size)


@dataclass(kw_only=True, slots=True)
class SourceItem:
    """A recording, or a data set of many in one file, that was found but not yet read.

    Attributes:
        path: What a message calls it.
        key: Name of its episodes; chunks and the episodes of a data set have names that start with it.
        files: The files it consists of, which are nothing else then.
        read: Yields keys and episodes. Raises one of `DAMAGE` where it is damaged.
        divisible: Whether `read` itself takes no more than its share of it, `ReadOptions.shard`.
    """

    path: Path
    key: str
    files: frozenset[Path]
    read: Callable[[ReadOptions], Iterator[tuple[str, Episode]]]
    divisible: bool = False


def track_item(path: Path, key: Path, files: Iterable[Path], open_track: Callable[[ReadOptions], Track]) -> SourceItem:
    """Returns the item of one recording.

    Args:
        path: What a message calls it.
        key: Its name, a path.
        files: What it consists of.
        open_track: Opens it when its turn comes.
    """
    name = key.as_posix()

    def read(options: ReadOptions) -> Iterator[tuple[str, Episode]]:
        episodes = read_track(
            open_track(options), fit=options.fit, chunk_frames=options.chunk_frames, size=options.size
        )
        for index, episode in enumerate(episodes):
            yield chunk_key(name, index), episode

    return SourceItem(path=path, key=name, files=frozenset(files), read=read)
