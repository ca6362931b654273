"""Self-play: does the model's own player behave like the player that it was trained on, in its dream and in reality?

Shapes: N episodes, S ticks, r ticks in a latent frame.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents import Player, make_player
from worldmodel.agents.player import ticks_per_step
from worldmodel.data.action_codec import ActionCodec
from worldmodel.envs.imagined.config import Actions
from worldmodel.envs.imagined.dreams import Dreams
from worldmodel.envs.imagined.starts import Beginnings
from worldmodel.evaluation.conduct import OUTCOMES, Conduct, conduct, distance, factor_distances, key_names
from worldmodel.evaluation.dreamers import ModelDreamer
from worldmodel.evaluation.episodes import RealEpisode, play
from worldmodel.evaluation.estimates import NOTHING, Estimate, bootstrap
from worldmodel.evaluation.plots import pyplot, save_figure
from worldmodel.evaluation.sections import Check, Section, Table, Value
from worldmodel.sampling import Guidance

WHO = {
    "player": "training player",
    "again": "the same, other worlds",
    "real": "policy, real world",
    "dream": "policy, dream",
    "random": "random player",
}
"""Who is compared, and what they are called in tables."""

_COLORS = {"player": "tab:gray", "real": "tab:blue", "dream": "tab:cyan", "random": "tab:red"}
_MOST_KEYS = 26
"""In plot and table."""


def ticks_played(number: int, num_ticks: int) -> int:
    """Returns how many ticks `evaluate_selfplay` plays in N worlds, for a progress bar."""
    return len(WHO) * number * num_ticks


def evaluate_selfplay(
    dreamer: ModelDreamer,
    env: gymnasium.Env,
    player: Player,
    seeds: Sequence[int],
    folder: Path,
    *,
    num_ticks: int = 200,
    seed: int = 0,
    batch: int = 16,
    progress: Callable[[int], None] = lambda ticks: None,
) -> Section:
    """Lets the model's own player play, and compares it with the one it was trained on, and with a random one.

    Args:
        dreamer: A world model, whose policy plays.
        env: The real environment, as its data was collected: steps of one tick, the model's frame size and actions.
        player: The player that the model was trained on, made for this environment.
        seeds: N worlds that were never trained on; as many following ones are played once more by `player`, to see how
            far two sets of worlds lie apart by themselves.
        folder: For the plot.
        num_ticks: S, of each episode, at most.
        seed: Of the dreams.
        batch: Dreams at a time.
        progress: Called with the number of new ticks.

    Raises:
        ValueError: If steps of the environment last longer than a tick, or episodes are shorter than a latent frame.
        TypeError: If the environment does not suit the model.
    """
    r = dreamer.frames_per_step
    if ticks_per_step(env) != 1:
        raise ValueError(
            f"env: expected steps of one tick, as training data has, got {ticks_per_step(env)}; make it with "
            "frame_skip=1: the policy gives an action for each tick"
        )
    if not seeds:
        raise ValueError("seeds: expected at least one world, got none")
    if num_ticks < r:
        raise ValueError(f"num_ticks: expected at least {r}, the ticks of a latent frame, got {num_ticks}")
    codec = dreamer.model.codec
    policy, random = make_player("policy", env, checkpoint=dreamer.model), make_player("random", env)
    assert codec is not None  # or the policy would have refused

    def played(who: Player, worlds: Sequence[int], keep: int = 0) -> list[RealEpisode]:
        episodes = []
        for world in worlds:
            episodes.append(play(env, who, world, num_ticks))
            episodes[-1].frames = episodes[-1].frames[: keep + 1].copy()  # the rest would fill the memory
            progress(num_ticks)
        return episodes

    context_ticks = min(dreamer.context_steps * r, num_ticks // r * r)
    real = {"player": played(player, seeds, context_ticks)}
    real["again"] = played(player, [max(seeds) + 1 + i for i in range(len(seeds))])
    real["real"], real["random"] = played(policy, seeds), played(random, seeds)
    found = {who: conduct(codec, [episode.actions for episode in episodes], episodes) for who, episodes in real.items()}
    taken = []
    for first in range(0, len(seeds), batch):
        episodes = real["player"][first : first + batch]
        taken += dreamed_actions(dreamer, episodes, context_ticks, num_ticks // r, seed=seed + first)
        progress(len(episodes) * num_ticks)
    found["dream"] = conduct(codec, taken)
    return _section({who: found[who] for who in WHO}, codec, folder, num_ticks)


def dreamed_actions(
    dreamer: ModelDreamer, episodes: Sequence[RealEpisode], context_ticks: int, num_steps: int, *, seed: int = 0
) -> list[list[Any]]:
    """Lets the policy play dreams, all in one batch; each begins with what happened at the start of a real episode.

    There is no prompt, because captions tell what the player does, and the policy would obey for the whole dream.

    Args:
        dreamer: A world model.
        episodes: N, with steps of one tick.
        context_ticks: Ticks that a dream sees, at most.
        num_steps: Steps that are dreamed, of r ticks.
        seed: Of the dreams' noise and the players' draws; that of the i-th is seed + i.

    Returns:
        For each dream the actions that were taken, one a tick.
    """
    model, number, r = dreamer.model, len(episodes), dreamer.frames_per_step
    codec, size = model.codec, (model.metadata.height, model.metadata.width)
    assert codec is not None
    spaces = Actions(model, None)
    beginnings = Beginnings(model, None, spaces, size)
    starts = []
    for episode in episodes:
        length = min(context_ticks, episode.num_steps // r * r)
        options = {"video": episode.frames[: length + 1, -1], "actions": episode.actions[:length]}
        starts.append(beginnings.choose(options, np.random.default_rng(seed)))
    dreams = Dreams(model, number, size=size, num_steps=dreamer.num_steps, guidance=Guidance())
    dreams.begin(range(number), starts, [seed + i for i in range(number)])
    randoms = [np.random.default_rng(seed + i) for i in range(number)]
    taken: list[list[Any]] = [[] for _ in range(number)]
    for _ in range(num_steps):
        chosen = [[codec.sample(tick, randoms[i]) for tick in dreams.policy(i)] for i in range(number)]
        dreams.step(spaces.vectors(list(chosen)))
        for actions, new in zip(taken, chosen, strict=True):
            actions += new
    return taken


def _section(found: dict[str, Conduct], codec: ActionCodec, folder: Path, num_ticks: int) -> Section:
    number = len(found["player"].ticks)
    section = Section(
        "selfplay",
        "Self-play",
        f"In {number} worlds that were never trained on the training player, the model's policy and a random player "
        f"play {num_ticks} ticks each. In the real world the policy sees every frame as it comes; in its dream it goes "
        "on from the start of the training player's episodes; it has no prompt. The distance to the training player is "
        "the total variation distance of how often each value of a factor of the action is chosen (0 alike, 1 nothing "
        "in common), a mean over factors weighted by their entropy in the training player's actions; the largest is "
        "that of the factor where they differ most. The training player in other worlds shows how near one can come. "
        "Outcomes are means over episodes. Intervals hold the true figure with 95 % confidence (bootstrap over "
        "episodes); those of distances lie high, because a resample holds fewer different episodes.",
        figures={"episodes": number, "ticks": num_ticks},
    )
    shares = {who: _key_shares(part) for who, part in found.items()}
    section.tables = [_behaviour(found, codec, section), _key_table(shares, codec, section)]
    for who, place in (("real", "in the real world"), ("dream", "in its dream")):
        section.checks.append(_check(found, codec, who, place))
    _plot(folder / "selfplay.png", {who: shares[who] for who in _COLORS}, codec)
    section.pictures = {"selfplay.png": "How much of the time each key is held, by whom."}
    return section


def _behaviour(found: dict[str, Conduct], codec: ActionCodec, section: Section) -> Table:
    """Returns the table of what players did and what came of it, and adds its figures."""
    continuous = [factor for factor in codec.factors if factor.values is not None]
    shown = [name for name in OUTCOMES if name in found["player"].outcomes]
    header = ["", "distance", "largest", "ticks a press"]
    header += [f"{factor.name}, mean size a tick" for factor in continuous] + [OUTCOMES[name] for name in shown]
    buttons = np.array([not name.endswith(" moves") for name in key_names(codec)])
    rows: list[list[Value]] = []
    for who, part in found.items():
        pairs = np.stack([found["player"].counts, part.counts], axis=1)
        away = NOTHING if who == "player" else bootstrap(pairs, lambda rows: distance(codec, *rows.sum(0)))
        distances = factor_distances(codec, *pairs.sum(0))
        largest = int(distances.argmax())
        held = np.stack([part.held[:, buttons].sum(1), part.presses[:, buttons].sum(1)], axis=1)
        figures: dict[str, Estimate] = {"distance": away, "press_ticks": bootstrap(held, _ratio)}
        for factor in continuous:
            assert factor.values is not None
            sizes = part.counts[:, factor.slice] @ np.abs(factor.values)
            figures[f"size_{factor.name}"] = bootstrap(np.stack([sizes, part.ticks], axis=1), _ratio)
        figures |= {name: bootstrap(part.outcomes[name]) if part.outcomes else NOTHING for name in shown}
        section.figures |= {f"{name}_{who}": figure for name, figure in figures.items()}
        label = "-"
        if who != "player":
            name = codec.factors[largest].name
            section.figures |= {f"largest_{who}": float(distances[largest]), f"largest_factor_{who}": name}
            label = f"{distances[largest]:.2f} ({name})"
        rows.append([WHO[who], figures.pop("distance"), label, *figures.values()])
    return Table(header, rows, "Behaviour, and what came of it in an episode")


def _key_table(shares: dict[str, list[Estimate]], codec: ActionCodec, section: Section) -> Table:
    """Returns the table of keys, in percent of the time, and adds their figures."""
    names = key_names(codec)
    for who, estimates in shares.items():
        section.figures |= {f"share_{name}_{who}": part for name, part in zip(names, estimates, strict=True)}
    rows = [[names[i], *(f"{100 * estimates[i].value:.1f}" for estimates in shares.values())] for i in _order(shares)]
    return Table(["key", *WHO.values()], rows, "Time for which a key is held, in percent")


def _check(found: dict[str, Conduct], codec: ActionCodec, who: str, place: str) -> Check:
    """Checks that the policy is at most half as far from the training player as a random one.

    A policy that presses anything is a little nearer than a random player, too: its turns are bins, mostly small ones.
    """
    rows = np.stack([found[name].counts for name in ("player", who, "random")], axis=1)

    def gain(rows: np.ndarray) -> float:
        player, policy, random = rows.sum(0)
        return distance(codec, player, random) / 2 - distance(codec, player, policy)

    nearer = bootstrap(rows, gain)
    return Check(
        f"plays like its player {place}",
        bool(nearer.low > 0),
        f"half of a random player's distance to the training player, less its own: {nearer.text()} (total variation)",
    )


def _key_shares(part: Conduct) -> list[Estimate]:
    columns = range(part.held.shape[1])
    return [bootstrap(np.stack([part.held[:, i], part.ticks], axis=1), _ratio) for i in columns]


def _order(shares: dict[str, list[Estimate]]) -> list[int]:
    """Returns the keys that are shown: those that the training player holds longest come first."""
    return sorted(range(len(shares["player"])), key=lambda i: -shares["player"][i].value)[:_MOST_KEYS]


def _ratio(rows: np.ndarray) -> float:
    """Returns the ratio of two sums, of rows (N, 2); NaN without any of the second."""
    one, other = rows.sum(0)
    return float(one / other) if other else math.nan


def _plot(path: Path, shares: dict[str, list[Estimate]], codec: ActionCodec) -> None:
    order, names = _order(shares), key_names(codec)
    figure, axis = pyplot().subplots(figsize=(max(6.0, 0.45 * len(order) + 2.0), 4.2))
    width = 0.8 / len(shares)
    for j, (who, estimates) in enumerate(shares.items()):
        values = np.array([[100 * getattr(estimates[i], name) for name in ("value", "low", "high")] for i in order])
        places = np.arange(len(order)) + (j - (len(shares) - 1) / 2) * width
        errors = np.abs(values[:, 1:] - values[:, :1]).T
        axis.bar(places, values[:, 0], width, yerr=errors, color=_COLORS[who], label=WHO[who], error_kw={"lw": 0.7})
    # By the square root, so that rare keys are seen beside those that are held half of the time.
    axis.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0.0)), np.square))
    axis.set_yticks([0, 1, 5, 10, 20, 40, 60, 80, 100])
    axis.set_ylim(0, 100)
    axis.set_xticks(range(len(order)), [names[i] for i in order], rotation=60, ha="right", fontsize=8)
    axis.set_ylabel("% of the time", fontsize=8)
    axis.tick_params(axis="y", labelsize=8)
    axis.grid(axis="y", alpha=0.3)
    axis.set_title("How much of the time each key is held", fontsize=9)
    axis.margins(x=0.01)
    axis.legend(fontsize=7, ncols=len(shares), loc="upper right")
    save_figure(figure, path)
