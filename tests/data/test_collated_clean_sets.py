"""A clean set that is a Dataset goes through the user's own collate function, as X does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from sklearn_l2rw import example_weights
from tests.small import X_CLEAN, Y_CLEAN, Record, X, Y, make_net

LOSS = nn.CrossEntropyLoss(reduction="none")


class Ragged(Dataset[Any]):
    """Sequences of 1 to 4 numbers, whose sign tells of the class."""

    def __init__(self, n: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.targets = [i % 2 for i in range(n)]
        self.rows = [
            torch.as_tensor(generator.normal(2 * y - 1, 1, 1 + int(generator.integers(4)))).float()
            for y in self.targets
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.rows[i], self.targets[i]

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return (self[i] for i in range(len(self)))


class Sum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, X: Tensor) -> Tensor:
        out: Tensor = self.layer(X.sum(1, keepdim=True))
        return out


def padded(items: Any) -> Any:
    rows, y = zip(*items, strict=True)
    return pad_sequence(list(rows), True), torch.as_tensor([int(label) for label in y])


def longest_first(items: Any) -> Any:
    return padded(sorted(items, key=lambda item: -len(item[0])))


COLLATE: dict[str, Any] = {
    "iterator_train__collate_fn": padded,
    "iterator_valid__collate_fn": padded,
}


def test_padding() -> None:
    record = Record()
    net = make_net(Sum, clean_set=Ragged(8, 1), callbacks=[record], lr=0.0, **COLLATE)
    net.fit(Ragged(42, 0), None)
    clean = padded(list(Ragged(8, 1)))
    for batch, weights in zip(record.batches, record.weights, strict=True):
        expected = example_weights(net.module_, LOSS, tuple(batch), clean)
        torch.testing.assert_close(weights, expected)
    assert len(net.predict(Ragged(10, 2))) == 10


def test_split_off_and_masked() -> None:
    mask = np.arange(42) % 3 == 0
    net = make_net(Sum, clean_set=None, **COLLATE).fit(Ragged(42, 0), None, clean_mask=mask)
    assert np.isnan(net.example_weights_[mask]).all()
    assert make_net(Sum, clean_set=8, **COLLATE).fit(Ragged(42, 0), None).clean_indices_.size == 8


@pytest.mark.parametrize("collate", [padded, longest_first])
def test_what_a_clean_example_counts_goes_with_it(collate: Any) -> None:
    """Weights are of examples, which a collate function may bring into another order."""
    mask, counts = np.arange(42) % 3 == 0, np.linspace(0.5, 2, 42)
    record = Record()
    net = make_net(
        Sum, clean_set=None, callbacks=[record], lr=0.0, iterator_train__collate_fn=collate
    )
    net.fit(Ragged(42, 0), None, clean_mask=mask, sample_weight=counts)
    rows = np.flatnonzero(mask).tolist()
    data, p = Ragged(42, 0), torch.as_tensor(counts[rows] / counts[rows].mean()).float()
    clean_X, clean_y = padded([data[i] for i in rows])
    with torch.no_grad():
        expected = float((p * LOSS(net.module_(clean_X), clean_y)).mean())
    assert record.clean_losses[0] == pytest.approx(expected, rel=1e-5)


def doubled(items: Any) -> Any:
    rows, y = zip(*items, strict=True)
    return 2 * torch.as_tensor(np.stack(rows)), torch.stack(list(y))


def test_rows_of_x_go_through_it_with_the_others() -> None:
    mask = np.arange(42) % 3 == 0
    record, plain = Record(), Record()
    make_net(clean_set=None, iterator_train__collate_fn=doubled, callbacks=[record]).fit(
        X, Y, clean_mask=mask
    )
    make_net(clean_set=None, callbacks=[plain]).fit(2 * X, Y, clean_mask=mask)
    for a, b in zip(record.weights, plain.weights, strict=True):
        torch.testing.assert_close(a, b)


def test_arrays_are_a_batch_already() -> None:
    record, plain = Record(), Record()
    doubly = 2 * X_CLEAN, Y_CLEAN
    make_net(clean_set=doubly, iterator_train__collate_fn=doubled, callbacks=[record]).fit(X, Y)
    make_net(clean_set=doubly, callbacks=[plain]).fit(2 * X, Y)
    for a, b in zip(record.weights, plain.weights, strict=True):
        torch.testing.assert_close(a, b)


def test_arrays_beside_a_data_set_are_batches_already() -> None:
    clean = padded(list(Ragged(8, 1)))
    a = make_net(Sum, clean_set=clean, **COLLATE).fit(Ragged(42, 0), None)
    b = make_net(Sum, clean_set=Ragged(8, 1), **COLLATE).fit(Ragged(42, 0), None)
    np.testing.assert_allclose(a.example_weights_, b.example_weights_, rtol=1e-4)
