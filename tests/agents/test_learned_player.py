"""The player that `worldmodel learn` makes, with networks that have learned nothing but say something."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.agents.learning import ActorCritic
from worldmodel.agents.learning.states import Progress, write_state
from worldmodel.agents.learning.worlds import count_features, features_of
from worldmodel.cli.settings import player_kwargs
from worldmodel.data.action_codec import ActionCodec
from worldmodel.model import WorldModel, streaming
from worldmodel.model.checkpoint import read_config


@pytest.fixture(scope="module")
def write(checkpoint):
    """Writes the folder of a learned player, and returns the networks."""

    def made(folder, **origin):
        model = WorldModel.from_pretrained(checkpoint)
        torch.manual_seed(0)
        networks = ActorCritic(count_features(model, 48, 48), model.codec, 16)
        with torch.no_grad():
            for parameter in networks.parameters():  # the last layers start at zero
                parameter.add_(0.2 * torch.randn_like(parameter))
        origin = {
            "world_model": checkpoint,
            "world_stamp": read_config(Path(checkpoint))["stamp"],
            "hidden": 16,
            **origin,
        }
        write_state(folder, networks, torch.optim.Adam(networks.actor.parameters()), Progress(1, 0.0), origin)
        return networks

    return made


@pytest.fixture(scope="module")
def learned(write, tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    write(folder)
    return str(folder)


def real(**settings):
    settings = {"height": 48, "width": 48, "view_distance": 16, "render_mode": "rgb_array", **settings}
    return gymnasium.make("worldmodel/Voxel-v0", **settings)


def play(env, folder, seed=0, steps=6, player=None, **kwargs):
    """Plays an episode; returns actions, and frames of all ticks."""
    player = player or make_player("learned", env, checkpoint=folder, **kwargs)
    observation, info = env.reset(seed=1)
    player.reset(seed)
    actions, frames = [], [observation]
    for _ in range(steps):
        actions.append(player.act(observation, info))
        assert actions[-1] in env.action_space
        observation, *_, info = env.step(actions[-1])
        frames += list(env.unwrapped.frames)
    return actions, np.stack(frames)


def flat(actions):
    return [np.asarray(action[key]).tolist() for action in actions for key in sorted(action)]


@pytest.mark.parametrize("frame_skip", [1, 2])
def test_the_model_sees_every_tick_and_what_led_to_it(checkpoint, learned, monkeypatch, frame_skip):
    shown, observe = [], streaming.observe
    monkeypatch.setattr(streaming, "observe", lambda *args: shown.append(args[2:4]) or observe(*args))
    env = real(frame_skip=frame_skip)
    actions, frames = play(env, learned, steps=8 // frame_skip)
    ticks = [action for action in actions for _ in range(frame_skip)]
    assert flat(ticks[0::2]) == flat(ticks[1::2]), "an action is held as long as a latent frame lasts"
    model = WorldModel.from_pretrained(checkpoint)
    wanted, vectors = model.encode(torch.from_numpy(frames[:7])), model.action_vectors(ticks[:6])
    assert len(shown) == 4
    for t, (latents, done) in enumerate(shown):
        assert torch.allclose(latents[0], wanted[t], atol=2e-2)
        assert (done is None) if t == 0 else torch.equal(done[0], vectors[t])


def test_it_plays_dreams(dream, learned):
    actions, _ = play(dream, learned, steps=4)
    assert all(flat([action]) != flat([actions[0]]) for action in actions[1:])


def test_the_seed_decides_and_nothing_is_left_of_the_episode_before(learned):
    env = real(frame_skip=2)
    player = make_player("learned", env, checkpoint=learned)
    first, again, other = (play(env, learned, seed, steps=3, player=player)[0] for seed in (0, 0, 1))
    assert flat(first) == flat(again) != flat(other)


@pytest.mark.parametrize("cloned", [False, True])
def test_it_does_what_the_policy_finds_likeliest(write, tmp_path, monkeypatch, cloned):
    networks = write(tmp_path)
    steps, observe = [], streaming.observe

    def spied(*args):
        steps.append(observe(*args))
        return steps[-1]

    monkeypatch.setattr(streaming, "observe", spied)
    env = real(frame_skip=2)
    actions, _ = play(env, str(tmp_path), steps=3, temperature=0, cloned=cloned)
    policy = networks.prior if cloned else networks.actor
    codec = ActionCodec(env.action_space)
    for action, step in zip(actions, steps, strict=True):
        vector = codec.encode(action)
        logits = policy(features_of(step))[0].detach().numpy()
        for factor in codec.factors:
            if factor.values is None:
                assert vector[factor.slice].argmax() == logits[factor.slice].argmax()


# What is refused


@pytest.mark.parametrize("temperature", [-1, float("nan"), float("inf"), "hot", True])
def test_bad_temperatures_are_refused(learned, temperature):
    with pytest.raises(ValueError, match="temperature: expected a finite number of at least 0, got"):
        make_player("learned", real(), checkpoint=learned, temperature=temperature)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frame_skip": 3}, "expected steps of 1 or 2 ticks, as the model has 2 in a latent frame, got 3"),
        ({"frame_skip": 2, "render_mode": None}, 'expected render_mode="rgb_array", so that every tick is seen'),
        ({"height": 64}, r"expected frames of shape \(48, 48, 3\), .*, got \(64, 48, 3\)"),
        ({"actions": "discrete"}, "expected the action space that the model was trained with"),
    ],
)
def test_environments_that_do_not_suit_are_refused(learned, settings, message):
    with pytest.raises(TypeError, match=message):
        make_player("learned", real(**settings), checkpoint=learned)


def test_folders_that_are_none_are_refused(checkpoint, write, tmp_path):
    with pytest.raises(TypeError, match="checkpoint: expected the folder of `worldmodel learn`, got None"):
        make_player("learned", real(), checkpoint=None)
    with pytest.raises(FileNotFoundError, match="expected the folder of `worldmodel learn`, .* found none in .*tiny"):
        make_player("learned", real(), checkpoint=checkpoint)
    write(tmp_path / "other", world_stamp="0123")
    with pytest.raises(ValueError, match="expected the world model that was learned in, 0123, got [0-9a-f]{16} in"):
        make_player("learned", real(), checkpoint=str(tmp_path / "other"))
    write(tmp_path / "lost", world_model=str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        make_player("learned", real(), checkpoint=str(tmp_path / "lost"))


def test_the_settings_file_has_every_setting():
    assert player_kwargs("learned") == {"checkpoint": None, "temperature": 1.0, "cloned": False}
