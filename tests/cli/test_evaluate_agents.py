"""`worldmodel evaluate agent=...` from the outside: small worlds, few steps, and a checkpoint that knows nothing."""

import json
import os
import signal
from pathlib import Path

import pytest

from worldmodel.cli import contest, main
from worldmodel.cli.errors import UsageError
from worldmodel.cli.evaluate_agents import agent_configs

SMALL = ["env.kwargs.height=48", "env.kwargs.width=48", "env.kwargs.view_distance=16", "env.kwargs.frame_skip=2"]
FEW = ["episodes=2", "episode_steps=4", "plans=2", "plans_after_steps=2", "horizons=[1,2]"]
PLAN = "horizon_steps: 2, candidates: 4, elites: 2, iterations: 1"


@pytest.fixture(autouse=True)
def _folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def evaluate(*settings):
    """Runs the command, and returns its exit status."""
    return main(["evaluate", "env=navigate_dense", "output=out", *SMALL, *FEW, *settings])


def report():
    return json.loads(Path("out/report.json").read_text())


def test_agents_side_by_side(checkpoint, capsys):
    entries = f"truth: {{name: planner, kwargs: {{{PLAN}}}, env: {{actions: discrete}}, note: sees all}}"
    entries += f", dream: {{name: planner, kwargs: {{{PLAN}, checkpoint: {checkpoint}, num_steps: 1}}}}"
    assert evaluate(f"agent={{{entries}}}", f"checkpoint={checkpoint}", "num_steps=1") == 0
    out = capsys.readouterr().out
    for words in ("return of random", "truth beats random", "gap of dream at 2 steps", "gap of truth, 2 steps"):
        assert words in out
    assert out.splitlines()[-2:] == ["out/report.md", "out/report.json"]
    found = report()
    assert found["model"] == "agents in worldmodel/VoxelNavigateDense-v0" and len(found["stamp"]) == 16
    assert list(found["sections"]) == ["returns", "plans", "dreams"]
    assert [row[0] for row in found["sections"]["returns"]["tables"][0]["rows"]] == ["random", "truth", "dream"]
    assert found["sections"]["returns"]["tables"][0]["rows"][1][-1] == "sees all"
    assert found["sections"]["plans"]["figures"]["truth_2_gap"]["value"] == 0
    assert found["agents"]["dream"]["stamp"] == found["stamp"] and found["agents"]["truth"]["stamp"] == ""
    assert {"report.md", "returns.png", "plans.png", "dreams.png"} <= {path.name for path in Path("out").iterdir()}
    seeds = [episode["seed"] for episode in json.loads(Path("out/episodes/dream.json").read_text())["episodes"]]
    assert seeds == [1_000_100_000, 1_000_100_001]


def test_more_agents_and_episodes_join_what_is_done(capsys):
    assert evaluate("agent=idle") == 0
    before = Path("out/episodes/random.json").stat().st_mtime_ns
    assert "plans    left out" in capsys.readouterr().out
    assert evaluate("agent=[idle,explorer]") == 0
    assert Path("out/episodes/random.json").stat().st_mtime_ns == before
    assert set(report()["agents"]) == {"random", "idle", "explorer"}
    assert evaluate("agent=idle", "episodes=3") == 0
    assert report()["sections"]["returns"]["figures"]["idle_return"]["number"] == 3
    capsys.readouterr()
    assert evaluate("agent=idle", "episode_steps=5") == 2
    assert "episode_steps: expected 4, with which the evaluation in out was begun, got 5" in capsys.readouterr().err
    assert evaluate("agent.explorer.name=random") == 2
    assert "agent.explorer: expected {'name': 'explorer'" in capsys.readouterr().err


def test_ctrl_c_keeps_whole_episodes(monkeypatch, capsys):
    ask, asked = contest.Contest._ask, []

    def interrupted(self):
        asked.append(1)
        if len(asked) == 8:  # in the second episode
            os.kill(os.getpid(), signal.SIGINT)
        return ask(self)

    monkeypatch.setattr(contest.Contest, "_ask", interrupted)
    assert evaluate("agent=random") == 130
    assert capsys.readouterr().out == "interrupted; go on with the same command and output=out\n"
    kept = json.loads(Path("out/episodes/random.json").read_text())["episodes"]
    assert len(kept) == 1 and len(kept[0]["rewards"]) == 4 and not Path("out/report.json").exists()
    monkeypatch.setattr(contest.Contest, "_ask", ask)
    assert evaluate("agent=random") == 0
    assert json.loads(Path("out/episodes/random.json").read_text())["episodes"][0] == kept[0]


def test_worlds_that_are_done_at_the_start_are_refused(monkeypatch):
    from worldmodel.evaluation import contest as playing

    ends_at_once = playing.ends_at_once
    monkeypatch.setattr(playing, "ends_at_once", lambda env, seed: seed % 2 == 0 or ends_at_once(env, seed))
    assert evaluate("agent=random") == 0
    assert report()["refused_seeds"] == [1_000_100_000, 1_000_100_002]
    assert "2 worlds were refused" in Path("out/report.md").read_text()


