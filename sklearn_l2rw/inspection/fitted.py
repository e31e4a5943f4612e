"""The public attributes of a fitted estimator, wherever it stands in a pipeline or search."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

# What makes `fit` leave an attribute.
_REMEDIES = {
    "history": "use an estimator of sklearn_l2rw",
    "example_weights_": "set record_weights=True",
    "example_values_": "set record_weights=True",
    "epoch_example_weights_": 'set record_weights="epochs"',
}


def recorded(estimator: Any, attribute: str) -> Any:
    """Return what a fitted estimator, or the last step of a pipeline or search, has recorded."""
    while isinstance(estimator, Pipeline) or hasattr(estimator, "best_estimator_"):
        estimator = estimator[-1] if isinstance(estimator, Pipeline) else estimator.best_estimator_
    check_is_fitted(estimator)
    value = getattr(estimator, attribute, None)
    if value is None:
        refit = getattr(estimator, "refit", True)
        remedy = _REMEDIES[attribute] if refit else "set refit=True of the search"
        raise ValueError(
            f"Got a fitted {type(estimator).__name__} without {attribute}, but expected an "
            f"estimator that has recorded it: {remedy} and fit again."
        )
    return value
