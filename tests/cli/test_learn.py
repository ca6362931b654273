"""`worldmodel learn` from the outside: a tiny model of a small MiniGrid level that has learned nothing."""

import json
import os
import signal
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.agents.learning import Learner
from worldmodel.cli import learn as command
from worldmodel.cli import main
from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.episodes import Episode, EpisodeSource
from worldmodel.data.store import EpisodeStoreWriter
from worldmodel.evaluation.episodes import play
from worldmodel.model import Metadata, Size, WorldModel, model_config
from worldmodel.training import logs

pytest.importorskip("minigrid")

ROOT = Path(__file__).parents[2]
SETTINGS = {"level": "MiniGrid-Empty-5x5-v0", "height": 32, "width": 32}
SMALL = (
    "learning.max_minutes=null learning.max_steps=3 learning.cloning_steps=2 learning.dreams=4 "
    "learning.horizon_steps=3 learning.num_steps=1 evaluate_episodes=0 episode_steps=4"
).split()
PLAYED = "evaluate_episodes=2"


def save_model(folder, codec, **settings):
    """Writes random weights that say something about everything."""
    torch.manual_seed(0)
    metadata = Metadata(height=32, width=32, fps=10.0, action_space=codec and codec.to_json(), **settings)
    model = WorldModel(model_config(Size.tiny, frames_per_latent=1, channels=4), metadata)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save(folder)


def save_data(folder, env, episodes=3, percent=0.0):
    """Plays a few random episodes into a store."""
    with EpisodeStoreWriter(folder, codec=ActionCodec(env.action_space), fps=10.0, held_out_percent=percent) as writer:
        for seed in range(episodes):
            played = play(env, make_player("random", env), seed, 6)
            episode = Episode(
                frames=played.frames[:, -1],
                actions=played.actions,
                rewards=played.rewards,
                terminated=played.terminated,
                truncated=False,
                infos=[{}] * len(played.infos),
                source=EpisodeSource(env_id="worldmodel/MiniGrid-v0", seed=seed),
            )
            writer.append(episode, str(seed))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Folder with a model and its data."""
    folder = tmp_path_factory.mktemp("world")
    env = gymnasium.make("worldmodel/MiniGrid-v0", **SETTINGS)
    save_model(
        folder / "checkpoint", ActionCodec(env.action_space), env_id="worldmodel/MiniGrid-v0", env_kwargs=SETTINGS
    )
    save_data(folder / "data", env)
    return folder


@pytest.fixture
def learn(world, monkeypatch, tmp_path):
    """Runs the command in an empty folder, and returns its exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*settings, output="out", with_curves=False):
        if not with_curves:  # they take longest
            monkeypatch.setattr(logs, "plot_metrics", lambda *_: None)
        return main(
            ["learn", f"checkpoint={world / 'checkpoint'}", f"data={world / 'data'}", f"output={output}", *SMALL]
            + list(settings)
        )

    return run


def weights(folder):
    (state,) = Path(folder).glob("policy-*")
    return load_file(state / "model.safetensors")


