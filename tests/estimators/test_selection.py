"""Searches, cross-validation, ensembles and other estimators around the net."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, brier_score_loss
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_l2rw import L2RWBinaryClassifier, L2RWClassifier
from tests.small import blobs, same_state, state_of

NAMES = np.array(["eggs", "ham", "spam"])
ROWS, CODES = blobs(96)
TEST_ROWS, TEST_CODES = blobs(200, seed=2)
CLEAN_ROWS, CLEAN_CODES = blobs(8, seed=1)
# A quarter of the labels is wrong.
Y = NAMES[np.where(np.arange(96) % 4 == 0, 1 - CODES, CODES)]
TRUE, Y_TEST, Y_CLEAN = NAMES[CODES], NAMES[TEST_CODES], NAMES[CLEAN_CODES]
CV = StratifiedKFold(3)
SPLITS = list(CV.split(ROWS, Y))
SETTINGS: dict[str, Any] = {
    "clean_set": (CLEAN_ROWS, Y_CLEAN),
    "module__hidden_layer_sizes": (8,),
    "batch_size": 24,
    "max_epochs": 10,
    "lr": 0.3,
    "random_state": 0,
    "verbose": 0,
}


def make(**settings: Any) -> L2RWClassifier:
    return L2RWClassifier(**{**SETTINGS, **settings})


def fitted(rows: Any = ROWS, y: Any = Y, **settings: Any) -> L2RWClassifier:
    net: L2RWClassifier = make(**settings).fit(rows, y)
    return net


def parameters(net: Any) -> Any:
    return state_of(net.module_)


# Searches

GRID: dict[str, list[Any]] = {
    "lr": [1e-6, 0.3],
    "module__hidden_layer_sizes": [(4,), (8, 3)],
    "clean_batch_size": [4],
}


def searches(**options: Any) -> dict[str, Any]:
    options = {"cv": CV, "error_score": "raise", **options}
    return {
        "grid": GridSearchCV(make(), GRID, **options),
        "randomized": RandomizedSearchCV(make(), GRID, n_iter=3, random_state=0, **options),
        "halving": HalvingGridSearchCV(
            make(), GRID, random_state=0, min_resources=48, **options
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", list(searches()))
def test_searches(kind: str) -> None:
    search = searches()[kind].fit(ROWS, TRUE)
    assert search.best_params_["lr"] == 0.3
    assert search.best_params_["clean_batch_size"] == 4
    best = fitted(y=TRUE, **search.best_params_)
    assert same_state(parameters(search.best_estimator_), parameters(best))
    np.testing.assert_array_equal(search.predict(TEST_ROWS), best.predict(TEST_ROWS))
    assert search.score(TEST_ROWS, Y_TEST) > 0.8
    assert search.classes_.tolist() == ["eggs", "ham"]


def test_scores_of_a_search_are_those_of_plain_fits() -> None:
    search = GridSearchCV(make(), {"lr": [0.1, 0.3]}, cv=CV, error_score="raise").fit(ROWS, Y)
    for candidate, params in enumerate(search.cv_results_["params"]):
        for fold, (train, test) in enumerate(SPLITS):
            score = fitted(ROWS[train], Y[train], **params).score(ROWS[test], Y[test])
            assert search.cv_results_[f"split{fold}_test_score"][candidate] == score


@pytest.mark.slow  # two processes have to import torch
def test_search_in_two_processes() -> None:
    one, two = (searches(n_jobs=n_jobs)["grid"].fit(ROWS, TRUE) for n_jobs in (None, 2))
    np.testing.assert_array_equal(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"]
    )
    assert one.best_params_ == two.best_params_
    assert same_state(parameters(one.best_estimator_), parameters(two.best_estimator_))


def test_search_with_other_scores() -> None:
    scoring = ["balanced_accuracy", "neg_log_loss", "roc_auc", "f1_macro"]
    search = GridSearchCV(
        make(), {"lr": [1e-6, 0.3]}, cv=CV, scoring=scoring, refit="neg_log_loss",
        error_score="raise",
    ).fit(ROWS, TRUE)  # fmt: skip
    for name in scoring:
        worse, better = search.cv_results_[f"mean_test_{name}"]
        assert better > worse
    assert search.cv_results_["mean_test_roc_auc"][1] > 0.9


# Cross-validation


def test_cross_validate() -> None:
    scores = cross_validate(make(), ROWS, Y, cv=CV, return_estimator=True, error_score="raise")
    for fold, (train, test) in enumerate(SPLITS):
        net = fitted(ROWS[train], Y[train])
        assert scores["test_score"][fold] == net.score(ROWS[test], Y[test])
        assert same_state(parameters(scores["estimator"][fold]), parameters(net))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_cross_val_predict(method: str) -> None:
    # scikit-learn gives the net codes for labels unless it is to predict them.
    clean_set = SETTINGS["clean_set"] if method == "predict" else 8
    found = cross_val_predict(make(clean_set=clean_set), ROWS, Y, cv=CV, method=method)
    for train, test in SPLITS:
        net = fitted(ROWS[train], Y[train], clean_set=clean_set)
        np.testing.assert_array_equal(found[test], getattr(net, method)(ROWS[test]))
    assert len(found) == 96
    assert found.shape[1:] == ((2,) if method == "predict_proba" else ())


def test_learning_curve() -> None:
    sizes, _, scores = learning_curve(
        make(), ROWS, Y, cv=CV, train_sizes=[0.25, 1.0], error_score="raise"
    )
    assert sizes.tolist() == [16, 64]
    np.testing.assert_array_equal(scores[1], cross_val_score(make(), ROWS, Y, cv=CV))
    train, test = SPLITS[0]
    small = fitted(ROWS[train[:16]], Y[train[:16]])
    assert scores[0, 0] == small.score(ROWS[test], Y[test])


# Calibration and thresholds


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(method: str) -> None:
    calibrated = CalibratedClassifierCV(make(), method=method, cv=CV).fit(ROWS, TRUE)
    proba = calibrated.predict_proba(TEST_ROWS)
    assert calibrated.classes_.tolist() == ["eggs", "ham"]
    np.testing.assert_allclose(proba.sum(1), 1)
    assert calibrated.score(TEST_ROWS, Y_TEST) > 0.8
    assert brier_score_loss(Y_TEST == "ham", proba[:, 1]) < 0.15
    train, _ = list(CV.split(ROWS, TRUE))[1]
    inner = calibrated.calibrated_classifiers_[1].estimator
    by_hand = fitted(ROWS[train], TRUE[train])
    assert same_state(parameters(inner), parameters(by_hand))


def test_calibration_of_a_fitted_net() -> None:
    """A sigmoid on top keeps the order of the net's own scores."""
    net = fitted()
    calibrated = CalibratedClassifierCV(FrozenEstimator(net), method="sigmoid").fit(ROWS, TRUE)
    ours, theirs = net.decision_function(TEST_ROWS), calibrated.predict_proba(TEST_ROWS)[:, 1]
    assert np.corrcoef(np.argsort(np.argsort(ours)), np.argsort(np.argsort(theirs)))[0, 1] > 0.999
    assert same_state(parameters(net), parameters(fitted()))


