"""Every task once, on one small grid."""

from collections.abc import Callable

import torch

from worldmodel.sampling import Schedule, tasks

GRID = (5, 1, 2)
FRAMES = torch.tensor([True, False, True, False, False])
TOKENS = torch.tensor([[1, 1], [1, 0], [0, 0], [0, 1], [0, 0]]).bool()[:, None]

TASKS: dict[str, Callable[[int], Schedule]] = {
    "generate": lambda n: tasks.generate(GRID, n),
    "generate, actions too": lambda n: tasks.generate(GRID, n, actions_known=False),
    "extend_forward": lambda n: tasks.extend_forward(GRID, n, known=2),
    "extend_forward, actions too": lambda n: tasks.extend_forward(GRID, n, known=2, actions_known=False),
    "extend_backward": lambda n: tasks.extend_backward(GRID, n, known=2),
    "connect": lambda n: tasks.connect(GRID, n, known_start=1, known_end=2),
    "infill": lambda n: tasks.infill(GRID, n, known_frames=FRAMES),
    "inpaint": lambda n: tasks.inpaint(GRID, n, known_tokens=TOKENS),
    "edit": lambda n: tasks.edit(GRID, n, strength=0.6),
    "loop": lambda n: tasks.loop(GRID, n),
    "play": lambda n: tasks.play(GRID, n, known=2),
    "infer_actions": lambda n: tasks.infer_actions(GRID, n),
    "pyramid": lambda n: tasks.pyramid(GRID, n, known=1, delay_steps=n // 2),
    "pyramid, actions too": lambda n: tasks.pyramid(GRID, n, known=0, delay_steps=n, actions_known=False),
}
"""By name: number of steps to schedule."""
