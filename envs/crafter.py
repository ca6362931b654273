"""Crafter, a survival game on a map seen from above, as a Gymnasium environment.

Source: Hafner, "Benchmarking the Spectrum of Agent Capabilities", https://arxiv.org/abs/2109.06780, and the package
`crafter`, an extra, which has the interface of old Gym.
"""

import importlib
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np

MIN_FRAME_SIZE, MAX_FRAME_SIZE = 18, 2048
"""In pixels; below 18 the digits of the inventory have no pixel."""

_NEAR_CELLS = 3
"""How far to each side a thing counts as near: inside the picture, which shows 4 cells to the sides, 3 up and down."""

_NEAR = {
    "zombie": "a zombie",
    "skeleton": "a skeleton",
    "cow": "a cow",
    "diamond": "diamond",
    "iron": "iron",
    "lava": "lava",
    "furnace": "a furnace",
    "table": "a table",
    "coal": "coal",
    "water": "water",
    "tree": "trees",
    "stone": "stone",
    "sand": "sand",
}
"""What is told of the surroundings, the most telling first."""

_ACHIEVED = {
    "collect_drink": "drinks water",
    "collect_sapling": "collects a sapling",
    "defeat_skeleton": "defeats a skeleton",
    "defeat_zombie": "defeats a zombie",
    "eat_cow": "eats a cow",
    "eat_plant": "eats a plant",
    "place_furnace": "places a furnace",
    "place_plant": "plants a sapling",
    "place_stone": "places stone",
    "place_table": "places a table",
    "wake_up": "wakes up",
}
"""Achievements whose words are not their name's: of the others `collect_wood` is told as "collects wood"."""

_DIRECTIONS = {(-1, 0): "left", (1, 0): "right", (0, -1): "up", (0, 1): "down"}


