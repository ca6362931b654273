"""How well do the trust signals of a dream tell its true error? Measured against the twin, in worlds never trained on.

A player plays the real environment; the dream goes on from the same context with the same actions. At each step the
signals are compared with the error of the dreamed frame: rank correlation over all steps, and, because errors grow
with time anyway, over the rollouts at one and the same step.

    python benchmarks/trust.py [CHECKPOINT] [--rounds N] [--steps N] [--player NAME]
"""

import argparse
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from worldmodel.agents import make_player
from worldmodel.envs.imagined.env import ImaginedEnv
from worldmodel.envs.twin import Twin

FIRST_SEED = 1_000_000
"""Training uses small seeds."""


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Returns Spearman's correlation of two samples (N,)."""
    ranks = [np.argsort(np.argsort(values)).astype(np.float64) for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


def measure(checkpoint: str, rollouts: int, steps: int, context: int, player_name: str) -> dict[str, np.ndarray]:
    """Returns signals and true error, each (rollouts, steps)."""
    twin = Twin(ImaginedEnv(checkpoint=checkpoint), context_steps=context)
    player = make_player(player_name, twin.real)
    found: dict[str, np.ndarray] = {
        name: np.zeros((rollouts, steps)) for name in ("trust", "revision", "residual", "error")
    }
    for i in tqdm(range(rollouts), desc="rollouts"):
        seed = FIRST_SEED + i
        player.reset(seed)
        observation, _, info = twin.reset(seed=seed, act=player.act)
        for t in range(steps):
            step = twin.step(player.act(observation, info))
            observation, _, terminated, truncated, info = step.real
            for name in ("trust", "revision", "residual"):
                found[name][i, t] = step.imagined[4][name]
            found["error"][i, t] = -step.psnr
            if terminated or truncated:
                for values in found.values():
                    values[i, t + 1 :] = np.nan
                break
    twin.close()
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default="voxel-small")
    parser.add_argument("--rounds", type=int, default=48, help="rollouts")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--context", type=int, default=8)
    parser.add_argument("--player", default="explorer")
    options = parser.parse_args(arguments)
    found = measure(options.checkpoint, options.rounds, options.steps, options.context, options.player)
    whole = ~np.isnan(found["error"])
    print(f"{options.rounds} rollouts of {options.steps} steps, {options.player}, {options.checkpoint}\n")
    print("| signal | rank correlation with the error, all steps | at one step, mean over steps |")
    print("|---|---|---|")
    for name, sign in (("trust", -1), ("residual", 1), ("revision", 1)):
        over_all = rank_correlation(sign * found[name][whole], found["error"][whole])
        at_one = [
            rank_correlation(sign * found[name][whole[:, t], t], found["error"][whole[:, t], t])
            for t in range(options.steps)
        ]
        print(f"| {name} | {over_all:.2f} | {np.mean(at_one):.2f} |")


if __name__ == "__main__":
    main()
