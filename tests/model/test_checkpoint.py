import json
import os
import shutil
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_world import CODEC, assert_same, noise_video, noisy_input, tiny_model

from worldmodel.model import WorldModel
from worldmodel.model import checkpoint as checkpoint_module
from worldmodel.model.checkpoint import CONFIG, WEIGHTS, bundled_checkpoints, find_checkpoint, from_plain, to_plain


@pytest.fixture(scope="module")
def saved(tmp_path_factory, model):
    """A checkpoint in float32. Tests copy it."""
    return model.save(tmp_path_factory.mktemp("saved") / "model", dtype=None)


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def load(folder, **settings):
    return WorldModel.from_pretrained(folder, **settings)


def edit(folder, change):
    """Changes `config.json` by a function of its content."""
    config = json.loads((folder / CONFIG).read_text())
    change(config)
    (folder / CONFIG).write_text(json.dumps(config))


def test_round_trip_is_exact(model, saved):
    loaded = load(saved)
    assert loaded.config == model.config and loaded.metadata == model.metadata
    state = loaded.state_dict()
    assert state.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert state[name].dtype == torch.float32
        assert torch.equal(state[name], tensor), name
    assert_same(loaded.denoiser(noisy_input(model)), model.denoiser(noisy_input(model)), tolerance=0)
    assert torch.equal(loaded.encode(noise_video(3)), model.encode(noise_video(3)))
    assert loaded.codec == CODEC


def test_half_precision_by_default(model, tmp_path):
    loaded = load(model.save(tmp_path / "half"))
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.bfloat16().float()), name
    exact = model.save(tmp_path / "exact", dtype=None)
    assert (tmp_path / "half" / WEIGHTS).stat().st_size < 0.6 * (exact / WEIGHTS).stat().st_size


@pytest.mark.parametrize("actions", [True, False])
@pytest.mark.parametrize("ratio", [1, 4])
def test_other_models_make_the_round_trip(tmp_path, actions, ratio):
    model = tiny_model(actions=actions, frames_per_latent=ratio, window=7, sinks=2, context_noise=0.125)
    loaded = load(model.save(tmp_path, dtype=None))
    assert loaded.config == model.config and loaded.metadata == model.metadata
    assert torch.equal(loaded.denoiser(noisy_input(model)).latents, model.denoiser(noisy_input(model)).latents)


def test_loaded_model_is_for_use(saved):
    model = load(saved, dtype=torch.bfloat16)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.dtype == torch.bfloat16 and model.device.type == "cpu"
    assert model.denoiser(noisy_input(model)).latents.isfinite().all()


def test_older_checkpoint_is_replaced(folder):
    other = tiny_model(seed=1)
    other.save(folder, dtype=None)
    assert torch.equal(load(folder).denoiser.from_latent.weight, other.denoiser.from_latent.weight)
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG, WEIGHTS]


def test_save_tells_where(model, tmp_path):
    assert model.save(str(tmp_path / "new" / "folder")) == tmp_path / "new" / "folder"


def test_same_model_same_files(model, saved, tmp_path):
    again = model.save(tmp_path, dtype=None)
    for name in (CONFIG, WEIGHTS):
        assert (again / name).read_bytes() == (saved / name).read_bytes()


def strings(value) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(string for part in value.values() for string in strings(part))]
    if isinstance(value, list):
        return [string for part in value for string in strings(part)]
    return [value] if isinstance(value, str) else []


def test_config_names_no_code(saved):
    config = json.loads((saved / CONFIG).read_text())
    assert config["model"]["denoiser"]["transformer"]["width"] == 32
    found = strings({name: part for name, part in config.items() if name != "tensors"})
    assert len(found) > 20
    for string in found:
        assert not string.startswith("_"), f"{string}: a key for a machine that builds objects"
        assert not any(word in string for word in ("worldmodel", "torch.", "import", "lambda", "()"))


