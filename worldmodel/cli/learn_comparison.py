"""What learning has brought: the learned player beside the cloned and a random one, in dreams and in reality."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from worldmodel.agents.learning import Learner

PLAYERS = ("random", "cloned", "learned")
_BLOCK = 90
"""Block of the seeds of the worlds that are played: no training sees them, and nothing else is measured in them."""


def imagined_returns(learner: "Learner", seed: int) -> dict[str, float]:
    """Returns the mean return of each player in the same dreams, as long as those that were learned from."""
    import torch

    networks = learner.networks
    policies: dict[str, Callable[[Tensor], Tensor]] = {
        "random": lambda features: torch.zeros_like(networks.actor(features)),
        "cloned": networks.prior,
        "learned": networks.actor,
    }
    return {name: learner.dream(policies[name], torch.Generator().manual_seed(seed)).mean_return() for name in PLAYERS}


def real_returns(
    env: gymnasium.Env,
    folder: Path,
    number: int,
    episode_steps: int,
    *,
    progress: Callable[[int], None] = lambda episodes: None,
) -> dict[str, Any]:
    """Plays the same episodes of the real environment by each player.

    Args:
        env: The real environment.
        folder: Of learning.
        number: Episodes, in worlds that no training sees.
        episode_steps: Most steps of one.
        progress: Called with the number of new episodes.

    Returns:
        JSON values: `real`, by player the estimates of `return` and `steps` and all `returns`; `gains`, how much larger
        the return of the learned player is, episode by episode.
    """
    from worldmodel.agents import make_player
    from worldmodel.evaluation.episodes import evaluation_seeds, play
    from worldmodel.evaluation.estimates import bootstrap, difference

    returns: dict[str, np.ndarray] = {}
    table: dict[str, Any] = {}
    for name in PLAYERS:
        settings = {} if name == "random" else {"checkpoint": str(folder), "cloned": name == "cloned"}
        player = make_player("random" if name == "random" else "learned", env, **settings)
        found = []
        for seed in evaluation_seeds(number, _BLOCK):
            episode = play(env, player, seed, episode_steps)
            found.append((episode.rewards.sum(), episode.num_steps))
            progress(1)
        returns[name], steps = np.array(found, np.float64).T
        table[name] = {
            "return": asdict(bootstrap(returns[name])),
            "steps": asdict(bootstrap(steps)),
            "returns": returns[name].tolist(),
        }
    gains = {name: asdict(difference(returns["learned"], returns[name])) for name in PLAYERS[:-1]}
    return {"real": table, "gains": gains}


def summary_lines(report: dict[str, Any]) -> list[str]:
    """Returns a report as lines of text."""
    from worldmodel.evaluation.estimates import Estimate

    def text(values: dict[str, Any]) -> str:
        return Estimate(**values).text(3)

    real = report.get("real", {})
    rows = [("mean return", "dreams", "real environment, 95 % interval", "real steps")]
    for name in PLAYERS:
        played = (text(real[name]["return"]), text(real[name]["steps"])) if real else ("-", "-")
        rows.append((name, f"{report['imagined'][name]:.3f}", *played))
    lines = [f"{a:<12}{b:>8}   {c:<32}   {d}".rstrip() for a, b, c, d in rows]
    lines += [f"learned over {name}: {text(value)}" for name, value in report.get("gains", {}).items()]
    return lines + ([f"not played: {report['not_played']}"] if "not_played" in report else [])
