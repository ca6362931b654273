"""The report: figures as JSON, a page to read, and the table that the command prints.

Every section is a file of its own as soon as it is done, so an evaluation that was interrupted goes on where it was.
"""

import dataclasses
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from worldmodel.data.episodes import plain
from worldmodel.data.files import partial_path, read_json, write_json
from worldmodel.evaluation.estimates import Estimate
from worldmodel.evaluation.sections import Check, Section, Table, Value

REPORT, PAGE = "report.json", "report.md"
_SECTIONS = "sections"
_ESTIMATE = {"value", "low", "high", "number"}


@dataclass(slots=True)
class Finding:
    """What came of one part of the evaluation.

    Attributes:
        name: Of the part.
        section: What it found; `None` if it was left out.
        remark: Why it was left out; empty otherwise.
        minutes: That it took.
        highlights: Figures of the section for the summary: label, and name of the figure.
    """

    name: str
    section: Section | None = None
    remark: str = ""
    minutes: float = 0.0
    highlights: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, str]]:
        """Returns labels and texts of the highlights that there are."""
        figures = {} if self.section is None else self.section.figures
        return [(label, cell(figures[name])) for label, name in self.highlights.items() if name in figures]


def save_section(folder: Path, section: Section, minutes: float) -> None:
    """Writes a finished section to its file."""
    (folder / _SECTIONS).mkdir(parents=True, exist_ok=True)
    write_json(folder / _SECTIONS / f"{section.name}.json", {"minutes": minutes, **_to_json(section)})


