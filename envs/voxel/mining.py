"""How long a block takes to mine and what it gives (minecraft.wiki, "Breaking")."""

from worldmodel.envs.voxel.blocks import BY_CODE, CODES, Tool

_TOOLS = {CODES["wooden_pickaxe"]: Tool.WOODEN_PICKAXE, CODES["stone_pickaxe"]: Tool.STONE_PICKAXE}
_SPEEDS = {Tool.HAND: 1.0, Tool.WOODEN_PICKAXE: 2.0, Tool.STONE_PICKAXE: 4.0}
_IMPEDED = 5.0
"""Mining is so many times slower with the eyes under water, and again without ground under the feet."""


def harvests(block: int, held: int) -> bool:
    """Returns whether mining the block with the held item makes it drop something.

    Args:
        block: Block code.
        held: Code of the held item, 0 for the bare hand.
    """
    return _TOOLS.get(held, Tool.HAND) >= BY_CODE[block].needs


def mining_step(block: int, held: int, *, under_water: bool = False, on_ground: bool = True) -> float:
    """Returns the part of the block that is mined in one tick; 1 or more breaks it at once, 0 is never.

    Args:
        block: Block code.
        held: Code of the held item, 0 for the bare hand.
        under_water: Whether the eyes are under water.
        on_ground: Whether the feet are on the ground.
    """
    row = BY_CODE[block]
    if row.hardness == 0.0:
        return 1.0
    speed = _SPEEDS[_TOOLS.get(held, Tool.HAND)] if row.pickaxe else 1.0
    speed /= (_IMPEDED if under_water else 1.0) * (1.0 if on_ground else _IMPEDED)
    return speed / row.hardness / (30.0 if harvests(block, held) else 100.0)
