"""The one block that the whole model is built of: compression network, denoiser and heads.

Space attention in every layer, time attention and attention to the prompt in every k-th, normalised queries and keys,
SwiGLU, rotary positions, and scale, shift and gate of each part from the conditions (noise level, action).

Sources: Peebles & Xie, 2023, "Scalable Diffusion Models with Transformers", section 3.2 (adaLN-zero); Chen et al.,
2024, "PixArt-alpha", section 2.3 (one conditioning network for all layers, a table of offsets in each); Hafner et al.,
2025, "Training Agents Inside of Scalable World Models", section 3.1 (time attention in every few layers only).

Shapes: B batch, T latent frames, S tokens a frame, L words, N heads, E width of a head, D width, R remembered frames.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from worldmodel.model.rotary import turn, turns


@dataclass(kw_only=True, slots=True)
class TransformerConfig:
    """Size of a stack of blocks.

    Attributes:
        width: D, a multiple of `head_width`.
        depth: Number of blocks.
        head_width: E, a multiple of 4.
        time_every: Every how many blocks there is time attention and attention to the prompt; 0 for never.
        expansion: Hidden width of the SwiGLU part, in widths.
    """

    width: int
    depth: int
    head_width: int = 64
    time_every: int = 0
    expansion: float = 8 / 3

    def __post_init__(self) -> None:
        """Checks that the sizes fit together.

        Raises:
            ValueError: If they do not; the message names the setting.
        """
        if self.head_width < 4 or self.head_width % 4:
            raise ValueError(f"head_width: expected a multiple of 4, got {self.head_width}")
        if self.width < 1 or self.width % self.head_width:
            raise ValueError(f"width: expected a multiple of head_width={self.head_width}, got {self.width}")
        if self.depth < 1:
            raise ValueError(f"depth: expected at least 1, got {self.depth}")

    def has_time(self, layer: int) -> bool:
        """Returns whether a block, counted from 0, has time attention."""
        return self.time_every > 0 and layer % self.time_every == self.time_every - 1

    @property
    def hidden_width(self) -> int:
        """Hidden width of the SwiGLU part, a multiple of 32."""
        return 32 * round(self.width * self.expansion / 32)


@dataclass(slots=True)
class KeysValues:
    """Keys, not rotated, and values of one time attention: (B, T, S, N, E) each."""

    keys: Tensor
    values: Tensor


@dataclass(slots=True)
class Past:
    """What one time attention remembers of earlier frames, laid out for attention.

    Attributes:
        keys: (B, S, N, R, E), rotated.
        values: (B, S, N, R, E).
    """

    keys: Tensor
    values: Tensor


@dataclass(slots=True)
class Geometry:
    """Where tokens are, and what they may see; the same for all blocks of a pass.

    Attributes:
        space_angles: (S, E / 2).
        time_angles: (T, E / 2), or (B, T, E / 2) where items of the batch differ.
        num_unread: Tokens at the end of each frame that no other token reads.
        space_mask: bool (B T, 1, 1, S): which tokens of a frame are there; `None` for all.
        time_mask: bool (T, R + T), or (B, T, R + T): which frames a frame may see; `None` for all.
    """

    space_angles: Tensor
    time_angles: Tensor | None = None
    num_unread: int = 0
    space_mask: Tensor | None = None
    time_mask: Tensor | None = None
    space_turns: tuple[Tensor, Tensor] = field(init=False)
    time_turns: tuple[Tensor, Tensor] | None = field(init=False)

    def __post_init__(self) -> None:
        """Computes the turns of queries and keys, (B, T, S, 2, N, E), once for all blocks."""
        self.space_turns = turns(self.space_angles[:, None, None])
        self.time_turns = None if self.time_angles is None else turns(self.time_angles[..., None, None, None, :])


_FEW_PAIRS = 128 * 128
_FEW_QUERIES = 8


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Returns softmax attention, (..., Q, E), of queries (..., Q, E) to keys and values (..., K, E).

    Args:
        queries: Queries.
        keys: Keys.
        values: Values.
        mask: bool, broadcast to (..., Q, K): who may see whom; `None` for everybody everything.
    """
    many = queries.shape[-2] * keys.shape[-2] > _FEW_PAIRS
    forward_only = not torch.is_grad_enabled() and queries.shape[-2] >= _FEW_QUERIES
    if queries.device.type != "cpu" or many or forward_only:
        return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    # On a processor, many small attentions are three times as fast as plain products: the fused kernel's gradient
    # works in float32, and its blocks are larger than all there is, above all for a single query.
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1).to(values.dtype) @ values