def load_section(folder: Path, name: str) -> tuple[Section, float] | None:
    """Reads a finished section, and the minutes it took; `None` if there is none.

    Raises:
        ValueError: If the file is damaged; the message names it.
    """
    path = folder / _SECTIONS / f"{name}.json"
    if not path.exists():
        return None
    found = read_json(path)
    try:
        return _from_json(found), float(found["minutes"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected a section of a report, got something else; delete it") from error


def write_report(folder: Path, head: Mapping[str, Any], findings: Sequence[Finding]) -> None:
    """Writes `report.json` and `report.md`; a reader sees the old ones or the new ones, never a part.

    Args:
        folder: Existing folder, in which the pictures and videos of the sections lie.
        head: What stands at the top: `model`, `stamp`, `metadata`, `settings`, `machine`.
        findings: One for each part, in order.
    """
    done = {finding.name: finding for finding in findings if finding.section is not None}
    checks = [check for finding in done.values() for check in finding.section.checks]  # type: ignore[union-attr]
    summary = {
        "minutes": sum(finding.minutes for finding in findings),
        "checks_passed": sum(bool(check.passed) for check in checks),
        "checks": len(checks),
        "left_out": {finding.name: finding.remark for finding in findings if finding.section is None},
    }
    sections = {
        name: {"minutes": finding.minutes, **_to_json(finding.section)}  # type: ignore[arg-type]
        for name, finding in done.items()
    }
    write_json(folder / REPORT, {**_finite(plain(dict(head), "head")), **summary, "sections": sections})
    partial = partial_path(folder / PAGE)
    partial.write_text("\n".join(page(head, findings)) + "\n", encoding="utf-8")
    partial.replace(folder / PAGE)


def page(head: Mapping[str, Any], findings: Sequence[Finding]) -> list[str]:
    """Returns the lines of the page, Markdown; see `write_report`."""
    machine = head["machine"]
    minutes = sum(finding.minutes for finding in findings)
    settings = ", ".join(f"{name} {value}" for name, value in head["settings"].items() if not isinstance(value, dict))
    lines = [
        f"# Evaluation of {head['model']}",
        "",
        f"Checkpoint {head['stamp'] or 'without a stamp'}; {settings}; its parts took {minutes:.1f} minutes together "
        f"on {machine['device']}, {machine['cores']} cores, PyTorch {machine['torch']}.",
        "Figures stand with the interval that holds the true one with 95 % confidence. Worlds were never trained on.",
        "",
    ]
    lines += _table(Table(["part", "figure or check", "result"], _summary_rows(findings), "## Summary"))
    for finding in findings:
        if finding.section is None:
            lines += ["", f"## {finding.name.capitalize()}", "", f"Left out: {finding.remark}."]
        else:
            lines += _section_lines(finding.section)
    return lines


def summary_lines(findings: Sequence[Finding]) -> list[str]:
    """Returns the table that the command prints: figures and checks of every part, one a line."""
    rows = [[str(part) for part in row] for row in _summary_rows(findings)]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(2)]
    lines, before = [], ""
    for part, label, result in rows:
        lines.append(f"{part if part != before else '':<{widths[0]}}  {label:<{widths[1]}}  {result}")
        before = part
    return lines


def machine(device: torch.device | str, dtype: torch.dtype | str) -> dict[str, Any]:
    """Describes the machine, as far as it matters for figures and times."""
    name = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else str(device)
    return {
        "device": name,
        "dtype": str(dtype).removeprefix("torch."),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def cell(value: Value, digits: int = 2) -> str:
    """Returns a value as a cell of a table."""
    if isinstance(value, Estimate):
        return value.text(digits)
    if isinstance(value, float):
        return f"{value:.{digits}f}" if math.isfinite(value) else "-"
    return str(value)


def _summary_rows(findings: Sequence[Finding]) -> list[tuple[str, str, str]]:
    rows = []
    for finding in findings:
        if finding.section is None:
            rows.append((finding.name, "left out", finding.remark))
            continue
        rows += [(finding.name, label, text) for label, text in finding.rows()]
        rows += [(finding.name, check.name, f"{_verdict(check)}: {check.reason}") for check in finding.section.checks]
        if not finding.rows() and not finding.section.checks:
            rows.append((finding.name, "done", "see its section"))
    return rows


def _section_lines(section: Section) -> list[str]:
    lines = ["", f"## {section.title}", "", section.text]
    if section.checks:
        lines += ["", *(f"- **{_verdict(check)}** {check.name}: {check.reason}" for check in section.checks)]
    for table in section.tables:
        lines += ["", *_table(table)]
    for name, caption in section.pictures.items():
        lines += ["", f"![{caption}]({name})", "", caption]
    if section.videos:
        lines += ["", *(f"- [{name}]({name}): {caption}" for name, caption in section.videos.items())]
    return lines


def _verdict(check: Check) -> str:
    return "PASS" if check.passed else "FAIL"


def _table(table: Table) -> list[str]:
    rows = [[cell(value, table.digits).replace("|", "\\|") for value in row] for row in table.rows]
    lines = [*([table.caption, ""] if table.caption else []), "| " + " | ".join(map(str, table.header)) + " |"]
    return [*lines, "|" + "---|" * len(table.header), *("| " + " | ".join(row) + " |" for row in rows)]


def _to_json(section: Section) -> dict[str, Any]:
    return _finite(plain(dataclasses.asdict(section), section.name))


def _from_json(value: Mapping[str, Any]) -> Section:
    return Section(
        value["name"],
        value["title"],
        value["text"],
        {name: _value(part) for name, part in value["figures"].items()},
        [Table(**{**part, "rows": [[_value(one) for one in row] for row in part["rows"]]}) for part in value["tables"]],
        [Check(**part) for part in value["checks"]],
        value["pictures"],
        value["videos"],
    )


def _value(value: Any) -> Value:
    """Returns a figure as it was before it was written: JSON knows no estimates, and no numbers that are none."""
    if isinstance(value, dict) and set(value) == _ESTIMATE:
        value_, low, high = (float(_value(value[name])) for name in ("value", "low", "high"))  # type: ignore[arg-type]
        return Estimate(value_, low, high, int(value["number"]))
    return float("nan") if value is None else value


def _finite(value: Any) -> Any:
    """Returns JSON values with `null` for numbers that are none."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
