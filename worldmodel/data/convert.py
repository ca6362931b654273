"""Recordings of any layout, written again in one of ours.

A recording is read in short chunks and written while it is read, so that its length does not matter (with
`Format.minari`, which stores episodes whole, one is in memory). It is in the folder whole or not at all, and one that
is there is not converted again.
"""

import dataclasses
import itertools
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from worldmodel.data.episodes import Episode, EpisodeWriter, recording_key
from worldmodel.data.files import read_json, remove_partial_files, write_json
from worldmodel.data.minari import MinariWriter, append_minari, minari_num_episodes, read_minari
from worldmodel.data.minecraft import action_space
from worldmodel.data.readers.items import SourceItem
from worldmodel.data.recording import Format
from worldmodel.data.sources import DAMAGE, SourceReader
from worldmodel.data.vpt import VptWriter

DATASET_ID = "converted-v0"
"""Minari's name of the data set that is written."""

_NAMES, _STAGING = "converted.json", ".episodes"


@dataclass(kw_only=True, slots=True)
class Labelling:
    """What gives actions to videos that have none.

    Attributes:
        read: Returns F - 1 actions of uint8 frames (F, H, W, 3).
        space: What they are members of.
        fps: Frames per second of the videos that it can read.
    """

    read: Callable[[np.ndarray], list[Any]]
    space: gymnasium.Space
    fps: float


@dataclass(kw_only=True, slots=True)
class Conversion:
    """What came of a conversion so far.

    Attributes:
        converted: Number of recordings written.
        kept: Number of recordings that were there already.
        num_frames: Number of frames written.
        labelled: Number of those written whose actions were read from their frames.
        skipped: One message for each recording that could not be read or written.
    """

    converted: int = 0
    kept: int = 0
    num_frames: int = 0
    labelled: int = 0
    skipped: list[str] = field(default_factory=list)


