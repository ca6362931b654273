"""Planning by sampling: draw candidates, try them out, draw better ones from what the best have in common.

| method | how the distribution changes in an iteration |
|---|---|
| random shooting | not at all |
| CEM | to the elites |
| iCEM | to the elites, of which some are tried again; noise is coloured, candidates become fewer |
| MPPI | to all candidates, weighted by the exponential of their scores; deviations stay |

All take the best sequence that was tried. Among those is the centre of the distribution, as in iCEM: so what MPPI and
CEM return by their definitions is taken whenever it is best.

Sources: Rubinstein, 1999, and de Boer et al., 2005 (CEM); Pinneri et al., 2020, "Sample-efficient Cross-Entropy Method
for Real-time Planning" (iCEM); Williams et al., 2017, "Information Theoretic MPC for Model-Based Reinforcement
Learning" (MPPI).

Shapes: N candidates, K elites, L actions of a sequence, F factors.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from worldmodel.agents.planning.objectives import Objective
from worldmodel.agents.planning.proposals import ActionCoordinates, Proposal
from worldmodel.agents.planning.simulators import Rollouts, Simulator

_DECAY = 1.25
"""iCEM: by which candidates become fewer in an iteration; not below twice the elites."""
_KEPT_ELITES = 0.3
"""iCEM: share of the elites that are tried again."""
_ICEM_COLOUR = 2.0
"""iCEM: exponent of its noise; Pinneri et al. take 0.25 to 4, by task."""


class Method(Enum):
    """How a plan is looked for."""

    RANDOM_SHOOTING = "random_shooting"
    CEM = "cem"
    ICEM = "icem"
    MPPI = "mppi"
    BEAM = "beam"


class Goal(Enum):
    """What a plan is good for."""

    REWARD = "reward"
    IMAGE = "image"
    TEXT = "text"


@dataclass(kw_only=True, slots=True)
class PlannerConfig:
    """Settings of a planner. Steps are those of what it plans in: of the environment, or of the dream.

    Attributes:
        method: How a plan is looked for.
        horizon_steps: How far candidates look ahead, at least 1.
        candidates: Sequences that are tried in an iteration; of a beam, continuations at each depth.
        iterations: How often the distribution is improved; a beam has none.
        elites: Best candidates, from which the next ones are drawn; the width of a beam.
        action_repeat: Steps for which an action is held; horizon and interval are multiples of it.
        replan_steps: Steps of a plan that are taken before the next one is made.
        discount: Of what comes a step later, above 0 and at most 1.
        warm_start: Whether the next plan is looked for around the rest of the one before.
        smoothing: Share of a distribution that an iteration keeps, from 0 to below 1.
        spread: First deviation of continuous actions, as a share of half their range.
        colour: Exponent of the noise over time: 0 for white, 2 holds actions for long; `None` for the method's own, 2
            for iCEM and else 0.
        temperature: Of MPPI, in deviations of the scores: low ones look at the best candidates only.
        prior: Share of the model's own player in the first candidates, 0 to 1; only in dreams.
        objective: What a plan is good for.
        num_steps: Sampling steps for each latent frame of a checkpoint that dreams of a real environment.
    """

    method: Method = Method.CEM
    horizon_steps: int = 12
    candidates: int = 64
    iterations: int = 3
    elites: int = 8
    action_repeat: int = 1
    replan_steps: int = 1
    discount: float = 0.99
    warm_start: bool = True
    smoothing: float = 0.1
    spread: float = 0.5
    colour: float | None = None
    temperature: float = 0.5
    prior: float = 0.0
    objective: Goal = Goal.REWARD
    num_steps: int = 2

    def __post_init__(self) -> None:
        """Checks the settings, and makes members of names.

        Raises:
            ValueError: If a value is out of range, or does not go together with another; the message names it.
        """
        self.method, self.objective = _member("method", Method, self.method), _member("objective", Goal, self.objective)
        for name in (
            "horizon_steps",
            "candidates",
            "iterations",
            "elites",
            "action_repeat",
            "replan_steps",
            "num_steps",
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: expected a whole number of at least 1, got {value!r}")
        if not isinstance(self.warm_start, bool):
            raise ValueError(f"warm_start: expected true or false, got {self.warm_start!r}")
        tiny = 1e-9  # stands for "above 0"
        ranges = {"discount": (tiny, 1.0), "smoothing": (0.0, 1 - tiny), "spread": (tiny, 10.0)}
        ranges |= {"colour": (0.0, 10.0), "temperature": (tiny, 1e9), "prior": (0.0, 1.0)}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if name == "colour" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                above = "above 0 and at most" if low == tiny else "from 0 to below" if high < 1 else "from 0 to"
                raise ValueError(f"{name}: expected a number {above} {round(high, 6):g}, got {value!r}")
        if self.elites > self.candidates:
            raise ValueError(
                f"elites: expected at most as many as candidates, {self.candidates}, got {self.elites}; lower it"
            )
        for name in ("horizon_steps", "replan_steps"):
            if getattr(self, name) % self.action_repeat:
                raise ValueError(
                    f"{name}: expected a multiple of action_repeat, {self.action_repeat}, got {getattr(self, name)}"
                )
        if self.replan_steps > self.horizon_steps:
            raise ValueError(
                f"replan_steps: expected at most horizon_steps, {self.horizon_steps}, got {self.replan_steps}; "
                "a plan has no more steps"
            )

    @property
    def length(self) -> int:
        """L, actions of a sequence."""
        return self.horizon_steps // self.action_repeat

    @property
    def noise_colour(self) -> float:
        """`colour`, or the method's own."""
        if self.colour is not None:
            return self.colour
        return _ICEM_COLOUR if self.method is Method.ICEM else 0.0


