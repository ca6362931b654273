"""Where a token is in the picture, as a vector to add to it.

Rotary positions tell how far tokens are apart; this tells where in the picture they are (sky is above, a hotbar below),
for pictures of any size.
"""

import math

import torch
from torch import Tensor, nn

_OCTAVES = 4


class PlaceEmbedding(nn.Module):
    """Embeds the place in the picture, from -1 (top, left) to 1, and the size of the picture in patches."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        """Makes a projection to `width` channels."""
        super().__init__()
        self.register_buffer("frequencies", math.pi / 2 * 2.0 ** torch.arange(_OCTAVES), persistent=False)
        self.project = nn.Linear(4 * _OCTAVES + 4, width)

    def forward(self, h: int, w: int, num_extra: int) -> Tensor:
        """Returns (h * w + num_extra, width), zeros for the tokens without a place, which come last."""
        device = self.frequencies.device
        rows = (torch.arange(h, device=device) + 0.5) / h * 2 - 1
        columns = (torch.arange(w, device=device) + 0.5) / w * 2 - 1
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flatten(0, 1)  # (h w, 2)
        angles = (places[..., None] * self.frequencies).flatten(1)
        size = torch.tensor([math.log2(h), math.log2(w)], device=device).expand(h * w, 2) / 4 - 1
        features = torch.cat([angles.sin(), angles.cos(), places, size], dim=-1)
        embedded = self.project(features.to(self.project.weight.dtype))
        return torch.cat([embedded, embedded.new_zeros(num_extra, embedded.shape[-1])])
