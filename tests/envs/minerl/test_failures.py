"""The bridge survives what MineRL does: each failure within a stated time, told clearly, and nothing left over."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import gymnasium
import pytest
from bridge_tools import FAKE, PYTHON, is_alive

from worldmodel.envs.minerl.errors import Failure, MineRLError

SOON = 10.0
"""Seconds: a loaded machine may need some where an idle one needs a tenth of one."""

IN_STEP = [
    ("crash", Failure.CRASH, "step: the MineRL process has ended .by signal SIGABRT.*Call reset"),
    ("exit", Failure.CRASH, "step: the MineRL process has ended .exit status 3"),
    ("hang", Failure.TIMEOUT, r"step: expected an answer of .* within 0.4 s .step_timeout_seconds.*give it more time"),
    ("garbage", Failure.GARBAGE, "step: expected an answer of the MineRL process, got garbage .*java.lang.Error"),
    ("raise", Failure.EXCEPTION, "step: MineRL raised AssertionError: the world is flat\n.*fake_minerl.py"),
    ("error", Failure.LOST, "step: MineRL has lost Minecraft .Connection timed out!., and made an observation up"),
    ("shape", Failure.INVALID, r"observation\['pov'\]: expected Box.*got uint8 of shape \(63, 64, 3\); it is no data"),
]
LIES = [
    ("dtype", r"observation\['pov'\]: expected Box.*got float64 of shape \(64, 64, 3\)"),
    ("key", "observation: expected the keys .*'pov'.*got the keys"),
    ("none", "observation: expected the keys .*got None"),
    ("count", r"observation\['inventory'\]\['dirt'\]: expected Box.*got 1099511627776"),
    ("word", r"\['mainhand'\]\['type'\]: expected Enum.*got 'spoon'"),
    ("nan", "reward: expected a finite number, got nan"),
    ("done", "done: expected True or False, got 'yes'"),
    ("info", "info: expected a dictionary, got None"),
]


@contextmanager
def within(seconds):
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


@pytest.mark.parametrize(("trouble", "failure", "message"), IN_STEP, ids=[row[0] for row in IN_STEP])
def test_a_step_that_fails_raises_and_the_next_episode_is_well(make, children, tmp_path, trouble, failure, message):
    once = str(tmp_path / "once")
    seconds = 0.4 if trouble == "hang" else 30
    env = make("MineRLTreechop-v0", {"step_timeout_seconds": seconds}, trouble=trouble, child=children.path, once=once)
    env.reset(seed=3)
    env.step({})
    with within(SOON), pytest.raises(MineRLError, match=f"(?s){message}") as error:
        env.step({})
    assert error.value.failure is failure
    assert trouble == "raise" or children(SOON)  # an exception is no reason to start Minecraft again
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step({})
    observation, _ = env.reset(seed=4)
    assert (observation["pov"] == 4).all() and env.step({})[1] == 1 and env.step({})[1] == 2
    env.close()
    assert children(SOON)


@pytest.mark.parametrize(("trouble", "message"), LIES, ids=[row[0] for row in LIES])
def test_what_cannot_be_true_is_no_data(make, trouble, message):
    env = make("MineRLObtainDiamond-v0", trouble=trouble, at=1)
    env.reset(seed=3)  # the picture is of this grey level: 0 would be the same as fractions
    with pytest.raises(MineRLError, match=f"(?s){message}") as error:
        env.step({})
    assert error.value.failure is Failure.INVALID


@pytest.mark.parametrize("trouble", ["crash", "hang", "error", "shape"])
def test_a_step_that_fails_truncates_if_asked_to_and_shows_nothing_made_up(make, trouble):
    env = make("MineRLTreechop-v0", {"on_failure": "truncate", "step_timeout_seconds": 0.4}, trouble=trouble)
    env.reset(seed=3)
    before = env.step({})[0]
    observation, reward, terminated, truncated, info = env.step({})
    assert (observation["pov"] == before["pov"]).all() and (reward, terminated, truncated) == (0.0, False, True)
    kinds = {"crash": "crash", "hang": "timeout", "error": "lost", "shape": "invalid"}
    assert info["failure"] == kinds[trouble] and len(info["error"]) > 20
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step({})


@pytest.mark.parametrize("trouble", ["crash", "hang", "raise", "garbage", "shape"])
def test_a_reset_that_fails_is_tried_again_with_another_process(make, children, tmp_path, trouble):
    settings = {"reset_timeout_seconds": 0.4 if trouble == "hang" else 30, "restarts": 1}
    env = make(settings=settings, trouble=f"reset {trouble}", once=str(tmp_path / "once"), child=children.path)
    first = env._bridge.process_id
    env.config.reset_timeout_seconds = max(env.config.reset_timeout_seconds, 0.4)
    observation, _ = env.reset(seed=9)
    assert (observation["pov"] == 9).all() and env._bridge.process_id != first and not is_alive(first)


def test_a_reset_that_always_fails_is_given_up(make, children):
    env = make(settings={"restarts": 2}, trouble="reset crash", child=children.path)
    with within(3 * SOON), pytest.raises(MineRLError, match="reset: failed 3 times; the last time: reset: the MineRL"):
        env.reset()
    assert children(SOON) and len(Path(children.path).read_text().split()) == 6


def test_a_start_that_hangs_is_given_up(make, tmp_path):
    module = tmp_path / "slow_minerl.py"
    module.write_text("import time\ntime.sleep(300)\n")
    with within(SOON), pytest.raises(MineRLError, match="expected an answer .* within 0.4 s .start_timeout_seconds"):
        make(settings={"module": str(module), "start_timeout_seconds": 0.4})


def test_what_minerl_printed_is_in_the_error(make):
    env = make(trouble="crash")
    env.reset()
    env.step({})
    with pytest.raises(MineRLError, match="(?s)The last that it printed:.*MineRL prints such things"):
        env.step({})


@pytest.mark.parametrize("who", ["minerl", "guard"])
def test_a_process_that_is_killed(make, children, who):
    env = make(child=children.path)
    env.reset()
    minecraft, worker = map(int, Path(children.path).read_text().split())
    os.kill(worker if who == "minerl" else env._bridge.process_id, signal.SIGKILL)
    while is_alive(worker):
        time.sleep(0.01)
    with within(SOON), pytest.raises(MineRLError, match="the MineRL process has ended .by signal SIGKILL") as error:
        env.step({})
    assert error.value.failure is Failure.CRASH
    if who == "minerl":
        assert children(SOON)
    else:
        os.killpg(minecraft, signal.SIGKILL)  # all that nobody looks after is what a SIGKILL of the guard leaves
    assert env.reset(seed=1)[0]["pov"].max() == 1


def test_a_guard_that_is_asked_to_end_ends_all(make, children):
    env = make(child=children.path)
    env.reset()
    os.kill(env._bridge.process_id, signal.SIGTERM)
    assert children(SOON)


def test_minerl_that_does_not_close_is_ended(make, children):
    env = make(settings={"close_timeout_seconds": 0.5}, trouble="deaf", child=children.path)
    env.reset()
    with within(SOON):
        env.close()
    assert children(SOON)


def test_an_environment_that_is_forgotten_takes_its_processes_along(children):
    from worldmodel.envs.minerl.env import MineRLEnv

    env = MineRLEnv(python=PYTHON, module=FAKE, task_arguments={"child": children.path})
    env.reset()
    del env
    gc.collect()
    assert children(SOON)


PARENT = """
import sys
from worldmodel.envs.minerl.env import MineRLEnv
arguments = {"child": sys.argv[2], "trouble": sys.argv[3]}
env = MineRLEnv(python=sys.argv[4], module=sys.argv[1], task_arguments=arguments)
env.reset()
print("ready", flush=True)
for _ in range(1000):
    env.step({})
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_parent_that_dies_while_minerl_hangs_leaves_nothing(children, number):
    command = [sys.executable, "-c", PARENT, FAKE, children.path, "hang", PYTHON]
    parent = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Tests that run in the background of a shell would have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert parent.stdout.readline() == b"ready\n"
    time.sleep(0.2)
    parent.send_signal(number)
    with within(SOON):
        assert parent.wait() != 0
        assert children(SOON)
    parent.stdout.close()


