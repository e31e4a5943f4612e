"""The clean set: its forms, and the batches that are drawn from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from skorch.dataset import Dataset as SkorchDataset
from torch import Tensor
from torch.utils.data import Dataset, Subset, TensorDataset

from tests.small import (
    X_CLEAN,
    Y_CLEAN,
    CountSteps,
    Watched,
    X,
    Y,
    clean_rows_by_step,
    make_net,
    same_state,
    state_of,
)


class Pairs(Dataset[Any]):
    """A data set of its own, which counts how often each item is asked for."""

    def __init__(self, X: Any = X_CLEAN, y: Any = Y_CLEAN) -> None:
        self.rows, self.labels = X, y
        self.asked = [0] * len(X)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        self.asked[index] += 1
        return self.rows[index], self.labels[index]


FORMS: dict[str, Any] = {
    "arrays": (X_CLEAN, Y_CLEAN),
    "list of two": [X_CLEAN, Y_CLEAN],
    "lists": (X_CLEAN.tolist(), Y_CLEAN.tolist()),
    "tensors": (torch.as_tensor(X_CLEAN), torch.as_tensor(Y_CLEAN)),
    "float64": (X_CLEAN.astype(np.float64), Y_CLEAN.astype(np.int32)),
    "frame": (pd.DataFrame(X_CLEAN, columns=list("abcd")), pd.Series(Y_CLEAN, range(8, 0, -1))),
    "CSR": (sparse.csr_matrix(X_CLEAN), Y_CLEAN),
    "CSR array": (sparse.csr_array(X_CLEAN), Y_CLEAN),
    "TensorDataset": TensorDataset(torch.as_tensor(X_CLEAN), torch.as_tensor(Y_CLEAN)),
    "skorch's Dataset": SkorchDataset(X_CLEAN, Y_CLEAN),
    "Subset": Subset(
        TensorDataset(
            torch.as_tensor(np.vstack([X_CLEAN[::-1], X_CLEAN])),
            torch.as_tensor(np.concatenate([1 - Y_CLEAN, Y_CLEAN])),
        ),
        list(range(8, 16)),
    ),
    "Subset of skorch's": Subset(SkorchDataset(X_CLEAN[::-1], Y_CLEAN[::-1]), list(range(8))[::-1]),
    "Subset of a range": Subset(SkorchDataset(X_CLEAN[::-1], Y_CLEAN[::-1]), range(7, -1, -1)),
}  # fmt: skip


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("clean_batch_size", [None, 3])
def test_all_forms_mean_the_same(form: str, clean_batch_size: int | None) -> None:
    expected = make_net(clean_batch_size=clean_batch_size).fit(X, Y)
    net = make_net(clean_set=FORMS[form], clean_batch_size=clean_batch_size).fit(X, Y)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-6)


def test_a_data_set_that_is_asked_item_by_item() -> None:
    """Its batches are in another order, which only rounding shows."""
    expected = make_net().fit(X, Y)
    net = make_net(clean_set=Pairs()).fit(X, Y)
    assert same_state(state_of(net.module_), state_of(expected.module_), atol=1e-5)


def drawn(**settings: Any) -> list[tuple[int, ...]]:
    """Rows of the clean batch of each step: 3 steps an epoch."""
    make_net(Watched, callbacks=[("count", CountSteps())], **settings).fit(X, Y)
    return clean_rows_by_step()


@pytest.mark.parametrize("clean_batch_size", [None, 8, 9, 1000])
def test_a_clean_set_no_larger_than_the_batch_is_the_batch(clean_batch_size: int | None) -> None:
    assert drawn(clean_batch_size=clean_batch_size) == [tuple(range(8))] * 6


def test_default_size_is_that_of_the_training_batch() -> None:
    rows = drawn(batch_size=5, max_epochs=1)
    assert len(rows) == 9
    assert all(len(set(batch)) == 5 for batch in rows)
    assert len(set(rows)) > 1


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"iterator_train__batch_size": 5}, 5),
        ({"iterator_train__batch_size": 5, "batch_size": 16}, 5),
        ({"iterator_train__batch_size": 16, "batch_size": 5}, 8),
        ({"iterator_train__batch_size": -1, "batch_size": 5}, 8),
        ({"iterator_train__batch_size": 5, "clean_batch_size": 3}, 3),
        ({"iterator_valid__batch_size": 5}, 8),
    ],
)
def test_default_size_is_that_of_the_batch_in_training_alone(
    sizes: dict[str, int], expected: int
) -> None:
    make_net(Watched, callbacks=[CountSteps()], **sizes).fit(X, Y)
    assert {len(rows) for rows in clean_rows_by_step()} == {expected}


def test_full_training_batch() -> None:
    """skorch's ``batch_size=-1`` stands for all rows: all of the clean set is the clean batch."""
    assert drawn(batch_size=-1, max_epochs=3) == [tuple(range(8))] * 3
    assert [len(rows) for rows in drawn(batch_size=-1, clean_batch_size=3)] == [3, 3]


