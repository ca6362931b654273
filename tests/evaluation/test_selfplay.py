"""Self-play: a policy that is its player is as near as can be, one that presses anything is caught."""

import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from PIL import Image

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.data.action_codec import ActionCodec
from worldmodel.envs.actions import action_space, no_op
from worldmodel.evaluation.conduct import conduct, distance, factor_distances, key_names, outcomes
from worldmodel.evaluation.dreamers import ModelDreamer
from worldmodel.evaluation.episodes import RealEpisode
from worldmodel.evaluation.selfplay import WHO, evaluate_selfplay, ticks_played
from worldmodel.model import Metadata, Size, WorldModel, model_config

# For dream_checkpoint. It is no module of a package `tests`, because some dependencies install one of that name.
sys.path.append(str(Path(__file__).parents[1] / "envs" / "imagined"))

KEYS = ActionCodec(action_space())
DISCRETE = ActionCodec(gymnasium.spaces.Discrete(4))
BUTTONS = {"forward": 0.6, "attack": 0.3}
"""Chances of the keys that the training player of these tests presses."""
TURNS = {-1.0: 0.2, 0.0: 0.5, 4.0: 0.3}
"""And of how far it turns in a tick."""


def likely(codec):
    """Probabilities (A,) of that player; in a discrete space 1 and 2 are likelier than 0, and others never come."""
    vector = codec.rest.astype(np.float64)
    for factor in codec.factors:
        part = vector[factor.slice]
        if factor.name in BUTTONS:
            part[:] = 1 - BUTTONS[factor.name], BUTTONS[factor.name]
        elif factor.name == "camera[1]":
            part[:] = sum(
                chance * codec.encode({"camera": (0.0, turn)})[factor.slice] for turn, chance in TURNS.items()
            )
        elif factor.name == "action":
            part[:] = 0
            part[:3] = 0.2, 0.5, 0.3
    return vector


class LikelyPlayer:
    def __init__(self, env):
        self.codec = ActionCodec(env.action_space)

    def reset(self, seed):
        self.random = np.random.default_rng([seed, 7])

    def act(self, observation, info):
        return self.codec.sample(likely(self.codec), self.random)


@pytest.fixture(scope="module")
def voxel(tmp_path_factory):
    from dream_checkpoint import write_checkpoint

    checkpoint = write_checkpoint(tmp_path_factory.mktemp("selfplay") / "tiny")
    env = gymnasium.make("worldmodel/Voxel-v0", height=48, width=48, view_distance=16)
    yield ModelDreamer(WorldModel.from_pretrained(checkpoint), num_steps=1, name="tiny"), env
    env.close()


@pytest.fixture(scope="module")
def crafter():
    env = gymnasium.make("worldmodel/Crafter-v0", height=32, width=32)
    space = ActionCodec(env.action_space).to_json()
    torch.manual_seed(0)
    model = WorldModel(
        model_config(Size.tiny, frames_per_latent=1, channels=4),
        Metadata(height=32, width=32, fps=10.0, action_space=space),
    )
    return ModelDreamer(model.eval().requires_grad_(False), num_steps=1, name="tiny"), env


def evaluate(dreamer, env, folder, policy, monkeypatch, **settings):
    """Evaluates a model whose head says `policy`, probabilities (A,), whatever it sees."""
    r = dreamer.frames_per_step
    said = torch.from_numpy(np.repeat(policy[None], r, axis=0)).float()
    monkeypatch.setattr(dreamer.model.factors, "probabilities", lambda logits: said)
    settings = {"num_ticks": 60, **settings}
    return evaluate_selfplay(dreamer, env, LikelyPlayer(env), range(10**9, 10**9 + 3), folder, **settings)


def test_keys_are_buttons_choices_and_movements():
    names = key_names(KEYS)
    assert len(names) == 25 and {"forward", "hotbar.9", "camera[0] moves", "camera[1] moves"} < set(names)
    assert key_names(DISCRETE) == ["action 1", "action 2", "action 3"]


def test_presses_and_time_held_are_counted():
    pressed = [1, 1, 0, 1, 1, 1, 0, 0]
    actions = [no_op() | {"forward": value, "camera": np.float32([0, 4.0 * value])} for value in pressed]
    found = conduct(KEYS, [actions, actions[:2]])
    forward, turn = (key_names(KEYS).index(name) for name in ("forward", "camera[1] moves"))
    assert found.ticks.tolist() == [8, 2]
    assert found.held[:, forward].tolist() == [5, 2] and found.presses[:, forward].tolist() == [2, 1]
    assert found.held[:, turn].tolist() == [5, 2]
    assert found.held.sum() == 14 and found.counts.shape == (2, KEYS.width)
    discrete = conduct(DISCRETE, [[0, 1, 1, 2, 1, 0]])
    assert discrete.held.tolist() == [[3, 1, 0]] and discrete.presses.tolist() == [[2, 1, 0]]


def test_a_small_movement_is_held_in_part():
    """As the policy would show it: now and then, and by a whole bin."""
    bins = next(factor for factor in KEYS.factors if factor.name == "camera[1]").values
    smallest = bins[bins > 0].min()
    found = conduct(KEYS, [[{"camera": (0.0, smallest / 4)}] * 8])
    assert found.held[0, key_names(KEYS).index("camera[1] moves")] == pytest.approx(2.0, abs=1e-3)