@pytest.mark.parametrize(
    ("path", "name"),
    [(("model",), "_target_"), (("model", "denoiser"), "cls"), (("metadata",), "__reduce__")],
)
def test_unknown_settings_are_refused_and_named(folder, path, name):
    def change(config):
        for key in path:
            config = config[key]
        config[name] = "os.system"

    edit(folder, change)
    with pytest.raises(ValueError, match=rf"^config\.{'.'.join(path)}: expected \[.*got '{name}' besides"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c["model"]["denoiser"].pop("window"),
            r"config\.model\.denoiser\.window: expected a value, got none",
        ),
        (lambda c: c.pop("model"), r"config\.model: expected an object, got None"),
        (lambda c: c["metadata"].update(fps="20"), r"config\.metadata\.fps: expected .*float.*, got '20'"),
        (lambda c: c["model"]["text"].update(width=None), r"config\.model\.text\.width: expected .*int.*, got None"),
        (
            lambda c: c["model"]["denoiser"].update(transformer=3),
            r"config\.model\.denoiser\.transformer: expected an obj",
        ),
        (lambda c: c["model"]["compression"].update(patch=5), r"patch: expected 4, 8, 16 or 32 pixels, got 5"),
    ],
    ids=["setting missing", "all missing", "wrong type", "null", "no object", "out of range"],
)
def test_settings_that_do_not_fit_are_named(folder, change, message):
    edit(folder, change)
    with pytest.raises(ValueError, match=f"^{message}"):
        load(folder)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="checkpoint: expected a folder with .*, found none in .*nowhere"):
        load(tmp_path / "nowhere")


@pytest.fixture
def bundled(saved, tmp_path, monkeypatch):
    """A folder of bundled models, `first` and `second`, and one that was not finished."""
    for name in ("second", "first"):
        shutil.copytree(saved, tmp_path / "bundled" / name)
    (tmp_path / "bundled" / "unfinished").mkdir()
    monkeypatch.setattr(checkpoint_module, "BUNDLED", tmp_path / "bundled")
    return tmp_path / "bundled"


def test_bundled_models_are_found_by_name(bundled):
    assert bundled_checkpoints() == ["first", "second"]
    assert find_checkpoint("first") == bundled / "first"
    assert load("second").config == load(bundled / "second").config


def test_folder_is_found_by_its_path(bundled, folder, monkeypatch):
    assert find_checkpoint(folder) == folder and find_checkpoint(str(folder)) == folder
    monkeypatch.chdir(folder.parent)
    assert find_checkpoint(folder.name).resolve() == folder
    shutil.copytree(folder, folder.parent / "first")
    assert find_checkpoint("first").resolve() == folder.parent / "first", "one's own comes first"


def test_unknown_checkpoint_lists_what_there_is(bundled, tmp_path, monkeypatch):
    for name in ("third", "unfinished", "", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"^checkpoint: expected .*bundled model \(first, second\).*"):
            find_checkpoint(name)
    monkeypatch.setattr(checkpoint_module, "BUNDLED", tmp_path / "nothing")
    assert bundled_checkpoints() == []
    with pytest.raises(FileNotFoundError, match=r"bundled model \(none\).*third"):
        find_checkpoint("third")


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_models_that_come_with_the_package_load(name):
    assert load(name).metadata.action_space is not None


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"expected .*{name if name == CONFIG else 'weights'}"):
        load(folder)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_file_that_was_cut_off_is_named(folder, name, share):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=rf"copy/{name}: expected (JSON|safetensors), got .*restore it"):
        load(folder)


@pytest.mark.parametrize("content", ["[]", "{}", '"text"', '{"model": {}}'])
def test_json_of_something_else_is_named(folder, content):
    (folder / CONFIG).write_text(content)
    with pytest.raises(ValueError, match=f"{CONFIG}: expected the settings of a checkpoint"):
        load(folder)


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_other_version_is_refused(folder, version):
    edit(folder, lambda config: config.update(version=version))
    with pytest.raises(ValueError, match=f"{CONFIG}: expected version 1, got {version}; update worldmodel"):
        load(folder)


