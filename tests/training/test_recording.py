"""`example_weights_`: the weights that were used, in the order of the rows given to `fit`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch.helper import predefined_split
from torch.utils.data import (
    Dataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    random_split,
)

from sklearn_l2rw import L2RWMultilabelClassifier, L2RWRegressor
from tests.small import (
    MLP,
    SETTINGS,
    Y_NOISY,
    Weighed,
    X,
    Y,
    joined,
    make_net,
    mask_of,
    mean_weights,
)

N = len(X)
ALL, ALL_Y, MASK = joined()
ORDER = np.random.default_rng(5).permutation(N)
ONES = np.ones(N, dtype=bool)
ZEROS = np.arange(N) % 5 == 1  # rows of sample weight 0
WEIGHT = np.where(ZEROS, 0.0, np.random.default_rng(3).uniform(0.1, 4, N))


class Double(MLP):
    """In double precision: what is recorded can be held to the last digits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(dtype=torch.float64, **kwargs)


def fitted(
    X: Any = X, y: Any = Y_NOISY, *, rows: Any = X, how: str = "fit", **settings: Any
) -> tuple[Any, Weighed]:
    """A net and what a callback saw of its weights; `rows` are those of X, in their order."""
    arguments = {
        key: settings.pop(key)
        for key in ("sample_weight", "clean_mask", "X_val", "y_val")
        if key in settings
    }
    weighed = Weighed(rows)
    settings = {"module": Double, "max_epochs": 3, **settings}
    net = make_net(**settings, callbacks=[("weighed", weighed)])
    return getattr(net, how)(X, y, **arguments), weighed


def assert_recorded(
    net: Any, weighed: Weighed, trained: Any = None, prior: Any = None, rtol: float = 1e-12
) -> None:
    """Hold the record to what was used; `trained` says which rows are to have been weighed."""
    expected = mean_weights(weighed.steps, weighed.n_rows, prior)
    assert weighed.steps
    assert net.example_weights_.shape == (weighed.n_rows,)
    assert net.example_weights_.dtype == np.float64
    np.testing.assert_allclose(net.example_weights_, expected, rtol=rtol, atol=1e-14)
    assert len(np.unique(expected[~np.isnan(expected)])) > 8  # the rows can be told apart
    if trained is not None:
        np.testing.assert_array_equal(~np.isnan(net.example_weights_), trained)


# Every way to feed data


