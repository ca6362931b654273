"""Data for training: episodes played on the spot by a named player, or read from folders."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from worldmodel.cli.errors import UsageError
from worldmodel.cli.playing import is_picture, make, make_env
from worldmodel.cli.settings import EnvConfig, PlayerConfig
from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.episodes import TICKS_PER_SECOND, Episode, EpisodeSource, plain
from worldmodel.data.sources import read_source
from worldmodel.data.splits import held_out, world_key
from worldmodel.data.store import EpisodeStore, EpisodeStoreWriter

if TYPE_CHECKING:
    from worldmodel.agents import Player

_CAPTIONS = ("caption", "caption_long")
"""All that is kept of `info`."""

CHUNK_FRAMES = 1200
"""Most frames of a recording that are read at a time, and that become one episode: a minute of Minecraft."""


@dataclass(kw_only=True, slots=True)
class DataConfig:
    """What to train on; configs/train.yaml explains it."""

    folders: list[str]
    store: str | None
    frames: int
    episode_steps: int
    first_seed: int
    held_out_percent: float
    height: int | None
    width: int | None
    workers: int
    lint: bool


def prepare_store(
    folder: Path,
    env: EnvConfig,
    player: PlayerConfig,
    data: DataConfig,
    *,
    progress: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> EpisodeStore | None:
    """Fills an episode store, or goes on filling it, and opens it.

    Args:
        folder: Of the store; with `data.store`, that one, which stays as it is.
        env: Environment to play; with folders or a store, the one they were recorded in: it tells the action space.
        player: Who plays it.
        data: What is wanted.
        progress: Called with the number of new frames.
        should_stop: Asked after every episode.

    Returns:
        The store; `None` if it was stopped before it was complete.

    Raises:
        UsageError: If environment, player, folders or store are not usable.
    """
    fill = _import if data.folders else _collect if data.store is None else _open
    if data.folders and data.store is not None:
        raise UsageError("data.store: expected none together with data.folders, got both; leave one of them out")
    try:
        if not fill(folder, env, player, data, progress, should_stop):
            return None
        store = EpisodeStore(folder)
    except (ValueError, FileNotFoundError) as error:
        raise UsageError(f"data: {error}") from error
    if not store.num_frames(held_out=False):
        raise UsageError(f"data: expected episodes to train on, found none in {folder}; give more, or hold out less")
    return store


def _collect(
    folder: Path,
    env: EnvConfig,
    player: PlayerConfig,
    data: DataConfig,
    progress: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> bool:
    made, agent = make(env, player)
    try:
        space = made.observation_space
        if not (isinstance(space, gymnasium.spaces.Box) and is_picture(space.low)):
            raise UsageError(f"env: expected observations that are uint8 (H, W, 3) pictures, got {space}")
        fps = float(made.metadata.get("render_fps", TICKS_PER_SECOND))
        with EpisodeStoreWriter(folder, codec=_codec(made), fps=fps, held_out_percent=data.held_out_percent) as writer:
            # Frames to train on, and to test on.
            counts = [EpisodeStore(folder).num_frames(part) for part in (False, True)]
            progress(sum(counts))
            seeds = (seed for seed in count(data.first_seed) if not writer.has(_key(seed)))
            with contextlib.closing(_played(made, agent, env, player, data, seeds)) as episodes:
                # A few more than asked for, if need be, so that there is something of both.
                while sum(counts) < data.frames or not counts[0] or (data.held_out_percent > 0 and not counts[1]):
                    if should_stop():
                        return False
                    seed, episode = next(episodes)
                    writer.append(episode, _key(seed))
                    counts[held_out(world_key(episode.source, ""), data.held_out_percent)] += len(episode.frames)
                    progress(len(episode.frames))
        return True
    finally:
        made.close()


def _import(
    folder: Path,
    env: EnvConfig,
    player: PlayerConfig,
    data: DataConfig,
    progress: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> bool:
    if (data.height is None) != (data.width is None):
        raise UsageError("data.height: expected together with data.width, or neither")
    size = None if data.height is None or data.width is None else (data.height, data.width)
    made, _ = make(env, player)
    codec, fps = _codec(made), float(made.metadata.get("render_fps", TICKS_PER_SECOND))
    made.close()
    with EpisodeStoreWriter(folder, codec=codec, fps=fps, held_out_percent=data.held_out_percent) as writer:
        for path in data.folders:
            for key, episode in read_source(path, size=size, chunk_frames=CHUNK_FRAMES):
                if should_stop():
                    return False
                if not writer.has(key):
                    writer.append(episode, key)
                progress(len(episode.frames))
    return True


def _open(
    folder: Path,
    env: EnvConfig,
    player: PlayerConfig,
    data: DataConfig,
    progress: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> bool:
    store, made = EpisodeStore(folder), make_env(env)
    codec = _codec(made)
    made.close()
    if store.codec != codec:
        found = None if store.codec is None else store.codec.space
        raise UsageError(f"data.store: expected actions of {codec.space}, as env has, got {found} in {folder}")
    progress(sum(store.num_frames(part) for part in (False, True)))
    return True


def play_episode(env: gymnasium.Env, agent: "Player", source: EpisodeSource, steps: int) -> Episode:
    """Plays one episode; of `info`, captions are kept.

    Args:
        env: Where; its observations are pictures.
        agent: Who.
        source: What to note as its source; the seed is taken from it.
        steps: Most steps.
    """
    assert source.seed is not None
    observation, info = env.reset(seed=source.seed)
    agent.reset(source.seed)
    frames, infos = [observation], [info]
    actions: list[Any] = []
    rewards: list[float] = []
    terminated = truncated = False
    while len(actions) < steps and not (terminated or truncated):
        action = agent.act(observation, info)
        observation, reward, terminated, truncated, info = env.step(action)
        frames.append(observation)
        infos.append(info)
        actions.append(action)
        rewards.append(float(reward))
    return Episode(
        frames=np.stack(frames),
        actions=actions,
        rewards=np.array(rewards, np.float64),
        terminated=bool(terminated),
        truncated=not terminated,
        infos=[{name: str(info[name]) for name in _CAPTIONS if name in info} for info in infos],
        source=source,
    )


def _played(
    made: gymnasium.Env,
    agent: "Player",
    env: EnvConfig,
    player: PlayerConfig,
    data: DataConfig,
    seeds: Iterator[int],
) -> Generator[tuple[int, Episode], None, None]:
    """Yields the episodes of seeds, in order, whoever plays them."""
    kwargs = plain(env.kwargs, "env.kwargs")
    fps = float(made.metadata.get("render_fps", TICKS_PER_SECOND))

    def source(seed: int) -> EpisodeSource:
        return EpisodeSource(env_id=env.id, env_kwargs=kwargs, seed=seed, fps=fps)

    if data.workers == 1:
        for seed in seeds:
            yield seed, play_episode(made, agent, source(seed), data.episode_steps)
        return
    # Processes that start afresh: a copy of this one would share its threads' locks.
    pool = ProcessPoolExecutor(
        data.workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(env, player)
    )
    try:
        waiting: deque[tuple[int, Future[Episode]]] = deque()
        for seed in seeds:
            waiting.append((seed, pool.submit(_work, source(seed), data.episode_steps)))
            if len(waiting) > 2 * data.workers:
                first, result = waiting.popleft()
                yield first, result.result()
    finally:
        pool.shutdown(cancel_futures=True)


_worker: tuple[gymnasium.Env, "Player"]


def _start_worker(env: EnvConfig, player: PlayerConfig) -> None:
    global _worker
    _worker = make(env, player)


def _work(source: EpisodeSource, steps: int) -> Episode:
    return play_episode(*_worker, source, steps)


def _codec(env: gymnasium.Env) -> ActionCodec:
    try:
        return ActionCodec(env.action_space)
    except (TypeError, ValueError) as error:
        raise UsageError(f"env: {error}") from error


def _key(seed: int) -> str:
    return f"seed_{seed:09d}"
