"""Nets as they come, in functions and estimator, held to one backward pass an example."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw import L2RWClassifier, reweighted_backward
from sklearn_l2rw.nested import logits_of
from tests.real.nets import CLASSES, NETS
from tests.reference import composed_step
from tests.small import Record, state_of

N, M = 9, 4
LOSS = nn.CrossEntropyLoss(reduction="none")
SLOW = {"timm mobilenet", "timm resnet"}
NAMES = [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in NETS]
# peft's own, and what mobilenet's hard-sigmoid makes of all ways but one pass an example
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The meta-gradient is computed by one backward pass"),
]


class Logits(nn.Module):
    """A net whose output is its logits, for the oracle."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return logits_of(self.net(*args, **kwargs))


def problem(name: str, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Any, Any]:
    """A net in training mode, and two batches."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(1)
        module = NETS[name].make().to(dtype).train()
        X, X_clean = NETS[name].X(N), NETS[name].X(M)
        y, y_clean = torch.arange(N) % CLASSES, torch.arange(M) % CLASSES
    return module, (cast(X, dtype), y), (cast(X_clean, dtype), y_clean)


def cast(X: Any, dtype: torch.dtype) -> Any:
    if isinstance(X, Tensor):
        return X.to(dtype) if X.is_floating_point() else X
    return type(X)({key: cast(value, dtype) for key, value in X.items()})


@pytest.mark.parametrize("name", NAMES)
def test_a_step(name: str) -> None:
    """Weights, gradient of the trained parameters alone, and buffers as training leaves them."""
    module, batch, clean = problem(name)
    before = state_of(module)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        expected = composed_step(Logits(module), LOSS, batch, clean, 0.3, True)
        torch.manual_seed(0)
        step = reweighted_backward(module, LOSS, batch, clean)
    assert (expected.weights > 0).sum() not in (0, N), "tells nothing"
    torch.testing.assert_close(step.weights, expected.weights, rtol=0, atol=1e-6)
    for key, p in module.named_parameters():
        assert (p.grad is None) or p.requires_grad, key
        if p.requires_grad:
            gradient = torch.zeros_like(p) if p.grad is None else p.grad
            torch.testing.assert_close(
                gradient, expected.gradients[f"net.{key}"], rtol=1e-4, atol=1e-6
            )
        assert torch.equal(p, before[key])


@pytest.mark.parametrize("name", NAMES)
def test_a_fit(name: str) -> None:
    module, batch, clean = problem(name, torch.float32)
    given = state_of(module)
    record = Record()
    net = L2RWClassifier(
        module, clean_set=clean, max_epochs=2, batch_size=N, lr=0.05, random_state=0,
        callbacks=[record], verbose=0,
    ).fit(*batch)  # fmt: skip
    now, trained = (
        state_of(net.module_),
        {k for k, p in module.named_parameters() if p.requires_grad},
    )
    assert any(not torch.equal(now[key], given[key]) for key in trained)
    frozen = {key for key, _ in module.named_parameters()} - trained
    assert all(torch.equal(now[key], given[key]) for key in frozen)
    assert net._average is not None
    assert {
        key.removeprefix("module.") for key in net._average.mean if "running" not in key
    } == trained
    assert net.predict_proba(batch[0]).shape == (N, CLASSES)
    assert all(torch.equal(value, given[key]) for key, value in state_of(module).items())
    if "dropout" in name or "timm" in name:  # others draw masks
        assert record.weights[0].sum() == pytest.approx(1.0)
