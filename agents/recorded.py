"""A player that does again what was recorded."""

import os
from collections.abc import Sequence
from itertools import islice
from typing import Any

import gymnasium

from worldmodel.agents.idle import zero
from worldmodel.agents.player import Info, ticks_per_step
from worldmodel.data import read_episodes


class RecordedPlayer:
    """Replays the actions of a recorded episode, one a tick, and does nothing after its end.

    In a dream whose steps last several ticks it gives a list with one action for each. A real environment obeys one
    action for a whole step, so it has to be made with steps of one tick: anything else would be another episode.

    Attributes:
        source: Where the episode came from: `source.seed` begins it again.
    """

    def __init__(self, env: gymnasium.Env, *, path: str | os.PathLike[str], episode: int = 0) -> None:
        """Reads the actions.

        Args:
            env: The environment, real or imagined.
            path: Folder of a recording, as `worldmodel record` makes them.
            episode: Which of its episodes, from 0 on.

        Raises:
            FileNotFoundError: If there is no recording.
            ValueError: If there is no such episode, or it is damaged.
            TypeError: If its actions are not those of the environment, or steps of a real one last several ticks.
        """
        self._ticks = ticks_per_step(env)
        self._is_dream = hasattr(env.unwrapped, "frames_per_step")
        if self._ticks > 1 and not self._is_dream:
            raise TypeError(
                f"env: expected steps of one tick, because a recording has one action a tick, got {self._ticks} ticks; "
                "make the environment with frame_skip=1"
            )
        if isinstance(episode, bool) or not isinstance(episode, int) or episode < 0:
            raise ValueError(f"episode: expected an integer from 0 on, got {episode!r}")
        recorded = next(islice(read_episodes(path), episode, None), None)
        if recorded is None:
            raise ValueError(f"episode: expected one that is in {path}, got {episode}; they count from 0 on")
        self.source = recorded.source
        self._actions: Sequence[Any] = recorded.actions
        if wrong := [action for action in self._actions if action not in env.action_space]:
            raise TypeError(
                f"path: expected actions of {env.action_space}, got {wrong[0]!r:.120}; replay them in the environment "
                f"they were recorded in, {recorded.source.env_id or 'which is not noted'}, or in a dream of it"
            )
        self._idle = zero(env.action_space)
        self._next = 0

    def reset(self, seed: int) -> None:
        """Starts at the beginning."""
        self._next = 0

    def act(self, observation: Any, info: Info) -> Any:
        """Returns the next action; in a dream a list with the next ones, one for each tick of a step."""
        ticks = list(self._actions[self._next : self._next + self._ticks])
        self._next += self._ticks
        ticks += [self._idle] * (self._ticks - len(ticks))
        return ticks if self._is_dream else ticks[0]
