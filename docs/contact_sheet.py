"""Makes `docs/images/contact_sheet.png`: the block world at a glance.

    python docs/contact_sheet.py [--output FILE] [--size PIXELS]

Every tile is a fixed world seed, pose, hour and weather, so the sheet shows what the code renders today. Buildings and
torches are edits of the world, written into the state that the episode goes on from.
"""

import argparse
import colorsys
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worldmodel.envs.voxel import physics
from worldmodel.envs.voxel.blocks import AIR, CODES
from worldmodel.envs.voxel.env import VoxelEnv

DEFAULT_OUTPUT = Path(__file__).parent / "images" / "contact_sheet.png"
COLUMNS = 5
MARGIN, LABEL_HEIGHT = 10, 30
BACKGROUND, INK = (24, 26, 31), (232, 234, 238)

Edits = Sequence[tuple[int, int, int, str]]
"""Cells that are changed: x, y, z and the name of a block, or `"air"`."""

ITEMS = {
    "stone_pickaxe": 1,
    "oak_planks": 48,
    "cobblestone": 64,
    "torch": 16,
    "oak_log": 12,
    "crafting_table": 1,
    "coal": 7,
    "raw_iron": 5,
    "diamond": 3,
}


@dataclass(kw_only=True, slots=True)
class Shot:
    """One picture.

    Attributes:
        label: Text below it.
        seed: Of the world.
        pose: x, y, z of the feet, yaw and pitch in degrees.
        time: Time of day.
        weather: Kind of weather.
        hud: Whether the HUD is drawn.
        edits: Changes to the world.
        items: What the player carries.
        slot: Selected slot of the hotbar.
        health: 0 to 20.
        keys: Action that is held for `steps`.
        steps: Number of steps before the picture is taken.
        submerged: Whether the eyes are under water.
    """

    label: str
    seed: int
    pose: tuple[float, float, float, float, float]
    time: float = 0.18
    weather: str = "clear"
    hud: bool = False
    edits: Edits = ()
    items: Mapping[str, int] = field(default_factory=dict)
    slot: int = 0
    health: float = 20.0
    keys: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 0
    submerged: bool = False


def take(shot: Shot, height: int, width: int) -> tuple[np.ndarray, VoxelEnv]:
    """Returns the picture, (height, width, 3) uint8, and the environment that took it."""
    env = VoxelEnv(
        height=height,
        width=width,
        hud=shot.hud,
        start_time=shot.time,
        day_length_ticks=None,
        weather=shot.weather,
        view_distance=96,
        inventory=dict(shot.items),
    )
    env.reset(seed=0, options={"world_seed": shot.seed})
    state = env.get_state()
    player = state["simulation"]
    pose = (physics.X, physics.Y, physics.Z, physics.YAW, physics.PITCH)
    player["body"][list(pose)] = shot.pose
    player["body"][[physics.IN_WATER, physics.EYE_IN_WATER]] = shot.submerged
    player["found"] = None  # the block under the crosshair: of the old pose
    player["health"] = shot.health
    player["inventory"]["selected"] = shot.slot
    rows = [(x, y, z, AIR if name == "air" else CODES[name]) for x, y, z, name in shot.edits]
    state["world"]["edits"] = np.array(rows, np.int32).reshape(-1, 4)
    frame, _ = env.reset(options={"state": state})
    for _ in range(shot.steps):
        frame, *_ = env.step(dict(shot.keys))
    return frame, env


