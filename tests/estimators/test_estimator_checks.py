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
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from benchmarks.estimator_checks import (
    EQUIVALENCE,
    ESTIMATORS,
    ONE_COLUMN,
    expected_failures,
    with_clean_examples,
)
from sklearn_l2rw import L2RWMultilabelClassifier

ours = [estimator for name, estimator in ESTIMATORS.items() if name != "skorch"]
first, siblings = ours[:1], ours[1:]
of_one_label = [e for e in ours if e is not ESTIMATORS["L2RWMultilabelClassifier"]]


def quiet(test: Any) -> Any:
    """Let a test pass over warnings that a check provokes."""
    for words in (
        # skorch makes its callbacks when they are set, and refuses numbers at once
        "ignore:.*Error occurred during set_params of param",
        "ignore:Estimator.s parameters changed after set_params raised",
        # a check weighs classes by 1000 to 0.0001, and has no use for an estimator that complains
        "ignore:The clean set is fitted:sklearn.exceptions.ConvergenceWarning",
    ):
        test = pytest.mark.filterwarnings(words)(test)
    return test


@quiet
@parametrize_with_checks(first, expected_failed_checks=expected_failures)  # type: ignore[untyped-decorator]
def test_scikit_learn(estimator: Any, check: Any) -> None:
    run(estimator, check)


@pytest.mark.slow
@quiet
@parametrize_with_checks(siblings, expected_failed_checks=expected_failures)  # type: ignore[untyped-decorator]
def test_scikit_learn_of_siblings(estimator: Any, check: Any) -> None:
    run(estimator, check)


def run(estimator: Any, check: Any) -> None:
    name = check.func.__name__
    compared = name in EQUIVALENCE and not isinstance(estimator, L2RWMultilabelClassifier)
    check(with_clean_examples(estimator) if compared else estimator)


EXPECTED = [(e, name) for e in of_one_label for name in EQUIVALENCE]
CHECKS = vars(estimator_checks)
IDS = [f"{type(e).__name__}-{name}" for e, name in EXPECTED]


@pytest.mark.parametrize(("estimator", "name"), EXPECTED, ids=IDS)
def test_expected_failures_are_those_of_the_reason_given(estimator: Any, name: str) -> None:
    """Batches of repeated rows are other batches: the outcome differs, and no error comes first."""
    with pytest.raises(AssertionError, match="with `sample_weight` is not equivalent to fitting"):
        CHECKS[name](type(estimator).__name__, with_clean_examples(estimator))


@pytest.mark.parametrize(("estimator", "name"), EXPECTED, ids=IDS)
def test_expected_failures_pass_where_a_batch_has_all_rows(estimator: Any, name: str) -> None:
    """With the clean set given and all rows in one batch, repeating a row is weighing it.

    One step: weights of rows are kept in single precision, and the comparison is to 1e-7.
    """
    whole = with_clean_examples(estimator, batch_size=-1)
    CHECKS[name](type(estimator).__name__, whole)


@pytest.mark.parametrize("name", ["L2RWClassifier", "L2RWBinaryClassifier"])
def test_imbalanced_learn_on_several_labels(name: str) -> None:
    check_classifier_on_multilabel_or_multioutput_targets(name, ESTIMATORS[name])


def test_imbalanced_learn_on_categories() -> None:
    net = clone(ESTIMATORS["L2RWClassifier"])  # Adam, since the data are not scaled
    net.set_params(optimizer=torch.optim.Adam, lr=0.01)
    check_classifiers_with_encoded_labels("L2RWClassifier", net)


def test_no_more_than_two_checks_are_expected_to_fail() -> None:
    assert all(len(expected_failures(estimator)) <= 2 for estimator in of_one_label)


def test_what_several_labels_fail_beside_is_a_column_as_y() -> None:
    """None of the other checks of weights, of sparse data and of types is lost by that."""
    net = ESTIMATORS["L2RWMultilabelClassifier"]
    assert expected_failures(net).keys() == EQUIVALENCE.keys() | ONE_COLUMN.keys()
    for column in ([0, 1, 2, 1], ["a", "b", "a", "b"], [1, 1, 1, 1]):
        with pytest.raises(ValueError, match=r"expected an indicator matrix.*use L2RWClassifier"):
            clone(net).fit([[0.0], [1.0], [2.0], [3.0]], column)
