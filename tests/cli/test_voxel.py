"""The command line on the block world itself."""

import dataclasses
import inspect
import json
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
from omegaconf import OmegaConf

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import PLAYERS
from worldmodel.cli import main, settings
from worldmodel.cli.playing import make
from worldmodel.cli.rollout import RolloutConfig
from worldmodel.data import read_episodes, video_info
from worldmodel.envs.imagined.config import ImaginedConfig

SMALL = ["env.kwargs.width=64", "env.kwargs.height=64"]


def test_rollout(tmp_path):
    command = [sys.executable, "-m", "worldmodel.cli", "rollout", "steps=20", "output=out", *SMALL]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "out/rollout.mp4" in result.stdout.splitlines()[-1]
    figures = json.loads((tmp_path / "out/rollout.json").read_text())
    assert video_info(tmp_path / "out/rollout.mp4").num_frames == 21
    assert {"pose", "events", "caption", "action", "reward"} <= set(figures["steps"][0])


def test_the_same_seed_gives_the_same_recording(tmp_path):
    for name in ("one", "two"):
        command = ["record", "steps=15", "episodes=2", "lossless=true", f"output={tmp_path / name}", *SMALL]
        assert main(command) == 0
    for path in (tmp_path / "one").glob("episode*"):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_recording_can_be_played_again(tmp_path):
    assert main(["record", "steps=15", "episodes=1", "seed=5", "lossless=true", f"output={tmp_path}", *SMALL]) == 0
    (episode,) = read_episodes(tmp_path)
    source = episode.source
    env = gymnasium.make(source.env_id, **source.env_kwargs)
    frame, info = env.reset(seed=source.seed)
    for t, action in enumerate(episode.actions):
        assert (frame == episode.frames[t]).all() and info["caption"] == episode.captions[t]
        assert env.action_space.contains(action)
        frame, reward, _, _, info = env.step(action)
        assert reward == episode.rewards[t]
    assert (frame == episode.frames[-1]).all()
    env.close()


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("env.kwargs.frame_skip=2", "one line a tick"),
        ("env.kwargs.actions=discrete player=random", "expected dictionary actions"),
        ("env.kwargs.biome=moon", "biome: "),
        ("env.kwargs.moon=1", "moon"),
    ],
)
def test_what_cannot_be_recorded_is_explained(capsys, tmp_path, setting, reason):
    assert main(["record", *setting.split(), f"output={tmp_path / 'out'}", *SMALL]) == 2
    assert reason in capsys.readouterr().err.splitlines()[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("group", ["env", "player"])
def test_every_choice_can_be_made(checkpoint, tmp_path, group):
    assert main(["record", "steps=3", "episodes=1", f"output={tmp_path}", *SMALL]) == 0
    dream = ["env=imagined", f"env.kwargs.checkpoint={checkpoint}"]
    needs = {
        # scripted players know the block world only
        **{("env", name): ["player=random"] for name in ("atari", "crafter", "minigrid", "vizdoom")},
        ("env", "imagined"): ["player=random", *dream],
        ("player", "forager"): ["env=crafter"],
        ("player", "policy"): dream,
        ("player", "recorded"): [f"player.kwargs.path={tmp_path}"],
    }
    for path in sorted((settings.FOLDER / group).glob("*.yaml")):
        if path.stem in ("gymnasium", "pixels", "minerl"):  # say nothing by themselves, or need another interpreter
            continue
        if path.stem in ("learned", "ppo"):  # need hours of learning: their settings alone
            parameters = inspect.signature(PLAYERS[path.stem]).parameters
            assert set(OmegaConf.load(path).kwargs) == set(parameters) - {"env"}
            continue
        more = needs.get((group, path.stem), [])
        config = settings.load("rollout", RolloutConfig, [f"{group}={path.stem}", *more, *SMALL])
        env, player = make(config.env, config.player)
        observation, info = env.reset(seed=0)
        player.reset(0)
        action = player.act(observation, info)
        assert all(env.action_space.contains(tick) for tick in (action if isinstance(action, list) else [action]))
        env.close()


def test_a_video_lasts_as_long_as_what_it_shows(tmp_path):
    assert main(["rollout", "steps=5", "env.kwargs.frame_skip=2", f"output={tmp_path}", *SMALL]) == 0
    info = video_info(tmp_path / "rollout.mp4")
    assert (info.num_frames, info.fps) == (11, 20)


def test_every_setting_of_the_block_world_is_in_its_yaml():
    config = settings.load("rollout", RolloutConfig, [])
    assert Path(settings.FOLDER / "env" / "voxel.yaml").exists()
    assert config.env.kwargs, "explain the keyword arguments of worldmodel/Voxel-v0 in configs/env/voxel.yaml"


def test_every_setting_of_a_dream_is_in_its_yaml():
    config = settings.load("rollout", RolloutConfig, ["env=imagined"])
    assert config.env.kwargs == dataclasses.asdict(ImaginedConfig())


def test_envs_lists_every_id(capsys):
    assert main(["envs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    ids = {spec.id for spec in gymnasium.registry.values() if spec.namespace == "worldmodel"}
    assert {line.split()[0] for line in lines} == ids
    assert "Dict of 24 keys" in next(line for line in lines if line.startswith("worldmodel/Voxel-v0 "))
