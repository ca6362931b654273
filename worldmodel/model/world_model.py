"""The world model: compression network, denoiser and text encoder as one module that can be saved and loaded.

Shapes: B batch, F frames, T latent frames, r ticks in a latent frame, H W pixels, h w latent grid, C latent channels,
A width of an action vector.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from worldmodel.data.action_codec import ActionCodec
from worldmodel.model.cache import StreamingCache, empty_cache
from worldmodel.model.checkpoint import (
    find_checkpoint,
    from_plain,
    read_config,
    read_tensors,
    to_plain,
    write_checkpoint,
)
from worldmodel.model.compression import CompressionNetwork, to_float, to_uint8
from worldmodel.model.denoiser import Denoiser, DenoiserInput, num_tokens
from worldmodel.model.heads import FactorDistribution
from worldmodel.model.patches import from_groups, to_groups
from worldmodel.model.sizes import ModelConfig
from worldmodel.model.text import TextEncoder


@dataclass(kw_only=True, slots=True)
class Metadata:
    """What a world model was trained on, and how to use it.

    Attributes:
        height: Of the frames it was trained on, in pixels.
        width: Likewise.
        fps: Frames (ticks) per second of its data.
        action_space: The action space, as `worldmodel.data.spaces` writes it; `None` for data without actions.
        env_id: Gymnasium id of the environment that the data came from; empty if unknown.
        env_kwargs: What that was made with.
        training_data: What it was trained on, in words and numbers.
        training: How: steps, minutes, settings.
        licence: Of the weights.
        git_revision: Of the code that trained it; empty if unknown.
    """

    height: int
    width: int
    fps: float
    action_space: dict[str, Any] | None = None
    env_id: str = ""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    training_data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    licence: str = "MIT"
    git_revision: str = ""


class WorldModel(nn.Module):
    """A video world model: text, actions, pictures and video in, video out.

    Attributes:
        config: Sizes.
        metadata: What it was trained on.
        codec: Between actions and vectors; `None` for data without actions.
        compression: The compression network.
        denoiser: The diffusion transformer.
        text: The encoder of prompts.
    """

    def __init__(self, config: ModelConfig, metadata: Metadata) -> None:
        """Makes a model with random weights."""
        super().__init__()
        self.config, self.metadata = config, metadata
        self.codec = None if metadata.action_space is None else ActionCodec.from_json(metadata.action_space)
        self.factors = None if self.codec is None else FactorDistribution(self.codec)
        self.compression = CompressionNetwork(config.compression)
        self.denoiser = Denoiser(
            config.denoiser,
            channels=config.compression.channels,
            frames_per_latent=config.compression.frames_per_latent,
            action_width=0 if self.codec is None else self.codec.width,
            latent_seconds=self.latent_seconds,
        )
        if self.codec is not None:
            self.denoiser.make_actions_heard(torch.from_numpy(self.codec.rest))
        self.text = TextEncoder(config.text, config.denoiser.transformer.width)

    @property
    def frames_per_latent(self) -> int:
        """r, frames (ticks) in a latent frame."""
        return self.config.compression.frames_per_latent

    @property
    def latent_seconds(self) -> float:
        """Duration of a latent frame."""
        return self.config.compression.frames_per_latent / self.metadata.fps

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.denoiser.action_null.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        return self.denoiser.action_null.dtype

    @property
    def pixel_multiple(self) -> int:
        """What height and width of a video must be divisible by."""
        return self.config.compression.patch * self.config.denoiser.patch

    def num_parameters(self) -> int:
        """Returns how many numbers are learned."""
        return sum(parameter.numel() for parameter in self.parameters())

    @torch.no_grad()
    def encode(self, video: Tensor, batch: int = 64) -> Tensor:
        """Compresses a video or picture.

        Args:
            video: uint8 (F, H, W, 3), F at least 1, H and W divisible by `pixel_multiple`.
            batch: Latent frames at a time.

        Returns:
            float32 (T, h, w, C), T = 1 + ceil((F - 1) / r): the first frame is a still of its own.

        Raises:
            ValueError: If dtype, shape or size do not fit.
        """
        if video.dtype != torch.uint8 or video.ndim != 4 or video.shape[-1] != 3 or 0 in video.shape:
            raise ValueError(f"video: expected uint8 (F, H, W, 3), got {video.dtype} {tuple(video.shape)}")
        self.grid(video.shape[1], video.shape[2])
        return self.encode_groups(to_groups(video, self.frames_per_latent), batch)

    @torch.no_grad()
    def encode_groups(self, groups: Tensor, batch: int = 64) -> Tensor:
        """Compresses groups of frames: uint8 (T, r, H, W, 3) to float32 (T, h, w, C)."""
        return torch.cat(
            [
                self.compression.encode(to_float(part.to(self.device)).to(self.dtype)).float()
                for part in groups.split(batch)
            ]
        )

    @torch.no_grad()
    def decode(self, latents: Tensor, num_frames: int | None = None, batch: int = 64) -> Tensor:
        """Undoes `encode`.

        Args:
            latents: (T, h, w, C).
            num_frames: F, to cut off what was filled in; `None` for all, 1 + (T - 1) * r.
            batch: Latent frames at a time.

        Returns:
            uint8 (F, H, W, 3).
        """
        return from_groups(self.decode_groups(latents, batch), num_frames)

    @torch.no_grad()
    def decode_groups(self, latents: Tensor, batch: int = 64) -> Tensor:
        """Returns the frames of each latent frame: (T, h, w, C) to uint8 (T, r, H, W, 3)."""
        return torch.cat(
            [to_uint8(self.compression.decode(part.to(self.device, self.dtype))) for part in latents.split(batch)]
        )

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Returns the size (h, w) of the latent grid for frames of a size.

        Raises:
            ValueError: If height or width is not divisible by `pixel_multiple`.
        """
        for name, size in (("height", height), ("width", width)):
            if size < 1 or size % self.pixel_multiple:
                raise ValueError(
                    f"{name}: expected a positive multiple of {self.pixel_multiple} pixels, got {size}; crop or resize"
                )
        return self.compression.grid(height, width)

    def embed_prompts(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Returns the words of B prompts, (B, L, D), and which are there, bool (B, L); `""` is no prompt.

        Raises:
            TypeError: If one is no string.
            ValueError: If one is too long.
        """
        tokens = self.text.tokenize(prompts)
        return self.text(tokens), tokens.mask

    def action_vectors(self, actions: Sequence[Any]) -> Tensor:
        """Turns actions, one a tick, into those of latent frames.

        Args:
            actions: F - 1 actions, the t-th leading to frame t + 1 of a video.

        Returns:
            float32 (T, r, A), T = 1 + ceil((F - 1) / r); the first is null, and so is what is missing at the end.

        Raises:
            ValueError: If the model was trained without actions, or an action does not fit its action space.
        """
        if self.codec is None:
            raise ValueError("actions: expected none, because this model was trained on data without actions")
        vectors = (
            torch.from_numpy(self.codec.encode_many(list(actions)))
            if len(actions)
            else torch.zeros(0, self.codec.width)
        )
        return group_actions(torch.cat([torch.zeros(1, self.codec.width), vectors]), self.frames_per_latent)

    def start_cache(self, batch: int, height: int, width: int) -> StreamingCache:
        """Returns an empty streaming cache for B rollouts at a frame size in pixels."""
        h, w = self.grid(height, width)
        config = self.config.denoiser
        stack = config.transformer
        return empty_cache(
            batch=batch,
            num_layers=sum(stack.has_time(layer) for layer in range(stack.depth)),
            slots=config.sinks + config.window,
            sinks=config.sinks,
            tokens=num_tokens(h, w, config.patch) + self.denoiser.num_extra,
            heads=stack.width // stack.head_width,
            head_width=stack.head_width,
            latent_seconds=self.latent_seconds,
            dtype=self.dtype,
            device=self.device,
        )

    def null_actions(self, batch: int, num_frames: int) -> Tensor:
        """Returns zeros (B, T, r, A)."""
        return torch.zeros(batch, num_frames, *self.denoiser.action_shape, device=self.device)

    def save(self, folder: str | os.PathLike[str], dtype: torch.dtype | None = torch.bfloat16) -> Path:
        """Writes the model; see `worldmodel.model.checkpoint`.

        Args:
            folder: Made if missing; an older checkpoint in it is replaced.
            dtype: Number format on disk; `None` for that of the weights.
        """
        folder = Path(folder)
        tensors = {name: tensor if dtype is None else tensor.to(dtype) for name, tensor in self.state_dict().items()}
        write_checkpoint(folder, tensors, {"model": to_plain(self.config), "metadata": to_plain(self.metadata)})
        return folder

    @classmethod
    def from_pretrained(
        cls, checkpoint: str | os.PathLike[str], *, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> "WorldModel":
        """Loads a model for use.

        Args:
            checkpoint: Name of a model that comes with the package, or a folder that `save` wrote.
            device: Where to put it.
            dtype: Number format to compute in; `torch.bfloat16` is fastest where the processor has it.

        Raises:
            FileNotFoundError: If there is no checkpoint.
            ValueError: If it is damaged, or of a later version.
        """
        folder = find_checkpoint(checkpoint)
        config = read_config(folder)
        model = cls(
            from_plain(ModelConfig, config.get("model"), "config.model"),
            from_plain(Metadata, config.get("metadata"), "config.metadata"),
        )
        tensors = read_tensors(folder, config, device)
        expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
        found = {name: tensor.shape for name, tensor in tensors.items()}
        if expected != found:
            name = sorted(set(expected.items()) ^ set(found.items()), key=str)[0][0]
            raise ValueError(
                f"{folder}: expected {name} of shape {tuple(expected.get(name, ()))}, "
                f"got {tuple(found.get(name, ()))}; the files do not belong together"
            )
        model.load_state_dict(tensors)
        return model.to(device=device, dtype=dtype).eval().requires_grad_(False)

    def generate(self, prompt: str = "", **settings: Any) -> Tensor:
        """Makes a video or picture, uint8 (F, H, W, 3): see `worldmodel.model.generation.generate`."""
        from worldmodel.model.generation import generate

        return generate(self, prompt, **settings)

    def inputs(
        self,
        latents: Tensor,
        sigma: Tensor | float,
        *,
        actions: Tensor | None = None,
        action_sigma: Tensor | None = None,
        action_null: Tensor | None = None,
        text: tuple[Tensor, Tensor] | None = None,
        step_size: int = 0,
        causal: bool = True,
        periodic: bool = False,
        before: Tensor | None = None,
        before_sigma: Tensor | None = None,
    ) -> DenoiserInput:
        """Fills in what is not given of the denoiser's input: no action, no prompt.

        Args:
            latents: (B, T, h, w, C).
            sigma: (B, T, h, w), or one number for all.
            actions: (B, T, r, A); `None` for no actions.
            action_sigma: (B, T); `None` for 0.
            action_null: bool (B, T), where no action is given; `None` for those that are all zero.
            text: As `embed_prompts` gives it; `None` for no prompt.
            step_size: Index into `STEP_SIZES`.
            causal: Whether frames see no later ones.
            periodic: Whether the end meets the start.
            before: (B, h, w, C), the latent frame before the first one; `None` for none.
            before_sigma: (B, h, w), its noise levels.
        """
        batch, num_frames = latents.shape[:2]
        if actions is None:
            actions = self.null_actions(batch, num_frames)
        if action_sigma is None:
            action_sigma = torch.zeros(batch, num_frames, device=latents.device)
        if action_null is None:
            action_null = (actions == 0).flatten(2).all(-1)
        if text is None:
            text = self.embed_prompts([""] * batch)
        return DenoiserInput(
            latents=latents,
            sigma=sigma if isinstance(sigma, Tensor) else torch.full(latents.shape[:-1], sigma, device=latents.device),
            actions=actions,
            action_sigma=action_sigma,
            action_null=action_null,
            text=text[0],
            text_mask=text[1],
            step_size=torch.full((batch,), step_size, dtype=torch.int64, device=latents.device),
            causal=causal,
            periodic=periodic,
            before=before,
            before_sigma=before_sigma,
        )


def group_actions(vectors: Tensor, frames_per_latent: int) -> Tensor:
    """Groups action vectors, one a frame, as `to_groups` groups frames, but fills in nulls instead of repeating.

    Args:
        vectors: (F, A), row t led to frame t; row 0 is null.
        frames_per_latent: r.

    Returns:
        (T, r, A).
    """
    missing = -(len(vectors) - 1) % frames_per_latent
    nulls = vectors.new_zeros(frames_per_latent - 1, vectors.shape[1])
    padded = torch.cat([nulls, vectors[:1] * 0, vectors[1:], vectors.new_zeros(missing, vectors.shape[1])])
    return padded.unflatten(0, (-1, frames_per_latent))
