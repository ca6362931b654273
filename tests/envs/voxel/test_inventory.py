import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldmodel.envs.voxel.blocks import CODES
from worldmodel.envs.voxel.inventory import NUM_SLOTS, Inventory, stack_size

ITEMS = ["dirt", "stick", "oak_log", "birch_log", "stone_pickaxe"]


def test_starts_empty():
    inventory = Inventory()
    assert inventory.items.shape == inventory.counts.shape == (NUM_SLOTS,) == (36,)
    assert inventory.items.dtype == inventory.counts.dtype == np.int16
    assert inventory.as_dict() == {} and inventory.held == 0 and inventory.selected == 0


def test_matching_stack_first_then_first_empty_slot():
    inventory = Inventory({"dirt": 10, "sand": 1})
    inventory.remove("dirt", 10)
    inventory.add("sand", 70)
    assert inventory.items[:3].tolist() == [CODES["sand"], CODES["sand"], 0]
    assert inventory.counts[:3].tolist() == [7, 64, 0]


def test_tools_do_not_stack():
    inventory = Inventory({"wooden_pickaxe": 2, "dirt": 65})
    assert inventory.counts[:5].tolist() == [1, 1, 64, 1, 0]


def test_what_does_not_fit_is_returned():
    inventory = Inventory({"dirt": 64 * 35})
    assert inventory.add("sand", 100) == 36
    assert inventory.add("dirt", 1) == 1
    assert inventory.count("sand") == 64
    with pytest.raises(ValueError, match="fit"):
        Inventory({"stone_pickaxe": 37})


def test_remove_takes_from_several_slots():
    inventory = Inventory({"dirt": 100})
    inventory.remove("dirt", 70)
    assert inventory.as_dict() == {"dirt": 30}
    assert inventory.items[0] == 0 and inventory.counts[0] == 0


def test_removing_too_many_changes_nothing():
    inventory = Inventory({"dirt": 3})
    with pytest.raises(ValueError, match="at most"):
        inventory.remove("dirt", 4)
    assert inventory.as_dict() == {"dirt": 3}


@pytest.mark.parametrize("method", ["add", "remove", "count"])
def test_unknown_items_are_refused(method):
    with pytest.raises(ValueError, match="unobtainium"):
        getattr(Inventory(), method)("unobtainium")


@pytest.mark.parametrize("method", ["add", "remove"])
def test_negative_counts_are_refused(method):
    with pytest.raises(ValueError, match="-1"):
        getattr(Inventory(), method)("dirt", -1)
    with pytest.raises(ValueError, match="-1"):
        Inventory({"dirt": -1})


def test_selection():
    inventory = Inventory({"dirt": 1, "torch": 2})
    inventory.select(1)
    assert inventory.held == CODES["torch"]
    assert [inventory.take_selected() for _ in range(3)] == ["torch", "torch", None]
    assert inventory.as_dict() == {"dirt": 1}
    for slot in (-1, 9):
        with pytest.raises(ValueError, match="slot"):
            inventory.select(slot)


def test_hotbar_slot_looks_at_the_hotbar_only():
    inventory = Inventory({"stone_pickaxe": 9, "dirt": 1, "sand": 1})
    assert inventory.hotbar_slot(CODES["stone_pickaxe"]) == 0
    assert inventory.hotbar_slot(CODES["dirt"]) is None
    assert inventory.hotbar_slot(CODES["gravel"]) is None


def test_logs_are_counted_together():
    assert Inventory({"oak_log": 2, "birch_log": 3, "spruce_log": 70, "oak_planks": 5}).logs() == 75


@given(st.lists(st.tuples(st.sampled_from(ITEMS), st.integers(-80, 80)), max_size=60))
def test_behaves_like_a_counter_of_limited_room(changes):
    inventory, expected = Inventory(), dict.fromkeys(ITEMS, 0)
    for name, change in changes:
        if change >= 0:
            expected[name] += change - inventory.add(name, change)
        else:
            taken = min(-change, expected[name])
            inventory.remove(name, taken)
            expected[name] -= taken
        assert inventory.as_dict() == {name: count for name, count in expected.items() if count}
        assert ((inventory.counts == 0) == (inventory.items == 0)).all()
        pairs = zip(inventory.items.tolist(), inventory.counts.tolist(), strict=True)
        assert all(0 <= count <= stack_size(item) for item, count in pairs)


def test_state_round_trip_is_a_copy():
    inventory = Inventory({"dirt": 70, "torch": 3})
    inventory.select(2)
    state = pickle.loads(pickle.dumps(inventory.get_state()))
    inventory.add("sand", 5)
    inventory.select(0)
    other = Inventory()
    other.set_state(state)
    other.add("dirt")
    again = Inventory()
    again.set_state(state)
    assert again.as_dict() == {"dirt": 70, "torch": 3} and again.selected == 2
