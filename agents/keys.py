"""A player that presses the keys it is told to."""

import difflib
import math
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import gymnasium

from worldmodel.agents.player import Info, Keys, check_dictionary, full_action, ticks_per_step
from worldmodel.envs.actions import BUTTONS, CAMERA_LIMIT_DEGREES

TURN_DEGREES = 10.0
"""Most degrees that a step turns, if it is not said how many steps a turn takes."""

_DIRECTIONS = {"up": (-1.0, 0.0), "down": (1.0, 0.0), "left": (0.0, -1.0), "right": (0.0, 1.0)}
_NOTHING = ("wait", "noop")
_LOOK = "'look right|left|up|down DEGREES', or the same with 'in N steps'"


class KeysPlayer:
    """Presses keys that are given as text, in the block world or in a dream of it; then stands still."""

    def __init__(self, env: gymnasium.Env, *, keys: str = "forward*20, look right 90, jump") -> None:
        """Makes a player for one environment.

        Args:
            env: A block world, or a dream of it, with the dictionary of keys.
            keys: What to press; see `parse_keys`.

        Raises:
            TypeError: If the environment has another action space, or `keys` is no text.
            ValueError: If a part of `keys` is not understood.
        """
        check_dictionary(env)
        self._ticks = ticks_per_step(env)
        self._parts = parse_keys(keys)
        self._steps: Iterator[Keys] = iter(())

    def reset(self, seed: int) -> None:
        """Starts at the beginning."""
        self._steps = chain.from_iterable(repeat(keys, steps) for keys, steps in self._parts)

    def act(self, observation: Any, info: Info) -> dict[str, Any]:
        """Returns the keys of the next step, as a full action."""
        return full_action(next(self._steps, {}), self._ticks)


def parse_keys(text: str) -> list[tuple[Keys, int]]:
    """Reads what to press.

    Args:
        text: Parts with commas between them, each of which is one of

            - names of keys with `+` between them: `forward+sprint+jump` holds all of them for a step;
            - `look right 90`, or `left`, `up`, `down`: turns by so many degrees, at most 10 a step;
              `look right 90 in 3 steps` takes that many;
            - `wait`, or `noop`: does nothing.

            Keys and `wait` may have a number of steps behind them: `forward*20`.

    Returns:
        For each part the keys held down, `camera` in degrees of a whole step among them, and the number of steps.

    Raises:
        TypeError: If it is no text.
        ValueError: If a part is not understood; the message names it.
    """
    if not isinstance(text, str):
        raise TypeError(f"keys: expected text such as 'forward*20, jump', got {type(text).__name__} {text!r:.80}")
    parts = [" ".join(part.split()) for part in text.split(",")]
    return [_part(part, f"keys: part {number} of {len(parts)}, {part!r}") for number, part in enumerate(parts, 1)]


def _part(part: str, place: str) -> tuple[Keys, int]:
    """Reads one part; `place` begins the message of an error."""
    words = part.split(" ")
    if words[0] == "look":
        return _look(words, place)
    held, star, number = part.partition("*")
    names = [name.strip() for name in held.split("+")]
    steps = _steps(number, place) if star else 1
    if len(names) == 1 and names[0] in _NOTHING:
        return {}, steps
    for name in names:
        if name not in BUTTONS:
            close = difflib.get_close_matches(name, BUTTONS, 1)
            hint = f"; did you mean {close[0]}?" if close else f"; or use {_LOOK}, or wait" if name else ""
            got = repr(name) if name else "nothing"
            raise ValueError(f"{place}: expected keys among {', '.join(BUTTONS)}, got {got}{hint}")
    return dict.fromkeys(names, 1), steps


def _look(words: list[str], place: str) -> tuple[Keys, int]:
    has_steps = len(words) == 6 and words[3] == "in" and words[5] in ("step", "steps")
    if not (len(words) == 3 or has_steps):
        raise ValueError(f"{place}: expected {_LOOK}, got {len(words)} words")
    if words[1] not in _DIRECTIONS:
        raise ValueError(f"{place}: expected a direction among {', '.join(_DIRECTIONS)}, got {words[1]!r}")
    try:
        degrees = float(words[2])
    except ValueError:
        degrees = math.nan
    if not 0 < degrees < math.inf:
        raise ValueError(f"{place}: expected a number of degrees above 0, got {words[2]!r}")
    steps = _steps(words[4], place) if has_steps else math.ceil(degrees / TURN_DEGREES)
    if degrees / steps > CAMERA_LIMIT_DEGREES:
        raise ValueError(
            f"{place}: expected at most {CAMERA_LIMIT_DEGREES:g} degrees a step, got {degrees / steps:g}; "
            "give it more steps"
        )
    pitch, yaw = _DIRECTIONS[words[1]]
    return {"camera": (pitch * degrees / steps, yaw * degrees / steps)}, steps


def _steps(text: str, place: str) -> int:
    number = text.strip()
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        raise ValueError(f"{place}: expected a whole number of steps from 1 on, got {number!r}")
    return int(number)
