"""A column of clean labels is taken where a column of labels is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from sklearn_l2rw import L2RWBinaryClassifier, L2RWClassifier
from tests.small import MLP, X_CLEAN, Y_CLEAN, Y_NOISY, X, make_net, same_state, state_of

pytestmark = pytest.mark.filterwarnings(
    "ignore:A column-vector y was passed:sklearn.exceptions.DataConversionWarning"
)
NAMES = np.array(["ant", "bee"])


class Items(Dataset[Any]):
    """Rows that are asked for one by one, each with a column of one label."""

    def __init__(self, rows: Any, labels: Any) -> None:
        self.rows, self.labels = rows, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index], self.labels[index : index + 1]


def tensors(rows: Any, labels: Any) -> Any:
    return TensorDataset(torch.as_tensor(rows), torch.as_tensor(labels)[:, None])


COLUMNS: dict[str, Any] = {
    "array": lambda y: y[:, None],
    "frame": lambda y: pd.DataFrame({"label": y}),
    "tensor": lambda y: torch.as_tensor(y)[:, None],
    "list": lambda y: y[:, None].tolist(),
}
PAIRS = {name: lambda X, y, as_column=column: (X, as_column(y)) for name, column in COLUMNS.items()}
CLEAN_SETS: dict[str, Any] = {**PAIRS, "TensorDataset": tensors, "items": Items}


def classifier(kind: str, **settings: Any) -> L2RWClassifier | L2RWBinaryClassifier:
    if kind == "binary":
        given = {"max_epochs": 2, "lr": 0.1, "random_state": 0, "verbose": 0, "batch_size": 16}
        return L2RWBinaryClassifier(MLP, module__n_outputs=1, **{**given, **settings})
    return make_net(**settings)


@pytest.mark.parametrize("clean_batch_size", [None, 3])
@pytest.mark.parametrize("form", list(CLEAN_SETS))
@pytest.mark.parametrize("kind", ["classifier", "binary"])
def test_column_of_clean_labels(kind: str, form: str, clean_batch_size: int | None) -> None:
    settings: dict[str, Any] = {"clean_batch_size": clean_batch_size}
    net = classifier(kind, clean_set=CLEAN_SETS[form](X_CLEAN, Y_CLEAN), **settings)
    net.fit(X, Y_NOISY)
    expected = classifier(kind, clean_set=(X_CLEAN, Y_CLEAN), **settings).fit(X, Y_NOISY)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)
    np.testing.assert_allclose(net.example_weights_, expected.example_weights_, atol=1e-5)


@pytest.mark.parametrize("form", ["array", "frame"])
def test_column_of_clean_texts(form: str) -> None:
    clean_set = X_CLEAN, COLUMNS[form](NAMES[Y_CLEAN])
    net = make_net(clean_set=clean_set).fit(X, NAMES[Y_NOISY])
    expected = make_net(clean_set=(X_CLEAN, NAMES[Y_CLEAN])).fit(X, NAMES[Y_NOISY])
    assert same_state(state_of(net.module_), state_of(expected.module_))


@pytest.mark.parametrize("form", list(COLUMNS))
def test_column_as_y_val(form: str) -> None:
    net = make_net(clean_set=None)
    net.fit(X, Y_NOISY, X_val=X_CLEAN, y_val=COLUMNS[form](Y_CLEAN))
    expected = make_net().fit(X, Y_NOISY)
    assert same_state(state_of(net.module_), state_of(expected.module_))


@pytest.mark.parametrize("form", ["TensorDataset", "items"])
@pytest.mark.parametrize("kind", ["classifier", "binary"])
def test_column_of_labels_in_a_data_set_to_train_on(kind: str, form: str) -> None:
    dataset = CLEAN_SETS[form](X, Y_NOISY)
    clean_set = X_CLEAN, Y_CLEAN
    net = classifier(kind, clean_set=clean_set)
    net.partial_fit(dataset, None if form == "TensorDataset" else Y_NOISY, classes=[0, 1])
    expected = classifier(kind, clean_set=clean_set).fit(X, Y_NOISY)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)


@pytest.mark.parametrize("form", ["TensorDataset", "items"])
def test_column_of_labels_that_are_split_off(form: str) -> None:
    dataset = CLEAN_SETS[form](X, Y_NOISY)
    net = make_net(clean_set=8).fit(dataset, Y_NOISY)
    expected = make_net(clean_set=8).fit(X, Y_NOISY)
    np.testing.assert_array_equal(net.clean_indices_, expected.clean_indices_)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)
