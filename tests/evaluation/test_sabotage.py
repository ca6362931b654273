"""The evaluation catches sabotage: on a tiny model that has learned a small world, and on three that are spoilt."""

import copy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodel.evaluation.control import evaluate_control, steps_needed
from worldmodel.evaluation.dreamers import ModelDreamer
from worldmodel.evaluation.permanence import Revisit, evaluate_permanence
from worldmodel.model import Metadata, Size, WorldModel, model_config
from worldmodel.model.precision import has_fast_bf16
from worldmodel.training.noising import NoisingConfig
from worldmodel.training.optimizer import OptimizerConfig
from worldmodel.training.run import Run, RunConfig
from worldmodel.training.settings import CompressionTraining, DenoiserTraining

sys.path.append(str(Path(__file__).parent))

from curtain_world import CURTAIN, make_store, play, random_actions  # noqa: E402

SEEN, HIDDEN = 6, 4


class Silent:
    def stage(self, name, total):
        pass

    def advance(self, done, figures=None):
        pass

    def should_stop(self):
        return False


def train(folder: Path, *, steps: int, initial: WorldModel | None = None, shift: int = 0) -> WorldModel:
    store = make_store(folder / "data", episodes=150, steps=40, shift=shift)
    torch.manual_seed(0)
    metadata = Metadata(height=32, width=32, fps=10.0, action_space=store.codec.to_json())
    model = WorldModel(model_config(Size.tiny, frames_per_latent=1), metadata)
    if initial is not None:
        model.compression.load_state_dict(initial.compression.state_dict())
    optimizer = OptimizerConfig(warmup_steps=10)
    config = RunConfig(
        compression=CompressionTraining(max_steps=120, batch_size=32, optimizer=optimizer, ema_decay=0.95),
        denoiser=DenoiserTraining(
            max_steps=steps,
            batch_size=32,
            clip_latents=8,
            optimizer=optimizer,
            ema_decay=0.98,
            # All of the minute goes into what is measured: streaming with known actions.
            causal_share=1.0,
            single_share=0.0,
            short_share=0.0,
            still_share=0.0,
            shortcut_share=0.0,
            noising=NoisingConfig(action_noise=0.0),
        ),
        learning_rate=0.01 if has_fast_bf16() else 0.003,  # for Muon, for AdamW
        keep_compression=initial is not None,
        context_latents=4,
        evaluation_clips=2,
    )
    assert Run(model, store, config, folder, Silent()).train()
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    return train(tmp_path_factory.mktemp("curtain"), steps=350)


@pytest.fixture(scope="module")
def episodes():
    """Moves without curtains, in worlds that were never seen."""
    random = np.random.default_rng(7)
    steps = steps_needed_by_all()
    return [play(10**9 + i, random.integers(0, CURTAIN, steps).tolist()) for i in range(24)]


def steps_needed_by_all() -> int:
    config = model_config(Size.tiny).denoiser
    return config.window + config.sinks + 20


def revisits() -> dict[int, list[Revisit]]:
    """Views behind a curtain for some steps, from episodes that begin in the open."""
    found: dict[int, list[Revisit]] = {HIDDEN: []}
    for i in range(24):
        before = [action for action in random_actions(np.random.default_rng(i), 60) if action != CURTAIN][:SEEN]
        episode = play(10**9 + 1000 + i, [*before, *[CURTAIN] * HIDDEN, 0])
        found[HIDDEN].append(Revisit(episode, left=SEEN, out=SEEN + HIDDEN, unseen=HIDDEN - 1, back=SEEN + HIDDEN + 1))
    return found


def passed(section) -> dict[str, bool]:
    return {check.name: check.passed for check in section.checks}


def test_the_sound_one_passes(learned, episodes, tmp_path):
    dreamer = ModelDreamer(learned)
    assert steps_needed(dreamer) <= episodes[0].num_steps
    control = evaluate_control(dreamer, None, episodes, tmp_path)
    assert passed(control) == {"actions are obeyed": True, "actions are not shifted": True}
    permanence = evaluate_permanence(dreamer, revisits(), tmp_path)
    assert passed(permanence) == {"places are kept": True}
    assert permanence.figures[f"psnr_dream_{HIDDEN}"].low > permanence.figures[f"psnr_another_place_{HIDDEN}"].high


def test_shuffled_action_embeddings_fail_control(learned, episodes, tmp_path):
    spoilt = copy.deepcopy(learned)
    first = spoilt.denoiser.from_action[0]
    order = torch.tensor([3, 4, 1, 0, 2, 5])  # what each action is taken for
    first.weight.copy_(first.weight[:, order])
    assert not passed(evaluate_control(ModelDreamer(spoilt), None, episodes, tmp_path))["actions are obeyed"]


def test_a_short_window_fails_permanence(learned, tmp_path):
    spoilt = copy.deepcopy(learned)
    spoilt.config = replace(spoilt.config, denoiser=replace(spoilt.config.denoiser, window=2, sinks=0))
    section = evaluate_permanence(ModelDreamer(spoilt), revisits(), tmp_path)
    assert not passed(section)["places are kept"]


class Delayed(ModelDreamer):
    """Obeys each action a step late, as a model does that has learned from actions noted a step too early."""

    def begin(self, contexts, seed):
        self._before = [context.actions[-1] for context in contexts]
        super().begin(contexts, seed)

    def step(self, actions):
        now, self._before = self._before, list(actions)
        return super().step(now)


def test_shifted_actions_are_flagged(learned, episodes, tmp_path):
    section = evaluate_control(Delayed(learned), None, episodes, tmp_path)
    assert not passed(section)["actions are not shifted"]


@pytest.mark.skipif(not has_fast_bf16(), reason="takes Muon to learn it in a minute, and bfloat16 for that")
def test_training_on_shifted_actions_is_flagged(learned, episodes, tmp_path):
    shifted = train(tmp_path / "shifted", steps=200, initial=learned, shift=1)
    section = evaluate_control(ModelDreamer(shifted), None, episodes, tmp_path)
    assert not passed(section)["actions are not shifted"]
