"""`worldmodel plan`: a plan in a dream, done in the real environment, and the video of both."""

import json

import numpy as np
import pytest
from PIL import Image

from worldmodel.cli import main
from worldmodel.data.video import read_video, video_info

SMALL = [
    "player.kwargs.horizon_steps=2",
    "player.kwargs.replan_steps=2",
    "player.kwargs.candidates=6",
    "player.kwargs.elites=2",
    "player.kwargs.iterations=2",
    "player.kwargs.num_steps=1",
    "context_steps=3",
    "goal_steps=3",
    "plans=2",
    "shown=4",
    "tile_pixels=48",
]


def plan(checkpoint, folder, *more):
    return main(["plan", f"checkpoint={checkpoint}", f"output={folder}", *SMALL, *more])


@pytest.fixture(scope="module")
def planned(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan") / "out"
    assert plan(checkpoint, folder) == 0
    return folder


def test_figures_of_each_plan(planned):
    acts = json.loads((planned / "plan.json").read_text())["acts"]
    assert len(acts) == 2
    for act in acts:
        assert act["tried"] == 12 and len(act["scores_of_shown"]) == 4
        assert act["score"] >= max(act["scores_of_shown"]), "the plan is the best of what was tried"
        assert len(act["imagined_to_real"]) == 2 and min(act["imagined_to_real"]) > 0
    assert acts[1]["to_goal_before"] == acts[0]["to_goal_after"] > 0


def test_the_video_shows_every_step_and_the_sheet_every_plan(planned):
    frames = np.stack(list(read_video(planned / "plan.mp4")))
    pauses_and_steps = 2 * (3 + 2 + 3)
    assert len(frames) == pauses_and_steps
    assert video_info(planned / "plan.mp4").fps == pytest.approx(4)
    with Image.open(planned / "plan.png") as sheet:
        assert sheet.width > 4 * 96 and sheet.height > 2 * 96


def test_in_the_environment_itself_a_plan_is_what_happens(checkpoint, tmp_path):
    assert plan(checkpoint, tmp_path / "truth", "player.kwargs.checkpoint=null", "plans=1") == 0
    (act,) = json.loads((tmp_path / "truth" / "plan.json").read_text())["acts"]
    assert act["imagined_to_real"] == [0, 0]


def test_a_goal_of_ones_own(checkpoint, planned, tmp_path):
    Image.fromarray(np.full((60, 60, 3), 200, np.uint8)).save(tmp_path / "goal.png")
    assert plan(checkpoint, tmp_path / "own", f"player.kwargs.goal={tmp_path}/goal.png", "plans=1") == 0
    assert plan(checkpoint, tmp_path / "reward", "player.kwargs.objective=reward", "plans=1") == 0
    assert "to_goal_before" not in json.loads((tmp_path / "reward" / "plan.json").read_text())["acts"][0]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["plans=0"], "plans: expected at least 1, got 0"),
        (["goal_steps=-1"], "goal_steps: expected at least 0, got -1"),
        (["goal_steps=0"], "goal_steps: expected that the guide goes somewhere else, after 0 steps"),
        (["guide.name=idle", "guide.kwargs={}"], "player idle: |goal_steps: expected that the guide goes somewhere"),
        (["player=random"], "player: expected planner, got random"),
        (["player.kwargs.candidates=0"], "player planner: candidates: expected a whole number of at least 1, got 0"),
        (["actions=no_such"], "actions"),
    ],
)
def test_what_is_refused(checkpoint, tmp_path, capsys, overrides, message):
    assert plan(checkpoint, tmp_path / "out", *overrides) == 2
    error = capsys.readouterr().err
    assert any(part in error for part in message.split("|"))
    assert not (tmp_path / "out").exists()
