"""The episode store: training data of any source, prepared as flat arrays that are mapped into memory.

```
store/
  manifest.json        version, action space, frames per second, share held out
  episodes.jsonl       one line for each whole episode, `EpisodeRecord`
  captions.jsonl       one caption a line, each once; number 0 is ""
  64x64/               one folder for each frame size, HxW: raw arrays, rows of all its episodes on end
    frames.u8  actions.f16  rewards.f32  caption_ids.i32
```

Alignment: row `t` of an episode holds frame `t` and the action and reward that LED TO it, so the first row has neither
and is zeros. (`Episode` counts the other way: its action `t` leads to frame `t + 1`.)

An episode is whole exactly if its line in `episodes.jsonl` is. Arrays are written first; what a killed process left
behind them is ignored by readers and cut off by the next writer.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.episodes import Episode
from worldmodel.data.files import PARTIAL_SUFFIX, remove_partial_files, write_json
from worldmodel.data.splits import held_out, world_key
from worldmodel.data.store_files import (
    CAPTIONS,
    EPISODES,
    MANIFEST,
    VERSION,
    EpisodeRecord,
    columns,
    cut_to,
    json_lines,
    map_rows,
    read_json_lines,
    read_manifest,
    read_records,
    row_bytes,
    write_at,
)

CAPTION_PERIOD_FRAMES = 40
"""Short and long captions take turns, this many frames each."""


@dataclass(kw_only=True, slots=True)
class Bucket:
    """All episodes of one frame size, `N` frames together. The arrays are mapped from files and read-only.

    Attributes:
        height: Height of a frame in pixels.
        width: Width of a frame in pixels.
        frames: uint8 (N, H, W, 3), RGB.
        actions: float16 (N, A), encoded: row `t` led to frame `t`; zeros in the first row of an episode, and in all
            rows of one without actions. A is the width of the store's codec, 0 without one.
        rewards: float32 (N,): what came with frame `t`, 0 for the first.
        caption_ids: int32 (N,): indices into the store's captions.
        episodes: Their places, in order.
    """

    height: int
    width: int
    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    caption_ids: np.ndarray
    episodes: list[EpisodeRecord]


class EpisodeStore:
    """A store, opened for reading: the episodes that are whole now.

    Attributes:
        folder: Where it lies.
        codec: What encoded the actions; `None` if no episode has any.
        fps: Frames per second.
        captions: Each caption once; the first is "".
        buckets: By frame size, `"HxW"`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Opens a store.

        Args:
            folder: A folder that `EpisodeStoreWriter` made.

        Raises:
            FileNotFoundError: If there is no store, or one of its files is missing.
            ValueError: If it is damaged, or of a later version.
        """
        self.folder = Path(folder)
        manifest = read_manifest(self.folder)
        space = manifest["action_space"]
        self.codec: ActionCodec | None = None if space is None else ActionCodec.from_json(space)
        self.fps: float = manifest["fps"]
        records, _ = read_records(self.folder)  # before the captions, which a writer adds first
        self.captions: list[str] = read_json_lines(self.folder / CAPTIONS)[0]
        self.buckets: dict[str, Bucket] = {}
        width = _width(self.codec)
        for name in sorted({record.bucket for record in records}):
            self.buckets[name] = _open_bucket(self.folder, [r for r in records if r.bucket == name], width)

    def num_frames(self, held_out: bool) -> int:
        """Returns the number of frames that are held out, or that are not."""
        episodes = (episode for bucket in self.buckets.values() for episode in bucket.episodes)
        return sum(episode.num_frames for episode in episodes if episode.held_out == held_out)

    def __reduce__(self) -> tuple[type["EpisodeStore"], tuple[Path]]:
        """Pickles as the folder: a worker process opens the store again, instead of getting a copy of the data."""
        return EpisodeStore, (self.folder,)


class EpisodeStoreWriter:
    """Makes a store, or adds to one. One at a time may write to a folder; others may read meanwhile."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        codec: ActionCodec | None,
        fps: float,
        held_out_percent: float = 5.0,
    ) -> None:
        """Makes the store, or goes on with the one in the folder after cutting off what a killed process left.

        Args:
            folder: Made if missing. If it holds a store, that one must have the same codec, `fps` and
                `held_out_percent`.
            codec: Encodes actions; `None` if no episode has any.
            fps: Frames per second.
            held_out_percent: Share of worlds that are held out for testing, see `splits.held_out`.

        Raises:
            ValueError: If the folder holds another store or something else, if the store is damaged, or if a number is
                out of its range.
        """
        if not (np.isfinite(fps) and fps > 0):
            raise ValueError(f"fps: expected a positive number of frames per second, got {fps!r}")
        held_out("", held_out_percent)  # checks the range
        self.folder = Path(folder)
        self._codec, self._percent = codec, float(held_out_percent)
        manifest = {
            "version": VERSION,
            "action_space": None if codec is None else json.loads(json.dumps(codec.to_json())),
            "fps": float(fps),
            "held_out_percent": self._percent,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / MANIFEST).exists():
            _check_same(self.folder, manifest)
        else:
            if any(not path.name.endswith(PARTIAL_SUFFIX) for path in self.folder.iterdir()):
                raise ValueError(
                    f"folder: expected an empty folder or an episode store, {self.folder} holds something else; choose "
                    "another folder"
                )
            write_json(self.folder / MANIFEST, manifest)
        remove_partial_files(self.folder)
        self._keys: set[str] = set()
        self._num_rows: dict[str, int] = {}
        self._caption_ids: dict[str, int] = {}
        self._num_bytes = {EPISODES: 0, CAPTIONS: 0}
        self._open = True
        self._recover()

    def has(self, key: str) -> bool:
        """Returns whether the store holds an episode of this name."""
        return key in self._keys

    def append(self, episode: Episode, key: str) -> None:
        """Adds an episode: once this returns it is there, whole. If it fails or is killed, the store is as before.

        Args:
            episode: One or more frames, any size; its actions all `None` if they are not known.
            key: Name of the episode. Where the seed of its world is unknown, it decides whether it is held out.

        Raises:
            ValueError: If the store has such a key, if frames are not uint8 (N, H, W, 3), if the numbers of frames and
                actions do not match, if there are actions and the store has no codec, or if the writer is closed.
        """
        if not self._open:
            raise ValueError("append: expected an open writer, got a closed one; make another")
        if self.has(key):
            raise ValueError(f"key: expected one that the store has not, got {key!r}; ask `has` before")
        _check_episode(episode, key)
        num_frames, height, width, _ = episode.frames.shape
        source, bucket = episode.source, f"{height}x{width}"
        has_actions = any(action is not None for action in episode.actions)
        record = EpisodeRecord(
            bucket=bucket,
            start=self._num_rows.get(bucket, 0),
            num_frames=num_frames,
            key=key,
            held_out=held_out(world_key(source, key), self._percent),
            env_id=source.env_id,
            seed=None if source.seed is None else int(source.seed),
            fps=float(source.fps),
            has_actions=has_actions,
            terminated=bool(episode.terminated),
        )
        actions = np.zeros((num_frames, _width(self._codec)), np.float16)
        if has_actions:
            actions[1:] = self._encode(episode.actions, key)
        rewards = np.zeros(num_frames, np.float32)
        rewards[1:] = episode.rewards
        arrays = {
            "frames.u8": episode.frames,
            "actions.f16": actions,
            "rewards.f32": rewards,
            "caption_ids.i32": self._number_captions(episode),
        }
        (self.folder / bucket).mkdir(exist_ok=True)
        for name, rows in arrays.items():
            path, offset = self.folder / bucket / name, record.start * row_bytes(rows.dtype.type, rows.shape[1:])
            write_at(path, offset, np.ascontiguousarray(rows).data.cast("B") if rows.size else b"")
        self._add_lines(EPISODES, [asdict(record)])
        self._num_rows[bucket] = record.start + num_frames
        self._keys.add(key)

    def close(self) -> None:
        """Closes the store. Harmless if it is closed."""
        self._open = False

    def __enter__(self) -> "EpisodeStoreWriter":
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        """Closes; whole episodes stay, whatever happened."""
        self.close()

    def _encode(self, actions: list[Any], key: str) -> np.ndarray:
        if self._codec is None:
            raise ValueError(
                f"codec: expected one, because episode {key!r} has actions, got None; give the codec of its action "
                "space, or set its actions to None"
            )
        return self._codec.encode_many(actions)

    def _number_captions(self, episode: Episode) -> np.ndarray:
        """Returns int32 (N,) caption numbers, and stores new captions."""
        captions = [_caption(info, t) for t, info in enumerate(episode.infos)]
        new = [caption for caption in dict.fromkeys(captions) if caption not in self._caption_ids]
        self._add_lines(CAPTIONS, new)  # before the episode: a caption that no episode uses does no harm
        for caption in new:
            self._caption_ids[caption] = len(self._caption_ids)
        return np.array([self._caption_ids[caption] for caption in captions], np.int32)

    def _add_lines(self, name: str, values: list[Any]) -> None:
        data = json_lines(values)
        write_at(self.folder / name, self._num_bytes[name], data)
        self._num_bytes[name] += len(data)

    def _recover(self) -> None:
        """Reads what the store holds and cuts off what is not whole."""
        for name in (EPISODES, CAPTIONS):
            (self.folder / name).touch()
        records, self._num_bytes[EPISODES] = read_records(self.folder)
        captions, self._num_bytes[CAPTIONS] = read_json_lines(self.folder / CAPTIONS)
        for name, num_bytes in self._num_bytes.items():
            cut_to(self.folder / name, num_bytes)
        if not captions:
            captions = [""]
            self._add_lines(CAPTIONS, captions)
        self._caption_ids = {caption: i for i, caption in enumerate(captions)}
        self._keys = {record.key for record in records}
        for record in records:
            self._num_rows[record.bucket] = record.start + record.num_frames
        for bucket, num_rows in self._num_rows.items():
            for name, (dtype, shape) in columns(bucket, _width(self._codec)).items():
                cut_to(self.folder / bucket / name, num_rows * row_bytes(dtype, shape))


