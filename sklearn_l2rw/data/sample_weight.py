"""What the user says that an example counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite

from .arrays import to_numpy

Weight = NDArray[np.float64]


def check_sample_weight(sample_weight: Any, n_rows: int) -> Weight:
    """Check `sample_weight`: n_rows numbers that are not negative, and not all 0."""
    weight = to_numpy(sample_weight).astype(np.float64)
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


def mean_one(weight: Weight) -> NDArray[np.float32] | None:
    """Weights whose mean is 1; None where they say nothing."""
    if (weight == weight[0]).all():
        return None
    scaled: NDArray[np.float32] = (weight / weight.mean()).astype(np.float32)
    return scaled
