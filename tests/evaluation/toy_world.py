"""A world of one bright square that moves as it is told, a dreamer that knows its rules, and worse ones."""

from collections.abc import Sequence
from pathlib import Path

import gymnasium
import numpy as np

from worldmodel.envs.imagined.dreams import Moment
from worldmodel.evaluation.bench import Bench
from worldmodel.evaluation.episodes import Context
from worldmodel.evaluation.presets import Preset

SIDE, SQUARE, TICKS = 24, 6, 2
MOVES = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)])


class Config:
    frame_skip = TICKS


def draw(place: np.ndarray, step: int = 0) -> np.ndarray:
    """The square, uint8 (H, W, 3), on a grid that lets its place be read; the step's number is the first pixel."""
    frame = np.full((SIDE, SIDE, 3), 40, np.uint8)
    rows, columns = ((int(part) + np.arange(SQUARE)) % SIDE for part in place)
    frame[np.ix_(rows, columns)] = (220, 180, 60)
    frame[0, 0] = step
    return frame


def find(frame: np.ndarray) -> np.ndarray:
    """Where the square is."""
    bright = frame[..., 0].astype(int)
    bright[0, 0] = 220 if bright[0, 1] == bright[1, 0] == 220 else 40
    scores = [
        (np.take(np.take(bright, (y + np.arange(SQUARE)) % SIDE, 0), (x + np.arange(SQUARE)) % SIDE, 1).sum(), y, x)
        for y in range(SIDE)
        for x in range(SIDE)
    ]
    return np.array(max(scores)[1:])


class ToyEnv(gymnasium.Env):
    """Each step has two ticks; the square moves by a pixel in each. The number of the tick is in the first pixel."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10.0}
    config = Config()

    def __init__(self, length: int = 1000) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(MOVES))
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.np_random.integers(0, SIDE, 2)
        self.ticks = 0
        self.frames = draw(self.place)[None]
        return self.frames[-1].copy(), {"caption": "tick 0"}

    def step(self, action):
        frames = []
        for _ in range(TICKS):
            self.place = (self.place + MOVES[action]) % SIDE
            self.ticks += 1
            frames.append(draw(self.place, self.ticks % 200))
        self.frames = np.stack(frames)
        ended = self.ticks >= TICKS * self.length
        return frames[-1].copy(), float(action == 1), ended, False, {"caption": f"tick {self.ticks}"}


class ToyDreamer:
    """Goes on by the rules of the world, or as `obeys` and `noise` say."""

    name = "toy"
    frames_per_step = TICKS
    fps = 20.0

    def __init__(self, *, obeys: bool = True, noise: int = 0, context_steps: int = 4) -> None:
        self.obeys, self.noise, self.context_steps = obeys, noise, context_steps
        self.begun: list[list[Context]] = []
        self.seeds: list[int] = []

    def begin(self, contexts: Sequence[Context], seed: int) -> None:
        self.begun.append(list(contexts))
        self.seeds.append(seed)
        self.places = [find(part.frames[-1]) for part in contexts]
        self.ticks = [int(part.frames[-1, 0, 0, 0]) for part in contexts]
        self.random = np.random.default_rng(seed)

    def step(self, actions) -> Moment:
        frames = np.zeros((len(actions), TICKS, SIDE, SIDE, 3), np.uint8)
        for i, action in enumerate(actions):
            for tick in range(TICKS):
                self.places[i] = (self.places[i] + (MOVES[action] if self.obeys else 0)) % SIDE
                self.ticks[i] += 1
                frames[i, tick] = draw(self.places[i], self.ticks[i] % 200)
        if self.noise:
            frames = np.clip(frames + self.random.integers(-self.noise, self.noise + 1, frames.shape), 0, 255)
        number = np.full(len(actions), np.nan)
        rewards = np.array([float(action == 1) for action in actions])
        return Moment(frames.astype(np.uint8), rewards, 0 * rewards, number, number, number)

    def set_prompts(self, prompts: Sequence[str]) -> None:
        self.prompts = list(prompts)

    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        return frames ^ 1  # off by one level


class Wanderer:
    """Walks one way for a while, then another."""

    def reset(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.action = 1

    def act(self, observation, info) -> int:
        if self.random.random() < 0.3:
            self.action = int(self.random.integers(1, 5))
        return self.action


class BrokenDreamer(ToyDreamer):
    """Cannot begin."""

    def begin(self, contexts: Sequence[Context], seed: int) -> None:
        raise ValueError("frames: expected some")


def make_bench(folder: Path, preset: Preset, dreamer: type[ToyDreamer] = ToyDreamer) -> Bench:
    """Returns a bench with a toy that is not quite right; other processes can call it, too."""
    return Bench(dreamer(noise=9), ToyEnv, preset, folder)