@dataclass(kw_only=True, slots=True)
class Plan:
    """What was found.

    Attributes:
        sequence: float64 (L, F), the best sequence.
        score: Of it, by the objective.
        elites: float64 (K, L, F), the best of the last iteration, best first.
        first: float64 (N, L, F), all of the first iteration, best first; of a beam, those it ended with.
        scores: float64, best score so far after each iteration, or of each depth of a beam.
        tried: How many sequences were tried, or continuations of a beam.
    """

    sequence: np.ndarray
    score: float
    elites: np.ndarray
    first: np.ndarray
    scores: list[float] = field(default_factory=list)
    tried: int = 0


def optimise(
    simulator: Simulator,
    proposal: Proposal,
    objective: Objective,
    config: PlannerConfig,
    random: np.random.Generator,
    kept: np.ndarray | None = None,
) -> Plan:
    """Looks for the best sequence of actions by any method but the beam.

    Args:
        simulator: Where candidates are tried; it has begun.
        proposal: What the first ones are drawn from.
        objective: Scores what became of them.
        config: Settings.
        random: Source of what is random.
        kept: (K, L, F), sequences that iCEM tries besides: the elites of the plan before, moved in time.

    Raises:
        ValueError: If the objective does not give one finite score for each candidate.
    """
    icem, shooting = config.method is Method.ICEM, config.method is Method.RANDOM_SHOOTING
    centre = proposal.centre()
    plan = Plan(sequence=centre, score=-np.inf, elites=centre[None], first=centre[None])
    for iteration in range(config.iterations):
        number = config.candidates
        if icem:
            fewer = round(config.candidates * _DECAY**-iteration)
            number = min(config.candidates, max(fewer, 2 * config.elites))
        sequences = proposal.sample(number, random)
        known = [] if shooting and iteration else [proposal.centre()]
        if icem:
            again = plan.elites if iteration else kept
            known += [] if again is None else list(again[: round(_KEPT_ELITES * config.elites)])
        sequences[: len(known)] = known[:number] if known else sequences[:0]
        scores = evaluate(simulator, proposal.space, objective, sequences, config.action_repeat)
        order = np.argsort(-scores, kind="stable")
        if scores[order[0]] > plan.score:
            plan.sequence, plan.score = sequences[order[0]], float(scores[order[0]])
        plan.elites = sequences[order[: config.elites]]
        plan.first = plan.first if iteration else sequences[order]
        plan.scores.append(plan.score)
        plan.tried += number
        if config.method is Method.MPPI:
            powers = np.exp((scores - scores.max()) / max(config.temperature * scores.std(), 1e-12))
            weights = powers / powers.sum()
            proposal = proposal.refitted(sequences, weights, smoothing=config.smoothing, keeps_std=True)
        elif not shooting:
            weights = np.full(len(plan.elites), 1 / len(plan.elites))
            proposal = proposal.refitted(plan.elites, weights, smoothing=config.smoothing)
    return plan


def evaluate(
    simulator: Simulator, space: ActionCoordinates, objective: Objective, sequences: np.ndarray, action_repeat: int
) -> np.ndarray:
    """Returns the scores (N,) of sequences (N, L, F), each action of which is held for some steps."""
    return checked_scores(objective, simulator.rollout(as_actions(space, sequences, action_repeat)))


def as_actions(space: ActionCoordinates, sequences: np.ndarray, action_repeat: int) -> list[list[Any]]:
    """Returns sequences (N, L, F) as actions, one for each step."""
    number, length = sequences.shape[:2]
    actions = space.actions(sequences.reshape(number * length, -1))
    held = [actions[i * length : (i + 1) * length] for i in range(number)]
    return [[action for action in row for _ in range(action_repeat)] for row in held]


def checked_scores(objective: Objective, rollouts: Rollouts) -> np.ndarray:
    """Returns what an objective says of rollouts.

    Raises:
        ValueError: If it is not one finite score for each.
    """
    scores = np.asarray(objective(rollouts), np.float64)
    if scores.shape != rollouts.rewards.shape[:1] or not np.isfinite(scores).all():
        raise ValueError(
            f"objective: expected a finite score for each of {len(rollouts.rewards)} candidates, got shape "
            f"{scores.shape}, {int((~np.isfinite(scores)).sum())} of them not finite"
        )
    return scores


def _member(name: str, kind: type[Enum], value: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{name}: expected one of {', '.join(m.value for m in kind)}, got {value!r}") from None
