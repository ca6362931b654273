"""The colour of what a packet of rays has hit: texture, light, fog and water.

Textures are mip-mapped: a pixel that spans several texels takes one texel of a level that was averaged down to that
size, so that distant terrain is calm. Light is interpolated between cells and darkened beside solid ones, which gives
the soft corners of Minecraft's smooth lighting (minecraft.wiki, "Light").

As in `raycast.py`, the work is done in loops over the lanes without branches, with the reads from memory in between.
"""

import math

import numba
import numpy as np

from worldmodel.envs.voxel.blocks import EMITS
from worldmodel.envs.voxel.lighting import OPAQUE
from worldmodel.envs.voxel.packet import (
    AXIS,
    BLUE,
    CELL_X,
    CELL_Y,
    CELL_Z,
    CODE,
    CORNER,
    DX,
    DY,
    DZ,
    FRACTION_X,
    FRACTION_Y,
    FRACTION_Z,
    FRONT,
    GREEN,
    HAZE_BLUE,
    HAZE_GREEN,
    HAZE_RED,
    INSIDE,
    INVERSE_LENGTH,
    LANES,
    LENGTH,
    LIGHT_A,
    LIGHT_B,
    LIGHT_CORNER,
    LIGHT_FRONT,
    RED,
    SIDE_A,
    SIDE_B,
    SIGN_X,
    SIGN_Y,
    SIGN_Z,
    TEXEL,
    F,
    T,
    U,
    V,
    kernel,
)
from worldmodel.envs.voxel.sky import DAYLIGHT, GLOW, HORIZON, SUN, ZENITH

FOG_START = 0.55
"""Share of the view distance from which terrain fades into the sky."""
_DARKEST = 0.04
"""Brightness where there is no light at all."""
_OPAQUE_SHARE = 0.42
"""Light of a solid cell as seen by the interpolation, as a share of that of the cell in front of the surface."""
_WATER_CLEARNESS = 5.5
"""Length over which water takes away all but 1/e of what lies behind, in blocks."""


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def brightness(level):  # noqa: ANN001, ANN201
    """Returns how bright a light level of 0 to 15 is, 0.04 to 1: a cubic close to Minecraft's curve."""
    share = F(level) * F(1.0 / 15.0)
    return F(_DARKEST) + F(1.0 - _DARKEST) * share * (F(0.40) + F(0.60) * share * share)


