"""The imagined environment for one dream."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from worldmodel.envs.imagined.core import Imagination
from worldmodel.envs.imagined.dreams import Snapshot
from worldmodel.envs.viewer import Viewer


class ImaginedEnv(gymnasium.Env):
    """A world model as a Gymnasium environment; see `docs/imagined.md`.

    Observation and action space are those of the environment that the model was trained on. One step is one latent
    frame: it lasts `frames_per_latent` ticks, all of which obey the action, and the observation is the last of their
    frames. An action may also be a list with one for each tick.

    `reset` takes the options `prompt`, `image`, `video` (with `actions`), `episode` (with `frame`), `start`, `state`.
    """

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 10.0}

    def __init__(self, render_mode: str | None = None, **settings: Any) -> None:
        """Loads the model, once a process.

        Args:
            render_mode: `None`, `"rgb_array"`, or `"human"` for a window (needs the extra `human`).
            **settings: Of `ImaginedConfig`.

        Raises:
            TypeError: If a setting is unknown.
            ValueError: If a setting or the render mode is out of range.
            FileNotFoundError: If there is no such checkpoint; the message lists the bundled ones.
        """
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode: expected None or one of {self.metadata['render_modes']}, got {render_mode!r}"
            )
        self._core = Imagination(1, settings)
        self.render_mode = render_mode
        self.observation_space = self._core.observation_space
        self.action_space = self._core.action_space
        self.frames_per_step = self._core.model.frames_per_latent
        self.metadata = {**self.metadata, "render_fps": self._core.fps / self.frames_per_step}
        self._viewer = Viewer("worldmodel", self._core.fps) if render_mode == "human" else None
        self._begun = self._over = False
        self._frames: np.ndarray | None = None

    @property
    def model(self) -> Any:
        """The world model."""
        return self._core.model

    @property
    def action_preset(self) -> str | None:
        """The setting `actions`."""
        return self._core.config.actions

    @property
    def bundled_starts(self) -> int:
        """How many starts lie beside the checkpoint: `options={"start": i}` chooses one."""
        return self._core.bundled_starts

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins a dream.

        Args:
            seed: Seeds the generator from which this and the following dreams get their noise and their start.
            options: None for one of the bundled starts, or any of

                - `prompt`: what it shows, in words. Alone, the model makes the first frame; with one of the others, it
                  is what goes on from there.
                - `image`: uint8 (H, W, 3), the first frame.
                - `video`: uint8 (F, H, W, 3), what went before, and `actions`: F - 1 actions, one a tick, that led from
                  frame to frame.
                - `episode`: a recorded `Episode`, or the path of a recording, of which the first is taken; and `frame`,
                  where in it to begin.
                - `start`: number of a bundled start.
                - `state`: what `get_state` returned, or the path of a saved one.

        Returns:
            The latest frame that is known, and `info`: `caption` (the prompt in force), `step`, `trust`.

        Raises:
            TypeError: If an option is of the wrong kind.
            ValueError: If an option is unknown, or does not fit; the dream that was goes on.
        """
        super().reset(seed=seed)
        frames = self._core.reset([0], [dict(options or {})], [self.np_random])
        return self._begin(frames)

    def _begin(self, frames: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        self._begun, self._over = True, False
        self._frames = frames
        self._show()
        return frames[-1].copy(), self._core.info(0)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Dreams the next step.

        Args:
            action: A member of the action space, or a list with one for each tick of the step.

        Returns:
            Observation uint8 (H, W, 3), predicted reward, whether the episode is predicted to have ended, whether trust
            fell below `min_trust`, and `info`: `caption`, `step`, and how sure the model is of the frame: `trust` in
            (0, 1], `revision` and `residual` (docs/imagined.md).

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after the end of an episode.
            TypeError: If the action is of the wrong kind; the dream is where it was then.
            ValueError: If the action is not in the space; likewise.
        """
        self._check_running("step")
        moment = self._core.step([action])
        terminated, truncated = (bool(part[0]) for part in self._core.ends(moment))
        self._over = terminated or truncated
        self._frames = moment.frames[0]
        self._show()
        info = self._core.info(0, moment)
        return self._frames[-1].copy(), float(moment.rewards[0]), terminated, truncated, info

    def set_prompt(self, prompt: str) -> None:
        """Changes the prompt in mid-episode.

        What is remembered stays what the old prompt made of it; from the next step on the new one is read. The change
        is part of the state, and of the `caption` in `info`.

        Raises:
            TypeError: If it is no string.
            ValueError: If it is too long; the old one stays in force then.
        """
        self._check_running("set_prompt")
        self._core.dreams.set_prompts([prompt])

    def get_state(self) -> Snapshot:
        """Returns all that is needed to go on exactly from here.

        It shares its memory with the dream, which never changes it: a thousand states cost no more than the frames that
        lie between them. The generator that draws later episodes is no part of it.
        """
        self._check_begun("get_state")
        return self._core.dreams.snapshot(0, self._core.stamp)

    def set_state(self, state: Any) -> None:
        """Goes to a state of `get_state`, of this or another environment of the same checkpoint, or to a saved one.

        Args:
            state: The state, or the path of one.

        Raises:
            TypeError: If it is neither.
            ValueError: If it is of another checkpoint or frame size, or the file is damaged.
        """
        self._core.dreams.restore({0: self._core.checked(state)})
        self._begin(self._core.dreams.frames([0]))

    def fork(self, number: int) -> Any:
        """Returns a vector environment of so many branches, all of which go on from here, in one batched pass.

        They share the memory of what was before until they are stepped. It needs no `reset`.

        Args:
            number: How many, at least 1.

        Raises:
            ValueError: If the number is below 1.
        """
        from worldmodel.envs.imagined.vector import ImaginedVectorEnv

        self._check_begun("fork")
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"number: expected a whole number of at least 1, got {number!r}")
        settings = {name: getattr(self._core.config, name) for name in self._core.config.__dataclass_fields__}
        branches = ImaginedVectorEnv(number, render_mode="rgb_array", **settings)
        branches.branch(self.get_state())
        return branches

    def policy_action(self, random: np.random.Generator, temperature: float = 1.0) -> Any:
        """Draws what the model thinks its player does next: a list with an action for each tick of a step.

        Args:
            random: Source of what is random.
            temperature: At least 0. Below 1 likely actions become likelier; 0 takes the most likely.
        """
        self._check_running("policy_action")
        return self._core.policy_action(0, random, temperature)

    def idle_action(self) -> Any:
        """Returns the action that does nothing, or what comes closest: zeros, or the first choice."""
        return self._core.actions.idle()

    @property
    def frames(self) -> np.ndarray:
        """Frames of the latest step, one a tick: (r, H, W, 3) uint8; one after reset."""
        self._check_begun("frames")
        assert self._frames is not None
        return self._frames.copy()

    def render(self) -> np.ndarray | None:
        """Returns the latest frame, (H, W, 3) uint8; `None` without a render mode, or with a window."""
        if self.render_mode is None:
            gymnasium.logger.warn('render: made without a render mode; pass render_mode="rgb_array" to make')
            return None
        self._check_begun("render")
        return self.frames[-1] if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._viewer is not None:
            self._viewer.close()

    def _show(self) -> None:
        if self._viewer is not None and self._frames is not None:
            self._viewer.show(self._frames)

    def _check_begun(self, name: str) -> None:
        if not self._begun:
            raise gymnasium.error.ResetNeeded(f"{name}: the episode has not begun; call reset first")

    def _check_running(self, name: str) -> None:
        self._check_begun(name)
        if self._over:
            raise gymnasium.error.ResetNeeded(f"{name}: the episode is over; call reset first")
