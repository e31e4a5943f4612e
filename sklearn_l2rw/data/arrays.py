"""What users hold, as arrays that torch can take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.validation import check_array
from torch import Tensor

from ..nested import map_leaves
from .kinds import check_kind, refuse_masked


def for_torch(x: Any, *, writable: bool = False) -> Any:
    """Return x, or a copy of an array that torch refuses, or warns of where it is to be `writable`.

    torch takes no views backwards, no foreign byte order and no more than double precision, and
    warns of read-only memory.
    """
    if not isinstance(x, np.ndarray):
        return x
    if x.dtype.kind == "f" and x.dtype.itemsize > 8:
        x = x.astype(np.float64)
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
    refuse_masked(y, "y")
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


def several(X: Any) -> bool:
    """Tell several inputs, a dict or sequence of arrays, from one, which may be a list of rows."""
    if isinstance(X, Mapping):
        return not sparse.issparse(X)  # scipy's dok_matrix is a dict
    return type(X) in (tuple, list) and any(hasattr(x, "shape") for x in X)


# what Python and NumPy say of text and objects that they cannot convert
_NO_NUMBER = re.compile(
    "could not convert|must be a (string|real number)|too large to convert|inhomogeneous"
)


def _as_array(x: Any, *, tabular: bool = False) -> Any:
    check_kind(x, "X")
    if isinstance(x, Tensor):
        return numpy_knows(x.detach())
    if type(x) is np.ndarray and x.dtype.kind in "fiu" and (x.ndim == 2 and x.shape[1]):
        return for_torch(x)  # there is nothing to convert
    try:
        array = check_array(
            x,
            accept_sparse="csr",
            ensure_2d=tabular,
            allow_nd=not tabular,
            ensure_all_finite=False,  # see check_finite
            ensure_min_samples=0,
            input_name="X",
        )
    except (ValueError, TypeError, OverflowError) as error:
        if not _NO_NUMBER.search(str(error)):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"Got X with what is no number ({error}), but expected numbers, as many in each row. "
            "Encode text and categories, for instance with sklearn.preprocessing.OneHotEncoder in "
            "a Pipeline."
        ) from error
    # skorch knows sparse matrices, but not sparse arrays
    return sparse.csr_matrix(array) if sparse.issparse(array) else for_torch(array)


def _as_input(name: Any, x: Any) -> Any:
    """One of several inputs, which may be several itself; a list is one of rows."""
    if several(x):
        return map_leaves(_as_array, x)
    if type(x) in (tuple, list):
        lengths = sorted({len(row) for row in x if isinstance(row, (tuple, list))})
        if len(lengths) > 1:
            raise ValueError(
                f"Got X with ragged lists under {name!r}, of {lengths[0]} to {lengths[-1]} entries "
                "a row, but expected an array or a tensor. Of a tokenizer ask for it: "
                "tokenizer(texts, padding=True, return_tensors='pt')."
            )
        x = np.asarray(x)
    return _as_array(x)


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
    if isinstance(X, Mapping) and several(X):
        return {name: _as_input(name, x) for name, x in X.items()}
    if several(X):
        return map_leaves(_as_array, X)
    return _as_array(X, tabular=tabular)
