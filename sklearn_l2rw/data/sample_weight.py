"""What the user says an example counts: `sample_weight` and `class_weight`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite
from sklearn.utils.class_weight import compute_sample_weight

Prior = NDArray[np.float64]


def check_sample_weight(sample_weight: Any, n_rows: int) -> Prior | None:
    """Check `sample_weight`: None, or n_rows numbers that are not negative, and not all 0."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
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


def _check_class_weight(class_weight: Any, classes: Any) -> None:
    if not isinstance(class_weight, Mapping):
        if not (isinstance(class_weight, str) and class_weight == "balanced"):
            raise ValueError(
                f"Got class_weight={class_weight!r}, but expected a dict {{label: weight}}, "
                "'balanced', or None."
            )
        return
    weights = np.array(list(class_weight.values()), dtype=np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(
            f"Got class_weight={class_weight!r}, but expected finite weights of at least 0."
        )
    known = list(class_weight) if classes is None else np.asarray(classes).tolist()
    unknown = [label for label in class_weight if label not in known]
    if unknown and not set(known) <= set(class_weight):  # as in scikit-learn, more is no harm
        raise ValueError(
            f"Got a class_weight for {unknown}, but expected labels among the classes {known}. "
            "Correct its keys; what is not among them has weight 1."
        )


def _of_labels(class_weight: Any, labels: Any) -> Prior:
    if not isinstance(class_weight, Mapping):
        balanced: Prior = compute_sample_weight(class_weight, labels)
        return balanced
    names, codes = np.unique(labels, return_inverse=True)
    weights = [class_weight.get(name, 1.0) for name in names.tolist()]
    return np.array(weights, dtype=np.float64)[codes]


def with_class_weight(
    prior: Prior | None, class_weight: Any, labels: Any, classes: Any = None
) -> Prior | None:
    """Multiply the weights of examples by those of their classes.

    ``"balanced"`` means inverse frequencies in `labels`. A mapping's keys are to be among all
    `classes`, where these are known; some of them may have no example in `labels`.
    """
    if class_weight is None:
        return prior
    if labels is None:
        raise ValueError(
            f"Got class_weight={class_weight!r} with a Dataset whose labels cannot be read, but "
            "expected labels in memory. Pass y beside the Dataset, or use criterion__weight."
        )
    _check_class_weight(class_weight, classes)
    by_class = _of_labels(class_weight, labels)
    if not by_class.any():
        raise ValueError(
            f"Got class_weight={class_weight!r}, which is 0 for all classes of the data, but "
            "expected at least one that counts."
        )
    return by_class if prior is None else prior * by_class


def mean_one(prior: Prior | None) -> NDArray[np.float32] | None:
    """Weights whose mean is 1; None where they say nothing."""
    if prior is None or (prior == prior[0]).all():
        return None
    scaled: NDArray[np.float32] = (prior / prior.mean()).astype(np.float32)
    return scaled
