import numpy as np
import pytest

from worldmodel.envs.voxel import blocks, hud
from worldmodel.envs.voxel.hud import HudSprites, draw_hud

SIZES = [(64, 64), (128, 128), (72, 128), (128, 72), (360, 640), (32, 32), (9, 7)]
NAMES = ("oak_log", "cobblestone", "torch", "stone_pickaxe", "diamond", "crafting_table", "dirt", "poppy", "stick")
CODES = np.array([blocks.code(name) for name in NAMES], np.int16)
COUNTS = np.array([1, 64, 32, 1, 3, 1, 16, 2, 8], np.int16)


def draw(
    height, width, *, base=120, codes=CODES, counts=COUNTS, selected=0, health=20.0, air=300, swing=0.0, light=1.0
):
    """A grey frame with the display on it."""
    frame = np.full((height, width, 3), base, np.uint8)
    draw_hud(frame, HudSprites.for_size(height, width), codes, counts, selected, health, air, swing, light)
    return frame


def changed(first, second):
    """Box (top, left, bottom, right) of the pixels that differ, `None` if there are none."""
    rows, columns = (first != second).any(-1).nonzero()
    return (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) if len(rows) else None


@pytest.mark.parametrize("size", SIZES)
def test_draws_inside_the_frame_at_every_size(size):
    height, width = size
    guarded = np.full((height + 20, width, 3), 77, np.uint8)
    frame = guarded[10:-10]
    for selected in range(9):
        for swing in (0.0, 0.2, 0.5, 1.0):
            draw_hud(frame, HudSprites.for_size(*size), CODES, COUNTS, selected, 7.0, 90, swing, 0.5)
    assert (guarded[:10] == 77).all() and (guarded[-10:] == 77).all()
    assert (frame != 77).any()


