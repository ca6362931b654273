"""A small convolutional policy and value for pictures, which PPO learns; saved as weights and plain settings.

Shapes: B pictures, H W pixels, A actions.
"""

import os
from pathlib import Path
from typing import Any

import gymnasium
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from worldmodel.data.files import partial_path, read_json, write_json
from worldmodel.data.spaces import space_from_json, space_to_json

_SETTINGS, _WEIGHTS = "policy.json", "policy.safetensors"


class PictureAgent(nn.Module):
    """A small convolutional policy and value, for frames of any size from 16 x 16."""

    def __init__(self, num_actions: int) -> None:
        """Draws the weights.

        Args:
            num_actions: A.
        """
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(3, 16, 4, 2), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(6)),
            *(nn.Flatten(), nn.Linear(32 * 36, 128), nn.ReLU()),
        )
        self.policy, self.value = nn.Linear(128, num_actions), nn.Linear(128, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.orthogonal_(layer.weight, 2**0.5)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.orthogonal_(self.policy.weight, 0.01)
        nn.init.orthogonal_(self.value.weight)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Returns logarithms of the probabilities of actions, (B, A), and values, (B,), for uint8 (B, H, W, 3)."""
        features = self.body(frames.movedim(-1, 1).float() / 255 - 0.5)
        return self.policy(features).log_softmax(-1), self.value(features).squeeze(-1)


def save_agent(folder: Path, agent: PictureAgent, env_space: gymnasium.Space, actions: Any, steps: int) -> None:
    """Writes an agent; a reader sees the old one or the new one.

    Args:
        folder: It is made if need be.
        agent: The agent.
        env_space: Observations that it was trained with.
        actions: Action space that it was trained with, `Discrete`.
        steps: Steps of the environment that it has learned from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = partial_path(folder / _WEIGHTS)
    save_file(agent.state_dict(), partial)
    os.replace(partial, folder / _WEIGHTS)
    known = {"steps": steps, "shape": list(env_space.shape or ()), "action_space": space_to_json(actions)}
    write_json(folder / _SETTINGS, known)


def load_agent(folder: str | Path) -> tuple[PictureAgent, tuple[int, ...], gymnasium.Space]:
    """Reads an agent.

    Returns:
        The agent, the shape (H, W, 3) of the frames that it was trained with, and its action space.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged; the message names it.
    """
    path = Path(folder)
    for name in (_SETTINGS, _WEIGHTS):
        if not (path / name).is_file():
            raise FileNotFoundError(
                f"checkpoint: expected a folder of benchmarks/ppo.py --save, found no {path / name}"
            )
    known = read_json(path / _SETTINGS)
    try:
        space = space_from_json(known["action_space"])
        agent = PictureAgent(int(space.n))  # type: ignore[attr-defined]
        agent.load_state_dict(load_file(path / _WEIGHTS))
        shape = tuple(int(side) for side in known["shape"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ValueError(
            f"checkpoint: expected an agent in {path}, got something else ({error}); train anew"
        ) from error
    except Exception as error:  # safetensors has an exception of its own
        raise ValueError(f"checkpoint: expected weights in {path / _WEIGHTS}, got something else ({error})") from error
    return agent.eval(), shape, space