class CrafterEnv(gymnasium.Env):
    """Crafter: gather, build tools, eat, drink, sleep, and stay alive; see `docs/crafter.md`.

    Observations are `Box(0, 255, (height, width, 3), uint8)`, actions `Discrete(17)`. An episode ends when the player
    dies. It is cut off only by the time limit that `gymnasium.make` adds.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode: str | None = None, *, height: int = 64, width: int = 64) -> None:
        """Makes the environment; the world is made by `reset`.

        Args:
            render_mode: `None` or `"rgb_array"`.
            height: Of a frame in pixels, 18 to 2048.
            width: Likewise.

        Raises:
            ImportError: If Crafter is not installed; the message says how to install it.
            ValueError: If a setting or the render mode is out of range.
        """
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode: expected None or one of {self.metadata['render_modes']}, got {render_mode!r}"
            )
        for name, size in (("height", height), ("width", width)):
            if type(size) is not int or not MIN_FRAME_SIZE <= size <= MAX_FRAME_SIZE:
                raise ValueError(
                    f"{name}: expected a whole number of pixels in [{MIN_FRAME_SIZE}, {MAX_FRAME_SIZE}], got {size!r}"
                )
        crafter = _crafter()
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(0, 255, (height, width, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(crafter.constants.actions))
        self._action_names: list[str] = crafter.constants.actions
        # Without a length of its own; the seed is set by `reset`, but without one Crafter would take a global one.
        self._game = crafter.Env(size=(width, height), length=None, seed=0)
        _order_objects(self._game._world)
        self._frame: np.ndarray | None = None
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode in a new world.

        Args:
            seed: Decides the world, that of the first episode of `crafter.Env(seed=seed)`, and all that happens in it.
                Without one the seed is drawn from `np_random`.
            options: There are none.

        Returns:
            The first observation, and `info`: `achievements` and `inventory` (number by name) and `caption`.

        Raises:
            ValueError: If an option is given.
        """
        super().reset(seed=seed)
        if options:
            raise ValueError(f"options: expected none, got {sorted(options)}; leave them out")
        # Crafter makes each world of its seed and a count of episodes; starting the count anew leaves only the seed.
        self._game._seed = int(self.np_random.integers(2**31 - 1)) if seed is None else seed
        self._game._episode = 0
        self._frame = self._game.reset()
        self._over = False
        return self._frame.copy(), self._info("stands still")

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Takes one of the 17 actions.

        Args:
            action: Integer in [0, 17), as Python or NumPy integer, or array of shape `()` or `(1,)`.

        Returns:
            Observation (height, width, 3) uint8; reward: 1 if an achievement is unlocked for the first time in the
            episode, and 0.1 for each point of health won or lost; whether the player died; `False`; and the `info`.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after the end of an episode.
            TypeError: If the action is no integer.
            ValueError: If it is out of range or of the wrong shape.
        """
        if self._over:
            state = "has not begun" if self._frame is None else "is over"
            raise gymnasium.error.ResetNeeded(f"step: the episode {state}; call reset first")
        index = self._action_index(action)
        player = self._game._player
        counts, place, facing = dict(player.achievements), tuple(player.pos), tuple(player.facing)
        target = _creature(self._game._world[player.pos + player.facing][1])
        awake = not player.sleeping  # asleep the action is ignored
        self._frame, reward, _, _ = self._game.step(index)
        self._over = player.health <= 0
        gained = [name for name, count in player.achievements.items() if count > counts[name]]
        if gained:
            activity = " and ".join(_ACHIEVED.get(name, _words(name)) for name in gained)
        elif self._over:
            activity = "dies"
        elif player.sleeping:
            activity = "sleeps"
        elif target and awake and self._action_names[index] == "do":
            activity = f"hits {_NEAR[target]}"
        elif tuple(player.pos) != place:
            activity = f"walks {_DIRECTIONS[tuple(player.facing)]}"
        elif tuple(player.facing) != facing:
            activity = f"turns {_DIRECTIONS[tuple(player.facing)]}"
        else:
            activity = "stands still"
        return self._frame.copy(), float(reward), self._over, False, self._info(activity)

    def render(self) -> np.ndarray | None:
        """Returns the latest frame, (height, width, 3) uint8, a copy; `None` without a render mode or before reset."""
        # Drawing anew would change the game: the noise in pictures of the night comes from the world's generator.
        return None if self.render_mode is None or self._frame is None else self._frame.copy()

    @property
    def facing(self) -> tuple[int, int]:
        """Where the player looks: the step, in cells to the right and down."""
        x, y = self._game._player.facing
        return int(x), int(y)

    def ahead(self, step: tuple[int, int]) -> str:
        """Returns what is in the cell a step away from the player, in truth: a material, or the thing on it.

        Args:
            step: In cells to the right and down.
        """
        x, y = self._game._player.pos
        material, thing = self._game._world[int(x) + step[0], int(y) + step[1]]
        return material or "edge" if thing is None else type(thing).__name__.lower()

    def _action_index(self, action: Any) -> int:
        expected = f"an integer in [0, {len(self._action_names)})"
        array = np.asarray(action)
        if array.dtype.kind not in "iu":
            raise TypeError(
                f"action: expected {expected}, got {type(action).__name__} {action!r:.80}; convert it to int"
            )
        if array.shape not in ((), (1,)):
            raise ValueError(f"action: expected {expected}, got shape {array.shape}; pass one environment's action")
        index = int(array.item())
        if not 0 <= index < len(self._action_names):
            raise ValueError(f"action: expected {expected}, got {index}; see docs/crafter.md")
        return index

    def _info(self, activity: str) -> dict[str, Any]:
        player = self._game._player
        return {
            "achievements": {name: int(count) for name, count in player.achievements.items()},
            "inventory": {name: int(count) for name, count in player.inventory.items()},
            "caption": self._caption(activity),
        }

    def _caption(self, activity: str) -> str:
        """Returns one sentence from the exact state: what the player did, the night, what is near, the best tools."""
        inventory = self._game._player.inventory
        near = self._near()[:3]
        parts = [f"the Crafter player {activity}"]
        if self._game._world.daylight < 0.5:  # from here on the picture has the noise of the night
            parts[0] += " at night"
        if near:
            parts.append(f"near {_list(near)}")
        tools = [
            next(
                (f"{material}_{tool}" for material in ("iron", "stone", "wood") if inventory[f"{material}_{tool}"]), ""
            )
            for tool in ("pickaxe", "sword")
        ]
        if any(tools):
            parts.append(f"holding {_list([_with_article(tool) for tool in tools if tool])}")
        return ", ".join(parts)

    def _near(self) -> list[str]:
        """Returns the words for what is near the player, the most telling first."""
        world, (x, y) = self._game._world, self._game._player.pos
        columns = slice(max(x - _NEAR_CELLS, 0), x + _NEAR_CELLS + 1)
        rows = slice(max(y - _NEAR_CELLS, 0), y + _NEAR_CELLS + 1)
        found = {world._mat_names[code] for code in set(world._mat_map[columns, rows].ravel().tolist())}
        found |= {_creature(world._objects[index]) for index in world._obj_map[columns, rows].ravel().tolist() if index}
        return [words for name, words in _NEAR.items() if name in found]


class _OrderedObjects(dict):
    """A set that keeps the order of insertion."""

    def add(self, item: Any) -> None:
        """Adds an item at the end."""
        self[item] = None

    def remove(self, item: Any) -> None:
        """Removes an item."""
        del self[item]


class _Chunks(dict):
    """Objects by chunk of the map."""

    def __missing__(self, key: Any) -> _OrderedObjects:
        """Makes the chunk that is asked for."""
        self[key] = _OrderedObjects()
        return self[key]

    def copy(self) -> "_Chunks":
        """Returns a copy of the same type, as `defaultdict` does."""
        return _Chunks(self)


def _order_objects(world: Any) -> None:
    """Makes a world of Crafter reproducible.

    Crafter keeps the objects of a chunk in a set, whose order is that of their addresses in memory, and chooses from it
    by random number: the same seed would remove one animal or another.
    """
    reset = world.reset

    def reset_in_order(seed: int | None = None) -> None:
        reset(seed)
        world._chunks = _Chunks()

    world.reset = reset_in_order


def _creature(thing: Any) -> str | None:
    """Returns the name of an object of Crafter that is a zombie, skeleton or cow."""
    name = type(thing).__name__.lower()
    return name if name in ("zombie", "skeleton", "cow") else None


def _words(achievement: str) -> str:
    """Returns `"makes a wood pickaxe"` for `"make_wood_pickaxe"`, `"collects iron"` for `"collect_iron"`."""
    verb, _, thing = achievement.partition("_")
    return f"{verb}s {_with_article(thing) if verb == 'make' else thing}"


def _with_article(tool: str) -> str:
    return f"{'an' if tool[0] in 'aeiou' else 'a'} {tool.replace('_', ' ')}"


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _crafter() -> ModuleType:
    try:
        return importlib.import_module("crafter")
    except ImportError as error:
        raise ImportError(
            f'{error}: worldmodel/Crafter-v0 needs the extra "crafter"; install it with '
            "pip install 'worldmodel[crafter]' -c constraints.txt"
        ) from None
