"""What is wrong is said, and leaves the dream where it was."""

import gymnasium
import numpy as np
import pytest
from dream_tools import (  # noqa: F401 - full_precision is for all tests
    draw_actions,
    full_precision,
    make,
    make_batch,
    picture,
)

ACTIONS = draw_actions(6)


@pytest.fixture(scope="module")
def env(checkpoint):
    return make(checkpoint)


@pytest.fixture(scope="module")
def other(checkpoint):
    return make(checkpoint)


@pytest.fixture
def pair(env, other):
    """An environment, and one in the same state that is left alone."""
    for one in (env, other):
        one.reset(seed=5, options={"start": 0})
        one.step(ACTIONS[0])
    return env, other


def assert_undisturbed(env, other):
    (found, *_, info), (expected, *_, same) = env.step(ACTIONS[1]), other.step(ACTIONS[1])
    assert np.array_equal(found, expected) and info == same
    assert np.array_equal(env.reset(options={"start": 1})[0], other.reset(options={"start": 1})[0])


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (None, TypeError, "'action': expected a dictionary, got NoneType"),
        (3, TypeError, "'action': expected a dictionary, got int"),
        ((ACTIONS[0], ACTIONS[0]), TypeError, "'action': expected a dictionary, got tuple"),
        ({"jmup": 1}, ValueError, "'action': expected keys among .* got 'jmup'"),
        ({"forward": 2}, ValueError, r"action 0: 'forward': expected an integer in \[0, 1\], got 2"),
        ({"forward": 0.5}, ValueError, r"action 0: 'forward': expected an integer in \[0, 1\], got 0.5"),
        ({"forward": "yes"}, TypeError, "'forward': expected numbers, got str"),
        ({"camera": [0, 181]}, ValueError, r"'camera\[1\]': expected a finite number in \[-180, 180\], got 181"),
        ({"camera": [np.nan, 0]}, ValueError, r"'camera\[0\]': expected a finite number .* got nan"),
        ({"camera": [1, 2, 3]}, ValueError, "'camera': expected"),
        ([], ValueError, "action: expected a list of 2, one for each tick of a step, got 0"),
        ([{}] * 3, ValueError, "action: expected a list of 2, one for each tick of a step, got 3"),
        ([{}, {"jmup": 1}], ValueError, "'action': expected keys among .* got 'jmup'"),
    ],
    ids=lambda part: repr(part)[:24] if not isinstance(part, type) else part.__name__,
)
def test_wrong_action(pair, wrong, error, message):
    with pytest.raises(error, match=message):
        pair[0].step(wrong)
    assert_undisturbed(*pair)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"promt": "x"}, ValueError, "options: expected any of prompt, image, .*, got 'promt'"),
        ({"reset_mask": np.ones(1, bool)}, ValueError, "options: expected any of .*, got 'reset_mask'"),
        ({"prompt": 3}, TypeError, r"options\['prompt'\]: expected a string, got int 3"),
        ({"prompt": "word " * 2000}, ValueError, "prompt: expected at most 64 words, got 2000 .*shorten it"),
        ({"image": "frame.png"}, TypeError, r"options\['image'\]: expected a uint8 array \(H, W, 3\), got str"),
        ({"image": picture() / 255}, TypeError, "got float64; scale it to 0 to 255"),
        (
            {"image": picture()[..., :1]},
            ValueError,
            r"options\['image'\]: expected shape \(H, W, 3\), got \(48, 48, 1\)",
        ),
        ({"image": picture(frames=2)}, ValueError, r"options\['image'\]: expected shape \(H, W, 3\), got \(2, 48"),
        ({"image": picture(height=32)}, ValueError, "expected 48 x 48 pixels, got 32 x 48; resize it, or make the env"),
        ({"video": picture()}, ValueError, r"options\['video'\]: expected shape \(F, H, W, 3\), got \(48, 48, 3\)"),
        ({"video": picture(frames=3)[:0]}, ValueError, r"options\['video'\]: expected shape .* got \(0, 48, 48, 3\)"),
        ({"video": picture(frames=3, width=64)}, ValueError, "expected 48 x 48 pixels, got 48 x 64"),
        ({"video": picture(frames=3), "actions": [{}]}, ValueError, r"options\['actions'\]: expected 2, one between"),
        ({"video": picture(frames=3), "actions": "ab"}, TypeError, r"options\['actions'\]: expected a sequence .* str"),
        ({"video": picture(frames=3), "actions": [{}, {"x": 1}]}, ValueError, "'action': expected keys among"),
        ({"actions": [{}]}, ValueError, r"options\['actions'\]: expected together with 'video', got it alone"),
        ({"frame": 2}, ValueError, r"options\['frame'\]: expected together with 'episode', got it alone"),
        ({"start": 3}, ValueError, r"options\['start'\]: expected an integer from 0 to 2, got 3"),
        ({"start": -1}, ValueError, r"options\['start'\]: expected an integer from 0 to 2, got -1"),
        ({"start": True}, ValueError, r"options\['start'\]: expected an integer from 0 to 2, got True"),
        ({"start": 1.0}, ValueError, r"options\['start'\]: expected an integer from 0 to 2, got 1.0"),
        (
            {"start": 0, "image": picture()},
            ValueError,
            "expected one of image, video, episode and start, got image and",
        ),
        ({"episode": 3}, TypeError, r"options\['episode'\]: expected a recorded Episode or the path .* got int"),
        ({"episode": "nowhere"}, FileNotFoundError, r"options\['episode'\]: .* found none at 'nowhere'"),
        ({"state": 3}, TypeError, "state: expected what get_state returned, or the path of one, got int"),
        (
            {"state": "nowhere"},
            FileNotFoundError,
            "state: expected a file that save_state wrote, found none at nowhere",
        ),
        ({"state": 3, "prompt": "x"}, ValueError, r"options: a state decides all, got \['prompt'\] besides"),
    ],
    ids=lambda part: " and ".join(part) if isinstance(part, dict) else None,
)
def test_wrong_option(pair, options, error, message):
    env, other = pair
    with pytest.raises(error, match=message):
        env.reset(options=options)
    other.np_random.bit_generator.state = env.np_random.bit_generator.state  # a refused reset may draw
    assert_undisturbed(env, other)


