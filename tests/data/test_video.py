import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from worldmodel.data.video import VideoWriter, read_video, video_info, write_contact_sheet


def _noise(num_frames, height, width):
    return np.random.default_rng(0).integers(0, 256, (num_frames, height, width, 3), np.uint8)


def _smooth(num_frames, height, width):
    """Frames that a codec keeps well, each with its number as its brightness."""
    ramp = np.linspace(0, 60, width)[None, :, None] + np.linspace(0, 60, height)[:, None, None]
    return np.stack([(ramp + 4 * i + np.array([0, 20, 40])).astype(np.uint8) for i in range(num_frames)])


def _write(path, frames, **keywords):
    with VideoWriter(path, fps=20, **keywords) as writer:
        for frame in frames:
            writer.write(frame)


@pytest.mark.parametrize("size", [(64, 64), (65, 127), (33, 64), (1, 1), (360, 640)])
def test_lossless_video_is_exact(tmp_path, size):
    frames = _noise(7, *size)
    _write(tmp_path / "video.mp4", frames, lossless=True)
    np.testing.assert_array_equal(np.stack(list(read_video(tmp_path / "video.mp4"))), frames)


@pytest.mark.parametrize("size", [(64, 64), (65, 127), (72, 128)])
@pytest.mark.parametrize("num_frames", [1, 2, 31])
def test_lossy_video_keeps_every_frame_in_order_and_size(tmp_path, size, num_frames):
    frames = _smooth(num_frames, *size)
    path = tmp_path / "video.mp4"
    _write(path, frames)
    result = np.stack(list(read_video(path)))
    assert result.shape == frames.shape and result.dtype == np.uint8
    # One frame is 4 levels brighter than the one before, so a shift by a frame would show.
    assert np.abs(result.astype(int) - frames).mean() < 1.5
    info = video_info(path)
    assert (info.width, info.height, info.num_frames, info.fps) == (size[1], size[0], num_frames, 20.0)
    assert info.stored_width % 2 == 0 and info.stored_height % 2 == 0


def test_colours_survive(tmp_path):
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [120, 80, 40]], np.uint8)
    frame = np.repeat(np.repeat(colours[None], 16, 0), 16, 1)
    _write(tmp_path / "video.mp4", [frame] * 3)
    for result in read_video(tmp_path / "video.mp4"):
        np.testing.assert_allclose(result[8, 8::16], colours, atol=6)


def test_moviepy_reads_the_same_frames(tmp_path):
    moviepy = pytest.importorskip("moviepy")
    path = tmp_path / "video.mp4"
    _write(path, _smooth(9, 64, 96))
    with moviepy.VideoFileClip(str(path)) as clip:
        assert (clip.n_frames, clip.fps, clip.size) == (9, 20, [96, 64])
        for ours, theirs in zip(read_video(path), clip.iter_frames(), strict=True):
            assert np.abs(ours.astype(int) - theirs).mean() < 2


def test_a_player_can_start_before_the_file_is_complete(tmp_path):
    _write(tmp_path / "video.mp4", _smooth(9, 64, 64))
    data = (tmp_path / "video.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_any_frame_rate(tmp_path):
    with VideoWriter(tmp_path / "video.mp4", fps=30000 / 1001) as writer:
        writer.write(_smooth(1, 32, 32)[0])
    assert video_info(tmp_path / "video.mp4").fps == 29.97


def test_nothing_has_the_final_name_before_close_or_after_an_error(tmp_path):
    path = tmp_path / "video.mp4"
    with pytest.raises(RuntimeError, match="stop"):
        with VideoWriter(path, fps=20) as writer:
            for frame in _noise(40, 64, 64):
                writer.write(frame)
            assert not path.exists()
            raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_nothing_under_the_final_name(tmp_path):
    code = (
        "import numpy as np, sys, time\n"
        "from worldmodel.data.video import VideoWriter\n"
        "writer = VideoWriter(sys.argv[1], fps=20)\n"
        "for i in range(100): writer.write(np.full((64, 64, 3), i, np.uint8))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    path = tmp_path / "video.mp4"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    time.sleep(0.5)  # ffmpeg sees the end of its input now
    assert not path.exists()


def test_reading_may_stop_early(tmp_path):
    frames = _noise(50, 64, 64)
    _write(tmp_path / "video.mp4", frames, lossless=True)
    reader = read_video(tmp_path / "video.mp4")
    np.testing.assert_array_equal(next(reader), frames[0])
    reader.close()


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.mp4"):
        read_video(tmp_path / "missing.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ValueError, match="text.mp4.*damaged or foreign"):
        read_video(tmp_path / "text.mp4")


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_cut_off_file_is_an_error_not_a_shorter_video(tmp_path, keep):
    path = tmp_path / "video.mp4"
    _write(path, _noise(30, 64, 64), lossless=True)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ValueError, match="video.mp4"):
        list(read_video(path))


def test_flipped_bytes_are_an_error(tmp_path):
    path = tmp_path / "video.mp4"
    _write(path, _noise(30, 64, 64), lossless=True)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="video.mp4"):
        list(read_video(path))


def test_bad_frames_are_refused(tmp_path):
    writer = VideoWriter(tmp_path / "video.mp4", fps=20)
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\).*float64"):
        writer.write(np.zeros((8, 8, 3)))
    writer.write(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="size of the first frame"):
        writer.write(np.zeros((8, 10, 3), np.uint8))
    writer.close()
    assert video_info(tmp_path / "video.mp4").num_frames == 1


def test_an_empty_video_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="at least one frame"):
        VideoWriter(tmp_path / "video.mp4", fps=20).close()
    with pytest.raises(ValueError, match="fps"):
        VideoWriter(tmp_path / "video.mp4", fps=0)
    with pytest.raises(FileNotFoundError, match="no_folder"):
        VideoWriter(tmp_path / "no_folder" / "video.mp4", fps=20)


def test_contact_sheet(tmp_path):
    frames = _smooth(5, 10, 20)
    write_contact_sheet(tmp_path / "sheet.png", frames, columns=3, gap=2)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (2 + 2 * 12, 2 + 3 * 22, 3)
    np.testing.assert_array_equal(sheet[14:24, 24:44], frames[4])
    with pytest.raises(ValueError, match="one size"):
        write_contact_sheet(tmp_path / "sheet.png", [])
