"""`worldmodel plan`: plans and does it, and makes a video of what was imagined beside what then happened."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from tqdm import tqdm

from worldmodel.cli import settings
from worldmodel.cli.errors import UsageError
from worldmodel.cli.plan_video import PlanVideo
from worldmodel.cli.playing import (
    Interruption,
    check_counts,
    check_seed,
    is_picture,
    make_player,
    one_line,
    output_folder,
)
from worldmodel.cli.settings import PlayerConfig
from worldmodel.data.episodes import plain
from worldmodel.data.files import write_json

if TYPE_CHECKING:
    from worldmodel.agents.planner import PlannerPlayer

VIDEO, SHEET, REPORT = "plan.mp4", "plan.png", "plan.json"
_SAME = 2.0
"""Largest root mean square difference of pictures that are taken for one, of 255."""


@dataclass(kw_only=True, slots=True)
class PlanConfig:
    """Settings of `worldmodel plan`; configs/plan.yaml explains them."""

    checkpoint: str
    actions: str | None
    plans: int
    context_steps: int
    goal_steps: int
    guide: PlayerConfig
    player: PlayerConfig
    shown: int
    seed: int
    output: str | None
    tile_pixels: int


@dataclass(kw_only=True, slots=True)
class Act:
    """A plan and what came of it.

    Attributes:
        start: uint8 (H, W, 3), where it began.
        imagined: Of the plan and of other candidates, what each would show: uint8 (T, H, W, 3).
        scores: Of these.
        real: uint8 (H, W, 3) each, what then happened.
        rewards: That came with it.
        seconds: That planning took.
        tried: Candidates that were tried.
    """

    start: np.ndarray
    imagined: list[np.ndarray]
    scores: np.ndarray
    real: list[np.ndarray] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    seconds: float = 0.0
    tried: int = 0


def help_text(overrides: Sequence[str]) -> str:
    """Returns the help of the sub-command."""
    return settings.help_text(
        "plan",
        "Plans in a dream of the real environment, does it there, and plans again. Writes plan.mp4 (what happens,\n"
        "what was planned, other candidates with their scores), plan.png (how each plan ended) and plan.json.\n"
        "Unless a goal is given, it is a picture of where a guide goes from the same place.",
        (
            "worldmodel plan",
            "worldmodel plan player.kwargs.method=icem player.kwargs.candidates=128 plans=5",
            "worldmodel plan player.kwargs.checkpoint=null",
            "worldmodel plan actions=null guide.name=explorer guide.kwargs={} player.kwargs.prior=0.5",
            "worldmodel plan checkpoint=runs/minigrid/checkpoint actions=null player.kwargs.objective=reward",
        ),
        overrides,
    )


def run(overrides: Sequence[str]) -> int:
    """Plans, acts and writes the results.

    Returns:
        0, or 130 if it was interrupted.

    Raises:
        UsageError: If settings are wrong.
    """
    config = settings.load("plan", PlanConfig, overrides)
    check_counts(plans=config.plans, shown=config.shown, tile_pixels=config.tile_pixels)
    check_seed(config.seed)
    for name in ("context_steps", "goal_steps"):
        if getattr(config, name) < 0:
            raise UsageError(f"{name}: expected at least 0, got {getattr(config, name)}")
    if config.player.name != "planner":
        raise UsageError(f"player: expected planner, got {config.player.name}; leave it out")
    folder = output_folder(config.output, "plan")
    env = _environment(config)
    try:
        return _run(config, env, folder)
    finally:
        env.close()


def _environment(config: PlanConfig) -> gymnasium.Env:
    """Returns the real environment of the model."""
    from worldmodel.envs.imagined.models import load  # here: PyTorch takes seconds
    from worldmodel.envs.twin import model_environment

    try:
        env = model_environment(load(config.checkpoint)[0], actions=config.actions)
    except (FileNotFoundError, ValueError, TypeError, ImportError, gymnasium.error.Error) as error:
        raise UsageError(one_line(error)) from error
    if not is_picture(np.zeros(env.observation_space.shape or (), env.observation_space.dtype)):
        env.close()
        raise UsageError(f"checkpoint: expected one of an environment of pictures, got {env.observation_space}")
    return env


def _run(config: PlanConfig, env: gymnasium.Env, folder: Path) -> int:
    guided, goal = _guide(config, env)
    kwargs = dict(config.player.kwargs)
    if goal is not None:
        kwargs["goal"] = goal
    player: Any = make_player(PlayerConfig(name="planner", kwargs=kwargs), env)
    observation, info = env.reset(seed=config.seed)
    player.reset(config.seed)
    for action in guided:
        player.watch(observation, action)
        observation, _, _, _, info = env.step(action)
    folder.mkdir(parents=True, exist_ok=True)
    acts: list[Act] = []
    is_over = False
    with (
        Interruption() as interruption,
        PlanVideo(folder / VIDEO, config.tile_pixels, goal) as video,
        tqdm(total=config.plans, unit="plan", desc="plan", dynamic_ncols=True) as progress,
    ):
        while len(acts) < config.plans and not is_over and not interruption.requested:
            act, observation, info, is_over = _act(env, player, observation, info, config.shown)
            video.add(act)
            acts.append(act)
            progress.update(1)
        video.write_sheet(folder / SHEET)
    write_json(folder / REPORT, plain(_report(config, acts, goal), "report"))
    for number, row in enumerate(_report(config, acts, goal)["acts"], 1):
        far = "" if goal is None else f", {row['to_goal_before']:.1f} to {row['to_goal_after']:.1f} from the goal"
        print(f"plan {number}: {row['tried']} candidates in {row['seconds']:.1f} s, reward {row['reward']:g}{far}")
    print(f"{folder}/{VIDEO}, {SHEET}, {REPORT}")
    return 130 if interruption.requested else 0


def _guide(config: PlanConfig, env: gymnasium.Env) -> tuple[list[Any], np.ndarray | None]:
    """Returns what the guide does before the first plan, and the picture that is the goal: `None` if none is wanted."""
    is_wanted = config.player.kwargs.get("objective") == "image" and config.player.kwargs.get("goal") is None
    guide = make_player(config.guide, env)
    observation, info = env.reset(seed=config.seed)
    guide.reset(config.seed)
    start, actions = observation, []
    for t in range(config.context_steps + (config.goal_steps if is_wanted else 0)):
        start = observation if t == config.context_steps else start
        actions.append(guide.act(observation, info))
        observation, _, terminated, truncated, info = env.step(actions[-1])
        if terminated or truncated:
            raise UsageError(
                f"context_steps: expected that the guide is still playing after {len(actions)} steps, its episode has "
                "ended; lower context_steps or goal_steps, or choose another seed"
            )
    if not is_wanted:
        return actions, None
    if config.goal_steps == 0 or distance(start, observation) < _SAME:
        raise UsageError(
            f"goal_steps: expected that the guide goes somewhere else, after {config.goal_steps} steps it sees the "
            "same; raise goal_steps, or choose another seed or guide"
        )
    return actions[: config.context_steps], observation.copy()


def _act(
    env: gymnasium.Env, player: "PlannerPlayer", observation: np.ndarray, info: dict[str, Any], shown: int
) -> tuple[Act, np.ndarray, dict[str, Any], bool]:
    """Makes a plan and does it; returns the last observation, its info and whether the episode is over, too."""
    begun = time.perf_counter()
    action = player.act(observation, info)
    seconds = time.perf_counter() - begun
    plan = player.plan
    assert plan is not None
    ranks = np.linspace(0, len(plan.first) - 1, min(shown, len(plan.first))).round().astype(int)
    imagined, scores = player.preview(np.concatenate([plan.sequence[None], plan.first[ranks]]))
    act = Act(start=observation.copy(), imagined=imagined, scores=scores, seconds=seconds, tried=plan.tried)
    for t in range(player.config.replan_steps):
        action = action if t == 0 else player.act(observation, info)
        observation, reward, terminated, truncated, info = env.step(action)
        act.real.append(observation.copy())
        act.rewards.append(float(reward))
        if terminated or truncated:
            return act, observation, info, True
    return act, observation, info, False


def distance(frame: np.ndarray, other: np.ndarray) -> float:
    """Returns the root mean square difference of two pictures, of 255."""
    return float(np.sqrt(np.square(frame.astype(np.float32) - other).mean()))


def _report(config: PlanConfig, acts: list[Act], goal: np.ndarray | None) -> dict[str, Any]:
    rows = []
    for act in acts:
        pairs = zip(act.imagined[0], act.real, strict=False)
        row: dict[str, Any] = {
            "score": act.scores[0],
            "scores_of_shown": act.scores[1:].tolist(),
            "tried": act.tried,
            "seconds": round(act.seconds, 3),
            "reward": sum(act.rewards),
            "imagined_to_real": [round(distance(imagined, real), 2) for imagined, real in pairs],
        }
        if goal is not None:
            row |= {"to_goal_before": distance(act.start, goal), "to_goal_after": distance(act.real[-1], goal)}
        rows.append(row)
    return {**asdict(config), "acts": rows}