def test_tuned_threshold() -> None:
    """A net that leans to one class is set right."""
    weights = {"class_weight": {"eggs": 30.0}, "max_epochs": 5}
    tuned = TunedThresholdClassifierCV(make(**weights), scoring="balanced_accuracy", cv=CV)
    tuned.fit(ROWS, TRUE)
    plain = fitted(y=TRUE, **weights)
    found, expected = (
        balanced_accuracy_score(Y_TEST, net.predict(TEST_ROWS)) for net in (tuned, plain)
    )
    assert same_state(parameters(tuned.estimator_), parameters(plain))
    assert tuned.best_threshold_ < 0.5
    assert found > expected
    assert set(tuned.predict(TEST_ROWS)) == {"eggs", "ham"}


# Ensembles: those below give the net codes for labels, so the clean set is split off.


def test_voting() -> None:
    members = [("net", make(clean_set=8)), ("linear", LogisticRegression())]
    voting = VotingClassifier(members, voting="soft").fit(ROWS, TRUE)
    linear = LogisticRegression().fit(ROWS, TRUE)
    net = fitted(y=TRUE, clean_set=8)
    expected = (net.predict_proba(TEST_ROWS) + linear.predict_proba(TEST_ROWS)) / 2
    np.testing.assert_allclose(voting.predict_proba(TEST_ROWS), expected, atol=1e-6)
    assert set(voting.predict(TEST_ROWS)) == {"eggs", "ham"}
    assert voting.score(TEST_ROWS, Y_TEST) > 0.8