@kernel
def _address(packet, address, bx, bz, ox, oy, oz, pixel):  # noqa: ANN001, ANN202
    """Computes where in memory the texel and the four light bytes of each hit are."""
    for i in range(LANES):
        t, axis = packet[T + i], packet[AXIS + i]
        x, y, z = packet[CELL_X + i], packet[CELL_Y + i], packet[CELL_Z + i]
        dx, dy, dz = packet[DX + i], packet[DY + i], packet[DZ + i]
        fx = min(max(ox + dx * t - x, F(0.0)), F(0.9999))
        fy = min(max(oy + dy * t - y, F(0.0)), F(0.9999))
        fz = min(max(oz + dz * t - z, F(0.0)), F(0.9999))
        packet[FRACTION_X + i], packet[FRACTION_Y + i], packet[FRACTION_Z + i] = fx, fy, fz
        on_x, on_y, on_z, on_face = axis == F(0.0), axis == F(1.0), axis == F(2.0), axis < F(2.5)
        # Texture coordinates, as seen from outside: u to the right, v down.
        u = fz if on_x else fx
        flip = packet[SIGN_X + i] < F(0.0) if on_x else packet[SIGN_Z + i] > F(0.0)
        flip = flip & (not on_y)
        u = F(1.0) - u if flip else u
        v = fz if on_y else F(1.0) - fy
        u = u if on_face else packet[U + i]
        v = v if on_face else packet[V + i]
        packet[U + i], packet[V + i] = u, v
        slant = abs(dy) if on_y else (abs(dx) if on_x else abs(dz))
        slant = slant * packet[INVERSE_LENGTH + i] if on_face else F(1.0)
        footprint = F(16.0) * pixel * t / math.sqrt(max(slant, F(0.06)))
        level = (
            np.int32(footprint >= F(1.2))
            + np.int32(footprint >= F(2.4))
            + np.int32(footprint >= F(4.8))
            + np.int32(footprint >= F(9.6))
        )
        level = level if on_face else min(level, 2)
        size = 16 >> level
        # Levels are concatenated: 0, 256, 320, 336, 340 = (4 ** 5 - 4 ** (5 - level)) / 3 texels come before each.
        offset = (1024 - (1024 >> (2 * level))) // 3
        row, column = min(max(np.int32(v * F(size)), 0), size - 1), min(max(np.int32(u * F(size)), 0), size - 1)
        address[TEXEL + i] = offset + row * size + column
        x0 = np.int32(x - (packet[SIGN_X + i] if on_x else F(0.0))) + bx
        y0 = np.int32(y - (packet[SIGN_Y + i] if on_y else F(0.0)))
        z0 = np.int32(z - (packet[SIGN_Z + i] if on_z else F(0.0))) + bz
        step_x, step_y, step_z = (1 if fx > F(0.5) else -1), (1 if fy > F(0.5) else -1), (1 if fz > F(0.5) else -1)
        # Along x faces the neighbours lie in y and z, along y faces in x and z, along z faces in x and y.
        y1 = min(max(y0 + step_y, 0), 63)
        y0 = min(max(y0, 0), 63)
        here_x, here_z = (x0 & 255) << 14, (z0 & 255) << 6
        next_x, next_z = ((x0 + step_x) & 255) << 14, ((z0 + step_z) & 255) << 6
        ax, ay = (here_x if on_x else next_x), (y1 if on_x else y0)
        by, bz_ = (y1 if on_z else y0), (here_z if on_z else next_z)
        address[FRONT + i] = here_x | here_z | y0
        address[SIDE_A + i] = ax | here_z | ay
        address[SIDE_B + i] = here_x | bz_ | by
        address[CORNER + i] = ax | bz_ | (y1 if on_x or on_z else y0)


@kernel
def _gather(packet, address, texels, faces, light):  # noqa: ANN001, ANN202
    """Reads texels and light bytes."""
    for i in range(LANES):
        code = int(packet[CODE + i])
        if code == 0:
            continue
        kind = 0 if packet[AXIS + i] != F(1.0) else (2 if packet[SIGN_Y + i] > F(0.0) else 1)
        tile, texel = faces[code, kind], np.uint32(address[TEXEL + i])
        packet[RED + i] = F(texels[tile, texel, 0])
        packet[GREEN + i] = F(texels[tile, texel, 1])
        packet[BLUE + i] = F(texels[tile, texel, 2])
        packet[LIGHT_FRONT + i] = F(light[np.uint32(address[FRONT + i])])
        packet[LIGHT_A + i] = F(light[np.uint32(address[SIDE_A + i])])
        packet[LIGHT_B + i] = F(light[np.uint32(address[SIDE_B + i])])
        packet[LIGHT_CORNER + i] = F(light[np.uint32(address[CORNER + i])])
        if EMITS[code] > 0 and (packet[AXIS + i] != INSIDE or packet[V + i] < F(0.5)):
            # It glows by itself: full block light all around.
            packet[LIGHT_FRONT + i] = packet[LIGHT_A + i] = packet[LIGHT_B + i] = packet[LIGHT_CORNER + i] = F(15.0)


