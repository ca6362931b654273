"""Beam search over forks: step by step, the best few of all continuations are gone on from.

Where there are no more actions than continuations of each, all are tried; else they are drawn. The score of a beginning
is that of what became of it so far, so what pays only later needs a wide beam.

Source: Lowerre, 1976, "The HARPY Speech Recognition System".

Shapes: N continuations, K width, L actions of a sequence, F factors.
"""

import numpy as np

from worldmodel.agents.planning.objectives import Objective
from worldmodel.agents.planning.optimizers import Plan, PlannerConfig, as_actions, checked_scores
from worldmodel.agents.planning.proposals import Proposal
from worldmodel.agents.planning.simulators import Rollouts, Simulator


def beam_search(
    simulator: Simulator,
    proposal: Proposal,
    objective: Objective,
    config: PlannerConfig,
    random: np.random.Generator,
    kept: np.ndarray | None = None,
) -> Plan:
    """Looks for the best sequence of actions, one action after the other.

    A beginning whose episode is over leaves the beam; it is the plan if nothing else has a better score in the end.

    Args:
        simulator: Where continuations are tried; it has begun.
        proposal: What they are drawn from.
        objective: Scores what became of a beginning so far.
        config: Settings; `candidates` continuations are tried at each depth, and the `elites` best are gone on from.
        random: Source of what is random.
        kept: Not used: a beam tries no whole sequences.

    Raises:
        ValueError: If the objective does not give one finite score for each continuation.
    """
    space = proposal.space
    centre = proposal.centre()
    plan = Plan(sequence=centre, score=-np.inf, elites=centre[None], first=centre[None])
    beam = np.empty((1, 0, len(space.factors)))
    past: Rollouts | None = None
    for time in range(config.length):
        fan = max(1, config.candidates // len(beam))
        choices = [proposal.choices(time, fan, random) for _ in beam]
        parents, rows = np.repeat(np.arange(len(beam)), list(map(len, choices))), np.concatenate(choices)
        starts = None if past is None else [past.states[parent] for parent in parents]
        held = as_actions(space, rows[:, None], config.action_repeat)
        found = simulator.rollout(held, starts, keeps_states=True)
        found = found if past is None else past.followed(parents, found)
        grown = np.concatenate([beam[parents], rows[:, None]], 1)
        scores = checked_scores(objective, found)
        order = np.argsort(-scores, kind="stable")
        is_last = time + 1 == config.length
        whole = order if is_last else order[found.over[order]]
        if len(whole) and scores[whole[0]] > plan.score:
            rest = np.tile(space.rest, (config.length - time - 1, 1))
            plan.sequence, plan.score = np.concatenate([grown[whole[0]], rest]), float(scores[whole[0]])
        plan.scores.append(float(scores[order[0]]))
        plan.tried += len(rows)
        plan.first = grown[order] if is_last else plan.first
        best = order[~found.over[order]][: config.elites]
        if not len(best):
            break
        beam, past = grown[best], found.picked(best)
    plan.elites = plan.sequence[None]
    return plan
