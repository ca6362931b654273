import gymnasium
import numpy as np
import pytest
import torch
from dream_checkpoint import write_checkpoint
from dream_tools import SIDE, action, draw_actions, full_precision, levels, make, picture  # noqa: F401 - for all tests

from worldmodel.data.action_codec import ActionCodec
from worldmodel.envs.actions import action_space
from worldmodel.envs.imagined import models
from worldmodel.envs.imagined.config import Actions, ImaginedConfig
from worldmodel.envs.imagined.env import ImaginedEnv
from worldmodel.model import Metadata, Size, WorldModel, model_config
from worldmodel.sampling import Guidance

FAST_DTYPE = models.fast_dtype  # before it is patched


def save_model(folder, space, **settings):
    """A checkpoint of a model that has learned nothing, for another action space; its path."""
    torch.manual_seed(0)
    metadata = Metadata(
        height=32, width=48, fps=15.0, action_space=None if space is None else ActionCodec(space).to_json()
    )
    WorldModel(model_config(Size.tiny, channels=4, **settings), metadata).save(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_steps": 0}, "num_steps: expected a whole number of sampling steps from 1 to 64, got 0"),
        ({"num_steps": 65}, "num_steps: expected .* got 65"),
        ({"num_steps": 2.0}, "num_steps: expected .* got 2.0"),
        ({"num_steps": True}, "num_steps: expected .* got True"),
        ({"text_guidance": -1.0}, "text_guidance: expected a guidance scale from 0 to 100, got -1.0"),
        ({"action_guidance": float("nan")}, "action_guidance: expected a guidance scale .* got nan"),
        ({"history_guidance": "1"}, "history_guidance: expected a guidance scale .* got '1'"),
        ({"actions": "keys"}, r"actions: expected one of \['dict', 'discrete'\], got 'keys'"),
        ({"min_trust": 1.5}, "min_trust: expected a trust from 0 to 1, got 1.5"),
        ({"height": 0}, "height: expected a whole number of pixels from 1 to 16384, got 0"),
        ({"height": 48.0}, "height: expected a whole number of pixels .* got 48.0"),
        ({"width": -16}, "width: expected a whole number of pixels .* got -16"),
        ({"width": "64"}, "width: expected a whole number of pixels .* got '64'"),
    ],
    ids=lambda part: str(part) if isinstance(part, dict) else "",
)
def test_setting_out_of_range_is_named(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        ImaginedConfig(**settings)


def test_size_that_the_model_cannot_make_is_named(checkpoint):
    with pytest.raises(ValueError, match="^width: expected a positive multiple of 16 pixels, got 50; crop or resize"):
        ImaginedEnv(checkpoint=checkpoint, width=50)


def test_unknown_setting_is_named(checkpoint):
    with pytest.raises(TypeError, match=r"^settings: expected any of \['checkpoint', .*\], got 'device'"):
        ImaginedEnv(checkpoint=checkpoint, device="cpu")
    with pytest.raises(ValueError, match=r"^render_mode: expected None or one of \['rgb_array', 'human'\], got 'ansi'"):
        ImaginedEnv(render_mode="ansi", checkpoint=checkpoint)


def test_checkpoint_that_is_not_there_is_named(tmp_path):
    for place in ("nowhere", "", str(tmp_path)):
        with pytest.raises(FileNotFoundError, match=rf"^checkpoint: expected .*bundled model \(.*\).*{place}"):
            ImaginedEnv(checkpoint=place)
    with pytest.raises(TypeError, match="^checkpoint: expected a name or a path as a string, got 3"):
        ImaginedEnv(checkpoint=3)


def test_checkpoint_that_is_damaged_is_named(tmp_path):
    path = write_checkpoint(tmp_path / "tiny")
    weights = tmp_path / "tiny" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match="model.safetensors: expected safetensors, got a damaged file"):
        ImaginedEnv(checkpoint=path)


def test_guidance_is_passed_on(checkpoint):
    scales = {"text_guidance": 2.0, "action_guidance": 1.5, "history_guidance": 3}
    assert ImaginedConfig(**scales).guidance() == Guidance(text=2.0, action=1.5, history=3)
    assert ImaginedConfig().guidance() == Guidance()

    def after(**settings):
        env = make(checkpoint, **settings)
        env.reset(seed=0, options={"start": 0})
        return env.step(action(forward=1))[0]

    plain = after()
    for name, scale in scales.items():
        assert levels(after(**{name: scale}), plain) > 1, name
    assert levels(after(num_steps=1), plain) > 1 and levels(after(num_steps=4), plain) > 1


