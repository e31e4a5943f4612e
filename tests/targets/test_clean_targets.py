"""Clean targets and labels that are not like those of y, and honest ones."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import StandardScaler

from sklearn_l2rw import L2RWMultilabelClassifier, L2RWRegressor
from sklearn_l2rw.targets.numbers import warn_of_unlike_targets
from tests.small import blobs

X, Y = blobs(90, 3)
LABELS = np.eye(3, dtype=int)[Y]
QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "verbose": 0}
TARGET = 3 * X[:, 0] + 6
OTHER = r"targets of the clean set do not look like those of y.*TransformedTargetRegressor"


def fit_scaled(target: NDArray[Any], clean_set: Any, **fit_params: Any) -> None:
    net = L2RWRegressor(clean_set=clean_set, **QUICK)
    scaled = TransformedTargetRegressor(net, transformer=StandardScaler())
    scaled.fit(X[30:], target[30:], **fit_params)


@pytest.mark.parametrize("scale", [1.0, 1000.0, 1e-4])
def test_targets_that_are_scaled_without_the_clean_ones(scale: float) -> None:
    target = scale * TARGET
    with pytest.warns(UserWarning, match=OTHER):
        fit_scaled(target, (X[:30], target[:30]))
    with pytest.warns(UserWarning, match=OTHER):
        fit_scaled(target, None, X_val=X[:30], y_val=target[:30])
    fit_scaled(target, 10)
    fit_scaled(target, None, clean_mask=np.arange(60) < 10)


def test_one_of_several_targets() -> None:
    both = np.column_stack([TARGET, TARGET])
    with pytest.warns(UserWarning, match=OTHER):
        warn_of_unlike_targets(both, both * [1, 50] + [0, 100])


@pytest.mark.parametrize("n", [1, 2, 4, 5, 8, 30])
def test_honest_clean_targets(n: int) -> None:
    """Most of y may be wrong, by any amount."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(100):
            generator = np.random.default_rng(seed)
            kinds = {
                "plain": generator.normal(size=200),
                "skewed": generator.lognormal(sigma=2, size=200),
                "counts": generator.poisson(0.2, 200),
                "few": generator.normal(size=25),
            }
            for y in kinds.values():
                clean = generator.permutation(y)[:n]
                warn_of_unlike_targets(y, clean)
                wrong = generator.random(len(y)) < 0.6
                warn_of_unlike_targets(np.where(wrong, 100 + 30 * y, y), clean)


# Labels that the clean set lacks


def test_labels_that_no_clean_example_has() -> None:
    lacking = LABELS[:12].copy()
    lacking[:, 1] = 0
    with pytest.warns(UserWarning, match=r"clean_set has no example of the labels \[1\]"):
        L2RWMultilabelClassifier(clean_set=(X[:12], lacking), **QUICK).fit(X, LABELS)
    none = LABELS.copy()
    none[:, 1] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        L2RWMultilabelClassifier(clean_set=(X[:12], lacking), **QUICK).fit(X, none)
