"""Holds the pages in `docs/` to the code."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

import worldmodel.envs
from worldmodel.agents import PLAYERS
from worldmodel.envs import actions
from worldmodel.envs.voxel.config import VoxelConfig
from worldmodel.envs.voxel.env import VoxelEnv
from worldmodel.envs.voxel.tasks import Pickaxe

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def section(page, title):
    """The text below a heading, up to the next one of the same or a higher level."""
    text = (DOCS / page).read_text(encoding="utf-8")
    start = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert start, f"{page}: no section {title!r}"
    end = re.search(rf"^#{{1,{len(start[1])}}} ", text[start.end() :], re.MULTILINE)
    return text[start.end() : start.end() + end.start()] if end else text[start.end() :]


def rows(text):
    """Cells of all rows of the tables in a text, those of the headings left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {i - 1 for i, line in enumerate(lines) if set(line) <= set("|- ")}
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for i, line in enumerate(lines) if i not in heads]
    return [row for row in cells if set("".join(row)) - set("- ")]


def names(text, column=0):
    return [name for row in rows(text) for name in re.findall(r"`([^`]+)`", row[column])]


@pytest.mark.parametrize("folder", ["worldmodel", "envs", "agents", "configs"])
def test_the_map_has_every_module(folder):
    listed = names(section("architecture.md", f"`{folder}/`"))
    found = [path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*.py")]
    assert sorted(listed) == sorted(found)


@pytest.mark.parametrize(
    "title",
    [
        "The path of one action and one frame",
        "The path of one frame and one action through the model",
        "The path of one imagined step",
    ],
)
def test_functions_of_the_path_exist(title):
    sources = "\n".join(
        path.read_text() for folder in ("envs", "agents", "worldmodel") for path in (ROOT / folder).rglob("*.py")
    )
    text = section("architecture.md", title)
    mentioned = {name.split("(")[0].split(".")[-1] for name in re.findall(r"`([A-Za-z_.]+)(?:\(|`)", text)}
    missing = [
        name for name in mentioned if not re.search(rf"\b(def|class) {name}\b|^\s+{name}\b.*[:=]", sources, re.M)
    ]
    assert missing in ([], ["captions"])


def test_every_setting_is_listed():
    listed = names(section("voxel.md", "Settings"))
    assert listed == [field.name for field in dataclasses.fields(VoxelConfig)] + ["render_mode"]
    for row in rows(section("voxel.md", "Settings")):
        for name in re.findall(r"`([^`]+)`", row[0]):
            if name not in ("task", "render_mode"):
                default = getattr(VoxelConfig(), name)
                text = str(default) if isinstance(default, bool) else f"{getattr(default, 'value', default)!r}"
                assert row[1].strip("`").replace('"', "'") in (text, text.removesuffix(".0")), name


def test_every_task_is_listed():
    listed = {row[0].strip("`"): (row[1].strip("`"), row[4]) for row in rows(section("voxel.md", "Tasks"))}
    assert listed == {
        name: (task, f"{limit} steps" if limit else "none") for name, (task, limit) in worldmodel.envs.VOXEL_IDS.items()
    }
    text = section("voxel.md", "Tasks")
    for name, reward in Pickaxe.MILESTONES.items():
        assert f"{name.removeprefix('oak_').replace('_', ' ')} {reward:g}" in text


def test_every_key_is_listed():
    keys = [row[0] for row in rows(section("voxel.md", "Observations and actions")) if not row[0].isdigit()]
    assert sorted(re.findall(r"`([^`]+)`", " ".join(keys))) == sorted(actions.KEYS)


def test_the_discrete_preset_is_listed():
    listed = [row for row in rows(section("voxel.md", "Observations and actions")) if row[0].isdigit()]
    assert [(int(row[0]), row[1].strip("`")) for row in listed] == [
        (i, name) for i, (name, _) in enumerate(actions.DISCRETE_ACTIONS)
    ]
    for row, (_, keys) in zip(listed, actions.DISCRETE_ACTIONS, strict=True):
        camera = [f"camera ({pitch:g}, {yaw:g})" for pitch, yaw in [keys["camera"]]] if "camera" in keys else []
        assert row[2] == ", ".join([key for key in keys if key != "camera"] + camera)
    assert f"`Discrete({len(listed)})`" in section("voxel.md", "Observations and actions")


def test_every_field_of_info_is_listed():
    fields = set()
    for env_id in worldmodel.envs.VOXEL_IDS:
        env = gymnasium.make(env_id, height=16, width=16)
        env.reset(seed=0)
        fields |= set(env.step({})[4])
    listed = [
        name
        for row in rows(section("voxel.md", "`info`"))
        if len(row) == 2
        for name in re.findall(r"`([^`]+)`", row[0])
    ]
    assert set(listed) == fields


def test_every_event_is_listed():
    listed = {row[0].strip("`") for row in rows(section("voxel.md", "`info`")) if len(row) == 3}
    sources = "".join((ROOT / "envs" / "voxel" / f"{name}.py").read_text() for name in ("simulation", "tasks"))
    assert listed == set(re.findall(r'append\(\{"type": "(\w+)"', sources))


def test_every_reset_option_is_listed():
    listed = names(section("voxel.md", "Reset"))
    env = VoxelEnv(height=16, width=16)
    with pytest.raises(ValueError, match="options") as error:
        env.reset(options={"nonsense": 1})
    assert sorted(listed) == sorted(re.findall(r"'(\w+)'", str(error.value).split("got")[0]))


def test_every_public_method_is_listed():
    listed = {name.split("(")[0] for name in names(section("voxel.md", "Truth and saved states"))}
    own = {name for name in vars(VoxelEnv) if not name.startswith("_")}
    assert own - {"reset", "step", "render", "metadata"} == listed


def test_every_player_is_listed():
    table = [row for row in rows((DOCS / "players.md").read_text()) if len(row) == 3]
    assert {row[0].strip("`") for row in table} == set(PLAYERS)


@pytest.mark.parametrize(
    "page",
    [
        *("voxel.md", "players.md", "crafter.md", "model.md", "imagined.md", "ecosystem.md"),
        *("minerl.md", "minecraft_actions.md", "other_worlds.md", "recordings.md"),
    ],
)
def test_python_blocks_run(page, tmp_path):
    programs = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert programs
    command = [sys.executable, "-c", "\n".join(programs)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_exist(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


def test_the_contact_sheet_is_made_by_its_command(tmp_path):
    from PIL import Image

    output = tmp_path / "sheet.png"
    command = [sys.executable, str(DOCS / "contact_sheet.py"), "--size", "64", "--output", str(output)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    with Image.open(output) as small, Image.open(DOCS / "images" / "contact_sheet.png") as large:
        assert small.width < large.width
    assert (DOCS / "images" / "contact_sheet.png").stat().st_size < 1.5 * 2**20


def benchmark_programs():
    """All that can be run, by their paths in the folder; what they share cannot."""
    found = [*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "benchmarks").glob("*/__main__.py")]
    runnable = [path for path in found if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")]
    return sorted((path.parent if path.name == "__main__.py" else path).name for path in runnable)


@pytest.mark.parametrize("program", benchmark_programs())
def test_benchmarks_explain_themselves(program):
    path = ROOT / "benchmarks" / program
    result = subprocess.run([sys.executable, str(path), "--help"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^  --(?!help)\S+.*", result.stdout, re.MULTILINE), "it has options"
