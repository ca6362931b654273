"""Short runs of the benchmarks: that they run, and that what they say fits together."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.episodes import Episode, EpisodeSource
from worldmodel.data.store import EpisodeStore, EpisodeStoreWriter
from worldmodel.envs.actions import action_space
from worldmodel.evaluation.episodes import Context

ROOT = Path(__file__).parents[1]
# For dream_checkpoint, moving_square and unet, which are no modules of a package.
sys.path += [str(ROOT / "tests" / "envs" / "imagined"), str(ROOT / "tests" / "training"), str(ROOT / "benchmarks")]

import baselines  # noqa: E402
from dream_checkpoint import SIDE, write_checkpoint  # noqa: E402
from moving_square import MOVES, SIZE, STRIDE, make_store, play  # noqa: E402
from unet import train as unet_train  # noqa: E402
from unet.data import UNetStage  # noqa: E402
from unet.dreamer import UNetDreamer  # noqa: E402
from unet.model import Preconditioning, UNetConfig, UNetDenoiser, noise_levels, sample, stack, unstack  # noqa: E402


@pytest.fixture(scope="module")
def dreaming(tmp_path_factory):
    """What `benchmarks/dreaming.py` prints and writes for a tiny model."""
    folder = tmp_path_factory.mktemp("dreaming")
    checkpoint = write_checkpoint(folder / "tiny")
    options = ["--rounds", "1", "--steps", "16", "--threads", "1", "--output", str(folder / "figures.json")]
    command = [sys.executable, str(ROOT / "benchmarks" / "dreaming.py"), checkpoint, *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert result.returncode == 0, result.stderr
    return result.stdout, json.loads((folder / "figures.json").read_text())


def test_dreaming_counts_what_is_computed(dreaming):
    _, figures = dreaming
    one, four, sixteen = (figures[f"step of {n} dream{'s' if n > 1 else ''}"] for n in (1, 4, 16))
    assert [part["frames"] for part in (one, four, sixteen)] == [2, 8, 32]
    assert one["flops"] > 0
    assert four["flops"] == pytest.approx(4 * one["flops"], rel=0.01)
    assert sixteen["flops"] == pytest.approx(16 * one["flops"], rel=0.01)
    passes = 3 * figures["one pass of the denoiser"]["flops"]  # two to sample, one to remember
    assert one["flops"] == pytest.approx(passes + figures["decoding"]["flops"], rel=0.01)
    assert figures["step of 1 dream without a cache"]["flops"] > 10 * one["flops"], "17 remembered frames, and one more"
    assert all(figures[name]["seconds"] > 0 for name in figures if name not in ("long", "branches"))


def test_dreaming_looks_at_long_dreams_and_branches(dreaming):
    printed, figures = dreaming
    assert list(figures["long"]) == ["4", "16"]
    for found in figures["long"].values():
        assert found["seconds"] > 0 and found["matrix_product_seconds"] > 0 and found["mib"] > 100
    numbers = 17 * 13 * 64 * 2 * 2  # frames, tokens, width, time attentions, keys and values: in bfloat16 or float32
    assert figures["branches"]["cache"] in (numbers * 2 / 2**20, numbers * 4 / 2**20)
    assert figures["branches"]["states"] < 0.1 * 1000 * figures["branches"]["cache"]
    assert len([line for line in printed.splitlines() if line.startswith("|---")]) == 4
    for line in ("1000 branches", "Without a cache", "sampling passes", "about step"):
        assert line in printed


def disturb(model):
    """Gives a say to what starts at zero."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def small_unet(store):
    return disturb(unet_train.make(store, channels=(8, 12), blocks=1))


@pytest.fixture(scope="module")
def square(tmp_path_factory):
    """A store of a moving square, and a U-Net that saw a little of it."""
    folder = tmp_path_factory.mktemp("square")
    store = make_store(folder / "data", episodes=8, steps=12, percent=30.0)
    assert unet_train.train(small_unet(store), store, folder / "run", steps=3, batch_size=4)
    return store, folder / "run"


def test_unet_preconditioning_asks_for_noise_or_frames_at_the_limits():
    low, high = (Preconditioning.at(torch.tensor([sigma])) for sigma in (1e-4, 1e4))
    assert (low.skip.item(), low.out.item(), low.into.item()) == pytest.approx((1.0, 0.0, 2.0), abs=1e-3)
    assert (high.skip.item(), high.out.item(), high.into.item()) == pytest.approx((0.0, 0.5, 0.0), abs=1e-3)
    sigma = torch.tensor([0.02, 0.5, 5.0])
    clean, noise = 0.5 * torch.randn(3, 64, 64, 64), torch.randn(3, 64, 64, 64)
    factors = Preconditioning.at(sigma)
    noisy = clean + sigma[:, None, None, None] * noise
    target = (clean - factors.skip * noisy) / factors.out
    for values in (factors.into * noisy, target):
        assert values.flatten(1).std(1) == pytest.approx(np.ones(3), rel=0.02)
    assert factors.noise == pytest.approx(np.log(sigma.numpy()) / 4)


