import sys
from pathlib import Path

import pytest

# For dream_checkpoint. It is no module of a package `tests`, because some dependencies install one of that name.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> str:
    """Path of a tiny checkpoint of the block world, 48 x 48, r = 2, with three starts of five latent frames."""
    from dream_checkpoint import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("dreams") / "tiny")
