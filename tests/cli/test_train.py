"""`worldmodel train` from the outside: on Crafter, continued, with bad settings, and on folders."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from worldmodel.cli import main
from worldmodel.data import VideoWriter
from worldmodel.data.lint import LintReport
from worldmodel.model import WorldModel

ROOT = Path(__file__).parents[2]
TINY = (
    "compute=tiny data.frames=600 data.episode_steps=40 compression.max_minutes=null compression.max_steps=3 "
    "denoiser.max_minutes=null denoiser.max_steps=3 denoiser.clip_latents=4 denoiser.shortcut_after=1"
).split()
CRAFTER = ["train", "env=crafter", "player=random", "model.frames_per_latent=1", "output=runs/crafter", *TINY]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(CRAFTER) == 0
    return folder


def test_everything_is_there(trained):
    run = trained / "runs" / "crafter"
    config = json.loads((run / "checkpoint" / "config.json").read_text())["metadata"]
    assert (config["env_id"], config["height"], config["fps"]) == ("worldmodel/Crafter-v0", 64, 10)
    assert config["training_data"]["frames"] > 400 and config["training_data"]["player"] == "random"
    assert re.fullmatch(r"[0-9a-f]{40}|", config["git_revision"])
    assert json.loads((run / "lint.json").read_text())["problems"] == []
    assert {path.suffix for path in (run / "denoiser" / "samples").iterdir()} == {".mp4", ".png"}
    sheet = np.asarray(Image.open(next((run / "denoiser" / "samples").glob("*_actions.png"))))
    assert sheet.std() > 5


def test_the_page_shows_how_to_use_it(trained):
    """The Python of docs/training.md, on the run that its first command made."""
    (program,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "training.md").read_text(), re.M | re.S)
    program += "print(frame.shape, info['step'])"
    result = subprocess.run([sys.executable, "-c", program], cwd=trained, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "(64, 64, 3) 8"


def test_a_run_can_begin_with_the_weights_of_another(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    before = WorldModel.from_pretrained("runs/crafter/checkpoint")
    again = [
        *CRAFTER[: -1 - len(TINY)],
        "output=runs/further",
        *TINY,
        "initial=runs/crafter/checkpoint",
        "data.first_seed=900",
    ]
    assert main(again) == 0
    after = WorldModel.from_pretrained("runs/further/checkpoint")
    same = {name: torch.equal(tensor, after.state_dict()[name]) for name, tensor in before.state_dict().items()}
    assert all(equal for name, equal in same.items() if name.startswith("compression."))
    assert not all(equal for name, equal in same.items() if name.startswith("denoiser."))
    assert not Path("runs/further/compression").exists()
    training = after.metadata.training
    assert training["initial"] == "runs/crafter/checkpoint" and training["initial_training"]["denoiser_steps"] >= 3
    assert training["denoiser_steps"] == 3
    distance = sum(
        (a - b).norm() for a, b in zip(before.denoiser.parameters(), after.denoiser.parameters(), strict=True)
    )
    assert distance < 0.5 * sum(parameter.norm() for parameter in before.denoiser.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["initial=nowhere"], "initial: .*nowhere"),
        (["initial=runs/crafter/checkpoint", "model.channels=8"], "initial: expected .* compute and model .*channels"),
    ],
)
def test_weights_that_do_not_suit_are_refused(trained, monkeypatch, capsys, settings, message):
    monkeypatch.chdir(trained)
    name = f"output=runs/refused_{len(settings)}"
    assert main([*CRAFTER[: -1 - len(TINY)], name, *TINY, *settings]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_run_goes_on_with_more_steps_but_not_with_other_settings(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    assert main([*CRAFTER, "denoiser.max_steps=5"]) == 0
    out = capsys.readouterr().out
    assert "runs/crafter/checkpoint" in out and "repeating the last frame" in out
    metadata = json.loads(Path("runs/crafter/checkpoint/config.json").read_text())["metadata"]
    assert metadata["training"]["denoiser_steps"] == 5
    assert main([*CRAFTER, "model.channels=8"]) == 2
    assert "model.channels: expected 16, with which the run in runs/crafter was begun, got 8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("compute=huge", "compute: expected one of 16x, 4x, base, mini, tiny, got 'huge'"),
        ("compression.max_minutes=-1", "max_minutes: expected more than 0, got -1"),
        ("denoiser.max_minutes=null denoiser.max_steps=null", "max_steps: expected a number of steps, or max_minutes"),
        ("model.frames_per_latent=3", "frames_per_latent: expected 1, 2 or 4, got 3"),
        ("denoiser.optimizer.kind=sgd", "kind"),
        ("data.frames=0", "frames: expected at least 1, got 0"),
        ("denoiser.batchsize=3", "did you mean denoiser.batch_size?"),
        ("env=gymnasium env.id=CartPole-v1 env.kwargs={}", "env: expected observations that are uint8 (H, W, 3)"),
        ("env.kwargs.height=40", "height: expected a positive multiple of 16 pixels, got 40"),
        ("data.folders=[nowhere]", "nowhere"),
    ],
)
def test_bad_settings_are_named(settings, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    base = ["train", "env=crafter", "player=random", "output=out", *TINY, "data.frames=60"]
    assert main([*base, *settings.split()]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_misaligned_data_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    report = LintReport(problems=["actions fit the frames one row later"], warnings=[], figures={})
    monkeypatch.setattr("worldmodel.cli.train.lint_store", lambda store: report)
    assert main([*CRAFTER, "output=out"]) == 2
    assert "data: actions fit the frames one row later" in capsys.readouterr().err
    assert not Path("out/checkpoint").exists()


def test_folders_of_videos_and_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("media").mkdir()
    random = np.random.default_rng(0)
    for i in range(6):
        with VideoWriter(f"media/{i}.mp4", fps=10) as video:
            picture = random.integers(0, 256, (48, 64, 3), np.uint8)
            for t in range(12):
                video.write(np.roll(picture, 4 * t, axis=1))
        Image.fromarray(picture).save(f"media/{i}.png")
        Path(f"media/{i}.txt").write_text(f"pattern number {i}")
    base = ["train", "env=crafter", "player=random", "output=out", *TINY, "data.held_out_percent=30"]
    assert main([*base, "data.folders=[media]", "data.lint=false"]) == 0
    assert Path("out/checkpoint/model.safetensors").exists()
    captions = [json.loads(line) for line in Path("out/data/captions.jsonl").read_text().splitlines()]
    assert "pattern number 3" in captions
