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
    model: WorldModel,
    text: tuple[Tensor, Tensor],
    schedule: Schedule,
    *,
    with_actions: bool = True,
    causal: bool = False,
) -> Denoise:
    """Binds a model to prompts and a schedule, for `worldmodel.sampling.sample`.

    Args:
        model: The model.
        text: As `embed_prompts` gives it, for B prompts.
        schedule: What is sampled.
        with_actions: Whether actions are looked at. Those that are known and all zero are none.
        causal: Whether frames see no later ones.

    Returns:
        A function of noisy latents and actions and their levels, which returns predictions of clean ones.
    """
    # The model knows the size of equal steps from pure noise; whatever else a schedule does are tiny steps to it.
    falls = schedule.latents[:, ~schedule.known_latents]
    even = falls.numel() > 0 and bool((falls[0] == 1).all()) and bool((falls.diff(dim=0).std(0, False) < 1e-4).all())
    step_size = step_size_index(schedule.num_steps) if even else 0

    def denoise(z: Tensor, sigma: Tensor, action_z: Tensor, action_sigma: Tensor) -> tuple[Tensor, Tensor]:
        null = (action_z == 0).flatten(2).all(-1) & (action_sigma == 0)
        if not schedule.periodic:  # nothing leads to the first frame, unless it is said what
            null[:, 0] |= action_sigma[:, 0] > 0
        if not with_actions or model.factors is None:
            null = torch.ones_like(null)
        inputs = model.inputs(
            z,
            sigma,
            actions=action_z,
            action_sigma=action_sigma,
            action_null=null,
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
        actions: F - 1 actions, one a tick, the t-th leading to frame t + 1; `None` for no say in it. For a loop F, the
            first leading from the last frame to the first.
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
    num_frames, r = len(given), model.frames_per_latent
    h, w = model.grid(*given.shape[1:3])
    task = task or (lambda grid: tasks.generate(grid, num_steps))
    schedule = task((num_groups(num_frames, r), h, w))
    if schedule.periodic:  # a loop has no first frame that would stand alone
        if num_frames % r:
            raise ValueError(f"num_frames: expected a multiple of {r} for a loop, got {num_frames}")
        schedule = task((num_frames // r, h, w))
    if not known_video and bool(schedule.known_latents.any()):
        raise ValueError("video: expected one, because the task keeps a part of it, got none")
    if known_video and not schedule.periodic:
        latents = model.encode(given)
    else:
        latents = torch.zeros(*schedule.grid, model.config.compression.channels)
    sampled = sample(
        guided_denoise(model, prompt, schedule, guidance or Guidance(), causal=causal),
        schedule,
        latents[None].to(model.device),
        _action_vectors(model, actions, num_frames, schedule),
        torch.Generator(model.device).manual_seed(seed),
        on_step=on_step,
    )
    if schedule.periodic:
        return model.decode_groups(sampled.latents[0]).flatten(0, 1).cpu()
    frames = model.decode(sampled.latents[0], num_frames).cpu()
    known = schedule.known_latents.flatten(1).all(1).cpu()  # (T,)
    owner = (torch.arange(num_frames) + r - 1) // r  # the latent frame that each frame is in
    return torch.where(known[owner][:, None, None, None], given.cpu(), frames)


def _action_vectors(model: WorldModel, actions: Sequence[Any] | None, num_frames: int, schedule: Schedule) -> Tensor:
    """Returns (1, T, r, A), zeros where there is no action."""
    if actions is None:
        return model.null_actions(1, schedule.grid[0])
    expected = num_frames if schedule.periodic else num_frames - 1
    if len(actions) != expected:
        raise ValueError(f"actions: expected {expected} for {num_frames} frames, got {len(actions)}")
    vectors = model.action_vectors(actions)
    if schedule.periodic:  # there the first one leads from the last frame to the first
        vectors = vectors[1:]
    return vectors[None].to(model.device)


def guided_denoise(model: WorldModel, prompt: str, schedule: Schedule, guidance: Guidance, *, causal: bool) -> Denoise:
    """Returns the function for the sampler, with guidance away from no prompt, no action and no history."""
    text, null_text = model.embed_prompts([prompt]), model.embed_prompts([""])
    whole = denoise_function(model, text, schedule, causal=causal)
    nulls: dict[str, Denoise] = {}
    for name in needed(guidance):
        if name == "text":
            nulls[name] = denoise_function(model, null_text, schedule, causal=causal)
        elif name == "action":
            nulls[name] = denoise_function(model, text, schedule, with_actions=False, causal=causal)
        else:
            nulls[name] = _without_history(whole)
    return guided(whole, nulls, guidance)


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
    _, num_frames, h, w, _ = latents.shape
    schedule = tasks.infer_actions((num_frames, h, w), num_steps)
    denoise = denoise_function(model, model.embed_prompts([""]), schedule)
    vectors = model.null_actions(1, latents.shape[1])
    result = sample(denoise, schedule, latents, vectors, torch.Generator(model.device).manual_seed(seed))
    return result.actions[0, 1:].flatten(0, 1)[: len(video) - 1].cpu()


def _given(
    model: WorldModel, num_frames: int, height: int | None, width: int | None, video: Tensor | None
) -> tuple[Tensor, bool]:
    """Returns the video that was given, or an empty one of the size that was asked for."""
    if video is not None:
        if video.dtype != torch.uint8 or video.ndim != 4 or video.shape[-1] != 3 or 0 in video.shape:
            raise ValueError(f"video: expected uint8 (F, H, W, 3), got {video.dtype} {tuple(video.shape)}")
        return video, True
    if num_frames < 1:
        raise ValueError(f"num_frames: expected at least 1, got {num_frames}")
    size = (
        model.metadata.height if height is None else height,
        model.metadata.width if width is None else width,
    )
    model.grid(*size)
    return torch.zeros(num_frames, *size, 3, dtype=torch.uint8), False
