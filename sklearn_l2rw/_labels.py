"""Labels and codes: users speak of labels, the loss of the integers 0 .. n_classes - 1.

Data sets hold labels. They become codes between the iterator and the loss, and nowhere else, so
whatever compares with y (scorers, splitters, callbacks) sees labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from ._arrays import for_torch


def _is_nan(x: Any) -> bool:
    return isinstance(x, float) and x != x


def as_labels(y: Any) -> NDArray[Any]:
    """Labels as an array: from a tensor, a Series, a categorical, a list or an array."""
    if isinstance(y, Tensor):
        return np.asarray(y.detach().cpu())
    labels = np.asarray(y.toarray() if sparse.issparse(y) else y)
    if labels.dtype.kind == "U" and isinstance(y, (list, tuple)) and any(_is_nan(x) for x in y):
        labels = np.asarray(y, dtype=object)  # numpy makes a text of NaN among texts
    array: NDArray[Any] = for_torch(labels, writable=True)
    return array


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
        return np.setdiff1d(as_labels(y), self.classes)

    def encode(self, y: Any) -> Tensor:
        """Codes of known labels, int64, in the shape of y."""
        if self.identity and isinstance(y, Tensor):
            return y.to(torch.int64)
        labels = as_labels(y)
        if not self.identity:
            labels = self._order[np.searchsorted(self.classes, labels, sorter=self._order)]
        return torch.as_tensor(labels.astype(np.int64))

    def decode(self, codes: Any) -> NDArray[Any]:
        """Labels of integer codes."""
        return np.asarray(self.classes[as_labels(codes).astype(np.int64)])
