"""Planning: candidates are drawn, tried out in a dream or in the environment itself, and the best is done."""

from worldmodel.agents.planning.beam import beam_search
from worldmodel.agents.planning.objectives import ImageObjective, Objective, RewardObjective, TextObjective
from worldmodel.agents.planning.optimizers import (
    Goal,
    Method,
    Plan,
    PlannerConfig,
    as_actions,
    checked_scores,
    optimise,
)
from worldmodel.agents.planning.places import InPlace, Place, Watched, is_dream, policy_of
from worldmodel.agents.planning.proposals import ActionCoordinates, Proposal, first_proposal
from worldmodel.agents.planning.simulators import DreamSimulator, EnvironmentSimulator, Rollouts, Simulator

__all__ = [
    "ActionCoordinates",
    "DreamSimulator",
    "EnvironmentSimulator",
    "Goal",
    "ImageObjective",
    "InPlace",
    "Method",
    "Objective",
    "Place",
    "Plan",
    "PlannerConfig",
    "Proposal",
    "RewardObjective",
    "Rollouts",
    "Simulator",
    "TextObjective",
    "Watched",
    "as_actions",
    "beam_search",
    "checked_scores",
    "first_proposal",
    "is_dream",
    "optimise",
    "policy_of",
]
