"""Dreaming step by step: one latent frame at a time, from actions, with a cache of what was before.

State in, new state out: a state is never changed, so it can be kept, gone back to, and gone on from many times.

Shapes: B batch, r ticks in a latent frame, h w latent grid, C channels, A width of an action vector, L words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from worldmodel.model.cache import StreamingCache, join_caches
from worldmodel.model.denoiser import DenoiserOutput, step_size_index
from worldmodel.model.transformer import KeysValues, Past
from worldmodel.model.world_model import WorldModel
from worldmodel.sampling import Guidance, combine, draw_noise, euler_step, needed, noise_levels
from worldmodel.sampling.sampler import Generators


@dataclass(slots=True)
class DreamState:
    """All that is needed to go on.

    Attributes:
        cache: What the time attentions remember.
        text: Words of the prompt in force, and which are there: (B, L, D), bool (B, L).
        null_text: The same for no prompt, for guidance.
        latents: The latest latent frame, (B, h, w, C); zeros before the first.
        seen: The same with the noise at which it is remembered.
    """

    cache: StreamingCache
    text: tuple[Tensor, Tensor]
    null_text: tuple[Tensor, Tensor]
    latents: Tensor
    seen: Tensor

    def select(self, items: Tensor) -> "DreamState":
        """Returns the state of some items of the batch, in that order; an item may come more than once."""
        return DreamState(
            cache=self.cache.select(items),
            text=(self.text[0][items], self.text[1][items]),
            null_text=(self.null_text[0][items], self.null_text[1][items]),
            latents=self.latents[items],
            seen=self.seen[items],
        )

    def expand(self, number: int) -> "DreamState":
        """Returns a batch of so many times the same, for a state of a batch of one; it shares the memory of this."""
        cache = self.cache
        layers = [KeysValues(_repeat(layer.keys, number), _repeat(layer.values, number)) for layer in cache.layers]
        return DreamState(
            cache=replace(
                cache, layers=layers, frames=_repeat(cache.frames, number), count=_repeat(cache.count, number)
            ),
            text=(_repeat(self.text[0], number), _repeat(self.text[1], number)),
            null_text=(_repeat(self.null_text[0], number), _repeat(self.null_text[1], number)),
            latents=_repeat(self.latents, number),
            seen=_repeat(self.seen, number),
        )


def _repeat(tensor: Tensor, number: int) -> Tensor:
    return tensor.expand(number, *tensor.shape[1:])


@dataclass(slots=True)
class DreamStep:
    """What a step gives.

    Attributes:
        state: To go on from.
        latents: (B, h, w, C), the new latent frame; `model.decode_groups` makes its r frames.
        heads: Predictions of reward, termination, and the player's next action, (B, 1, ...).
        revision: (B,), root mean square of what the sampling steps changed of the first guess; 0 after a single step.
        residual: (B,), root mean square of what the model would still change of the frame, seen with a little noise.
    """

    state: DreamState
    latents: Tensor
    heads: DenoiserOutput
    revision: Tensor
    residual: Tensor


def join(states: Sequence[DreamState]) -> DreamState:
    """Returns the states of several batches, of one model and frame size, as one batch."""
    return DreamState(
        cache=join_caches([state.cache for state in states]),
        text=_join_text([state.text for state in states]),
        null_text=_join_text([state.null_text for state in states]),
        latents=torch.cat([state.latents for state in states]),
        seen=torch.cat([state.seen for state in states]),
    )


def _join_text(texts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    length = max(int(mask.sum(1).max()) for _, mask in texts)  # cut off what only longer prompts needed
    words = [nn.functional.pad(words, (0, 0, 0, length - words.shape[1])) for words, _ in texts]
    masks = [nn.functional.pad(mask, (0, length - mask.shape[1])) for _, mask in texts]
    return torch.cat(words), torch.cat(masks)


@torch.no_grad()
def set_prompts(model: WorldModel, state: DreamState, prompts: Sequence[str]) -> DreamState:
    """Returns the state with other prompts in force.

    What is remembered stays what the old prompts made of it; from the next frame on, the new ones are read.

    Args:
        model: The model.
        state: Where to go on.
        prompts: B prompts; `""` is no prompt.

    Raises:
        ValueError: If a prompt is too long, or there is not one for each item.
    """
    if len(prompts) != len(state.latents):
        raise ValueError(f"prompts: expected {len(state.latents)}, one for each dream, got {len(prompts)}")
    return replace(state, text=model.embed_prompts(prompts))


@torch.no_grad()
def begin(model: WorldModel, prompts: Sequence[str], height: int, width: int) -> DreamState:
    """Returns a state without any frame yet.

    Args:
        model: The model.
        prompts: B prompts.
        height: Of the frames in pixels.
        width: Likewise.

    Raises:
        ValueError: If a prompt is too long or a size does not fit.
    """
    h, w = model.grid(height, width)
    batch = len(prompts)
    nothing = torch.zeros(batch, h, w, model.config.compression.channels, device=model.device)
    return DreamState(
        cache=model.start_cache(batch, height, width),
        text=model.embed_prompts(prompts),
        null_text=model.embed_prompts([""] * batch),
        latents=nothing,
        seen=nothing,
    )


@torch.no_grad()
def observe(
    model: WorldModel, state: DreamState, latents: Tensor, actions: Tensor | None, generators: Generators
) -> DreamStep:
    """Adds a finished latent frame to what is remembered, at the declared context noise.

    Args:
        model: The model.
        state: Where to go on.
        latents: (B, h, w, C).
        actions: (B, r, A), what led to it; `None` for none. All zeros are none, too.
        generators: For the context noise.

    Raises:
        ValueError: If the latents have another shape than the state's.
    """
    if latents.shape != state.latents.shape:
        raise ValueError(f"latents: expected {tuple(state.latents.shape)}, got {tuple(latents.shape)}")
    past, mask = state.cache.read()
    return _remember(model, state, latents, _one(model, actions, len(latents)), past, mask, generators)


@torch.no_grad()
def imagine(
    model: WorldModel,
    state: DreamState,
    actions: Tensor | None,
    generators: Generators,
    *,
    num_steps: int = 4,
    guidance: Guidance | None = None,
) -> DreamStep:
    """Dreams the next latent frame.

    Args:
        model: The model.
        state: Where to go on.
        actions: (B, r, A); `None` for none. All zeros are none, too.
        generators: One, or one for each item: then an item is the same alone and in a batch.
        num_steps: Sampling steps; 4, 2 and 1 are trained for.
        guidance: Guidance scales.

    Returns:
        The new frame and state.
    """
    guidance = guidance or Guidance()
    past, mask = state.cache.read()
    acts = _one(model, actions, len(state.latents))
    z = draw_noise(state.latents.shape, generators).to(model.device)
    first: Tensor | None = None
    levels = noise_levels(num_steps)
    size = step_size_index(num_steps)
    for level, following in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        sigma = torch.full(z.shape[:-1], level, device=z.device)

        def predict(
            acts: Tensor,
            text: tuple[Tensor, Tensor],
            *,
            with_past: bool = True,
            z: Tensor = z,
            sigma: Tensor = sigma,
        ) -> Tensor:
            before, before_sigma = _before(model, state, with_past)
            inputs = model.inputs(
                z[:, None],
                sigma[:, None],
                actions=acts,
                text=text,
                step_size=size,
                before=before,
                before_sigma=before_sigma,
            )
            seen = mask if with_past else torch.zeros_like(mask)
            return model.denoiser(inputs, past, seen).latents[:, 0].float()

        x_hat = predict(acts, state.text)
        nulls = {}
        for name in needed(guidance):
            if name == "text":
                nulls[name] = predict(acts, state.null_text)
            elif name == "action":
                nulls[name] = predict(torch.zeros_like(acts), state.text)
            else:
                nulls[name] = predict(acts, state.text, with_past=False)
        x_hat = combine(x_hat, nulls, guidance)
        first = x_hat if first is None else first
        z = euler_step(z, x_hat, sigma, torch.full_like(sigma, following))
    assert first is not None
    return replace(_remember(model, state, z, acts, past, mask, generators), revision=_distance(first, z))


def _remember(
    model: WorldModel,
    state: DreamState,
    latents: Tensor,
    actions: Tensor,
    past: list[Past],
    mask: Tensor,
    generators: Generators,
) -> DreamStep:
    """Writes a finished frame into the cache, and reads the heads in the same pass."""
    level = model.config.denoiser.context_noise
    noisy = (1 - level) * latents + level * draw_noise(latents.shape, generators).to(latents.device)
    before, before_sigma = _before(model, state)
    inputs = model.inputs(
        noisy[:, None], level, actions=actions, text=state.text, before=before, before_sigma=before_sigma
    )
    output = model.denoiser(inputs, past, mask)
    return DreamStep(
        replace(state, cache=state.cache.write(output.written), latents=latents, seen=noisy),
        latents,
        output,
        revision=torch.zeros(len(latents), device=latents.device),
        residual=_distance(output.latents[:, 0].float(), latents),
    )


def _before(model: WorldModel, state: DreamState, with_past: bool = True) -> tuple[Tensor, Tensor]:
    """Returns the latest frame as it is remembered, (B, h, w, C), and its noise levels, (B, h, w)."""
    known = (state.cache.count > 0) & with_past
    sigma = torch.where(known, model.config.denoiser.context_noise, 1.0)
    seen = torch.where(known[:, None, None, None], state.seen, 0.0)
    return seen, sigma[:, None, None].expand(seen.shape[:-1])


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Returns the root mean square of a difference, for each item."""
    return (a - b).square().flatten(1).mean(1).sqrt()


def _one(model: WorldModel, actions: Tensor | None, batch: int) -> Tensor:
    """Returns actions as (B, 1, r, A)."""
    return model.null_actions(batch, 1) if actions is None else actions[:, None].to(model.device)
