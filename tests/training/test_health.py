"""The health check: it says in words when training has gone wrong, and is quiet when it has not."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.dataset import Dataset as SkorchDataset
from torch import nn

from sklearn_l2rw import (
    L2RWBinaryClassifier,
    L2RWClassifier,
    L2RWMultilabelClassifier,
    L2RWRegressor,
)
from sklearn_l2rw.training.health import HealthCheck
from tests.small import BOUNDED, make_net

ZERO, FEW, FITTED, CLASS = "had no example", "of a batch", "is fitted", "the classes"
SEEDS = [0, 1]
# The paper's step: with a clean term, training goes on where the clean set is all that teaches.
PAPER: dict[str, Any] = {**BOUNDED, "lr": 0.3}


def blobs(n: int, sep: float, seed: int = 0) -> Any:
    """Two classes in turn, their centres `sep * sqrt(2)` apart."""
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return (sep * np.eye(4)[y] + generator.normal(size=(n, 4))).astype(np.float32), y


def noisy(y: Any, rate: float = 0.4) -> Any:
    return np.where(np.random.default_rng(3).random(len(y)) < rate, 1 - y, y)


def told(act: Any) -> list[str]:
    """Return the health check's words; any other warning fails the test."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    assert {warning.category for warning in caught} <= {ConvergenceWarning}
    return [str(warning.message) for warning in caught]


def fit(
    X: Any, y: Any, clean_set: Any, kind: Any = L2RWClassifier, weight: Any = None, **settings: Any
) -> tuple[list[str], Any]:
    net = kind(clean_set=clean_set, **{"random_state": 0, "verbose": 0, **settings})
    return told(lambda: net.fit(X, y, sample_weight=weight)), net


# Healthy runs


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [L2RWClassifier, L2RWBinaryClassifier])
def test_quiet_with_wrong_labels(kind: Any, seed: int) -> None:
    X, y = blobs(1000, 1.5)
    clean_set = blobs(40, 1.5, seed=1)
    words, net = fit(X, noisy(y), clean_set, kind, max_epochs=30, random_state=seed)
    assert net.score(X, y) > 0.8
    assert words == []


@pytest.mark.parametrize("seed", SEEDS)
def test_quiet_with_a_rare_class(seed: int) -> None:
    X, y = blobs(2000, 2)
    kept = np.concatenate([np.flatnonzero(y == 0)[:950], np.flatnonzero(y == 1)[:50]])
    words, net = fit(X[kept], y[kept], blobs(40, 2, seed=1), max_epochs=30, random_state=seed)
    assert net.score(X, y) > 0.85
    assert words == []


@pytest.mark.parametrize("seed", SEEDS)
def test_quiet_where_everything_is_learned(seed: int) -> None:
    """A clean set that is fitted, as all the rest is."""
    X, y = blobs(600, 8)
    words, net = fit(X, y, blobs(20, 8, seed=1), max_epochs=60, random_state=seed)
    assert net.score(X, y) == 1
    assert net.history[-1, "clean_loss"] < 1e-3
    assert words == []


@pytest.mark.parametrize("seed", SEEDS)
def test_quiet_in_regression(seed: int) -> None:
    X, _ = blobs(600, 0)
    y = X @ np.array([0.6, -0.4, 0.5, 0.1], dtype=np.float32)
    y += 0.3 * np.random.default_rng(4).normal(size=600).astype(np.float32)
    wrong = np.where(np.arange(600) % 10 < 3, 3, y).astype(np.float32)
    clean_set = (X[:60], y[:60])
    words, net = fit(X[60:], wrong[60:], clean_set, L2RWRegressor, random_state=seed)
    assert net.score(X, y) > 0.5
    assert words == []


@pytest.mark.parametrize("seed", SEEDS)
def test_quiet_with_many_labels(seed: int) -> None:
    X, y = blobs(600, 1.5)
    targets = np.stack([noisy(y, 0.2), noisy(X[:, 2] > 0, 0.2), X[:, 3] > 0], axis=1).astype(int)
    clean_set = (X[:60], np.stack([y, X[:, 2] > 0, X[:, 3] > 0], axis=1)[:60].astype(int))
    words, _ = fit(X[60:], targets[60:], clean_set, L2RWMultilabelClassifier, random_state=seed)
    assert words == []


