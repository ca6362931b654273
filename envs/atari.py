"""Atari 2600 games as environments of pictures with captions.

Source: Bellemare et al., "The Arcade Learning Environment", https://arxiv.org/abs/1207.4708; Machado et al.,
"Revisiting the Arcade Learning Environment", https://arxiv.org/abs/1709.06009; and the package `ale-py`, an extra,
whose wheel has the games in it.
"""

from typing import Any

import gymnasium

from worldmodel.envs.pixels import PixelEnv, import_extra

FRAMES_PER_SECOND = 60
"""Of the console."""


class AtariEnv(PixelEnv):
    """A game of the Atari 2600; see `docs/other_worlds.md`.

    Observations are `Box(0, 255, (height, width, 3), uint8)`. Actions are `Discrete`: positions of the joystick, with
    and without its button, those that mean something in the game. A tick is `frames_per_tick` frames of the console.

    Attributes:
        action_names: Of each action, such as `"UPRIGHTFIRE"`, in the order of the numbers.
    """

    def __init__(
        self,
        render_mode: str | None = None,
        *,
        game: str = "pong",
        frames_per_tick: int = 4,
        sticky_actions: float = 0.0,
        **settings: Any,
    ) -> None:
        """Makes the environment.

        Args:
            render_mode: `None` or `"rgb_array"`. With the latter, `frames` has every tick of a step.
            game: Its name in small letters, such as `"ms_pacman"`.
            frames_per_tick: Frames of 1/60 s that a tick lasts; of those between, nothing is seen.
            sticky_actions: How likely a frame repeats the action before instead of taking the new one; the usual 0.25
                makes agents work for their scores, and actions hard to learn from.
            **settings: Of `PixelConfig`.

        Raises:
            ImportError: If ALE is not installed; the message says how to install it.
            TypeError: If a setting is unknown.
            ValueError: If a setting or the render mode is out of range.
        """
        self._check(render_mode, settings)
        if type(frames_per_tick) is not int or not 1 <= frames_per_tick <= 16:
            raise ValueError(f"frames_per_tick: expected a whole number in [1, 16], got {frames_per_tick!r}")
        if not isinstance(sticky_actions, int | float) or not 0 <= sticky_actions < 1:
            raise ValueError(f"sticky_actions: expected a probability in [0, 1), got {sticky_actions!r}")
        ale = import_extra("ale_py", "atari", "worldmodel/Atari-v0")
        # Not all that are there can be played by one: asked for another, the emulator ends the process.
        games = {spec.kwargs["game"] for spec in gymnasium.registry.values() if spec.namespace == "ALE"}
        if game not in games:
            raise ValueError(f"game: expected one of {', '.join(sorted(games))}, got {game!r}")
        ale.ALEInterface.setLoggerMode(ale.LoggerMode.Error)  # it greets otherwise
        self._frames_per_tick = frames_per_tick
        super().__init__(
            render_mode,
            env_id="ale_py:ALE/Pong-v5",  # any: the next line says which
            env_kwargs={"game": game, "frameskip": frames_per_tick, "repeat_action_probability": float(sticky_actions)},
            **settings,
        )
        self._title = game.replace("_", " ").title()
        self.action_names = [action.name for action in self.inner.unwrapped._action_set]
        self._lives = 0

    def _describe(self, info: dict[str, Any], observation: Any, action: Any, reward: float) -> dict[str, Any]:
        parts = [f"a game of {self._title}", _joystick("NOOP" if action is None else self.action_names[int(action)])]
        if reward:
            parts.append("points are won" if reward > 0 else "points are lost")
        if action is not None and info["lives"] < self._lives:
            parts.append("a life is lost")
        self._lives = info["lives"]
        return {"caption": ", ".join(parts)}

    def _ticks_per_second(self) -> float:
        return FRAMES_PER_SECOND / self._frames_per_tick


def _joystick(action: str) -> str:
    """Returns `"the joystick up and right, the button pressed"` for `"UPRIGHTFIRE"`."""
    name = action.removesuffix("FIRE")
    directions = [word.lower() for word in ("UP", "DOWN", "LEFT", "RIGHT") if word in name]
    joystick = f"the joystick {' and '.join(directions) or 'at rest'}"
    return f"{joystick}, the button pressed" if action.endswith("FIRE") else joystick
