"""Training data of the denoiser: an episode store, compressed once, and clips drawn from it.

Latents are kept in files beside the store's, float16, mapped into memory. Every fourth moment is also kept as a still
(its last frame repeated), so that clips may begin with a picture, as dreams do that start from one.

Shapes: G latent frames of a bucket, T latent frames of a clip, r ticks in a latent frame, h w latent grid, C channels,
A width of an action vector.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worldmodel.data.files import partial_path, read_json, remove_partial_files, write_json
from worldmodel.data.store import Bucket, EpisodeStore
from worldmodel.model.patches import group_indices, num_groups
from worldmodel.model.world_model import WorldModel, group_actions

STILL_EVERY = 4
"""Every how many latent frames a still is kept."""
_BATCH = 64


@dataclass(slots=True)
class LatentEpisode:
    """Where an episode is in its bucket: latent frames [start, start + length), stills from `still_start` on."""

    start: int
    length: int
    still_start: int
    frame_start: int
    num_frames: int


@dataclass(slots=True)
class LatentBucket:
    """All episodes of one frame size and one split.

    Attributes:
        height: Of a frame in pixels.
        width: Likewise.
        latents: float16 (G, h, w, C).
        stills: float16 (stills, h, w, C): still `i` of an episode shows the last frame of its latent frame 4 i.
        actions: float16 (G, r, A), what led to each.
        action_null: bool (G,), where there is none.
        rewards: float32 (G,), summed over ticks.
        terminated: bool (G,).
        captions: int32 (G,), numbers into the store's captions.
        episodes: Their places.
    """

    height: int
    width: int
    latents: np.ndarray
    stills: np.ndarray
    actions: np.ndarray
    action_null: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    captions: np.ndarray
    episodes: list[LatentEpisode]

    def clip_counts(self, num_frames: int) -> np.ndarray:
        """Returns for each episode how many clips of T latent frames it holds."""
        return np.array([max(0, episode.length - num_frames + 1) for episode in self.episodes])


def compress_store(
    store: EpisodeStore,
    model: WorldModel,
    folder: Path,
    *,
    held_out: bool,
    progress: Callable[[int], None] = lambda frames: None,
) -> dict[str, LatentBucket]:
    """Compresses one split of a store, or opens what an earlier call has compressed into the folder.

    Args:
        store: The data.
        model: Its compression network is used.
        folder: Where the latents go; one folder for each split and network.
        held_out: Which split.
        progress: Called with the number of latent frames done since the last call.

    Returns:
        A `LatentBucket` for each frame size that the split has.
    """
    buckets = {}
    for name, bucket in store.buckets.items():
        layout = _layout(bucket, model.frames_per_latent, held_out)
        if not layout:
            continue
        path = folder / name
        if not (path / "done.json").exists():
            _compress(bucket, layout, model, path, progress)
        buckets[name] = _open(bucket, layout, model, path)
    return buckets


def _layout(bucket: Bucket, frames_per_latent: int, held_out: bool) -> list[LatentEpisode]:
    episodes: list[LatentEpisode] = []
    start = still_start = 0
    for record in bucket.episodes:
        if record.held_out != held_out:
            continue
        length = num_groups(record.num_frames, frames_per_latent)
        episodes.append(LatentEpisode(start, length, still_start, record.start, record.num_frames))
        start += length
        still_start += -(-length // STILL_EVERY)
    return episodes


def _compress(
    bucket: Bucket, layout: list[LatentEpisode], model: WorldModel, path: Path, progress: Callable[[int], None]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_partial_files(path.parent)
    partial = partial_path(path)
    partial.mkdir()
    r = model.frames_per_latent
    with (partial / "latents.f16").open("wb") as latents, (partial / "stills.f16").open("wb") as stills:
        for episode in layout:
            frames = bucket.frames[episode.frame_start : episode.frame_start + episode.num_frames]
            indices = group_indices(episode.num_frames, r).numpy()  # (T, r)
            for file, rows in ((latents, indices), (stills, np.repeat(indices[::STILL_EVERY, -1:], r, axis=1))):
                for first in range(0, len(rows), _BATCH):
                    groups = torch.from_numpy(frames[rows[first : first + _BATCH]])
                    file.write(model.encode_groups(groups).cpu().numpy().astype(np.float16).tobytes())
                    progress(len(groups))
    write_json(partial / "done.json", {"latent_frames": sum(episode.length for episode in layout)})
    shutil.rmtree(path, ignore_errors=True)
    os.replace(partial, path)


def _open(bucket: Bucket, layout: list[LatentEpisode], model: WorldModel, path: Path) -> LatentBucket:
    grid = (*model.grid(bucket.height, bucket.width), model.config.compression.channels)
    r = model.frames_per_latent
    expected = layout[-1].start + layout[-1].length
    if (found := read_json(path / "done.json").get("latent_frames")) != expected:
        raise ValueError(f"{path}: expected {expected} latent frames, found {found}; the data has changed, delete it")
    latents, stills = (
        np.memmap(path / name, np.float16, "r").reshape(-1, *grid) for name in ("latents.f16", "stills.f16")
    )
    parts = [_episode_columns(bucket, episode, r) for episode in layout]
    actions, rewards, captions, terminated = (np.concatenate(column) for column in zip(*parts, strict=True))
    ended = {record.start for record in bucket.episodes if record.terminated}
    for episode in layout:
        terminated[episode.start + episode.length - 1] = episode.frame_start in ended
    return LatentBucket(
        height=bucket.height,
        width=bucket.width,
        latents=latents,
        stills=stills,
        actions=actions,
        action_null=np.logical_not(actions.any((1, 2))),
        rewards=rewards,
        terminated=terminated,
        captions=captions,
        episodes=layout,
    )


def _episode_columns(bucket: Bucket, episode: LatentEpisode, r: int) -> tuple[np.ndarray, ...]:
    rows = slice(episode.frame_start, episode.frame_start + episode.num_frames)
    vectors = torch.from_numpy(bucket.actions[rows].astype(np.float32))
    actions = group_actions(vectors, r).numpy().astype(np.float16)
    # The first frame is the last of its group; what is missing of the last one is nothing.
    rewards = np.pad(bucket.rewards[rows], (r - 1, -(episode.num_frames - 1) % r)).reshape(-1, r).sum(1)
    captions = bucket.caption_ids[rows][group_indices(episode.num_frames, r)[:, -1].numpy()]
    return actions, rewards, captions, np.zeros(episode.length, np.bool_)


@dataclass(slots=True)
class DrawnClips:
    """Clips from one bucket, before noise.

    Attributes:
        latents: float32 (B, T, h, w, C).
        actions: float32 (B, T, r, A).
        action_null: bool (B, T).
        rewards: float32 (B, T).
        terminated: bool (B, T).
        captions: B numbers into the store's captions.
        frames: int64 (B, T), which latent frames of the bucket they are.
    """

    latents: Tensor
    actions: Tensor
    action_null: Tensor
    rewards: Tensor
    terminated: Tensor
    captions: list[int]
    frames: Tensor


def draw_clips(
    bucket: LatentBucket, batch: int, num_frames: int, generator: torch.Generator, *, still_share: float = 0.0
) -> DrawnClips:
    """Draws clips, all with the same chance.

    Args:
        bucket: Where from; it must have an episode of T latent frames.
        batch: B.
        num_frames: T.
        generator: Source of what is random.
        still_share: Share of clips that begin with a still picture, and without an action.

    Raises:
        ValueError: If no episode is long enough.
    """
    counts = torch.from_numpy(bucket.clip_counts(num_frames))
    if not counts.any():
        raise ValueError(
            f"num_frames: expected at most {max(episode.length for episode in bucket.episodes)} latent frames, the "
            f"longest episode, got {num_frames}"
        )
    ends = counts.cumsum(0)
    draws = torch.randint(int(ends[-1]), (batch,), generator=generator)
    owners = torch.searchsorted(ends, draws, right=True)
    offsets = draws - (ends[owners] - counts[owners])
    stills = torch.rand(batch, generator=generator) < still_share
    starts = torch.tensor([bucket.episodes[i].start for i in owners.tolist()])
    offsets = torch.where(stills, offsets // STILL_EVERY * STILL_EVERY, offsets)
    frames = (starts + offsets)[:, None] + torch.arange(num_frames)
    rows = frames.numpy()
    latents = torch.from_numpy(bucket.latents[rows].astype(np.float32))
    action_null = torch.from_numpy(bucket.action_null[rows])
    for i in stills.nonzero()[:, 0].tolist():
        episode = bucket.episodes[int(owners[i])]
        still = bucket.stills[episode.still_start + int(offsets[i]) // STILL_EVERY]
        latents[i, 0] = torch.from_numpy(still.astype(np.float32))
        action_null[i, 0] = True
    return DrawnClips(
        latents=latents,
        actions=torch.from_numpy(bucket.actions[rows].astype(np.float32)),
        action_null=action_null,
        rewards=torch.from_numpy(bucket.rewards[rows]),
        terminated=torch.from_numpy(bucket.terminated[rows]),
        captions=bucket.captions[rows[:, num_frames // 2]].tolist(),
        frames=frames,
    )
