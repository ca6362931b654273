"""`worldmodel envs`: lists the environments."""

from collections.abc import Sequence

import gymnasium

from worldmodel.cli.errors import UsageError


def help_text(overrides: Sequence[str]) -> str:
    """Returns the help of the sub-command."""
    return (
        "Usage: worldmodel envs\n\n"
        "Lists the environments of this package: id, time limit in steps, observation space, action space. Use an id\n"
        "with gymnasium.make, after `import worldmodel.envs`, or as env.id of the other sub-commands.\n\n"
        "Examples:\n  worldmodel envs\n  worldmodel rollout env.id=worldmodel/VoxelTreechop-v0"
    )


def run(overrides: Sequence[str]) -> int:
    """Lists the environments, one line each.

    Raises:
        UsageError: If there is any override; there are no settings.
    """
    if overrides:
        raise UsageError(f"expected no settings, got {' '.join(overrides)!r}")
    import worldmodel.envs  # noqa: F401 - registers the ids

    specs = sorted((spec for spec in gymnasium.registry.values() if spec.namespace == "worldmodel"), key=lambda s: s.id)
    width = max((len(spec.id) for spec in specs), default=0)
    for spec in specs:
        limit = f"{spec.max_episode_steps} steps" if spec.max_episode_steps else "no limit"
        print(f"{spec.id:<{width}}  {limit:<12}  {_spaces(spec)}")
    return 0


def _spaces(spec: gymnasium.envs.registration.EnvSpec) -> str:
    try:
        env = gymnasium.make(spec)
    except (gymnasium.error.Error, TypeError, ValueError, OSError, ImportError) as error:
        return f"needs keyword arguments: {' '.join(str(error).split())}"
    try:
        return f"{_short(env.observation_space)} -> {_short(env.action_space)}"
    finally:
        env.close()


def _short(space: gymnasium.Space) -> str:
    if isinstance(space, gymnasium.spaces.Dict):
        return f"Dict of {len(space)} keys"
    if isinstance(space, gymnasium.spaces.Box):
        return f"Box {space.shape} {space.dtype}"
    return str(space)
