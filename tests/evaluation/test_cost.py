"""Operations are counted exactly, speed is that of the clock, and the number format is that of the products."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodel.agents import make_player
from worldmodel.envs.imagined.dreams import Moment
from worldmodel.envs.twin import model_environment
from worldmodel.evaluation import cost
from worldmodel.evaluation.cost import BATCHES, MEASUREMENTS, evaluate_cost
from worldmodel.evaluation.dreamers import ModelDreamer
from worldmodel.evaluation.episodes import play, play_all

# For dream_checkpoint and toy_world. They are no modules of a package `tests`.
sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "envs" / "imagined")]

from dream_checkpoint import write_checkpoint  # noqa: E402
from toy_world import SIDE, TICKS, ToyDreamer, ToyEnv, Wanderer  # noqa: E402

WIDTH = 192


class Multiplier(ToyDreamer):
    """Waits and multiplies, so much for each dream."""

    def __init__(self, *, seconds: float = 0.0, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.seconds, self.weight = seconds, torch.ones(WIDTH, WIDTH, dtype=dtype)
        self.lengths: list[int] = []

    def begin(self, contexts, seed):
        self.number = len(contexts)
        self.lengths += [len(part.actions) for part in contexts]

    @torch.no_grad()
    def step(self, actions) -> Moment:
        assert len(actions) == self.number
        time.sleep(self.seconds)
        torch.nn.functional.linear(torch.ones(len(actions), WIDTH, WIDTH, dtype=self.weight.dtype), self.weight)
        unknown = np.full(len(actions), np.nan)
        return Moment(np.zeros((len(actions), TICKS, SIDE, SIDE, 3), np.uint8), *[unknown] * 5)


@pytest.fixture(scope="module")
def episodes():
    return play_all(ToyEnv(), Wanderer(), range(3), 6)


@pytest.fixture(autouse=True)
def small_products(monkeypatch):
    monkeypatch.setattr(cost, "MATRIX_SIZE", 512)
    monkeypatch.setattr(cost, "_PRODUCT_OPERATIONS", 2 * 512.0**3)


def test_operations_are_counted(episodes):
    dreamer, done = Multiplier(), []
    section = evaluate_cost(dreamer, episodes, progress=done.append)
    figures = section.figures
    for batch in BATCHES:
        assert figures[f"gflop_per_step_{batch}"] == pytest.approx(2 * WIDTH**3 / 1e9)
        assert figures[f"frames_per_second_{batch}"].value == pytest.approx(
            TICKS * figures[f"steps_per_second_{batch}"].value
        )
        rate = figures[f"gflops_{batch}"].value
        assert rate == pytest.approx(
            figures[f"gflop_per_step_{batch}"] * figures[f"steps_per_second_{batch}"].value, rel=0.01
        )
        share = figures[f"matrix_share_{batch}"]
        assert 0 < share.low <= share.value <= share.high
        assert share.value == pytest.approx(rate / figures["matrix_gflops"].value, rel=0.8)
    assert set(dreamer.lengths) == {dreamer.context_steps}, "with a full memory"
    assert sum(done) == MEASUREMENTS and not section.checks
    assert f"threads {torch.get_num_threads()}" in section.text and "in float32" in section.text


def test_speed_is_that_of_the_clock(episodes):
    figures = evaluate_cost(Multiplier(seconds=0.02), episodes).figures
    for batch in BATCHES:
        assert 20 <= figures[f"milliseconds_{batch}"].value < 40
        assert figures[f"steps_per_second_{batch}"].value == pytest.approx(
            1e3 * batch / figures[f"milliseconds_{batch}"].value
        )
    assert figures["matrix_share_1"].value < 0.2, "it waits most of the time"


def test_the_number_format_is_found(episodes):
    section = evaluate_cost(Multiplier(dtype=torch.float64), episodes)
    assert section.figures["number_format"] == "float64" and "in float64" in section.text


def test_autocast_counts_as_what_it_makes_of_it(episodes):
    class Cast(Multiplier):
        def step(self, actions):
            with torch.autocast("cpu", torch.bfloat16):
                return super().step(actions)

    assert evaluate_cost(Cast(), episodes).figures["number_format"] == "bfloat16"


def test_a_dreamer_that_multiplies_nothing(episodes):
    figures = evaluate_cost(ToyDreamer(), episodes).figures
    assert figures["gflop_per_step_16"] == 0 and figures["matrix_share_16"].value == 0
    assert figures["frames_per_second_16"].value > 0


def test_a_world_model(tmp_path):
    dreamer = ModelDreamer(write_checkpoint(tmp_path / "tiny"))
    env = model_environment(dreamer.model)
    episode = play(env, make_player("random", env), 0, 20)
    env.close()
    figures = evaluate_cost(dreamer, [episode]).figures
    assert figures["gflop_per_step_1"] > 0
    assert figures["gflop_per_step_16"] == pytest.approx(figures["gflop_per_step_1"], rel=0.1)
    assert figures["number_format"] == str(dreamer.model.dtype).removeprefix("torch.")


def test_no_episode_is_refused():
    with pytest.raises(ValueError, match="episodes: expected at least one"):
        evaluate_cost(Multiplier(), [])
