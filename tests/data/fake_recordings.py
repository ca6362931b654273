"""Small recordings in the layouts that others publish. Every frame shows its number, which survives a lossy codec."""

import csv
import json

import numpy as np

from worldmodel.data import VideoWriter

STEP = 12  # in brightness from one digit to the next


def film(num_frames, height=32, width=48, first=0):
    """Frames (N, H, W, 3): the left half shows the number modulo 16, the right half the rest."""
    numbers = np.arange(first, first + num_frames)
    frames = np.zeros((num_frames, height, width, 3), np.uint8)
    frames[:, :, : width // 2] = (20 + STEP * (numbers % 16))[:, None, None, None]
    frames[:, :, width // 2 :] = (20 + STEP * (numbers // 16))[:, None, None, None]
    return frames


def numbers(frames):
    """What numbers frames of `film` show."""
    half = frames.shape[2] // 2
    digits = [frames[:, 4:-4, 4 : half - 4], frames[:, 4:-4, half + 4 : -4]]
    low, high = (np.rint((part.mean((1, 2, 3)) - 20) / STEP).astype(int) for part in digits)
    return (low + 16 * high).tolist()


def write_mp4(path, frames, fps=20, lossless=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=fps, lossless=lossless) as video:
        for frame in frames:
            video.write(frame)
    return path


def vpt_line(tick, *, keys=(), buttons=(), new=(), dx=0.0, dy=0.0, hotbar=0, gui=False, x=640.0, y=360.0):
    """A line with all the fields of recorder version 7."""
    return {
        "mouse": {
            **{"x": x, "y": y, "dx": dx, "dy": dy, "scaledX": x - 640.0, "scaledY": y - 360.0, "dwheel": 0.0},
            **{"buttons": list(buttons), "newButtons": list(new)},
        },
        "keyboard": {"keys": [f"key.keyboard.{key}" for key in keys], "newKeys": [], "chars": ""},
        "isGuiOpen": gui,
        "isGuiInventory": gui,
        **{"hotbar": hotbar, "yaw": -112.35, "pitch": 8.1, "xpos": 841.4 + tick, "ypos": 63.0, "zpos": 24.9},
        **{"tick": tick, "milli": 1649575088006 + 50 * tick},
        "inventory": [{"type": "oak_planks", "quantity": 59}, {"type": "oak_planks", "quantity": 64}],
        **{"serverTick": 6001 + tick, "serverTickDurationMs": 36.3, "stats": {"minecraft.custom:minecraft.jump": 4}},
    }


def write_vpt(folder, lines, num_frames=None, name="cheeky-cornflower-setter-74ae6c2eae2e-20220315-122354", **video):
    """A contractor's recording; as many frames as lines if not told otherwise. Returns the lines file."""
    num_frames = len(lines) if num_frames is None else num_frames
    write_mp4(folder / f"{name}.mp4", video.get("frames", film(num_frames)), lossless=True)
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_minerl(root, *, num_steps=6, extra_frames=3, env_id="MineRLObtainDiamond-v0", success=True, **arrays):
    """A stream of MineRL 0.4; arrays replace those of the same name, `None` leaves one out. Returns its folder."""
    folder = root / env_id / "v3_absolute_grape_changeling-16_11234-12345"
    t = np.arange(num_steps)
    states = np.arange(num_steps + 1)
    stored = {
        **{f"action${name}": (t % (i + 2) == 0).astype(np.int64) for i, name in enumerate(MINERL_KEYS)},
        "action$camera": np.stack([t * 0.5, -t * 1.5], 1).astype(np.float32),
        "action$place": np.array(["none", "dirt", *["none"] * (num_steps - 2)]),
        "action$craft": np.array(["none", "none", "planks", *["none"] * (num_steps - 3)]),
        "reward": t.astype(np.float32),
        "observation$compass$angle": states.astype(np.float32) * 10,
        "observation$inventory$dirt": states,
        "observation$equipped_items$mainhand$type": np.array(["air"] * (num_steps + 1)),
    }
    stored = {name: array for name, array in (stored | arrays).items() if array is not None}
    write_mp4(folder / "recording.mp4", film(extra_frames + num_steps + 1))
    np.savez_compressed(folder / "rendered.npz", **stored)
    metadata = {"success": success, "duration_steps": num_steps, "stream_name": folder.name}
    metadata["true_video_frame_count"] = extra_frames + num_steps + 1
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return folder


MINERL_KEYS = ("attack", "back", "forward", "jump", "left", "right", "sneak", "sprint")


def write_teco(folder, actions, name="000000", num_frames=None, fps=20, **arrays):
    """A video and the arrays beside it. Returns the npz file."""
    folder.mkdir(parents=True, exist_ok=True)
    write_mp4(folder / f"{name}.mp4", film(len(actions) if num_frames is None else num_frames), fps=fps)
    np.savez_compressed(folder / f"{name}.npz", actions=actions, **arrays)
    return folder / f"{name}.npz"


def gamefactory_annotations(num, first=0):
    """Annotations of as many frames; the keys and turns tell their number."""
    return {
        "biome": "plains",
        "initial_weather": "rain",
        "start_time": "Sunset",
        "actions": {
            str(t): {
                **{"ws": t % 3, "ad": (t // 3) % 3, "scs": t % 4, "pitch": 0.5 * t, "yaw": -1.5 * t},
                **{"pitch_delta": 0.1 * t, "yaw_delta": -0.1 * t, "pos": [-228.5 + t, 75.0, 246.4]},
            }
            for t in range(first, first + num)
        },
    }


def write_gamefactory(root, annotations, num_frames, name="seed_1_part_1", prompts=(), apart=True):
    """A clip of GF-Minecraft; prompts are rows of the table. Returns the video."""
    video = root / "video" / f"{name}.mp4" if apart else root / f"{name}.mp4"
    write_mp4(video, film(num_frames), fps=16)
    path = root / "metadata" / f"{name}.json" if apart else root / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(annotations))
    if prompts:
        with (root / "annotation.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["Original video name", "Start frame index", "End frame index", "Prompt"])
            rows.writerows(prompts)
    return video


def pressed(action):
    """The keys of an action that are down, and its camera, of a full action of 24 keys."""
    assert len(action) == 24 and action["camera"].dtype == np.float32 and action["camera"].shape == (2,)
    assert all(type(value) is int for key, value in action.items() if key != "camera")
    return {key for key, value in action.items() if key != "camera" and value}, action["camera"].tolist()
