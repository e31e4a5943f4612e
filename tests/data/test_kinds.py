"""Arrays that are none of real numbers, or lose something on the way, are refused by name."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.dataset import Dataset as SkorchDataset

from sklearn_l2rw import L2RWClassifier, L2RWRegressor
from tests.estimators.test_bad_input import assert_refused
from tests.small import MLP, SETTINGS, X_CLEAN, Y_CLEAN, X, Y, make_net, same_state, state_of


class LazyFrame:
    """Has columns, and rows once it is collected."""

    columns = ("a", "b")

    def collect(self) -> Any:
        raise AssertionError("asked for")


@pytest.mark.parametrize("rows", [5, 5.0, np.float64(5), np.array(5.0), torch.tensor(5.0), True])
def test_a_number_is_no_table(rows: Any) -> None:
    for module in (MLP, None):
        assert_refused(("Got X", "rows"), X=rows, module=module)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (LazyFrame(), ("LazyFrame", "collect")),
        ("rows", ("str", "array")),
        ({1, 2}, ("set", "array")),
        (dict, ("type", "array")),
        ((row for row in X), ("generator", "array")),
        (None, ("NoneType", "array")),
    ],
)
def test_what_has_no_rows(rows: Any, words: tuple[str, ...]) -> None:
    assert_refused(("Got X", *words), X=rows)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (X + 1j, ("Complex data not supported", "real and imaginary")),
        (torch.as_tensor(X + 1j), ("Complex data not supported", "real and imaginary")),
        (X.astype(int).astype("datetime64[D]"), ("datetime64", "days")),
        (X.astype(int).astype("timedelta64[s]"), ("timedelta64", "numbers")),
        (X.astype([("a", "f4")]), ("'a'", "numbers")),
        (torch.as_tensor(X).to_sparse(), ("sparse", "to_dense")),
        (torch.as_tensor(X).to("meta"), ("meta", "known")),
        (np.full(X.shape, "a", dtype=object), ("no number", "OneHotEncoder")),
        (pd.DataFrame({"a": ["x", "y"] * 21}), ("no number", "OneHotEncoder")),
        (X[:, :0], (r"0 feature\(s\)", "minimum of 1")),
    ],
)
def test_what_is_no_real_number(rows: Any, words: tuple[str, ...]) -> None:
    assert_refused(words, X=rows)


def masked(array: Any, *, any_: bool = True) -> Any:
    mask = np.zeros(array.shape, dtype=bool)
    mask[:3] = any_
    return np.ma.array(array, mask=mask)


def test_masks_are_not_lost() -> None:
    words = ("masked", "filled")
    assert_refused(("Got X with 12", *words), X=masked(X))
    assert_refused(("Got X with 12", *words), X={"X": masked(X)})
    assert_refused(("Got X with 12", *words), X=SkorchDataset(masked(X), Y), y=None)
    assert_refused(("Got y with 3", *words), y=masked(Y))
    assert_refused(words, clean_set=(masked(X_CLEAN), Y_CLEAN))
    assert_refused(words, clean_set=(X_CLEAN, masked(Y_CLEAN)))
    for name in ("sample_weight", "clean_mask"):
        given = masked(np.arange(len(X)) % 2 == 0)
        clean_set = None if name == "clean_mask" else (X_CLEAN, Y_CLEAN)
        net = make_net(clean_set=clean_set)
        with pytest.raises(ValueError, match=f"{name} with 3 masked"):
            net.fit(X, Y, **{name: given})


def test_an_array_that_masks_nothing_is_an_array() -> None:
    expected = make_net().fit(X, Y)
    net = make_net().fit(masked(X, any_=False), masked(Y, any_=False))
    assert same_state(state_of(net.module_), state_of(expected.module_))


@pytest.mark.parametrize(
    "weight",
    [
        np.ones(len(X), complex),
        np.arange(len(X)).astype("datetime64[D]"),
        np.arange(len(X)).astype("timedelta64[s]"),
        np.full(len(X), "1"),
        np.full(len(X), "a", dtype=object),
        [10**400] * len(X),
        "balanced",
        {0: 1},
    ],
)
def test_sample_weight_that_is_no_number(weight: Any) -> None:
    net = make_net()
    with pytest.raises((TypeError, ValueError), match="Got sample_weight"):
        net.fit(X, Y, sample_weight=weight)
    assert not net.initialized_


def test_weights_that_single_precision_cannot_hold() -> None:
    weight = np.where(np.arange(len(X)) == 1, 1e300, 1.0)
    with pytest.raises(ValueError, match=r"from 1 to 1e\+300.*1e\+30 times"):
        make_net().fit(X, Y, sample_weight=weight)
    with pytest.raises(ValueError, match=r"class_weight\), but expected"):
        make_net(class_weight={0: 1e-20, 1: 1e20}).fit(X, Y)


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_the_scale_of_weights_is_none_of_their_ratio(scale: float) -> None:
    weight = np.arange(len(X)) % 3 + 1.0
    expected = make_net().fit(X, Y, sample_weight=weight)
    net = make_net().fit(X, Y, sample_weight=scale * weight)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-5)


def test_long_doubles_are_doubles() -> None:
    expected = make_net().fit(X.astype(np.float64), Y)
    net = make_net().fit(X.astype(np.longdouble), Y)
    assert same_state(state_of(net.module_), state_of(expected.module_))
    assert np.array_equal(net.predict(X.astype(np.longdouble)), expected.predict(X))


@pytest.mark.parametrize("value", [1e155, 1e300, np.finfo(np.float64).max])
def test_values_whose_squares_overflow(value: float) -> None:
    """No overflow is warned of, and they are refused where the module cannot hold them."""
    rows = X.astype(np.float64)
    rows[3, 1] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_refused(("Got X with values up to", "float32", "Scale X"), X=rows)


def test_a_module_in_double_precision_holds_them() -> None:
    rows = X.astype(np.float64)
    rows[:, 1] = 1e160
    clean = X_CLEAN.astype(np.float64)
    clean[:, 1] = 1e160
    net = make_net(module__dtype=torch.float64, clean_set=(clean, Y_CLEAN)).fit(rows, Y)
    assert np.isfinite(net.predict_proba(rows)).all()


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (1, "without a dimension"),
        (np.array("a"), "without a dimension"),
        (Y + 1j, "complex"),
        (np.array([object() for _ in Y]), "expected"),
        (np.array([("a", 1)[i % 2] for i in Y], dtype=object), "expected"),
        (Y.astype([("a", "i4")]), "expected"),
        (Y.astype("V8"), "expected"),
    ],
)
def test_labels_that_are_none(y: Any, words: str) -> None:
    assert_refused((words,), y=y)


@pytest.mark.parametrize(
    "kind", ["float16", "uint64", "U", "datetime64[D]", "timedelta64[s]", bool]
)
def test_labels_of_any_type_come_back(kind: Any) -> None:
    labels = np.array([0, 1]).astype(kind)
    net = L2RWClassifier(MLP, **{**SETTINGS, "clean_set": (X_CLEAN, labels[Y_CLEAN])})
    predicted = net.fit(X, labels[Y]).predict(X)
    assert predicted.dtype == labels.dtype
    assert set(predicted.tolist()) <= set(labels.tolist())


@pytest.mark.parametrize(
    "y", [Y.astype(str).astype(object), np.full(len(Y), "a"), Y + 1j, Y.astype("datetime64[D]")]
)
def test_targets_that_are_no_numbers(y: Any) -> None:
    net = L2RWRegressor(MLP, module__n_outputs=1, **SETTINGS)
    if y.dtype.kind == "O":
        net.fit(X, y)  # text of numbers in objects, as scikit-learn takes it
        return
    with pytest.raises(ValueError, match=r"y of dtype .*expected numbers"):
        net.fit(X, y)
