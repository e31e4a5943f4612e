"""Inputs in the forms that users have them in, as arrays that a module can take."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.validation import check_array
from torch import Tensor

from ..nested import map_leaves
from .arrays import for_torch, numpy_knows


def several(X: Any) -> bool:
    """Tell several inputs, a dict or sequence of arrays, from one, which may be a list of rows."""
    if isinstance(X, dict):
        return not sparse.issparse(X)  # scipy's dok_matrix is a dict
    return type(X) in (tuple, list) and any(hasattr(x, "shape") for x in X)


def _as_array(x: Any, *, tabular: bool = False) -> Any:
    if isinstance(x, Tensor):
        return numpy_knows(x.detach())
    array = check_array(
        x,
        accept_sparse="csr",
        ensure_2d=tabular,
        allow_nd=not tabular,
        ensure_all_finite=False,  # see check_finite
        ensure_min_samples=0,
        ensure_min_features=int(tabular),
        input_name="X",
    )
    # skorch knows sparse matrices, but not sparse arrays
    return sparse.csr_matrix(array) if sparse.issparse(array) else for_torch(array)


def stack_rows(X: Any) -> Any:
    """One array of a list of rows, each an array of one dimension; other X as they are."""
    if type(X) not in (tuple, list) or not several(X):
        return X
    shapes = {np.shape(x) if hasattr(x, "shape") else () for x in X}
    if len(shapes) != 1 or len(shapes.pop()) != 1 or any(sparse.issparse(x) for x in X):
        return X
    if all(isinstance(x, Tensor) for x in X):
        return torch.stack(list(X))
    return np.stack([np.asarray(x) for x in X])


def as_inputs(X: Any, *, tabular: bool = False) -> Any:
    """Arrays, tensors, CSR matrices, data frames, lists, or a dict or sequence of such.

    A data frame becomes one array, whose columns are the frame's. ``tabular`` asks for two
    dimensions, so that a list of arrays of one is a list of rows, not of several inputs.
    """
    if tabular:
        X = stack_rows(X)
    if several(X):
        return map_leaves(_as_array, X)
    return _as_array(X, tabular=tabular)
