"""Players: what chooses actions, by name.

>>> player = make_player("lumberjack", env)
>>> observation, info = env.reset(seed=3)
>>> player.reset(seed=3)
>>> action = player.act(observation, info)
"""

from collections.abc import Callable
from typing import Any

import gymnasium

from worldmodel.agents.builder import BuilderPlayer
from worldmodel.agents.explorer import ExplorerPlayer
from worldmodel.agents.fidgeter import FidgeterPlayer
from worldmodel.agents.forager import ForagerPlayer
from worldmodel.agents.idle import IdlePlayer
from worldmodel.agents.keys import KeysPlayer
from worldmodel.agents.learned import LearnedPlayer
from worldmodel.agents.look_away import LookAwayPlayer
from worldmodel.agents.lumberjack import LumberjackPlayer
from worldmodel.agents.mixture import MixturePlayer
from worldmodel.agents.patrol import PatrolPlayer
from worldmodel.agents.planner import PlannerPlayer
from worldmodel.agents.player import Player
from worldmodel.agents.policy import PolicyPlayer
from worldmodel.agents.ppo import PPOPlayer
from worldmodel.agents.random_player import RandomPlayer
from worldmodel.agents.recorded import RecordedPlayer

__all__ = ["PLAYERS", "Player", "make_player"]

PLAYERS: dict[str, Callable[..., Player]] = {
    "random": RandomPlayer,
    "idle": IdlePlayer,
    "explorer": ExplorerPlayer,
    "fidgeter": FidgeterPlayer,
    "lumberjack": LumberjackPlayer,
    "builder": BuilderPlayer,
    "forager": ForagerPlayer,
    "look_away": LookAwayPlayer,
    "patrol": PatrolPlayer,
    "mixture": MixturePlayer,
    "keys": KeysPlayer,
    "recorded": RecordedPlayer,
    "policy": PolicyPlayer,
    "learned": LearnedPlayer,
    "planner": PlannerPlayer,
    "ppo": PPOPlayer,
}
"""All players by name."""


def make_player(name: str, env: gymnasium.Env, **kwargs: Any) -> Player:
    """Makes a player for an environment.

    Args:
        name: A key of `PLAYERS`.
        env: The environment that it is going to play in; scripted players read the truth from it.
        **kwargs: Passed on to the player, such as `angle_degrees` for `"look_away"`.

    Raises:
        ValueError: If there is no such player, or an argument of it is out of range.
        TypeError: If the player cannot play in this environment, or an argument is unknown or missing.
        FileNotFoundError: If there is no recording that it could replay.
    """
    if name not in PLAYERS:
        raise ValueError(f"name: expected a player among {', '.join(PLAYERS)}, got {name!r}")
    return PLAYERS[name](env, **kwargs)
