"""How fast recordings are read, beside ffmpeg alone decoding the same files.

    python benchmarks/readers.py [--rounds N] [--frames N] [--output FILE]

Makes one recording in each of several layouts, of a picture that pans, and reads them by turns, round after round, so
that whatever else the machine does hits all alike:

- "ffmpeg": decodes and throws the frames away. Nothing can be faster.
- "to RGB": the same, with the frames converted to RGB as exactly as the readers have it, and sent through a pipe.
- "reader": `read_source` in chunks of 256 frames: actions, captions, resizing to 64 x 64, episodes in memory.
- "own size": the reader without resizing.

Figures are medians of frames per second; shares are of ffmpeg alone. ffmpeg decodes on as many threads as it likes.
"""

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from imageio_ffmpeg import get_ffmpeg_exe

from worldmodel.data import VideoWriter, read_source

CHUNK_FRAMES = 256
SIZE = (64, 64)


def pan(num_frames: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Yields frames (H, W, 3) of a view that wanders over a picture with coarse and fine detail."""
    generator = np.random.default_rng(0)
    tall, wide = height + 64, width + 256
    picture = np.full((tall, wide, 3), 128.0)
    for grain in (64, 16, 4, 1):
        noise = generator.normal(0, 14, (tall // grain + 1, wide // grain + 1, 3))
        picture += noise.repeat(grain, 0).repeat(grain, 1)[:tall, :wide]
    pixels = np.clip(picture, 0, 255).astype(np.uint8)
    for t in range(num_frames):
        y, x = abs(t % 128 - 64), abs(2 * t % 512 - 256)
        yield pixels[y : y + height, x : x + width]


def write_video(path: Path, num_frames: int, height: int, width: int, fps: float = 20) -> Path:
    """Writes a video that pans."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=fps) as video:
        for frame in pan(num_frames, height, width):
            video.write(frame)
    return path


def contractor_line(tick: int) -> dict[str, Any]:
    """Returns a line as VPT's contractors have them, with the usual ballast."""
    mouse = {"x": 640.0, "y": 360.0, "dx": float(tick % 9), "dy": 0.0, "scaledX": 0.0, "scaledY": 0.0, "dwheel": 0.0}
    return {
        "mouse": {**mouse, "buttons": [0] if tick % 20 < 5 else [], "newButtons": [0] if tick % 20 == 0 else []},
        "keyboard": {"keys": ["key.keyboard.w", "key.keyboard.left.control"], "newKeys": [], "chars": ""},
        **{"isGuiOpen": tick % 100 > 90, "isGuiInventory": False, "hotbar": tick // 50 % 9, "yaw": 1.5, "pitch": 8.1},
        **{"xpos": 841.36, "ypos": 63.0, "zpos": 24.96, "tick": tick, "milli": 1649575088006 + 50 * tick},
        "inventory": [{"type": f"item_{i}", "quantity": i + 1} for i in range(20)],
        "stats": {f"minecraft.custom:minecraft.statistic_number_{i}": i for i in range(40)},
    }


def write_vpt(root: Path, num_frames: int) -> Path:
    video = write_video(root / "a.mp4", num_frames, 360, 640)
    lines = "".join(json.dumps(contractor_line(t)) + "\n" for t in range(num_frames))
    video.with_suffix(".jsonl").write_text(lines)
    return video


def write_minerl(root: Path, num_frames: int) -> Path:
    folder = root / "MineRLTreechop-v0" / "v3_stream"
    video = write_video(folder / "recording.mp4", num_frames, 64, 64)
    num_steps = num_frames - 1
    keys = ("attack", "back", "forward", "jump", "left", "right", "sneak", "sprint")
    arrays = {f"action${key}": np.zeros(num_steps, np.int64) for key in keys}
    arrays |= {"action$camera": np.zeros((num_steps, 2), np.float32), "reward": np.zeros(num_steps, np.float32)}
    np.savez_compressed(folder / "rendered.npz", **arrays)
    (folder / "metadata.json").write_text(json.dumps({"true_video_frame_count": num_frames, "success": True}))
    return video


def write_teco(root: Path, num_frames: int) -> Path:
    video = write_video(root / "0" / "000000.mp4", num_frames, 128, 128)
    np.savez_compressed(video.with_suffix(".npz"), actions=np.arange(num_frames, dtype=np.int32) % 4)
    return video


def write_gamefactory(root: Path, num_frames: int) -> Path:
    video = write_video(root / "video" / "seed_1_part_1.mp4", num_frames, 360, 640, fps=16)
    annotation = {"ws": 1, "ad": 0, "scs": 3, "pitch": 0.0, "yaw": 0.0, "pitch_delta": 0.1, "yaw_delta": 0.2}
    actions = {str(t): annotation | {"pos": [0.0, 70.0, float(t)]} for t in range(num_frames)}
    (root / "metadata").mkdir()
    (root / "metadata" / "seed_1_part_1.json").write_text(json.dumps({"biome": "plains", "actions": actions}))
    (root / "annotation.csv").write_text(
        f"Original video name,Start frame index,End frame index,Prompt\nseed_1_part.mp4,0,{num_frames},a plain\n"
    )
    return video


LAYOUTS: dict[str, Callable[[Path, int], Path]] = {
    "VPT contractor, 640 x 360": write_vpt,
    "GF-Minecraft, 640 x 360": write_gamefactory,
    "TECO, 128 x 128": write_teco,
    "MineRL 0.4, 64 x 64": write_minerl,
}


def decode(video: Path) -> None:
    """Decodes and throws away."""
    subprocess.run([get_ffmpeg_exe(), "-v", "error", "-i", str(video), "-f", "null", "-"], check=True)


def to_rgb(video: Path) -> None:
    """Decodes, converts, and reads the frames through a pipe."""
    exact = ["-sws_flags", "accurate_rnd+full_chroma_int"]  # as in worldmodel/data/video.py
    command = [get_ffmpeg_exe(), "-v", "error", "-i", str(video), *exact, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.read(2**20):
            pass


def read(root: Path, size: tuple[int, int] | None, num_frames: int) -> None:
    """Reads the recording in a folder."""
    source = read_source(root, size=size, chunk_frames=CHUNK_FRAMES)
    found = 1 + sum(len(episode) for _, episode in source)
    if source.skipped or found != num_frames:
        raise RuntimeError(f"{root}: expected {num_frames} frames, got {found}: {source.skipped}")


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=1200, help="frames of each recording (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=None, help="also write the figures to a JSON file")
    arguments = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="worldmodel-") as folder:
        contenders: dict[tuple[str, str], Callable[[], None]] = {}
        for number, (label, write) in enumerate(LAYOUTS.items()):
            root = Path(folder) / str(number)
            video = write(root, arguments.frames)
            contenders[label, "ffmpeg"] = partial(decode, video)
            contenders[label, "to RGB"] = partial(to_rgb, video)
            contenders[label, "reader"] = partial(read, root, SIZE, arguments.frames)
            contenders[label, "own size"] = partial(read, root, None, arguments.frames)
        seconds: dict[tuple[str, str], list[float]] = {name: [] for name in contenders}
        for _ in range(arguments.rounds):
            for name, run in contenders.items():
                begun = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - begun)
    for (label, kind), times in seconds.items():
        figures.setdefault(label, {})[kind] = arguments.frames / statistics.median(times)
    print(f"{platform.processor() or platform.machine()}, {arguments.frames} frames, medians of {arguments.rounds}\n")
    print("| frames/s | ffmpeg | to RGB | reader | share | own size | share |\n|---|---|---|---|---|---|---|")
    for label, row in figures.items():
        shares = {kind: f"{row[kind] / row['ffmpeg']:.0%}" for kind in ("reader", "own size")}
        cells = [f"{row['ffmpeg']:.0f}", f"{row['to RGB']:.0f}", f"{row['reader']:.0f}", shares["reader"]]
        print("| " + " | ".join([label, *cells, f"{row['own size']:.0f}", shares["own size"]]) + " |")
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
