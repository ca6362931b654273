"""What does each action do? From one state of the real world each is done alone, and dreamed alone with the same noise.

A dream that has learned what actions do can be told by its ending: it is nearer to the real ending of its own action,
its twin, than to those of the others. Nothing but the action differs, so no likely view can be nearer by chance.

Shapes: N states, A actions, S steps, r ticks in a step, H W pixels, G kinds of endings.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents import Player
from worldmodel.agents.player import Info, Keys, full_action
from worldmodel.evaluation.agreement import pearson, spearman
from worldmodel.evaluation.dreamers import Dreamer, dream, psnr
from worldmodel.evaluation.episodes import EpisodesTooShort, RealEpisode, context, play
from worldmodel.evaluation.estimates import bootstrap, difference
from worldmodel.evaluation.judge import Judge
from worldmodel.evaluation.plots import grid, save_picture
from worldmodel.evaluation.sections import Check, Section, Table

STEPS = 8
"""S: steps for which each action is held."""
TURN_DEGREES = 5.0
"""Of a step of the camera: after all of them half of what was in view still is."""
ACTIONS: dict[str, Keys] = {
    "nothing": {},
    "forward": {"forward": 1},
    "back": {"back": 1},
    "left": {"left": 1},
    "right": {"right": 1},
    "jump": {"jump": 1},
    "attack": {"attack": 1},
    "look left": {"camera": (0.0, -TURN_DEGREES)},
    "look right": {"camera": (0.0, TURN_DEGREES)},
    "look up": {"camera": (-TURN_DEGREES, 0.0)},
    "look down": {"camera": (TURN_DEGREES, 0.0)},
}
"""What is held, by name; the first is what others are compared with."""

CONTEXT_STEPS = 8
"""Real steps that a dream sees before, if it can remember so many."""

_PLAYED = 24
"""Steps that are played up to a state."""
_LAST = 4
"""Steps at the end by which an ending is told."""
_ALIKE = 35.0
"""PSNR in dB from which two real endings count as one: the action made no difference, such as walking into a wall."""
_LEAD = 8
"""Real steps before the state that the judge sees."""
_AXES = {"camera[1]": ("look left", "look right"), "camera[0]": ("look up", "look down")}
"""Which actions turn the camera, by factor of the actions; yaw, then pitch."""
_FAR_ENOUGH = 0.5
"""Share of a turn that must be read in its direction."""


@dataclass(slots=True)
class Fork:
    """A state, and what became of it.

    Attributes:
        episode: The real episode that led to it.
        twins: What followed each of `ACTIONS`, held for S steps, in their order.
    """

    episode: RealEpisode
    twins: list[RealEpisode]


class _Holder:
    """Does the same all the time."""

    def __init__(self, action: Any) -> None:
        self._action = action

    def reset(self, seed: int) -> None:
        """Does nothing."""

    def act(self, observation: Any, info: Info) -> Any:
        return self._action


def steps_dreamed() -> int:
    """Returns how many steps are dreamed for each state."""
    return len(ACTIONS) * STEPS


def play_forks(env: gymnasium.Env, player: Player, seeds: Sequence[int]) -> list[Fork]:
    """Plays up to a state, and from there every action alone.

    Args:
        env: The block world.
        player: Who plays up to there.
        seeds: As many states are wanted as there are; where an episode ends, that of a later world is taken.

    Raises:
        EpisodesTooShort: If in three times as many worlds too many episodes end.
    """
    world: Any = env.unwrapped
    actions = [full_action(keys, world.config.frame_skip) for keys in ACTIONS.values()]
    forks: list[Fork] = []
    for seed in range(seeds[0], seeds[0] + 3 * len(seeds)):
        episode = play(env, player, seed, _PLAYED)
        if episode.num_steps < _PLAYED or episode.terminated:
            continue
        state = world.get_state()
        twins = [play(env, _Holder(action), seed, STEPS, options={"state": state}) for action in actions]
        if all(twin.num_steps == STEPS for twin in twins):
            forks.append(Fork(episode, twins))
        if len(forks) == len(seeds):
            return forks
    raise EpisodesTooShort(_PLAYED + STEPS)


def evaluate_counterfactuals(
    dreamer: Dreamer,
    judge: Judge | None,
    forks: Sequence[Fork],
    folder: Path,
    *,
    seed: int = 0,
    batch: int = 16,
    progress: Callable[[int], None] = lambda steps: None,
) -> Section:
    """Scores what each action alone does in dreams.

    Args:
        dreamer: Who dreams.
        judge: Reads turns from frames; without one, they are not measured.
        forks: N.
        folder: For the picture.
        seed: Of the noise, which is the same for all actions of a state.
        batch: Dreams at a time.
        progress: Called with the number of new steps.
    """
    length = min(dreamer.context_steps, CONTEXT_STEPS)
    contexts = [context(fork.episode, fork.episode.num_steps, length) for fork in forks]
    parts = []
    for i in range(len(ACTIONS)):  # one action at a time: so the n-th dream always has the same noise
        actions = [fork.twins[i].actions for fork in forks]
        parts.append(dream(dreamer, contexts, actions, seed=seed, batch=batch, progress=progress).frames)
    dreamed = np.stack(parts, axis=1)  # (N, A, S, r, H, W, 3)
    real = np.stack([np.stack([twin.frames[1:] for twin in fork.twins]) for fork in forks])
    ends = {
        "dream": dreamed[:, :, -_LAST:],
        "codec": np.stack([np.stack([dreamer.reconstruct(part[-_LAST:]) for part in twins]) for twins in real]),
    }
    section = Section(
        "counterfactuals",
        "Each action alone",
        f"From {len(forks)} states of the real world {len(ACTIONS)} actions are held for {STEPS} steps each, and "
        f"dreamed from the same {length} steps before with the same noise: only the action differs. An ending is "
        "identified if, of all real endings from the state, that of its own action is the nearest (PSNR over the last "
        f"{_LAST} steps). Real endings that are alike, above {_ALIKE:g} dB, count as one.",
        figures={"states": len(forks)},
    )
    right, row = _identification(section, ends, real[:, :, -_LAST:])
    truth = real[:, :, -1, -1]
    changes = {
        who: _change(frames, np.stack([fork.episode.frames[-1, -1] for fork in forks]))
        for who, frames in {"real": truth, **{who: part[:, :, -1, -1] for who, part in ends.items()}}.items()
    }
    rows = [row, _likewise(section, changes)]
    turns = None
    if judge is not None:
        lead = np.stack([fork.episode.frames[-_LEAD - 1 :] for fork in forks])
        read = {"dream": _read(judge, lead, dreamed), "real": _read(judge, lead, real)}
        turned = np.array([[_turned(twin) for twin in fork.twins] for fork in forks])
        rows += _turning(section, read, turned)
        turns = _turns_table(read, turned)
    section.tables.append(
        Table(
            ["", "dream", "best", "chance"],
            rows,
            "Over all actions; best is what the codec makes of real frames, or what is read from them:",
        )
    )
    section.tables.append(_by_action(section, forks, dreamed[:, :, -1, -1], truth, right))
    if turns is not None:
        section.tables.append(turns)
    shown = int(changes["real"].mean(1).argmax())
    _sheet(section, folder / "counterfactuals.png", truth[shown], dreamed[shown, :, -1, -1])
    return section


def endings(frames: np.ndarray) -> np.ndarray:
    """Sorts endings that look alike into kinds.

    Args:
        frames: uint8 (A, S, r, H, W, 3).

    Returns:
        int (A,), the kind of each ending, 0 to G - 1. Two that are alike are of one kind.
    """
    kinds = np.arange(len(frames))
    for i in range(len(frames)):
        for j in range(i):
            if _likeness(frames[i], frames[j]) > _ALIKE:
                kinds[kinds == kinds[i]] = kinds[j]
    return np.unique(kinds, return_inverse=True)[1]


def identify(shown: np.ndarray, real: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Tells which endings are nearest to that of their own action.

    Args:
        shown: uint8 (A, S, r, H, W, 3), the endings that are to be identified.
        real: Likewise, those among which they are looked for.
        kinds: int (A,), of the real ones; see `endings`.

    Returns:
        float (A,), 1 where the nearest is of the right kind, else 0.
    """
    nearest = [int(np.argmax([_likeness(part, other) for other in real])) for part in shown]
    return (kinds[nearest] == kinds).astype(float)


