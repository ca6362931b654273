"""`worldmodel train`: trains a world model of an environment, or of recordings."""

import logging
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldmodel.cli import settings
from worldmodel.cli.bars import Bars
from worldmodel.cli.collecting import DataConfig, prepare_store
from worldmodel.cli.errors import UsageError
from worldmodel.cli.playing import Interruption, check_counts, check_seed, output_folder
from worldmodel.cli.settings import EnvConfig, PlayerConfig
from worldmodel.data.files import read_json, write_json
from worldmodel.data.lint import lint_store
from worldmodel.data.store import EpisodeStore
from worldmodel.model.checkpoint import to_plain
from worldmodel.model.sizes import Size, model_config
from worldmodel.training.settings import CompressionTraining, DenoiserTraining

if TYPE_CHECKING:
    from worldmodel.model import Metadata, WorldModel
    from worldmodel.model.sizes import ModelConfig

SETTINGS = "settings.json"
_MAY_CHANGE = ("output", "max_minutes", "max_steps", "workers", "lint", "log_every", "save_minutes", "report_every")
"""Settings that a run may be continued with other values of."""


@dataclass(kw_only=True, slots=True)
class ComputeConfig:
    """How large the model is; configs/compute/ has the choices."""

    size: Size
    learning_rate: float


@dataclass(kw_only=True, slots=True)
class ModelSettings:
    """How the model compresses; configs/train.yaml explains it."""

    frames_per_latent: int
    patch: int
    channels: int
    latent_patch: int
    context_noise: float


@dataclass(kw_only=True, slots=True)
class TrainConfig:
    """Settings of `worldmodel train`; configs/train.yaml explains them."""

    env: EnvConfig
    player: PlayerConfig
    compute: ComputeConfig
    output: str | None
    seed: int
    initial: str | None
    data: DataConfig
    model: ModelSettings
    compression: CompressionTraining
    denoiser: DenoiserTraining


def help_text(overrides: Sequence[str]) -> str:
    """Returns the help of the sub-command, with the settings of the choices in `overrides`."""
    return settings.help_text(
        "train",
        "Trains a world model: collects or reads episodes, checks them, trains the compression network, compresses\n"
        "the data, trains the denoiser. Everything goes into one folder; the same command with the same output goes\n"
        "on where it was interrupted or killed. Many machines: accelerate launch -m worldmodel.cli train ...",
        (
            "worldmodel train env.kwargs.height=64 env.kwargs.width=64 output=runs/voxel",
            "worldmodel train experiment=crafter output=runs/crafter",
            "worldmodel train data.folders=[runs/record] env.kwargs.height=64 env.kwargs.width=64",
            "worldmodel train compute=4x denoiser.max_steps=20000 denoiser.max_minutes=null",
        ),
        overrides,
    )


def run(overrides: Sequence[str]) -> int:
    """Trains, from the beginning or from where an earlier run in the folder stopped.

    Returns:
        0, or 130 if it was interrupted.

    Raises:
        UsageError: If settings or data are wrong.
    """
    return train(settings.load("train", TrainConfig, overrides))


def train(config: TrainConfig) -> int:
    """Does what `run` does, by settings that are read already."""
    check_counts(frames=config.data.frames, episode_steps=config.data.episode_steps, workers=config.data.workers)
    check_seed(config.seed)
    folder = output_folder(config.output, "train")
    logging.getLogger("torch.distributed").setLevel(logging.ERROR)
    from worldmodel.training.trainer import machines  # here: it takes seconds, and a mistyped setting should not

    state = machines()
    with Interruption() as interruption, _Bars(interruption, active=state.is_main_process) as bars:
        with state.main_process_first():
            if state.is_main_process:
                folder.mkdir(parents=True, exist_ok=True)
                check_same_run(folder, config, _MAY_CHANGE)
                store = _data(config, folder, bars)
            else:  # by now the first one has prepared it
                store = EpisodeStore(_data_folder(config, folder))
        done = store is not None and _train(config, store, folder, bars)
    if state.is_main_process:
        _say_where(folder, done)
    return 0 if done else 130


def _data_folder(config: TrainConfig, folder: Path) -> Path:
    return folder / "data" if config.data.store is None else Path(config.data.store)


def _data(config: TrainConfig, folder: Path, bars: "_Bars") -> EpisodeStore | None:
    bars.stage("data", config.data.frames)
    store = prepare_store(
        _data_folder(config, folder),
        config.env,
        config.player,
        config.data,
        progress=bars.advance,
        should_stop=bars.should_stop,
    )
    if store is not None:
        report = lint_store(store)
        write_json(folder / "lint.json", {"problems": report.problems, "warnings": report.warnings, **report.figures})
        for text in report.warnings:
            bars.write(f"data: warning: {text}")
        if report.problems and config.data.lint:
            raise UsageError("data: " + "; ".join(report.problems) + " (data.lint=false trains on it nevertheless)")
    return store


