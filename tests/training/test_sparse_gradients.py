"""Embeddings with sparse gradients under the bound that is the default."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from sklearn_l2rw import L2RWClassifier
from sklearn_l2rw.training.clipping import clip_sparse
from tests.small import state_of

WORDS = np.random.default_rng(0).integers(0, 9, (40, 5))
LABELS = (WORDS[:, 0] > 4).astype(int)


class Words(nn.Module):
    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(9, 3, sparse=sparse)
        self.head = nn.Linear(3, 2)

    def forward(self, X: Tensor) -> Tensor:
        out: Tensor = self.head(self.words(X).mean(1))
        return out


@pytest.mark.parametrize("max_grad_norm", [1.0, 0.05, None])
def test_trains_as_with_dense_gradients(max_grad_norm: Any) -> None:
    nets = [
        L2RWClassifier(
            Words, module__sparse=sparse, clean_set=(WORDS[:8], LABELS[:8]), random_state=0,
            max_epochs=3, batch_size=16, max_grad_norm=max_grad_norm, verbose=0,
        ).fit(WORDS[8:], LABELS[8:])
        for sparse in (True, False)
    ]  # fmt: skip
    sparse, dense = (state_of(net.module_) for net in nets)
    for name, value in sparse.items():
        torch.testing.assert_close(value, dense[name])


@pytest.mark.parametrize("max_norm", [0.1, 100.0])
def test_clips_as_torch_does(max_norm: float) -> None:
    def gradients(sparse: bool) -> list[nn.Parameter]:
        torch.manual_seed(0)
        module = Words(sparse)
        module(torch.tensor([[1, 1, 2], [1, 3, 3]])).square().sum().backward()
        return [*module.parameters(), nn.Parameter(torch.ones(2))]  # the last has no gradient

    found, expected = gradients(True), gradients(False)
    clip_sparse(found, max_norm)
    clip_grad_norm_(expected, max_norm)
    for p, q in zip(found, expected, strict=True):
        if q.grad is None:
            assert p.grad is None
            continue
        assert p.grad is not None
        torch.testing.assert_close(p.grad.to_dense(), q.grad)
