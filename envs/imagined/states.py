"""Snapshots of dreams on disk."""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from worldmodel.data.files import partial_path
from worldmodel.envs.imagined.dreams import Snapshot
from worldmodel.model.cache import StreamingCache
from worldmodel.model.streaming import DreamState
from worldmodel.model.transformer import KeysValues

VERSION = 1


def save_state(snapshot: Snapshot, path: str | os.PathLike[str]) -> None:
    """Writes a snapshot, whole or not at all.

    Args:
        snapshot: What `get_state` of an imagined environment returned.
        path: Of the file, such as `"forest.safetensors"`; an older one is replaced.
    """
    path = Path(path)
    state = snapshot.state
    tensors = {
        "frames": state.cache.frames,
        "count": state.cache.count,
        "text": state.text[0],
        "text_mask": state.text[1],
        "null_text": state.null_text[0],
        "null_text_mask": state.null_text[1],
        "latents": state.latents,
        "policy": snapshot.policy,
        "seen": state.seen,
    }
    for i, layer in enumerate(state.cache.layers):
        tensors |= {f"keys.{i}": layer.keys, f"values.{i}": layer.values}
    facts = {
        "version": VERSION,
        "seed": snapshot.seed,
        "step": snapshot.step,
        "prompt": snapshot.prompt,
        "model": snapshot.model,
        "layers": len(state.cache.layers),
        "sinks": state.cache.sinks,
        "latent_seconds": state.cache.latent_seconds,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    plain = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, partial, metadata={"worldmodel_state": json.dumps(facts)})
    os.replace(partial, path)


def load_state(
    path: str | os.PathLike[str], device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> Snapshot:
    """Reads a snapshot.

    Args:
        path: Of a file that `save_state` wrote.
        device: Where to put it.
        dtype: Number format of the model, which may differ on another machine; `None` for that of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or something else, or of a later version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"state: expected a file that save_state wrote, found none at {path}")
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            facts = json.loads((file.metadata() or {})["worldmodel_state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if facts["version"] != VERSION:
            raise ValueError(f"state: {path}: expected version {VERSION}, got {facts['version']}; update worldmodel")
        if dtype is not None:
            for name, tensor in tensors.items():
                if name not in ("latents", "seen") and tensor.is_floating_point():  # these are float32 in any case
                    tensors[name] = tensor.to(dtype)
        cache = StreamingCache(
            layers=[KeysValues(tensors[f"keys.{i}"], tensors[f"values.{i}"]) for i in range(facts["layers"])],
            frames=tensors["frames"],
            count=tensors["count"],
            sinks=facts["sinks"],
            latent_seconds=facts["latent_seconds"],
        )
        state = DreamState(
            cache=cache,
            text=(tensors["text"], tensors["text_mask"]),
            null_text=(tensors["null_text"], tensors["null_text_mask"]),
            latents=tensors["latents"],
            seen=tensors["seen"],
        )
        return Snapshot(state, facts["seed"], facts["step"], facts["prompt"], tensors["policy"], facts["model"])
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"state: expected a file that save_state wrote, got a damaged one: {path} ({error})") from None
