import sys
import time
from pathlib import Path

import pytest

# For bridge_tools, which is no module of a package `tests`: some dependencies install one of that name.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def make():
    """Makes environments of the fake MineRL, and closes them."""
    from bridge_tools import FAKE, PYTHON

    from worldmodel.envs.minerl.env import MineRLEnv

    made = []

    def function(task="MineRLNavigate-v0", settings=None, **arguments):
        # A fake is quick, and a slow machine is not its fault.
        defaults = {"python": PYTHON, "module": FAKE, "start_timeout_seconds": 60, "reset_timeout_seconds": 30}
        made.append(MineRLEnv(task=task, task_arguments=arguments, **{**defaults, **(settings or {})}))
        return made[-1]

    yield function
    for env in made:
        env.close()


@pytest.fixture
def children(tmp_path):
    """A file into which the fake writes the processes that it has started, and a function that waits for their end."""
    from bridge_tools import is_alive

    path = tmp_path / "children"

    def ended(within):
        processes = [int(line) for line in path.read_text().split()]
        assert processes
        deadline = time.monotonic() + within
        while any(map(is_alive, processes)):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    ended.path = str(path)
    return ended


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Path of the tiny checkpoint of tests/envs/imagined: 48 x 48, two ticks a step."""
    sys.path.append(str(Path(__file__).parents[1] / "imagined"))
    from dream_checkpoint import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("dreams") / "tiny")