def _train(config: TrainConfig, store: EpisodeStore, folder: Path, bars: "_Bars") -> bool:
    import torch

    from worldmodel.model import Metadata, WorldModel
    from worldmodel.training.run import Run, RunConfig

    torch.manual_seed(config.seed)
    size = max(store.buckets.values(), key=lambda bucket: len(bucket.frames))
    metadata = Metadata(
        height=size.height,
        width=size.width,
        fps=store.fps,
        action_space=None if store.codec is None else store.codec.to_json(),
        env_id=config.env.id,
        env_kwargs=config.env.kwargs,
        training_data={
            "frames": store.num_frames(held_out=False),
            "held_out_frames": store.num_frames(held_out=True),
            "player": config.player.name,
            "player_kwargs": config.player.kwargs,
            "folders": config.data.folders,
        },
        training={"size": config.compute.size.value, "seed": config.seed},
        git_revision=_git_revision(),
    )
    try:
        sizes = model_config(config.compute.size, **asdict(config.model))
        model = WorldModel(sizes, metadata) if config.initial is None else _initial(config.initial, sizes, metadata)
        for bucket in store.buckets.values():
            model.grid(bucket.height, bucket.width)
    except ValueError as error:
        raise UsageError(f"model: {error}") from error
    return Run(
        model,
        store,
        RunConfig(
            compression=config.compression,
            denoiser=config.denoiser,
            learning_rate=config.compute.learning_rate,
            seed=config.seed,
            keep_compression=config.initial is not None,
            named_actions=_named_actions(model),
        ),
        folder,
        bars,
    ).train()


def _initial(checkpoint: str, sizes: "ModelConfig", metadata: "Metadata") -> "WorldModel":
    """Returns the model of a checkpoint, to be trained on other data: its weights, sizes and spaces, new metadata.

    Raises:
        UsageError: If there is none, or it does not suit the data.
    """
    from worldmodel.model import WorldModel

    try:
        model = WorldModel.from_pretrained(checkpoint)
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(f"initial: {error}") from error
    found, given = to_plain(model.config), to_plain(sizes)
    pairs = {"compute and model": (found, given), "action_space": (model.metadata.action_space, metadata.action_space)}
    pairs["fps"] = (model.metadata.fps, metadata.fps)
    for name, (before, now) in pairs.items():
        if before != now:
            raise UsageError(
                f"initial: expected a checkpoint with the {name} of this run, {now}, got {before} in {checkpoint}; "
                "choose the settings it was trained with (config.json beside it has them)"
            )
    training = {"initial": checkpoint, "initial_training": model.metadata.training, **metadata.training}
    model.metadata = replace(metadata, training=training)
    return model.train().requires_grad_(True)


def _named_actions(model: "WorldModel") -> list[tuple[str, Any]]:
    """Returns some actions to show the effect of: those of a discrete space, or a few of the block world's keys."""
    import gymnasium
    import torch

    if model.codec is None:
        return []
    space = model.codec.space
    actions: list[tuple[str, Any]] = []
    if isinstance(space, gymnasium.spaces.Discrete):
        actions = [(str(i), int(space.start) + i) for i in range(min(int(space.n), 6))]
    elif isinstance(space, gymnasium.spaces.Dict):
        keys: list[dict[str, Any]] = [
            {},
            {"forward": 1},
            {"back": 1},
            {"camera": (0, 6)},
            {"camera": (0, -6)},
            {"camera": (-4, 0)},
        ]
        actions = [(str(key), key) for key in keys if set(key) <= set(space.spaces)]
    return [(name, torch.from_numpy(model.codec.encode(action))) for name, action in actions]


def check_same_run(folder: Path, config: Any, may_change: Sequence[str]) -> None:
    """Writes the settings down, or compares them with those that the run in the folder was begun with.

    Args:
        folder: Of the run.
        config: Its settings, a dataclass.
        may_change: Names of settings that it may go on with other values of.

    Raises:
        UsageError: If another setting has changed.
    """
    path = folder / SETTINGS
    now = _flat(to_plain(config))
    if path.exists():
        before = read_json(path)
        for name in sorted(set(before) | set(now)):
            if name.rpartition(".")[2] not in may_change and before.get(name) != now.get(name):
                raise UsageError(
                    f"{name}: expected {before.get(name)!r}, with which the run in {folder} was begun, "
                    f"got {now.get(name)!r}; leave it, or choose another output"
                )
    write_json(path, now)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    parts = [_flat(part, f"{prefix}.{name}" if prefix else name) for name, part in value.items()]
    return {name: part for flat in parts for name, part in flat.items()}


def _git_revision() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _say_where(folder: Path, done: bool) -> None:
    if not done:
        print(f"interrupted; go on with the same command and output={folder}")
    elif (folder / "report.json").exists():
        report = read_json(folder / "report.json")
        steps = sorted(int(name.rpartition("_")[2]) for name in report if name.startswith("psnr_model_"))
        print("held-out episodes, PSNR in dB after n steps: the dream, repeating the last frame, the best possible")
        for step in steps:
            row = [report[f"psnr_{name}_{step}"] for name in ("model", "repeat", "ceiling")]
            print(f"{step:>6}" + "".join(f"{value:10.2f}" for value in row))
    for name in ("checkpoint", "report.json", "denoiser/samples", "denoiser/curves.png"):
        if (folder / name).exists():
            print(folder / name)


class _Bars(Bars):
    """Progress bars of a run, with its figures; it ends by itself when somebody asks to stop."""

    def stage(self, name: str, total: int | None, unit: str = "step") -> None:
        super().stage(name, total, "frame" if name == "data" else unit)

    def advance(self, done: int, figures: dict[str, float] | None = None) -> None:
        if not figures:
            self.show(done)
            return
        shown = [f"loss {figures['loss']:.4f}", f"{figures['tokens_per_second']:.0f} tokens/s"]
        if "psnr" in figures:
            shown.insert(0, f"{figures['psnr']:.1f} dB")
        self.show(done, shown, figures["progress"])
