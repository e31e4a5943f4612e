"""What the module returns: logits that look like probabilities, and probabilities that are some."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.small import MLP, blobs, make_net


class Headed(MLP):
    """A head that starts at zero, with the same bias for each class."""

    def __init__(self, n_classes: int = 2, bias: float = 0.0, softmax: bool = False) -> None:
        super().__init__(n_outputs=n_classes)
        nn.init.zeros_(self.outer.weight)
        nn.init.constant_(self.outer.bias, bias)
        self.softmax = softmax

    def forward(self, X: Tensor) -> Tensor:
        output = super().forward(X)
        return output.softmax(1) if self.softmax else output


def fitted(n_classes: int, **settings: Any) -> Any:
    X, y = blobs(90, n_classes)
    settings = {"max_epochs": 40, "lr": 0.3, "clean_set": blobs(12, n_classes, seed=1), **settings}
    return make_net(Headed, module__n_classes=n_classes, **settings).fit(X, y)


@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("bias", ["one over K", "zero"])
def test_head_that_starts_at_zero_learns(bias: str, n_classes: int) -> None:
    """Logits that are all 1/K sum to one, and are no probabilities for that."""
    net = fitted(n_classes, module__bias=1 / n_classes if bias == "one over K" else 0.0)
    X_test, y_test = blobs(90, n_classes, seed=2)
    assert net.score(X_test, y_test) > 0.7


@pytest.mark.parametrize("n_classes", [2, 3])
def test_softmax_into_cross_entropy_is_refused(n_classes: int) -> None:
    class Softmax(MLP):
        def forward(self, X: Tensor) -> Tensor:
            return super().forward(X).softmax(1)

    X, y = blobs(90, n_classes)
    net = make_net(Softmax, module__n_outputs=n_classes, clean_set=blobs(12, n_classes, seed=1))
    with pytest.raises(ValueError, match=r"probabilities.*CrossEntropyLoss expects logits"):
        net.fit(X, y)


def test_head_that_starts_at_zero_under_nll_loss() -> None:
    """There the same numbers are probabilities, as they ought to be."""
    settings = {"criterion": nn.NLLLoss, "module__softmax": True, "max_epochs": 2}
    net = fitted(3, **settings)
    assert torch.allclose(net.forward(blobs(6, 3)[0]).sum(1), torch.ones(6))
