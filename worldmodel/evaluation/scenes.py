"""Real scenes and the prompts that tell them: what dreams from the same prompts are measured against.

Shapes: N scenes and dreams, S steps, r ticks in a step, H W pixels, V values of an attribute.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gymnasium
import numpy as np

from worldmodel.agents import Player
from worldmodel.evaluation.attributes import Facts, encode, read_caption, scene_options
from worldmodel.evaluation.episodes import EpisodesTooShort, RealEpisode, evaluation_seeds, play
from worldmodel.evaluation.judge import Judge
from worldmodel.evaluation.judge_data import ACTIVITY

_BLOCK = 40
"""Of evaluation seeds, for the scenes."""


def play_scenes(
    env: gymnasium.Env,
    player: Player,
    number: int,
    num_steps: int,
    *,
    progress: Callable[[int], None] = lambda steps: None,
) -> list[RealEpisode]:
    """Plays episodes of the block world in which biomes, times and kinds of weather come about equally often.

    Args:
        env: The block world.
        player: Who plays.
        number: Of episodes, each in an evaluation world of its own; those that end earlier are replaced.
        num_steps: S of each.
        progress: Called with the number of new steps.

    Raises:
        EpisodesTooShort: If three times as many episodes as were asked for were too short.
    """
    episodes: list[RealEpisode] = []
    for seed in evaluation_seeds(4 * number, _BLOCK):
        if len(episodes) < number:
            episode = play(env, player, seed, num_steps, options=scene_options(seed))
            if episode.num_steps == num_steps:
                episodes.append(episode)
                progress(num_steps)
    if len(episodes) < number:
        raise EpisodesTooShort(num_steps)
    return episodes


@dataclass(slots=True)
class Scenes:
    """Real scenes, the prompts that tell them, and what these ask for.

    Attributes:
        episodes: N.
        step: The step that the prompts tell.
        prompts: N captions, the long ones where there are any.
        facts: What each asks for.
        targets: float32 (N, V) by attribute: which values are asked for; NaN where it is not told.
    """

    episodes: Sequence[RealEpisode]
    step: int
    prompts: list[str]
    facts: list[Facts]
    targets: dict[str, np.ndarray]

    def frames(self) -> np.ndarray:
        """Returns the real frames that the prompts tell, uint8 (N, H, W, 3)."""
        return np.stack([episode.frames[self.step, -1] for episode in self.episodes])


def told(episodes: Sequence[RealEpisode], step: int, judge: Judge) -> Scenes:
    """Takes the captions of a step as prompts, and what a judge may see of what they ask for."""
    infos = [episode.infos[step] for episode in episodes]
    prompts = [str(info.get("caption_long", info.get("caption", ""))) for info in infos]
    facts = [read_caption(prompt) for prompt in prompts]
    values = judge.attribute_values | ({ACTIVITY: judge.activity_values} if judge.activity_values else {})
    targets = {name: np.stack([encode(part.get(name), values[name]) for part in facts]) for name in values}
    return Scenes(episodes, step, prompts, facts, targets)


def agreement(read: np.ndarray, targets: np.ndarray, *, many: bool) -> np.ndarray:
    """Compares what every dream shows with what every prompt asks for.

    Args:
        read: (N, V) probabilities that frames show a value.
        targets: (N, V), 1 for values asked for, else 0; NaN where a prompt does not tell.
        many: Whether several values may hold; else the likeliest is taken.

    Returns:
        (N, N), share of what prompt j asks for that dream i shows; NaN where it asks for nothing.
    """
    found = (read > 0.5) if many else np.eye(read.shape[1])[read.argmax(-1)]
    asked = targets.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(asked > 0, found.astype(np.float64) @ targets.T / asked, np.nan)


def own(matrix: np.ndarray) -> np.ndarray:
    """Returns the agreement of each dream with its own prompt, (N,)."""
    return np.diagonal(matrix).copy()


def others(matrix: np.ndarray) -> np.ndarray:
    """Returns the agreement of each dream with the prompts of all others, in the mean, (N,); NaN where `own` is."""
    different = mean(np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix), 1)
    return np.where(np.isnan(own(matrix)), np.nan, different)


def mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Returns the mean of what is there, NaN where nothing is."""
    there = ~np.isnan(values)
    number = there.sum(axis)
    return np.where(number > 0, np.where(there, values, 0).sum(axis) / np.maximum(number, 1), np.nan)
