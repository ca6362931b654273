import numpy as np
import pytest

from worldmodel.envs.voxel import blocks
from worldmodel.envs.voxel.icons import held_item, item_icon
from worldmodel.envs.voxel.textures import (
    BOTTOM,
    CRACK_STAGES,
    MIP_OFFSETS,
    SIDE,
    TEXELS_PER_TILE,
    TOP,
    build_textures,
)

TEXTURES = build_textures()
CUTOUTS = [block for block in blocks.BLOCKS if block.shape in (blocks.Shape.CROSS, blocks.Shape.TORCH)]


def tile(name: str, face: int = SIDE, level: int = 0) -> np.ndarray:
    """RGBA image of a block's face at a mip level."""
    size = 16 >> level
    texels = TEXTURES.texels[TEXTURES.faces[blocks.code(name), face]]
    return texels[MIP_OFFSETS[level] : MIP_OFFSETS[level] + size * size].reshape(size, size, 4)


def test_arrays_have_the_documented_form():
    assert TEXTURES.texels.shape == (len(TEXTURES.names), TEXELS_PER_TILE, 4)
    assert TEXTURES.faces.shape == (blocks.NUM_CODES, 3)
    assert TEXTURES.crack.shape == (CRACK_STAGES, 256)
    for array in (TEXTURES.texels, TEXTURES.faces, TEXTURES.crack):
        assert array.dtype == np.uint8 and array.flags.c_contiguous and not array.flags.writeable
    assert build_textures() is TEXTURES
    assert np.array_equal(build_textures.__wrapped__().texels, TEXTURES.texels)


def test_no_two_tiles_are_alike():
    assert len(np.unique(TEXTURES.texels.reshape(len(TEXTURES.names), -1), axis=0)) == len(TEXTURES.names)


@pytest.mark.parametrize("block", blocks.BLOCKS, ids=lambda block: block.name)
def test_every_block_has_a_look_of_its_own(block):
    faces = TEXTURES.faces[block.code].tolist()
    assert all(TEXTURES.faces[other.code].tolist() != faces for other in blocks.BLOCKS if other != block)
    image = tile(block.name)
    assert len(np.unique(image[..., :3].reshape(-1, 3), axis=0)) >= 3  # never a flat colour
    if block in CUTOUTS:
        assert set(np.unique(image[..., 3])) == {0, 255}
        assert image[-1, :, 3].any(), "stands on the ground"
    elif block.shape == blocks.Shape.LIQUID:
        assert np.unique(image[..., 3]).tolist() == [180]
    else:
        assert (image[..., 3] == 255).all()


def test_faces_follow_the_orientation():
    assert np.array_equal(tile("grass_block", BOTTOM), tile("dirt"))
    assert np.array_equal(tile("snowy_grass_block", TOP), tile("snow_block"))
    green = tile("grass_block")[..., 1].astype(int) - tile("grass_block")[..., 0]
    assert (green[0] > 20).all() and (green[-1] < 0).all()  # grass above, earth below: row 0 is the top
    assert not np.array_equal(tile("oak_log", SIDE), tile("oak_log", TOP))


def test_torch_is_a_stick_of_two_by_ten():
    rows, columns = tile("torch")[..., 3].nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 15, 7, 8)
    assert tile("torch")[6, 7:9].min() > 140  # a bright flame on top


def test_tree_kinds_differ_clearly():
    means = [tile(f"{kind}_leaves", level=4)[0, 0, :3].astype(int) for kind in ("oak", "birch", "spruce")]
    for i in range(3):
        assert np.abs(means[i] - means[i - 1]).max() > 30


@pytest.mark.parametrize("name", ["stone", "oak_leaves", "water"])
def test_mips_are_box_averages(name):
    full = tile(name).astype(float)
    for level in range(1, 5):
        size = 16 >> level
        expected = full.reshape(size, 16 // size, size, 16 // size, 4).mean((1, 3))
        assert np.abs(tile(name, level=level) - expected).max() <= 0.51


@pytest.mark.parametrize("block", CUTOUTS, ids=lambda block: block.name)
def test_cutouts_stay_visible_and_clean_at_a_distance(block):
    full = tile(block.name)
    coverage = (full[..., 3] >= 128).mean()
    visible = full[full[..., 3] > 0][:, :3].astype(float)
    for level in range(1, 5):
        image = tile(block.name, level=level)
        opaque = image[..., 3] >= 128
        assert opaque.any()
        if level < 4 and block.shape == blocks.Shape.CROSS:  # the thin straight torch falls between texels
            assert abs(opaque.mean() - coverage) <= 0.18
        colours = image[..., :3].reshape(-1, 3)  # weighted by alpha: never mixed with what is not there
        assert (colours >= visible.min(0) - 1).all() and (colours <= visible.max(0) + 1).all()
    assert np.abs(tile(block.name, level=4)[0, 0, :3] - visible.mean(0)).max() <= 0.51


def test_crack_stages_contain_one_another():
    crack = TEXTURES.crack.astype(int)
    assert (crack[1:] >= crack[:-1]).all()
    area = (crack > 0).sum(1)
    assert area[0] > 0 and area[-1] < 160
    assert (np.diff(area) >= 0).all() and area[-1] > 8 * area[0]
    assert (np.diff(crack.sum(1)) > 0).all()


@pytest.mark.parametrize("size", [1, 5, 10, 16, 40])
@pytest.mark.parametrize("picture", [item_icon, held_item])
def test_every_item_has_a_picture(picture, size):
    images = [picture(code, size) for code in blocks.NAMES]
    for image in images:
        assert image.shape == (size, size, 4) and image.dtype == np.uint8 and not image.flags.writeable
        assert image[..., 3].any()
    if size >= 10:
        assert len({image.tobytes() for image in images}) == len(images)


def test_icon_of_a_cube_is_lit_from_above_and_the_left():
    icon = item_icon(blocks.code("stone"), 40).astype(float)
    top, left, right = icon[8:12, 16:24, 0].mean(), icon[20:30, 6:14, 0].mean(), icon[20:30, 26:34, 0].mean()
    assert top > left > right
    assert icon[0, 0, 3] == 0 and icon[-1, -1, 3] == 0


def test_air_has_no_icon_but_an_arm():
    assert not item_icon(blocks.AIR, 12).any()
    assert held_item(blocks.AIR, 12).any()


def test_icon_rejects_a_size_below_one():
    with pytest.raises(ValueError, match="size: expected"):
        item_icon(blocks.code("stone"), 0)
