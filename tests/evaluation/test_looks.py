"""What has collapsed is told by the truth with the same actions, and by what other real worlds show."""

import numpy as np
import pytest

from worldmodel.evaluation.looks import Looks, collapsed, look

WORLDS, WINDOWS, FRAMES, SIDE = 5, 2, 4, 16


class Mean:
    """Sees the mean colour of a frame, in place of a judge."""

    def features(self, frames: np.ndarray) -> np.ndarray:
        return frames.mean((1, 2), dtype=np.float32)


def noise(seed, low=0, high=256):
    shape = (WORLDS, WINDOWS, FRAMES, SIDE, SIDE, 3)
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.uint8)


def looks(**changes):
    """Windows of one kind in all worlds, but for what is changed: `dream=("change", world, window, value)`."""
    found = {}
    for who in ("dream", "real", "other"):
        part = Looks(
            components=np.ones((WORLDS, WINDOWS, FRAMES, 3)),
            colour=np.full((WORLDS, WINDOWS, 3), 100.0),
            contrast=np.full((WORLDS, WINDOWS), 0.4),
            change=np.full((WORLDS, WINDOWS), 0.2),
            roughness=np.full((WORLDS, WINDOWS), 20.0),
        )
        if who in changes:
            name, world, window, value = changes[who]
            getattr(part, name)[world, window] = value
        found[who] = part
    return found


def only(world, window):
    expected = np.zeros((WORLDS, WINDOWS), bool)
    expected[world, window] = True
    return expected


@pytest.mark.parametrize(
    ("name", "bad", "good", "kind"),
    [
        ("change", 0.029, 0.031, "still"),
        ("contrast", 0.09, 0.11, "flat"),
        ("roughness", 41, 39, "strange"),
        ("components", 2.1, 1.9, "strange"),
        ("components", -2.1, -1.9, "strange"),
    ],
)
def test_the_rule(name, bad, good, kind):
    for who in ("dream", "other"):
        found = collapsed(looks(**{who: (name, 3, 1, bad)}), who)
        for rule, rows in found.items():
            np.testing.assert_array_equal(rows, only(3, 1) if rule == kind else np.zeros_like(rows))
        assert not any(rows.any() for rows in collapsed(looks(**{who: (name, 3, 1, good)}), who).values())


def test_real_play_sets_the_measure():
    assert not collapsed(looks(dream=("change", 3, 1, 0.0), real=("change", 3, 1, 0.0)), "dream")["still"].any()
    found = looks(dream=("roughness", 3, 1, 70), other=("roughness", 0, 0, 40))
    assert not collapsed(found, "dream")["strange"].any(), "some real window is as rough as that"
    np.testing.assert_array_equal(collapsed(looks(other=("roughness", 0, 0, 70)), "other")["strange"], only(0, 0))


def test_measures():
    frames = {"dream": noise(0), "real": noise(1), "other": noise(2)}
    frames["dream"][:, :, 1:] = frames["dream"][:, :, :1]
    frames["dream"][2, 0] = (10, 20, 30)
    found = look(frames, Mean())
    assert found["real"].components.shape == (WORLDS, WINDOWS, FRAMES, 3)
    both = np.concatenate([found[who].components.reshape(-1, 3) for who in ("real", "other")])
    np.testing.assert_allclose(both.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(both.std(0), 1, atol=0.02)
    np.testing.assert_allclose(found["dream"].colour[2, 0], (10, 20, 30))
    np.testing.assert_allclose(found["real"].contrast, 0.5, rtol=0.05)  # of an even spread
    expected = (noise(1) / 127.5).std(2).mean((2, 3, 4))
    np.testing.assert_allclose(found["real"].change, expected, rtol=0.05)
    np.testing.assert_allclose(found["real"].roughness, 256 / 3, rtol=0.05)
    assert (found["dream"].change == 0).all() and found["dream"].contrast[2, 0] == 0
    assert collapsed(found, "dream")["still"].all()
    np.testing.assert_array_equal(collapsed(found, "dream")["flat"], only(2, 0))


def test_brightness_is_neither_contrast_nor_change():
    frames = {"dream": noise(1, 100, 200), "real": noise(1, 100, 200), "other": noise(2)}
    frames["dream"] //= np.array([1, 2, 1, 2], np.uint8)[:, None, None, None]
    frames["real"][:, :, 1:] = frames["real"][:, :, :1]
    frames["dream"][:, :, 1:] = frames["real"][:, :, 1:] // np.array([2, 1, 2], np.uint8)[:, None, None, None]
    found = look(frames, Mean())
    np.testing.assert_allclose(found["dream"].contrast, found["real"].contrast, rtol=0.02)
    assert found["real"].change.max() == 0 and found["dream"].change.max() < 0.005
