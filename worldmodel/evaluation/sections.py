"""What a part of the evaluation finds: figures, tables, checks, pictures and videos, from which the report is made."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from worldmodel.evaluation.estimates import Estimate

Value = Estimate | float | int | str | bool


@dataclass(slots=True)
class Table:
    """A table.

    Attributes:
        header: Names of the columns.
        rows: Their cells; estimates are shown with their intervals.
        caption: One line above it; empty for none.
        digits: Digits after the point.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Value]]
    caption: str = ""
    digits: int = 2


@dataclass(slots=True)
class Check:
    """A claim that the figures bear out, or do not.

    Attributes:
        name: In a few words, such as `"actions are obeyed"`.
        passed: Whether they do.
        reason: The figures that decide it, in a sentence.
    """

    name: str
    passed: bool
    reason: str


@dataclass(slots=True)
class Section:
    """What one part of the evaluation found.

    Attributes:
        name: Key in `report.json`, such as `"control"`.
        title: Heading.
        text: How it was measured, in a few sentences: episodes, steps, definitions.
        figures: All figures by name, for `report.json`.
        tables: For people.
        checks: What is borne out.
        pictures: Names of PNG files in the folder of the report, with captions.
        videos: Names of mp4 files, likewise.
    """

    name: str
    title: str
    text: str
    figures: dict[str, Value] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    videos: dict[str, str] = field(default_factory=dict)
