"""Arrays that may be larger than memory: rows chosen without a copy, and looked at by parts."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_PART = 2**20  # numbers in a part of an array


class Chosen:
    """Some rows of an array, which are copied where they are asked for.

    Parameters
    ----------
    array : ndarray, torch.Tensor or csr_matrix
        All rows.
    at : ndarray of shape (n_rows,)
        Which of them were chosen.
    """

    def __init__(self, array: Any, at: NDArray[np.int64]) -> None:
        self.array = array
        self.at = at

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array of the chosen rows."""
        return len(self.at), *self.array.shape[1:]

    @property
    def dtype(self) -> Any:
        """Type of its numbers."""
        return self.array.dtype

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, rows: Any) -> Any:
        """Copy of some of the chosen rows, by their numbers or a slice."""
        at = self.at[np.asarray(rows) if isinstance(rows, (list, Tensor)) else rows]
        return self.array[torch.as_tensor(at) if isinstance(self.array, Tensor) else at]


def chosen(array: Any, at: NDArray[np.int64]) -> Chosen:
    """Choose rows of an array, of which some may have been chosen before."""
    if isinstance(array, Chosen):
        return Chosen(array.array, array.at[at])
    return Chosen(array, at)


def is_mapped(array: Any) -> bool:
    """Whether the memory of a NumPy array is a file's."""
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return isinstance(array, (np.memmap, mmap.mmap))


def by_parts(array: Any) -> Iterator[slice]:
    """Rows of an array, some at a time."""
    size = max(1, _PART // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), size):
        yield slice(start, start + size)