@pytest.mark.parametrize("size", SIZES[:5])
def test_leaves_the_picture_free(size):
    height, width = size
    sprites = HudSprites.for_size(*size)
    frame = draw(*size)
    covered = (frame != 120).any(-1)
    arm = sprites.layout[hud.CROSS_ARM] + sprites.layout[hud.CROSS_WIDTH]
    middle = covered[height // 2 - arm : height // 2 + arm + 1, width // 2 - arm : width // 2 + arm + 1]
    assert 3 <= middle.sum() <= middle.size / 2
    middle[...] = False
    top = min(sprites.layout[hud.HELD_Y], sprites.layout[hud.HEART_Y])
    assert not covered[:top].any() and top > 0.6 * height
    left_of_hand = covered[:, : sprites.layout[hud.HELD_X]]
    assert not left_of_hand[: sprites.layout[hud.HEART_Y]].any()
    assert covered.mean() < 0.25
    assert height - sprites.layout[hud.HOTBAR_Y] <= 0.12 * height


def test_hotbar_is_centred_and_never_cut_off():
    for height, width in SIZES[:5]:
        layout = HudSprites.for_size(height, width).layout
        left, right = layout[hud.HOTBAR_X], width - (layout[hud.HOTBAR_X] + 9 * layout[hud.PITCH] + 1)
        assert left >= 0 and 0 <= right - left <= 1


@pytest.mark.parametrize("size", SIZES[:5])
def test_selection_moves_the_frame_by_one_slot(size):
    sprites = HudSprites.for_size(*size)
    empty = np.zeros(9, np.int16)
    pitch, x, y = (sprites.layout[i] for i in (hud.PITCH, hud.HOTBAR_X, hud.HOTBAR_Y))
    box = changed(draw(*size, counts=empty, selected=0), draw(*size, counts=empty, selected=1))
    assert box == (y, x, size[0], x + 2 * pitch + 1)


@pytest.mark.parametrize("size", SIZES[:5])
def test_every_pair_of_counts_that_matters_looks_different(size):
    sprites = HudSprites.for_size(*size)
    pitch, x, y = (int(sprites.layout[i]) for i in (hud.PITCH, hud.HOTBAR_X, hud.HOTBAR_Y))
    frames = []
    for count in (0, 1, 2, 8, 32, 64):
        counts = COUNTS.copy()
        counts[4] = count
        frames.append(draw(*size, counts=counts))
    assert len({frame.tobytes() for frame in frames}) == len(frames)
    for frame in frames[1:]:  # only slot 4 changes
        top, left, bottom, right = changed(frames[0], frame)
        assert y < top and x + 4 * pitch < left and right <= x + 5 * pitch and bottom < size[0]


def test_digits_show_every_count_where_there_is_room():
    frames = set()
    for count in range(1, 65):
        counts = COUNTS.copy()
        counts[4] = count
        frames.add(draw(128, 128, counts=counts).tobytes())
    assert len(frames) == 64


def test_count_bar_never_shrinks():
    lengths = []
    for count in range(2, 65):
        counts = np.array([count] + [0] * 8, np.int16)
        frame = draw(64, 64, counts=counts, selected=5)
        lengths.append((frame == hud.BAR_COLOUR).all(-1).sum())
    assert lengths[0] == 1 and lengths[-1] == 5 and (np.diff(lengths) >= 0).all()


@pytest.mark.parametrize("size", SIZES[:6])
def test_health_shows_half_hearts(size):
    frames = [draw(*size, health=float(health)) for health in range(21)]
    assert len({frame.tobytes() for frame in frames}) == 21
    assert np.array_equal(draw(*size, health=6.4), frames[7])  # rounded up, as in Minecraft
    layout = HudSprites.for_size(*size).layout
    top, left, bottom, right = changed(frames[0], frames[20])
    assert (top, left) == (layout[hud.HEART_Y], layout[hud.HEART_X])
    assert bottom <= layout[hud.HOTBAR_Y] and right <= left + 10 * layout[hud.HEART_PITCH]


@pytest.mark.parametrize("size", SIZES[:6])
def test_bubbles_show_only_when_air_is_short(size):
    full, short, none = draw(*size, air=300), draw(*size, air=150), draw(*size, air=0)
    assert np.array_equal(full, none)
    assert changed(full, short) is not None
    assert len({draw(*size, air=air).tobytes() for air in range(0, 300)}) == 11


def test_crosshair_contrasts_with_what_is_beneath():
    bright, dark = draw(64, 64, base=230), draw(64, 64, base=20)
    assert bright[32, 32].max() < 90 and dark[32, 32].min() > 170
    grey = draw(64, 64, base=128)
    assert abs(int(grey[32, 32, 0]) - 128) > 80


def test_hand_shows_the_selected_item_or_the_arm():
    held = draw(64, 64, selected=4)
    hand = changed(held, draw(64, 64, selected=4, light=0.2))
    layout = HudSprites.for_size(64, 64).layout
    assert hand[0] >= layout[hud.HELD_Y] and hand[1] >= layout[hud.HELD_X]
    counts = COUNTS.copy()
    counts[4] = 0
    assert changed(held, draw(64, 64, selected=4, counts=counts)) is not None


def test_swing_goes_down_left_and_comes_back():
    rest, middle, end = (draw(128, 128, selected=0, swing=swing) for swing in (0.0, 0.3, 1.0))
    assert np.array_equal(rest, end)
    empty = np.full((128, 128, 3), 120, np.uint8)
    layout = HudSprites.for_size(128, 128).layout
    above = slice(72, int(layout[hud.HEART_Y]))
    at_rest, swung = changed(empty[above], rest[above]), changed(empty[above], middle[above])
    assert swung[0] > at_rest[0] and swung[1] < at_rest[1]


def test_brightness_darkens_only_the_hand():
    bright, dark = draw(128, 128, light=1.0), draw(128, 128, light=0.25)
    box = changed(bright, dark)
    assert box is not None and (dark <= bright).all()
    assert np.array_equal(draw(128, 128, light=3.0), bright)  # clamped


def test_same_arguments_same_pixels_and_cached_sprites():
    assert np.array_equal(draw(64, 64), draw(64, 64))
    assert HudSprites.for_size(64, 64) is HudSprites.for_size(64, 64)


def test_codes_without_a_picture_draw_nothing():
    codes = np.array([0, 5, 63, 127, 200, -3, 32767, 0, 0], np.int16)
    frame = draw(64, 64, codes=codes, counts=np.ones(9, np.int16), selected=8)
    assert np.array_equal(frame, draw(64, 64, codes=codes, counts=np.zeros(9, np.int16), selected=8))


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((64, 64, 3), np.float32),
        np.zeros((64, 65, 3), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 128, 3), np.uint8)[:, ::2],
    ],
)
def test_bad_frame_is_refused(frame):
    with pytest.raises(ValueError, match=r"frame: expected C-contiguous uint8 \(64, 64, 3\)"):
        draw_hud(frame, HudSprites.for_size(64, 64), CODES, COUNTS, 0, 20.0, 300, 0.0, 1.0)


def test_bad_arguments_are_refused():
    frame, sprites = np.zeros((64, 64, 3), np.uint8), HudSprites.for_size(64, 64)
    with pytest.raises(ValueError, match="item_codes: expected int16"):
        draw_hud(frame, sprites, CODES[:8], COUNTS, 0, 20.0, 300, 0.0, 1.0)
    with pytest.raises(ValueError, match="item_counts: expected int16"):
        draw_hud(frame, sprites, CODES, COUNTS.astype(np.int64), 0, 20.0, 300, 0.0, 1.0)
    with pytest.raises(ValueError, match="selected: expected a slot"):
        draw_hud(frame, sprites, CODES, COUNTS, 9, 20.0, 300, 0.0, 1.0)
    with pytest.raises(ValueError, match="height, width: expected"):
        HudSprites.for_size(0, 64)
