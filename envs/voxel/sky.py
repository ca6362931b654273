"""Sky, daylight, clouds and fog: what is far away, and the light that it gives.

`sky_state` computes, once a frame, a small array of colours and directions from the time of day and the weather;
`paint_sky` is done for each packet of rays. Colours are RGB, 0 to 255. The course of a day follows Minecraft
(minecraft.wiki, "Daylight cycle"): the sun rises in the east (+x) at time 0 and is highest at 0.25.
"""

import math

import numba
import numpy as np

from worldmodel.envs.voxel.packet import (
    BLUE,
    CLOUD,
    CODE,
    CORNER,
    DX,
    DY,
    DZ,
    FACING,
    FRACTION_X,
    FRONT,
    GREEN,
    HAZE_BLUE,
    HAZE_GREEN,
    HAZE_RED,
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
    F,
    U,
    V,
    kernel,
)

ZENITH, HORIZON, GLOW, DAYLIGHT, CLOUDS, SUN, STARS, RAIN, DRIFT = 0, 3, 6, 9, 12, 15, 18, 19, 20
SKY_SIZE = 21
"""Layout of a sky state: index of the first component of each colour or direction."""

CLOUD_HEIGHT = 92.0
_CLOUD_SIZE = 11.0
_CLOUD_MAP_SIZE = 64
_CLOUD_FAR = 640.0
_POSITIVE = 4.0 * _CLOUD_MAP_SIZE
"""Added to cloud coordinates, a multiple of the map's size, so that truncation floors."""
_SUN_HALF_SIZE = 0.085
_MOON_HALF_SIZE = 0.06

_SUN_TILT = 0.25
"""Angle of the sun's course out of the vertical, towards the south."""

_KEYS = np.array([-1.0, -0.30, -0.12, 0.0, 0.15, 0.40, 1.0])
"""Heights of the sun (sine of its elevation) at which the colours below hold; between them they are interpolated."""
_ZENITHS = np.array(
    [(6, 8, 22), (7, 10, 28), (30, 42, 92), (74, 104, 176), (102, 148, 226), (112, 164, 245), (116, 168, 250)], float
)
_HORIZONS = np.array(
    [(14, 18, 38), (17, 21, 44), (84, 74, 102), (196, 154, 138), (188, 198, 222), (186, 212, 250), (190, 216, 253)],
    float,
)
_GLOWS = np.array([(0, 0, 0), (0, 0, 0), (120, 48, 20), (130, 62, 10), (60, 30, 4), (0, 0, 0), (0, 0, 0)], float)
_DAYLIGHTS = np.array(
    [
        (0.26, 0.29, 0.42),
        (0.28, 0.31, 0.44),
        (0.40, 0.38, 0.44),
        (0.72, 0.64, 0.60),
        (0.93, 0.88, 0.82),
        (1, 1, 1),
        (1, 1, 1),
    ],
    float,
)
_CLOUDS = np.array([(52.0, 56.0, 72.0), (252.0, 252.0, 255.0)])
"""Of fair clouds by night and by day."""
_OVERCAST = np.array([(44.0, 48.0, 58.0), (138.0, 146.0, 158.0)])
"""Of the sky in rain, by night and by day."""


def _cloud_map() -> np.ndarray:
    """Returns a periodic map of cloud cover, 0 or 1, of blocky patches: 64 x 64, flat."""
    generator = np.random.default_rng(20)
    noise = generator.standard_normal((_CLOUD_MAP_SIZE, _CLOUD_MAP_SIZE))
    frequency = np.fft.fftfreq(_CLOUD_MAP_SIZE) * _CLOUD_MAP_SIZE
    radius = np.hypot(frequency[:, None], frequency[None, :])
    smooth = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-((radius / 9.0) ** 2))).real
    return (smooth > np.quantile(smooth, 0.66)).astype(np.float32).reshape(-1)


