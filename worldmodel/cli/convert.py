"""`worldmodel convert`: recordings of any layout that can be read, in one of ours."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.types import Quote, QuotedString
from tqdm import tqdm

from worldmodel.cli import settings
from worldmodel.cli.errors import UsageError
from worldmodel.cli.playing import Interruption, one_line, output_folder
from worldmodel.data.convert import Conversion, Converter, Labelling
from worldmodel.data.recording import Format
from worldmodel.data.sources import read_source

if TYPE_CHECKING:
    from worldmodel.model import WorldModel

CHUNK_FRAMES = 256
"""Frames of a recording that are in memory at a time."""


@dataclass(kw_only=True, slots=True)
class ConvertConfig:
    """Settings of `worldmodel convert`; configs/convert.yaml explains them."""

    source: str
    output: str | None
    format: Format
    lossless: bool
    height: int | None
    width: int | None
    vpt_compat: bool
    checkpoint: str | None


def help_text(overrides: Sequence[str]) -> str:
    """Returns the help of the sub-command."""
    text = settings.help_text(
        "convert",
        "Reads recordings of any layout named in docs/recordings.md and writes them as mp4 and jsonl files in VPT's\n"
        "layout, or as one Minari dataset. Damaged files are passed over and told at the end. Ctrl-C ends early;\n"
        "whole recordings stay, and the same command goes on with the missing ones.",
        (
            "worldmodel convert data/contractors runs/mine height=128 width=128",
            "worldmodel convert data/GF-Minecraft/data_269 runs/dataset format=minari height=64 width=64",
            "worldmodel convert videos runs/labelled checkpoint=voxel-small",
        ),
    )
    return text.replace("worldmodel convert [name=value ...]", "worldmodel convert SRC DST [name=value ...]")


def run(overrides: Sequence[str]) -> int:
    """Converts what is not yet there.

    Args:
        overrides: Settings; what is not of the form `name=value` is the source, then the output.

    Returns:
        0, or 130 if it was interrupted.

    Raises:
        UsageError: If settings are wrong, or there is nothing to convert.
    """
    config = settings.load("convert", ConvertConfig, positional(overrides))
    if (config.height is None) != (config.width is None):
        raise UsageError("height: expected together with width, or neither")
    size = None if config.height is None or config.width is None else (config.height, config.width)
    model = None if config.checkpoint is None else _load(config.checkpoint)
    if model is not None:
        size = size or (model.metadata.height, model.metadata.width)
    root, folder = Path(config.source), output_folder(config.output, "convert")
    if root.is_dir() and folder.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"output: expected a folder outside the source, {folder} lies in {root}; choose another")
    try:
        source = read_source(root, size=size, chunk_frames=CHUNK_FRAMES, vpt_compat=config.vpt_compat)
        labelling = None if model is None else _labelling(model)
        converter = Converter(source, root, folder, config.format, lossless=config.lossless, labelling=labelling)
        return _convert(converter, len(source.items))
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(one_line(error).replace("path: ", "source: ", 1)) from error


def _load(checkpoint: str) -> "WorldModel":
    """Returns the model that reads actions, in the fastest format that the machine has.

    Raises:
        UsageError: If there is none, or it knows no actions.
    """
    from worldmodel.envs.imagined.models import load

    try:
        model = load(checkpoint)[0]
    except (OSError, ValueError) as error:
        raise UsageError(f"checkpoint: {one_line(error)}") from error
    if model.codec is None:
        raise UsageError(f"checkpoint: expected a model that was trained with actions, {checkpoint} was not")
    return model


def _labelling(model: "WorldModel") -> Labelling:
    from worldmodel.model.labelling import label

    assert model.codec is not None
    return Labelling(read=lambda frames: label(model, frames), space=model.codec.space, fps=model.metadata.fps)


def _convert(converter: Converter, num_items: int) -> int:
    seen: dict[str, None] = {}
    with (
        Interruption() as interruption,
        tqdm(unit="frame", desc="convert", dynamic_ncols=True) as progress,
    ):

        def count(name: str, num_frames: int) -> None:
            seen.setdefault(name)
            progress.set_postfix_str(f"{name[-40:]}, {len(seen)} of {max(num_items, len(seen))}", refresh=False)
            progress.update(num_frames)

        result = converter.run(progress=count, should_stop=lambda: interruption.requested)
    _report(result, interruption.requested)
    if not result.converted and not result.kept and not interruption.requested:
        with contextlib.suppress(OSError):
            converter.folder.rmdir()  # if there is nothing in it
        raise UsageError(f"source: expected recordings with actions, none of {len(result.skipped)} could be converted")
    print(f"{converter.path}")
    return 130 if interruption.requested else 0


def _report(result: Conversion, interrupted: bool) -> None:
    for message in result.skipped:
        print(f"skipped {message}")
    labelled = f", the actions of {result.labelled} of them read from their frames" if result.labelled else ""
    print(
        f"{result.converted} recordings converted ({result.num_frames} frames){labelled}, {result.kept} were there "
        f"already, {len(result.skipped)} skipped; "
        f"{'interrupted: the same command goes on' if interrupted else 'complete'}"
    )


def positional(overrides: Sequence[str]) -> list[str]:
    """Returns settings, with those that came without a name, quoted because paths may contain anything, named.

    Raises:
        UsageError: If more than two came without a name.
    """
    names = {field.name for field in fields(ConvertConfig)}
    paths = [part for part in overrides if part.partition("=")[0] not in names and ("=" not in part or "/" in part)]
    if len(paths) > 2:
        raise UsageError(f"expected a source and an output, got {len(paths)} words: {', '.join(paths)}")
    named = [
        f"{name}={QuotedString(text=path, quote=Quote.double).with_quotes()}"
        for name, path in zip(("source", "output"), paths, strict=False)
    ]
    return [*named, *(part for part in overrides if part not in paths)]
