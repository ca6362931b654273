"""Makes the animated picture at the top of the README of a rollout's video.

$ worldmodel rollout env=imagined env.kwargs.num_steps=4 player=explorer steps=50 seed=1000021 output=runs/readme
$ python docs/dream_gif.py runs/readme/rollout.mp4 docs/images/dream.gif
"""

import sys
from pathlib import Path

from PIL import Image

from worldmodel.data import read_video, video_info

EVERY = 2
"""Of the video's frames, every so many are shown: 10 a second of the block world's 20."""

COLOURS = 96


def main(source: str, target: str) -> None:
    """Reads a video and writes a GIF."""
    fps = video_info(source).fps / EVERY
    frames = [Image.fromarray(frame) for i, frame in enumerate(read_video(source)) if i % EVERY == 0]
    # One palette for all frames, so that what stands still does not flicker, and compresses.
    tall = Image.new("RGB", (frames[0].width, frames[0].height * 8))
    for i in range(8):
        tall.paste(frames[i * len(frames) // 8], (0, i * frames[0].height))
    palette = tall.quantize(COLOURS)
    pictures = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    pictures[0].save(
        target, save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0, optimize=True
    )
    print(f"{target}: {len(pictures)} frames, {Path(target).stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main(*sys.argv[1:])
