"""Which rows a batch is made of: weights belong to rows, and batches are shuffled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Subset

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
    """A loader's own way to make a batch of items, with the items' numbers beside it."""

    def __init__(self, collate: Any) -> None:
        self.collate = collate

    def __call__(self, items: list[tuple[Any, int]]) -> tuple[Any, list[int]]:
        return self.collate([item for item, _ in items]), [number for _, number in items]


class Tracked:
    """A loader of numbered batches that yields the batches, and remembers the rows of the last.

    Parameters
    ----------
    loader : DataLoader
        Yields pairs of a batch and the numbers of its items.
    positions : ndarray of shape (n_items,)
        Where the items stand among the rows that are to be told apart.
    """

    def __init__(self, loader: DataLoader[Any], positions: Positions) -> None:
        self.loader = loader
        self.positions = positions
        self.rows = positions[:0]

    def __iter__(self) -> Iterator[Any]:
        for batch, numbers in self.loader:
            self.rows = self.positions[numbers]
            yield batch

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str) -> Any:  # what callbacks may ask a loader for
        if name == "loader":  # not there yet, while an instance is being unpickled
            raise AttributeError(name)
        return getattr(self.loader, name)


def positions_in(dataset: Any, base: Any, n_rows: int) -> Positions | None:
    """Where the items of a data set stand in `base`, of which it may be a subset of a subset.

    None where a data set of another kind, and of another length than `base`, stands between.
    """
    if isinstance(dataset, Subset) and dataset is not base:
        positions = positions_in(dataset.dataset, base, n_rows)
        return None if positions is None else positions[np.asarray(dataset.indices, np.int64)]
    return np.arange(n_rows) if len(dataset) == n_rows else None
