"""What a judge learns from: real episodes as arrays, with what their frames show, and clips drawn from them.

Shapes: S steps, r ticks in a step, H W pixels, B clips, A width of an action vector, V values of an attribute.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import gymnasium
import numpy as np

from worldmodel.agents import Player
from worldmodel.data.action_codec import ActionCodec
from worldmodel.envs.voxel.env import VoxelEnv
from worldmodel.evaluation.attributes import ACTIVITIES, CHOICES, SETS, encode, scene_options, shown
from worldmodel.evaluation.episodes import RealEpisode, play

ACTIVITY = "activity"
"""Name of what clips show, beside the attributes of frames."""
VALUES = {**CHOICES, **SETS, ACTIVITY: ACTIVITIES}
"""Values of everything that may be told of a step."""


@dataclass(slots=True)
class Lesson:
    """One episode, or several clips of one length together: then with a leading B everywhere.

    Attributes:
        frames: uint8 (S + 1, r, H, W, 3).
        actions: float32 (S, A), the t-th led to step t + 1.
        targets: float32 (S + 1, V) for each of `VALUES`, NaN where nothing is known; empty if nobody told.
    """

    frames: np.ndarray
    actions: np.ndarray
    targets: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def num_steps(self) -> int:
        """S, of one episode."""
        return len(self.actions)


def lesson(episode: RealEpisode, codec: ActionCodec) -> Lesson:
    """Turns an episode into arrays."""
    facts = [shown(info) for info in episode.infos]
    targets = {}
    if any(facts):
        targets = {
            name: np.stack([encode(fact.get(name), values) for fact in facts]) for name, values in VALUES.items()
        }
    return Lesson(episode.frames, codec.encode_many(episode.actions), targets)


def play_lessons(
    env: gymnasium.Env, player: Player, first_seed: int, num_steps: int, episode_steps: int
) -> Iterator[RealEpisode]:
    """Plays episodes, each in a world of its own, until there are enough steps.

    In the block world every other episode starts with a time, a biome and a weather that random worlds have rarely.

    Args:
        env: The real environment; with a render mode, if a step has several ticks.
        player: Who plays.
        first_seed: Of the first world; the following have the following seeds.
        num_steps: Of all episodes together, at least.
        episode_steps: Of each, at most.
    """
    has_scenes = isinstance(env.unwrapped, VoxelEnv)
    done, seed = 0, first_seed
    while done < num_steps:
        options = scene_options(seed) if has_scenes and seed % 2 else {}
        episode = play(env, player, seed, episode_steps, options=options)
        done, seed = done + episode.num_steps, seed + 1
        yield episode


def draw_clips(lessons: list[Lesson], number: int, clip_steps: int, random: np.random.Generator) -> Lesson:
    """Draws clips, each place in all episodes equally likely.

    Args:
        lessons: Episodes, none shorter than a clip.
        number: B.
        clip_steps: S of a clip.
        random: Draws.

    Returns:
        B clips.
    """
    places = np.cumsum([part.num_steps - clip_steps + 1 for part in lessons])
    drawn = random.integers(places[-1], size=number)
    chosen = []
    for place in drawn.tolist():
        index = int(np.searchsorted(places, place, side="right"))
        first = int(places[index]) - 1 - place  # counted from the end, which is as good
        part = lessons[index]
        chosen.append((part, slice(first, first + clip_steps + 1)))
    return Lesson(
        frames=np.stack([part.frames[span] for part, span in chosen]),
        actions=np.stack([part.actions[span.start : span.stop - 1] for part, span in chosen]),
        targets={name: np.stack([part.targets[name][span] for part, span in chosen]) for name in lessons[0].targets},
    )


def collect(
    episodes: Iterable[RealEpisode],
    codec: ActionCodec,
    least_steps: int,
    progress: Callable[[int], None] = lambda steps: None,
) -> list[Lesson]:
    """Turns episodes into arrays and leaves out those that are too short.

    Args:
        episodes: Real episodes.
        codec: Of their actions.
        least_steps: That an episode must have.
        progress: Called with the number of new steps.

    Raises:
        ValueError: If none is long enough.
    """
    lessons = []
    for episode in episodes:
        progress(episode.num_steps)
        if episode.num_steps >= least_steps:
            lessons.append(lesson(episode, codec))
    if not lessons:
        raise ValueError(f"episodes: expected some of at least {least_steps} steps, got none; take shorter clips")
    return lessons
