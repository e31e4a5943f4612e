"""What the user says that a class counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

from ..data.sample_weight import Weight


def _check_class_weight(class_weight: Any, classes: Any) -> None:
    if not isinstance(class_weight, Mapping):
        if not (isinstance(class_weight, str) and class_weight == "balanced"):
            raise ValueError(
                f"Got class_weight={class_weight!r}, but expected a dict {{label: weight}}, "
                "'balanced', or None."
            )
        return
    try:
        weights = np.array([float(weight) for weight in class_weight.values()])
    except (TypeError, ValueError, OverflowError):
        weights = np.array([np.nan])
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


def _of_labels(class_weight: Any, labels: Any) -> Weight:
    if not isinstance(class_weight, Mapping):
        balanced: Weight = compute_sample_weight(class_weight, labels)
        return balanced
    names, codes = np.unique(labels, return_inverse=True)
    weights = [class_weight.get(name, 1.0) for name in names.tolist()]
    return np.array(weights, dtype=np.float64)[codes]


def with_class_weight(
    weight: Weight | None, class_weight: Any, labels: Any, classes: Any = None
) -> Weight | None:
    """Multiply the weights of examples by those of their classes.

    ``"balanced"`` means inverse frequencies in `labels`. A mapping's keys are to be among all
    `classes`, where these are known; some of them may have no example in `labels`.
    """
    if class_weight is None:
        return weight
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
    return by_class if weight is None else weight * by_class
