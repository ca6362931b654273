"""Scores several models with one evaluation, on the same clips, and sets them side by side.

    python benchmarks/baselines.py OUTPUT NAME=PATH [NAME=PATH ...] [--preset quick] [--parts prediction,control]
        [--settings preset.clips=4 ...]

PATH is a checkpoint of the world model (a folder, or the name of a bundled one), or one of the U-Net in `unet/`. The
real environment is that of the first world model; the others must have been trained on the same. All see contexts of
the same frames, as long as the one that remembers most can use; the others look at their last ones.

OUTPUT gets a report for each in a folder of its name, and `comparison.md`, `comparison.png`, `comparison_sheet.png`.
Stopped by Ctrl-C, the same command goes on. More models can be added later, if none remembers more than those before.
"""

import argparse
import functools
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium
from comparison import PAGE, PLOT, SHEET, Contender, aligned, draw, page, section_of, show, summary
from unet.dreamer import UNetDreamer

from worldmodel.cli import settings
from worldmodel.cli.bars import Bars, Stopped
from worldmodel.cli.errors import UsageError
from worldmodel.cli.evaluate import EvaluateConfig
from worldmodel.cli.playing import Interruption, one_line
from worldmodel.data.files import partial_path
from worldmodel.envs.twin import model_environment
from worldmodel.evaluation.bench import Bench, Progress
from worldmodel.evaluation.dreamers import ModelDreamer
from worldmodel.evaluation.judge import Judge
from worldmodel.evaluation.parts import PARTS
from worldmodel.evaluation.plots import pyplot
from worldmodel.evaluation.report import Finding, machine
from worldmodel.evaluation.suite import check_parts, evaluate
from worldmodel.model.checkpoint import find_checkpoint, read_config, to_plain


def load(name: str, path: str, num_steps: int) -> Contender:
    """Loads a model; which kind it is, its `config.json` says.

    Args:
        name: In the comparison.
        path: Of the folder, or a bundled name.
        num_steps: Sampling steps of a world model; a U-Net takes its own.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, or knows no actions.
    """
    folder = find_checkpoint(path)
    config = read_config(folder)
    dreamer: ModelDreamer | UNetDreamer
    if "unet" in config:
        dreamer = UNetDreamer(folder, name=name)
    else:
        dreamer = ModelDreamer(path, num_steps=num_steps, name=name)
    return Contender(name, path, dreamer, str(config.get("stamp", "")), dreamer.context_steps)


def make_alike(contenders: Sequence[Contender]) -> ModelDreamer:
    """Checks that models can be compared, and gives all the same length of context.

    Returns:
        The world model whose real environment is that of all.

    Raises:
        ValueError: If there is no world model, or two differ in what they see, do or how long a step is.
    """
    leader = next((part for part in contenders if isinstance(part.dreamer, ModelDreamer)), None)
    if leader is None:
        raise ValueError(
            "models: expected at least one checkpoint of the world model, which says in which environment all are "
            "scored, got none; add voxel-small=voxel-small"
        )
    for part in contenders:
        for what, found, wanted in (
            ("environment", part.metadata.env_id, leader.metadata.env_id),
            ("frame size", _size(part), _size(leader)),
            ("actions", part.metadata.action_space, leader.metadata.action_space),
            ("ticks in a step", part.dreamer.frames_per_step, leader.dreamer.frames_per_step),
        ):
            if found != wanted:
                raise ValueError(
                    f"{part.name}: expected the {what} of {leader.name}, {wanted!s:.80}, got {found!s:.80}; compare "
                    "models of the same data"
                )
    longest = max(part.remembers for part in contenders)
    for part in contenders:
        part.dreamer.context_steps = longest
    assert isinstance(leader.dreamer, ModelDreamer)
    return leader.dreamer


