"""Settings of training: of the loop, and of what each stage trains on."""

from dataclasses import dataclass, field

from worldmodel.model.precision import has_fast_bf16
from worldmodel.training.noising import NoisingConfig
from worldmodel.training.optimizer import OptimizerConfig


@dataclass(kw_only=True, slots=True)
class TrainerConfig:
    """How long a stage is trained, and how.

    Attributes:
        max_steps: Steps after which it ends; `None` for no limit.
        max_minutes: Minutes after which it ends, resumed runs counted together; `None` for no limit.
        batch_size: Items of a batch, over all machines.
        optimizer: Settings of the optimiser.
        ema_decay: Of the running average of the weights, which is what is saved and used.
        bf16: Whether to multiply in bfloat16, with weights in float32; by default where the machine is fast in it.
        compile: Whether to compile the module with `torch.compile`.
        gradient_checkpointing: Whether to save memory by computing what is between blocks twice.
        log_every: Steps between two lines of the log.
        save_minutes: Minutes between two saved states.
        report_every: Steps between two evaluations with samples.
    """

    max_steps: int | None = None
    max_minutes: float | None = None
    batch_size: int = 16
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    ema_decay: float = 0.998
    bf16: bool = field(default_factory=has_fast_bf16)
    compile: bool = False
    gradient_checkpointing: bool = False
    log_every: int = 20
    save_minutes: float = 5.0
    report_every: int = 1000

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            ValueError: If there is no limit, or a number is out of range.
        """
        if self.max_steps is None and self.max_minutes is None:
            raise ValueError("max_steps: expected a number of steps, or max_minutes, got neither; the run has no end")
        for name in ("max_steps", "max_minutes", "batch_size", "log_every", "report_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}: expected more than 0, got {value}")


@dataclass(kw_only=True, slots=True)
class CompressionTraining(TrainerConfig):
    """The first stage: the compression network, on groups of frames.

    Attributes:
        still_share: Share of groups that show one frame, repeated.
        latent_noise: Deviation of the noise on latents, so that the decoder forgives small errors.
    """

    still_share: float = 0.15
    latent_noise: float = 0.08


@dataclass(kw_only=True, slots=True)
class DenoiserTraining(TrainerConfig):
    """The second stage: denoiser, text encoder and heads, on clips of latents.

    Attributes:
        clip_latents: T, latent frames in a clip; a batch of shorter clips has more of them.
        single_share: Share of batches of single latent frames: pictures.
        short_share: Share of batches of clips half as long.
        still_share: Share of clips that begin with a still.
        causal_share: Share of batches in which frames see no later ones.
        periodic_share: Share of batches of seamless loops: clips run forward and back.
        shortcut_share: Share of batches that train long sampling steps.
        shortcut_after: Steps before these begin.
        noising: What is known and how noisy the rest is.
    """

    clip_latents: int = 16
    single_share: float = 0.05
    short_share: float = 0.5
    still_share: float = 0.08
    causal_share: float = 0.7
    periodic_share: float = 0.03
    shortcut_share: float = 0.25
    shortcut_after: int = 1000
    noising: NoisingConfig = field(default_factory=NoisingConfig)
