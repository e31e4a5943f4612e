"""The checks of scikit-learn and imbalanced-learn for estimators."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from imblearn.utils.estimator_checks import (
    check_classifier_on_multilabel_or_multioutput_targets,
    check_classifiers_with_encoded_labels,
)
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from benchmarks.estimator_checks import ESTIMATORS, expected_failures

ours = [estimator for name, estimator in ESTIMATORS.items() if name != "skorch"]


# skorch makes its callbacks when they are set, and refuses numbers at once
@pytest.mark.filterwarnings("ignore:.*Error occurred during set_params of param")
@pytest.mark.filterwarnings("ignore:Estimator.s parameters changed after set_params raised")
# a check weighs classes by 1000 to 0.0001, and has no use for an estimator that then complains
@pytest.mark.filterwarnings("ignore:The clean set is fitted:sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ours, expected_failed_checks=expected_failures)  # type: ignore[untyped-decorator]
def test_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("name", ["L2RWClassifier", "L2RWBinaryClassifier"])
def test_imbalanced_learn_on_several_labels(name: str) -> None:
    check_classifier_on_multilabel_or_multioutput_targets(name, ESTIMATORS[name])


def test_imbalanced_learn_on_categories() -> None:
    net = clone(ESTIMATORS["L2RWClassifier"])  # Adam, since the data are not scaled
    net.set_params(optimizer=torch.optim.Adam, lr=0.01)
    check_classifiers_with_encoded_labels("L2RWClassifier", net)


def test_no_more_than_two_checks_are_expected_to_fail() -> None:
    assert all(len(expected_failures(estimator)) <= 2 for estimator in ours)