def test_the_goal_at_the_start_of_a_real_environment_is_refused(monkeypatch, capsys):
    from worldmodel.envs.voxel.tasks import Navigate

    monkeypatch.setattr(Navigate, "REACHED", 1000.0)
    assert evaluate("agent=random") == 2
    assert "env: expected worlds in which something is left to do" in capsys.readouterr().err


def test_a_planner_in_an_environment_without_states(capsys):
    pytest.importorskip("minigrid")
    settings = ["env=minigrid", "env.kwargs.level=MiniGrid-Empty-5x5-v0", "env.kwargs.height=16", "env.kwargs.width=16"]
    kwargs = [f"agent.truth.kwargs={{{PLAN}}}", "agent.truth.name=planner"]
    assert main(["evaluate", *settings, *kwargs, "output=out", *FEW]) == 0
    assert report()["sections"]["plans"]["figures"]["truth_2_gap"]["value"] == 0
    assert "agents in worldmodel/MiniGrid-v0, MiniGrid-Empty-5x5-v0" in Path("out/report.md").read_text()


def test_the_forms_of_agents():
    assert list(agent_configs("planner")) == ["random", "planner"]
    assert list(agent_configs(["idle", "random"])) == ["idle", "random"]
    found = agent_configs({"mine": {"name": "planner", "kwargs": {"elites": 3}}, "random": {"name": "idle"}})
    assert (
        list(found) == ["mine", "random"] and found["mine"].kwargs == {"elites": 3} and found["random"].name == "idle"
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "agent: expected a player, several in brackets, or named entries, got None"),
        ([], "agent: expected different names of players, got []"),
        (["idle", "idle"], "agent: expected different names of players"),
        (
            {"a": "planner"},
            "agent.a: expected name, kwargs, env, note, got 'planner'; for example agent.a.name=planner",
        ),
        ({"a": {"nmae": "planner"}}, "agent.a: expected name, kwargs, env, note"),
        ({"a": {"kwargs": {}}}, "agent.a.name: expected a player, got None"),
        ({"a": {"name": "idle", "env": 3}}, "agent.a.env: expected names and values, got 3"),
        ({"../a": {"name": "idle"}}, "agent: expected names of letters, digits, _ and -, got '../a'"),
    ],
)
def test_bad_agents(value, message):
    with pytest.raises(UsageError) as error:
        agent_configs(value)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["agent=nobody"], "agent.nobody: player nobody: name: expected a player among"),
        (["agent.idle.name=idle", "agent.idle.kwargs.speed=3"], "agent.idle: player idle"),
        (["agent=idle", "episodes=0"], "episodes: expected at least 1, got 0"),
        (["agent=idle", "episodes=2000"], "episodes: expected 1 to 1000, got 2000"),
        (["agent=idle", "plans=-1"], "plans: expected at least 0, got -1"),
        (["agent=idle", "horizons=[0,2]"], "horizons: expected numbers of steps from 1 on, got [0, 2]"),
        (["agent=idle", "num_steps=65"], "num_steps: expected 1 to 64, got 65"),
        (["agent=idle", "checkpoint=nowhere"], "checkpoint: expected a folder with config.json"),
        (["agent.idle.name=idle", "agent.idle.env.frame_skip=1"], "frame_skip: expected the same for all agents, got"),
        (["agent=idle", "episode=3"], "did you mean episodes?"),
    ],
)
def test_bad_settings(capsys, settings, message):
    assert evaluate(*settings) == 2
    assert message in capsys.readouterr().err and not Path("out").exists()


def test_a_model_of_other_frames_is_refused(checkpoint, capsys):
    for settings, message in (
        (["env.kwargs.height=64"], "checkpoint: expected an environment with frames (48, 48, 3)"),
        (["env.kwargs.frame_skip=1"], "checkpoint: expected an environment whose steps are as long as the model's, 2"),
    ):
        assert evaluate("agent=idle", f"checkpoint={checkpoint}", *settings) == 2
        assert message in capsys.readouterr().err


def test_a_model_of_other_actions_is_refused(checkpoint, capsys):
    pytest.importorskip("minigrid")
    settings = ["env.kwargs.height=48", "env.kwargs.width=48", "env.kwargs.frame_skip=2", "output=out"]
    assert main(["evaluate", "env=minigrid", "agent=idle", f"checkpoint={checkpoint}", *settings]) == 2
    assert "checkpoint: expected the actions that the model was trained with, Dict(" in capsys.readouterr().err


def test_help(capsys):
    assert main(["evaluate", "--help", "agent=planner"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Usage: worldmodel evaluate agent=... [name=value ...]") and "plans_after_steps=16" in out
    assert main(["evaluate", "--help"]) == 0
    out = capsys.readouterr().out
    assert "preset.clips=" in out and "--help agent=random" in out
