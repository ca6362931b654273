import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from worldmodel.data.action_codec import ActionCodec
from worldmodel.envs.actions import action_space, discrete_action
from worldmodel.envs.imagined.env import ImaginedEnv
from worldmodel.envs.twin import Twin, TwinStep, real_environment
from worldmodel.envs.voxel.env import VoxelEnv
from worldmodel.model import Metadata, Size, WorldModel, model_config

sys.path.append(str(Path(__file__).parent / "imagined"))  # for dream_checkpoint
SIDE = 48


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from dream_checkpoint import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("twins") / "tiny")


@pytest.fixture(scope="module")
def twin(checkpoint):
    return Twin(checkpoint=checkpoint, num_steps=1, context_steps=3)


def save_model(folder, space, ticks=2, **metadata):
    """A checkpoint of a model that has learned nothing; its path."""
    torch.manual_seed(0)
    facts = Metadata(height=SIDE, width=SIDE, fps=20.0, action_space=ActionCodec(space).to_json(), **metadata)
    WorldModel(model_config(Size.tiny, channels=4, frames_per_latent=ticks), facts).save(folder)
    return str(folder)


def actions(number, seed=0):
    space = action_space()
    space.seed(seed)
    return [space.sample() | {"camera": np.float32([0, 12 * i]), "ESC": 0} for i in range(number)]


def play(number, seed, act=lambda t: {}, **settings):
    """Frames of every tick, and the last `info`, of the real environment alone."""
    env = VoxelEnv(height=SIDE, width=SIDE, view_distance=16, frame_skip=2, render_mode="rgb_array", **settings)
    frame, info = env.reset(seed=seed)
    frames = [frame]
    for t in range(number):
        _, _, _, _, info = env.step(act(t))
        frames += list(env.frames)
    return np.stack(frames), info


def test_both_have_the_same_spaces(twin):
    assert isinstance(twin.real.unwrapped, VoxelEnv) and isinstance(twin.imagined, ImaginedEnv)
    assert twin.real.action_space == twin.imagined.action_space == twin.action_space
    assert twin.real.observation_space == twin.imagined.observation_space
    assert twin.real.unwrapped.config.frame_skip == twin.imagined.frames_per_step == 2
    assert twin.real.unwrapped.config.view_distance == 16, "as it was made for the data"


def test_dream_sees_what_was_played(twin):
    chosen = actions(3)
    played = iter(chosen)
    observations = []
    real, imagined, info = twin.reset(seed=4, act=lambda frame, info: observations.append(frame) or next(played))
    frames, expected = play(3, 4, lambda t: chosen[t])
    assert np.array_equal(real, frames[-1]) and info == expected
    assert np.array_equal(observations, frames[:-1:2]), "the player acts on the real observations"
    alone = ImaginedEnv(checkpoint=twin.imagined._core.config.checkpoint, num_steps=1)
    ticks = [action for action in chosen for _ in range(2)]
    options = {"video": frames, "actions": ticks, "prompt": expected["caption"]}
    first, mine = alone.reset(seed=4, options=options)
    assert np.array_equal(imagined, first) and mine["caption"] == expected["caption"]
    found, wanted = twin.step(chosen[0]).imagined, alone.step(chosen[0])
    assert np.array_equal(found[0], wanted[0]) and found[1:] == wanted[1:]


def test_step_returns_both(twin):
    twin.reset(seed=4)
    chosen = actions(2, seed=1)
    frames, _ = play(5, 4, lambda t: {} if t < 3 else chosen[t - 3])
    for t, action in enumerate(chosen):
        step = twin.step(action)
        assert isinstance(step, TwinStep)
        assert np.array_equal(step.real_frames, frames[7 + 2 * t : 9 + 2 * t])
        assert np.array_equal(step.real[0], step.real_frames[-1])
        assert step.imagined_frames.shape == (2, SIDE, SIDE, 3)
        assert np.array_equal(step.imagined[0], step.imagined_frames[-1])
        assert step.real[1] == 0.0 and step.real[2:4] == (False, False) and "pose" in step.real[4]
        assert step.imagined[4]["step"] == t + 1 and step.imagined[4]["residual"] > 0.0


def test_psnr_is_that_of_the_observations(twin):
    twin.reset(seed=4)
    step = twin.step({})
    real, imagined = step.real[0].astype(float), step.imagined[0].astype(float)
    error = ((real - imagined) ** 2).mean()
    assert step.psnr == pytest.approx(10 * np.log10(255**2 / error)) and type(step.psnr) is float
    assert 0 < step.psnr < 30


def test_psnr_of_equal_frames_is_finite(twin, monkeypatch):
    twin.reset(seed=4)
    dreamed = twin.imagined.step
    monkeypatch.setattr(twin.imagined, "step", lambda action: (twin.real.render(), *dreamed(action)[1:]))
    assert 100 < twin.step({}).psnr < 200


def test_same_seed_same_twins(twin):
    def first_steps(seed):
        real, imagined, _ = twin.reset(seed=seed)
        step = twin.step({"forward": 1})
        return [real, imagined, step.real[0], step.imagined[0]]

    found = first_steps(4)
    assert all(np.array_equal(one, other) for one, other in zip(first_steps(4), found, strict=True))
    assert not any(np.array_equal(one, other) for one, other in zip(first_steps(5), found, strict=True))


def test_options_are_those_of_the_real_environment(twin):
    _, _, info = twin.reset(seed=4, options={"biome": "desert", "weather": "clear", "start_time": 0.25})
    assert info["biome"] == "desert" and info["time_name"] == "noon"
    assert twin.step({}).imagined[4]["caption"] == info["caption"]
    with pytest.raises(ValueError, match="biome"):
        twin.reset(seed=4, options={"biome": "moon"})


