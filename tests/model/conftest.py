import sys
from pathlib import Path

import pytest

# For tiny_world. It is no module of a package `tests`, because some dependencies install one of that name.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def model():
    """A tiny world model with actions, r = 2, that says something about everything. Tests leave it as it is."""
    from tiny_world import tiny_model

    return tiny_model()
