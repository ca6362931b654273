"""A mouse pointer for frames that were recorded without one.

Minecraft's recorders keep the picture of the game, and the pointer is not a part of it: while an inventory is open,
nothing in a frame says what a click will hit.
"""

import numpy as np

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


def draw_pointer(frame: np.ndarray, x: int, y: int) -> None:
    """Draws a white pointer of 12 x 16 pixels into a frame; what lies beyond the edges is cut off.

    Args:
        frame: uint8 (H, W, 3), changed in place.
        x: Column of its tip.
        y: Row of its tip.
    """
    height, width = frame.shape[:2]
    top, left = max(0, -y), max(0, -x)
    bottom, right = min(_OUTLINE.shape[0], height - y), min(_OUTLINE.shape[1], width - x)
    if bottom <= top or right <= left:
        return
    part = frame[y + top : y + bottom, x + left : x + right]
    part[_OUTLINE[top:bottom, left:right]] = 0
    part[_INSIDE[top:bottom, left:right]] = 255