@kernel
def _illuminate(packet, sky, view_distance):  # noqa: ANN001, ANN202
    """Applies light and fog to the texels, and computes the haze in every direction."""
    fog_scale = F(1.0 / ((1.0 - FOG_START) * view_distance))
    fog_offset = F(FOG_START / (1.0 - FOG_START))
    for i in range(LANES):
        axis, inverse_length = packet[AXIS + i], packet[INVERSE_LENGTH + i]
        fx, fy, fz = packet[FRACTION_X + i], packet[FRACTION_Y + i], packet[FRACTION_Z + i]
        a = abs((fy if axis == F(0.0) else fx) - F(0.5)) if axis < F(2.5) else F(0.0)
        b = abs((fy if axis == F(2.0) else fz) - F(0.5)) if axis < F(2.5) else F(0.0)
        front, at_a, at_b = packet[LIGHT_FRONT + i], packet[LIGHT_A + i], packet[LIGHT_B + i]
        corner = packet[LIGHT_CORNER + i]
        # Behind two solid cells the corner is dark whatever it holds.
        corner = F(OPAQUE) if (at_a == F(OPAQUE)) & (at_b == F(OPAQUE)) else corner
        front = F(0.0) if front == F(OPAQUE) else front
        sky_front, sky_a = F(np.int32(front) >> 4), F(np.int32(at_a) >> 4)
        sky_b, sky_corner = F(np.int32(at_b) >> 4), F(np.int32(corner) >> 4)
        block_front, block_a = front - F(16.0) * sky_front, at_a - F(16.0) * sky_a
        block_b, block_corner = at_b - F(16.0) * sky_b, corner - F(16.0) * sky_corner
        sky_front, block_front = brightness(sky_front), brightness(block_front)
        sky_a = F(_OPAQUE_SHARE) * sky_front if at_a == F(OPAQUE) else brightness(sky_a)
        sky_b = F(_OPAQUE_SHARE) * sky_front if at_b == F(OPAQUE) else brightness(sky_b)
        sky_corner = F(_OPAQUE_SHARE) * sky_front if corner == F(OPAQUE) else brightness(sky_corner)
        block_a = F(_OPAQUE_SHARE) * block_front if at_a == F(OPAQUE) else brightness(block_a)
        block_b = F(_OPAQUE_SHARE) * block_front if at_b == F(OPAQUE) else brightness(block_b)
        block_corner = F(_OPAQUE_SHARE) * block_front if corner == F(OPAQUE) else brightness(block_corner)
        sky_light = (F(1.0) - b) * ((F(1.0) - a) * sky_front + a * sky_a) + b * ((F(1.0) - a) * sky_b + a * sky_corner)
        torch = (F(1.0) - b) * ((F(1.0) - a) * block_front + a * block_a) + b * (
            (F(1.0) - a) * block_b + a * block_corner
        )
        shade = F(0.84) if axis == F(2.0) else F(0.68)
        upward = F(1.0) if packet[SIGN_Y + i] < F(0.0) else F(0.55)
        shade = upward if axis == F(1.0) else shade
        shade = shade if axis < F(2.5) else F(0.95)
        red = packet[RED + i] * shade * max(sky_light * sky[DAYLIGHT], F(1.25) * torch)
        green = packet[GREEN + i] * shade * max(sky_light * sky[DAYLIGHT + 1], F(1.04) * torch)
        blue = packet[BLUE + i] * shade * max(sky_light * sky[DAYLIGHT + 2], F(0.74) * torch)
        nx, ny, nz = packet[DX + i] * inverse_length, packet[DY + i] * inverse_length, packet[DZ + i] * inverse_length
        up = min(max(ny * F(2.2), F(0.0)), F(1.0))
        up = up * (F(2.0) - up)
        glow = max(F(0.0), nx * sky[SUN] + nz * sky[SUN + 2])
        glow = glow * glow * (F(1.0) - up)
        haze_red = min(sky[HORIZON] + up * (sky[ZENITH] - sky[HORIZON]) + glow * sky[GLOW], F(255.0))
        haze_green = min(sky[HORIZON + 1] + up * (sky[ZENITH + 1] - sky[HORIZON + 1]) + glow * sky[GLOW + 1], F(255.0))
        haze_blue = min(sky[HORIZON + 2] + up * (sky[ZENITH + 2] - sky[HORIZON + 2]) + glow * sky[GLOW + 2], F(255.0))
        fog = min(max(packet[T + i] * packet[LENGTH + i] * fog_scale - fog_offset, F(0.0)), F(1.0))
        fog = fog * fog * (F(3.0) - F(2.0) * fog)
        packet[RED + i] = red + fog * (haze_red - red)
        packet[GREEN + i] = green + fog * (haze_green - green)
        packet[BLUE + i] = blue + fog * (haze_blue - blue)
        packet[HAZE_RED + i], packet[HAZE_GREEN + i], packet[HAZE_BLUE + i] = haze_red, haze_green, haze_blue