def test_unet_gives_as_many_frames_as_a_step_has():
    model = UNetDenoiser(UNetConfig(action_width=3, frames_per_step=2, past_ticks=5, channels=[8, 12, 16]))
    inputs = torch.randn(2, 6, 16, 24), torch.tensor([0.1, 2.0]), torch.randn(2, 15, 16, 24), torch.randn(2, 6, 3)
    assert torch.equal(model(*inputs), Preconditioning.at(inputs[1]).skip * inputs[0]), "it knows nothing yet"
    disturb(model)
    known = model(*inputs)
    assert known.shape == (2, 6, 16, 24)
    for i in range(4):
        others = [part.clone() for part in inputs]
        others[i] = others[i].flip(0)
        assert not torch.allclose(model(*others), known, atol=1e-4), "every input has a say"
    with pytest.raises(ValueError, match="multiples of 4, got 18 x 24"):
        model(torch.randn(2, 6, 18, 24), inputs[1], torch.randn(2, 15, 18, 24), inputs[3])


def test_unet_samples_what_its_denoiser_knows():
    levels = noise_levels(3)
    assert levels == pytest.approx([5.0, ((5 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7, 0.002, 0.0])
    frames = torch.randint(256, (2, 2, 8, 8, 3), dtype=torch.uint8)
    asked = []

    def knowing(noisy, sigma, past, actions):
        asked.append(sigma[0].item())
        return stack(frames)

    found = sample(knowing, torch.zeros(2), torch.zeros(2), torch.randn(2, 6, 8, 8), 3)
    assert torch.equal(unstack(found), frames) and asked == pytest.approx(levels[:-1])


def test_unet_trains_on_what_actions_led_to(square):
    store, _ = square
    stage = UNetStage(unet_train.make(store, channels=(8, 12)), store, 64, seed=0)
    frames, actions, sigma, _ = stage.batch(0, 0, 1).inputs
    assert frames.shape == (64, 6, SIZE, SIZE, 3) and actions.shape == (64, 5, len(MOVES)) and (sigma > 0).all()
    held = {play(r.seed, 12).frames.tobytes() for b in store.buckets.values() for r in b.episodes if r.held_out}
    assert held, "some are held out"
    padded = 0
    for item, given in zip(frames.numpy(), actions.numpy(), strict=True):
        places = [np.argwhere(frame[..., 0] == 250)[0] for frame in item]
        for t, action in enumerate(given):
            if action.any():
                assert ((places[t] + STRIDE * np.array(MOVES[action.argmax()])) % SIZE == places[t + 1]).all()
            else:
                assert t < 3 and (item[: t + 2] == item[0]).all(), "only before the first known frame"
        padded += not given[0].any()
        assert not given[0].any() or not any(item.tobytes() in episode for episode in held)
    assert 0 < padded < 64
    assert torch.equal(stage.batch(0, 0, 1).inputs[0], frames) and not torch.equal(
        stage.batch(1, 0, 1).inputs[0], frames
    )


def test_unet_goes_on_where_it_was_stopped(square, tmp_path, monkeypatch):
    store, straight = square

    class Stop:
        steps = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        @property
        def requested(self):
            self.steps += 1
            return self.steps == 2

    with monkeypatch.context() as patch:
        patch.setattr(unet_train, "Interruption", Stop)
        assert not unet_train.train(small_unet(store), store, tmp_path, steps=3, batch_size=4)
    assert unet_train.train(small_unet(store), store, tmp_path, steps=3, batch_size=4)
    one, other = (UNetDreamer(folder / "checkpoint") for folder in (straight, tmp_path))
    assert one.metadata.training["steps"] == 3 and one.metadata.training["flops"] > 0
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name]), name
    with pytest.raises(ValueError, match="expected the settings of the run"):
        unet_train.train(small_unet(store), store, tmp_path, steps=3, batch_size=8)