def test_a_parent_that_ends_without_close_leaves_nothing(children):
    program = PARENT.replace("range(1000)", "range(1)")
    command = [sys.executable, "-c", program, FAKE, children.path, "none yet", PYTHON]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert children(SOON)


def test_whoever_interrupts_a_step_can_go_on_with_the_same_process(make, tmp_path):
    env = make("MineRLTreechop-v0", trouble="nap")
    env.reset(seed=1)
    process = env._bridge.process_id
    env.step({})
    # Tests that run in the background of a shell would have it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        env.step({})  # sleeps a second
    signal.signal(signal.SIGINT, before)
    timer.join()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step({})
    observation, _ = env.reset(seed=50)
    assert (observation["pov"] == 50).all() and env.step({})[1] == 1 and env._bridge.process_id == process


def test_an_environment_made_in_a_thread_that_has_ended_goes_on(make):
    made = []
    thread = threading.Thread(target=lambda: made.append(make()))
    thread.start()
    thread.join()
    time.sleep(0.3)
    assert made[0].reset(seed=5)[0]["pov"].max() == 5


def test_a_fork_that_forgets_its_copy_does_no_harm(make):
    env = make()
    env.reset(seed=6)
    if (child := os.fork()) == 0:
        env._bridge.kill()
        os._exit(0)
    os.waitpid(child, 0)
    assert env.step({})[1] == 1
