"""Batches that know their rows: weights belong to rows, and batches are shuffled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.dataset import get_len
from torch import Tensor
from torch.utils.data import Dataset, Subset

from ..nested import leaves
from .collate import Collate, order_of
from .items import as_pair, label_key, stack_items

Positions = NDArray[np.int64]
_ENOUGH = 8  # items whose order is not kept by chance


class Batch(tuple[Any, Any]):
    """A pair ``(X, y)``, as skorch's batches are, with what is known of its examples.

    Attributes
    ----------
    rows : ndarray of shape (n,) or None
        Where its examples stand among those that are trained on; None where that is not known.
    weight : torch.Tensor of shape (n,) or None
        What each example counts, by the user's word; None for all the same.
    """

    rows: Positions | None
    weight: Tensor | None

    def __new__(
        cls, X: Any, y: Any, rows: Positions | None = None, weight: Tensor | None = None
    ) -> Batch:
        """Make a batch."""
        batch = super().__new__(cls, (X, y))
        batch.rows, batch.weight = rows, weight
        return batch

    def __reduce__(self) -> Any:
        return Batch, (*self, self.rows, self.weight)


class Numbered(Dataset[Any]):
    """A data set whose items come with their numbers; an item may be a whole batch."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        return self.dataset[index], index


class CollateNumbered:
    """A loader's own way to make a batch of items, with the items' numbers in the batch's order.

    A way of the user's may bring items into another order, as one that sorts sequences by their
    length does, and is watched (see `order_of`) until it has kept that of a whole batch; there
    are no numbers from where the order cannot be told.
    """

    def __init__(self, collate: Collate) -> None:
        self.collate = collate
        self._trusted = collate is stack_items
        self._lost = False

    def __call__(self, items: list[tuple[Any, int]]) -> tuple[Any, list[int] | None]:
        """Make a batch, and the numbers of its examples."""
        given = [item for item, _ in items]
        numbers = [number for _, number in items]
        if self._lost or self._trusted:
            return self.collate(given), None if self._lost else numbers
        batch, order = order_of(self.collate, given)
        self._lost = order is None
        self._trusted = order == list(range(len(items))) and len(items) >= _ENOUGH
        return batch, None if order is None else [numbers[i] for i in order]


class Batches:
    """A loader whose batches know their rows.

    Parameters
    ----------
    loader : iterable
        Yields pairs of a batch and the numbers of its items.
    positions : ndarray of shape (n_items,) or None
        Where the items stand among the rows that are to be told apart; None where that is not
        known.
    weight : ndarray of shape (n_rows,), default=None
        What each of these counts.
    """

    def __init__(self, loader: Any, positions: Positions | None, weight: Any = None) -> None:
        self.loader = loader
        self.positions = positions
        self.weight = None if weight is None else torch.as_tensor(weight)

    def __iter__(self) -> Iterator[Batch]:
        for batch, numbers in self.loader:
            is_pair = type(batch) in (tuple, list) and len(batch) == 2
            X, y = batch if is_pair else as_pair(batch, "iterator_train")
            rows = self._rows_of(numbers)
            yield Batch(X, y, rows, self._weight_of(rows))

    def _rows_of(self, numbers: Any) -> Positions | None:
        # a single number is that of a batch that the user's data set makes
        if self.positions is None or numbers is None or np.ndim(numbers) == 0:
            return None
        rows: Positions = self.positions[numbers]
        return rows

    def _weight_of(self, rows: Positions | None) -> Tensor | None:
        if self.weight is None:
            return None
        if rows is None:
            refuse_weights()
        return self.weight[torch.as_tensor(rows)]

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str) -> Any:  # what callbacks may ask a loader for
        if name == "loader":  # not there yet, while an instance is being unpickled
            raise AttributeError(name)
        return getattr(self.loader, name)


class Pairs(Batches):
    """A loader of the user's or of skorch's whose batches may be dicts that have the labels.

    In prediction they need not be `labelled`.
    """

    def __init__(self, loader: Any, *, labelled: bool) -> None:
        super().__init__(loader, None)
        self.labelled = labelled

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            if not isinstance(batch, Mapping):
                yield batch
            elif self.labelled or label_key(batch) is not None:
                yield as_pair(batch, "iterator_valid")
            else:
                yield batch, None


class UnknownRows(Batches):
    """A loader of the user's, whose batches do not say which rows they have."""

    def __init__(self, loader: Any, source: str) -> None:
        super().__init__(loader, None)
        self.source = source

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.loader:
            yield Batch(*as_pair(batch, self.source))


class Uneven:
    """A batch whose inputs are of several lengths, with that of its examples as length.

    skorch asks a batch how many it has, and cannot tell of flat text with offsets.
    """

    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return n_examples(*self.batch)

    def __getitem__(self, i: int) -> Any:
        return self.batch[i]


def n_examples(X: Any, y: Any) -> int:
    """Count the examples of a batch."""
    return len(y) if isinstance(y, Tensor) and y.ndim else int(get_len(X))


def countable(batches: Any) -> Iterator[Any]:
    """Yield batches that skorch can count the examples of."""
    for batch in batches:
        X = batch[0] if type(batch) in (Batch, tuple, list) else None
        several = leaves(X) if isinstance(X, (tuple, list, Mapping)) else ()
        lengths = {len(x) for x in several if isinstance(x, Tensor) and x.ndim}
        yield batch if len(lengths) <= 1 else Uneven(batch)


def refuse_weights() -> None:
    """Say that weights of the user are to be applied where rows cannot be told apart."""
    raise ValueError(
        "Got sample_weight or class_weight with an iterator_train, a collate_fn, an "
        "IterableDataset or a train_split that does not say which rows a batch has, but expected "
        "torch's DataLoader over a Dataset with a length, or a Subset of it, and a collate_fn "
        "that makes the same of an item each time. Weigh the examples in the criterion instead."
    )


def positions_in(dataset: Any, base: Any) -> Positions | None:
    """Where the items of a data set stand in `base`, of which it may be a subset of a subset.

    None where a data set of another kind stands between: it may have its items in any order.
    """
    if dataset is base:
        return np.arange(len(base))
    if not isinstance(dataset, Subset):
        return None
    positions = positions_in(dataset.dataset, base)
    return None if positions is None else positions[np.asarray(dataset.indices, np.int64)]
