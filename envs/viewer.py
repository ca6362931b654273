"""A window that shows frames as they are made."""

import time
from typing import Any

import numpy as np

LEAST_HEIGHT = 480
"""Frames are enlarged by a whole number so as to be at least so high, in pixels."""


class Viewer:
    """A window; needs the extra `human`."""

    def __init__(self, title: str, fps: float) -> None:
        """Opens no window yet.

        Args:
            title: Of the window.
            fps: Frames are shown no faster than this.

        Raises:
            ImportError: Without pygame.
        """
        try:
            import pygame
        except ImportError as error:
            raise ImportError(
                'render_mode="human" needs the extra "human"; install it with '
                "pip install 'worldmodel[human]' -c constraints.txt"
            ) from error
        self._pygame, self._title, self._fps = pygame, title, fps
        self._window: Any = None
        self._next = 0.0

    def show(self, frames: np.ndarray) -> None:
        """Shows frames one after another, uint8 (F, H, W, 3); opens the window if it is not open."""
        pygame = self._pygame
        scale = -(-LEAST_HEIGHT // frames.shape[1])
        size = (frames.shape[2] * scale, frames.shape[1] * scale)
        if self._window is None:
            pygame.display.init()
            pygame.display.set_caption(self._title)
            self._window = pygame.display.set_mode(size)
        for frame in frames:
            picture = pygame.surfarray.make_surface(frame.swapaxes(0, 1))
            self._window.blit(pygame.transform.scale(picture, size), (0, 0))
            pygame.event.pump()
            time.sleep(max(0.0, self._next - time.monotonic()))
            self._next = time.monotonic() + 1 / self._fps
            pygame.display.flip()

    def close(self) -> None:
        """Closes the window."""
        if self._window is not None:
            self._pygame.display.quit()
            self._window = None
