"""A contest: agents play the same worlds of a real environment, which no training sees.

Beside their returns stands what a model foretold: it dreams through every episode as it was played, a stretch at a
time, from the real frames before and with the real actions.

Shapes: N episodes, D dreams of an episode, H steps of a dream.
"""

import dataclasses
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents import Player
from worldmodel.agents.planning import ActionCoordinates
from worldmodel.data.files import read_json, write_json
from worldmodel.envs.actions import discrete_action, discrete_action_space
from worldmodel.evaluation.dreamers import Dreamer
from worldmodel.evaluation.episodes import RealEpisode, evaluation_seeds, play
from worldmodel.evaluation.outcomes import collect

BLOCK = 100
"""Block of the seeds of a contest: no training sees these worlds, and nothing else is measured in them."""
_ALL_SEEDS = 1000
"""Of a block."""


@dataclass(slots=True)
class Entrant:
    """Who takes part.

    Attributes:
        name: In the report.
        env: The real environment, made for this agent alone: actions may differ, worlds may not.
        player: Who plays in it.
        label: The player's name and what it was made with, in words.
        note: What else is to be said of it, such as how many real steps it has learned from.
        is_privileged: Whether it reads the truth of the environment, or tries plans out in it.
    """

    name: str
    env: gymnasium.Env
    player: Player
    label: str = ""
    note: str = ""
    is_privileged: bool = False


@dataclass(slots=True)
class Result:
    """An episode, in figures.

    Attributes:
        seed: Of world and player.
        rewards: Of each step.
        terminated: Whether the episode ended by itself.
        seconds: That it took.
        start: Checksum of the first observation: equal ones are the same start.
        dreams: What a model foretold of it, by the names of `Outcomes`, lists (D, H) with `None` where there is no such
            step; empty if no model dreamed.
    """

    seed: int
    rewards: list[float]
    terminated: bool
    seconds: float
    start: int
    dreams: dict[str, list[list[float | None]]] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """The return."""
        return float(sum(self.rewards))


class Interrupted(Exception):
    """Somebody asked to stop. What is done is kept."""


def idle_action(space: gymnasium.Space) -> Any:
    """Returns the action that does nothing, or what comes closest."""
    coordinates = ActionCoordinates(space)
    return coordinates.actions(coordinates.rest[None])[0]


def ends_at_once(env: gymnasium.Env, seed: int) -> bool:
    """Returns whether nothing is left to do in a world: the episode is over as soon as a step is taken, though idle."""
    env.reset(seed=seed)
    _, _, terminated, truncated, _ = env.step(idle_action(env.action_space))
    return bool(terminated or truncated)


def contest_seeds(env: gymnasium.Env, number: int, block: int = BLOCK) -> tuple[list[int], list[int]]:
    """Chooses worlds whose goal is not reached at the start.

    Args:
        env: The real environment.
        number: N, of worlds that are wanted, at most 1000.
        block: Of the seeds.

    Returns:
        Their seeds, all for evaluation alone, and those that were refused.

    Raises:
        ValueError: If three times as many worlds as are wanted have nothing to do.
    """
    if not 1 <= number <= _ALL_SEEDS:
        raise ValueError(f"episodes: expected 1 to {_ALL_SEEDS}, got {number}")
    seeds: list[int] = []
    refused: list[int] = []
    for seed in evaluation_seeds(_ALL_SEEDS, block):
        if len(seeds) == number:
            return seeds, refused
        (refused if ends_at_once(env, seed) else seeds).append(seed)
        if len(refused) > 3 * number:
            break
    if len(seeds) == number:
        return seeds, refused
    raise ValueError(
        f"env: expected worlds in which something is left to do, got {len(refused)} of {len(refused) + len(seeds)} "
        "whose episode is over after one idle step; choose another environment, or other settings of it"
    )


def play_world(
    entrant: Entrant,
    seed: int,
    num_steps: int,
    *,
    dreamer: Dreamer | None = None,
    horizon: int = 1,
    dream_seed: int = 0,
    batch: int = 16,
    done: Callable[[], bool] | None = None,
) -> Result:
    """Plays an episode, and dreams through it.

    Args:
        entrant: Who plays.
        seed: Of the world.
        num_steps: At most.
        dreamer: A model of the environment, with steps as long as its; `None` for no dreams.
        horizon: H.
        dream_seed: Of the dreams' noise.
        batch: Dreams at a time.
        done: Asked after each step whether to stop; it may raise.
    """
    begun = time.perf_counter()
    episode = play(entrant.env, entrant.player, seed, num_steps, done=done)
    seconds = time.perf_counter() - begun
    dreams = {}
    if dreamer is not None and episode.num_steps:
        readable = as_model_actions(entrant.env.action_space, episode)
        found = collect(dreamer, [readable], horizon=horizon, seed=dream_seed, batch=batch)
        dreams = {part.name: _plain(getattr(found, part.name)[0]) for part in dataclasses.fields(found)}
    start = zlib.crc32(np.ascontiguousarray(episode.frames[0, -1]).tobytes())
    return Result(seed, episode.rewards.tolist(), episode.terminated, seconds, start, dreams)


def as_model_actions(space: gymnasium.Space, episode: RealEpisode) -> RealEpisode:
    """Returns an episode with actions as models of the block world know them: dictionaries instead of integers."""
    if space != discrete_action_space():
        return episode
    return dataclasses.replace(episode, actions=[discrete_action(action) for action in episode.actions])


def play_all_worlds(
    entrant: Entrant,
    seeds: Sequence[int],
    path: Path,
    play_one: Callable[[int], Result],
    progress: Callable[[int], None] = lambda episodes: None,
) -> list[Result]:
    """Plays what an agent has not yet played, and keeps every episode as soon as it is done.

    Args:
        entrant: Who plays.
        seeds: N.
        path: JSON file of its results; those that are there are not played again.
        play_one: Plays the world of a seed.
        progress: Called with the number of episodes that are done, those of before at once.

    Returns:
        N results, in the order of the seeds.

    Raises:
        ValueError: If the file is damaged.
    """
    known = {result.seed: result for result in load_results(path)}
    progress(sum(seed in known for seed in seeds))
    for seed in seeds:
        if seed in known:
            continue
        known[seed] = play_one(seed)
        save_results(path, entrant.name, list(known.values()))
        progress(1)
    return [known[seed] for seed in seeds]


def save_results(path: Path, name: str, results: Sequence[Result]) -> None:
    """Writes the results of an agent, one episode a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"agent": name}, lines={"episodes": [dataclasses.asdict(result) for result in results]})


def load_results(path: Path) -> list[Result]:
    """Reads results; none if there is no such file.

    Raises:
        ValueError: If the file is damaged; the message names it.
    """
    if not path.exists():
        return []
    found = read_json(path)
    try:
        return [Result(**episode) for episode in found["episodes"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected episodes of a contest, got something else; delete it") from error


def _plain(values: np.ndarray) -> list[list[float | None]]:
    """Returns numbers (D, H) for JSON, to six digits."""
    return [[None if np.isnan(value) else float(f"{value:.6g}") for value in row] for row in values]
