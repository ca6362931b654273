"""It learns: a tiny model, trained for about a minute, predicts what actions do on episodes it has never seen."""

import pytest
import torch
from moving_square import make_store

from worldmodel.model import Metadata, Size, WorldModel, model_config
from worldmodel.training.evaluation import action_sensitivity, evaluate_prediction, held_out_clips
from worldmodel.training.latents import compress_store
from worldmodel.training.optimizer import OptimizerConfig
from worldmodel.training.run import Run, RunConfig
from worldmodel.training.settings import CompressionTraining, DenoiserTraining


class Quiet:
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
        compression=CompressionTraining(max_steps=150, batch_size=32, optimizer=optimizer, ema_decay=0.95),
        denoiser=DenoiserTraining(
            max_steps=500, batch_size=16, clip_latents=6, optimizer=optimizer, ema_decay=0.98, shortcut_after=350
        ),
        learning_rate=0.01,
        context_latents=3,
    )
    run = Run(model, store, config, folder, Quiet())
    import time

    t = time.time()
    assert run.train()
    print("time", time.time() - t)
    model.eval()
    (name, bucket), *_ = compress_store(store, model, folder / "latents" / "held_out", held_out=True).items()
    return model, store, name, bucket


def test_actions_are_listened_to(learned):
    model, store, name, bucket = learned
    clips = held_out_clips(store, name, bucket, number=64, context=3, horizon=1)
    true, shuffled = action_sensitivity(model, clips)
    print(true, shuffled)
    assert shuffled >= 1.5 * true


def test_the_dream_beats_repeating_the_last_frame(learned):
    model, store, name, bucket = learned
    clips = held_out_clips(store, name, bucket, number=32, context=3, horizon=4)
    prediction = evaluate_prediction(model, clips)
    print({k: round(v, 1) for k, v in prediction.figures([1, 2, 4]).items()})
    for step in range(4):
        assert prediction.model[:, step].mean() >= prediction.repeat[:, step].mean() + 3
