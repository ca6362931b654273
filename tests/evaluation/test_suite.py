"""A whole evaluation of a toy: report, going on where it stopped, and what is refused."""

import json
import sys
from pathlib import Path

import pytest

from worldmodel.evaluation import parts, suite
from worldmodel.evaluation.bench import Bench, default_player
from worldmodel.evaluation.episodes import EpisodesTooShort
from worldmodel.evaluation.parts import PARTS
from worldmodel.evaluation.presets import Preset
from worldmodel.evaluation.report import machine
from worldmodel.evaluation.sections import Section
from worldmodel.evaluation.suite import evaluate

# For toy_world. It is no module of a package `tests`, because some dependencies install one of that name.
sys.path.append(str(Path(__file__).parent))

from toy_world import ToyDreamer, ToyEnv  # noqa: E402

PRESET = {
    "clips": 3,
    "horizon": 16,
    "teco": False,
    "counterfactual_states": 2,
    "permanence_worlds": 2,
    "place_worlds": 2,
    "text_scenes": 2,
    "outcomes_episodes": 2,
    "outcomes_steps": 8,
    "selfplay_worlds": 2,
    "selfplay_ticks": 8,
    "drift_worlds": 2,
    "drift_steps": 16,
}


def make_bench(folder, dreamer=None, env=ToyEnv, **settings):
    preset = Preset(**{**PRESET, **settings.pop("preset", {})})
    return Bench(dreamer or ToyDreamer(), env, preset, folder, **settings)


def head(**settings):
    return {
        "model": "toy",
        "stamp": "",
        "metadata": {},
        "settings": {"seed": 0, **settings},
        "machine": machine("cpu", "float32"),
    }


class Bars:
    """Notes what it is told, and stops when it is told to."""

    def __init__(self, stop_in=""):
        self.stop_in, self.stages, self.done = stop_in, [], []

    def stage(self, name, total):
        self.stages.append((name, total))
        self.done.append(0)

    def advance(self, steps):
        self.done[-1] += steps
        if self.stages[-1][0] == self.stop_in:
            raise InterruptedError


@pytest.fixture
def two_parts(monkeypatch):
    """Prediction, and a part that says how often it was run."""
    runs = []

    def run(bench, advance):
        advance(5)
        runs.append(bench)
        return Section("second", "Second", f"run {len(runs)}", figures={"number": float(len(runs))})

    table = {"prediction": PARTS["prediction"], "second": parts.Part(run, lambda bench: 5, highlights={"n": "number"})}
    table["third"] = parts.Part(run, unfit=lambda bench: "it never can")
    monkeypatch.setattr(suite, "PARTS", table)
    return runs


def test_an_evaluation(tmp_path, two_parts):
    bars = Bars()
    findings = evaluate(make_bench(tmp_path), head(), progress=bars)
    assert [finding.name for finding in findings] == ["prediction", "second", "third"]
    assert bars.stages == [("real episodes", 3 * 20), ("prediction", 3 * 32), ("second", 5)]
    assert bars.done == [total for _, total in bars.stages]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["sections"]["prediction"]["figures"]["psnr_full_16_all"]["value"] == pytest.approx(60, abs=1e-3)
    assert report["left_out"] == {"third": "it never can"} and report["settings"] == {"seed": 0}
    page = (tmp_path / "report.md").read_text()
    assert "| second | n | 1.00 |" in page and "Left out: it never can." in page
    for name in report["sections"]["prediction"]["pictures"]:
        assert (tmp_path / name).exists()