def test_unet_dreams_alike_alone_and_among_others(square):
    _, run = square
    dreamer = UNetDreamer(run / "checkpoint")
    episode = play(3, 12)
    whole = Context(episode.frames, episode.actions[::2], "")
    contexts = [whole, replace(whole, frames=episode.frames[-1:], actions=[])]

    def dream(chosen, seed):
        dreamer.begin(chosen, seed)
        return np.stack([dreamer.step([action] * len(chosen)).frames for action in (1, 4, 2)], axis=1).astype(int)

    both = dream(contexts, 5)
    assert both.shape == (2, 3, 2, SIZE, SIZE, 3) and both.std() > 1
    assert (dream(contexts, 5) == both).all()
    assert abs(dream(contexts[:1], 5) - both[:1]).max() <= 1
    assert abs(dream(contexts[1:], 6) - both[1:]).max() <= 1, "the noise of the i-th is that of seed + i"
    assert abs(dream(contexts, 6) - both).max() > 2
    cut = replace(whole, frames=episode.frames[-5:], actions=whole.actions[-2:])
    assert (dream([cut], 5) == dream(contexts[:1], 5)).all(), "it remembers four frames, and three actions"
    with pytest.raises(ValueError, match="expected one for each of 1 dreams, got 2"):
        dreamer.step([0, 0])
    with pytest.raises(ValueError, match="expected frames of 32 x 32"):
        dreamer.begin([replace(whole, frames=episode.frames[:, :16])], 0)


def test_unet_sees_one_frame_as_in_training(square):
    store, run = square
    dreamer = UNetDreamer(run / "checkpoint")
    frames, actions, *_ = UNetStage(dreamer.model, store, 64, seed=0).batch(0, 0, 1).inputs
    row = next(i for i in range(64) if not actions[i, :3].any())
    dreamer.begin([Context(frames[row, 3:4].numpy(), [], "")], 0)
    assert (dreamer._frames[0] == frames[row, :4].numpy()).all() and not dreamer._actions.any()


def voxel_store(folder):
    """A store of noise, with the actions of the block world, at the size of the tiny checkpoint."""
    random, space = np.random.default_rng(0), action_space()
    with EpisodeStoreWriter(folder, codec=ActionCodec(space), fps=20.0, held_out_percent=0) as writer:
        writer.append(
            Episode(
                frames=random.integers(256, size=(9, SIDE, SIDE, 3), dtype=np.uint8),
                actions=[space.sample() for _ in range(8)],
                rewards=np.zeros(8),
                terminated=False,
                truncated=True,
                infos=[{}] * 9,
                source=EpisodeSource(env_id="worldmodel/Voxel-v0", seed=1),
            ),
            "noise",
        )
    return EpisodeStore(folder)


def test_baselines_are_scored_alike(tmp_path, capsys):
    store = voxel_store(tmp_path / "data")
    unet_train.train(small_unet(store), store, tmp_path / "unet", steps=1, batch_size=2)
    models = [f"ours={write_checkpoint(tmp_path / 'tiny')}", f"net={tmp_path / 'unet' / 'checkpoint'}"]
    sizes = ["clips=2", "horizon=2", "teco=false", "selfplay_worlds=1", "selfplay_ticks=4"]
    options = ["--parts", "prediction,selfplay", "--settings", *(f"preset.{size}" for size in sizes)]
    assert baselines.main([str(tmp_path / "out"), *models, *options]) == 0
    assert "beats repeating the last frame" in capsys.readouterr().out
    page = (tmp_path / "out" / "comparison.md").read_text()
    assert page.startswith("# Comparison of ours, net")
    assert "- net: selfplay is left out, only a world model has a player of its own." in page
    assert "| net | U-Net | " in page and "| prediction | beats repeating" in page
    ours, net = (json.loads((tmp_path / "out" / name / "report.json").read_text()) for name in ("ours", "net"))
    one, other = (part["sections"]["prediction"]["figures"] for part in (ours, net))
    assert one["psnr_repeat_2_all"] == other["psnr_repeat_2_all"], "the same clips"
    assert one["context_steps"] == other["context_steps"] == 16
    assert one["psnr_full_2_all"] != other["psnr_full_2_all"]
    for name in ("comparison.png", "comparison_sheet.png"):
        assert (tmp_path / "out" / name).stat().st_size > 1000


def test_baselines_say_what_does_not_compare(square, tmp_path):
    net = baselines.load("net", str(square[1] / "checkpoint"), 2)
    with pytest.raises(ValueError, match="at least one checkpoint of the world model"):
        baselines.make_alike([net])
    with pytest.raises(ValueError, match="net: expected the environment of ours, .*, got MovingSquare"):
        baselines.make_alike([net, baselines.load("ours", write_checkpoint(tmp_path), 2)])
