"""Checks of what the user gives, before training: what was got, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import assert_all_finite
from skorch.dataset import get_len
from torch import Tensor
from torch.utils.data import Dataset

from ..nested import map_leaves
from .arrays import to_numpy

CLEAN_SET_FORMS = (
    "a pair (Xv, yv) of examples whose labels you trust, a torch Dataset of them, or a number or "
    "share of rows to split off from X"
)


def check_finite(X: Any, name: str) -> None:
    """Check that no floating array of X, which may hold several, has NaN or infinity."""

    def check(x: Any) -> None:
        if isinstance(x, Tensor):
            if x.is_floating_point() and not bool(torch.isfinite(x).all()):
                raise ValueError(f"Input {name} contains NaN or infinity.")
        elif sparse.issparse(x) or getattr(getattr(x, "dtype", None), "kind", "") in "fc":
            assert_all_finite(x, input_name=name)

    try:
        map_leaves(check, X)
    except ValueError as error:
        raise ValueError(
            f"{error} Expected finite numbers. Impute or drop these rows, for instance with "
            "sklearn.impute.SimpleImputer in a Pipeline."
        ) from None


def _is_example(item: Any) -> bool:
    is_pair = isinstance(item, (tuple, list)) and len(item) == 2
    return is_pair and np.ndim(item[0]) > 0 and np.ndim(item[1]) == 0


def n_rows(X: Any) -> int:
    """Count the examples of inputs or of a data set; one without a length has none to count."""
    if isinstance(X, Dataset):
        return len(X) if hasattr(X, "__len__") else 0
    return int(get_len(X))


def check_length(y: Any, n: int) -> None:
    """Check that there are as many targets as rows, where the targets are known."""
    if y is not None and n and len(y) != n:
        raise ValueError(
            f"X and y differ in length: got {n} rows in X and {len(y)} targets in y, but expected "
            "one target for each row."
        )


def check_not_empty(X: Any) -> None:
    """Check that there is something to train on."""
    if get_len(X) == 0:
        raise ValueError(
            "Got X with 0 samples (rows), but expected at least one. Check how it was selected."
        )


def row_shapes(X: Any) -> Any:
    """Shapes of the rows of X, as nested as X is."""
    return map_leaves(lambda x: tuple(np.shape(x)[1:]), X)


def check_same_features(expected: Any, X_clean: Any) -> None:
    """Check that rows of the clean set have the shapes of those of X."""
    got = row_shapes(X_clean)
    if got != expected:
        raise ValueError(
            f"Got a clean_set whose rows have shape {got}, but those of X have shape {expected}. "
            "Apply the same preprocessing to both."
        )


def check_clean_form(clean_set: Any) -> None:
    """Check that the clean set is a pair of examples and labels, or a data set with a length."""
    if clean_set is None:
        raise ValueError(
            f"Got clean_set=None, but L2RW learns its weights from a clean set. Set clean_set to "
            f"{CLEAN_SET_FORMS}; or give `fit` X_val and y_val, or clean_mask."
        )
    if isinstance(clean_set, Dataset) and hasattr(clean_set, "__len__"):
        check_clean_length(len(clean_set))
    elif isinstance(clean_set, Sequence) and not isinstance(clean_set, str):
        _check_pair(clean_set)
    else:
        lacks = " without a length" if isinstance(clean_set, Dataset) else ""
        raise TypeError(
            f"Got clean_set of type {type(clean_set).__name__}{lacks}, but expected "
            f"{CLEAN_SET_FORMS}."
        )


def _check_pair(clean_set: Sequence[Any]) -> None:
    if len(clean_set) and all(_is_example(item) for item in clean_set):
        raise TypeError(
            f"Got a clean_set of {len(clean_set)} pairs (x, y), one for each example, but expected "
            f"{CLEAN_SET_FORMS}. Join them: Xv, yv = (np.stack(part) for part in zip(*pairs))."
        )
    plural = "" if len(clean_set) == 1 else "s"
    if len(clean_set) != 2:
        raise ValueError(
            f"Got a clean_set of {len(clean_set)} element{plural}, but expected {CLEAN_SET_FORMS}."
        )
    X, y = clean_set
    if X is None or np.ndim(to_numpy(y)) == 0:
        kinds = " and ".join("None" if x is None else type(x).__name__ for x in clean_set)
        raise TypeError(
            f"Got a clean_set of {kinds} for Xv and yv, but expected {CLEAN_SET_FORMS}."
        )


def check_clean_lengths(n: int, y: Any) -> None:
    """Check that the clean set has some examples, and a label for each."""
    if len(y) != n:
        raise ValueError(
            f"Got a clean_set with {n} rows in Xv and {len(y)} labels in yv, but expected one "
            "label for each row."
        )
    check_clean_length(n)


def check_clean_length(n: int) -> None:
    """Check that the clean set has some examples."""
    if n == 0:
        raise ValueError(
            "Got an empty clean_set, but expected at least one example. A few for each class, "
            "whose labels were checked by hand, are enough to start with."
        )
