"""Agents compared: worlds, results that are kept, plans against what came of them, and what the report says."""

import dataclasses
import json
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.agents.planning import PlannerConfig
from worldmodel.data.splits import FIRST_EVALUATION_SEED, held_out
from worldmodel.envs.actions import discrete_action
from worldmodel.evaluation.contest import (
    BLOCK,
    Entrant,
    Result,
    as_model_actions,
    contest_seeds,
    ends_at_once,
    idle_action,
    load_results,
    play_all_worlds,
    play_world,
)
from worldmodel.evaluation.contest_report import dream_figures, dreams_section, plans_section, returns_section
from worldmodel.evaluation.dreamers import ModelDreamer
from worldmodel.evaluation.episodes import evaluation_seeds, play
from worldmodel.evaluation.foresight import BLOCK as PLANS_BLOCK
from worldmodel.evaluation.foresight import Foresight, Start, Trial, load_starts, moments, try_all

# For toy_world and dream_checkpoint, which are no modules of a package.
sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "envs" / "imagined")]

from dream_checkpoint import write_checkpoint  # noqa: E402
from toy_world import MOVES, ToyDreamer, ToyEnv  # noqa: E402

PLANNER = {"horizon_steps": 4, "candidates": 12, "elites": 3, "iterations": 2}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    """Path of a tiny checkpoint of the block world, 48 x 48, two ticks a step."""
    return write_checkpoint(tmp_path_factory.mktemp("dreams") / "tiny")


