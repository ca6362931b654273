"""The rules of the block world: what one player can do and what happens to them, a tick of 1/20 s at a time.

Rules and numbers are those of Minecraft Java Edition in survival mode (minecraft.wiki: "Breaking", "Health",
"Drowning", "Cactus", "Controls"), with these simplifications: items never lie around (drops go straight into the
inventory and are lost if it is full, dropped items vanish), there is no hunger, no off hand and no crafting screen
(see `crafting`), and water does not flow.
"""

import math
from collections.abc import Mapping
from typing import Any

import numba

from worldmodel.envs.voxel import physics
from worldmodel.envs.voxel.block_updates import WATER, Blocks, BlockUpdates, is_solid
from worldmodel.envs.voxel.blocks import AIR, BY_CODE, CODES, FIRST_ITEM, NAMES, SOLID
from worldmodel.envs.voxel.controls import Controls
from worldmodel.envs.voxel.crafting import TABLE_REACH, craft
from worldmodel.envs.voxel.grid import HEIGHT
from worldmodel.envs.voxel.inventory import Inventory
from worldmodel.envs.voxel.mining import harvests, mining_step
from worldmodel.envs.voxel.targeting import Target, look_target

Event = dict[str, Any]
"""Something that happened in a tick: its `"type"` and plain values."""

MAX_HEALTH = 20.0
MAX_AIR_TICKS = 300
SWING_TICKS = 6

_MINING_PAUSE_TICKS = 5
_USE_REPEAT_TICKS = 4
_SAFE_FALL = 3.0
_DROWNING_TICKS, _DROWNING_DAMAGE = 20, 2.0
_AIR_REGAINED = 4
_CACTUS_TICKS, _CACTUS_DAMAGE = 10, 1.0
_HEALING_TICKS = 80
_ROUNDING = 1e-6
_REPLACEABLE = frozenset((AIR, WATER, CODES["short_grass"], CODES["dead_bush"]))
_ICE, _TABLE = CODES["ice"], CODES["crafting_table"]

_PLAIN_STATE = (
    "health air dead mining_progress _mining _mining_pause _use_delay _swing_tick _drowning _cactus_pause _healing "
    "_pressed _found"
).split()


@numba.njit(cache=True, nogil=True)
def _look(cells, body):
    """The block that the body looks at, as `targeting.cast_target` returns it."""
    eye = body[physics.Y] + body[physics.EYE_HEIGHT]
    return look_target(cells, body[physics.X], eye, body[physics.Z], body[physics.YAW], body[physics.PITCH])


@numba.njit(cache=True, nogil=True)
def _advance(cells, body, camera_pitch, camera_yaw, forward, strafe, jump, sneak, sprint):
    """Turns and moves the body, and returns what it then looks at: one call, for speed."""
    yaw = (body[physics.YAW] + camera_yaw + 180.0) % 360.0 - 180.0
    body[physics.YAW] = yaw if yaw < 180.0 else -180.0  # a remainder just below 360 may round up to it
    body[physics.PITCH] = min(max(body[physics.PITCH] + camera_pitch, -90.0), 90.0)
    physics.step_body(cells, body, forward, strafe, jump, sneak, sprint)
    return _look(cells, body)