@pytest.mark.parametrize("clean_set", [(X_CLEAN, Y_CLEAN), Pairs()], ids=["arrays", "data set"])
def test_batches_of_a_larger_clean_set(clean_set: Any) -> None:
    rows = drawn(clean_set=clean_set, clean_batch_size=3, max_epochs=4)
    assert [len(batch) for batch in rows] == [3] * 12  # the last two of a permutation are dropped
    pairs = [(*rows[i], *rows[i + 1]) for i in range(0, 12, 2)]
    assert all(len(set(pair)) == 6 for pair in pairs)  # without replacement
    assert len(set(pairs)) == 6  # reshuffled
    assert set(range(8)) == {row for pair in pairs for row in pair}  # nothing is left out for good


@pytest.mark.parametrize("clean_set", [(X_CLEAN, Y_CLEAN), Pairs()], ids=["arrays", "data set"])
def test_clean_batches_follow_the_random_state(clean_set: Any) -> None:
    settings = {"clean_set": clean_set, "clean_batch_size": 3, "max_epochs": 3}
    first = drawn(**settings, random_state=1)
    assert first == drawn(**settings, random_state=1)
    assert first != drawn(**settings, random_state=2)
    torch.manual_seed(4)
    first = drawn(**settings, random_state=None)
    torch.manual_seed(4)
    assert first == drawn(**settings, random_state=None)
    torch.manual_seed(5)
    assert first != drawn(**settings, random_state=None)


def training_rows(**settings: Any) -> list[Tensor]:
    count = CountSteps()
    make_net(Watched, callbacks=[("count", count)], random_state=3, **settings).fit(X, Y)
    clean_rows_by_step()
    return [batch[0] for batch in count.batches]


def test_clean_batches_have_a_generator_of_their_own() -> None:
    """Drawing them does not change which training rows come when."""
    whole = training_rows()
    drawn = training_rows(clean_batch_size=3)
    assert len(whole) == 6
    assert all(torch.equal(a, b) for a, b in zip(whole, drawn, strict=True))
    items = training_rows(clean_set=Pairs(), clean_batch_size=3)
    assert all(torch.equal(a, b) for a, b in zip(whole, items, strict=True))


def test_repeated_partial_fit_uses_the_whole_clean_set() -> None:
    """One step at a time, as in online learning."""
    net = make_net(
        Watched,
        callbacks=[("count", CountSteps())],
        clean_batch_size=2,
        batch_size=-1,
        max_epochs=1,
    )
    for _ in range(12):
        net.partial_fit(X, Y)
    rows = clean_rows_by_step()
    assert len(rows) == 12
    assert {row for batch in rows for row in batch} == set(range(8))


class Augmented(Pairs):
    """Draws each item anew, from torch's generator."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        row, label = super().__getitem__(index)
        SEEN.append(float(torch.rand(())))
        return torch.as_tensor(row) + 0.1 * SEEN[-1], label


SEEN: list[float] = []


@pytest.mark.parametrize("clean_batch_size", [None, 4])
def test_an_augmenting_data_set_is_asked_anew_at_each_step(clean_batch_size: int | None) -> None:
    clean = Augmented()
    SEEN.clear()
    settings: dict[str, Any] = {"clean_set": clean, "clean_batch_size": clean_batch_size}
    first = make_net(**settings, max_epochs=1).fit(X, Y)
    before = list(clean.asked)
    SEEN.clear()
    first.partial_fit(X, Y)
    size = clean_batch_size or 8
    n_asked = sum(clean.asked) - sum(before)
    assert 3 * size <= n_asked <= 5 * size  # 3 steps; a batch more to check the data set
    assert len(set(SEEN[-3 * size :])) == 3 * size


def test_augmentation_follows_the_random_state() -> None:
    runs = [
        state_of(make_net(clean_set=Augmented(), random_state=seed).fit(X, Y).module_)
        for seed in (0, 0, 1)
    ]
    assert same_state(runs[0], runs[1])
    assert not same_state(runs[0], runs[2])


def test_the_clean_set_is_not_altered() -> None:
    rows, labels = X_CLEAN.copy(), Y_CLEAN.copy()
    X_given, y_given = rows.copy(), labels.copy()
    X_given.flags.writeable = y_given.flags.writeable = False
    net = make_net(clean_set=(X_given, y_given), clean_batch_size=3).fit(X, Y)
    np.testing.assert_array_equal(X_given, rows)
    np.testing.assert_array_equal(y_given, labels)
    assert net.clean_set[0] is X_given
    assert net.clean_set[1] is y_given


def test_non_contiguous_clean_set() -> None:
    wide = np.repeat(np.repeat(X_CLEAN, 2, axis=0), 2, axis=1)
    views = [
        (wide[::2, ::2], np.repeat(Y_CLEAN, 2)[::2]),
        (X_CLEAN[::-1].copy()[::-1], Y_CLEAN[::-1].copy()[::-1]),  # negative strides
        (np.asfortranarray(X_CLEAN), Y_CLEAN),
    ]
    for clean_batch_size in (None, 3):
        expected = state_of(make_net(clean_batch_size=clean_batch_size).fit(X, Y).module_)
        for view in views:
            net = make_net(clean_set=view, clean_batch_size=clean_batch_size).fit(X, Y)
            assert same_state(state_of(net.module_), expected, atol=1e-6)


def test_one_clean_example_of_each_class() -> None:
    net = make_net(clean_set=(X_CLEAN[:2], Y_CLEAN[:2]), max_epochs=20).fit(X, Y)
    assert net.score(X, Y) > 0.7
    assert all(np.isfinite(net.history[:, "clean_loss"]))
