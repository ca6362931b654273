"""Arrays from npz and npy files, or an error that says which file is damaged."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

# What NumPy raises for files that are cut off, that are no archives, or whose parts are damaged.
_DAMAGE = (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)


def load_arrays(path: Path, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """Returns arrays of a file by name.

    Args:
        path: An `.npz` file, or an `.npy` file, whose one array is called `"actions"`. Pickled objects are not loaded.
        wanted: Says of a name whether it is needed; others are not looked at.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file of arrays, found nothing there; look at the name")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"actions": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files if wanted(name)}
    except _DAMAGE as error:
        raise ValueError(
            f"{path}: expected whole arrays of numbers or text, got a damaged or foreign file ({error}); get it again "
            "or delete it"
        ) from None