def _width(codec: ActionCodec | None) -> int:
    return 0 if codec is None else codec.width


def _caption(info: dict[str, Any], frame: int) -> str:
    names = ("caption", "caption_long") if frame // CAPTION_PERIOD_FRAMES % 2 == 0 else ("caption_long", "caption")
    return str(info.get(names[0]) or info.get(names[1]) or "")


def _check_episode(episode: Episode, key: str) -> None:
    frames, actions = episode.frames, episode.actions
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise ValueError(f"episode {key!r}: expected frames uint8 (N, H, W, 3), got {frames.dtype} {frames.shape}")
    for name, part, number in (
        ("actions", actions, len(frames) - 1),
        ("rewards", episode.rewards, len(frames) - 1),
        ("infos", episode.infos, len(frames)),
    ):
        if len(part) != number:
            raise ValueError(f"episode {key!r}: expected {number} {name} for {len(frames)} frames, got {len(part)}")
    if len({action is None for action in actions}) == 2:
        raise ValueError(f"episode {key!r}: expected all of its actions or none, got some of them None")


def _check_same(folder: Path, manifest: dict[str, Any]) -> None:
    words = {"action_space": "codec", "fps": "fps", "held_out_percent": "held_out_percent"}
    old = read_manifest(folder)
    for name, word in words.items():
        if old[name] != manifest[name]:
            raise ValueError(
                f"{word}: expected {old[name]!r}, that of the store in {folder}, got {manifest[name]!r}; choose "
                "another folder"
            )


def _open_bucket(folder: Path, episodes: list[EpisodeRecord], action_width: int) -> Bucket:
    name, num_rows = episodes[0].bucket, episodes[-1].start + episodes[-1].num_frames
    height, width = map(int, name.split("x"))
    frames, actions, rewards, caption_ids = (
        map_rows(folder / name / file, num_rows, dtype, shape)
        for file, (dtype, shape) in columns(name, action_width).items()
    )
    return Bucket(
        height=height,
        width=width,
        frames=frames,
        actions=actions,
        rewards=rewards,
        caption_ids=caption_ids,
        episodes=episodes,
    )
