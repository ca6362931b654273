"""A folder of recorded episodes, and the note in it, `recording.json`, that says what they are.

A recording may stop at any moment and go on later: whole episodes stay, and only the missing ones are recorded. One
process at a time may record into a folder.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any

import gymnasium

from worldmodel.data.episodes import TICKS_PER_SECOND, Episode, EpisodeSource, EpisodeWriter, episode_name
from worldmodel.data.files import read_json, remove_partial_files, write_json
from worldmodel.data.minari import MinariWriter, append_minari, minari_num_episodes, read_minari
from worldmodel.data.readers.vpt import read_vpt
from worldmodel.data.vpt import VptWriter, vpt_episode_paths

MANIFEST = "recording.json"
VERSION = 1
_STAGING = ".episodes"


class Format(Enum):
    """How episodes are stored."""

    vpt = "vpt"
    """One mp4 and one jsonl file for each episode, in VPT's layout."""
    minari = "minari"
    """One Minari dataset."""


@dataclass(kw_only=True, slots=True)
class RecordingPlan:
    """What is recorded. Episode `i` starts with `reset(seed=seeds[i])`, for the environment and the player.

    Attributes:
        format: How episodes are stored.
        env_id: Gymnasium id of the environment.
        env_kwargs: Keyword arguments it is made with.
        player: Name of the player.
        player_kwargs: Keyword arguments it is made with.
        seeds: One seed for each episode.
        steps: Most steps in an episode.
        lossless: Whether frames are stored exactly. Minari's always are.
        fps: Frames per second.
    """

    format: Format
    env_id: str
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    player: str = ""
    player_kwargs: dict[str, Any] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=list)
    steps: int
    lossless: bool = False
    fps: float = TICKS_PER_SECOND


class Recording:
    """A folder that is being recorded into."""

    def __init__(self, folder: str | os.PathLike[str], plan: RecordingPlan, env: gymnasium.Env) -> None:
        """Makes the folder, or goes on with the recording in it, and removes what a killed run left behind.

        Args:
            folder: Made if missing. If it holds a recording, that one must follow the same plan; only the number of
                episodes may differ.
            plan: What to record.
            env: The environment that is played in.

        Raises:
            ValueError: If the folder holds a recording of something else.
        """
        self.folder = Path(folder)
        self.plan = plan
        self._num_asked = len(plan.seeds)
        self._env = env
        self._staging = self.folder / _STAGING
        self._dataset_id = _dataset_id(plan)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._merge_with_existing()
        write_json(self.folder / MANIFEST, {"version": VERSION, **asdict(plan), "format": plan.format.value})
        remove_partial_files(self.folder)
        if plan.format is Format.minari:
            self._staging.mkdir(exist_ok=True)

    def missing(self) -> list[int]:
        """Returns the indices of the episodes that were asked for now and are not there yet."""
        if self.plan.format is Format.vpt:
            whole = {path.stem for path in vpt_episode_paths(self.folder)}
            return [i for i in range(self._num_asked) if episode_name(i) not in whole]
        candidates = range(minari_num_episodes(self.path), self._num_asked)
        return [i for i in candidates if not minari_num_episodes(self._staging / episode_name(i))]

    def writer(self, index: int) -> EpisodeWriter:
        """Returns the writer of an episode."""
        plan = self.plan
        source = EpisodeSource(env_id=plan.env_id, env_kwargs=plan.env_kwargs, seed=plan.seeds[index], fps=plan.fps)
        if plan.format is Format.vpt:
            return VptWriter(self.folder, episode_name(index), source, lossless=plan.lossless)
        return MinariWriter(self._staging, episode_name(index), source, self._env)

    def finish(self) -> None:
        """Joins what was recorded, if the format stores all episodes together."""
        if self.plan.format is Format.vpt:
            return
        first = minari_num_episodes(self.path)
        staged = sorted(path for path in self._staging.iterdir() if minari_num_episodes(path))
        new = [path for path in staged if path.name >= episode_name(first)]
        if new:
            episodes = (episode for path in new for episode in read_minari(path))
            append_minari(self.path, episodes, dataset_id=self._dataset_id, env=self._env)
        shutil.rmtree(self._staging)

    @property
    def path(self) -> Path:
        """Where the episodes are: the folder, or that of the Minari dataset in it."""
        return self.folder if self.plan.format is Format.vpt else self.folder / self._dataset_id / "data"

    def _merge_with_existing(self) -> None:
        manifest = self.folder / MANIFEST
        if not manifest.exists():
            return
        old = read_manifest(self.folder)
        for part in fields(RecordingPlan):
            was, now = getattr(old, part.name), getattr(self.plan, part.name)
            if part.name == "seeds":
                common = min(len(was), len(now))
                was, now = was[:common], now[:common]
            if was != now:
                raise ValueError(
                    f"output: expected a recording with {part.name} {now!r} in {self.folder}, it has {was!r}; "
                    "choose another folder"
                )
        self.plan.seeds = max(old.seeds, self.plan.seeds, key=len)


def read_manifest(folder: str | os.PathLike[str]) -> RecordingPlan:
    """Reads what a folder of episodes holds.

    Raises:
        FileNotFoundError: If there is no `recording.json`.
        ValueError: If it is damaged, or of a later version.
    """
    path = Path(folder) / MANIFEST
    values = read_json(path)
    try:
        version = values.pop("version")
        if version != VERSION:
            raise ValueError(f"{path}: expected version {VERSION}, got {version}; update worldmodel")
        return RecordingPlan(**values | {"format": Format(values["format"])})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected a recording's manifest, got something else ({error})") from None


def read_episodes(folder: str | os.PathLike[str]) -> Iterator[Episode]:
    """Iterates over the whole episodes of a folder, in order, one in memory at a time.

    Args:
        folder: A recording of either format; or a folder of VPT files, or of a Minari dataset, from elsewhere.

    Yields:
        Episodes.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If an episode is damaged; the message names the file.
    """
    folder = Path(folder)
    if paths := vpt_episode_paths(folder):
        return (read_vpt(path) for path in paths)
    for data in sorted({*folder.glob("main_data.hdf5"), *folder.glob("*/data/main_data.hdf5")}):
        return read_minari(data.parent)
    raise FileNotFoundError(
        f"{folder}: expected episodes (*.jsonl, or a Minari dataset), found none; look at the name, or record again if "
        "the recording did not come to its end"
    )


def _dataset_id(plan: RecordingPlan) -> str:
    """Returns Minari's name for a recording, such as `"voxeltreechop-lumberjack-v0"`."""
    environment = re.sub(r"-v\d+$", "", plan.env_id.split("/")[-1])
    return re.sub(r"[^\w-]", "_", f"{environment}-{plan.player}".lower().rstrip("-")) + "-v0"
