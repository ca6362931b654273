"""`worldmodel loop` on a corridor of three cells: two rounds, killed at every stage, resumed, and with bad settings."""

import contextlib
import io
import json
import os
import shutil
import signal
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from PIL import Image

from worldmodel.cli import loop, loop_stages, main
from worldmodel.cli.loop_stages import STAGES, Round
from worldmodel.cli.playing import Interruption
from worldmodel.data import EpisodeStore
from worldmodel.data.splits import FIRST_EVALUATION_SEED
from worldmodel.model import WorldModel

ENV_ID = "test_loop/Corridor-v0"
SEEDS = [FIRST_EVALUATION_SEED + 110_000 + i for i in range(3)]
TINY = [
    *("env=gymnasium", f"env.id={ENV_ID}", "compute=tiny", "rounds=2", "episode_steps=8", "evaluate_episodes=3"),
    *("collect.frames=60", "collect.held_out_percent=20", "collect.explore_share=0.5", "collect.lint=false"),
    *("model.latent_patch=1", "model.channels=4", "learning.dreams=2", "learning.horizon_steps=2"),
    *("compression.max_minutes=null", "compression.max_steps=2", "compression.batch_size=4"),
    *("denoiser.max_minutes=null", "denoiser.max_steps=2", "denoiser.batch_size=2", "denoiser.clip_latents=2"),
    *("learning.max_minutes=null", "learning.max_steps=1", "learning.cloning_steps=1", "learning.cloning_batch=2"),
]