def test_dream_may_set_in_at_once(checkpoint):
    twin = Twin(checkpoint=checkpoint, num_steps=1, context_steps=0)
    real, _, _ = twin.reset(seed=4)
    assert np.array_equal(real, play(0, 4)[0][-1])
    assert twin.imagined.get_state().state.cache.count.tolist() == [1]
    twin.step({})


def test_discrete_actions(checkpoint):
    twin = Twin(checkpoint=checkpoint, num_steps=1, context_steps=1, actions="discrete")
    assert twin.action_space == gymnasium.spaces.Discrete(19) == twin.real.action_space
    plain = Twin(checkpoint=checkpoint, num_steps=1, context_steps=1)
    for one in (twin, plain):
        one.reset(seed=4)
    for number in (1, 8):
        found, expected = twin.step(number), plain.step(discrete_action(number))
        assert np.array_equal(found.real_frames, expected.real_frames)
        assert np.array_equal(found.imagined_frames, expected.imagined_frames)


def test_frames_of_another_size(tmp_path, checkpoint):
    twin = Twin(checkpoint=checkpoint, num_steps=1, context_steps=1, height=32, width=64)
    assert twin.reset(seed=4)[0].shape == twin.reset(seed=4)[1].shape == (32, 64, 3)
    # Recordings that were made at the default size do not say it.
    silent = save_model(tmp_path, action_space(), env_id="worldmodel/Voxel-v0", env_kwargs={})
    assert Twin(checkpoint=silent, height=32, width=64).real.observation_space.shape == (32, 64, 3)


def test_given_environment_is_used(checkpoint):
    env = gymnasium.make("worldmodel/Imagined-v0", checkpoint=checkpoint, num_steps=1)
    twin = Twin(env, context_steps=1)
    assert twin.imagined is env.unwrapped
    twin.reset(seed=4)
    twin.step({})
    twin.close()


def test_model_of_one_tick(tmp_path):
    path = save_model(tmp_path, action_space(), 1, env_id="worldmodel/Voxel-v0", env_kwargs={"height": 48, "width": 48})
    twin = Twin(checkpoint=path, num_steps=1, context_steps=2)
    twin.reset(seed=4)
    step = twin.step({"forward": 1})
    assert step.real_frames.shape == step.imagined_frames.shape == (1, 48, 48, 3)
    assert np.array_equal(step.real_frames[0], step.real[0])


# --- What is wrong is said


def test_step_before_reset(checkpoint):
    twin = Twin(checkpoint=checkpoint, num_steps=1, context_steps=0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        twin.step({})
    twin.reset(seed=0)
    twin.step({})


@pytest.mark.parametrize("action", [{"jmup": 1}, 3, [{}, {}], {"camera": (0, 500)}], ids=str)
def test_wrong_action_moves_neither(twin, action):
    """The real environment takes no lists, so neither does a twin."""
    found = []
    for wrong in (None, action):
        twin.reset(seed=4)
        if wrong is not None:
            with pytest.raises((TypeError, ValueError), match="action"):
                twin.step(wrong)
        found.append(twin.step({"forward": 1}))
    assert np.array_equal(found[0].real_frames, found[1].real_frames)
    assert np.array_equal(found[0].imagined_frames, found[1].imagined_frames)


def test_real_end_is_the_end(twin, monkeypatch):
    twin.reset(seed=4)
    monkeypatch.setattr(twin.real.unwrapped._running, "over", True)
    with pytest.raises(gymnasium.error.ResetNeeded):
        twin.step({})
    assert twin.imagined.get_state().step == 0, "the dream has not gone on alone"


def test_real_end_within_the_context(twin, monkeypatch):
    real = twin.real.unwrapped
    with monkeypatch.context() as patch:
        step = real.step
        patch.setattr(real, "step", lambda action: (*step(action)[:2], True, False, {}))
        with pytest.raises(RuntimeError, match="the real episode with seed 4 ended within its first steps; choose"):
            twin.reset(seed=4)
    twin.reset(seed=4)
    twin.step({})


def test_context_that_is_none(checkpoint):
    with pytest.raises(ValueError, match="^context_steps: expected at least 0, got -1"):
        Twin(checkpoint=checkpoint, context_steps=-1)


@pytest.mark.parametrize(
    ("space", "ticks", "facts", "message"),
    [
        (action_space(), 2, {}, "checkpoint: expected a model of an environment, got one of recordings"),
        (
            gymnasium.spaces.Discrete(2),
            2,
            {"env_id": "CartPole-v1"},
            "checkpoint: expected a model of an environment that can step 2 ticks at once, got one of CartPole-v1",
        ),
        (
            gymnasium.spaces.Discrete(2),
            1,
            {"env_id": "CartPole-v1"},
            "checkpoint: expected the spaces of CartPole-v1, got others",
        ),
        (
            gymnasium.spaces.Discrete(7),
            2,
            {"env_id": "worldmodel/Voxel-v0", "env_kwargs": {"height": SIDE, "width": SIDE}},
            "checkpoint: expected the spaces of worldmodel/Voxel-v0, got others",
        ),
    ],
    ids=["recordings", "no ticks", "observations", "actions"],
)
def test_model_without_a_twin_is_refused(tmp_path, space, ticks, facts, message):
    env = ImaginedEnv(checkpoint=save_model(tmp_path, space, ticks, **facts), num_steps=1)
    with pytest.raises(ValueError, match=f"^{message}.*: it has no twin"):
        real_environment(env)
    with pytest.raises(ValueError, match="it has no twin"):
        Twin(env)
    env.reset(seed=0)
    env.step(env.idle_action())
