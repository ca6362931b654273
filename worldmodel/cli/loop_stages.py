"""The stages of a round of `worldmodel loop`: collect, train, learn, evaluate.

Each goes on where it was stopped, and may be called again after its end: then it finds everything done. Each returns
its figures, JSON values, or `None` if it was interrupted.
"""

import contextlib
import io
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hydra.core.override_parser.types import Quote, QuotedString
from tqdm import tqdm

from worldmodel.cli import learn as learn_command
from worldmodel.cli import train as train_command
from worldmodel.cli.collecting import DataConfig, prepare_store
from worldmodel.cli.playing import Interruption, make_env, make_player
from worldmodel.cli.settings import PlayerConfig
from worldmodel.data.files import read_json
from worldmodel.data.store import EpisodeStore

if TYPE_CHECKING:
    from worldmodel.cli.loop import LoopConfig

MOST_EPISODES = 1000
"""Seeds in a block of evaluation seeds."""
_BLOCK = 110
"""Block of the seeds of the worlds that are evaluated in: no training sees them, and nothing else is measured there."""

Figures = dict[str, Any]


@dataclass(slots=True)
class Round:
    """A round of the loop.

    Attributes:
        config: Settings of the loop.
        folder: Of the loop.
        number: From 0 on.
        before: Figures of the stages of the round before; `None` in the first round.
        interruption: Says whether somebody asked to stop.
    """

    config: "LoopConfig"
    folder: Path
    number: int
    before: dict[str, Figures] | None
    interruption: Interruption

    @property
    def data(self) -> Path:
        """The episode store of all rounds."""
        return self.folder / "data"

    @property
    def model(self) -> Path:
        """Folder in which the world model is trained."""
        return round_folder(self.folder, self.number) / "model"

    @property
    def learn(self) -> Path:
        """Folder in which the player learns."""
        return round_folder(self.folder, self.number) / "learn"

    def should_stop(self) -> bool:
        """Whether somebody asked to stop."""
        return self.interruption.requested


def round_folder(folder: Path, number: int) -> Path:
    """Returns the folder of a round."""
    return folder / f"round_{number:03d}"


def collect(this: Round) -> Figures | None:
    """Plays in the real environment until the data has grown by so many frames, with seeds that were never played."""
    config, collecting = this.config, this.config.collect
    before = None if this.before is None else this.before["collect"]
    first_seed = collecting.first_seed if before is None else before["last_seed"] + 1
    frames = collecting.frames + (0 if before is None else before["frames"])
    data = DataConfig(
        folders=[],
        store=None,
        frames=frames,
        episode_steps=config.episode_steps,
        first_seed=first_seed,
        held_out_percent=collecting.held_out_percent,
        height=None,
        width=None,
        workers=collecting.workers,
        lint=collecting.lint,
    )
    player = collecting_player(this)
    with tqdm(total=frames, desc="frames", unit="frame", dynamic_ncols=True) as bar:
        store = prepare_store(this.data, config.env, player, data, progress=bar.update, should_stop=this.should_stop)
    return None if store is None else _collected(store, first_seed)


def collecting_player(this: Round) -> PlayerConfig:
    """Returns who collects: the first player, and later what was learned in the round before, mixed with it."""
    config, share = this.config, this.config.collect.explore_share
    if this.number == 0:
        return config.player
    folder = round_folder(this.folder, this.number - 1) / "learn"
    kwargs: dict[str, Any] = {"checkpoint": str(folder), "temperature": config.collect.temperature}
    if not share:
        return PlayerConfig(name="learned", kwargs=kwargs)
    chances = {"learned": 1 - share, config.player.name: share}
    settings = {"learned": kwargs, config.player.name: config.player.kwargs}
    # To the mixture a list is a choice; each of these has one value.
    choices = {name: {key: [value] for key, value in values.items()} for name, values in settings.items()}
    return PlayerConfig(name="mixture", kwargs={"players": chances, "kwargs": choices})


def train(this: Round) -> Figures | None:
    """Trains the world model on all data so far: from random weights, or from those of the round before."""
    config, collecting = this.config, this.config.collect
    initial = None if this.before is None else round_folder(this.folder, this.number - 1) / "model" / "checkpoint"
    data = DataConfig(
        folders=[],
        store=str(this.data),
        frames=collecting.frames,
        episode_steps=config.episode_steps,
        first_seed=collecting.first_seed,
        held_out_percent=collecting.held_out_percent,
        height=None,
        width=None,
        workers=1,
        # Whether actions fit frames is the same in all rounds; a good player's short, equal episodes are no mistake.
        lint=collecting.lint and this.before is None,
    )
    settings = train_command.TrainConfig(
        env=config.env,
        player=config.player,
        compute=config.compute,
        output=str(this.model),
        seed=config.seed + this.number,
        initial=None if initial is None else str(initial),
        data=data,
        model=config.model,
        compression=config.compression,
        denoiser=config.denoiser,
    )
    if not _quietly(lambda: train_command.train(settings)):
        return None
    report = this.model / "report.json"  # there is none if no episode is held out
    return read_json(report) if report.exists() else {}