class Norm(nn.Module):
    """Layer normalisation (Ba et al., 2016) with learned scales, without shifts.

    Unlike the root mean square alone, it is one fused operation on every device, five times as fast on a processor.
    """

    def __init__(self, width: int) -> None:
        """Starts with scales of 1."""
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Returns x, normalised over its last axis."""
        return F.layer_norm(x, self.scale.shape, self.scale)


class SelfAttention(nn.Module):
    """Attention among the tokens of a frame, or among the frames at one token."""

    def __init__(self, config: TransformerConfig) -> None:
        """Makes the projections."""
        super().__init__()
        self.head_width = config.head_width
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)
        self.query_norm, self.key_norm = Norm(config.head_width), Norm(config.head_width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns normalised queries and keys, (B, T, S, 2, N, E), and values (B, T, S, N, E), of x (B, T, S, D)."""
        parts = self.qkv(x).unflatten(-1, (3, -1, self.head_width))
        scales = torch.stack([self.query_norm.scale, self.key_norm.scale])[:, None]
        return F.layer_norm(parts[..., :2, :, :], (self.head_width,)) * scales, parts[..., 2, :, :]

    def over_space(self, x: Tensor, geometry: Geometry) -> Tensor:
        """Lets each token read its own frame. x: (B, T, S, D); returns the same shape."""
        qk, v = self.project(x)
        q, k = turn(qk, *geometry.space_turns).unbind(3)
        q, k, v = (part.flatten(0, 1).transpose(1, 2) for part in (q, k, v))  # (B T, N, S, E)
        readable = x.shape[2] - geometry.num_unread
        read = attend(q, k[:, :, :readable], v[:, :, :readable], geometry.space_mask)
        return self.out(read.transpose(1, 2).reshape(x.shape))

    def over_time(self, x: Tensor, geometry: Geometry, past: Past | None) -> tuple[Tensor, KeysValues]:
        """Lets each token read the same token of other frames. x: (B, T, S, D); returns the same shape, and keys."""
        assert geometry.time_turns is not None
        qk, v = self.project(x)
        fresh = KeysValues(qk[..., 1, :, :], v)
        q, k = turn(qk, *geometry.time_turns).unbind(3)
        q, k, v = (part.permute(0, 2, 3, 1, 4) for part in (q, k, v))  # (B, S, N, T, E)
        if past is not None:
            k, v = torch.cat([past.keys, k], dim=3), torch.cat([past.values, v], dim=3)
        mask = geometry.time_mask
        if mask is not None and mask.ndim == 3:
            mask = mask[:, None, None].expand(-1, x.shape[2], -1, -1, -1).flatten(0, 1)  # (B S, 1, T, R + T)
        q, k, v = (part.flatten(0, 1) for part in (q, k, v))
        read = attend(q, k, v, mask)
        return self.out(read.unflatten(0, x.shape[0::2][:2]).permute(0, 3, 1, 2, 4).reshape(x.shape)), fresh


class TextAttention(nn.Module):
    """Attention of all tokens to the words of the prompt."""

    def __init__(self, config: TransformerConfig) -> None:
        """Makes the projections; the output starts at zero, so that text comes in gently."""
        super().__init__()
        self.head_width = config.head_width
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key_value = nn.Linear(config.width, 2 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)
        self.query_norm, self.key_norm = Norm(config.head_width), Norm(config.head_width)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, text: Tensor, text_mask: Tensor) -> Tensor:
        """Reads the prompt.

        Args:
            x: (B, T, S, D).
            text: (B, L, D).
            text_mask: bool (B, L), which words are there.
        """
        q = self.query_norm(self.query(x).unflatten(-1, (-1, self.head_width)))
        k, v = self.key_value(text).unflatten(-1, (2, -1, self.head_width)).unbind(-3)
        q = q.flatten(1, 2).transpose(1, 2)  # (B, N, T S, E)
        k, v = self.key_norm(k).transpose(1, 2), v.transpose(1, 2)  # (B, N, L, E)
        read = attend(q, k, v, text_mask[:, None, None])
        return self.out(read.transpose(1, 2).reshape(x.shape))


