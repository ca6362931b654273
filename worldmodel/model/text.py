"""Prompts: from characters to one vector a word, trained with the model.

A word's embedding is the sum of one learned vector for each of its bytes, by byte and place in the word: every text of
every language has one, nothing is unknown, and there is no vocabulary to keep. An empty prompt is the learned null
token alone. It stands in front of every prompt.

Shapes: B batch, L words (null token included), D width.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from worldmodel.model.rotary import time_angles
from worldmodel.model.transformer import Geometry, Norm, Transformer, TransformerConfig

_WORD = re.compile(r"\w+|[^\w\s]")
_BYTES_IN_WORD = 16
_WORDS_A_SECOND = 4.0
"""Words stand on the same rotary scale as time: so many to a second."""


@dataclass(kw_only=True, slots=True)
class TextConfig:
    """Size of the text encoder.

    Attributes:
        width: D of its blocks.
        depth: Number of its blocks.
        head_width: E of its blocks.
        max_words: Longest prompt, in words and punctuation marks.
    """

    width: int = 192
    depth: int = 2
    head_width: int = 64
    max_words: int = 64


@dataclass(slots=True)
class Prompts:
    """A batch of prompts as bytes.

    Attributes:
        codes: int64 (B, L, 16): 0 for no byte, else 1 + byte + 256 * place. The first word is the null token, all 0.
        mask: bool (B, L): which words are there.
    """

    codes: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> "Prompts":
        """Returns the same on a device."""
        return Prompts(self.codes.to(device), self.mask.to(device))


def words(text: str) -> list[bytes]:
    """Splits a text into lower-case words and punctuation marks; long words into pieces of 16 bytes."""
    pieces = []
    for word in _WORD.findall(text.lower()):
        code = word.encode()
        pieces += [code[i : i + _BYTES_IN_WORD] for i in range(0, len(code), _BYTES_IN_WORD)]
    return pieces


def tokenize(texts: Sequence[str], max_words: int, *, truncate: bool = False) -> Prompts:
    """Turns texts into bytes.

    Args:
        texts: B prompts; an empty one is no prompt.
        max_words: Longest that is allowed.
        truncate: Cut longer ones off instead of refusing them: right for captions of data, not for a user's prompt.

    Raises:
        TypeError: If one is no string.
        ValueError: If one is too long; the message says by how much.
    """
    rows = []
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"prompt: expected a string, got {type(text).__name__} {text!r:.40}")
        row = words(text)
        if len(row) > max_words and not truncate:
            raise ValueError(
                f"prompt: expected at most {max_words} words, got {len(row)} ({text[:40]!r}...); shorten it"
            )
        rows.append(row[:max_words])
    length = 1 + max((len(row) for row in rows), default=0)
    codes = torch.zeros(len(rows), length, _BYTES_IN_WORD, dtype=torch.int64)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for i, row in enumerate(rows):
        mask[i, : len(row) + 1] = True
        for j, word in enumerate(row, 1):
            for place, byte in enumerate(word):
                codes[i, j, place] = 1 + byte + 256 * place
    return Prompts(codes, mask)


class TextEncoder(nn.Module):
    """Embeds words and lets them read each other."""

    def __init__(self, config: TextConfig, out_width: int) -> None:
        """Makes the encoder; its output has `out_width` channels."""
        super().__init__()
        self.config = config
        blocks = TransformerConfig(width=config.width, depth=config.depth, head_width=config.head_width)
        self.bytes = nn.Embedding(1 + 256 * _BYTES_IN_WORD, config.width, padding_idx=0)
        with torch.no_grad():
            self.bytes.weight.normal_(std=0.3)
            self.bytes.weight[0] = 0.0  # no byte
        self.null = nn.Parameter(torch.zeros(config.width))
        self.blocks = Transformer(blocks, conditioned=False)
        self.norm = Norm(config.width)
        self.out = nn.Linear(config.width, out_width, bias=False)

    def tokenize(self, texts: Sequence[str], *, truncate: bool = False) -> Prompts:
        """Turns texts into bytes on the device of the encoder; see the function of this name."""
        return tokenize(texts, self.config.max_words, truncate=truncate).to(self.null.device)

    def forward(self, prompts: Prompts) -> Tensor:
        """Returns one vector a word, (B, L, D); rows that `prompts.mask` leaves out mean nothing."""
        x = self.bytes(prompts.codes).sum(dim=2)  # (B, L, D)
        x = torch.cat([(x[:, :1] + self.null), x[:, 1:]], dim=1)
        seconds = torch.arange(x.shape[1], device=x.device) / _WORDS_A_SECOND
        geometry = Geometry(time_angles(seconds, self.config.head_width), space_mask=prompts.mask[:, None, None])
        read, _ = self.blocks(x[:, None], geometry)
        return self.out(self.norm(read[:, 0]))
