"""`worldmodel loop`: acts, adds to the data, trains on, learns in dreams, plays in earnest, and begins again.

Sources: Sutton, 1991, "Dyna, an Integrated Architecture for Learning, Planning, and Reacting"; Hafner et al., 2020,
"Dream to Control: Learning Behaviors by Latent Imagination".

```
<folder>/
  settings.json        what the loop was begun with
  loop.json            stages that are done, with their figures
  data/                the episode store of all rounds
  round_000/model/     training of the world model, as `worldmodel train` leaves it
  round_000/learn/     the learned player, as `worldmodel learn` leaves it
  report.json  returns.png
```
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worldmodel.agents.learning.settings import LearningConfig
from worldmodel.cli import settings
from worldmodel.cli.errors import UsageError
from worldmodel.cli.loop_report import PLOT, REPORT, summary_lines, write_report
from worldmodel.cli.loop_stages import MOST_EPISODES, STAGES, Round, round_folder
from worldmodel.cli.playing import Interruption, check_counts, check_seed, make, output_folder
from worldmodel.cli.settings import EnvConfig, PlayerConfig
from worldmodel.cli.train import ComputeConfig, ModelSettings, check_same_run
from worldmodel.data.files import read_json, write_json
from worldmodel.data.splits import FIRST_EVALUATION_SEED
from worldmodel.training.settings import CompressionTraining, DenoiserTraining

JOURNAL = "loop.json"
_MAY_CHANGE = (
    *("output", "rounds", "max_minutes", "max_steps"),
    *("workers", "lint", "log_every", "save_minutes", "report_every"),
)
"""Settings that a loop may go on with other values of."""


@dataclass(kw_only=True, slots=True)
class CollectConfig:
    """What a round adds to the data; configs/loop.yaml explains it."""

    frames: int
    first_seed: int
    held_out_percent: float
    workers: int
    lint: bool
    temperature: float
    explore_share: float


@dataclass(kw_only=True, slots=True)
class LoopConfig:
    """Settings of `worldmodel loop`; configs/loop.yaml explains them."""

    env: EnvConfig
    player: PlayerConfig
    compute: ComputeConfig
    output: str | None
    seed: int
    rounds: int
    episode_steps: int
    evaluate_episodes: int
    collect: CollectConfig
    model: ModelSettings
    compression: CompressionTraining
    denoiser: DenoiserTraining
    learning: LearningConfig


def help_text(overrides: Sequence[str]) -> str:
    """Returns the help of the sub-command, with the settings of the choices in `overrides`."""
    return settings.help_text(
        "loop",
        "Collects, trains, learns, and again: each round plays the real environment by the player of the last one,\n"
        "adds to the data, trains the world model on, learns to act in its dreams, and plays in worlds that no\n"
        "training sees. The same command with the same output goes on where it was interrupted or killed.",
        (
            "worldmodel loop env.kwargs.level=MiniGrid-Empty-Random-6x6-v0 output=runs/loop",
            "worldmodel loop env.kwargs.level=MiniGrid-Empty-Random-6x6-v0 output=runs/loop rounds=6",
            "worldmodel loop env=crafter player=forager collect.frames=20000 learning.max_minutes=20",
        ),
        overrides,
    )


def run(overrides: Sequence[str]) -> int:
    """Goes round, from the beginning or from where an earlier run in the folder stopped.

    Returns:
        0, or 130 if it was interrupted.

    Raises:
        UsageError: If settings are wrong.
    """
    return repeat(settings.load("loop", LoopConfig, overrides))


def repeat(config: LoopConfig) -> int:
    """Does what `run` does, by settings that are read already."""
    _check(config)
    folder = output_folder(config.output, "loop").resolve()
    with Interruption() as interruption:
        _check_world(config)
        folder.mkdir(parents=True, exist_ok=True)
        check_same_run(folder, config, _MAY_CHANGE)
        rounds = _read_rounds(folder)
        for number in range(config.rounds):
            if not _do_round(config, folder, rounds, number, interruption):
                print(f"interrupted; go on with the same command and output={folder}")
                return 130
            report = write_report(folder, [stages for stages in rounds if set(STAGES) <= set(stages)], config.env)
    print("\n".join(summary_lines(report)))
    for name in (REPORT, PLOT):
        print(folder / name)
    last = round_folder(folder, len(report["rounds"]) - 1)
    print(f"player: worldmodel rollout player=learned player.kwargs.checkpoint={last / 'learn'} env=...")
    return 0


def _do_round(
    config: LoopConfig, folder: Path, rounds: list[dict[str, Any]], number: int, interruption: Interruption
) -> bool:
    """Does what is left of a round, and writes down what is done; `False` if somebody asked to stop."""
    if number == len(rounds):
        rounds.append({})
    this = Round(config, folder, number, rounds[number - 1] if number else None, interruption)
    for name, stage in STAGES.items():
        if name in rounds[number]:
            continue
        if interruption.requested:
            return False
        print(f"{round_folder(folder, number).name}: {name}", flush=True)
        figures = stage(this)
        if figures is None:
            return False
        rounds[number][name] = figures
        write_json(folder / JOURNAL, {"rounds": rounds})
    return True


def _read_rounds(folder: Path) -> list[dict[str, Any]]:
    """Returns the figures of the stages that are done, by name, for each round that was begun."""
    path = folder / JOURNAL
    try:
        return read_json(path)["rounds"] if path.exists() else []
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"output: expected the stages that are done in {path}, got {error}; restore it") from None


def _check(config: LoopConfig) -> None:
    """Raises UsageError if a number is out of range, or settings exclude each other."""
    collect = config.collect
    check_counts(rounds=config.rounds, episode_steps=config.episode_steps, evaluate_episodes=config.evaluate_episodes)
    check_counts(**{"collect.frames": collect.frames, "collect.workers": collect.workers})
    check_seed(config.seed)
    if config.evaluate_episodes > MOST_EPISODES:
        raise UsageError(f"evaluate_episodes: expected at most {MOST_EPISODES}, got {config.evaluate_episodes}")
    last = FIRST_EVALUATION_SEED - config.rounds * collect.frames  # no episode has less than a frame
    if not 0 <= collect.first_seed <= last:
        raise UsageError(
            f"collect.first_seed: expected 0 to {last}, below the seeds of evaluations, got {collect.first_seed}"
        )
    if not 0 <= collect.held_out_percent < 100:
        raise UsageError(
            f"collect.held_out_percent: expected a number from 0 to below 100, got {collect.held_out_percent}"
        )
    if not 0 <= collect.temperature < math.inf:
        raise UsageError(f"collect.temperature: expected a finite number from 0 on, got {collect.temperature}")
    if not 0 <= collect.explore_share <= 1:
        raise UsageError(f"collect.explore_share: expected a number from 0 to 1, got {collect.explore_share}")
    if config.player.name == "learned" and collect.explore_share:
        raise UsageError(
            "player: expected another than learned to explore in later rounds, got learned; give one, or "
            "collect.explore_share=0"
        )
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UsageError("loop: expected one process, got a launcher of several; start it without one")


def _check_world(config: LoopConfig) -> None:
    """Raises UsageError if environment or player are not usable: better now than after hours."""
    made, _ = make(config.env, config.player)
    from worldmodel.agents.player import ticks_per_step

    ticks = ticks_per_step(made)
    made.close()
    if ticks != 1:
        raise UsageError(f"env: expected steps of 1 tick, got {ticks}; leave env.kwargs.frame_skip at 1")
