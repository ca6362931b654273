"""Environments. Importing this package registers their ids with Gymnasium.

>>> import gymnasium, worldmodel.envs
>>> env = gymnasium.make("worldmodel/Voxel-v0")
"""

import gymnasium

_VOXEL = "worldmodel.envs.voxel.env:VoxelEnv"
_VOXEL_VECTOR = "worldmodel.envs.voxel.vector:VoxelVectorEnv"

VOXEL_IDS: dict[str, tuple[str, int | None]] = {
    "worldmodel/Voxel-v0": ("none", None),
    "worldmodel/VoxelTreechop-v0": ("treechop", 8000),
    "worldmodel/VoxelNavigate-v0": ("navigate", 6000),
    "worldmodel/VoxelNavigateDense-v0": ("navigate_dense", 6000),
    "worldmodel/VoxelPickaxe-v0": ("pickaxe", 12000),
}
"""Task and time limit in steps of every id of the block world."""

for _id, (_task, _limit) in VOXEL_IDS.items():
    gymnasium.register(
        _id,
        entry_point=_VOXEL,
        vector_entry_point=_VOXEL_VECTOR,
        max_episode_steps=_limit,
        kwargs={"task": _task},
    )

CRAFTER_ID = "worldmodel/Crafter-v0"
"""Crafter, a survival game seen from above; making it needs the extra `crafter`."""

gymnasium.register(CRAFTER_ID, entry_point="worldmodel.envs.crafter:CrafterEnv", max_episode_steps=10_000)

IMAGINED_ID = "worldmodel/Imagined-v0"
"""A world model, stepped: `checkpoint` names a bundled one, or is the path of one."""

gymnasium.register(
    IMAGINED_ID,
    entry_point="worldmodel.envs.imagined.env:ImaginedEnv",
    vector_entry_point="worldmodel.envs.imagined.vector:ImaginedVectorEnv",
)

MINERL_ID = "worldmodel/MineRL-v0"
"""Minecraft as MineRL plays it, in another interpreter that has MineRL: `task` is one of its ids."""

gymnasium.register(MINERL_ID, entry_point="worldmodel.envs.minerl.env:MineRLEnv", nondeterministic=True)

PIXEL_IDS: dict[str, str] = {
    "worldmodel/Pixels-v0": "worldmodel.envs.pixels:PixelEnv",
    "worldmodel/ViZDoom-v0": "worldmodel.envs.vizdoom:ViZDoomEnv",
    "worldmodel/MiniGrid-v0": "worldmodel.envs.minigrid:MiniGridEnv",
    "worldmodel/Atari-v0": "worldmodel.envs.atari:AtariEnv",
}
"""Environments of other packages, as ones of pictures: any, by `env_id`, and three with captions, which need extras."""

for _id, _entry_point in PIXEL_IDS.items():
    gymnasium.register(_id, entry_point=_entry_point)
