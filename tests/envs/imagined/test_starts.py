import numpy as np
import pytest
import torch
from dream_checkpoint import write_checkpoint
from dream_tools import SIDE, action, draw_actions, full_precision, levels, make, picture  # noqa: F401 - for all tests

from worldmodel.data import Episode, EpisodeSource
from worldmodel.data.episodes import write_episode
from worldmodel.data.recording import Format, Recording, RecordingPlan
from worldmodel.envs.imagined import dreams
from worldmodel.model import streaming
from worldmodel.model.starts import STARTS


@pytest.fixture(scope="module")
def env(checkpoint):
    return make(checkpoint)


@pytest.fixture
def seen(env, monkeypatch):
    """What reaches the model: the latents and actions it observes, and the prompts, of the latest reset."""
    found = {"latents": [], "actions": [], "prompts": []}
    begin, observe = streaming.begin, streaming.observe

    def watch_begin(model, prompts, *size):
        found["prompts"] += prompts
        return begin(model, prompts, *size)

    def watch_observe(model, state, latents, actions, generators):
        found["latents"].append(latents[0])
        found["actions"].append(actions[0])
        return observe(model, state, latents, actions, generators)

    monkeypatch.setattr(dreams.streaming, "begin", watch_begin)
    monkeypatch.setattr(dreams.streaming, "observe", watch_observe)
    return found


def episode(frames: int, seed: int = 0) -> Episode:
    return Episode(
        frames=picture(seed, frames),
        actions=draw_actions(frames - 1, seed),
        rewards=np.zeros(frames - 1),
        terminated=False,
        truncated=True,
        infos=[{"caption": f"at tick {t}"} for t in range(frames)],
        source=EpisodeSource(env_id="worldmodel/Voxel-v0"),
    )


def assert_seen(env, seen, video, actions):
    """The model has seen a video with actions, one a tick, or none."""
    latents = env.model.encode(torch.from_numpy(video))
    vectors = env.model.null_actions(1, len(latents))[0] if actions is None else env.model.action_vectors(actions)
    torch.testing.assert_close(torch.stack(seen["latents"]), latents)
    assert torch.equal(torch.stack(seen["actions"]), vectors)
    assert (vectors[0] == 0).all(), "nothing led to the first frame"
    assert actions is None or len(actions) == 0 or (vectors[1:].sum(-1) > 1).all()
    cache = env.get_state().state.cache
    assert cache.count.tolist() == [len(latents)]


def first_frame(env, latents):
    return env.model.decode_groups(latents[None])[0, -1].numpy()


def test_image(env, seen):
    observation, info = env.reset(seed=0, options={"image": picture(), "prompt": "sand"})
    assert_seen(env, seen, picture()[None], [])
    assert seen["prompts"] == ["sand"] and info["caption"] == "sand"
    assert np.array_equal(observation, first_frame(env, seen["latents"][0]))
    assert env.reset(seed=0, options={"image": picture()})[1]["caption"] == ""
    env.step({})


@pytest.mark.parametrize("frames", [1, 3, 7])
def test_video_with_actions(env, seen, frames):
    video, actions = picture(frames=frames), draw_actions(frames - 1)
    observation, info = env.reset(seed=0, options={"video": video, "actions": actions, "prompt": "sand"})
    assert_seen(env, seen, video, actions)
    assert info["caption"] == "sand" and info["step"] == 0
    assert np.array_equal(observation, first_frame(env, seen["latents"][-1]))
    env.step({})


def test_video_without_actions(env, seen):
    env.reset(seed=0, options={"video": picture(frames=5)})
    assert_seen(env, seen, picture(frames=5), None)


def test_actions_of_a_video_make_a_difference(env):
    def after(actions):
        env.reset(seed=0, options={"video": picture(frames=5)} | ({} if actions is None else {"actions": actions}))
        return env.step({})[0]

    found = [after(actions) for actions in (None, [action()] * 4, [action(camera=np.float32([0, 90]))] * 4)]
    assert levels(found[0], found[1]) > 1 and levels(found[1], found[2]) > 1 and levels(found[0], found[2]) > 1


def test_video_that_ends_within_a_step(env, seen):
    """The last frame and the last action are held until its end."""
    video, actions = picture(frames=4), draw_actions(3)
    env.reset(seed=0, options={"video": video, "actions": actions})
    assert_seen(env, seen, np.concatenate([video, video[-1:]]), [*actions, actions[-1]])


def test_actions_of_the_discrete_preset(checkpoint, seen):
    discrete = make(checkpoint, actions="discrete")
    discrete.reset(seed=0, options={"video": picture(frames=3), "actions": np.array([1, 8])})
    keys = [{"forward": 1}, {"camera": (0.0, 15.0)}]
    assert torch.equal(torch.stack(seen["actions"]), discrete.model.action_vectors(keys))


def test_long_video_is_cut_to_what_is_remembered(env, seen):
    """Its last frames, with the first of them as the first frame of an episode."""
    config = env.model.config.denoiser
    remembered = 1 + 2 * (config.sinks + config.window - 1)  # a still, and two frames in each of the others
    video, actions = picture(frames=remembered + 7), draw_actions(remembered + 6)
    env.reset(seed=0, options={"video": video, "actions": actions})
    assert len(seen["latents"]) == config.sinks + config.window
    assert_seen(env, seen, video[7:], actions[7:])
    longer = env.step({})[0]
    env.reset(seed=0, options={"video": video[7:], "actions": actions[7:]})
    assert np.array_equal(env.step({})[0], longer)


