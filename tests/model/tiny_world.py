"""A world model so small that tests take milliseconds, with no parameter left at zero, and things to put into it."""

from dataclasses import fields

import torch
from gymnasium import spaces
from torch import Tensor, nn

from worldmodel.data.action_codec import ActionCodec
from worldmodel.model import Metadata, ModelConfig, WorldModel
from worldmodel.model.compression import CompressionConfig
from worldmodel.model.denoiser import DenoiserConfig, DenoiserInput, DenoiserOutput
from worldmodel.model.streaming import DreamState, join
from worldmodel.model.text import TextConfig
from worldmodel.model.transformer import TransformerConfig

SPACE = spaces.Dict(
    {
        "camera": spaces.Box(-1.0, 1.0, (2,)),
        "jump": spaces.Discrete(2),
        "move": spaces.Discrete(5),
        "use": spaces.Discrete(2),
    }
)
CODEC = ActionCodec(SPACE)
HEADS = ("policy_logits", "reward_logits", "termination_logits")
OUTPUTS = ("latents", "action_logits", *HEADS)
PROMPTS = ["a snowy forest at dusk, seen from a hill", "sand", "", "rain"]


def tiny_config(
    *, frames_per_latent: int = 2, window: int = 4, sinks: int = 1, context_noise: float = 0.0
) -> ModelConfig:
    """Sizes with all that a large model has: several heads, two time attentions, patches of several sites."""
    half = {"width": 32, "depth": 1, "head_width": 16}
    return ModelConfig(
        compression=CompressionConfig(
            patch=4,
            frames_per_latent=frames_per_latent,
            channels=4,
            encoder=TransformerConfig(**half),
            decoder=TransformerConfig(**half),
        ),
        denoiser=DenoiserConfig(
            transformer=TransformerConfig(width=32, depth=4, head_width=16, time_every=2),
            window=window,
            sinks=sinks,
            context_noise=context_noise,
        ),
        text=TextConfig(width=16, depth=1, head_width=16, max_words=12),
    )


def tiny_model(*, seed: int = 0, actions: bool = True, **settings) -> WorldModel:
    """A tiny world model; `settings` are those of `tiny_config`."""
    metadata = Metadata(height=16, width=24, fps=20.0, action_space=CODEC.to_json() if actions else None)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = WorldModel(tiny_config(**settings), metadata)
        awaken(model)
        model.text.bytes.weight.data[0] = 0.0  # that of no byte stays zero for good
        model.compression.latent_mean.copy_(0.1 * torch.randn(4))
        model.compression.latent_deviation.copy_(0.3 + 0.4 * torch.rand(4))
    return model.eval().requires_grad_(False)


@torch.no_grad()
def awaken(module: nn.Module) -> None:
    """Gives what starts at zero small random values: else much of a fresh network has no say in its output."""
    for parameter in module.parameters():
        if (parameter == 0).any():
            parameter.add_(0.3 * torch.randn_like(parameter))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def noise_video(num_frames: int, height: int = 16, width: int = 24, seed: int = 0) -> Tensor:
    """uint8 (F, H, W, 3)."""
    return (uniform(num_frames, height, width, 3, seed=seed) * 256).to(torch.uint8)


def draw_actions(count: int, seed: int = 0) -> list[dict]:
    SPACE.seed(seed)
    return [SPACE.sample() for _ in range(count)]


def action_vectors(model: WorldModel, batch: int, num_frames: int, seed: int = 0) -> Tensor:
    """(B, T, r, A) of actions that are all given."""
    ticks = model.frames_per_latent
    vectors = torch.from_numpy(CODEC.encode_many(draw_actions(batch * num_frames * ticks, seed)))
    return vectors.view(batch, num_frames, ticks, CODEC.width)


def noisy_input(model: WorldModel, *, batch: int = 2, num_frames: int = 4, grid=(4, 6), seed=0, **given):
    """An input in which everything differs from place to place; `given` goes to `WorldModel.inputs`."""
    channels = model.config.compression.channels
    given = {
        "actions": None if model.codec is None else action_vectors(model, batch, num_frames, seed),
        "action_sigma": uniform(batch, num_frames, seed=seed + 1),
        "text": model.embed_prompts(PROMPTS[:batch]),
        "causal": True,
        **given,
    }
    return model.inputs(
        normal(batch, num_frames, *grid, channels, seed=seed),
        uniform(batch, num_frames, *grid, seed=seed + 2),
        **given,
    )


def item(inputs: DenoiserInput, index: int) -> DenoiserInput:
    """One item of a batch, as a batch of its own."""
    parts = {field.name: getattr(inputs, field.name) for field in fields(inputs)}
    return DenoiserInput(
        **{name: part[index : index + 1] if isinstance(part, Tensor) else part for name, part in parts.items()}
    )


def distance(one: DenoiserOutput, other: DenoiserOutput, names=OUTPUTS) -> dict[str, float]:
    """The largest difference of each output, over all places."""
    return {name: (getattr(one, name) - getattr(other, name)).abs().max().item() for name in names}


def assert_same(one: DenoiserOutput, other: DenoiserOutput, names=OUTPUTS, tolerance: float = 2e-5) -> None:
    """Checks that outputs are equal up to rounding, and that they are not equal for being zero."""
    for name in names:
        assert getattr(other, name).std() > 1e-2, f"{name} says nothing"
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=tolerance, atol=tolerance)


def pick(state: DreamState, *items: int) -> DreamState:
    """Some items of a state as a state."""
    return state.select(torch.tensor(items))


def side_by_side(one: DreamState, other: DreamState) -> DreamState:
    """A state of the items of two."""
    return join([one, other])
