"""Labels of data that validate are held to the classes, however the data are held."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch.helper import predefined_split
from torch.utils.data import Dataset, Subset, TensorDataset

from sklearn_l2rw import L2RWBinaryClassifier
from tests.small import MLP, SETTINGS, X_CLEAN, Y_CLEAN, Record, X, Y, make_net

NAMES = np.array(["ant", "bee"])


class Items(Dataset[Any]):
    """Rows that are asked for one by one."""

    def __init__(self, rows: Any, labels: Any) -> None:
        self.rows, self.labels = rows, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index], self.labels[index]


def tensors(rows: Any, labels: Any) -> Any:
    return TensorDataset(torch.as_tensor(rows), torch.as_tensor(labels))


def subset(rows: Any, labels: Any) -> Any:
    return Subset(SkorchDataset(rows, labels), range(len(labels)))


IN_MEMORY = [SkorchDataset, tensors, subset]


@pytest.mark.parametrize("form", [*IN_MEMORY, Items])
@pytest.mark.parametrize(("labels", "unknown"), [([0, 1], 5), ([0, 1], -1), ([3, 7], 5)])
def test_unknown_label_among_those_that_validate(
    form: Any, labels: list[int], unknown: int
) -> None:
    y, y_clean = np.array(labels)[Y], np.array(labels)[Y_CLEAN]
    valid = y[:20].copy()
    valid[13] = unknown
    record = Record()
    net = make_net(
        clean_set=(X_CLEAN, y_clean), train_split=predefined_split(form(X[:20], valid)),
        callbacks=[("record", record)],
    )  # fmt: skip
    with pytest.raises(ValueError, match=rf"\[{unknown}\].*not among the classes"):
        net.fit(X, y)
    assert not hasattr(net, "module_")
    assert form is Items or record.parameters == []  # what is in memory is looked at first


@pytest.mark.parametrize("form", [SkorchDataset, subset, Items])
def test_unknown_text_among_those_that_validate(form: Any) -> None:
    valid = NAMES[Y[:20]].astype("U3")
    valid[4] = "cat"
    split = predefined_split(form(X[:20], valid))
    net = make_net(clean_set=(X_CLEAN, NAMES[Y_CLEAN]), train_split=split)
    with pytest.raises(ValueError, match=r"\['cat'\].*not among the classes"):
        net.fit(X, NAMES[Y])


@pytest.mark.parametrize("form", [*IN_MEMORY, Items])
def test_unknown_label_in_the_binary_classifier(form: Any) -> None:
    valid = Y[:20].copy()
    valid[4] = 2
    settings = {**SETTINGS, "train_split": predefined_split(form(X[:20], valid))}
    net = L2RWBinaryClassifier(MLP, module__n_outputs=1, **settings)
    with pytest.raises(ValueError, match=r"\[2\].*not among the classes"):
        net.fit(X, Y)


@pytest.mark.parametrize("form", [*IN_MEMORY, Items])
def test_known_labels_that_validate(form: Any) -> None:
    """Some classes alone may validate; their loss is that of their codes."""
    some = np.flatnonzero(Y == 1)
    dataset = form(X[some], np.array([3, 7])[Y[some]])
    clean_set = X_CLEAN, np.array([3, 7])[Y_CLEAN]
    net = make_net(clean_set=clean_set, train_split=predefined_split(dataset), max_epochs=1)
    net.fit(X, np.array([3, 7])[Y])
    logits = net.forward(X[some])
    expected = torch.nn.functional.cross_entropy(logits, torch.ones(len(some), dtype=torch.int64))
    assert net.history[-1, "valid_loss"] == pytest.approx(float(expected), rel=1e-5)


def test_labels_of_a_split_are_those_of_the_data() -> None:
    net = make_net(train_split=ValidSplit(3), clean_set=(X_CLEAN, NAMES[Y_CLEAN])).fit(X, NAMES[Y])
    assert len(net.history[:, "valid_loss"]) == 2
