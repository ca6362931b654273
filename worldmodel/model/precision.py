"""The number format that a machine multiplies fastest in."""

import torch


def fast_dtype(device: str) -> torch.dtype:
    """Returns bfloat16 where the machine multiplies in it, else float32.

    A processor without the instructions for it takes a hundred times longer in bfloat16 than in float32.

    Args:
        device: Such as `"cpu"` or `"cuda"`.
    """
    fast = device != "cpu" or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if fast else torch.float32


def has_fast_bf16() -> bool:
    """Whether this machine trains fastest in bfloat16."""
    return fast_dtype("cuda" if torch.cuda.is_available() else "cpu") is torch.bfloat16
