"""Training a judge on real episodes of its own worlds, whose seeds lie apart from those of training and evaluation.

>>> judge = train_judge(env, make_player("random", env), JudgeTraining(max_minutes=10.0))
>>> judge.save("runs/judge")

The one that comes with the package: `python -m worldmodel.evaluation.judge_training --output worldmodel/judges/voxel`.

Shapes: B clips, S steps, r ticks in a step, H W pixels, V values of an attribute.
"""

import argparse
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from worldmodel.agents import Player, make_player
from worldmodel.data.action_codec import ActionCodec
from worldmodel.evaluation.attributes import ACTIVITIES, CHOICES, SETS
from worldmodel.evaluation.judge import THUMBNAIL, Judge, JudgeConfig, to_pixels
from worldmodel.evaluation.judge_accuracy import measure
from worldmodel.evaluation.judge_data import ACTIVITY, Lesson, collect, draw_clips, play_lessons

FIRST_JUDGE_SEED, FIRST_HELD_OUT_SEED = 500_000, 590_000
"""Worlds that judges learn in, and those, from the second on, in which their accuracy is measured."""

logger = logging.getLogger(__name__)

_THUMBNAIL_WEIGHT = 2.0
_WEIGHT_DECAY, _WARMUP_UPDATES, _GRADIENT_NORM = 0.02, 50, 5.0
_SPOILED, _NOISE, _BLUR = 0.25, 0.05, 0.8
"""Share of clips that get noise and blur, and how much at most: imagined frames lack details, too."""


@dataclass(kw_only=True, slots=True)
class JudgeTraining:
    """How a judge is trained.

    Attributes:
        num_steps: Steps of real play, all in memory.
        episode_steps: Of each episode, at most.
        held_out_steps: Steps of other worlds, to measure the accuracy.
        clip_steps: Of the clips that it learns from.
        batch_clips: Clips in an update.
        max_minutes: Time for the updates; the learning rate falls to 0 at the end of it.
        max_updates: Updates at most, likewise; `None` for as many as there is time for.
        learning_rate: The highest.
        seed: Of weights and clips.
    """

    num_steps: int = 50_000
    episode_steps: int = 64
    held_out_steps: int = 5_000
    clip_steps: int = 12
    batch_clips: int = 8
    max_minutes: float = 20.0
    max_updates: int | None = None
    learning_rate: float = 1.5e-3
    seed: int = 0


def train_judge(
    env: gymnasium.Env,
    player: Player,
    settings: JudgeTraining,
    *,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> Judge:
    """Plays, trains and measures.

    Args:
        env: The real environment; its observations are pictures whose sides are multiples of 8. With a render mode, if
            a step has several ticks.
        player: Who plays; a judge knows only what players do.
        settings: How.
        progress: Called with `"playing"` or `"training"`, and the share of it that is done.

    Returns:
        The judge, in the numbers that `save` writes, with its accuracy in its `config`.

    Raises:
        ValueError: If the size of the frames does not fit, or all episodes are too short.
    """
    codec, played = ActionCodec(env.action_space), 0
    total = settings.num_steps + settings.held_out_steps

    def count(steps: int) -> None:
        nonlocal played
        played += steps
        progress("playing", min(played / total, 1.0))

    lessons, held_out = (
        collect(play_lessons(env, player, seed, number, settings.episode_steps), codec, settings.clip_steps, count)
        for seed, number in (
            (FIRST_JUDGE_SEED, settings.num_steps),
            (FIRST_HELD_OUT_SEED, settings.held_out_steps),
        )
    )
    ticks, height, width = lessons[0].frames.shape[1:4]
    told = bool(lessons[0].targets)
    config = JudgeConfig(
        height=height,
        width=width,
        frames_per_step=ticks,
        action_space=codec.to_json(),
        choices={name: list(values) for name, values in CHOICES.items()} if told else {},
        sets={name: list(values) for name, values in SETS.items()} if told else {},
        activities=list(ACTIVITIES) if told else [],
        env_id=env.spec.id if env.spec else "",
        env_kwargs=dict(env.spec.kwargs) if env.spec else {},
    )
    torch.manual_seed(settings.seed)
    judge = Judge(config, device="cuda" if torch.cuda.is_available() else "cpu")
    updates = fit(judge, lessons, settings, progress=lambda share: progress("training", share))
    config.training = {**asdict(settings), "updates": updates, "episodes": len(lessons)}
    config.accuracy = measure(judge, held_out)
    return judge


def fit(
    judge: Judge,
    lessons: list[Lesson],
    settings: JudgeTraining,
    *,
    progress: Callable[[float], None] = lambda share: None,
) -> int:
    """Trains a judge until time or updates are used up, and rounds its weights as `Judge.save` does.

    Args:
        judge: The judge; changed.
        lessons: Real episodes, none shorter than a clip.
        settings: How.
        progress: Called with the share that is done.

    Returns:
        Number of updates.
    """
    network = judge.network.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=_WEIGHT_DECAY)
    random = np.random.default_rng(settings.seed)
    start, updates, done = time.monotonic(), 0, 0.0
    while done < 1.0:
        for group in optimizer.param_groups:
            warm = min(1.0, (updates + 1) / _WARMUP_UPDATES)
            group["lr"] = settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * done))
        clips = draw_clips(lessons, settings.batch_clips, settings.clip_steps, random)
        parts = losses(judge, clips, random)
        optimizer.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        nn.utils.clip_grad_norm_(network.parameters(), _GRADIENT_NORM)
        optimizer.step()
        updates += 1
        done = (time.monotonic() - start) / (60 * settings.max_minutes)
        if settings.max_updates is not None:
            done = max(done, updates / settings.max_updates)
        progress(min(done, 1.0))
        if updates % 200 == 0:
            logger.info("update %d: %s", updates, {name: round(part.item(), 4) for name, part in parts.items()})
    for parameter in network.parameters():
        parameter.data = parameter.data.half().float()
    network.eval().requires_grad_(False)
    return updates


