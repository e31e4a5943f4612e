"""Which criteria take logits, and which probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sklearn_l2rw import L2RWBinaryClassifier, L2RWClassifier, L2RWMultilabelClassifier
from tests.small import blobs

X, Y = blobs(90, 3)
LABELS = np.eye(3, dtype=int)[Y]
SPLIT: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "verbose": 0, "clean_set": 12}


class Focal(nn.Module):
    """The focal loss of logits."""

    reduction = "mean"

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        p = output.softmax(1).gather(1, target[:, None])[:, 0]
        losses = -((1 - p) ** 2) * p.log()
        return losses if self.reduction == "none" else losses.mean()


class MyBCE(nn.BCEWithLogitsLoss):
    pass


class MyCrossEntropy(nn.CrossEntropyLoss):
    pass


class Squares(nn.MSELoss):
    """A loss that says nothing about what it is given."""


def of_labels(criterion: Any, *, probabilities: bool, **settings: Any) -> Any:
    module = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid() if probabilities else nn.Identity())
    settings = {**SPLIT, "max_epochs": 20, "criterion": criterion, **settings}
    return L2RWMultilabelClassifier(module, **settings).fit(X, LABELS)


@pytest.mark.parametrize(
    ("criterion", "probabilities"),
    [
        (nn.BCELoss, True),
        (nn.BCELoss(), True),
        (nn.BCEWithLogitsLoss, False),
        (nn.MultiLabelSoftMarginLoss, False),
        (MyBCE, False),
        (MyBCE(), False),
        (Squares, True),
    ],
)
def test_probabilities_of_labels(criterion: Any, probabilities: bool) -> None:
    """A sigmoid is applied to logits, and not once more to probabilities."""
    net = of_labels(criterion, probabilities=probabilities)
    output = net.forward(X)
    expected = output if probabilities else output.sigmoid()
    np.testing.assert_allclose(net.predict_proba(X), expected.numpy(), rtol=1e-6)
    assert (net.predict(X).sum(1) < 3).any()


def test_labels_by_a_criterion_that_is_not_known() -> None:
    net = of_labels(Squares, probabilities=False, lr=1.0)
    with pytest.raises(ValueError, match=r"Squares.*predict_nonlinearity=torch.sigmoid"):
        net.predict(X)
    net.set_params(predict_nonlinearity=torch.sigmoid)
    np.testing.assert_allclose(net.predict_proba(X), net.forward(X).sigmoid().numpy(), rtol=1e-6)


def test_binary_decision_function_is_for_logits() -> None:
    for criterion in (nn.BCEWithLogitsLoss, MyBCE, MyBCE()):
        assert hasattr(L2RWBinaryClassifier(criterion=criterion), "decision_function")
    module = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
    net = L2RWBinaryClassifier(module, criterion=nn.BCELoss, **SPLIT).fit(X, Y == 0)
    assert not hasattr(net, "decision_function")
    np.testing.assert_allclose(net.predict_proba(X)[:, 1], net.forward(X).numpy(), rtol=1e-6)


def test_decision_function_of_subclassed_criteria() -> None:
    for of_logits in (nn.CrossEntropyLoss, MyCrossEntropy, MyCrossEntropy()):
        assert hasattr(L2RWClassifier(criterion=of_logits), "decision_function")
    for other in (nn.NLLLoss, Focal, nn.MSELoss()):
        assert not hasattr(L2RWClassifier(criterion=other), "decision_function")
