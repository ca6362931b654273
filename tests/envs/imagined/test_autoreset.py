"""Dreams in a batch do what Gymnasium's own vector environments do: seeds, resets, ends, infos."""

import gymnasium
import numpy as np
import pytest
from dream_tools import full_precision  # noqa: F401
from ecosystem_tools import COUNT, LIMIT, assert_close, dream, dreams, endings, strict  # noqa: F401
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

import worldmodel.envs

# ruff: noqa: F811 - fixtures


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_make_vec_takes_all_modes(dreams, mode, strict):
    for given in (mode, mode.value):
        envs = dreams(autoreset_mode=given)
        assert envs.metadata["autoreset_mode"] is mode and envs.num_envs == COUNT
        assert envs.spec.id == worldmodel.envs.IMAGINED_ID
        envs.close()
    assert dreams().metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_the_same_as_gymnasiums_vector_environment(dream, dreams, mode, endings):
    """Observations, rewards, ends and infos, in all modes: those of `SyncVectorEnv` around single dreams."""
    ours = dreams(autoreset_mode=mode, max_episode_steps=LIMIT)
    theirs = SyncVectorEnv([lambda: TimeLimit(dream(), LIMIT) for _ in range(COUNT)], autoreset_mode=mode)
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space
    for one, other in zip(ours.reset(seed=3), theirs.reset(seed=3), strict=True):
        assert_close(one, other)
    assert ours.np_random_seed == theirs.np_random_seed == (3, 4, 5)
    ours.action_space.seed(0)
    kinds = set()
    for _ in range(3 * LIMIT):
        actions = ours.action_space.sample()
        result, reference = ours.step(actions), theirs.step(actions)
        for one, other in zip(result, reference, strict=True):
            assert_close(one, other)
        terminations, truncations = result[2:4]
        kinds |= set(zip(terminations.tolist(), truncations.tolist(), strict=True))
        over = terminations | truncations
        if mode == AutoresetMode.DISABLED and over.any():
            with pytest.raises(gymnasium.error.ResetNeeded, match="reset_mask"):
                ours.step(actions)
            for one, other in zip(
                ours.reset(options={"reset_mask": over}), theirs.reset(options={"reset_mask": over}), strict=True
            ):
                assert_close(one, other)
    assert kinds >= {(False, False), (True, False), (False, True)}


def starts(envs, numbers):
    """Begins dreams with bundled starts, whose prompts decide when they end; by states, for each has its own."""
    single = envs.unwrapped
    single.reset(seed=0, options={"start": 0})
    states = []
    for number in numbers:
        single.reset(options={"start": number})
        states.append(single.get_states()[0])
    envs.reset(options={"state": states})


def test_next_step_autoreset(dreams, endings):
    """After Gymnasium's `test_autoreset_next_step`; `step` in the infos counts, as its observations do."""
    envs = dreams()
    starts(envs, [2, 0, 0])  # end after 2, 3, 3 steps
    for steps, ends in [([1, 1, 1], [False] * 3), ([2, 2, 2], [True, False, False]), ([0, 3, 3], [False, True, True])]:
        before = envs.step([1, 2, 3])
        assert before[4]["step"].tolist() == steps and before[2].tolist() == ends and not before[3].any()
        assert (before[1] == 0).tolist() == [step == 0 for step in steps]
        assert "final_obs" not in before[4]
    observations, rewards, terminations, _, infos = envs.step([1, 2, 3])
    assert infos["step"].tolist() == [1, 0, 0] and rewards[1:].tolist() == [0.0, 0.0] and not terminations.any()
    assert infos["trust"][1:].tolist() == [1.0, 1.0]
    assert (observations != before[0]).any(axis=(1, 2, 3)).all()


def test_the_action_of_a_reset_step_is_ignored(dreams, endings):
    found = []
    for ignored in (1, 5):
        envs = dreams(1)
        envs.reset(seed=0, options={"start": 2})
        steps = [envs.step([action]) for action in (3, 3, ignored, 4)]
        assert [infos["step"].item() for *_, infos in steps] == [1, 2, 0, 1]
        found.append([observations for observations, *_ in steps])
    np.testing.assert_array_equal(found[0], found[1])


