"""The command line: `worldmodel <sub-command> [name=value ...]`.

One file for each sub-command. Each has a function `help_text(overrides)` and a function `run(overrides)` that
returns the exit status. Settings are Hydra's: files in `worldmodel.configs`, overrides on the command line.
"""

import importlib
import os
import sys
from collections.abc import Sequence

from worldmodel.cli.errors import UsageError

COMMANDS = {
    "rollout": "play an environment and make a video of it",
    "record": "record episodes of actions and frames, for training",
    "convert": "convert recordings of other layouts",
    "data": "describe recordings, or the data of a training run, in figures and pictures",
    "train": "train a world model of an environment, or of recordings",
    "plan": "plan in a dream of a real environment, do it there, and make a video of both",
    "learn": "learn to act in the dreams of a world model",
    "loop": "collect, train, learn, and again with what was learned",
    "evaluate": "score a world model, or compare agents, in its real environment, and write a report",
    "envs": "list the environments",
}
"""Name and summary of each sub-command; its module has its name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a sub-command.

    Args:
        argv: What follows the program's name; `None` takes it from `sys.argv`.

    Returns:
        Exit status: 0, or 2 if the command was not understood, or 130 if it was interrupted.
    """
    try:
        status = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever reads the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(arguments: Sequence[str]) -> int:
    name, overrides = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name in ("-h", "--help", "help"):
        print(_help())
        return 0
    if name not in COMMANDS:
        reason = f"unknown sub-command {name!r}" if name else "a sub-command is missing"
        print(f"worldmodel: {reason}; choose one of {', '.join(COMMANDS)}\n\n{_help()}", file=sys.stderr)
        return 2
    # Before PyTorch is loaded: threads that spin while they wait for each other slow a run down many times over as soon
    # as anything else wants the processor.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    command = importlib.import_module(f"worldmodel.cli.{name}")
    if {"-h", "--help"} & set(overrides):
        print(command.help_text([part for part in overrides if not part.startswith("-")]))
        return 0
    try:
        return command.run(overrides)
    except UsageError as error:
        print(f"worldmodel {name}: {error}\nworldmodel {name} --help tells more.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"worldmodel {name}: interrupted", file=sys.stderr)
        return 130


def _help() -> str:
    commands = "\n".join(f"  {name:<10}{summary}" for name, summary in COMMANDS.items())
    return (
        "Usage: worldmodel <sub-command> [name=value ...]\n\n"
        f"Sub-commands:\n{commands}\n\n"
        "Examples:\n"
        "  worldmodel rollout env=voxel player=explorer steps=200 seed=3\n"
        "  worldmodel record episodes=5 output=runs/mine\n"
        "  worldmodel convert data/contractors runs/contractors\n"
        "  worldmodel data runs/mine\n"
        "  worldmodel train experiment=crafter output=runs/crafter\n"
        "  worldmodel evaluate checkpoint=voxel-small preset=quick\n"
        "  worldmodel record --help"
    )
