"""The block and item tables: one row each, and everything else is derived from the rows.

A cell of the world is one byte. Values below `FIRST_BLOCK` are air: the value says how much air is around, which lets
rays leap (`lighting.measure_air`). Values from `FIRST_BLOCK` on are block codes. Items that are not blocks have codes
from `FIRST_ITEM` on.

Names, hardness and drops follow Minecraft Java Edition (minecraft.wiki, "Breaking").
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

AIR = 0
FIRST_BLOCK = 64
FIRST_ITEM = 112
NUM_CODES = 128
"""Length of every table that is indexed by a code."""


class Shape(IntEnum):
    """What a ray meets inside a cell."""

    CUBE = 0
    LIQUID = 1
    CROSS = 2
    """Two crossed upright quads with a cut-out texture (plants)."""
    TORCH = 3
    """An upright stick, 2/16 wide and 10/16 high."""


class Tool(IntEnum):
    """The least tool that makes a block drop something when mined."""

    HAND = 0
    WOODEN_PICKAXE = 1
    STONE_PICKAXE = 2


@dataclass(kw_only=True, slots=True, frozen=True)
class Block:
    """One kind of block.

    Attributes:
        code: Value of a cell that holds the block.
        name: Minecraft's name.
        hardness: Minecraft's hardness; time to mine follows from it. Infinity: cannot be mined.
        shape: What rays and bodies meet.
        pickaxe: Whether a pickaxe speeds mining up.
        needs: The least tool for a drop.
        drops: Name of the item it drops, `None` for nothing.
        falls: Whether it falls when nothing is below.
        emits: Light given off, 0 to 15.
    """

    code: int
    name: str
    hardness: float = 1.0
    shape: Shape = Shape.CUBE
    pickaxe: bool = False
    needs: Tool = Tool.HAND
    drops: str | None = None
    falls: bool = False
    emits: int = 0


def _table() -> tuple[Block, ...]:
    code = iter(range(FIRST_BLOCK, FIRST_ITEM))

    def cube(name: str, hardness: float, drops: str | None = "", **more: object) -> Block:
        return Block(code=next(code), name=name, hardness=hardness, drops=name if drops == "" else drops, **more)  # type: ignore[arg-type]

    def stone(name: str, hardness: float, drops: str, needs: Tool = Tool.WOODEN_PICKAXE) -> Block:
        return cube(name, hardness, drops, pickaxe=True, needs=needs)

    def plant(name: str, drops: str | None = None) -> Block:
        return cube(name, 0.0, drops, shape=Shape.CROSS)

    return (
        stone("stone", 1.5, "cobblestone"),
        cube("dirt", 0.5),
        cube("grass_block", 0.6, "dirt"),
        cube("sand", 0.5, falls=True),
        stone("sandstone", 0.8, "sandstone"),
        cube("gravel", 0.6, falls=True),
        cube("snowy_grass_block", 0.6, "dirt"),
        cube("snow_block", 0.2, None),
        cube("ice", 0.5, None),
        cube("oak_log", 2.0),
        cube("oak_leaves", 0.2, None),
        cube("birch_log", 2.0),
        cube("birch_leaves", 0.2, None),
        cube("spruce_log", 2.0),
        cube("spruce_leaves", 0.2, None),
        cube("cactus", 0.4),
        cube("water", float("inf"), None, shape=Shape.LIQUID),
        stone("coal_ore", 3.0, "coal"),
        stone("iron_ore", 3.0, "raw_iron", Tool.STONE_PICKAXE),
        stone("diamond_ore", 3.0, "diamond", Tool.STONE_PICKAXE),
        stone("cobblestone", 2.0, "cobblestone"),
        cube("oak_planks", 2.0),
        cube("crafting_table", 2.5),
        cube("bedrock", float("inf"), None),
        cube("torch", 0.0, shape=Shape.TORCH, emits=14),
        plant("short_grass"),
        plant("dandelion", "dandelion"),
        plant("poppy", "poppy"),
        plant("dead_bush", "stick"),
        cube("gold_block", float("inf"), None, emits=15),
    )


BLOCKS: tuple[Block, ...] = _table()
BY_NAME: dict[str, Block] = {block.name: block for block in BLOCKS}
BY_CODE: dict[int, Block] = {block.code: block for block in BLOCKS}

ITEM_NAMES: tuple[str, ...] = ("stick", "coal", "raw_iron", "diamond", "wooden_pickaxe", "stone_pickaxe")
"""Items that are not blocks."""

NAMES: dict[int, str] = {block.code: block.name for block in BLOCKS} | {
    FIRST_ITEM + i: name for i, name in enumerate(ITEM_NAMES)
}
CODES: dict[str, int] = {name: code for code, name in NAMES.items()}
"""Code of every block and item by name."""

LOGS: tuple[int, ...] = tuple(CODES[name] for name in ("oak_log", "birch_log", "spruce_log"))
"""Any of these counts as one log, in recipes and tasks."""


def _flags(condition) -> np.ndarray:  # noqa: ANN001
    table = np.zeros(NUM_CODES, np.bool_)
    for block in BLOCKS:
        table[block.code] = condition(block)
    table.flags.writeable = False
    return table


SOLID = _flags(lambda block: block.shape == Shape.CUBE)
"""(NUM_CODES,) bool: bodies collide with it, light and rays end at it."""
SHAPE = np.zeros(NUM_CODES, np.uint8)
EMITS = np.zeros(NUM_CODES, np.uint8)
for _block in BLOCKS:
    SHAPE[_block.code] = _block.shape
    EMITS[_block.code] = _block.emits
SHAPE.flags.writeable = False
EMITS.flags.writeable = False


def code(name: str) -> int:
    """Returns the code of a block or item.

    Args:
        name: Minecraft name, such as `"oak_log"`.

    Raises:
        ValueError: If there is no such block or item.
    """
    if name not in CODES:
        raise ValueError(f"name: expected one of {sorted(CODES)}, got {name!r}")
    return CODES[name]