@pytest.mark.parametrize("seed", [-1, "a", 1.5])
def test_wrong_seed(pair, seed):
    with pytest.raises(gymnasium.error.Error, match="Seed must be"):
        pair[0].reset(seed=seed)
    assert_undisturbed(*pair)


@pytest.mark.parametrize(
    ("prompt", "error", "message"),
    [
        ("word " * 2000, ValueError, "prompt: expected at most 64 words, got 2000 .*shorten it"),
        ("x" * 10_000, ValueError, "prompt: expected at most 64 words, got 625 .*shorten it"),
        (3, TypeError, "prompt: expected a string, got int 3"),
        (None, TypeError, "prompt: expected a string, got NoneType"),
        (["a", "b"], TypeError, "prompt: expected a string, got list"),
    ],
    ids=["words", "characters", "int", "none", "list"],
)
def test_wrong_prompt_leaves_the_old_one_in_force(pair, prompt, error, message):
    with pytest.raises(error, match=message):
        pair[0].set_prompt(prompt)
    assert pair[0].get_state().prompt == "a forest at noon"
    assert_undisturbed(*pair)


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "2"])
def test_wrong_number_of_branches(pair, number):
    with pytest.raises(ValueError, match=f"^number: expected a whole number of at least 1, got {number!r}"):
        pair[0].fork(number)
    assert_undisturbed(*pair)