def hut(x: int, y: int, z: int) -> list[tuple[int, int, int, str]]:
    """Returns the edits of a hut on level ground, with its door to the north.

    Args:
        x: Middle of the floor.
        y: Layer of the floor, which replaces the ground.
        z: Likewise.
    """
    cells: dict[tuple[int, int, int], str] = {}
    for i in range(-2, 3):
        for k in range(-2, 3):
            cells[i, 0, k] = "oak_planks"
            for j in (1, 2, 3):
                corner, wall = abs(i) == abs(k) == 2, max(abs(i), abs(k)) == 2
                cells[i, j, k] = "oak_log" if corner else ("oak_planks" if j > 1 else "cobblestone") if wall else "air"
    for side in (-2, 2):
        cells[side, 2, 0] = "air"  # windows
    for j in (1, 2):
        cells[0, j, -2] = "air"
    for layer, radius in ((4, 3), (5, 2), (6, 1)):
        for i in range(-radius, radius + 1):
            for k in range(-radius, radius + 1):
                cells[i, layer, k] = "spruce_log"
    for k in range(-7, -2):
        cells[0, 0, k] = "gravel"
        cells[0, 1, k] = "air"
    for i, k in ((-1, -3), (1, -3), (0, 1), (-1, -6), (1, -6), (3, -1), (3, 1), (-3, 0), (5, -5)):
        cells[i, 1, k] = "torch"
    return [(x + i, y + j, z + k, name) for (i, j, k), name in cells.items()]


def unfinished_hut(x: int, y: int, z: int) -> list[tuple[int, int, int, str]]:
    """Returns the edits of a hut that still lacks torches, roof and a part of the walls."""
    cells = [cell for cell in hut(x, y, z) if cell[1] <= y + 3 and cell[3] != "torch"]
    return [cell for cell in cells if not (cell[1] == y + 3 and cell[0] > x - 2 and cell[2] < z + 2)]


SCENES = (
    Shot(label="Plains", seed=37, pose=(76.5, 28, 32.5, 0, 6)),
    Shot(label="Forest", seed=21, pose=(-11.5, 26, -165.5, -140, 1)),
    Shot(label="Desert", seed=22, pose=(144.5, 28, 27.5, 135, 4)),
    Shot(label="Snow", seed=29, pose=(285.5, 29, -314.5, -135, 4)),
    Shot(label="Mountains", seed=4, pose=(-79.5, 42, -19.5, 1, 1)),
    Shot(label="Dawn", seed=15, pose=(-97.5, 28, -183.5, -105, -6), time=0.005),
    Shot(label="Dusk", seed=5, pose=(-57.5, 29, 98.5, 75, -6), time=0.495),
    Shot(label="Night", seed=0, pose=(150.5, 25, 50.5, -100, -18), time=0.6),
    Shot(label="Rain", seed=0, pose=(56.5, 31, 270.5, 90, 2), weather="rain"),
    Shot(label="Snowfall", seed=18, pose=(-94.5, 28, 135.5, -135, 0), weather="snow"),
    Shot(label="Torch light", seed=22, pose=(-121.5, 28, -181.5, 33, -4), time=0.62, edits=hut(-127, 27, -173)),
    Shot(
        label="Cave with diamonds",
        seed=10,
        pose=(-75.5, 7, -56.5, 110, 4),
        edits=[(x, 7, z, "torch") for x, z in ((-78, -58), (-82, -58), (-78, -55), (-80, -62), (-84, -60))],
    ),
    Shot(label="Under water", seed=15, pose=(-57.5, 20.7, -184.5, 31, -5), submerged=True),
    Shot(
        label="Mining",
        seed=1,
        pose=(128.5, 13, 103.5, 4, 12),
        edits=[(127, 13, 105, "torch")],
        hud=True,
        items=ITEMS,
        keys={"attack": 1},
        steps=16,
    ),
    Shot(
        label="Felling a tree", seed=30, pose=(332.5, 28, 123.5, 0, 2), hud=True, keys={"attack": 1}, steps=42,
        items={"oak_log": 3},
    ),
    Shot(
        label="Building", seed=22, pose=(-123.5, 28, -178.5, 36, 2), hud=True, items=ITEMS, slot=1,
        edits=unfinished_hut(-127, 27, -173), keys={"use": 1}, steps=2,
    ),
)  # fmt: skip


