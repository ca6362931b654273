"""A tiny checkpoint for tests: random weights that say something about everything, and three starts."""

from pathlib import Path

import torch

from worldmodel.data.action_codec import ActionCodec
from worldmodel.envs.actions import action_space
from worldmodel.model import Metadata, Size, WorldModel, model_config
from worldmodel.model.starts import Starts

SIDE = 48
"""Height and width of the frames: stable-baselines3 wants at least 36."""


def write_checkpoint(folder: Path, *, seed: int = 0) -> str:
    """Writes a checkpoint of the block world, two ticks in a latent frame, and returns its path."""
    torch.manual_seed(seed)
    metadata = Metadata(
        height=SIDE,
        width=SIDE,
        fps=20.0,
        action_space=ActionCodec(action_space()).to_json(),
        env_id="worldmodel/Voxel-v0",
        env_kwargs={"height": SIDE, "width": SIDE, "view_distance": 16},
    )
    model = WorldModel(model_config(Size.tiny, channels=4), metadata)
    with torch.no_grad():
        for parameter in model.parameters():  # what starts at zero would have no say otherwise
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save(folder)
    h, w = model.grid(SIDE, SIDE)
    actions = torch.rand(3, 5, *model.denoiser.action_shape)
    actions[:, 0] = 0.0  # nothing leads to the first frame
    Starts(torch.randn(3, 5, h, w, 4), actions, ["a forest at noon", "a desert", ""]).save(folder)
    return str(folder)
