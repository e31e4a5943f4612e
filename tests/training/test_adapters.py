"""Adapters of low rank on a frozen net (LoRA), in torch alone; tests/real has peft's."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.lora_memory import LowRank
from sklearn_l2rw import reweighted_backward
from tests.reference import composed_step
from tests.small import X_CLEAN, Y_CLEAN, Y_NOISY, X, Y, make_net, same_state, state_of

LOSS = nn.CrossEntropyLoss(reduction="none")


def adapted() -> nn.Module:
    torch.manual_seed(0)
    layers = LowRank(4, 2), LowRank(4, 2)
    for layer in layers:
        nn.init.normal_(layer.up.weight)
    return nn.Sequential(*layers, nn.Linear(4, 2))


def trained(module: nn.Module) -> set[str]:
    return {name for name, p in module.named_parameters() if p.requires_grad}


def test_a_step_is_exact_and_on_adapters_alone() -> None:
    module = adapted().double()
    batch = torch.as_tensor(X).double(), torch.as_tensor(Y_NOISY)
    clean = torch.as_tensor(X_CLEAN).double(), torch.as_tensor(Y_CLEAN)
    expected = composed_step(module, LOSS, batch, clean, 0.3, True)
    step = reweighted_backward(module, LOSS, batch, clean)
    torch.testing.assert_close(step.weights, expected.weights)
    for name, p in module.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(p.grad, expected.gradients[name])
        else:
            assert p.grad is None


def test_a_fit_averages_adapters_alone() -> None:
    whole: dict[str, Any] = {"clean_loss_weight": 0.3, "scale_slopes": True, "average": 0.5}
    module = adapted()
    before = state_of(module)
    net = make_net(module, **whole).fit(X, Y)
    assert net._average is not None
    assert {name.removeprefix("module.") for name in net._average.mean} == trained(module)
    now = state_of(net.module_)
    frozen = before.keys() - trained(module)
    assert same_state({k: now[k] for k in frozen}, {k: before[k] for k in frozen})
    assert not same_state(now, before)
    assert same_state(state_of(module), before)
