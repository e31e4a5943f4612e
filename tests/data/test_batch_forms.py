"""Batches are pairs (X, y); which rows they have is known, or nothing is said of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from skorch.dataset import Dataset as SkorchDataset
from torch.utils.data import Dataset, IterableDataset, default_collate

from tests.small import (
    X_CLEAN,
    Y_CLEAN,
    Y_NOISY,
    Record,
    Weighed,
    X,
    Y,
    make_net,
    mean_weights,
    same_state,
    state_of,
)

N = len(X)
ORDER = np.random.default_rng(1).permutation(N)
PRIOR = np.linspace(1, 2, N)


class Items(Dataset[Any]):
    """Rows that are asked for one by one."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> Any:
        return X[index], int(Y_NOISY[index])


# Batches that are no pairs


class Triples(Items):
    def __getitem__(self, index: int) -> Any:
        return *super().__getitem__(index), 40.0


class CleanTriples(Dataset[Any]):
    def __len__(self) -> int:
        return len(X_CLEAN)

    def __getitem__(self, index: int) -> Any:
        return X_CLEAN[index], int(Y_CLEAN[index]), 40.0


class StreamOfTriples(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return zip(X, Y.tolist(), [40.0] * N, strict=True)


class StreamOfRows(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(X)


def with_lengths(items: list[Any]) -> Any:
    """A batch that says how long its sequences are."""
    rows, labels = default_collate(items)
    return rows, labels, torch.full((len(labels),), 40.0)


def rows_alone(items: list[Any]) -> Any:
    return (default_collate(items)[0],)


STREAM: dict[str, Any] = {"classes": [0, 1], "iterator_train__shuffle": False}


@pytest.mark.parametrize(
    ("dataset", "settings"),
    [
        (SkorchDataset(X, Y), {"iterator_train__collate_fn": with_lengths}),
        (Items(), {"iterator_train__collate_fn": with_lengths}),
        (Items(), {"iterator_train__collate_fn": rows_alone}),
        (Triples(), {}),
        (Items(), {"clean_set": CleanTriples()}),
        (StreamOfTriples(), STREAM),
        (StreamOfRows(), STREAM),
    ],
    ids=[
        "collate of arrays", "collate of items", "collate of X alone", "items", "clean set",
        "stream", "stream of X alone",
    ],
)  # fmt: skip
def test_batch_that_is_no_pair_is_refused_before_the_first_step(
    dataset: Any, settings: dict[str, Any]
) -> None:
    record = Record()
    net = make_net(callbacks=[("record", record)], **settings)
    y = None if isinstance(dataset, IterableDataset) else Y_NOISY
    with pytest.raises(
        (ValueError, TypeError), match=r"(?is)(\b[13]\b|\bone\b|\bthree\b).*(X and y|X, y|Xi, yi)"
    ):
        net.fit(dataset, y)
    assert record.parameters == []
    assert not hasattr(net, "module_")


# Batches whose rows are in another order


def by_first_feature(items: list[Any]) -> Any:
    """A batch that is sorted, as sequences are by their lengths."""
    return default_collate(sorted(items, key=lambda item: float(item[0][0])))


def all_but_one(items: list[Any]) -> Any:
    return default_collate(items[1:])


def keeping_order(items: list[Any]) -> Any:
    return default_collate(items)


def turning_a_class(items: list[Any]) -> Any:
    """The rows of class 0 the other way round: the labels are in order as before."""
    turned = iter([item for item in items if item[1] == 0][::-1])
    return default_collate([next(turned) if item[1] == 0 else item for item in items])


def turning_rows(items: list[Any]) -> Any:
    """The rows beside the labels of others."""
    rows, labels = default_collate(items)
    return rows.flip(0), labels


REORDERING = [by_first_feature, turning_a_class, turning_rows]


@pytest.mark.parametrize("form", ["arrays", "items"])
@pytest.mark.parametrize("collate", [*REORDERING, all_but_one, keeping_order])
def test_weights_are_of_the_right_rows_or_of_none(collate: Any, form: str) -> None:
    """No weights are better than weights of other rows."""
    weighed = Weighed(X)
    net = make_net(iterator_train__collate_fn=collate, callbacks=[("weighed", weighed)])
    net.fit(X if form == "arrays" else Items(), Y_NOISY)
    expected = mean_weights(weighed.steps, N)
    assert np.nanmax(expected) > 1
    np.testing.assert_allclose(getattr(net, "example_weights_", expected), expected, rtol=1e-5)


def test_batches_that_lack_an_item_are_of_no_rows() -> None:
    net = make_net(iterator_train__collate_fn=all_but_one).fit(Items(), Y_NOISY)
    assert not hasattr(net, "example_weights_")
    assert net.predict(X).shape == (N,)
    with pytest.raises(ValueError, match="does not say which rows a batch has"):
        net.fit(Items(), Y_NOISY, sample_weight=PRIOR)


@pytest.mark.parametrize("collate", [*REORDERING, keeping_order])
def test_sample_weight_is_of_the_right_rows_or_refused(collate: Any) -> None:
    """In the first step it multiplies the weights that the same rows have without it."""
    prior = np.arange(1.0, N + 1)  # an order within a class, too
    steps = []
    refused = ""
    for sample_weight in (None, prior):
        weighed = Weighed(X)
        net = make_net(iterator_train__collate_fn=collate, callbacks=[("weighed", weighed)])
        try:
            net.fit(Items(), Y_NOISY, sample_weight=sample_weight)
        except ValueError as error:
            refused = str(error)
            continue
        steps.append(weighed.steps[0])
    if refused:
        assert "does not say which rows a batch has" in refused
        return
    (rows, plain), (same, weighted) = steps
    np.testing.assert_array_equal(same, rows)
    expected = prior[rows] * plain
    np.testing.assert_allclose(weighted, expected / expected.sum(), rtol=1e-4, atol=1e-7)


def test_batches_that_are_in_order() -> None:
    """A collate_fn of the user's that keeps the order trains as torch's own does."""
    net = make_net(iterator_train__collate_fn=keeping_order).fit(Items(), Y_NOISY)
    expected = make_net().fit(Items(), Y_NOISY)
    assert same_state(state_of(net.module_), state_of(expected.module_))
    recorded = getattr(net, "example_weights_", expected.example_weights_)
    np.testing.assert_array_equal(recorded, expected.example_weights_)


def test_default_collate_given_by_hand_is_trusted() -> None:
    net = make_net(iterator_train__collate_fn=default_collate).fit(Items(), Y_NOISY)
    expected = make_net().fit(Items(), Y_NOISY)
    np.testing.assert_array_equal(net.example_weights_, expected.example_weights_)
    weighted = make_net(iterator_train__collate_fn=default_collate)
    weighted.fit(Items(), Y_NOISY, sample_weight=PRIOR)
    expected.fit(Items(), Y_NOISY, sample_weight=PRIOR)
    np.testing.assert_array_equal(weighted.example_weights_, expected.example_weights_)


def test_split_that_reorders() -> None:
    def split(dataset: Any, y: Any = None, **kwargs: Any) -> Any:
        return SkorchDataset(dataset.X[ORDER], dataset.y[ORDER]), None

    net = make_net(train_split=split).fit(X, Y_NOISY)
    assert not hasattr(net, "example_weights_")
    with pytest.raises(ValueError, match="train_split"):
        net.fit(X, Y_NOISY, sample_weight=PRIOR)


def test_no_batch_at_all() -> None:
    net = make_net(iterator_train__drop_last=True, batch_size=N + 1)
    with pytest.raises(ValueError, match="no batch in epoch 1"):
        net.fit(X, Y)
