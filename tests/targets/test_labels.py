"""Labels of any kind: what goes into `fit` comes out of `predict`, and scorers see it too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import EpochScoring
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch.helper import predefined_split
from torch.utils.data import Dataset, TensorDataset

from tests.small import X_CLEAN, Y_CLEAN, Record, X, Y, blobs, make_net, same_state, state_of

NAMES: dict[str, Any] = {
    "3 and 7": np.array([3, 7]),
    "-1 and 1": np.array([-1, 1]),
    "int8": np.array([0, 1], dtype=np.int8),
    "uint8": np.array([1, 2], dtype=np.uint8),
    "strings": np.array(["ham", "spam"]),
    "objects": np.array(["ham", "spam"], dtype=object),
    "booleans": np.array([False, True]),
    "whole floats": np.array([1.0, 2.0]),
}


def fitted(names: Any, y: Any = None, **settings: Any) -> Any:
    clean_set = (X_CLEAN, names[Y_CLEAN])
    return make_net(**{"clean_set": clean_set, **settings}).fit(X, names[Y] if y is None else y)


@pytest.mark.parametrize("kind", list(NAMES))
def test_names_do_not_matter(kind: str) -> None:
    names = NAMES[kind]
    plain = make_net(max_epochs=5).fit(X, Y)
    net = fitted(names, max_epochs=5)
    assert same_state(state_of(net.module_), state_of(plain.module_))
    np.testing.assert_array_equal(net.classes_, names)
    predicted = net.predict(X)
    np.testing.assert_array_equal(predicted, names[plain.predict(X)])
    assert predicted.dtype == names.dtype
    assert len(set(predicted)) == 2
    np.testing.assert_array_equal(net.predict_proba(X), plain.predict_proba(X))
    assert net.score(X, names[Y]) == plain.score(X, Y) == np.mean(predicted == names[Y])


FORMS: dict[str, Any] = {
    "Series": lambda y: pd.Series(y, index=range(len(y), 0, -1)),
    "categorical": lambda y: pd.Series(pd.Categorical(y, categories=["spam", "ham", "eggs"])),
    "list": list,
    "lists of str": lambda y: [str(label) for label in y],
}


@pytest.mark.parametrize("form", list(FORMS))
def test_forms_of_y(form: str) -> None:
    names = NAMES["strings"]
    expected = fitted(names)
    clean_set = (X_CLEAN, FORMS[form](names[Y_CLEAN]))
    net = make_net(clean_set=clean_set).fit(X, FORMS[form](names[Y]))
    assert same_state(state_of(net.module_), state_of(expected.module_))
    np.testing.assert_array_equal(net.predict(X), expected.predict(X))
    assert net.classes_.tolist() == ["ham", "spam"]
    assert net.score(X, FORMS[form](names[Y])) == expected.score(X, names[Y])


@pytest.mark.parametrize("names", [[0, 1], [3, 7]])
def test_tensors_of_labels(names: list[int]) -> None:
    labels = torch.tensor(names)
    net = make_net(clean_set=(torch.as_tensor(X_CLEAN), labels[Y_CLEAN])).fit(
        torch.as_tensor(X), labels[Y]
    )
    assert net.classes_.tolist() == names
    assert set(net.predict(torch.as_tensor(X)).tolist()) <= set(names)


@pytest.mark.parametrize("names", [["c", "a", "b"], [7, 3, 5]])
def test_columns_of_probabilities_are_those_of_classes(names: list[Any]) -> None:
    rows, codes = blobs(60, n_classes=3)
    X_clean, clean_codes = blobs(12, n_classes=3, seed=1)
    y = np.asarray(names)[codes]
    net = make_net(
        clean_set=(X_clean, np.asarray(names)[clean_codes]), module__n_outputs=3, max_epochs=20
    ).fit(rows, y)
    assert net.classes_.tolist() == sorted(names)
    probabilities = net.predict_proba(rows)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(net.classes_[probabilities.argmax(1)], net.predict(rows))
    assert net.score(rows, y) > 0.7


def test_order_of_given_classes() -> None:
    """With `classes`, the module's outputs are in that order, as in skorch."""
    net = fitted(NAMES["strings"], classes=["spam", "ham"], max_epochs=10)
    flipped = fitted(NAMES["strings"], max_epochs=10)
    assert net.classes_.tolist() == ["spam", "ham"]
    assert net.score(X, NAMES["strings"][Y]) > 0.7
    spam = net.predict_proba(X)[:, 0]
    assert np.corrcoef(spam, flipped.predict_proba(X)[:, 1])[0, 1] > 0.9
    np.testing.assert_array_equal(net.predict(X) == "spam", spam > 0.5)


def test_class_that_a_later_batch_of_data_has() -> None:
    names = NAMES["strings"]
    net = make_net(clean_set=(X_CLEAN, names[Y_CLEAN]), classes=["ham", "spam"])
    net.partial_fit(X[Y == 0], names[Y[Y == 0]])
    net.partial_fit(X, names[Y])
    assert net.classes_.tolist() == ["ham", "spam"]
    assert len(net.history) == 4


# skorch's scoring and splits


