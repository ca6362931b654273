"""A perfect dreamer does not drift however long; what stands still, fades, brightens or falls to noise is found."""

import sys
from pathlib import Path

import numpy as np
import pytest

from worldmodel.envs.imagined.dreams import Moment
from worldmodel.evaluation.drift import STEPS, WINDOW, evaluate_drift, play_long, shown_steps, steps_taken, window
from worldmodel.evaluation.episodes import EpisodesTooShort, play

# For toy_world. It is no module of a package `tests`, because some dependencies install one of that name.
sys.path.append(str(Path(__file__).parent))

from toy_world import SIDE, ToyDreamer, ToyEnv, Wanderer, find  # noqa: E402

WORLDS = 4


class Eyes:
    """Sees how bright and how uneven the tiles of a frame are, in place of a judge."""

    def features(self, frames: np.ndarray) -> np.ndarray:
        tiles = frames.reshape(len(frames), 3, SIDE // 3, 3, SIDE // 3, 3).astype(np.float32)
        return np.concatenate([tiles.mean((2, 4)).reshape(len(frames), -1), tiles.std((1, 2, 3, 4))], axis=1)


class Spoiled(ToyDreamer):
    """Dreams as it should, and then spoils what it shows; `spoil` takes frames, float (B, r, H, W, 3), and the step."""

    def __init__(self, spoil, after: int = 0) -> None:
        super().__init__()
        self.spoil, self.after = spoil, after

    def begin(self, contexts, seed):
        super().begin(contexts, seed)
        self.steps = 0

    def step(self, actions) -> Moment:
        moment = super().step(actions)
        self.steps += 1
        if self.steps > self.after:
            moment.frames = np.clip(self.spoil(moment.frames.astype(float), self.steps), 0, 255).astype(np.uint8)
        return moment


@pytest.fixture(scope="module")
def played():
    return play_long(ToyEnv(), Wanderer(), range(100, 150), 2 * WORLDS, context_steps=4, most_steps=256)


def score(played, folder, dreamer, **settings):
    return evaluate_drift(dreamer, Eyes(), played, folder, batch=3, **settings)


def test_windows():
    for step in STEPS:
        steps = window(step)
        assert len(set(steps)) == WINDOW and steps == sorted(steps) and steps[-1] == step and steps[0] >= 1
        assert step == 16 or step - steps[0] == pytest.approx(step / 4, abs=step / 40 + 1), "the last quarter"
    assert shown_steps(4000) == list(STEPS) and shown_steps(999) == [16, 64, 256]
    with pytest.raises(ValueError, match="drift_steps: expected at least 16, got 15"):
        shown_steps(15)


def test_long_play_is_play_with_few_frames_kept(played):
    episode = play(ToyEnv(), Wanderer(), played[0].seed, 4 + 256)
    assert played[0].actions == episode.actions[4:] and played[0].context.actions == episode.actions[:4]
    assert len(played[0].frames) == 3 * WINDOW
    for step, frame in played[0].frames.items():
        assert (frame == episode.frames[4 + step, -1]).all()
    assert (played[0].context.frames[-1] == episode.frames[4, -1]).all() and len(played[0].context.frames) == 4 * 2 + 1
    assert [part.seed for part in played] == list(range(100, 100 + 2 * WORLDS))


def test_a_perfect_dreamer_does_not_drift(played, tmp_path):
    section = score(played, tmp_path, ToyDreamer())
    for step in ("16", "64", "256", "last"):
        figures = {name: section.figures[f"{name}_{step}"] for name in ("frechet", "colour", "brightness", "collapsed")}
        for estimate in figures.values():
            assert estimate.value == pytest.approx(0, abs=1e-6) and estimate.number == WORLDS
        assert section.figures[f"contrast_{step}"].value == pytest.approx(1)
        assert section.figures[f"frechet_real_{step}"].value > 1, "other worlds are elsewhere"
        assert section.figures[f"collapsed_real_{step}"].value == 0
    assert section.figures["last_step"] == 256
    (check,) = section.checks
    assert check.passed and check.reason.startswith("0 of 4 have collapsed after 256 steps; of as many real episodes")
    for name in section.pictures:
        assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda frames, step: 40 + 0.1 * (frames - 40), "flat"),
        (lambda frames, step: np.random.default_rng(step).uniform(0, 255, frames.shape), "strange"),
        (lambda frames, step: 255 * (frames > 100) * [0, 0, 1] + 255 * (frames <= 100) * [1, 0, 0], "strange"),
    ],
)
def test_collapse_is_found(played, tmp_path, spoil, kind):
    section = score(played, tmp_path, Spoiled(spoil, after=64))
    assert section.figures["collapsed_64"].value == 0 and section.figures["collapsed_256"].value == 1
    assert section.figures[f"{kind}_256"].value == 1
    (check,) = section.checks
    assert not check.passed and check.reason.startswith("4 of 4 have collapsed after 256 steps")
    assert section.figures["frechet_256"].low > section.figures["frechet_64"].high


