"""`worldmodel learn`: learns to act in the dreams of a world model, and plays in the real environment at the end."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldmodel.agents.learning.settings import LearningConfig
from worldmodel.cli import settings
from worldmodel.cli.bars import Bars, Stopped
from worldmodel.cli.errors import UsageError
from worldmodel.cli.learn_comparison import PLAYERS, imagined_returns, real_returns, summary_lines
from worldmodel.cli.playing import Interruption, check_counts, check_seed, one_line, output_folder
from worldmodel.cli.train import check_same_run
from worldmodel.data.files import write_json

if TYPE_CHECKING:
    from worldmodel.agents.learning import Learner, ModelWorld
    from worldmodel.model import WorldModel

REPORT, CURVES = "report.json", "curves.png"
_SHOWN = ("cloning_loss", "imagined_return", "entropy")
"""Figures that stand beside the progress bar."""
_MAY_CHANGE = ("output", "max_minutes", "max_steps", "log_every", "save_minutes", "evaluate_episodes", "episode_steps")
"""Settings that learning may go on with other values of."""


@dataclass(kw_only=True, slots=True)
class LearnConfig:
    """Settings of `worldmodel learn`; configs/learn.yaml explains them."""

    checkpoint: str
    data: str
    output: str | None
    seed: int
    learning: LearningConfig
    evaluate_episodes: int
    episode_steps: int


def help_text(overrides: Sequence[str]) -> str:
    """Returns the help of the sub-command."""
    return settings.help_text(
        "learn",
        "Learns to act in the dreams of a world model: first as the recorded player did, then what is rewarded more.\n"
        "No step is taken in the real environment, until at the end the players are compared in it. The same command\n"
        "with the same output goes on where it was interrupted or killed.",
        (
            "worldmodel learn checkpoint=runs/minigrid/checkpoint data=runs/minigrid/data output=runs/learn",
            "worldmodel learn checkpoint=runs/x/checkpoint data=runs/x/data learning.max_minutes=30",
            "worldmodel rollout env=minigrid player=learned player.kwargs.checkpoint=runs/learn",
        ),
        overrides,
    )


def run(overrides: Sequence[str]) -> int:
    """Learns, from the beginning or from where an earlier run in the folder stopped, and compares.

    Returns:
        0, or 130 if it was interrupted.

    Raises:
        UsageError: If settings, checkpoint or data are wrong.
    """
    config = settings.load("learn", LearnConfig, overrides)
    check_counts(episode_steps=config.episode_steps)
    check_seed(config.seed)
    if config.evaluate_episodes < 0:
        raise UsageError(f"evaluate_episodes: expected at least 0, got {config.evaluate_episodes}")
    folder = output_folder(config.output, "learn")
    from worldmodel.agents.learning import ActorCritic, Learner  # here: it takes seconds, and a typing error should not

    with Interruption() as interruption, Bars(interruption) as bars:
        model, origin = _model(config)
        folder.mkdir(parents=True, exist_ok=True)
        check_same_run(folder, asdict(config) | {"world_stamp": origin["world_stamp"]}, _MAY_CHANGE)
        try:
            world = _world(config, model, folder, bars)
            assert model.codec is not None
            networks = _seeded(ActorCritic, config.seed, world.num_features, model.codec, config.learning.hidden)
            try:
                learner = Learner(
                    world, networks.to(model.device), config.learning, folder, seed=config.seed, origin=origin
                )
            except ValueError as error:
                raise UsageError(f"output: {one_line(error)}") from error
            _learn(learner, folder, bars)
            report = _compare(config, model, learner, folder, bars)
        except Stopped:
            print(f"interrupted; go on with the same command and output={folder}")
            return 130
    print("\n".join(summary_lines(report)))
    for name in (REPORT, CURVES):
        if (folder / name).exists():
            print(folder / name)
    print(f"player: worldmodel rollout player=learned player.kwargs.checkpoint={folder} env=...")
    return 0


def _model(config: LearnConfig) -> tuple["WorldModel", dict[str, Any]]:
    """Returns the world model, and what is written of it into every saved state."""
    from worldmodel.envs.imagined.models import load
    from worldmodel.model.checkpoint import bundled_checkpoints, find_checkpoint, read_config

    try:
        model, _ = load(config.checkpoint)
        found = find_checkpoint(config.checkpoint)
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(one_line(error)) from error
    if model.codec is None:
        raise UsageError("checkpoint: expected a model that was trained with actions, got one without")
    is_bundled = config.checkpoint in bundled_checkpoints() and not Path(config.checkpoint).exists()
    place = config.checkpoint if is_bundled else str(found.resolve())
    stamp = str(read_config(found).get("stamp"))
    origin = {"world_model": place, "world_stamp": stamp, "hidden": config.learning.hidden}
    return model, origin


def _world(config: LearnConfig, model: "WorldModel", folder: Path, bars: Bars) -> "ModelWorld":
    """Returns the dreams, from the training split of the data."""
    from worldmodel.agents.learning import ModelWorld
    from worldmodel.data.store import EpisodeStore
    from worldmodel.training.latents import compress_store

    try:
        store = EpisodeStore(config.data)
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(f"data: {one_line(error)}") from error
    if store.codec != model.codec:
        found = None if store.codec is None else store.codec.space
        raise UsageError(f"data: expected actions of {model.codec.space}, as the model knows, got {found}")  # type: ignore[union-attr]
    size = f"{model.metadata.height}x{model.metadata.width}"
    store.buckets = {name: bucket for name, bucket in store.buckets.items() if name == size}
    if not store.num_frames(held_out=False):
        raise UsageError(f"data: expected episodes of {size} pixels to learn from, found none in {config.data}")
    bars.stage("latents", None)
    buckets = compress_store(store, model, folder / "latents", held_out=False, progress=bars.advance)
    learning = config.learning
    return ModelWorld(model, buckets[size], context_latents=learning.context_latents, num_steps=learning.num_steps)


def _learn(learner: "Learner", folder: Path, bars: Bars) -> None:
    """Learns to the end.

    Raises:
        Stopped: If somebody asked to stop before.
    """
    from worldmodel.training.logs import MetricLog, plot_metrics

    log = MetricLog(folder, first_step=learner.progress.step)
    bars.stage("learning", None)
    bars.show(learner.progress.step, share=learner.share)

    def on_step(figures: dict[str, float]) -> None:
        step = learner.progress.step
        if step % learner.config.log_every == 0:
            log.write(step, learner.progress.seconds, figures)
        shown = [f"{name} {figures[name]:.3f}" for name in _SHOWN if name in figures]
        bars.show(1, shown, learner.share)

    done = learner.run(on_step=on_step, should_stop=bars.should_stop)
    log.close()
    plot_metrics(folder, folder / CURVES, folder.name)
    if not done:
        raise Stopped


def _compare(config: LearnConfig, model: "WorldModel", learner: "Learner", folder: Path, bars: Bars) -> dict[str, Any]:
    """Compares the players in dreams and in the real environment, and writes it down."""
    from worldmodel.envs.twin import model_environment

    report: dict[str, Any] = {
        "steps": learner.progress.step,
        "minutes": round(learner.progress.seconds / 60, 2),
        "imagined": imagined_returns(learner, config.seed),
    }
    if config.evaluate_episodes:
        try:
            env = model_environment(model)
        except (ValueError, ImportError) as error:
            report["not_played"] = one_line(error)
        else:
            bars.stage("real episodes", len(PLAYERS) * config.evaluate_episodes, "episode")
            try:
                report |= real_returns(
                    env, folder, config.evaluate_episodes, config.episode_steps, progress=bars.advance
                )
            finally:
                env.close()
    write_json(folder / REPORT, report)
    return report


def _seeded(kind: Any, seed: int, *arguments: Any) -> Any:
    """Makes a module whose random weights follow from a seed."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(*arguments)