def test_an_interrupted_evaluation_goes_on(tmp_path, two_parts):
    with pytest.raises(InterruptedError):
        evaluate(make_bench(tmp_path), head(), progress=Bars("second"))
    assert [path.stem for path in (tmp_path / "sections").iterdir()] == ["prediction"]
    first = json.loads((tmp_path / "report.json").read_text())
    assert list(first["sections"]) == ["prediction"]
    bars = Bars()
    findings = evaluate(make_bench(tmp_path), head(), progress=bars)
    assert bars.stages == [("second", 5)], "nothing is done twice"
    second = json.loads((tmp_path / "report.json").read_text())
    assert second["sections"]["prediction"] == first["sections"]["prediction"]
    assert findings[0].minutes == first["sections"]["prediction"]["minutes"] > 0
    assert len(two_parts) == 1
    evaluate(make_bench(tmp_path), head(), progress=bars)
    assert len(two_parts) == 1 and bars.stages == [("second", 5)]


def test_parts_can_be_added(tmp_path, two_parts):
    findings = evaluate(make_bench(tmp_path), head(), parts=["second"])
    assert [finding.name for finding in findings] == ["second"]
    findings = evaluate(make_bench(tmp_path), head(), parts=["prediction"])
    assert [finding.name for finding in findings] == ["prediction", "second"] and len(two_parts) == 1


def test_the_same_evaluation_finds_the_same(tmp_path):
    found = []
    for name in ("a", "b"):
        (section,) = evaluate(make_bench(tmp_path / name, ToyDreamer(noise=9)), head(), parts=["prediction"])
        found.append(section.section.figures)
    assert found[0] == found[1]


def test_other_settings_are_refused(tmp_path, two_parts):
    evaluate(make_bench(tmp_path), head(), parts=["second"])
    with pytest.raises(ValueError, match="seed: expected 0, with which the evaluation in .* was begun, got 1"):
        evaluate(make_bench(tmp_path), head(seed=1))
    with pytest.raises(ValueError, match="checkpoint: expected 'toy', .* got 'abc'; leave it, or choose another"):
        evaluate(make_bench(tmp_path), head() | {"stamp": "abc"})


def test_unknown_parts_are_refused(tmp_path):
    for wrong in (["prediction", "magic"], []):
        with pytest.raises(ValueError, match="parts: expected .*prediction"):
            evaluate(make_bench(tmp_path / "never"), head(), parts=wrong)
    assert not (tmp_path / "never").exists()


def test_bad_benches_are_refused(tmp_path):
    with pytest.raises(ValueError, match="preset.clips: expected at least 1, got 0"):
        make_bench(tmp_path, preset={"clips": 0})
    with pytest.raises(ValueError, match="real player 'nobody': .*expected a player among"):
        make_bench(tmp_path, player="nobody")
    with pytest.raises(TypeError, match="real player 'explorer': .*scripted players read its blocks"):
        make_bench(tmp_path, player="explorer")


def test_each_world_has_its_player():
    import gymnasium

    import worldmodel.envs  # noqa: F401 - registers the ids

    assert default_player(ToyEnv()) == "random"
    assert default_player(gymnasium.make("worldmodel/Voxel-v0", height=16, width=16)) == "explorer"
    assert default_player(gymnasium.make("worldmodel/Crafter-v0")) == "forager"


def test_episodes_are_played_once(tmp_path):
    bench = make_bench(tmp_path)
    assert bench.episodes() is bench.episodes()
    assert [episode.num_steps for episode in bench.episodes()] == [20] * 3
    assert not bench.is_block_world


def test_where_episodes_end_early_the_long_protocol_is_left_out(tmp_path):
    bench = make_bench(tmp_path, env=lambda: ToyEnv(length=60), preset={"teco": True})
    (finding,) = evaluate(bench, head(), parts=["prediction"])
    assert [episode.num_steps for episode in bench.episodes()] == [20] * 3 and not bench.teco
    section = finding.section
    assert "TECO's protocol is left out" in section.text
    assert "psnr_mineworld_dream" in section.figures and "psnr_teco_dream" not in section.figures
    with pytest.raises(EpisodesTooShort, match="expected episodes of 20 steps, nearly all end earlier"):
        make_bench(tmp_path, env=lambda: ToyEnv(length=10), preset={"teco": True}).episodes()
