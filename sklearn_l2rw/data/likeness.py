"""Whether two samples are plainly not of one kind: what lies between the extremes of the other."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom
from torch import Tensor

from .arrays import to_numpy
from .chosen import Chosen, by_parts, chosen

_ENOUGH = 5  # rows: the extremes of fewer say little
_LEAST = 0.4  # share between the extremes of the other sample; of shares beside standardised: .34
_CHANCE = 1e-3  # that so many of one kind are outside by chance
_AT_MOST = 1000  # values that are counted: more say the same
_LARGEST = 1e150  # the squares of others overflow
_ROWS, _COLUMNS = 1000, 100  # enough to know what is usual


def difference(
    x: NDArray[Any], clean: NDArray[Any], names: tuple[str, str], right: float = 1.0
) -> str | None:
    """How two samples of rows plainly differ; None where they may well be alike.

    What is compared is the share of either sample between the least and the greatest value of the
    other, in the median over columns. It does not depend on how many rows of each class there are,
    as means and spreads do: a clean set is balanced and the data need not be. Of n values, the
    number outside of m others of the same kind is distributed as a beta-binomial of n, 2 and
    :math:`m - 1`, whatever the kind.

    Parameters
    ----------
    x : ndarray of shape (n, n_columns)
        The data.
    clean : ndarray of shape (n_clean, n_columns)
        The clean ones.
    names : tuple of two str
        What the two are called.
    right : float, default=1.0
        Share of the values of x, at least, that are of the kind of the clean ones, in (0, 1].

    """
    x, clean = x.astype(np.float64), clean.astype(np.float64)  # sums of halves overflow
    if min(len(x), len(clean)) < _ENOUGH or not (np.abs(x) < _LARGEST).all():
        return None
    varies = np.ptp(x, axis=0) > 0
    x, clean = x[:, varies], clean[:, varies]
    slack = 1e-3 * x.std(0)  # the same values may be of single precision in one of the two
    for a, b, of, beside, part in ((x, clean, *names, right), (clean, x, *names[::-1], 1.0)):
        between = (a >= b.min(0) - slack) & (a <= b.max(0) + slack)
        share = float(np.median(between.mean(0))) if varies.any() else 1.0
        n, m = min(round(part * len(a)), _AT_MOST), len(b) if b is clean else right * len(b)
        outside = round(n * (1 - share / part))
        if share < _LEAST * part and betabinom.sf(outside - 1, n, 2, m - 1) < _CHANCE:
            return f"{share:.0%} of {of} lie between the least and the greatest of {beside}"
    return None


def _some(X: Any) -> NDArray[np.float64] | None:
    """Return some rows and columns of X, flat; None where X is not one array of numbers."""
    if not isinstance(X, (np.ndarray, Tensor, Chosen)) or len(X.shape) < 2:
        return None
    if to_numpy(X[:1]).dtype.kind not in "iuf":
        return None
    rows = chosen(X, np.arange(len(X))[:: max(1, len(X) // _ROWS)])
    step = max(1, math.prod(X.shape[1:]) // _COLUMNS)
    return np.concatenate([_columns(rows[part], step) for part in by_parts(rows)])


def _columns(rows: Any, step: int) -> NDArray[np.float64]:
    return to_numpy(rows).reshape(len(rows), -1)[:, ::step].astype(np.float64)


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
