"""Ranking of labels by how likely they are wrong."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch.utils.data import TensorDataset

from sklearn_l2rw import (
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMultilabelClassifier,
    L2RWRegressor,
    rank_label_errors,
)
from tests.small import Y_NOISY, X, make_net

METHODS = ("probability", "weight", "both")
NAMES = np.array(["ant", "bee", "caterpillar"])
CENTERS = np.array([[-3, -2], [3, -2], [0, 4]])
LEAST = {"probability": 0.97, "weight": 0.65, "both": 0.95}  # of the area under the ROC curve


def noisy_blobs(n_classes: int, n: int = 300, rate: float = 0.3) -> Any:
    """Rows, given labels, true labels, and a clean set."""
    rows, truth = make_blobs(n + 30, centers=CENTERS[:n_classes], random_state=1)
    rows = rows.astype(np.float32)
    generator = np.random.default_rng(2)
    flipped = generator.random(n) < rate
    others = (truth[:n] + generator.integers(1, n_classes, n)) % n_classes
    return rows[:n], np.where(flipped, others, truth[:n]), truth[:n], (rows[n:], truth[n:])


ROWS, GIVEN, TRUTH, CLEAN = noisy_blobs(3)
WRONG = GIVEN != TRUTH


def net(**settings: Any) -> L2RWClassifier:
    settings = {"clean_set": CLEAN, "max_epochs": 30, **settings}
    return L2RWClassifier(random_state=0, verbose=0, batch_size=64, **settings)


FITTED = net().fit(ROWS, GIVEN)


def assert_ranking(ranking: Any, y: Any) -> None:
    """Hold what is true of any ranking."""
    n = len(y)
    assert set(ranking) == {"indices", "scores", "suggested"}
    assert ranking.scores.shape == ranking.indices.shape == ranking.suggested.shape == (n,)
    assert sorted(ranking.indices.tolist()) == list(range(n))
    assert np.issubdtype(ranking.indices.dtype, np.integer)
    assert ranking.scores.dtype == np.float64
    assert np.isfinite(ranking.scores).all()
    assert 0 <= ranking.scores.min() <= ranking.scores.max() <= 1
    assert (np.diff(ranking.scores[ranking.indices]) <= 0).all()


# What the scores are


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_flipped_labels_are_found(n_classes: int, method: str) -> None:
    rows, given, truth, clean = noisy_blobs(n_classes)
    wrong = given != truth
    assert 60 < wrong.sum() < 120
    ranking = rank_label_errors(net(clean_set=clean).fit(rows, given), rows, given, method=method)
    assert_ranking(ranking, given)
    assert roc_auc_score(wrong, ranking.scores) > LEAST[method]
    if method != "weight":  # which is also small for rows that are learned
        assert wrong[ranking.indices[:40]].mean() > 0.9
    assert wrong[ranking.indices[-50:]].mean() < 0.25


def test_scores() -> None:
    p = FITTED.predict_proba(ROWS)[np.arange(300), GIVEN].astype(np.float64)
    by_weight = 1 / (1 + FITTED.example_weights_)
    scores = {"probability": 1 - p, "weight": by_weight, "both": (1 - p + by_weight) / 2}
    for method, expected in scores.items():
        ranking = rank_label_errors(FITTED, ROWS, GIVEN, method=method)
        assert_ranking(ranking, GIVEN)
        np.testing.assert_allclose(ranking.scores, expected, rtol=1e-6, atol=1e-9)
    default = rank_label_errors(FITTED, ROWS, GIVEN)
    np.testing.assert_allclose(default.scores, 1 - p, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("confidence", [0, 0.5, 0.9, 0.99, 1])
@pytest.mark.parametrize("method", METHODS)
def test_suggested_labels(confidence: float, method: str) -> None:
    proba = FITTED.predict_proba(ROWS)
    best = proba.argmax(1)
    ranking = rank_label_errors(FITTED, ROWS, GIVEN, method=method, confidence=confidence)
    expected = np.where(proba.max(1) >= confidence, best, GIVEN)
    np.testing.assert_array_equal(ranking.suggested, expected)
    if confidence == 0:
        np.testing.assert_array_equal(ranking.suggested, FITTED.predict(ROWS))


def test_suggestions_are_right() -> None:
    suggested = rank_label_errors(FITTED, ROWS, GIVEN, confidence=0.8).suggested
    changed = suggested != GIVEN
    assert changed.sum() > WRONG.sum() / 2
    assert (suggested[changed] == TRUTH[changed]).mean() > 0.95


def test_ties_stand_in_the_order_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = np.zeros((6, 2), dtype=np.float32), np.array([0, 1, 0, 1, 2, 0])
    # Kernels may round rows of one batch in two ways, though they are the same.
    monkeypatch.setattr(FITTED, "predict_proba", lambda X: np.tile([0.2, 0.3, 0.5], (len(X), 1)))
    ranking = rank_label_errors(FITTED, rows, labels)
    assert_ranking(ranking, labels)
    for label in range(3):
        same = np.flatnonzero(labels == label)
        assert len(set(ranking.scores[same])) == 1
        assert [i for i in ranking.indices if i in same] == same.tolist()


def test_rows_without_a_weight() -> None:
    """Those that were trusted, split off or of weight 0 are the last that their weight accuses."""
    mask = np.zeros(300, dtype=bool)
    mask[np.flatnonzero(~WRONG)[::10]] = True
    weight = np.where(np.arange(300) % 9 == 0, 0.0, 1.0)
    masked = net(clean_set=None).fit(ROWS, GIVEN, weight, clean_mask=mask)
    unseen = mask | (weight == 0)
    np.testing.assert_array_equal(np.isnan(masked.example_weights_), unseen)
    by_weight = rank_label_errors(masked, ROWS, GIVEN, method="weight")
    assert_ranking(by_weight, GIVEN)
    assert (by_weight.scores[unseen] == 0).all()
    assert (by_weight.scores[~unseen] > 0).all()
    assert unseen[by_weight.indices[-unseen.sum() :]].all()
    both = rank_label_errors(masked, ROWS, GIVEN, method="both")
    plain = rank_label_errors(masked, ROWS, GIVEN)
    np.testing.assert_allclose(both.scores[unseen], plain.scores[unseen] / 2)


# Whatever the labels and the estimator


def searched(estimator: Any, **settings: Any) -> Any:
    return GridSearchCV(estimator, settings, cv=2, error_score="raise")


def steps(last: Any) -> Any:
    return make_pipeline(FunctionTransformer(), last)


KINDS: dict[str, Any] = {
    "pipeline": lambda: steps(net()),
    "search": lambda: searched(net(), max_epochs=[30]),
    "search of a pipeline": lambda: searched(steps(net()), l2rwclassifier__max_epochs=[30]),
    "pipeline with a search": lambda: steps(searched(net(), max_epochs=[30])),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_pipelines_and_searches(kind: str) -> None:
    """Those that end in the classifier give what it gives."""
    estimator = KINDS[kind]().fit(ROWS, GIVEN)
    for method in METHODS:
        ranking = rank_label_errors(estimator, ROWS, GIVEN, method=method)
        assert_ranking(ranking, GIVEN)
        expected = rank_label_errors(FITTED, ROWS, GIVEN, method=method)
        np.testing.assert_array_equal(ranking.scores, expected.scores)
        np.testing.assert_array_equal(ranking.suggested, expected.suggested)


@pytest.mark.parametrize("names", [NAMES, NAMES.astype(object), np.array([7, 3, 5])])
def test_names_do_not_matter(names: Any) -> None:
    named = net(clean_set=(CLEAN[0], names[CLEAN[1]])).fit(ROWS, names[GIVEN])
    for method in METHODS:
        ranking = rank_label_errors(named, ROWS, names[GIVEN], method=method)
        assert_ranking(ranking, GIVEN)
        assert roc_auc_score(WRONG, ranking.scores) > LEAST[method]
        changed = ranking.suggested != names[GIVEN]
        assert (ranking.suggested[changed] == names[TRUTH][changed]).mean() > 0.9
        assert set(ranking.suggested.tolist()) <= set(names.tolist())


def test_order_of_given_classes() -> None:
    """Columns of the probabilities are those of `classes`."""
    order = ["caterpillar", "ant", "bee"]
    settings = {"clean_set": (CLEAN[0], NAMES[CLEAN[1]]), "classes": order}
    ranking = rank_label_errors(net(**settings).fit(ROWS, NAMES[GIVEN]), ROWS, NAMES[GIVEN])
    assert roc_auc_score(WRONG, ranking.scores) > 0.97


def test_suggested_labels_that_are_longer_than_all_given() -> None:
    named = net(clean_set=(CLEAN[0], NAMES[CLEAN[1]])).fit(ROWS, NAMES[GIVEN])
    third = np.flatnonzero(TRUTH == 2)[:20]
    ranking = rank_label_errors(named, ROWS[third], np.array(["ant"] * 20), confidence=0)
    np.testing.assert_array_equal(ranking.suggested, named.predict(ROWS[third]))
    assert "caterpillar" in ranking.suggested


FORMS: dict[str, Any] = {
    "list": (ROWS.tolist(), GIVEN.tolist()),
    "tensor": (torch.as_tensor(ROWS), torch.as_tensor(GIVEN)),
    "frame": (pd.DataFrame(ROWS), pd.Series(GIVEN, index=range(300, 0, -1))),
    "data set": (TensorDataset(torch.as_tensor(ROWS), torch.as_tensor(GIVEN)), GIVEN),
    "int8": (ROWS, GIVEN.astype(np.int8)),
    "floats": (ROWS, GIVEN.astype(float)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", list(FORMS))
def test_forms(form: str, method: str) -> None:
    expected = rank_label_errors(FITTED, ROWS, GIVEN, method=method)
    ranking = rank_label_errors(FITTED, *FORMS[form], method=method)
    np.testing.assert_allclose(ranking.scores, expected.scores, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(ranking.suggested, expected.suggested)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("names", [np.array([0, 1]), NAMES[:2], np.array([False, True])])
def test_binary_estimator(names: Any, method: str) -> None:
    rows, given, truth, (clean, labels) = noisy_blobs(2)
    binary = L2RWBinaryClassifier(
        clean_set=(clean, names[labels]), random_state=0, verbose=0, max_epochs=20, batch_size=64
    ).fit(rows, names[given])
    ranking = rank_label_errors(binary, rows, names[given], method=method)
    assert_ranking(ranking, given)
    assert roc_auc_score(given != truth, ranking.scores) > LEAST[method]
    changed = ranking.suggested != names[given]
    assert (ranking.suggested[changed] == names[truth][changed]).mean() > 0.95


def test_other_rows_are_ranked_by_probability() -> None:
    rows, given, _, _ = noisy_blobs(3, n=200)
    assert_ranking(rank_label_errors(FITTED, rows[:7], given[:7]), given[:7])
    off = net(record_weights=False).fit(ROWS, GIVEN)
    ranking = rank_label_errors(off, ROWS, GIVEN)
    expected = rank_label_errors(FITTED, ROWS, GIVEN)
    np.testing.assert_array_equal(ranking.scores, expected.scores)


# What the user gives is left as it was


@pytest.mark.parametrize("method", METHODS)
def test_inputs_are_not_altered(method: str) -> None:
    rows, labels = ROWS.copy(), GIVEN.copy()
    rows.flags.writeable = labels.flags.writeable = False
    fitted = copy.deepcopy(FITTED)
    weights, proba = fitted.example_weights_.copy(), fitted.predict_proba(ROWS)
    state = torch.get_rng_state()
    first = rank_label_errors(fitted, rows, labels, method=method)
    first.scores[:], first.suggested[:] = 0, 0  # the result is the caller's own
    np.testing.assert_array_equal(rows, ROWS)
    np.testing.assert_array_equal(labels, GIVEN)
    np.testing.assert_array_equal(fitted.example_weights_, weights)
    np.testing.assert_array_equal(fitted.predict_proba(ROWS), proba)
    assert torch.equal(torch.get_rng_state(), state)


# Bad input


def unknown(y: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.arange(len(y)) == 4, 9, y)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (GIVEN[:-1], r"300.*299"),
        (np.append(GIVEN, 0), r"300.*301"),
        (unknown(GIVEN), r"9.*\[0, 1, 2\]"),
        (NAMES[GIVEN], r"ant.*\[0, 1, 2\]"),
        (np.eye(3, dtype=int)[GIVEN], "shape"),
        (np.where(np.arange(300) == 4, np.nan, GIVEN), "NaN"),
        (None, "y"),
        (0, "y"),
    ],
    ids=["short", "long", "label", "names", "2d", "NaN", "None", "number"],
)
@pytest.mark.parametrize("method", METHODS)
def test_labels_that_do_not_go_with_the_rows(y: Any, words: str, method: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        rank_label_errors(FITTED, ROWS, y, method=method)


@pytest.mark.parametrize("method", ["weights", "confidence", None, "", 1, "BOTH"])
def test_bad_method(method: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"method=.*probability.*weight.*both"):
        rank_label_errors(FITTED, ROWS, GIVEN, method=method)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, np.nan, np.inf, -np.inf, 90])
def test_bad_confidence(confidence: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="confidence"):
        rank_label_errors(FITTED, ROWS, GIVEN, confidence=confidence)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", [net, *KINDS.values()], ids=["net", *KINDS])
def test_before_a_fit(make: Any, method: str) -> None:
    with pytest.raises(NotFittedError):
        rank_label_errors(make(), ROWS, GIVEN, method=method)


@pytest.mark.parametrize("method", ["weight", "both"])
def test_weights_that_were_not_recorded(method: str) -> None:
    off = make_net(record_weights=False).fit(X, Y_NOISY)
    in_pipeline = make_pipeline(StandardScaler(), make_net(record_weights=False, clean_set=8))
    for estimator in (off, in_pipeline.fit(X, Y_NOISY)):
        with pytest.raises(ValueError, match=r"example_weights_.*record_weights=True"):
            rank_label_errors(estimator, X, Y_NOISY, method=method)


@pytest.mark.parametrize("method", ["weight", "both"])
def test_weights_of_other_rows(method: str) -> None:
    with pytest.raises(ValueError, match=r"7 rows.*300.*probability"):
        rank_label_errors(FITTED, ROWS[:7], GIVEN[:7], method=method)
    continued = make_net().fit(X, Y_NOISY).partial_fit(X[:20], Y_NOISY[:20])
    with pytest.raises(ValueError, match=r"42 rows.*20"):
        rank_label_errors(continued, X, Y_NOISY, method=method)
    assert_ranking(rank_label_errors(continued, X[:20], Y_NOISY[:20], method=method), X[:20])


def test_estimators_without_labels() -> None:
    settings = {"clean_set": 8, "verbose": 0, "max_epochs": 1, "random_state": 0}
    regressor = L2RWRegressor(**settings).fit(X, X[:, 0])
    multilabel = L2RWMultilabelClassifier(**settings).fit(X, np.stack([Y_NOISY] * 2, 1))
    with pytest.raises((ValueError, TypeError, AttributeError)):
        rank_label_errors(regressor, X, X[:, 0])
    with pytest.raises((ValueError, TypeError), match="shape"):
        rank_label_errors(multilabel, X, np.stack([Y_NOISY] * 2, 1))
