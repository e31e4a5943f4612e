"""Data in forms that torch does not take, clean sets that are not like the data, failures."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from sklearn_l2rw import (
    MLP,
    L2RWClassifier,
    L2RWMixin,
    L2RWMultilabelClassifier,
    L2RWRegressor,
)
from sklearn_l2rw.data.features import warn_of_unlike
from sklearn_l2rw.data.rows import Rows
from sklearn_l2rw.targets.numbers import warn_of_unlike_targets
from tests.small import blobs, same_state, state_of

X, Y = blobs(90, 3)
X_CLEAN, Y_CLEAN = blobs(12, 3, seed=1)
X_TEST, _ = blobs(60, 3, seed=2)
LABELS = np.eye(3, dtype=int)[Y]
QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "verbose": 0}


def net_of(**settings: Any) -> L2RWClassifier:
    return L2RWClassifier(**{**QUICK, "clean_set": (X_CLEAN, Y_CLEAN), **settings})


# Inputs


@pytest.mark.parametrize(
    "rows",
    [list, tuple, lambda X: list(torch.as_tensor(X)), lambda X: [pd.Series(x) for x in X]],
    ids=["list", "tuple", "tensors", "series"],
)
def test_list_of_rows(rows: Any) -> None:
    expected = net_of().fit(X, Y).predict_proba(X_TEST)
    net = net_of().fit(rows(X), Y)
    np.testing.assert_array_equal(net.predict_proba(rows(X_TEST)), expected)
    net = net_of(clean_set=(rows(X_CLEAN), list(Y_CLEAN))).fit(rows(X), Y)
    np.testing.assert_array_equal(net.predict_proba(X_TEST), expected)


def test_list_of_inputs() -> None:
    """For a module of the user's, a list of arrays is several inputs."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 3)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            out: Tensor = self.layer(torch.stack([a, b], 1))
            return out

    clean_set = [X_CLEAN[:, 0], X_CLEAN[:, 1]], Y_CLEAN

    class Net(L2RWClassifier):
        def infer(self, x: Any, **fit_params: Any) -> Any:
            return self.module_(*x, **fit_params)

    net = Net(Two, clean_set=clean_set, **QUICK).fit([X[:, 0], X[:, 1]], Y)
    assert net.predict([X_TEST[:, 0], X_TEST[:, 1]]).shape == (60,)


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i4"])
def test_other_byte_order(dtype: str) -> None:
    rows, native = X.astype(dtype), X.astype(np.dtype(dtype).newbyteorder("="))
    expected = net_of().fit(native, Y).predict_proba(native)
    net = net_of().fit(rows, Y.astype(">i8"))
    np.testing.assert_array_equal(net.predict_proba(rows), expected)


@pytest.mark.parametrize("part", ["view", "byte order", "read-only"])
def test_rows_that_torch_does_not_take(part: str) -> None:
    """They are copied, without an error and without the warning that torch gives only once."""
    rows = {"view": X[::-1], "byte order": X.astype(">f4"), "read-only": X.copy()}[part]
    rows.flags.writeable = part == "view"
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        moved = Rows(rows, torch.zeros(90)).to("meta")
        batch, _ = Rows(rows, torch.zeros(90))[[3, 4]]
    finally:
        torch.set_warn_always(always)
    assert moved.X.is_meta
    assert moved.X.shape == (90, 4)
    np.testing.assert_array_equal(batch.numpy(), rows[[3, 4]])


def test_sparse_rows_stay_where_they_are() -> None:
    rows = sparse.csr_matrix(X)
    assert Rows(rows, torch.zeros(90)).to("meta").X is rows


def test_views_backwards_in_a_net_of_the_users() -> None:
    class Net(L2RWMixin, NeuralNet):
        pass

    def fit(X: Any, y: Any) -> Any:
        sizes = {"module__in_features": 4, "module__out_features": 3}
        settings: dict[str, Any] = {"criterion": nn.CrossEntropyLoss, **sizes, **QUICK}
        return Net(nn.Linear, clean_set=(X_CLEAN, Y_CLEAN), **settings).fit(X, y)

    backwards = fit(X[::-1], Y[::-1])
    expected = fit(X[::-1].copy(), Y[::-1].copy())
    np.testing.assert_array_equal(backwards.predict(X_TEST), expected.predict(X_TEST))


def test_clean_set_as_a_list_of_pairs() -> None:
    for n in (1, 2, 12):
        pairs = list(zip(X_CLEAN[:n], Y_CLEAN[:n], strict=True))
        with pytest.raises(TypeError, match=rf"clean_set of {n} pairs.*\(Xv, yv\).*zip"):
            net_of(clean_set=pairs).fit(X, Y)
    two = (X_CLEAN[:2].tolist(), Y_CLEAN[:2].tolist())  # each of them has two elements, too
    with pytest.warns(UserWarning, match="no example of the classes"):
        net_of(clean_set=two).fit(X, Y)


