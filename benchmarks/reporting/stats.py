"""Means, paired differences and ranks of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from scipy.stats import t as student


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error, which is nan for a single value."""
    x = np.asarray(values, dtype=float)
    return float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else float("nan")


@dataclass(frozen=True)
class Difference:
    """Mean of ``a - b`` over pairs, and the ends of its interval."""

    mean: float
    low: float
    high: float


def paired_difference(
    a: Mapping[int, float],
    b: Mapping[int, float],
    test_over_train: float = 0.0,
    level: float = 0.95,
) -> Difference | None:
    """Difference of two arms over the seeds that both have.

    Parameters
    ----------
    a, b : mapping from int to float
        A measure by seed.
    test_over_train : float
        Size of the test part over that of the training part, where the seeds are folds of
        cross-validation. Their training sets overlap, so that the variance of the mean is not
        ``s^2 / k`` but about ``s^2 (1 / k + n_test / n_train)`` (Nadeau and Bengio, 2003).
    level : float
        Of Student's interval.

    Returns
    -------
    difference : Difference or None
        None with fewer than two pairs.

    """
    seeds = sorted(set(a) & set(b))
    if len(seeds) < 2:
        return None
    differences = np.array([a[seed] - b[seed] for seed in seeds])
    error = differences.std(ddof=1) * np.sqrt(1 / len(seeds) + test_over_train)
    half = float(student.ppf((1 + level) / 2, len(seeds) - 1) * error)
    mean = float(differences.mean())
    return Difference(mean, mean - half, mean + half)


def mean_ranks(
    table: Mapping[str, Mapping[str, float]], less_is_better: bool = True
) -> dict[str, float]:
    """Rank of each arm, 1 being the best, on average over data sets.

    Parameters
    ----------
    table : mapping from data set to mapping from arm to float
        Arms that are not in all data sets are left out, since their ranks are not comparable.
    less_is_better : bool
        Whether the measure is an error.

    """
    if not table:
        return {}
    arms = [arm for arm in next(iter(table.values())) if all(arm in row for row in table.values())]
    sign = 1 if less_is_better else -1
    ranks = [rankdata([sign * row[arm] for arm in arms]) for row in table.values()]
    return dict(zip(arms, np.mean(ranks, axis=0).tolist(), strict=True))