class Seeds(gymnasium.Env):
    """A corridor of pictures: the goal is some steps to the right, in some worlds none. Notes every seed it gets."""

    observation_space = gymnasium.spaces.Box(0, 255, (16, 16, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(3)
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    render_mode = "rgb_array"

    def __init__(self, reached=lambda seed: False):
        self.reached, self.seeds = reached, []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.left = 0 if self.reached(seed) else int(self.np_random.integers(2, 5))
        return self._look(), {}

    def step(self, action):
        self.left -= int(action) - 1 if action else 0
        return self._look(), float(self.left <= 0), self.left <= 0, False, {}

    def _look(self):
        return np.full((16, 16, 3), 40 * max(self.left, 0), np.uint8)

    def get_state(self):
        return self.left

    def set_state(self, state):
        self.left = state


class Right:
    """Always goes right."""

    def reset(self, seed):
        self.seed = seed

    def act(self, observation, info):
        return 2


# Worlds


def test_worlds_whose_goal_is_reached_are_never_played():
    env = Seeds(lambda seed: seed % 3 == 0)
    seeds, refused = contest_seeds(env, 8)
    assert len(seeds) == 8 and not [seed for seed in seeds if seed % 3 == 0]
    assert refused == [seed for seed in range(min(seeds + refused), max(seeds)) if seed % 3 == 0]
    assert ends_at_once(env, refused[0]) and not ends_at_once(env, seeds[0])


def test_an_environment_without_anything_to_do_is_refused():
    with pytest.raises(ValueError, match="env: expected worlds in which something is left to do, got 13 of 13"):
        contest_seeds(Seeds(lambda seed: True), 4)
    with pytest.raises(ValueError, match="episodes: expected 1 to 1000, got 1001"):
        contest_seeds(Seeds(), 1001)


def test_the_goal_of_the_block_world_is_never_reached_at_the_start():
    env = gymnasium.make("worldmodel/VoxelNavigateDense-v0", height=16, width=16, view_distance=16)
    for seed in contest_seeds(env, 4)[0]:
        _, info = env.reset(seed=seed)
        assert info["goal"]["distance"] > 30
        _, reward, terminated, *_ = env.step(idle_action(env.action_space))
        assert reward < 1 and not terminated


def test_seeds_are_for_evaluation_alone(tmp_path):
    env = Seeds(lambda seed: seed % 5 == 0)
    seeds, _ = contest_seeds(env, 6)
    entrant = Entrant("right", env, Right())
    play_all_worlds(entrant, seeds, tmp_path / "right.json", lambda seed: play_world(entrant, seed, 5))
    foresight = Foresight(env, PlannerConfig(**PLANNER), None)
    starts = moments(env, make_player("random", env), 3, 1)
    try_all(foresight, starts, [1, 2], tmp_path / "plans.json")
    assert len(set(env.seeds)) > 8
    assert all(seed >= FIRST_EVALUATION_SEED and held_out(f"seed {seed}", 0.0) for seed in env.seeds)
    assert {seed for seed, _ in starts}.isdisjoint(seeds)
    others = [range(0, 96), range(96, 100), (BLOCK,), (PLANS_BLOCK,)]
    worlds = [{seed for block in blocks for seed in evaluation_seeds(1000, block)} for blocks in others]
    assert sum(map(len, worlds)) == len(set.union(*worlds))  # no other part of the evaluation sees them


# Playing


def test_episodes_are_kept_and_not_played_again(tmp_path):
    env = Seeds()
    entrant = Entrant("right", env, Right())
    path, told = tmp_path / "episodes" / "right.json", []

    def played(seeds):
        env.seeds.clear()
        found = play_all_worlds(entrant, seeds, path, lambda seed: play_world(entrant, seed, 9), told.append)
        return found, list(env.seeds)

    first, seeds = played([7, 8])
    assert seeds == [7, 8] and [result.seed for result in first] == [7, 8]
    again, seeds = played([8, 7, 9])
    assert seeds == [9] and again[:2] == first[::-1] and told == [0, 1, 1, 2, 1]
    assert [result.total for result in again] == [1.0] * 3 and all(result.terminated for result in again)
    assert load_results(path) == [*first, again[2]]
    path.write_text('{"episodes": [{"sead": 3}]}')
    with pytest.raises(ValueError, match="expected episodes of a contest, got something else; delete it"):
        played([7])


def test_an_interrupted_episode_leaves_the_ones_before(tmp_path):
    entrant, steps = Entrant("right", Seeds(), Right()), []

    class Stop(Exception):
        pass

    def asked():
        steps.append(1)
        if len(steps) > 5:
            raise Stop
        return False

    path = tmp_path / "right.json"
    with pytest.raises(Stop):
        play_all_worlds(entrant, [1, 2, 3, 4], path, lambda seed: play_world(entrant, seed, 9, done=asked))
    done = load_results(path)
    assert 0 < len(done) < 4 and [result.seed for result in done] == [1, 2, 3, 4][: len(done)]


def test_dreams_that_know_the_rules_foretell_all_and_others_do_not(tmp_path):
    class Mean(ToyDreamer):
        """Says 0.25 too much at every step."""

        def step(self, actions):
            moment = super().step(actions)
            return dataclasses.replace(moment, rewards=moment.rewards + 0.25)

    class Walker:
        def reset(self, seed):
            self.random = np.random.default_rng(seed)

        def act(self, observation, info):
            return int(self.random.integers(len(MOVES)))

    entrant = Entrant("walker", ToyEnv(), Walker())
    found = {
        kind.__name__: [play_world(entrant, seed, 13, dreamer=kind(), horizon=4) for seed in range(6)]
        for kind in (ToyDreamer, Mean)
    }
    exact, wrong = (dream_figures(rows, 4) for rows in found.values())
    assert exact["gap"].value == exact["gap"].low == 0 and exact["psnr"].value == pytest.approx(60, abs=1e-3)
    assert exact["agreement"].value == pytest.approx(1)
    assert wrong["gap"].value == pytest.approx(1.0) and dream_figures(found["Mean"], 1)["gap"].value == pytest.approx(
        0.25
    )
    assert dreams_section("toy", {"walker": found["Mean"]}, [1, 4], tmp_path).figures["walker_4_gap"] == wrong["gap"]
    assert (tmp_path / "dreams.png").stat().st_size > 1000


def test_what_a_dream_says_after_the_end_does_not_count():
    def result(said_ends, ends):
        dreams = {
            "rewards": [[1.0, 1.0, None, None]],
            "said_rewards": [[0.5, 0.5, 9.0, 9.0]],
            "ends": [[0.0, ends, None, None]],
            "said_ends": [[*said_ends, 0.0, 0.0]],
            "errors": [[-30.0, -20.0, None, None]],
        }
        return Result(1, [1.0, 1.0], True, 0.0, 0, dreams)

    real_end = dream_figures([result((0.0, 0.0), 1.0)], 4)
    assert (real_end["predicted"].value, real_end["realised"].value, real_end["psnr"].value) == (1.0, 2.0, 20.0)
    assert dream_figures([result((0.9, 0.0), 1.0)], 4)["predicted"].value == 0.5
    cut_off = [result((0.0, 0.0), 0.0)]
    assert np.isnan(dream_figures(cut_off, 4)["predicted"].value)  # nobody knows what would have come
    assert dream_figures(cut_off, 2)["realised"].value == 2.0


def test_a_world_model_dreams_through_episodes_of_the_discrete_preset(checkpoint):
    dreamer = ModelDreamer(checkpoint, num_steps=1)
    env = gymnasium.make(
        "worldmodel/Voxel-v0",
        height=48,
        width=48,
        view_distance=16,
        frame_skip=2,
        actions="discrete",
        render_mode="rgb_array",
    )
    entrant = Entrant("random", env, make_player("random", env))
    result = play_world(entrant, 3, 5, dreamer=dreamer, horizon=4)
    assert set(result.dreams) == {"rewards", "said_rewards", "ends", "said_ends", "trust", "errors"}
    came, said, errors = (np.array(result.dreams[name], float) for name in ("rewards", "said_rewards", "errors"))
    assert said.shape[1] == 4 and 1 <= np.isfinite(said).sum() <= 5
    assert np.array_equal(np.isnan(came), np.isnan(said)) and np.array_equal(np.isnan(came), np.isnan(errors))
    assert json.loads(json.dumps(dataclasses.asdict(result)))["dreams"] == result.dreams
    episode = play(env, entrant.player, 3, 2)
    readable = as_model_actions(env.action_space, episode)
    assert readable.actions == [discrete_action(action) for action in episode.actions] != episode.actions
    assert as_model_actions(gymnasium.spaces.Discrete(2), episode) is episode


# Plans


def test_plans_in_the_truth_bring_what_they_promise(tmp_path):
    env = gymnasium.make("worldmodel/VoxelNavigateDense-v0", height=16, width=16, view_distance=16)
    foresight = Foresight(env, PlannerConfig(**PLANNER, action_repeat=2, replan_steps=2), None)
    assert foresight.lengths([1, 4, 2, 3]) == [2, 4]
    starts = moments(env, make_player("random", env), 3, 4)
    found = try_all(foresight, starts, [2, 4], tmp_path / "plans.json")
    section = plans_section({"truth": found}, {"truth": [2, 4]}, tmp_path)
    assert section.figures["truth_4_gap"].value == section.figures["truth_4_drawn_gap"].value == 0
    assert section.figures["truth_4_realised"].value > section.figures["truth_4_drawn_realised"].value
    assert section.figures["truth_4_agreement"].value == pytest.approx(1)
    assert [check.passed for check in section.checks[:2]] == [True, True]
    assert {len(trial.realised) for start in found for trial in start.drawn} == {4}
    again = try_all(foresight, starts, [2, 4], tmp_path / "plans.json")
    assert again == found == load_starts(tmp_path / "plans.json")


def test_plans_in_a_dream_are_held_against_the_real_frames(checkpoint, tmp_path):
    env = gymnasium.make(
        "worldmodel/VoxelNavigateDense-v0", height=48, width=48, view_distance=16, frame_skip=2, render_mode="rgb_array"
    )
    config = PlannerConfig(**(PLANNER | {"candidates": 4, "num_steps": 1}))
    starts = moments(env, make_player("random", env), 2, 3)
    found = try_all(Foresight(env, config, checkpoint), starts, [1, 3], tmp_path / "plans.json")
    trial = found[0].planned["3"]
    assert len(trial.predicted) == len(trial.realised) == len(trial.psnr) == 3
    assert all(5 < value < 60 for value in trial.psnr) and any(trial.predicted)
    section = plans_section({"dream": found}, {"dream": [1, 3]}, tmp_path)
    assert section.figures["dream_3_psnr"].value < 30 and (tmp_path / "plans.png").stat().st_size > 1000


def test_steps_of_another_length_than_the_dream_are_refused(checkpoint):
    env = gymnasium.make("worldmodel/Voxel-v0", height=48, width=48, view_distance=16, render_mode="rgb_array")
    with pytest.raises(TypeError, match="env: expected steps as long as those of the dream, 2 ticks, got 1"):
        Foresight(env, PlannerConfig(**PLANNER), checkpoint)
    with pytest.raises(ValueError, match="objective: expected reward, which can be compared, got image"):
        Foresight(env, PlannerConfig(**PLANNER, objective="image"), None)


def test_an_environment_that_is_never_the_same_is_refused():
    class Moody(Seeds):
        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.left = 2 + len(self.seeds)
            return self._look(), {}

    env = Moody()
    with pytest.raises(ValueError, match="env: expected the same episode from the same seed and actions, got another"):
        Foresight(env, PlannerConfig(**PLANNER), None).try_out(3, [0], [2])


def test_moments_are_taken_where_episodes_go_on():
    env = Seeds(lambda seed: seed % 2 == 0)
    starts = moments(env, make_player("idle", env), 3, 4)
    assert [len(actions) for _, actions in starts] == [4] * 3 and all(seed % 2 for seed, _ in starts)
    assert all(seed % 2 for seed, _ in moments(env, make_player("idle", env), 3, 0))
    with pytest.raises(ValueError, match="plans_after_steps: expected episodes that go on after 9 steps"):
        moments(env, Right(), 3, 9)


def tried(predicted, realised, drawn):
    """Starts with a plan of two steps each, of one reward at its end, and four drawn ones."""

    def trial(said, came):
        return Trial([0.0, said], [0.0, came], [30.0, 20.0])

    pairs = zip(predicted, realised, drawn, strict=True)
    return [
        Start(i, {"2": trial(said, came)}, [trial(*pair) for pair in others])
        for i, (said, came, others) in enumerate(pairs)
    ]


def test_the_report_says_why_a_dream_misleads(tmp_path):
    random = np.random.default_rng(0)
    noise = [[(float(random.normal()), float(random.normal())) for _ in range(4)] for _ in range(30)]
    blind = tried([2.0] * 30, [0.0] * 30, noise)
    good = tried([2.0 + i for i in range(30)], [2.0 + i for i in range(30)], [[(1.0, 1.0)] * 4 for _ in range(30)])
    section = plans_section({"blind": blind, "good": good}, {"blind": [2], "good": [2]}, tmp_path)
    checks = {check.name: check for check in section.checks}
    assert not checks["blind's plans bring what they promise"].passed
    assert (
        "from 2 steps on: promised 2.000 [2.000, 2.000], realised 0.000"
        in checks["blind's plans bring what they promise"].reason
    )
    assert not checks["blind tells good plans from bad ones"].passed
    assert not checks["blind's plans are better than drawn ones"].passed
    assert all(check.passed for name, check in checks.items() if name.startswith("good"))
    assert section.figures["blind_2_gap"].value == 2 and section.figures["blind_2_psnr"].value == 20
    alike = plans_section({"x": tried([0.0] * 9, [0.0] * 9, [[(0.0, 0.0)] * 4] * 9)}, {"x": [2]}, tmp_path)
    assert not alike.checks[1].passed and "nothing to tell apart" in alike.checks[1].reason


# Returns


def test_returns_are_compared_world_by_world(tmp_path):
    def results(totals):
        return [Result(i, [total], True, 0.5, i % 3, {}) for i, total in enumerate(totals)]

    base = np.linspace(0, 40, 20)
    totals = {"random": base, "better": base + 1, "same": base + np.tile([1.0, -1.0], 10), "best": base + 100}
    entrants = [Entrant(name, Seeds(), Right(), name, is_privileged=name == "best") for name in totals]
    section = returns_section(entrants, {name: results(values) for name, values in totals.items()}, tmp_path)
    checks = {check.name: check for check in section.checks}
    assert set(checks) == {"better beats random", "same beats random", "best beats random"}
    assert [check.passed for check in checks.values()] == [True, False, True]
    assert "do not overlap" in checks["best beats random"].reason
    assert checks["better beats random"].reason.endswith("] overlap")
    assert section.figures["better_over_random"].value == pytest.approx(1)
    assert "3 different starts" in section.text and "seeds from 0 to 19" in section.text
    assert [row[2] for row in section.tables[0].rows] == ["what is seen"] * 3 + ["the truth"]
    assert (tmp_path / "returns.png").stat().st_size > 1000
