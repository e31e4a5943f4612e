"""Arrays that torch can take."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from ..nested import map_leaves


def for_torch(x: Any, *, writable: bool = False) -> Any:
    """Return x, or a copy of an array that torch refuses, or warns of where it is to be `writable`.

    torch takes no views backwards and no foreign byte order, and warns of read-only memory.
    """
    if not isinstance(x, np.ndarray):
        return x
    if not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    backwards = any(stride < 0 for stride in x.strides)
    return x.copy() if backwards or (writable and not x.flags.writeable) else x


def _is_nan(x: Any) -> bool:
    return isinstance(x, float) and x != x


def numpy_knows(x: Tensor) -> Tensor:
    """Return x, in a precision that NumPy has."""
    return x.float() if x.dtype == torch.bfloat16 else x


def to_numpy(y: Any) -> NDArray[Any]:
    """Array of what is a tensor, a Series, a categorical, a sparse matrix or a list."""
    if isinstance(y, Tensor):
        return np.asarray(numpy_knows(y.detach().cpu()))
    labels = np.asarray(y.toarray() if sparse.issparse(y) else y)
    if labels.dtype.kind == "U" and isinstance(y, (list, tuple)) and any(_is_nan(x) for x in y):
        labels = np.asarray(y, dtype=object)  # numpy makes a text of NaN among texts
    array: NDArray[Any] = for_torch(labels, writable=True)
    return array


def detached(X: Any) -> Any:
    """Tensors of X without a graph, in a precision that NumPy has."""
    return map_leaves(lambda x: numpy_knows(x.detach()) if isinstance(x, Tensor) else x, X)
