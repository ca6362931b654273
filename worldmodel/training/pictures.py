"""What a run shows of itself: truth beside what the model makes of it, as pictures and videos."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worldmodel.data.video import VideoWriter, write_contact_sheet
from worldmodel.model.compression import to_float, to_uint8
from worldmodel.model.world_model import WorldModel
from worldmodel.training.evaluation import HeldOutClips, dream

_GAP = 2
_FRAME_WIDTH, _VIDEO_WIDTH = 128, 512
"""Frames in sheets, and videos, are enlarged by a whole number to at least these widths, in pixels."""


@torch.no_grad()
def reconstruction_sheet(model: WorldModel, groups: Tensor, path: Path) -> None:
    """Writes a contact sheet: frames above, and what the compression network makes of them below.

    Args:
        model: The model.
        groups: uint8 (B, r, H, W, 3); the last frame of each is shown.
        path: The PNG file.
    """
    decoded = model.compression.decode_bounded(model.compression.bounded(to_float(groups.to(model.device))))
    shown = torch.cat([groups[:, -1], to_uint8(decoded[:, -1]).cpu()]).numpy()
    write_contact_sheet(path, list(shown), columns=len(groups))


def comparison_video(clips: HeldOutClips, dreamed: Tensor, path: Path, fps: float, *, number: int = 4) -> None:
    """Writes a video: what happened above, what was dreamed below, side by side for some clips.

    The context is shown in both; then the lower row goes on by itself.

    Args:
        clips: The truth.
        dreamed: uint8 (B, T, r, H, W, 3).
        path: The mp4 file.
        fps: Frames per second.
        number: How many clips.
    """
    truth = clips.frames[:number].flatten(1, 2).numpy()  # (n, frames, H, W, 3)
    lower = torch.cat([clips.frames[:number, : clips.context], dreamed[:number]], dim=1).flatten(1, 2).numpy()
    with VideoWriter(path, fps=fps) as video:
        for t in range(truth.shape[1]):
            video.write(enlarge(np.concatenate([_row(truth[:, t]), _row(lower[:, t])]), _VIDEO_WIDTH))


@torch.no_grad()
def action_sheet(
    model: WorldModel, clips: HeldOutClips, actions: Sequence[tuple[str, Tensor]], path: Path, *, steps: int = 8
) -> None:
    """Writes a contact sheet of what-ifs: a row for each action, held for some steps from the same past.

    Args:
        model: The model.
        clips: The past is the context of the one whose last frame there has the most detail: something to see move.
        actions: Names, for the log, and vectors (A,).
        path: The PNG file.
        steps: Latent frames dreamed; every second is shown.
    """
    last = clips.frames[:, clips.context - 1, -1]  # (B, H, W, 3)
    chosen = int(last.float().diff(dim=2).abs().mean((1, 2, 3)).argmax())
    past = clips.latents[chosen, None, : clips.context].expand(len(actions), *[-1] * 4)
    before = clips.actions[chosen, None, : clips.context].expand(len(actions), *[-1] * 3)
    held = torch.stack([vector for _, vector in actions])[:, None, None].expand(-1, steps, before.shape[2], -1)
    dreamed = dream(model, past, torch.cat([before, held], dim=1), context=clips.context, num_steps=4)
    shown = dreamed[:, 1::2]
    frames = model.decode_groups(shown.flatten(0, 1))[:, -1].cpu().unflatten(0, shown.shape[:2])
    start = last[chosen, None].expand(len(actions), *[-1] * 3)
    sheet = torch.cat([start[:, None], frames], dim=1)
    write_contact_sheet(
        path, [enlarge(frame, _FRAME_WIDTH) for frame in sheet.flatten(0, 1).numpy()], columns=sheet.shape[1]
    )


def enlarge(picture: np.ndarray, least_width: int) -> np.ndarray:
    """Returns a picture (H, W, 3) enlarged by the smallest whole number that gives it some width, in pixels."""
    scale = -(-least_width // picture.shape[1])
    return picture.repeat(scale, 0).repeat(scale, 1)


def _row(frames: np.ndarray) -> np.ndarray:
    """Puts frames (n, H, W, 3) side by side."""
    gap = ((_GAP, _GAP), (_GAP, _GAP), (0, 0))
    return np.concatenate([np.pad(frame, gap, constant_values=24) for frame in frames], 1)
