"""A player that is another one in each episode: one recipe for data of many kinds."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents.player import Info, Player

_STREAM = 1
"""Tells the draws of the mixture from those of its players, which begin with the same seed."""


class MixturePlayer:
    """In each episode one of several players plays, drawn by the seed of the episode.

    Attributes:
        playing: Name of the one that plays.
        settings: Its keyword arguments.
    """

    privileged = True

    def __init__(
        self,
        env: gymnasium.Env,
        *,
        players: Mapping[str, float],
        kwargs: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Makes a player for one environment.

        Args:
            env: The environment; each of the players must be able to play in it.
            players: Chance of each, by its name, such as `{"explorer": 0.6, "look_away": 0.4}`; those with 0 are left
                out. What matters is their ratio: they need not add up to 1.
            kwargs: Keyword arguments by player. A list is a choice: each episode has one of its values.

        Raises:
            TypeError: If one of the players cannot play in this environment, an argument of it is unknown, or no
                dictionary is given where there should be one.
            FileNotFoundError: If there is no recording that one of them could replay.
            ValueError: If there is no such player, a chance is no number from 0 on, none is above 0, or an argument is
                out of range.
        """
        kwargs = {} if kwargs is None else kwargs
        for part, given in {"players": players, "kwargs": kwargs}.items():
            if not isinstance(given, Mapping):
                raise TypeError(f"{part}: expected a dictionary by names of players, got {given!r}")
        for name, chance in players.items():
            if isinstance(chance, bool) or not isinstance(chance, int | float) or not 0 <= chance < math.inf:
                raise ValueError(f"players: expected a number from 0 on as chance of {name!r}, got {chance!r}")
        total = sum(players.values())
        if not total > 0:
            raise ValueError(f"players: expected at least one with a chance above 0, got {dict(players)}")
        for name, settings in kwargs.items():
            if name not in players:
                raise ValueError(f"kwargs: expected a player among {', '.join(players)}, got {name!r}")
            if not isinstance(settings, Mapping):
                raise TypeError(f"kwargs: expected a dictionary of arguments of {name!r}, got {settings!r}")
        self._env = env
        self._names = [name for name, chance in players.items() if chance > 0]
        self._chances = [players[name] / total for name in self._names]
        self._choices = {name: _choices(name, kwargs.get(name, {})) for name in self._names}
        for name in self._names:  # every player that may be drawn is made once, so that errors come now
            for values in itertools.product(*self._choices[name].values()):
                self._make(name, dict(zip(self._choices[name], values, strict=True)))
        self._draw(0)

    def reset(self, seed: int) -> None:
        """Starts an episode, with the player that its seed draws."""
        self._draw(seed)
        self._player.reset(seed)

    def act(self, observation: Any, info: Info) -> Any:
        """Lets the player of the episode act."""
        return self._player.act(observation, info)

    def _draw(self, seed: int) -> None:
        random = np.random.default_rng([seed, _STREAM])
        self.playing = str(random.choice(self._names, p=self._chances))
        choices = self._choices[self.playing]
        self.settings = {key: values[int(random.integers(len(values)))] for key, values in choices.items()}
        self._player = self._make(self.playing, self.settings)

    def _make(self, name: str, settings: dict[str, Any]) -> Player:
        from worldmodel.agents import make_player  # here, because this player is one of those it knows

        try:
            return make_player(name, self._env, **settings)
        except (TypeError, ValueError, FileNotFoundError) as error:
            raise type(error)(f"players: {name!r}: {error}") from error


def _choices(name: str, kwargs: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Returns the values that each argument of a player may have."""
    choices = {key: list(value) if isinstance(value, list | tuple) else [value] for key, value in kwargs.items()}
    for key, values in choices.items():
        if not values:
            raise ValueError(f"kwargs: expected a value, or a list of some, as {key!r} of {name!r}, got an empty list")
    return choices
