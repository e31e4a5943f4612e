"""The columns of X: how many there are, and with which names."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from .arrays import several


def _is_table(X: Any) -> bool:
    """Tell a table, whose columns are features, from images, several inputs and the like."""
    if hasattr(X, "shape"):
        return len(X.shape) == 2
    return not several(X) and np.ndim(X) == 2


def check_features(estimator: Any, X: Any, *, reset: bool) -> None:
    """Learn number and names of features from a table, or compare X with what was learned."""
    if reset:
        for name in ("n_features_in_", "feature_names_in_"):
            vars(estimator).pop(name, None)
    known = getattr(estimator, "n_features_in_", None), hasattr(estimator, "feature_names_in_")
    if type(X) is np.ndarray and not reset and (*X.shape[1:], False) == known:
        return  # as in each call of a stream, for which scikit-learn's checks take long
    n = None if reset else getattr(estimator, "n_features_in_", None)
    if n is not None and hasattr(X, "shape") and len(X.shape) != 2:
        raise ValueError(
            f"Got X of shape {tuple(X.shape)}, but expected a table of {n} columns, as in the fit "
            "before."
        )
    if _is_table(X) and (reset or hasattr(estimator, "n_features_in_")):
        validate_data(estimator, X, reset=reset, skip_check_array=True)


def check_names(estimator: Any, X: Any) -> None:
    """Compare the names of columns with those learned, where X has names."""
    if hasattr(X, "columns"):
        check_features(estimator, X, reset=False)
