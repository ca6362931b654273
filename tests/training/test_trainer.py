"""Runs in processes of their own: killed and continued, and on two machines."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from moving_square import make_store
from safetensors.torch import load_file
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from worldmodel.training.logs import read_metrics
from worldmodel.training.settings import CompressionTraining, TrainerConfig
from worldmodel.training.trainer import Clock

PROGRAM = str(Path(__file__).parent / "square_run.py")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "ACCELERATE_USE_CPU": "true"}


def run(*arguments):
    command = [sys.executable, PROGRAM, *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def run_on_two_machines(*arguments):
    """Starts two processes that find each other, as a launcher does; returns what they said if one fails."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, PROGRAM, *map(str, arguments)]
    machines = [
        subprocess.Popen(
            command,
            env=ENVIRONMENT | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [machine.communicate(timeout=240)[0] for machine in machines]
    finally:
        for machine in machines:
            machine.kill()
    return "".join(said) if any(machine.returncode for machine in machines) else ""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    result = run(folder)
    assert result.returncode == 0, result.stderr
    return folder


def figures(folder, stage):
    """The log without what depends on the clock."""
    timed = ("seconds", "tokens_per_second", "waiting")
    return [{k: v for k, v in line.items() if k not in timed} for line in read_metrics(folder / stage)]


def test_a_run_leaves_everything(whole):
    assert {"data", "compression", "latents", "denoiser", "checkpoint", "report.json"} <= {
        p.name for p in whole.iterdir()
    }
    for stage in ("compression", "denoiser"):
        assert (whole / stage / "curves.png").stat().st_size > 1000
        assert list((whole / stage / "tensorboard").iterdir())
        assert [path.name for path in (whole / stage).glob("state-*")] == [
            f"state-{6 if stage == 'compression' else 8:09d}"
        ]
    assert {path.suffix for path in (whole / "denoiser" / "samples").iterdir()} == {".mp4"}
    report = json.loads((whole / "report.json").read_text())
    assert report["step"] == 8 and report["psnr_ceiling_1"] > 0


def test_the_log_has_every_step_once(whole):
    losses = [line["step"] for line in figures(whole, "denoiser") if "loss" in line]
    assert losses == list(range(1, 9))
    reports = [line["step"] for line in figures(whole, "denoiser") if "psnr_model_1" in line]
    assert reports == [5, 8]


@pytest.mark.parametrize("kill_at", ["compression:4", "latents:28", "denoiser:3"])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(whole, tmp_path, kill_at):
    killed = run(tmp_path, "--kill-at", kill_at)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "checkpoint").exists()
    again = run(tmp_path)
    assert again.returncode == 0, again.stderr
    one, two = (load_file(folder / "checkpoint" / "model.safetensors") for folder in (whole, tmp_path))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    for stage in ("compression", "denoiser"):
        assert figures(whole, stage) == figures(tmp_path, stage)
    assert not list(tmp_path.rglob("*partial"))


def test_a_finished_run_is_not_trained_again(whole, tmp_path):
    before = (whole / "checkpoint" / "model.safetensors").read_bytes()
    result = run(whole, "--kill-at", "denoiser:9")  # not reached: the stage is over at step 8
    assert result.returncode == 0, result.stderr
    assert (whole / "checkpoint" / "model.safetensors").read_bytes() == before


def test_two_machines_have_the_gradients_of_one(tmp_path):
    make_store(tmp_path / "data", episodes=12, steps=20)
    one, two = tmp_path / "one.pt", tmp_path / "two.pt"
    alone = run(tmp_path, "--stage-gradients", one)
    assert alone.returncode == 0, alone.stderr
    assert not run_on_two_machines(tmp_path, "--stage-gradients", two)
    first, second = torch.load(one), torch.load(two)
    assert (first["machines"], second["machines"]) == (1, 2)
    largest = max(float(gradient.abs().max()) for gradient in first["gradients"])
    assert largest > 1e-3
    for a, b in zip(first["gradients"], second["gradients"], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5 * largest)


def test_averages_of_sharded_weights_are_saved_whole(tmp_path):
    """On one machine that shards as many would: a state must not depend on who held which part."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (1,))
        weights = torch.arange(12.0).reshape(4, 3)
        clock = Clock(3, 1.5, [distribute_tensor(weights, mesh, [Shard(0)])])
        state = clock.state_dict()
        assert type(state["average"][0]) is torch.Tensor and torch.equal(state["average"][0], weights)
        other = Clock(0, 0.0, [distribute_tensor(torch.zeros(4, 3), mesh, [Shard(0)])])
        other.load_state_dict(state)
        assert (other.step, other.seconds) == (3, 1.5)
        assert isinstance(other.average[0], DTensor) and torch.equal(other.average[0].full_tensor(), weights)
    finally:
        torch.distributed.destroy_process_group()


def test_settings_without_an_end_are_refused():
    with pytest.raises(ValueError, match="max_steps: expected a number of steps, or max_minutes"):
        TrainerConfig()
    with pytest.raises(ValueError, match="max_minutes: expected more than 0, got -1"):
        CompressionTraining(max_minutes=-1)
