"""The plain loop of `benchmarks/ppo.py`, after CleanRL, learns: in dreams, and what pays."""

import importlib.util
import json
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from ecosystem_tools import LIMIT, SIDE, dreams  # noqa: F401
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import TimeLimit

# ruff: noqa: F811 - fixtures


@pytest.fixture(scope="module")
def ppo():
    path = Path(__file__).parents[3] / "benchmarks" / "ppo.py"
    spec = importlib.util.spec_from_file_location("ppo_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_a_plain_loop_learns_in_dreams(ppo, checkpoint, dreams):
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        agent = ppo.Agent(19)
        before = [parameter.detach().clone() for parameter in agent.parameters()]
        envs = dreams(8, autoreset_mode="SameStep", max_episode_steps=LIMIT)
        rounds = list(ppo.learn(envs, agent, ppo.PPOConfig(rounds=2, steps=2 * LIMIT, epochs=2)))
        assert [done.steps for done in rounds] == [64, 128]
        assert all(np.isfinite(done.episode_return) and 0 < done.env_seconds < done.seconds for done in rounds)
        assert all((old != new).any() for old, new in zip(before, agent.parameters(), strict=True))
        found.append([done.episode_return for done in rounds])
    assert found[0] == found[1]  # nothing but the seed decides


class Lamp(gymnasium.Env):
    """The picture is dark or bright; the action that says which earns 1. A guess earns half of the 8 steps."""

    observation_space = gymnasium.spaces.Box(0, 255, (16, 16, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._look(), {}

    def step(self, action):
        reward = float(action == self._bright)
        return self._look(), reward, False, False, {}

    def _look(self):
        self._bright = int(self.np_random.integers(2))
        return np.full((16, 16, 3), 255 * self._bright, np.uint8)


def test_the_plain_loop_finds_what_pays(ppo):
    torch.manual_seed(0)
    envs = SyncVectorEnv([lambda: TimeLimit(Lamp(), 8)] * 8, autoreset_mode="SameStep")
    agent = ppo.Agent(2)
    rounds = list(ppo.learn(envs, agent, ppo.PPOConfig(rounds=12, steps=32)))
    assert rounds[0].episode_return < 6 and rounds[-1].episode_return > 7.5
    assert ppo.play(envs, agent, 0) > 7.5


def test_advantages_are_those_of_the_definition(ppo):
    """Schulman et al., https://arxiv.org/abs/1506.02438, equation 16, written as a sum."""
    random = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(6, 2, generator=random), torch.randn(7, 2, generator=random)
    ended = torch.zeros(6, 2, dtype=torch.bool)
    ended[2, 0] = ended[5, 1] = True
    config = ppo.PPOConfig(discount=0.9, trace_decay=0.8)
    found = ppo.advantages(rewards, values, ended, config)
    for i in range(2):
        for t in range(6):
            total, weight = 0.0, 1.0
            for k in range(t, 6):
                following = 0.0 if ended[k, i] else float(values[k + 1, i])
                total += weight * (float(rewards[k, i]) + 0.9 * following - float(values[k, i]))
                if ended[k, i]:
                    break
                weight *= 0.9 * 0.8
            assert float(found[t, i]) == pytest.approx(total, abs=1e-5)


def test_the_benchmark_runs_from_the_command_line(ppo, checkpoint, tmp_path, monkeypatch):
    output, lines = tmp_path / "figures.json", []
    command = ["ppo.py", "--settings", json.dumps({"checkpoint": checkpoint}), "--rounds", "1", "--steps", "4"]
    real = {"frame_skip": 2, "height": SIDE, "width": SIDE}
    command += ["--limit", "2", "--num-envs", "2", "--real", "worldmodel/Voxel-v0", "--real-settings", json.dumps(real)]
    monkeypatch.setattr(sys, "argv", [*command, "--output", str(output)])
    ppo.main(lines.append)
    figures = json.loads(output.read_text())
    assert figures["rounds"][0]["steps"] == 8 and len(figures["real_returns"]) == 2
    assert "steps" in lines[0] and "before" in lines[-1]
    monkeypatch.setattr(sys, "argv", [*command[:-1], "{}"])
    with pytest.raises(SystemExit, match="--real: expected observations .* set height and width"):
        ppo.main(lines.append)
