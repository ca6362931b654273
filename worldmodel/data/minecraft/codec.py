"""What a codec is: one way to write a player's action, turned into the dictionary of MineRL 1.0 and back."""

from abc import ABC, abstractmethod
from typing import Any

import gymnasium

from worldmodel.data.minecraft.dictionary import Action


class Codec(ABC):
    """One action format of Minecraft.

    Both directions make new objects and leave their argument as it is.

    Attributes:
        name: What it is called in `CODECS`.
        space: The native actions as a Gymnasium space; `None` where the format is no space.
        lost: What does not survive, in plain English: first from the dictionary into this format, then the other way.
    """

    name: str
    space: gymnasium.Space | None
    lost: str

    @property
    def noop(self) -> Any:
        """A new native action that does nothing."""
        return self.from_dictionary({})

    @abstractmethod
    def from_dictionary(self, action: Action) -> Any:
        """Returns an action in this format.

        Args:
            action: Any subset of the 24 keys, and of MineRL 0.4's item actions; `dictionary.complete` says which
                values are taken. A missing key is not pressed.

        Raises:
            TypeError: If `action` is no dictionary, or a value is of the wrong type.
            ValueError: If a key is unknown, or a value has the wrong shape or is out of range.
        """

    @abstractmethod
    def to_dictionary(self, native: Any) -> dict[str, Any]:
        """Returns an action of this format as a dictionary.

        Args:
            native: A member of `space`, or what the codec's class says.

        Returns:
            All 24 keys: buttons int 0 or 1, `camera` float32 (2,) in degrees. MineRL 0.4 alone adds its item actions.

        Raises:
            TypeError: If `native`, or a part of it, is of the wrong type.
            ValueError: If it is none of this format's actions.
        """

    def __repr__(self) -> str:
        """Names the format."""
        return f"{type(self).__name__}({self.name!r})"


def one_of(action: Action, *names: str) -> int:
    """Returns which of some buttons is down, counted from 1; 0 for none of them, or for more than one."""
    down = [number for number, name in enumerate(names, 1) if action[name]]
    return down[0] if len(down) == 1 else 0


def chosen(number: int, *names: str) -> dict[str, int]:
    """Returns the button that `one_of` counts as `number`, pressed; nothing for 0."""
    return {names[number - 1]: 1} if number else {}
