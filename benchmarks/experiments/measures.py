"""How good predictions are, and what a fit takes in time and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)

from benchmarks.data.source import IntArray

STATM = Path("/proc/self/statm")
PAGE = 4096
INTERVAL = 0.01  # seconds between two looks at the memory


def score(y: IntArray, proba: NDArray[Any], predicted: IntArray) -> dict[str, float]:
    """Measure predictions on a test set.

    Parameters
    ----------
    y : ndarray of shape (n,)
        True labels; with two classes, 1 is the rare one.
    proba : ndarray of shape (n, n_classes)
        Probabilities.
    predicted : ndarray of shape (n,)
        Labels, which need not be the most probable: thresholds may be tuned.

    Returns
    -------
    measures : dict
        ``error`` and ``balanced_error`` in per cent; ``auc`` and ``average_precision`` of the rare
        class, or means over the classes, each against the others; ``brier``, the mean of
        ``(p - t)^2``, with more than two classes summed over these; ``f1``, macro.

    """
    onehot = np.eye(proba.shape[1])[y]
    binary = proba.shape[1] == 2
    truth, scores = (y, proba[:, 1]) if binary else (onehot, proba)
    squares = ((proba - onehot) ** 2).sum(axis=1) / (2 if binary else 1)
    return {
        "error": float(100 * np.mean(predicted != y)),
        "balanced_error": float(100 * (1 - balanced_accuracy_score(y, predicted))),
        "auc": float(roc_auc_score(truth, scores)),
        "average_precision": float(average_precision_score(truth, scores)),
        "brier": float(squares.mean()),
        "f1": float(f1_score(y, predicted, average="macro", zero_division=0)),
    }


def held_out_score(y: IntArray, proba: NDArray[Any], predicted: IntArray) -> tuple[float, float]:
    """What learning rates are chosen by, less being better: every class counts the same.

    The error, and the log loss to decide between equal errors, which are frequent where a class
    has few examples.
    """
    classes, codes = np.unique(y, return_inverse=True)
    loss = -np.log(np.clip(proba[np.arange(len(y)), y], 1e-6, 1))
    each = [
        (np.mean(predicted[codes == k] != y[codes == k]), np.mean(loss[codes == k]))
        for k in range(len(classes))
    ]
    errors, losses = zip(*each, strict=True)
    return float(100 * np.mean(errors)), float(np.mean(losses))


class Cost:
    """What was spent: seconds, seconds of the processor, the rise of the peak memory in MB."""

    seconds = float("nan")
    cpu_seconds = float("nan")
    memory = float("nan")

    def measures(self) -> dict[str, float]:
        """By the names that they have in results."""
        return {"fit_time": self.seconds, "cpu_time": self.cpu_seconds, "memory": self.memory}


@contextmanager
def measured(device: str = "cpu") -> Iterator[Cost]:
    """Measure the time and the memory of what is done inside.

    On CPU the memory is the resident size of the process, looked at every 10 ms (Linux alone, nan
    elsewhere). What was freed before may be used again unseen: where memory is what matters, use
    a fresh process.
    """
    cost = Cost()
    on_gpu = device != "cpu"
    before = _start_on_gpu() if on_gpu else _resident()
    watch = _Watch()
    start, cpu_start = time.perf_counter(), time.process_time()
    with watch:
        yield cost
        if on_gpu:
            torch.cuda.synchronize()
        cost.seconds = time.perf_counter() - start
        cost.cpu_seconds = time.process_time() - cpu_start
    peak = float(torch.cuda.max_memory_allocated()) if on_gpu else watch.peak
    cost.memory = (peak - before) / 1e6


def _start_on_gpu() -> float:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    return float(torch.cuda.memory_allocated())


def _resident() -> float:
    if not STATM.exists():
        return float("nan")
    return float(int(STATM.read_text().split()[1]) * PAGE)


class _Watch:
    """A thread that looks at the resident size until it is told to stop."""

    def __init__(self) -> None:
        self.peak = _resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._done.wait(INTERVAL):
            self.peak = max(self.peak, _resident())

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._done.set()
        self._thread.join()
        self.peak = max(self.peak, _resident())
