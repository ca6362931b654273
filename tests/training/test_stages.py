import numpy as np
import pytest
import torch
from moving_square import ACTIONS, make_store, play

from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.episodes import Episode, EpisodeSource
from worldmodel.data.store import EpisodeStore, EpisodeStoreWriter
from worldmodel.model import Metadata, Size, WorldModel, model_config
from worldmodel.training.latents import compress_store
from worldmodel.training.settings import CompressionTraining, DenoiserTraining
from worldmodel.training.stages import CompressionStage, DenoiserStage, share, step_generator


def make_model(store, ratio=2):
    torch.manual_seed(0)
    space = None if store.codec is None else store.codec.to_json()
    metadata = Metadata(height=32, width=32, fps=10.0, action_space=space)
    return WorldModel(model_config(Size.tiny, frames_per_latent=ratio, channels=4), metadata)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store"), episodes=12, steps=20)


@pytest.fixture(scope="module")
def denoiser_stage(store, tmp_path_factory):
    model = make_model(store)
    train = compress_store(store, model, tmp_path_factory.mktemp("latents"), held_out=False)
    config = DenoiserTraining(max_steps=1, batch_size=4, clip_latents=4, shortcut_after=0)
    return DenoiserStage(model, train, store.captions, config, seed=0)


def test_batches_are_a_function_of_the_step(denoiser_stage):
    one, again, other = (denoiser_stage.batch(step, 0, 1).inputs for step in (5, 5, 6))
    assert torch.equal(one[0].noise, again[0].noise) and torch.equal(one[1].sigma, again[1].sigma)
    assert one[0].noise.shape != other[0].noise.shape or not torch.equal(one[0].noise, other[0].noise)


def test_every_kind_of_batch_comes(denoiser_stage):
    batches = [denoiser_stage.batch(step, 0, 1).inputs for step in range(300)]
    lengths = [clips.latents.shape[1] for clips, _, _ in batches]
    assert set(lengths) == {1, 2, 4}
    assert {clips.causal for clips, _, _ in batches} == {True, False}
    assert any(clips.periodic for clips, _, _ in batches)
    assert {plan.step_size for _, plan, _ in batches} == {0, 1, 2, 3}
    assert 0.6 < np.mean([plan.step_size == 0 for _, plan, _ in batches]) < 0.9
    # Shorter clips come in larger batches: about as many tokens each time.
    assert {clips.latents.shape[0] * clips.latents.shape[1] for clips, _, _ in batches} == {16}


def test_loops_meet_their_start_and_have_no_actions(denoiser_stage):
    loops = [c for c, _, _ in (denoiser_stage.batch(s, 0, 1).inputs for s in range(400)) if c.periodic]
    for clips in loops:
        assert clips.action_null.all() and not clips.causal
        around = torch.cat([clips.latents, clips.latents[:, :1]], dim=1).diff(dim=1).flatten(2).norm(dim=-1)
        # Forward and back: every change comes twice, the seam's too.
        assert torch.allclose(around.sort(dim=1).values[:, ::2], around.sort(dim=1).values[:, 1::2], atol=1e-4)


@pytest.mark.parametrize("kind", ["compression", "denoiser"])
def test_machines_share_a_batch(store, denoiser_stage, kind):
    stage = denoiser_stage
    if kind == "compression":
        stage = CompressionStage(make_model(store), store, CompressionTraining(max_steps=1, batch_size=4), seed=0)
    whole = stage.batch(3, 0, 1).inputs[0]
    parts = [stage.batch(3, rank, 2).inputs[0] for rank in range(2)]
    if kind == "denoiser":
        whole, *parts = (clips.latents for clips in (whole, *parts))
    assert torch.equal(torch.stack(parts, dim=1).flatten(0, 1), whole)
    assert stage.batch(3, 0, 2).tokens == stage.batch(3, 0, 1).tokens


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match="batch_size: expected a multiple of the 3 machines, got 4"):
        share(torch.zeros(4, 2), 0, 3)


def test_groups_are_frames_of_training_episodes_in_order(store):
    stage = CompressionStage(make_model(store), store, CompressionTraining(max_steps=1, batch_size=64), seed=0)
    groups = stage.batch(0, 0, 1).inputs[0].numpy()
    bucket = store.buckets["32x32"]
    pairs = set()
    for record in bucket.episodes:
        frames = [frame.tobytes() for frame in bucket.frames[record.start :][: record.num_frames]]
        if not record.held_out:
            pairs |= {*zip(frames, frames[1:], strict=False), *zip(frames, frames, strict=True)}
    assert all((group[0].tobytes(), group[1].tobytes()) in pairs for group in groups)
    assert any((group[0] != group[1]).any() for group in groups)


def test_steps_stages_and_seeds_draw_differently():
    draws = {
        float(torch.rand((), generator=step_generator(seed, name, step)))
        for seed in (0, 1)
        for name in ("compression", "denoiser")
        for step in (0, 1)
    }
    assert len(draws) == 8


def test_several_sizes_and_lengths_train_in_one_run(tmp_path):
    """Native sizes: wide videos, tall ones and single pictures, each in batches of its own size."""
    with EpisodeStoreWriter(tmp_path / "data", codec=ActionCodec(ACTIONS), fps=10, held_out_percent=0) as writer:
        writer.append(play(0, 20), "square")
        for i, shape in enumerate([(9, 32, 64, 3), (9, 64, 32, 3), *[(1, 48, 32, 3)] * 6]):
            frames = np.random.default_rng(i).integers(0, 256, shape, np.uint8)
            number = shape[0] - 1
            episode = Episode(
                frames=frames, actions=[None] * number, rewards=np.zeros(number), terminated=False, truncated=True,
                infos=[{}] * shape[0], source=EpisodeSource(fps=10),
            )  # fmt: skip
            writer.append(episode, f"video {i}")
    store = EpisodeStore(tmp_path / "data")
    model = make_model(store)
    compression = CompressionStage(model, store, CompressionTraining(max_steps=1, batch_size=2), seed=0)
    train = compress_store(store, model, tmp_path / "latents", held_out=False)
    config = DenoiserTraining(max_steps=1, batch_size=2, clip_latents=4)
    denoiser = DenoiserStage(model, train, store.captions, config, seed=0)
    sizes: dict[str, set] = {"compression": set(), "denoiser": set()}
    for step in range(60):
        for stage in (compression, denoiser):
            batch = stage.batch(step, 0, 1).inputs
            grid = batch[0].shape[2:4] if stage is compression else batch[0].latents.shape[2:4]
            if grid not in sizes[stage.name]:
                sizes[stage.name].add(grid)
                loss, _ = stage.module(*batch)
                loss.backward()
                assert loss.isfinite()
    assert sizes["compression"] == {(32, 32), (32, 64), (64, 32), (48, 32)}
    assert sizes["denoiser"] == {(4, 4), (4, 8), (8, 4), (6, 4)}


def test_data_without_actions_trains(tmp_path):
    with EpisodeStoreWriter(tmp_path / "data", codec=None, fps=10, held_out_percent=0) as writer:
        episode = play(0, 20)
        episode.actions = [None] * len(episode.actions)
        writer.append(episode, "video")
    store = EpisodeStore(tmp_path / "data")
    model = make_model(store)
    train = compress_store(store, model, tmp_path / "latents", held_out=False)
    config = DenoiserTraining(max_steps=1, batch_size=2, clip_latents=4)
    stage = DenoiserStage(model, train, store.captions, config, seed=0)
    loss, parts = stage.module(*stage.batch(0, 0, 1).inputs)
    loss.backward()
    assert loss.isfinite() and parts["action"] == 0