@pytest.mark.parametrize("kind", ["strings", "3 and 7", "booleans", "objects"])
@pytest.mark.parametrize("slow", [False, True])
def test_validation_scores_compare_labels(kind: str, slow: bool) -> None:
    settings: dict[str, Any] = {
        "train_split": ValidSplit(3, stratified=True),
        "max_epochs": 4,
        **({"iterator_train__num_workers": 0, "iterator_valid__num_workers": 0} if slow else {}),
    }
    plain = make_net(**settings).fit(X, Y)
    net = fitted(NAMES[kind], **settings)
    for key in ("valid_acc", "valid_loss", "train_loss"):
        np.testing.assert_allclose(net.history[:, key], plain.history[:, key], rtol=1e-5)
    assert net.history[-1, "valid_acc"] > 0.4


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("on_train", [True, False])
def test_epoch_scoring_with_string_labels(on_train: bool, use_caching: bool) -> None:
    names = NAMES["strings"]

    def share_right(net: Any, X: Any, y: Any) -> float:
        assert set(np.unique(y)) == {"ham", "spam"}
        return float(np.mean(net.predict(X) == y))

    scores = [
        ("balanced", EpochScoring("balanced_accuracy", on_train=on_train, use_caching=use_caching)),
        ("own", EpochScoring(share_right, name="own", on_train=on_train, use_caching=use_caching)),
        ("f1", EpochScoring("f1_macro", on_train=on_train, use_caching=use_caching)),
    ]
    net = fitted(names, train_split=ValidSplit(3, stratified=True), callbacks=scores, max_epochs=3)
    codes = [scores[0], ("own2", scores[2][1]), ("f1", scores[2][1])]
    plain = make_net(
        train_split=ValidSplit(3, stratified=True), max_epochs=3, callbacks=codes
    ).fit(X, Y)  # fmt: skip
    assert net.history[:, "f1_macro"] == plain.history[:, "f1_macro"]
    assert all(0 <= score <= 1 for score in net.history[:, "own"])
    if not on_train and use_caching:
        assert net.history[:, "own"] == net.history[:, "valid_acc"]


def test_predefined_split_with_string_labels() -> None:
    names = NAMES["strings"]
    held_out = SkorchDataset(X[:10], names[Y[:10]])
    net = fitted(names, train_split=predefined_split(held_out), max_epochs=3)
    assert net.history[-1, "valid_acc"] == net.score(X[:10], names[Y[:10]])


def test_callbacks_see_labels() -> None:
    record = Record()
    fitted(NAMES["strings"], callbacks=[("record", record)])
    assert {label for _, y in record.batches for label in y} == {"ham", "spam"}
    record = Record()
    fitted(NAMES["3 and 7"], callbacks=[("record", record)])
    assert {int(label) for _, y in record.batches for label in y} == {3, 7}


# Labels in data sets


class Items(Dataset[Any]):
    def __init__(self, rows: Any, labels: Any) -> None:
        self.rows, self.labels = rows, labels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index], self.labels[index]


@pytest.mark.parametrize("kind", ["3 and 7", "strings", "booleans"])
def test_labels_in_a_data_set(kind: str) -> None:
    names = NAMES[kind]
    expected = fitted(names)
    data = SkorchDataset(X, names[Y])
    nets = [
        make_net(clean_set=SkorchDataset(X_CLEAN, names[Y_CLEAN])).fit(data, None),
        make_net(clean_set=(X_CLEAN, names[Y_CLEAN])).fit(data, names[Y]),
        make_net(clean_set=(X_CLEAN, names[Y_CLEAN])).fit(Items(X, names[Y]), names[Y]),
        make_net(clean_set=(X_CLEAN, names[Y_CLEAN]), classes=names).fit(Items(X, names[Y]), None),
        make_net(clean_set=Items(X_CLEAN, names[Y_CLEAN])).fit(X, names[Y]),
    ]
    for net in nets:
        assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-5)
        np.testing.assert_array_equal(net.predict(X), expected.predict(X))
        np.testing.assert_array_equal(net.predict(data), expected.predict(X))


def test_labels_in_a_tensor_data_set() -> None:
    labels = torch.as_tensor(NAMES["3 and 7"])
    data = TensorDataset(torch.as_tensor(X), labels[Y])
    clean = TensorDataset(torch.as_tensor(X_CLEAN), labels[Y_CLEAN])
    net = make_net(clean_set=clean).fit(data, None)
    expected = fitted(NAMES["3 and 7"])
    assert same_state(state_of(net.module_), state_of(expected.module_))
    assert net.classes_.tolist() == [3, 7]
    np.testing.assert_array_equal(net.predict(data), expected.predict(X))


def test_prediction_of_data_with_other_labels() -> None:
    """Labels play no part in prediction."""
    net = fitted(NAMES["strings"])
    expected = net.predict(X)
    for labels in (np.array(["eggs"] * len(X)), np.arange(len(X))):
        np.testing.assert_array_equal(net.predict(SkorchDataset(X, labels)), expected)
    np.testing.assert_array_equal(net.predict(SkorchDataset(X, None)), expected)


def test_another_fit_forgets_the_labels() -> None:
    net = fitted(NAMES["strings"])
    net.set_params(clean_set=(X_CLEAN, NAMES["3 and 7"][Y_CLEAN])).fit(X, NAMES["3 and 7"][Y])
    assert net.classes_.tolist() == [3, 7]
    assert set(net.predict(X)) <= {3, 7}
