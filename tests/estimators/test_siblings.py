"""One logit, several labels, real targets: the same method, other losses."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV
from torch import Tensor, nn

from sklearn_l2rw import (
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMultilabelClassifier,
    L2RWRegressor,
)
from tests.reference import literal_training
from tests.small import BOUNDED, MLP, Record, blobs, joined, same_state, state_of

N = 150
X, CODES = blobs(N)
X_CLEAN, CODES_CLEAN = blobs(12, seed=1)
X_TEST, CODES_TEST = blobs(200, seed=2)
WRONG = np.arange(N) % 5 < 3  # most of the rows that are hit below


class Flat(MLP):
    """One number for each row, without an axis for it."""

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X)[:, 0]


def names_of(codes: Any) -> Any:
    return np.array(["ham", "spam"])[codes]


def labels_of(rows: Any) -> Any:
    """Three labels for each row, which overlap."""
    return (rows[:, :3] > [1.0, 1.0, 0.0]).astype(int)


def target_of(rows: Any) -> Any:
    return rows[:, 0] - rows[:, 1]


def targets_of(rows: Any) -> Any:
    return np.column_stack([target_of(rows), rows[:, 2]])


def flipped(codes: Any) -> Any:
    """Most of the second class are called the first: plain training learns that."""
    return np.where(WRONG, 0, codes)


# Estimator, targets of rows, corrupted targets, number of the module's outputs
KINDS: dict[str, Any] = {
    "classifier": (
        L2RWClassifier, lambda rows, codes: names_of(codes),
        names_of(flipped(CODES)), 2,
    ),
    "binary": (
        L2RWBinaryClassifier, lambda rows, codes: names_of(codes),
        names_of(flipped(CODES)), 1,
    ),
    "multilabel": (
        L2RWMultilabelClassifier, lambda rows, codes: labels_of(rows),
        np.where(WRONG[:, None], 1 - labels_of(X), labels_of(X)), 3,
    ),
    "regressor": (
        L2RWRegressor, lambda rows, codes: target_of(rows),
        np.where(WRONG, 6.0, target_of(X)), 1,
    ),
    "regressor of two": (
        L2RWRegressor, lambda rows, codes: targets_of(rows),
        np.where(WRONG[:, None], 6.0, targets_of(X)), 2,
    ),
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "max_epochs": 2,
    "optimizer": torch.optim.Adam,
    "batch_size": 50,
    "lr": 0.03,
    "random_state": 0,
    "verbose": 0,
}


def make(kind: str, module: Any = MLP, **settings: Any) -> Any:
    estimator, targets, _, n_outputs = KINDS[kind]
    settings = {"clean_set": (X_CLEAN, targets(X_CLEAN, CODES_CLEAN)), **SETTINGS, **settings}
    if isinstance(module, type):
        settings.setdefault("module__n_outputs", n_outputs)
    return estimator(module, **settings)


def true(kind: str) -> Any:
    return KINDS[kind][1](X, CODES)


def corrupted(kind: str) -> Any:
    return KINDS[kind][2]


@pytest.mark.parametrize("kind", list(KINDS))
def test_learns_in_spite_of_corrupted_targets(kind: str) -> None:
    net = make(kind, None, max_epochs=40).fit(X, corrupted(kind))
    y_test = KINDS[kind][1](X_TEST, CODES_TEST)
    plain = make(kind, None, max_epochs=40, clean_set=(X, corrupted(kind)))
    plain.fit(X, corrupted(kind))
    assert net.score(X_TEST, y_test) > {"multilabel": 0.5}.get(kind, 0.8)
    assert net.score(X_TEST, y_test) > plain.score(X_TEST, y_test) + 0.15


@pytest.mark.parametrize("kind", list(KINDS))
def test_wrong_examples_get_little_weight(kind: str) -> None:
    record = Record()
    net = make(kind, max_epochs=40, batch_size=-1, callbacks=[("record", record)])
    net.set_params(iterator_train__shuffle=False).fit(X, corrupted(kind))
    y = corrupted(kind).reshape(N, -1)
    wrong = torch.as_tensor((y != true(kind).reshape(N, -1)).any(1))
    weights = torch.stack(record.weights[10:]).mean(0)
    assert weights.shape == (N,)
    assert float(weights[~wrong].mean()) > 1.5 * float(weights[wrong].mean())


@pytest.mark.parametrize("kind", ["binary", "multilabel", "regressor", "regressor of two"])
def test_equals_the_literal_algorithm(kind: str) -> None:
    settings: dict[str, Any] = {"module__dtype": torch.float64, "batch_size": -1}
    settings |= BOUNDED
    net = make(kind, **settings, max_epochs=4, optimizer=torch.optim.SGD)
    module = MLP(n_outputs=KINDS[kind][3], dtype=torch.float64)
    module.load_state_dict(
        clone(net).set_params(module__n_inputs=4).initialize().module_.state_dict()
    )
    criterion = nn.MSELoss if "regressor" in kind else nn.BCEWithLogitsLoss
    targets = corrupted(kind), KINDS[kind][1](X_CLEAN, CODES_CLEAN)
    batch, clean_batch = (
        (
            torch.as_tensor(rows).double(),
            torch.as_tensor(y == "spam" if kind == "binary" else y).double().reshape(len(rows), -1),
        )
        for rows, y in zip((X, X_CLEAN), targets, strict=True)
    )
    literal_training(
        module, criterion(reduction="none"), [batch] * 4, [clean_batch] * 4,
        lr=0.03, momentum=0.0, max_norm=1.0,
    )  # fmt: skip
    net.fit(X, corrupted(kind))
    # Targets that are not 0 or 1 are float32 by the time they reach the loss.
    assert same_state(state_of(net.module_), state_of(module), atol=1e-6)


# What they predict


def test_binary_predictions() -> None:
    net = make("binary", max_epochs=20).fit(X, true("binary"))
    assert net.classes_.tolist() == ["ham", "spam"]
    logit, proba = net.decision_function(X_TEST), net.predict_proba(X_TEST)
    assert logit.shape == (200,)
    assert proba.shape == (200, 2)
    np.testing.assert_allclose(proba[:, 1], 1 / (1 + np.exp(-logit)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(net.predict(X_TEST), np.where(logit > 0, "spam", "ham"))
    assert net.score(X_TEST, names_of(CODES_TEST)) > 0.8
    assert is_classifier(net)


@pytest.mark.parametrize("kind", ["binary", "regressor"])
def test_an_axis_for_the_output_does_not_matter(kind: str) -> None:
    flat = make(kind, Flat).fit(X, corrupted(kind))
    column = make(kind).fit(X, corrupted(kind))
    assert same_state(state_of(flat.module_), state_of(column.module_), atol=1e-6)
    assert flat.predict(X).shape == column.predict(X).shape == (N,)


@pytest.mark.parametrize(
    "names", [["ham", "spam"], [-1, 1], [3, 7], [False, True], [0, 1], [1.0, 2.0]]
)
@pytest.mark.parametrize("form", [np.asarray, list, pd.Series])
def test_binary_labels(names: list[Any], form: Any) -> None:
    y, y_clean = np.asarray(names)[CODES], np.asarray(names)[CODES_CLEAN]
    net = make("binary", clean_set=(X_CLEAN, form(y_clean))).fit(X, form(y))
    expected = make("binary").fit(X, names_of(CODES))
    assert net.classes_.tolist() == names
    assert same_state(state_of(net.module_), state_of(expected.module_))
    np.testing.assert_array_equal(net.predict(X) == names[1], expected.predict(X) == "spam")


def test_multilabel_predictions() -> None:
    net = make("multilabel", max_epochs=30).fit(X, labels_of(X))
    proba, predicted = net.predict_proba(X_TEST), net.predict(X_TEST)
    assert proba.shape == predicted.shape == (200, 3)
    np.testing.assert_array_equal(predicted, proba > 0.5)
    assert set(np.unique(predicted).tolist()) == {0, 1}
    y_test = labels_of(X_TEST)
    assert net.score(X_TEST, y_test) == pytest.approx(accuracy_score(y_test, predicted))
    assert np.mean(predicted == y_test) > 0.85
    assert is_classifier(net)


@pytest.mark.parametrize("convert", [np.asarray, pd.DataFrame, lambda y: y.tolist(), torch.tensor])
def test_forms_of_indicators(convert: Any) -> None:
    expected = make("multilabel").fit(X, corrupted("multilabel"))
    clean_set = (X_CLEAN, convert(labels_of(X_CLEAN)))
    net = make("multilabel", clean_set=clean_set).fit(X, convert(corrupted("multilabel")))
    assert same_state(state_of(net.module_), state_of(expected.module_))


def test_regressor_predictions() -> None:
    for kind, shape in (("regressor", (200,)), ("regressor of two", (200, 2))):
        net = make(kind, max_epochs=40).fit(X, true(kind))
        predicted = net.predict(X_TEST)
        assert predicted.shape == shape
        y_test = KINDS[kind][1](X_TEST, CODES_TEST)
        assert net.score(X_TEST, y_test) == pytest.approx(r2_score(y_test, predicted), rel=1e-5)
        assert net.score(X_TEST, y_test) > 0.7
        assert is_regressor(net)
        assert not hasattr(net, "classes_")


@pytest.mark.parametrize(
    "convert",
    [np.float32, lambda y: y.tolist(), pd.Series, torch.as_tensor, lambda y: y.astype(object)],
)
def test_forms_of_targets(convert: Any) -> None:
    y, y_clean = np.round(corrupted("regressor"), 1), np.round(target_of(X_CLEAN), 1)
    expected = make("regressor", clean_set=(X_CLEAN, y_clean)).fit(X, y)
    net = make("regressor", clean_set=(X_CLEAN, convert(y_clean))).fit(X, convert(y))
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)


def test_integer_targets() -> None:
    counts, clean_counts = np.round(target_of(X)).astype(int), np.round(target_of(X_CLEAN))
    net = make("regressor", clean_set=(X_CLEAN, clean_counts.astype(int))).fit(X, counts)
    floats = make("regressor", clean_set=(X_CLEAN, clean_counts)).fit(X, counts.astype(float))
    assert same_state(state_of(net.module_), state_of(floats.module_))


# The four ways, weights, searches


@pytest.mark.parametrize("kind", list(KINDS))
def test_ways_to_give_the_clean_set(kind: str) -> None:
    y, y_clean = corrupted(kind), KINDS[kind][1](X_CLEAN, CODES_CLEAN)
    expected = make(kind).fit(X, y)
    val = make(kind, clean_set=None).fit(X, y, X_val=X_CLEAN, y_val=y_clean)
    rows, targets, mask = joined(X, y, X_CLEAN, y_clean)
    masked = make(kind, clean_set=None).fit(rows, targets, clean_mask=mask)
    for net in (val, masked):
        assert same_state(state_of(net.module_), state_of(expected.module_))
    for size in (12, 12 / len(rows)):
        split = make(kind, clean_set=size).fit(rows, targets)
        assert len(split.clean_set_[0]) == len(split.clean_set_[1]) == 12
        assert split.clean_set_[1].shape == (12, *y.shape[1:])


@pytest.mark.parametrize("kind", list(KINDS))
def test_weight_of_zero(kind: str) -> None:
    kept = np.arange(N) % 3 > 0
    y = corrupted(kind)
    weighted = make(kind).fit(X, y, sample_weight=kept.astype(float))
    removed = make(kind).fit(X[kept], y[kept])
    assert same_state(state_of(weighted.module_), state_of(removed.module_))
    assert weighted.score(X, y, sample_weight=kept) == pytest.approx(
        removed.score(X[kept], y[kept])
    )


@pytest.mark.parametrize("kind", list(KINDS))
def test_arrays_that_cannot_be_written(kind: str) -> None:
    arrays = [
        X.copy(),
        corrupted(kind).copy(),
        X_CLEAN.copy(),
        KINDS[kind][1](X_CLEAN, CODES_CLEAN),
    ]
    for array in arrays:
        array.flags.writeable = False
    net = make(kind, clean_set=tuple(arrays[2:])).fit(*arrays[:2], sample_weight=np.ones(N))
    expected = make(kind).fit(X, corrupted(kind))
    assert same_state(state_of(net.module_), state_of(expected.module_))


def test_class_weight_of_the_binary_classifier() -> None:
    y = corrupted("binary")
    weighted = make("binary", class_weight={"ham": 0.5, "spam": 3.0}).fit(X, y)
    half = make("binary", class_weight={"spam": 6.0}).fit(X, y)
    assert same_state(state_of(weighted.module_), state_of(half.module_), atol=1e-5)
    plain = make("binary").fit(X, y)
    assert not same_state(state_of(weighted.module_), state_of(plain.module_), atol=1e-3)


@pytest.mark.parametrize("kind", list(KINDS))
def test_grid_search(kind: str) -> None:
    grid = {"lr": [1e-6, 0.03], "module__hidden": [3, 5]}
    search = GridSearchCV(make(kind, max_epochs=10), grid, cv=2, error_score="raise")
    search.fit(X, true(kind))
    assert search.best_params_["lr"] == 0.03
    best = make(kind, max_epochs=10, **search.best_params_).fit(X, true(kind))
    assert same_state(state_of(search.best_estimator_.module_), state_of(best.module_))


# Copies


@pytest.mark.parametrize("kind", list(KINDS))
def test_copies_predict_the_same(kind: str) -> None:
    net = make(kind).fit(X, corrupted(kind))
    file = io.BytesIO()
    joblib.dump(net, file)
    file.seek(0)
    copies = [
        pickle.loads(pickle.dumps(net)),
        joblib.load(file),
        copy.deepcopy(net),
        clone(net).fit(X, corrupted(kind)),
    ]
    for other in copies:
        np.testing.assert_array_equal(other.predict(X_TEST), net.predict(X_TEST))
        if is_classifier(net):
            np.testing.assert_array_equal(other.predict_proba(X_TEST), net.predict_proba(X_TEST))
        other.partial_fit(X, corrupted(kind))
    net.partial_fit(X, corrupted(kind))
    for other in copies:
        assert same_state(state_of(other.module_), state_of(net.module_))


# Bad input


def refused(kind: str, words: str, y: Any, **settings: Any) -> None:
    net = make(kind, **settings)
    with pytest.raises((ValueError, TypeError), match=words):
        net.fit(X, y)
    assert not net.initialized_


@pytest.mark.parametrize("labels", [["a", "b", "c"], [0, 1, 2], [-1, 0, 1]])
def test_multiclass_y_in_the_binary_classifier(labels: list[Any]) -> None:
    y = np.asarray(labels)[np.arange(N) % 3]
    clean = (X_CLEAN, np.asarray(labels)[CODES_CLEAN])
    refused("binary", r"(?is)binary.*3 class", y, clean_set=clean)
    refused("binary", "(?i)binary", y, clean_set=10)


def test_one_class_in_the_binary_classifier() -> None:
    refused("binary", "1 class", np.array(["ham"] * N))


@pytest.mark.parametrize("kind", ["classifier", "binary", "multilabel"])
def test_continuous_y_in_a_classifier(kind: str) -> None:
    y = true("regressor") if kind != "multilabel" else true("regressor of two")
    clean_set = (X_CLEAN, y[:12])
    refused(kind, "continuous|discrete|indicator", y, clean_set=clean_set)


@pytest.mark.parametrize(
    "y",
    [CODES, labels_of(X) + 2 * CODES[:, None], None, 2 * labels_of(X), 2 * labels_of(X) - 1],
    ids=["one label", "four values", "none", "0 and 2", "-1 and 1"],
)
def test_multilabel_y_that_is_no_indicator_matrix(y: Any) -> None:
    refused("multilabel", "indicator|0 and 1", y)
    if y is not None:
        refused("multilabel", "indicator|0 and 1", labels_of(X), clean_set=(X_CLEAN, y[:12]))


@pytest.mark.parametrize("kind", ["multilabel", "regressor of two"])
def test_clean_set_of_other_width(kind: str) -> None:
    y_clean = KINDS[kind][1](X_CLEAN, CODES_CLEAN)[:, :-1]
    refused(kind, "clean_set", true(kind), clean_set=(X_CLEAN, y_clean))


def test_targets_that_are_no_numbers() -> None:
    refused("regressor", "(?i)y|numeric|float", names_of(CODES))
    for value in (np.nan, np.inf):
        y = np.where(np.arange(N) == 4, value, true("regressor"))
        refused("regressor", r"NaN|infinity", y)
        clean = (X_CLEAN, np.where(np.arange(12) == 4, value, target_of(X_CLEAN)))
        refused("regressor", r"NaN|infinity", true("regressor"), clean_set=clean)


@pytest.mark.parametrize("kind", ["binary", "multilabel", "regressor", "regressor of two"])
def test_module_with_another_number_of_outputs(kind: str) -> None:
    refused(kind, "(?i)output|shape|size", true(kind), module__n_outputs=KINDS[kind][3] + 1)
