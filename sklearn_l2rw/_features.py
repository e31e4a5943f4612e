"""The columns of X: how many, with which names, and whether the clean set has the same."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.validation import validate_data
from torch import Tensor

from ._inputs import several

_SHIFT = 3.0  # standard deviations that a feature's mean must be off to be called another one
_TIMES = 10.0  # by how much its spread must differ
_ENOUGH = 5  # rows: spreads of fewer say little
_AT_MOST = 10_000  # rows: enough to know a spread


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


def _spread_rows(X: Any) -> NDArray[np.float64] | None:
    """Return some rows of X, flat; None where X is not one array of numbers."""
    if not isinstance(X, (np.ndarray, Tensor)) or X.ndim < 2:
        return None
    rows = np.asarray(X[:: max(1, len(X) // _AT_MOST)])
    return rows.reshape(len(rows), -1).astype(np.float64) if rows.dtype.kind in "iuf" else None


def warn_of_unlike(X: Any, X_clean: Any) -> None:
    """Warn where the features of the clean set plainly do not look like those of X.

    A feature does not look like X's if its mean is off by more than three standard deviations, or
    its standard deviation by more than ten times. The clean set is balanced and X may not be, so
    less than that says little; half of the features have to.
    """
    if sparse.issparse(X) or sparse.issparse(X_clean):
        return
    rows, clean = _spread_rows(X), _spread_rows(X_clean)
    if rows is None or clean is None or len(clean) < _ENOUGH or len(rows) < _ENOUGH:
        return
    spread, clean_spread = rows.std(0), clean.std(0)
    varies = (spread > 0) & (clean_spread > 0)
    if not varies.any():
        return
    low = np.minimum(spread, clean_spread)[varies]
    high = np.maximum(spread, clean_spread)[varies]
    shift = np.abs(rows.mean(0) - clean.mean(0))[varies]
    unlike = (shift > _SHIFT * low) | (high > _TIMES * low)
    if unlike.mean() >= 0.5:
        warnings.warn(
            f"The features of the clean set do not look like those of X: {unlike.sum()} of "
            f"{varies.size} have a mean that is off by more than {_SHIFT:.0f} standard "
            f"deviations, or {_TIMES:.0f} times another spread. Was one of them scaled and the "
            "other not? Scale both with the same transformer: in a Pipeline, fit(X, y, X_val=Xv, "
            "y_val=yv) with transform_input=['X_val'], a clean_mask, or a number as clean_set "
            "does that.",
            UserWarning,
            stacklevel=2,
        )
