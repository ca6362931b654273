"""The window, without a screen."""

import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import worldmodel.envs
from worldmodel.envs.viewer import LEAST_HEIGHT, Viewer

sys.path.append(str(Path(__file__).parent / "imagined"))  # for dream_checkpoint


@pytest.fixture
def pygame(monkeypatch):
    """The package, with a display that needs no screen and is closed afterwards."""
    package = pytest.importorskip("pygame")
    package.display.quit()
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    yield package
    package.display.quit()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    from dream_checkpoint import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("dreams") / "tiny")


def shown(pygame):
    """What the window shows: uint8 (H, W, 3)."""
    return pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)


def test_frames_are_shown_enlarged_and_no_faster_than_they_should(pygame):
    viewer = Viewer("a title", fps=50)
    assert not pygame.display.get_init()  # opens no window before there is something to show
    frames = np.random.default_rng(0).integers(256, size=(4, 20, 31, 3), dtype=np.uint8)
    begun = time.monotonic()
    viewer.show(frames)
    viewer.show(frames[:2])
    assert time.monotonic() - begun >= 5 / 50
    assert pygame.display.get_caption()[0] == "a title"
    scale = LEAST_HEIGHT // 20
    np.testing.assert_array_equal(shown(pygame), frames[1].repeat(scale, 0).repeat(scale, 1))
    viewer.close()
    viewer.close()
    assert not pygame.display.get_init()


def test_large_frames_are_shown_as_they_are(pygame):
    viewer = Viewer("", fps=1000)
    frame = np.random.default_rng(0).integers(256, size=(LEAST_HEIGHT + 2, 40, 3), dtype=np.uint8)
    viewer.show(frame[None])
    np.testing.assert_array_equal(shown(pygame), frame)
    viewer.close()


def test_a_dream_in_a_window(pygame, checkpoint):
    settings = {"checkpoint": checkpoint, "actions": "discrete"}
    with gymnasium.make(worldmodel.envs.IMAGINED_ID, render_mode="human", **settings) as env:
        other = gymnasium.make(worldmodel.envs.IMAGINED_ID, **settings)
        for _ in range(2):
            observation, _ = env.reset(seed=1)
            np.testing.assert_array_equal(observation, other.reset(seed=1)[0])
            scale = LEAST_HEIGHT // 48
            np.testing.assert_array_equal(shown(pygame), observation.repeat(scale, 0).repeat(scale, 1))
            for action in (1, 4):
                observation = env.step(action)[0]
                np.testing.assert_array_equal(observation, other.step(action)[0])
                np.testing.assert_array_equal(shown(pygame), observation.repeat(scale, 0).repeat(scale, 1))
                assert env.render() is None
    assert not pygame.display.get_init()
    env.unwrapped.reset(seed=1)  # a closed environment opens its window again when it goes on
    assert pygame.display.get_init()
    env.close()


def test_without_the_package_only_the_window_is_missing_and_the_error_names_the_extra(checkpoint):
    code = f"""if True:
        import sys
        sys.modules["pygame"] = None
        import gymnasium, worldmodel.envs
        gymnasium.make("worldmodel/Imagined-v0", checkpoint={checkpoint!r}, render_mode="rgb_array").reset(seed=0)
        print("made")
        gymnasium.make("worldmodel/Imagined-v0", checkpoint={checkpoint!r}, render_mode="human")
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "made" and result.returncode == 1
    assert 'ImportError: render_mode="human" needs the extra "human"' in result.stderr
    assert "pip install 'worldmodel[human]' -c constraints.txt" in result.stderr
