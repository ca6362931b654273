"""Recipes: whole sets of settings, chosen by one name."""

from pathlib import Path

import pytest

from worldmodel.cli import main, settings
from worldmodel.cli.errors import UsageError
from worldmodel.cli.train import TrainConfig, help_text
from worldmodel.model import Size

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "configs" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_complete_and_told_of(name):
    config = settings.load("train", TrainConfig, [f"experiment={name}"])
    assert config != settings.load("train", TrainConfig, [])
    assert config.denoiser.max_minutes > config.compression.max_minutes > 0
    told = help_text([]).partition("experiment=null")[2].splitlines()
    line = next(line for line in told if line.split()[:1] == [name])
    assert len(line.split()) > 5 and "@package" not in line


def test_a_recipe_sets_many_things_and_other_settings_come_on_top():
    config = settings.load("train", TrainConfig, ["denoiser.max_minutes=7", "experiment=crafter", "data.workers=1"])
    assert (config.env.id, config.env.kwargs["height"], config.player.name) == ("worldmodel/Crafter-v0", 72, "forager")
    assert (config.compute.size, config.model.latent_patch) == (Size.mini, 1)
    assert (config.denoiser.max_minutes, config.data.workers, config.denoiser.batch_size) == (7, 1, 4)


def test_an_unknown_recipe_is_named_with_the_known_ones():
    with pytest.raises(UsageError, match=f"experiment: expected one of {', '.join(NAMES)}, got 'doom'"):
        settings.load("train", TrainConfig, ["experiment=doom"])


def test_other_commands_have_none(capsys):
    assert main(["rollout", "experiment=crafter"]) == 2
    assert "experiment" in capsys.readouterr().err