class Items(Dataset[Any]):
    """Rows as a user's own data set, which is asked item by item."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return X[index], int(Y_NOISY[index])


class Augmented(Items):
    """Items that are altered at random, but for the first feature, which marks them."""

    def __getitem__(self, index: int) -> tuple[Any, int]:
        row, label = super().__getitem__(index)
        noise = torch.randn(3, dtype=torch.float32).numpy()
        return np.concatenate([row[:1], row[1:] + noise]), label


TENSORS = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y_NOISY))
FRAME = pd.DataFrame(X, columns=list("abcd"), index=range(N, 0, -1))
FORMS: dict[str, Any] = {
    "array": (X, Y_NOISY),
    "float64": (X.astype(np.float64), Y_NOISY),
    "list": (X.tolist(), Y_NOISY.tolist()),
    "tensor": (torch.as_tensor(X), torch.as_tensor(Y_NOISY)),
    "frame": (FRAME, pd.Series(Y_NOISY, index=range(N))),
    "CSR": (sparse.csr_matrix(X), Y_NOISY),
    "dict": ({"X": X}, Y_NOISY),
    "dict of tensors": ({"X": torch.as_tensor(X)}, Y_NOISY),
    "strings": (X, np.array(["ham", "spam"])[Y_NOISY]),
    "TensorDataset": (TENSORS, None),
    "TensorDataset and y": (TENSORS, Y_NOISY),
    "skorch's": (SkorchDataset(X, Y_NOISY), None),
    "skorch's dict": (SkorchDataset({"X": X}, Y_NOISY), None),
    "own": (Items(), Y_NOISY),
    "augmented": (Augmented(), Y_NOISY),
}
LOADERS: dict[str, dict[str, Any]] = {
    "rows": {},
    "items": {"iterator_train__num_workers": 0},
    "unshuffled": {"iterator_train__shuffle": False},
}


# torch minds the arrays of a data frame, which are read-only in pandas 3
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable:UserWarning")
@pytest.mark.parametrize("loader", list(LOADERS))
@pytest.mark.parametrize("form", list(FORMS))
def test_forms(form: str, loader: str) -> None:
    data, y = FORMS[form]
    settings = dict(LOADERS[loader])
    if form == "strings":
        clean, codes = SETTINGS["clean_set"]
        settings["clean_set"] = clean, np.array(["ham", "spam"])[codes]
    if "dict" in form:
        settings["clean_set"] = {"X": SETTINGS["clean_set"][0]}, SETTINGS["clean_set"][1]
    if "own" in form or "augmented" in form:
        settings["classes"] = [0, 1]
    net, weighed = fitted(data, y, **settings)
    assert_recorded(net, weighed, ONES)
    assert len(weighed.steps) == 9


@pytest.mark.parametrize("loader", list(LOADERS))
@pytest.mark.parametrize(
    "data",
    [
        Subset(TENSORS, ORDER.tolist()),
        Subset(SkorchDataset(X, Y_NOISY), ORDER.tolist()),
        Subset(Items(), ORDER.tolist()),
        Subset(TENSORS, ORDER),  # type: ignore[arg-type]
        Subset(Subset(TENSORS, ORDER[::-1].tolist()), list(range(N - 1, -1, -1))),
        TensorDataset(torch.as_tensor(X[ORDER]), torch.as_tensor(Y_NOISY[ORDER])),
    ],
    ids=["tensors", "skorch's", "own", "array", "Subset of a Subset", "permuted"],
)
def test_the_order_is_that_of_the_subset(data: Any, loader: str) -> None:
    net, weighed = fitted(data, Y_NOISY[ORDER], rows=X[ORDER], **LOADERS[loader])
    assert_recorded(net, weighed, ONES)
    direct, _ = fitted(X[ORDER], Y_NOISY[ORDER], rows=X[ORDER], **LOADERS[loader])
    np.testing.assert_allclose(net.example_weights_, direct.example_weights_, rtol=1e-9)


def in_double(items: list[Any]) -> Any:
    """A user's own way to make a batch of items."""
    rows, labels = default_collate(items)
    return rows.double(), labels


def seen_twice() -> WeightedRandomSampler:
    return WeightedRandomSampler(np.linspace(0, 1, N).tolist(), N, replacement=True)


ITERATORS: dict[str, dict[str, Any]] = {
    "collate_fn": {"iterator_train__collate_fn": in_double},
    "sampler": {"iterator_train__sampler": ORDER.tolist(), "iterator_train__shuffle": False},
    "part": {"iterator_train__sampler": ORDER[:30].tolist(), "iterator_train__shuffle": False},
    "drawn": {"iterator_train__sampler": seen_twice(), "iterator_train__shuffle": False},
    "batch_sampler": {
        "iterator_train__batch_sampler": np.split(ORDER, 6),
        "iterator_train__batch_size": 1,
        "iterator_train__shuffle": False,
    },
    "drop_last": {"iterator_train__drop_last": True},
    "items, drop_last": {"iterator_train__drop_last": True, "iterator_train__num_workers": 0},
    "whole": {"batch_size": -1, "clean_batch_size": 8},
    "whole, items": {"batch_size": -1, "clean_batch_size": 8, "iterator_train__num_workers": 0},
    "other size": {"iterator_train__batch_size": 5},
    "dropout": {"module__dropout": 0.3},
    "LBFGS": {"optimizer": torch.optim.LBFGS, "optimizer__max_iter": 3, "max_epochs": 2},
    "validation": {"train_split": ValidSplit(3, stratified=True)},
    "validation of items": {"train_split": ValidSplit(3), "iterator_train__num_workers": 0},
    "predefined": {"train_split": predefined_split(TENSORS)},
}


EVERY_ROW = ("collate_fn", "sampler", "batch_sampler", "whole", "dropout", "LBFGS", "predefined")
KINDS: dict[str, Any] = {"array": X, "tensors": TENSORS, "Subset": Subset(Items(), range(N))}


