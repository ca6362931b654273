"""Sampling: every task is a noise schedule, and one sampler follows it.

```python
schedule = tasks.extend_forward((16, 8, 8), num_steps=4, known=4)
video = sample(denoise, schedule, latents, actions, generator).latents
```
"""

from worldmodel.sampling import tasks
from worldmodel.sampling.guidance import Guidance, combine, guided, needed
from worldmodel.sampling.sampler import Denoise, Generators, Sample, draw_noise, euler_step, sample
from worldmodel.sampling.schedule import Schedule, noise_levels

__all__ = [
    "Denoise",
    "Generators",
    "Guidance",
    "Sample",
    "Schedule",
    "combine",
    "draw_noise",
    "euler_step",
    "guided",
    "needed",
    "noise_levels",
    "sample",
    "tasks",
]
