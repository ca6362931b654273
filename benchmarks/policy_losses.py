"""Measures what the loss of the actor brings, in learning in dreams: PMPO, or weights that grow with the advantage.

Each learns from the same cloned behaviour in the same dreams, for as many steps, with several seeds; then the learned
players play the same worlds of the real environment.

    python benchmarks/policy_losses.py runs/empty/checkpoint runs/empty/data --steps 60 --seeds 3

Source of the weights: Peng et al., 2019, "Advantage-Weighted Regression".
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from worldmodel.agents import make_player
from worldmodel.agents.learning import ActorCritic, Learner, LearningConfig, ModelWorld, policy_loss
from worldmodel.agents.learning.objective import weighted_mean
from worldmodel.data.store import EpisodeStore
from worldmodel.envs.imagined.models import load
from worldmodel.envs.twin import model_environment
from worldmodel.evaluation.episodes import evaluation_seeds, play
from worldmodel.evaluation.estimates import bootstrap
from worldmodel.model import WorldModel
from worldmodel.model.checkpoint import find_checkpoint, read_config
from worldmodel.training.latents import compress_store

BLOCK = 91
"""Block of the seeds of the worlds that are played."""
LARGEST = 3.0
"""Deviations above the mean that still raise the weight."""


def advantage_weighted_loss(likelihoods: Tensor, advantages: Tensor, weights: Tensor) -> Tensor:
    """Returns the loss of advantage-weighted regression: what was done counts exponentially in its advantage.

    Args:
        likelihoods: (M,), logarithms of the probabilities of what was done.
        advantages: (M,), taken in deviations of all of them, at most 3.
        weights: (M,), what each moment counts.
    """
    deviation = weighted_mean(advantages.square(), weights).sqrt().clamp(min=1e-6)
    return -weighted_mean(likelihoods, weights * (advantages / deviation).clamp(max=LARGEST).exp())


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "PMPO": policy_loss,
    "advantage-weighted": advantage_weighted_loss,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="world model")
    parser.add_argument("data", help="episode store of its training run")
    parser.add_argument("--steps", type=int, default=60, help="of learning, after cloning")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each loss")
    parser.add_argument("--episodes", type=int, default=20, help="of the real environment, for each run")
    parser.add_argument("--episode-steps", type=int, default=500, help="most steps of one")
    parser.add_argument("--settings", nargs="*", default=[], help="of learning, such as dreams=16")
    options = parser.parse_args(arguments)
    config = LearningConfig(max_steps=options.steps, **{name: _number(value) for name, value in _pairs(options)})
    model, _ = load(options.checkpoint)
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in LOSSES}
    with tempfile.TemporaryDirectory() as folder:
        world = _world(model, options.data, Path(folder) / "latents", config)
        with tqdm(total=options.seeds * len(LOSSES) * (config.cloning_steps + options.steps), unit="step") as bar:
            for seed in range(options.seeds):
                for name, loss in LOSSES.items():
                    place = Path(folder) / f"{name}_{seed}"
                    learner = _learner(loss, model, world, config, place, seed, options.checkpoint)
                    learner.run(on_step=lambda _: bar.update())
                    dreamed = learner.dream(learner.networks.actor, torch.Generator().manual_seed(1))
                    rows[name].append((dreamed.mean_return(), _played(model, place, options)))
    print(f"| loss | return of dreams | return of {options.episodes} real episodes, mean of {options.seeds} runs |")
    print("|---|---|---|")
    for name, found in rows.items():
        dreams, real = (bootstrap(np.array(column)).text(3) for column in zip(*found, strict=True))
        print(f"| {name} | {dreams} | {real} |")
    return 0


def _pairs(options: argparse.Namespace) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (text.partition("=") for text in options.settings)]


def _number(text: str) -> float | int:
    return int(text) if text.isdigit() else float(text)


def _world(model: WorldModel, data: str, folder: Path, config: LearningConfig) -> ModelWorld:
    (bucket,) = compress_store(EpisodeStore(data), model, folder, held_out=False).values()
    return ModelWorld(model, bucket, context_latents=config.context_latents, num_steps=config.num_steps)


def _learner(
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
    model: WorldModel,
    world: ModelWorld,
    config: LearningConfig,
    folder: Path,
    seed: int,
    checkpoint: str,
) -> Learner:
    assert model.codec is not None
    torch.manual_seed(seed)
    networks = ActorCritic(world.num_features, model.codec, config.hidden).to(model.device)
    stamp = str(read_config(find_checkpoint(checkpoint)).get("stamp"))
    origin = {"world_model": checkpoint, "world_stamp": stamp, "hidden": config.hidden}
    learner = Learner(world, networks, config, folder, seed=seed, origin=origin)
    learner.objective = loss  # type: ignore[method-assign]
    return learner


def _played(model: WorldModel, folder: Path, options: argparse.Namespace) -> float:
    """Returns the mean return of the learned player in the real environment."""
    env = model_environment(model)
    try:
        player = make_player("learned", env, checkpoint=str(folder))
        seeds = evaluation_seeds(options.episodes, BLOCK)
        return float(np.mean([play(env, player, seed, options.episode_steps).rewards.sum() for seed in seeds]))
    finally:
        env.close()


if __name__ == "__main__":
    raise SystemExit(main())