@kernel
def shade(packet, address, light, texels, faces, sky, bx, bz, ox, oy, oz, pixel, view_distance):  # noqa: ANN001
    """Computes the colours of all surfaces that a packet has hit, and the haze behind them.

    Args:
        packet: (PACKET_SIZE,) float32 after `raycast.march`, changed in place: `RED`, `GREEN`, `BLUE` of lanes with a
            `CODE`, `HAZE_*` of all lanes.
        address: (ADDRESS_SIZE,) int32, scratch.
        light: (NUM_CELLS,) uint8.
        texels: (tiles, 341, 4) uint8.
        faces: (NUM_CODES, 3) tiles of side, top and bottom.
        sky: (SKY_SIZE,) of `sky.sky_state`.
        bx: World coordinate x of the corner that positions are relative to.
        bz: Likewise z.
        ox: Eye, relative.
        oy: Eye.
        oz: Eye, relative.
        pixel: Size of a pixel at depth 1, in blocks.
        view_distance: In blocks.
    """
    _address(packet, address, bx, bz, ox, oy, oz, pixel)
    _gather(packet, address, texels, faces, light)
    _illuminate(packet, sky, view_distance)


@kernel
def through_water(packet, i, light, sky, bx, bz, ox, oy, oz, start, end, in_water, view_distance):  # noqa: ANN001
    """Tints the colour of lane `i` by the water that its ray passes through.

    Args:
        packet: After `shade`, and with the colour of the sky where the ray hit nothing. Changed in place.
        i: Lane.
        light: (NUM_CELLS,) uint8.
        sky: (SKY_SIZE,).
        bx: World coordinate x of the corner that positions are relative to.
        bz: Likewise z.
        ox: Eye, relative.
        oy: Eye.
        oz: Eye, relative.
        start: Depth at which the ray enters the water.
        end: Depth at which it leaves it.
        in_water: Whether the eye is under water; if not, the surface mirrors the sky.
        view_distance: In blocks.
    """
    length = packet[LENGTH + i]
    ny = packet[DY + i] / length
    height = min(max(int(oy + packet[DY + i] * start - 1e-3), 0), 63)
    x, z = int(ox + packet[DX + i] * (start + 1e-3)) + bx, int(oz + packet[DZ + i] * (start + 1e-3)) + bz
    here = light[((x & 255) << 14) | ((z & 255) << 6) | height]
    level = max(brightness(float(here >> 4)), 0.8 * brightness(float(here & 15))) if here != OPAQUE else _DARKEST
    clear = math.exp(-(end - start) * length / _WATER_CLEARNESS)
    r = clear * 0.80 * packet[RED + i] + (1.0 - clear) * 24.0 * level * sky[DAYLIGHT]
    g = clear * 0.92 * packet[GREEN + i] + (1.0 - clear) * 68.0 * level * sky[DAYLIGHT + 1]
    b = clear * packet[BLUE + i] + (1.0 - clear) * 128.0 * level * sky[DAYLIGHT + 2]
    if not in_water:
        grazing = 1.0 - min(abs(ny), 1.0)
        mirror = (0.10 + 0.62 * grazing * grazing * grazing * grazing) * min(1.0, level + 0.05)
        up = min(abs(ny) * 2.2, 1.0)
        up = up * (2.0 - up)
        r += mirror * (0.85 * (sky[HORIZON] + up * (sky[ZENITH] - sky[HORIZON])) - r)
        g += mirror * (0.92 * (sky[HORIZON + 1] + up * (sky[ZENITH + 1] - sky[HORIZON + 1])) - g)
        b += mirror * (sky[HORIZON + 2] + up * (sky[ZENITH + 2] - sky[HORIZON + 2]) - b)
        fog = min(max((start * length / view_distance - FOG_START) / (1.0 - FOG_START), 0.0), 1.0)
        fog = fog * fog * (3.0 - 2.0 * fog)
        r += fog * (packet[HAZE_RED + i] - r)
        g += fog * (packet[HAZE_GREEN + i] - g)
        b += fog * (packet[HAZE_BLUE + i] - b)
    packet[RED + i], packet[GREEN + i], packet[BLUE + i] = r, g, b
