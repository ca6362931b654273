"""Saved states of learning: one folder each, with `model.safetensors` and `config.json`.

A state is written under another name and renamed when it is whole; then older ones are removed. It is all that is
needed to go on, and to play.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worldmodel.agents.learning.actor_critic import ActorCritic
from worldmodel.data.action_codec import ActionCodec
from worldmodel.data.files import PARTIAL_SUFFIX, partial_path, remove_partial_files
from worldmodel.model.checkpoint import read_config, read_tensors, write_checkpoint

_STATE = "policy-"
_KIND = "learned policy"


@dataclass(slots=True)
class Progress:
    """Where learning is.

    Attributes:
        step: Steps done, those of cloning among them.
        seconds: Seconds of learning, over all its parts.
    """

    step: int
    seconds: float


def write_state(
    folder: Path, networks: ActorCritic, optimizer: torch.optim.Optimizer, progress: Progress, origin: dict[str, Any]
) -> Path:
    """Saves a state under a name of its own, removes older ones, and returns its folder.

    Args:
        folder: For the states.
        networks: Actor, prior and critic.
        optimizer: Of actor and critic.
        progress: Where learning is.
        origin: Plain values: what the networks belong to, and are made with.
    """
    target = folder / f"{_STATE}{progress.step:09d}"
    if target.exists():
        return target
    partial = partial_path(target)
    tensors = {f"networks.{name}": tensor for name, tensor in networks.state_dict().items()}
    for number, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in values.items()}
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial_files(folder)
    config = {"kind": _KIND, "step": progress.step, "seconds": progress.seconds, **origin}
    write_checkpoint(partial, tensors, config)
    os.replace(partial, target)
    for other in _states(folder):
        if other != target:
            shutil.rmtree(other)
    return target


def read_state(folder: Path, networks: ActorCritic, optimizer: torch.optim.Optimizer) -> Progress | None:
    """Goes back to the last state in a folder; `None` if there is none.

    Raises:
        ValueError: If it is damaged, or of other networks.
    """
    states = _states(folder)
    if not states:
        return None
    config = read_config(states[-1])
    tensors = read_tensors(states[-1], config)
    _load(networks, tensors, states[-1])
    values: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, part = name.split(".")
            values.setdefault(int(number), {})[part] = tensor
    optimizer.load_state_dict({"state": values, "param_groups": optimizer.state_dict()["param_groups"]})
    return Progress(int(config["step"]), float(config["seconds"]))


def read_policy(folder: str | os.PathLike[str], codec: ActionCodec, num_features: int) -> ActorCritic:
    """Returns the networks of the last state in a folder, to play with.

    Args:
        folder: Of learning.
        codec: Of the world model's action space.
        num_features: F, of the world model.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, or of another model.
    """
    state = _last(folder)
    config = read_config(state)
    networks = ActorCritic(num_features, codec, int(config["hidden"]))
    _load(networks, read_tensors(state, config), state)
    return networks.eval().requires_grad_(False)


def read_origin(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns what was written beside the networks of the last state in a folder.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged.
    """
    return read_config(_last(folder))


def _last(folder: str | os.PathLike[str]) -> Path:
    states = _states(Path(folder))
    if not states:
        raise FileNotFoundError(
            f"checkpoint: expected the folder of `worldmodel learn`, with {_STATE}* in it, found none in {folder}"
        )
    return states[-1]


def _states(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"{_STATE}*") if not path.name.endswith(PARTIAL_SUFFIX))


def _load(networks: ActorCritic, tensors: dict[str, Tensor], state: Path) -> None:
    prefix = "networks."
    found = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    shapes = {name: tuple(tensor.shape) for name, tensor in networks.state_dict().items()}
    if shapes != {name: tuple(tensor.shape) for name, tensor in found.items()}:
        raise ValueError(f"{state}: expected networks of this world model, got those of another; learn anew")
    networks.load_state_dict(found)
