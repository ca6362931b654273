"""Short runs of the benchmarks: that they run, and that what they say fits together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "envs" / "imagined"))  # for dream_checkpoint


@pytest.fixture(scope="module")
def dreaming(tmp_path_factory):
    """What `benchmarks/dreaming.py` prints and writes for a tiny model."""
    from dream_checkpoint import write_checkpoint

    folder = tmp_path_factory.mktemp("dreaming")
    checkpoint = write_checkpoint(folder / "tiny")
    options = ["--rounds", "1", "--steps", "16", "--threads", "1", "--output", str(folder / "figures.json")]
    command = [sys.executable, str(ROOT / "benchmarks" / "dreaming.py"), checkpoint, *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert result.returncode == 0, result.stderr
    return result.stdout, json.loads((folder / "figures.json").read_text())


def test_dreaming_counts_what_is_computed(dreaming):
    _, figures = dreaming
    one, four, sixteen = (figures[f"step of {n} dream{'s' if n > 1 else ''}"] for n in (1, 4, 16))
    assert [part["frames"] for part in (one, four, sixteen)] == [2, 8, 32]
    assert one["flops"] > 0
    assert four["flops"] == pytest.approx(4 * one["flops"], rel=0.01)
    assert sixteen["flops"] == pytest.approx(16 * one["flops"], rel=0.01)
    passes = 3 * figures["one pass of the denoiser"]["flops"]  # two to sample, one to remember
    assert one["flops"] == pytest.approx(passes + figures["decoding"]["flops"], rel=0.01)
    assert figures["step of 1 dream without a cache"]["flops"] > 10 * one["flops"], "17 remembered frames, and one more"
    assert all(figures[name]["seconds"] > 0 for name in figures if name not in ("long", "branches"))


def test_dreaming_looks_at_long_dreams_and_branches(dreaming):
    printed, figures = dreaming
    assert list(figures["long"]) == ["4", "16"]
    for found in figures["long"].values():
        assert found["seconds"] > 0 and found["matrix_product_seconds"] > 0 and found["mib"] > 100
    numbers = 17 * 13 * 64 * 2 * 2  # frames, tokens, width, time attentions, keys and values: in bfloat16 or float32
    assert figures["branches"]["cache"] in (numbers * 2 / 2**20, numbers * 4 / 2**20)
    assert figures["branches"]["states"] < 0.1 * 1000 * figures["branches"]["cache"]
    assert len([line for line in printed.splitlines() if line.startswith("|---")]) == 4
    for line in ("1000 branches", "Without a cache", "sampling passes", "about step"):
        assert line in printed
