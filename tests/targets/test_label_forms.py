"""Labels that are missing, that read like missing ones, or that are named twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sklearn_l2rw import L2RWBinaryClassifier, L2RWClassifier
from tests.small import blobs

X, Y = blobs(90, 3)
X_CLEAN, Y_CLEAN = blobs(12, 3, seed=1)
QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "verbose": 0}
SPLIT: dict[str, Any] = {**QUICK, "clean_set": 12}
NAMES = np.array(["ant", "bee", "cat"])


def net_of(**settings: Any) -> L2RWClassifier:
    return L2RWClassifier(**{**QUICK, "clean_set": (X_CLEAN, Y_CLEAN), **settings})


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
