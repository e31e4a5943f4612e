"""What one run is about: training data with known faults, a clean set, a test set."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from benchmarks.data.faults import evenly, take
from benchmarks.data.source import FloatArray, IntArray, Source


@dataclass(frozen=True)
class Task:
    """Training, clean and test examples, which share no row.

    ``y`` are the labels that are trained on, ``y_true`` the right ones. ``train_rows``,
    ``clean_rows`` and ``test_rows`` say which rows of the source they are. Rows are flat;
    ``shape`` is how the net takes one.
    """

    X: FloatArray
    y: IntArray
    y_true: IntArray
    X_clean: FloatArray
    y_clean: IntArray
    X_test: FloatArray
    y_test: IntArray
    train_rows: IntArray
    clean_rows: IntArray
    test_rows: IntArray
    shape: tuple[int, ...]
    n_classes: int

    def with_clean(self) -> tuple[FloatArray, IntArray, NDArray[np.bool_]]:
        """All examples there are to train on, and which of them are the clean ones."""
        X = np.concatenate([self.X, self.X_clean])
        y = np.concatenate([self.y, self.y_clean])
        return X, y, np.arange(len(y)) >= len(self.y)

    def confusion(self) -> NDArray[np.float64]:
        """Share of each label (column) among the training examples of each true class (row)."""
        counts: NDArray[np.float64] = np.zeros((self.n_classes, self.n_classes))
        np.add.at(counts, (self.y_true, self.y), 1)
        return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def split_clean(
    y: IntArray, n_clean: int, n_classes: int, rng: np.random.RandomState
) -> tuple[IntArray, IntArray]:
    """Positions to train on, and those of a clean set with as many of each class, or one more."""
    clean = take(y, evenly(n_clean, n_classes), rng)
    return np.setdiff1d(np.arange(len(y)), clean), clean


def balanced(y: IntArray, n: int | None, n_classes: int, rng: np.random.RandomState) -> IntArray:
    """Positions of as many examples of each class as possible, at most n in all."""
    size = min(int(np.sum(y == k)) for k in range(n_classes))
    return take(y, [size if n is None else min(size, n // n_classes)] * n_classes, rng)


def make_task(
    source: Source,
    y_noisy: IntArray,
    y_true: IntArray,
    rows: tuple[IntArray, IntArray, IntArray],
    y_clean: IntArray,
    y_test: IntArray,
) -> Task:
    """Put a task together from rows of a source (training, clean, test) and their labels."""
    train, clean, test = rows
    return Task(
        source.rows(train), y_noisy, y_true,
        source.rows(clean), y_clean,
        source.rows(test), y_test,
        train, clean, test,
        source.shape, int(max(y_true.max(), y_test.max())) + 1,
    )  # fmt: skip


def held_out(task: Task, share: float, seed: int) -> Task:
    """Take a part of the training data as the test set: what settings may be chosen on.

    Its labels are as wrong as those of the training data, and its classes as rare. The test set
    of `task` is dropped.
    """
    positions = np.arange(len(task.y))
    train, test = train_test_split(
        positions, test_size=share, random_state=seed, stratify=_strata(task.y)
    )
    return replace(
        task,
        X=task.X[train], y=task.y[train], y_true=task.y_true[train],
        X_test=task.X[test], y_test=task.y[test],
        train_rows=task.train_rows[train], test_rows=task.train_rows[test],
    )  # fmt: skip


def _strata(y: IntArray) -> IntArray | None:
    """Labels to stratify by; not possible where a class has a single example."""
    counts = np.bincount(y)
    return y if counts[counts > 0].min() > 1 else None