def test_video_is_not_changed_nor_kept(env):
    video = picture(frames=5)
    kept = video.copy()
    video.flags.writeable = False
    env.reset(seed=0, options={"video": video})
    assert np.array_equal(video, kept)
    env.reset(seed=0, options={"video": picture(frames=10)[::2]})  # with gaps in memory
    video = picture(frames=5)
    env.reset(seed=0, options={"video": video})
    expected = env.step({})[0]
    env.reset(seed=0, options={"video": video})
    video[:] = 0
    assert np.array_equal(env.step({})[0], expected)


def test_episode_in_memory(env, seen):
    recorded = episode(9)
    _, info = env.reset(seed=0, options={"episode": recorded, "frame": 4})
    assert_seen(env, seen, recorded.frames[:5], recorded.actions[:4])
    assert info["caption"] == "at tick 4"
    for name in seen:
        seen[name].clear()
    _, info = env.reset(seed=0, options={"episode": recorded, "frame": 0, "prompt": "sand"})
    assert_seen(env, seen, recorded.frames[:1], [])
    assert info["caption"] == "sand"


def test_episode_begins_by_default_where_the_model_remembers_its_start(env, seen):
    short, config = episode(7), env.model.config.denoiser
    _, info = env.reset(seed=0, options={"episode": short})
    assert_seen(env, seen, short.frames, short.actions)
    assert info["caption"] == "at tick 6"
    for name in seen:
        seen[name].clear()
    span = 2 * (config.sinks + config.window - 1)
    long = episode(span + 11)
    _, info = env.reset(seed=0, options={"episode": long})
    assert_seen(env, seen, long.frames[: span + 1], long.actions[:span])
    assert info["caption"] == f"at tick {span}"


@pytest.mark.parametrize("frame", [-1, 9, True, 1.0, "2"])
def test_frame_that_an_episode_does_not_have(env, frame):
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"^options\['frame'\]: expected an integer from 0 to 8, got"):
        env.reset(options={"episode": episode(9), "frame": frame})
    env.step({})


def test_episode_on_disk(env, seen, tmp_path):
    recorded = episode(5)
    plan = RecordingPlan(format=Format.vpt, env_id="worldmodel/Voxel-v0", seeds=[0, 1], steps=4, lossless=True)
    recording = Recording(tmp_path, plan, env)
    for number in range(2):
        write_episode(recording.writer(number), recorded if number == 0 else episode(9, seed=1))
    recording.finish()
    for path in (tmp_path, str(tmp_path)):
        for name in seen:
            seen[name].clear()
        _, info = env.reset(seed=0, options={"episode": path})
        assert_seen(env, seen, recorded.frames, recorded.actions)
        assert info["caption"] == "at tick 4"


def test_path_without_episodes(env, tmp_path):
    env.reset(seed=0)
    with pytest.raises(FileNotFoundError, match="expected episodes .* found none"):
        env.reset(options={"episode": tmp_path})
    env.step({})


# --- What lies beside the checkpoint


def test_bundled_start(env, seen, checkpoint):
    from worldmodel.envs.imagined.models import load

    starts = load(checkpoint)[1]
    for number, prompt in enumerate(["a forest at noon", "a desert", ""]):
        for name in seen:
            seen[name].clear()
        observation, info = env.reset(seed=0, options={"start": np.int64(number)})
        assert torch.equal(torch.stack(seen["latents"]), starts.latents[number].float())
        assert torch.equal(torch.stack(seen["actions"]), starts.actions[number].float())
        assert seen["prompts"] == [prompt] and info["caption"] == prompt
        assert np.array_equal(observation, first_frame(env, starts.latents[number][-1].float()))
    assert env.bundled_starts == 3


def test_prompt_of_a_start_may_be_another(env, seen):
    plain = env.reset(seed=0, options={"start": 1})[0]
    env.step({})
    expected = env.frames
    for name in seen:
        seen[name].clear()
    observation, info = env.reset(seed=0, options={"start": 1, "prompt": "lava"})
    assert seen["prompts"] == ["lava"] and info["caption"] == "lava"
    assert np.array_equal(observation, plain)
    env.step({})
    assert levels(env.frames, expected) > 1


def test_nothing_asked_for_is_a_bundled_start(env):
    frames = {env.reset(seed=0, options={"start": number})[0].tobytes() for number in range(3)}
    found = {env.reset(options=options)[0].tobytes() for options in [None, {}, {"start": None}, {"prompt": None}] * 6}
    assert found == frames


def test_prompt_alone_is_for_the_model_to_picture(env, seen):
    observation, info = env.reset(seed=0, options={"prompt": "sand"})
    assert not seen["latents"] and seen["prompts"] == ["sand"]
    assert info["caption"] == "sand" and info["step"] == 0 and info["trust"] == 1.0
    assert env.get_state().state.cache.count.tolist() == [1]
    another = env.reset(seed=0, options={"prompt": "lava everywhere"})[0]
    assert levels(observation, another) > 1
    assert observation.std() > 1


def test_without_starts_the_model_makes_the_first_frame(tmp_path):
    path = write_checkpoint(tmp_path / "tiny")
    (tmp_path / "tiny" / STARTS).unlink()
    env = make(path)
    assert env.bundled_starts == 0
    first, info = env.reset(seed=0)
    assert info["caption"] == "" and first.shape == (SIDE, SIDE, 3) and first.std() > 1
    assert np.array_equal(env.reset(seed=0, options={"prompt": ""})[0], first)
    assert not np.array_equal(env.reset(seed=1)[0], first)
    with pytest.raises(ValueError, match=r"^options\['start'\]: expected none, because there are no starts"):
        env.reset(options={"start": 0})
    env.step({})


def test_damaged_starts_are_named(tmp_path):
    path = write_checkpoint(tmp_path / "tiny")
    (tmp_path / "tiny" / STARTS).write_bytes(b"nothing")
    with pytest.raises(ValueError, match="starts.safetensors: expected the starts of a checkpoint, got a damaged file"):
        make(path)
