"""What a player asks for in one tick, after the action dictionary has been decoded."""

from dataclasses import dataclass


@dataclass(slots=True)
class Controls:
    """The keys held down, and the mouse movement, during one tick of 50 ms. The default asks for nothing.

    Attributes:
        forward: Walk forward. Opposite keys held together cancel out.
        back: Walk backward.
        left: Step to the left.
        right: Step to the right.
        jump: Jump; swim up in water.
        sneak: Walk slowly, and not over edges.
        sprint: Run, while walking forward.
        attack: Mine the targeted block.
        use: Place the held block.
        drop: Drop one of the held item; acts when the key goes down.
        inventory: Craft one thing (see `worldmodel.envs.voxel.crafting`); acts when the key goes down.
        pick_item: Select the hotbar slot that holds the targeted block; acts when the key goes down.
        swap_hands: Does nothing: there is no off hand.
        hotbar: Hotbar slot to select, 0 to 8; -1 leaves the selection alone.
        camera_pitch: Degrees to look further down this tick, in [-180, 180].
        camera_yaw: Degrees to turn right this tick, in [-180, 180].
    """

    forward: bool = False
    back: bool = False
    left: bool = False
    right: bool = False
    jump: bool = False
    sneak: bool = False
    sprint: bool = False
    attack: bool = False
    use: bool = False
    drop: bool = False
    inventory: bool = False
    pick_item: bool = False
    swap_hands: bool = False
    hotbar: int = -1
    camera_pitch: float = 0.0
    camera_yaw: float = 0.0