def test_step_that_is_interrupted_has_not_happened(pair, monkeypatch):
    env, other = pair
    with monkeypatch.context() as patch:
        patch.setattr(env.model, "decode_groups", lambda latents: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            env.step(ACTIONS[1])
    assert_undisturbed(env, other)


def test_nothing_before_the_first_reset(checkpoint):
    env = make(checkpoint)
    for name, call in {
        "step": lambda: env.step({}),
        "set_prompt": lambda: env.set_prompt("x"),
        "get_state": env.get_state,
        "fork": lambda: env.fork(2),
        "policy_action": lambda: env.policy_action(np.random.default_rng(0)),
        "frames": lambda: env.frames,
    }.items():
        with pytest.raises(gymnasium.error.ResetNeeded, match=f"^{name}: the episode has not begun; call reset first"):
            call()
    env.reset(seed=0)
    env.step({})


# --- In a batch


@pytest.fixture(scope="module")
def batches(checkpoint):
    return make_batch(checkpoint, 3, autoreset_mode="Disabled"), make_batch(checkpoint, 3, autoreset_mode="Disabled")


@pytest.fixture
def both(batches):
    """A batch, and one in the same state that is left alone."""
    for one in batches:
        one.reset(seed=5, options={"start": 0})
        one.step(ACTIONS[:3])
    return batches


def assert_batch_undisturbed(envs, others):
    found, expected = envs.step(ACTIONS[1:4]), others.step(ACTIONS[1:4])
    assert np.array_equal(found[0], expected[0])
    assert found[4]["caption"].tolist() == expected[4]["caption"].tolist()
    assert found[4]["step"].tolist() == expected[4]["step"].tolist() == [2, 2, 2]


def batch(envs, **changes):
    envs.action_space.seed(0)
    return envs.action_space.sample() | changes


def without_camera(envs):
    actions = batch(envs)
    del actions["camera"]
    return actions


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda envs: None, TypeError, "actions: expected a batch of the action space, or a list .* got NoneType None"),
        (lambda envs: 5, TypeError, "actions: expected a batch of the action space, or a list .* got int 5"),
        (lambda envs: np.zeros(3), TypeError, "actions: expected a batch of the action space, .* got ndarray"),
        (lambda envs: tuple(ACTIONS[:3]), TypeError, "actions: expected a batch of the action space, .* got tuple"),
        (lambda envs: {}, ValueError, r"actions: expected a batch with the keys \['ESC', .*'ESC' differs"),
        (without_camera, ValueError, r"actions: expected a batch with the keys \['ESC', .*'camera' differs"),
        (lambda envs: batch(envs, jmup=np.zeros(3)), ValueError, "actions: expected .* 'jmup' differs"),
        (lambda envs: batch(envs, jump=np.zeros(2, int)), ValueError, "actions: expected a batch .*shorter"),
        (lambda envs: batch(envs, jump=np.zeros(4, int)), ValueError, "actions: expected a batch .*longer"),
        (lambda envs: batch(envs, jump=0), TypeError, "actions: expected a batch of the action space, .* got dict"),
        (lambda envs: batch(envs, jump=np.array([0, 1, 2])), ValueError, r"action 2: 'jump': expected an integer in"),
        (lambda envs: ACTIONS[:2], ValueError, "actions: expected 3, one for each dream, got 2"),
        (lambda envs: [{}, {}, {"jmup": 1}], ValueError, "'action': expected keys among .* got 'jmup'"),
        (lambda envs: [{}, {}, 3], TypeError, "'action': expected a dictionary, got int 3"),
        (lambda envs: [{}, [{}], {}], ValueError, "action: expected a list of 2, one for each tick of a step, got 1"),
    ],
    ids=lambda part: None if callable(part) else part.split(":")[0],
)
def test_wrong_actions_of_a_batch(both, wrong, error, message):
    with pytest.raises(error, match=message):
        both[0].step(wrong(both[0]))
    assert_batch_undisturbed(*both)


def mask(*values):
    return {"reset_mask": np.array(values)}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"reset_mask": [True] * 3}, TypeError, r"options\['reset_mask'\]: expected a numpy array of bool, got \[True"),
        (mask(1.0, 0.0, 0.0), TypeError, r"options\['reset_mask'\]: expected a numpy array of bool, got array"),
        (mask(True, False), ValueError, r"options\['reset_mask'\]: expected shape \(3,\) with at least one True"),
        (mask(False, False, False), ValueError, r"options\['reset_mask'\]: expected shape \(3,\) with at least one"),
        ({"prompt": ["a", "b"]}, ValueError, r"options\['prompt'\]: expected 3, one for each dream, got 2"),
        ({"prompt": ["a", "b", 3]}, TypeError, r"options\['prompt'\]: expected a string, got int 3"),
        ({"prompt": ["a", "b", "c " * 100]}, ValueError, "prompt: expected at most 64 words, got 100"),
        ({"state": [1, 2]}, ValueError, r"options\['state'\]: expected 3, one for each dream, got 2"),
        ({"state": [1, 2, 3]}, TypeError, "state: expected what get_state returned"),
        ({"promt": "x"}, ValueError, "options: expected any of .* got 'promt'"),
    ],
    ids=str,
)
def test_wrong_options_of_a_batch(both, options, error, message):
    with pytest.raises(error, match=message):
        both[0].reset(options=options)
    assert_batch_undisturbed(*both)