class Converter:
    """Writes the recordings of a source into a folder."""

    def __init__(
        self,
        source: SourceReader,
        root: Path,
        folder: Path,
        format: Format,
        *,
        lossless: bool,
        labelling: Labelling | None = None,
    ) -> None:
        """Makes the folder, or goes on with the one there, and removes what a killed conversion left behind.

        Args:
            source: What to convert.
            root: What `source` reads: names are those of the recordings as seen from there.
            folder: Where to; one process at a time may convert into it.
            format: How recordings are stored.
            lossless: Whether VPT's videos are exact. Minari's frames always are.
            labelling: Gives actions to videos that have none; `None` to pass over those.
        """
        self.folder, self._labelling = folder, labelling
        self._source, self._root, self._format, self._lossless = source, root, format, lossless
        self._staging = folder / _STAGING
        self._taken: set[str] = set()
        self._env: _StandIn | None = None
        folder.mkdir(parents=True, exist_ok=True)
        remove_partial_files(folder)
        if format is Format.minari:
            self._staging.mkdir(exist_ok=True)
            remove_partial_files(self._staging)

    @property
    def path(self) -> Path:
        """Where the recordings are: the folder, or that of the Minari dataset in it."""
        return self.folder if self._format is Format.vpt else self.folder / DATASET_ID / "data"

    def run(self, *, progress: Callable[[str, int], None], should_stop: Callable[[], bool]) -> Conversion:
        """Converts what is missing.

        Args:
            progress: Called with the name of a recording and the number of frames that were just written.
            should_stop: Asked after every chunk; the recording at hand is then given up.

        Raises:
            ImportError: If an extra is missing; the message says which.
            OSError: If the folder cannot be written to.
        """
        result = Conversion()
        for item in self._source.items:
            try:
                self._convert(item, result, progress, should_stop)
            except (_UnreadableError, ValueError, TypeError) as error:
                result.skipped.append(f"{item.path}: {error}")
            if should_stop():
                break
        if self._format is Format.minari:
            self._join()
        return result

    def _convert(
        self,
        item: SourceItem,
        result: Conversion,
        progress: Callable[[str, int], None],
        should_stop: Callable[[], bool],
    ) -> None:
        if not item.divisible and self._is_there(name := self._name(item.key)):
            self._taken.add(name)
            result.kept += 1
            return
        # Chunks of a recording come one after another and have its key.
        for key, chunks in itertools.groupby(self._read(item), lambda part: recording_key(part[0])):
            name = self._name(key)
            self._taken.add(name)
            if self._is_there(name):
                result.kept += 1
                continue
            rest = (chunk for _, chunk in chunks)
            first = next(rest)
            unlabelled = self._labelling is not None and len(first) > 0 and first.actions[0] is None
            parts: Iterator[Episode] = itertools.chain([first], rest)
            if unlabelled:
                parts = map(self._labelled, parts)
            num_frames = self._write(name, parts, progress, should_stop)
            if num_frames == 0:
                return
            result.converted += 1
            result.labelled += unlabelled
            result.num_frames += num_frames

    def _read(self, item: SourceItem) -> Iterator[tuple[str, Episode]]:
        try:
            yield from self._source.read(item)
        except DAMAGE as error:  # told apart from errors of writing, such as a full disk
            raise _UnreadableError(str(error)) from error

    def _labelled(self, chunk: Episode) -> Episode:
        """Returns a chunk of a video with actions that were read from its frames."""
        assert self._labelling is not None
        if abs(chunk.source.fps / self._labelling.fps - 1) > 0.02:
            raise ValueError(
                f"expected a video of {self._labelling.fps:g} frames per second, as the model's ticks, got "
                f"{chunk.source.fps:g}; convert it first, with ffmpeg -i VIDEO -r {self._labelling.fps:g} OUTPUT"
            )
        return dataclasses.replace(chunk, actions=self._labelling.read(chunk.frames))

    def _write(
        self,
        name: str,
        chunks: Iterator[Episode],
        progress: Callable[[str, int], None],
        should_stop: Callable[[], bool],
    ) -> int:
        """Writes a recording; returns the number of its frames, 0 if it was given up."""
        chunk: Episode | None = next(chunks)
        assert chunk is not None
        _check_actions(chunk)
        writer = self._writer(name, chunk)
        num_frames = 1
        try:
            writer.reset(chunk.frames[0], chunk.infos[0])
            while chunk is not None:
                following = next(chunks, None)
                last = len(chunk) - 1 if following is None else -1  # where a chunk is cut, nothing ends
                for t, action in enumerate(chunk.actions):
                    ends = (chunk.terminated and t == last, chunk.truncated and t == last)
                    writer.step(action, chunk.frames[t + 1], float(chunk.rewards[t]), *ends, chunk.infos[t + 1])
                num_frames += len(chunk)
                progress(name, len(chunk))
                if should_stop():
                    return 0
                chunk = following
            writer.close()
        finally:
            writer.discard()
        return num_frames

    def _writer(self, name: str, first: Episode) -> EpisodeWriter:
        if self._format is Format.vpt:
            return VptWriter(self.folder, name, first.source, lossless=self._lossless)
        space = self._labelling.space if self._labelling else None
        new = _StandIn(first, space)
        if self._env is None:
            whole = [self.path, *self._staged()] if minari_num_episodes(self.path) else self._staged()
            self._env = _StandIn(next(read_minari(whole[0])), space) if whole else new
        for part in ("observation_space", "action_space"):
            expected, got = getattr(self._env, part), getattr(new, part)
            if expected != got:
                raise ValueError(
                    f"expected the {part} of the recordings before, {expected}, got {got}; a Minari dataset has one: "
                    "convert with height and width, or apart"
                )
        return MinariWriter(self._staging, name, first.source, self._env)

    def _staged(self) -> list[Path]:
        """Returns the Minari datasets of one recording each that are to be joined."""
        return sorted(path for path in self._staging.iterdir() if minari_num_episodes(path))

    def _name(self, key: str) -> str:
        """Returns the file name of a recording: the way to it from the root, its parts joined by "_"."""
        root = self._root if self._root.is_dir() else self._root.parent
        path = Path(key)
        parts = path.relative_to(root).parts if path.is_relative_to(root) else path.parts
        name = base = re.sub(r"\W", "_", "_".join(parts), flags=re.ASCII) or "recording"
        number = itertools.count(2)
        while name in self._taken:
            name = f"{base}_{next(number)}"
        return name

    def _is_there(self, name: str) -> bool:
        if self._format is Format.vpt:
            return (self.folder / f"{name}.jsonl").exists()
        return name in self._joined() or minari_num_episodes(self._staging / name) > 0

    def _joined(self) -> list[str]:
        """Returns the names of the recordings in the Minari dataset, in its order."""
        path = self.folder / _NAMES
        names = read_json(path)["names"] if path.exists() else []
        # They are noted before they are added: what a killed process did not come to add does not count.
        return names[: minari_num_episodes(self.path)]

    def _join(self) -> None:
        """Moves what was written one by one into one Minari dataset."""
        joined = self._joined()
        new = [path for path in self._staged() if path.name not in joined]
        if new:
            write_json(self.folder / _NAMES, {"version": 1}, lines={"names": [*joined, *(path.name for path in new)]})
            episodes = (episode for path in new for episode in read_minari(path))
            space = self._labelling.space if self._labelling else None
            env = self._env or _StandIn(next(read_minari(new[0])), space)
            append_minari(self.path, episodes, dataset_id=DATASET_ID, env=env)
        shutil.rmtree(self._staging)


class _UnreadableError(Exception):
    """A recording that is damaged."""


class _StandIn(gymnasium.Env):
    """Says to Minari what the spaces of an episode are; nobody steps it."""

    def __init__(self, episode: Episode, space: gymnasium.Space | None) -> None:
        self.metadata = {"render_modes": [], "render_fps": float(episode.source.fps)}
        self.observation_space = gymnasium.spaces.Box(0, 255, episode.frames.shape[1:], np.uint8)
        action = episode.actions[0]
        if space is not None:
            self.action_space: gymnasium.Space[Any] = space
        elif isinstance(action, Mapping):
            self.action_space = action_space()
        elif isinstance(action, np.ndarray) and action.dtype.kind == "f":
            self.action_space = gymnasium.spaces.Box(-np.inf, np.inf, action.shape, np.float32)
        else:
            raise ValueError(
                f"expected actions that are dictionaries of keys or arrays of floats, got {action!r:.80}; of other "
                "spaces nobody told the bounds: record them with format=minari"
            )


def _check_actions(episode: Episode) -> None:
    if not episode.actions:
        raise ValueError("expected at least one action, got a single frame; leave it out")
    if any(action is None for action in episode.actions):
        raise ValueError(
            "expected a recording with actions, got a video or picture without; name a checkpoint that reads them, or "
            "train on it as it is"
        )
