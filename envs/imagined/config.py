"""Settings of the imagined environment."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from worldmodel.data.spaces import space_to_json
from worldmodel.envs.actions import action_space, discrete_action, discrete_action_space
from worldmodel.envs.voxel.config import ActionPreset, as_member, check_range
from worldmodel.model import WorldModel
from worldmodel.sampling import Guidance


@dataclass(kw_only=True, slots=True)
class ImaginedConfig:
    """Settings of the imagined environment, as `gymnasium.make` takes them: JSON values.

    Attributes:
        checkpoint: Name of a bundled model, or path of a checkpoint's folder.
        num_steps: Sampling steps for each latent frame, 1 to 64; models are trained for 4, 2 and 1.
        text_guidance: Guidance scale of the prompt; every scale other than 1 costs another pass through the model.
        action_guidance: Of the actions.
        history_guidance: Of the frames that are remembered.
        actions: `None` for the action space of the environment that the model was trained on; `"discrete"` for about
            20 useful combinations of the keys, where that is MineRL's dictionary; `"dict"` for the dictionary.
        height: Of a frame in pixels; `None` for that of the training data.
        width: Likewise.
        min_trust: Trust, 0 to 1, below which an episode is truncated; `None` for never.
    """

    checkpoint: str = "voxel-small"
    num_steps: int = 2
    text_guidance: float = 1.0
    action_guidance: float = 1.0
    history_guidance: float = 1.0
    actions: str | None = None
    height: int | None = None
    width: int | None = None
    min_trust: float | None = None

    def __post_init__(self) -> None:
        """Checks what can be checked without the model.

        Raises:
            ValueError: If a value is out of range; the message names it.
            TypeError: If the checkpoint is no string.
        """
        if not isinstance(self.checkpoint, str):
            raise TypeError(f"checkpoint: expected a name or a path as a string, got {self.checkpoint!r:.80}")
        check_range("num_steps", self.num_steps, 1, 64, "a whole number of sampling steps", int)
        for name in ("text_guidance", "action_guidance", "history_guidance"):
            check_range(name, getattr(self, name), 0, 100, "a guidance scale", (int, float))
        if self.actions is not None:
            self.actions = as_member("actions", ActionPreset, self.actions).value
        for name in ("height", "width"):
            if getattr(self, name) is not None:
                check_range(name, getattr(self, name), 1, 2**14, "a whole number of pixels", int)
        if self.min_trust is not None:
            check_range("min_trust", self.min_trust, 0, 1, "a trust", (int, float))

    def guidance(self) -> Guidance:
        """Returns the guidance scales."""
        return Guidance(text=self.text_guidance, action=self.action_guidance, history=self.history_guidance)


class Actions:
    """The action space of an imagined environment, and what its members mean to the model.

    Attributes:
        space: The action space.
    """

    def __init__(self, model: WorldModel, preset: str | None) -> None:
        """Chooses the space.

        Args:
            model: The model.
            preset: `actions` of `ImaginedConfig`.

        Raises:
            ValueError: If the model knows no actions, or the preset does not suit it.
        """
        if model.codec is None:
            raise ValueError(
                "checkpoint: expected a model that was trained with actions, got one without; it can make videos "
                "(WorldModel.generate), but there is nothing to step it with"
            )
        self._codec = model.codec
        self._ticks = model.frames_per_latent
        self._discrete = preset == ActionPreset.DISCRETE.value
        is_dictionary = space_to_json(model.codec.space) == space_to_json(action_space())
        if preset is not None and not is_dictionary:
            raise ValueError(
                f"actions: expected None, because the model was trained on {model.codec.space}, and the presets are "
                f"those of the dictionary of keys; got {preset!r}"
            )
        self.space: gymnasium.Space = discrete_action_space() if self._discrete else model.codec.space

    def vectors(self, actions: list[Any]) -> np.ndarray:
        """Returns what the model reads for the actions of N dreams: float32 (N, r, A).

        Args:
            actions: One for each dream: a member of the space, obeyed for all ticks of a step, or a list of r of them.

        Raises:
            TypeError: If one is of the wrong kind.
            ValueError: If one is not in the space, or a list has the wrong length.
        """
        if not any(isinstance(action, list) for action in actions):
            return np.repeat(self._encode(actions)[:, None], self._ticks, axis=1)
        ticks: list[Any] = []
        for action in actions:
            if isinstance(action, list):
                if len(action) != self._ticks:
                    raise ValueError(
                        f"action: expected a list of {self._ticks}, one for each tick of a step, got {len(action)}"
                    )
                ticks += action
            else:
                ticks += [action] * self._ticks
        return self._encode(ticks).reshape(len(actions), self._ticks, -1)

    def _encode(self, actions: list[Any]) -> np.ndarray:
        """Returns one vector for each action: float32 (N, A)."""
        return self._codec.encode_many([discrete_action(action) for action in actions] if self._discrete else actions)

    def idle(self) -> Any:
        """Returns the action that does nothing, or what comes closest: zeros, or the first choice."""
        return 0 if self._discrete else self._codec.decode(self._codec.rest)
