"""MineRL as a Gymnasium environment, played with a fake MineRL that behaves; test_failures.py has one that does not."""

import ast
import dataclasses
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from bridge_tools import FAKE, PYTHON
from gymnasium.utils.env_checker import check_env

import worldmodel.envs
from worldmodel.data.minecraft.dictionary import KEYS
from worldmodel.envs.minerl.config import PYTHON_VARIABLE, MineRLConfig
from worldmodel.envs.minerl.errors import Failure, MineRLError
from worldmodel.envs.minerl.spaces import Enum, to_gymnasium

GOLDEN = json.loads((Path(__file__).parent / "golden" / "minerl_0.4.4.json").read_text())
ROOT = Path(__file__).parents[3]
ITEMS = {"place": "torch", "equip": "iron_axe", "craft": "planks", "nearbyCraft": "furnace", "nearbySmelt": "coal"}


def registered(task="MineRLTreechop-v0", **settings):
    return gymnasium.make(worldmodel.envs.MINERL_ID, task=task, python=PYTHON, module=FAKE, **settings)


def test_an_episode_of_the_old_generation(make):
    env = make("MineRLObtainDiamond-v0", length=4)
    observation, info = env.reset(seed=7)
    assert observation in env.observation_space and info == {}
    assert observation["pov"].shape == (64, 64, 3) and (observation["pov"] == 7).all()
    assert observation["equipped_items"]["mainhand"]["type"] == "air"
    for step in range(1, 5):
        observation, reward, terminated, truncated, info = env.step(env.no_op())
        assert observation in env.observation_space and (observation["pov"] == 7 + step).all()
        assert (type(reward), reward) == (float, step)
        assert (terminated, truncated) == (step == 4, False)
    with pytest.raises(gymnasium.error.ResetNeeded, match="step: the episode is over"):
        env.step(env.no_op())
    assert {"python", "numpy"} <= set(env.versions) and env.limit == 18000


def test_strings_of_enums_arrive_as_strings(make):
    env = make("MineRLObtainDiamond-v0")
    env.reset()
    for action in (ITEMS | {"camera": [1.5, -2], "attack": np.array([1])}, env.action_space.sample()):
        info = env.step(action)[4]
        for name, space in env.action_space.spaces.items():
            arrived = info["action"][name]
            if isinstance(space, Enum):
                assert (info["kinds"][name], arrived) == ("str", str(action[name]))
            elif name == "camera":
                assert info["kinds"][name] == "ndarray" and arrived.dtype == np.float32
            else:
                assert info["kinds"][name] == "int" and arrived == int(np.asarray(action.get(name, 0)).item())


def test_an_episode_of_the_new_generation(make):
    env = make("MineRLBasaltFake-v0")
    assert set(env.action_space) == set(KEYS)
    observation, _ = env.reset(seed=1)
    assert observation["pov"].shape == (360, 640, 3) and set(observation["inventory"]) == {"air", "dirt", "oak_log"}
    observation, reward, *_, info = env.step({"hotbar.3": 1, "camera": (0.0, 15.0)})
    assert observation in env.observation_space and (observation["pov"] == 2).all()
    assert info["action"]["hotbar.3"] == 1 and info["action"]["camera"].tolist() == [0, 15]


@pytest.mark.parametrize(
    "task", ["MineRLNavigate-v0", "MineRLTreechopVectorObf-v0", "MineRLBasaltBuildVillageHouse-v0"]
)
def test_spaces_come_over_the_bridge_as_they_were_written_down(make, task):
    env = make(task)
    assert env.action_space == to_gymnasium(GOLDEN[task]["action"])
    assert env.observation_space == to_gymnasium(GOLDEN[task]["observation"])
    assert env.limit == GOLDEN[task]["limit"]


def test_other_kinds_of_spaces(make):
    env = make("Strange-v0")
    assert env.observation_space["range"] == gymnasium.spaces.Discrete(4, start=-1)
    assert env.observation_space["pair"][1].high.tolist() == [1.5, float("inf")]
    observation, _ = env.reset()
    assert observation in env.observation_space and observation["text"] == "hello, world"
    info = env.step({"chat": "/time set day", "menu": [1, 2]})[4]
    assert info["action"]["chat"] == "/time set day" and info["action"]["menu"].tolist() == [1, 2]
    assert str(env.no_op()) == str({"chat": "", "menu": np.zeros(2, np.int64)})


def test_the_seed_is_given_before_every_reset_and_a_run_can_be_repeated(make):
    def worlds(seed):
        env.reset(seed=seed)
        seeds = [env.step({})[4]["seed"]]
        for _ in range(2):
            env.reset()
            seeds.append(env.step({})[4]["seed"])
        return seeds

    env = make("MineRLTreechop-v0", quiet=True)
    first = worlds(5)
    assert first[0] == 5 and len(set(first)) == 3 and all(isinstance(seed, int) for seed in first)
    assert worlds(5) == first != worlds(6)


