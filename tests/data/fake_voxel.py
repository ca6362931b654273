"""A tiny environment with the spaces and infos of the block world, and episodes from it."""

import gymnasium
import numpy as np

from worldmodel.data import Episode, EpisodeSource
from worldmodel.data.vpt import KEYBOARD, MOUSE

BUTTONS = sorted([*KEYBOARD, *MOUSE])


def action_space():
    spaces = {name: gymnasium.spaces.Discrete(2) for name in BUTTONS}
    return gymnasium.spaces.Dict(spaces | {"camera": gymnasium.spaces.Box(-180, 180, (2,), np.float32)})


class FakeVoxel(gymnasium.Env):
    """Noise frames; the action moves the pose."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, render_mode=None, height=48, width=64, frame_skip=1, length=30, delay=0.0):
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(0, 255, (height, width, 3), np.uint8)
        self.action_space = action_space()
        self.frame_skip, self.length, self.delay = frame_skip, length, delay

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.yaw, self.pitch, self.hotbar = 0, 0.0, 0.0, 0
        self.frames = self._draw(1)
        return self.frames[-1].copy(), self._info([])

    def step(self, action):
        if self.delay:
            import time

            time.sleep(self.delay)
        self.time += 1
        pitch, yaw = action["camera"]
        self.yaw, self.pitch = self.yaw + float(yaw), float(np.clip(self.pitch + pitch, -90, 90))
        for number in range(1, 10):
            if action[f"hotbar.{number}"]:
                self.hotbar = number - 1
        events = [{"type": "mined", "block": "oak_log", "position": [1, 2, 3]}] if action["attack"] else []
        self.frames = self._draw(self.frame_skip)
        return self.frames[-1].copy(), float(len(events)), self.time >= self.length, False, self._info(events)

    def render(self):
        return self.frames[-1]

    def _draw(self, number):
        return self.np_random.integers(0, 256, (number, *self.observation_space.shape), np.uint8)

    def _info(self, events):
        return {
            "pose": {"x": self.time / 3, "y": 25.0, "z": -0.5, "yaw": self.yaw, "pitch": self.pitch},
            "events": events,
            "caption": f"step {self.time}",
            "caption_long": f"a Minecraft player at step {self.time}",
            "biome": "forest",
            "time_of_day": 0.25,
            "time_name": "noon",
            "weather": "clear",
            "inventory": {"oak_log": self.time},
            "hotbar": self.hotbar,
            "health": 20.0,
        }


def play(seed=0, steps=12, env=None):
    """Returns an episode of random actions."""
    env = env or FakeVoxel()
    env.action_space.seed(seed)
    frame, info = env.reset(seed=seed)
    frames, infos, actions, rewards = [frame], [info], [], []
    terminated = truncated = False
    for _ in range(steps):
        action = env.action_space.sample()
        frame, reward, terminated, truncated, info = env.step(action)
        frames.append(frame)
        infos.append(info)
        actions.append(action)
        rewards.append(reward)
        if terminated:
            break
    return Episode(
        frames=np.stack(frames),
        actions=actions,
        rewards=np.array(rewards),
        terminated=terminated,
        truncated=not terminated,
        infos=infos,
        source=EpisodeSource(env_id="Fake-v0", env_kwargs={"length": 30}, seed=seed),
    )


def assert_same(left, right, *, frames=True):
    """Episodes are equal, bit for bit."""
    assert len(left) == len(right)
    for one, other in zip(left.actions, right.actions, strict=True):
        assert set(one) == set(other)
        assert all(np.array_equal(one[key], other[key]) for key in one), (one, other)
        assert other["camera"].dtype == np.float32
        assert np.signbit(one["camera"]).tolist() == np.signbit(other["camera"]).tolist()
    np.testing.assert_array_equal(left.rewards, right.rewards)
    assert (left.terminated, left.truncated) == (right.terminated, right.truncated)
    assert left.infos == right.infos
    assert left.source == right.source
    assert left.frames.shape == right.frames.shape
    if frames:
        np.testing.assert_array_equal(left.frames, right.frames)
