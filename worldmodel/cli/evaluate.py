"""`worldmodel evaluate`: scores a world model against its real environment, and writes a report."""

import functools
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium

from worldmodel.cli import evaluate_agents, settings
from worldmodel.cli.bars import Bars, Stopped
from worldmodel.cli.errors import UsageError
from worldmodel.cli.playing import Interruption, check_counts, check_seed, one_line, output_folder
from worldmodel.evaluation.presets import Preset

if TYPE_CHECKING:
    from worldmodel.evaluation.bench import Bench
    from worldmodel.evaluation.dreamers import ModelDreamer

_MOST_SAMPLING_STEPS = 64


@dataclass(kw_only=True, slots=True)
class EvaluateConfig:
    """Settings of `worldmodel evaluate`; configs/evaluate.yaml explains them."""

    preset: Preset
    checkpoint: str
    output: str | None
    parts: list[str] | None
    num_steps: int
    real_player: str | None
    real_player_kwargs: dict[str, Any]
    judge: str | None
    judge_minutes: float
    seed: int
    batch: int
    workers: int


def help_text(overrides: Sequence[str]) -> str:
    """Returns the help of the sub-command, with the settings of the choices in `overrides`."""
    if _about_agents(overrides):
        return evaluate_agents.help_text(overrides)
    return settings.help_text(
        "evaluate",
        "Scores a world model against the real environment that it was trained on, in worlds that no training sees:\n"
        "how well it predicts, obeys, remembers, follows words, knows rewards, plays by itself and lasts. Writes\n"
        "report.md, report.json, plots and videos into one folder, and prints a table. Ctrl-C stops it; the same\n"
        "command with the same output goes on.\n"
        "With agent=... it compares agents in the real environment instead; --help agent=random tells more.",
        (
            "worldmodel evaluate checkpoint=voxel-small preset=quick",
            "worldmodel evaluate checkpoint=runs/voxel/checkpoint preset=full output=runs/voxel/evaluation",
            "worldmodel evaluate parts=[prediction,control] preset.clips=32",
            "worldmodel evaluate checkpoint=runs/crafter/checkpoint judge_minutes=20",
            "worldmodel evaluate agent=planner env=navigate_dense env.kwargs.actions=discrete",
        ),
        overrides,
    )


def run(overrides: Sequence[str]) -> int:
    """Evaluates, from the beginning or from where an earlier evaluation in the folder stopped.

    Returns:
        0, or 130 if it was interrupted.

    Raises:
        UsageError: If settings are wrong, or the checkpoint cannot be evaluated.
    """
    if _about_agents(overrides):
        return evaluate_agents.run(overrides)
    config = settings.load("evaluate", EvaluateConfig, overrides)
    check_counts(num_steps=config.num_steps, batch=config.batch, workers=config.workers)
    check_seed(config.seed)
    if config.num_steps > _MOST_SAMPLING_STEPS:
        raise UsageError(f"num_steps: expected 1 to {_MOST_SAMPLING_STEPS}, got {config.num_steps}")
    if not config.judge_minutes > 0:
        raise UsageError(f"judge_minutes: expected more than 0, got {config.judge_minutes}")
    folder = output_folder(config.output, "evaluate")
    from worldmodel.evaluation.plots import pyplot  # here: it takes seconds, and a mistyped setting should not
    from worldmodel.evaluation.suite import check_parts

    try:
        check_parts(config.parts)
        pyplot()
        bench = _bench(config, folder)
    except (FileNotFoundError, ValueError, TypeError, ImportError, gymnasium.error.Error) as error:
        raise UsageError(one_line(error)) from error
    try:
        return _evaluate(config, bench)
    finally:
        bench.close()


def _about_agents(overrides: Sequence[str]) -> bool:
    """Returns whether agents are to be compared, instead of a model being scored."""
    names = (part.lstrip("+~").partition("=")[0] for part in overrides)
    return any(name.partition(".")[0] == evaluate_agents.SETTING for name in names)


def _bench(config: EvaluateConfig, folder: Path) -> "Bench":
    from worldmodel.envs.twin import model_environment
    from worldmodel.evaluation.bench import Bench
    from worldmodel.evaluation.dreamers import ModelDreamer

    dreamer = ModelDreamer(config.checkpoint, num_steps=config.num_steps)
    data = dreamer.model.metadata.training_data
    name = data.get("player")
    return Bench(
        dreamer,
        functools.partial(model_environment, dreamer.model),
        config.preset,
        folder,
        player=config.real_player,
        player_kwargs=config.real_player_kwargs,
        training_player=name,
        training_player_kwargs=data.get("player_kwargs", settings.player_kwargs(name)),
        judge=config.judge,
        judge_minutes=config.judge_minutes,
        seed=config.seed,
        batch=config.batch,
    )


def _evaluate(config: EvaluateConfig, bench: "Bench") -> int:
    from worldmodel.evaluation.report import PAGE, REPORT, summary_lines
    from worldmodel.evaluation.suite import evaluate

    begun = time.monotonic()
    with Interruption() as interruption, Bars(interruption) as bars:
        try:
            findings = evaluate(
                bench,
                _head(config, bench),
                parts=config.parts,
                workers=config.workers,
                make_bench=functools.partial(_bench, config, bench.folder),
                progress=bars,
            )
        except Stopped:
            findings = None
        except (FileNotFoundError, ValueError) as error:
            raise UsageError(one_line(error)) from error
    if findings is None:
        print(f"interrupted; go on with the same command and output={bench.folder}")
        return 130
    print("\n".join(summary_lines(findings)))
    print(f"{(time.monotonic() - begun) / 60:.1f} minutes")
    for name in (PAGE, REPORT):
        print(bench.folder / name)
    return 0


def _head(config: EvaluateConfig, bench: "Bench") -> dict[str, Any]:
    """Returns what stands at the top of the report."""
    from worldmodel.evaluation.report import machine
    from worldmodel.model.checkpoint import find_checkpoint, read_config, to_plain

    dreamer: ModelDreamer = bench.dreamer  # type: ignore[assignment]
    metadata = to_plain(dreamer.model.metadata)
    metadata.pop("action_space")  # long, and the checkpoint has it
    return {
        "model": config.checkpoint,
        "stamp": str(read_config(find_checkpoint(config.checkpoint)).get("stamp", "")),
        "metadata": metadata,
        "settings": {
            "preset": asdict(config.preset),
            "num_steps": config.num_steps,
            "real_player": bench.player,
            "real_player_kwargs": config.real_player_kwargs,
            "judge": config.judge,
            "seed": config.seed,
        },
        "machine": machine(dreamer.model.device, dreamer.model.dtype),
    }
