"""It learns: a tiny model, trained for about a minute, predicts what actions do on episodes it has never seen."""

import pytest
import torch
from moving_square import make_store

from worldmodel.model import Metadata, Size, WorldModel, model_config
from worldmodel.training.evaluation import action_sensitivity, evaluate_prediction, held_out_clips
from worldmodel.training.latents import compress_store
from worldmodel.training.noising import NoisingConfig
from worldmodel.training.optimizer import OptimizerConfig
from worldmodel.training.run import Run, RunConfig
from worldmodel.training.settings import CompressionTraining, DenoiserTraining

CONTEXT = 3


class Silent:
    def stage(self, name, total):
        pass

    def advance(self, done, figures=None):
        pass

    def should_stop(self):
        return False


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("square")
    store = make_store(folder / "data", episodes=80, steps=40)
    torch.manual_seed(0)
    metadata = Metadata(height=32, width=32, fps=10.0, action_space=store.codec.to_json())
    model = WorldModel(model_config(Size.tiny, frames_per_latent=1), metadata)
    optimizer = OptimizerConfig(warmup_steps=10)
    config = RunConfig(
        compression=CompressionTraining(max_steps=100, batch_size=32, optimizer=optimizer, ema_decay=0.95),
        denoiser=DenoiserTraining(
            max_steps=300,
            batch_size=64,
            clip_latents=CONTEXT + 1,
            optimizer=optimizer,
            ema_decay=0.98,
            # All of the minute goes into what is measured: the next frame, from frames before and the action.
            causal_share=1.0,
            single_share=0.0,
            short_share=0.0,
            still_share=0.0,
            shortcut_share=0.0,
            noising=NoisingConfig(action_noise=0.0),
        ),
        learning_rate=0.01,
        context_latents=CONTEXT,
    )
    assert Run(model, store, config, folder, Silent()).train()
    held_out = compress_store(store, model, folder / "latents" / "held_out", held_out=True)["32x32"]
    return model.eval(), held_out_clips(store, "32x32", held_out, number=64, context=CONTEXT, horizon=1)


def test_actions_are_listened_to(learned):
    true, shuffled = action_sensitivity(*learned)
    assert shuffled >= 1.5 * true


def test_the_dream_beats_repeating_the_last_frame(learned):
    prediction = evaluate_prediction(*learned)
    moving = prediction.moving
    assert moving.sum() >= 20
    assert prediction.model[moving].mean() >= prediction.repeat[moving].mean() + 3
    assert prediction.model[moving].mean() >= prediction.shuffled[moving].mean() + 3
