"""`worldmodel rollout`: plays an environment and makes a video of it."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from tqdm import tqdm

from worldmodel.cli import settings
from worldmodel.cli.errors import UsageError
from worldmodel.cli.overlay import Overlay
from worldmodel.cli.playing import Interruption, check_counts, check_seed, is_picture, make, output_folder
from worldmodel.cli.settings import EnvConfig, PlayerConfig
from worldmodel.data.episodes import TICKS_PER_SECOND, plain
from worldmodel.data.files import write_json
from worldmodel.data.video import VideoWriter, write_contact_sheet

if TYPE_CHECKING:
    from worldmodel.agents import Player

SHEET_COLUMNS, SHEET_ROWS = 6, 4


@dataclass(kw_only=True, slots=True)
class RolloutConfig:
    """Settings of `worldmodel rollout`; configs/rollout.yaml explains them."""

    env: EnvConfig
    player: PlayerConfig
    steps: int
    seed: int
    output: str | None
    video_width: int


def help_text(overrides: Sequence[str]) -> str:
    """Returns the help of the sub-command, with the settings of the choices in `overrides`."""
    return settings.help_text(
        "rollout",
        "Lets a player play one episode and writes rollout.mp4 (with the keys and the caption drawn in),\n"
        "contact_sheet.png and rollout.json (action, reward, pose, events and caption of every step).\n"
        "Ctrl-C ends it early and keeps what there is.",
        (
            "worldmodel rollout",
            "worldmodel rollout env=treechop player=lumberjack steps=400 seed=3",
            "worldmodel rollout env.kwargs.width=256 env.kwargs.height=144 output=runs/wide",
            "worldmodel rollout env=gymnasium env.id=CartPole-v1 player=random",
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
    config = settings.load("rollout", RolloutConfig, overrides)
    check_counts(steps=config.steps, video_width=config.video_width)
    check_seed(config.seed)
    folder = output_folder(config.output, "rollout")
    env, player = make(config.env, config.player)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _rollout(config, env, player, folder)
    finally:
        env.close()


@dataclass(slots=True)
class _Moment:
    """One step as it is played: the frames it made, and what is written about it."""

    frames: Sequence[np.ndarray]
    action: Any
    reward: float
    ended: str
    info: dict[str, Any]


def _rollout(config: RolloutConfig, env: gymnasium.Env, player: "Player", folder: Path) -> int:
    steps: list[dict[str, Any]] = []
    sheet = _SheetFrames(SHEET_COLUMNS * SHEET_ROWS)
    num_frames, total, ended = 0, 0.0, "ran for the steps that were asked for"
    start = time.perf_counter()
    with (
        Interruption() as interruption,
        VideoWriter(folder / "rollout.mp4", fps=env.metadata.get("render_fps", TICKS_PER_SECOND)) as video,
        tqdm(total=config.steps, unit="step", desc="rollout", dynamic_ncols=True) as progress,
    ):
        overlay: Overlay | None = None
        for number, moment in enumerate(_play(env, player, config.seed, config.steps)):
            total += moment.reward
            for frame in moment.frames:
                overlay = overlay or Overlay(frame.shape, config.video_width)
                video.write(overlay.draw(frame, moment.action, moment.info, number, total))
                num_frames += 1
            sheet.add(moment.frames[-1])
            steps.append(_figures(moment))
            progress.update(min(number, 1))  # the first moment is the reset, no step
            progress.set_postfix_str(f"{num_frames / (time.perf_counter() - start):.0f} frames/s", refresh=False)
            if moment.ended:
                ended = moment.ended
            if interruption.requested:
                ended = "interrupted"
                break
    write_contact_sheet(folder / "contact_sheet.png", sheet.pick(), columns=SHEET_COLUMNS)
    write_json(
        folder / "rollout.json",
        {
            "env": {"id": config.env.id, "kwargs": config.env.kwargs},
            "player": {"name": config.player.name, "kwargs": config.player.kwargs},
            "seed": config.seed,
            "ended": ended,
            "total_reward": total,
            "start": steps[0],
        },
        lines={"steps": steps[1:]},
    )
    print(f"{len(steps) - 1} steps, {num_frames} frames, reward {total:g}; {ended}")
    print(f"{folder}/rollout.mp4, contact_sheet.png, rollout.json")
    return 130 if interruption.requested else 0


def _play(env: gymnasium.Env, player: "Player", seed: int, num_steps: int) -> Iterator[_Moment]:
    """Plays one episode; the first moment is the reset."""
    observation, info = env.reset(seed=seed)
    player.reset(seed)
    yield _Moment(_frames(env, observation)[-1:], None, 0.0, "", info)
    for _ in range(num_steps):
        action = player.act(observation, info)
        observation, reward, terminated, truncated, info = env.step(action)
        ended = "the episode terminated" if terminated else "the episode was truncated" if truncated else ""
        yield _Moment(_frames(env, observation), action, float(reward), ended, info)
        if ended:
            return


def _frames(env: gymnasium.Env, observation: Any) -> Sequence[np.ndarray]:
    """Returns every frame of the last step: all of its ticks where the environment keeps them."""
    frames = getattr(env.unwrapped, "frames", None)
    if isinstance(frames, np.ndarray) and frames.ndim == 4:
        return list(frames)
    frame = observation if is_picture(observation) else env.render()
    if not is_picture(frame):
        raise UsageError("env: expected one that shows uint8 (H, W, 3) pictures, got one that does not")
    return [frame]


def _figures(moment: _Moment) -> dict[str, Any]:
    figures = {"action": moment.action, "reward": moment.reward}
    figures |= {name: moment.info[name] for name in ("pose", "events", "caption") if name in moment.info}
    return plain(figures, "step")


class _SheetFrames:
    """Keeps a bounded number of frames of a stream of unknown length, and picks some, evenly spread."""

    def __init__(self, limit: int) -> None:
        self._frames: list[np.ndarray] = []
        self._limit = limit
        self._every = 1
        self._seen = 0

    def add(self, frame: np.ndarray) -> None:
        if self._seen % self._every == 0:
            self._frames.append(frame.copy())
            if len(self._frames) == 4 * self._limit:
                self._frames = self._frames[::2]
                self._every *= 2
        self._seen += 1

    def pick(self) -> list[np.ndarray]:
        number = min(self._limit, len(self._frames))
        return [self._frames[i] for i in np.linspace(0, len(self._frames) - 1, number).round().astype(int)]
