"""Attention in a checkpoint, whose kernels are to be the same when it is run again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from sklearn_l2rw import L2RWClassifier, reweighted_backward
from tests.reference import composed_step

LOSS = nn.CrossEntropyLoss(reduction="none")


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(6, 18), nn.Linear(6, 3)

    def attend(self, X: Tensor) -> Tensor:
        q, k, v = self.inner(X).unsqueeze(1).chunk(3, -1)
        return scaled_dot_product_attention(q, k, v).squeeze(1)

    def forward(self, X: Tensor) -> Tensor:
        attended: Any = checkpoint(self.attend, X, use_reentrant=False)
        out: Tensor = self.head(attended.mean(1))
        return out


def batch(n: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    return torch.randn(n, 4, 6, generator=generator).to(dtype), torch.arange(n) % 3


@pytest.mark.parametrize("way", ["auto", "forward", "double_backward", "per_example"])
def test_a_step(way: str) -> None:
    torch.manual_seed(0)
    module = Attention().double()
    expected = composed_step(module, LOSS, batch(10), batch(5), 0.3, True)
    step = reweighted_backward(module, LOSS, batch(10), batch(5), meta_gradient=way)
    torch.testing.assert_close(step.weights, expected.weights)
    for name, p in module.named_parameters():
        torch.testing.assert_close(p.grad, expected.gradients[name])


def test_a_fit() -> None:
    (X, y), clean_set = batch(30, torch.float32), batch(6, torch.float32)
    net = L2RWClassifier(Attention, clean_set=clean_set, max_epochs=2, random_state=0, verbose=0)
    assert net.fit(X, y).predict(X).shape == (30,)
    assert net.meta_gradient_ != "per_example"
