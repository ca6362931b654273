"""Episodes are what was played, and contexts are cut where they should be: pixels tell the number of their tick."""

import sys
from pathlib import Path

import numpy as np
import pytest

from worldmodel.data.splits import FIRST_EVALUATION_SEED, held_out
from worldmodel.evaluation.dreamers import truth
from worldmodel.evaluation.episodes import EpisodesTooShort, context, evaluation_seeds, play, play_all

# For toy_world. It is no module of a package `tests`, because some dependencies install one of that name.
sys.path.append(str(Path(__file__).parent))

from toy_world import ToyEnv, Wanderer  # noqa: E402


def ticks(frames):
    return frames[..., 0, 0, 0].tolist()


@pytest.fixture(scope="module")
def episode():
    return play(ToyEnv(), Wanderer(), 7, 10)


def test_every_tick_stands_where_it_belongs(episode):
    assert episode.frames.shape == (11, 2, 24, 24, 3) and episode.num_steps == len(episode.rewards) == 10
    assert ticks(episode.frames) == [[0, 0]] + [[2 * t - 1, 2 * t] for t in range(1, 11)]
    assert [episode.caption(step) for step in (0, 3)] == ["tick 0", "tick 6"]
    assert episode.rewards.tolist() == [float(action == 1) for action in episode.actions]
    assert not episode.terminated


def test_the_same_seed_gives_the_same_episode(episode):
    again, other = play(ToyEnv(), Wanderer(), 7, 10), play(ToyEnv(), Wanderer(), 8, 10)
    assert np.array_equal(again.frames, episode.frames) and again.actions == episode.actions
    assert not np.array_equal(other.frames, episode.frames)


def test_a_context_ends_with_its_step(episode):
    part = context(episode, 6, 3)
    assert ticks(part.frames) == [6, 7, 8, 9, 10, 11, 12]  # the last frame of step 3, and the steps 4, 5 and 6
    assert part.actions == episode.actions[3:6] and part.prompt == "tick 12"


def test_a_context_of_one_frame(episode):
    part = context(episode, 6, 0)
    assert ticks(part.frames) == [12] and part.actions == []


def test_a_context_is_shorter_at_the_beginning(episode):
    part = context(episode, 2, 5)
    assert ticks(part.frames) == [0, 1, 2, 3, 4] and part.actions == episode.actions[:2]


def test_truth_goes_on_where_the_context_ends(episode):
    part, real = context(episode, 6, 3), truth([episode, episode], 6, 4)
    assert real.shape[:3] == (2, 4, 2)
    assert ticks(real)[0] == [[13, 14], [15, 16], [17, 18], [19, 20]]
    assert ticks(real)[0][0][0] == ticks(part.frames)[-1] + 1


def test_playing_stops_at_an_end_and_on_request():
    short = play(ToyEnv(length=4), Wanderer(), 1, 10)
    assert short.num_steps == 4 and short.terminated
    asked = iter([False, False, False, True])  # before each step: the first one comes before anything was done
    assert play(ToyEnv(), Wanderer(), 1, 10, done=lambda: next(asked)).num_steps == 3


def test_worlds_where_the_player_dies_are_replaced():
    class Mortal(ToyEnv):
        def reset(self, *, seed=None, options=None):
            self.length = 3 if seed % 3 == 0 else 100
            return super().reset(seed=seed, options=options)

    done = []
    found = play_all(Mortal(), Wanderer(), [0, 1, 2, 3], 5, progress=done.append)
    assert [episode.seed for episode in found] == [1, 2, 4, 5] and sum(done) == 20
    with pytest.raises(EpisodesTooShort, match="num_steps: expected episodes of 5 steps, nearly all end earlier"):
        play_all(ToyEnv(length=3), Wanderer(), [0, 1], 5)


def test_seeds_are_never_trained_on():
    seeds = evaluation_seeds(3) + evaluation_seeds(3, block=1)
    assert len(set(seeds)) == 6 and min(seeds) == FIRST_EVALUATION_SEED
    assert all(held_out(f"seed {seed}", percent) for seed in seeds for percent in (0.0, 10.0))
