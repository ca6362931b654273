"""Optimisers: Muon for the matrices inside blocks and AdamW for the rest, or AdamW for all.

Sources: Jordan et al., 2024, "Muon: An optimizer for hidden layers in neural networks"; Liu et al., 2025, "Muon is
Scalable for LLM Training" (step sizes that match AdamW's); Loshchilov & Hutter, 2019, "Decoupled Weight Decay".
"""

from dataclasses import dataclass, field
from enum import Enum

import torch
from torch import Tensor, nn

from worldmodel.model.precision import has_fast_bf16


class OptimizerKind(Enum):
    """Which optimiser."""

    muon = "muon"
    """Muon for matrices inside blocks, AdamW for the rest. Not for sharded training."""
    adamw = "adamw"
    """AdamW for everything."""


@dataclass(kw_only=True, slots=True)
class OptimizerConfig:
    """Settings of an optimiser.

    Attributes:
        kind: Which one; by default Muon, or AdamW where bfloat16 is slow, because Muon computes in it.
        weight_decay: Of matrices.
        clip_norm: Largest norm of the gradient.
        warmup_steps: Steps in which the rate rises from 0.
        decay_share: Share of the run, at its end, in which it falls to a hundredth.
    """

    kind: OptimizerKind = field(default_factory=lambda: OptimizerKind.muon if has_fast_bf16() else OptimizerKind.adamw)
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    warmup_steps: int = 50
    decay_share: float = 0.4


def make_optimizers(module: nn.Module, config: OptimizerConfig, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Returns optimisers which together hold all parameters of a module, each once, at a peak learning rate."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in module.named_parameters():
        hidden = ".blocks." in f".{name}" and parameter.ndim == 2 and not name.endswith("offsets")
        (matrices if hidden and config.kind is OptimizerKind.muon else others).append(parameter)
    decayed = [parameter for parameter in others if parameter.ndim >= 2]
    plain = [parameter for parameter in others if parameter.ndim < 2]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=learning_rate,
            betas=(0.9, 0.98),
        )
    ]
    if matrices:
        optimizers.append(
            torch.optim.Muon(
                matrices,
                lr=learning_rate,
                weight_decay=config.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return optimizers


def rate_factor(config: OptimizerConfig, step: int, progress: float) -> float:
    """Returns the learning rate as a share of its peak.

    Args:
        config: Settings.
        step: Steps so far.
        progress: Share of the run that is over, 0 to 1.
    """
    rise = min(1.0, (step + 1) / max(config.warmup_steps, 1))
    left = (1 - progress) / config.decay_share if config.decay_share > 0 else 1.0
    return rise * max(0.01, min(1.0, left))
