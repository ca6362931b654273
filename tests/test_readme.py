"""Runs what the README tells newcomers to paste: the command lines, then all of the Python in one session."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from worldmodel.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


SIZES = {
    "rollout": {"steps": "6"},
    "record": {"steps": "6", "episodes": "1"},
    "train": {
        "compute": "tiny",
        "data.frames": "400",
        "data.episode_steps": "20",
        "data.lint": "false",  # so few frames tell nothing
        "compression.max_minutes": "null",
        "compression.max_steps": "2",
        "denoiser.max_minutes": "null",
        "denoiser.max_steps": "2",
        "denoiser.clip_latents": "4",
    },
}
"""What each command is shortened to."""


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands():
    lines = [line for block in blocks(README, "sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("worldmodel ")]


def test_what_is_shown_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert {command[1] for command in commands()} == {"envs", "rollout", "record", "train"}
    for _, name, *settings in commands():
        if name != "envs" and "--help" not in settings:
            sizes = SIZES[name]
            settings = [part for part in settings if part.partition("=")[0] not in sizes]
            settings += [f"{key}={value}" for key, value in sizes.items()]
        assert main([name, *settings]) == 0
        assert capsys.readouterr().out.strip()
    programs = blocks(README, "python")
    assert len(programs) >= 4
    result = subprocess.run([sys.executable, "-c", "\n".join(programs)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "forest.png").exists()
    assert (tmp_path / "runs" / "self" / "rollout.mp4").exists()


def test_links_and_pictures_exist():
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert any(target.endswith(".gif") for target in targets)
    for target in targets:
        assert (ROOT / target).exists(), target


def test_every_id_is_listed():
    import gymnasium

    import worldmodel.envs  # noqa: F401 - registers the ids

    ids = {name for name in gymnasium.registry if name.startswith("worldmodel/")}
    assert set(re.findall(r"`(worldmodel/[\w-]+)`", README)) == ids


def test_it_is_short():
    assert len(README.splitlines()) <= 120
