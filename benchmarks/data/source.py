"""A data set as it was loaded: rows with their true labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """Rows and labels of a data set.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Flat rows, in the type that takes least memory; `rows` gives floats.
    y : ndarray of shape (n,)
        True labels, 0 .. n_classes - 1.
    shape : tuple of int
        Shape of a row as the net takes it; its product is d.
    n_train : int or None
        Rows before this one are the training set, the others the test set; None where the data
        set has no such division.
    offset, scale : float
        A row is given to the net as ``(X - offset) / scale``.
    given : mapping of str to ndarray of shape (n_train,)
        Labels that people really gave to the training rows, by the name of how they were gathered.

    """

    X: NDArray[Any]
    y: IntArray
    shape: tuple[int, ...]
    n_train: int | None = None
    offset: float = 0.0
    scale: float = 1.0
    given: Mapping[str, IntArray] = field(default_factory=dict)

    def rows(self, indices: IntArray) -> FloatArray:
        """Chosen rows as float32."""
        return ((self.X[indices].astype(np.float32) - self.offset) / self.scale).astype(np.float32)

    def recoded(self, codes: Mapping[int, int]) -> Source:
        """Keep the classes that have a code, which become their labels; others become -1."""
        y = np.full_like(self.y, -1)
        for label, code in codes.items():
            y[self.y == label] = code
        return replace(self, y=y)
