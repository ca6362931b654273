"""Many dreams as one Gymnasium vector environment: one batched pass through the model steps them all."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, iterate

from worldmodel.envs.batches import each_seed, reset_mask
from worldmodel.envs.imagined.core import Imagination
from worldmodel.envs.imagined.dreams import Snapshot


class ImaginedVectorEnv(VectorEnv):
    """`num_envs` dreams of one model.

    Dream `i` is what `ImaginedEnv` dreams for the same seed and actions, up to the rounding of larger matrix products.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        """Loads the model, once a process.

        Args:
            num_envs: How many, at least 1.
            autoreset_mode: What happens after the end of an episode: `"NextStep"` resets in the following step, whose
                action is ignored; `"SameStep"` at once, with `final_obs` and `final_info` in `info`; `"Disabled"`
                leaves it to `reset` with `options["reset_mask"]`.
            max_episode_steps: Steps after which an episode is truncated; `None` for no limit.
            render_mode: `None` or `"rgb_array"`.
            **settings: Of `ImaginedConfig`.

        Raises:
            TypeError: If a setting is unknown.
            ValueError: If a setting is out of range.
            FileNotFoundError: If there is no such checkpoint.
        """
        for name, value in (("num_envs", num_envs), ("max_episode_steps", max_episode_steps)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name}: expected a whole number of at least 1, got {value!r}")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode: expected None or 'rgb_array', got {render_mode!r}")
        self._core = Imagination(num_envs, settings)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.frames_per_step = self._core.model.frames_per_latent
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": self._core.fps / self.frames_per_step,
            "autoreset_mode": self.autoreset_mode,
        }
        self.single_observation_space = self._core.observation_space
        self.single_action_space = self._core.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._limit = max_episode_steps
        self._randoms: list[np.random.Generator] = []
        self._seeds: list[int] = []
        self._begun = False
        self._over = np.zeros(num_envs, np.bool_)
        self._ages = np.zeros(num_envs, np.int64)
        self._options: Mapping[str, Any] = {}
        shape = self.single_observation_space.shape
        assert shape is not None
        self._frames = np.zeros((num_envs, self.frames_per_step, *shape), np.uint8)

    @property
    def model(self) -> Any:
        """The world model."""
        return self._core.model

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """Generators of the dreams."""
        self._seed([None] * self.num_envs)
        return tuple(self._randoms)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """Seeds of the dreams' generators."""
        self._seed([None] * self.num_envs)
        return tuple(self._seeds)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins dreams, all of them or those of `options["reset_mask"]`.

        Args:
            seed: One seed, from which dream `i` gets `seed + i`, or one for each.
            options: `reset_mask`, (num_envs,) bool; the others are those of `ImaginedEnv.reset` for every dream, but
                `prompt` and `state` may be lists with one for each. Episodes that are reset automatically begin with
                the same options as those of the latest call.

        Returns:
            Observations (num_envs, H, W, 3) uint8, those of dreams that were not reset being their latest frames, and
            infos.

        Raises:
            TypeError: If an option is of the wrong kind.
            ValueError: If an option, the number of seeds, or the shape of the mask does not fit.
        """
        options = dict(options or {})
        mask = reset_mask(options.pop("reset_mask", None), self.num_envs)
        if not self._begun and not mask.all():
            raise ValueError("options['reset_mask']: expected all True in the first reset, got some False")
        self._each(options)  # refuses lists of the wrong length before anything changes
        seeds = each_seed(seed, self.num_envs)
        self._seed([seeds[i] if mask[i] else None for i in range(self.num_envs)])
        self._restart(np.flatnonzero(mask).tolist(), options)
        self._options = {name: value for name, value in options.items() if name != "state"}
        self._begun = True
        infos: dict[str, Any] = {}
        for i in np.flatnonzero(mask).tolist():
            infos = self._add_info(infos, self._core.info(i), i)
        return self._frames[:, -1].copy(), infos

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Steps all dreams in one pass.

        Args:
            actions: A batch of the action space, or a list with the action of each dream, which may be a list with one
                for each tick.

        Returns:
            Observations (num_envs, H, W, 3) uint8; rewards, terminations and truncations (num_envs,); infos.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset; with autoreset disabled, if an episode is over and was
                not reset.
            TypeError: If an action is of the wrong kind; nothing has changed then.
            ValueError: If an action is not in the space, or there is not one for each dream; likewise.
        """
        self._check_begun("step")
        if self.autoreset_mode == AutoresetMode.DISABLED and self._over.any():
            raise gymnasium.error.ResetNeeded(
                f"step: the episodes of dreams {np.flatnonzero(self._over).tolist()} are over; "
                "call reset with options={'reset_mask': mask} first"
            )
        commands = self._commands(actions)
        restarts = self._over.copy() if self.autoreset_mode == AutoresetMode.NEXT_STEP else np.zeros_like(self._over)
        moment = self._core.step(commands)
        self._frames = moment.frames
        self._ages += 1
        terminations, truncations = self._core.ends(moment)
        if self._limit is not None:
            truncations = truncations | (self._ages >= self._limit)
        rewards = np.where(restarts, 0.0, moment.rewards)
        terminations, truncations = terminations & ~restarts, truncations & ~restarts
        over = terminations | truncations
        each = [self._core.info(i, moment) for i in range(self.num_envs)]
        at_once = self.autoreset_mode == AutoresetMode.SAME_STEP
        fresh = np.flatnonzero(over if at_once else restarts).tolist()
        if fresh:
            finals = {i: {"final_obs": self._frames[i, -1].copy(), "final_info": each[i]} for i in fresh}
            self._restart(fresh, self._options)
            for i in fresh:
                each[i] = self._core.info(i) | (finals[i] if at_once else {})
        infos: dict[str, Any] = {}
        for i, info in enumerate(each):
            infos = self._add_info(infos, info, i)
        self._over = np.zeros_like(over) if at_once else over
        return self._frames[:, -1].copy(), rewards, terminations, truncations, infos

    def set_prompt(self, prompt: str | Sequence[str]) -> None:
        """Changes the prompt in mid-episode, of all dreams or of each; see `ImaginedEnv.set_prompt`.

        Raises:
            TypeError: If one is no string.
            ValueError: If one is too long, or there is not one for each dream; nothing has changed then.
        """
        self._check_begun("set_prompt")
        if not isinstance(prompt, Sequence):
            raise TypeError(f"prompt: expected a string, or a list with one for each dream, got {prompt!r:.40}")
        self._core.dreams.set_prompts([prompt] * self.num_envs if isinstance(prompt, str) else list(prompt))

    def get_states(self) -> list[Snapshot]:
        """Returns all that is needed to go on exactly from here, for each dream; see `ImaginedEnv.get_state`."""
        self._check_begun("get_states")
        return [self._core.dreams.snapshot(i, self._core.stamp) for i in range(self.num_envs)]

    def set_states(self, states: Sequence[Any]) -> None:
        """Goes to states, one for each dream.

        Raises:
            TypeError: If one is no state.
            ValueError: If one is of another checkpoint or frame size, or there is not one for each dream.
        """
        if not isinstance(states, Sequence) or isinstance(states, str):
            raise TypeError(f"states: expected a list with one for each dream, got {type(states).__name__}")
        if len(states) != self.num_envs:
            raise ValueError(f"states: expected {self.num_envs}, one for each dream, got {len(states)}")
        snapshots = [self._core.checked(state) for state in states]
        self._core.dreams.restore(dict(enumerate(snapshots)))
        self._arrive(snapshots, self._core.dreams.frames(range(self.num_envs)))

    def branch(self, state: Any) -> None:
        """Goes to one state in all dreams, which share its memory until they are stepped.

        Raises:
            TypeError: If it is no state.
            ValueError: If it is of another checkpoint or frame size.
        """
        snapshot = self._core.checked(state)
        self._core.dreams.branch(snapshot)
        self._arrive([snapshot] * self.num_envs, self._core.dreams.frames([0]))

    @property
    def frames(self) -> np.ndarray:
        """Frames of the latest step, one a tick: uint8 (num_envs, r, H, W, 3); after a reset all are the first one."""
        return self._frames.copy()

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Returns the latest frame of every dream."""
        if self.render_mode is None:
            gymnasium.logger.warn('render: made without a render mode; pass render_mode="rgb_array" to make_vec')
            return None
        return tuple(self._frames[:, -1].copy())

    def _commands(self, actions: Any) -> list[Any]:
        """Returns the action of each dream."""
        commands = actions
        if not isinstance(actions, list):
            if isinstance(self.single_action_space, gymnasium.spaces.Dict) and isinstance(actions, Mapping):
                keys = set(self.single_action_space)
                if wrong := sorted(map(str, keys ^ set(actions))):  # `iterate` would not look at what is too much
                    raise ValueError(f"actions: expected a batch with the keys {sorted(keys)}, {wrong[0]!r} differs")
            try:
                commands = list(iterate(self.action_space, actions))
            except (TypeError, ValueError, LookupError) as error:
                kind = ValueError if isinstance(error, ValueError) else TypeError
                raise kind(
                    "actions: expected a batch of the action space, or a list with the action of each dream, got "
                    f"{type(actions).__name__} {actions!r:.80} ({error})"
                ) from None
        if len(commands) != self.num_envs:
            raise ValueError(f"actions: expected {self.num_envs}, one for each dream, got {len(commands)}")
        return commands

    def _restart(self, items: list[int], options: Mapping[str, Any]) -> None:
        each = self._each(options)
        frames = self._core.reset(items, [each[i] for i in items], [self._randoms[i] for i in items])
        self._frames[items] = frames[:, None]
        self._over[items] = False
        self._ages[items] = 0

    def _arrive(self, snapshots: Sequence[Snapshot], frames: np.ndarray) -> None:
        """After states were set; `frames` are those of each dream, or one for all."""
        self._frames[:] = frames[:, None]
        self._begun = True
        if not self._randoms:  # never reset: later episodes are drawn from what is known of the dreams
            self._seed([snapshot.seed + i for i, snapshot in enumerate(snapshots)])
        self._over[:] = False
        self._ages[:] = self._core.dreams.steps

    def _each(self, options: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns the options of each dream."""
        each = [dict(options) for _ in range(self.num_envs)]
        for name in ("prompt", "state"):
            value = options.get(name)
            if isinstance(value, list | tuple):
                if len(value) != self.num_envs:
                    raise ValueError(
                        f"options[{name!r}]: expected {self.num_envs}, one for each dream, got {len(value)}"
                    )
                for chosen, part in zip(each, value, strict=True):
                    chosen[name] = part
        return each

    def _seed(self, seeds: Sequence[int | None]) -> None:
        """Makes generators: where a seed is given, and where there is none yet."""
        fresh = not self._randoms
        pairs = [
            seeding.np_random(seed) if fresh or seed is not None else (self._randoms[i], self._seeds[i])
            for i, seed in enumerate(seeds)
        ]
        # Only now: a bad seed among them changes nothing.
        self._randoms, self._seeds = [random for random, _ in pairs], [seed for _, seed in pairs]

    def _check_begun(self, name: str) -> None:
        if not self._begun:
            raise gymnasium.error.ResetNeeded(f"{name}: the dreams have not begun; call reset first")
