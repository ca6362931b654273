"""The number format of a machine."""

import pytest
import torch

from worldmodel.model.precision import fast_dtype
from worldmodel.training.optimizer import OptimizerConfig, OptimizerKind
from worldmodel.training.settings import DenoiserTraining


@pytest.mark.parametrize("fast", [True, False])
def test_training_is_in_bfloat16_where_the_processor_has_it(monkeypatch, fast):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": fast})
    assert fast_dtype("cpu") is (torch.bfloat16 if fast else torch.float32)
    assert DenoiserTraining(max_steps=1).bf16 is fast
    assert OptimizerConfig().kind is (OptimizerKind.muon if fast else OptimizerKind.adamw)


def test_other_devices_multiply_in_bfloat16():
    assert fast_dtype("cuda") is torch.bfloat16
