"""Rows that are chosen without a copy: what is trained on is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from skorch.dataset import ValidSplit
from torch.utils.data import Subset, TensorDataset

from sklearn_l2rw.data.chosen import by_parts, chosen, is_mapped
from sklearn_l2rw.data.examples import check_finite, enter
from sklearn_l2rw.data.rows import Rows
from tests.small import X_CLEAN, Y_CLEAN, Y_NOISY, X, make_net, same_state, state_of

AT = np.array([5, 1, 7])


def mapped(folder: Path, rows: NDArray[Any]) -> Any:
    np.save(folder / "rows.npy", rows)
    return np.load(folder / "rows.npy", mmap_mode="r")


@pytest.mark.parametrize("array", [X, torch.as_tensor(X)])
def test_rows_of_rows(array: Any) -> None:
    some = chosen(chosen(array, AT), np.array([2, 0]))
    assert some.shape == (len(some), *X.shape[1:]) == (2, 4)
    np.testing.assert_array_equal(some[:], X[[7, 5]])
    np.testing.assert_array_equal(some[[1]], X[[5]])


def test_parts_are_all_rows() -> None:
    wide = np.broadcast_to(np.zeros(1), (70, 100_000))
    parts = [*by_parts(wide)]
    assert len(parts) == 7
    assert [*np.concatenate([np.arange(70)[part] for part in parts])] == [*range(70)]


def test_what_is_mapped(tmp_path: Path) -> None:
    rows = mapped(tmp_path, X)
    assert all(map(is_mapped, (rows, np.asarray(rows), np.asarray(rows)[3:].reshape(-1, 2))))
    assert not any(map(is_mapped, (X, rows[AT], np.array(rows), torch.as_tensor(X))))


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({"clean_set": 8}, {}),
        ({"clean_set": None}, {"clean_mask": np.arange(len(X)) % 5 == 0}),
        ({}, {"sample_weight": np.arange(len(X)) % 3}),
        ({"clean_set": 8, "train_split": ValidSplit(3, stratified=True)}, {}),
        ({"clean_set": 8, "iterator_train__num_workers": 0}, {}),
        ({"clean_set": 8, "class_weight": "balanced", "record_weights": "epochs"}, {}),
    ],
)
def test_a_map_is_trained_on_as_an_array(
    tmp_path: Path, settings: dict[str, Any], given: dict[str, Any]
) -> None:
    fits = [
        make_net(random_state=0, **settings).fit(rows, Y_NOISY, **given)
        for rows in (X, mapped(tmp_path, X))
    ]
    nets = [state_of(net.module_) for net in fits]
    assert same_state(*nets)
    np.testing.assert_array_equal(*(net.example_weights_ for net in fits))
    np.testing.assert_array_equal(*(net.history[:, "train_loss"] for net in fits))
    assert type(fits[1].clean_set_[0]) is type(fits[0].clean_set_[0])


def test_of_several_maps(tmp_path: Path) -> None:
    rows = mapped(tmp_path, X)
    some = enter({"a": rows, "b": X}, Y_NOISY).take(AT)
    assert {name: len(x) for name, x in some.inputs.items()} == {"a": 3, "b": 3}
    np.testing.assert_array_equal(some.X[1][0]["a"], X[1])
    np.testing.assert_array_equal(some.y, Y_NOISY[AT])


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, sparse.csr_matrix])
def test_chosen_rows_are_to_be_finite(wrong: float, kind: Any) -> None:
    rows = X.copy()
    rows[3, 2] = wrong
    check_finite(chosen(kind(rows), AT), "X")
    with pytest.raises(ValueError, match="finite numbers"):
        check_finite(chosen(kind(rows), np.array([0, 3])), "X")


def test_a_part_far_in_is_looked_at_too() -> None:
    rows = torch.zeros(3, 2**20)
    rows[2, -1] = torch.nan
    with pytest.raises(ValueError, match="finite numbers"):
        check_finite(rows, "X")


def test_a_subset_is_asked_for_its_rows_alone() -> None:
    rows = torch.as_tensor(X).clone()
    rows[0] = torch.nan
    dataset = Subset(TensorDataset(rows, torch.as_tensor(Y_NOISY)), [*range(1, len(X))])
    net = make_net(clean_set=(X_CLEAN, Y_CLEAN)).fit(dataset)
    assert np.isfinite(net.predict_proba(dataset)).all()


def test_chosen_rows_move_to_a_device() -> None:
    rows = Rows(chosen(X, AT), torch.zeros(3)).to("meta").X
    assert (rows.shape, rows.dtype, rows.device.type) == ((3, 4), torch.float32, "meta")