@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        ([1, 2], ValueError, "seed: expected 3 seeds, one for each environment, got 2"),
        ([1, -1, 2], gymnasium.error.Error, "Seed must be greater or equal to zero"),
        ([1, 2, "x"], gymnasium.error.Error, "Seed must be a python integer"),
        (-5, gymnasium.error.Error, "Seed must be greater or equal to zero"),
    ],
    ids=str,
)
def test_wrong_seeds(both, checkpoint, seed, error, message):
    with pytest.raises(error, match=message):
        both[0].reset(seed=seed)
    assert both[0].np_random_seed == (5, 6, 7), "no generator is a new one"
    assert_batch_undisturbed(*both)
    fresh = make_batch(checkpoint, 3)
    with pytest.raises(error, match=message):
        fresh.reset(seed=seed)
    assert np.array_equal(fresh.reset(seed=5)[0], both[1].reset(seed=5)[0])


def test_first_reset_is_of_all(checkpoint):
    envs = make_batch(checkpoint, 3)
    with pytest.raises(ValueError, match=r"options\['reset_mask'\]: expected all True in the first reset"):
        envs.reset(options=mask(True, False, True))
    for name, call in {
        "step": lambda: envs.step([{}] * 3),
        "set_prompt": lambda: envs.set_prompt("x"),
        "get_states": envs.get_states,
    }.items():
        with pytest.raises(gymnasium.error.ResetNeeded, match=f"^{name}: the dreams have not begun; call reset first"):
            call()
    envs.reset(options=mask(True, True, True))
    envs.step([{}] * 3)


@pytest.mark.parametrize(
    ("prompt", "error", "message"),
    [
        (["a", "b"], ValueError, "prompts: expected 3, one for each dream, got 2"),
        (["a", "b", None], TypeError, "prompt: expected a string, got NoneType"),
        (["a", "b", "c " * 100], ValueError, "prompt: expected at most 64 words, got 100"),
        ("x" * 10_000, ValueError, "prompt: expected at most 64 words, got 625"),
        (3, TypeError, "prompt: expected a string, or a list with one for each dream, got 3"),
    ],
    ids=["number", "none", "words", "characters", "int"],
)
def test_wrong_prompts(both, prompt, error, message):
    with pytest.raises(error, match=message):
        both[0].set_prompt(prompt)
    assert_batch_undisturbed(*both)


@pytest.mark.parametrize(
    ("states", "error", "message"),
    [
        (lambda states: states[:2], ValueError, "states: expected 3, one for each dream, got 2"),
        (lambda states: [*states[:2], 3], TypeError, "state: expected what get_state returned"),
        (lambda states: states[0], TypeError, "states: expected a list with one for each dream, got Snapshot"),
        (lambda states: "abc", TypeError, "states: expected a list with one for each dream, got str"),
    ],
    ids=["number", "kind", "one", "string"],
)
def test_wrong_states(both, states, error, message):
    with pytest.raises(error, match=message):
        both[0].set_states(states(both[0].get_states()))
    assert_batch_undisturbed(*both)


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "2"])
def test_wrong_number_of_dreams(checkpoint, number):
    with pytest.raises(ValueError, match=f"^num_envs: expected a whole number of at least 1, got {number!r}"):
        make_batch(checkpoint, number)


def test_wrong_settings_of_a_batch(checkpoint):
    with pytest.raises(ValueError, match="^max_episode_steps: expected a whole number of at least 1, got 0"):
        make_batch(checkpoint, 1, max_episode_steps=0)
    with pytest.raises(ValueError, match="^render_mode: expected None or 'rgb_array', got 'human'"):
        make_batch(checkpoint, 1, render_mode="human")
    with pytest.raises(ValueError, match="'Never' is not a valid AutoresetMode"):
        make_batch(checkpoint, 1, autoreset_mode="Never")
    with pytest.raises(TypeError, match="settings: expected any of .* got 'steps'"):
        make_batch(checkpoint, 1, steps=3)