@pytest.mark.parametrize(("length", "truncated"), [(197, False), (198, True), (200, True)])
def test_the_end_of_time_truncates_although_minerl_does_not_say_so(make, length, truncated):
    env = make("MineRLTreechop-v0", limit=200, length=length)
    env.reset()
    for _ in range(length - 1):
        assert env.step({})[2:4] == (False, False)
    assert env.step({})[2:4] == (not truncated, truncated)


def test_truncation_that_is_told_is_believed(make):
    env = make("MineRLTreechop-v0", length=3, told=True)
    env.reset()
    assert [env.step({})[2:4] for _ in range(3)] == [(False, False), (False, False), (False, True)]


def test_the_picture_alone(make):
    env = make(settings={"observation": "pov", "render_mode": "rgb_array"})
    observation, info = env.reset(seed=2)
    assert observation in env.observation_space and env.observation_space.shape == (64, 64, 3)
    assert set(info) == {"compass", "inventory"}
    observation, *_, info = env.step({})
    assert set(info) >= {"compass", "inventory", "seed"} and (observation == 3).all()
    np.testing.assert_array_equal(env.render(), observation)
    env.render()[:] = 0
    assert env.render().all()


def test_observations_are_the_callers_own(make):
    env = make(settings={"render_mode": "rgb_array"})
    first, _ = env.reset(seed=3)
    first["pov"][:] = 99
    second = env.step({})[0]
    assert (first["pov"] == 99).all() and (second["pov"] == 4).all() and (env.render() == 4).all()


def test_it_is_registered_and_gymnasium_finds_nothing_wrong():
    env = registered(render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about spaces, which are MineRL's
        check_env(env.unwrapped, skip_render_check=True)
    env.close()
    env = registered(max_episode_steps=2)
    env.reset(seed=0)
    assert [env.step({})[2:4] for _ in range(2)] == [(False, False), (False, True)]
    env.close()


def test_several_at_once():
    envs = gymnasium.make_vec(
        worldmodel.envs.MINERL_ID, 2, task="MineRLTreechop-v0", python=PYTHON, module=FAKE, observation="pov"
    )
    observations, _ = envs.reset(seed=[1, 4])
    assert observations[:, 0, 0, 0].tolist() == [1, 4]
    assert envs.step(envs.action_space.sample())[1].tolist() == [1, 1]
    envs.close()


def test_after_close_it_starts_again(make):
    env = make()
    env.reset(seed=1)
    env.close()
    env.close()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step({})
    assert (env.reset(seed=2)[0]["pov"] == 2).all()


def test_nothing_happens_before_reset(make):
    env = make()
    with pytest.raises(gymnasium.error.ResetNeeded, match="step: the episode has not begun"):
        env.step({})
    with pytest.raises(ValueError, match=r"options: expected none, got \['biome'\]"):
        env.reset(options={"biome": "desert"})
    env.reset()
    with pytest.raises(ValueError, match=r"action\['place'\]"):
        env.step({"place": "stone"})
    assert env.step({})[1] == 1


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"taks": "a"}, TypeError, "settings: expected any of .*'task'.*got 'taks'"),
        ({"module": ""}, TypeError, "module: expected a name"),
        ({"python": 3}, TypeError, "python: expected a path"),
        ({"environment": {1: "a"}}, TypeError, "environment: expected a dictionary"),
        ({"step_timeout_seconds": 0}, ValueError, "step_timeout_seconds: expected seconds from 0.01"),
        ({"restarts": -1}, ValueError, "restarts: expected a whole number"),
        ({"observation": "rgb"}, ValueError, r"observation: expected one of \['dict', 'pov'\], got 'rgb'"),
        ({"on_failure": "ignore"}, ValueError, "on_failure: expected one of"),
        ({"render_mode": "human"}, ValueError, "render_mode: expected None or one of"),
        ({"python": "/nowhere/python"}, FileNotFoundError, "python: expected the path.*got '/nowhere/python'"),
    ],
)
def test_bad_settings_are_refused(make, settings, error, message):
    with pytest.raises(error, match=message):
        make(settings=settings)


def test_the_interpreter_is_found(monkeypatch):
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    with pytest.raises(FileNotFoundError, match=f"python: expected .*{PYTHON_VARIABLE} .docs/minerl.md"):
        MineRLConfig(module="no_such_minerl").interpreter()
    assert MineRLConfig(module="json").interpreter() == sys.executable
    monkeypatch.setenv(PYTHON_VARIABLE, sys.executable)
    assert MineRLConfig(module="no_such_minerl").interpreter() == sys.executable
    monkeypatch.setenv(PYTHON_VARIABLE, "/nowhere/python")
    with pytest.raises(FileNotFoundError, match=f"{PYTHON_VARIABLE}: expected .*'/nowhere/python'"):
        MineRLConfig().interpreter()


