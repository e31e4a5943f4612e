"""`decision_function` where it is natural: logits, or their difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import get_scorer, roc_auc_score
from torch import nn

from tests.small import X_CLEAN, Y_CLEAN, Probabilities, X, Y, blobs, make_net

NAMES = np.array(["c", "a", "b"])


def softmax(scores: Any) -> Any:
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def test_two_classes() -> None:
    """Above 0 where the second class is predicted, and as far as the odds say."""
    y = NAMES[Y + 1]  # a, b
    net = make_net(clean_set=(X_CLEAN, NAMES[Y_CLEAN + 1]), max_epochs=10).fit(X, y)
    scores, proba = net.decision_function(X), net.predict_proba(X)
    assert scores.shape == (len(X),)
    np.testing.assert_array_equal(net.predict(X), np.where(scores > 0, "b", "a"))
    np.testing.assert_allclose(scores, np.log(proba[:, 1] / proba[:, 0]), rtol=1e-3, atol=1e-5)
    assert get_scorer("roc_auc")(net, X, y) == pytest.approx(roc_auc_score(y == "b", scores))


def test_three_classes() -> None:
    rows, codes = blobs(60, n_classes=3)
    net = make_net(clean_set=9, module__n_outputs=3, max_epochs=10).fit(rows, NAMES[codes])
    scores = net.decision_function(rows)
    assert scores.shape == (60, 3)
    np.testing.assert_array_equal(net.classes_[scores.argmax(1)], net.predict(rows))
    np.testing.assert_allclose(softmax(scores), net.predict_proba(rows), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "criterion", [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1)]
)
def test_criterion_that_is_an_instance(criterion: Any) -> None:
    net = make_net(criterion=criterion).fit(X, Y)
    scores = net.decision_function(X)
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), net.predict_proba(X)[:, 1], rtol=1e-4)


def test_there_is_none_without_logits() -> None:
    net = make_net(Probabilities, criterion=nn.NLLLoss)
    assert not hasattr(net, "decision_function")
    net.fit(X, Y)
    with pytest.raises(AttributeError, match="decision_function"):
        net.decision_function(X)
    scorer = get_scorer("roc_auc")
    expected = roc_auc_score(Y, net.predict_proba(X)[:, 1])
    assert scorer(net, X, Y) == pytest.approx(expected)
