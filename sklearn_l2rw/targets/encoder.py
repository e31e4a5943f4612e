"""Labels and codes: users speak of labels, the loss of the integers 0 .. n_classes - 1.

Data sets hold labels. They become codes between the iterator and the loss, and nowhere else, so
whatever compares with y (scorers, splitters, callbacks) sees labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.arrays import to_numpy


class Encoder:
    """Codes of labels: the position of each in ``classes``, which are unique."""

    def __init__(self, classes: NDArray[Any]) -> None:
        self.classes = classes
        self._order = np.argsort(classes)
        self.identity = bool(
            classes.dtype.kind in "iu" and np.array_equal(classes, np.arange(len(classes)))
        )

    def unknown(self, y: Any) -> NDArray[Any]:
        """Labels in y that are not among the classes."""
        return np.setdiff1d(to_numpy(y), self.classes)

    def encode(self, y: Any) -> Tensor:
        """Codes of known labels, int64, in the shape of y."""
        if self.identity and isinstance(y, Tensor):
            return y.to(torch.int64)
        labels = to_numpy(y)
        if not self.identity:
            labels = self._order[np.searchsorted(self.classes, labels, sorter=self._order)]
        return torch.as_tensor(labels.astype(np.int64))

    def decode(self, codes: Any) -> NDArray[Any]:
        """Labels of integer codes."""
        return np.asarray(self.classes[to_numpy(codes).astype(np.int64)])