@pytest.mark.parametrize("size", [5, np.int64(5), (5,), [5]])
def test_one_hidden_layer(size: Any) -> None:
    shapes = [tuple(p.shape) for p in MLP(4, 3, size).parameters()]
    assert shapes == [(5, 4), (5,), (3, 5), (3,)]
    net = net_of(module__hidden_layer_sizes=size).fit(X, Y)
    assert [tuple(p.shape) for p in net.module_.parameters()] == shapes


# Failures, and what the clean set lacks


class Alter(Callback):
    """Changes the net's structure, and fails, when it is armed."""

    armed = ""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self.armed == "buffer":
            net.module_.register_buffer("mean", torch.ones(1))
        elif self.armed == "group":
            net.optimizer_.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
        elif self.armed == "parameter":
            net.optimizer_.param_groups[0]["params"].append(nn.Parameter(torch.ones(1)))
        if self.armed:
            raise KeyError("as told")


@pytest.mark.parametrize(
    ("armed", "told"), [("buffer", "module"), ("group", None), ("parameter", "optimizer")]
)
def test_failure_after_a_change_of_structure(armed: str, told: str | None) -> None:
    """The error is the callback's; what can be put back is, and a note tells of the rest."""
    alter = Alter()
    net = net_of(callbacks=[alter], optimizer=torch.optim.Adam, lr=0.01).fit(X, Y)
    before, n_epochs = state_of(net.module_), len(net.history)
    alter.armed = armed
    with pytest.raises(KeyError, match="as told") as caught:
        net.partial_fit(X, Y)
    notes = getattr(caught.value, "__notes__", [])
    assert [f"net's {told} could not" in note for note in notes] == ([] if told is None else [True])
    after = state_of(net.module_)
    assert same_state(before, {name: after[name] for name in before})
    assert len(net.history) == n_epochs
    assert len(net.optimizer_.param_groups) == 1


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


# Clean sets that are scaled in another way

TABLES = {
    "cancer": load_breast_cancer(return_X_y=True),
    "wine": load_wine(return_X_y=True),
    "digits": load_digits(return_X_y=True),
    "iris": load_iris(return_X_y=True),
}


def balanced(y: NDArray[Any], n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Choose about n rows, as many of each class as there are."""
    classes = np.unique(y)
    rows = [generator.permutation(np.flatnonzero(y == c))[: -(-n // len(classes))] for c in classes]
    return np.concatenate(rows)


def rare(shift: float, spread: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Data one in fifty rows of which is of another class."""
    y = (np.arange(1000) % 50 == 0).astype(int)
    rows = np.random.default_rng(0).normal(size=(1000, 5))
    return rows * np.where(y == 1, spread, 1.0)[:, None] + shift * y[:, None], y


def skewed(sigma: float) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.random.default_rng(0).lognormal(sigma=sigma, size=(500, 5)), np.arange(500) % 2


def rare_values() -> tuple[NDArray[Any], NDArray[Any]]:
    return (np.random.default_rng(0).random((500, 30)) < 0.03) + 0.0, np.arange(500) % 2


def unlike(X: Any, X_clean: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_unlike(X, X_clean)
    return [str(warning.message) for warning in caught]


HONEST = {
    **TABLES,
    "rare": rare(2, 1),
    "rare and narrow": rare(2, 0.1),
    "rare and far": rare(20, 0.1),
    "skewed": skewed(2),
    "rare values": rare_values(),
}


@pytest.mark.parametrize("name", list(HONEST))
@pytest.mark.parametrize("n", [5, 10, 30])
def test_honest_clean_sets_are_like_the_data(name: str, n: int) -> None:
    rows, y = HONEST[name]
    scaled = StandardScaler().fit_transform(rows)
    for seed in range(15):
        generator = np.random.default_rng(seed)
        assert unlike(scaled, scaled[balanced(y, n, generator)]) == []
        assert unlike(scaled, scaled[generator.permutation(len(y))[:n]]) == []


@pytest.mark.parametrize("name", list(TABLES))
def test_clean_set_of_shares_beside_standardised_data(name: str) -> None:
    rows, y = TABLES[name]
    shares = MinMaxScaler().fit_transform(rows)
    clean = balanced(y, 30, np.random.default_rng(0))
    (message,) = unlike(StandardScaler().fit_transform(shares), shares[clean])
    assert "X is standardised" in message
    assert unlike(shares, shares[clean]) == []
    assert unlike(StandardScaler().fit_transform(shares), shares[clean[:4]]) == []


def test_pipeline_with_a_clean_set_of_shares() -> None:
    rows, y = TABLES["cancer"]
    shares = MinMaxScaler().fit_transform(rows)
    net = L2RWClassifier(clean_set=(shares[:30], y[:30]), **{**QUICK, "batch_size": 300})
    with pytest.warns(UserWarning, match=r"do not look like those of X: X is standardised"):
        make_pipeline(StandardScaler(), net).fit(shares[30:], y[30:])


# Clean targets that are scaled in another way

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
