import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_world import normal, uniform

from worldmodel.model.starts import STARTS, Starts, read_starts


def starts(number: int = 3) -> Starts:
    return Starts(
        normal(number, 4, 2, 3, 5), uniform(number, 4, 2, 7), [f"prompt {i}, “quoted”\n" for i in range(number)]
    )


def test_round_trip_in_half_precision(tmp_path):
    saved = starts()
    saved.save(tmp_path)
    found = read_starts(tmp_path)
    assert found is not None and len(found) == len(saved) == 3
    assert found.prompts == saved.prompts
    for one, other in ((found.latents, saved.latents), (found.actions, saved.actions)):
        assert one.dtype == torch.float16 and torch.equal(one, other.half())
    assert [path.name for path in tmp_path.iterdir()] == [STARTS]


def test_views_are_saved_as_they_look(tmp_path):
    """Cut out of something larger, as when they are taken from a store."""
    latents, actions = normal(6, 8, 2, 3, 5), uniform(6, 8, 2, 7)
    Starts(latents[::2, 4:], actions[::2, 4:], ["a", "b", "c"]).save(tmp_path)
    found = read_starts(tmp_path)
    assert torch.equal(found.latents, latents[::2, 4:].half()) and torch.equal(found.actions, actions[::2, 4:].half())


def test_older_starts_are_replaced(tmp_path):
    starts().save(tmp_path)
    starts(1).save(tmp_path)
    assert len(read_starts(tmp_path)) == 1


def test_there_may_be_none(tmp_path):
    assert read_starts(tmp_path) is None
    assert read_starts(tmp_path / "nowhere") is None


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_file_that_was_cut_off_is_named(tmp_path, share):
    starts().save(tmp_path)
    content = (tmp_path / STARTS).read_bytes()
    (tmp_path / STARTS).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=f"{STARTS}: expected the starts of a checkpoint, got a damaged file"):
        read_starts(tmp_path)


@pytest.mark.parametrize("metadata", [None, {}, {"prompts": "["}, {"prompts": "null"}, {"prompts": "3"}], ids=str)
def test_file_of_something_else_is_named(tmp_path, metadata):
    starts().save(tmp_path)
    save_file(load_file(tmp_path / STARTS), tmp_path / STARTS, metadata=metadata)
    with pytest.raises(ValueError, match=f"{STARTS}: expected .*"):
        read_starts(tmp_path)


@pytest.mark.parametrize("name", ["latents", "actions"])
def test_missing_part_is_named(tmp_path, name):
    starts().save(tmp_path)
    parts = load_file(tmp_path / STARTS)
    del parts[name]
    save_file(parts, tmp_path / STARTS, metadata={"prompts": json.dumps(["a", "b", "c"])})
    with pytest.raises(ValueError, match=f"{STARTS}: expected the starts of a checkpoint, got a damaged file .*{name}"):
        read_starts(tmp_path)


@pytest.mark.parametrize("number", [0, 2, 4])
def test_numbers_that_do_not_agree_are_named(tmp_path, number):
    found = starts()
    Starts(found.latents, found.actions, ["a"] * number).save(tmp_path)
    with pytest.raises(ValueError, match=f"{STARTS}: expected as many latents as actions and prompts, got others"):
        read_starts(tmp_path)


def test_no_starts_are_no_file(tmp_path):
    found = starts()
    Starts(found.latents[:0], found.actions[:0], []).save(tmp_path)
    with pytest.raises(ValueError, match=f"{STARTS}: expected as many latents as actions and prompts, got others"):
        read_starts(tmp_path)
