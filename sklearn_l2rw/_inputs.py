"""Inputs in the forms that users have them in, as arrays that a module can take."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from torch import Tensor

from ._tree import map_leaves


def _as_array(x: Any) -> Any:
    if isinstance(x, Tensor):
        return x
    if sparse.issparse(x):
        return x.tocsr()
    array = np.asarray(x)
    if array.dtype.kind == "O":
        array = array.astype(np.float64)
    return array


def _holds_arrays(X: Any) -> bool:
    """Tell several inputs, a sequence of arrays, from one, a sequence of numbers or rows."""
    return type(X) in (tuple, list) and any(hasattr(x, "shape") for x in X)


def as_inputs(X: Any) -> Any:
    """Arrays, tensors, CSR matrices, data frames, lists, or a dict or sequence of such.

    A data frame becomes one array, whose columns are the frame's.
    """
    if isinstance(X, dict) or _holds_arrays(X):
        return map_leaves(_as_array, X)
    return _as_array(X)
