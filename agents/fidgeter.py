"""A player that presses all keys, each for a while and on its own: what does each of them do?"""

from worldmodel.agents.player import Info, Keys, Script, ScriptedPlayer
from worldmodel.agents.steering import MAX_TURN, Steering

_WAYS: tuple[tuple[str, ...], ...] = (
    *((), (), ("forward",), ("forward",), ("forward",), ("back",), ("back",), ("left",), ("left",)),
    *(("right",), ("right",), ("forward", "left"), ("forward", "right"), ("back", "left"), ("back", "right")),
)
"""Keys to walk with, one of them at a time, all equally likely."""

_HABITS: dict[str, tuple[float, float]] = {
    "jump": (0.12, 4.0),
    "sneak": (0.08, 15.0),
    "sprint": (0.15, 15.0),
    "attack": (0.2, 25.0),
    "use": (0.1, 6.0),
    **{f"hotbar.{slot}": (0.006, 1.5) for slot in range(1, 10)},
    **dict.fromkeys(("inventory", "pickItem", "drop", "swapHands", "ESC"), (0.005, 1.5)),
}
"""Share of the time that a key is held, and steps that it is held for on average."""

_WAY_STEPS = 14.0
"""Steps that it walks one way, on average."""


class FidgeterPlayer(ScriptedPlayer):
    """Walks any way, presses any key on its own account, and looks here and there; where it gets to does not matter.

    An explorer walks forward most of the time. Here sidesteps, steps back, and keys pressed together are as common.
    """

    def script(self, info: Info) -> Script:
        """Moves fingers and mouse, each on its own."""
        steering = Steering(self.world, self.random)
        way: tuple[str, ...] = ()
        held: set[str] = set()
        pitch, yaw, speed, rest = info["pose"]["pitch"], info["pose"]["yaw"], MAX_TURN, 0
        while True:
            if self.random.random() < 1 / _WAY_STEPS:
                way = _WAYS[int(self.random.integers(len(_WAYS)))]
            for key, (share, steps) in _HABITS.items():
                # Of both changes the second is the rarer by as much as the key is held less than not.
                change = 1 / steps if key in held else share / (1 - share) / steps
                if self.random.random() < change:
                    held ^= {key}
            camera = steering.camera(info, pitch, yaw, speed)
            if camera == [0.0, 0.0]:
                rest -= 1
            if rest < 0:
                pitch = float(self.random.uniform(-50.0, 60.0))
                yaw = info["pose"]["yaw"] + float(self.random.normal(0.0, 70.0))
                speed, rest = float(self.random.uniform(1.0, MAX_TURN)), int(self.random.integers(0, 25))
            keys: Keys = dict.fromkeys((*way, *sorted(held)), 1)
            if info["in_water"]:
                keys["jump"] = 1
            info = yield {**keys, "camera": camera}
