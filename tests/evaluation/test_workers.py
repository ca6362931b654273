"""Parts of an evaluation in processes of their own: they find the same, and errors and stops come through."""

import functools
import json
import sys
from pathlib import Path

import pytest

from worldmodel.evaluation import suite
from worldmodel.evaluation.presets import Preset
from worldmodel.evaluation.report import machine
from worldmodel.evaluation.sections import Section
from worldmodel.evaluation.suite import evaluate

# For toy_world. It is no module of a package `tests`, because some dependencies install one of that name.
sys.path.append(str(Path(__file__).parent))

from toy_world import BrokenDreamer, ToyDreamer, make_bench  # noqa: E402

PRESET = Preset(
    clips=3, horizon=16, teco=False, counterfactual_states=2, permanence_worlds=2, place_worlds=2, text_scenes=2,
    outcomes_episodes=2, outcomes_steps=8, selfplay_worlds=2, selfplay_ticks=8, drift_worlds=2, drift_steps=16,
)  # fmt: skip
HEAD = {"model": "toy", "stamp": "", "metadata": {}, "settings": {"seed": 0}, "machine": machine("cpu", "float32")}
PARTS = ["prediction", "outcomes"]


class Bars:
    """Counts the steps of each stage, and stops in one of them."""

    def __init__(self, stop_after=None):
        self.stages, self.stop_after = {}, stop_after

    def stage(self, name, total):
        self.name = name
        self.stages[name] = [total, 0]

    def advance(self, steps):
        self.stages[self.name][1] += steps
        if self.stop_after is not None and self.stages[self.name][1] >= self.stop_after:
            raise InterruptedError


def run(folder, *, workers, dreamer=ToyDreamer, **settings):
    make = functools.partial(make_bench, folder, PRESET, dreamer)
    return evaluate(make(), HEAD, parts=PARTS, workers=workers, make_bench=make, **settings)


def test_parts_at_the_same_time_find_the_same(tmp_path):
    bars = Bars()
    run(tmp_path / "a", workers=1)
    together = run(tmp_path / "b", workers=2, progress=bars)
    assert [finding.name for finding in together] == PARTS
    assert all(finding.minutes > 0 for finding in together)
    assert list(bars.stages) == ["2 parts"] and bars.stages["2 parts"][0] == 3 * 32 + 2 * 8
    pages = [json.loads((tmp_path / name / "report.json").read_text())["sections"] for name in ("a", "b")]
    assert all(page.pop("minutes") for report in pages for page in report.values())
    assert pages[0] == pages[1]
    for name in pages[1]["prediction"]["pictures"]:
        assert (tmp_path / "b" / name).exists()


def test_what_goes_wrong_in_a_part_is_told(tmp_path):
    with pytest.raises(ValueError, match="frames: expected some"):
        run(tmp_path, workers=2, dreamer=BrokenDreamer)
    assert not (tmp_path / "report.json").exists()


def test_a_stop_gives_up_what_is_not_done(tmp_path):
    with pytest.raises(InterruptedError):
        run(tmp_path, workers=2, progress=Bars(stop_after=0))
    assert not (tmp_path / "report.json").exists()
    assert [finding.name for finding in run(tmp_path, workers=1)] == PARTS, "the same call goes on"


def test_workers_need_to_know_how_to_make_their_benches(tmp_path):
    with pytest.raises(ValueError, match="make_bench: expected a function, because there are 2 workers, got None"):
        evaluate(make_bench(tmp_path, PRESET), HEAD, workers=2)


def test_what_is_timed_has_the_machine_for_itself(tmp_path, monkeypatch):
    together, alone = [], []

    def run_parts(make_bench, names, workers, progress):
        together.extend(names)
        yield from ((Section(name, name, ""), 0.1) for name in names)

    def run_alone(bench, name, progress):
        alone.append(name)
        assert len(together) == 2, "when the others are done"
        return Section(name, name, "")

    monkeypatch.setattr(suite, "run_parts", run_parts)
    monkeypatch.setattr(suite, "_run", run_alone)
    make = functools.partial(make_bench, tmp_path, PRESET)
    findings = evaluate(make(), HEAD, parts=[*PARTS, "cost"], workers=2, make_bench=make)
    assert sorted(together) == sorted(PARTS) and alone == ["cost"]
    assert [finding.name for finding in findings] == [*PARTS, "cost"]
