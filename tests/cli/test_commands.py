"""The command line on a tiny stand-in for the block world; tests/cli/test_voxel.py runs it on the real one."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from fake_voxel import FakeVoxel
from PIL import Image

import worldmodel.agents
import worldmodel.cli
from worldmodel.cli import main, rollout, settings
from worldmodel.cli.rollout import RolloutConfig
from worldmodel.data import read_episodes, read_video, video_info

FAKE = "env=gymnasium env.id=test_cli/Fake-v0"


class _Sampler:
    def __init__(self, env):
        self.env = env

    def reset(self, seed):
        self.env.action_space.seed(seed)

    def act(self, observation, info):
        return self.env.action_space.sample()


@pytest.fixture(autouse=True)
def _fake(monkeypatch, tmp_path):
    def make_player(name, env, **keywords):
        if keywords:
            raise TypeError(f"unexpected keyword arguments {sorted(keywords)}")
        return _Sampler(env)

    monkeypatch.setitem(gymnasium.registry, "test_cli/Fake-v0", _spec())
    monkeypatch.setattr(worldmodel.agents, "make_player", make_player, raising=False)
    monkeypatch.chdir(tmp_path)


def _spec():
    return gymnasium.envs.registration.EnvSpec("test_cli/Fake-v0", entry_point="fake_voxel:FakeVoxel")


def test_rollout_writes_video_sheet_and_figures(capsys, tmp_path):
    assert main(["rollout", *FAKE.split(), "steps=12", "seed=3", "output=out"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("out/rollout.mp4")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "contact_sheet.png",
        "rollout.json",
        "rollout.mp4",
    ]
    info = video_info("out/rollout.mp4")
    assert (info.width, info.num_frames, info.fps) == (512, 13, 20)
    figures = json.loads(Path("out/rollout.json").read_text())
    assert len(figures["steps"]) == 12 and figures["seed"] == 3
    assert figures["start"]["caption"] == "step 0" and figures["steps"][4]["caption"] == "step 5"
    assert len(figures["steps"][0]["action"]["camera"]) == 2
    assert figures["total_reward"] == sum(step["reward"] for step in figures["steps"])
    assert Image.open("out/contact_sheet.png").size[0] == 4 + 6 * (64 + 4)


def test_rollout_shows_the_frames_of_the_environment(capsys):
    assert (
        main(["rollout", *FAKE.split(), "steps=2", "output=out", "env.kwargs.width=300", "env.kwargs.height=150"]) == 0
    )
    env = FakeVoxel(width=300, height=150)
    observation, _ = env.reset(seed=0)
    shown = next(read_video("out/rollout.mp4"))
    assert shown.shape[1] == 600
    small = shown[:300].reshape(150, 2, 300, 2, 3).mean((1, 3))
    assert np.abs(small - observation).mean() < 25  # noise is the worst case for a codec; another frame gives 85


def test_all_frames_of_a_step_are_shown(capsys):
    assert main(["rollout", *FAKE.split(), "steps=5", "env.kwargs.frame_skip=3", "output=out"]) == 0
    assert video_info("out/rollout.mp4").num_frames == 1 + 5 * 3


@pytest.mark.parametrize("num_steps", [1, 23, 24, 200])
def test_the_contact_sheet_is_full(capsys, num_steps):
    assert main(["rollout", *FAKE.split(), f"steps={num_steps}", "env.kwargs.length=1000", "output=out"]) == 0
    width, height = Image.open("out/contact_sheet.png").size
    assert (width, height) == ((4 + 2 * 68, 4 + 52) if num_steps == 1 else (4 + 6 * 68, 4 + 4 * 52))


def test_rollout_ends_with_the_episode(capsys):
    assert main(["rollout", *FAKE.split(), "env.kwargs.length=4", "output=out"]) == 0
    assert "4 steps" in (out := capsys.readouterr().out) and "terminated" in out


def test_default_output_is_named_after_the_time(capsys):
    assert main(["rollout", *FAKE.split(), "steps=1"]) == 0
    (folder,) = Path("runs/rollout").iterdir()
    assert str(folder) in capsys.readouterr().out


def test_any_environment_with_pictures(capsys):
    assert main(["rollout", "env=gymnasium", "env.id=CartPole-v1", "steps=3", "output=out"]) == 0
    assert json.loads(Path("out/rollout.json").read_text())["steps"][0]["action"] in (0, 1)


@pytest.mark.parametrize("format", ["vpt", "minari"])
def test_record_goes_on_where_it_stopped(capsys, format):
    command = ["record", *FAKE.split(), "steps=6", "seed=40", f"format={format}", "output=out", "lossless=true"]
    assert main([*command, "episodes=2"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("2 episodes recorded, 0 were there")
    assert main([*command, "episodes=3"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("1 episodes recorded, 2 were there") and out[-1].startswith("out")
    # A folder that was to hold more is not filled beyond what is asked for now.
    manifest = json.loads(Path("out/recording.json").read_text())
    manifest["seeds"] = [40, 41, 42, 43, 44]
    Path("out/recording.json").write_text(json.dumps(manifest))
    assert main([*command, "episodes=3"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("0 episodes recorded, 3 were there")
    episodes = list(read_episodes("out"))
    assert [episode.source.seed for episode in episodes] == [40, 41, 42]
    for episode in episodes:
        env = FakeVoxel()
        player = _Sampler(env)
        frame, info = env.reset(seed=episode.source.seed)
        player.reset(episode.source.seed)
        for t in range(7):
            np.testing.assert_array_equal(frame, episode.frames[t])
            assert episode.infos[t] == info
            if t < 6:
                action = player.act(frame, info)
                assert all(np.array_equal(action[key], episode.actions[t][key]) for key in action)
                frame, reward, *_, info = env.step(action)
                assert reward == episode.rewards[t]


WRONG = {
    "": f"a sub-command is missing; choose one of {', '.join(worldmodel.cli.COMMANDS)}",
    "fly": "unknown sub-command 'fly'",
    "rollout stepz=3": "did you mean steps?",
    "rollout steps": "expected name=value, got 'steps'",
    "rollout steps=many": "steps: ",
    "rollout steps=0": "steps: expected at least 1, got 0",
    "rollout steps=1,2": "expected one value, got several",
    "rollout seed=-1": "seed: expected an integer from 0 on",
    "rollout env=nowhere": "env: expected one of atari, crafter, gymnasium, imagined, ",
    "rollout player=nobody": "player: expected one of builder, ",
    "rollout env.name=x": "expected a setting among env.id, env.kwargs",
    "rollout env=gymnasium": "env.id: expected a value, got none",
    "rollout env.id=Nothing-v0": "env Nothing-v0: ",
    "rollout prompt=snow": "prompt, image: expected none with a real environment, worldmodel/Voxel-v0; add",
    "rollout player=recorded": "player.kwargs.path: expected a value, got none",
    "rollout context_steps=-1": "context_steps: expected 0 or more, got -1",
    f"rollout {FAKE} env.kwargs.size=3": "unexpected keyword argument 'size'",
    f"rollout {FAKE} player.kwargs.mood=3": "player explorer: unexpected keyword arguments ['mood']",
    "rollout output=file": "output: expected a folder, file is a file",
    "rollout ~env": "env: expected one of",
    "record format=avi": "format: Invalid value 'avi', expected one of [vpt, minari]",
    f"record {FAKE} env.kwargs.frame_skip=2": "frame_skip: expected 1",
    "record env=gymnasium env.id=CartPole-v1": "expected observations that are uint8",
    "record env=gymnasium env.id=CartPole-v1 format=minari output=new": "expected observations that are uint8",
    "envs all=true": "expected no settings",
}


@pytest.mark.parametrize("command", WRONG)
def test_a_wrong_command_gets_one_line_that_helps(capsys, command):
    Path("file").write_text("")
    assert main(command.split()) == 2
    captured = capsys.readouterr()
    assert WRONG[command] in captured.err.splitlines()[0]
    assert not Path("new").exists()
    assert "Traceback" not in captured.err and captured.out == ""


def test_record_does_not_mix_recordings(capsys):
    assert main(["record", *FAKE.split(), "steps=2", "episodes=1", "output=out"]) == 0
    assert main(["record", *FAKE.split(), "steps=3", "episodes=1", "output=out"]) == 2
    assert "choose another folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", worldmodel.cli.COMMANDS)
def test_help(capsys, command):
    assert main(["--help"]) == 0
    assert command in capsys.readouterr().out
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: worldmodel {command}") and "Examples:" in out


def test_help_names_every_setting_default_and_choice():
    text = settings.help_text("rollout", "usage", ["example"])
    for part in ("env=voxel", "player=explorer", "steps=600", "seed=0", "output=null", "lumberjack", "treechop"):
        assert part in text


def test_every_choice_composes():
    needed = ["env.id=some-v0", "env.kwargs.env_id=some-v0", "player.kwargs.path=somewhere"]
    for group in ("env", "player"):
        for path in (settings.FOLDER / group).glob("*.yaml"):
            config = settings.load("rollout", RolloutConfig, [f"{group}={path.stem}", *needed])
            assert isinstance(config, RolloutConfig)
            assert all(isinstance(key, str) for key in getattr(config, group).kwargs)


def test_values_keep_their_types():
    overrides = ["env.kwargs.size=[1,2]", "env.kwargs.name=a", "player.kwargs.speed=0.5", "output=3"]
    config = settings.load("rollout", RolloutConfig, overrides)
    assert config.env.kwargs["size"] == [1, 2] and type(config.env.kwargs["size"]) is list
    assert (config.env.kwargs["name"], config.player.kwargs["speed"], config.output) == ("a", 0.5, "3")


def test_texts_need_no_second_quotes():
    for text in ("a forest, at dusk", "it's 5 o'clock = late", 'the "end"', "[", "a{b", "forward*3, look up 5"):
        for name in ("prompt", "player.kwargs.keys"):
            quoted = rollout.quoted(f"{name}={text}")
            config = settings.load("rollout", RolloutConfig, [quoted])
            assert (config.prompt if name == "prompt" else config.player.kwargs["keys"]) == text
    for unchanged in ("prompt=null", "prompt='a, b'", 'prompt="a, b"', "seed=3", "player=keys", "prompt"):
        assert rollout.quoted(unchanged) == unchanged


_INTERRUPTED = """
import sys
sys.path.append(sys.argv[1])
import gymnasium, worldmodel.agents
from test_commands import _Sampler, _spec
from worldmodel.cli import main
gymnasium.registry["test_cli/Fake-v0"] = _spec()
worldmodel.agents.make_player = lambda name, env: _Sampler(env)
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("command", ["rollout", "record", "record format=minari"])
def test_an_interrupted_command_keeps_what_is_whole(tmp_path, command):
    data = str(Path(__file__).parents[1] / "data")
    name, *more = command.split()
    keywords = ["env.kwargs.delay=0.02", "env.kwargs.length=10000", "output=out"]
    keywords += ["steps=10000"] if name == "rollout" else ["episodes=1000", "steps=10"]
    arguments = [sys.executable, "-c", _INTERRUPTED, str(Path(__file__).parent), name, *FAKE.split(), *keywords, *more]
    with subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": data},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        seen = b""
        while max(map(int, re.findall(rb"(\d+)/10000", seen)), default=0) < 25:
            part = os.read(process.stderr.fileno(), 4096)
            assert part, seen.decode()
            seen += part
        os.killpg(process.pid, signal.SIGINT)  # the whole group, as a terminal does: ffmpeg too
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and b"Traceback" not in err, err.decode()
    assert b"interrupted" in out
    if name == "rollout":
        figures = json.loads(Path("out/rollout.json").read_text())
        assert len(list(read_video("out/rollout.mp4"))) == len(figures["steps"]) + 1 > 20
        assert Path("out/contact_sheet.png").exists()
    else:
        episodes = list(read_episodes("out"))
        assert len(episodes) >= 2 and all(len(episode) == 10 for episode in episodes)
    assert [path for path in Path("out").rglob("*partial*")] == []
