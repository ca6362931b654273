import pytest
import torch
from torch import nn

from worldmodel.model.rotary import space_angles
from worldmodel.model.transformer import Geometry, Transformer, TransformerConfig
from worldmodel.training.optimizer import OptimizerConfig, OptimizerKind, make_optimizers, rate_factor


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(8, 16)
        self.stack = Transformer(TransformerConfig(width=16, depth=2, head_width=8, time_every=2), conditioned=True)
        self.outside = nn.Linear(16, 8)


@pytest.mark.parametrize("kind", list(OptimizerKind))
def test_every_parameter_has_one_optimizer(kind):
    module = Network()
    optimizers = make_optimizers(module, OptimizerConfig(kind=kind), 1e-3)
    held = [id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in module.parameters())


def test_muon_has_the_matrices_inside_blocks_and_nothing_else():
    module = Network()
    _, muon = make_optimizers(module, OptimizerConfig(kind=OptimizerKind.muon), 1e-3)
    matrices = {id(p) for p in muon.param_groups[0]["params"]}
    names = {name for name, p in module.named_parameters() if id(p) in matrices}
    assert "stack.blocks.0.space.qkv.weight" in names and "stack.blocks.1.time.qkv.weight" in names
    assert not any(name.startswith(("inside", "outside", "stack.modulation")) for name in names)
    assert not any("norm" in name or name.endswith("offsets") for name in names)


def test_vectors_are_not_decayed():
    (adamw,) = make_optimizers(Network(), OptimizerConfig(kind=OptimizerKind.adamw, weight_decay=0.1), 1e-3)
    for group in adamw.param_groups:
        assert {p.ndim >= 2 for p in group["params"]} == {group["weight_decay"] > 0}


def test_the_rate_rises_stays_and_falls():
    config = OptimizerConfig(warmup_steps=10, decay_share=0.5)
    rates = [rate_factor(config, step, step / 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9:51] == [1.0] * 42
    assert rates[75] == pytest.approx(0.5) and rates[100] == pytest.approx(0.01)
    assert all(a >= b for a, b in zip(rates[10:], rates[11:], strict=False))


def test_muon_and_adamw_both_learn():
    target = torch.linspace(-1, 1, 16).expand(1, 1, 4, 16)
    for kind in OptimizerKind:
        torch.manual_seed(0)
        stack = Transformer(TransformerConfig(width=16, depth=2, head_width=8), conditioned=False)
        optimizers = make_optimizers(stack, OptimizerConfig(kind=kind), 0.02)
        x, losses = torch.randn(1, 1, 4, 16), []
        for _ in range(60):
            loss = (stack(x, Geometry(space_angles(2, 2, 0, 8)))[0] - target).square().mean()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            losses.append(loss.item())
        assert losses[-1] < 0.3 * losses[0]
