"""Settings of learning in dreams."""

from dataclasses import dataclass


@dataclass(kw_only=True, slots=True)
class LearningConfig:
    """How a policy is learned; configs/learn.yaml has the defaults of the command line.

    Attributes:
        max_minutes: Minutes after which learning ends, resumed runs counted together; `None` for no limit.
        max_steps: Steps of learning, those of cloning not counted, after which it ends; `None` for no limit.
        cloning_steps: Steps in which the recorded actions are learned first.
        cloning_batch: Clips of a cloning step.
        dreams: B, dreams of a learning step.
        horizon_steps: H, steps of a dream.
        context_latents: Most latent frames that are seen before a dream begins.
        num_steps: Sampling steps of each latent frame.
        discount: Of what comes a step later, above 0 and below 1.
        trace_decay: Lambda of the returns, 0 to 1: 0 trusts the critic, 1 the rewards of the whole dream.
        prior_weight: How much the policy is held to the cloned one.
        epochs: Passes over the moments of a step's dreams.
        minibatches: Parts into which each pass cuts them.
        learning_rate: Of Adam.
        hidden: Width of the layers of actor and critic.
        log_every: Steps between two lines of the log.
        save_minutes: Minutes between two saved states.
    """

    max_minutes: float | None = None
    max_steps: int | None = None
    cloning_steps: int = 200
    cloning_batch: int = 32
    dreams: int = 64
    horizon_steps: int = 15
    context_latents: int = 4
    num_steps: int = 2
    discount: float = 0.97
    trace_decay: float = 0.95
    prior_weight: float = 1.0
    epochs: int = 2
    minibatches: int = 4
    learning_rate: float = 5e-4
    hidden: int = 256
    log_every: int = 1
    save_minutes: float = 2.0

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            ValueError: If there is no limit, or a number is out of range.
        """
        if self.max_steps is None and self.max_minutes is None:
            raise ValueError("max_steps: expected a number of steps, or max_minutes, got neither; learning has no end")
        whole = ("cloning_batch", "dreams", "horizon_steps", "context_latents", "num_steps", "epochs", "minibatches")
        for name in (*whole, "hidden", "log_every", "max_steps", "max_minutes", "learning_rate", "save_minutes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}: expected more than 0, got {value}")
        for name in ("cloning_steps", "prior_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")
        if not 0 < self.discount < 1:
            raise ValueError(f"discount: expected a number above 0 and below 1, got {self.discount}")
        if not 0 <= self.trace_decay <= 1:
            raise ValueError(f"trace_decay: expected a number from 0 to 1, got {self.trace_decay}")
        if self.minibatches > (moments := self.dreams * self.horizon_steps):
            raise ValueError(
                f"minibatches: expected at most {moments}, the moments of a step's dreams, got {self.minibatches}"
            )
