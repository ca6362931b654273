"""What a dream begins with: the options of `reset`, checked and turned into latents, actions and a prompt.

Shapes: F frames, K latent frames, r ticks in a latent frame, H W pixels, h w latent grid, C channels, A action width.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldmodel.data.episodes import Episode
from worldmodel.data.recording import read_episodes
from worldmodel.envs.imagined.config import Actions
from worldmodel.envs.imagined.dreams import Start
from worldmodel.model import WorldModel
from worldmodel.model.starts import Starts

OPTIONS = ("prompt", "image", "video", "actions", "episode", "frame", "start", "state")
"""Options of `reset`."""


class Beginnings:
    """Turns options of `reset` into starts."""

    def __init__(self, model: WorldModel, starts: Starts | None, actions: Actions, size: tuple[int, int]) -> None:
        """Takes a model and what belongs to it.

        Args:
            model: The model.
            starts: Those that lie beside its checkpoint.
            actions: Its action space.
            size: (H, W) of the frames.
        """
        self._model, self._actions, self._size = model, actions, size
        # Latent frames of another size cannot be begun with.
        site = (*model.grid(*size), model.config.compression.channels)
        fits = starts is not None and tuple(starts.latents.shape[2:]) == site
        self.bundled = starts if fits else None
        config = model.config.denoiser
        self.max_latents = config.sinks + config.window

    def choose(self, options: Mapping[str, Any], random: np.random.Generator) -> Start:
        """Returns the start that the options ask for; without any, a bundled one, or whatever the model makes.

        Args:
            options: Of `reset`, without `state`.
            random: Chooses among the bundled starts; one number is drawn from it in any case.

        Raises:
            TypeError: If an option is of the wrong kind.
            ValueError: If an option is unknown, does not fit, or does not go together with another.
            FileNotFoundError: If an episode is not found.
        """
        drawn = int(random.integers(2**31))
        for name in options:
            if name not in OPTIONS:
                raise ValueError(f"options: expected any of {', '.join(OPTIONS)}, got {name!r}")
        sources = [name for name in ("image", "video", "episode", "start") if options.get(name) is not None]
        if len(sources) > 1:
            raise ValueError(f"options: expected one of image, video, episode and start, got {' and '.join(sources)}")
        for name, owner in (("actions", "video"), ("frame", "episode")):
            if options.get(name) is not None and options.get(owner) is None:
                raise ValueError(f"options[{name!r}]: expected together with {owner!r}, got it alone")
        prompt = options.get("prompt")
        if prompt is not None and not isinstance(prompt, str):
            raise TypeError(f"options['prompt']: expected a string, got {type(prompt).__name__} {prompt!r:.40}")
        source = sources[0] if sources else None
        if source == "image":
            return self._known(self._frames("image", options["image"], 3)[None], [], prompt or "")
        if source == "video":
            return self._video(self._frames("video", options["video"], 4), options.get("actions"), prompt or "")
        if source == "episode":
            return self._episode(options["episode"], options.get("frame"), prompt)
        if source == "start" or (prompt is None and self.bundled is not None):
            return self._bundled(options.get("start"), drawn, prompt)
        empty = torch.zeros(0, *self._model.grid(*self._size), self._model.config.compression.channels)
        return Start(prompt or "", empty, torch.zeros(0, *self._model.denoiser.action_shape))

    def _bundled(self, number: Any, drawn: int, prompt: str | None) -> Start:
        if self.bundled is None:
            raise ValueError(
                "options['start']: expected none, because there are no starts of this size beside the checkpoint; "
                "give a prompt, an image or a video"
            )
        total = len(self.bundled)
        number = drawn % total if number is None else number
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 0 <= number < total:
            raise ValueError(f"options['start']: expected an integer from 0 to {total - 1}, got {number!r:.40}")
        latents, actions = self.bundled.latents[number].float(), self.bundled.actions[number].float()
        return Start(self.bundled.prompts[number] if prompt is None else prompt, latents, actions)

    def _frames(self, name: str, value: Any, axes: int) -> np.ndarray:
        expected = "(H, W, 3)" if axes == 3 else "(F, H, W, 3)"
        if not isinstance(value, np.ndarray) or value.dtype != np.uint8:
            found = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
            raise TypeError(f"options[{name!r}]: expected a uint8 array {expected}, got {found}; scale it to 0 to 255")
        if value.ndim != axes or value.shape[-1] != 3 or 0 in value.shape:
            raise ValueError(f"options[{name!r}]: expected shape {expected}, got {value.shape}")
        if value.shape[-3:-1] != self._size:
            raise ValueError(
                f"options[{name!r}]: expected {self._size[0]} x {self._size[1]} pixels, got "
                f"{value.shape[-3]} x {value.shape[-2]}; resize it, or make the environment with this height and width"
            )
        return value

    def _video(self, video: np.ndarray, actions: Any, prompt: str) -> Start:
        if actions is None:
            return self._known(video, None, prompt)
        if not isinstance(actions, Sequence | np.ndarray) or isinstance(actions, str):
            raise TypeError(f"options['actions']: expected a sequence of actions, got {type(actions).__name__}")
        if len(actions) != len(video) - 1:
            raise ValueError(
                f"options['actions']: expected {len(video) - 1}, one between each two frames of the video, got "
                f"{len(actions)}"
            )
        return self._known(video, list(actions), prompt)

    def _episode(self, episode: Any, frame: Any, prompt: str | None) -> Start:
        if isinstance(episode, str | os.PathLike):
            if not Path(episode).exists():
                raise FileNotFoundError(f"options['episode']: expected a recording, found none at {str(episode)!r}")
            episode = next(iter(read_episodes(episode)))
        if not isinstance(episode, Episode):
            raise TypeError(
                "options['episode']: expected a recorded Episode or the path of a recording, got "
                f"{type(episode).__name__}"
            )
        frames = self._frames("episode", episode.frames, 4)
        last = min(len(frames) - 1, self._span()) if frame is None else frame
        if isinstance(last, bool) or not isinstance(last, int | np.integer) or not 0 <= last < len(frames):
            raise ValueError(f"options['frame']: expected an integer from 0 to {len(frames) - 1}, got {frame!r:.40}")
        caption = episode.captions[last] if prompt is None else prompt
        return self._known(frames[: last + 1], episode.actions[:last], caption)

    def _span(self) -> int:
        """Returns how many ticks the model remembers at most."""
        return (self.max_latents - 1) * self._model.frames_per_latent

    def _known(self, frames: np.ndarray, actions: list[Any] | None, prompt: str) -> Start:
        """Encodes the last frames, as many as the model remembers, and the actions between them, one a tick."""
        first = max(0, len(frames) - 1 - self._span())
        frames = frames[first:]
        latents = self._model.encode(torch.from_numpy(np.array(frames)))
        r, width = self._model.denoiser.action_shape
        if actions is None:
            return Start(prompt, latents.cpu(), torch.zeros(len(latents), r, width))
        # An action of the environment lasts a whole step; here there is one for each tick.
        ticks = actions[first:]
        ticks += ticks[-1:] * (-len(ticks) % r)
        vectors = torch.zeros(len(latents), r, width)
        steps = [ticks[i : i + r] for i in range(0, len(ticks), r)]
        if steps:
            vectors[1:] = torch.from_numpy(self._actions.vectors(steps))
        return Start(prompt, latents.cpu(), vectors)
