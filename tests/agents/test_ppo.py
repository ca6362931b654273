"""The player that PPO has made, and the files it is saved in."""

import importlib.util
import json
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from worldmodel.agents.ppo import PPOPlayer
from worldmodel.agents.ppo_network import PictureAgent, load_agent, save_agent
from worldmodel.cli.settings import player_kwargs


class Lamp(gymnasium.Env):
    """Dark or bright pictures, and three actions whose first is 1."""

    observation_space = gymnasium.spaces.Box(0, 255, (16, 16, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(3, start=1)


DARK, BRIGHT = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """An agent that leans towards 1 in the dark and 3 where it is bright."""
    torch.manual_seed(0)
    agent = PictureAgent(3)
    frames = torch.from_numpy(np.stack([DARK, BRIGHT]))
    optimizer = torch.optim.Adam(agent.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        wanted = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
        (-(wanted * agent(frames)[0]).sum()).backward()
        optimizer.step()
    save_agent(tmp_path / "agent", agent, Lamp.observation_space, Lamp.action_space, 128)
    return str(tmp_path / "agent")


def test_what_was_saved_is_read_again(folder, tmp_path):
    agent, shape, space = load_agent(folder)
    assert shape == (16, 16, 3) and space == Lamp.action_space
    assert not [path for path in (tmp_path / "agent").iterdir() if path.suffix not in (".json", ".safetensors")]
    first = agent(torch.from_numpy(DARK[None]))[0].exp()
    assert first[0, 0] > 0.7


def test_it_plays_by_what_it_sees(folder):
    player = PPOPlayer(Lamp(), checkpoint=folder)
    player.reset(3)
    shares = [
        np.mean([player.act(frame, {}) == wanted for _ in range(300)]) for frame, wanted in ((DARK, 1), (BRIGHT, 3))
    ]
    assert all(0.7 < share < 0.9 for share in shares)
    greedy = PPOPlayer(Lamp(), checkpoint=folder, temperature=0)
    assert [greedy.act(DARK, {}), greedy.act(BRIGHT, {})] == [1, 3]


def test_the_seed_decides(folder):
    player, found = PPOPlayer(Lamp(), checkpoint=folder), []
    for seed in (5, 5, 6):
        player.reset(seed)
        found.append([player.act(DARK, {}) for _ in range(40)])
    assert found[0] == found[1] != found[2]


def test_it_refuses_what_does_not_suit(folder, tmp_path):
    class Other(Lamp):
        action_space = gymnasium.spaces.Discrete(3)

    class Large(Lamp):
        observation_space = gymnasium.spaces.Box(0, 255, (32, 16, 3), np.uint8)

    for env, message in ((Other, "env: expected actions"), (Large, r"env: expected frames of shape \(16, 16, 3\)")):
        with pytest.raises(TypeError, match=message):
            PPOPlayer(env(), checkpoint=folder)
    for temperature in (-1, float("nan"), True):
        with pytest.raises(ValueError, match="temperature: expected"):
            PPOPlayer(Lamp(), checkpoint=folder, temperature=temperature)
    with pytest.raises(FileNotFoundError, match="checkpoint: expected a folder of benchmarks/ppo.py --save"):
        PPOPlayer(Lamp(), checkpoint=str(tmp_path))
    with pytest.raises(TypeError, match="checkpoint: expected a folder"):
        PPOPlayer(Lamp(), checkpoint=None)
    (tmp_path / "agent" / "policy.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="checkpoint: expected weights in"):
        PPOPlayer(Lamp(), checkpoint=folder)


def test_the_settings_of_the_command_line_are_its_own():
    assert player_kwargs("ppo") == {"checkpoint": None, "temperature": 1.0}


def test_the_benchmark_makes_a_player(tmp_path, monkeypatch):
    pytest.importorskip("minigrid")
    path = Path(__file__).parents[2] / "benchmarks" / "ppo.py"
    spec = importlib.util.spec_from_file_location("ppo_benchmark_to_save", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look there
    spec.loader.exec_module(module)
    level = {"level": "MiniGrid-Empty-5x5-v0", "height": 16, "width": 16}
    command = ["ppo.py", "--env", "worldmodel/MiniGrid-v0", "--settings", json.dumps(level | {"actions": None})]
    command += ["--rounds", "2", "--steps", "4", "--num-envs", "2", "--limit", "3", "--save", str(tmp_path / "ppo")]
    monkeypatch.setattr(sys, "argv", command)
    module.main(lambda line: None)
    assert json.loads((tmp_path / "ppo" / "policy.json").read_text())["steps"] == 16
    env = gymnasium.make("worldmodel/MiniGrid-v0", **level)
    player = PPOPlayer(env, checkpoint=str(tmp_path / "ppo"))
    observation, info = env.reset(seed=1)
    player.reset(1)
    assert {player.act(observation, info) for _ in range(60)} == set(range(7))  # it has hardly learned anything
