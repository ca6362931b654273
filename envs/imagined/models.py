"""Loading models for stepping: once a process, in the fastest number format that the machine has."""

from functools import lru_cache
from pathlib import Path

import torch

from worldmodel.model import WorldModel
from worldmodel.model.checkpoint import find_checkpoint, read_config
from worldmodel.model.precision import fast_dtype
from worldmodel.model.starts import Starts, read_starts


def load(checkpoint: str) -> tuple[WorldModel, Starts | None]:
    """Returns a model, ready to be stepped, and its starts. Whoever asks for the same checkpoint gets the same object.

    Args:
        checkpoint: Name of a bundled model, or path of a checkpoint's folder.

    Raises:
        FileNotFoundError: If there is none; the message lists the bundled ones.
        ValueError: If it is damaged, or of a later version.
    """
    folder = find_checkpoint(checkpoint).resolve()
    # With the stamp, a checkpoint that was trained further in the meantime is another one.
    return _load(folder, str(read_config(folder).get("stamp")))


@lru_cache(maxsize=4)
def _load(folder: Path, stamp: str) -> tuple[WorldModel, Starts | None]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return WorldModel.from_pretrained(folder, device=device, dtype=fast_dtype(device)), read_starts(folder)
