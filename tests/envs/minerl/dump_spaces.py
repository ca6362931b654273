"""Writes down what `worker.describe` says of the spaces of a real MineRL, and its `noop`: golden files for the tests.

In an interpreter that has MineRL, or can import it: `python dump_spaces.py > golden/minerl_0.4.4.json`. For 0.4.4 the
unpacked source distribution on PYTHONPATH is enough, without Java: Minecraft is not started.
"""

import importlib.util
import json
import sys
from pathlib import Path

TASKS = (
    "MineRLTreechop-v0",
    "MineRLNavigate-v0",
    "MineRLNavigateExtremeDense-v0",
    "MineRLObtainDiamond-v0",
    "MineRLObtainIronPickaxeDense-v0",
    "MineRLTreechopVectorObf-v0",
    "MineRLBasaltFindCave-v0",
    "MineRLBasaltBuildVillageHouse-v0",
    "MineRLBasaltMakeWaterfallHighRes-v0",
)


def main():
    import gym
    import minerl  # noqa: F401 - registers the ids

    path = Path(__file__).parents[3] / "envs" / "minerl" / "worker.py"
    spec = importlib.util.spec_from_file_location("worker", str(path))
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    found = {}
    for task in TASKS:
        env = gym.make(task)
        found[task] = {
            "action": worker.describe(env.action_space),
            "observation": worker.describe(env.observation_space),
            "limit": worker.limit_of(env),
            "noop": env.action_space.noop(),
        }
    json.dump(found, sys.stdout, indent=None, separators=(",", ":"), default=lambda value: value.tolist())
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
