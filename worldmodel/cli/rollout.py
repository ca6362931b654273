"""`worldmodel rollout`: plays an environment, real or imagined, and makes a video of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString
from tqdm import tqdm

from worldmodel.cli import settings
from worldmodel.cli.dreaming import DreamStart, dream_source
from worldmodel.cli.errors import UsageError
from worldmodel.cli.moments import EnvironmentSource, Source
from worldmodel.cli.playing import Interruption, check_counts, check_seed, make, output_folder
from worldmodel.cli.rollout_files import RolloutFiles
from worldmodel.cli.settings import EnvConfig, PlayerConfig


@dataclass(kw_only=True, slots=True)
class RolloutConfig:
    """Settings of `worldmodel rollout`; configs/rollout.yaml explains them."""

    env: EnvConfig
    player: PlayerConfig
    steps: int
    seed: int
    prompt: str | None
    image: str | None
    twin: bool
    context_steps: int
    output: str | None
    video_width: int


def help_text(overrides: Sequence[str]) -> str:
    """Returns the help of the sub-command, with the settings of the choices in `overrides`."""
    return settings.help_text(
        "rollout",
        "Lets a player play one episode and writes rollout.mp4 (with the keys and the caption drawn in),\n"
        "contact_sheet.png and rollout.json (action, reward, pose, events and caption of every step).\n"
        "With env=imagined it is a dream. Unless a prompt or an image says what it begins with, the player plays in\n"
        "the real environment, the dream gets the same actions, and both are shown: dream and truth, with PSNR.\n"
        "Ctrl-C ends it early and keeps what there is.",
        (
            "worldmodel rollout",
            "worldmodel rollout env=treechop player=lumberjack steps=400 seed=3",
            "worldmodel rollout env.kwargs.width=256 env.kwargs.height=144 output=runs/wide",
            "worldmodel rollout env=gymnasium env.id=CartPole-v1 player=random",
            "worldmodel rollout env=imagined player=explorer steps=100",
            'worldmodel rollout env=imagined player=policy prompt="a Minecraft player walks through a forest"',
            'worldmodel rollout env=imagined player=keys player.kwargs.keys="forward*20, look right 90" twin=false',
            "worldmodel rollout env=imagined env.kwargs.checkpoint=runs/voxel/checkpoint player=idle image=forest.png",
        ),
        overrides,
    )


def run(overrides: Sequence[str]) -> int:
    """Plays and writes the results.

    Returns:
        0, or 130 if it was interrupted.

    Raises:
        UsageError: If settings are wrong.
    """
    config = settings.load("rollout", RolloutConfig, [quoted(override) for override in overrides])
    check_counts(steps=config.steps, video_width=config.video_width)
    check_seed(config.seed)
    folder = output_folder(config.output, "rollout")
    source = _source(config)
    try:
        return _rollout(config, source, folder)
    finally:
        source.close()


_TEXTS = ("prompt", "player.kwargs.keys")
"""Settings that are text for people, in which commas are nothing special."""


def quoted(override: str) -> str:
    """Returns an override as it is, but with quotes around a text for people, whose own the shell has taken off."""
    name, _, value = override.partition("=")
    if name not in _TEXTS or value in ("", "null") or (value[0] == value[-1] and value[0] in "'\""):
        return override
    return f"{name}={QuotedString(text=value, quote=Quote.double).with_quotes()}"


def _source(config: RolloutConfig) -> Source:
    from worldmodel.envs import IMAGINED_ID

    start = DreamStart(prompt=config.prompt, image=config.image, twin=config.twin, context_steps=config.context_steps)
    if config.env.id == IMAGINED_ID:
        return dream_source(config.env, config.player, start)
    if start.is_given:
        raise UsageError(f"prompt, image: expected none with a real environment, {config.env.id}; add env=imagined")
    return EnvironmentSource(*make(config.env, config.player))


def _rollout(config: RolloutConfig, source: Source, folder: Path) -> int:
    moments = source.play(config.seed, config.steps)
    first = next(moments)
    folder.mkdir(parents=True, exist_ok=True)  # only now: what cannot begin leaves nothing behind
    ended = "ran for the steps that were asked for"
    start = time.perf_counter()
    with (
        Interruption() as interruption,
        RolloutFiles(folder, source, config.video_width) as files,
        tqdm(total=config.steps, unit="step", desc="rollout", dynamic_ncols=True) as progress,
    ):
        for moment in chain([first], moments):
            files.add(moment)
            progress.update(files.num_steps - progress.n)
            rate = files.num_frames / (time.perf_counter() - start)
            progress.set_postfix_str(f"{rate:.0f} {source.unit}/s", refresh=False)
            ended = moment.ended or ended
            if interruption.requested:
                ended = "interrupted"
                break
    about = source.about()
    files.write_rest(
        {
            "env": {"id": config.env.id, "kwargs": config.env.kwargs},
            "player": {"name": config.player.name, "kwargs": config.player.kwargs},
            "seed": config.seed,
            **about,
            "ended": ended,
        }
    )
    psnr = f", PSNR {about['mean_psnr']:.1f} dB" if about.get("mean_psnr") is not None else ""
    print(f"{files.num_steps} steps, {files.num_frames} frames, reward {round(files.total_reward, 3):g}{psnr}; {ended}")
    if source.remark:
        print(source.remark)
    print(f"{folder}/rollout.mp4, contact_sheet.png, rollout.json")
    return 130 if interruption.requested else 0
