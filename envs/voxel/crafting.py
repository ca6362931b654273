"""Crafting without a crafting screen: one press of the inventory key makes one thing.

The recipes are Minecraft's (minecraft.wiki, "Crafting"). What a press makes follows from what the player carries: it
is the first line of this list that is wanted, affordable, and fits into the inventory. If none is, nothing happens.

1. A stone pickaxe, if none is carried. Needs a crafting table close by.
2. A wooden pickaxe, if no pickaxe is carried. Needs a crafting table close by.
3. A crafting table, if none is carried or close by and there is a pickaxe to be made: the first one, or the stone one
   as soon as its three cobblestone are there.
4. Sticks, if they are short: two for the next pickaxe until there is a stone one, and one more for a torch while
   torches are wanted. As long as line 3 wants a table, its four planks are set aside.
5. Torches, while coal but fewer than sixteen torches are carried. The two sticks of the next pickaxe are set aside.
6. Planks, from any log.

So a player with three logs, a place for the table and three cobblestone always arrives at the stone pickaxe: nothing
is ever made that a pickaxe still needs the material for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from worldmodel.envs.voxel.blocks import LOGS, NAMES
from worldmodel.envs.voxel.inventory import Inventory

TABLE_REACH = 4
"""A crafting table counts as close by if it is within so many cells along every axis."""
WANTED_TORCHES = 16


@dataclass(kw_only=True, slots=True, frozen=True)
class Recipe:
    """How to make an item.

    Attributes:
        item: Name of what is made.
        count: How many at once.
        ingredients: Number of each item it takes, by name; `"log"` stands for a log of any wood.
        table: Whether a crafting table must be close by.
    """

    item: str
    count: int = 1
    ingredients: Mapping[str, int]
    table: bool = False


RECIPES: dict[str, Recipe] = {
    recipe.item: recipe
    for recipe in (
        Recipe(item="stone_pickaxe", ingredients={"cobblestone": 3, "stick": 2}, table=True),
        Recipe(item="wooden_pickaxe", ingredients={"oak_planks": 3, "stick": 2}, table=True),
        Recipe(item="crafting_table", ingredients={"oak_planks": 4}),
        Recipe(item="stick", count=4, ingredients={"oak_planks": 2}),
        Recipe(item="torch", count=4, ingredients={"coal": 1, "stick": 1}),
        Recipe(item="oak_planks", count=4, ingredients={"log": 1}),
    )
}
"""All recipes by what they make, in the order in which a press of the key considers them."""

_PICKAXE_STICKS = RECIPES["stone_pickaxe"].ingredients["stick"]
_TABLE_PLANKS = RECIPES["crafting_table"].ingredients["oak_planks"]


def craft(inventory: Inventory, table_near: bool) -> tuple[str, int] | None:
    """Makes one thing, as described at the top of this file.

    Args:
        inventory: Gives the ingredients and takes the product; changed in place.
        table_near: Whether a crafting table is close by.

    Returns:
        Name and number of what was made, or `None` if nothing was; the inventory is unchanged then.
    """
    set_aside = _wanted(inventory, table_near)
    for name, kept in set_aside.items():
        recipe = RECIPES[name]
        if (table_near or not recipe.table) and _affordable(inventory, recipe, kept) and _make(inventory, recipe):
            return recipe.item, recipe.count
    return None


def _wanted(inventory: Inventory, table_near: bool) -> dict[str, Mapping[str, int]]:
    """Returns the wanted things in order, each with the ingredients to be set aside for more important ones."""
    carried = inventory.as_dict()
    stone_missing = "stone_pickaxe" not in carried
    pickaxe_missing = stone_missing and "wooden_pickaxe" not in carried
    cobblestone = carried.get("cobblestone", 0) >= RECIPES["stone_pickaxe"].ingredients["cobblestone"]
    table_missing = "crafting_table" not in carried and not table_near
    table_wanted = table_missing and stone_missing and (pickaxe_missing or cobblestone)
    torch_wanted = "coal" in carried and carried.get("torch", 0) < WANTED_TORCHES
    pickaxe_sticks = _PICKAXE_STICKS if stone_missing else 0

    wanted: dict[str, Mapping[str, int]] = {}
    if stone_missing:
        wanted["stone_pickaxe"] = {}
    if pickaxe_missing:
        wanted["wooden_pickaxe"] = {}
    if table_wanted:
        wanted["crafting_table"] = {}
    if carried.get("stick", 0) < pickaxe_sticks + torch_wanted:
        wanted["stick"] = {"oak_planks": _TABLE_PLANKS if table_wanted else 0}
    if torch_wanted:
        wanted["torch"] = {"stick": pickaxe_sticks}
    wanted["oak_planks"] = {}
    return wanted


def _affordable(inventory: Inventory, recipe: Recipe, kept: Mapping[str, int]) -> bool:
    return all(
        (inventory.logs() if name == "log" else inventory.count(name)) >= count + kept.get(name, 0)
        for name, count in recipe.ingredients.items()
    )


def _make(inventory: Inventory, recipe: Recipe) -> bool:
    """Swaps the ingredients for the product; undoes it and returns `False` if there is no room."""
    before = inventory.get_state()
    for name, count in recipe.ingredients.items():
        if name == "log":
            name = next(NAMES[log] for log in LOGS if inventory.count(NAMES[log]))
        inventory.remove(name, count)
    if inventory.add(recipe.item, recipe.count):
        inventory.set_state(before)
        return False
    return True
