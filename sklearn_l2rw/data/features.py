"""The columns of X: how many, with which names, and whether the clean set has the same."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data
from torch import Tensor

from .inputs import several
from .likeness import difference


def is_table(X: Any) -> bool:
    """Tell a table, whose columns are features, from images, several inputs and the like."""
    if several(X):
        return False
    shape = getattr(X, "shape", None)
    return len(np.shape(X) if shape is None else shape) == 2


def check_features(estimator: Any, X: Any, *, reset: bool) -> None:
    """Learn number and names of features from a table, or compare X with what was learned."""
    if reset:
        for name in ("n_features_in_", "feature_names_in_"):
            vars(estimator).pop(name, None)
    if is_table(X) and (reset or hasattr(estimator, "n_features_in_")):
        validate_data(estimator, X, reset=reset, skip_check_array=True)


def check_names(estimator: Any, X: Any) -> None:
    """Compare the names of columns with those learned, where X has names."""
    if hasattr(X, "columns"):
        check_features(estimator, X, reset=False)


_ROWS, _COLUMNS = 1000, 100  # enough to know what is usual


def _some(X: Any) -> NDArray[np.float64] | None:
    """Return some rows and columns of X, flat; None where X is not one array of numbers."""
    if not isinstance(X, (np.ndarray, Tensor)) or X.ndim < 2:
        return None
    rows = np.asarray(X[:: max(1, len(X) // _ROWS)])
    if rows.dtype.kind not in "iuf":
        return None
    flat = rows.reshape(len(rows), -1)
    return flat[:, :: max(1, flat.shape[1] // _COLUMNS)].astype(np.float64)


def _standardised(rows: NDArray[np.float64]) -> bool:
    rows = rows[:, np.ptp(rows, axis=0) > 0]
    return bool(np.allclose([rows.mean(0), rows.std(0) - 1], 0, atol=0.05))


def warn_of_unlike(X: Any, X_clean: Any) -> None:
    """Warn where the features of the clean set plainly do not look like those of X.

    They do not where, in half of the features, few values of one of the two lie between the
    extremes of the other; see `difference`.
    """
    rows, clean = _some(X), _some(X_clean)
    if rows is None or clean is None:
        return
    how = difference(rows, clean, ("a feature's values in X", "those in the clean set"))
    if how is not None:
        scaled = "X is standardised, and " if _standardised(rows) else ""
        warnings.warn(
            f"The features of the clean set do not look like those of X: {scaled}{how}. Was one of "
            "them scaled and the other not? Scale both with the same transformer: in a Pipeline, "
            "fit(X, y, X_val=Xv, y_val=yv) with transform_input=['X_val'], a clean_mask, or a "
            "number as clean_set does that.",
            UserWarning,
            stacklevel=2,
        )
