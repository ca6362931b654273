"""`worldmodel rollout env=imagined`, with a tiny checkpoint that has learned nothing."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from worldmodel.cli import main
from worldmodel.cli.dreaming import TwinSource, read_image
from worldmodel.cli.errors import UsageError
from worldmodel.data import read_video, video_info
from worldmodel.envs.twin import TwinStep

SIDE = 48


@pytest.fixture(autouse=True)
def _folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def rollout(checkpoint):
    """Runs the command, and returns its exit status."""

    def run(*settings, env=checkpoint):
        fast = [f"env.kwargs.checkpoint={env}", "env.kwargs.num_steps=1"]
        return main(["rollout", "env=imagined", *fast, "steps=4", "seed=2", "output=out", *settings])

    return run


def figures():
    return json.loads(Path("out/rollout.json").read_text())


def views():
    """Pictures of the video, in their own size: (frames, 2, H, W, 3)."""
    scale, gap = 6, 8
    band = round(22 * (2 * scale * SIDE + gap) / 512)  # it grows with the width
    frames = np.stack(list(read_video("out/rollout.mp4")))[:, band : band + SIDE * scale]
    pair = frames[:, :, : SIDE * scale], frames[:, :, SIDE * scale + gap :]
    return np.stack([view.reshape(-1, SIDE, scale, SIDE, scale, 3).mean((2, 4)) for view in pair], 1)


def test_a_dream_is_shown_beside_the_truth(rollout, capsys):
    assert rollout("context_steps=3") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("4 steps, 9 frames, reward ") and " dB; ran for the steps" in out[0]
    assert out[-1] == "out/rollout.mp4, contact_sheet.png, rollout.json"
    info = video_info("out/rollout.mp4")
    assert (info.width, info.num_frames, info.fps) == (2 * 6 * SIDE + 8, 9, 20)
    noted = figures()
    assert noted["twin"]["id"] == "worldmodel/Voxel-v0" and noted["twin"]["kwargs"]["frame_skip"] == 2
    assert noted["prompt"] is None and noted["env"]["kwargs"]["num_steps"] == 1
    assert set(noted["start"]["real"]) == {"pose", "events", "caption"}
    for step in noted["steps"]:
        assert set(step["action"]) >= {"camera", "forward"} and 0 < step["trust"] <= 1
        assert step["caption"] == noted["start"]["caption"]  # what the dream was told
        assert {"reward", "terminated", "truncated", "pose", "caption"} <= set(step["real"])
        assert (step["terminated"], step["real"]["terminated"]) == (False, False)
    assert noted["mean_psnr"] == pytest.approx(np.mean([step["psnr"] for step in noted["steps"]]))
    # The picture says what the figures say, as far as the codec lets it.
    for step, (dream, truth) in zip(noted["steps"], views()[2::2], strict=True):
        assert 10 * np.log10(255**2 / np.square(dream - truth).mean()) == pytest.approx(step["psnr"], abs=1)


def test_the_truth_is_what_the_player_does_alone(rollout, capsys):
    assert rollout("context_steps=2") == 0
    twin, shown = figures(), views()
    alone = ["env.kwargs.height=48", "env.kwargs.width=48", "env.kwargs.view_distance=16", "env.kwargs.frame_skip=2"]
    assert main(["rollout", *alone, "steps=6", "seed=2", "output=out"]) == 0
    real = figures()
    assert [step["real"]["pose"] for step in twin["steps"]] == [step["pose"] for step in real["steps"][2:]]
    assert [step["action"] for step in twin["steps"]] == [step["action"] for step in real["steps"][2:]]
    frames = np.stack(list(read_video("out/rollout.mp4")))[4:, : 11 * SIDE]
    small = frames.reshape(-1, SIDE, 11, SIDE, 11, 3).mean((2, 4))
    assert np.abs(shown[:, 1] - small).mean() < 4


def test_the_same_command_gives_the_same_dream(rollout, capsys):
    for settings in (["player=random"], ["player=policy", "prompt=snow"]):
        assert rollout(*settings) == 0
        first = figures()
        assert rollout(*settings) == 0
        assert figures() == first


def test_the_contact_sheet_shows_pairs(rollout, capsys):
    assert rollout("steps=3") == 0
    assert Image.open("out/contact_sheet.png").size == (4 + 4 * (SIDE + 4), 4 + 2 * (SIDE + 15) + 4)
    assert rollout("steps=14") == 0
    assert Image.open("out/contact_sheet.png").size == (4 + 6 * (SIDE + 4), 4 + 2 * (2 * (SIDE + 15) + 4))
    assert rollout("twin=false", "player=idle") == 0
    assert Image.open("out/contact_sheet.png").size == (4 + 5 * (SIDE + 4), 4 + SIDE + 4)


def test_the_model_plays_itself_from_a_prompt(rollout, capsys):
    assert rollout("player=policy", "prompt=a Minecraft player walks, slowly, through a forest") == 0
    noted = figures()
    assert noted["prompt"] == noted["start"]["caption"] == "a Minecraft player walks, slowly, through a forest"
    assert noted["twin"] is None and "mean_psnr" not in noted
    for step in noted["steps"]:
        assert len(step["action"]) == 2 and all("camera" in tick for tick in step["action"])
        assert 0 < step["trust"] <= 1 and "psnr" not in step
    info = video_info("out/rollout.mp4")
    assert (info.width, info.num_frames, info.fps) == (11 * SIDE, 9, 20)


def test_players_of_the_dream_play_beside_the_truth(rollout, capsys):
    assert main(["record", "steps=12", "episodes=1", "seed=5", "output=recording"]) == 0
    lines = [json.loads(line) for line in Path("recording/episode_000000.jsonl").read_text().splitlines()]
    for player in ("policy", "recorded player.kwargs.path=recording"):
        assert rollout(*f"player={player} context_steps=1".split()) == 0
        noted = figures()
        assert all(isinstance(step["action"], dict) and "psnr" in step for step in noted["steps"])
    # One action of two; the first of them was context.
    cameras = [[line["mouse"]["dy"] * 0.15, line["mouse"]["dx"] * 0.15] for line in lines[2:10:2]]
    assert np.allclose([step["action"]["camera"] for step in noted["steps"]], cameras, atol=1e-4)


def test_a_dream_starts_from_a_picture(rollout, capsys):
    Image.fromarray(np.full((60, 100, 3), (200, 40, 40), np.uint8)).save("red.png")
    assert rollout("player=keys", "player.kwargs.keys=forward*2, look up 20", "image=red.png", "prompt=red") == 0
    noted = figures()
    assert noted["image"] == "red.png" and noted["start"]["caption"] == "red" and noted["twin"] is None
    # A step has two ticks.
    assert [step["action"]["camera"] for step in noted["steps"]] == [[0, 0], [0, 0], [-5, 0], [-5, 0]]


def test_pictures_are_cut_and_resized():
    picture = np.zeros((40, 120, 3), np.uint8)
    picture[:, 40:80] = 255
    Image.fromarray(picture).save("wide.png")
    assert read_image("wide.png", 20, 20)[:, 1:-1].min() > 250  # the middle, whole; its edges are smooth
    assert read_image("wide.png", 16, 48).shape == (16, 48, 3)


def test_a_dream_ends_when_trust_is_lost(rollout, capsys):
    assert rollout("env.kwargs.min_trust=1", "env.kwargs.num_steps=2") == 0
    assert "1 steps, 3 frames" in (out := capsys.readouterr().out) and "the dreamed episode was truncated" in out
    assert figures()["steps"][0]["truncated"] and not figures()["steps"][0]["real"]["truncated"]
    assert rollout("env.kwargs.min_trust=1", "env.kwargs.num_steps=2", "twin=false", "player=random") == 0
    assert "1 steps, 3 frames" in (out := capsys.readouterr().out) and "the episode was truncated" in out


def test_without_a_twin_the_dream_is_alone(rollout, checkpoint, capsys):
    shutil.copytree(checkpoint, "orphan")
    config = json.loads(Path("orphan/config.json").read_text())
    config["metadata"]["env_id"] = ""
    Path("orphan/config.json").write_text(json.dumps(config))
    assert rollout("player=random", env="orphan") == 0
    assert "the dream has no twin: checkpoint: expected a model of an environment" in capsys.readouterr().out
    assert figures()["twin"] is None
    assert rollout(env="orphan") == 2
    message = capsys.readouterr().err.splitlines()[0]
    assert "the dream is alone (the dream has no twin: " in message and "twin=true" not in message


WRONG = {
    "twin=false": "player explorer: it reads the blocks of the real environment, and the dream is alone; choose one of "
    "random, idle, keys, recorded, policy, learned, planner, ppo, or leave out prompt and image, with twin=true",
    "prompt=snow; player=lumberjack": "player lumberjack: it reads the blocks of the real environment",
    f"prompt={'snow ' * 200}; player=idle": "prompt: expected at most",
    "image=nothing.png; player=idle": "image: expected a picture file, got 'nothing.png'",
    "image=file; player=idle": "image: expected a picture file, got 'file'",
    "env.kwargs.num_steps=0": "env worldmodel/Imagined-v0: num_steps: expected",
    "env.kwargs.checkpoint=nowhere": "env worldmodel/Imagined-v0: checkpoint: expected",
    "env.kwargs.speed=3": "env worldmodel/Imagined-v0: settings: expected any of",
    "player=policy; env.kwargs.actions=discrete": "player policy: env: expected the action space",
    "player=keys; player.kwargs.keys=fly": "player keys: keys: part 1 of 1, 'fly': expected keys among",
    "player=recorded; player.kwargs.path=nowhere": "player recorded: nowhere: expected episodes",
    "player=random; player.kwargs.mood=3": "player random: ",
    "twin=perhaps": "twin: ",
    "context_steps=-2": "context_steps: expected 0 or more, got -2",
}


@pytest.mark.parametrize("settings", WRONG)
def test_a_wrong_command_gets_one_line_that_helps(rollout, capsys, settings):
    Path("file").write_text("no picture")
    assert rollout(*settings.split("; ")) == 2
    captured = capsys.readouterr()
    assert WRONG[settings] in captured.err.splitlines()[0] and "Traceback" not in captured.err
    assert not Path("out").exists()


class _EndingTwin:
    """A twin whose real episode ends in the middle of the second step, and cannot begin with seed 13."""

    imagined = SimpleNamespace(metadata={"render_fps": 10.0}, frames_per_step=2)
    real = SimpleNamespace(spec=None)
    steps = 0

    def reset(self, *, seed, act):
        if seed == 13:
            raise RuntimeError("the real episode with seed 13 ended within its first steps; choose another")
        frame = np.zeros((4, 4, 3), np.uint8)
        return frame, frame, {"caption": "x"}

    def step(self, action):
        self.steps += 1
        over = self.steps == 2
        frames = np.full((2, 4, 4, 3), self.steps, np.uint8)
        return TwinStep(
            real=(frames[0], 1.5, over, False, {"caption": "y"}),
            imagined=(frames[0], 0.5, False, False, {"caption": "x", "step": self.steps, "trust": 0.7}),
            real_frames=frames[: 1 if over else 2],
            imagined_frames=frames,
            psnr=20.0 + self.steps,
        )


class _Still:
    def reset(self, seed):
        pass

    def act(self, observation, info):
        return {}


def test_a_dream_ends_with_the_truth():
    source = TwinSource(_EndingTwin(), _Still(), "still")
    moments = list(source.play(0, 10))
    assert [moment.ended for moment in moments] == ["", "", "the real episode terminated"]
    assert [len(list(moment.ticks())) for moment in moments] == [1, 2, 2]
    assert all(pictures.shape == (2, 4, 4, 3) for moment in moments for pictures, _ in moment.ticks())
    assert source.about() == {"prompt": None, "image": None, "twin": None, "total_real_reward": 3.0, "mean_psnr": 21.5}


def test_a_start_that_fails_is_explained():
    with pytest.raises(UsageError, match="seed: the real episode with seed 13 ended"):
        next(TwinSource(_EndingTwin(), _Still(), "still").play(13, 10))
