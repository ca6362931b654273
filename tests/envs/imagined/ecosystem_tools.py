"""What tests of dreams in the hands of other libraries have in common."""

import warnings

import gymnasium
import numpy as np
import pytest

import worldmodel.envs
from worldmodel.envs.imagined.core import Imagination

COUNT, LIMIT, SIDE = 3, 4, 48


@pytest.fixture
def strict():
    """Warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def dream(checkpoint, monkeypatch):
    """Makes single dreams."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")

    def make(**settings):
        return gymnasium.make(
            worldmodel.envs.IMAGINED_ID, **{"checkpoint": checkpoint, "actions": "discrete"} | settings
        )

    return make


@pytest.fixture
def dreams(checkpoint):
    """Makes dreams in a batch."""

    def make(count=COUNT, **settings):
        settings = {"checkpoint": checkpoint, "actions": "discrete"} | settings
        return gymnasium.make_vec(worldmodel.envs.IMAGINED_ID, count, **settings)

    return make


@pytest.fixture
def endings(monkeypatch):
    """Episodes that begin with a forest terminate after 3 steps, with no prompt after 2, with a desert never."""

    def ends(self, moment):
        last = [{"a forest at noon": 3, "": 2}.get(prompt, 100) for prompt in self.dreams.prompts]
        terminations = np.array(self.dreams.steps) >= last
        return terminations, np.zeros_like(terminations)

    monkeypatch.setattr(Imagination, "ends", ends)


def assert_close(ours, theirs):
    """The same up to the rounding of larger matrix products."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_close(ours[key], theirs[key])
    elif theirs is None or isinstance(theirs, str):
        assert ours == theirs
    elif theirs.dtype == object:
        for one, other in zip(ours, theirs, strict=True):
            assert_close(one, other)
    else:
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        if theirs.dtype == np.uint8:
            assert np.abs(ours.astype(int) - theirs).mean() < 0.5
        else:
            np.testing.assert_allclose(ours, theirs, atol=0.01)
