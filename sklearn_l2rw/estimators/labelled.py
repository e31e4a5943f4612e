"""Classes of estimators that predict one label for each example."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from ..targets.labels import Labels
from ..training.net import Net


class Labelled(Net):
    """Labels of any kind, and class weights. Goes before `L2RWMixin`."""

    classes: Any
    class_weight: Any

    def _make_targets(self) -> Labels:
        return Labels(type(self).__name__, getattr(self, "classes", None), self.class_weight)

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels in the order of `predict_proba`'s columns."""
        if getattr(self, "classes", None) is not None:
            return np.asarray(self.classes)
        if getattr(self, "targets_", None) is None:
            raise NotFittedError(  # an AttributeError, too
                f"{type(self).__name__} has no classes_ before it is fitted. Call `fit`; or, where "
                "parameters were loaded into it, name all labels with `classes`, in the order of "
                "the module's outputs."
            )
        classes: NDArray[Any] = self.targets_.classes
        return classes
