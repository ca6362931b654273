"""`worldmodel evaluate agent=...`: compares agents in a real environment, and predictions with what came of them."""

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import gymnasium

from worldmodel.cli import settings
from worldmodel.cli.contest import SETTING, AgentConfig, Contest, EvaluateAgentsConfig
from worldmodel.cli.errors import UsageError
from worldmodel.cli.playing import Interruption, check_counts, check_seed, one_line, output_folder

__all__ = ["SETTING", "agent_configs", "help_text", "run"]

_MOST_SAMPLING_STEPS = 64


def help_text(overrides: Sequence[str]) -> str:
    """Returns the help of the sub-command, with the settings of the choices in `overrides`."""
    text = settings.help_text(
        "evaluate_agents",
        "Compares agents in a real environment, in worlds that no training sees: what each earns, beside the random\n"
        "player; what planners promised against what came when their plans were done; and what a model foretold of\n"
        "what the agents did. Writes report.md, report.json and plots into one folder. Ctrl-C stops it; the same\n"
        "command with the same output goes on, also with more agents.",
        (
            "worldmodel evaluate env=treechop agent=lumberjack episode_steps=400",
            "worldmodel evaluate env=navigate_dense agent=planner env.kwargs.actions=discrete env.kwargs.frame_skip=4",
            "worldmodel evaluate env=minigrid agent.truth.name=planner agent.dream.name=planner"
            " agent.dream.kwargs.checkpoint=runs/minigrid/checkpoint checkpoint=runs/minigrid/checkpoint",
            "worldmodel evaluate env=minigrid agent.learned.name=learned agent.learned.kwargs.checkpoint=runs/learn",
        ),
        [part for part in overrides if part.partition("=")[0] != SETTING],
    )
    return text.replace("worldmodel evaluate_agents", f"worldmodel evaluate {SETTING}=...")


def run(overrides: Sequence[str]) -> int:
    """Compares agents, from the beginning or from where an earlier evaluation in the folder stopped.

    Returns:
        0, or 130 if it was interrupted.

    Raises:
        UsageError: If settings are wrong, or an agent cannot play in the environment.
    """
    config = settings.load("evaluate_agents", EvaluateAgentsConfig, overrides)
    agents = agent_configs(config.agent)
    _check(config)
    folder = output_folder(config.output, "evaluate")
    from worldmodel.evaluation.contest import Interrupted  # here: it takes seconds, and a mistyped setting should not
    from worldmodel.evaluation.plots import pyplot

    try:
        pyplot()
    except ImportError as error:
        raise UsageError(one_line(error)) from error
    with Contest(config, agents, folder) as contest, Interruption() as interruption:
        contest.interruption = interruption
        try:
            findings = contest.run()
        except Interrupted:
            print(f"interrupted; go on with the same command and output={folder}")
            return 130
        except (FileNotFoundError, ValueError, TypeError, gymnasium.error.Error) as error:
            raise UsageError(one_line(error)) from error
        finally:
            contest.close_bar()
    from worldmodel.evaluation.report import PAGE, REPORT, summary_lines

    print("\n".join(summary_lines(findings)))
    for name in (PAGE, REPORT):
        print(folder / name)
    return 0


def agent_configs(value: Any) -> dict[str, AgentConfig]:
    """Returns agents by name, the random player among them.

    Args:
        value: A player's name, a list of names, or a dictionary of entries.

    Raises:
        UsageError: If it is something else.
    """
    listed = [value] if isinstance(value, str) else value
    if isinstance(listed, list):
        if not listed or len(set(map(str, listed))) < len(listed) or not all(isinstance(name, str) for name in listed):
            raise UsageError(f"{SETTING}: expected different names of players, got {value}")
        listed = {name: {"name": name} for name in listed}
    if not isinstance(listed, dict) or not listed:
        raise UsageError(f"{SETTING}: expected a player, several in brackets, or named entries, got {value!r}")
    known = [part.name for part in fields(AgentConfig)]
    found = {}
    for name, entry in (
        {} if "random" in listed else {"random": {"name": "random"}} | listed
    ).items() or listed.items():
        place = f"{SETTING}.{name}"
        if not re.fullmatch(r"[\w-]+", str(name)):
            raise UsageError(f"{SETTING}: expected names of letters, digits, _ and -, got {name!r}")
        if not isinstance(entry, dict) or not set(entry) <= set(known):
            raise UsageError(
                f"{place}: expected {', '.join(known)}, got {entry!r:.80}; for example {place}.name=planner"
            )
        if not isinstance(entry.get("name"), str):
            raise UsageError(f"{place}.name: expected a player, got {entry.get('name')!r}; add {place}.name=planner")
        for part in ("kwargs", "env"):
            if not isinstance(entry.get(part, {}), dict):
                raise UsageError(f"{place}.{part}: expected names and values, got {entry[part]!r:.80}")
        found[str(name)] = AgentConfig(**{**entry, "note": str(entry.get("note", ""))})
    return found


def _check(config: EvaluateAgentsConfig) -> None:
    """Raises UsageError if a setting is out of range."""
    check_counts(
        episodes=config.episodes,
        episode_steps=config.episode_steps,
        num_steps=config.num_steps,
        batch=config.batch,
    )
    check_seed(config.seed)
    if config.num_steps > _MOST_SAMPLING_STEPS:
        raise UsageError(f"num_steps: expected 1 to {_MOST_SAMPLING_STEPS}, got {config.num_steps}")
    if config.plans < 0 or config.plans_after_steps < 0:
        name = "plans" if config.plans < 0 else "plans_after_steps"
        raise UsageError(f"{name}: expected at least 0, got {getattr(config, name)}")
    if not config.horizons or min(config.horizons) < 1:
        raise UsageError(f"horizons: expected numbers of steps from 1 on, got {config.horizons}")
    config.horizons = sorted(set(config.horizons))
