"""Making videos: a task's noise schedule, a prompt, and what is known, in; pixels out.

Shapes: B batch, F frames, T latent frames, r ticks in a latent frame, H W pixels, h w latent grid, C channels, A width
of an action vector.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from worldmodel.model.denoiser import step_size_index
from worldmodel.model.patches import num_groups
from worldmodel.model.world_model import WorldModel
from worldmodel.sampling import Denoise, Guidance, Schedule, guided, needed, sample, tasks

Task = Callable[[tuple[int, int, int]], Schedule]
"""Gives the schedule for a grid (T, h, w), such as `lambda grid: tasks.extend_forward(grid, 8, known=4)`."""


def denoise_function(
    model: WorldModel, text: tuple[Tensor, Tensor], schedule: Schedule, *, actions_given: Tensor, causal: bool = False
) -> Denoise:
    """Binds a model to prompts and a schedule, for `worldmodel.sampling.sample`.

    Args:
        model: The model.
        text: As `embed_prompts` gives it, for B prompts.
        schedule: What is sampled.
        actions_given: bool (B, T), where there is an action, known or to be sampled.
        causal: Whether frames see no later ones.

    Returns:
        A function of noisy latents and actions and their levels, which returns predictions of clean ones.
    """
    # The model knows the size of equal steps from pure noise; whatever else a schedule does are tiny steps to it.
    falls = schedule.latents[:, ~schedule.known_latents]
    even = (
        falls.numel() > 0
        and bool((falls[0] == 1).all())
        and bool((falls.diff(dim=0).std(0, correction=0) < 1e-4).all())
    )
    step_size = step_size_index(schedule.num_steps) if even else 0

    def denoise(z: Tensor, sigma: Tensor, action_z: Tensor, action_sigma: Tensor) -> tuple[Tensor, Tensor]:
        inputs = model.inputs(
            z,
            sigma,
            actions=action_z,
            action_sigma=action_sigma,
            action_null=~actions_given,
            text=text,
            step_size=step_size,
            causal=causal,
            periodic=schedule.periodic,
        )
        output = model.denoiser(inputs)
        if model.factors is None:
            return output.latents, action_z
        return output.latents, model.factors.probabilities(output.action_logits)

    return denoise


@torch.no_grad()
def generate(
    model: WorldModel,
    prompt: str = "",
    *,
    num_frames: int = 1,
    height: int | None = None,
    width: int | None = None,
    video: Tensor | None = None,
    actions: Sequence[Any] | None = None,
    task: Task | None = None,
    num_steps: int = 8,
    guidance: Guidance | None = None,
    seed: int = 0,
    causal: bool = False,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Makes one video.

    Args:
        model: The model.
        prompt: What it shows; empty for anything.
        num_frames: F; 1 for a picture. Not looked at if there is a `video`.
        height: H; that of the training data if `None`.
        width: W; likewise.
        video: uint8 (F, H, W, 3), of which the task keeps the known part. Give frames that are not known as anything.
        actions: F - 1 actions, one a tick, the t-th leading to frame t + 1; `None` for no say in it.
        task: Schedule of what is known and how the rest is sampled; by default everything is made from the prompt.
        num_steps: Sampling steps of the default task; 4, 2 and 1 are trained for, more give more detail.
        guidance: Guidance scales.
        seed: Of the noise: the same seed, the same video.
        causal: Whether frames see no later ones.
        on_step: Called after each step with its index and the predicted clean latents.

    Returns:
        uint8 (F, H, W, 3). Latent frames that are wholly known show the given frames themselves, exactly.

    Raises:
        TypeError: If the prompt is no string.
        ValueError: If sizes, dtype, the prompt's length, the task or the number of actions do not fit.
    """
    given, known_video = _given(model, num_frames, height, width, video)
    num_frames = given.shape[0]
    grid = (num_groups(num_frames, model.frames_per_latent), *model.grid(*given.shape[1:3]))
    schedule = task(grid) if task is not None else tasks.generate(grid, num_steps)
    if video is None and bool(schedule.known_latents.any()):
        raise ValueError("video: expected one, because the task keeps a part of it, got none")
    latents = model.encode(given) if known_video else given.new_zeros(*grid, model.config.compression.channels).float()
    vectors = model.null_actions(1, grid[0])
    if actions is not None:
        if len(actions) != num_frames - 1:
            raise ValueError(f"actions: expected {num_frames - 1} for {num_frames} frames, got {len(actions)}")
        vectors = model.action_vectors(actions)[None].to(model.device)
    present = (vectors != 0).flatten(2).any(-1) | ~schedule.known_actions.to(model.device)
    sampled = sample(
        guided_denoise(model, prompt, schedule, present, guidance or Guidance(), causal=causal),
        schedule,
        latents[None].to(model.device),
        vectors,
        torch.Generator(model.device).manual_seed(seed),
        on_step=on_step,
    )
    frames = model.decode(sampled.latents[0], num_frames).cpu()
    known = schedule.known_latents.flatten(1).all(1).cpu()  # (T,)
    owner = (
        torch.arange(num_frames).add(model.frames_per_latent - 1).div(model.frames_per_latent, rounding_mode="floor")
    )
    return torch.where(known[owner][:, None, None, None], given.cpu(), frames)


