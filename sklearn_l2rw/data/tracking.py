"""Which rows a batch is made of: weights belong to rows, and batches are shuffled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Subset, default_collate

Positions = NDArray[np.int64]


class Numbered(Dataset[Any]):
    """A data set whose items come with their numbers; an item may be a whole batch."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        return self.dataset[index], index


class CollateNumbered:
    """A loader's own way to make a batch of items, with the items' numbers beside it.

    No numbers where it is the user's way and does not keep the order of the items, as one that
    sorts sequences by their length.
    """

    def __init__(self, collate: Any) -> None:
        self.collate = collate

    def __call__(self, items: list[tuple[Any, int]]) -> tuple[Any, list[int] | None]:
        given = [item for item, _ in items]
        batch = self.collate(given)
        kept = self.collate is default_collate or _keeps_order(batch, given)
        return batch, [number for _, number in items] if kept else None


def _keeps_order(batch: Any, items: list[Any]) -> bool:
    """Tell by the targets whether a batch has the items in their order."""
    try:
        targets = np.asarray(batch[1])
        return np.array_equal(targets, np.stack([np.asarray(item[1]) for item in items]))
    except (TypeError, ValueError, IndexError, KeyError):  # a batch of another form
        return False


class Tracked:
    """A loader of numbered batches that yields the batches, and remembers the rows of the last.

    Parameters
    ----------
    loader : DataLoader
        Yields pairs of a batch and the numbers of its items.
    positions : ndarray of shape (n_items,)
        Where the items stand among the rows that are to be told apart.

    Attributes
    ----------
    rows : ndarray of shape (n_items_of_batch,) or None
        Rows of the last batch; None where it does not say.
    """

    def __init__(self, loader: DataLoader[Any], positions: Positions) -> None:
        self.loader = loader
        self.positions = positions
        self.rows: Positions | None = positions[:0]

    def __iter__(self) -> Iterator[Any]:
        for batch, numbers in self.loader:
            self.rows = None if numbers is None else self.positions[numbers]
            yield batch

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str) -> Any:  # what callbacks may ask a loader for
        if name == "loader":  # not there yet, while an instance is being unpickled
            raise AttributeError(name)
        return getattr(self.loader, name)


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
