"""The columns of X: how many, with which names, and whether the clean set has the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.validation import validate_data
from torch import Tensor

from .inputs import several

_SHIFT = 3.0  # standard deviations that a feature's mean must be off to be called another one
_TIMES = 10.0  # by how much its spread must differ
_OUTSIDE = 0.25  # share of clean values beyond all of X
_ENOUGH = 5  # rows: spreads of fewer say little
_SURE = 10  # rows: smaller spreads than those of samples of X say little of fewer
_NARROW = 0.5  # of the spread that the clean set should have
_AT_LEAST = 0.05  # spread of samples of X: of less, their columns are nearly constant
_AT_MOST = 10_000  # rows: enough to know a spread
_AT_MOST_CLEAN = 200
_COLUMNS = 100


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


def _spread_rows(X: Any, at_most: int) -> NDArray[np.float64] | None:
    """Return some rows and columns of X, flat; None where X is not one array of numbers."""
    if not isinstance(X, (np.ndarray, Tensor)) or X.ndim < 2:
        return None
    rows = np.asarray(X[:: max(1, len(X) // at_most)])
    if rows.dtype.kind not in "iuf":
        return None
    flat = rows.reshape(len(rows), -1)
    return flat[:, :: max(1, flat.shape[1] // _COLUMNS)].astype(np.float64)


def _samples(rows: NDArray[np.float64], n: int) -> Iterator[NDArray[np.float64]]:
    """Clean sets of n rows as chance makes them of X: what these are like is no cause to warn."""
    generator = np.random.default_rng(0)
    return (rows[generator.integers(len(rows), size=n)] for _ in range(200))


class _Columns(NamedTuple):
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, rows: NDArray[np.float64]) -> _Columns:
        return cls(rows.mean(0), rows.std(0), rows.min(0), rows.max(0))


def _unlike(of_X: _Columns, clean: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the features that vary in both are unlike; see `warn_of_unlike`."""
    of_clean = _Columns.of(clean)
    shift = np.abs(of_X.mean - of_clean.mean)
    far = shift > _SHIFT * np.minimum(of_X.spread, of_clean.spread)
    wide = of_clean.spread > _TIMES * of_X.spread
    # rare classes have a larger share in the clean set, but no other values
    outside = ((clean < of_X.low) | (clean > of_X.high)).mean(0) >= _OUTSIDE
    narrow = of_X.spread > _TIMES * of_clean.spread
    varies = (of_X.high > of_X.low) & (of_clean.high > of_clean.low)
    unlike: NDArray[np.bool_] = (((far | wide) & outside) | narrow)[varies]
    return unlike


def _most(unlike: NDArray[np.bool_]) -> bool:
    return bool(unlike.size and unlike.mean() >= 0.5)


def _off(rows: NDArray[np.float64], clean: NDArray[np.float64]) -> str | None:
    """How most features are unlike; None where they are not, or are so in samples of X, too."""
    of_X = _Columns.of(rows)
    unlike = _unlike(of_X, clean)
    if not _most(unlike) or any(_most(_unlike(of_X, s)) for s in _samples(rows, len(clean))):
        return None
    return (
        f"{unlike.sum()} of {unlike.size} have a mean that is off by more than {_SHIFT:.0f} "
        f"standard deviations, or {_TIMES:.0f} times another spread"
    )


def _too_narrow(rows: NDArray[np.float64], clean: NDArray[np.float64]) -> str | None:
    """How X is standardised and the clean set is plainly not, as it would be if in [0, 1].

    Its median spread has to be below one half, and below half of that of all samples of X.
    """
    varies = np.ptp(rows, 0) > 0
    rows, clean = rows[:, varies], clean[:, varies]
    standardised = (np.abs(rows.mean(0)) < 0.05) & (np.abs(rows.std(0) - 1) < 0.05)
    if len(clean) < _SURE or not varies.any() or not standardised.all():
        return None
    median = float(np.median(clean.std(0)))
    if median >= _NARROW:
        return None
    least = min(float(np.median(sample.std(0))) for sample in _samples(rows, len(clean)))
    if least < _AT_LEAST or median >= _NARROW * least:
        return None
    return f"X is standardised, and theirs have a median standard deviation of {median:.2g}"


def warn_of_unlike(X: Any, X_clean: Any) -> None:
    """Warn where the features of the clean set plainly do not look like those of X.

    A feature does not look like X's if its mean is off by more than three standard deviations, or
    its standard deviation by more than ten times, and, unless it is narrower, a quarter of its
    values are outside of X's. The clean set is balanced and X may not be, so less than that says
    little; half of the features have to. A clean set that is too narrow by less is noticed beside
    an X that is standardised.
    """
    if sparse.issparse(X) or sparse.issparse(X_clean):
        return
    rows, clean = _spread_rows(X, _AT_MOST), _spread_rows(X_clean, _AT_MOST_CLEAN)
    if rows is None or clean is None or len(clean) < _ENOUGH or len(rows) < _ENOUGH:
        return
    difference = _off(rows, clean) or _too_narrow(rows, clean)
    if difference is not None:
        warnings.warn(
            f"The features of the clean set do not look like those of X: {difference}. Was one of "
            "them scaled and the other not? Scale both with the same transformer: in a Pipeline, "
            "fit(X, y, X_val=Xv, y_val=yv) with transform_input=['X_val'], a clean_mask, or a "
            "number as clean_set does that.",
            UserWarning,
            stacklevel=2,
        )
