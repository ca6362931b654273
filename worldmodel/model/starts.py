"""Starts: a few short clips that lie beside a checkpoint, from which dreams can begin without any data at hand.

Shapes: M starts, K latent frames in each, r ticks in a latent frame, h w latent grid, C latent channels, A width of an
action vector.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from worldmodel.data.files import partial_path

STARTS = "starts.safetensors"


@dataclass(slots=True)
class Starts:
    """Clips from held-out episodes.

    Attributes:
        latents: float16 (M, K, h, w, C).
        actions: float16 (M, K, r, A), what led to each latent frame; zeros for none.
        prompts: M captions.
    """

    latents: Tensor
    actions: Tensor
    prompts: list[str]

    def __len__(self) -> int:
        """M."""
        return len(self.latents)

    def save(self, folder: Path) -> None:
        """Writes them into the folder of a checkpoint, whole or not at all."""
        path = folder / STARTS
        partial = partial_path(path)
        tensors = {"latents": self.latents.half().contiguous(), "actions": self.actions.half().contiguous()}
        save_file(tensors, partial, metadata={"prompts": json.dumps(self.prompts)})
        os.replace(partial, path)


def read_starts(folder: Path) -> Starts | None:
    """Reads the starts of a checkpoint; `None` if it has none.

    Raises:
        ValueError: If the file is damaged.
    """
    path = folder / STARTS
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            prompts = [str(prompt) for prompt in json.loads(file.metadata()["prompts"])]
            starts = Starts(file.get_tensor("latents"), file.get_tensor("actions"), prompts)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected the starts of a checkpoint, got a damaged file ({error})") from None
    if not len(starts.latents) == len(starts.actions) == len(starts.prompts) > 0:
        raise ValueError(f"{path}: expected as many latents as actions and prompts, got others; restore the file")
    return starts
