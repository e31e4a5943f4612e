"""Our estimators in the place of skorch's: of the same names and defaults, and with a clean set.

Where a test gives none, what is trained on is the clean set, so that rows, batches and classes are
those of the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skorch.dataset import ValidSplit
from skorch.utils import is_dataset
from torch import nn

from sklearn_l2rw import L2RWBinaryClassifier, L2RWClassifier, L2RWMixin, L2RWRegressor

SPLIT, STRATIFIED = ValidSplit(5), ValidSplit(5, stratified=True)
DEFAULTS: dict[str, Any] = {"lr": 0.01, "max_epochs": 10, "iterator_train__shuffle": False}


class TrustsAll(L2RWMixin):
    """Takes what it is trained on for the clean set, unless one is given."""

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        with self._trusting(X, y, kwargs):
            return super().fit(X, y, sample_weight, **kwargs)

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None, **kwargs: Any
    ) -> Any:
        with self._trusting(X, y, kwargs):
            return super().partial_fit(X, y, classes, sample_weight, **kwargs)

    @contextmanager
    def _trusting(self, X: Any, y: Any, given: dict[str, Any]) -> Iterator[None]:
        held: dict[str, Any] = self.__dict__
        if self._fit is not None or held.get("clean_set") is not None or "X_val" in given:
            yield
            return
        held["clean_set"] = X if is_dataset(X) else (X, y)
        try:
            yield
        finally:
            held["clean_set"] = None


class NeuralNetClassifier(TrustsAll, L2RWClassifier):
    def __init__(self, module: Any, **kwargs: Any) -> None:
        own = {"criterion": nn.NLLLoss, "train_split": STRATIFIED}
        super().__init__(module, **{**DEFAULTS, **own, **kwargs})


class NeuralNetBinaryClassifier(TrustsAll, L2RWBinaryClassifier):
    def __init__(self, module: Any, **kwargs: Any) -> None:
        super().__init__(module, **{**DEFAULTS, "train_split": STRATIFIED, **kwargs})


class NeuralNetRegressor(TrustsAll, L2RWRegressor):
    def __init__(self, module: Any, **kwargs: Any) -> None:
        super().__init__(module, **{**DEFAULTS, "train_split": SPLIT, **kwargs})
