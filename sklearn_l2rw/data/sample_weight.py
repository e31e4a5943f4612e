"""What the user says that an example counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite

from .arrays import to_numpy
from .kinds import refuse_masked

Weight = NDArray[np.float64]

_RATIO = 1e30
_LARGEST = 1e290  # the sum of more may overflow


def check_sample_weight(sample_weight: Any, n_rows: int) -> Weight:
    """Check `sample_weight`: n_rows numbers that are not negative, and not all 0."""
    weight = _as_numbers(sample_weight)
    if weight.ndim == 0:
        weight = np.full(n_rows, float(weight))
    if weight.shape != (n_rows,):
        raise ValueError(
            f"Got sample_weight of shape {weight.shape}, but expected ({n_rows},): Sample weights "
            "must be 1D, one for each row of X."
        )
    assert_all_finite(weight, input_name="sample_weight")
    if (weight < 0).any():
        raise ValueError(
            f"Got negative values in sample_weight, the least being {weight.min()}, but expected "
            "none. 0 takes a row out of training."
        )
    if not weight.any():
        raise ValueError(
            "Got sample_weight of zeros only, but expected at least one row to train on: sample "
            "weights must contain at least one non-zero number."
        )
    return weight


def _as_numbers(sample_weight: Any) -> Weight:
    """Weights in double precision; text and dates, which NumPy would convert, are no numbers."""
    refuse_masked(sample_weight, "sample_weight")
    given = to_numpy(sample_weight)
    try:
        if given.dtype.kind not in "biufO":
            raise TypeError
        return np.asarray(given.astype(np.float64))
    except (TypeError, ValueError, OverflowError):
        raise TypeError(
            f"Got sample_weight of dtype {given.dtype}, not all of which are finite real numbers, "
            "but expected a number for each row of X."
        ) from None


def mean_one(weight: Weight) -> NDArray[np.float32] | None:
    """Weights whose mean is 1; None where they say nothing."""
    if (weight == weight[0]).all():
        return None
    least, largest = weight[weight > 0].min(), weight.max()
    if largest / _RATIO > least:
        raise ValueError(
            f"Got weights of examples from {least:.3g} to {largest:.3g} (sample_weight, times "
            f"class_weight), but expected the largest to be at most {_RATIO:g} times the least "
            "that is not 0, as single precision can hold. Set the least to 0, or raise it."
        )
    weight = weight if largest < _LARGEST else weight / largest
    scaled: NDArray[np.float32] = (weight / weight.mean()).astype(np.float32)
    return scaled
