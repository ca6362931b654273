"""The camera's smooth motion, and exact turns."""

import numpy as np
import pytest

from worldmodel.agents.look_away import smooth_turn
from worldmodel.agents.steering import MAX_TURN, Steering, angles_to, turn_between


class Pose:
    """Obeys camera movements and nothing else."""

    def __init__(self, pitch: float, yaw: float) -> None:
        self.info: dict = {"pose": {"x": 0.0, "y": 0.0, "z": 0.0, "pitch": pitch, "yaw": yaw}, "in_water": False}

    def follow(self, script) -> list[tuple[float, float]]:
        """Runs a script to its end and returns the camera movements."""
        moves = []
        try:
            keys = next(script)
            while True:
                moves.append(tuple(keys.get("camera", (0.0, 0.0))))
                pose = self.info["pose"]
                pose["pitch"] = min(max(pose["pitch"] + moves[-1][0], -90.0), 90.0)
                pose["yaw"] = (pose["yaw"] + moves[-1][1] + 180.0) % 360.0 - 180.0
                keys = script.send(self.info)
        except StopIteration:
            return moves


@pytest.mark.parametrize(("pitch", "yaw"), [(0.0, 1.0), (-60.0, 170.0), (90.0, -170.0), (12.5, -90.0), (0.0, 0.0)])
@pytest.mark.parametrize("start", [(0.0, 0.0), (30.0, 175.0)])
def test_look_is_smooth_and_exact(pitch, yaw, start):
    body = Pose(*start)
    steering = Steering(None, np.random.default_rng(0))
    moves = np.array([(0.0, 0.0), *body.follow(steering.look(body.info, pitch, yaw)), (0.0, 0.0)])
    pose = body.info["pose"]
    assert pose["pitch"] == pytest.approx(pitch, abs=1e-6)
    assert turn_between(pose["yaw"], yaw) == pytest.approx(0.0, abs=1e-6)
    assert np.abs(moves).max() <= MAX_TURN
    assert np.abs(np.diff(moves, axis=0)).max() <= 6.0
    assert len(moves) < 40


def test_turns_take_the_short_way():
    assert turn_between(170.0, -170.0) == 20.0
    assert turn_between(-170.0, 170.0) == -20.0
    assert turn_between(10.0, 730.0) == 0.0


def test_angles_follow_minecraft():
    info = {"pose": {"x": 0.0, "y": 0.0, "z": 0.0}}
    assert angles_to(info, 0.0, 1.62, 5.0) == pytest.approx((0.0, 0.0))  # south
    assert angles_to(info, -5.0, 1.62, 0.0) == pytest.approx((0.0, 90.0))  # west
    assert angles_to(info, 0.0, -3.38, 5.0) == pytest.approx((45.0, 0.0))  # down is +


@pytest.mark.parametrize("frame_skip", [1, 2, 3, 4])
@pytest.mark.parametrize("angle", [90.0, -180.0, 137.3])
@pytest.mark.parametrize("steps", [1, 7, 20, 60])
def test_smooth_turns_add_up_exactly(angle, steps, frame_skip):
    turns = smooth_turn(angle, steps, frame_skip)
    assert len(turns) == steps
    assert sum(turns) == pytest.approx(angle, abs=frame_skip / 128)
    ticks = np.array(turns) / frame_skip
    assert np.array_equal(ticks, ticks.astype(np.float32)) and np.array_equal(ticks * 64, np.round(ticks * 64))
    assert sum(turns) + sum(-turn for turn in turns[::-1]) == 0.0
