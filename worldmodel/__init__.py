"""World models as Gymnasium environments.

`WorldModel` is the model. `worldmodel.model`, `worldmodel.sampling` and `worldmodel.training` are its parts, its
samplers and its training; `worldmodel.envs` holds the environments (importing it registers their ids),
`worldmodel.agents` the players, `worldmodel.data` recordings and training data, and `worldmodel.cli` the command line.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worldmodel.model import WorldModel

__all__ = ["WorldModel", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports the model when it is asked for: most of what the package does needs no PyTorch."""
    if name == "WorldModel":
        from worldmodel.model import WorldModel

        return WorldModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
