"""Inputs in forms that torch does not take, or that mean one thing or another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from skorch import NeuralNet
from torch import Tensor, nn

from sklearn_l2rw import L2RWClassifier, L2RWMixin
from sklearn_l2rw.data.rows import Rows
from tests.small import blobs

X, Y = blobs(90, 3)
X_CLEAN, Y_CLEAN = blobs(12, 3, seed=1)
X_TEST, _ = blobs(60, 3, seed=2)
QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "verbose": 0}


def net_of(**settings: Any) -> L2RWClassifier:
    return L2RWClassifier(**{**QUICK, "clean_set": (X_CLEAN, Y_CLEAN), **settings})


@pytest.mark.parametrize(
    "rows",
    [list, tuple, lambda X: list(torch.as_tensor(X)), lambda X: [pd.Series(x) for x in X]],
    ids=["list", "tuple", "tensors", "series"],
)
def test_list_of_rows(rows: Any) -> None:
    expected = net_of().fit(X, Y).predict_proba(X_TEST)
    net = net_of().fit(rows(X), Y)
    np.testing.assert_array_equal(net.predict_proba(rows(X_TEST)), expected)
    net = net_of(clean_set=(rows(X_CLEAN), list(Y_CLEAN))).fit(rows(X), Y)
    np.testing.assert_array_equal(net.predict_proba(X_TEST), expected)


def test_list_of_inputs() -> None:
    """For a module of the user's, a list of arrays is several inputs."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 3)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            out: Tensor = self.layer(torch.stack([a, b], 1))
            return out

    clean_set = [X_CLEAN[:, 0], X_CLEAN[:, 1]], Y_CLEAN

    class Net(L2RWClassifier):
        def infer(self, x: Any, **fit_params: Any) -> Any:
            return self.module_(*x, **fit_params)

    net = Net(Two, clean_set=clean_set, **QUICK).fit([X[:, 0], X[:, 1]], Y)
    assert net.predict([X_TEST[:, 0], X_TEST[:, 1]]).shape == (60,)


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i4"])
def test_other_byte_order(dtype: str) -> None:
    rows, native = X.astype(dtype), X.astype(np.dtype(dtype).newbyteorder("="))
    expected = net_of().fit(native, Y).predict_proba(native)
    net = net_of().fit(rows, Y.astype(">i8"))
    np.testing.assert_array_equal(net.predict_proba(rows), expected)


@pytest.mark.parametrize("part", ["view", "byte order", "read-only"])
def test_rows_that_torch_does_not_take(part: str) -> None:
    """They are copied, without an error and without the warning that torch gives only once."""
    rows = {"view": X[::-1], "byte order": X.astype(">f4"), "read-only": X.copy()}[part]
    rows.flags.writeable = part == "view"
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        moved = Rows(rows, torch.zeros(90)).to("meta")
        batch, _ = Rows(rows, torch.zeros(90))[[3, 4]]
    finally:
        torch.set_warn_always(always)
    assert moved.X.is_meta
    assert moved.X.shape == (90, 4)
    np.testing.assert_array_equal(batch.numpy(), rows[[3, 4]])


def test_sparse_rows_stay_where_they_are() -> None:
    rows = sparse.csr_matrix(X)
    assert Rows(rows, torch.zeros(90)).to("meta").X is rows


def test_views_backwards_in_a_net_of_the_users() -> None:
    class Net(L2RWMixin, NeuralNet):
        pass

    def fit(X: Any, y: Any) -> Any:
        sizes = {"module__in_features": 4, "module__out_features": 3}
        settings: dict[str, Any] = {"criterion": nn.CrossEntropyLoss, **sizes, **QUICK}
        return Net(nn.Linear, clean_set=(X_CLEAN, Y_CLEAN), **settings).fit(X, y)

    backwards = fit(X[::-1], Y[::-1])
    expected = fit(X[::-1].copy(), Y[::-1].copy())
    np.testing.assert_array_equal(backwards.predict(X_TEST), expected.predict(X_TEST))


def test_clean_set_as_a_list_of_pairs() -> None:
    for n in (1, 2, 12):
        pairs = list(zip(X_CLEAN[:n], Y_CLEAN[:n], strict=True))
        with pytest.raises(TypeError, match=rf"clean_set of {n} pairs.*\(Xv, yv\).*zip"):
            net_of(clean_set=pairs).fit(X, Y)
    two = (X_CLEAN[:2].tolist(), Y_CLEAN[:2].tolist())  # each of them has two elements, too
    with pytest.warns(UserWarning, match="no example of the classes"):
        net_of(clean_set=two).fit(X, Y)
