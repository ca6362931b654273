"""How much an evaluation measures."""

import dataclasses


@dataclasses.dataclass(kw_only=True, slots=True)
class Preset:
    """How much is measured; configs/preset/ explains each number and has the choices."""

    clips: int
    horizon: int
    teco: bool
    counterfactual_states: int
    permanence_worlds: int
    place_worlds: int
    text_scenes: int
    outcomes_episodes: int
    outcomes_steps: int
    selfplay_worlds: int
    selfplay_ticks: int
    drift_worlds: int
    drift_steps: int

    def __post_init__(self) -> None:
        """Raises ValueError if a number is below 1."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, bool) and isinstance(value, int) and value < 1:
                raise ValueError(f"preset.{field.name}: expected at least 1, got {value}")
