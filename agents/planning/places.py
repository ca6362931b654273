"""Where a player plans: in the place where it plays, or in dreams of a real environment that it watches.

Shapes: r ticks in a latent frame, H W pixels, A width of an action vector.
"""

from typing import TYPE_CHECKING, Any, Protocol

import gymnasium
import numpy as np

from worldmodel.agents.planning.simulators import DreamSimulator, EnvironmentSimulator, Simulator
from worldmodel.agents.player import ticks_per_step

if TYPE_CHECKING:
    from worldmodel.envs.imagined.dreams import Snapshot
    from worldmodel.model import WorldModel


class Place(Protocol):
    """Where a player plans."""

    @property
    def simulator(self) -> Simulator:
        """Tries candidates."""

    @property
    def model(self) -> "WorldModel | None":
        """The model that dreams; `None` of a real environment."""

    @property
    def env_steps(self) -> int:
        """Steps of the environment in one of the simulator."""

    def reset(self, seed: int) -> None:
        """Starts an episode."""

    def see(self, observation: Any) -> None:
        """Takes what the environment has returned."""

    def did(self, action: Any) -> None:
        """Takes what is done next."""

    def state(self) -> Any:
        """Returns the state that candidates begin at."""


class InPlace:
    """In the environment that is played: a real one that can go back to a state, or a dream, by forks of it."""

    env_steps = 1

    def __init__(self, env: gymnasium.Env) -> None:
        """Takes the environment.

        Raises:
            TypeError: If it cannot go back to a state.
        """
        self._world: Any = env.unwrapped
        self.model: WorldModel | None = None
        self.simulator: Simulator
        if is_dream(env):
            dream: Any = self._world
            self.model, self.simulator = dream.model, DreamSimulator(dream._core)
        else:
            self.simulator = EnvironmentSimulator(env)

    def reset(self, seed: int) -> None:
        """Does nothing."""

    def see(self, observation: Any) -> None:
        """Does nothing: the state knows it."""

    def did(self, action: Any) -> None:
        """Does nothing: likewise."""

    def state(self) -> Any:
        """Returns the state that the environment is in."""
        return self._world.get_state()


class Watched:
    """In dreams that go on from what was seen and done in a real environment, as far back as the model remembers.

    Each latent frame is shown to the model once, when it is complete; all dreams share what it remembers. A plan can be
    made whenever a latent frame is complete.
    """

    def __init__(self, env: gymnasium.Env, checkpoint: str, num_steps: int) -> None:
        """Takes both.

        Args:
            env: The environment that is played. Its steps last one tick, or as many as a latent frame.
            checkpoint: Name of a bundled model, or path of a checkpoint's folder.
            num_steps: Sampling steps for each latent frame.

        Raises:
            TypeError: If the environment does not suit the model.
            ValueError: If the checkpoint is damaged, or knows no actions.
            FileNotFoundError: If there is none.
        """
        from worldmodel.envs.actions import discrete_action_space  # here: PyTorch takes seconds
        from worldmodel.envs.imagined.core import Imagination

        preset = "discrete" if env.action_space == discrete_action_space() else None
        self._core = Imagination(1, {"checkpoint": checkpoint, "num_steps": num_steps, "actions": preset})
        self.model, self.simulator = self._core.model, DreamSimulator(self._core)
        self._world: Any = env.unwrapped
        self._ticks, r = ticks_per_step(env), self.model.frames_per_latent
        if self._ticks not in (1, r):
            raise TypeError(
                f"env: expected steps of {' or '.join(map(str, sorted({1, r})))} ticks, as the model has {r} in a "
                f"latent frame, got {self._ticks}; make the environment with another frame_skip"
            )
        if self._ticks > 1 and getattr(self._world, "render_mode", None) is None:
            raise TypeError('env: expected render_mode="rgb_array", so that every tick is seen, got None')
        for name in ("action_space", "observation_space"):
            wanted, found = getattr(self._core, name), getattr(env, name)
            if wanted != found:
                raise TypeError(f"env: expected the {name} that the model was trained with, {wanted}, got {found}")
        self.env_steps = r // self._ticks
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Starts an episode; the noise of the dreams follows from the seed."""
        self._seed = seed
        self._snapshot: Snapshot | None = None
        self._done: list[Any] = []
        """Actions since the last latent frame, one a tick, and what they led to."""
        self._seen: list[np.ndarray] = []

    def see(self, observation: Any) -> None:
        """Shows the model what has become a latent frame."""
        import torch

        from worldmodel.model import streaming

        if self._snapshot is None:
            start = streaming.begin(self.model, [""], *observation.shape[:2])
            self._remember(start, self.model.encode(torch.from_numpy(observation[None])), None)
            return
        self._seen += [observation] if self._ticks == 1 else list(self._world.frames)
        if len(self._seen) < self.model.frames_per_latent:
            return
        vectors = torch.from_numpy(self._core.actions.vectors([self._done]))
        latents = self.model.encode_groups(torch.from_numpy(np.stack(self._seen)[None]))
        self._remember(self._snapshot.state, latents, vectors)
        self._done, self._seen = [], []

    def did(self, action: Any) -> None:
        """Takes what is done next."""
        self._done += [action] * self._ticks

    def state(self) -> "Snapshot":
        """Returns the dream that goes on from here."""
        assert self._snapshot is not None
        return self._snapshot

    def _remember(self, state: Any, latents: Any, vectors: Any) -> None:
        import torch

        from worldmodel.envs.imagined.dreams import Snapshot
        from worldmodel.model import streaming

        number = 0 if self._snapshot is None else self._snapshot.step + 1
        generator = torch.Generator().manual_seed(int(np.random.default_rng([self._seed, number]).integers(2**62)))
        step = streaming.observe(self.model, state, latents, vectors, [generator])
        policy = step.heads.policy_logits[0, 0]
        self._snapshot = Snapshot(step.state, self._seed, number, "", policy, self._core.stamp)


def is_dream(env: gymnasium.Env) -> bool:
    """Returns whether an environment is an imagined one."""
    return hasattr(env.unwrapped, "policy_action")


def policy_of(model: "WorldModel", snapshot: "Snapshot") -> np.ndarray:
    """Returns what the player of a model does next, in the mean over the ticks of a step: probabilities (A,)."""
    assert model.factors is not None
    return model.factors.probabilities(snapshot.policy.float()).mean(0).cpu().numpy()
