"""Which episodes are held out for testing: decided by the world they show, never by chance or by order.

Two players in one world see the same places, so a random split over episodes would test on what was trained on. The
split is a hash of the world, the same on every machine, and does not change when a recording grows.
"""

import re
import zlib

from worldmodel.data.episodes import EpisodeSource, recording_key

_STEPS = 10_000  # of a percentage: hundredths

FIRST_EVALUATION_SEED = 1_000_000_000
"""Worlds with this seed or a later one are for evaluation: always held out, whatever the share."""

_SEEDED = re.compile(r"seed (\d+)")

# At the end of names of parts of one session in one world: VPT's contractors, alias-session-date-time; MineRL,
# player-session_from-to.
_PART = re.compile(r"(-\d{8}-\d{6}|(?<=\d)_\d+-\d+)$")


def world_key(source: EpisodeSource, key: str) -> str:
    """Returns the name of the world that an episode shows: all episodes of one name belong into one split.

    Args:
        source: Where the episode came from.
        key: Name of the episode, such as its path. It counts only if the seed is unknown, and then only its last two
            parts, so that the split does not depend on the folder that the data lies in. All chunks of a recording
            have one name, and so have the parts of one session of VPT's contractors, or of MineRL's players.

    Returns:
        `"seed 7"` if the seed is known, whatever the environment: the tasks of the block world share their terrain.
        Else the end of `key`.
    """
    if source.seed is not None:
        return f"seed {source.seed}"
    return _PART.sub("", "/".join(recording_key(key).split("/")[-2:]))


def held_out(world: str, percent: float) -> bool:
    """Returns whether the episodes of a world are held out: by a hash, and those for evaluation always.

    Args:
        world: Name of the world, as `world_key` returns it.
        percent: Share of worlds that are held out, 0 to 100, in steps of 0.01.

    Raises:
        ValueError: If `percent` is not from 0 to 100.
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"percent: expected a number from 0 to 100, got {percent!r}")
    seed = _SEEDED.fullmatch(world)
    if seed and int(seed[1]) >= FIRST_EVALUATION_SEED:
        return True
    return zlib.crc32(world.encode()) % _STEPS < round(percent * _STEPS / 100)