def test_standing_still_is_found(played, tmp_path):
    section = score(played, tmp_path, ToyDreamer(obeys=False))
    assert section.figures["still_256"].value == section.figures["collapsed_last"].value == 1
    assert section.figures["flat_256"].value == section.figures["strange_256"].value == 0


def test_standing_still_is_right_where_the_truth_does(tmp_path):
    class Idle(Wanderer):
        def act(self, observation, info):
            return 0

    still = play_long(ToyEnv(), Idle(), range(4), 4, context_steps=4, most_steps=16)
    section = score(still, tmp_path, ToyDreamer(obeys=False))
    assert section.figures["collapsed_last"].value == 0 and section.checks[0].passed


def test_brightness_and_colour(played, tmp_path):
    def brighten(frames, step):
        return frames + [0.3 * step, 0.0, 0.0] if step <= 64 else frames - 12

    section = score(played, tmp_path, Spoiled(brighten))
    at_64 = np.mean(np.floor(0.3 * np.array(window(64))))
    assert section.figures["colour_64"].value == pytest.approx(at_64 / 3, abs=0.3)
    assert section.figures["brightness_64"].value == pytest.approx(at_64 / 3, abs=0.3)
    assert section.figures["brightness_256"].value == pytest.approx(-12, abs=0.1)
    assert section.figures["colour_last"].value == pytest.approx(12, abs=0.1)


def test_contrast(played, tmp_path):
    section = score(played, tmp_path, Spoiled(lambda frames, step: 40 + 0.5 * (frames - 40)))
    assert section.figures["contrast_last"].value == pytest.approx(0.54, abs=0.02)  # darker, too
    assert section.figures["flat_last"].value == 0, "half of the contrast is not flat"


def test_the_dream_gets_the_real_actions(played, tmp_path):
    dreamer = ToyDreamer()
    score(played, tmp_path, dreamer)
    assert [len(part) for part in dreamer.begun] == [3, 1] and dreamer.seeds == [0, 3]
    ends = [part.frames[256] for part in played[:WORLDS]]
    assert (dreamer.places[0] == find(ends[3])).all(), "the last dream ends where its player does"


def test_where_episodes_end_early_fewer_steps_are_shown(tmp_path):
    env = ToyEnv(length=100)
    played = play_long(env, Wanderer(), range(12), 4, context_steps=4, most_steps=4000)
    assert [len(part.actions) for part in played] == [64] * 4
    section = score(played, tmp_path, ToyDreamer())
    assert section.figures["last_step"] == 64 and "frechet_256" not in section.figures
    assert "over 64 steps" in section.text
    with pytest.raises(EpisodesTooShort, match="expected episodes of 20 steps, nearly all end earlier"):
        play_long(ToyEnv(length=19), Wanderer(), range(12), 4, context_steps=4, most_steps=4000)
    with pytest.raises(EpisodesTooShort):
        play_long(ToyEnv(length=3), Wanderer(), range(12), 4, context_steps=4, most_steps=4000)


def test_the_progress_bar_is_right(tmp_path):
    done = []
    played = play_long(ToyEnv(), Wanderer(), range(9), 4, context_steps=4, most_steps=70, progress=done.append)
    score(played, tmp_path, ToyDreamer(), progress=done.append)
    assert sum(done) == steps_taken(2, 70) == 3 * 2 * 64


def test_bad_episodes_are_refused(played, tmp_path):
    for wrong in ([], played[:3]):
        with pytest.raises(ValueError, match="played: expected an even number of episodes of one length"):
            score(wrong, tmp_path, ToyDreamer())
