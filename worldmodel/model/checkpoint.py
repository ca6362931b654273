"""Checkpoints: a folder with `model.safetensors` and `config.json`, loaded strictly.

Each file is written whole or not at all, and both carry the digest of the weights: a mixture of two checkpoints, which
a process killed between the two leaves, is noticed.

`config.json` holds sizes and metadata as plain values: it names no code to run.
"""

import dataclasses
import hashlib
import json
import os
import types
import typing
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from worldmodel.data.files import partial_path, read_json, write_json

VERSION = 1
WEIGHTS, CONFIG = "model.safetensors", "config.json"

Config = TypeVar("Config")


BUNDLED = Path(__file__).resolve().parent.parent / "checkpoints"
"""Where the models that come with the package are, a folder for each."""


def bundled_checkpoints() -> list[str]:
    """Returns the names of the models that come with the package."""
    return sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG}"))


def find_checkpoint(checkpoint: str | os.PathLike[str]) -> Path:
    """Returns the folder of a checkpoint.

    Args:
        checkpoint: Name of a bundled model, or path of a folder.

    Raises:
        FileNotFoundError: If there is neither; the message lists the bundled ones.
    """
    for folder in (Path(checkpoint), BUNDLED / checkpoint):
        if (folder / CONFIG).is_file():
            return folder
    names = ", ".join(bundled_checkpoints()) or "none"
    raise FileNotFoundError(
        f"checkpoint: expected a folder with {CONFIG} and {WEIGHTS}, or the name of a bundled model ({names}), found "
        f"none in {checkpoint}"
    )


def write_checkpoint(folder: Path, tensors: dict[str, Tensor], config: dict[str, Any]) -> None:
    """Writes a checkpoint.

    Both files carry the same digest of the weights: a reader notices if one was replaced without the other.

    Args:
        folder: Made if missing; an older checkpoint in it is replaced.
        tensors: Weights by name.
        config: JSON values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {name: [str(tensor.dtype).removeprefix("torch."), *tensor.shape] for name, tensor in tensors.items()}
    stamp = _digest(tensors)
    path = folder / WEIGHTS
    partial = partial_path(path)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, partial, metadata={"worldmodel": json.dumps({"version": VERSION, "stamp": stamp})})
    os.replace(partial, path)
    write_json(
        folder / CONFIG, {"version": VERSION, "stamp": stamp, **config}, lines={"tensors": sorted(shapes.items())}
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Reads `config.json`.

    Raises:
        FileNotFoundError: If the folder holds no checkpoint.
        ValueError: If it is damaged, or of a later version.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint: expected a folder with {CONFIG} and {WEIGHTS}, found none in {folder}")
    config = read_json(path)
    if not isinstance(config, dict) or "version" not in config:
        raise ValueError(f"{path}: expected the settings of a checkpoint, got something else; restore the file")
    if config["version"] != VERSION:
        raise ValueError(f"{path}: expected version {VERSION}, got {config['version']}; update worldmodel")
    return config


def read_tensors(folder: Path, config: dict[str, Any], device: str = "cpu") -> dict[str, Tensor]:
    """Reads the weights that belong to a `config.json`.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it is damaged, cut off, or belongs to another `config.json`.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected the weights of the checkpoint, found no such file")
    try:
        with safe_open(path, framework="pt", device=device) as file:
            metadata = json.loads((file.metadata() or {}).get("worldmodel", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path}: expected safetensors, got a damaged file ({error}); restore it") from None
    if metadata.get("stamp") != config.get("stamp"):
        raise ValueError(f"{path}: expected the weights that belong to {CONFIG} beside it, got others; restore both")
    return tensors


def from_plain(kind: type[Config], values: Any, name: str = "config") -> Config:
    """Builds a dataclass from plain values, strictly: every field there, none unknown, every value of its type.

    Raises:
        ValueError: If something does not fit; the message names the place.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{name}: expected an object, got {values!r:.60}")
    hints = typing.get_type_hints(kind)
    fields = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - fields):
        raise ValueError(f"{name}: expected {sorted(fields)}, got {unknown[0]!r} besides; update worldmodel")
    if absent := sorted(fields - set(values)):
        raise ValueError(f"{name}.{absent[0]}: expected a value, got none; restore the file")
    return kind(**{key: _from_plain(hints[key], value, f"{name}.{key}") for key, value in values.items()})


def _from_plain(hint: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_plain(hint, value, name)  # type: ignore[arg-type]
    if isinstance(hint, type) and issubclass(hint, Enum):
        if value not in (choices := [member.value for member in hint]):
            raise ValueError(f"{name}: expected one of {choices}, got {value!r:.60}")
        return hint(value)
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kinds = tuple(typing.get_origin(part) or part for part in allowed)
    if typing.Any in kinds:
        return value
    # A truth value is an int to Python, and an int will do for a float.
    fits = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
    if fits and (not isinstance(value, bool) or bool in kinds):
        return value
    raise ValueError(f"{name}: expected {hint}, got {value!r:.60}")


def to_plain(config: Any) -> Any:
    """Turns dataclasses and enumerations into plain values."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {field.name: to_plain(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, Enum):
        return config.value
    if isinstance(config, dict):
        return {str(key): to_plain(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [to_plain(value) for value in config]
    return config


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
