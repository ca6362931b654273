"""Routes through the block world that lead back to where they began, and things that are built there before leaving.

Shapes: S steps, r ticks in a step, H W pixels.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents.look_away import smooth_turn
from worldmodel.agents.player import Info, Keys, Script, ScriptedPlayer
from worldmodel.agents.steering import Steering, turn_between
from worldmodel.envs.voxel.blocks import CODES, SOLID
from worldmodel.evaluation.dreamers import psnr
from worldmodel.evaluation.episodes import RealEpisode, play
from worldmodel.evaluation.permanence import Revisit

INVENTORY = {"dirt": 12, "cobblestone": 12, "oak_planks": 8, "torch": 4}
"""What the player has, so that there is something to place, and that what is dug changes nothing in the hotbar."""
_PITCH = 35.0
"""Degrees by which a builder looks down: at the ground two blocks ahead, with room for a block or a hole in view."""

_ITEM = "cobblestone"
_REACH = (1.5, 3.5)
"""Blocks from the player to the middle of what is built."""
_LEAD, _SETTLE = 8, 2
"""Steps of standing still before the view is left, and at the end of a walk, until the body rests."""
_TURN, _WAIT = 3, 4
"""Steps that a turn takes, and for which a builder looks away."""
_ANGLE = 135.0
"""Degrees by which a builder turns away; who looks down sees 59 to either side in the corners of a picture."""
_WALK_TICKS = 12
"""Of each leg of a walk: two and a half blocks."""
_WALK_SPEED = 0.2158
"""Blocks a tick."""
_DIG_TICKS = 40
"""After which digging is given up."""
_REST_TICKS = 8
"""After placing or digging, until the hand rests."""
_MOST_STEPS = 1000
"""Of an episode of building; it ends by itself much earlier."""
_NEAR_BLOCKS = 0.1
"""How near to its beginning a walk must end."""
_LEAST_WAY = 0.8
"""Share of the way without obstacles that each leg of a walk must go."""
_TRIES = 12
"""Worlds that are tried for each that is wanted."""
_LEAST_SHARE, _MOST_SHARE, _MOST_PSNR, _LEAST_PSNR = 0.02, 0.3, 22.0, 30.0
"""What is built must be seen: the share of the picture that it covers at least and at most, the PSNR in dB there of the
picture with it against that without it at most, and that of the view that is come back to against the one that was left
at least."""
_TURNS = tuple(range(0, 360, 45))
"""Directions, in degrees, in which something is built in a world that a network learns from."""


@dataclass(slots=True)
class Built:
    """A view that is come back to, in which something was built, and its twin, in which it was not.

    Attributes:
        visit: With it.
        twin: Without it: the same world and the same ways, but hands that rest.
        where: bool (H, W), pixels of the view that show something else at another distance.
    """

    visit: Revisit
    twin: Revisit
    where: np.ndarray


class Walker(ScriptedPlayer):
    """Walks the sides of a polygon, and ends where it began, with the same view."""

    def __init__(self, env: gymnasium.Env, sides: int) -> None:
        """Makes a player for one environment.

        Args:
            env: A block world with the dictionary of keys.
            sides: 2 for A-B-A, 3 for A-B-C-A.
        """
        super().__init__(env)
        self._sides = sides
        self._ticks = self.world.config.frame_skip

    def script(self, info: Info) -> Script:
        """Stands, walks, stands."""
        turns = smooth_turn(360.0 / self._sides, _TURN, self._ticks)
        side: list[Keys] = [{"camera": (0.0, turn)} for turn in turns]
        side += [{"forward": 1}] * walk_steps(self._ticks)
        for keys in [*[{}] * _LEAD, *side * self._sides]:
            info = yield keys
        return info


class Maker(ScriptedPlayer):
    """Places a block before its feet, or digs one out, turns away and back.

    Attributes:
        finished: Whether it is back, or has given up.
        made: Whether it has placed or dug something.
    """

    def __init__(self, env: gymnasium.Env, *, digs: bool, leaves: bool = True, turn_degrees: float = 0.0) -> None:
        """Makes a player for one environment.

        Args:
            env: A block world with the dictionary of keys, and `INVENTORY`.
            digs: Whether it digs.
            leaves: Whether it turns away, too.
            turn_degrees: By which it turns to the right before.
        """
        super().__init__(env)
        self._digs, self._leaves, self._turn = digs, leaves, turn_degrees
        self._ticks = self.world.config.frame_skip
        self.finished = self.made = False

    def reset(self, seed: int) -> None:
        """Starts an episode."""
        super().reset(seed)
        self.finished = self.made = False

    def script(self, info: Info) -> Script:
        """Makes something, and looks whether it stays."""
        info, _ = yield from Steering(self.world, self.random).select(info, _ITEM)
        down, round_ = (
            smooth_turn(angle, _TURN, self._ticks) for angle in (_PITCH - info["pose"]["pitch"], self._turn)
        )
        for pitch, yaw in zip(down, round_, strict=True):
            info = yield {"camera": (pitch, yaw)}
        target = self.world.target
        if target is not None and _fits(info, target):
            x, y, z = target["position"]
            for _ in range(math.ceil(_DIG_TICKS / self._ticks) if self._digs else 1):
                info = yield {"attack" if self._digs else "use": 1}
                if self._digs and self.world.block_at(x, y, z) != target["block"]:
                    break
            changed = (x, y, z) if self._digs else (x, y + 1, z)
            self.made = self.world.block_at(*changed) == ("air" if self._digs else _ITEM)
        if not self.made:
            self.finished = True
            return (yield {})
        turns = smooth_turn(_ANGLE, _TURN, self._ticks)
        away: list[Keys] = [{"camera": (0.0, turn)} for turn in turns]
        back: list[Keys] = [{"camera": (0.0, -turn)} for turn in turns[::-1]]
        waits: list[Keys] = [{}] * math.ceil(_REST_TICKS / self._ticks)
        keys = [*waits, *away, *[{}] * _WAIT, *back] if self._leaves else waits
        for number, part in enumerate(keys, 1):
            self.finished = number == len(keys)
            info = yield part
        return info


def _fits(info: Info, target: dict[str, Any]) -> bool:
    """Whether something can be built at a target that is to be seen: no plant, not underfoot, not against a wall."""
    pose, (x, y, z) = info["pose"], target["position"]
    solid = bool(SOLID[CODES[target["block"]]])
    low, high = _REACH
    return solid and y < pose["y"] and low <= math.hypot(x + 0.5 - pose["x"], z + 0.5 - pose["z"]) <= high


class _Reciter:
    """Does what it is told, one action after another."""

    def __init__(self, actions: Sequence[Any]) -> None:
        self._actions = actions
        self._left: Iterator[Any] = iter(())

    def reset(self, seed: int) -> None:
        self._left = iter(self._actions)

    def act(self, observation: Any, info: Info) -> Any:
        return next(self._left)


def walk_steps(ticks: int) -> int:
    """Returns the steps of each leg of a walk, for r ticks in a step."""
    return math.ceil(_WALK_TICKS / ticks)


def walked_steps(sides: int, ticks: int) -> tuple[int, int]:
    """Returns the steps from the beginning of a walk, and from its last turn, to when it is back."""
    leg = _TURN + walk_steps(ticks)
    return sides * leg + _SETTLE, leg + _SETTLE


def away_steps() -> tuple[int, int]:
    """Returns the steps from when a builder turns away, and from when it begins to turn back, to when it is back."""
    return 2 * _TURN + _WAIT, _TURN


def walk_away(env: gymnasium.Env, seeds: Sequence[int], sides: int) -> list[Revisit]:
    """Walks away from a view and back to it, on ground where nothing is in the way.

    Args:
        env: The block world, with its sun and weather at rest.
        seeds: The first is that of the first world to be tried; as many worlds are wanted as there are seeds.
        sides: 2 for A-B-A, 3 for A-B-C-A.
    """
    player = Walker(env, sides)
    ticks = env.unwrapped.config.frame_skip  # type: ignore[attr-defined]
    whole, last = walked_steps(sides, ticks)
    visits: list[Revisit] = []
    for seed in _tried(seeds):
        episode = play(env, player, seed, _LEAD + whole)
        if episode.num_steps == _LEAD + whole and _returns(episode, sides, ticks):
            out = _LEAD + whole - last
            visits.append(Revisit(episode, _LEAD, out, out - _LEAD - _TURN, _LEAD + whole))
        if len(visits) == len(seeds):
            break
    return visits


def _returns(episode: RealEpisode, sides: int, ticks: int) -> bool:
    """Whether a walk went as far as it should and ended where it began."""
    poses = [info["pose"] for info in episode.infos]
    leg = _TURN + walk_steps(ticks)
    corners = [poses[_LEAD + leg * side] for side in range(sides)] + [poses[-1]]
    ways = [math.hypot(one["x"] - other["x"], one["z"] - other["z"]) for one, other in pairwise(corners)]
    free = _WALK_SPEED * (walk_steps(ticks) * ticks - 1)
    dry = not any(info["in_water"] for info in episode.infos)
    return dry and _alike(poses[_LEAD], poses[-1]) and min(ways) > _LEAST_WAY * free


def _alike(one: dict[str, float], other: dict[str, float]) -> bool:
    off = max(abs(one[axis] - other[axis]) for axis in "xyz")
    angle = max(abs(turn_between(one["yaw"], other["yaw"])), abs(one["pitch"] - other["pitch"]))
    return off <= _NEAR_BLOCKS and angle < 1e-3


def build(env: gymnasium.Env, seeds: Sequence[int], *, digs: bool) -> list[Built]:
    """Builds something, turns away and back; and does the same without building.

    Args:
        env: The block world, with its sun and weather at rest, and `INVENTORY`.
        seeds: The first is that of the first world to be tried; as many worlds are wanted as there are seeds.
        digs: Whether a hole is dug; else a block is placed.
    """
    player = Maker(env, digs=digs)
    whole, last = away_steps()
    found: list[Built] = []
    for seed in _tried(seeds):
        episode = _make(env, player, seed)
        if not (player.made and player.finished):
            continue
        near = env.unwrapped.depth()  # type: ignore[attr-defined]
        idle = [{**action, "attack": 0, "use": 0} for action in episode.actions]
        twin = play(env, _Reciter(idle), seed, len(idle))
        far = env.unwrapped.depth()  # type: ignore[attr-defined]
        where = np.abs(np.minimum(near, 1e3) - np.minimum(far, 1e3)) > 0.02
        back = episode.num_steps
        pair = [Revisit(part, back - whole, back - last, _WAIT, back) for part in (episode, twin)]
        if twin.num_steps == back and _shows(pair, where):
            found.append(Built(pair[0], pair[1], where))
        if len(found) == len(seeds):
            break
    return found


def _shows(pair: Sequence[Revisit], where: np.ndarray) -> bool:
    """Whether both are back at the same view, and what was built is to be seen there."""
    with_it, without = (visit.episode.frames[visit.back, -1] for visit in pair)
    same = all(
        _alike(visit.episode.infos[visit.left]["pose"], visit.episode.infos[visit.back]["pose"])
        and psnr(visit.episode.frames[visit.left, -1], visit.episode.frames[visit.back, -1]) > _LEAST_PSNR
        for visit in pair
    )
    poses = [visit.episode.infos[visit.back]["pose"] for visit in pair]
    if not same or not _alike(*poses) or not _LEAST_SHARE <= where.mean() <= _MOST_SHARE:
        return False
    return bool(psnr(with_it[where][None], without[where][None]) < _MOST_PSNR)


def _make(env: gymnasium.Env, player: Maker, seed: int, options: Mapping[str, Any] | None = None) -> RealEpisode:
    return play(env, player, seed, _MOST_STEPS, options=options, done=lambda: player.finished)


def pairs(env: gymnasium.Env, seeds: Sequence[int], *, digs: bool) -> tuple[np.ndarray, np.ndarray]:
    """Builds something in many directions of some worlds, for a network to learn what it looks like.

    Args:
        env: As in `build`.
        seeds: Of the worlds.
        digs: Whether holes are dug; else blocks are placed.

    Returns:
        Frames with it and without it, each uint8 (N, H, W, 3), from the same places.
    """
    with_it, without = [], []
    for seed in seeds:
        env.reset(seed=seed)
        state = env.unwrapped.get_state()  # type: ignore[attr-defined]
        for player in (Maker(env, digs=digs, leaves=False, turn_degrees=turn) for turn in _TURNS):
            episode = _make(env, player, seed, {"state": state})
            if player.made and player.finished:
                first = next(i for i, action in enumerate(episode.actions) if action["attack"] or action["use"])
                with_it.append(episode.frames[-1, -1])
                without.append(episode.frames[first, -1])
    return np.stack(with_it), np.stack(without)


def _tried(seeds: Sequence[int]) -> range:
    return range(seeds[0], seeds[0] + _TRIES * len(seeds))
