"""What the steps of an epoch leave in the history, read off the device once an epoch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

KEYS = ("clean_loss", "zero_weights", "effective_sample_size", "zero_batches")


class Deferred(Tensor):
    """A loss whose ``item()`` does not wait for the device.

    skorch asks for the number at every step, to put it into the history. What it gets is a scalar
    tensor, which `EpochLog.write` turns into a float at the end of the epoch.
    """

    def item(self) -> Any:
        """Return the scalar as a tensor."""
        return self.detach().as_subclass(Scalar)


class Scalar(Tensor):
    """A number on the device, which is waited for where it is shown, as in a progress bar."""

    def __str__(self) -> str:
        return f"{self:.3g}"

    def __format__(self, spec: str) -> str:
        return format(float(self), spec)


class EffectiveSize:
    """Effective sample size of a step on a device, computed where it is asked for."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    def __float__(self) -> float:
        return float(effective_sample_size(self.weights))

    def __str__(self) -> str:
        return f"{self:.3g}"

    def __format__(self, spec: str) -> str:
        return format(float(self), spec)


def effective_sample_size(weights: Tensor) -> Tensor:
    """``(sum w)^2 / sum w^2`` over the last axis; 0 where all weights are 0."""
    squares = weights.square().sum(-1)
    return torch.where(squares > 0, weights.sum(-1).square() / squares, 0)


class EpochLog:
    """Weights and clean losses of the steps of an epoch."""

    def __init__(self) -> None:
        self._weights: list[Tensor] = []
        self._clean_losses: list[Tensor] = []
        self._rows: list[NDArray[np.int64]] = []
        self._priors: list[Tensor | None] = []

    def add(self, weights: Tensor, clean_loss: Tensor, history: Any) -> None:
        """Remember a step, and write its row in the history.

        On an accelerator that row has numbers that can be shown, and is written at the end of the
        epoch.
        """
        self._weights.append(weights)
        self._clean_losses.append(clean_loss)
        if weights.device.type == "cpu":
            row: dict[str, Any] = _row(weights.double().numpy(), clean_loss.item())
        else:
            row = {
                "clean_loss": clean_loss.as_subclass(Scalar),
                "effective_sample_size": EffectiveSize(weights),
            }
        for key, value in row.items():
            history.record_batch(key, value)

    def add_rows(self, rows: NDArray[np.int64], prior: Tensor | None) -> None:
        """Remember whose weights those of the last step are, and what the rows count."""
        self._rows.append(rows)
        self._priors.append(prior)

    def relative_weights(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows of the epoch's steps, and their weights relative to uniform; see `WeightRecord`."""
        weights = [
            w * len(w) if p is None else w / p * p.sum()
            for w, p in zip(self._weights, self._priors, strict=True)
        ]
        if not weights:
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        return np.concatenate(self._rows), torch.cat(weights).double().cpu().numpy()

    def write(self, history: Any) -> None:
        """Complete the batch rows and the epoch row of a skorch history, and forget the steps.

        Each batch has, and each epoch is given the mean over its batches of,

        - ``clean_loss``: mean loss of the clean batch, before the step;
        - ``zero_weights``: share of the batch's examples with weight 0, in [0, 1];
        - ``effective_sample_size``: ``(sum w)^2 / sum w^2`` (Kish), in examples: n for uniform
          weights, 1 where one example carries the batch, 0 where none does;

        and ``zero_batches``: 1 for a batch whose weights are all 0; for the epoch, their number.
        """
        rows = [row for row in history[-1]["batches"] if "train_loss" in row]
        _write_floats(rows, "train_loss")
        if len(rows) != len(self._weights) or not rows:  # interrupted within a step
            for row in rows:
                for key in KEYS:
                    row.pop(key, None)
            return
        if self._weights[0].device.type != "cpu":
            _write_statistics(rows, self._weights, self._clean_losses)
        for key in KEYS:
            total = sum(row[key] for row in rows)
            history.record(key, total if key == "zero_batches" else total / len(rows))


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
                "lr, keep the default gradient clipping, or look for a module or criterion that "
                "divides by or takes the logarithm of 0."
            )


def _write_floats(rows: list[dict[str, Any]], key: str) -> None:
    deferred = [row for row in rows if isinstance(row[key], Tensor)]
    if deferred:
        values = torch.stack([row[key] for row in deferred]).tolist()
        for row, value in zip(deferred, values, strict=True):
            row[key] = value


def _row(w: NDArray[np.float64], clean_loss: float) -> dict[str, float]:
    """Numbers of one step; see `EpochLog.write`."""
    squares = float(w.dot(w))
    size = float(w.sum()) ** 2 / squares if squares > 0 else 0.0
    zeros = 1 - int(np.count_nonzero(w)) / len(w)
    return dict(zip(KEYS, (clean_loss, zeros, size, int(size == 0)), strict=True))


def _write_statistics(
    rows: list[dict[str, Any]], weights: list[Tensor], clean_losses: list[Tensor]
) -> None:
    """Write the numbers of many steps; the device is waited for once."""
    sizes = torch.tensor([len(w) for w in weights], device=weights[0].device)
    table = pad_sequence(weights, batch_first=True)  # padded by zeros, which add nothing
    zeros = 1 - (table > 0).sum(1) / sizes
    effective = effective_sample_size(table)
    columns = (torch.stack(clean_losses), zeros, effective, effective == 0)
    for row, values in zip(rows, zip(*(c.tolist() for c in columns), strict=True), strict=True):
        row.update(zip(KEYS, (*values[:3], int(values[3])), strict=True))