CLOUD_MAP = _cloud_map()
CLOUD_MAP.flags.writeable = False


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sky_state(time_of_day: float, rain: float, drift: float) -> np.ndarray:
    """Computes what the sky looks like.

    Args:
        time_of_day: 0 sunrise, 0.25 noon, 0.5 sunset, 0.75 midnight; taken modulo 1.
        rain: Strength of the rain or snow, 0 to 1: greys and dims the sky.
        drift: How far the clouds have drifted west, in blocks.

    Returns:
        (SKY_SIZE,) float32, laid out as the constants of this module say.
    """
    state = np.empty(SKY_SIZE, np.float32)
    angle = 2.0 * math.pi * time_of_day
    height = math.sin(angle)
    key = 0
    while key < len(_KEYS) - 2 and height > _KEYS[key + 1]:
        key += 1
    along = min(max((height - _KEYS[key]) / (_KEYS[key + 1] - _KEYS[key]), 0.0), 1.0)
    day = min(max((height + 0.25) / 0.5, 0.0), 1.0)
    for i in range(3):
        zenith = _ZENITHS[key, i] + along * (_ZENITHS[key + 1, i] - _ZENITHS[key, i])
        horizon = _HORIZONS[key, i] + along * (_HORIZONS[key + 1, i] - _HORIZONS[key, i])
        glow = _GLOWS[key, i] + along * (_GLOWS[key + 1, i] - _GLOWS[key, i])
        daylight = _DAYLIGHTS[key, i] + along * (_DAYLIGHTS[key + 1, i] - _DAYLIGHTS[key, i])
        cloud = min(_CLOUDS[0, i] + day * (_CLOUDS[1, i] - _CLOUDS[0, i]) + 0.5 * glow, 255.0)
        overcast = _OVERCAST[0, i] + day * (_OVERCAST[1, i] - _OVERCAST[0, i])
        state[ZENITH + i] = zenith + rain * 0.85 * (0.85 * overcast - zenith)
        state[HORIZON + i] = horizon + rain * 0.85 * (overcast - horizon)
        state[CLOUDS + i] = cloud + rain * 0.8 * (0.9 * overcast - cloud)
        state[GLOW + i] = glow * (1.0 - rain)
        state[DAYLIGHT + i] = daylight * (1.0 - 0.3 * rain)
    state[SUN] = math.cos(angle)
    state[SUN + 1] = height * math.cos(_SUN_TILT)
    state[SUN + 2] = height * math.sin(_SUN_TILT)
    state[STARS] = min(max((-0.05 - height) / 0.2, 0.0), 1.0) * (1.0 - rain)
    state[RAIN] = rain
    state[DRIFT] = drift % (_CLOUD_MAP_SIZE * _CLOUD_SIZE)
    return state


@kernel
def _star(x: float, y: float, z: float) -> float:
    """Brightness of the star in a direction on a cube of tiny cells; most hold none."""
    ax, ay, az = abs(x), abs(y), abs(z)
    if ay >= ax and ay >= az:
        side, a, b = 0, x / ay, z / ay
    elif ax >= az:
        side, a, b = 1 if x > 0 else 2, y / ax, z / ax
    else:
        side, a, b = 3 if z > 0 else 4, x / az, y / az
    i, k = int((a + 1.0) * 80.0), int((b + 1.0) * 80.0)
    code = np.uint32(i * 73856093 ^ k * 19349663 ^ side * 83492791)
    code = np.uint32((code ^ (code >> np.uint32(13))) * np.uint32(1274126177))
    code = np.uint32(code ^ (code >> np.uint32(16)))
    if code % np.uint32(211) != 0:
        return 0.0
    return 0.4 + 0.6 * float((code >> np.uint32(8)) & np.uint32(255)) / 255.0


@kernel
def _cover(packet, address, clouds, ox, oy, oz):  # noqa: ANN001, ANN202
    """Computes how much of the sky the clouds cover in every direction."""
    for i in range(LANES):
        scale = packet[INVERSE_LENGTH + i]
        distance = min((F(CLOUD_HEIGHT) - oy) / max(packet[DY + i] * scale, F(0.02)), F(_CLOUD_FAR))
        x = (ox + packet[DX + i] * scale * distance) * F(1.0 / _CLOUD_SIZE) + F(_POSITIVE)
        z = (oz + packet[DZ + i] * scale * distance) * F(1.0 / _CLOUD_SIZE) + F(_POSITIVE)
        column, row = np.int32(x), np.int32(z)
        packet[U + i], packet[V + i] = x - F(column), z - F(row)
        address[FRONT + i] = ((column & 63) << 6) | (row & 63)
        address[SIDE_A + i] = (((column + 1) & 63) << 6) | (row & 63)
        address[SIDE_B + i] = ((column & 63) << 6) | ((row + 1) & 63)
        address[CORNER + i] = (((column + 1) & 63) << 6) | ((row + 1) & 63)
        # A steep ramp keeps the patches blocky; it widens with distance, where a pixel spans more of them.
        packet[CLOUD + i] = F(0.10) + distance * F(1.0 / 1600.0)
        packet[FRACTION_X + i] = F(0.82) * (F(1.0) - distance * F(1.0 / _CLOUD_FAR))
    for i in range(LANES):
        packet[LIGHT_FRONT + i] = clouds[np.uint32(address[FRONT + i])]
        packet[LIGHT_A + i] = clouds[np.uint32(address[SIDE_A + i])]
        packet[LIGHT_B + i] = clouds[np.uint32(address[SIDE_B + i])]
        packet[LIGHT_CORNER + i] = clouds[np.uint32(address[CORNER + i])]
    for i in range(LANES):
        x, z = packet[U + i], packet[V + i]
        near = packet[LIGHT_FRONT + i] * (F(1.0) - x) + packet[LIGHT_A + i] * x
        far = packet[LIGHT_B + i] * (F(1.0) - x) + packet[LIGHT_CORNER + i] * x
        cover = ((F(1.0) - z) * near + z * far - F(0.5)) / packet[CLOUD + i] + F(0.5)
        packet[CLOUD + i] = min(max(cover, F(0.0)), F(1.0)) * packet[FRACTION_X + i]


