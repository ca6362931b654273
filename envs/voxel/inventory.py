"""What the player carries: 36 slots, the first nine of which are the hotbar."""

from collections.abc import Mapping

import numpy as np

from worldmodel.envs.voxel.blocks import CODES, LOGS, NAMES, code

NUM_SLOTS = 36
HOTBAR_SLOTS = 9
STACK_SIZE = 64
"""Most of one item in a slot; tools do not stack."""

_TOOLS = frozenset(CODES[name] for name in ("wooden_pickaxe", "stone_pickaxe"))


def stack_size(item: int) -> int:
    """Returns how many of the item with this code fit into one slot."""
    return 1 if item in _TOOLS else STACK_SIZE


def _check_count(count: int) -> None:
    if count < 0:
        raise ValueError(f"count: expected 0 or more, got {count}")


class Inventory:
    """The player's items.

    Attributes:
        items: (36,) int16, item code of every slot, 0 where it is empty.
        counts: (36,) int16, number of items in every slot, 0 where it is empty.
        selected: Hotbar slot of the held item, 0 to 8.
    """

    def __init__(self, contents: Mapping[str, int] | None = None) -> None:
        """Creates an inventory.

        Args:
            contents: Number of items by name; they fill the slots in the order given. Empty by default.

        Raises:
            ValueError: If an item is unknown, a number is negative, or it is more than the slots hold.
        """
        self.items = np.zeros(NUM_SLOTS, np.int16)
        self.counts = np.zeros(NUM_SLOTS, np.int16)
        self.selected = 0
        for name, count in (contents or {}).items():
            left = self.add(name, count)
            if left:
                raise ValueError(f"contents: {left} of {count} {name} do not fit into {NUM_SLOTS} slots; ask for less")

    @property
    def held(self) -> int:
        """Code of the held item, 0 for none."""
        return int(self.items[self.selected])

    def count(self, name: str) -> int:
        """Returns how many of an item there are; raises `ValueError` if there is no such item."""
        return int(self.counts[self.items == code(name)].sum())

    def add(self, name: str, count: int = 1) -> int:
        """Adds items, first to stacks of the same item, then to empty slots, from the first slot on.

        Args:
            name: Item to add.
            count: How many.

        Returns:
            How many did not fit.

        Raises:
            ValueError: If there is no such item or `count` is negative.
        """
        _check_count(count)
        item = code(name)
        size = stack_size(item)
        for slots in (np.flatnonzero(self.items == item), np.flatnonzero(self.items == 0)):
            for slot in slots.tolist():
                moved = min(count, size - int(self.counts[slot]))
                if moved > 0:
                    self.items[slot] = item
                    self.counts[slot] += moved
                    count -= moved
        return count

    def remove(self, name: str, count: int = 1) -> None:
        """Removes items, from the first slot on that has any.

        Args:
            name: Item to remove.
            count: How many.

        Raises:
            ValueError: If there is no such item, `count` is negative or more than there are; nothing changes then.
        """
        _check_count(count)
        if count > self.count(name):
            raise ValueError(f"count: expected at most the {self.count(name)} {name} there are, got {count}")
        for slot in np.flatnonzero(self.items == code(name)).tolist():
            moved = min(count, int(self.counts[slot]))
            self._take(slot, moved)
            count -= moved

    def take_selected(self) -> str | None:
        """Removes one of the held item and returns its name, or `None` if the hand is empty."""
        if not self.held:
            return None
        name = NAMES[self.held]
        self._take(self.selected, 1)
        return name

    def select(self, slot: int) -> None:
        """Selects a hotbar slot; raises `ValueError` unless it is 0 to 8."""
        if not 0 <= slot < HOTBAR_SLOTS:
            raise ValueError(f"slot: expected a hotbar slot from 0 to {HOTBAR_SLOTS - 1}, got {slot}")
        self.selected = int(slot)

    def hotbar_slot(self, item: int) -> int | None:
        """Returns the first hotbar slot that holds the item with this code, or `None`."""
        slots = np.flatnonzero(self.items[:HOTBAR_SLOTS] == item)
        return int(slots[0]) if len(slots) else None

    def logs(self) -> int:
        """Returns how many logs there are, of any wood."""
        return sum(self.count(NAMES[log]) for log in LOGS)

    def as_dict(self) -> dict[str, int]:
        """Returns the number of items by name, of those there are, in the order of the slots."""
        totals: dict[str, int] = {}
        for item, count in zip(self.items.tolist(), self.counts.tolist(), strict=True):
            if count:
                totals[NAMES[item]] = totals.get(NAMES[item], 0) + count
        return totals

    def get_state(self) -> dict:
        """Returns a copy of everything, as plain values."""
        return {"items": self.items.copy(), "counts": self.counts.copy(), "selected": self.selected}

    def set_state(self, state: dict) -> None:
        """Takes over what `get_state` returned."""
        self.items[:] = state["items"]
        self.counts[:] = state["counts"]
        self.selected = state["selected"]

    def _take(self, slot: int, count: int) -> None:
        self.counts[slot] -= count
        if self.counts[slot] == 0:
            self.items[slot] = 0
