"""Tiny environments whose best plan is found by trying all of them."""

import itertools

import gymnasium
import numpy as np
from gymnasium import spaces


class Toy(gymnasium.Env):
    """A point on a line, for the base of the others; `get_state` is its place and its age."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.age, self.steps = self.start, 0, 0
        return np.array([self.place], np.float64), {}

    def step(self, action):
        self.steps += 1
        self.age += 1
        reward, terminated = self.move(action)
        return np.array([self.place], np.float64), reward, terminated, False, {}

    def get_state(self):
        return self.place, self.age

    def set_state(self, state):
        self.place, self.age = state


class Chain(Toy):
    """Left and near is a small prize, right and far a large one; either ends the episode, and each step costs a bit."""

    action_space, start, grid = spaces.Discrete(3), 2, (0, 1, 2)

    def move(self, action):
        self.place += int(action) - 1
        prize = {0: 0.3, 6: 1.0}.get(self.place)
        return (prize or 0.0) - 0.01, prize is not None


class Locks(Toy):
    """What an action gives depends on the one before."""

    action_space, start = spaces.MultiDiscrete([3, 2]), 0
    grid = tuple(itertools.product(range(3), range(2)))
    table = np.random.default_rng(4).random((6, 6))

    def move(self, action):
        chosen = int(action[0]) * 2 + int(action[1])
        reward, self.place = self.table[self.place, chosen], chosen
        return float(reward), False


class Mass(Toy):
    """A point that should be at 2.5, and may go no more than 1 a step."""

    action_space, start = spaces.Box(-1.0, 1.0, (1,), np.float64), 0.0
    grid = tuple(np.array([value]) for value in np.linspace(-1, 1, 9))

    def move(self, action):
        self.place += float(action[0])
        return -((self.place - 2.5) ** 2), False


class Mixed(Toy):
    """A gear and a push: the point should be at 4, in the third gear a push goes three times as far, but it costs."""

    action_space = spaces.Dict({"gear": spaces.Discrete(3, start=1), "push": spaces.Box(-1.0, 1.0, (1,), np.float64)})
    start = 0.0
    grid = tuple({"gear": g, "push": np.array([p])} for g in (1, 2, 3) for p in np.linspace(-1, 1, 9))

    def move(self, action):
        self.place += float(action["gear"] * action["push"][0])
        return -abs(self.place - 4.0) - 0.1 * float(action["gear"]), False


class Lottery(Toy):
    """Rewards are drawn from the generator of the environment, whatever is done."""

    action_space, start = spaces.MultiBinary(2), 0

    def move(self, action):
        return float(self.np_random.random()), False


def best_return(env, length):
    """The best return of any sequence of actions of the grid, by trying all of them."""
    env.reset(seed=0)
    state, best = env.get_state(), -np.inf
    for actions in itertools.product(env.grid, repeat=length):
        env.set_state(state)
        total = 0.0
        for action in actions:
            _, reward, terminated, _, _ = env.step(action)
            total += reward
            if terminated:
                break
        best = max(best, total)
    env.set_state(state)
    return best