def _likeness(frames: np.ndarray, other: np.ndarray) -> float:
    """Returns the PSNR in dB over all frames together."""
    return float(psnr(frames.reshape(-1, *frames.shape[-2:]), other.reshape(-1, *other.shape[-2:])))


def _identification(section: Section, ends: dict[str, np.ndarray], real: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """Adds how many endings are identified, and the check.

    Returns:
        Which of the dream's are, float (N, A), and the row of the table.
    """
    kinds = [endings(part) for part in real]
    chance = np.array([1 / (kind.max() + 1) for kind in kinds])  # who always names one kind is right in 1 of G
    found = {
        who: np.stack([identify(*part) for part in zip(shown, real, kinds, strict=True)]) for who, shown in ends.items()
    }
    shares = {who: _over_kinds(part, kinds) for who, part in found.items()}
    above = difference(shares["dream"], chance)
    estimates = {who: bootstrap(part) for who, part in shares.items()}
    section.figures |= {f"identified_{who}": estimate for who, estimate in estimates.items()}
    section.figures |= {"identified_chance": float(chance.mean()), "identified_above_chance": above}
    section.figures["endings"] = float(np.mean([kind.max() + 1 for kind in kinds]))
    reason = f"{estimates['dream'].text()} of the endings are identified, {above.text()} more than by chance"
    section.checks.append(Check("each action alone shows", above.number > 1 and above.low > 0, reason))
    return found["dream"], ["endings identified", estimates["dream"], estimates["codec"], float(chance.mean())]


def _over_kinds(right: np.ndarray, kinds: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the mean (N,) of what is right (N, A), every kind of a state counting alike."""
    return np.array([
        np.mean([part[kind == k].mean() for k in range(kind.max() + 1)])
        for part, kind in zip(right, kinds, strict=True)
    ])  # fmt: skip


def _change(frames: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Returns how much frames (N, A, H, W, 3) differ from those before (N, H, W, 3), in the mean: (N, A)."""
    return np.abs(frames.astype(np.float32) - last[:, None]).mean((2, 3, 4))


def _likewise(section: Section, changes: dict[str, np.ndarray]) -> list[Any]:
    """Adds the rank correlation over actions of the change of the picture in truth, and in the dream and the codec."""
    row: list[Any] = ["change of the picture, rank correlation over actions"]
    for who in ("dream", "codec"):
        values = [spearman(*both) for both in zip(changes[who], changes["real"], strict=True)]
        section.figures[f"change_spearman_{who}"] = estimate = bootstrap(np.array(values))
        row.append(estimate)
    return [*row, 0.0]


def _by_action(
    section: Section, forks: Sequence[Fork], dreamed: np.ndarray, real: np.ndarray, right: np.ndarray
) -> Table:
    """Returns a row for each action: what it really did, and how near the dream's last frame comes to it."""
    near = psnr(dreamed, real)  # (N, A)
    nothing = psnr(np.repeat(dreamed[:, :1], len(ACTIONS), axis=1), real)
    rows: list[list[Any]] = []
    for i, name in enumerate(ACTIONS):
        key = name.replace(" ", "_")
        gain = difference(near[:, i], nothing[:, i])
        section.figures[f"identified_{key}"] = bootstrap(right[:, i])
        section.figures |= {f"psnr_{key}": bootstrap(near[:, i]), f"gain_{key}": gain}
        pose = np.mean([_moved(fork.twins[i]) for fork in forks], axis=0).tolist()
        means = [float(part[:, i].mean()) for part in (right, near, nothing)]
        rows.append([name, *pose, *means, gain if i else "-"])
    section.figures["gain"] = gain = difference(near[:, 1:].mean(1), nothing[:, 1:].mean(1))
    rows.append(["all but nothing", *[""] * 5, *(float(part[:, 1:].mean()) for part in (right, near, nothing)), gain])
    header = ["action", "ahead", "to the right", "up", "yaw", "pitch", "identified", "its dream", "dream of nothing"]
    return Table(
        [*header, "gain"],
        rows,
        "By how much each action really changed the pose, in blocks and degrees, in the mean; the share of its endings "
        "that is identified; the PSNR in dB, against its twin, of the last frame of its dream, and of the dream of "
        "nothing:",
    )


def _moved(twin: RealEpisode) -> tuple[float, float, float, float, float]:
    """Returns by how much the pose changed: blocks ahead, to the right and up, degrees of yaw and pitch."""
    first, last = (twin.infos[i]["pose"] for i in (0, -1))
    dx, dz, yaw = last["x"] - first["x"], last["z"] - first["z"], math.radians(first["yaw"])
    ahead, right = -dx * math.sin(yaw) + dz * math.cos(yaw), -dx * math.cos(yaw) - dz * math.sin(yaw)
    return (ahead, right, last["y"] - first["y"], *_turned(twin))


def _turned(twin: RealEpisode) -> tuple[float, float]:
    """Returns by how many degrees of yaw and pitch the view turned."""
    first, last = (twin.infos[i]["pose"] for i in (0, -1))
    return (last["yaw"] - first["yaw"] + 180) % 360 - 180, last["pitch"] - first["pitch"]


def _read(judge: Judge, lead: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Returns the degrees of yaw and pitch that the judge reads from frames (N, A, S, r, H, W, 3): float (N, A, 2)."""
    factors = [next(factor for factor in judge.codec.factors if factor.name == name) for name in _AXES]
    read = []
    for i in range(frames.shape[1]):
        steps = judge.read_actions(np.concatenate([lead, frames[:, i]], axis=1))[:, -STEPS:]
        # The camera acts on every tick of a step.
        degrees = [(steps[..., part.slice] * part.values).sum((1, 2)) * judge.frames_per_step for part in factors]
        read.append(np.stack(degrees, axis=-1))
    return np.stack(read, axis=1)


def _turning(section: Section, read: dict[str, np.ndarray], turned: np.ndarray) -> list[list[Any]]:
    """Adds whether the camera turns as it is told.

    Args:
        section: Gets the figures.
        read: By who shows the frames, degrees of yaw and pitch that were read, (N, A, 2).
        turned: What really happened.

    Returns:
        Rows of the table.
    """
    names = list(ACTIONS)
    for who, degrees in read.items():
        section.figures[f"turn_pearson_{who}"] = bootstrap(
            np.stack([degrees, turned], axis=-1), lambda part: pearson(part[..., 0].ravel(), part[..., 1].ravel())
        )
        obeyed = []
        for axis, pair in enumerate(_AXES.values()):
            for name in pair:
                true = turned[:, names.index(name), axis]
                # A camera that looks straight down cannot look further down: then it obeys by staying.
                obeyed.append(degrees[:, names.index(name), axis] * np.sign(true) >= _FAR_ENOUGH * np.abs(true))
        section.figures[f"turned_{who}"] = bootstrap(np.mean(obeyed, axis=0))
    labels = {"turned": "camera turned the right way, half as far at least",
              "turn_pearson": "degrees read and turned, correlation"}  # fmt: skip
    return [
        [label, *(section.figures[f"{name}_{who}"] for who in ("dream", "real")), 0.0] for name, label in labels.items()
    ]


def _turns_table(read: dict[str, np.ndarray], turned: np.ndarray) -> Table:
    names = list(ACTIONS)
    rows: list[list[Any]] = []
    for axis, pair in enumerate(_AXES.values()):
        for name in pair:
            i = names.index(name)
            means = (bootstrap(degrees[:, i, axis]) for degrees in read.values())
            rows.append([name, float(turned[:, i, axis].mean()), *means])
    caption = "Degrees that the camera turned in all, as a network that learned from real frames reads them:"
    return Table(["", "its twin", "read from the dream", "read from real frames"], rows, caption, digits=1)


def _sheet(section: Section, path: Path, real: np.ndarray, dreamed: np.ndarray) -> None:
    rows = [list(real), list(dreamed)]
    save_picture(path, grid(rows, row_names=["truth", "dream"], column_names=list(ACTIONS)))
    section.pictures[path.name] = (
        f"The state in which actions change most: what is seen after {STEPS} steps of each, and what is dreamed."
    )
