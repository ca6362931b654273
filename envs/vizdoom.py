"""ViZDoom, Doom in first person for machines, as an environment of pictures with captions.

Source: Kempka et al., "ViZDoom: A Doom-based AI Research Platform for Visual Reinforcement Learning",
https://arxiv.org/abs/1605.02097, and the package `vizdoom`, an extra, whose wheel brings the free game data Freedoom.
"""

import contextlib
import re
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from worldmodel.envs.pixels import PixelConfig, PixelEnv, import_extra

SCENARIOS: dict[str, str] = {
    "basic": "in a room",
    "deadly_corridor": "in a corridor",
    "deathmatch": "in an arena",
    "defend_the_center": "in a round arena",
    "defend_the_line": "in a hall",
    "freedoom1": "in Freedoom",
    "freedoom2": "in Freedoom",
    "health_gathering": "on a floor of acid",
    "health_gathering_supreme": "in a maze with a floor of acid",
    "my_way_home": "in a maze of rooms",
    "predict_position": "in a hall",
    "rocket_basic": "in a room",
    "take_cover": "in a hall",
}
"""Scenarios, and where they take place, as captions say it."""

_FIRST_LEVEL = {"freedoom1": "E1M1", "freedoom2": "MAP01"}
_LEVELS = {"freedoom1": r"E[1-4]M[1-9]", "freedoom2": r"MAP(0[1-9]|[12]\d|3[0-2])"}

_MORE_VARIABLES = (
    "HEALTH",
    "SELECTED_WEAPON_AMMO",
    "KILLCOUNT",
    "POSITION_X",
    "POSITION_Y",
    "POSITION_Z",
    "ANGLE",
    "PITCH",
)
"""What is asked for besides the scenario's own game variables."""

_MOVES = {
    "MOVE_FORWARD": "walks forward",
    "MOVE_BACKWARD": "walks backward",
    "MOVE_LEFT": "steps left",
    "MOVE_RIGHT": "steps right",
}
"""What buttons do if nothing is in the way."""

_ACTS = {"TURN_LEFT": "turns left", "TURN_RIGHT": "turns right", "ATTACK": "attacks", "USE": "reaches out"}

_TOLD = ("Monster", "Player", "Key", "Weapon", "Powerup", "Armor", "Health", "Ammo")
"""Kinds of things that captions tell of; gore, smoke and the player are none."""

_NAMES = {"DoomPlayer": "marine", "MarineChainsawVzd": "marine with a chainsaw"}
"""Words for things whose own names say something else."""

_LEAST_PIXELS = 6
"""In the picture of the game; what is smaller is not seen."""

_BADLY_HURT = 30

_SHAPES = ((160, 120), (200, 150), (256, 192), (320, 240), (400, 300), (512, 384), (640, 480), (800, 600), (1024, 768))
"""Width and height of pictures that the game can draw, those of Doom's own ratio."""


