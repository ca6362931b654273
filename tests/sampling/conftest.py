import sys
from pathlib import Path

import pytest
import torch

# For task_table. It is no module of a package `tests`, because some dependencies install one of that name.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def one_thread():
    """These tensors are small: threads that wait for each other on a busy machine cost ten times what they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
