"""What is done to clean data: rare classes, wrong labels, or both, each from a seed.

>>> import numpy as np
>>> y = np.repeat([0, 1, 2], 100)
>>> rng = np.random.RandomState(0)
>>> np.bincount(y[take(y, long_tail(100, 3, ratio=10), rng)]).tolist()
[100, 32, 10]
>>> noisy = background_flip(y, 0.4, rng, background=0)
>>> int(np.bincount(noisy)[0])
180
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.data.source import IntArray

NOISES = ("none", "uniform", "background")


def two_classes(n: int, majority: float) -> list[int]:
    """Sizes of a frequent and a rare class.

    Parameters
    ----------
    n : int
        Examples in all.
    majority : float in [0.5, 1)
        Share of the frequent class, which comes first.

    """
    n_frequent = round(n * majority)
    return [n_frequent, n - n_frequent]


def evenly(n: int, n_classes: int) -> list[int]:
    """Sizes that sum to n and differ by at most one, the larger ones first."""
    return [n // n_classes + (k < n % n_classes) for k in range(n_classes)]


def long_tail(n_largest: int, n_classes: int, ratio: float) -> list[int]:
    """Sizes that fall by the same factor from class to class.

    Parameters
    ----------
    n_largest : int
        Size of class 0.
    n_classes : int
        Number of classes.
    ratio : float, at least 1
        Imbalance ratio: size of the largest class over that of the smallest.

    """
    return [round(n_largest * ratio ** (-k / (n_classes - 1))) for k in range(n_classes)]


def take(y: IntArray, counts: Sequence[int], rng: np.random.RandomState) -> IntArray:
    """Draw ``counts[k]`` positions of class k, without replacement, in random order.

    Raises
    ------
    ValueError
        If a class has fewer examples.

    """
    found = []
    for k, count in enumerate(counts):
        of_class = np.flatnonzero(y == k)
        if count > len(of_class):
            raise ValueError(
                f"Got a count of {count} for class {k}, but expected at most {len(of_class)}, "
                "which is what the data have. Ask for fewer."
            )
        found.append(rng.permutation(of_class)[:count])
    return np.asarray(rng.permutation(np.concatenate(found)), dtype=np.int64)


def uniform_flip(y: IntArray, rate: float, rng: np.random.RandomState, n_classes: int) -> IntArray:
    """UniformFlip: a share of the labels, exactly ``round(rate * n)``, become another class each.

    The other class is drawn uniformly; none of the flipped keeps its label.
    """
    flipped = np.zeros(len(y), dtype=bool)
    flipped[rng.permutation(len(y))[: round(rate * len(y))]] = True
    shift = rng.randint(1, n_classes, size=len(y))
    return np.where(flipped, (y + shift) % n_classes, y)


def background_flip(
    y: IntArray, rate: float, rng: np.random.RandomState, background: int = 0
) -> IntArray:
    """BackgroundFlip: a share of the labels of any other class become `background`.

    Exactly ``round(rate * m)`` of the m labels that are not `background` are flipped, so that the
    training set is imbalanced as well as noisy.
    """
    others = np.flatnonzero(y != background)
    flipped = rng.permutation(others)[: round(rate * len(others))]
    noisy = y.copy()
    noisy[flipped] = background
    return noisy


def flip(
    y: IntArray, noise: str, rate: float, rng: np.random.RandomState, n_classes: int
) -> IntArray:
    """Labels made wrong in the way that is named, one of `NOISES`."""
    if noise == "none":
        return y.copy()
    if noise == "uniform":
        return uniform_flip(y, rate, rng, n_classes)
    if noise == "background":
        return background_flip(y, rate, rng)
    raise ValueError(f"Got noise={noise!r}, but expected one of {', '.join(NOISES)}.")
