"""The U-Net as a dreamer, so that it is scored as the world model is.

Shapes: B dreams, P past ticks, r ticks in a step, H W pixels, A width of an action vector.
"""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from unet.model import UNetConfig, UNetDenoiser, sample, stack, unstack
from worldmodel.data.action_codec import ActionCodec
from worldmodel.envs.imagined.dreams import Moment
from worldmodel.evaluation.episodes import Context
from worldmodel.model import Metadata
from worldmodel.model.checkpoint import from_plain, read_config, read_tensors
from worldmodel.model.precision import fast_dtype


class UNetDreamer:
    """A U-Net that was trained, as a `Dreamer`. It knows no prompts, rewards or ends, and remembers P ticks.

    Attributes:
        name: In reports.
        model: The denoiser.
        metadata: What it was trained on.
        frames_per_step: r.
        context_steps: Steps that it can remember, besides the frame before them.
        fps: Ticks per second.
    """

    def __init__(self, folder: str | os.PathLike[str], *, num_steps: int = 3, name: str = "unet") -> None:
        """Loads a network.

        Args:
            folder: Folder that training wrote.
            num_steps: Sampling steps.
            name: In reports.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is damaged, or something else.
        """
        self.name, self.num_steps = name, num_steps
        config = read_config(Path(folder))
        sizes = from_plain(UNetConfig, config.get("unet"), "config.unet")
        self.metadata = from_plain(Metadata, config.get("metadata"), "config.metadata")
        if self.metadata.action_space is None:
            raise ValueError(f"{folder}: expected an action space in config.json, got none; restore the file")
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._bf16 = fast_dtype(self._device) is torch.bfloat16
        self.model = UNetDenoiser(sizes)
        self.model.load_state_dict(read_tensors(Path(folder), config))
        self.model.to(self._device, memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
        self._codec = ActionCodec.from_json(self.metadata.action_space)
        self.fps = self.metadata.fps
        self.frames_per_step = sizes.frames_per_step
        self.context_steps = -(-(sizes.past_ticks - 1) // sizes.frames_per_step)
        self._frames = np.zeros((0, sizes.past_ticks, self.metadata.height, self.metadata.width, 3), np.uint8)
        self._actions = np.zeros((0, sizes.past_ticks - 1, sizes.action_width), np.float32)
        self._seeds: list[int] = []
        self._step = 0

    @property
    def action_space(self) -> gymnasium.Space:
        """Of one dream."""
        return self._codec.space

    def begin(self, contexts: Sequence[Context], seed: int) -> None:
        """Begins a dream after each context; see `Dreamer`.

        Raises:
            ValueError: If the frames are of another size than those it was trained on.
        """
        pasts = [self._past(part) for part in contexts]
        self._frames = np.stack([frames for frames, _ in pasts])
        self._actions = np.stack([actions for _, actions in pasts])
        self._seeds, self._step = [seed + i for i in range(len(contexts))], 0

    def step(self, actions: Sequence[Any]) -> Moment:
        """Steps all dreams; see `Dreamer`.

        Raises:
            ValueError: If there is not one action for each dream.
        """
        if len(actions) != len(self._seeds):
            raise ValueError(f"actions: expected one for each of {len(self._seeds)} dreams, got {len(actions)}")
        r, number = self.frames_per_step, len(actions)
        following = np.repeat(self._codec.encode_many(actions)[:, None], r, axis=1)
        shown = np.concatenate([self._actions, following], axis=1)  # (B, P - 1 + r, A)
        shape = (3 * r, *self._frames.shape[2:4])
        noise = torch.stack([torch.randn(shape, generator=_generator(s, self._step + 1)) for s in self._seeds])
        with torch.autocast(self._device, torch.bfloat16, enabled=self._bf16):
            stacked = sample(
                self.model,
                stack(torch.from_numpy(self._frames).to(self._device)),
                torch.from_numpy(shown).to(self._device),
                noise.to(self._device),
                self.num_steps,
            )
        frames = unstack(stacked).cpu().numpy()
        self._frames = np.concatenate([self._frames, frames], axis=1)[:, r:]
        self._actions = shown[:, r:]
        self._step += 1
        unknown = [np.full(number, np.nan) for _ in range(5)]
        return Moment(frames, *unknown)

    def set_prompts(self, prompts: Sequence[str]) -> None:
        """Does nothing: it knows no prompts."""

    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        """Returns the frames as they are: it dreams in pixels."""
        return frames

    def _past(self, part: Context) -> tuple[np.ndarray, np.ndarray]:
        """Returns the last P frames and the actions between them; before the first known one, that one, from none."""
        size = (self.metadata.height, self.metadata.width)
        if part.frames.shape[1:] != (*size, 3):
            raise ValueError(
                f"contexts: expected frames of {size[0]} x {size[1]} pixels, got shape {part.frames.shape}; play the "
                "environment in that size"
            )
        length = self.model.config.past_ticks
        vectors = np.repeat(self._codec.encode_many(part.actions), self.frames_per_step, axis=0)
        missing = np.zeros((length - 1, self._codec.width), np.float32)
        vectors = np.concatenate([missing, vectors])[len(vectors) :]
        rows = np.arange(len(part.frames) - length, len(part.frames)).clip(min=0)
        return part.frames[rows], vectors


def _generator(seed: int, step: int) -> torch.Generator:
    """Returns the generator of one step of a dream: its noise is its own, alone or among others."""
    return torch.Generator().manual_seed(zlib.crc32(f"{seed}|{step}".encode()))
