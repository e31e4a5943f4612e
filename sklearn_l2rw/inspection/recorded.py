"""What a fitted estimator has recorded, wherever it stands in a pipeline or search."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def recorded(estimator: Any, attribute: str, remedy: str) -> Any:
    """Return what a fitted estimator, or the last step of a pipeline or search, has recorded."""
    while isinstance(estimator, Pipeline) or hasattr(estimator, "best_estimator_"):
        estimator = estimator[-1] if isinstance(estimator, Pipeline) else estimator.best_estimator_
    check_is_fitted(estimator)
    value = getattr(estimator, attribute, None)
    if value is None:
        raise ValueError(
            f"Got a fitted {type(estimator).__name__} without {attribute}, but expected an "
            f"estimator that has recorded it: {remedy} and fit again."
        )
    return value
