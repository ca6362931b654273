import pytest
import torch
from tiny_world import CODEC, draw_actions, generators, noise_video, normal, tiny_model

from worldmodel.model.generation import denoise_function, generate, infer_actions
from worldmodel.sampling import Guidance, draw_noise, noise_levels, sample, tasks

GRID = (4, 4, 6)
"""Of a video of 7 frames, 16 x 24 pixels, two a latent frame: groups of frames 0, 1-2, 3-4 and 5-6."""
FRAMES = torch.tensor([False, True, False, True])
TOKENS = torch.zeros(GRID, dtype=torch.bool)
TOKENS[1] = True  # a whole frame
TOKENS[2, :2] = True  # a part of one

# For each task, a function of the grid, and which of the 7 frames the result must keep.
TASKS = {
    "generate": (lambda grid: tasks.generate(grid, 2), []),
    "extend_forward": (lambda grid: tasks.extend_forward(grid, 2, known=2), [0, 1, 2]),
    "extend_backward": (lambda grid: tasks.extend_backward(grid, 2, known=2), [3, 4, 5, 6]),
    "connect": (lambda grid: tasks.connect(grid, 2, known_start=1, known_end=1), [0, 5, 6]),
    "infill": (lambda grid: tasks.infill(grid, 2, known_frames=FRAMES), [1, 2, 5, 6]),
    "inpaint": (lambda grid: tasks.inpaint(grid, 2, known_tokens=TOKENS), [1, 2]),
    "edit": (lambda grid: tasks.edit(grid, 2, strength=0.5), []),
    "edit nothing": (lambda grid: tasks.edit(grid, 2, strength=0.0), [0, 1, 2, 3, 4, 5, 6]),
    "loop": (lambda grid: tasks.loop(grid, 2), []),
    "play": (lambda grid: tasks.play(grid, 2, known=2), [0, 1, 2]),
    "infer_actions": (lambda grid: tasks.infer_actions(grid, 2), [0, 1, 2, 3, 4, 5, 6]),
    "pyramid": (lambda grid: tasks.pyramid(grid, 2, known=1, delay_steps=1), [0]),
    "pyramid, actions too": (lambda grid: tasks.pyramid(grid, 2, known=1, delay_steps=1, actions_known=False), [0]),
}


def kept(result, video) -> list[int]:
    return [t for t in range(len(video)) if torch.equal(result[t], video[t])]


@pytest.mark.parametrize("num_frames", [1, 7, 33])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 32), (24, 8)])
def test_one_model_makes_any_duration_and_shape(model, num_frames, height, width):
    video = generate(model, "sand", num_frames=num_frames, height=height, width=width, num_steps=2)
    assert video.shape == (num_frames, height, width, 3)
    assert video.dtype == torch.uint8
    assert video.float().std() > 10
    if num_frames > 1:
        assert not torch.equal(video[0], video[-1])


def test_size_of_the_training_data_by_default(model):
    assert generate(model, num_steps=1).shape == (1, 16, 24, 3)
    assert generate(model, width=8, num_steps=1).shape == (1, 16, 8, 3)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", TASKS)
def test_every_task_keeps_what_is_known(model, name, causal):
    task, known = TASKS[name]
    video = noise_video(8 if name == "loop" else 7)  # a loop has whole groups, of two frames, only
    result = generate(model, "sand", video=video, task=task, causal=causal, seed=3)
    assert result.shape == video.shape and result.dtype == torch.uint8
    assert kept(result, video) == known


