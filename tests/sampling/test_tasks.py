import pytest
import torch
from task_table import FRAMES, GRID, TASKS, TOKENS

from worldmodel.sampling import noise_levels, tasks


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("num_steps", [1, 4, 9])
def test_schedules_are_valid(name, num_steps):
    schedule = TASKS[name](num_steps)
    schedule.validate()  # in range, never rising, ending at 0
    assert schedule.grid == GRID
    assert schedule.periodic == (name == "loop")
    if not name.startswith("pyramid"):
        assert schedule.num_steps == num_steps


# For each of the T latent frames whether it is known (k), then the same for actions.
KNOWN = {
    "generate": (".....", "kkkkk"),
    "generate, actions too": (".....", "....."),
    "extend_forward": ("kk...", "kkkkk"),
    "extend_forward, actions too": ("kk...", "....."),
    "extend_backward": ("...kk", "kkkkk"),
    "connect": ("k..kk", "kkkkk"),
    "infill": ("k.k..", "kkkkk"),
    "edit": (".....", "kkkkk"),
    "loop": (".....", "kkkkk"),
    "play": ("kk...", "kk..."),
    "infer_actions": ("kkkkk", "....."),
    "pyramid": ("k....", "kkkkk"),
    "pyramid, actions too": (".....", "....."),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known(name):
    schedule = TASKS[name](4)
    frames, actions = (torch.tensor([letter == "k" for letter in letters]) for letters in KNOWN[name])
    assert schedule.known_latents.equal(frames[:, None, None].expand(GRID))
    assert schedule.known_actions.equal(actions)


def test_inpaint_knows_single_tokens():
    schedule = TASKS["inpaint"](4)
    assert schedule.known_latents.equal(TOKENS)
    assert schedule.latents[:, 1, 0, 1].equal(noise_levels(4))


@pytest.mark.parametrize("name", [name for name in TASKS if not name.startswith(("pyramid", "edit"))])
def test_unknown_parts_fall_together_from_pure_noise(name):
    schedule = TASKS[name](6)
    for levels, known in (
        (schedule.latents, schedule.known_latents),
        (schedule.actions, schedule.known_actions),
    ):
        unknown = levels[:, ~known]
        assert unknown.equal(noise_levels(6)[:, None].expand_as(unknown))


@pytest.mark.parametrize("task", [tasks.generate, tasks.loop, tasks.infer_actions])
def test_shift_reaches_the_levels(task):
    schedule = task((3, 2, 2), 5, shift=3.0)
    levels = schedule.actions[:, 1] if task is tasks.infer_actions else schedule.latents[:, 1, 1, 1]
    assert levels.equal(noise_levels(5, shift=3.0))


def test_edit_starts_at_its_strength():
    schedule = tasks.edit(GRID, 5, strength=0.6, actions_known=False)
    assert (schedule.latents[0] == 0.6).all() and (schedule.actions[0] == 0.6).all()
    assert tasks.edit(GRID, 5, strength=1.0).latents.equal(tasks.generate(GRID, 5).latents)
    assert tasks.edit(GRID, 5, strength=0.0).known_latents.all()


def test_pyramid_delays_each_frame():
    schedule = tasks.pyramid((4, 1, 1), 4, known=1, delay_steps=2, actions_known=False)
    assert schedule.num_steps == 4 + 2 * 2
    assert schedule.latents[:, :, 0, 0].T.tolist() == [
        [0.0] * 9,
        [1.0, 0.75, 0.5, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0],
        [1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0, 0.0],
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0],
    ]
    assert schedule.actions[:, 1:].equal(schedule.latents[:, 1:, 0, 0])
    assert schedule.actions[:, 0].equal(schedule.actions[:, 1])


def test_pyramid_without_delay_extends():
    flat, extended = tasks.pyramid(GRID, 4, known=2, delay_steps=0), tasks.extend_forward(GRID, 4, known=2)
    assert flat.latents.equal(extended.latents) and flat.actions.equal(extended.actions)


def test_pyramid_of_full_delay_has_one_noisy_frame_at_a_time():
    levels = tasks.pyramid(GRID, 4, known=1, delay_steps=4).latents[:, :, 0, 0]
    assert (((levels > 0) & (levels < 1)).sum(dim=1) <= 1).all()


def test_a_single_image():
    assert tasks.generate((1, 8, 6), 3).grid == (1, 8, 6)


@pytest.mark.parametrize(
    ("task", "arguments", "message"),
    [
        (tasks.generate, {"grid": (0, 1, 1)}, r"grid: expected .* got \(0, 1, 1\)"),
        (tasks.generate, {"num_steps": 0}, "num_steps: expected"),
        (tasks.pyramid, {"num_steps": 0, "known": 0, "delay_steps": 0}, "num_steps: expected"),
        (tasks.extend_forward, {"known": 0}, "known: expected 1 to 4, got 0"),
        (tasks.extend_forward, {"known": 5}, "known: expected 1 to 4, got 5"),
        (tasks.extend_forward, {"known": 1, "grid": (1, 2, 2)}, "grid: expected more latent frames"),
        (tasks.extend_backward, {"known": 5}, "known: expected 1 to 4, got 5"),
        (tasks.connect, {"known_start": 4, "known_end": 1}, "known_start: expected 1 to 3, got 4"),
        (tasks.connect, {"known_start": 3, "known_end": 2}, "known_end: expected 1 to 1, got 2"),
        (tasks.play, {"known": 5}, "known: expected 0 to 4, got 5"),
        (tasks.play, {"known": -1}, "known: expected 0 to 4, got -1"),
        (tasks.pyramid, {"known": 5, "delay_steps": 1}, "known: expected 0 to 4"),
        (tasks.pyramid, {"known": 1, "delay_steps": 5}, "delay_steps: expected 0 to 4, got 5"),
        (tasks.edit, {"strength": 1.1}, "strength: expected .* got 1.1"),
        (tasks.edit, {"strength": float("nan")}, "strength: expected"),
        (tasks.infill, {"known_frames": FRAMES[:4]}, r"known_frames: expected bool \(5,\).* \(4,\)"),
        (tasks.infill, {"known_frames": FRAMES.float()}, "known_frames: expected bool .* torch.float32"),
        (tasks.infill, {"known_frames": torch.ones(5, dtype=torch.bool)}, "nothing to sample"),
        (tasks.inpaint, {"known_tokens": FRAMES}, r"known_tokens: expected bool \(5, 1, 2\).* got .*\(5,\)"),
        (tasks.inpaint, {"known_tokens": torch.ones(GRID, dtype=torch.bool)}, "nothing to sample"),
    ],
)
def test_tasks_refuse(task, arguments, message):
    with pytest.raises(ValueError, match=message):
        task(**({"grid": GRID, "num_steps": 4} | arguments))
