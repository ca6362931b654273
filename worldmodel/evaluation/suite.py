"""The whole evaluation: its parts, one after another or several at a time, each kept as soon as it is done."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from worldmodel.data.episodes import plain
from worldmodel.data.files import read_json, remove_partial_files, write_json
from worldmodel.evaluation.bench import Bench, Progress, Silence
from worldmodel.evaluation.parts import PARTS
from worldmodel.evaluation.report import Finding, load_section, save_section, write_report
from worldmodel.evaluation.sections import Section
from worldmodel.evaluation.workers import MakeBench, run_parts

_SETTINGS = "settings.json"


def evaluate(
    bench: Bench,
    head: Mapping[str, Any],
    *,
    parts: Sequence[str] | None = None,
    workers: int = 1,
    make_bench: MakeBench | None = None,
    progress: Progress | None = None,
) -> list[Finding]:
    """Runs the parts of an evaluation that are not done yet, and writes the report after each.

    Args:
        bench: The dreamer and what it is scored with.
        head: What stands at the top of the report; see `write_report`. A folder holds one evaluation: `stamp` and
            `settings` must be those with which it was begun.
        parts: Names of parts; all by default. What is done already is in the report in any case.
        workers: Parts at a time, each in a process of its own.
        make_bench: Makes `bench` anew in each process; needed for more than one. It can be pickled.
        progress: Is told how far it has come. If it raises, what is done is kept, and the same call goes on.

    Returns:
        One finding for each part that was asked for or is done, in the order of `PARTS`.

    Raises:
        ValueError: If there is no such part, the folder holds another evaluation, or the judge does not suit; or if
            there are several workers, and nothing to make their benches with.
        FileNotFoundError: If there is no such judge.
    """
    if workers > 1 and make_bench is None:
        raise ValueError(f"make_bench: expected a function, because there are {workers} workers, got None")
    wanted = check_parts(parts)
    progress = progress or Silence()
    bench.folder.mkdir(parents=True, exist_ok=True)
    _check_same(bench.folder, head)
    remove_partial_files(bench.folder)
    findings: dict[str, Finding] = {}
    for name in PARTS:
        if (done := load_section(bench.folder, name)) is not None:
            findings[name] = Finding(name, done[0], minutes=done[1], highlights=PARTS[name].highlights)
        elif name in wanted and (reason := PARTS[name].unfit(bench)):
            findings[name] = Finding(name, remark=reason)
    left = [name for name in wanted if name not in findings]
    for section, minutes in _sections(bench, left, workers, make_bench, progress):
        save_section(bench.folder, section, minutes)
        findings[section.name] = Finding(
            section.name, section, minutes=minutes, highlights=PARTS[section.name].highlights
        )
        write_report(bench.folder, head, [findings[part] for part in PARTS if part in findings])
    ordered = [findings[part] for part in PARTS if part in findings]
    write_report(bench.folder, head, ordered)
    return ordered


def check_parts(parts: Sequence[str] | None) -> list[str]:
    """Returns the parts that are asked for, in order.

    Raises:
        ValueError: If one is unknown, or there is none.
    """
    if parts is None:
        return list(PARTS)
    for name in parts:
        if name not in PARTS:
            raise ValueError(f"parts: expected any of {', '.join(PARTS)}, got {name!r}")
    if not parts:
        raise ValueError(f"parts: expected at least one of {', '.join(PARTS)}, got none")
    return [name for name in PARTS if name in parts]


def _sections(
    bench: Bench, names: Sequence[str], workers: int, make_bench: MakeBench | None, progress: Progress
) -> Iterator[tuple[Section, float]]:
    """Yields the sections of parts, each with the minutes that it took."""
    together = [name for name in names if not PARTS[name].alone]
    if make_bench is not None and workers > 1 and len(together) > 1:
        if any(PARTS[name].judge for name in together):
            bench.judge(progress)  # if one is trained, all find it in the folder
        totals = {name: PARTS[name].total(bench) for name in together}
        together.sort(key=lambda name: -(totals[name] or 0))
        progress.stage(f"{len(together)} parts", sum(total or 0 for total in totals.values()) or None)
        yield from run_parts(make_bench, together, workers, progress)
        names = [name for name in names if name not in together]
    for name in names:
        begun = time.monotonic()
        section = _run(bench, name, progress)
        yield section, (time.monotonic() - begun) / 60


def _run(bench: Bench, name: str, progress: Progress) -> Section:
    part = PARTS[name]
    if part.episodes:
        bench.episodes(progress)
    if part.judge:
        bench.judge(progress)
    progress.stage(name, part.total(bench))
    section = part.run(bench, progress.advance)
    assert section.name == name, f"{section.name}: a part is kept by its name, {name}"
    return section


def _check_same(folder: Path, head: Mapping[str, Any]) -> None:
    """Writes the settings down, or compares them with those with which the evaluation in the folder was begun."""
    path = folder / _SETTINGS
    now = plain({"checkpoint": head["stamp"] or head["model"], **head["settings"]}, "settings")
    if path.exists():
        before = read_json(path)
        for name in now:
            if before.get(name) != now[name]:
                raise ValueError(
                    f"{name}: expected {before.get(name)!r}, with which the evaluation in {folder} was begun, got "
                    f"{now[name]!r}; leave it, or choose another output"
                )
    write_json(path, now)
