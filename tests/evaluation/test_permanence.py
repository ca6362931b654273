"""Views that are left and come back to: in truth they are the same, and who forgets them is caught."""

import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.envs.imagined.dreams import Moment
from worldmodel.evaluation.dreamers import psnr
from worldmodel.evaluation.episodes import evaluation_seeds
from worldmodel.evaluation.permanence import LOOK_AWAY_STEPS, Revisit, evaluate_permanence, look_away, steps_dreamed

sys.path.append(str(Path(__file__).parent))

from curtain_world import CURTAIN, SIZE, play  # noqa: E402


@pytest.mark.parametrize("steps", LOOK_AWAY_STEPS)
def test_in_truth_the_view_is_the_same_again(steps):
    env = gymnasium.make("worldmodel/Voxel-v0", height=32, width=32, frame_skip=2, render_mode="rgb_array",
                         day_length_ticks=None, weather="clear")  # fmt: skip
    visits = look_away(env, evaluation_seeds(2), steps)
    env.close()
    assert len(visits) == 2
    for visit in visits:
        assert visit.back - visit.left == steps and visit.back == visit.episode.num_steps
        poses = [info["pose"] for info in visit.episode.infos]
        assert poses[visit.left]["yaw"] == poses[visit.back]["yaw"]
        for step in (visit.out, visit.out - visit.unseen):
            assert abs(poses[step]["yaw"] - poses[visit.left]["yaw"]) == pytest.approx(100, abs=1)
        same, away = (
            psnr(visit.episode.frames[visit.left, -1], visit.episode.frames[step, -1])
            for step in (visit.back, visit.out)
        )
        assert same > 30 > away


class Rememberer:
    """Shows the last open view of its context again, whatever is done; after so many steps without one it has none."""

    name, frames_per_step, fps, context_steps = "rememberer", 1, 10.0, 16

    def __init__(self, memory: int = 100) -> None:
        self.memory = memory

    def begin(self, contexts, seed):
        self.begun = [part.frames for part in contexts]
        self.steps = 0

    def step(self, actions):
        self.steps += 1
        frames = np.full((len(actions), 1, SIZE, SIZE, 3), 20, np.uint8)
        for i, action in enumerate(actions):
            seen = [frame for frame in self.begun[i] if frame.max() > 20]
            if action != CURTAIN:
                frames[i, 0] = seen[-1] if seen and self.steps <= self.memory else 128
        number = np.full(len(actions), np.nan)
        return Moment(frames, number, number, number, number, number)

    def reconstruct(self, frames):
        return frames


def revisits(hidden: int) -> list[Revisit]:
    visits = []
    for i in range(10):
        episode = play(10**9 + i, [0, 0, *[CURTAIN] * hidden, 0])
        visits.append(Revisit(episode, left=2, out=2 + hidden, unseen=hidden - 1, back=3 + hidden))
    return visits


def test_perfect_memory_passes(tmp_path):
    section = evaluate_permanence(Rememberer(), {3: revisits(3), 6: revisits(6)}, tmp_path)
    assert [check.passed for check in section.checks] == [True]
    assert section.figures["psnr_dream_6"].value == section.figures["psnr_last_seen_6"].value == 60
    assert section.figures["psnr_amnesiac_6"].value < 15 and section.figures["memory_gain_6"].low > 40
    assert section.figures["memory_steps"] == 6
    assert (tmp_path / "permanence.png").stat().st_size > 1000


def test_the_time_that_is_remembered_is_found(tmp_path):
    section = evaluate_permanence(Rememberer(memory=5), {3: revisits(3), 6: revisits(6)}, tmp_path)
    assert section.figures["memory_steps"] == 3 and section.figures["memory_gain_6"].value == 0
    assert [check.passed for check in section.checks] == [True], "the shortest time counts"


def test_amnesia_is_caught(tmp_path):
    section = evaluate_permanence(Rememberer(memory=0), {3: revisits(3)}, tmp_path)
    assert [check.passed for check in section.checks] == [False] and section.figures["memory_steps"] == 0


def test_the_progress_bar_is_right(tmp_path):
    done = []
    evaluate_permanence(Rememberer(), {4: revisits(4)}, tmp_path, progress=done.append)
    assert sum(done) == 10 * (5 + 1)
    assert steps_dreamed() == sum(steps + max(2, steps // 8) for steps in LOOK_AWAY_STEPS)