@kernel
def _sun_and_moon(packet, i, sky):  # noqa: ANN001, ANN202
    """Paints the square of the sun or the moon, and the sun's halo, into a lane that looks towards them."""
    length = packet[LENGTH + i]
    dx, dy, dz = packet[DX + i] / length, packet[DY + i] / length, packet[DZ + i] / length
    sun_x, sun_y, sun_z = sky[SUN], sky[SUN + 1], sky[SUN + 2]
    clear = 1.0 - 0.9 * sky[RAIN]
    # Coordinates along two axes across the direction of the sun; the second is the cross product of the others.
    flat = math.sqrt(sun_x * sun_x + sun_y * sun_y)
    across = abs((dy * sun_x - dx * sun_y) / flat)
    along = abs((dz * (flat * flat) - (dx * sun_x + dy * sun_y) * sun_z) / flat)
    edge = max(across, along)
    r, g, b = packet[RED + i], packet[GREEN + i], packet[BLUE + i]
    if packet[FACING + i] > 0.0:
        halo = max(0.0, 1.0 - edge / 0.3)
        halo *= clear * halo
        r, g, b = r + 60.0 * halo, g + 52.0 * halo, b + 30.0 * halo
        if edge < _SUN_HALF_SIZE:
            r, g = r + clear * (255.0 - r), g + clear * (248.0 - g)
            b += clear * ((222.0 if edge < 0.6 * _SUN_HALF_SIZE else 170.0) - b)
    elif edge < _MOON_HALF_SIZE:
        crater = int(across * 60.0) * 7 + int(along * 60.0) * 3
        shade = 0.86 if crater % 4 == 1 else 1.0
        r, g, b = r + clear * (228.0 * shade - r), g + clear * (232.0 * shade - g), b + clear * (240.0 * shade - b)
    packet[RED + i], packet[GREEN + i], packet[BLUE + i] = r, g, b


@kernel
def paint_sky(packet, address, sky, clouds, ox, oy, oz):  # noqa: ANN001
    """Computes the colours of the lanes of a packet that hit nothing.

    Args:
        packet: (PACKET_SIZE,) float32 after `shading.shade`, which has computed the haze. Changed in place.
        address: (ADDRESS_SIZE,) int32, scratch.
        sky: (SKY_SIZE,) from `sky_state`.
        clouds: `CLOUD_MAP`.
        ox: Eye, world coordinates.
        oy: Eye.
        oz: Eye.
    """
    nothing = 0
    for i in range(LANES):
        nothing += int(packet[CODE + i] == F(0.0))
    if nothing == 0:
        return
    for i in range(LANES):
        facing = packet[DX + i] * sky[SUN] + packet[DY + i] * sky[SUN + 1] + packet[DZ + i] * sky[SUN + 2]
        packet[FACING + i] = facing * packet[INVERSE_LENGTH + i]
        shows = packet[CODE + i] == F(0.0)
        packet[RED + i] = packet[HAZE_RED + i] if shows else packet[RED + i]
        packet[GREEN + i] = packet[HAZE_GREEN + i] if shows else packet[GREEN + i]
        packet[BLUE + i] = packet[HAZE_BLUE + i] if shows else packet[BLUE + i]
    for i in range(LANES):
        if packet[CODE + i] == F(0.0):
            if abs(packet[FACING + i]) > F(0.95):
                _sun_and_moon(packet, i, sky)
            if sky[STARS] > F(0.0) and packet[DY + i] > F(0.0):
                length = packet[LENGTH + i]
                up = packet[DY + i] / length
                star = _star(packet[DX + i] / length, up, packet[DZ + i] / length)
                star *= F(210.0) * sky[STARS] * min(F(1.0), F(4.0) * up)
                packet[RED + i] += star
                packet[GREEN + i] += star
                packet[BLUE + i] += star
    if oy < CLOUD_HEIGHT:
        # The map of the clouds is periodic, so only the place within one period counts.
        period = _CLOUD_MAP_SIZE * _CLOUD_SIZE
        _cover(packet, address, clouds, F((ox + sky[DRIFT]) % period), F(oy), F(oz % period))
        for i in range(LANES):
            cover = packet[CLOUD + i] if packet[CODE + i] == F(0.0) else F(0.0)
            packet[RED + i] += cover * (sky[CLOUDS] - packet[RED + i])
            packet[GREEN + i] += cover * (sky[CLOUDS + 1] - packet[GREEN + i])
            packet[BLUE + i] += cover * (sky[CLOUDS + 2] - packet[BLUE + i])
