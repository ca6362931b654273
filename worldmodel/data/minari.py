"""Episodes as a Minari dataset (Farama's format for offline reinforcement learning), HDF5, frames stored exactly.

Minari's own `infos` must have the same structure at every step, which events have not. They are stored as two columns
of text: `json`, the whole info, and `caption`. Source: Minari 0.5, `minari/dataset/minari_storage.py`.
"""

import importlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from worldmodel.data.episodes import TICKS_PER_SECOND, Episode, EpisodeSource, EpisodeWriter, plain
from worldmodel.data.files import partial_path, read_json, remove_partial_files

_DATA, _METADATA = "main_data.hdf5", "metadata.json"


def minari_num_episodes(path: Path) -> int:
    """Returns the number of episodes of a dataset folder, 0 if it does not exist yet."""
    metadata = path / _METADATA
    return int(read_json(metadata)["total_episodes"]) if metadata.exists() else 0


def append_minari(path: Path, episodes: Iterable[Episode], *, dataset_id: str, env: gymnasium.Env) -> int:
    """Appends episodes to a Minari dataset, which is made if it does not exist yet.

    The dataset is copied, extended and put in the place of the old one: a killed process leaves the old one.

    Args:
        path: The folder with Minari's `main_data.hdf5`. Minari finds it by name if it is
            `$MINARI_DATASETS_PATH/<dataset_id>/data`.
        episodes: Taken one by one, so that only one is in memory.
        dataset_id: Minari's name, such as `"voxel-explorer-v0"`; must end in `-v` and a number.
        env: The environment that the episodes come from; its spaces and its spec are stored.

    Returns:
        The number of episodes now in the dataset.

    Raises:
        ImportError: If Minari is not installed; the message says how to install it.
        ValueError: If an episode is empty.
    """
    storages = _minari("minari.dataset.minari_storage").MinariStorage
    buffer = _minari("minari.data_collector").EpisodeBuffer
    num_whole = minari_num_episodes(path)
    path = path.resolve()  # Minari 0.5 cannot measure the size of a relative one
    path.mkdir(parents=True, exist_ok=True)
    remove_partial_files(path)
    copy = partial_path(path / "copy")
    copy.mkdir()
    if num_whole:
        for name in (_DATA, _METADATA):
            shutil.copy(path / name, copy)
        _remove_episodes_from(copy / _DATA, num_whole)
        storage = storages.read(copy)
    else:
        storage = storages.new(copy, env.observation_space, env.action_space, env.unwrapped.spec, jpeg_encoding=False)
        version = _minari("minari").__version__
        fps = float(env.metadata.get("render_fps", TICKS_PER_SECOND))
        storage.update_metadata({"dataset_id": dataset_id, "minari_version": version, "fps": fps})
    for episode in episodes:
        storage.update_episodes([buffer(seed=episode.source.seed, **_columns(episode))])
    # The count is in the metadata: replaced last, it makes the new episodes count.
    os.replace(copy / _DATA, path / _DATA)
    os.replace(copy / _METADATA, path / _METADATA)
    shutil.rmtree(copy)
    return minari_num_episodes(path)


def read_minari(path: str | os.PathLike[str], *, first: int = 0, step: int = 1) -> Iterator[Episode]:
    """Iterates over the episodes of a Minari dataset of image observations, ours or another's.

    Args:
        path: The folder with Minari's `main_data.hdf5`.
        first: The episode to begin with.
        step: 1 for all episodes from there on, 2 for every second, and so on.

    Yields:
        One episode at a time. Foreign datasets have no infos: theirs are empty.

    Raises:
        ImportError: If Minari is not installed; the message says how to install it.
        FileNotFoundError: If there is no dataset.
        ValueError: If it is damaged, or observations are no images.
    """
    path = Path(path)
    for name in (_DATA, _METADATA):
        if not (path / name).is_file():
            raise FileNotFoundError(f"{path / name}: expected a Minari dataset, found no such file; look at the name")
    storage = _minari("minari.dataset.minari_storage").MinariStorage.read(path)
    space = storage.observation_space
    if not (isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 3 and space.dtype == np.uint8):
        raise ValueError(f"{path}: expected observations that are uint8 (H, W, 3) images, got {space}")
    metadata = storage.metadata
    spec = EnvSpec.from_json(metadata["env_spec"]) if "env_spec" in metadata else None
    for index in range(first, storage.total_episodes, step):
        try:
            (data,) = storage.get_episodes([index])
            (attributes,) = storage.get_episode_metadata([index])
        except (OSError, KeyError, RuntimeError) as error:
            raise ValueError(f"{path / _DATA}: expected episode {index}, could not read it: {error}") from None
        source = EpisodeSource(
            env_id=spec.id if spec else "",
            env_kwargs=_env_kwargs(spec) if spec else {},
            seed=attributes.get("seed"),
            fps=metadata.get("fps", TICKS_PER_SECOND),
        )
        yield _episode(data, source)


def minari_action_space(path: str | os.PathLike[str]) -> gymnasium.Space:
    """Returns the action space of a Minari dataset.

    Args:
        path: The folder with Minari's `main_data.hdf5`.

    Raises:
        ImportError: If Minari is not installed; the message says how to install it.
        FileNotFoundError: If there is no dataset.
        ValueError: If it is damaged.
    """
    metadata = read_json(Path(path) / _METADATA)
    _minari("minari.dataset.minari_storage")  # first: the module below imports it, and needs it whole
    return _minari("minari.serialization").deserialize_space(metadata["action_space"])