class SwiGlu(nn.Module):
    """The feed-forward part (Shazeer, 2020)."""

    def __init__(self, config: TransformerConfig) -> None:
        """Makes the projections."""
        super().__init__()
        self.gate_up = nn.Linear(config.width, 2 * config.hidden_width, bias=False)
        self.down = nn.Linear(config.hidden_width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (..., D) to (..., D)."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class Block(nn.Module):
    """Space attention, perhaps time attention and attention to the prompt, and the feed-forward part."""

    def __init__(self, config: TransformerConfig, *, with_time: bool, conditioned: bool) -> None:
        """Makes a block.

        Args:
            config: Sizes.
            with_time: Whether it has time attention and attention to the prompt.
            conditioned: Whether scales, shifts and gates come from conditions.
        """
        super().__init__()
        width = config.width
        self.space_norm, self.space = Norm(width), SelfAttention(config)
        self.feed_norm, self.feed = Norm(width), SwiGlu(config)
        self.offsets = nn.Parameter(torch.zeros(6, width)) if conditioned else None
        if with_time:
            self.time_norm, self.time, self.text = Norm(width), SelfAttention(config), TextAttention(config)
            nn.init.zeros_(self.time.out.weight)
        self.with_time = with_time

    def forward(
        self,
        x: Tensor,
        geometry: Geometry,
        modulation: Tensor | None,
        text: Tensor | None,
        text_mask: Tensor | None,
        past: Past | None,
    ) -> tuple[Tensor, KeysValues | None]:
        """Runs the block.

        Args:
            x: (B, T, S, D).
            geometry: Positions and masks.
            modulation: (B, T, 6, D) from the conditions, or `None`.
            text: (B, L, D), or `None` where there is no prompt.
            text_mask: bool (B, L).
            past: What the time attention remembers.

        Returns:
            (B, T, S, D), and the keys and values of the time attention, if there is one.
        """
        if modulation is not None and self.offsets is not None:
            parts = (modulation + self.offsets.to(modulation.dtype)).unsqueeze(2).unbind(3)  # 6 of (B, T, 1, D)
            shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = parts
            x = x + gate_1 * self.space.over_space(torch.addcmul(shift_1, self.space_norm(x), 1 + scale_1), geometry)
        else:
            x = x + self.space.over_space(self.space_norm(x), geometry)
        fresh = None
        if self.with_time:
            normed = self.time_norm(x)
            read, fresh = self.time.over_time(normed, geometry, past)
            x = x + read
            if text is not None and text_mask is not None:
                x = x + self.text(normed, text, text_mask)
        if modulation is not None and self.offsets is not None:
            x = x + gate_2 * self.feed(torch.addcmul(shift_2, self.feed_norm(x), 1 + scale_2))
        else:
            x = x + self.feed(self.feed_norm(x))
        return x, fresh


class Transformer(nn.Module):
    """A stack of blocks."""

    def __init__(self, config: TransformerConfig, *, conditioned: bool) -> None:
        """Makes the blocks.

        Args:
            config: Sizes.
            conditioned: Whether they take conditions.
        """
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(
            Block(config, with_time=config.has_time(layer), conditioned=conditioned) for layer in range(config.depth)
        )
        self.checkpointing = False
        """Whether to forget what is between blocks in training, and compute it again for the gradient."""
        if conditioned:
            self.modulation = nn.Linear(config.width, 6 * config.width)
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)
            with torch.no_grad():  # open gates: what is zero at the start is the output of the stack, not each block
                self.modulation.bias.view(6, -1)[[2, 5]] = 1.0

    def forward(
        self,
        x: Tensor,
        geometry: Geometry,
        *,
        condition: Tensor | None = None,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        past: list[Past] | None = None,
    ) -> tuple[Tensor, list[KeysValues]]:
        """Runs all blocks.

        Args:
            x: (B, T, S, D).
            geometry: Positions and masks.
            condition: (B, T, D), or `None`.
            text: (B, L, D), or `None`.
            text_mask: bool (B, L).
            past: For each time attention, what it remembers.

        Returns:
            (B, T, S, D), and keys and values of each time attention.
        """
        modulation = None
        if condition is not None:
            modulation = self.modulation(F.silu(condition)).unflatten(-1, (6, -1))
        remembered = iter(past or ())
        written: list[KeysValues] = []
        for block in self.blocks:
            memory = next(remembered) if past is not None and block.with_time else None
            if self.checkpointing and torch.is_grad_enabled():
                x, fresh = checkpoint(block, x, geometry, modulation, text, text_mask, memory, use_reentrant=False)
            else:
                x, fresh = block(x, geometry, modulation, text, text_mask, memory)
            if fresh is not None:
                written.append(fresh)
        return x, written


def time_mask(num_frames: int, *, causal: bool, window: int | None = None) -> Tensor | None:
    """Returns which frames a frame may see.

    Args:
        num_frames: T.
        causal: Whether later frames are hidden.
        window: How many earlier frames are seen at most, with `causal`; `None` for all.

    Returns:
        bool (T, T), row sees column; `None` if everything is seen.
    """
    if not causal:
        return None
    age = torch.arange(num_frames)[:, None] - torch.arange(num_frames)[None]
    return (age >= 0) & (age <= (num_frames if window is None else window))