@pytest.mark.parametrize("num_frames", [2, 6, 8])
@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_known_frames_are_kept_for_any_grouping(ratio, num_frames):
    model, video = tiny_model(frames_per_latent=ratio), noise_video(num_frames)
    first = generate(model, video=video, task=lambda grid: tasks.extend_forward(grid, 1, known=grid[0] - 1))
    last = generate(model, video=video, task=lambda grid: tasks.extend_backward(grid, 1, known=1))
    groups = [-(-t // ratio) for t in range(num_frames)]
    assert kept(first, video) == [t for t in range(num_frames) if groups[t] < groups[-1]]
    assert kept(last, video) == [t for t in range(num_frames) if groups[t] == groups[-1]]


def test_known_tokens_are_kept_by_the_sampler(model):
    shown = []
    schedule = tasks.inpaint(GRID, 2, known_tokens=TOKENS)
    latents = model.encode(noise_video(7))[None]

    def denoise(z, sigma, action_z, action_sigma):
        shown.append((z, sigma))
        return inner(z, sigma, action_z, action_sigma)

    inner = denoise_function(model, model.embed_prompts([""]), schedule)
    result = sample(denoise, schedule, latents, model.null_actions(1, 4), generators(0))
    assert torch.equal(result.latents[0][TOKENS], latents[0][TOKENS])
    assert (result.latents[0][~TOKENS] != latents[0][~TOKENS]).all()
    for z, sigma in shown:
        assert torch.equal(z[0][TOKENS], latents[0][TOKENS])
        assert (sigma[0][TOKENS] == 0).all() and (sigma[0][~TOKENS] > 0).all()


def test_what_is_known_has_a_say_and_what_is_not_has_none(model):
    video = noise_video(7)

    def extend(video):
        return generate(model, video=video, task=lambda grid: tasks.extend_forward(grid, 2, known=2), seed=1)[3:]

    before = extend(video)
    unknown, known = video.clone(), video.clone()
    unknown[3:] = 0
    known[0] = 255 - known[0]
    assert torch.equal(extend(unknown), before)
    assert not torch.equal(extend(known), before)


def test_strength_of_an_edit(model):
    """Below 1 the video has a say, and the less the higher it is; at 1 the video is made anew."""
    video, other = noise_video(7), noise_video(7, seed=1)

    def edit(video, strength):
        seen = []
        generate(
            model,
            "lava",
            video=video,
            task=lambda grid: tasks.edit(grid, 4, strength=strength),
            on_step=lambda _, x: seen.append(x),
        )
        return seen[0]

    def say(strength):
        return (edit(video, strength) - edit(other, strength)).square().mean()

    assert say(0.1) > say(0.6) > say(0.95) > say(1.0) == 0
    fresh = generate(model, "lava", num_frames=7, num_steps=4)
    assert torch.equal(generate(model, "lava", video=video, task=lambda grid: tasks.edit(grid, 4, strength=1.0)), fresh)


def test_same_seed_same_video(model):
    torch.manual_seed(1)
    one = generate(model, "sand", num_frames=5, num_steps=2, seed=7)
    torch.manual_seed(2)  # the global generator has no say, and is not used
    before = torch.get_rng_state()
    assert torch.equal(generate(model, "sand", num_frames=5, num_steps=2, seed=7), one)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(generate(model, "sand", num_frames=5, num_steps=2, seed=8), one)


def test_prompt_changes_the_video(model):
    videos = [generate(model, prompt, num_frames=3, num_steps=4) for prompt in ("", "snow", "lava and fire")]
    assert not torch.equal(videos[0], videos[1])
    assert not torch.equal(videos[1], videos[2])


def test_actions_change_the_frames_they_lead_to(model):
    """In causal mode, where nothing comes before its cause: action t leads to frame t + 1."""
    actions = draw_actions(6)

    def make(actions):
        return generate(model, num_frames=7, num_steps=2, actions=actions, causal=True)

    before = make(actions)
    for t in (0, 1, 2, 4, 5):
        other = [dict(action) for action in actions]
        other[t]["move"] = (other[t]["move"] + 1) % 5
        changed = [not torch.equal(one, two) for one, two in zip(before, make(other), strict=True)]
        first = 1 + t // 2 * 2  # of the latent frame that frame t + 1 is in
        assert changed == [frame >= first for frame in range(7)]
    assert not torch.equal(generate(model, num_frames=7, num_steps=2, causal=True), before)


def test_guidance_of_one_is_off_and_scales_change_the_video(model):
    video, actions = noise_video(5), draw_actions(4)

    def make(guidance=None):
        return generate(
            model,
            "snow",
            video=video,
            actions=actions,
            task=lambda grid: tasks.extend_forward(grid, 2, known=1),
            guidance=guidance,
        )

    assert torch.equal(make(Guidance(text=1.0, action=1.0, history=1.0)), make())
    videos = [make(), make(Guidance(text=4.0)), make(Guidance(action=4.0)), make(Guidance(history=4.0))]
    for i, one in enumerate(videos):
        assert torch.equal(one[:1], video[:1]), "guidance must not touch what is known"
        assert all(not torch.equal(one, other) for other in videos[:i])


def test_guidance_of_zero_ignores_the_prompt(model):
    def latents(prompt, guidance=None):
        seen = []
        generate(model, prompt, num_steps=3, guidance=guidance, on_step=lambda _, x: seen.append(x))
        return seen[-1]

    torch.testing.assert_close(latents("snow", Guidance(text=0.0)), latents(""), atol=1e-4, rtol=1e-4)
    assert (latents("snow") - latents("")).abs().max() > 1e-3


def test_guidance_without_a_condition_changes_nothing(model):
    """No prompt, no action and no known frame: the push away from none of them is zero."""
    plain = generate(model, num_frames=3, num_steps=2)
    pushed = generate(model, num_frames=3, num_steps=2, guidance=Guidance(text=3.0, action=3.0, history=3.0))
    assert (plain.int() - pushed.int()).abs().max() <= 1


def test_progress_is_told(model):
    seen = []
    generate(model, num_frames=3, num_steps=3, on_step=lambda step, x: seen.append((step, tuple(x.shape))))
    assert seen == [(step, (1, 2, 4, 6, 4)) for step in range(3)]


def bound(model, schedule, prompts=("sand",), causal=False):
    return denoise_function(model, model.embed_prompts(prompts), schedule, causal=causal)


@pytest.mark.parametrize(
    ("schedule", "size"),
    [
        (tasks.generate(GRID, 1), 3),
        (tasks.generate(GRID, 2), 2),
        (tasks.generate(GRID, 4), 1),
        (tasks.generate(GRID, 3), 0),
        (tasks.extend_forward(GRID, 4, known=2), 1),
        (tasks.generate(GRID, 4, shift=3.0), 0),
        (tasks.edit(GRID, 2, strength=0.5), 0),
        (tasks.pyramid(GRID, 2, known=0, delay_steps=1), 0),
        (tasks.infer_actions(GRID, 2), 0),
    ],
)
def test_size_of_equal_steps_is_told_to_the_model(model, schedule, size, monkeypatch):
    told = []
    forward = model.denoiser.forward
    monkeypatch.setattr(model.denoiser, "forward", lambda inputs: told.append(inputs.step_size) or forward(inputs))
    latents = normal(1, *GRID, 4)
    sample(bound(model, schedule), schedule, latents, model.null_actions(1, 4), generators(0))
    assert {step_size.item() for step_size in told} == {size}


@pytest.mark.parametrize("shift", [1, 3])
def test_loop_is_sampled_the_same_wherever_it_starts(model, shift):
    """Noise rolled in time gives the loop, rolled in time: it has no seam."""
    schedule = tasks.loop(GRID, 3)
    noise = normal(1, *GRID, 4), normal(1, 4, 2, 31)
    given = torch.zeros(1, *GRID, 4), model.null_actions(1, 4)

    def loop(noise):
        return sample(bound(model, schedule), schedule, *given, noise=noise).latents

    rolled = loop(tuple(part.roll(shift, 1) for part in noise))
    torch.testing.assert_close(rolled, loop(noise).roll(shift, 1), atol=1e-3, rtol=1e-3)


def test_loop_with_actions_is_sampled_the_same_wherever_it_is_rolled(model):
    """Rolling is a view of the sampler's: for a model that sees a loop, it must change nothing."""
    schedule = tasks.loop(GRID, 3)
    actions = model.action_vectors(draw_actions(6))[None]  # (1, 4, r, A), the first of them null
    noise = normal(1, *GRID, 4), torch.zeros_like(actions)

    def loop(roll):
        denoise = bound(model, schedule)
        return sample(denoise, schedule, torch.zeros(1, *GRID, 4), actions, noise=noise, roll=roll).latents

    torch.testing.assert_close(loop(True), loop(False), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_loop_has_all_of_its_frames(ratio):
    """No group is a still there: as many frames as were asked for, in whole groups, and an action for each."""
    model = tiny_model(frames_per_latent=ratio)

    def loop(actions=None, num_frames=8):
        return generate(model, num_frames=num_frames, actions=actions, task=lambda grid: tasks.loop(grid, 2))

    assert loop().shape == (8, 16, 24, 3)
    actions = draw_actions(8)
    assert not torch.equal(loop(actions), loop())
    assert not torch.equal(loop(actions), loop(actions[:-1] + draw_actions(1, seed=5)))
    with pytest.raises(ValueError, match="^actions: expected 8 for 8 frames, got 7"):
        loop(actions[:-1])
    if ratio > 1:
        with pytest.raises(ValueError, match=f"^num_frames: expected a multiple of {ratio} for a loop, got 7"):
            loop(num_frames=7)


def test_item_is_the_same_alone_and_in_a_batch(model):
    schedule, prompts = tasks.generate(GRID, 2, actions_known=False), ["a snowy forest", "", "sand"]
    latents, actions = torch.zeros(3, *GRID, 4), model.null_actions(3, 4)
    together = sample(bound(model, schedule, prompts), schedule, latents, actions, generators(1, 2, 3))
    for i, prompt in enumerate(prompts):
        denoise = bound(model, schedule, [prompt])
        alone = sample(denoise, schedule, latents[:1], actions[:1], generators(i + 1))
        torch.testing.assert_close(together.latents[i : i + 1], alone.latents, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together.actions[i : i + 1], alone.actions, atol=1e-4, rtol=1e-4)


def test_one_step_is_the_prediction_itself(model):
    schedule = tasks.generate(GRID, 1)
    noise = draw_noise((1, *GRID, 4), generators(5))
    result = sample(bound(model, schedule), schedule, torch.zeros(1, *GRID, 4), model.null_actions(1, 4), generators(5))
    inputs = model.inputs(noise, 1.0, text=model.embed_prompts(["sand"]), step_size=3, causal=False)
    with torch.no_grad():
        torch.testing.assert_close(result.latents, model.denoiser(inputs).latents)
    assert noise_levels(1).tolist() == [1, 0]


@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_actions_are_inferred_for_every_frame_but_the_first(ratio):
    model, video = tiny_model(frames_per_latent=ratio), noise_video(6)
    vectors = infer_actions(model, video, num_steps=2)
    assert vectors.shape == (5, CODEC.width)
    for factor in CODEC.factors:
        torch.testing.assert_close(vectors[:, factor.slice].sum(-1), torch.ones(5), atol=1e-4, rtol=0)
    assert all(CODEC.space.contains(CODEC.decode(vector.clamp_min(0).numpy())) for vector in vectors)
    assert torch.equal(infer_actions(model, video, num_steps=2), vectors)
    video[5] = 255 - video[5]
    assert not torch.equal(infer_actions(model, video, num_steps=2), vectors)


def test_inferred_action_belongs_to_its_frame():
    """With time attention silenced, the action that leads to a frame is told from that frame and the one before."""
    model = tiny_model(frames_per_latent=1)
    for block in model.denoiser.transformer.blocks:
        if block.with_time:
            torch.nn.init.zeros_(block.time.out.weight)
    video = noise_video(6)
    before = infer_actions(model, video, num_steps=1)
    video[3] = 255 - video[3]
    changed = (infer_actions(model, video, num_steps=1) != before).any(-1).tolist()
    assert changed == [False, False, True, True, False]  # rows lead to frames 1 to 5


def test_inverse_dynamics_tells_that_nothing_led_to_the_first_frame(model, monkeypatch):
    told = []
    forward = model.denoiser.forward
    monkeypatch.setattr(model.denoiser, "forward", lambda inputs: told.append(inputs) or forward(inputs))
    infer_actions(model, noise_video(5), num_steps=2)
    assert [inputs.action_null.tolist() for inputs in told] == [[[True, False, False]]] * 2
    assert [inputs.action_sigma.tolist() for inputs in told] == [[[1.0] * 3], [[0.5] * 3]]
    assert all((inputs.sigma == 0).all() and not inputs.causal for inputs in told)


def test_model_without_actions(model):
    plain = tiny_model(actions=False)
    assert generate(plain, "sand", num_frames=3, num_steps=2).shape == (3, 16, 24, 3)
    with pytest.raises(ValueError, match="^model: expected one that was trained with actions"):
        infer_actions(plain, noise_video(3))
    with pytest.raises(ValueError, match="^actions: expected none"):
        generate(plain, num_frames=3, actions=draw_actions(2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_frames": 0}, "num_frames: expected at least 1, got 0"),
        ({"height": 12}, "height: expected a positive multiple of 8 pixels, got 12"),
        ({"width": 20}, "width: expected a positive multiple of 8 pixels, got 20"),
        ({"num_frames": 3, "actions": draw_actions(3)}, "actions: expected 2 for 3 frames, got 3"),
        ({"video": noise_video(2).float()}, "video: expected uint8"),
        ({"video": noise_video(2, 12, 24)}, "height: expected a positive multiple of 8"),
        ({"prompt": "word " * 20}, "prompt: expected at most 12 words, got 20"),
        ({"num_steps": 0}, "num_steps: expected at least 1, got 0"),
        ({"num_frames": 5, "task": TASKS["extend_forward"][0]}, "video: expected one, because the task keeps"),
    ],
)
def test_what_does_not_fit_is_named(model, settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        generate(model, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"video": noise_video(2)[0, 0]}, "video: expected uint8"), ({"height": 0}, "height: expected .* got 0")],
    ids=["video of two axes", "height 0"],
)
def test_what_does_not_fit_at_all_is_named(model, settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        generate(model, **settings)


def test_prompt_that_is_no_string_is_refused(model):
    with pytest.raises(TypeError, match="^prompt: expected a string, got NoneType"):
        generate(model, None)
