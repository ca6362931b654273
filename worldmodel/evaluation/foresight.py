"""Plans: what was predicted of them, against what came when they were done in full, by how far they look ahead.

At the same moments of real episodes, a planner makes a plan of each length, by its own simulator: the environment
itself, or a dream of it. The environment then goes back to the moment, by playing the episode again, and does all of
the plan. Beside it stand plans that were only drawn, never chosen: their gap is the model's error alone, that of chosen
ones also has what a planner adds by choosing what the model is wrong about.

Shapes: S starts, T steps of a plan, r ticks in a step, H W pixels.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents import Player
from worldmodel.agents.planning import (
    ActionCoordinates,
    Goal,
    InPlace,
    Method,
    Place,
    PlannerConfig,
    RewardObjective,
    Rollouts,
    Watched,
    beam_search,
    first_proposal,
    optimise,
    policy_of,
)
from worldmodel.agents.planning.optimizers import as_actions
from worldmodel.agents.player import ticks_per_step
from worldmodel.data.files import read_json, write_json
from worldmodel.evaluation.contest import ends_at_once
from worldmodel.evaluation.dreamers import psnr
from worldmodel.evaluation.episodes import evaluation_seeds, play

BLOCK = 101
"""Block of the seeds of the worlds in which plans are tried."""
DRAWN = 4
"""Plans that are drawn at each start."""


@dataclass(slots=True)
class Trial:
    """A plan, done in full.

    Attributes:
        predicted: Reward of each step by the simulator that it was made in; 0 after the predicted end.
        realised: Reward of each step; 0 after the end.
        psnr: In dB, of the dreamed frames of each step against the real ones, up to the real end; empty if none were
            dreamed.
    """

    predicted: list[float]
    realised: list[float]
    psnr: list[float]


@dataclass(slots=True)
class Start:
    """What was tried at one moment.

    Attributes:
        seed: Of the episode.
        planned: By length of the plan in steps, as text.
        drawn: Plans of the greatest length that were drawn.
    """

    seed: int
    planned: dict[str, Trial]
    drawn: list[Trial]


class Foresight:
    """Tries the plans of one planner."""

    def __init__(self, env: gymnasium.Env, config: PlannerConfig, checkpoint: str | None) -> None:
        """Takes the planner's settings.

        Args:
            env: The real environment. The same seed and actions must lead to the same episode.
            config: Of the planner.
            checkpoint: Of the model that dreams; `None` to plan in the environment itself.

        Raises:
            TypeError: If the environment can neither be dreamed of nor go back to a state, or its steps are not as long
                as those of the dream.
            ValueError: If the planner does not plan for reward, or the checkpoint does not suit.
            FileNotFoundError: If there is none.
        """
        if config.objective is not Goal.REWARD:
            raise ValueError(f"objective: expected reward, which can be compared, got {config.objective.value}")
        self._place: Place = InPlace(env) if checkpoint is None else Watched(env, checkpoint, config.num_steps)
        if self._place.env_steps != 1:
            ticks = ticks_per_step(env) * self._place.env_steps
            raise TypeError(
                f"env: expected steps as long as those of the dream, {ticks} ticks, got {ticks_per_step(env)}; make "
                f"the environment with frame_skip={ticks}"
            )
        self._env, self._config = env, config
        self._coordinates = ActionCoordinates(self._place.simulator.action_space)

    def lengths(self, horizons: Sequence[int]) -> list[int]:
        """Returns the lengths that this planner can plan, in order: multiples of the steps it holds an action for."""
        return sorted({horizon for horizon in horizons if horizon % self._config.action_repeat == 0})

    def try_out(self, seed: int, before: Sequence[Any], horizons: Sequence[int]) -> Start:
        """Makes plans at one moment, and does them.

        Args:
            seed: Of the episode.
            before: Actions up to the moment.
            horizons: Lengths of the plans, as `lengths` returns them.

        Raises:
            ValueError: If the environment does not come to the same moment again.
        """
        place, random = self._place, np.random.default_rng(seed)
        seen = self._go(seed, before, shown=True)
        state = place.state()
        place.simulator.begin(state)
        sequences = [self._plan(state, horizon, random)[None] for horizon in horizons]
        sequences.append(self._proposal(state, max(horizons)).sample(DRAWN, random))
        actions = [as_actions(self._coordinates, rows, self._config.action_repeat) for rows in sequences]
        foreseen = [place.simulator.rollout(rows) for rows in actions]
        trials = []
        for rows, rollouts in zip(actions, foreseen, strict=True):
            for i, row in enumerate(rows):
                if not np.array_equal(self._go(seed, before), seen):
                    raise ValueError(
                        "env: expected the same episode from the same seed and actions, got another; plans cannot be "
                        "compared there: set plans=0"
                    )
                trials.append(self._trial(row, rollouts, i))
        planned = {str(horizon): trial for horizon, trial in zip(horizons, trials, strict=False)}
        return Start(seed, planned, trials[len(horizons) :])

    def _go(self, seed: int, before: Sequence[Any], *, shown: bool = False) -> Any:
        """Plays up to the moment, and returns the observation there."""
        observation, _ = self._env.reset(seed=seed)
        if shown:
            self._place.reset(seed)
            self._place.see(observation)
        for action in before:
            if shown:
                self._place.did(action)
            observation = self._env.step(action)[0]
            if shown:
                self._place.see(observation)
        return observation

    def _proposal(self, state: Any, horizon: int) -> Any:
        config, model = self._config, self._place.model
        policy = policy_of(model, state) if model is not None and config.prior > 0 else None
        length = horizon // config.action_repeat
        return first_proposal(
            self._coordinates,
            length,
            spread=config.spread,
            colour=config.noise_colour,
            policy=policy,
            prior=config.prior,
        )

    def _plan(self, state: Any, horizon: int, random: np.random.Generator) -> np.ndarray:
        config = dataclasses.replace(self._config, horizon_steps=horizon, replan_steps=horizon)
        search = beam_search if config.method is Method.BEAM else optimise
        objective = RewardObjective(config.discount)
        return search(self._place.simulator, self._proposal(state, horizon), objective, config, random).sequence

    def _trial(self, actions: Sequence[Any], rollouts: Rollouts, number: int) -> Trial:
        """Does a plan in the real environment, which is at the moment."""
        world: Any = self._env.unwrapped
        rewards, frames = np.zeros(len(actions)), []
        for t, action in enumerate(actions):
            observation, reward, terminated, truncated, _ = self._env.step(action)
            rewards[t] = float(reward)
            if rollouts.latents is not None:
                frames.append(observation[None] if ticks_per_step(self._env) == 1 else np.array(world.frames))
            if terminated or truncated:
                break
        errors: list[float] = []
        if rollouts.latents is not None and rollouts.model is not None:
            dreamed = rollouts.model.decode_groups(rollouts.latents[number]).cpu().numpy()  # (T, r, H, W, 3)
            errors = [float(psnr(dreamed[t, : len(real)], real).mean()) for t, real in enumerate(frames)]
        return Trial(rollouts.rewards[number].tolist(), rewards.tolist(), errors)


def moments(
    env: gymnasium.Env, player: Player, number: int, num_steps: int, block: int = BLOCK
) -> list[tuple[int, list[Any]]]:
    """Plays to the moments at which plans are made.

    Args:
        env: The real environment.
        player: Who plays up to there.
        number: S.
        num_steps: Before each.
        block: Of the seeds.

    Returns:
        Seeds, all for evaluation alone, and the actions that were done. Where an episode ends sooner, or nothing is
        left to do at its start, a later seed is taken.

    Raises:
        ValueError: If three times as many episodes as are wanted end sooner.
    """
    found: list[tuple[int, list[Any]]] = []
    for seed in evaluation_seeds(4 * number + 1, block):
        if ends_at_once(env, seed):
            continue
        episode = play(env, player, seed, num_steps)
        if episode.num_steps == num_steps and not episode.terminated:
            found.append((seed, episode.actions))
        if len(found) == number:
            return found
    raise ValueError(
        f"plans_after_steps: expected episodes that go on after {num_steps} steps, nearly all are over; ask for less"
    )


def try_all(
    foresight: Foresight,
    starts: Sequence[tuple[int, list[Any]]],
    horizons: Sequence[int],
    path: Path,
    progress: Callable[[int], None] = lambda starts: None,
) -> list[Start]:
    """Tries plans where none were tried yet, and keeps those of each start as soon as they are done.

    Args:
        foresight: Of the planner.
        starts: Seeds, and actions up to the moment; see `moments`.
        horizons: Lengths of the plans.
        path: JSON file of its results.
        progress: Called with the number of starts that are done, those of before at once.

    Raises:
        ValueError: If the file is damaged, or `Foresight.try_out` raises it.
    """
    known = {start.seed: start for start in load_starts(path)}
    progress(sum(seed in known for seed, _ in starts))
    for seed, before in starts:
        if seed not in known:
            known[seed] = foresight.try_out(seed, before, horizons)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {}, lines={"starts": [dataclasses.asdict(start) for start in known.values()]})
            progress(1)
    return [known[seed] for seed, _ in starts]


def load_starts(path: Path) -> list[Start]:
    """Reads what was tried; nothing if there is no such file.

    Raises:
        ValueError: If the file is damaged; the message names it.
    """
    if not path.exists():
        return []
    found = read_json(path)
    try:
        return [
            Start(
                start["seed"],
                {horizon: Trial(**trial) for horizon, trial in start["planned"].items()},
                [Trial(**trial) for trial in start["drawn"]],
            )
            for start in found["starts"]
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected plans that were tried, got something else; delete it") from error
