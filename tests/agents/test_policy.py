"""The model's own player."""

import gymnasium
import numpy as np
import pytest

import worldmodel.envs  # noqa: F401 - registers the ids
from worldmodel.agents import make_player
from worldmodel.agents.watcher import Watcher
from worldmodel.model import WorldModel


def play(dream, seed, **kwargs):
    player = make_player("policy", dream, **kwargs)
    observation, info = dream.reset(seed=1, options={"prompt": "a Minecraft player walks"})
    player.reset(seed)
    actions = []
    for _ in range(4):
        actions.append(player.act(observation, info))
        observation, *_, info = dream.step(actions[-1])
    return actions, observation


def flat(actions):
    return [np.asarray(tick[key]).tolist() for ticks in actions for tick in ticks for key in sorted(tick)]


def test_it_gives_an_action_for_each_tick(dream):
    actions, _ = play(dream, 0)
    assert all(len(ticks) == 2 and all(tick in dream.action_space for tick in ticks) for ticks in actions)


def test_the_seed_decides(dream):
    first, shown = play(dream, 0)
    again, shown_again = play(dream, 0)
    assert flat(first) == flat(again) and np.array_equal(shown, shown_again)
    assert flat(first) != flat(play(dream, 1)[0])


def test_without_temperature_nothing_is_drawn(dream):
    assert flat(play(dream, 0, temperature=0)[0]) == flat(play(dream, 1, temperature=0)[0])


@pytest.mark.parametrize("temperature", [-1, float("nan"), float("inf"), "hot", True])
def test_bad_temperatures_are_refused(dream, temperature):
    with pytest.raises(ValueError, match="temperature: expected a finite number of at least 0, got"):
        make_player("policy", dream, temperature=temperature)


def test_it_plays_dreams_only(checkpoint):
    with pytest.raises(TypeError, match="env: expected worldmodel/Imagined-v0, got CartPoleEnv; this player is"):
        make_player("policy", gymnasium.make("CartPole-v1"))
    discrete = gymnasium.make("worldmodel/Imagined-v0", checkpoint=checkpoint, actions="discrete")
    with pytest.raises(TypeError, match="env: expected the action space that the model was trained with, got Discrete"):
        make_player("policy", discrete)


def real(**settings):
    settings = {"height": 48, "width": 48, "view_distance": 16, "render_mode": "rgb_array", **settings}
    return gymnasium.make("worldmodel/Voxel-v0", **settings)


@pytest.fixture
def spied(monkeypatch):
    """What the model has seen: a list with the frames and actions of each latent frame."""
    seen = []
    begin, see = Watcher.begin, Watcher.see

    def spied_begin(self, frame, seed):
        seen.append((frame[None], []))
        return begin(self, frame, seed)

    def spied_see(self, frames, actions):
        seen.append((frames, list(actions)))
        return see(self, frames, actions)

    monkeypatch.setattr(Watcher, "begin", spied_begin)
    monkeypatch.setattr(Watcher, "see", spied_see)
    return seen


def play_reality(env, checkpoint, seed, steps=8, **kwargs):
    """Plays a real environment; returns actions, and frames of all ticks."""
    player = make_player("policy", env, checkpoint=checkpoint, **kwargs)
    observation, info = env.reset(seed=1)
    player.reset(seed)
    actions, frames = [], [observation]
    for _ in range(steps):
        actions.append(player.act(observation, info))
        assert actions[-1] in env.action_space
        observation, *_, info = env.step(actions[-1])
        frames += list(env.unwrapped.frames)
    return actions, np.stack(frames)


@pytest.mark.parametrize("frame_skip", [1, 2])
def test_in_reality_it_sees_every_tick_and_what_led_to_it(checkpoint, spied, frame_skip):
    actions, frames = play_reality(real(frame_skip=frame_skip), checkpoint, 0)
    assert np.array_equal(spied[0][0], frames[:1])
    ticks = [action for action in actions for _ in range(frame_skip)]
    assert len(spied) == 1 + (8 * frame_skip - 1) // 2
    for t, (shown, done) in enumerate(spied[1:]):
        assert np.array_equal(shown, frames[1 + 2 * t : 3 + 2 * t])
        assert flat([done]) == flat([ticks[2 * t : 2 * t + 2]])


def test_in_reality_the_seed_decides(checkpoint):
    env = real()
    first, again, other = (play_reality(env, checkpoint, seed)[0] for seed in (0, 0, 1))
    assert flat([first]) == flat([again]) != flat([other])
    cold = [flat([play_reality(env, checkpoint, 0, temperature=0)[0]]) for _ in range(2)]
    assert cold[0] == cold[1] != flat([first])


def test_reality_and_dream_have_the_same_player(checkpoint, dream):
    """After the same frames and actions both say the same, up to the little noise with which they remember."""
    actions, frames = play_reality(real(), checkpoint, 0, steps=6)
    model = WorldModel.from_pretrained(checkpoint)
    watcher = Watcher(model)
    said = watcher.begin(frames[0], 5)
    for t in range(0, 6, 2):
        said = watcher.see(frames[1 + t : 3 + t], actions[t : t + 2])
    dream.reset(seed=0, options={"video": frames, "actions": actions, "prompt": ""})
    dreamed = dream.unwrapped._core.dreams.policy(0)
    assert said.shape == dreamed.shape == model.denoiser.action_shape
    unlike = np.abs(said - watcher.begin(frames[-1], 5)).max()
    assert np.abs(said - dreamed).max() < 0.1 < unlike


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"actions": "discrete"}, "env: expected the action space that the model was trained with, got Discrete"),
        ({"frame_skip": 3}, "env: expected steps of 1 or 2 ticks, as the model has 2 in a latent frame, got 3"),
        ({"frame_skip": 2, "render_mode": None}, 'env: expected render_mode="rgb_array"'),
        ({"height": 64}, r"env: expected frames of shape \(48, 48, 3\), .*, got \(64, 48, 3\)"),
    ],
)
def test_a_reality_that_does_not_suit_is_refused(checkpoint, settings, message):
    with pytest.raises(TypeError, match=message):
        make_player("policy", real(**settings), checkpoint=checkpoint)


def test_checkpoints_are_for_reality(dream, checkpoint):
    with pytest.raises(ValueError, match="checkpoint: expected None in a dream, whose own model plays, got"):
        make_player("policy", dream, checkpoint=checkpoint)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        make_player("policy", real(), checkpoint="nowhere")