def test_same_step_autoreset(dreams, endings):
    """After Gymnasium's `test_autoreset_within_step`."""
    envs = dreams(autoreset_mode="SameStep")
    starts(envs, [2, 0, 0])
    envs.step([1, 2, 3])
    observations, rewards, terminations, _, infos = envs.step([1, 2, 3])
    assert infos["step"].tolist() == [0, 2, 2] and terminations.tolist() == [True, False, False]
    assert infos["_final_obs"].tolist() == infos["_final_info"].tolist() == [True, False, False]
    assert infos["final_info"]["step"].tolist() == [2, 0, 0] and (rewards != 0).all()
    assert infos["final_obs"][0] in envs.single_observation_space and infos["final_obs"][1] is None
    assert (infos["final_obs"][0] != observations[0]).any()
    *_, terminations, _, infos = envs.step([1, 2, 3])
    assert infos["step"].tolist() == [1, 0, 0] and terminations.tolist() == [False, True, True]
    assert infos["_final_obs"].tolist() == [False, True, True]


def test_disabled_autoreset(dreams, endings):
    """After Gymnasium's `test_autoreset_disabled`."""
    envs = dreams(autoreset_mode="Disabled")
    starts(envs, [2, 0, 0])
    envs.step([1, 2, 3])
    latest, _, terminations, _, infos = envs.step([1, 2, 3])
    assert infos["step"].tolist() == [2, 2, 2] and terminations.tolist() == [True, False, False]
    observations, infos = envs.reset(options={"reset_mask": terminations, "start": 0})
    assert infos["_step"].tolist() == [True, False, False]
    np.testing.assert_array_equal(observations[1:], latest[1:])  # as Gymnasium's, the latest of those that go on
    *_, terminations, _, infos = envs.step([1, 2, 3])
    assert infos["step"].tolist() == [1, 3, 3] and terminations.tolist() == [False, True, True]
    options = {"reset_mask": terminations}
    envs.reset(options=options)
    assert options == {"reset_mask": terminations}
    assert envs.step([1, 2, 3])[4]["step"].tolist() == [2, 1, 1]


@pytest.mark.parametrize("mask", [[True], np.ones(COUNT), np.ones(COUNT + 1, np.bool_), np.zeros(COUNT, np.bool_)])
def test_a_wrong_reset_mask_is_refused(dreams, mask):
    envs = dreams(autoreset_mode="Disabled")
    envs.reset(seed=0)
    with pytest.raises((TypeError, ValueError), match="reset_mask"):
        envs.reset(options={"reset_mask": mask})


def test_seeds_are_those_of_single_environments(dream, dreams):
    envs, env = dreams(), dream()
    observations, _ = envs.reset(seed=7)
    for i in range(COUNT):
        assert_close(observations[i], env.reset(seed=7 + i)[0])
    again, _ = envs.reset(seed=[7, None, 9])
    np.testing.assert_array_equal(again[[0, 2]], observations[[0, 2]])
    assert envs.np_random_seed == (7, 8, 9)
    following, _ = envs.reset()
    env.reset(seed=9)
    assert_close(following[2], env.reset()[0])
    with pytest.raises(ValueError, match="^seed: expected 3 seeds"):
        envs.reset(seed=[1, 2])


def test_a_seed_reaches_only_what_is_reset(dreams):
    """As in Gymnasium's `SyncVectorEnv`: an environment that goes on keeps its generator."""
    envs, others = dreams(autoreset_mode="Disabled"), dreams(autoreset_mode="Disabled")
    envs.reset(seed=1)
    others.reset(seed=1)
    envs.reset(seed=50, options={"reset_mask": np.array([False, True, False])})
    assert envs.np_random_seed == (1, 51, 3)
    np.testing.assert_array_equal(envs.reset()[0][[0, 2]], others.reset()[0][[0, 2]])


def test_observations_and_infos_are_the_callers(dreams):
    envs = dreams(autoreset_mode="SameStep", max_episode_steps=1)
    first, _ = envs.reset(seed=0)
    kept = first.copy()
    second, *_, infos = envs.step([0] * COUNT)
    finals = [final.copy() for final in infos["final_obs"]]
    second[:] = 0
    third, *_ = envs.step([0] * COUNT)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(np.stack(infos["final_obs"]), np.stack(finals))
    assert third.any()
