import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import worldmodel

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "worldmodel": ROOT / "worldmodel",
    "worldmodel.envs": ROOT / "envs",
    "worldmodel.agents": ROOT / "agents",
    "worldmodel.configs": ROOT / "configs",
}
LATER = ("worldmodel.envs", "worldmodel.agents", "worldmodel.evaluation", "worldmodel.cli", "worldmodel.configs")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Names of the files in a wheel built from a copy of the sources, as from a clean clone."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for folder in FOLDERS.values():
        shutil.copytree(folder, source / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_the_wheel_has_one_top_level_name(wheel):
    names = {name.split("/")[0] for name in wheel}
    assert {name for name in names if not name.endswith(".dist-info")} == {"worldmodel"}


def test_the_wheel_has_every_module_and_setting(wheel):
    for name, folder in FOLDERS.items():
        for path in folder.rglob("*"):
            if path.suffix in (".py", ".yaml", ".typed") and "__pycache__" not in path.parts:
                assert f"{name.replace('.', '/')}/{path.relative_to(folder).as_posix()}" in wheel
    assert "worldmodel/py.typed" in wheel
    assert any(name.endswith("/LICENSE") for name in wheel)


def test_every_package_folder_is_listed():
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    found = {
        ".".join([name, *path.parent.relative_to(folder).parts])
        for name, folder in FOLDERS.items()
        for path in folder.rglob("__init__.py")
    }
    assert found == listed


def test_the_version_is_the_same_everywhere():
    assert worldmodel.__version__ == PROJECT["project"]["version"]
    assert f"version: {worldmodel.__version__}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("worldmodel", ("gymnasium", "hydra", "moviepy", "numba", "torch")),
        ("worldmodel.data", ("hydra", "moviepy", "minari", "torch", "worldmodel.envs")),
        ("worldmodel.cli", ("hydra", "gymnasium", "torch")),
        ("worldmodel.model", ("hydra", "moviepy", "accelerate", "worldmodel.envs", "worldmodel.training")),
    ],
)
def test_importing_is_light(module, absent):
    code = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def _imports(path):
    """Names that a module imports, relative ones left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _sources(*folders):
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py")]


def test_no_module_is_imported_by_the_name_of_its_folder():
    for path in _sources("worldmodel", "envs", "agents", "configs", "tests", "benchmarks"):
        wrong = [name for name in _imports(path) if name.split(".")[0] in ("envs", "agents", "configs")]
        assert not wrong, f"{path} imports {wrong}: a second copy of worldmodel.{wrong[0]}"


@pytest.mark.parametrize(
    ("folder", "later"),
    [
        ("configs", ("worldmodel",)),
        ("worldmodel/data", (*LATER, "worldmodel.model", "worldmodel.sampling", "worldmodel.training")),
        ("worldmodel/sampling", (*LATER, "worldmodel.model", "worldmodel.training")),
        ("worldmodel/model", (*LATER, "worldmodel.training")),
        ("worldmodel/training", LATER),
        ("envs", ("worldmodel.agents", "worldmodel.evaluation", "worldmodel.cli")),
        ("agents", ("worldmodel.evaluation", "worldmodel.cli")),
        ("worldmodel/evaluation", ("worldmodel.cli", "worldmodel.configs")),
    ],
)
def test_dependencies_run_one_way(folder, later):
    for path in _sources(folder):
        wrong = [name for name in _imports(path) for other in later if f"{name}.".startswith(f"{other}.")]
        assert not wrong, f"{path} imports {wrong}"


def test_constraints_pin_every_direct_requirement():
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            assert re.fullmatch(r"\d[\w.]*", version), f"{line}: expected name==version, no local version"
            pinned[_normal(name)] = version
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [
        *PROJECT["project"]["dependencies"],
        *(line for name in extras if name != "minerl" for line in extras[name]),
    ]
    names = {_normal(re.split(r"[\[<>=!~; ]", line)[0]) for line in wanted} - {"worldmodel"}
    assert names <= set(pinned)


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_documented_install_is_constrained():
    for path in (ROOT / "README.md", ROOT / "Makefile", *ROOT.glob("docs/*.md")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"pip install\b", line):
                assert "-c constraints.txt" in line, f"{path}: {line}"


def test_continuous_integration_runs_all_checks():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert {"make lint", "make test"} <= set(script.read_text().splitlines())


def test_the_tracked_tree_is_small():
    result = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip("no git checkout")
    files = [ROOT / name for name in result.stdout.split("\0") if name]
    assert sum(path.stat().st_size for path in files if path.exists()) < 40 * 2**20