def test_stacking() -> None:
    stacking = StackingClassifier([("net", make(clean_set=8))], cv=CV).fit(ROWS, TRUE)
    assert stacking.classes_.tolist() == ["eggs", "ham"]
    net = fitted(y=TRUE, clean_set=8)
    assert same_state(parameters(stacking.estimators_[0]), parameters(net))
    features = cross_val_predict(
        make(clean_set=8), ROWS, TRUE, cv=CV, method="predict_proba"
    )[:, 1:]  # fmt: skip
    final = LogisticRegression().fit(features, CODES)
    np.testing.assert_allclose(stacking.final_estimator_.coef_, final.coef_, rtol=1e-3)
    assert stacking.score(TEST_ROWS, Y_TEST) > 0.8


def test_bagging() -> None:
    bagging = BaggingClassifier(make(clean_set=8), n_estimators=5, random_state=0)
    bagging.fit(ROWS, TRUE)
    assert set(bagging.predict(TEST_ROWS)) == {"eggs", "ham"}
    assert bagging.score(TEST_ROWS, Y_TEST) > 0.8
    states = [parameters(net) for net in bagging.estimators_]
    assert not any(same_state(states[0], state) for state in states[1:])
    mean = np.mean([net.predict_proba(TEST_ROWS) for net in bagging.estimators_], axis=0)
    np.testing.assert_allclose(bagging.predict_proba(TEST_ROWS), mean, rtol=1e-5)


def test_bagging_of_features() -> None:
    """Nets of the ensemble see other columns, and as many inputs."""
    bagging = BaggingClassifier(make(clean_set=8), n_estimators=3, max_features=2, random_state=0)
    bagging.fit(ROWS, TRUE)
    assert [net.n_features_in_ for net in bagging.estimators_] == [2, 2, 2]
    assert bagging.predict(TEST_ROWS).shape == (200,)
    assert bagging.score(TEST_ROWS, Y_TEST) > 0.7


@pytest.mark.parametrize("estimator", [L2RWClassifier, L2RWBinaryClassifier])
def test_one_vs_rest(estimator: Any) -> None:
    rows, codes = blobs(120, n_classes=3)
    test_rows, test_codes = blobs(150, n_classes=3, seed=2)
    net = estimator(**{**SETTINGS, "clean_set": 12})
    several = OneVsRestClassifier(net).fit(rows, NAMES[codes])
    assert several.classes_.tolist() == NAMES.tolist()
    assert several.predict_proba(test_rows).shape == (150, 3)
    assert several.score(test_rows, NAMES[test_codes]) > 0.75
    spam = clone(net).fit(rows, (codes == 2).astype(int))
    assert same_state(parameters(several.estimators_[2]), parameters(spam))


def test_voting_with_a_mask() -> None:
    mask = np.isin(np.arange(96) % 12, [1, 2])
    with sklearn.config_context(enable_metadata_routing=True):
        net = make(clean_set=None).set_fit_request(clean_mask=True)
        voting = VotingClassifier([("net", net)], voting="soft").fit(ROWS, Y, clean_mask=mask)
        by_hand = make(clean_set=None).fit(ROWS, Y, clean_mask=mask)
    assert same_state(parameters(voting.estimators_[0]), parameters(by_hand))


# Inspection


def test_permutation_importance() -> None:
    """Only the first two features tell the classes apart."""
    net = make_pipeline(StandardScaler(), make(clean_set=8)).fit(ROWS, TRUE)
    found = permutation_importance(net, TEST_ROWS, Y_TEST, n_repeats=3, random_state=0)
    assert found.importances_mean[:2].min() > 0.05
    assert np.abs(found.importances_mean[2:]).max() < 0.04