def learn(this: Round) -> Figures | None:
    """Learns to act in dreams of the world model that begin at moments of all data so far."""
    learning = this.config.learning
    overrides = [
        *(
            _override(name, str(path))
            for name, path in (("checkpoint", this.model / "checkpoint"), ("data", this.data))
        ),
        _override("output", str(this.learn)),
        f"seed={this.config.seed + this.number}",
        f"episode_steps={this.config.episode_steps}",
        "evaluate_episodes=0",  # the loop has worlds of its own for that
        *(_override(f"learning.{field.name}", getattr(learning, field.name)) for field in fields(learning)),
    ]
    if not _quietly(lambda: learn_command.run(overrides)):
        return None
    report = read_json(this.learn / learn_command.REPORT)
    return {"steps": report["steps"], "imagined": report["imagined"]}


def evaluate(this: Round) -> Figures | None:
    """Plays what was learned in worlds that no training sees; in the first round a random player, too, for comparison.

    Latents of the round, which may be computed again, are removed before.
    """
    for folder in (this.model, this.learn):
        shutil.rmtree(folder / "latents", ignore_errors=True)
    players = {"learned": PlayerConfig(name="learned", kwargs={"checkpoint": str(this.learn)})}
    if this.before is None:
        players["random"] = PlayerConfig(name="random")
    number = this.config.evaluate_episodes
    env = make_env(this.config.env)
    try:
        with tqdm(total=len(players) * number, desc="real episodes", unit="episode", dynamic_ncols=True) as bar:
            figures = {}
            for name, player in players.items():
                played = _play(this, env, player, bar)
                if played is None:
                    return None
                figures[name] = played
            return figures
    finally:
        env.close()


STAGES: dict[str, Callable[[Round], Figures | None]] = {
    "collect": collect,
    "train": train,
    "learn": learn,
    "evaluate": evaluate,
}
"""All stages by name, in order."""


def _play(this: Round, env: Any, player: PlayerConfig, bar: tqdm) -> Figures | None:
    from worldmodel.evaluation.episodes import evaluation_seeds, play
    from worldmodel.evaluation.estimates import bootstrap

    agent = make_player(player, env)
    returns, lengths = [], []
    for seed in evaluation_seeds(this.config.evaluate_episodes, _BLOCK):
        if this.should_stop():
            return None
        episode = play(env, agent, seed, this.config.episode_steps)
        returns.append(float(episode.rewards.sum()))
        lengths.append(episode.num_steps)
        bar.update()
    estimates = {"return": returns, "steps": lengths}
    return {name: asdict(bootstrap(np.array(values, np.float64))) for name, values in estimates.items()} | {
        "returns": returns
    }


def _collected(store: EpisodeStore, first_seed: int) -> Figures:
    """Returns what the store holds, and how the episodes from a seed on went."""
    records = [(bucket, record) for bucket in store.buckets.values() for record in bucket.episodes]
    returns = [
        float(bucket.rewards[record.start : record.start + record.num_frames].sum(dtype=np.float64))
        for bucket, record in records
        if record.seed is not None and record.seed >= first_seed
    ]
    frames = sum(record.num_frames for _, record in records)
    return {
        "frames": frames,
        "episodes": len(records),
        "real_steps": frames - len(records),  # the first frame of an episode takes none
        "new_episodes": len(returns),
        "first_seed": first_seed,
        "last_seed": max(record.seed for _, record in records if record.seed is not None),
        "mean_return": float(np.mean(returns)),
    }


def _quietly(command: Callable[[], int]) -> bool:
    """Calls a sub-command, whose words are shown only if it came to its end; returns whether it did.

    An interrupted one would say how to go on with it, but it is the loop that goes on.
    """
    words = io.StringIO()
    with contextlib.redirect_stdout(words):
        status = command()
    if status == 0:
        print(words.getvalue(), end="", flush=True)
    return status == 0


def _override(name: str, value: Any) -> str:
    """Returns a setting as the command line takes it: a number, a text, or nothing."""
    if value is None:
        return f"{name}=null"
    return f"{name}={QuotedString(text=value, quote=Quote.single).with_quotes() if isinstance(value, str) else value}"
