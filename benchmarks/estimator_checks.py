"""scikit-learn's checks for estimators: how many fail, beside plain skorch in the same run.

Run ``python -m benchmarks.estimator_checks``. The tests run the same checks, one by one.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator
from skorch import NeuralNetClassifier
from torch import Tensor, nn

from sklearn_l2rw import (
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMultilabelClassifier,
    L2RWRegressor,
)


class AnyTable(nn.Module):
    """What plain skorch needs to take a table: a net that asks for no sizes, and casts X itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LazyLinear(100), nn.ReLU(), nn.LazyLinear(3), nn.Softmax(1))

    def forward(self, X: Tensor) -> Tensor:
        """Probabilities of three classes."""
        probabilities: Tensor = self.layers(X.float())
        return probabilities


_SETTINGS: dict[str, Any] = {"clean_set": 0.3, "random_state": 0, "verbose": 0}
ESTIMATORS: dict[str, Any] = {
    "L2RWClassifier": L2RWClassifier(**_SETTINGS),
    "L2RWBinaryClassifier": L2RWBinaryClassifier(**_SETTINGS),
    "L2RWRegressor": L2RWRegressor(**_SETTINGS),
    "L2RWMultilabelClassifier": L2RWMultilabelClassifier(**_SETTINGS),
    "skorch": NeuralNetClassifier(AnyTable, verbose=0),
}

_REASON = (
    "training is by shuffled batches, and the clean set drawn from the rows: repeating rows makes "
    "other batches and another clean set than weighing them. That weights count as repetitions do "
    "within a batch is tested in tests/training/test_sample_weight.py."
)


EQUIVALENCE = {
    "check_sample_weight_equivalence_on_dense_data": _REASON,
    "check_sample_weight_equivalence_on_sparse_data": _REASON,
}

_CLASSES_IN_A_COLUMN = (
    "the check gives one column of class numbers as y (or a constant, or strings), which is no "
    "matrix of 0 and 1, and is refused: one label for each example is L2RWClassifier's"
)
ONE_COLUMN = dict.fromkeys(
    (
        "check_classifier_data_not_an_array",
        "check_classifier_not_supporting_multiclass",
        "check_classifiers_classes",
        "check_classifiers_one_label",
        "check_classifiers_one_label_sample_weights",
        "check_classifiers_train",
        "check_estimator_sparse_array",
        "check_estimator_sparse_matrix",
        "check_estimators_dtypes",
        "check_fit2d_1feature",
        "check_sample_weights_not_an_array",
        "check_sample_weights_not_overwritten",
        "check_sample_weights_pandas_series",
        "check_sample_weights_shape",
    ),
    _CLASSES_IN_A_COLUMN,
)


def expected_failures(estimator: Any) -> dict[str, str]:
    """Checks that an estimator of ours cannot pass, with the reason."""
    several = isinstance(estimator, L2RWMultilabelClassifier)
    return {**EQUIVALENCE, **ONE_COLUMN} if several else EQUIVALENCE


# The two checks that are expected to fail, on estimators that get as far as to the comparison: of
# the rows that count, a class has one alone, from which no clean set can be split off.


class Linear(nn.Linear):
    """In double precision, since the comparison is to 1e-7."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__(n_features, n_outputs, dtype=torch.float64)


def with_clean_examples(estimator: Any, **settings: Any) -> Any:
    """An estimator whose clean set is given, for the data of the checks: 15 rows of 30 features."""
    X = np.random.default_rng(0).random((12, 30))
    labels = [0, 1] if isinstance(estimator, L2RWBinaryClassifier) else [0, 1, 2]
    clean_set = X, np.resize(labels, 12)
    return clone(estimator).set_params(
        clean_set=clean_set, module=Linear, **{"batch_size": 4, "max_epochs": 1, **settings}
    )


def fails_as_expected(name: str, estimator: Any) -> bool:
    """Whether a check that is expected to fail does so by its comparison, and nothing before it."""
    try:
        vars(estimator_checks)[name](type(estimator).__name__, with_clean_examples(estimator))
    except AssertionError as error:
        return "with `sample_weight` is not equivalent to fitting" in str(error)
    return False


def main() -> None:
    """Print the table; fail where a check fails that is not expected to."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| estimator | checks passed | failed | expected to fail |\n|---|---|---|---|")
    failures = []
    for name, estimator in ESTIMATORS.items():
        expected = {} if name == "skorch" else expected_failures(estimator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = check_estimator(
                estimator, expected_failed_checks=expected, on_skip=None, on_fail=None
            )
        count = Counter(result["status"] for result in results)
        print(f"| {name} | {count['passed']} | {count['failed']} | {count['xfail']} |")
        if name != "skorch":
            compared = [] if "Multilabel" in name else EQUIVALENCE  # whose y is of one label
            failures += [check for check in compared if not fails_as_expected(check, estimator)]
            failures += [r["check_name"] for r in results if r["status"] == "failed"]
    if failures:
        raise SystemExit(f"Failed: {', '.join(failures)}")


if __name__ == "__main__":
    main()
