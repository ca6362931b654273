"""A small deterministic world: a square on a patterned ground that goes where it is told, around the edges."""

from typing import Any

import gymnasium
import numpy as np

from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.episodes import Episode, EpisodeSource
from worldmodel.data.store import EpisodeStore, EpisodeStoreWriter

SIZE, SIDE, STRIDE = 32, 8, 8
MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
ACTIONS = gymnasium.spaces.Discrete(len(MOVES))


class MovingSquare(gymnasium.Env):
    """Five actions: stay, up, down, left, right. A reward of 1 in the upper left corner; never ends."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(MOVES))
        y, x = np.mgrid[:SIZE, :SIZE] // 8 % 2
        self._ground = np.stack([60 + 60 * x, 60 + 60 * y, np.full_like(x, 90)], axis=-1).astype(np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._place = self.np_random.integers(0, SIZE // STRIDE, 2) * STRIDE
        return self._picture(), {"caption": "a square on a pattern"}

    def step(self, action):
        self._place = (self._place + STRIDE * np.array(MOVES[int(action)])) % SIZE
        return self._picture(), float(not self._place.any()), False, False, {"caption": "a square on a pattern"}

    def render(self):
        return self._picture()

    def _picture(self) -> np.ndarray:
        frame = self._ground.copy()
        y, x = self._place
        frame[y : y + SIDE, x : x + SIDE] = (250, 220, 40)
        return frame


def play(seed: int, steps: int) -> Episode:
    """Plays an episode of random moves."""
    env, random = MovingSquare(), np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    frames, actions, rewards, infos = [observation], [], [], [info]
    for _ in range(steps):
        actions.append(int(random.integers(len(MOVES))))
        observation, reward, _, _, info = env.step(actions[-1])
        frames.append(observation)
        rewards.append(reward)
        infos.append(info)
    source = EpisodeSource(env_id="MovingSquare", seed=seed, fps=10)
    return Episode(
        frames=np.stack(frames), actions=actions, rewards=np.array(rewards), terminated=False, truncated=True,
        infos=infos, source=source,
    )  # fmt: skip


def make_store(folder, *, episodes: int = 40, steps: int = 40, percent: float = 20.0) -> EpisodeStore:
    """Plays episodes into a store."""
    with EpisodeStoreWriter(folder, codec=ActionCodec(ACTIONS), fps=10, held_out_percent=percent) as writer:
        for seed in range(episodes):
            writer.append(play(seed, steps), f"seed_{seed}")
    return EpisodeStore(folder)
