"""Batches of in-memory data, indexed a batch at a time.

skorch's data set is asked for one row at a time, which for small nets takes longer than the
training step. The order of the rows, and what is drawn from the global generator to shuffle
them, are those of ``torch.utils.data.DataLoader(shuffle=True)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import _safe_indexing
from skorch.dataset import Dataset as SkorchDataset
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    TensorDataset,
)

from ..nested import leaves, map_leaves
from .arrays import detached, for_torch, to_numpy
from .batches import Numbered
from .chosen import Chosen, by_parts, chosen
from .items import as_pair, with_label

Encode = Callable[[Any], Tensor]


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, Tensor, sparse.csr_matrix, sparse.csr_array))


def _take(x: Any, indices: Any) -> Tensor:
    if isinstance(x, Chosen):
        x, indices = x.array, x.at[np.asarray(indices)]
    if isinstance(x, Tensor):
        return x[torch.as_tensor(indices, device=x.device)]
    rows = x[np.asarray(indices)]
    rows = rows.toarray() if hasattr(rows, "toarray") else rows
    return torch.as_tensor(rows if rows.dtype.isnative else for_torch(rows))


def _moved(x: Any, device: str | torch.device) -> Any:
    """Copy of an array on a device, made by parts: it may be larger than memory.

    That it is larger than the device's shows before anything is read.
    """
    if isinstance(x, Tensor):
        return x.to(device)
    if sparse.issparse(x.array if isinstance(x, Chosen) else x):
        return x
    rows = np.arange(len(x))
    moved = torch.empty(x.shape, dtype=_take(x, rows[:1]).dtype, device=device)
    for part in by_parts(x):
        moved[part] = _take(x, rows[part]).to(device)
    return moved


class Rows(Dataset[Any]):
    """Arrays as a data set whose item, for a list of indices, is a batch of tensors."""

    def __init__(self, X: Any, y: Tensor) -> None:
        self.X = X
        self.y = y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, indices: Sequence[int]) -> tuple[Any, Tensor]:
        if isinstance(self.X, (dict, list)):
            return map_leaves(lambda x: _take(x, indices), self.X), _take(self.y, indices)
        return _take(self.X, indices), _take(self.y, indices)

    def to(self, device: str | torch.device | None) -> Rows:
        """Copy to an accelerator, if all of it fits there; None leaves it where it is."""
        if device is None or torch.device(device).type == "cpu":
            return self
        try:
            return Rows(map_leaves(lambda x: _moved(x, device), self.X), self.y.to(device))
        except torch.OutOfMemoryError:
            return self


def arrays_of(dataset: Any) -> tuple[Any, Any] | None:
    """X and y of a data set that holds arrays; None for one that is to be asked item by item.

    Arrays are held by skorch's own Dataset and by a TensorDataset (subclasses may compute their
    items), and by a Subset of such, whose rows are `Chosen`.
    """
    if type(dataset) is Subset:
        held = arrays_of(dataset.dataset)
        if held is None:
            return None
        at = np.asarray(dataset.indices, dtype=np.int64)
        X, y = held
        return map_leaves(lambda x: chosen(x, at), X), None if y is None else y[at]
    if type(dataset) is TensorDataset and len(dataset.tensors) == 2:
        return detached(dataset.tensors[0]), dataset.tensors[1].detach()
    if type(dataset) is not SkorchDataset:
        return None
    X, y = dataset.X, dataset.y
    y = y if y is None or isinstance(y, np.ndarray) else to_numpy(y)
    if isinstance(X, np.ndarray):
        return X, y
    return (detached(X), y) if all(_is_array(x) for x in leaves(X)) else None


def as_rows(dataset: Any, encode: Encode) -> Rows | None:
    """Rows of a data set that holds arrays, with targets as `encode` makes them of y."""
    held = arrays_of(dataset)
    if held is None:
        return None
    X, y = held
    return Rows(X, torch.zeros(len(dataset), dtype=torch.int64) if y is None else encode(y))


def take_rows(X: Any, indices: NDArray[np.int64]) -> Any:
    """Rows of arrays, or of a data set."""
    if isinstance(X, Dataset):
        return Subset(X, indices.tolist())
    return map_leaves(lambda x: x[torch.as_tensor(indices) if torch.is_tensor(x) else indices], X)


def params_of_rows(params: Mapping[str, Any], n: int, rows: NDArray[np.int64]) -> dict[str, Any]:
    """Fit parameters for the rows that are trained on: those that have an entry for each of n.

    What has one is scikit-learn's to say: arrays, data frames, tensors and lists of that length.
    """

    def chosen(value: Any) -> Any:
        listed = isinstance(value, (list, tuple))
        length = len(value) if listed else next(iter(getattr(value, "shape", ())), None)
        if length != n or len(rows) == n:
            return value
        return take_rows(value, rows) if torch.is_tensor(value) else _safe_indexing(value, rows)

    return {name: chosen(value) for name, value in params.items()}


class _NumberedRows(Numbered):
    """Rows whose items are asked for a batch at a time."""

    def __getitems__(self, indices: list[int]) -> tuple[Any, list[int]]:
        return self.dataset[indices], indices


def batch_loader(
    rows: Rows,
    device: str | torch.device | None,
    generator: torch.Generator | None,
    *,
    batch_size: int,
    shuffle: bool = False,
    drop_last: bool = False,
) -> DataLoader[Any]:
    """Loader of whole batches, from a device, and the numbers of their rows.

    Orders are drawn from the global generator where that is None.
    """
    rows = rows.to(device)
    order: Sampler[int]
    order = RandomSampler(rows, generator=generator) if shuffle else SequentialSampler(rows)
    batches = BatchSampler(order, batch_size, drop_last)
    return DataLoader(
        _NumberedRows(rows), batch_sampler=batches, collate_fn=tuple, generator=generator
    )


def _name(dataset: Any) -> str:
    return type(dataset).__name__


def _encoded(item: Any, encode: Encode, source: str) -> Any:
    """Item of a data set with the code of its label, in the form that it has."""
    return with_label(item, encode(as_pair(item, source)[1]))


class Encoded(Dataset[Any]):
    """A data set whose targets are codes where those of the wrapped one are labels."""

    def __init__(self, dataset: Any, encode: Encode) -> None:
        self.dataset = dataset
        self.encode = encode

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        return _encoded(self.dataset[index], self.encode, f"the Dataset {_name(self.dataset)}")


class EncodedStream(IterableDataset[Any]):
    """A stream whose targets are codes where those of the wrapped one are labels."""

    def __init__(self, dataset: Any, encode: Encode) -> None:
        self.dataset = dataset
        self.encode = encode

    def __iter__(self) -> Iterator[Any]:
        for item in self.dataset:
            yield _encoded(item, self.encode, f"the IterableDataset {_name(self.dataset)}")

    def __len__(self) -> int:
        return len(self.dataset)  # TypeError where it has none, as of the data set itself


def encoded(dataset: Any, encode: Encode) -> Any:
    """Wrap a data set that is asked item by item, so that its targets are encoded."""
    return (EncodedStream if isinstance(dataset, IterableDataset) else Encoded)(dataset, encode)
