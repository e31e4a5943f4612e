"""Batches of rows: the same rows in the same order as skorch's loader, whatever X is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from tests.small import (
    MLP,
    X_CLEAN,
    Y_CLEAN,
    Record,
    X,
    Y,
    make_net,
    same_state,
    state_of,
)

ITEM_BY_ITEM = {"iterator_train__num_workers": 0, "iterator_valid__num_workers": 0}


def run(X: Any = X, y: Any = Y, module: Any = MLP, **settings: Any) -> tuple[Any, Record]:
    """Fit from the same state of torch's generator."""
    record = Record()
    torch.manual_seed(5)
    settings = {"random_state": None, "callbacks": [("record", record)], **settings}
    return make_net(module, **settings).fit(X, y), record


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"module__dropout": 0.5},
        {"batch_size": 42},
        {"batch_size": 100},
        {"batch_size": -1, "clean_batch_size": 8},
        {"iterator_train__batch_size": 7},
        {"iterator_train__drop_last": True},
        {"iterator_train__shuffle": False},
        {"iterator_train__shuffle": False, "iterator_train__drop_last": True},
        {"train_split": ValidSplit(3)},
        {"random_state": 3},
    ],
    ids=", ".join,
)
def test_same_as_the_loader_of_skorch(settings: dict[str, Any]) -> None:
    fast, fast_record = run(**settings)
    slow, slow_record = run(**settings, **ITEM_BY_ITEM)
    n_steps = len(fast_record.batches)
    assert n_steps == len(slow_record.batches) > 0
    for i in range(n_steps):
        torch.testing.assert_close(fast_record.batches[i], slow_record.batches[i], rtol=0, atol=0)
        torch.testing.assert_close(fast_record.weights[i], slow_record.weights[i])
    assert same_state(state_of(fast.module_), state_of(slow.module_), atol=1e-6)
    assert torch.equal(fast_record.generator_states[-1], slow_record.generator_states[-1])
    for key in ("train_loss", "clean_loss", "zero_weights", "train_batch_count"):
        np.testing.assert_allclose(fast.history[:, key], slow.history[:, key], rtol=1e-5)
    np.testing.assert_allclose(fast.predict_proba(X), slow.predict_proba(X), rtol=1e-5)


def test_order_is_that_of_a_data_loader() -> None:
    _, record = run()
    torch.manual_seed(5)
    MLP()
    rows = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
    loader = DataLoader(rows, batch_size=16, shuffle=True)
    expected = [batch for _ in range(2) for batch in loader]
    assert len(expected) == len(record.batches) == 6
    for batch, other in zip(record.batches, expected, strict=True):
        torch.testing.assert_close(list(batch), list(other), rtol=0, atol=0)


def test_every_row_once_an_epoch_in_a_new_order() -> None:
    _, record = run(max_epochs=3)
    epochs = [
        torch.cat([batch[0][:, 0] for batch in record.batches[i : i + 3]]).tolist()
        for i in (0, 3, 6)
    ]
    assert all(sorted(epoch) == sorted(X[:, 0].tolist()) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert X[:, 0].tolist() not in epochs


def test_without_shuffling() -> None:
    _, record = run(iterator_train__shuffle=False, max_epochs=2)
    rows = torch.cat([batch[0] for batch in record.batches])
    np.testing.assert_array_equal(rows.numpy(), np.concatenate([X, X]))
    labels = torch.cat([batch[1] for batch in record.batches])
    np.testing.assert_array_equal(labels.numpy(), np.concatenate([Y, Y]))


def test_number_of_steps() -> None:
    class CountingSGD(torch.optim.SGD):
        n_steps = 0

        def step(self, closure: Any = None) -> Any:
            CountingSGD.n_steps += 1
            return super().step(closure)

    net, _ = run(optimizer=CountingSGD, max_epochs=3)
    assert CountingSGD.n_steps == 9
    assert net.history[:, "train_batch_count"] == [3, 3, 3]
    assert net.history[0, "batches", :, "train_batch_size"] == [16, 16, 10]


# Forms of X

frame = pd.DataFrame(X, columns=list("abcd"), index=range(len(X), 0, -1))
FORMS: dict[str, Any] = {
    "float64": X.astype(np.float64),
    "float16": X.astype(np.float16).astype(np.float32),
    "tensor": torch.as_tensor(X),
    "list": X.tolist(),
    "frame": frame,
    "frame of objects": frame.astype(object),
    "mixed frame": frame.astype({"a": "float64", "c": "float64"}),
    "CSR": sparse.csr_matrix(X),
    "CSR array": sparse.csr_array(X),
    "CSC": sparse.csc_matrix(X),
    "Fortran order": np.asfortranarray(X),
    "every second": np.repeat(X, 2, axis=0)[::2],
    "negative strides": X[::-1, ::-1].copy()[::-1, ::-1],
    "transposed tensor": torch.as_tensor(X.T.copy()).T,
}


@pytest.mark.parametrize("form", list(FORMS))
def test_forms_of_inputs(form: str) -> None:
    given = FORMS[form]
    atol = 1e-2 if form == "float16" else 1e-6
    expected, _ = run()
    net, record = run(given)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=atol)
    np.testing.assert_allclose(net.predict_proba(given), expected.predict_proba(X), atol=atol)
    assert net.module_.inner.weight.dtype == torch.float32
    assert len(record.batches) == 6


