"""The streaming cache: what the time attentions remember of finished latent frames.

A ring of fixed size with a few sink frames (the first ones, which are kept for good). It is read while a frame is
denoised, and written once with the finished frame. Cost and memory of a step do not grow with the length of a rollout.
Keys are kept without rotation and rotated when read, by their age.

A cache is never changed: `write` returns a new one. To keep a reference to it is to keep the state, and any number of
dreams may go on from it.

Sources: Xiao et al., 2023, "Efficient Streaming Language Models with Attention Sinks"; design of the frozen cache after
Hafner et al., 2025, "Training Agents Inside of Scalable World Models", section 3.3.

Shapes: B batch, R remembered frames (sinks + window), S tokens a frame, N heads, E width of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from worldmodel.model.rotary import rotate, time_angles
from worldmodel.model.transformer import KeysValues, Past


@dataclass(slots=True)
class StreamingCache:
    """Keys and values of finished frames.

    Attributes:
        layers: For each time attention, keys (not rotated) and values, (B, R, S, N, E).
        frames: int64 (B, R), which latent frame of the rollout is in each slot; -1 for none.
        count: int64 (B,), latent frames written so far.
        sinks: How many of the R slots are sinks.
        latent_seconds: Duration of a latent frame.
    """

    layers: list[KeysValues]
    frames: Tensor
    count: Tensor
    sinks: int
    latent_seconds: float

    def read(self) -> tuple[list[Past], Tensor]:
        """Returns what each time attention remembers, rotated as the frame to come sees it, and what is there.

        The age of a sink is counted as no more than R frames: the model never learned larger ones.

        Returns:
            For each time attention a `Past`; bool (B, R).
        """
        slots = self.frames.shape[1]
        age = (self.count[:, None] - self.frames).clamp(max=slots)
        seconds = -age * self.latent_seconds
        head_width = self.layers[0].keys.shape[-1]
        angles = time_angles(seconds, head_width)[:, :, None, None]  # (B, R, 1, 1, E / 2)
        past = [
            Past(
                rotate(layer.keys, angles).permute(0, 2, 3, 1, 4).contiguous(),
                layer.values.permute(0, 2, 3, 1, 4).contiguous(),
            )
            for layer in self.layers
        ]
        return past, self.frames >= 0

    def write(self, written: list[KeysValues]) -> "StreamingCache":
        """Returns a cache that also remembers one more frame of each item.

        Args:
            written: For each time attention, keys and values (B, 1, S, N, E) of the finished frame.
        """
        ring = self.frames.shape[1] - self.sinks
        slot = torch.where(self.count < self.sinks, self.count, self.sinks + (self.count - self.sinks) % ring)
        here = torch.arange(self.frames.shape[1], device=slot.device) == slot[:, None]  # (B, R)
        place = here[:, :, None, None, None]
        layers = [
            KeysValues(torch.where(place, new.keys, old.keys), torch.where(place, new.values, old.values))
            for old, new in zip(self.layers, written, strict=True)
        ]
        return replace(
            self,
            layers=layers,
            frames=torch.where(here, self.count[:, None], self.frames),
            count=self.count + 1,
        )

    def select(self, items: Tensor) -> "StreamingCache":
        """Returns the cache of some items of the batch, in that order; an item may come more than once."""
        layers = [KeysValues(layer.keys[items], layer.values[items]) for layer in self.layers]
        return replace(self, layers=layers, frames=self.frames[items], count=self.count[items])


def join_caches(caches: Sequence[StreamingCache]) -> StreamingCache:
    """Returns several caches, alike but for their batches, as one."""
    layers = [
        KeysValues(torch.cat([part.keys for part in parts]), torch.cat([part.values for part in parts]))
        for parts in zip(*(cache.layers for cache in caches), strict=True)
    ]
    return replace(
        caches[0],
        layers=layers,
        frames=torch.cat([cache.frames for cache in caches]),
        count=torch.cat([cache.count for cache in caches]),
    )


def empty_cache(
    *,
    batch: int,
    num_layers: int,
    slots: int,
    sinks: int,
    tokens: int,
    heads: int,
    head_width: int,
    latent_seconds: float,
    dtype: torch.dtype,
    device: torch.device,
) -> StreamingCache:
    """Returns a cache that remembers nothing yet.

    Raises:
        ValueError: If there is no room beside the sinks.
    """
    if slots <= sinks:
        raise ValueError(f"slots: expected more than the {sinks} sinks, got {slots}; enlarge the window")
    shape = (batch, slots, tokens, heads, head_width)

    def zeros() -> Tensor:
        return torch.zeros(shape, dtype=dtype, device=device)

    return StreamingCache(
        layers=[KeysValues(zeros(), zeros()) for _ in range(num_layers)],
        frames=torch.full((batch, slots), -1, dtype=torch.int64, device=device),
        count=torch.zeros(batch, dtype=torch.int64, device=device),
        sinks=sinks,
        latent_seconds=latent_seconds,
    )
