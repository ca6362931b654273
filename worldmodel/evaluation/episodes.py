"""Real episodes: the truth that dreams are scored against, played in worlds that training never sees.

Shapes: S steps, r ticks in a step, H W pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents import Player
from worldmodel.data.splits import FIRST_EVALUATION_SEED


class EpisodesTooShort(ValueError):
    """Nearly all episodes of an environment end before the steps that were asked for."""

    def __init__(self, num_steps: int) -> None:
        """Says so.

        Args:
            num_steps: That were asked for.
        """
        super().__init__(f"num_steps: expected episodes of {num_steps} steps, nearly all end earlier; ask for less")


@dataclass(slots=True)
class RealEpisode:
    """An episode as it was played; step 0 is the reset.

    Attributes:
        seed: Of the world and the player.
        frames: uint8 (S + 1, r, H, W, 3), every tick of each step; those of the reset are all alike.
        actions: S actions, the t-th led to step t + 1 and was held for all its ticks.
        rewards: float64 (S,).
        infos: S + 1, what the environment told after the reset and each step, with `caption`, `pose` where it has one.
        terminated: Whether the episode ended with its last step.
    """

    seed: int
    frames: np.ndarray
    actions: list[Any]
    rewards: np.ndarray
    infos: list[dict[str, Any]]
    terminated: bool

    @property
    def num_steps(self) -> int:
        """S."""
        return len(self.actions)

    def caption(self, step: int) -> str:
        """Returns the caption of a step; empty if there are none."""
        return str(self.infos[step].get("caption", ""))


@dataclass(slots=True)
class Context:
    """What a dream sees before it goes on by itself.

    Attributes:
        frames: uint8 (K * r + 1, H, W, 3), one a tick: the last frame of the first step, then all of K more.
        actions: K actions, one a step.
        prompt: Caption of the last step; `""` for none.
    """

    frames: np.ndarray
    actions: list[Any]
    prompt: str


def context(episode: RealEpisode, step: int, length: int) -> Context:
    """Cuts the context out of an episode for a dream that goes on after a step.

    Args:
        episode: The episode.
        step: Last step that the dream sees, 0 to S.
        length: K, steps before it that it sees besides; fewer at the beginning of the episode.
    """
    first = max(0, step - length)
    frames = [episode.frames[first, -1:], *episode.frames[first + 1 : step + 1]]
    return Context(np.concatenate(frames), episode.actions[first:step], episode.caption(step))


def evaluation_seeds(number: int, block: int = 0) -> list[int]:
    """Returns seeds of worlds that are never trained on: another thousand for each block."""
    first = FIRST_EVALUATION_SEED + 1000 * block
    return list(range(first, first + number))


def play(
    env: gymnasium.Env,
    player: Player,
    seed: int,
    num_steps: int,
    *,
    options: Mapping[str, Any] | None = None,
    done: Callable[[], bool] | None = None,
) -> RealEpisode:
    """Plays one episode.

    Args:
        env: The real environment; its observations are pictures. It stays open.
        player: Who plays; made for this environment.
        seed: Of both.
        num_steps: S, at most.
        options: Of `reset`.
        done: Asked after each step whether that is enough, such as when a scripted player has finished.
    """
    observation, info = env.reset(seed=seed, options=dict(options or {}))
    player.reset(seed)
    ticks = getattr(getattr(env.unwrapped, "config", None), "frame_skip", 1)
    frames, infos = [np.repeat(observation[None], ticks, axis=0)], [dict(info)]
    actions: list[Any] = []
    rewards: list[float] = []
    terminated = truncated = False
    while len(actions) < num_steps and not (terminated or truncated or (done is not None and done())):
        action = player.act(observation, info)
        observation, reward, terminated, truncated, info = env.step(action)
        shown = getattr(env.unwrapped, "frames", None) if ticks > 1 else None
        step = observation[None] if shown is None else np.array(shown)
        # Where an episode ends within a step, its last frame stays.
        frames.append(np.concatenate([step, np.repeat(step[-1:], ticks - len(step), axis=0)]))
        infos.append(dict(info))
        actions.append(action)
        rewards.append(float(reward))
    return RealEpisode(seed, np.stack(frames), actions, np.array(rewards, np.float64), infos, bool(terminated))


def play_all(
    env: gymnasium.Env,
    player: Player,
    seeds: Sequence[int],
    num_steps: int,
    *,
    progress: Callable[[int], None] = lambda steps: None,
) -> list[RealEpisode]:
    """Plays an episode of exactly S steps in every world; worlds where it ends earlier are replaced by later seeds.

    Args:
        env: The real environment.
        player: Who plays.
        seeds: Of the worlds; a replacement has the next seed after the last one.
        num_steps: S.
        progress: Called with the number of new steps.

    Raises:
        EpisodesTooShort: If three times as many episodes as were asked for were too short.
    """
    episodes: list[RealEpisode] = []
    waiting = list(seeds)
    following = max(seeds) + 1
    while waiting:
        episode = play(env, player, waiting.pop(0), num_steps)
        if episode.num_steps == num_steps:
            episodes.append(episode)
            progress(num_steps)
        elif following > max(seeds) + 3 * len(seeds):
            raise EpisodesTooShort(num_steps)
        else:
            waiting.append(following)
            following += 1
    return episodes