def compare(
    contenders: Sequence[Contender], config: EvaluateConfig, output: Path, progress: Callable[[str], Progress]
) -> dict[str, list[Finding]]:
    """Scores models that `make_alike` has seen, and writes the comparison.

    Args:
        contenders: Them.
        config: Settings of the evaluation.
        output: Folder.
        progress: Gives for the name of a model what is told how far its evaluation has come. If that raises, the same
            call goes on.

    Returns:
        What was found of each.

    Raises:
        ValueError: If the folder holds the evaluation of others, or no player or judge suits.
        FileNotFoundError: If there is no such judge.
    """
    leader = make_alike(contenders)
    judge: str | Judge | None = config.judge
    found: dict[str, list[Finding]] = {}
    for part in contenders:
        bench, told = _bench(part, leader, config, output / part.name, judge), progress(part.name)
        try:
            found[part.name] = evaluate(bench, _head(part, bench, config), parts=config.parts, progress=told)
            if any(PARTS[name].judge and not PARTS[name].unfit(bench) for name in check_parts(config.parts)):
                judge = bench.judge(told)  # the others get the same, trained or not
            episodes = bench.episodes(told) if section_of(found[part.name], "prediction") else []
        finally:
            bench.close()
    draws = all(section_of(findings, "prediction") for findings in found.values())
    if draws:  # all benches have played the same episodes, the last one's will do
        draw(contenders, found, output / PLOT)
        show(contenders, episodes, config.preset, config.seed, output / SHEET, progress("all"))
    partial = partial_path(output / PAGE)
    partial.write_text("\n".join(page(contenders, found, config.preset, pictures=draws)) + "\n", encoding="utf-8")
    partial.replace(output / PAGE)
    return found


def _bench(
    part: Contender, leader: ModelDreamer, config: EvaluateConfig, folder: Path, judge: str | Judge | None
) -> Bench:
    data = part.metadata.training_data
    name = data.get("player")
    return Bench(
        part.dreamer,
        functools.partial(model_environment, leader.model),
        config.preset,
        folder,
        player=config.real_player,
        player_kwargs=config.real_player_kwargs,
        training_player=name,
        training_player_kwargs=data.get("player_kwargs", settings.player_kwargs(name)),
        judge=judge,
        judge_minutes=config.judge_minutes,
        seed=config.seed,
        batch=config.batch,
    )


def _head(part: Contender, bench: Bench, config: EvaluateConfig) -> dict[str, Any]:
    metadata = to_plain(part.metadata)
    metadata.pop("action_space")  # long, and the checkpoint has it
    parameter = next(part.dreamer.model.parameters())
    return {
        "model": part.path,
        "stamp": part.stamp,
        "metadata": metadata,
        "settings": {
            "preset": asdict(config.preset),
            "num_steps": part.dreamer.num_steps,
            "context_steps": part.dreamer.context_steps,
            "real_player": bench.player,
            "real_player_kwargs": config.real_player_kwargs,
            "judge": config.judge,
            "seed": config.seed,
        },
        "machine": machine(parameter.device, parameter.dtype),
    }


def _size(part: Contender) -> tuple[int, int]:
    return part.metadata.height, part.metadata.width


def _named(text: str) -> tuple[str, str]:
    name, sign, path = text.partition("=")
    if not sign or not path or not re.fullmatch(r"[\w.-]*\w", name):
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, such as small=voxel-small, got {text!r}")
    return name, path


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder for reports and comparison")
    parser.add_argument("models", type=_named, nargs="+", metavar="NAME=PATH", help="what is compared")
    parser.add_argument("--preset", default="quick", help="how much is measured: quick or full")
    parser.add_argument("--parts", default=None, help=f"some of {','.join(PARTS)}; all by default")
    parser.add_argument("--settings", nargs="*", default=[], help="others of `worldmodel evaluate`, preset.clips=4")
    options = parser.parse_args(arguments)
    names = [name for name, _ in options.models]
    if len(set(names)) < len(names):
        parser.error(f"NAME: expected names that differ, got {', '.join(names)}")
    for name in ("checkpoint", "output", "preset", "parts"):
        if any(setting.startswith(f"{name}=") for setting in options.settings):
            parser.error(f"--settings: {name} has a place of its own on this command line")
    overrides = [f"preset={options.preset}", *options.settings]
    overrides += [f"parts=[{options.parts}]"] if options.parts else []
    with Interruption() as interruption, Bars(interruption) as bars:
        try:
            config = settings.load("evaluate", EvaluateConfig, overrides)
            check_parts(config.parts)
            pyplot()
            contenders = [load(name, path, config.num_steps) for name, path in options.models]
            found = compare(contenders, config, options.output, bars.of)
        except Stopped:
            print("interrupted; go on with the same command", file=sys.stderr)
            return 130
        except (UsageError, FileNotFoundError, ValueError, TypeError, ImportError, gymnasium.error.Error) as error:
            parser.error(one_line(error))
    print("\n".join(aligned([["part", "figure or check", *found], *summary(found)])))
    print(options.output / PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
