import pytest
import torch
from tiny_world import normal

from worldmodel.model.patches import from_groups, group_indices, num_groups, patchify, to_groups, unpatchify
from worldmodel.model.world_model import group_actions

RATIOS = (1, 2, 4)


def test_patches_stand_row_by_row():
    grid = torch.arange(24).view(4, 6, 1)  # number = 6 * row + column
    patches = patchify(grid, 2)
    assert patches.shape == (6, 4)
    assert patches[0].tolist() == [0, 1, 6, 7]
    assert patches[1].tolist() == [2, 3, 8, 9]
    assert patches[3].tolist() == [12, 13, 18, 19]


def test_channels_of_a_site_stay_together():
    grid = torch.stack([torch.arange(4).view(2, 2), 10 + torch.arange(4).view(2, 2)], dim=-1)
    assert patchify(grid, 2).tolist() == [[0, 10, 1, 11, 2, 12, 3, 13]]


@pytest.mark.parametrize(("height", "width", "patch"), [(4, 4, 4), (4, 12, 2), (12, 4, 2), (3, 5, 1)])
def test_unpatchify_undoes_patchify(height, width, patch):
    grid = normal(2, 3, height, width, 5)
    patches = patchify(grid, patch)
    assert patches.shape == (2, 3, height * width // patch**2, patch**2 * 5)
    assert torch.equal(unpatchify(patches, height, width, patch), grid)


@pytest.mark.parametrize(("height", "width", "name"), [(5, 4, "height"), (4, 7, "width"), (0, 4, "height")])
def test_size_that_is_not_divisible_is_named(height, width, name):
    with pytest.raises(ValueError, match=f"^{name}: expected a positive multiple of 4"):
        patchify(torch.zeros(height, width, 3), 4)


def test_error_tells_the_nearest_size():
    with pytest.raises(ValueError, match="width: .* got 30; crop or resize to 32"):
        patchify(torch.zeros(16, 30, 3), 16)


def test_groups_of_known_frames():
    assert to_groups(torch.arange(5), 2).tolist() == [[0, 0], [1, 2], [3, 4]]
    assert to_groups(torch.arange(4), 2).tolist() == [[0, 0], [1, 2], [3, 3]]
    assert to_groups(torch.arange(7), 4).tolist() == [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 6, 6]]
    assert to_groups(torch.arange(3), 1).tolist() == [[0], [1], [2]]


@pytest.mark.parametrize("ratio", RATIOS)
def test_picture_is_one_group(ratio):
    picture = normal(1, 4, 4, 3)
    groups = to_groups(picture, ratio)
    assert groups.shape == (1, ratio, 4, 4, 3)
    assert torch.equal(groups[0], picture.expand(ratio, -1, -1, -1))
    assert torch.equal(from_groups(groups), picture)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("num_frames", range(1, 14))
def test_groups_come_back_as_frames(ratio, num_frames):
    frames = torch.arange(num_frames)
    groups = to_groups(frames, ratio)
    assert groups.shape == (num_groups(num_frames, ratio), ratio)
    assert torch.equal(from_groups(groups, num_frames), frames)
    whole = from_groups(groups)
    assert len(whole) == 1 + (len(groups) - 1) * ratio
    assert (whole[num_frames:] == num_frames - 1).all()


@pytest.mark.parametrize("ratio", RATIOS)
def test_indices_are_those_of_the_groups(ratio):
    frames = 100 + torch.arange(9)
    assert torch.equal(frames[group_indices(9, ratio)], to_groups(frames, ratio))


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("num_frames", range(1, 14))
def test_action_stands_where_the_frame_stands_that_it_led_to(ratio, num_frames):
    vectors = torch.arange(num_frames).float()[:, None]  # row t led to frame t
    vectors[0] = 99  # nothing led to frame 0: what stands there is not looked at
    groups, actions = to_groups(torch.arange(num_frames), ratio), group_actions(vectors, ratio)[..., 0]
    assert actions.shape == groups.shape
    assert (actions[0] == 0).all()
    ticks = actions[1:].flatten()
    # Each action once, at its frame; where the last frame is repeated, there is no action.
    assert torch.equal(ticks[: num_frames - 1].long(), groups[1:].flatten()[: num_frames - 1])
    assert (ticks[num_frames - 1 :] == 0).all()


def test_no_frame_is_refused():
    with pytest.raises(ValueError, match="num_frames: expected at least 1, got 0"):
        to_groups(torch.zeros(0, 4, 4, 3), 2)
