"""Generators of faults: exact rates and sizes, from a seed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.data import faults


def rng(seed: int = 0) -> np.random.RandomState:
    return np.random.RandomState(seed)


def test_class_sizes() -> None:
    assert faults.two_classes(5000, 0.995) == [4975, 25]
    assert faults.evenly(15, 10) == [2] * 5 + [1] * 5
    assert faults.long_tail(500, 10, ratio=10)[0] == 500
    assert faults.long_tail(500, 10, ratio=10)[-1] == 50
    sizes = faults.long_tail(1000, 4, ratio=8)
    assert sizes == [1000, 500, 250, 125]


def test_take_draws_the_sizes_asked_for_without_repeating_a_row() -> None:
    y = np.arange(60) % 3
    rows = faults.take(y, [5, 0, 20], rng())
    assert np.bincount(y[rows], minlength=3).tolist() == [5, 0, 20]
    assert len(set(rows.tolist())) == 25
    np.testing.assert_array_equal(rows, faults.take(y, [5, 0, 20], rng()))
    assert not np.array_equal(rows, faults.take(y, [5, 0, 20], rng(1)))
    assert np.any(np.diff(y[rows]) < 0), "classes are mixed"


def test_take_says_how_many_there_are() -> None:
    with pytest.raises(ValueError, match="Got a count of 21 for class 1, but expected at most 20"):
        faults.take(np.arange(60) % 3, [5, 21, 5], rng())


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.37, 0.6, 1.0])
def test_uniform_flip_is_exact_and_keeps_no_true_label(rate: float) -> None:
    y = np.arange(1000, dtype=np.int64) % 10
    noisy = faults.uniform_flip(y, rate, rng(), 10)
    assert np.sum(noisy != y) == round(1000 * rate)
    assert set(noisy.tolist()) <= set(range(10))
    np.testing.assert_array_equal(noisy, faults.uniform_flip(y, rate, rng(), 10))


def test_uniform_flip_goes_to_all_other_classes_alike() -> None:
    y = np.zeros(9000, dtype=np.int64)
    counts = np.bincount(faults.uniform_flip(y, 1.0, rng(), 4), minlength=4)
    assert counts[0] == 0
    assert counts[1:].min() > 2800


@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
def test_background_flip_is_exact_and_goes_one_way(rate: float) -> None:
    y = np.arange(1000, dtype=np.int64) % 10
    noisy = faults.background_flip(y, rate, rng(), background=3)
    changed = noisy != y
    assert changed.sum() == round(900 * rate)
    assert (noisy[changed] == 3).all()
    assert (noisy[y == 3] == 3).all()
    np.testing.assert_array_equal(noisy, faults.background_flip(y, rate, rng(), background=3))


def test_an_unknown_kind_of_noise_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="noise='pink', but expected one of none, uniform, back"):
        faults.flip(np.zeros(3, np.int64), "pink", 0.1, rng(), 2)


def test_the_source_of_labels_is_left_as_it_was() -> None:
    y = np.arange(100, dtype=np.int64) % 10
    before = y.copy()
    for noise in faults.NOISES:
        faults.flip(y, noise, 0.5, rng(), 10)
    np.testing.assert_array_equal(y, before)
