"""Targets that a data set holds in memory beside its items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from .arrays import to_numpy
from .collate import generators_kept
from .items import LABELS, Listed, as_pair

_NAMES = ("targets", "labels", "y")  # as in torchvision's data sets, and skorch's
_LOOKS = 5  # at items


def held_targets(dataset: Any) -> NDArray[Any] | None:
    """Targets of a data set that holds them, in the order of its items; None if it is not plain.

    An attribute of such a name may be something else, names of classes or targets before a
    transform. So it is believed where it has one entry for each item, and some items have these.
    """
    try:
        found = _candidate(dataset)
        known = found is not None and len(found) > 0 and _are_of_items(found, dataset)
    except Exception:  # of the user's code, which is asked for more than it has promised
        return None
    return found if known else None


def _candidate(dataset: Any) -> NDArray[Any] | None:
    if isinstance(dataset, Subset):
        found = _candidate(dataset.dataset)
        return None if found is None else found[np.asarray(dataset.indices, dtype=np.int64)]
    if isinstance(dataset, ConcatDataset):
        parts = [_candidate(part) for part in dataset.datasets]
        return np.concatenate([part for part in parts if part is not None])
    if isinstance(dataset, TensorDataset):
        return to_numpy(dataset.tensors[-1])
    if isinstance(dataset, Listed):
        columns = [name for name in LABELS if name in dataset.dataset.column_names]
        return _array(list(dataset.dataset[columns[0]])) if len(columns) == 1 else None
    held = [_array(getattr(dataset, name)) for name in _NAMES if hasattr(dataset, name)]
    arrays = [y for y in held if y.ndim and len(y) == len(dataset)]
    same = all(np.array_equal(y, arrays[0]) for y in arrays[1:])
    return arrays[0] if arrays and same else None


def _array(y: Any) -> NDArray[Any]:
    return to_numpy(list(y) if isinstance(y, (list, tuple)) else y)


def _are_of_items(found: NDArray[Any], dataset: Any) -> bool:
    if len(found) != len(dataset):
        return False
    places = np.unique(np.linspace(0, len(found) - 1, _LOOKS).astype(int)).tolist()
    with generators_kept():  # items may be random
        targets = [to_numpy(as_pair(dataset[i], "a Dataset")[1]) for i in places]
    return all(
        np.array_equal(y.reshape(-1), np.asarray(found[i]).reshape(-1))
        for i, y in zip(places, targets, strict=True)
    )
