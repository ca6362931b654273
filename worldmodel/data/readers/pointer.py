"""A mouse pointer for frames that were recorded without one.

Minecraft's recorders keep the picture of the game, and the pointer is not a part of it: while an inventory is open,
nothing in a frame says what a click will hit.
"""

from typing import Any

import numpy as np

from worldmodel.data.readers.fitting import fit_frame

# Rows from the tip down: "#" is the outline, "." the inside.
_SHAPE = (
    "#           ",
    "##          ",
    "#.#         ",
    "#..#        ",
    "#...#       ",
    "#....#      ",
    "#.....#     ",
    "#......#    ",
    "#.......#   ",
    "#........#  ",
    "#.....##### ",
    "#..#..#     ",
    "#.# #..#    ",
    "##  #..#    ",
    "#    #..#   ",
    "     ###    ",
)
_OUTLINE = np.array([[cell == "#" for cell in row] for row in _SHAPE])
_INSIDE = np.array([[cell == "." for cell in row] for row in _SHAPE])


def draw_pointer(frame: np.ndarray, x: int, y: int, *, whole: tuple[int, int]) -> None:
    """Draws a white pointer of 12 x 16 pixels into a frame; what lies beyond the edges is cut off.

    Args:
        frame: uint8 (H, W, 3), changed in place. If it has been shrunk already, the pointer is shrunk as the frame was,
            and laid over it by the share of each pixel that it covers.
        x: Column of its tip, in the whole frame.
        y: Row of its tip, in the whole frame.
        whole: Height and width of the whole frame.
    """
    if frame.shape[:2] == whole:
        _draw(frame, x, y, 0, 255)
        return
    # How much of each pixel is covered, in one channel, and how much is white, in another.
    covered = np.zeros((*whole, 3), np.uint8)
    _draw(covered, x, y, (255, 0, 0), (255, 255, 0))
    cover, white, _ = np.moveaxis(fit_frame(covered, frame.shape[:2]).astype(np.float32), 2, 0)[..., None]
    frame[:] = np.rint(frame * (1 - cover / 255) + white)


def _draw(frame: np.ndarray, x: int, y: int, outline: Any, inside: Any) -> None:
    height, width = frame.shape[:2]
    top, left = max(0, -y), max(0, -x)
    bottom, right = min(_OUTLINE.shape[0], height - y), min(_OUTLINE.shape[1], width - x)
    if bottom <= top or right <= left:
        return
    part = frame[y + top : y + bottom, x + left : x + right]
    part[_OUTLINE[top:bottom, left:right]] = outline
    part[_INSIDE[top:bottom, left:right]] = inside
