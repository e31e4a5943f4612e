"""An IterableDataset: its labels are encoded as those of any other data, and checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset

from sklearn_l2rw import L2RWBinaryClassifier, L2RWMultilabelClassifier, L2RWRegressor
from tests.small import MLP, X_CLEAN, Y_CLEAN, Record, X, Y, make_net, same_state, state_of

NAMES = np.array(["ant", "bee"])
X_TEST, Y_TEST = X[::2], Y[::2]
STREAM: dict[str, Any] = {"iterator_train__shuffle": False, "max_epochs": 20}


class Stream(IterableDataset[Any]):
    """Rows without a length."""

    def __init__(self, rows: Any, labels: Any) -> None:
        self.rows, self.labels = rows, labels

    def __iter__(self) -> Iterator[Any]:
        return zip(self.rows, self.labels, strict=True)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([0, 1], [1, 0]),
        ([0, 1], [0, 1]),
        ([5, 3], [3, 5]),
        ([False, True], [False, True]),
        (["bee", "ant"], ["ant", "bee"]),
    ],
)
def test_labels_of_a_stream_are_encoded_as_those_of_arrays(labels: Any, classes: Any) -> None:
    y, y_clean = np.array(labels)[Y], np.array(labels)[Y_CLEAN]
    settings = {**STREAM, "classes": classes, "clean_set": (X_CLEAN, y_clean)}
    net = make_net(**settings).fit(Stream(X, y.tolist()))
    assert net.score(X_TEST, y[::2]) > 0.9
    expected = make_net(**settings).fit(X, y)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-5)


def test_stream_in_partial_fit() -> None:
    net = make_net(**STREAM).partial_fit(Stream(X, (1 - Y).tolist()), classes=[0, 1])
    assert net.score(X_TEST, 1 - Y_TEST) < 0.9  # the clean set speaks for the other labels
    ordered = make_net(**STREAM, classes=[1, 0]).partial_fit(Stream(X, Y.tolist()))
    ordered.partial_fit(Stream(X, Y.tolist()))
    assert ordered.score(X_TEST, Y_TEST) > 0.9


def test_stream_of_the_binary_classifier() -> None:
    clean_set = X_CLEAN, NAMES[Y_CLEAN]
    net = L2RWBinaryClassifier(
        MLP, module__n_outputs=1, clean_set=clean_set, random_state=0, verbose=0, lr=0.1, **STREAM
    )
    net.partial_fit(Stream(X, NAMES[Y].tolist()), classes=NAMES)
    assert net.score(X_TEST, NAMES[Y_TEST]) > 0.9


def test_stream_of_the_regressor_and_of_several_labels() -> None:
    settings: dict[str, Any] = {"random_state": 0, "verbose": 0, **STREAM, "max_epochs": 2}
    target, clean = X[:, 0].tolist(), (X_CLEAN, X_CLEAN[:, 0])
    numbers = L2RWRegressor(MLP, module__n_outputs=1, clean_set=clean, **settings)
    expected = L2RWRegressor(MLP, module__n_outputs=1, clean_set=clean, **settings)
    numbers.fit(Stream(X, target)), expected.fit(X, np.array(target))
    assert same_state(state_of(numbers.module_), state_of(expected.module_), atol=1e-5)
    labels = np.eye(2, dtype=int)
    several = L2RWMultilabelClassifier(MLP, clean_set=(X_CLEAN, labels[Y_CLEAN]), **settings)
    whole = L2RWMultilabelClassifier(MLP, clean_set=(X_CLEAN, labels[Y_CLEAN]), **settings)
    several.fit(Stream(X, labels[Y])), whole.fit(X, labels[Y])
    assert same_state(state_of(several.module_), state_of(whole.module_), atol=1e-5)


@pytest.mark.parametrize(("unknown", "classes"), [(7, [0, 1]), (-1, [0, 1]), (7, [1, 0])])
def test_label_of_a_stream_that_is_not_among_the_classes(unknown: int, classes: Any) -> None:
    labels = Y.tolist()
    labels[20] = unknown
    with pytest.raises(ValueError, match=rf"\[{unknown}\].*not among the classes"):
        make_net(**STREAM, classes=classes).fit(Stream(X, labels))


def test_callbacks_see_the_labels_of_a_stream() -> None:
    record = Record()
    settings = {**STREAM, "max_epochs": 1, "callbacks": [("record", record)]}
    make_net(**settings, classes=[1, 0]).fit(Stream(X, Y.tolist()))
    seen = torch.cat([torch.as_tensor(batch[1]) for batch in record.batches])
    np.testing.assert_array_equal(seen.numpy(), Y)
