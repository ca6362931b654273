"""`worldmodel record`: records episodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gymnasium
from tqdm import tqdm

from worldmodel.cli import settings
from worldmodel.cli.errors import UsageError
from worldmodel.cli.playing import Interruption, check_counts, check_seed, is_picture, make, output_folder
from worldmodel.cli.settings import EnvConfig, PlayerConfig
from worldmodel.data.episodes import TICKS_PER_SECOND, EpisodeWriter
from worldmodel.data.recording import Format, Recording, RecordingPlan

if TYPE_CHECKING:
    from worldmodel.agents import Player


@dataclass(kw_only=True, slots=True)
class RecordConfig:
    """Settings of `worldmodel record`; configs/record.yaml explains them."""

    env: EnvConfig
    player: PlayerConfig
    episodes: int
    steps: int
    seed: int
    format: Format
    lossless: bool
    output: str | None


def help_text(overrides: Sequence[str]) -> str:
    """Returns the help of the sub-command, with the settings of the choices in `overrides`."""
    return settings.help_text(
        "record",
        "Records episodes of one action and one frame a tick. format=vpt writes an mp4 and a jsonl file for each, in\n"
        "the layout of VPT, and needs dictionary actions; format=minari writes a Minari dataset. Ctrl-C ends early;\n"
        "whole episodes stay, and the same command with the same output goes on with the missing ones.\n"
        "Read them back with worldmodel.data.read_episodes.",
        (
            "worldmodel record episodes=5 steps=400 output=runs/explorer",
            "worldmodel record env=treechop player=lumberjack lossless=true seed=1000",
            "worldmodel record format=minari output=runs/dataset",
        ),
        overrides,
    )


def run(overrides: Sequence[str]) -> int:
    """Records the episodes that are missing.

    Returns:
        0, or 130 if it was interrupted.

    Raises:
        UsageError: If settings are wrong, or the folder holds another recording.
    """
    config = settings.load("record", RecordConfig, overrides)
    check_counts(episodes=config.episodes, steps=config.steps)
    check_seed(config.seed)
    folder = output_folder(config.output, "record")
    env, player = make(config.env, config.player)
    try:
        _check_env(env, config)
        plan = RecordingPlan(
            format=config.format,
            env_id=config.env.id,
            env_kwargs=config.env.kwargs,
            player=config.player.name,
            player_kwargs=config.player.kwargs,
            seeds=[config.seed + i for i in range(config.episodes)],
            steps=config.steps,
            lossless=config.lossless,
            fps=float(env.metadata.get("render_fps", TICKS_PER_SECOND)),
        )
        try:
            recording = Recording(folder, plan, env)
        except ValueError as error:
            raise UsageError(str(error)) from error
        return _record(recording, env, player, config)
    finally:
        env.close()


def _check_env(env: gymnasium.Env, config: RecordConfig) -> None:
    if config.env.kwargs.get("frame_skip", 1) != 1:
        raise UsageError(
            "env.kwargs.frame_skip: expected 1, because a recording has one line a tick; skip frames when reading"
        )
    space = env.observation_space
    if not (isinstance(space, gymnasium.spaces.Box) and is_picture(space.low)):
        raise UsageError(f"env: expected observations that are uint8 (H, W, 3) pictures, got {space}")
    if config.format is Format.vpt and not isinstance(env.action_space, gymnasium.spaces.Dict):
        raise UsageError(
            f"env: expected dictionary actions, because VPT's layout has no others, got {env.action_space}; "
            "leave env.kwargs as it is, or record with format=minari"
        )


def _record(recording: Recording, env: gymnasium.Env, player: "Player", config: RecordConfig) -> int:
    missing = recording.missing()
    kept = config.episodes - len(missing)
    num_recorded = 0
    with (
        Interruption() as interruption,
        tqdm(total=len(missing) * config.steps, unit="frame", desc="record", dynamic_ncols=True) as progress,
    ):
        for number, index in enumerate(missing):
            progress.set_postfix_str(f"episode {number + 1} of {len(missing)}", refresh=False)
            writer = recording.writer(index)
            try:
                if not _record_episode(
                    writer, env, player, recording.plan.seeds[index], interruption, progress, config
                ):
                    break
            finally:
                writer.discard()
            num_recorded += 1
            progress.total = progress.n + (len(missing) - num_recorded) * config.steps  # an episode may end early
        recording.finish()
    state = f"interrupted; {len(missing) - num_recorded} are missing" if interruption.requested else "complete"
    print(f"{num_recorded} episodes recorded, {kept} were there already; {state}")
    print(f"{recording.path}")
    return 130 if interruption.requested else 0


def _record_episode(
    writer: EpisodeWriter,
    env: gymnasium.Env,
    player: "Player",
    seed: int,
    interruption: Interruption,
    progress: tqdm,
    config: RecordConfig,
) -> bool:
    """Plays and writes one episode; returns whether it is whole."""
    observation, info = env.reset(seed=seed)
    player.reset(seed)
    writer.reset(observation, info)
    for _ in range(config.steps):
        if interruption.requested:
            return False
        action = player.act(observation, info)
        observation, reward, terminated, truncated, info = env.step(action)
        if config.format is Format.vpt and not isinstance(action, Mapping):
            raise UsageError(f"player: expected one that gives dictionary actions, got {action!r:.80}")
        writer.step(action, observation, float(reward), terminated, truncated, info)
        progress.update()
        if terminated or truncated:
            break
    writer.close()
    return True
