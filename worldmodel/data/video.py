"""Video files: frames out, the same frames back in.

Both directions talk to the ffmpeg program that moviepy brings along (`imageio_ffmpeg`), not to moviepy's own reader and
writer, which are not exact: moviepy's reader repeats the last frame where a file is cut off, its writer rounds the
frame rate to two decimals, forces its own pixel format and does not look at ffmpeg's exit status.
"""

import math
import os
import re
import subprocess
import tempfile
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from PIL import Image

from worldmodel.data.files import partial_path

# Every player and browser shows H.264 with 4:2:0 chroma and even sizes. The colour matrix is written down because
# players guess it from the picture size otherwise, and guess differently.
_LOSSY = (
    *("-vf", "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int", "-colorspace", "bt709"),
    *("-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p"),
)
# RGB without conversion or quantisation. ffmpeg plays it, most browsers do not.
_LOSSLESS = ("-c:v", "libx264rgb", "-qp", "0", "-preset", "veryfast")

# Without these, conversion to RGB is faster and a little too dark.
_EXACT = "accurate_rnd+full_chroma_int"

_SIZE_NOTE = re.compile(r"^\s+comment\s*: frame size (\d+)x(\d+)$", re.MULTILINE)
_STREAM = re.compile(r"Stream #0.*?: Video: .*?, (\d+)x(\d+)[ ,].*?([\d.]+) fps")
_FRAME_COUNT = re.compile(r"frame=\s*(\d+)")


@dataclass(kw_only=True, slots=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        width: Width of a frame as written, in pixels.
        height: Height of a frame as written, in pixels.
        fps: Frames per second.
        num_frames: Number of frames, counted, not estimated.
        stored_width: Width in the file: even where `width` is odd and the codec needs it.
        stored_height: Height in the file.
    """

    width: int
    height: int
    fps: float
    num_frames: int
    stored_width: int
    stored_height: int


class VideoWriter:
    """Writes frames to an mp4 file, one by one.

    Nothing exists under the final name until `close`. As a context manager it closes on success and discards what it
    has on an exception. The frame size is that of the first frame; odd sizes are padded to even ones by repeating the
    last row or column, which `read_video` takes off again.
    """

    def __init__(self, path: str | os.PathLike[str], *, fps: float, lossless: bool = False) -> None:
        """Opens nothing yet: ffmpeg starts with the first frame.

        Args:
            path: The mp4 file. Its folder must exist; an older file is replaced at `close`.
            fps: Frames per second.
            lossless: Store exact RGB (H.264 4:4:4, about ten times as large) instead of visually lossless video that
                plays everywhere.

        Raises:
            ValueError: If `fps` is not a positive number.
            FileNotFoundError: If the folder of `path` does not exist.
        """
        self.path = Path(path)
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps: expected a positive number of frames per second, got {fps!r}")
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"path: expected an existing folder, got {self.path.parent}; make it first")
        self.num_frames = 0
        self._fps = Fraction(fps).limit_denominator(100_000)
        self._lossless = lossless
        self._partial = partial_path(self.path)
        self._shape: tuple[int, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()

    def write(self, frame: np.ndarray) -> None:
        """Appends a frame.

        Args:
            frame: uint8 (H, W, 3), RGB; the same size every time.

        Raises:
            ValueError: If the frame has another dtype, shape or size.
            OSError: If ffmpeg fails, for example on a full disk.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(f"frame: expected uint8 (H, W, 3), got {frame.dtype} {frame.shape}")
        if not self._shape:
            self._shape = frame.shape
        if frame.shape != self._shape:
            raise ValueError(f"frame: expected the size of the first frame, {self._shape}, got {frame.shape}")
        if not self._lossless:
            frame = _pad_to_even(frame)
        if self._process is None:
            self._process = self._start(frame.shape)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(frame).data)
        except BrokenPipeError:
            raise OSError(f"{self.path}: ffmpeg stopped: {self._failure()}") from None
        self.num_frames += 1

    def close(self) -> None:
        """Finishes the file and gives it its final name.

        Raises:
            ValueError: If no frame was written.
            OSError: If ffmpeg fails.
        """
        if self._log.closed:
            return
        if self._process is None:
            self.discard()
            raise ValueError(f"{self.path}: expected at least one frame, got none; write one before closing")
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # the exit status tells
        if self._process.wait() != 0:
            reason = self._failure()
            self.discard()
            raise OSError(f"{self.path}: ffmpeg failed: {reason}")
        os.replace(self._partial, self.path)
        self._log.close()

    def discard(self) -> None:
        """Stops and removes what was written. Harmless after `close`."""
        if self._log.closed:
            return
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._partial.unlink(missing_ok=True)
        self._log.close()

    def __enter__(self) -> "VideoWriter":
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        """Closes, or discards if there was an exception."""
        if kind is None:
            self.close()
        else:
            self.discard()

    def _start(self, shape: tuple[int, ...]) -> "subprocess.Popen[bytes]":
        height, width = self._shape[:2]
        command = [
            *(_ffmpeg(), "-y", "-v", "error"),
            *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{shape[1]}x{shape[0]}", "-r", str(self._fps), "-i", "-"),
            *(_LOSSLESS if self._lossless else _LOSSY),
            *("-movflags", "+faststart", "-metadata", f"comment=frame size {width}x{height}"),
            *("-f", "mp4", f"file:{self._partial}"),
        ]
        # A session of its own: Ctrl-C in the terminal must not end ffmpeg before the frames are in.
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self._log, start_new_session=True)

    def _failure(self) -> str:
        self._log.seek(0)
        return _last_line(self._log.read())


