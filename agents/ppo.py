"""The player that PPO has made: a policy on single pictures, without a world model."""

import gymnasium
import numpy as np

from worldmodel.agents.player import Info


class PPOPlayer:
    """Plays what `benchmarks/ppo.py` has learned, in the environment that it learned in or one like it."""

    def __init__(self, env: gymnasium.Env, *, checkpoint: str, temperature: float = 1.0) -> None:
        """Makes a player for one environment.

        Args:
            env: With the frames and the actions of the one that was learned in.
            checkpoint: Folder of `benchmarks/ppo.py --save`.
            temperature: At least 0. Below 1 likely actions become likelier; 0 takes the most likely.

        Raises:
            TypeError: If the environment has other frames or actions.
            ValueError: If the temperature is negative or not finite, or the checkpoint is damaged.
            FileNotFoundError: If there is none.
        """
        from worldmodel.agents.ppo_network import load_agent  # here: PyTorch takes seconds

        if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature < np.inf:
            raise ValueError(f"temperature: expected a finite number of at least 0, got {temperature!r}")
        if not isinstance(checkpoint, str):
            raise TypeError(f"checkpoint: expected a folder of benchmarks/ppo.py --save, got {checkpoint!r:.80}")
        self._agent, shape, space = load_agent(checkpoint)
        for name, wanted, found in (
            ("frames of shape", shape, env.observation_space.shape),
            ("actions", space, env.action_space),
        ):
            if wanted != found:
                raise TypeError(f"env: expected {name} {wanted}, as in training, got {found}")
        self._first = int(space.start)  # type: ignore[attr-defined]
        self._temperature = temperature
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Starts an episode; all that is random follows from the seed."""
        self._random = np.random.default_rng(seed)

    def act(self, observation: np.ndarray, info: Info) -> int:
        """Returns the next action."""
        import torch

        with torch.no_grad():
            logits = self._agent(torch.from_numpy(np.ascontiguousarray(observation)[None]))[0][0].double().numpy()
        if self._temperature == 0:
            return self._first + int(logits.argmax())
        chances = np.exp((logits - logits.max()) / self._temperature)
        return self._first + int(self._random.choice(len(chances), p=chances / chances.sum()))