class MinariWriter(EpisodeWriter):
    """Collects one episode in memory and stores it as a Minari dataset of that one episode.

    Appending to one large HDF5 file while playing would put the whole file at risk. A recording stores each episode on
    its own and joins them at the end with `append_minari`.
    """

    def __init__(self, folder: Path, name: str, source: EpisodeSource, env: gymnasium.Env) -> None:
        """Starts `<folder>/<name>`, a dataset folder that appears at `close`.

        Args:
            folder: Existing folder.
            name: Name of the dataset folder.
            source: Where the episode comes from.
            env: The environment it is played in.

        Raises:
            ImportError: If Minari is not installed; the message says how to install it.
        """
        _minari("minari")
        self._path = folder / name
        self._env = env
        self._source = source
        self._frames: list[np.ndarray] = []
        self._infos: list[dict[str, Any]] = []
        self._actions: list[Any] = []
        self._rewards: list[float] = []
        self._ends = (False, False)

    def reset(self, frame: np.ndarray, info: Mapping[str, Any]) -> None:  # noqa: D102 - inherited
        self._frames.append(frame.copy())
        self._infos.append(plain(info, "info"))

    def step(  # noqa: D102 - inherited
        self,
        action: Any,
        frame: np.ndarray,
        reward: float,
        terminated: bool,
        truncated: bool,
        info: Mapping[str, Any],
    ) -> None:
        if not self._frames:
            raise RuntimeError("step: expected reset first; call reset once, then step")
        self.reset(frame, info)
        self._actions.append(_full_action(action, self._env.action_space))
        self._rewards.append(float(reward))
        self._ends = (bool(terminated), bool(truncated))

    def close(self) -> None:  # noqa: D102 - inherited
        if not self._actions:
            raise ValueError(f"{self._path}: expected at least one step, got none; step before closing")
        episode = Episode(
            frames=np.stack(self._frames),
            actions=self._actions,
            rewards=np.array(self._rewards, np.float64),
            terminated=self._ends[0],
            truncated=self._ends[1],
            infos=self._infos,
            source=self._source,
        )
        append_minari(self._path, [episode], dataset_id="episode-v0", env=self._env)

    def discard(self) -> None:  # noqa: D102 - inherited
        self._frames.clear()
        self._actions.clear()


def _columns(episode: Episode) -> dict[str, Any]:
    """Returns an episode in Minari's words: one column for each thing, and for each key of an action dictionary."""
    if len(episode) == 0:
        raise ValueError("episodes: expected at least one action in each, got an empty episode; leave it out")
    first = episode.actions[0]
    if isinstance(first, Mapping):
        actions: Any = {key: np.stack([np.asarray(action[key]) for action in episode.actions]) for key in first}
    else:
        actions = np.stack([np.asarray(action) for action in episode.actions])
    ends = np.zeros((2, len(episode)), np.bool_)
    ends[:, -1] = episode.terminated, episode.truncated
    return {
        "observations": episode.frames,
        "actions": actions,
        "rewards": episode.rewards,
        "terminations": ends[0],
        "truncations": ends[1],
        "infos": {"json": [json.dumps(plain(info, "info")) for info in episode.infos], "caption": episode.captions},
    }


def _episode(data: Mapping[str, Any], source: EpisodeSource) -> Episode:
    columns, num_actions = data["actions"], len(data["rewards"])
    if isinstance(columns, Mapping):
        actions = [{key: _value(column[t]) for key, column in columns.items()} for t in range(num_actions)]
    else:
        actions = [_value(columns[t]) for t in range(num_actions)]
    texts = (data["infos"] or {}).get("json")
    return Episode(
        frames=data["observations"],
        actions=actions,
        rewards=data["rewards"].astype(np.float64),
        terminated=bool(data["terminations"][-1]),
        truncated=bool(data["truncations"][-1]),
        infos=[{} for _ in range(num_actions + 1)] if texts is None else [json.loads(text) for text in texts],
        source=source,
    )


def _value(value: np.ndarray | np.generic) -> Any:
    """Returns integers as `int`, arrays as arrays."""
    return value if value.shape else value.item()


def _full_action(action: Any, space: gymnasium.Space) -> Any:
    """Returns an action in the form of its space: all keys, each of its dtype and shape; a missing key is zero."""
    if isinstance(space, gymnasium.spaces.Dict):
        return {key: _full_action(action.get(key, 0), part) for key, part in space.spaces.items()}
    array = np.asarray(action, space.dtype)
    shape = space.shape or ()
    return array.reshape(shape) if array.size > 1 else np.full(shape, array.item(), space.dtype)


def _env_kwargs(spec: EnvSpec) -> dict[str, Any]:
    """Returns what the environment was made with, without how it was shown."""
    return {name: plain(value, name) for name, value in spec.kwargs.items() if name != "render_mode"}


def _remove_episodes_from(data: Path, first: int) -> None:
    """Removes what a process killed between the two renames has added without counting it."""
    h5py = _minari("h5py")
    with h5py.File(data, "a") as file:
        for name in [name for name in file if int(name.removeprefix("episode_")) >= first]:
            del file[name]


def _minari(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f'{error}: Minari datasets need the extra "minari"; install it with '
            "pip install 'worldmodel[minari]' -c constraints.txt"
        ) from None