def test_module_in_double_precision() -> None:
    net, _ = run(module__dtype=torch.float64)
    wide, _ = run(X.astype(np.float64), module__dtype=torch.float64)
    assert same_state(state_of(net.module_), state_of(wide.module_))
    assert net.predict_proba(X).dtype == np.float64


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(2, 2)
        self.right = nn.Linear(2, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        output: Tensor = torch.tanh(self.left(left)) + self.right(right)
        return output


class Sequenced(TwoInputs):
    """skorch hands several inputs over as one sequence."""

    def forward(self, inputs: Any) -> Tensor:  # type: ignore[override]
        return super().forward(*inputs)


@pytest.mark.parametrize("settings", [{}, ITEM_BY_ITEM], ids=["rows", "items"])
def test_several_inputs(settings: dict[str, Any]) -> None:
    def split(rows: Any) -> tuple[Any, Any]:
        return rows[:, :2].copy(), rows[:, 2:].copy()

    def named(rows: Any) -> dict[str, Any]:
        return dict(zip(("left", "right"), split(rows), strict=True))

    by_name, _ = run(named(X), module=TwoInputs, clean_set=(named(X_CLEAN), Y_CLEAN), **settings)
    state = state_of(by_name.module_)
    probabilities = by_name.predict_proba(named(X))
    assert probabilities.shape == (42, 2)
    for form in (tuple, list):
        net, _ = run(
            form(split(X)), module=Sequenced, clean_set=(form(split(X_CLEAN)), Y_CLEAN), **settings
        )
        assert same_state(state, state_of(net.module_), atol=1e-6)
        np.testing.assert_allclose(net.predict_proba(form(split(X))), probabilities, rtol=1e-5)
    tensors = {name: torch.as_tensor(part) for name, part in named(X).items()}
    net, _ = run(tensors, module=TwoInputs, clean_set=(named(X_CLEAN), Y_CLEAN), **settings)
    assert same_state(state, state_of(net.module_), atol=1e-6)


# Data sets


class Items(Dataset[Any]):
    """Rows as a user's own data set."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return X[index], int(Y[index])


tensors = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
mirrored = TensorDataset(torch.as_tensor(X[::-1].copy()), torch.as_tensor(Y[::-1].copy()))
DATA_SETS: dict[str, Any] = {
    "TensorDataset": tensors,
    "skorch's": SkorchDataset(X, Y),
    "skorch's dict": SkorchDataset({"X": X}, Y),
    "Subset": Subset(mirrored, list(range(41, -1, -1))),
    "Subset of skorch's": Subset(SkorchDataset(X[::-1], Y[::-1]), list(range(41, -1, -1))),
    "Subset by array": Subset(mirrored, np.arange(41, -1, -1)),  # type: ignore[arg-type]
    "Subset by range": Subset(mirrored, range(41, -1, -1)),
    "Subset of a Subset": Subset(Subset(tensors, list(range(41, -1, -1))), list(range(41, -1, -1))),
    "own": Items(),
    "Subset of own": Subset(Items(), list(range(42))),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(DATA_SETS))
@pytest.mark.parametrize("with_labels", [True, False], ids=["y", "no y"])
def test_data_sets(kind: str, with_labels: bool) -> None:
    data = DATA_SETS[kind]
    expected, _ = run()
    settings: dict[str, Any] = {}
    if kind == "skorch's dict":
        settings["clean_set"] = ({"X": X_CLEAN}, Y_CLEAN)
    if not with_labels and "own" in kind:
        settings["classes"] = [0, 1]  # which cannot be known
    net, record = run(data, Y if with_labels else None, **settings)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)
    np.testing.assert_array_equal(net.predict(data), expected.predict(X))
    assert net.classes_.tolist() == [0, 1]
    assert len(record.batches) == 6


def test_data_set_of_which_the_labels_are_unknown() -> None:
    """skorch trains on it, if `classes` are known from it or not."""
    with pytest.raises((ValueError, TypeError, AttributeError), match="classes"):
        run(Items(), None)


class Stream(IterableDataset[Any]):
    """Rows without a length."""

    def __iter__(self) -> Any:
        return zip(X, Y.tolist(), strict=True)


def test_iterable_data_set() -> None:
    net, record = run(Stream(), None, classes=[0, 1], iterator_train__shuffle=False)
    expected, _ = run(iterator_train__shuffle=False)
    assert len(record.batches) == 6
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)


class Negated(TensorDataset):
    """A subclass may compute its items."""

    def __getitem__(self, index: Any) -> Any:
        rows, label = super().__getitem__(index)  # type: ignore[no-untyped-call]
        return -rows, label


def test_subclass_of_a_known_data_set_is_asked() -> None:
    expected, _ = run(-X, clean_set=(-X_CLEAN, Y_CLEAN))
    clean_set = Negated(torch.as_tensor(X_CLEAN), torch.as_tensor(Y_CLEAN))
    net, _ = run(Negated(*tensors.tensors), Y, clean_set=clean_set)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-5)


class Scaled(SkorchDataset):
    def transform(self, X: Any, y: Any) -> Any:
        rows, label = super().transform(X, y)
        return 2 * rows, label


def test_data_set_class_of_the_user() -> None:
    expected, _ = run(2 * X, clean_set=(2 * X_CLEAN, Y_CLEAN))
    net, _ = run(dataset=Scaled)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-5)


def test_iterator_of_the_user() -> None:
    class Reversed(DataLoader[Any]):
        def __iter__(self) -> Any:
            return reversed(list(super().__iter__()))

    _, record = run(iterator_train=Reversed, iterator_train__shuffle=False, max_epochs=1)
    assert [len(batch[1]) for batch in record.batches] == [10, 16, 16]
    np.testing.assert_array_equal(record.batches[-1][0].numpy(), X[:16])


# The user's objects


@pytest.mark.parametrize("settings", [{}, {"clean_batch_size": 3}])
def test_arrays_are_not_altered(settings: dict[str, Any]) -> None:
    rows, labels = X.copy(), Y.copy()
    rows.flags.writeable = labels.flags.writeable = False
    net, _ = run(rows, labels, **settings)
    net.predict(rows)
    net.score(rows, labels)
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(labels, Y)


def test_tensors_and_frames_are_not_altered() -> None:
    rows, labels = torch.as_tensor(X.copy()), torch.as_tensor(Y.copy())
    versions = rows._version, labels._version
    run(rows, labels)
    assert (rows._version, labels._version) == versions
    assert not rows.requires_grad
    copy = frame.copy()
    run(frame)
    pd.testing.assert_frame_equal(frame, copy)


def test_module_that_writes_into_its_input_does_not_reach_the_data() -> None:
    class InPlace(MLP):
        def forward(self, X: Tensor) -> Tensor:
            return super().forward(X.mul_(0.5))

    rows = X.copy()
    X_clean = X_CLEAN.copy()
    expected, _ = run(0.5 * X, clean_set=(0.5 * X_CLEAN, Y_CLEAN))
    net, _ = run(rows, module=InPlace, clean_set=(X_clean, Y_CLEAN))
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(X_clean, X_CLEAN)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-5)
