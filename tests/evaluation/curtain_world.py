"""A small world with something to remember: a square on four coloured fields, and a curtain that hides both."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.episodes import Episode, EpisodeSource
from worldmodel.data.store import EpisodeStore, EpisodeStoreWriter
from worldmodel.evaluation.episodes import RealEpisode

SIZE, SIDE, STRIDE = 32, 8, 8
MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
CURTAIN = len(MOVES)
"""The action that draws the curtain for a step; the square rests."""
ACTIONS = gymnasium.spaces.Discrete(len(MOVES) + 1)
COLOURS = np.array([(200, 40, 40), (40, 170, 60), (50, 70, 210), (190, 60, 190)], np.uint8)


class CurtainWorld(gymnasium.Env):
    """Stay, up, down, left, right, curtain."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(MOVES) + 1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._fields = COLOURS[self.np_random.integers(0, len(COLOURS), (2, 2))].repeat(16, 0).repeat(16, 1)
        self._place = self.np_random.integers(0, SIZE // STRIDE, 2) * STRIDE
        return self._picture(False), {}

    def step(self, action):
        action = int(action)
        if action != CURTAIN:
            self._place = (self._place + STRIDE * np.array(MOVES[action])) % SIZE
        return self._picture(action == CURTAIN), 0.0, False, False, {}

    def _picture(self, hidden: bool) -> np.ndarray:
        if hidden:
            return np.full((SIZE, SIZE, 3), 20, np.uint8)
        frame = self._fields.copy()
        y, x = self._place
        frame[y : y + SIDE, x : x + SIDE] = (250, 240, 220)
        return frame


def random_actions(random: np.random.Generator, steps: int) -> list[int]:
    """Moves, and now and then a curtain for one to four steps."""
    actions: list[int] = []
    while len(actions) < steps:
        if random.random() < 0.2:
            actions += [CURTAIN] * int(random.integers(1, 5))
        else:
            actions.append(int(random.integers(len(MOVES))))
    return actions[:steps]


def play(seed: int, actions: Sequence[int]) -> RealEpisode:
    """Plays given actions."""
    env = CurtainWorld()
    frames = [env.reset(seed=seed)[0]] + [env.step(action)[0] for action in actions]
    infos: list[dict[str, Any]] = [{} for _ in frames]
    return RealEpisode(seed, np.stack(frames)[:, None], list(actions), np.zeros(len(actions)), infos, False)


def make_store(folder: Path, *, episodes: int, steps: int, shift: int = 0) -> EpisodeStore:
    """Plays episodes into a store.

    Args:
        folder: Of the store.
        episodes: How many.
        steps: Of each.
        shift: Steps by which the actions are noted too early.
    """
    with EpisodeStoreWriter(folder, codec=ActionCodec(ACTIONS), fps=10, held_out_percent=10) as writer:
        for seed in range(episodes):
            actions = random_actions(np.random.default_rng(seed), steps)
            played = play(seed, actions)
            noted = actions[shift:] + [0] * shift
            episode = Episode(
                frames=played.frames[:, 0],
                actions=noted,
                rewards=played.rewards,
                terminated=False,
                truncated=True,
                infos=played.infos,
                source=EpisodeSource(env_id="CurtainWorld", seed=seed, fps=10),
            )
            writer.append(episode, f"seed_{seed}")
    return EpisodeStore(folder)
