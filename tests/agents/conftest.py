import sys
from pathlib import Path

import pytest

# For dream_checkpoint. It is no module of a package `tests`, because some dependencies install one of that name.
sys.path.append(str(Path(__file__).parents[1] / "envs" / "imagined"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> str:
    """Path of a tiny checkpoint of the block world, 48 x 48, two ticks a step."""
    from dream_checkpoint import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("dreams") / "tiny")


@pytest.fixture(scope="session")
def dream(checkpoint):
    """The imagined environment of that checkpoint."""
    import gymnasium

    import worldmodel.envs  # noqa: F401 - registers the ids

    env = gymnasium.make("worldmodel/Imagined-v0", checkpoint=checkpoint, num_steps=1)
    yield env
    env.close()
