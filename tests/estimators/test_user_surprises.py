"""What users do without a second thought: it works, or they are told what to do instead."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from torch import Tensor, nn

from sklearn_l2rw import (
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMultilabelClassifier,
    L2RWRegressor,
    rank_label_errors,
)
from sklearn_l2rw.data.sample_weight import with_class_weight
from tests.small import blobs, same_state, state_of

X, Y = blobs(90, 3)
X_CLEAN, Y_CLEAN = blobs(12, 3, seed=1)
X_TEST, Y_TEST = blobs(60, 3, seed=2)
LABELS = np.eye(3, dtype=int)[Y]
NAMES = np.array(["ant", "bee", "cat"])
QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "verbose": 0}
SPLIT: dict[str, Any] = {**QUICK, "clean_set": 12}


def net_of(**settings: Any) -> L2RWClassifier:
    return L2RWClassifier(**{**QUICK, "clean_set": (X_CLEAN, Y_CLEAN), **settings})


# Criteria other than the default


class Focal(nn.Module):
    """The focal loss of logits."""

    reduction = "mean"

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        p = output.softmax(1).gather(1, target[:, None])[:, 0]
        losses = -((1 - p) ** 2) * p.log()
        return losses if self.reduction == "none" else losses.mean()


class MyBCE(nn.BCEWithLogitsLoss):
    pass


class MyCrossEntropy(nn.CrossEntropyLoss):
    pass


class Squares(nn.MSELoss):
    """A loss that says nothing about what it is given."""


def of_labels(criterion: Any, *, probabilities: bool, **settings: Any) -> Any:
    module = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid() if probabilities else nn.Identity())
    settings = {**SPLIT, "max_epochs": 20, "criterion": criterion, **settings}
    return L2RWMultilabelClassifier(module, **settings).fit(X, LABELS)


@pytest.mark.parametrize(
    ("criterion", "probabilities"),
    [
        (nn.BCELoss, True),
        (nn.BCELoss(), True),
        (nn.BCEWithLogitsLoss, False),
        (nn.MultiLabelSoftMarginLoss, False),
        (MyBCE, False),
        (MyBCE(), False),
        (Squares, True),
    ],
)
def test_probabilities_of_labels(criterion: Any, probabilities: bool) -> None:
    """A sigmoid is applied to logits, and not once more to probabilities."""
    net = of_labels(criterion, probabilities=probabilities)
    output = net.forward(X)
    expected = output if probabilities else output.sigmoid()
    np.testing.assert_allclose(net.predict_proba(X), expected.numpy(), rtol=1e-6)
    assert (net.predict(X).sum(1) < 3).any()


def test_labels_by_a_criterion_that_is_not_known() -> None:
    net = of_labels(Squares, probabilities=False, lr=1.0)
    with pytest.raises(ValueError, match=r"Squares.*predict_nonlinearity=torch.sigmoid"):
        net.predict(X)
    net.set_params(predict_nonlinearity=torch.sigmoid)
    np.testing.assert_allclose(net.predict_proba(X), net.forward(X).sigmoid().numpy(), rtol=1e-6)


def test_binary_decision_function_is_for_logits() -> None:
    for criterion in (nn.BCEWithLogitsLoss, MyBCE, MyBCE()):
        assert hasattr(L2RWBinaryClassifier(criterion=criterion), "decision_function")
    module = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
    net = L2RWBinaryClassifier(module, criterion=nn.BCELoss, **SPLIT).fit(X, Y == 0)
    assert not hasattr(net, "decision_function")
    np.testing.assert_allclose(net.predict_proba(X)[:, 1], net.forward(X).numpy(), rtol=1e-6)


def test_decision_function_of_subclassed_criteria() -> None:
    for of_logits in (nn.CrossEntropyLoss, MyCrossEntropy, MyCrossEntropy()):
        assert hasattr(L2RWClassifier(criterion=of_logits), "decision_function")
    for other in (nn.NLLLoss, Focal, nn.MSELoss()):
        assert not hasattr(L2RWClassifier(criterion=other), "decision_function")


# Ranking of labels


def test_ranking_of_texts() -> None:
    words = np.array(["good fine nice", "bad awful sad", "red blue green"])
    texts, labels = words[Y].tolist(), NAMES[Y]
    labels[7] = NAMES[(Y[7] + 1) % 3]
    pipe = make_pipeline(TfidfVectorizer(), L2RWClassifier(**{**SPLIT, "max_epochs": 20}))
    ranking = rank_label_errors(pipe.fit(texts, labels), texts, labels)
    assert ranking.indices[0] == 7
    with pytest.raises(ValueError, match=r"90 rows in X and 89 targets"):
        rank_label_errors(pipe, texts, labels[1:], method="weight")


def test_ranking_of_frames_with_names() -> None:
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=NAMES[Y])
    encode = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    pipe = make_pipeline(encode, L2RWClassifier(**SPLIT)).fit(frame, Y)
    ranking = rank_label_errors(pipe, frame, Y)
    proba = pipe.predict_proba(frame)[np.arange(90), Y]
    np.testing.assert_allclose(ranking.scores, 1 - proba, atol=1e-6)


def test_ranking_needs_probabilities() -> None:
    net = net_of(criterion=Focal).fit(X, Y)
    with pytest.raises(ValueError, match=r"expected probabilities.*predict_nonlinearity"):
        rank_label_errors(net, X, Y)
    net.set_params(predict_nonlinearity=partial(torch.softmax, dim=-1))
    scores = rank_label_errors(net, X, Y).scores
    assert 0 <= scores.min() < scores.max() <= 1


def test_ranking_by_one_number_an_example() -> None:
    binary = L2RWBinaryClassifier(**SPLIT, predict_nonlinearity=None).fit(X, Y == 0)
    with pytest.raises(ValueError, match="predict_nonlinearity"):
        rank_label_errors(binary, X, Y == 0)


@pytest.mark.parametrize("make", [L2RWRegressor, lambda **s: make_pipeline(L2RWRegressor(**s))])
def test_ranking_is_for_classifiers(make: Any) -> None:
    regressor = make(**SPLIT)
    with pytest.raises(TypeError, match=r"Got the regressor .* expected a fitted classifier"):
        rank_label_errors(regressor.fit(X, X[:, 0]), X, X[:, 0])


def test_ranking_by_other_classifiers() -> None:
    forest = RandomForestClassifier(5, random_state=0).fit(X, Y)
    scores = rank_label_errors(forest, X, Y).scores
    np.testing.assert_allclose(scores, 1 - forest.predict_proba(X)[np.arange(90), Y])


# Class weights


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


# Labels


def test_classes_are_named_once() -> None:
    with pytest.raises(ValueError, match=r"classes=\[0, 1, 1, 2\] with \[1\] more than once"):
        net_of(classes=[0, 1, 1, 2]).fit(X, Y)
    assert net_of(classes=[2, 0, 1]).fit(X, Y).classes_.tolist() == [2, 0, 1]


def test_binary_classes_are_named_in_partial_fit() -> None:
    binary = L2RWBinaryClassifier(**{**QUICK, "clean_set": 4})
    one = Y == 0
    with pytest.raises(ValueError, match="`classes` of `partial_fit`"):
        binary.partial_fit(X[one], Y[one])
    binary.partial_fit(X[one], Y[one], classes=[0, 1])
    assert binary.classes_.tolist() == [0, 1]


def with_missing(missing: Any, kind: str) -> Any:
    y = NAMES.astype(object)[Y]
    y[5] = missing
    if kind == "list":
        return y.tolist()
    return y if kind == "array" else pd.Series(y, dtype=kind)


@pytest.mark.parametrize("kind", ["array", "list", "category", "string", "object"])
@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_labels(missing: Any, kind: str) -> None:
    y = with_missing(missing, kind)
    with pytest.raises(ValueError, match=r"Input contains NaN: got y with 1 of 90"):
        L2RWClassifier(**SPLIT).fit(X, y)
    clean_set = X[:20], y[:20]
    with pytest.raises(ValueError, match=r"Input contains NaN: .*clean_set with 1 of 20"):
        net_of(clean_set=clean_set).fit(X, NAMES[Y])


def test_missing_number_among_nullable_ones() -> None:
    y = pd.Series(Y, dtype="Int64")
    y[3] = pd.NA
    with pytest.raises(ValueError, match="Input y contains NaN"):
        net_of().fit(X, y)


def test_label_of_text_that_reads_nan() -> None:
    names = ["ant", "nan", "None"]
    net = L2RWClassifier(**SPLIT).fit(X, [names[code] for code in Y])
    assert net.classes_.tolist() == sorted(names)
