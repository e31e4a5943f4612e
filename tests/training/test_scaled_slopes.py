"""Slopes over the norms of gradients: at logits, whatever the module returns, in any precision."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearn_l2rw import L2RWBinaryClassifier, L2RWClassifier, reweighted_backward
from tests.small import MLP, X_CLEAN, Y_CLEAN, Y_NOISY, Probabilities, Record, X, Y

LOGITS = nn.CrossEntropyLoss(reduction="none")
# The last of these is a confident mistake: its gradient at the probabilities is huge.
FAR = np.concatenate([X, [[40.0, -40.0, 0.0, 0.0]]]).astype(np.float32)
LABELS = np.append(Y_NOISY, 1)


def weights_of(kind: Any, module: Any, criterion: Any, **settings: Any) -> Any:
    record = Record()
    net = kind(
        module, criterion=criterion, clean_set=(X_CLEAN, Y_CLEAN), random_state=0, verbose=0,
        batch_size=-1, max_epochs=4, lr=0.1, optimizer__momentum=0.5,
        iterator_train__shuffle=False, callbacks=[("record", record)], **settings,
    )  # fmt: skip
    net.fit(FAR, LABELS)
    return record.weights


def test_probabilities_are_weighed_as_their_logits() -> None:
    logits = weights_of(L2RWClassifier, MLP, nn.CrossEntropyLoss)
    probabilities = weights_of(L2RWClassifier, Probabilities, nn.NLLLoss)
    assert len(logits) == 4
    for ours, theirs in zip(probabilities, logits, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    assert all((w > 1e-3).sum() > 10 for w in logits)


class Sigmoid(MLP):
    """The probability of the second class."""

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X).sigmoid()


def test_one_probability_is_weighed_as_its_logit() -> None:
    one = {"module__n_outputs": 1}
    logits = weights_of(L2RWBinaryClassifier, MLP, nn.BCEWithLogitsLoss, **one)
    sure = partial(weights_of, L2RWBinaryClassifier, Sigmoid, nn.BCELoss, **one)
    for ours, theirs in zip(sure(predict_nonlinearity=None), logits, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def fitted() -> nn.Module:
    """A net that is sure of most labels: their gradients are small beside those of wrong ones."""
    torch.manual_seed(0)
    module = MLP()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(module(torch.as_tensor(X)), torch.as_tensor(Y)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return module


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_distrusts_no_more_examples(dtype: torch.dtype) -> None:
    module = fitted()
    batch = torch.as_tensor(X), torch.as_tensor(Y_NOISY)
    clean = torch.as_tensor(X_CLEAN), torch.as_tensor(Y_CLEAN)
    expected = reweighted_backward(module, LOGITS, batch, clean).weights
    low = module.to(dtype)
    pairs = [(rows.to(dtype), y) for rows, y in (batch, clean)]
    weights = reweighted_backward(low, LOGITS, *pairs).weights
    kept = (weights > 0).float().mean(), (expected > 0).float().mean()
    assert kept[0] > 0.8 * kept[1] > 0.2
    assert (weights.float() - expected).abs().max() < 0.25 * expected.max()


def test_small_targets_are_not_lost() -> None:
    """A regression in small units: the size of gradients does not matter."""
    line = nn.Linear(4, 1, dtype=torch.float64)
    rows, targets = torch.as_tensor(X).double(), torch.as_tensor(X[:, :1]).double()

    def weights(unit: float) -> Tensor:
        module = nn.Linear(4, 1, dtype=torch.float64)
        with torch.no_grad():
            for p, q in zip(module.parameters(), line.parameters(), strict=True):
                p.copy_(unit * q)
        y = unit * targets
        loss = nn.MSELoss(reduction="none")
        step = reweighted_backward(module, loss, (rows, y), (rows[:6], y[:6]))
        return step.weights

    torch.testing.assert_close(weights(1e-12), weights(1.0))
