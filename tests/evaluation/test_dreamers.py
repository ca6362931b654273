"""The dreamer that is scored is the imagined environment, step by step, alone and in a batch."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodel.envs.imagined.dreams import Moment
from worldmodel.evaluation.dreamers import ModelDreamer, dream, psnr
from worldmodel.evaluation.episodes import Context
from worldmodel.model import WorldModel

# For dream_checkpoint, dream_tools and toy_world. They are no modules of a package `tests`, because some dependencies
# install one of that name.
sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "envs" / "imagined")]

from dream_tools import draw_actions, full_precision, levels, make, picture  # noqa: E402, F401
from toy_world import ToyDreamer, ToyEnv, Wanderer, draw  # noqa: E402

PROMPTS = ("a forest at noon", "snow", "")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> str:
    from dream_checkpoint import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("dreams") / "tiny")


def contexts(number=3, steps=3):
    parts = []
    for i in range(number):
        parts.append(Context(picture(i, frames=2 * steps + 1), draw_actions(steps, seed=i), PROMPTS[i % 3]))
    return parts


def imagined(checkpoint, part, seed, actions):
    """What the environment shows from the same context: frames (S, r, H, W, 3), rewards, trust, seed of its noise."""
    env = make(checkpoint)
    ticks = [action for action in part.actions for _ in range(2)]
    env.reset(seed=seed, options={"video": part.frames, "actions": ticks, "prompt": part.prompt})
    noise = env.get_state().seed
    frames, rewards, trust = [], [], []
    for action in actions:
        _, reward, _, _, info = env.step(action)
        frames.append(env.frames)
        rewards.append(reward)
        trust.append(info["trust"])
    return np.stack(frames), rewards, trust, noise


@pytest.mark.parametrize("steps", [0, 3])
def test_it_is_the_imagined_environment(checkpoint, steps):
    (part,) = contexts(1, steps)
    actions = draw_actions(4, seed=8)
    frames, rewards, trust, noise = imagined(checkpoint, part, 5, actions)
    found = dream(ModelDreamer(checkpoint), [part], [actions], seed=noise)
    assert found.frames.shape == (1, 4, 2, 48, 48, 3)
    assert levels(found.frames[0], frames) <= 1
    assert found.rewards[0] == pytest.approx(rewards, abs=1e-4)
    assert found.trust[0] == pytest.approx(trust, abs=1e-4)
    # Another noise is another dream.
    assert levels(dream(ModelDreamer(checkpoint), [part], [actions], seed=noise + 1).frames[0], frames) > 5


def test_a_dream_in_a_batch_is_as_if_alone(checkpoint):
    dreamer = ModelDreamer(checkpoint)
    parts = [*contexts(2, 3), contexts(3, 1)[2]]  # contexts may differ in length
    actions = [draw_actions(3, seed=10 + i) for i in range(3)]
    together = dream(dreamer, parts, actions, seed=40)
    for i in range(3):
        alone = dream(dreamer, parts[i : i + 1], actions[i : i + 1], seed=40 + i)
        assert levels(alone.frames[0], together.frames[i]) <= 1
        assert alone.rewards[0] == pytest.approx(together.rewards[i], abs=1e-4)
    assert levels(together.frames[0], together.frames[1]) > 5


def test_batches_change_nothing(checkpoint):
    dreamer = ModelDreamer(checkpoint)
    actions = [draw_actions(3, seed=10 + i) for i in range(3)]
    done = []
    whole = dream(dreamer, contexts(), actions, seed=7)
    parts = dream(dreamer, contexts(), actions, seed=7, batch=2, progress=done.append)
    assert levels(whole.frames, parts.frames) <= 1 and done == [2, 2, 2, 1, 1, 1]
    assert np.allclose(whole.terminations, parts.terminations, atol=1e-4)


def test_what_it_says_of_itself(checkpoint):
    dreamer = ModelDreamer(checkpoint, name="mine")
    model = WorldModel.from_pretrained(checkpoint)
    config = model.config.denoiser
    assert (dreamer.name, dreamer.frames_per_step, dreamer.fps) == ("mine", 2, 20.0)
    # All that a dream may see: the last frame of the first step, which counts as a step of its own, and K more.
    assert dreamer.context_steps == config.window + config.sinks - 1
    assert ModelDreamer(model).name == "model" and ModelDreamer(checkpoint).name == checkpoint


def test_it_sees_no_more_than_it_remembers(checkpoint):
    dreamer = ModelDreamer(checkpoint)
    length = dreamer.context_steps
    (long,) = contexts(1, length + 2)
    cut = Context(long.frames[4:], long.actions[2:], long.prompt)
    changed = Context(long.frames.copy(), long.actions, long.prompt)
    changed.frames[:4] = 0
    actions = [draw_actions(2, seed=3)]
    wanted = dream(dreamer, [cut], actions, seed=1).frames
    for part in (long, changed):
        assert levels(dream(dreamer, [part], actions, seed=1).frames, wanted) <= 1
    less = Context(long.frames[6:], long.actions[3:], long.prompt)
    assert levels(dream(dreamer, [less], actions, seed=1).frames, wanted) > 1


def test_prompts_can_be_changed(checkpoint):
    dreamer = ModelDreamer(checkpoint)
    actions = draw_actions(2, seed=3)
    shown = []
    for prompts in (["a forest at noon"] * 2, ["a forest at noon", "a desert"]):
        part = contexts(1)[0]
        dreamer.begin([part, part], 6)
        dreamer.set_prompts(prompts)
        shown.append([dreamer.step([action] * 2).frames for action in actions][-1])
    assert levels(shown[0][0], shown[1][0]) <= 1 < levels(shown[0][1], shown[1][1])


def test_reconstruction_is_that_of_the_compression_network(checkpoint):
    dreamer = ModelDreamer(checkpoint)
    frames = picture(0, frames=6).reshape(3, 2, 48, 48, 3)
    found = dreamer.reconstruct(frames)
    model = dreamer.model
    wanted = model.decode_groups(model.encode_groups(torch.from_numpy(frames[1:2]))).numpy()
    assert found.shape == frames.shape and levels(found[1:2], wanted) <= 1


def test_steps_before_the_beginning(checkpoint):
    with pytest.raises(RuntimeError, match="no dream has begun; call begin first"):
        ModelDreamer(checkpoint).step(draw_actions(1))
    with pytest.raises(FileNotFoundError, match="checkpoint: expected a folder"):
        ModelDreamer("nowhere")


def test_dreams_of_the_toy_world():
    """The fake that other tests use is right: it does what its world does."""
    env, player, dreamer = ToyEnv(), Wanderer(), ToyDreamer()
    frame, info = env.reset(seed=3)
    player.reset(3)
    dreamer.begin([Context(frame[None], [], "")], 0)
    for _ in range(12):
        action = player.act(frame, info)
        frame, reward, *_, info = env.step(action)
        moment = dreamer.step([action])
        assert isinstance(moment, Moment) and np.array_equal(moment.frames[0], env.frames)
        assert moment.rewards[0] == reward


def test_psnr():
    one = draw(np.array([3, 4]))
    assert psnr(one, one) == 60
    assert psnr(np.stack([one, one]), np.stack([one, one ^ 1])) == pytest.approx([60, 48.13], abs=0.01)
    assert psnr(np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)) == pytest.approx(0)
