"""A report says what was found: figures survive the file, the page has every table, check, picture and video."""

import json
import re

import numpy as np
import pytest

from worldmodel.evaluation.estimates import NOTHING, Estimate
from worldmodel.evaluation.report import (
    Finding,
    cell,
    load_section,
    machine,
    page,
    save_section,
    summary_lines,
    write_report,
)
from worldmodel.evaluation.sections import Check, Section, Table

SECTION = Section(
    "control",
    "Control",
    "How it was measured.",
    figures={
        "accuracy": Estimate(0.9, 0.85, 0.95, 12),
        "unknown": NOTHING,
        "clips": np.int64(12),
        "rate": np.float64(0.25),
        "nothing": float("nan"),
        "factor": "camera",
    },
    tables=[
        Table(["key", "accuracy"], [["forward|back", Estimate(0.9, 0.85, 0.95, 12)], ["jump", NOTHING]], "Keys", 3)
    ],
    checks=[Check("actions are obeyed", True, "0.90 of 0.80"), Check("camera", np.bool_(False), "0.1")],
    pictures={"control.png": "Keys over time."},
    videos={"control.mp4": "Truth and dream."},
)
FINDINGS = [
    Finding("control", SECTION, minutes=1.5, highlights={"accuracy of keys": "accuracy", "missing": "not there"}),
    Finding("text", remark="the environment has no captions"),
    Finding("cost", Section("cost", "Cost", "Timed."), minutes=0.5),
]
HEAD = {
    "model": "tiny",
    "stamp": "abc",
    "metadata": {"fps": 20.0},
    "settings": {"preset": {"clips": 3}, "seed": 0},
    "machine": machine("cpu", "float32"),
}


def test_a_section_survives_its_file(tmp_path):
    save_section(tmp_path, SECTION, 2.5)
    found, minutes = load_section(tmp_path, "control")
    assert minutes == 2.5 and found.title == "Control" and found.text == SECTION.text
    assert found.figures["accuracy"] == SECTION.figures["accuracy"]
    assert found.figures["unknown"].number == 0 and np.isnan(found.figures["unknown"].value)
    assert (found.figures["clips"], found.figures["rate"], found.figures["factor"]) == (12, 0.25, "camera")
    assert np.isnan(found.figures["nothing"])
    assert found.tables[0].rows[0][1] == Estimate(0.9, 0.85, 0.95, 12) and found.tables[0].digits == 3
    assert found.checks == SECTION.checks and found.pictures == SECTION.pictures and found.videos == SECTION.videos
    assert page(HEAD, [Finding("control", found)]) == page(HEAD, [Finding("control", SECTION)])
    assert {path.name for path in (tmp_path / "sections").iterdir()} == {"control.json"}


def test_sections_that_are_not_there_or_damaged(tmp_path):
    assert load_section(tmp_path, "control") is None
    (tmp_path / "sections").mkdir()
    path = tmp_path / "sections" / "control.json"
    for text in ('{"minutes": 1}', "{"):
        path.write_text(text)
        with pytest.raises(ValueError, match="control.json: expected .* delete it"):
            load_section(tmp_path, "control")


def test_json(tmp_path):
    write_report(tmp_path, HEAD, FINDINGS)

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    report = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    assert (report["model"], report["stamp"], report["settings"]["preset"]) == ("tiny", "abc", {"clips": 3})
    assert (report["minutes"], report["checks"], report["checks_passed"]) == (2.0, 2, 1)
    assert report["left_out"] == {"text": "the environment has no captions"}
    assert list(report["sections"]) == ["control", "cost"]
    figures = report["sections"]["control"]["figures"]
    assert figures["accuracy"] == {"value": 0.9, "low": 0.85, "high": 0.95, "number": 12}
    assert figures["unknown"]["value"] is None and figures["nothing"] is None
    assert {"device", "cores", "torch", "threads"} <= set(report["machine"])
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "report.md"}


def test_page():
    lines = page(HEAD, FINDINGS)
    text = "\n".join(lines)
    assert lines[0] == "# Evaluation of tiny" and "its parts took 2.0 minutes together on cpu" in text
    assert text.index("## Summary") < text.index("## Control") < text.index("## Text") < text.index("## Cost")
    assert "| control | accuracy of keys | 0.90 [0.85, 0.95] |" in lines
    assert "| control | actions are obeyed | PASS: 0.90 of 0.80 |" in lines
    assert "| text | left out | the environment has no captions |" in lines
    assert "- **PASS** actions are obeyed: 0.90 of 0.80" in lines and "- **FAIL** camera: 0.1" in lines
    assert "| forward\\|back | 0.900 [0.850, 0.950] |" in lines and "| jump | - |" in lines
    assert "![Keys over time.](control.png)" in lines and "- [control.mp4](control.mp4): Truth and dream." in lines
    assert "Left out: the environment has no captions." in lines
    for start, line in enumerate(lines):  # every table is one for Markdown: a rule below its header, as many cells
        if re.fullmatch(r"\|(-+\|)+", line):
            columns = line.count("|")
            below = [row.replace("\\|", "") for row in lines[start - 1 :]]
            rows = below[: next((i for i, row in enumerate(below) if not row.startswith("|")), len(below))]
            assert {row.count("|") for row in rows} == {columns}


def test_printed_table():
    lines = summary_lines(FINDINGS)
    assert lines[0] == "control  accuracy of keys    0.90 [0.85, 0.95]"
    assert lines[1] == "         actions are obeyed  PASS: 0.90 of 0.80"
    assert lines[3].split() == "text left out the environment has no captions".split()
    assert lines[4].startswith("cost     done") and len(lines) == 5
    assert summary_lines([]) == []


def test_cells():
    assert [cell(part) for part in (1.234, 7, True, "x", float("nan"))] == ["1.23", "7", "True", "x", "-"]
    assert cell(Estimate(1.0, 0.5, 1.5, 3), 1) == "1.0 [0.5, 1.5]"