def guided_denoise(
    model: WorldModel, prompt: str, schedule: Schedule, actions_given: Tensor, guidance: Guidance, *, causal: bool
) -> Denoise:
    """Returns the function for the sampler, with guidance away from no prompt, no action and no history."""
    text, null_text = model.embed_prompts([prompt]), model.embed_prompts([""])

    def bound(words: tuple[Tensor, Tensor], given: Tensor) -> Denoise:
        return denoise_function(model, words, schedule, actions_given=given, causal=causal)

    nulls: dict[str, Denoise] = {}
    for name in needed(guidance):
        if name == "text":
            nulls[name] = bound(null_text, actions_given)
        elif name == "action":
            nulls[name] = bound(text, torch.zeros_like(actions_given))
        else:
            nulls[name] = _without_history(bound(text, actions_given))
    return guided(bound(text, actions_given), nulls, guidance)


def _without_history(denoise: Denoise) -> Denoise:
    """Hides what is known: frames below the noise of the noisiest one are shown as pure noise."""

    def blind(z: Tensor, sigma: Tensor, action_z: Tensor, action_sigma: Tensor) -> tuple[Tensor, Tensor]:
        known = sigma < sigma.amax((1, 2, 3), keepdim=True)
        noise = torch.randn(z.shape, generator=torch.Generator(z.device).manual_seed(0), device=z.device)
        return denoise(torch.where(known[..., None], noise, z), torch.where(known, 1.0, sigma), action_z, action_sigma)

    return blind


def infer_actions(model: WorldModel, video: Tensor, *, num_steps: int = 4, seed: int = 0) -> Tensor:
    """Tells which actions led from frame to frame: inverse dynamics, with the weights of the world model.

    Args:
        model: A model that was trained with actions.
        video: uint8 (F, H, W, 3), F at least 2.
        num_steps: Sampling steps.
        seed: Of the noise.

    Returns:
        float32 (F - 1, A) probabilities; `model.codec.decode` makes actions of them.

    Raises:
        ValueError: If the model was trained without actions, or the video does not fit.
    """
    if model.factors is None:
        raise ValueError("model: expected one that was trained with actions, got one without")
    latents = model.encode(video)[None].to(model.device)
    schedule = tasks.infer_actions(tuple(latents.shape[1:4]), num_steps)
    given = torch.ones(latents.shape[:2], dtype=torch.bool, device=model.device)
    given[:, 0] = False  # nothing led to the first frame
    denoise = denoise_function(model, model.embed_prompts([""]), schedule, actions_given=given)
    vectors = model.null_actions(1, latents.shape[1])
    result = sample(denoise, schedule, latents, vectors, torch.Generator(model.device).manual_seed(seed))
    return result.actions[0, 1:].flatten(0, 1)[: len(video) - 1].cpu()


def _given(
    model: WorldModel, num_frames: int, height: int | None, width: int | None, video: Tensor | None
) -> tuple[Tensor, bool]:
    """Returns the video that was given, or an empty one of the size that was asked for."""
    if video is not None:
        return video, True
    if num_frames < 1:
        raise ValueError(f"num_frames: expected at least 1, got {num_frames}")
    size = (height or model.metadata.height, width or model.metadata.width)
    model.grid(*size)
    return torch.zeros(num_frames, *size, 3, dtype=torch.uint8), False
