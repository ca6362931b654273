"""A judge of frames: which actions led to them, what they show, and how alike they are; trained on real frames only.

Actions are read from both sides: frames that came after a step tell about it, too (Baker et al., 2022, "Video
PreTraining", whose inverse-dynamics model looks into the future for the same reason). The features of a frame are those
with which the judge reads actions and attributes and from which it draws a thumbnail of the frame. Frechet distances
in them are figures of our own, which nobody else's can be compared with.

Shapes: B clips, S steps, r ticks in a step, H W pixels, N frames, D features, A width of an action vector, V values of
an attribute, C channels, E width of what is known of a step.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from worldmodel.data.action_codec import ActionCodec
from worldmodel.model.checkpoint import CONFIG, from_plain, read_config, read_tensors, to_plain, write_checkpoint
from worldmodel.model.compression import to_float
from worldmodel.model.heads import FactorDistribution

BUNDLED_JUDGES = Path(__file__).resolve().parent.parent / "judges"
"""Where the judges that come with the package are, a folder for each."""

PIXEL_MULTIPLE = 8
"""What height and width of frames must be divisible by."""
REACH_STEPS = 3
"""Steps to either side that are looked at to read an action."""
THUMBNAIL = 8
"""Width and height of the thumbnail that features hold, in pixels."""

_POOLED = 4  # rows and columns of what is left of a frame
_CHUNK_STEPS, _CHUNK_FRAMES = 256, 256  # at a time, when reading


@dataclass(kw_only=True, slots=True)
class JudgeConfig:
    """What a judge is for, and its sizes.

    Attributes:
        height: H, of the frames it was trained on, in pixels.
        width: W.
        frames_per_step: r.
        action_space: As `ActionCodec.to_json` writes it.
        choices: Attributes of a frame of which one value holds, with their values.
        sets: Attributes of a frame of which any number of values hold.
        activities: What the player may be doing in a step; empty if nobody told.
        channels: Of the three sizes of maps.
        features: D.
        step_width: E.
        env_id: Gymnasium id of the environment it was trained on; empty if unknown.
        env_kwargs: What that was made with.
        training: How it was trained.
        accuracy: On real frames of worlds that it was not trained on; see `judge_accuracy.measure`.
    """

    height: int
    width: int
    frames_per_step: int
    action_space: dict[str, Any]
    choices: dict[str, list[str]] = field(default_factory=dict)
    sets: dict[str, list[str]] = field(default_factory=dict)
    activities: list[str] = field(default_factory=list)
    channels: list[int] = field(default_factory=lambda: [16, 40, 96])
    features: int = 128
    step_width: int = 192
    env_id: str = ""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    accuracy: dict[str, Any] = field(default_factory=dict)


class JudgeNetwork(nn.Module):
    """A small convolutional network: maps of single frames, from which both looks and motion are read."""

    def __init__(self, config: JudgeConfig, action_width: int) -> None:
        """Makes a network with random weights."""
        super().__init__()
        low, middle, high = config.channels
        width = config.step_width
        self.maps = nn.Sequential(_convolution(3, low, 5, 2), _convolution(low, middle, 3, 2))
        self.look = nn.Sequential(
            _convolution(middle, high, 3, 2),
            _convolution(high, high, 3, 2),
            nn.AdaptiveAvgPool2d(_POOLED),
            nn.Flatten(),
            nn.Linear(high * _POOLED**2, config.features),
        )
        # Motion is read where it can be seen: from the map of the last frame of the step before, and from what changed
        # from frame to frame.
        self.motion = nn.Sequential(
            _convolution(middle * (config.frames_per_step + 1), high, 3, 2),
            _convolution(high, high, 3, 1),
            _convolution(high, high, 3, 2),
            nn.AdaptiveAvgPool2d(_POOLED),
            nn.Flatten(),
            nn.Linear(high * _POOLED**2, width),
        )
        self.join = nn.Linear(width + config.features, width)
        self.neighbours = nn.ModuleList([_Neighbours(width, reach) for reach in (1, REACH_STEPS - 1)])
        self.actions = _head(width, action_width)
        self.activities = _head(width, len(config.activities)) if config.activities else None
        attributes = config.choices | config.sets
        self.attributes = nn.ModuleDict(
            {name: nn.Linear(config.features, len(attributes[name])) for name in attributes}
        )
        self.thumbnail = nn.Linear(config.features, 3 * THUMBNAIL**2)

    def features(self, pixels: Tensor) -> Tensor:
        """Returns the features (N, D) of frames (N, 3, H, W) in [-1, 1]."""
        return self.look(self.maps(pixels))

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Looks at steps, each with the last frame before it.

        Args:
            pixels: (B, S + 1, r, 3, H, W) in [-1, 1].

        Returns:
            (B, S, E) of each step, and (B, S + 1, D), the features of the last frame of each.
        """
        clips, steps, ticks = pixels.shape[:3]
        maps = self.maps(pixels.flatten(0, 2)).unflatten(0, (clips, steps, ticks))
        features = self.look(maps[:, :, -1].flatten(0, 1)).unflatten(0, (clips, steps))
        seen = torch.cat([maps[:, :-1, -1:], maps[:, 1:]], dim=2)  # (B, S, r + 1, C, h, w)
        changes = torch.cat([seen[:, :, :1], seen.diff(dim=2)], dim=2)
        motion = self.motion(changes.flatten(2, 3).flatten(0, 1)).unflatten(0, (clips, steps - 1))
        return self.join(torch.cat([motion, features[:, 1:]], dim=-1)), features

    def mix(self, steps: Tensor) -> Tensor:
        """Lets each step look at its neighbours, (B, S, E); beyond the ends there is nothing."""
        for layer in self.neighbours:
            steps = layer(steps)
        return steps


