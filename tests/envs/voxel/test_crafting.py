import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldmodel.envs.voxel.crafting import RECIPES, craft
from worldmodel.envs.voxel.inventory import Inventory


def press(inventory, table_near, times=1):
    """Presses the key and returns the names of what was made."""
    made = [craft(inventory, table_near) for _ in range(times)]
    return [one and one[0] for one in made]


def test_from_logs_to_the_stone_pickaxe_with_the_table_placed_at_once():
    inventory = Inventory({"birch_log": 4})
    assert craft(inventory, False) == ("oak_planks", 4)
    assert inventory.as_dict() == {"birch_log": 3, "oak_planks": 4}
    assert craft(inventory, False) == ("crafting_table", 1)
    assert inventory.as_dict() == {"birch_log": 3, "crafting_table": 1}
    inventory.remove("crafting_table")
    assert press(inventory, True, 2) == ["oak_planks", "stick"]
    assert inventory.as_dict() == {"birch_log": 2, "oak_planks": 2, "stick": 4}
    assert press(inventory, True, 2) == ["oak_planks", "wooden_pickaxe"]
    assert inventory.as_dict() == {"birch_log": 1, "oak_planks": 3, "stick": 2, "wooden_pickaxe": 1}
    inventory.add("cobblestone", 3)
    assert craft(inventory, True) == ("stone_pickaxe", 1)
    assert inventory.as_dict() == {"birch_log": 1, "oak_planks": 3, "wooden_pickaxe": 1, "stone_pickaxe": 1}


def test_from_logs_to_the_pickaxe_with_the_table_placed_last():
    inventory = Inventory({"oak_log": 1, "birch_log": 1, "spruce_log": 2})
    names = press(inventory, False, 8)
    assert names == ["oak_planks", "crafting_table", "oak_planks", "stick", "oak_planks", "oak_planks", None, None]
    inventory.remove("crafting_table")
    assert press(inventory, True) == ["wooden_pickaxe"]
    assert inventory.as_dict() == {"oak_planks": 7, "stick": 2, "wooden_pickaxe": 1}


def test_pickaxes_need_a_table_close_by():
    inventory = Inventory({"oak_planks": 3, "stick": 2, "crafting_table": 1})
    assert craft(inventory, False) is None
    assert craft(inventory, True) == ("wooden_pickaxe", 1)


def test_too_few_planks_for_the_table_do_not_become_sticks():
    inventory = Inventory({"oak_planks": 3})
    assert craft(inventory, False) is None
    assert inventory.as_dict() == {"oak_planks": 3}


def test_a_second_table_for_the_stone_pickaxe_only_with_cobblestone():
    inventory = Inventory({"wooden_pickaxe": 1, "stick": 2, "oak_planks": 5, "cobblestone": 2})
    assert craft(inventory, False) is None
    inventory.add("cobblestone")
    assert craft(inventory, False) == ("crafting_table", 1)


def test_torches_spare_the_sticks_of_the_next_pickaxe():
    inventory = Inventory({"wooden_pickaxe": 1, "coal": 1, "stick": 2})
    assert craft(inventory, False) is None
    inventory.add("oak_planks", 2)
    assert press(inventory, False, 3) == ["stick", "torch", None]
    assert inventory.as_dict() == {"wooden_pickaxe": 1, "stick": 5, "torch": 4}


def test_torches_until_there_are_sixteen():
    inventory = Inventory({"stone_pickaxe": 1, "coal": 9, "oak_planks": 9})
    assert press(inventory, False, 8) == ["stick", *["torch"] * 4, None, None, None]
    assert inventory.as_dict() == {"stone_pickaxe": 1, "coal": 5, "oak_planks": 7, "torch": 16}


def test_nothing_is_made_of_nothing():
    assert craft(Inventory(), True) is None
    assert craft(Inventory({"dirt": 64}), True) is None


def test_nothing_happens_without_room_for_the_product():
    contents = {"oak_log": 64, "dirt": 64 * 35}
    inventory = Inventory(contents)
    assert craft(inventory, False) is None
    assert inventory.as_dict() == contents


@pytest.mark.parametrize("table_first", [True, False])
@given(st.integers(3, 70), st.sampled_from(["oak_log", "birch_log", "spruce_log"]), st.integers(0, 30))
def test_three_logs_always_suffice(table_first, logs, wood, presses_before):
    inventory = Inventory({wood: logs})
    press(inventory, False, 2 if table_first else presses_before)
    while inventory.count("crafting_table") == 0:
        assert craft(inventory, False) is not None
    inventory.remove("crafting_table")
    press(inventory, True, 100)
    assert inventory.count("wooden_pickaxe") == 1
    inventory.add("cobblestone", 3)
    assert press(inventory, True) == ["stone_pickaxe"]


@given(
    st.dictionaries(
        st.sampled_from(["oak_log", "spruce_log", "oak_planks", "stick", "coal", "cobblestone", "torch"]),
        st.integers(0, 40),
    ),
    st.lists(st.booleans(), max_size=30),
)
def test_every_press_follows_a_recipe_exactly(contents, tables):
    inventory = Inventory(contents)
    for table_near in tables:
        before, logs = inventory.as_dict(), inventory.logs()
        made = craft(inventory, table_near)
        if made is None:
            assert inventory.as_dict() == before
            continue
        recipe = RECIPES[made[0]]
        assert made[1] == recipe.count and (table_near or not recipe.table)
        assert inventory.logs() == logs - recipe.ingredients.get("log", 0)
        for name in set(before) | set(inventory.as_dict()):
            if not name.endswith("_log"):
                change = (recipe.count if name == recipe.item else 0) - recipe.ingredients.get(name, 0)
                assert inventory.count(name) == before.get(name, 0) + change
