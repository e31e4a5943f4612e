"""What the steps of an epoch leave in the history and in the record of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.parameter import is_lazy

from ..data.batches import Batch, Positions

KEYS = ("clean_loss", "zero_weights", "effective_sample_size", "zero_batches")


class EpochLog:
    """Weights and clean losses of the steps of an epoch."""

    def __init__(self) -> None:
        self._rows: list[Positions] = []
        self._weights: list[NDArray[np.float64]] = []
        self._values: list[NDArray[np.float64]] = []

    def add(self, batch: Batch, step: Mapping[str, Any], lr: float, history: Any) -> None:
        """Remember a step at a learning rate, and write its row in the history.

        A batch has, and an epoch is given the mean over its batches of,

        - ``clean_loss``: mean loss of the clean batch, before the step;
        - ``zero_weights``: share of the batch's examples with weight 0, in [0, 1];
        - ``effective_sample_size``: ``(sum w)^2 / sum w^2`` (Kish), in examples: n for uniform
          weights, 1 where one example carries the batch, 0 where none does;

        and ``zero_batches``: 1 for a batch whose weights are all 0; for the epoch, their number.
        """
        w = step["weights"].double().numpy(force=True)
        squares = float(w.dot(w))
        size = float(w.sum()) ** 2 / squares if squares > 0 else 0.0
        zeros = 1 - int(np.count_nonzero(w)) / len(w)
        numbers = (step["clean_loss"].item(), zeros, size, int(size == 0))
        for key, number in zip(KEYS, numbers, strict=True):
            history.record_batch(key, number)
        if batch.rows is not None:
            p = None if batch.weight is None else batch.weight.double().numpy(force=True)
            slopes = step["slopes"].double().numpy(force=True)
            self._rows.append(batch.rows)
            self._weights.append(_relative(w, p))
            self._values.append(lr * slopes * (1 / len(w) if p is None else p / p.sum()))

    def of_rows(self) -> tuple[Positions, NDArray[np.float64], NDArray[np.float64]]:
        """Rows of the epoch's steps, their relative weights and values; see `RowRecord`."""
        if not self._rows:
            return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
        weights, values = np.concatenate(self._weights), np.concatenate(self._values)
        return np.concatenate(self._rows), weights, values

    def write(self, history: Any) -> None:
        """Complete the epoch's row of a skorch history."""
        rows = [row for row in history[-1]["batches"] if "zero_batches" in row]
        for key in KEYS if rows else ():
            total = sum(row[key] for row in rows)
            history.record(key, total if key == "zero_batches" else total / len(rows))


def _relative(w: NDArray[np.float64], p: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Weights relative to uniform ones; NaN for an example that does not count."""
    if p is None:
        return w * len(w)
    relative: NDArray[np.float64] = np.full(len(w), np.nan)
    np.divide(w * p.sum(), p, out=relative, where=p > 0)
    return relative


def check_losses(history: Any) -> None:
    """Check that there were training losses in the last epoch, and that all are finite."""
    if not any("train_loss" in row for row in history[-1]["batches"]):
        raise ValueError(
            f"Got no batch in epoch {len(history)}, but expected at least one to train on. With "
            "iterator_train__drop_last, there have to be as many rows as batch_size."
        )
    for number, row in enumerate(history[-1]["batches"], start=1):
        if not math.isfinite(row.get("train_loss", 0.0)):
            raise ValueError(
                f"The training loss is not finite in epoch {len(history)}, batch {number}. Lower "
                "lr, keep the clipping of gradients (max_grad_norm), or look for a module or "
                "criterion that divides by or takes the logarithm of 0."
            )


def check_trained(net: Any) -> None:
    """Check that training came to finite parameters: the last step is in no loss."""
    floats = [
        p
        for _, p in net.get_all_learnable_params()
        if p.requires_grad and p.is_floating_point() and not is_lazy(p)
    ]
    norms = torch._foreach_norm(floats) if floats else ()
    if not math.isfinite(sum(norm.item() for norm in norms)):
        raise ValueError(
            "The parameters are not finite after the last step. Lower lr, keep the clipping of "
            "gradients (max_grad_norm), or look for a module or criterion that divides by or "
            "takes the logarithm of 0."
        )
