"""Tensors that require a gradient are data like others: nothing flows back into them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from sklearn_l2rw import L2RWRegressor
from tests.small import (
    MLP,
    SETTINGS,
    X_CLEAN,
    Y_CLEAN,
    Y_NOISY,
    X,
    make_net,
    same_state,
    state_of,
)


def leaf(x: Any) -> Tensor:
    return torch.as_tensor(x).clone().requires_grad_()


def made_of(x: Any) -> Tensor:
    """What a frozen or a forgotten encoder returns: no leaf, with a graph behind it."""
    return leaf(x) * 1.0


class TwoInputs(MLP):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(torch.cat([a, b], 1))


class Items(Dataset[Any]):
    def __init__(self, rows: Tensor, labels: Any) -> None:
        self.rows, self.labels = rows, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index], int(self.labels[index])


def halves(rows: Any) -> Any:
    return {"a": rows[:, :2], "b": rows[:, 2:]}


@pytest.mark.parametrize("clean_batch_size", [None, 3])
@pytest.mark.parametrize("make", [leaf, made_of])
@pytest.mark.parametrize("part", ["X", "clean_set", "both"])
@pytest.mark.parametrize("form", ["array", "dict", "TensorDataset", "items"])
def test_inputs_that_require_a_gradient(
    form: str, part: str, make: Any, clean_batch_size: int | None
) -> None:
    rows = X if part == "clean_set" else make(X)
    clean = X_CLEAN if part == "X" else make(X_CLEAN)
    module, train, y, clean_set, plain, plain_clean = {
        "array": (MLP, rows, Y_NOISY, (clean, Y_CLEAN), X, X_CLEAN),
        "dict": (TwoInputs, halves(rows), Y_NOISY, (halves(clean), Y_CLEAN),
                 halves(X), halves(X_CLEAN)),
        "TensorDataset": (MLP, tensors(rows, Y_NOISY), None, tensors(clean, Y_CLEAN), X, X_CLEAN),
        "items": (MLP, Items(torch.as_tensor(rows), Y_NOISY), Y_NOISY,
                  Items(torch.as_tensor(clean), Y_CLEAN), X, X_CLEAN),
    }[form]  # fmt: skip
    settings = {"clean_batch_size": clean_batch_size}
    net = make_net(module, clean_set=clean_set, **settings).fit(train, y)
    expected = make_net(module, clean_set=(plain_clean, Y_CLEAN), **settings).fit(plain, Y_NOISY)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)
    for given in (rows, clean):
        if isinstance(given, Tensor):
            assert given.requires_grad
            assert given.is_leaf is False or given.grad is None


def tensors(rows: Any, labels: Any) -> Any:
    return TensorDataset(torch.as_tensor(rows), torch.as_tensor(labels))


@pytest.mark.parametrize("make", [leaf, made_of])
def test_prediction_of_rows_that_require_a_gradient(make: Any) -> None:
    net = make_net().fit(X, Y_NOISY)
    np.testing.assert_array_equal(net.predict_proba(make(X)), net.predict_proba(X))
    assert net.score(make(X), Y_NOISY) == net.score(X, Y_NOISY)


@pytest.mark.parametrize("make", [leaf, made_of])
def test_targets_that_require_a_gradient(make: Any) -> None:
    settings = {**SETTINGS, "module__n_outputs": 1}
    target, clean = X[:, 0], X_CLEAN[:, 0]
    net = L2RWRegressor(MLP, **{**settings, "clean_set": (X_CLEAN, make(clean))})
    net.fit(X, make(target))
    plain = L2RWRegressor(MLP, **{**settings, "clean_set": (X_CLEAN, clean)}).fit(X, target)
    assert same_state(state_of(net.module_), state_of(plain.module_), atol=1e-6)


def test_sample_weight_that_requires_a_gradient() -> None:
    weight = np.linspace(1, 2, len(X))
    net = make_net().fit(X, Y_NOISY, sample_weight=leaf(weight))
    expected = make_net().fit(X, Y_NOISY, sample_weight=weight)
    assert same_state(state_of(net.module_), state_of(expected.module_))
