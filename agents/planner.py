"""A player that plans: tries sequences of actions out, in a dream or in the environment itself, and does the best."""

import dataclasses
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from worldmodel.agents.planning import (
    ActionCoordinates,
    Goal,
    ImageObjective,
    InPlace,
    Method,
    Objective,
    Place,
    Plan,
    PlannerConfig,
    Proposal,
    RewardObjective,
    TextObjective,
    Watched,
    as_actions,
    beam_search,
    checked_scores,
    first_proposal,
    is_dream,
    optimise,
    policy_of,
)
from worldmodel.agents.player import Info


class PlannerPlayer:
    """Plans by trying out, again and again, and does the first part of each plan: a receding horizon.

    It plans

    - in a dream, by forks of the dream itself;
    - in a real environment with a checkpoint, in dreams that begin with the real frames and actions up to now;
    - in any other environment with `get_state` and `set_state`, in the environment itself.

    Attributes:
        config: Its settings.
        plan: The latest plan; `None` before the first.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        *,
        checkpoint: str | None = None,
        goal: Any = None,
        objective: str | Goal | Objective = Goal.REWARD,
        **settings: Any,
    ) -> None:
        """Makes a player for one environment.

        Args:
            env: The environment it is going to play in.
            checkpoint: The model that dreams of a real environment: name of a bundled one, or path of a folder.
            goal: Of the objective `image` a picture, uint8 (H, W, 3), or the path of one; of `text` words.
            objective: A name, or any function from `Rollouts` to a score for each candidate.
            **settings: Of `PlannerConfig`.

        Raises:
            TypeError: If the environment can neither be dreamed of nor go back to a state, does not suit the model, or
                a setting is unknown.
            ValueError: If a setting is out of range, or does not go together with another or with the environment.
            FileNotFoundError: If there is no such checkpoint or picture.
        """
        known = [field.name for field in dataclasses.fields(PlannerConfig) if field.name != "objective"]
        for name in settings:
            if name not in known:
                raise TypeError(f"settings: expected any of {', '.join(known)}, got {name!r}; remove or rename it")
        own = objective if callable(objective) and not isinstance(objective, Goal) else None
        self.config = PlannerConfig(**settings, objective=Goal.REWARD if own is not None else objective)  # type: ignore[arg-type]
        if is_dream(env) and checkpoint is not None:
            raise ValueError(f"checkpoint: expected None in a dream, whose own model plans, got {checkpoint!r:.80}")
        self._place: Place = InPlace(env) if checkpoint is None else Watched(env, checkpoint, self.config.num_steps)
        self._objective = self._named_objective(env, goal) if own is None else own
        if own is not None and goal is not None:
            raise ValueError("goal: expected None with an objective of your own, which knows its goal; leave it out")
        space = self._place.simulator.action_space
        self._coordinates = ActionCoordinates(space)
        model = self._place.model
        if self.config.prior > 0 and (model is None or model.codec is None or model.codec.space != space):
            raise ValueError(
                f"prior: expected 0 where no player of a model plays with the action space {space}, got "
                f"{self.config.prior}; plan in a dream without the discrete preset"
            )
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Starts an episode."""
        self._random = np.random.default_rng(seed)
        self._place.reset(seed)
        self._next: list[Any] = []
        """Actions that are planned and not yet done."""
        self.plan: Plan | None = None

    def act(self, observation: Any, info: Info) -> Any:
        """Returns the next action of the plan, which is made anew when it is time."""
        self._place.see(observation)
        if not self._next:
            self._make_plan()
        action = self._next.pop(0)
        self._place.did(action)
        return action

    def watch(self, observation: Any, action: Any) -> None:
        """Sees what is done by somebody else, between `reset` and the first `act`.

        Args:
            observation: Of the environment.
            action: What is done next.
        """
        self._place.see(observation)
        self._place.did(action)

    def preview(self, sequences: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Tries sequences out from where the latest plan begins: what the planner thought would come of them.

        Args:
            sequences: (N, L, F), such as `plan.sequence[None]` or `plan.first`.

        Returns:
            What each would show, one observation for each step (T, ...), and scores, float64 (N,).

        Raises:
            ValueError: If there is no plan yet.
        """
        if self.plan is None:
            raise ValueError("preview: expected a plan to have been made, got none; call act first")
        rollouts = self._place.simulator.rollout(as_actions(self._coordinates, sequences, self.config.action_repeat))
        return rollouts.frames(), checked_scores(self._objective, rollouts)

    def _make_plan(self) -> None:
        config, place = self.config, self._place
        state = place.state()
        place.simulator.begin(state)
        is_guided = place.model is not None and config.prior > 0
        first = first_proposal(
            self._coordinates,
            config.length,
            spread=config.spread,
            colour=config.noise_colour,
            policy=policy_of(place.model, state) if place.model is not None and is_guided else None,
            prior=config.prior,
        )
        proposal, kept = self._warmed(first)
        search = beam_search if config.method is Method.BEAM else optimise
        self.plan = search(place.simulator, proposal, self._objective, config, self._random, kept)
        done = self.plan.sequence[: config.replan_steps // config.action_repeat]
        times = config.action_repeat * place.env_steps
        self._next = [action for action in self._coordinates.actions(done) for _ in range(times)]

    def _warmed(self, first: Proposal) -> tuple[Proposal, np.ndarray | None]:
        """Returns what to draw from around the rest of the plan before, and the elites of that plan, moved in time."""
        config = self.config
        if self.plan is None or not config.warm_start:
            return first, None
        # The last action goes on: what comes after it was never planned.
        times = np.minimum(np.arange(config.length) + config.replan_steps // config.action_repeat, config.length - 1)
        return first.warmed(self.plan.sequence[times]), self.plan.elites[:, times]

    def _named_objective(self, env: gymnasium.Env, goal: Any) -> Objective:
        """Returns the objective of the settings."""
        config, model = self.config, self._place.model
        if config.objective is Goal.REWARD:
            if goal is not None:
                raise ValueError(f"goal: expected None with the objective reward, got {goal!r:.80}; name an objective")
            return RewardObjective(config.discount)
        if goal is None:
            wanted = "a picture or the path of one" if config.objective is Goal.IMAGE else "words"
            raise ValueError(f"goal: expected {wanted} with the objective {config.objective.value}, got None")
        if config.objective is Goal.TEXT:
            if model is None:
                raise ValueError(
                    "objective: expected one other than text where no model dreams, which could tell words from "
                    "pictures; give a checkpoint"
                )
            return TextObjective(goal, model)
        shape = env.observation_space.shape
        if shape is None or len(shape) != 3 or shape[-1] != 3:
            raise ValueError(f"objective: expected pictures as observations for image, got {env.observation_space}")
        picture = _read_picture(goal, *shape[:2]) if isinstance(goal, str | Path) else goal
        return ImageObjective(picture, model=model, discount=config.discount)


def _read_picture(path: str | Path, height: int, width: int) -> np.ndarray:
    """Returns a picture file, its middle cut out and resized: uint8 (height, width, 3)."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not Path(path).is_file():
        raise FileNotFoundError(f"goal: expected a picture file, found none at {str(path)!r}")
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file).convert("RGB")
    except UnidentifiedImageError as error:
        raise ValueError(f"goal: expected a picture file, got another kind of file: {str(path)!r}") from error
    return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS))