def video_info(path: str | os.PathLike[str]) -> VideoInfo:
    """Returns size, frame rate and frame count of a video file, without decoding it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no readable video.
    """
    path = _existing(path)
    # Copying the packets into nothing counts them; the number in a container's header may be an estimate.
    command = [_ffmpeg(), "-nostdin", "-hide_banner", "-i", f"file:{path}", "-map", "0:v:0", "-c", "copy"]
    result = subprocess.run([*command, "-f", "null", "-"], capture_output=True, check=False)
    report = result.stderr.decode(errors="replace")
    stream = _STREAM.search(report)
    counts = _FRAME_COUNT.findall(report)
    if result.returncode != 0 or stream is None or not counts:
        raise ValueError(_unreadable(path, _last_line(result.stderr)))
    width, height = int(stream[1]), int(stream[2])
    note = _SIZE_NOTE.search(report)
    size = (int(note[1]), int(note[2])) if note else (width, height)
    return VideoInfo(
        width=size[0],
        height=size[1],
        fps=float(stream[3]),
        num_frames=int(counts[-1]),
        stored_width=width,
        stored_height=height,
    )


def read_video(
    path: str | os.PathLike[str], *, info: VideoInfo | None = None, size: tuple[int, int] | None = None
) -> Generator[np.ndarray, None, None]:
    """Iterates over the frames of a video file: each one once, none dropped or repeated.

    Args:
        path: A video file that ffmpeg can read.
        info: What `video_info` said of it, for whoever has asked before; `None` asks.
        size: Height and width, no larger than the video's, to which the decoder crops the middle and shrinks it by the
            mean of the area under each pixel: several times as fast as doing so afterwards. `None` keeps its size.

    Yields:
        uint8 (H, W, 3), RGB, writable, of the size that was written, or of `size`.

    Raises:
        FileNotFoundError: At once, if there is no such file.
        ValueError: At once if it is no video; at the damaged place if it is cut off or damaged.
    """
    return _decode(Path(path), video_info(path) if info is None else info, size)


def _decode(path: Path, info: VideoInfo, size: tuple[int, int] | None) -> Generator[np.ndarray, None, None]:
    command = [
        *(_ffmpeg(), "-nostdin", "-v", "error", "-noautorotate", "-i", f"file:{path}", "-map", "0:v:0"),
        *("-fps_mode", "passthrough", "-sws_flags", _EXACT, *(() if size is None else ("-vf", _shrink(info, size)))),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-"),
    ]
    height, width = (info.stored_height, info.stored_width) if size is None else size
    num_bytes = height * width * 3
    num_frames = 0
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, start_new_session=True) as process,
    ):
        assert process.stdout is not None
        try:
            while len(data := process.stdout.read(num_bytes)) == num_bytes:
                frame = np.frombuffer(bytearray(data), np.uint8).reshape(height, width, 3)
                num_frames += 1
                yield frame[: info.height, : info.width]
            status = process.wait()
            log.seek(0)
            complaint = log.read()
            if status != 0 or complaint or data or num_frames != info.num_frames:
                raise ValueError(_unreadable(path, f"frame {num_frames}: {_last_line(complaint)}"))
        finally:
            process.kill()


def _shrink(info: VideoInfo, size: tuple[int, int]) -> str:
    """Returns the filter that crops the middle of a video to the ratio of a size and shrinks it to that."""
    scale = max(size[0] / info.height, size[1] / info.width)
    height, width = min(info.height, round(size[0] / scale)), min(info.width, round(size[1] / scale))
    top, left = (info.height - height) // 2, (info.width - width) // 2
    return f"crop={width}:{height}:{left}:{top},scale={size[1]}:{size[0]}:flags=area+{_EXACT}"


def write_contact_sheet(
    path: str | os.PathLike[str], frames: Iterable[np.ndarray], columns: int = 8, gap: int = 4
) -> None:
    """Writes frames side by side, row by row, to a PNG file.

    Args:
        path: The PNG file.
        frames: uint8 (H, W, 3) each, all of one size; at least one.
        columns: Frames in a row.
        gap: Distance between frames, in pixels.

    Raises:
        ValueError: If there is no frame, sizes differ, or `columns` is below 1.
    """
    tiles: Sequence[np.ndarray] = list(frames)
    if columns < 1:
        raise ValueError(f"columns: expected at least 1, got {columns}")
    shapes = {tile.shape for tile in tiles}
    if len(shapes) != 1:
        raise ValueError(f"frames: expected one or more frames of one size, got sizes {sorted(shapes)}")
    height, width, _ = tiles[0].shape
    columns = min(columns, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((gap + rows * (height + gap), gap + columns * (width + gap), 3), 24, np.uint8)
    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        y, x = gap + row * (height + gap), gap + column * (width + gap)
        sheet[y : y + height, x : x + width] = tile
    path = Path(path)
    partial = partial_path(path)
    Image.fromarray(sheet).save(partial, format="PNG")
    os.replace(partial, path)


def _ffmpeg() -> str:
    import imageio_ffmpeg  # here, so that reading actions and captions alone needs no video library

    return imageio_ffmpeg.get_ffmpeg_exe()


def _pad_to_even(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _existing(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a video file, got nothing there; look at the name")
    return path


def _unreadable(path: Path, reason: str) -> str:
    return f"{path}: expected a whole video, got a damaged or foreign file ({reason}); record it again or delete it"


def _last_line(log: bytes) -> str:
    lines = log.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "no reason given"