def test_weights_of_another_model_are_refused(folder, tmp_path):
    other = tiny_model(seed=1).save(tmp_path / "other", dtype=None)
    shutil.copy(other / WEIGHTS, folder / WEIGHTS)
    with pytest.raises(ValueError, match=f"{WEIGHTS}: expected the weights that belong to {CONFIG} beside it"):
        load(folder)
    save_file(load_file(other / WEIGHTS), folder / WEIGHTS)  # with no stamp at all
    with pytest.raises(ValueError, match=f"{WEIGHTS}: expected the weights that belong to {CONFIG} beside it"):
        load(folder)


def test_weights_in_another_number_format_are_refused(model, folder, tmp_path):
    half = model.save(tmp_path / "half")
    shutil.copy(half / WEIGHTS, folder / WEIGHTS)
    with pytest.raises(ValueError, match="expected the weights that belong"):
        load(folder)


def test_sizes_that_the_weights_do_not_have_are_named(folder):
    edit(folder, lambda config: config["model"]["denoiser"].update(registers=5))
    with pytest.raises(ValueError, match=r"expected denoiser.extra_tokens of shape \(7, 32\), got \(4, 32\)"):
        load(folder)


def test_tensor_that_the_model_does_not_have_is_named(folder):
    edit(folder, lambda config: config["model"]["denoiser"]["transformer"].update(depth=3))
    with pytest.raises(ValueError, match=r"expected denoiser\.transformer\.blocks\.3\..* of shape \(\), got"):
        load(folder)


class Killed(BaseException):
    """What no handler of errors catches."""


def killed(*args, **kwargs):
    raise Killed


def test_kill_between_the_files_is_noticed(folder, tmp_path, monkeypatch):
    """Weights are there, settings are not, or are those of the checkpoint before: both must be refused."""
    monkeypatch.setattr(checkpoint_module, "write_json", killed)
    for place in (folder, tmp_path / "new"):
        with pytest.raises(Killed):
            tiny_model(seed=1).save(place, dtype=None)
    with pytest.raises(ValueError, match="expected the weights that belong to"):
        load(folder)
    with pytest.raises(FileNotFoundError, match="expected a folder with"):
        load(tmp_path / "new")


def test_kill_while_weights_are_written_leaves_the_old_ones(folder, monkeypatch):
    def write_half(tensors, path, metadata):
        path.write_bytes(b"half a file")
        raise Killed

    before = {name: (folder / name).read_bytes() for name in (CONFIG, WEIGHTS)}
    monkeypatch.setattr(checkpoint_module, "save_file", write_half)
    with pytest.raises(Killed):
        tiny_model(seed=1).save(folder, dtype=None)
    assert {name: (folder / name).read_bytes() for name in before} == before
    load(folder)


def test_kill_before_the_rename_leaves_the_old_ones(folder, monkeypatch):
    before = {name: (folder / name).read_bytes() for name in (CONFIG, WEIGHTS)}
    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(Killed):
        tiny_model(seed=1).save(folder, dtype=None)
    assert {name: (folder / name).read_bytes() for name in before} == before


class Colour(Enum):
    RED = "red"


@dataclass(kw_only=True, slots=True)
class Inner:
    number: int = 1


@dataclass(kw_only=True, slots=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    colour: Colour = Colour.RED
    rate: float = 0.5
    free: dict[str, Any] | None = None
    names: list[str] = field(default_factory=list)


def test_settings_of_any_kind_make_the_round_trip():
    outer = Outer(inner=Inner(number=3), free={"a": [1, {"b": None}]}, names=["x"])
    plain = json.loads(json.dumps(to_plain(outer)))
    assert plain["colour"] == "red"
    assert from_plain(Outer, plain) == outer


def test_whole_numbers_are_numbers():
    assert from_plain(Outer, {**to_plain(Outer()), "rate": 2}).rate == 2


def test_unknown_choice_is_named():
    with pytest.raises(ValueError, match=r"config\.colour: expected"):
        from_plain(Outer, {**to_plain(Outer()), "colour": "blue"})


def test_truth_is_no_number():
    with pytest.raises(ValueError, match=r"config\.inner\.number: expected"):
        from_plain(Outer, {**to_plain(Outer()), "inner": {"number": True}})
