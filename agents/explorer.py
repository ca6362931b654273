"""A player that goes everywhere and tries everything: the data that a world model needs."""

import math
from collections.abc import Callable

import gymnasium

from worldmodel.agents.pathfinding import Terrain
from worldmodel.agents.player import Info, Keys, Script, ScriptedPlayer
from worldmodel.agents.steering import Steering, feet_cell
from worldmodel.envs.voxel.blocks import BLOCKS, LOGS, NAMES

_BLOCK_NAMES = frozenset(block.name for block in BLOCKS)
_SPECIAL = (*(NAMES[code] for code in LOGS), "dandelion", "poppy", "dead_bush", "cactus", "coal_ore", "sand")
_RARE_KEYS = ("inventory", "inventory", "inventory", "pickItem", "pickItem", "drop", "swapHands", "ESC")


class ExplorerPlayer(ScriptedPlayer):
    """Wanders with a goal, and on the way looks around, sidesteps, sneaks, hops, mines, places, crafts and rests."""

    def __init__(self, env: gymnasium.Env) -> None:
        """Makes a player for one environment."""
        super().__init__(env)
        self._heading = 0.0
        self._steering = Steering(self.world, self.random)

    def script(self, info: Info) -> Script:
        """Goes somewhere, does a few things there, chosen at random, and goes on."""
        self._steering = Steering(self.world, self.random)
        self._heading = info["pose"]["yaw"]
        activities: list[tuple[Callable[[Info], Script], float]] = [
            (self._look_around, 0.16),
            (self._look_back, 0.08),
            (self._step_aside, 0.16),
            (self._sneak, 0.06),
            (self._rest, 0.06),
            (self._mine, 0.12),
            (self._harvest, 0.10),
            (self._place, 0.13),
            (self._press_keys, 0.13),
        ]
        weights = [weight for _, weight in activities]
        while True:
            info = yield from self._travel(info)
            for _ in range(int(self.random.integers(1, 4))):
                activity = activities[int(self.random.choice(len(activities), p=weights))][0]
                info = yield from activity(info)
                info = yield {}

    def _travel(self, info: Info) -> Script:
        """Walks or runs some way on, roughly in the direction it has, and hops now and then."""
        self._heading += float(self.random.normal(0.0, 30.0))
        distance = float(self.random.uniform(6.0, 24.0))
        goal = (
            info["pose"]["x"] - distance * math.sin(math.radians(self._heading)),
            info["pose"]["z"] + distance * math.cos(math.radians(self._heading)),
        )
        walk = self._steering.walk(info, goal, within=2.5, sprint=bool(self.random.random() < 0.5), max_steps=250)
        hops = 0.08 if self.random.random() < 0.3 else 0.005
        # Fingers that fidget: hotbar slots all the time, the other keys now and then.
        fidgets = [(f"hotbar.{slot}", 0.002) for slot in range(1, 10)] + [(key, 0.0005) for key in _RARE_KEYS]
        try:
            keys = next(walk)
            while True:
                if keys.get("forward") and self.random.random() < hops:
                    keys["jump"] = 1
                keys |= {key: 1 for key, chance in fidgets if self.random.random() < chance}
                info = yield keys
                keys = walk.send(info)
        except StopIteration as end:
            info, arrived = end.value
        if not arrived:
            self._heading += float(self.random.uniform(90.0, 270.0))
        return info

    def _look_around(self, info: Info) -> Script:
        """Turns to a few random directions, at a speed of its own each."""
        for _ in range(int(self.random.integers(1, 4))):
            yaw = info["pose"]["yaw"] + float(self.random.normal(0.0, 70.0))
            pitch = float(self.random.uniform(-50.0, 60.0))
            info = yield from self._steering.look(info, pitch, yaw, max_turn=float(self.random.uniform(2.0, 15.0)))
            info = yield from self._steering.hold(info, {}, int(self.random.integers(0, 8)))
        return info

    def _look_back(self, info: Info) -> Script:
        """Turns away, waits, and turns back to where it looked."""
        pitch, yaw = info["pose"]["pitch"], info["pose"]["yaw"]
        away = yaw + float(self.random.uniform(80.0, 180.0)) * float(self.random.choice((-1.0, 1.0)))
        speed = float(self.random.uniform(5.0, 15.0))
        info = yield from self._steering.look(info, pitch, away, max_turn=speed)
        info = yield from self._steering.hold(info, {}, int(self.random.integers(2, 15)))
        return (yield from self._steering.look(info, pitch, yaw, max_turn=speed))

    def _step_aside(self, info: Info) -> Script:
        """Walks backward or sideways, with a slow turn, as long as the ground allows it."""
        ways: tuple[tuple[str, ...], ...] = (("left",), ("right",), ("back",), ("left", "forward"), ("right", "back"))
        keys: Keys = dict.fromkeys(ways[int(self.random.integers(len(ways)))], 1)
        keys["camera"] = (0.0, float(self.random.normal(0.0, 2.0)))
        for _ in range(int(self.random.integers(6, 24))):
            if not self._is_safe(info, keys):
                break
            info = yield {**keys, "jump": int(self.random.random() < 0.04)}
        return info

    def _is_safe(self, info: Info, keys: Keys) -> bool:
        """Whether the next column in the direction of the keys can be stepped into, dry and without a fall."""
        yaw = math.radians(info["pose"]["yaw"])
        ahead = keys.get("forward", 0) - keys.get("back", 0)
        left = keys.get("left", 0) - keys.get("right", 0)
        dx, dz = left * math.cos(yaw) - ahead * math.sin(yaw), ahead * math.cos(yaw) + left * math.sin(yaw)
        x, y, z = feet_cell(info)
        next_x, next_z = math.floor(info["pose"]["x"] + dx), math.floor(info["pose"]["z"] + dz)
        if (next_x, next_z) == (x, z):
            return True
        step = Terrain(self.world.block_at, max_drop=1, swims=False).step((x, y, z), next_x - x, next_z - z)
        return step is not None and step[0][1] <= y

    def _sneak(self, info: Info) -> Script:
        """Sneaks ahead, which is safe everywhere, in a slow curve."""
        keys = {"sneak": 1, "forward": 1, "camera": (0.0, float(self.random.normal(0.0, 1.5)))}
        for _ in range(int(self.random.integers(15, 50))):
            info = yield {**keys, "jump": int(info["in_water"])}
        return info

    def _rest(self, info: Info) -> Script:
        """Stands still, or hops on the spot."""
        if self.random.random() < 0.3:
            return (yield from self._steering.hold(info, {"jump": 1}, 25))
        keys: Keys = {"jump": int(info["in_water"])}
        return (yield from self._steering.hold(info, keys, int(self.random.integers(5, 40))))

    def _mine(self, info: Info) -> Script:
        """Mines a few blocks at hand; gives up on those that are too hard."""
        if info["in_water"]:
            return (yield from self._travel(info))
        yaw = info["pose"]["yaw"] + float(self.random.normal(0.0, 40.0))
        info = yield from self._steering.look(info, float(self.random.uniform(5.0, 60.0)), yaw)
        for _ in range(int(self.random.integers(1, 4))):
            target = self.world.target
            if target is None:
                break
            x, y, z = target["position"]
            info, done = yield from self._steering.mine(info, (x, y, z), max_steps=80)
            if not done:
                break
            info = yield {}
        return info

    def _harvest(self, info: Info) -> Script:
        """Goes to something special nearby and takes it."""
        ground = feet_cell(info)[1]
        found = [cell for cell in self._steering.find(_SPECIAL, 14) if -1 <= cell[1] - ground <= 4][:20]
        if found and not info["in_water"]:
            x, y, z = found[int(self.random.integers(len(found)))]
            info, near = yield from self._steering.walk(info, (x + 0.5, z + 0.5), within=1.8, max_steps=150)
            if near:
                info, _ = yield from self._steering.mine(info, (x, y, z), max_steps=120)
        return info

    def _place(self, info: Info) -> Script:
        """Places a block it has somewhere in front of it."""
        names = [name for name in info["inventory"] if name in _BLOCK_NAMES]
        if not names:
            return (yield from self._steering.hold(info, {"use": 1}, int(self.random.integers(1, 6))))
        name = names[int(self.random.integers(len(names)))]
        info, selected = yield from self._steering.select(info, name)
        if selected:
            yaw = info["pose"]["yaw"] + float(self.random.normal(0.0, 30.0))
            info = yield from self._steering.look(info, float(self.random.uniform(20.0, 55.0)), yaw)
            info = yield from self._steering.hold(info, {"use": 1}, int(self.random.integers(1, 12)))
        return info

    def _press_keys(self, info: Info) -> Script:
        """Selects hotbar slots, or presses one of the keys that are seldom needed."""
        if self.random.random() < 0.6:
            for _ in range(int(self.random.integers(2, 7))):
                info = yield {f"hotbar.{int(self.random.integers(1, 10))}": 1}
                info = yield from self._steering.hold(info, {}, int(self.random.integers(0, 6)))
            return info
        key = _RARE_KEYS[int(self.random.integers(len(_RARE_KEYS)))]
        return (yield from self._steering.hold(info, {key: 1}, int(self.random.integers(1, 3))))
