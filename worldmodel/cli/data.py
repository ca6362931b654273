"""`worldmodel data`: a data card of what was recorded, or is trained on."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from tqdm import tqdm

from worldmodel.cli import settings
from worldmodel.cli.errors import UsageError
from worldmodel.cli.playing import Interruption, one_line, output_folder
from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.card import STRETCH_FRAMES, DataCard, Stretch, read_stretches, store_stretches
from worldmodel.data.card_files import PLOTS, write_card
from worldmodel.data.episodes import Episode
from worldmodel.data.lint import LintReport, lint_store
from worldmodel.data.minari import minari_action_space
from worldmodel.data.sources import SourceReader, read_source
from worldmodel.data.store import EpisodeStore, EpisodeStoreWriter
from worldmodel.data.store_files import EPISODES, MANIFEST

LINT_FRAMES, LINT_BYTES = 16_384, 2**28
"""Most frames of a source that lint looks at, and most bytes that it writes down for that."""

_HELD_OUT_PERCENT = 10.0  # as `worldmodel train` does


@dataclass(kw_only=True, slots=True)
class DataCardConfig:
    """Settings of `worldmodel data`; configs/data.yaml explains them."""

    path: str
    lint: bool
    output: str | None


def help_text(overrides: Sequence[str]) -> str:
    """Returns the help of the sub-command."""
    text = settings.help_text(
        "data",
        "Looks through a recording, a data set or the data of a training run, and writes a data card: episodes,\n"
        "hours, frame sizes, actions, idleness, rewards, captions, damaged files, and whether actions lie beside\n"
        "their frames: data_card.json, data_card.md, data_card.png (plots) and contact_sheet.png.",
        (
            "worldmodel data runs/record/mine",
            "worldmodel data runs/crafter output=runs/card",
            "worldmodel data videos lint=false",
        ),
    )
    return text.replace("worldmodel data [name=value ...]", "worldmodel data PATH [name=value ...]")


def run(overrides: Sequence[str]) -> int:
    """Writes the card of one path.

    Args:
        overrides: Settings; what is not of the form `name=value` is the path.

    Returns:
        0, or 130 if it was interrupted: then there is a card of what was seen.

    Raises:
        UsageError: If settings are wrong, or there is nothing to look at.
    """
    config = settings.load("data", DataCardConfig, [_override(part) for part in overrides])
    folder = output_folder(config.output, "data")
    path = Path(config.path)
    logging.getLogger("worldmodel.data").setLevel(logging.ERROR)  # damaged files are told at the end
    try:
        store = _store_folder(path)
        if store is not None:
            return _card_of_store(store, folder, config)
        return _card_of_source(path, folder, config)
    except (FileNotFoundError, ValueError, ImportError) as error:
        raise UsageError(one_line(error)) from error


def _override(part: str) -> str:
    """Returns a setting; a path alone becomes one, quoted, because paths may contain anything."""
    if part.partition("=")[0] in DataCardConfig.__slots__:
        return part
    if "=" in part and not Path(part).exists():
        return part  # for the error
    return f"path={QuotedString(text=part, quote=Quote.double).with_quotes()}"


def _store_folder(path: Path) -> Path | None:
    """Returns the episode store that a path means: it, or that of a training run."""
    for folder in (path, path / "data"):
        if (folder / MANIFEST).is_file() and (folder / EPISODES).is_file():
            return folder
    return None


def _card_of_store(path: Path, folder: Path, config: DataCardConfig) -> int:
    store = EpisodeStore(path)
    card = DataCard(store.codec)
    num_frames = sum(len(bucket.frames) for bucket in store.buckets.values())
    whole = _fill(card, store_stretches(store), num_frames)
    report = lint_store(store) if config.lint and whole else None
    return _finish(card, folder, str(path), "episode store", [], report, whole)


def _card_of_source(path: Path, folder: Path, config: DataCardConfig) -> int:
    source = read_source(path, size=None, chunk_frames=STRETCH_FRAMES)
    first = next(source, None)
    if first is None:
        raise UsageError(f"path: expected something that can be read, {path} has nothing but {_damage(source.skipped)}")
    codec = _codec(first[1], source)
    card = DataCard(codec)
    whole = _fill(card, read_stretches(chain([first], source), codec), None)
    report = None
    if config.lint and whole:
        report = _lint(read_source(path, size=None, chunk_frames=STRETCH_FRAMES), codec)
    return _finish(card, folder, str(path), "recordings", source.skipped, report, whole)


def _fill(card: DataCard, stretches: Iterator[Stretch], num_frames: int | None) -> bool:
    """Adds everything to a card; returns whether it was not interrupted."""
    with (
        Interruption() as interruption,
        tqdm(total=num_frames, unit="frame", desc="data", dynamic_ncols=True) as progress,
    ):
        for stretch in stretches:
            card.add(stretch)
            progress.set_postfix_str(f"{stretch.key[-40:]}", refresh=False)
            progress.update(len(stretch.frames) - stretch.continues)
            if interruption.requested:
                return False
    return True


def _finish(
    card: DataCard,
    folder: Path,
    path: str,
    kind: str,
    damaged: list[str],
    report: LintReport | None,
    whole: bool,
) -> int:
    lint: dict[str, Any] | None = None
    if report is not None:
        lint = {"problems": report.problems, "warnings": report.warnings, "alignment": None, **report.figures}
    folder.mkdir(parents=True, exist_ok=True)
    written = write_card(folder, card, {"path": path, "kind": kind, "damaged": damaged, "lint": lint})
    page = (folder / "data_card.md").read_text(encoding="utf-8")
    print(page)
    if not whole:
        print("interrupted: this is a part of it")
    if PLOTS not in written:
        print("no plots: they need the extra \"train\"; pip install 'worldmodel[train]' -c constraints.txt")
    print(f"{folder}/{', '.join(written)}")
    return 0 if whole else 130


def _codec(episode: Episode, source: SourceReader) -> ActionCodec | None:
    """Returns what encodes the actions of a source; `None` if its action space cannot be told."""
    from worldmodel.envs.actions import action_space  # here, because a mistyped setting should not wait for it

    action = episode.actions[0] if episode.actions else None
    folders = [item.path for item in source.items if (item.path / "main_data.hdf5").is_file()]
    try:
        if folders:
            return ActionCodec(minari_action_space(folders[0]))
        if isinstance(action, dict):
            return ActionCodec(action_space())
    except (TypeError, ValueError):
        pass
    return None


def _lint(source: SourceReader, codec: ActionCodec | None) -> LintReport:
    """Looks at the first frames of a source as training would: from an episode store, which is then removed."""
    num_frames = num_bytes = 0
    with tempfile.TemporaryDirectory(prefix="worldmodel-") as folder:
        writer: EpisodeStoreWriter | None = None
        for key, episode in source:
            if writer is None:
                fps = episode.source.fps
                writer = EpisodeStoreWriter(folder, codec=codec, fps=fps, held_out_percent=_HELD_OUT_PERCENT)
            try:
                if codec is None:
                    episode.actions = [None] * len(episode.actions)
                writer.append(episode, key)
            except (TypeError, ValueError):
                continue  # actions of another kind
            num_frames, num_bytes = num_frames + len(episode.frames), num_bytes + episode.frames.nbytes
            if num_frames >= LINT_FRAMES or num_bytes >= LINT_BYTES:
                break
        return lint_store(EpisodeStore(folder))


def _damage(skipped: list[str]) -> str:
    return f"{len(skipped)} damaged files, such as {skipped[0]}" if skipped else "nothing"