@pytest.mark.parametrize("seed", SEEDS)
def test_quiet_in_one_long_epoch(seed: int) -> None:
    """A large data set is learned in an epoch, or in calls of `partial_fit`."""
    X, y = blobs(16000, 1.5)
    words, net = fit(
        X, noisy(y), blobs(40, 1.5, seed=1), max_epochs=1, random_state=seed, batch_size=64
    )
    assert net.score(X, y) > 0.8
    batches = net.history[0, "batches", :, "clean_loss"]
    assert np.mean(batches[-50:]) < 0.7 * np.mean(batches[:10])
    assert words == []


@pytest.mark.slow
def test_quiet_when_a_learned_net_goes_on() -> None:
    X, y = blobs(2000, 1.5)
    clean_set = blobs(40, 1.5, seed=1)
    words, net = fit(X, noisy(y), clean_set, max_epochs=20, lr=0.05)
    score = net.score(X, y)
    assert score > 0.8
    words += told(lambda: net.set_params(lr=1e-3).partial_fit(X, noisy(y)))
    assert net.score(X, y) == pytest.approx(score, abs=0.02)
    assert words == []


def test_quiet_where_there_is_little_to_judge_by() -> None:
    X, y = blobs(40, 3)
    words, _ = fit(X, 1 - y, blobs(8, 3, seed=1), max_epochs=3)
    assert words == []


# Constructed failures


def said(words: list[str], sign: str, remedy: str) -> str:
    """One warning says it, and what to do about it."""
    found = [text for text in words if sign in text]
    assert len(found) == 1, words
    assert remedy in found[0]
    assert len(set(words)) == len(words)
    return found[0]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [L2RWClassifier, L2RWBinaryClassifier])
def test_clean_set_that_is_fitted(kind: Any, seed: int) -> None:
    X, y = blobs(1000, 2)
    clean_set = blobs(4, 2, seed=1)
    settings = {"max_epochs": 60, "random_state": seed, **PAPER}
    words, net = fit(X, noisy(y), clean_set, kind, **settings)
    text = said(words, FITTED, "larger clean set")
    assert "stop early" in text
    assert net.history[-1, "clean_loss"] < 1e-3 < 0.3 < net.history[-1, "train_loss"]


def test_clean_set_that_is_fitted_by_partial_fit() -> None:
    """An epoch at a time is the same as all at once."""
    X, y = blobs(2000, 2)
    given = noisy(y)
    net = L2RWClassifier(
        clean_set=blobs(4, 2, seed=1), random_state=0, verbose=0, max_epochs=1, batch_size=64,
        **PAPER,
    )  # fmt: skip
    words = [text for _ in range(20) for text in told(lambda: net.partial_fit(X, given))]
    assert net.history[-1, "clean_loss"] < 1e-3 < 0.3 < net.history[-1, "train_loss"]
    assert any(FITTED in text for text in words), words


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_that_are_all_flipped(seed: int) -> None:
    """Most batches are all zero, in every epoch but the first few."""
    X, y = blobs(500, 3)
    settings = {"batch_size": 32, "max_epochs": 25, "random_state": seed, **PAPER}
    words, net = fit(X, 1 - y, blobs(20, 3, seed=1), **settings)
    assert np.mean(net.history[5:, "zero_batches"]) > 0.6 * 16
    said(words, ZERO, "coded alike")