class Simulation:
    """One player in a world.

    Attributes:
        world: The blocks; changed only through its `set_block`.
        body: (BODY_SIZE,) float64, position, velocity, look direction and more, see `physics`.
        inventory: What the player carries.
        health: 0 to 20.
        air: Ticks of breath left, 0 to 300.
        dead: Whether the player has died; nothing happens any more.
        target: Block under the crosshair, `None` if none is within reach.
        mining_progress: How much of the target is mined, 0 to 1.
    """

    def __init__(self, world: Blocks, x: float, z: float, *, inventory: Mapping[str, int] | None = None) -> None:
        """Places the player on the ground (or the water) at a column.

        Args:
            world: The world, which is loaded around the player from now on.
            x: Position, east.
            z: Position, south.
            inventory: Number of items carried by name; none by default.

        Raises:
            ValueError: If the inventory names an unknown item, or holds a negative number or too many.
        """
        world.recentre(x, z)
        self.world = world
        self.updates = BlockUpdates(world)
        self.body = physics.new_body(x, _surface(world, x, z), z)
        self.body[physics.ON_GROUND] = 1.0
        physics.sense_water(world.cells, self.body)
        self.inventory = Inventory(inventory)
        self.health = MAX_HEALTH
        self.air = MAX_AIR_TICKS
        self.dead = False
        self.target: Target | None = None
        self.mining_progress = 0.0
        self._mining: tuple[int, int, int, int] | None = None
        """Cell being mined and code of the item it is mined with: progress is lost when either changes."""
        self._mining_pause = 0
        self._use_delay = 0
        self._swing_tick = 0
        self._drowning = 0
        self._cactus_pause = 0
        self._healing = 0
        self._pressed = (False, False, False, False)
        """Whether use, drop, inventory and pick_item were held down in the last tick."""
        self._found: tuple | None = None
        self._see(_look(world.cells, self.body))

    @property
    def swing(self) -> float:
        """Phase of the hand's swing, from 0 (at rest) up to, not including, 1."""
        return self._swing_tick % SWING_TICKS / SWING_TICKS

    def tick(self, controls: Controls) -> list[Event]:
        """Lets one tick pass: look, select, move, then mine, place, and the other keys, then the world's turn.

        Args:
            controls: What the player does.

        Returns:
            What happened, in order. Every event has a `"type"`: `mined` (block, position), `placed` (block,
            position), `gained` (item, count), `crafted` (item, count), `dropped` (item, count), `damage` (amount,
            cause) or `death` (cause). Empty once the player is dead.

        Raises:
            ValueError: If the camera turns by more than 180 degrees or not a number, or `hotbar` is above 8.
        """
        if self.dead:
            return []
        if not (abs(controls.camera_pitch) <= 180.0 and abs(controls.camera_yaw) <= 180.0):
            raise ValueError(
                "controls: expected camera_pitch and camera_yaw in [-180, 180] degrees, "
                f"got {controls.camera_pitch} and {controls.camera_yaw}"
            )
        if controls.hotbar >= 0:
            self.inventory.select(controls.hotbar)
        forward = float(controls.forward) - float(controls.back)
        strafe = float(controls.left) - float(controls.right)
        found = _advance(
            self.world.cells,
            self.body,
            float(controls.camera_pitch),
            float(controls.camera_yaw),
            forward,
            strafe,
            controls.jump,
            controls.sneak,
            controls.sprint,
        )
        self._see(found)
        body = self.body.tolist()
        self.world.recentre(body[physics.X], body[physics.Z])

        events: list[Event] = []
        self._attack(controls.attack, body, events)
        placed = self._use(controls.use, controls.attack, events)
        self._press_keys(controls, events)
        changed = bool(events or self.updates.falling)
        if self.updates.falling:
            self._gain(self.updates.tick(self.body), events)
        if changed:
            self._see(_look(self.world.cells, self.body))
        self._live(body, events)

        if self._swing_tick:
            self._swing_tick = (self._swing_tick + 1) % (SWING_TICKS + 1)
        if not self._swing_tick and (controls.attack or placed):
            self._swing_tick = 1
        self._pressed = (controls.use, controls.drop, controls.inventory, controls.pick_item)
        return events

    def get_state(self) -> dict[str, Any]:
        """Returns a copy of everything but the world, as plain picklable values."""
        state = {name.lstrip("_"): getattr(self, name) for name in _PLAIN_STATE}
        return state | {
            "body": self.body.copy(),
            "inventory": self.inventory.get_state(),
            "falling": dict(self.updates.falling),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `get_state` returned; the world has to be as it was then."""
        for name in _PLAIN_STATE:
            setattr(self, name, state[name.lstrip("_")])
        self.body[:] = state["body"]
        self.inventory.set_state(state["inventory"])
        self.updates.falling = dict(state["falling"])
        self.target = None if self._found is None else Target(*self._found)
        self.world.recentre(self.body[physics.X], self.body[physics.Z])

    def _see(self, found: tuple) -> None:
        """Takes over the result of a cast; the object is kept as long as the target stays the same."""
        seen = found[1:] if found[0] else None
        if seen != self._found:
            self._found = seen
            self.target = None if seen is None else Target(*seen)

    def _gain(self, names: list[str], events: list[Event]) -> None:
        for name in names:
            if not self.inventory.add(name):
                events.append({"type": "gained", "item": name, "count": 1})

    def _attack(self, attack: bool, body: list[float], events: list[Event]) -> None:
        target = self.target
        if not attack or target is None:
            self._mining, self.mining_progress = None, 0.0
            if not attack:
                self._mining_pause = 0
            return
        if self._mining_pause:
            self._mining_pause -= 1
            return
        held = self.inventory.held
        mining = (target.x, target.y, target.z, held)
        if mining != self._mining:
            self._mining, self.mining_progress = mining, 0.0
        under_water, on_ground = bool(body[physics.EYE_IN_WATER]), bool(body[physics.ON_GROUND])
        step = mining_step(target.code, held, under_water=under_water, on_ground=on_ground)
        self.mining_progress += step
        if self.mining_progress >= 1.0 - _ROUNDING:
            self._mining, self.mining_progress = None, 0.0
            self._mining_pause = 0 if step >= 1.0 else _MINING_PAUSE_TICKS
            self._break(target, held, events)

    def _break(self, target: Target, held: int, events: list[Event]) -> None:
        block = BY_CODE[target.code]
        x, y, z = target.x, target.y, target.z
        melts = block.code == _ICE and (is_solid(self.world, x, y - 1, z) or self.world.block(x, y - 1, z) == WATER)
        popped = self.updates.change(x, y, z, WATER if melts else AIR)
        events.append({"type": "mined", "block": block.name, "position": [x, y, z]})
        if block.drops is not None and harvests(block.code, held):
            self._gain([block.drops], events)
        self._gain(popped, events)

    def _use(self, use: bool, attack: bool, events: list[Event]) -> bool:
        """Obeys the use key; attack goes first if both are held. Returns whether a block was placed."""
        self._use_delay = max(self._use_delay - 1, 0)
        if not use or attack or (self._pressed[0] and self._use_delay):
            return False
        self._use_delay = _USE_REPEAT_TICKS
        target, held = self.target, self.inventory.held
        if target is None or not AIR < held < FIRST_ITEM:
            return False
        x, y, z = target.x, target.y, target.z
        if target.code not in _REPLACEABLE:
            x, y, z = x + target.normal_x, y + target.normal_y, z + target.normal_z
        if not self._fits(x, y, z, held):
            return False
        popped = self.updates.change(x, y, z, held)
        self.inventory.take_selected()
        events.append({"type": "placed", "block": NAMES[held], "position": [x, y, z]})
        self._gain(popped, events)
        return True

    def _fits(self, x: int, y: int, z: int, code: int) -> bool:
        """Whether a block may be placed into a cell: plants and torches on something solid and dry."""
        if not 0 <= y < HEIGHT or self.world.block(x, y, z) not in _REPLACEABLE:
            return False
        if SOLID[code]:
            return not physics.cell_overlaps_body(self.body, x, y, z)
        return code != WATER and self.world.block(x, y, z) != WATER and is_solid(self.world, x, y - 1, z)

    def _press_keys(self, controls: Controls, events: list[Event]) -> None:
        """Obeys the keys that act when they go down."""
        _, drop, inventory, pick_item = self._pressed
        if controls.drop and not drop:
            dropped = self.inventory.take_selected()
            if dropped is not None:
                events.append({"type": "dropped", "item": dropped, "count": 1})
        if controls.inventory and not inventory:
            made = craft(self.inventory, physics.block_within(self.world.cells, self.body, _TABLE, TABLE_REACH))
            if made is not None:
                events.append({"type": "crafted", "item": made[0], "count": made[1]})
        if controls.pick_item and not pick_item and self.target is not None:
            slot = self.inventory.hotbar_slot(self.target.code)
            if slot is not None:
                self.inventory.select(slot)

    def _live(self, body: list[float], events: list[Event]) -> None:
        """Falls, cactuses and drowning hurt; time heals."""
        if body[physics.LANDED] > _SAFE_FALL:
            self._hurt(float(math.floor(body[physics.LANDED] - _SAFE_FALL + _ROUNDING)), "fall", events)

        self._cactus_pause = max(self._cactus_pause - 1, 0)
        if body[physics.TOUCHES_CACTUS] and not self._cactus_pause:
            self._cactus_pause = _CACTUS_TICKS
            self._hurt(_CACTUS_DAMAGE, "cactus", events)

        if not body[physics.EYE_IN_WATER]:
            self.air = min(self.air + _AIR_REGAINED, MAX_AIR_TICKS)
            self._drowning = 0
        elif self.air > 0:
            self.air -= 1
        else:
            self._drowning += 1
            if self._drowning == _DROWNING_TICKS:
                self._drowning = 0
                self._hurt(_DROWNING_DAMAGE, "drowning", events)

        self._healing = self._healing + 1 if self.health < MAX_HEALTH and not self.dead else 0
        if self._healing == _HEALING_TICKS:
            self._healing = 0
            self.health = min(self.health + 1.0, MAX_HEALTH)

    def _hurt(self, amount: float, cause: str, events: list[Event]) -> None:
        if amount <= 0.0 or self.dead:
            return
        self.health = max(self.health - amount, 0.0)
        events.append({"type": "damage", "amount": amount, "cause": cause})
        if self.health == 0.0:
            self.dead = True
            events.append({"type": "death", "cause": cause})


def _surface(world: Blocks, x: float, z: float) -> float:
    """Height of the highest solid block or water under a body at (x, z)."""
    west, east = math.floor(x - physics.HALF_WIDTH), math.floor(x + physics.HALF_WIDTH)
    north, south = math.floor(z - physics.HALF_WIDTH), math.floor(z + physics.HALF_WIDTH)
    for y in range(HEIGHT - 1, -1, -1):
        for i in range(west, east + 1):
            for k in range(north, south + 1):
                code = world.block(i, y, k)
                if SOLID[code] or code == WATER:
                    return y + 1.0
    return 0.0