@pytest.mark.parametrize("name", list(ITERATORS))
@pytest.mark.parametrize("kind", list(KINDS))
def test_iterators(name: str, kind: str) -> None:
    net, weighed = fitted(KINDS[kind], Y_NOISY, **ITERATORS[name])
    rows = np.concatenate([rows for rows, _ in weighed.steps])
    trained = np.isin(np.arange(N), rows)
    assert trained.all() or name not in EVERY_ROW
    assert_recorded(net, weighed, trained)


def test_rows_that_are_always_dropped() -> None:
    settings: dict[str, Any] = {"iterator_train__drop_last": True, **LOADERS["unshuffled"]}
    net, weighed = fitted(**settings)
    assert_recorded(net, weighed, np.arange(N) < 32)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # fork, by torch
def test_workers() -> None:
    settings: dict[str, Any] = {"iterator_train__num_workers": 1, "max_epochs": 2}
    net, weighed = fitted(Augmented(), Y_NOISY, **settings)
    assert_recorded(net, weighed, ONES)


def halves(dataset: Any, y: Any = None, **kwargs: Any) -> Any:
    """A split of the user's own."""
    return random_split(dataset, [30, 12], torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", list(KINDS))
def test_split_of_the_user(kind: str) -> None:
    net, weighed = fitted(KINDS[kind], Y_NOISY, train_split=halves)
    left = [int(i) for i in halves(range(N))[0].indices]
    assert_recorded(net, weighed, np.isin(np.arange(N), left))


class Part(Subset[Any]):
    """A subset of the user's own kind."""


def test_split_of_a_kind_that_is_not_known() -> None:
    """Weights are not given to other rows than those that had them."""

    def split(dataset: Any, y: Any = None, **kwargs: Any) -> Any:
        return Part(dataset, ORDER[:30].tolist()), Part(dataset, ORDER[30:].tolist())

    net, weighed = fitted(train_split=split)
    if hasattr(net, "example_weights_"):
        assert_recorded(net, weighed)


# The clean set out of the rows, and sample_weight

BOTH = [(ALL, ALL_Y), (SkorchDataset(ALL, ALL_Y), ALL_Y), (sparse.csr_matrix(ALL), ALL_Y)]


@pytest.mark.parametrize("loader", list(LOADERS))
@pytest.mark.parametrize("data", BOTH, ids=["arrays", "data set", "CSR"])
def test_masked_rows(data: Any, loader: str) -> None:
    net, weighed = fitted(*data, rows=ALL, clean_set=None, clean_mask=MASK, **LOADERS[loader])
    assert_recorded(net, weighed, ~MASK)
    again, _ = fitted(clean_set=(ALL[MASK], ALL_Y[MASK]), **LOADERS[loader])
    np.testing.assert_allclose(net.example_weights_[~MASK], again.example_weights_, rtol=1e-9)


@pytest.mark.parametrize("loader", list(LOADERS))
@pytest.mark.parametrize("data", BOTH, ids=["arrays", "data set", "CSR"])
def test_rows_that_are_split_off(data: Any, loader: str) -> None:
    net, weighed = fitted(*data, rows=ALL, clean_set=8, **LOADERS[loader])
    assert np.isnan(net.example_weights_).sum() == 8
    if data is BOTH[0]:
        assert_recorded(net, weighed, ~mask_of(ALL, net.clean_set_[0]))
    else:
        assert_recorded(net, weighed)


def test_masked_rows_and_a_validation_split() -> None:
    settings: dict[str, Any] = {"clean_set": None, "clean_mask": MASK, "train_split": ValidSplit(3)}
    net, weighed = fitted(ALL, ALL_Y, rows=ALL, **settings)
    assert np.isnan(net.example_weights_).sum() == 8 + N // 3
    assert np.isnan(net.example_weights_[MASK]).all()
    assert_recorded(net, weighed)


@pytest.mark.parametrize("data", [X, TENSORS, Items()], ids=["array", "tensors", "own"])
@pytest.mark.parametrize("loader", list(LOADERS))
def test_sample_weight(data: Any, loader: str) -> None:
    net, weighed = fitted(data, Y_NOISY, sample_weight=WEIGHT, **LOADERS[loader])
    assert_recorded(net, weighed, ~ZEROS, WEIGHT, rtol=1e-5)


@pytest.mark.parametrize("data", BOTH, ids=["arrays", "data set", "CSR"])
def test_sample_weight_and_mask(data: Any) -> None:
    weight = np.where(np.arange(50) % 7 == 0, 0, np.random.default_rng(3).uniform(0.1, 4, 50))
    settings: dict[str, Any] = {"clean_set": None, "clean_mask": MASK, "sample_weight": weight}
    net, weighed = fitted(*data, rows=ALL, **settings)
    assert_recorded(net, weighed, ~MASK & (weight > 0), weight, rtol=1e-5)


def test_class_weight() -> None:
    net, weighed = fitted(class_weight={0: 0.5, 1: 3.0})
    assert_recorded(net, weighed, ONES, np.array([0.5, 3.0])[Y_NOISY], rtol=1e-5)


def test_a_row_that_counts_more_is_like_rows_that_are_there_more_often() -> None:
    """Its relative weight is that of each of them: the learned part."""
    counts = np.arange(N) % 4 // 2 + 1
    settings: dict[str, Any] = {"batch_size": -1, "clean_batch_size": 8}
    net, _ = fitted(sample_weight=counts, **settings)
    repeated = np.repeat(np.arange(N), counts)
    many, weighed = fitted(X[repeated], Y_NOISY[repeated], rows=None, **settings)
    assert len(weighed.steps) == 3
    np.testing.assert_allclose(many.example_weights_, net.example_weights_[repeated], atol=1e-5)
    assert np.average(net.example_weights_, weights=counts) == pytest.approx(1, abs=1e-5)


# What the numbers are


def test_the_mean_is_one_in_batches_that_are_not_all_zero() -> None:
    net, weighed = fitted(batch_size=-1, clean_batch_size=8, record_weights="epochs")
    assert all(weights.any() for _, weights in weighed.steps)
    np.testing.assert_allclose(net.epoch_example_weights_.mean(1), 1, rtol=1e-6)
    net, weighed = fitted(batch_size=4, y=np.where(np.arange(N) < 30, 1 - Y, Y), max_epochs=5)
    used = sum(len(rows) for rows, weights in weighed.steps if weights.any())
    assert used < sum(len(rows) for rows, _ in weighed.steps)
    assert np.nansum(net.example_weights_) * 5 == pytest.approx(used)


@pytest.mark.parametrize(
    "settings",
    [{}, {"iterator_train__drop_last": True}, {"train_split": ValidSplit(3)}],
    ids=["all", "drop_last", "split"],
)
def test_epochs(settings: dict[str, Any]) -> None:
    net, weighed = fitted(record_weights="epochs", max_epochs=4, **settings)
    by_epoch = net.epoch_example_weights_
    assert by_epoch.shape == (4, N)
    n_steps = len(weighed.steps) // 4
    for i, values in enumerate(by_epoch):
        expected = mean_weights(weighed.steps[i * n_steps : (i + 1) * n_steps], N)
        np.testing.assert_allclose(values, expected, rtol=1e-6)
    never = np.isnan(by_epoch).all(0)
    np.testing.assert_array_equal(np.isnan(net.example_weights_), never)
    mean = np.nanmean(by_epoch[:, ~never], axis=0)  # each row at most once an epoch
    np.testing.assert_allclose(net.example_weights_[~never], mean, rtol=1e-6)
    plain, _ = fitted(max_epochs=4, **settings)
    np.testing.assert_array_equal(plain.example_weights_, net.example_weights_)
    assert not hasattr(plain, "epoch_example_weights_")


def test_siblings() -> None:
    targets = np.stack([Y, 1 - Y], axis=1)
    nets = [
        (L2RWRegressor, X @ np.arange(4, dtype=np.float32), {"module__n_outputs": 1}),
        (L2RWMultilabelClassifier, targets, {}),
    ]
    for kind, y, settings in nets:
        weighed = Weighed(X)
        net = kind(
            Double, clean_set=8, verbose=0, max_epochs=2, batch_size=16, random_state=0,
            callbacks=[weighed], **settings,
        ).fit(X, y)  # fmt: skip
        assert_recorded(net, weighed, ~mask_of(X, net.clean_set_[0]))