class Corridor(gymnasium.Env):
    """A lit cell that goes left or right; 1 for the last cell, which ends the episode."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = gymnasium.spaces.Box(0, 255, (8, 24, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)
    played: list[int] = []
    """Seeds of all episodes."""
    stop_at: int | None = None
    """Episode, counted from 0 on, in which somebody presses Ctrl-C."""

    def __init__(self, render_mode=None, frame_skip=1):
        self.render_mode, self.frames_per_step = render_mode, frame_skip

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if len(self.played) == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        self.played.append(seed)
        self.cell = int(self.np_random.integers(2))
        return self._picture(), {}

    def step(self, action):
        self.cell = max(0, self.cell + 2 * int(action) - 1)
        return self._picture(), float(self.cell == 2), self.cell == 2, False, {}

    def _picture(self):
        picture = np.full((8, 24, 3), 40, np.uint8)
        picture[:, 8 * self.cell : 8 * self.cell + 8] = 220
        return picture


@pytest.fixture(scope="module", autouse=True)
def _registered():
    """The environment is known; the pictures of training and learning, seconds of work, are not drawn."""
    gymnasium.register(ENV_ID, Corridor)
    with pytest.MonkeyPatch.context() as patch:
        for picture in ("plot_metrics", "action_sheet", "comparison_video", "reconstruction_sheet"):
            patch.setattr(f"worldmodel.training.run.{picture}", lambda *_: None)
        patch.setattr("worldmodel.training.logs.plot_metrics", lambda *_: None)
        yield
    del gymnasium.registry[ENV_ID]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(Corridor, "played", [])
    monkeypatch.setattr(Corridor, "stop_at", None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, _registered):
    """A loop of one round and then two, undisturbed: its folder, the seeds that were played in order, and its words.

    Beside the folder, `half` is as it was after the first round.
    """
    folder, words = tmp_path_factory.mktemp("loop") / "whole", io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(words):
        patch.setattr(Corridor, "played", [])
        assert main(["loop", *TINY, f"output={folder}", "rounds=1"]) == 0
        shutil.copytree(folder, folder.with_name("half"))
        assert main(["loop", *TINY, f"output={folder}"]) == 0
        return folder, Corridor.played, words.getvalue().splitlines()


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(finished[0], tmp_path / "whole")


def configured(folder, *overrides):
    return loop.settings.load("loop", loop.LoopConfig, [*TINY, f"output={folder}", *overrides])


def rounds_in(folder):
    return json.loads((folder / loop.JOURNAL).read_text())["rounds"]


def contents(folder):
    """What must not depend on interruptions: data, weights, figures; times do."""
    paths = [folder / "loop.json", folder / "report.json", *folder.rglob("*.safetensors")]
    return contents_of_data(folder) | {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def contents_of_data(folder):
    paths = [path for path in folder.glob("data/**/*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_everything_is_there(finished):
    folder, _, words = finished
    report = json.loads((folder / "report.json").read_text())
    first, second = report["rounds"]
    assert json.loads((folder.with_name("half") / "report.json").read_text())["rounds"] == [first]
    (bucket,) = EpisodeStore(folder / "data").buckets.values()
    assert second["episodes"] == len(bucket.episodes) > first["episodes"]
    assert second["real_steps"] == sum(record.num_frames - 1 for record in bucket.episodes) > first["real_steps"] >= 30
    for row in (first, second):
        assert len(row["returns"]) == 3 and row["return"]["value"] == pytest.approx(np.mean(row["returns"]))
        assert row["return"]["low"] <= row["return"]["value"] <= row["return"]["high"]
        gains = np.subtract(row["returns"], report["random"]["returns"])
        assert row["over_random"]["value"] == pytest.approx(gains.mean())
    assert [line for line in words if line.startswith("round_")] == [
        f"round_00{i}: {n}" for i in range(2) for n in STAGES
    ]
    heads = max(i for i, line in enumerate(words) if line.split()[:3] == ["round", "real", "steps"])
    assert [line.split()[:2] for line in words[heads + 1 : heads + 3]] == [
        [str(row["round"]), str(row["real_steps"])] for row in (first, second)
    ]
    assert np.asarray(Image.open(folder / "returns.png").convert("L")).std() > 5
    assert list(folder.glob("round_*/model/checkpoint")) and not list(folder.glob("round_*/*/latents"))


def test_collected_returns_are_those_of_the_round(finished):
    folder = finished[0]
    (bucket,) = EpisodeStore(folder / "data").buckets.values()
    rewards = {record.seed: bucket.rewards[record.start :][: record.num_frames].sum() for record in bucket.episodes}
    for stages in rounds_in(folder):
        figures = stages["collect"]
        own = [total for seed, total in rewards.items() if figures["first_seed"] <= seed <= figures["last_seed"]]
        assert len(own) == figures["new_episodes"] > 0 and figures["mean_return"] == pytest.approx(np.mean(own))


def test_seeds_never_meet(finished):
    folder, played, _ = finished
    first, second = (stages["collect"] for stages in rounds_in(folder))
    assert second["first_seed"] == first["last_seed"] + 1
    assert [seed for seed in played if seed < FIRST_EVALUATION_SEED] == list(range(second["last_seed"] + 1))
    # The learned and a random player, then what was learned in the second round.
    assert [seed for seed in played if seed >= FIRST_EVALUATION_SEED] == 3 * SEEDS


def test_a_round_goes_on_from_the_one_before(finished):
    before, after = (WorldModel.from_pretrained(finished[0] / f"round_00{i}/model/checkpoint") for i in range(2))
    weights = before.state_dict()
    same = {name: bool((weights[name] == tensor).all()) for name, tensor in after.state_dict().items()}
    assert all(equal for name, equal in same.items() if name.startswith("compression."))
    assert not all(equal for name, equal in same.items() if name.startswith("denoiser."))
    frames = [model.metadata.training_data["frames"] for model in (before, after)]
    assert frames[1] > frames[0] > 0


def test_later_rounds_are_played_by_what_was_learned(finished):
    folder = finished[0]
    this = Round(configured(folder, "collect.temperature=0.5"), folder, 1, {}, Interruption())
    player = loop_stages.collecting_player(this)
    learned = {"checkpoint": [str(folder / "round_000" / "learn")], "temperature": [0.5]}
    assert player.kwargs["players"] == {"learned": 0.5, "random": 0.5}
    assert player.kwargs["kwargs"] == {"learned": learned, "random": {"hold_steps": [1.0]}}
    drawn, names = loop_stages.make_player(player, Corridor()), set()
    for seed in range(12):
        drawn.reset(seed)
        names.add(drawn.playing)
    assert names == {"learned", "random"}
    this.config.collect.explore_share = 0.0
    assert loop_stages.collecting_player(this).name == "learned"


def test_killed_at_every_stage_it_comes_to_the_same_end(finished, tmp_path, monkeypatch):
    """Killed at the end of each stage of the second round, once before that is written down and once after."""
    kills, written = [], loop.write_json

    def write(path, value):
        kills.append(list(value["rounds"][1])[-1])
        if len(kills) % 2 == 0:
            written(path, value)
        raise KeyboardInterrupt

    folder = shutil.copytree(finished[0].with_name("half"), tmp_path / "whole")
    config = configured(folder)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_json", write)
        for _ in range(2 * len(STAGES)):
            with pytest.raises(KeyboardInterrupt):
                loop.repeat(config)
    assert kills == [name for name in STAGES for _ in range(2)]
    assert loop.repeat(config) == 0
    whole = contents(finished[0])
    assert {"data/8x24/frames.u8", "round_001/model/checkpoint/model.safetensors", "report.json"} <= set(whole)
    assert contents(folder) == whole


def test_a_polite_stop_while_it_collects(finished, tmp_path, monkeypatch, capsys):
    """Ctrl-C in the second episode: it becomes whole, and collecting goes on with the third."""
    folder, (whole, *_) = tmp_path / "whole", finished
    monkeypatch.setattr(Corridor, "stop_at", 1)
    assert main(["loop", *TINY, f"output={folder}"]) == 130
    assert Corridor.played == [0, 1]
    assert capsys.readouterr().out.splitlines()[-1] == f"interrupted; go on with the same command and output={folder}"
    figures = loop_stages.collect(Round(configured(folder), folder, 0, None, Interruption()))
    assert figures == rounds_in(whole)[0]["collect"]
    assert Corridor.played == list(range(figures["last_seed"] + 1))
    assert contents_of_data(folder) == contents_of_data(whole.with_name("half"))


def test_a_polite_stop_while_it_evaluates(finished, copied, monkeypatch, capsys):
    """Ctrl-C in the second episode: the same command plays all of them again, and nothing else."""
    rounds = rounds_in(copied)
    del rounds[1]["evaluate"]
    (copied / loop.JOURNAL).write_text(json.dumps({"rounds": rounds}))
    monkeypatch.setattr(Corridor, "stop_at", 1)
    assert main(["loop", *TINY, f"output={copied}"]) == 130
    assert Corridor.played == SEEDS[:2] and "interrupted" in capsys.readouterr().out
    assert main(["loop", *TINY, f"output={copied}"]) == 0
    assert Corridor.played == SEEDS[:2] + SEEDS
    assert contents(copied) == contents(finished[0])


def test_an_interrupted_sub_command_does_not_say_how_to_go_on_with_it(copied, monkeypatch, capsys):
    def interrupted(settings):
        print("interrupted; go on with the same command and output=round_001/model")
        return 130

    rounds = rounds_in(copied)
    del rounds[1]["train"], rounds[1]["learn"], rounds[1]["evaluate"]
    (copied / loop.JOURNAL).write_text(json.dumps({"rounds": rounds}))
    monkeypatch.setattr("worldmodel.cli.train.train", interrupted)
    assert main(["loop", *TINY, f"output={copied}"]) == 130
    assert capsys.readouterr().out.splitlines() == [
        "round_001: train",
        f"interrupted; go on with the same command and output={copied}",
    ]


def test_a_finished_loop_goes_on_with_more_rounds(copied, monkeypatch, capsys):
    last = rounds_in(copied)[1]["collect"]["last_seed"]
    monkeypatch.setattr(Corridor, "stop_at", 0)
    assert main(["loop", *TINY, f"output={copied}", "rounds=3"]) == 130
    assert "round_002: collect" in capsys.readouterr().out and Corridor.played == [last + 1]
    assert main(["loop", *TINY, f"output={copied}"]) == 0  # two rounds: they are done
    assert capsys.readouterr().out.splitlines()[-3].endswith("report.json") and Corridor.played == [last + 1]


def test_a_loop_does_not_go_on_with_other_settings(copied, capsys):
    assert main(["loop", *TINY, f"output={copied}", "collect.frames=61"]) == 2
    assert "collect.frames: expected 60, with which the run" in capsys.readouterr().err
    (copied / loop.JOURNAL).write_text("[]")
    assert main(["loop", *TINY, f"output={copied}"]) == 2
    assert f"expected the stages that are done in {copied / loop.JOURNAL}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([], "data.store: expected actions of Discrete"),
        (["data.folders=[nowhere]"], "data.store: expected none together with data.folders, got both"),
        (["data.store=nowhere"], "nowhere"),
    ],
)
def test_a_store_that_cannot_be_trained_on_is_refused(finished, tmp_path, capsys, settings, message):
    store = f"data.store={finished[0] / 'data'}"
    assert main(["train", "env=crafter", "player=random", store, f"output={tmp_path / 'out'}", *settings]) == 2
    assert message in capsys.readouterr().err


WRONG = {
    "rounds=0": "rounds: expected at least 1, got 0",
    "collect.frames=0": "collect.frames: expected at least 1, got 0",
    "collect.workers=0": "collect.workers: expected at least 1, got 0",
    "collect.first_seed=999999990": "collect.first_seed: expected 0 to 999999880, below the seeds of evaluations",
    "collect.first_seed=-1": "collect.first_seed: expected 0 to",
    "collect.held_out_percent=100": "collect.held_out_percent: expected a number from 0 to below 100, got 100",
    "collect.temperature=-0.5": "collect.temperature: expected a finite number from 0 on, got -0.5",
    "collect.explore_share=1.5": "collect.explore_share: expected a number from 0 to 1, got 1.5",
    "collect.explored=1": "did you mean collect.explore_share?",
    "evaluate_episodes=1001": "evaluate_episodes: expected at most 1000, got 1001",
    "episode_steps=0": "episode_steps: expected at least 1, got 0",
    "seed=-1": "seed: expected an integer from 0 on, got -1",
    "learning.discount=2": "discount: expected a number above 0 and below 1, got 2",
    "denoiser.max_steps=null": "max_steps: expected a number of steps, or max_minutes",
    "env.kwargs.frame_skip=2": "env: expected steps of 1 tick, got 2",
    "env.id=Nothing-v0": "env Nothing-v0:",
    "player=learned": "player: expected another than learned to explore in later rounds",
    "player=explorer": "player explorer:",
    "output=file": "output: expected a folder, file is a file",
}


@pytest.mark.parametrize("setting", WRONG)
def test_bad_settings_are_named(setting, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    few = [*TINY[:2], "denoiser.max_minutes=null", "denoiser.max_steps=2", "rounds=2", "collect.frames=60"]
    chosen = ["player.kwargs.checkpoint=nowhere"] if setting == "player=learned" else []
    assert main(["loop", *few, "output=out", setting, *chosen]) == 2
    error = capsys.readouterr().err
    assert WRONG[setting] in error and "Traceback" not in error
    assert not Path("out").exists()


def test_several_processes_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["loop", *TINY[:2], f"output={tmp_path / 'out'}"]) == 2
    assert "loop: expected one process" in capsys.readouterr().err
