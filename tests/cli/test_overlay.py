import numpy as np
import pytest

from worldmodel.cli.overlay import Overlay

FRAME = np.random.default_rng(0).integers(0, 256, (20, 32, 3), np.uint8)


def _strip(action, caption="", step=3, reward=0.0):
    return Overlay(FRAME.shape, 512).draw(FRAME, action, {"caption": caption}, step, reward)[320:]


def test_the_frame_is_enlarged_exactly():
    result = Overlay(FRAME.shape, 500).draw(FRAME, None, {}, 0, 0.0)
    assert result.dtype == np.uint8 and result.shape[1] == 512
    np.testing.assert_array_equal(result[:320].reshape(20, 16, 32, 16, 3)[:, 5, :, 11], FRAME)


@pytest.mark.parametrize(
    "action",
    [
        *({key: 1} for key in ("forward", "back", "left", "right", "jump", "sneak", "sprint")),
        *({key: np.ones(1)} for key in ("attack", "use", "inventory", "drop", "hotbar.3")),
        *({"camera": camera} for camera in ((5, 0), (-5, 0), (0, 5), [0, -5], np.array([[2, 2]]))),
        7,
    ],
)
def test_every_action_can_be_seen(action):
    assert (_strip(action) != _strip({})).any()


def test_the_camera_arrow_points_where_the_camera_turns():
    none = _strip({}).astype(int)

    def centre(camera):
        rows, columns = np.nonzero(np.abs(_strip({"camera": camera}) - none).sum(2))
        return rows.mean(), columns.mean()

    assert centre((10, 0))[0] > centre((-10, 0))[0]  # + is down
    assert centre((0, 10))[1] > centre((0, -10))[1]  # + is right


def test_captions_stay_inside():
    long = _strip({}, "a Minecraft player " * 40)
    assert (long[80:] != _strip({})[80:]).any()
    assert (long[:, -8:] == _strip({})[:, -8:]).all() and (long[-3:] == _strip({})[-3:]).all()


def test_pictures_stand_side_by_side_below_their_names():
    pair = np.stack([FRAME, 255 - FRAME])
    result = Overlay(FRAME.shape, 500, ("dream", "truth")).draw(pair, None, {}, 0, 0.0)
    one, gap, band = 32 * 8, 8, 22
    assert result.shape[1] == 2 * one + gap
    below = result[band : band + 20 * 8]
    np.testing.assert_array_equal(below[::8, :one:8], FRAME)
    np.testing.assert_array_equal(below[::8, one + gap :: 8], 255 - FRAME)
    bright = result[:band].max(axis=(0, 2)) > 200
    assert bright[:one].any() and not bright[one : one + gap].any() and bright[one + gap :].any()


@pytest.mark.parametrize("info", [{"trust": 0.5}, {"trust": 0.5, "psnr": 20.0}, {"time_name": "noon"}])
def test_figures_are_shown_and_stay_inside(info):
    shown = Overlay(FRAME.shape, 512).draw(FRAME, {"hotbar.1": 1}, info, 12345, -1234.567)[320:]
    plain = Overlay(FRAME.shape, 512).draw(FRAME, {"hotbar.1": 1}, {}, 12345, -1234.567)[320:]
    assert (shown != plain).any()
    background = shown[0, 0]
    assert (shown[:4] == background).all() and (shown[76:] == background).all() and (shown[:, -4:] == background).all()
