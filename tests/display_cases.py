"""Data for the tests of displays, small enough to tell the numbers that they make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_hex
from sklearn.base import BaseEstimator
from skorch.history import History

WEIGHTS = np.array([0, 0, 1, 3, np.nan, 0, 2, 2])
Y = np.array(["a", "a", "a", "a", "a", "b", "b", "b"])
FLIPPED = np.array([1, 1, 0, 0, 0, 1, 0, 0], dtype=bool)
EPOCHS = np.array([[1, 1, 1, 1, np.nan, 1, 1, 1], WEIGHTS])
IMAGES = np.arange(8 * 4 * 5).reshape(8, 4, 5) / 160


@contextmanager
def no_windows() -> Iterator[None]:
    """No window opens, and no figure outlives its test."""
    backend = plt.get_backend()
    plt.switch_backend("Agg")
    yield
    plt.close("all")
    plt.switch_backend(backend)


class Fitted(BaseEstimator):
    """What a display needs of an estimator: the attributes that `fit` left."""

    def __init__(self, record_weights: Any = "epochs") -> None:
        self.record_weights = record_weights

    def fit(self, X: Any = None, y: Any = None) -> Fitted:
        self.history = history()
        self.classes_ = np.unique(Y)
        if self.record_weights:
            self.example_weights_ = WEIGHTS
        if self.record_weights == "epochs":
            self.epoch_example_weights_ = EPOCHS
        return self


def history(n_epochs: int = 3) -> History:
    """Make a history of two batches an epoch, of 6 and 2 examples."""
    result = History()
    for epoch in range(n_epochs):
        result.new_epoch()
        for size in (6, 2):
            result.new_batch()
            result.record_batch("train_batch_size", size)
            result.record_batch("zero_batches", 0)
        result.record("train_loss", 3.0 - epoch)
        result.record("clean_loss", 2.0 - epoch)
        result.record("effective_sample_size", 4.0 - epoch)
        result.record("zero_weights", 0.25 * epoch)
        result.record("zero_batches", epoch)
    return result


def color(artist: Any) -> str:
    """Hexadecimal colour of a line or of a collection's edges."""
    name = artist.get_color() if hasattr(artist, "get_color") else artist.get_edgecolor()
    return to_hex(np.squeeze(name) if not isinstance(name, str) else name).upper()
