"""Proximal policy optimisation on a vector environment, dreamed or real: steps a second, and what is learned.

    python benchmarks/ppo.py [--env worldmodel/Imagined-v0] [--settings '{"checkpoint": "voxel-small"}'] [--rounds N]
        [--real worldmodel/VoxelTreechop-v0] [--real-settings '{"frame_skip": 2}'] [--output FILE] [--save FOLDER]

One plain loop in one file, after CleanRL (https://docs.cleanrl.dev), on Gymnasium alone. Dreams seldom end by
themselves: what an episode that the time limit cuts off would still have given is estimated. With `--real`, the policy
also plays in that environment before and after; it needs the spaces and the step of the first one (`frame_skip`).

With `--save` the policy becomes a player: `worldmodel evaluate agent.ppo.name=ppo agent.ppo.kwargs.checkpoint=FOLDER`
compares it with others. Settings that an environment does not know, such as `actions`, are left out by `null`.

Source: Schulman et al., "Proximal Policy Optimization Algorithms", https://arxiv.org/abs/1707.06347.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from torch import Tensor, nn
from torch.nn import functional as F

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents.ppo_network import PictureAgent as Agent
from worldmodel.agents.ppo_network import save_agent


@dataclass(kw_only=True, slots=True)
class PPOConfig:
    """Settings; a round is `steps` steps of all environments, and `epochs` passes over them."""

    rounds: int = 50
    steps: int = 64
    epochs: int = 4
    minibatches: int = 4
    learning_rate: float = 1e-3
    discount: float = 0.99
    trace_decay: float = 0.95
    clip: float = 0.2
    entropy_weight: float = 0.01
    value_weight: float = 0.5
    max_gradient_norm: float = 0.5
    seed: int = 0


@dataclass(slots=True)
class Round:
    """What a round gave: steps so far, mean return of the episodes that ended in it (none: nan), and its times."""

    steps: int
    episode_return: float
    env_seconds: float
    seconds: float


def draw(log_probs: Tensor, random: torch.Generator) -> Tensor:
    """Draws an action from each row."""
    return torch.multinomial(log_probs.exp(), 1, generator=random).squeeze(1)


def advantages(rewards: Tensor, values: Tensor, ended: Tensor, config: PPOConfig) -> Tensor:
    """Returns generalised advantage estimates (T, N), from `values` (T + 1, N)."""
    found, following = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        going_on = (~ended[t]).float()
        error = rewards[t] + config.discount * values[t + 1] * going_on - values[t]
        found[t] = following = error + config.discount * config.trace_decay * going_on * following
    return found


def loss(agent: Agent, batch: dict[str, Tensor], config: PPOConfig) -> Tensor:
    """Returns the clipped surrogate loss of a minibatch, with those of value and entropy."""
    log_probs, values = agent(batch["frames"])
    ratio = (log_probs.gather(1, batch["actions"][:, None]).squeeze(1) - batch["log_probs"]).exp()
    gain = (batch["advantages"] - batch["advantages"].mean()) / (batch["advantages"].std() + 1e-8)
    surrogate = torch.minimum(ratio * gain, ratio.clamp(1 - config.clip, 1 + config.clip) * gain).mean()
    entropy = -(log_probs.exp() * log_probs).sum(1).mean()
    value_loss = 0.5 * F.mse_loss(values, batch["returns"])
    return -surrogate - config.entropy_weight * entropy + config.value_weight * value_loss


def learn(envs: VectorEnv, agent: Agent, config: PPOConfig) -> Iterator[Round]:
    """Improves a policy.

    Args:
        envs: Made with `autoreset_mode="SameStep"`; uint8 pictures, discrete actions.
        agent: Changed in place.
        config: Settings.

    Yields:
        What each round gave.
    """
    envs, random = RecordEpisodeStatistics(envs), torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.Adam(agent.parameters(), lr=config.learning_rate, eps=1e-5)
    frames = torch.from_numpy(envs.reset(seed=config.seed)[0])
    for number in range(config.rounds):
        begun, env_seconds = time.perf_counter(), 0.0
        rows: list[tuple[Tensor, ...]] = []
        episode_returns: list[float] = []
        with torch.no_grad():
            for _ in range(config.steps):
                log_probs, values = agent(frames)
                actions = draw(log_probs, random)
                before = time.perf_counter()
                following, rewards, terminations, truncations, infos = envs.step(actions.numpy())
                env_seconds += time.perf_counter() - before
                ended, gains = terminations | truncations, torch.from_numpy(rewards).float()
                if (
                    cut := np.flatnonzero(truncations & ~terminations)
                ).size:  # would have gone on: add what it was worth
                    final = torch.from_numpy(np.stack([infos["final_obs"][i] for i in cut]))
                    gains[torch.from_numpy(cut)] += config.discount * agent(final)[1]
                if ended.any():
                    episode_returns += infos["episode"]["r"][ended].tolist()
                taken = log_probs.gather(1, actions[:, None]).squeeze(1)
                rows.append((frames, actions, taken, gains, torch.from_numpy(ended), values))
                frames = torch.from_numpy(following)
            last = agent(frames)[1]
        seen, actions, taken, gains, over, values = (torch.stack(column) for column in zip(*rows, strict=True))
        gain = advantages(gains, torch.cat([values, last[None]]), over, config)
        data = {"frames": seen, "actions": actions, "log_probs": taken, "advantages": gain, "returns": gain + values}
        data = {name: tensor.flatten(0, 1) for name, tensor in data.items()}
        optimizer.param_groups[0]["lr"] = config.learning_rate * (1 - number / config.rounds)
        for _ in range(config.epochs):
            for chosen in torch.randperm(len(gain.flatten()), generator=random).chunk(config.minibatches):
                optimizer.zero_grad()
                loss(agent, {name: tensor[chosen] for name, tensor in data.items()}, config).backward()
                nn.utils.clip_grad_norm_(agent.parameters(), config.max_gradient_norm)
                optimizer.step()
        steps = (number + 1) * config.steps * envs.num_envs
        mean = float(np.mean(episode_returns)) if episode_returns else float("nan")
        yield Round(steps, mean, env_seconds, time.perf_counter() - begun)


@torch.no_grad()
def play(envs: VectorEnv, agent: Agent, seed: int) -> float:
    """Returns the mean return of the first episode of each environment, which has a time limit."""
    random, total = torch.Generator().manual_seed(seed), np.zeros(envs.num_envs)
    frames, running = envs.reset(seed=seed)[0], np.ones(envs.num_envs, np.bool_)
    while running.any():
        actions = draw(agent(torch.from_numpy(frames))[0], random)
        frames, rewards, terminations, truncations, _ = envs.step(actions.numpy())
        total += rewards * running
        running &= ~(terminations | truncations)
    return float(total.mean())


def make(env_id: str, settings: str, num_envs: int, limit: int) -> VectorEnv:
    """Makes a vector environment as `learn` wants it."""
    chosen = {"actions": "discrete"} | json.loads(settings)
    chosen = {name: value for name, value in chosen.items() if value is not None}
    if gymnasium.spec(env_id).vector_entry_point is not None:
        fixed = {"autoreset_mode": "SameStep", "max_episode_steps": limit}
        return gymnasium.make_vec(env_id, num_envs, **fixed | chosen)  # type: ignore[arg-type]
    one = partial(gymnasium.make, env_id, max_episode_steps=limit, **chosen)
    return SyncVectorEnv([one] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


def main(report: Callable[[str], None] = print) -> None:
    """Learns, and tells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="worldmodel/Imagined-v0", help="id of the environment to learn in")
    parser.add_argument("--settings", default="{}", help="its settings, as JSON")
    parser.add_argument("--real", default=None, help="id of an environment to play in, before and after")
    parser.add_argument("--real-settings", default="{}", help="its settings, as JSON")
    parser.add_argument("--num-envs", type=int, default=8, help="environments in a batch")
    parser.add_argument("--limit", type=int, default=64, help="steps of an episode")
    for field in dataclasses.fields(PPOConfig):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    parser.add_argument("--output", type=Path, default=None, help="also write the figures to a JSON file")
    parser.add_argument("--save", type=Path, default=None, help="folder for the policy, of the player ppo")
    arguments = parser.parse_args()
    config = PPOConfig(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(PPOConfig)})
    envs = make(arguments.env, arguments.settings, arguments.num_envs, arguments.limit)
    torch.manual_seed(config.seed)
    agent = Agent(int(envs.single_action_space.n))  # type: ignore[attr-defined]
    played: list[float] = []
    real = None
    if arguments.real:
        real = make(arguments.real, arguments.real_settings, arguments.num_envs, arguments.limit)
        if (expected := envs.single_observation_space) != (found := real.single_observation_space):
            raise SystemExit(f"--real: expected observations {expected}, got {found}; set height and width")
        played.append(play(real, agent, config.seed))
    rounds = []
    report(f"{'steps':>10}{'return':>12}{'env steps/s':>14}{'steps/s':>10}")
    for done in learn(envs, agent, config):
        rounds.append(done)
        count = config.steps * envs.num_envs
        report(
            f"{done.steps:10}{done.episode_return:12.3f}{count / done.env_seconds:14.1f}{count / done.seconds:10.1f}"
        )
    if real is not None:
        played.append(play(real, agent, config.seed))
        report(f"mean return in {arguments.real}: {played[0]:.3f} before, {played[1]:.3f} after")
    if arguments.save:
        space, actions = envs.single_observation_space, envs.single_action_space
        save_agent(arguments.save, agent, space, actions, rounds[-1].steps)
    if arguments.output:
        figures = {"rounds": [dataclasses.asdict(done) for done in rounds], "real_returns": played}
        arguments.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
