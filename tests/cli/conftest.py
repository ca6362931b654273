import sys
from pathlib import Path

import pytest

# For fake_voxel and dream_checkpoint. They are no modules of a package `tests`, because some dependencies install one
# of that name.
sys.path += [str(Path(__file__).parents[1] / "data"), str(Path(__file__).parents[1] / "envs" / "imagined")]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> str:
    """Path of a tiny checkpoint of the block world, 48 x 48, two ticks a step."""
    from dream_checkpoint import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("dreams") / "tiny")
