"""Layers that are frozen at first, and thawed in the middle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Freezer, Unfreezer
from torch import Tensor, nn

from sklearn_l2rw import example_weights
from tests.small import MLP, Y_NOISY, Weighed, X, Y, make_net


class Mixed(nn.Module):
    """Examples of a batch interact, by an operation without parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 6, dtype=torch.float64)
        self.head = nn.Linear(6, 2, dtype=torch.float64)

    def forward(self, X: Tensor) -> Tensor:
        h = self.body(X.double())
        logits: Tensor = self.head(torch.relu((h - h.mean(0)) / (h.std(0) + 0.1)))
        return logits


class Normed(MLP):
    """With BatchNorm, by which examples of a batch interact."""

    def __init__(self) -> None:
        super().__init__(batch_norm=True, dtype=torch.float64)

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X.double())


@pytest.mark.parametrize(("module", "frozen"), [(Mixed, "body*"), (Normed, ["inner*", "norm*"])])
def test_weights_are_exact_after_layers_are_thawed(module: Any, frozen: Any) -> None:
    seen = {}
    for way in ("auto", "double_backward"):
        weighed = Weighed(X)
        callbacks = [Freezer(frozen), Unfreezer(frozen, at=3), ("weighed", weighed)]
        make_net(module, callbacks=callbacks, max_epochs=4, meta_gradient=way).fit(X, Y_NOISY)
        seen[way] = [weights for _, weights, *_ in weighed.steps]
    assert len(seen["auto"]) == len(seen["double_backward"]) > 4
    for ours, exact in zip(*seen.values(), strict=True):
        np.testing.assert_allclose(ours, exact, atol=1e-9)


def test_thawed_layers_in_a_loop_of_the_user() -> None:
    net, loss = Normed(), nn.CrossEntropyLoss(reduction="none")
    batch = torch.as_tensor(X[:20]), torch.as_tensor(Y[:20])
    clean_batch = torch.as_tensor(X[20:]), torch.as_tensor(Y[20:])
    net.inner.requires_grad_(False), net.norm.requires_grad_(False)

    def weights(way: str = "auto") -> Tensor:
        given = {"meta_gradient": way, "meta_parameters": "last"}
        return example_weights(net, loss, batch, clean_batch, **given)

    weights()
    net.inner.requires_grad_(True), net.norm.requires_grad_(True)
    torch.testing.assert_close(weights(), weights("double_backward"))
