"""Tasks drawn from a data set: so many of each class, a clean set, wrong labels, a test set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.data.faults import flip, take, uniform_flip
from benchmarks.data.source import Source
from benchmarks.data.task import Task, balanced, make_task, split_clean


def draw(
    source: Source,
    counts: Sequence[int],
    n_clean: int,
    seed: int,
    *,
    noise: str = "none",
    rate: float = 0.0,
    n_test: int | None = None,
) -> Task:
    """Draw from a data set that comes with a test set.

    Parameters
    ----------
    source : Source
        The data set.
    counts : sequence of int
        Examples of each class to train on, the clean ones among them.
    n_clean : int
        Clean examples in all, as many of each class, or one more.
    seed : int
        Fixes all draws but that of the test set, which all seeds have in common.
    noise, rate
        How labels are made wrong: see `flip`. A name of ``source.given`` takes those labels, as
        they come; the clean examples have their true ones.
    n_test : int or None
        Test examples in all, as many of each class; None takes all.

    """
    rng = np.random.RandomState(seed)
    assert source.n_train is not None
    n_classes = len(counts)
    rows = take(source.y[: source.n_train], counts, rng)
    train, clean = (rows[part] for part in split_clean(source.y[rows], n_clean, n_classes, rng))
    y_true = source.y[train]
    given = source.given.get(noise)
    y_noisy = flip(y_true, noise, rate, rng, n_classes) if given is None else given[train]
    fixed = np.random.RandomState(0)
    test = balanced(source.y[source.n_train :], n_test, n_classes, fixed) + source.n_train
    y = source.y
    return make_task(source, y_noisy, y_true, (train, clean, test), y[clean], y[test])


def draw_from_all(
    source: Source, counts: Sequence[int], n_clean: int, seed: int, *, rate: float = 0.0
) -> Task:
    """Draw from all rows of a data set; the test set is what is left over, as many of each class.

    Parameters
    ----------
    source : Source
        The data set; its own division is not looked at.
    counts : sequence of int
        Examples of each class to train on, without the clean ones.
    n_clean : int
        Clean examples of each class.
    seed : int
        Fixes all draws.
    rate : float in [0, 1]
        Share of the training labels that are flipped, each to any other class.

    """
    rng = np.random.RandomState(seed)
    n_test = min(int(np.sum(source.y == k)) - n - n_clean for k, n in enumerate(counts))
    drawn = []
    for k, n in enumerate(counts):
        of_class = rng.permutation(np.flatnonzero(source.y == k))
        drawn.append(np.split(of_class, np.cumsum([n, n_clean, n_test]))[:3])
    train, clean, test = (
        rng.permutation(np.concatenate(part)) for part in zip(*drawn, strict=True)
    )
    y = source.y
    y_noisy = uniform_flip(y[train], rate, rng, len(counts))
    return make_task(source, y_noisy, y[train], (train, clean, test), y[clean], y[test])
