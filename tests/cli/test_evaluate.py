"""`worldmodel evaluate` from the outside, with a tiny checkpoint that has learned nothing."""

import json
import os
import signal
from pathlib import Path

import pytest

from worldmodel.cli import evaluate as command
from worldmodel.cli import main

SMALL = ["preset.clips=2", "preset.horizon=2", "preset.teco=false", "num_steps=1"]


@pytest.fixture(autouse=True)
def _folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def evaluate(checkpoint):
    """Runs the command, and returns its exit status."""

    def run(*settings):
        return main(["evaluate", f"checkpoint={checkpoint}", "output=out", "parts=[prediction]", *SMALL, *settings])

    return run


def test_it_prints_a_table_and_writes_a_report(evaluate, checkpoint, capsys):
    assert evaluate() == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("prediction  PSNR after 1 step") and " [" in out[0]
    assert any(
        "beats repeating the last frame at 2 steps" in line and ("PASS" in line or "FAIL" in line) for line in out
    )
    assert out[-3].endswith(" minutes") and out[-2:] == ["out/report.md", "out/report.json"]
    report = json.loads(Path("out/report.json").read_text())
    assert report["model"] == checkpoint and len(report["stamp"]) == 16
    assert report["metadata"]["env_id"] == "worldmodel/Voxel-v0"
    assert report["settings"]["preset"]["clips"] == 2 and report["settings"]["real_player"] == "explorer"
    assert report["machine"]["dtype"] in ("float32", "bfloat16")
    assert report["sections"]["prediction"]["figures"]["clips"] == 2
    assert {"report.md", "prediction.png", "prediction.mp4"} <= {path.name for path in Path("out").iterdir()}


def test_ctrl_c_keeps_what_is_done(evaluate, monkeypatch, capsys):
    advance = command.Bars.advance

    def interrupted(self, steps):
        if self._bar.desc == "prediction" and steps:
            os.kill(os.getpid(), signal.SIGINT)
        advance(self, steps)

    monkeypatch.setattr(command.Bars, "advance", interrupted)
    assert evaluate() == 130
    assert capsys.readouterr().out == "interrupted; go on with the same command and output=out\n"
    assert not Path("out/report.json").exists()
    monkeypatch.undo()
    monkeypatch.chdir(Path.cwd())
    assert main(["evaluate", "--help"]) == 0


def test_it_goes_on_where_it_was(evaluate, capsys):
    assert evaluate() == 0
    first = Path("out/report.json").read_text()
    time = Path("out/prediction.mp4").stat().st_mtime_ns
    assert evaluate() == 0
    assert Path("out/report.json").read_text() == first and Path("out/prediction.mp4").stat().st_mtime_ns == time
    capsys.readouterr()
    assert evaluate("seed=1") == 2
    assert "seed: expected 0, with which the evaluation in out was begun, got 1" in capsys.readouterr().err


def test_presets_can_be_chosen(capsys):
    for name, clips in (("quick", "clips=12"), ("full", "clips=64")):
        assert main(["evaluate", "--help", f"preset={name}"]) == 0
        assert f"preset.{clips}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["checkpoint=nowhere"], "checkpoint: expected a folder with config.json"),
        (["parts=[prediction,magic]"], "parts: expected any of prediction, "),
        (["parts=[]"], "parts: expected at least one of prediction, "),
        (["preset=huge"], "preset: expected one of full, quick, got 'huge'"),
        (["preset.clips=0"], "preset.clips: expected at least 1, got 0"),
        (["preset.clip=3"], "did you mean preset.clips?"),
        (["num_steps=0"], "num_steps: expected at least 1, got 0"),
        (["num_steps=65"], "num_steps: expected 1 to 64, got 65"),
        (["batch=0"], "batch: expected at least 1, got 0"),
        (["seed=-1"], "seed: expected an integer from 0 on, got -1"),
        (["judge_minutes=0"], "judge_minutes: expected more than 0"),
        (["real_player=nobody"], "real player 'nobody': name: expected a player among"),
        (["real_player_kwargs.speed=3"], "real player 'explorer'"),
    ],
)
def test_bad_settings(evaluate, capsys, settings, message):
    assert evaluate(*settings) == 2
    assert message in capsys.readouterr().err and not Path("out").exists()


def test_models_without_a_real_environment(tmp_path, capsys):
    import torch

    from worldmodel.data.action_codec import ActionCodec
    from worldmodel.envs.actions import action_space
    from worldmodel.model import Metadata, Size, WorldModel, model_config

    torch.manual_seed(0)
    space = ActionCodec(action_space()).to_json()
    for name, actions, message in (("film", None, "trained with actions"), ("folder", space, "it has no twin")):
        metadata = Metadata(height=48, width=48, fps=20.0, action_space=actions)
        WorldModel(model_config(Size.tiny, channels=4), metadata).save(tmp_path / name)
        assert main(["evaluate", f"checkpoint={tmp_path / name}", "output=out"]) == 2
        assert message in capsys.readouterr().err


def test_without_matplotlib(evaluate, monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert evaluate() == 2
    assert "pip install 'worldmodel[train]'" in capsys.readouterr().err


def test_parts_at_the_same_time(evaluate, capsys):
    settings = ["preset.outcomes_episodes=1", "preset.outcomes_steps=2"]
    assert evaluate("parts=[prediction,outcomes]", "workers=2", *settings) == 0
    assert "outcomes" in capsys.readouterr().out
    assert list(json.loads(Path("out/report.json").read_text())["sections"]) == ["prediction", "outcomes"]


def test_there_must_be_a_worker(evaluate, capsys):
    assert evaluate("workers=0") == 2
    assert "workers: expected at least 1, got 0" in capsys.readouterr().err
