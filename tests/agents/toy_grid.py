"""A world that is exactly known, for learning: a square of cells with a goal in its last corner."""

import torch
from gymnasium.spaces import Discrete
from torch import Tensor
from torch.nn import functional as F

from worldmodel.agents.learning.worlds import Clips, WorldStep
from worldmodel.data.action_codec import ActionCodec

SIDE = 5
MOVES = torch.tensor([[0, -1], [0, 1], [-1, 0], [1, 0]])
CODEC = ActionCodec(Discrete(4))


class Grid:
    """Cells in one-hot features; 1 for the step onto the goal, which ends the episode. Recorded moves are random."""

    num_features = SIDE * SIDE

    def clips(self, batch: int, random: torch.Generator) -> Clips:
        cells = torch.randint(SIDE, (batch, 3, 2), generator=random)
        moves = F.one_hot(torch.randint(4, (batch, 3), generator=random), 4).float()
        return Clips(self._see(cells), moves, torch.ones(batch, 3, dtype=torch.bool))

    def begin(self, batch: int, random: torch.Generator) -> WorldStep:
        cells = torch.randint(SIDE, (batch, 2), generator=random)
        there = self._at_goal(cells)
        return WorldStep(cells, self._see(cells), torch.zeros(batch), 1 - there)

    def step(self, state: Tensor, actions: Tensor, random: torch.Generator) -> WorldStep:
        cells = (state + MOVES[actions.argmax(-1)]).clamp(0, SIDE - 1)
        there = self._at_goal(cells)
        return WorldStep(cells, self._see(cells), there, 1 - there)

    @staticmethod
    def _at_goal(cells: Tensor) -> Tensor:
        return (cells == SIDE - 1).all(-1).float()

    @staticmethod
    def _see(cells: Tensor) -> Tensor:
        return F.one_hot(cells[..., 0] * SIDE + cells[..., 1], SIDE * SIDE).float()
