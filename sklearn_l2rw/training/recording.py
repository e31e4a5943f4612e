"""The weight that each row got, and what it was worth, over a fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RECORDED = ("example_weights_", "epoch_example_weights_", "example_values_")


class RowRecord:
    """Running mean of each row's weight relative to uniform, and the sum of its values.

    A row's relative weight in a batch of n is ``n w_i``: 1 under uniform weighting, 0 for an
    example that was ignored. With weights ``p_i`` of the user's it is ``w_i sum_j p_j``, where
    ``p_i w_i`` sum to one. Its value in a step is ``lr * p_i / sum_j p_j * u_i``: what a step of
    SGD on the weighted mean loss, without learned weights, would owe to it, to first order, of the
    fall of the clean loss.

    Parameters
    ----------
    n_rows : int
        Number of rows that `fit` was given.
    epochs : bool
        Whether to keep the mean of each epoch, too.
    """

    def __init__(self, n_rows: int, *, epochs: bool) -> None:
        self._sums = np.zeros(n_rows)
        self._counts = np.zeros(n_rows, dtype=np.int64)
        self._values = np.zeros(n_rows)
        self._epochs: list[NDArray[np.float32]] | None = [] if epochs else None

    def add_epoch(
        self, rows: NDArray[np.int64], weights: NDArray[np.float64], values: NDArray[np.float64]
    ) -> None:
        """Add the steps of an epoch: row, relative weight and value of each example seen."""
        n = len(self._sums)
        sums = np.bincount(rows, weights, minlength=n).astype(np.float64)
        counts = np.bincount(rows, minlength=n)
        self._sums += sums
        self._counts += counts
        self._values += np.bincount(rows, values, minlength=n)
        if self._epochs is not None:
            self._epochs.append(_mean(sums, counts).astype(np.float32))

    def mean(self) -> NDArray[np.float64]:
        """Mean relative weight, of shape (n_rows,); NaN for a row that was never weighed."""
        return _mean(self._sums, self._counts)

    def values(self) -> NDArray[np.float64]:
        """Sum of each row's values, of shape (n_rows,); NaN for a row that was never weighed."""
        return np.where(self._counts > 0, self._values, np.nan)

    def by_epoch(self) -> NDArray[np.float32] | None:
        """Mean relative weights of each epoch, of shape (n_epochs, n_rows), if they are kept."""
        return np.stack(self._epochs) if self._epochs else None


def _mean(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    mean = np.full(len(sums), np.nan)
    np.divide(sums, counts, out=mean, where=counts > 0)
    return mean
