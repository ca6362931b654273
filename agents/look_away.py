"""A player that looks at something, turns away, and turns back exactly: does the world stay what it was?"""

import gymnasium
import numpy as np

from worldmodel.agents.player import Info, Script, ScriptedPlayer

_GRID = 64
"""Turns are whole multiples of 1/64 degree, so that they are exact in float32 and add up to exactly zero."""


class LookAwayPlayer(ScriptedPlayer):
    """Stands, turns by an angle, waits, and turns back; the camera movements add up to exactly zero.

    Attributes:
        rounds: How many times it has looked away and is back.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        *,
        angle_degrees: float | None = None,
        turn_steps: int = 20,
        wait_steps: int = 20,
        repeats: int | None = None,
    ) -> None:
        """Makes a player for one environment.

        Args:
            env: A block world with the dictionary of keys.
            angle_degrees: How far to turn, + right; rounded to 1/64. By default 90 to 180 to either side, at random.
            turn_steps: Steps that each turn takes.
            wait_steps: Steps of standing still before, between and after the turns.
            repeats: After how many rounds to stand still for good; by default never.

        Raises:
            ValueError: If a number of steps is too small, or the angle needs more than 180 degrees in one step.
        """
        super().__init__(env)
        if turn_steps < 1 or wait_steps < 0:
            raise ValueError(f"turn_steps, wait_steps: expected at least 1 and 0, got {turn_steps} and {wait_steps}")
        if not abs(angle_degrees or 180.0) / turn_steps <= 60.0:
            raise ValueError(
                f"angle_degrees: expected at most 60 degrees in each of {turn_steps} steps, got {angle_degrees}; "
                "raise turn_steps"
            )
        self._angle = angle_degrees
        self._turn_steps = turn_steps
        self._wait_steps = wait_steps
        self._repeats = repeats
        self.rounds = 0

    def reset(self, seed: int) -> None:
        """Starts an episode."""
        super().reset(seed)
        self.rounds = 0

    def script(self, info: Info) -> Script:
        """Looks away and back, again and again."""
        while self._repeats is None or self.rounds < self._repeats:
            angle = self._angle
            if angle is None:
                angle = float(self.random.uniform(90.0, 180.0)) * float(self.random.choice((-1.0, 1.0)))
            turns = smooth_turn(angle, self._turn_steps, self.world.config.frame_skip)
            for _ in range(self._wait_steps):
                info = yield {}
            for turn in turns:
                info = yield {"camera": (0.0, turn)}
            for _ in range(self._wait_steps):
                info = yield {}
            for turn in turns[::-1]:
                info = yield {"camera": (0.0, -turn)}
            self.rounds += 1
        return info


def smooth_turn(angle_degrees: float, steps: int, frame_skip: int = 1) -> list[float]:
    """Splits a turn into camera movements that speed up and slow down.

    Args:
        angle_degrees: The whole turn.
        steps: Number of movements.
        frame_skip: Ticks of a step, among which each movement is divided: it stays exact.

    Returns:
        Degrees of each step, multiples of `frame_skip` / 64, whose sum is the angle rounded to such a multiple.
    """
    unit = frame_skip / _GRID
    share = np.linspace(0.0, 1.0, steps + 1)
    done = np.round(angle_degrees / unit * share * share * (3.0 - 2.0 * share))
    return (np.diff(done) * unit).tolist()