def losses(judge: Judge, clips: Lesson, random: np.random.Generator) -> dict[str, Tensor]:
    """Returns the losses of some clips by name: actions, each attribute, and the thumbnail; means over steps."""
    network, device = judge.network, judge.device
    pixels = to_pixels(clips.frames, device)
    steps, features = network.encode(_spoil(pixels, random))
    steps = network.mix(steps)
    actions = torch.from_numpy(clips.actions).to(device)
    result = {"actions": judge.factors.cross_entropy(network.actions(steps), actions).mean()}
    for name, head in network.attributes.items():
        target = torch.from_numpy(clips.targets[name]).to(device)
        compare = _choice_loss if name in judge.config.choices else _set_loss
        result[name] = compare(head(features), target)
    if network.activities is not None:
        target = torch.from_numpy(clips.targets[ACTIVITY][:, 1:]).to(device)
        result[ACTIVITY] = _choice_loss(network.activities(steps), target)
    small = functional.adaptive_avg_pool2d(pixels[:, :, -1].flatten(0, 1), THUMBNAIL).flatten(1)
    result["thumbnail"] = _THUMBNAIL_WEIGHT * functional.mse_loss(network.thumbnail(features.flatten(0, 1)), small)
    return result


def _choice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Returns the cross entropy of logits (..., V) for one-hot targets (..., V); NaN is no target."""
    known = ~target.isnan().any(-1)
    loss = -(logits.log_softmax(-1) * target.nan_to_num()).sum(-1)
    return (loss * known).sum() / known.sum().clamp(min=1)


def _set_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Returns the cross entropy of logits (..., V) for targets of 0 or 1 (..., V), summed over V; NaN is no target."""
    known = ~target.isnan().any(-1)
    loss = functional.binary_cross_entropy_with_logits(logits, target.nan_to_num(), reduction="none").sum(-1)
    return (loss * known).sum() / known.sum().clamp(min=1)


def _spoil(pixels: Tensor, random: np.random.Generator) -> Tensor:
    """Blurs some of the clips (B, S + 1, r, 3, H, W), each evenly, and adds noise to them."""
    result = pixels.clone()
    for clip in np.flatnonzero(random.random(len(pixels)) < _SPOILED).tolist():
        blur, noise = float(random.uniform(0, _BLUR)), float(random.uniform(0, _NOISE))
        flat = pixels[clip].flatten(0, 1)
        soft = functional.avg_pool2d(flat, 3, 1, 1, count_include_pad=False)
        mixed = (1 - blur) * flat + blur * soft + noise * torch.randn_like(flat)
        result[clip] = mixed.clamp(-1, 1).unflatten(0, pixels.shape[1:3])
    return result


_PLAYERS = {
    "explorer": 0.3,
    "fidgeter": 0.3,
    "builder": 0.12,
    "look_away": 0.08,
    "patrol": 0.06,
    "lumberjack": 0.12,
    "random": 0.02,
}
"""Chances of those whom the bundled judge has watched."""


def main() -> None:
    """Trains the judge of the bundled world model's environment."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", required=True, help="folder of the judge")
    parser.add_argument("--minutes", type=float, default=20.0, help="time for training, without playing")
    parser.add_argument("--steps", type=int, default=50_000, help="steps of play to learn from")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    env = gymnasium.make("worldmodel/Voxel-v0", height=64, width=64, frame_skip=2, render_mode="rgb_array")
    player = make_player("mixture", env, players=_PLAYERS)
    with tqdm(total=100, unit="%") as bar:

        def show(what: str, share: float) -> None:
            if round(100 * share) != bar.n:
                bar.set_description(what, refresh=False)
                bar.n = round(100 * share)
                bar.refresh()

        settings = JudgeTraining(max_minutes=arguments.minutes, num_steps=arguments.steps)
        judge = train_judge(env, player, settings, progress=show)
    judge.save(arguments.output)
    logger.info("%s", judge.config.accuracy)


if __name__ == "__main__":
    main()