def navigate(size: int) -> np.ndarray:
    """Returns a picture of the column that is the goal of `VoxelNavigate-v0`."""
    env = VoxelEnv(task="navigate", height=size, width=size, start_time=0.2, weather="clear", view_distance=96)
    _, info = env.reset(seed=48)
    return env.step({"camera": (0.0, info["goal"]["bearing"])})[0]


def truth(shot: Shot, size: int) -> np.ndarray:
    """Returns the depth (left) and the block codes (right) of a shot, in colours."""
    _, env = take(shot, size, size)
    depth, codes = env.depth(), env.block_ids()
    near = 1.0 - np.clip(np.log2(np.maximum(depth, 1.0)) / math.log2(96.0), 0.0, 1.0)
    picture = np.repeat((255.0 * near).astype(np.uint8)[..., None], 3, axis=2)
    # Steps of the golden ratio keep the hues of neighbouring codes apart.
    colours = [colorsys.hsv_to_rgb(0.618 * code % 1.0, 0.62, 0.92) for code in range(256)]
    palette = (255.0 * np.array(colours)).astype(np.uint8)
    palette[AIR] = 24
    half = size // 2
    picture[:, half:] = palette[codes[:, half:]]
    picture[:, half - 1 : half + 1] = 255
    return picture


def sizes(size: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> np.ndarray:
    """Returns a tile with frames of several sizes, pixel for pixel."""
    tile = Image.new("RGB", (size, size), (40, 43, 51))
    draw = ImageDraw.Draw(tile)
    frames = ((0, 0.06, 0.06, 128, 128), (1, 0.58, 0.06, 64, 64), (2, 0.06, 0.62, 128, 72), (3, 0.58, 0.43, 72, 128))
    for scene, x, y, width, height in frames:
        left, top = round(x * size), round(y * size)
        tile.paste(Image.fromarray(take(SCENES[scene], height, width)[0]), (left, top))
        draw.text((left, top + height + 4), f"{width} x {height}", INK, font)
    return np.asarray(tile)


def make_sheet(size: int) -> Image.Image:
    """Returns the whole sheet with tiles of a size in pixels."""
    font, small = ImageFont.load_default(17), ImageFont.load_default(14)
    mountains = SCENES[4]
    tiles = [(shot.label, take(shot, size, size)[0]) for shot in SCENES]
    hotbar = Shot(
        label="Hotbar, hearts, held item", seed=2, pose=(-195.5, 25, -87.5, -135, 4), hud=True, items=ITEMS, health=13
    )
    tiles.append(("The goal of VoxelNavigate", navigate(size)))
    tiles.append((hotbar.label, take(hotbar, size, size)[0]))
    tiles.append(("Truth: depth and block codes", truth(mountains, size)))
    tiles.append(("Any frame size", sizes(size, small)))
    rows = math.ceil(len(tiles) / COLUMNS)
    cell_width, cell_height = size + MARGIN, size + LABEL_HEIGHT
    sheet = Image.new("RGB", (COLUMNS * cell_width + MARGIN, rows * cell_height + MARGIN), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, (label, picture) in enumerate(tiles):
        left, top = MARGIN + number % COLUMNS * cell_width, MARGIN + number // COLUMNS * cell_height
        sheet.paste(Image.fromarray(picture), (left, top))
        draw.text((left + 2, top + size + LABEL_HEIGHT // 2 - 3), label, INK, font, anchor="lm")
    return sheet


def main() -> None:
    """Makes the sheet and says where it is."""
    parser = argparse.ArgumentParser(description="Renders the contact sheet of the block world.")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="the PNG file (default: %(default)s)")
    parser.add_argument("--size", type=int, default=320, help="of a tile in pixels (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    sheet = make_sheet(arguments.size)
    sheet.save(arguments.output, optimize=True)
    print(f"{arguments.output} ({arguments.output.stat().st_size / 2**20:.2f} MiB)")


if __name__ == "__main__":
    main()