def test_everything_is_there(learn, capsys):
    assert learn(PLAYED, with_curves=True) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == "mean return dreams real environment, 95 % interval real steps".split()
    assert [line.split()[0] for line in out[1:4]] == ["random", "cloned", "learned"]
    assert [line.split(":")[0] for line in out[4:6]] == ["learned over random", "learned over cloned"]
    assert out[6:8] == ["out/report.json", "out/curves.png"]
    assert out[8] == "player: worldmodel rollout player=learned player.kwargs.checkpoint=out env=..."
    report = json.loads(Path("out/report.json").read_text())
    assert report["steps"] == 5 and report["minutes"] >= 0
    assert set(report["imagined"]) == set(report["real"]) == {"random", "cloned", "learned"}
    for found in report["real"].values():
        assert len(found["returns"]) == found["return"]["number"] == 2
        assert found["steps"]["value"] == 4
    assert report["gains"]["random"]["value"] == pytest.approx(
        report["real"]["learned"]["return"]["value"] - report["real"]["random"]["return"]["value"]
    )
    lines = [json.loads(line) for line in Path("out/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert ["cloning_loss" in line for line in lines] == [True, True, False, False, False]
    assert all(np.isfinite(value) for line in lines for value in line.values())
    assert Path("out/curves.png").stat().st_size > 5000
    assert sorted(path.name for path in Path("out").iterdir() if path.is_dir()) == [
        "latents",
        "policy-000000005",
        "tensorboard",
    ]


def test_no_step_is_taken_in_the_real_environment_while_it_learns(learn, monkeypatch):
    monkeypatch.setattr(gymnasium, "make", lambda *_, **__: pytest.fail("a real environment was made"))
    assert learn() == 0
    report = json.loads(Path("out/report.json").read_text())
    assert "real" not in report and set(report["imagined"]) == {"random", "cloned", "learned"}


def test_the_same_command_again_learns_nothing_more(learn, monkeypatch):
    assert learn(PLAYED) == 0
    report = json.loads(Path("out/report.json").read_text())
    monkeypatch.setattr(Learner, "take_step", lambda self: pytest.fail("it learns again"))
    assert learn(PLAYED) == 0
    assert json.loads(Path("out/report.json").read_text()) == report


def test_ctrl_c_stops_it_and_the_same_command_goes_on(learn, monkeypatch, capsys):
    assert learn(output="whole") == 0
    take_step = Learner.take_step

    def interrupted(self):
        if self.progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return take_step(self)

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "take_step", interrupted)
        assert learn() == 130
    assert capsys.readouterr().out == "interrupted; go on with the same command and output=out\n"
    assert not Path("out/report.json").exists() and Path("out/policy-000000004").exists()
    assert learn() == 0
    one, other = weights("whole"), weights("out")
    assert set(one) == set(other) and all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    steps = [json.loads(line)["step"] for line in Path("out/metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 5]
    whole, parts = (json.loads(Path(folder, "report.json").read_text()) for folder in ("whole", "out"))
    assert whole["imagined"] == parts["imagined"]


@pytest.mark.parametrize("part", ["latents", "real episodes"])
def test_ctrl_c_stops_the_other_parts_too(learn, monkeypatch, capsys, part):
    advance = command.Bars.advance

    def interrupted(self, done):
        if self._bar.desc == part:
            os.kill(os.getpid(), signal.SIGINT)
        advance(self, done)

    with monkeypatch.context() as patch:
        patch.setattr(command.Bars, "advance", interrupted)
        assert learn(PLAYED) == 130
    assert capsys.readouterr().out == "interrupted; go on with the same command and output=out\n"
    assert not Path("out/report.json").exists()
    assert learn(PLAYED) == 0
    assert Path("out/report.json").exists() and not list(Path("out").rglob("*partial*"))


def test_it_learns_longer_but_not_with_other_settings(learn, capsys, world, tmp_path):
    assert learn() == 0
    assert learn("learning.max_steps=4") == 0
    assert [path.name for path in Path("out").glob("policy-*")] == ["policy-000000006"]
    for setting, message in (
        ("seed=1", "seed: expected 0, with which the run in out was begun, got 1"),
        ("learning.dreams=5", "learning.dreams: expected 4, with which the run in out was begun, got 5"),
        ("learning.hidden=8", "learning.hidden: expected 256, with which the run in out was begun, got 8"),
        (f"data={tmp_path}", "data: expected"),
    ):
        capsys.readouterr()
        assert learn(setting) == 2
        assert message in capsys.readouterr().err


def test_a_world_model_that_was_trained_further_is_another(learn, world, capsys, tmp_path):
    model = WorldModel.from_pretrained(world / "checkpoint")
    model.save(tmp_path / "model")
    setting = f"checkpoint={tmp_path / 'model'}"
    assert learn(setting) == 0
    with torch.no_grad():
        model.denoiser.to_latent.weight.add_(0.1)
    model.save(tmp_path / "model")
    assert learn(setting) == 2
    assert "world_stamp: expected" in capsys.readouterr().err


def test_the_learned_player_can_be_rolled_out(learn, capsys):
    assert learn() == 0
    kwargs = [f"env.kwargs.{name}={value}" for name, value in SETTINGS.items()]
    player = ["player=learned", "player.kwargs.checkpoint=out", "steps=4", "output=rollout"]
    assert main(["rollout", "env=minigrid", *kwargs, *player]) == 0
    assert list(Path("rollout").glob("*.mp4"))


def test_a_model_without_a_real_environment(learn, world, capsys, tmp_path):
    save_model(tmp_path / "other", ActionCodec(gymnasium.spaces.Discrete(7)))
    assert learn(f"checkpoint={tmp_path / 'other'}", PLAYED) == 0
    assert "not played: checkpoint: expected a model of an environment" in capsys.readouterr().out
    assert "real" not in json.loads(Path("out/report.json").read_text())


def test_the_benchmark_compares_losses(world, capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import policy_losses

    likelihoods, advantages = torch.tensor([-1.0, -2.0, -3.0, -4.0]), torch.tensor([-1.0, 1.0, 1.0, 9.0])
    counted = torch.tensor([1.0, 1.0, 1.0, 0.0])
    powers = torch.tensor([-1.0, 1.0, 1.0, 0.0]).exp() * counted  # their root mean square is 1
    expected = -(powers * likelihoods).sum() / powers.sum()
    assert policy_losses.advantage_weighted_loss(likelihoods, advantages, counted) == pytest.approx(expected.item())
    sizes = ["--steps", "1", "--seeds", "1", "--episodes", "1", "--episode-steps", "2"]
    settings = ["--settings", "cloning_steps=1", "dreams=2", "horizon_steps=2", "num_steps=1", "epochs=1"]
    assert policy_losses.main([str(world / "checkpoint"), str(world / "data"), *sizes, *settings]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| PMPO", "| advantage-weighted"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["checkpoint=nowhere"], "checkpoint: expected a folder with config.json"),
        (["data=nowhere"], "data: "),
        (["evaluate_episodes=-1"], "evaluate_episodes: expected at least 0, got -1"),
        (["episode_steps=0"], "episode_steps: expected at least 1, got 0"),
        (["seed=-1"], "seed: expected an integer from 0 on, got -1"),
        (["learning.horizon_steps=0"], "horizon_steps: expected more than 0, got 0"),
        (["learning.max_steps=null"], "max_steps: expected a number of steps, or max_minutes, got neither"),
        (["learning.horizon=3"], "did you mean learning.horizon_steps?"),
        (["learning.discount=high"], "learning.discount"),
    ],
)
def test_bad_settings(learn, capsys, settings, message):
    assert learn(*settings) == 2
    assert message in capsys.readouterr().err


def test_models_and_data_that_do_not_belong_together(learn, capsys, tmp_path):
    save_model(tmp_path / "film", None)
    assert learn(f"checkpoint={tmp_path / 'film'}") == 2
    assert "checkpoint: expected a model that was trained with actions, got one without" in capsys.readouterr().err
    env = gymnasium.make("worldmodel/MiniGrid-v0", **{**SETTINGS, "height": 48})
    save_data(tmp_path / "larger", env)
    assert learn(f"data={tmp_path / 'larger'}") == 2
    assert "data: expected episodes of 32x32 pixels to learn from, found none" in capsys.readouterr().err
    save_data(tmp_path / "cart", gymnasium.make("worldmodel/Pixels-v0", env_id="CartPole-v1", height=32, width=32))
    assert learn(f"data={tmp_path / 'cart'}", output="cart") == 2
    assert "data: expected actions of Discrete(7), as the model knows, got Discrete(2)" in capsys.readouterr().err
