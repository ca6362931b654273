import inspect
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import worldmodel.envs
from worldmodel.envs.pixels import PixelConfig, PixelEnv
from worldmodel.envs.resizing import AreaResizer, area_shares

ROOT = Path(__file__).parents[2]


class Counter(gymnasium.Env):
    """Shows the number of the tick as a shade, in one of many forms; over after `length` ticks."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 12}
    FORMS = {
        "rgb": spaces.Box(0, 255, (24, 40, 3), np.uint8),
        "grey": spaces.Box(0, 255, (24, 40), np.uint8),
        "one channel": spaces.Box(0, 255, (24, 40, 1), np.uint8),
        "dict": spaces.Dict(
            {"screen": spaces.Box(0, 255, (24, 40, 3), np.uint8), "other": spaces.Box(0.0, 1.0, (2,), np.float64)}
        ),
        "two": spaces.Dict({name: spaces.Box(0, 255, (24, 40, 3), np.uint8) for name in ("left", "right")}),
        "codes": spaces.Box(0, 255, (7, 7, 3), np.uint8),
        "none": spaces.Discrete(100),
    }

    def __init__(self, render_mode=None, form="rgb", length=10, shows=True):
        self.render_mode, self._form, self._length = render_mode, form, length
        self.observation_space, self.action_space = self.FORMS[form], spaces.Discrete(5)
        if not shows:
            self.metadata = {"render_modes": []}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.start = 0, int(self.np_random.integers(50))
        self.options = options
        self.buffer = np.zeros((24, 40, 3), np.uint8)
        return self._observe(), {"time": 0}

    def step(self, action):
        self.time += 1
        info = {"time": self.time, "array": np.arange(2), "nested": {"pair": (1, None)}, "thing": object()}
        return self._observe(), int(action), self.time >= self._length, False, info

    def render(self):
        return self.buffer

    def _observe(self):
        self.buffer[:] = self.start + self.time  # one buffer for all: others must not hand it on
        self.buffer[:, :20, 0] = 200
        grey = self.buffer[..., 1]
        return {
            "rgb": self.buffer,
            "grey": grey,
            "one channel": grey[..., None],
            "dict": {"screen": self.buffer, "other": np.zeros(2)},
            "two": {"left": self.buffer, "right": self.buffer},
            "codes": np.zeros((7, 7, 3), np.uint8),
            "none": 3,
        }[self._form]


@pytest.fixture(autouse=True)
def _counter(monkeypatch):
    spec = gymnasium.envs.registration.EnvSpec("test_pixels/Counter-v0", entry_point=Counter)
    monkeypatch.setitem(gymnasium.registry, spec.id, spec)


def make(render_mode=None, height=24, width=40, frame_skip=1, grayscale=False, max_episode_steps=None, **env_kwargs):
    return gymnasium.make(
        "worldmodel/Pixels-v0",
        env_id="test_pixels/Counter-v0",
        env_kwargs=env_kwargs,
        render_mode=render_mode,
        height=height,
        width=width,
        frame_skip=frame_skip,
        grayscale=grayscale,
        max_episode_steps=max_episode_steps,
    )


def exact(picture, height, width):
    """Means of areas, from the definition."""
    rows, columns = (
        np.clip(
            np.minimum.outer(np.arange(1, new + 1) * old / new, np.arange(1, old + 1))
            - np.maximum.outer(np.arange(new) * old / new, np.arange(old)),
            0,
            None,
        )
        * (new / old)
        for old, new in ((picture.shape[0], height), (picture.shape[1], width))
    )
    return np.einsum("yi,ijc,xj->yxc", rows, picture.astype(np.float64), columns)


@pytest.mark.parametrize("size", [(24, 40), (120, 160), (210, 160), (63, 65), (16, 16), (9, 300)])
def test_resizing_takes_means_of_areas(size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    before, resizer = picture.copy(), AreaResizer(48, 32)
    result = resizer(picture)
    assert result.shape == (48, 32, 3) and result.dtype == np.uint8
    assert np.abs(result - exact(picture, 48, 32)).max() <= 0.501
    assert np.array_equal(picture, before)
    for shade in (0, 127, 255):
        assert (resizer(np.full((*size, 3), shade, np.uint8)) == shade).all()


def test_resizing_takes_pictures_that_are_views():
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 4), np.uint8)[::-1, :, :3]
    assert np.array_equal(AreaResizer(16, 16)(picture), AreaResizer(16, 16)(picture.copy()))


@pytest.mark.parametrize(("old", "new"), [(10, 3), (3, 10), (7, 7), (160, 64), (1, 5), (5, 1)])
def test_shares_are_within_the_line_and_whole(old, new):
    first, shares = area_shares(old, new)
    assert first.min() >= 0 and (first + shares.shape[1]).max() <= old
    assert shares.sum(1) == pytest.approx(1) and (shares >= 0).all()


def test_passes_gymnasiums_check(recwarn):
    check_env(gymnasium.make("worldmodel/Pixels-v0", env_id="CartPole-v1").unwrapped)
    check_env(make(frame_skip=3).unwrapped)
    assert not [str(warning.message) for warning in recwarn if "gymnasium" in str(warning.filename)]


@pytest.mark.parametrize("form", ["rgb", "grey", "one channel", "dict", "two", "codes", "none"])
def test_the_picture_is_found(form):
    env = make(form=form, height=16, width=32)
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    assert env.observation_space == spaces.Box(0, 255, (16, 32, 3), np.uint8)
    start = env.unwrapped.inner.unwrapped.start
    assert (observation[:, 16:] == start).all()
    assert (observation[:, :16, 0] == (start if form in ("grey", "one channel") else 200)).all()


def test_what_shows_nothing_is_refused():
    with pytest.raises(ValueError, match="env_id: expected an environment with pictures.*Discrete.*choose another"):
        make(form="none", shows=False)


def test_what_is_no_picture_is_refused(monkeypatch):
    env = make(form="none").unwrapped
    monkeypatch.setattr(Counter, "render", lambda self: np.zeros((8, 8, 3)))
    with pytest.raises(ValueError, match=r"env_id: expected .*got float64 \(8, 8, 3\)"):
        env.reset(seed=0)


def test_a_step_of_several_ticks_is_like_the_ticks():
    single, several = make("rgb_array"), make("rgb_array", frame_skip=4)
    first, _ = single.reset(seed=3)
    assert np.array_equal(several.reset(seed=3)[0], first)
    assert np.array_equal(several.unwrapped.frames, first[None])
    for number in (4, 4, 2):
        ticks = [single.step(2) for _ in range(number)]
        observation, reward, terminated, truncated, info = several.step(2)
        frames = several.unwrapped.frames
        assert np.array_equal(frames, [tick[0] for tick in ticks])
        assert np.array_equal(observation, frames[-1]) and np.array_equal(several.render(), observation)
        assert reward == 2 * number and info["time"] == ticks[-1][4]["time"]
        assert (terminated, truncated) == ticks[-1][2:4]
    assert terminated
    with pytest.raises(gymnasium.error.ResetNeeded, match="is over"):
        several.unwrapped.step(2)
    several.reset(seed=3)
    assert len(several.unwrapped.frames) == 1


def test_a_time_limit_counts_steps():
    env = make(frame_skip=2, max_episode_steps=3)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


def test_a_second_is_as_long_as_before():
    assert make().metadata["render_fps"] == 12
    assert make(frame_skip=4).metadata["render_fps"] == 3
    assert Counter.metadata["render_fps"] == 12 and PixelEnv.metadata["render_fps"] == 20


def test_without_a_render_mode_only_the_last_frame_is_made():
    env = make(frame_skip=4).unwrapped
    env.reset(seed=0)
    assert env.render() is None
    with pytest.raises(RuntimeError, match='pass render_mode="rgb_array"'):
        _ = env.frames
    with pytest.raises(RuntimeError, match="call reset first"):
        _ = make("rgb_array").unwrapped.frames


def test_greyscale_is_brightness_in_three_channels():
    colour, grey = (make(grayscale=grayscale).reset(seed=0)[0] for grayscale in (False, True))
    assert (grey == grey[..., :1]).all()
    assert np.abs(grey[..., 0] - colour @ np.array([0.299, 0.587, 0.114])).max() <= 0.51


def test_observations_belong_to_who_got_them():
    env = make("rgb_array", frame_skip=2)
    first, _ = env.reset(seed=0)
    kept = first.copy()
    second = env.step(0)[0]
    assert np.array_equal(first, kept) and not np.array_equal(first, second)
    shown = env.render()
    second[:], shown[:] = 0, 0
    assert env.render().any() and env.unwrapped.frames[-1].any()


def test_same_seed_same_episode():
    env = make()
    starts = [env.reset(seed=seed)[0] for seed in (1, 1, 2)]
    assert np.array_equal(starts[0], starts[1]) and not np.array_equal(starts[0], starts[2])

    def three():
        return [env.reset(seed=1)[0], env.reset()[0], env.reset()[0]]

    assert np.array_equal(three(), three())


def test_info_is_what_can_be_recorded():
    env = make()
    assert env.reset(seed=0, options={"colour": 1})[1] == {"time": 0}
    assert env.unwrapped.inner.unwrapped.options == {"colour": 1}
    info = env.step(0)[4]
    assert set(info) == {"time", "array", "nested"} and info["nested"] == {"pair": (1, None)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 15}, r"height: expected .*\[16, 2048\], got 15"),
        ({"width": 64.0}, "width: expected a whole number of pixels"),
        ({"frame_skip": 0}, r"frame_skip: expected a whole number of ticks in \[1, 16\], got 0"),
        ({"frame_skip": True}, "frame_skip: expected"),
        ({"grayscale": 1}, "grayscale: expected true or false, got 1"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_unknown_names_are_refused():
    with pytest.raises(TypeError, match="settings: expected any of .*grayscale.*, got 'size'"):
        PixelEnv(env_id="CartPole-v1", size=64)
    with pytest.raises(ValueError, match="render_mode: expected None or one of .*'human'"):
        PixelEnv("human", env_id="CartPole-v1")
    with pytest.raises(gymnasium.error.NameNotFound, match="Nowhere"):
        PixelEnv(env_id="Nowhere-v0")


@pytest.mark.parametrize("action", [5, -1, 1.0, "up", None])
def test_bad_actions_are_refused(action):
    env = make().unwrapped
    with pytest.raises(gymnasium.error.ResetNeeded, match="has not begun"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action: expected a member of Discrete\(5\), got"):
        env.step(action)
    assert env.step(np.int64(3))[1] == 3


def test_a_dream_has_a_twin(tmp_path):
    import torch

    from worldmodel.data.action_codec import ActionCodec
    from worldmodel.envs.twin import Twin
    from worldmodel.model import Metadata, Size, WorldModel, model_config

    torch.manual_seed(0)
    facts = Metadata(
        height=16,
        width=32,
        fps=12.0,
        action_space=ActionCodec(spaces.Discrete(5)).to_json(),
        env_id="worldmodel/Pixels-v0",
        env_kwargs={"env_id": "test_pixels/Counter-v0", "height": 16, "width": 32, "frame_skip": 1},
    )
    WorldModel(model_config(Size.tiny, channels=4, frames_per_latent=2), facts).save(tmp_path)
    twin = Twin(checkpoint=str(tmp_path), num_steps=1, context_steps=2)
    assert twin.real.unwrapped.config.frame_skip == 2
    twin.reset(seed=0)
    step = twin.step(1)
    assert step.real_frames.shape == step.imagined_frames.shape == (2, 16, 32, 3)
    assert step.real[1] == 2 and step.real[4]["time"] == 6
    twin.close()


@pytest.mark.parametrize("name", ["pixels", "vizdoom", "minigrid", "atari"])
def test_the_settings_of_the_command_line_are_the_defaults(name):
    from omegaconf import OmegaConf

    settings = OmegaConf.to_container(OmegaConf.load(ROOT / "configs" / "env" / f"{name}.yaml"))
    module, kind = worldmodel.envs.PIXEL_IDS[settings["id"]].split(":")
    entry = getattr(__import__(module, fromlist=[kind]), kind)
    own = {key: value.default for key, value in inspect.signature(entry).parameters.items()}
    defaults = own | {field: getattr(PixelConfig(), field) for field in PixelConfig.__slots__}
    for key in ("render_mode", "settings"):
        del defaults[key]
    if name == "pixels":
        defaults |= {"env_id": "???", "env_kwargs": {}}
    assert settings["kwargs"] == defaults


def test_importing_the_environments_imports_no_game():
    names = ("vizdoom", "minigrid", "ale_py")
    code = (
        "import sys, worldmodel.envs.pixels, worldmodel.envs.vizdoom, worldmodel.envs.minigrid, worldmodel.envs.atari\n"
        f"assert not set(sys.modules) & set({names})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