class ViZDoomEnv(PixelEnv):
    """ViZDoom: one of its scenarios, or a level of Freedoom; see `docs/other_worlds.md`.

    Observations are `Box(0, 255, (height, width, 3), uint8)`. Actions are `Discrete`: 0 is no button, the others one
    button each, or as many at once as `max_buttons` says; with 0 they are `MultiBinary`, one bit a button. Turning the
    head by degrees is left out. A tick is 1/35 s.

    Attributes:
        action_names: Buttons of each action, joined by +, in the order of the numbers; one a bit with `max_buttons=0`.
    """

    def __init__(
        self,
        render_mode: str | None = None,
        *,
        scenario: str = "my_way_home",
        level: str | None = None,
        max_buttons: int = 1,
        **settings: Any,
    ) -> None:
        """Makes the environment; the game starts with the first `reset`, as a process of its own.

        Args:
            render_mode: `None` or `"rgb_array"`. With the latter, `frames` has every tick of a step.
            scenario: One of `SCENARIOS`.
            level: Of Freedoom: `"E1M1"` to `"E4M9"` of `freedoom1`, `"MAP01"` to `"MAP32"` of `freedoom2`; `None` is
                the first.
            max_buttons: Most buttons pressed at once, or 0 for any number, as bits.
            **settings: Of `PixelConfig`.

        Raises:
            ImportError: If ViZDoom is not installed; the message says how to install it.
            TypeError: If a setting is unknown.
            ValueError: If a setting or the render mode is out of range.
        """
        self._check(render_mode, settings)
        config = PixelConfig(**settings)
        if scenario not in SCENARIOS:
            raise ValueError(f"scenario: expected one of {', '.join(SCENARIOS)}, got {scenario!r}")
        if type(max_buttons) is not int or not 0 <= max_buttons <= 3:
            raise ValueError(f"max_buttons: expected 0, for any number, or 1 to 3, got {max_buttons!r}")
        level = _checked_level(scenario, level)
        vizdoom = import_extra("vizdoom", "vizdoom", "worldmodel/ViZDoom-v0")
        file = Path(vizdoom.scenarios_path) / f"{scenario}.cfg"
        game = vizdoom.DoomGame()
        game.load_config(str(file))
        buttons = [button for button in game.get_available_buttons() if not vizdoom.is_delta_button(button)]
        variables = [variable.name for variable in game.get_available_game_variables()]
        self._variables = list(dict.fromkeys([*variables, *_MORE_VARIABLES]))
        self._place = SCENARIOS[scenario] + (f" {level}" if level else "")
        # The game writes its settings down when it ends, by default into the working directory.
        folder = tempfile.mkdtemp(prefix="vizdoom-")
        super().__init__(
            render_mode,
            env_id="vizdoom.gymnasium_wrapper:VizdoomBasic-v1",  # any: the file says what it is
            env_kwargs={
                "scenario_config_file": str(file),
                "max_buttons_pressed": min(max_buttons, len(buttons)),
                "available_buttons": [button.name for button in buttons],
                "available_game_variables": self._variables,
                "screen_resolution": _resolution(config),
                "labels_buffer_enabled": True,
                "depth_buffer_enabled": False,
                "automap_buffer_enabled": False,
                "audio_buffer_enabled": False,
                "doom_config_path": str(Path(folder) / "vizdoom.ini"),
                **({"doom_map": level} if level else {}),
            },
            **settings,
        )
        self._game = self.inner.unwrapped
        self._end = weakref.finalize(self, _end, self._game.game, folder)
        self._buttons = [button.name for button in buttons]
        pressed = [self._pressed(number) for number in range(len(self._game.button_map))] if max_buttons else []
        self.action_names = ["+".join(names) for names in pressed] or self._buttons
        self._values: dict[str, float] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode; the seed decides all that happens in it. There are no options."""
        if options:
            raise ValueError(f"options: expected none, got {sorted(options)}; leave them out")
        litter = Path("_vizdoom")  # for screenshots: the game makes it wherever it is started
        had_it = litter.exists()
        self._values = {}
        result = super().reset(seed=seed)
        if not had_it:
            with contextlib.suppress(OSError):
                litter.rmdir()
        return result

    def close(self) -> None:
        """Ends the game."""
        super().close()
        self._end()

    def _tick(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super()._tick(action)
        # At the time limit, ViZDoom says that the episode is over in both senses.
        return observation, reward, terminated and not truncated, truncated, info

    def _picture(self, observation: Any) -> Any:
        # When an episode is over, the game has nothing to show.
        return None if self._game.state is None else observation["screen"]

    def _describe(self, info: dict[str, Any], observation: Any, action: Any, reward: float) -> dict[str, Any]:
        state, before = self._game.state, self._values
        if state is not None:
            self._values = dict(zip(map(str.lower, self._variables), state.game_variables.tolist(), strict=True))
        values = self._values
        place = {axis: values[f"position_{axis}"] for axis in "xyz"}
        moved = any(abs(place[axis] - before[f"position_{axis}"]) > 0.01 for axis in "xy") if before else False
        return {
            "game_variables": dict(values),
            "pose": {**place, "yaw": values["angle"], "pitch": values["pitch"]},
            "caption": self._caption(self._pressed(action), moved, [] if state is None else state.labels),
        }

    def _pressed(self, action: Any) -> list[str]:
        """Returns the names of the buttons of an action."""
        if action is None:
            return []
        bits = self._game.button_map[int(action)] if self._game.max_buttons_pressed else action
        return [name for name, bit in zip(self._buttons, bits, strict=True) if bit]

    def _caption(self, pressed: list[str], moved: bool, labels: list[Any]) -> str:
        """Returns a sentence: what the player does, where, how it fares and what it sees, the largest first."""
        known = {**_MOVES, **_ACTS} if moved else _ACTS
        does = [known[name] for name in pressed if name in known]
        is_dead = self._game.state is None and self._game.game.is_player_dead()
        if is_dead:
            does = ["dies"]
        parts = [f"the Doom player {' and '.join(does) or 'stands still'} {self._place}"]
        if self._values["health"] < _BADLY_HURT and not is_dead:
            parts.append("badly hurt")
        sizes: dict[str, int] = {}
        for label in labels:
            if label.object_category in _TOLD and label.width * label.height >= _LEAST_PIXELS:
                name = _words(label.object_name)
                sizes[name] = max(sizes.get(name, 0), label.width * label.height)
        seen = sorted(sizes, key=lambda name: -sizes[name])[:3]
        if seen:
            named = [f"{'an' if name[0] in 'aeiou' else 'a'} {name}" for name in seen]
            parts.append(f"seeing {' and '.join(filter(None, [', '.join(named[:-1]), named[-1]]))}")
        return ", ".join(parts)

    def _ticks_per_second(self) -> float:
        return 35.0


def _end(game: Any, folder: str) -> None:
    """Ends a game, which then writes its settings down, and removes them."""
    game.close()
    shutil.rmtree(folder, ignore_errors=True)


def _checked_level(scenario: str, level: str | None) -> str | None:
    if scenario not in _LEVELS:
        if level is not None:
            raise ValueError(f"level: expected none for scenario {scenario!r}, got {level!r}; only Freedoom has some")
        return None
    level = level or _FIRST_LEVEL[scenario]
    # ViZDoom waits forever for a level that is not there.
    if not re.fullmatch(_LEVELS[scenario], str(level)):
        names = "E1M1 to E4M9" if scenario == "freedoom1" else "MAP01 to MAP32"
        raise ValueError(f"level: expected {names} for {scenario}, got {level!r}")
    return level


def _resolution(config: PixelConfig) -> str:
    """Returns the least resolution that has no fewer pixels than a frame, in each direction."""
    fitting = [shape for shape in _SHAPES if shape[0] >= config.width and shape[1] >= config.height]
    width, height = fitting[0] if fitting else _SHAPES[-1]
    return f"RES_{width}X{height}"


def _words(name: str) -> str:
    """Returns `"shotgun guy"` for `"ShotgunGuy"`, `"imp"` for `"DoomImp"`."""
    if name in _NAMES:
        return _NAMES[name]
    parts = re.findall(r"[A-Z]+[a-z]*|[a-z]+", name)
    return " ".join(part.lower() for part in parts if part not in ("Doom", "Custom")) or name.lower()
