"""What is asked of an estimator before there was a fit, or after parameters were loaded alone."""

from __future__ import annotations

from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.utils.data import Dataset

from sklearn_l2rw import L2RWBinaryClassifier, L2RWMultilabelClassifier, L2RWRegressor
from tests.small import X_CLEAN, Y_CLEAN, X, Y, make_net

LABELS = np.array(["no", "yes"])


def binary() -> Any:
    return L2RWBinaryClassifier(
        nn.Linear, module__in_features=4, module__out_features=1, clean_set=10, verbose=0
    )


def loaded(net: Any, path: Path, **params: Any) -> Any:
    """A net that is made, and given the parameters of another."""
    net.save_params(f_params=path)
    fresh = type(net)(**{**net.get_params(deep=False), **params}).initialize()
    fresh.load_params(f_params=path)
    return fresh


@pytest.mark.parametrize("make", [make_net, binary])
def test_initialized_alone_is_not_fitted(make: Any) -> None:
    net = make().initialize()
    with pytest.raises(NotFittedError):
        check_is_fitted(net)
    net.check_is_fitted()  # skorch's own, which `forward` asks, and for which that is enough
    assert net.forward(X).shape[0] == len(X)
    assert net.predict_proba(X).shape == (len(X), 2)
    check_is_fitted(net.partial_fit(X, Y))


def test_failed_first_fit_is_no_fit() -> None:
    net = make_net().initialize()
    with pytest.raises(ValueError, match="NaN"):
        net.fit(np.full_like(X, np.nan), Y)
    with pytest.raises(NotFittedError):
        check_is_fitted(net)


@pytest.mark.parametrize("method", ["predict", "decision_function", "score"])
def test_codes_are_no_labels(method: str, tmp_path: Path) -> None:
    net = make_net(clean_set=(X_CLEAN, LABELS[Y_CLEAN])).fit(X, LABELS[Y])
    other = loaded(net, tmp_path / "params.pt")
    asked = methodcaller(method, X, LABELS[Y]) if method == "score" else methodcaller(method, X)
    with pytest.raises(NotFittedError, match="`classes`"):
        asked(other)
    assert not hasattr(other, "classes_")


def test_labels_by_name(tmp_path: Path) -> None:
    net = make_net(clean_set=(X_CLEAN, LABELS[Y_CLEAN])).fit(X, LABELS[Y])
    other = loaded(net, tmp_path / "params.pt", classes=LABELS)
    np.testing.assert_array_equal(other.predict(X), net.predict(X))


class Hidden(Dataset[Any]):
    """Keeps its targets to itself until it is asked for an item."""

    def __init__(self, y: Any) -> None:
        self.held = y

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> Any:
        return X[index], self.held[index]


TWO = np.stack([Y, 1 - Y], 1).astype(np.float32)


@pytest.mark.parametrize("clean", ["Dataset", "arrays"])
@pytest.mark.parametrize("kind", [L2RWMultilabelClassifier, L2RWRegressor])
def test_number_of_targets_of_a_data_set(kind: Any, clean: str) -> None:
    hidden = Hidden(TWO)
    net = kind(
        nn.Linear, module__in_features=4, module__out_features=2, max_epochs=1, verbose=0,
        clean_set=hidden if clean == "Dataset" else (X, TWO),
    ).fit(hidden)  # fmt: skip
    if kind is L2RWRegressor:
        assert net.n_outputs_ == 2
    else:
        np.testing.assert_array_equal(net.classes_, [0, 1])


def test_labels_of_a_data_set_that_cannot_be_read() -> None:
    hidden = Hidden(Y)
    with pytest.raises(ValueError, match="Name all classes with `classes`"):
        make_net(clean_set=hidden).fit(hidden, None)
    net = make_net(clean_set=hidden, classes=[0, 1]).fit(hidden, None)
    assert set(net.predict(X)) <= {0, 1}