@pytest.mark.skipif(not os.environ.get(PYTHON_VARIABLE), reason=f"{PYTHON_VARIABLE} names no interpreter with MineRL")
def test_the_spaces_of_the_real_minerl(make):
    for task, said in GOLDEN.items():
        try:
            env = make(task, {"module": "minerl"})
        except MineRLError as error:
            pytest.skip(str(error).splitlines()[0])
        assert env.action_space == to_gymnasium(said["action"])
        assert env.observation_space == to_gymnasium(said["observation"])


def test_what_cannot_be_made_is_told(make):
    with pytest.raises(MineRLError, match="task: 'MineRLNothing-v0' could not be made by .*No registered env") as error:
        make("MineRLNothing-v0")
    assert error.value.failure is Failure.START
    with pytest.raises(MineRLError, match="No module named 'no_such_minerl'") as error:
        make(settings={"module": "no_such_minerl"})
    with pytest.raises(MineRLError, match=r"action_space\['key'\]: expected one of MineRL's spaces, got Strange"):
        make("Unknown-v0")
    with pytest.raises(MineRLError, match="(?s)the MineRL process has ended .*No module named 'encodings'"):
        make(settings={"environment": {"PYTHONHOME": "/nowhere"}})
    with pytest.raises(MineRLError, match="the MineRL process has ended") as error:
        make(settings={"python": "true"})
    assert error.value.failure is Failure.CRASH


def test_a_specification_can_be_made_too(make, tmp_path):
    (tmp_path / "my_specs.py").write_text(
        "import fake_minerl\n"
        "class Mine:\n"
        "    def __init__(self, resolution): self.resolution = resolution\n"
        "    def make(self): return fake_minerl.make('MineRLNavigate-v0')\n"
    )
    paths = f"{tmp_path}:{Path(FAKE).parent}"
    env = make("my_specs:Mine", {"module": "my_specs", "environment": {"PYTHONPATH": paths}}, resolution=[640, 360])
    assert env.limit == 6000


def test_importing_the_environments_imports_nothing_of_it():
    program = "import sys, worldmodel.envs; assert not [name for name in sys.modules if 'minerl' in name.lower()]"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_what_minerl_prints_can_be_kept(make, tmp_path):
    log = tmp_path / "minerl.log"
    env = make(settings={"log": str(log)})
    env.reset()
    assert "MineRL prints such things" in log.read_text(errors="replace")


def test_the_page_and_the_command_line_have_the_settings():
    from omegaconf import OmegaConf

    page = (ROOT / "docs" / "minerl.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `?([^`|]+?)`? \|", page.split("### Settings")[1].split("###")[0], re.MULTILINE)
    defaults = {field.name: getattr(MineRLConfig(), field.name) for field in dataclasses.fields(MineRLConfig)}
    plain = {name: getattr(value, "value", value) for name, value in defaults.items()}
    assert [name for name, _ in rows] == [*plain, "render_mode"]
    assert all(ast.literal_eval(said) == (plain | {"render_mode": None})[name] for name, said in rows)
    failures = re.findall(r"^\| `([A-Z]+)` \|", page, re.MULTILINE)
    assert failures == [failure.name for failure in Failure]
    settings = OmegaConf.to_object(OmegaConf.load(ROOT / "configs" / "env" / "minerl.yaml"))
    assert settings["id"] == worldmodel.envs.MINERL_ID
    assert settings["kwargs"].items() <= (plain | {"observation": "pov"}).items()


@pytest.mark.parametrize("task", ["MineRLTreechop-v0", "MineRLNavigate-v0"])
def test_a_rollout_on_the_command_line(tmp_path, monkeypatch, capsys, task):
    from worldmodel.cli import main

    monkeypatch.chdir(tmp_path)
    settings = [f"env.kwargs.task={task}", f"env.kwargs.python={PYTHON}", f"env.kwargs.module={FAKE}"]
    assert main(["rollout", "env=minerl", "player=random", "steps=3", "output=out", *settings]) == 0
    figures = json.loads(Path("out/rollout.json").read_text())
    assert [step["reward"] for step in figures["steps"]] == [1, 2, 3]
    assert task != "MineRLNavigate-v0" or figures["steps"][0]["action"]["place"] in ("dirt", "none")
    assert main(["rollout", "env=minerl", "env.kwargs.python=/nowhere/python"]) == 2
    assert "python: expected the path of a Python interpreter" in capsys.readouterr().err