def test_distances():
    def counts(*actions):
        return conduct(DISCRETE, [actions]).counts.sum(0)

    assert distance(DISCRETE, counts(0, 1, 2), counts(2, 1, 0, 0, 1, 2)) == pytest.approx(0.0)
    assert distance(DISCRETE, counts(0, 0, 1), counts(2, 3)) == pytest.approx(1.0)
    assert factor_distances(DISCRETE, counts(0, 0, 0, 1), counts(0, 1)).tolist() == pytest.approx([0.25])


def test_keys_that_the_player_hardly_uses_weigh_little():
    walks = conduct(KEYS, [[{"forward": i % 2} for i in range(100)]]).counts[0]
    stands = conduct(KEYS, [[{"forward": 0}] * 100]).counts[0]
    drops = conduct(KEYS, [[{"forward": i % 2, "drop": 1} for i in range(100)]]).counts[0]
    assert distance(KEYS, walks, stands) == pytest.approx(0.5)
    assert distance(KEYS, walks, drops) == pytest.approx(0.0)
    assert factor_distances(KEYS, walks, drops).max() == pytest.approx(1.0)
    assert distance(KEYS, stands, drops) == pytest.approx((0.5 + 1.0) / len(KEYS.factors))


def test_outcomes_are_read_from_poses_and_events():
    poses = [(0.5, 0.5, 0.0), (3.5, 4.5, 5.0), (3.5, 4.5, -5.0)]
    infos = [{"pose": {"x": x, "z": z, "yaw": yaw}, "events": []} for x, z, yaw in poses]
    infos[1]["events"] = [{"type": "mined"}, {"type": "gained", "item": "oak_log", "count": 2}]
    infos[2]["events"] = [{"type": "placed"}, {"type": "gained", "item": "dirt", "count": 1}]
    frames = np.zeros((3, 1, 4, 4, 3), np.uint8)
    episode = RealEpisode(0, frames, [0, 0], np.array([0.5, 1.0]), infos, False)
    assert outcomes(episode) == {
        **{"reward": 1.5, "walked": 5.0, "cells": 2.0, "yaw": 20.0},
        **{"logs": 2.0, "mined": 1.0, "placed": 1.0},
    }


@pytest.mark.parametrize("name", ["voxel", "crafter"])
def test_a_policy_that_is_its_player_passes(name, request, tmp_path, monkeypatch):
    dreamer, env = request.getfixturevalue(name)
    ticks = []
    policy = likely(dreamer.model.codec)
    section = evaluate(dreamer, env, tmp_path, policy, monkeypatch, progress=ticks.append)
    assert [check.passed for check in section.checks] == [True, True]
    figures = section.figures
    for who in ("real", "dream"):
        assert figures[f"distance_{who}"].value < 0.15 < 0.5 * figures["distance_random"].value
    assert sum(ticks) == ticks_played(3, 60)
    assert section.pictures.keys() == {"selfplay.png"} and np.asarray(Image.open(tmp_path / "selfplay.png")).std() > 5
    behaviour, keys = section.tables
    assert all(len(row) == len(table.header) for table in section.tables for row in table.rows)
    assert [row[0] for row in behaviour.rows] == list(WHO.values()) == list(keys.header[1:])


@pytest.mark.parametrize("name", ["voxel", "crafter"])
def test_a_policy_that_presses_anything_is_caught(name, request, tmp_path, monkeypatch):
    dreamer, env = request.getfixturevalue(name)
    codec = dreamer.model.codec
    section = evaluate(dreamer, env, tmp_path, codec.normalise(np.zeros(codec.width)), monkeypatch)
    assert [check.passed for check in section.checks] == [False, False]


def test_figures_tell_what_was_done(voxel, tmp_path, monkeypatch):
    dreamer, env = voxel
    figures = evaluate(dreamer, env, tmp_path, likely(KEYS), monkeypatch).figures
    for who in ("player", "real", "dream"):
        assert figures[f"share_forward_{who}"].value == pytest.approx(0.6, abs=0.15)
        assert figures[f"share_jump_{who}"].value == 0.0
        assert figures[f"size_camera[1]_{who}"].value == pytest.approx(1.4, abs=0.5)
        assert 1.0 < figures[f"press_ticks_{who}"].value < 4.0
    assert figures["walked_real"].value > 0 and figures["yaw_real"].value > 10
    assert figures["walked_dream"].number == 0
    assert figures["largest_random"] > 0.5 and figures["largest_factor_random"].startswith("camera")


def test_the_seed_decides(voxel, tmp_path, monkeypatch):
    dreamer, env = voxel
    first, again, other = (
        evaluate(dreamer, env, tmp_path, likely(KEYS), monkeypatch, num_ticks=12, seed=seed, batch=batch).figures
        for seed, batch in ((0, 2), (0, 16), (1, 16))
    )
    assert first == again  # alone or in a batch
    assert first["share_forward_dream"] != other["share_forward_dream"]
    assert first["share_forward_player"] == other["share_forward_player"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": []}, "seeds: expected at least one world, got none"),
        ({"num_ticks": 1}, "num_ticks: expected at least 2, the ticks of a latent frame, got 1"),
        ({"frame_skip": 2}, "env: expected steps of one tick, as training data has, got 2; .* frame_skip=1"),
    ],
)
def test_bad_arguments_are_named(voxel, tmp_path, settings, message):
    dreamer, env = voxel
    settings = {"seeds": [10**9], "num_ticks": 4, **settings}
    if frame_skip := settings.pop("frame_skip", None):
        env = gymnasium.make("worldmodel/Voxel-v0", height=48, width=48, view_distance=16, frame_skip=frame_skip)
    seeds = settings.pop("seeds")
    with pytest.raises(ValueError, match=message):
        evaluate_selfplay(dreamer, env, LikelyPlayer(env), seeds, tmp_path, **settings)
