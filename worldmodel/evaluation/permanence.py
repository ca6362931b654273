"""Is the world still there when nobody looks? Views that are left and come back to, against the truth.

Whoever remembers nothing can still make a likely view. So a dream is compared with an amnesiac: the same dreamer, begun
while the view is out of sight. What it does better than that is memory.

Shapes: B episodes, S steps, r ticks in a step, H W pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents.look_away import LookAwayPlayer
from worldmodel.evaluation.dreamers import Dreamer, dream, psnr
from worldmodel.evaluation.episodes import RealEpisode, context, play
from worldmodel.evaluation.estimates import bootstrap, difference
from worldmodel.evaluation.plots import grid, save_picture
from worldmodel.evaluation.sections import Check, Section, Table

LOOK_AWAY_STEPS = (8, 16, 32)
"""Steps for which the block world is not looked at, in all."""
_ANGLE = 100.0
"""Degrees; more than a picture is wide, so that nothing of the view is left in it."""
_SHOWN = 6


@dataclass(slots=True)
class Revisit:
    """A view that is left and come back to.

    Attributes:
        episode: The real episode.
        left: Last step that shows the view.
        out: A step in between at which nothing of the view is to be seen, nor has been for `unseen` steps.
        unseen: Steps before `out` in which it is not to be seen either.
        back: Step that shows the view again.
    """

    episode: RealEpisode
    left: int
    out: int
    unseen: int
    back: int


def steps_dreamed() -> int:
    """Returns how many steps are dreamed in each world of the block world."""
    return sum(steps + _turn(steps) for steps in LOOK_AWAY_STEPS)


def _turn(steps: int) -> int:
    return max(2, steps // 8)


def look_away(env: gymnasium.Env, seeds: Sequence[int], steps: int) -> list[Revisit]:
    """Plays episodes of the block world in which the player turns away and back.

    Args:
        env: The block world, with its sun and weather at rest.
        seeds: Of the worlds.
        steps: From the last look to the next, at least 8.
    """
    turn = _turn(steps)
    wait = steps - 2 * turn
    revisits = []
    for seed in seeds:
        player = LookAwayPlayer(env, angle_degrees=_ANGLE, turn_steps=turn, wait_steps=wait, repeats=1)
        episode = play(env, player, seed, 2 * (wait + turn))
        if episode.num_steps == 2 * (wait + turn):
            out = 2 * wait + turn
            revisits.append(Revisit(episode, wait, out, wait, out + turn))
    return revisits


def evaluate_permanence(
    dreamer: Dreamer,
    revisits: Mapping[int, Sequence[Revisit]],
    folder: Path,
    *,
    seed: int = 0,
    batch: int = 16,
    progress: Callable[[int], None] = lambda steps: None,
) -> Section:
    """Scores how well views are remembered.

    Args:
        dreamer: Who dreams.
        revisits: By how many steps the view is out of sight, all of a length in all respects.
        folder: For the picture.
        seed: Of the noise.
        batch: Dreams at a time.
        progress: Called with the number of new steps.
    """
    section = Section(
        "permanence",
        "Permanence",
        "A dream sees real frames up to the moment when the player looks away, is told the real actions, and is "
        "compared with the truth when the view is back. The amnesiac is the same model begun when the view is out of "
        "sight; what the dream does better is memory. The last seen frame is what a perfect memory would show.",
    )
    rows: list[list[Any]] = []
    memory = 0
    for steps, visits in sorted(revisits.items()):
        shown = {
            "dream": _back(dreamer, visits, seed, batch, progress, from_out=False),
            "amnesiac": _back(dreamer, visits, seed, batch, progress, from_out=True),
            "last seen": np.stack([visit.episode.frames[visit.left, -1] for visit in visits]),
        }
        real = np.stack([visit.episode.frames[visit.back, -1] for visit in visits])
        shown["codec"] = np.concatenate([
            dreamer.reconstruct(visit.episode.frames[visit.back : visit.back + 1])[:, -1] for visit in visits
        ])  # fmt: skip
        shown["another place"] = np.roll(real, 1, axis=0)
        scores = {who: psnr(frames, real) for who, frames in shown.items()}
        gain = difference(scores["dream"], scores["amnesiac"])
        for who, values in scores.items():
            section.figures[f"psnr_{who.replace(' ', '_')}_{steps}"] = bootstrap(values)
        section.figures[f"memory_gain_{steps}"] = gain
        rows.append([steps, *(bootstrap(values) for values in scores.values()), gain])
        if gain.low > 0:
            memory = steps
        if len(rows) == 1:
            reason = f"after {steps} steps out of sight the view is {gain.text()} dB nearer than the amnesiac's"
            section.checks.append(Check("places are kept", gain.low > 0, reason))
            _sheet(section, folder / "permanence.png", visits, shown, real)
    header = ["steps out of sight", *scores, "gain by memory"]
    section.tables.append(Table(header, rows, "PSNR in dB of the view that is back:"))
    section.figures["memory_steps"] = memory
    return section


def _back(
    dreamer: Dreamer,
    visits: Sequence[Revisit],
    seed: int,
    batch: int,
    progress: Callable[[int], None],
    *,
    from_out: bool,
) -> np.ndarray:
    """Returns the frames at `back`, uint8 (B, H, W, 3), of dreams from when the view is left, or out of sight."""
    contexts, actions = [], []
    for visit in visits:
        step = visit.out if from_out else visit.left
        length = min(visit.unseen, dreamer.context_steps) if from_out else dreamer.context_steps
        contexts.append(context(visit.episode, step, length))
        actions.append(visit.episode.actions[step : visit.back])
    frames = dream(dreamer, contexts, actions, seed=seed, batch=batch, progress=progress).frames
    return frames[:, -1, -1]


def _sheet(section: Section, path: Path, visits: Sequence[Revisit], shown: dict[str, np.ndarray], real: np.ndarray):
    rows = [
        [visit.episode.frames[visit.left, -1], visit.episode.frames[visit.out, -1], real[i], shown["dream"][i],
         shown["amnesiac"][i]]
        for i, visit in enumerate(visits[:_SHOWN])
    ]  # fmt: skip
    save_picture(path, grid(rows, column_names=["last look", "away", "back, truth", "dream", "amnesiac"]))
    section.pictures[path.name] = "Views that are left and come back to, after the shortest time."
