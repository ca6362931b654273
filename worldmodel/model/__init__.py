"""The world model: compression network, diffusion transformer, text encoder, streaming cache, checkpoints."""

from worldmodel.model.sizes import ModelConfig, Size, model_config
from worldmodel.model.world_model import Metadata, WorldModel

__all__ = ["Metadata", "ModelConfig", "Size", "WorldModel", "model_config"]