class _Neighbours(nn.Module):
    """Adds to each step what those around it tell."""

    def __init__(self, width: int, reach: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.look = nn.Conv1d(width, width, 2 * reach + 1, padding=reach)
        self.out = nn.Linear(width, width)

    def forward(self, steps: Tensor) -> Tensor:
        seen = self.look(self.norm(steps).transpose(1, 2)).transpose(1, 2)
        return steps + self.out(nn.functional.silu(seen))


def _convolution(inputs: int, outputs: int, size: int, stride: int) -> nn.Module:
    # No norm of single frames: it would hide how bright they are.
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, momentum=0.05), nn.SiLU())


def _head(width: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, outputs))


def to_pixels(frames: np.ndarray, device: torch.device) -> Tensor:
    """Turns uint8 (..., H, W, 3) into float (..., 3, H, W) in [-1, 1], laid out with channels last."""
    return to_float(torch.from_numpy(frames).to(device)).movedim(-1, -3)


class Judge:
    """Reads actions, attributes and features from frames.

    Attributes:
        config: What it is for.
        codec: Of the actions.
        factors: Distributions over their factors.
        network: The network.
    """

    def __init__(self, config: JudgeConfig, *, device: str = "cpu") -> None:
        """Makes a judge that has learned nothing yet.

        Raises:
            ValueError: If a size does not fit.
        """
        for name in ("height", "width"):
            if (size := getattr(config, name)) < 1 or size % PIXEL_MULTIPLE:
                raise ValueError(f"{name}: expected a positive multiple of {PIXEL_MULTIPLE} pixels, got {size}; resize")
        self.config = config
        self.codec = ActionCodec.from_json(config.action_space)
        self.factors = FactorDistribution(self.codec).to(device)
        network = JudgeNetwork(config, self.codec.width)
        self.network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def frames_per_step(self) -> int:
        """Ticks in a step, r."""
        return self.config.frames_per_step

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames that it was trained on."""
        return self.config.height, self.config.width

    @property
    def attribute_values(self) -> dict[str, list[str]]:
        """Values of each attribute of a frame; empty if it knows none."""
        return self.config.choices | self.config.sets

    @property
    def activity_values(self) -> list[str]:
        """What the player may be doing; empty if it cannot tell."""
        return self.config.activities

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.join.weight.device

    def read_actions(self, frames: np.ndarray) -> np.ndarray:
        """Tells which action led to each step.

        Args:
            frames: uint8 (B, S + 1, r, H, W, 3), every tick of steps 0 to S.

        Returns:
            float32 (B, S, A), probabilities of the values of each factor; `codec.sample` and `codec.decode` read them.

        Raises:
            ValueError: If shape or dtype do not fit.
        """
        with torch.no_grad():
            return self.factors.probabilities(self.network.actions(self._steps(frames))).cpu().numpy()

    def activities(self, frames: np.ndarray) -> np.ndarray:
        """Tells what the player does: of frames as in `read_actions`, float32 (B, S, V), probabilities.

        Raises:
            ValueError: If shape or dtype do not fit, or nobody told the judge what players do.
        """
        head = self.network.activities
        if head is None:
            raise ValueError("activities: expected a judge that knows some, got one without; see activity_values")
        with torch.no_grad():
            return head(self._steps(frames)).softmax(-1).cpu().numpy()

    def features(self, frames: np.ndarray) -> np.ndarray:
        """Returns features of single frames: uint8 (N, H, W, 3) to float32 (N, D)."""
        return self._features(frames).cpu().numpy()

    def attributes(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Tells what single frames show.

        Args:
            frames: uint8 (N, H, W, 3).

        Returns:
            float32 (N, V) for each of `attribute_values`: of a choice probabilities that add up to 1, of a set one for
            each value.

        Raises:
            ValueError: If shape or dtype do not fit.
        """
        features = self._features(frames)
        with torch.no_grad():
            logits = {name: head(features) for name, head in self.network.attributes.items()}
        return {
            name: (part.softmax(-1) if name in self.config.choices else part.sigmoid()).cpu().numpy()
            for name, part in logits.items()
        }

    @torch.no_grad()
    def _features(self, frames: np.ndarray) -> Tensor:
        self._check(frames, "(N, H, W, 3)", 4)
        parts = [frames[i : i + _CHUNK_FRAMES] for i in range(0, len(frames), _CHUNK_FRAMES)]
        none = [torch.zeros(0, self.config.features)]
        return torch.cat([self.network.features(to_pixels(part, self.device)) for part in parts] or none)

    @torch.no_grad()
    def _steps(self, frames: np.ndarray) -> Tensor:
        """Returns what is known of each step, (B, S, E)."""
        self._check(frames, f"(B, S + 1, {self.frames_per_step}, H, W, 3)", 6)
        if frames.shape[2] != self.frames_per_step or frames.shape[1] < 2:
            raise ValueError(
                f"frames: expected (B, S + 1, {self.frames_per_step}, H, W, 3) with S at least 1, got {frames.shape}"
            )
        clips, steps = len(frames), frames.shape[1] - 1
        rows = []
        for clip in range(clips):
            parts = []
            for first in range(0, steps, _CHUNK_STEPS):
                pixels = to_pixels(frames[clip : clip + 1, first : first + _CHUNK_STEPS + 1], self.device)
                parts.append(self.network.encode(pixels)[0])
            rows.append(torch.cat(parts, dim=1))
        return self.network.mix(torch.cat(rows))

    def _check(self, frames: np.ndarray, shape: str, axes: int) -> None:
        if frames.dtype != np.uint8 or frames.ndim != axes or frames.shape[-1] != 3:
            raise ValueError(f"frames: expected uint8 {shape}, got {frames.dtype} {frames.shape}")
        if frames.shape[-3] % PIXEL_MULTIPLE or frames.shape[-2] % PIXEL_MULTIPLE:
            raise ValueError(f"frames: expected H and W to be multiples of {PIXEL_MULTIPLE}, got {frames.shape[-3:-1]}")

    def save(self, folder: str | os.PathLike[str], dtype: torch.dtype = torch.float16) -> Path:
        """Writes the judge, whole or not at all; see `worldmodel.model.checkpoint`.

        Args:
            folder: Made if missing; an older judge in it is replaced.
            dtype: Number format on disk of what was learned.
        """
        learned = dict(self.network.named_parameters())
        tensors = {
            name: tensor.to(dtype) if name in learned else tensor for name, tensor in self.network.state_dict().items()
        }
        write_checkpoint(Path(folder), tensors, {"judge": to_plain(self.config)})
        return Path(folder)

    @classmethod
    def load(cls, judge: str | os.PathLike[str], *, device: str = "cpu") -> "Judge":
        """Loads a judge.

        Args:
            judge: Name of one that comes with the package, or a folder that `save` wrote.
            device: Where to put it.

        Raises:
            FileNotFoundError: If there is none; the message lists the bundled ones.
            ValueError: If it is damaged, or of a later version.
        """
        folder = next((path for path in (Path(judge), BUNDLED_JUDGES / judge) if (path / CONFIG).is_file()), None)
        if folder is None:
            names = ", ".join(bundled_judges()) or "none"
            raise FileNotFoundError(
                f"judge: expected a folder with {CONFIG}, or the name of a bundled judge ({names}), found none in "
                f"{judge}; train one with worldmodel.evaluation.judge_training"
            )
        config = read_config(folder)
        result = cls(from_plain(JudgeConfig, config.get("judge"), "config.judge"), device=device)
        try:
            result.network.load_state_dict(read_tensors(folder, config, device))
        except RuntimeError as error:
            raise ValueError(f"{folder}: expected the weights of this judge, got others; {error}") from None
        result.network.eval().requires_grad_(False)
        return result


def bundled_judges() -> list[str]:
    """Returns the names of the judges that come with the package."""
    return sorted(path.parent.name for path in BUNDLED_JUDGES.glob(f"*/{CONFIG}"))
