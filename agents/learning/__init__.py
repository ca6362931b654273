"""Learning in dreams: an actor and a critic that need no step in the real environment."""

from worldmodel.agents.learning.actor_critic import ActorCritic
from worldmodel.agents.learning.imagination import Imagined, imagine
from worldmodel.agents.learning.learner import Learner
from worldmodel.agents.learning.objective import policy_loss
from worldmodel.agents.learning.returns import lambda_returns
from worldmodel.agents.learning.settings import LearningConfig
from worldmodel.agents.learning.states import read_origin, read_policy
from worldmodel.agents.learning.worlds import Clips, ModelWorld, World, WorldStep

__all__ = [
    "ActorCritic",
    "Clips",
    "Imagined",
    "Learner",
    "LearningConfig",
    "ModelWorld",
    "World",
    "WorldStep",
    "imagine",
    "lambda_returns",
    "policy_loss",
    "read_origin",
    "read_policy",
]
