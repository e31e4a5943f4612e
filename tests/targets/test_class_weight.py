"""`class_weight`: labels that a batch, the clean set or the mapping lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from sklearn_l2rw import L2RWClassifier
from sklearn_l2rw.targets.class_weight import with_class_weight
from tests.small import blobs, same_state, state_of

X, Y = blobs(90, 3)
X_CLEAN, Y_CLEAN = blobs(12, 3, seed=1)
QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "verbose": 0}
NAMES = np.array(["ant", "bee", "cat"])


def net_of(**settings: Any) -> L2RWClassifier:
    return L2RWClassifier(**{**QUICK, "clean_set": (X_CLEAN, Y_CLEAN), **settings})


def test_class_weight_of_a_class_that_a_batch_lacks() -> None:
    weights = {0: 3.0}
    net = net_of(class_weight=weights).partial_fit(X, Y, classes=[0, 1, 2])
    rest = Y > 0
    before = state_of(net.module_)
    net.partial_fit(X[rest], Y[rest])
    assert not same_state(before, state_of(net.module_))
    of_rest = np.asarray(with_class_weight(None, weights, Y[rest]))
    np.testing.assert_array_equal(of_rest, np.ones(60))


def test_class_weight_of_a_class_that_the_clean_set_lacks() -> None:
    rest = Y_CLEAN > 0
    net = net_of(class_weight={0: 3.0}, clean_set=(X_CLEAN[rest], Y_CLEAN[rest]))
    with pytest.warns(UserWarning, match=r"no example of the classes \[0\]"):
        net.fit(X, Y)


@pytest.mark.parametrize("y", [NAMES[Y], NAMES.astype(object)[Y], Y, Y > 0, Y.astype(float)])
def test_class_weight_by_label(y: NDArray[Any]) -> None:
    label = np.unique(y)[-1]
    prior = np.linspace(1, 2, 90)
    expected = prior * np.where(y == label, 2.5, 1.0)
    for key in (label, np.array(label).tolist()):
        found = with_class_weight(prior, {key: 2.5}, y, np.unique(y))
        np.testing.assert_allclose(np.asarray(found), expected)


def test_keys_of_class_weight() -> None:
    """Held to the classes as scikit-learn does it."""
    with pytest.raises(ValueError, match=r"class_weight for \['bat'\].*\['ant', 'bee', 'cat'\]"):
        with_class_weight(None, {"ant": 2.0, "bat": 3.0}, NAMES[Y], NAMES)
    every = {"ant": 2.0, "bee": 1.0, "cat": 1.0, "dog": 9.0}
    LogisticRegression(class_weight=every).fit(X, NAMES[Y])
    found = with_class_weight(None, every, NAMES[Y], NAMES)
    np.testing.assert_array_equal(found, np.where(Y == 0, 2.0, 1.0))


@pytest.mark.parametrize("class_weight", [[1.0, 2.0, 3.0], "balancd", 2.0])
def test_form_of_class_weight(class_weight: Any) -> None:
    with pytest.raises(ValueError, match=r"Got class_weight=.*dict.*'balanced'"):
        net_of(class_weight=class_weight).fit(X, Y)
