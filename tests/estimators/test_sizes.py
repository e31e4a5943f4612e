"""The default module, sizes that modules ask for, features of X, and clones."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.dataset import Dataset as SkorchDataset
from torch import Tensor, nn

from sklearn_l2rw import (
    MLP,
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMultilabelClassifier,
    L2RWRegressor,
)
from tests.small import X_CLEAN, Y_CLEAN, X, Y, blobs, make_net, same_state, state_of

QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "verbose": 0}
FRAME = pd.DataFrame(X, columns=list("abcd"))
CLEAN_FRAME = pd.DataFrame(X_CLEAN, columns=list("abcd"))


def default(**settings: Any) -> L2RWClassifier:
    return L2RWClassifier(**{"clean_set": (X_CLEAN, Y_CLEAN), **QUICK, **settings})


def widths(net: Any) -> list[int]:
    """Inputs of the first linear layer, then outputs of all."""
    layers = [layer for layer in net.module_.modules() if isinstance(layer, nn.Linear)]
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


# The default module


def test_default_module() -> None:
    net = default().fit(X, Y)
    assert isinstance(net.module_, MLP)
    assert widths(net) == [4, 100, 2]
    assert net.get_params()["module"] is None
    rows, y = blobs(40, n_classes=3)
    names = np.array(["a", "b", "c"])
    three = default(clean_set=(rows[:9, :3], names[y[:9]])).fit(rows[:, :3], names[y])
    assert widths(three) == [3, 100, 3]


@pytest.mark.parametrize(
    ("estimator", "y", "n_outputs"),
    [
        (L2RWBinaryClassifier, Y, 1),
        (L2RWMultilabelClassifier, (X[:, :3] > 0.5).astype(int), 3),
        (L2RWRegressor, X[:, 0], 1),
        (L2RWRegressor, X[:, :1], 1),
        (L2RWRegressor, X[:, :2], 2),
    ],
)
def test_default_module_of_siblings(estimator: Any, y: Any, n_outputs: int) -> None:
    net = estimator(clean_set=10, **QUICK).fit(X, y)
    assert isinstance(net.module_, MLP)
    assert widths(net) == [4, 100, n_outputs]
    assert net.predict(X).shape == y.shape


@pytest.mark.parametrize("sizes", [(7,), (7, 5), [3], ()])
def test_hidden_layer_sizes(sizes: Any) -> None:
    net = default(module__hidden_layer_sizes=sizes).fit(X, Y)
    assert widths(net) == [4, *sizes, 2]


@pytest.mark.parametrize("size", [5, np.int64(5), (5,), [5]])
def test_one_hidden_layer(size: Any) -> None:
    shapes = [tuple(p.shape) for p in MLP(4, 3, size).parameters()]
    assert shapes == [(5, 4), (5,), (3, 5), (3,)]
    rows, y = blobs(40, n_classes=3)
    net = default(clean_set=(rows[:9], y[:9]), module__hidden_layer_sizes=size).fit(rows, y)
    assert [tuple(p.shape) for p in net.module_.parameters()] == shapes


def test_default_module_learns() -> None:
    rows, y = load_wine(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(rows, y, random_state=0, stratify=y)
    net = L2RWClassifier(clean_set=0.2, random_state=0, verbose=0)
    pipe = make_pipeline(StandardScaler(), net).fit(X_train, y_train)
    assert pipe.score(X_test, y_test) > 0.93
    assert widths(net) == [13, 100, 3]


def test_search_over_hidden_layer_sizes() -> None:
    grid = {"module__hidden_layer_sizes": [(3,), (6, 5)]}
    search = GridSearchCV(default(), grid, cv=2, error_score="raise").fit(X, Y)
    best = search.best_params_["module__hidden_layer_sizes"]
    assert widths(search.best_estimator_) == [4, *best, 2]


# A module that asks for sizes


class Asks(nn.Module):
    def __init__(self, n_features: int, n_outputs: int, hidden: int = 3) -> None:
        super().__init__()
        self.inner = nn.Linear(n_features, hidden)
        self.outer = nn.Linear(hidden, n_outputs)

    def forward(self, X: Tensor) -> Tensor:
        output: Tensor = self.outer(self.inner(X).relu())
        return output


class AsksForClasses(Asks):
    def __init__(self, *, n_classes: int, n_features: int) -> None:
        super().__init__(n_features, n_classes)


class HasDefaults(Asks):
    def __init__(self, n_features: int = 4, n_outputs: int = 5) -> None:
        super().__init__(n_features, n_outputs)


@pytest.mark.parametrize("module", [Asks, AsksForClasses])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_sizes_are_filled_in(module: Any, n_classes: int) -> None:
    rows, y = blobs(40, n_classes=n_classes)
    net = default(module=module, clean_set=(rows[:9], y[:9])).fit(rows, y)
    assert widths(net) == [4, 3, n_classes]


def test_sizes_of_siblings_are_filled_in() -> None:
    regressor = L2RWRegressor(Asks, clean_set=10, **QUICK).fit(X, X[:, :2])
    assert widths(regressor) == [4, 3, 2]
    binary = L2RWBinaryClassifier(Asks, clean_set=10, **QUICK).fit(X, Y)
    assert widths(binary) == [4, 3, 1]


def test_given_sizes_win() -> None:
    class Narrow(Asks):
        def forward(self, X: Tensor) -> Tensor:
            return super().forward(X[:, :2])

    net = default(module=Narrow, module__n_features=2).fit(X, Y)
    assert widths(net) == [2, 3, 2]
    with pytest.raises(ValueError, match=r"\(8, 6\).*2 classes"):
        default(module=Asks, module__n_outputs=6).fit(X, Y)


def test_sizes_that_have_a_default_are_left_alone() -> None:
    with pytest.raises(ValueError, match=r"\(8, 5\).*2 classes"):
        default(module=HasDefaults).fit(X, Y)
    net = default(module=HasDefaults, module__n_outputs=2).fit(X, Y)
    assert widths(net) == [4, 3, 2]


def test_an_instance_is_left_alone() -> None:
    module = Asks(4, 2, hidden=9)
    before = state_of(module)
    net = default(module=module).fit(X, Y)
    assert widths(net) == [4, 9, 2]
    assert same_state(state_of(module), before)


def test_given_classes_count() -> None:
    names = np.array(["ham", "spam"])
    net = default(clean_set=(X_CLEAN, names[Y_CLEAN]), classes=["eggs", "ham", "spam"])
    assert widths(net.fit(X, names[Y])) == [4, 100, 3]
    later = default(clean_set=(X_CLEAN, names[Y_CLEAN]))
    later.partial_fit(X, names[Y], classes=["eggs", "ham", "spam"])
    assert widths(later) == [4, 100, 3]
    assert later.classes_.tolist() == ["eggs", "ham", "spam"]


def test_initialize_without_sizes() -> None:
    for module in (None, Asks):
        with pytest.raises(ValueError, match=r"n_features.*fit"):
            default(module=module).initialize()
    net = default(module__n_features=4, module__n_outputs=2).initialize()
    assert widths(net) == [4, 100, 2]
    expected = default(module__n_features=4, module__n_outputs=2).fit(X, Y)
    assert same_state(state_of(net.partial_fit(X, Y).module_), state_of(expected.module_))


def test_another_fit_fills_in_anew() -> None:
    net = default().fit(X, Y)
    net.set_params(clean_set=(X_CLEAN[:, :3], Y_CLEAN)).fit(X[:, :3], Y)
    assert widths(net) == [3, 100, 2]
    assert net.n_features_in_ == 3
    assert net.predict(X[:, :3]).shape == Y.shape


def test_setting_a_size_after_a_fit() -> None:
    net = default().fit(X, Y)
    net.set_params(module__hidden_layer_sizes=(8,))
    assert widths(net) == [4, 8, 2]
    assert widths(net.fit(X, Y)) == [4, 8, 2]


def test_a_data_set_has_no_sizes() -> None:
    data = SkorchDataset(X, Y)
    for module in (None, Asks):
        with pytest.raises(ValueError, match="n_features"):
            default(module=module).fit(data, None)
        net = default(module=module, module__n_features=4)
        assert widths(net.fit(data, None))[::2] == [4, 2]


# Inputs of several kinds

INTS = np.round(3 * X).astype(int)
CLEAN_INTS = np.round(3 * X_CLEAN).astype(int)


@pytest.mark.parametrize(
    "convert",
    [
        np.asarray,
        lambda rows: rows.astype(np.int8),
        lambda rows: rows.astype(np.float64),
        lambda rows: rows.tolist(),
        lambda rows: pd.DataFrame(rows, columns=list("abcd")),
        lambda rows: pd.DataFrame(rows, columns=list("abcd")).astype({"a": "int8", "b": "float"}),
        torch.as_tensor,
        sparse.csr_matrix,
        sparse.csr_array,
    ],
)  # fmt: skip
def test_numbers_of_any_kind(convert: Any) -> None:
    expected = default(clean_set=(CLEAN_INTS.astype(np.float32), Y_CLEAN))
    expected.fit(INTS.astype(np.float32), Y)
    net = default(clean_set=(convert(CLEAN_INTS), Y_CLEAN)).fit(convert(INTS), Y)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)
    proba = net.predict_proba(convert(INTS))
    np.testing.assert_allclose(proba, expected.predict_proba(INTS), atol=1e-5)


def test_integers_for_a_module_that_takes_them() -> None:
    class Embeds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(7, 3)
            self.outer = nn.Linear(12, 2)

        def forward(self, X: Tensor) -> Tensor:
            output: Tensor = self.outer(self.embedding(X).flatten(1))
            return output

    rows, clean = INTS % 7, CLEAN_INTS % 7
    net = default(module=Embeds, clean_set=(clean, Y_CLEAN)).fit(rows, Y)
    assert net.predict(rows).shape == Y.shape
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        default(module=Embeds).fit(X, Y)


# Features


def test_number_and_names_of_features() -> None:
    net = default().fit(X, Y)
    assert net.n_features_in_ == 4
    assert not hasattr(net, "feature_names_in_")
    named = default(clean_set=(CLEAN_FRAME, Y_CLEAN)).fit(FRAME, Y)
    assert named.n_features_in_ == 4
    assert named.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(named.predict_proba(FRAME), net.predict_proba(X))
    named.set_params(clean_set=(X_CLEAN, Y_CLEAN)).fit(X, Y)
    assert not hasattr(named, "feature_names_in_")


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function", "partial_fit"])
@pytest.mark.parametrize("module", [None, "own"])
def test_another_number_of_features(method: str, module: Any) -> None:
    net = default().fit(X, Y) if module is None else make_net().fit(X, Y)
    before = state_of(net.module_)
    for rows in (X[:, :3], np.hstack([X, X]), pd.DataFrame(X[:, :3])):
        arguments = (rows, Y) if method == "partial_fit" else (rows,)
        with pytest.raises(ValueError, match=r"features.*expecting 4"):
            getattr(net, method)(*arguments)
    assert same_state(state_of(net.module_), before)
    assert net.n_features_in_ == 4


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "partial_fit"])
@pytest.mark.parametrize("columns", [list("dcba"), list("abce")])
def test_other_columns(columns: list[str], method: str) -> None:
    net = default(clean_set=(CLEAN_FRAME, Y_CLEAN)).fit(FRAME, Y)
    other = FRAME.set_axis(list("abce"), axis=1) if "e" in columns else FRAME[columns]
    arguments = (other, Y) if method in ("score", "partial_fit") else (other,)
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(net, method)(*arguments)


@pytest.mark.parametrize("way", ["constructor", "X_val"])
def test_clean_set_with_columns_in_another_order(way: str) -> None:
    clean = CLEAN_FRAME[list("dcba")]
    net = default(clean_set=(clean, Y_CLEAN) if way == "constructor" else None)
    arguments: Any = {} if way == "constructor" else {"X_val": clean, "y_val": Y_CLEAN}
    with pytest.raises(ValueError, match="feature names should match"):
        net.fit(FRAME, Y, **arguments)
    assert not hasattr(net, "feature_names_in_")


def test_rows_without_names_after_a_frame() -> None:
    net = default(clean_set=(CLEAN_FRAME, Y_CLEAN)).fit(FRAME, Y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        predicted = net.predict(X)
    np.testing.assert_array_equal(predicted, net.predict(FRAME))


def test_frame_with_columns_that_are_no_numbers() -> None:
    words = pd.DataFrame({"a": ["x", "y"] * 21, "b": X[:, 0]})
    with pytest.raises((ValueError, TypeError), match=r"(?i)string|numeric|float|number|object"):
        default(clean_set=10).fit(words, Y)


# Clones


def test_clones_share_the_clean_set() -> None:
    pair = (X_CLEAN, Y_CLEAN)
    net = default(clean_set=pair).fit(X, Y)
    assert clone(net).clean_set is pair
    assert clone(clone(net)).clean_set is pair
    assert clone(make_pipeline(StandardScaler(), net))[-1].clean_set is pair
    data = SkorchDataset(X_CLEAN, Y_CLEAN)
    assert clone(default(clean_set=data)).clean_set is data
    search = GridSearchCV(net, {"lr": [0.1, 0.2]}, cv=2, error_score="raise").fit(X, Y)
    assert search.best_estimator_.clean_set is pair
    assert clone(search).estimator.clean_set is pair


def test_clones_are_apart_otherwise() -> None:
    net = default(module__hidden_layer_sizes=(5,), lr=0.2).fit(X, Y)
    other = clone(net).set_params(lr=0.1, module__hidden_layer_sizes=(3,))
    assert net.get_params()["lr"] == 0.2
    assert widths(net) == [4, 5, 2]
    assert widths(other.fit(X, Y)) == [4, 3, 2]
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert copied.clean_set[0] is not net.clean_set[0]
        np.testing.assert_array_equal(copied.clean_set[0], X_CLEAN)


def test_a_default_fit_is_silent() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        L2RWClassifier(clean_set=8, verbose=0).fit(X, Y)
    assert [str(warning.message) for warning in caught] == []
