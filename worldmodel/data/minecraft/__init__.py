"""Every way to write a Minecraft player's action, turned into every other through the dictionary of MineRL 1.0.

```python
from worldmodel.data.minecraft import codec, convert

action = codec("teco").to_dictionary(3)          # all 24 keys: jump, and 20 degrees to the right
codec("gamefactory").lost                        # what does not survive, in plain English
convert(3, "teco", "gamefactory")
```
"""

from typing import Any

from worldmodel.data.minecraft.codec import Codec
from worldmodel.data.minecraft.dictionary import BUTTONS, ITEM_ACTIONS, KEYS, action_space, no_op
from worldmodel.data.minecraft.gamefactory import GameFactoryCodec
from worldmodel.data.minecraft.minedojo import MineDojoCodec
from worldmodel.data.minecraft.minerl import MineRL04Codec, MineRL10Codec
from worldmodel.data.minecraft.mineworld import MineWorldCodec
from worldmodel.data.minecraft.oasis import OasisCodec
from worldmodel.data.minecraft.teco import TecoCodec
from worldmodel.data.minecraft.vpt_joint import VptCodec

__all__ = [
    "BUTTONS",
    "CODECS",
    "ITEM_ACTIONS",
    "KEYS",
    "Codec",
    "GameFactoryCodec",
    "MineDojoCodec",
    "MineRL04Codec",
    "MineRL10Codec",
    "MineWorldCodec",
    "OasisCodec",
    "TecoCodec",
    "VptCodec",
    "action_space",
    "codec",
    "convert",
    "no_op",
]

CODECS: dict[str, Codec] = {
    known.name: known
    for known in (
        MineRL04Codec(),
        MineRL10Codec(),
        VptCodec(),
        OasisCodec(),
        MineWorldCodec(),
        MineDojoCodec(),
        TecoCodec(),
        GameFactoryCodec(),
    )
}
"""The known formats by name."""


def codec(name: str) -> Codec:
    """Returns the codec of a format.

    Raises:
        ValueError: If there is none of this name; the message lists those there are.
    """
    if not isinstance(name, str) or name not in CODECS:
        raise ValueError(f"name: expected one of {', '.join(CODECS)}, got {name!r:.80}; choose one of them")
    return CODECS[name]


def convert(action: Any, source: str, target: str) -> Any:
    """Returns an action of one format in another.

    It passes through the dictionary, so what `codec(source)` and `codec(target)` call lost is lost, and nothing else.

    Args:
        action: An action in the format `source`.
        source: Name of its format.
        target: Name of the format it shall have.

    Raises:
        TypeError: If `action`, or a part of it, is of the wrong type.
        ValueError: If a name is unknown, or `action` is none of the format `source`.
    """
    reader, writer = codec(source), codec(target)
    return writer.from_dictionary(reader.to_dictionary(action))