class Line(nn.Module):
    """Logits (-w x, w x): an example with label 1 is right where x is above 0."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(()))

    def forward(self, X: Any) -> Any:
        return torch.cat([-self.w * X, self.w * X], 1)


LINE_CLEAN = (np.array([[1], [-1]], dtype=np.float32), np.array([1, 0]))


def fit_line(x: Any, y: Any, weight: Any = None, **settings: Any) -> list[str]:
    """Words said over 20 epochs on x, at steps too small to matter."""
    rows = x if isinstance(x, SkorchDataset) else np.asarray(x, dtype=np.float32)[:, None]
    settings = {"clean_set": LINE_CLEAN, "batch_size": 100, "lr": 1e-9, **settings}
    net = make_net(Line, max_epochs=20, **settings)
    return told(lambda: net.fit(rows, y, sample_weight=weight))


SIGNS = np.where(np.arange(200) % 2 == 0, 1.0, -1.0)
RIGHT = (SIGNS > 0).astype(int)


def test_line_that_is_healthy() -> None:
    assert fit_line(SIGNS, RIGHT) == []
    assert fit_line(SIGNS, np.where(np.arange(200) % 5 < 2, 1 - RIGHT, RIGHT)) == []


def test_no_example_is_of_use() -> None:
    words = fit_line(SIGNS, 1 - RIGHT)
    assert "100%" in said(words, ZERO, "coded alike")
    assert not any(CLASS in text for text in words)


def test_few_examples_carry_a_batch() -> None:
    x = SIGNS.copy()
    x[[10, 110]] = 1e5  # one in each batch
    text = said(
        fit_line(x, RIGHT, iterator_train__shuffle=False), FEW, "larger clean set or larger batches"
    )
    assert "1.0%" in text
    x[:100:10], x[100::10] = 1e5, 1e5  # ten in each batch are well enough
    assert fit_line(x, RIGHT, iterator_train__shuffle=False) == []


LOST = np.where(np.arange(200) < 60, -1.0, SIGNS)  # of class 1, those of the first rows alone
LOST_Y = np.where(np.arange(200) < 60, 1, 0)
LOST_X = np.where(np.arange(200) < 60, -1.0, np.where(np.arange(200) % 4 == 0, 1.0, -1.0))


@pytest.mark.parametrize("names", [np.array([0, 1]), np.array(["ham", "spam"])])
def test_class_that_is_all_wrong(names: Any) -> None:
    clean_set = (LINE_CLEAN[0], names[LINE_CLEAN[1]])
    text = said(fit_line(LOST_X, names[LOST_Y], clean_set=clean_set), CLASS, "in the clean set")
    assert f"classes {names[1:].tolist()}" in text


def test_class_that_is_all_wrong_in_a_data_set() -> None:
    """Its labels are known, as they are held in memory."""
    data = SkorchDataset(LOST_X[:, None].astype(np.float32), LOST_Y)
    said(fit_line(data, None), CLASS, "in the clean set")


def test_class_that_is_all_wrong_where_rows_count_differently() -> None:
    said(fit_line(LOST_X, LOST_Y, np.linspace(1, 2, 200)), CLASS, "in the clean set")


def test_class_that_does_not_count() -> None:
    """It has weight zero because the user wants it."""
    assert fit_line(SIGNS, RIGHT, class_weight={0: 1.0, 1: 0.0}) == []


def test_warnings_that_are_errors_fail_the_fit() -> None:
    net = make_net(Line, clean_set=LINE_CLEAN, batch_size=100, lr=1e-9, max_epochs=20)
    with pytest.raises(ConvergenceWarning, match=ZERO):
        net.fit(SIGNS[:, None].astype(np.float32), 1 - RIGHT)
    assert not net.initialized_


# The check by itself

Batches = list[Mapping[str, Any]]


def rows(
    n: int = 10, train: float = 1.0, clean: float = 1.0, size: float = 50.0, zero: int = 0
) -> Batches:
    """Batches of 100, of which the last `zero` have no weights."""
    good: dict[str, Any] = {
        "train_loss": train, "clean_loss": clean, "effective_sample_size": size,
        "zero_batches": 0, "zero_weights": 0.5, "train_batch_size": 100,
    }  # fmt: skip
    none: dict[str, Any] = {
        **good,
        "effective_sample_size": 0.0,
        "zero_batches": 1,
        "zero_weights": 1.0,
    }
    return [*[good] * (n - zero), *[none] * zero]


def words_on(check: HealthCheck, *epochs: Batches) -> list[str]:
    """Words said of some epochs."""

    def act() -> None:
        for number, batches in enumerate(epochs, start=1):
            check.epoch(batches, number)

    return told(act)


def judged(*epochs: Batches) -> list[str]:
    """Words said of some epochs, after one that is well."""
    return words_on(HealthCheck(), rows(), *epochs)


@pytest.mark.parametrize(
    ("batches", "sign"),
    [
        (rows(), None),
        (rows(clean=0.2), None),
        (rows(clean=1e-4), FITTED),
        (rows(clean=1e-4, train=0.8), FITTED),
        (rows(clean=1e-4, train=0.1), None),  # all is learned
        (rows(clean=0.0, train=0.0, size=1, zero=9), None),
        (rows(size=10), None),
        (rows(size=1), FEW),
        (rows(size=1, train=0.1), None),
        (rows(size=1, zero=5), FEW),  # batches without weights have no size
        (rows(size=30, zero=3), None),
        (rows(zero=2), None),
        (rows(zero=10), ZERO),
        (rows(n=20, zero=15, train=0.3), ZERO),  # that is most of them
        (rows(zero=10, clean=1e-4, train=0.0), None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_thresholds(batches: Batches, sign: str | None, scale: float) -> None:
    """Whatever the scale of the losses."""
    scaled: list[Batches] = [
        [{**row, **{key: scale * row[key] for key in ("train_loss", "clean_loss")}} for row in part]
        for part in (rows(), batches)
    ]
    words = words_on(HealthCheck(), *scaled)
    assert len(words) == (sign is not None), words
    assert sign is None or sign in words[0]


def test_each_sign_is_told_once() -> None:
    words = judged(*[rows(zero=10)] * 5, *[rows(size=1)] * 5, *[rows(clean=1e-5)] * 5)
    assert len(words) == 3
    for text, sign, number in zip(words, (ZERO, FEW, FITTED), (2, 7, 12), strict=True):
        assert sign in text
        assert f"epoch {number}" in text


def test_short_epochs_are_judged_together() -> None:
    assert judged(*[rows(n=1, zero=1)] * 9) == []
    assert "epoch 11" in judged(*[rows(n=1, zero=1)] * 10)[0]
    assert judged(*[rows(n=1, zero=1), rows(n=9)] * 3) == []
    assert len(judged(*[rows(n=4, zero=4)] * 9)) == 1


def test_rows_that_say_nothing() -> None:
    """Those of validation, and of batches that were interrupted."""
    check = HealthCheck()
    strange: Batches = [{"valid_loss": 1.0, "valid_batch_size": 5}, {}, {"train_loss": 1.0}] * 10
    assert words_on(check, strange, []) == []
    assert len(words_on(check, *[[*rows(zero=10), *strange]] * 2)) == 1


def test_losses_that_are_not_finite() -> None:
    assert judged(rows(train=np.nan), rows(clean=np.nan)) == []


@pytest.mark.parametrize(
    ("weights", "lost"),
    [
        ([1.0, 0.5, 0.0, 2.0, 0.0, 0.0], ["c"]),
        ([1.0, 0.5, 0.0, 2.0, 0.0, 1e-9], []),
        ([1.0, 1.0, 0.0, 0.0, np.nan, 0.0], ["b", "c"]),
        ([1.0, 1.0, 1.0, 1.0, np.nan, np.nan], []),  # none was weighed
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0], []),  # that is another sign
    ],
)
def test_classes(weights: list[float], lost: list[str]) -> None:
    check = HealthCheck()
    check.epoch(rows(), 1)
    labels = np.array(list("aabbcc"))
    words = [*told(lambda: check.classes(np.array(weights), labels))]
    words += told(lambda: check.classes(np.array(weights), labels))  # and not again
    assert len(words) == bool(lost)
    assert not lost or str(lost) in words[0]
