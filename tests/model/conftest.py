import sys
from pathlib import Path

import pytest
import torch

# For tiny_world. It is no module of a package `tests`, because some dependencies install one of that name.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def one_thread():
    """These tensors are small: threads that wait for each other on a busy machine cost ten times what they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def model():
    """A tiny world model with actions, r = 2, that says something about everything. Tests leave it as it is."""
    from tiny_world import tiny_model

    return tiny_model()
