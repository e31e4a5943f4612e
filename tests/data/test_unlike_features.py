"""Clean sets that are scaled in another way than the data, and honest ones."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_l2rw import L2RWClassifier
from sklearn_l2rw.data.likeness import warn_of_unlike

QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "verbose": 0}
TABLES = {
    "cancer": load_breast_cancer(return_X_y=True),
    "wine": load_wine(return_X_y=True),
    "digits": load_digits(return_X_y=True),
    "iris": load_iris(return_X_y=True),
}


def balanced(y: NDArray[Any], n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Choose about n rows, as many of each class as there are."""
    classes = np.unique(y)
    rows = [generator.permutation(np.flatnonzero(y == c))[: -(-n // len(classes))] for c in classes]
    return np.concatenate(rows)


def rare(shift: float, spread: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Data one in fifty rows of which is of another class."""
    y = (np.arange(1000) % 50 == 0).astype(int)
    rows = np.random.default_rng(0).normal(size=(1000, 5))
    return rows * np.where(y == 1, spread, 1.0)[:, None] + shift * y[:, None], y


def skewed(sigma: float) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.random.default_rng(0).lognormal(sigma=sigma, size=(500, 5)), np.arange(500) % 2


def rare_values() -> tuple[NDArray[Any], NDArray[Any]]:
    return (np.random.default_rng(0).random((500, 30)) < 0.03) + 0.0, np.arange(500) % 2


def unlike(X: Any, X_clean: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_unlike(X, X_clean)
    return [str(warning.message) for warning in caught]


HONEST = {
    **TABLES,
    "rare": rare(2, 1),
    "rare and narrow": rare(2, 0.1),
    "rare and far": rare(20, 0.1),
    "skewed": skewed(2),
    "rare values": rare_values(),
}


@pytest.mark.parametrize("name", list(HONEST))
@pytest.mark.parametrize("n", [5, 10, 30])
def test_honest_clean_sets_are_like_the_data(name: str, n: int) -> None:
    rows, y = HONEST[name]
    scaled = StandardScaler().fit_transform(rows)
    for seed in range(15):
        generator = np.random.default_rng(seed)
        assert unlike(scaled, scaled[balanced(y, n, generator)]) == []
        assert unlike(scaled, scaled[generator.permutation(len(y))[:n]]) == []


@pytest.mark.parametrize("name", list(TABLES))
def test_clean_set_of_shares_beside_standardised_data(name: str) -> None:
    rows, y = TABLES[name]
    shares = MinMaxScaler().fit_transform(rows)
    clean = balanced(y, 30, np.random.default_rng(0))
    (message,) = unlike(StandardScaler().fit_transform(shares), shares[clean])
    assert "X is standardised" in message
    assert unlike(shares, shares[clean]) == []
    assert unlike(StandardScaler().fit_transform(shares), shares[clean[:4]]) == []


def test_pipeline_with_a_clean_set_of_shares() -> None:
    rows, y = TABLES["cancer"]
    shares = MinMaxScaler().fit_transform(rows)
    net = L2RWClassifier(clean_set=(shares[:30], y[:30]), **{**QUICK, "batch_size": 300})
    with pytest.warns(UserWarning, match=r"do not look like those of X: X is standardised"):
        make_pipeline(StandardScaler(), net).fit(shares[30:], y[30:])