def test_frames_may_have_another_size(checkpoint):
    env = make(checkpoint, height=32, width=96)
    assert env.observation_space.shape == (32, 96, 3) and env.bundled_starts == 0
    first, info = env.reset(seed=0)  # starts of another size are none: the model makes the first frame
    assert first.shape == (32, 96, 3) and info["caption"] == ""
    assert env.step(action(forward=1))[0].shape == (32, 96, 3)
    env.reset(seed=0, options={"image": picture(height=32, width=96)})
    with pytest.raises(
        ValueError, match=r"^options\['start'\]: expected none, because there are no starts of this size"
    ):
        env.reset(options={"start": 0})
    native = make(checkpoint)
    assert native.observation_space.shape == (SIDE, SIDE, 3) and native.bundled_starts == 3
    native.reset(seed=0)
    with pytest.raises(ValueError, match=r"^state: expected a latent grid of \(4, 12\), got \(6, 6\); make the env"):
        env.set_state(native.get_state())
    assert env.step(action(forward=1))[0].std() > 1


def test_model_without_actions_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="^checkpoint: expected a model that was trained with actions, got one without"
    ):
        ImaginedEnv(checkpoint=save_model(tmp_path, None))


@pytest.mark.parametrize(
    ("space", "idle"),
    [
        (gymnasium.spaces.Discrete(5), 0),
        (gymnasium.spaces.Box(-1.0, 1.0, (2,)), [0.0, 0.0]),
        (gymnasium.spaces.MultiDiscrete([3, 2]), [0, 0]),
    ],
    ids=["discrete", "box", "multi"],
)
def test_other_action_spaces(tmp_path, space, idle):
    path = save_model(tmp_path, space)
    env = make(path)
    assert env.action_space == space and env.metadata["render_fps"] == 7.5
    assert np.array_equal(env.idle_action(), idle)
    env.reset(seed=0)
    space.seed(0)
    env.step(space.sample())
    env.step([space.sample(), space.sample()])
    for preset in ("dict", "discrete"):
        with pytest.raises(ValueError, match="^actions: expected None, because the model was trained on .*" + preset):
            make(path, actions=preset)


@pytest.mark.parametrize("ticks", [1, 4])
def test_other_numbers_of_ticks(tmp_path, ticks):
    env = make(save_model(tmp_path, gymnasium.spaces.Discrete(3), frames_per_latent=ticks))
    env.reset(seed=0)
    env.step(2)
    assert env.frames.shape == (ticks, 32, 48, 3) and env.metadata["render_fps"] == 15.0 / ticks
    env.step([0, 1, 2, 1][:ticks])
    with pytest.raises(ValueError, match=f"^action: expected a list of {ticks}, one for each tick of a step, got 5"):
        env.step([0] * 5)


def test_vectors_are_those_of_the_codec(checkpoint):
    model, _ = models.load(checkpoint)
    actions = Actions(model, None)
    assert actions.space == action_space()
    one, two, three = draw_actions(3)
    found = actions.vectors([one, [two, three]])
    assert found.shape == (2, 2, model.codec.width) and found.dtype == np.float32
    assert np.array_equal(found[0], model.codec.encode_many([one, one]))
    assert np.array_equal(found[1], model.codec.encode_many([two, three]))
    assert np.array_equal(actions.vectors([one, two]), actions.vectors([[one, one], [two, two]]))
    assert np.array_equal(Actions(model, "dict").vectors([one]), actions.vectors([one]))
    assert np.array_equal(model.codec.encode(actions.idle()), model.codec.rest)


# --- Loading


def test_model_is_loaded_once_a_process(checkpoint, tmp_path):
    model, starts = models.load(checkpoint)
    assert models.load(checkpoint)[0] is model and models.load(checkpoint + "/")[0] is model
    assert make(checkpoint).model is make(checkpoint).model is model
    assert len(starts) == 3
    path = write_checkpoint(tmp_path / "tiny")
    before, _ = models.load(path)
    write_checkpoint(tmp_path / "tiny", seed=1)
    after, _ = models.load(path)
    assert after is not before, "it was trained further in the meantime"
    assert not torch.equal(after.denoiser.from_latent.weight, before.denoiser.from_latent.weight)


def test_fastest_number_format_is_used(monkeypatch):
    for has, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: {"avx512_bf16": has})
        assert FAST_DTYPE("cpu") == expected
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert FAST_DTYPE("cpu") == torch.float32 and FAST_DTYPE("cuda") == torch.bfloat16


def test_half_precision_dreams(checkpoint, monkeypatch):
    monkeypatch.setattr(models, "fast_dtype", lambda device: torch.bfloat16)
    models._load.cache_clear()
    try:
        frames = []
        for _ in range(2):
            env = make(checkpoint)
            assert env.model.dtype == torch.bfloat16
            env.reset(seed=5)
            frames.append(np.stack([env.step(one)[0] for one in draw_actions(3)]))
        assert np.array_equal(*frames) and frames[0].std() > 1
    finally:
        models._load.cache_clear()
